//! One call that fails, or all from one on.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{PAGE, Seeded};
use crate::backend::bounds::ends_before;
use crate::backend::{Backend, Mapping, MemoryBackend};
use crate::error::{Error, Result};
use crate::wire::to_usize;

/// A way to fail, and the calls that it counts and strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The medium fails (EIO): any read, write, change of length or sync. A write that fails
    /// leaves nothing.
    Medium,
    /// The disk is full (ENOSPC): a write or change of length, which leaves nothing.
    NoSpace,
    /// A write fails after a part of its bytes, perhaps all of them, has landed (ENOSPC).
    ShortWrite,
    /// A read finds that the file was cut.
    ShortRead,
    /// A sync fails (EIO). Of the pages that were to be written some have been; the others are
    /// forgotten as kernels do: a later sync passes over them, and some of them read as they
    /// were before.
    Sync,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Medium, Self::NoSpace, Self::ShortWrite, Self::ShortRead, Self::Sync];
}

/// A backend in memory that fails one call, or all from that one on.
///
/// A test tries call 0, 1, 2, … until [`fired`](Self::fired) stays false.
#[derive(Debug)]
pub struct FailingBackend {
    fault: Fault,
    call: u64,
    for_ever: bool,
    /// What those who have the file open see.
    live: MemoryBackend,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// What is on the medium.
    durable: MemoryBackend,
    /// Pages in which the two may differ and that a sync writes.
    dirty: BTreeSet<u64>,
    calls: u64,
    fired: bool,
    rng: Seeded,
}

impl FailingBackend {
    /// A file that holds `bytes`, all durable. The call number `call` (from 0, of those that
    /// `fault` strikes) fails, and every later one too if `for_ever`.
    #[must_use]
    pub fn new(bytes: Vec<u8>, fault: Fault, call: u64, for_ever: bool, seed: u64) -> Self {
        let live = MemoryBackend::from_bytes(bytes.clone());
        let durable = MemoryBackend::from_bytes(bytes);
        let rng = Seeded::new(seed);
        let state = State { durable, dirty: BTreeSet::new(), calls: 0, fired: false, rng };
        Self { fault, call, for_ever, live, state: Mutex::new(state) }
    }

    /// Whether a call has failed.
    #[must_use]
    pub fn fired(&self) -> bool {
        self.state().fired
    }

    /// How many calls there were that the fault can strike.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// The file as the next one to open it sees it while the machine stays up.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.live.to_bytes()
    }

    /// The file as it is if the power is cut now and nothing was written back but by syncs.
    #[must_use]
    pub fn to_durable_bytes(&self) -> Vec<u8> {
        self.state().durable.to_bytes()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call that one of `faults` strikes, and says whether it is to fail.
    fn strikes(&self, state: &mut State, faults: &[Fault]) -> bool {
        if !faults.contains(&self.fault) {
            return false;
        }
        let now = state.calls;
        state.calls += 1;
        let strikes = now == self.call || (self.for_ever && now > self.call);
        state.fired |= strikes;
        strikes
    }

    /// The error of a write or change of length.
    fn refusal(&self) -> io::Error {
        if self.fault == Fault::Medium { medium() } else { no_space() }
    }
}

impl State {
    fn touch(&mut self, start: u64, end: u64) {
        if start < end {
            self.dirty.extend(start / PAGE as u64..=(end - 1) / PAGE as u64);
        }
    }
}

#[cfg(unix)]
fn medium() -> io::Error {
    rustix::io::Errno::IO.into()
}

#[cfg(not(unix))]
fn medium() -> io::Error {
    io::Error::other("the medium failed")
}

#[cfg(unix)]
fn no_space() -> io::Error {
    rustix::io::Errno::NOSPC.into()
}

#[cfg(not(unix))]
fn no_space() -> io::Error {
    io::ErrorKind::StorageFull.into()
}

/// Makes page `page` of `to` what it is in `from`, as far as both have it.
fn copy_page(from: &MemoryBackend, to: &MemoryBackend, page: u64) -> Result<()> {
    let start = page * PAGE as u64;
    let end = (start + PAGE as u64).min(from.len()?).min(to.len()?);
    let mut bytes = vec![0; to_usize(end.saturating_sub(start)).unwrap_or_default()];
    from.read_at(start.min(end), &mut bytes)?;
    to.write_at(start, &bytes)
}

impl Backend for FailingBackend {
    fn len(&self) -> Result<u64> {
        self.live.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        if self.strikes(&mut self.state(), &[Fault::Medium, Fault::ShortRead]) {
            return Err(match self.fault {
                Fault::ShortRead => ends_before(offset),
                _ => Error::io_at("read", offset, medium()),
            });
        }
        self.live.read_at(offset, buf)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        let mut state = self.state();
        let faults = [Fault::Medium, Fault::NoSpace, Fault::ShortWrite];
        let fails = self.strikes(&mut state, &faults);
        let landed = match (fails, self.fault) {
            (false, _) => data.len() as u64,
            (true, Fault::ShortWrite) => state.rng.below(data.len() as u64 + 1),
            (true, _) => 0,
        };
        let data = to_usize(landed).and_then(|landed| data.get(..landed)).unwrap_or(data);
        let old_end = self.live.len()?;
        self.live.write_at(offset, data)?;
        if !data.is_empty() {
            state.touch(offset.min(old_end), offset.saturating_add(landed));
        }
        if fails { Err(Error::io_at("write", offset, self.refusal())) } else { Ok(()) }
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let mut state = self.state();
        if self.strikes(&mut state, &[Fault::Medium, Fault::NoSpace]) {
            return Err(Error::io_at("set the length", len, self.refusal()));
        }
        let old = self.live.len()?;
        self.live.set_len(len)?;
        state.touch(old.min(len), old.max(len));
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        let mut state = self.state();
        let fails = self.strikes(&mut state, &[Fault::Medium, Fault::Sync]);
        let len = self.live.len()?;
        let forgets = fails && self.fault == Fault::Sync;
        if fails && !forgets {
            return Err(Error::io("sync", medium()));
        }
        // Lengths are written first or not at all; here always, the harder case to notice.
        state.durable.set_len(len)?;
        for page in std::mem::take(&mut state.dirty) {
            if !forgets || state.rng.chance(4) {
                copy_page(&self.live, &state.durable, page)?;
            } else if state.rng.chance(4) {
                copy_page(&state.durable, &self.live, page)?;
            }
        }
        if fails { Err(Error::io("sync", medium())) } else { Ok(()) }
    }

    fn map(&self, len: u64) -> Result<Option<Mapping>> {
        self.live.map(len)
    }

    fn writable(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing(fault: Fault, call: u64, for_ever: bool, seed: u64) -> FailingBackend {
        FailingBackend::new(vec![1; 3 * PAGE], fault, call, for_ever, seed)
    }

    #[test]
    fn it_keeps_the_contract_until_it_fails() {
        for fault in Fault::ALL {
            crate::backend::contract::writable(|| {
                Ok(FailingBackend::new(Vec::new(), fault, u64::MAX, true, 0))
            })
            .unwrap();
        }
    }

    #[test]
    fn the_chosen_call_fails_once_or_for_ever_and_no_other() {
        for (for_ever, expected) in [(false, [true, false, true]), (true, [true, false, false])] {
            let backend = failing(Fault::NoSpace, 1, for_ever, 0);
            let mut results = [true; 3];
            for (n, result) in results.iter_mut().enumerate() {
                backend.read_at(0, &mut [0]).unwrap();
                backend.sync().unwrap();
                *result = backend.write_at(n as u64, b"x").is_ok();
            }
            assert_eq!(results, expected);
            assert!(backend.fired());
            assert_eq!(backend.calls(), 3);
        }
        let backend = failing(Fault::Medium, 3, false, 0);
        backend.read_at(0, &mut [0]).unwrap();
        backend.write_at(0, b"x").unwrap();
        backend.set_len(9).unwrap();
        let error = backend.sync().unwrap_err();
        assert!(matches!(error, Error::Io { op: "sync", .. }), "{error}");
        assert!(backend.sync().is_ok());
    }

    #[test]
    fn errors_are_those_of_the_system() {
        let full = failing(Fault::NoSpace, 0, false, 0).write_at(0, b"x").unwrap_err();
        assert!(
            matches!(&full, Error::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull)
        );
        let cut = failing(Fault::ShortRead, 0, false, 0).read_at(7, &mut [0]).unwrap_err();
        assert!(matches!(cut, Error::Corrupt(c) if c.part == "file" && c.offset == 7));
    }

    #[test]
    fn a_short_write_leaves_a_prefix() {
        let mut kept = BTreeSet::new();
        for seed in 0..200 {
            let backend = failing(Fault::ShortWrite, 0, false, seed);
            backend.write_at(0, &[2; 5]).unwrap_err();
            let prefix = backend.to_bytes().iter().take_while(|b| **b == 2).count();
            assert!(backend.to_bytes()[prefix..].iter().all(|b| *b == 1));
            kept.insert(prefix);
        }
        assert_eq!(kept, BTreeSet::from([0, 1, 2, 3, 4, 5]));
    }

    #[test]
    fn only_syncs_make_durable() {
        let backend = failing(Fault::Sync, 1, false, 0);
        backend.write_at(10, &[2; 2 * PAGE]).unwrap();
        backend.write_at(5 * PAGE as u64, &[3; 10]).unwrap();
        assert_eq!(backend.to_durable_bytes(), vec![1; 3 * PAGE]);
        backend.sync().unwrap();
        assert_eq!(backend.to_durable_bytes(), backend.to_bytes());
        backend.set_len(100).unwrap();
        assert_eq!(backend.to_durable_bytes().len(), 5 * PAGE + 10);
    }

    #[test]
    fn after_a_failed_sync_the_next_good_one_proves_nothing_about_the_lost_pages() {
        let (mut lost_unseen, mut lost_seen, mut written) = (0, 0, 0);
        for seed in 0..200 {
            let backend = failing(Fault::Sync, 0, false, seed);
            backend.write_at(0, &[2; PAGE]).unwrap();
            backend.sync().unwrap_err();
            backend.sync().unwrap();
            match (backend.to_bytes()[0], backend.to_durable_bytes()[0]) {
                (2, 2) => written += 1,
                (2, 1) => lost_unseen += 1,
                (1, 1) => lost_seen += 1,
                other => panic!("{other:?}"),
            }
        }
        assert!(lost_unseen > 20 && lost_seen > 20 && written > 50);
    }
}
