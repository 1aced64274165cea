//! Every call in a log, and the files that an accident could leave.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{SECTOR, Seeded};
use crate::backend::{Backend, Mapping, MemoryBackend};
use crate::error::Result;
use crate::wire::to_usize;

/// A call that changed something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Bytes were written.
    Write {
        /// Where, in bytes from the start.
        offset: u64,
        /// What.
        data: Vec<u8>,
    },
    /// The length was set.
    SetLen {
        /// To so many bytes.
        len: u64,
    },
    /// Everything before was made durable.
    Sync,
}

/// A backend in memory that logs what is done to it.
///
/// A test notes [`ops`](Self::ops) whenever a commit returned, and later asks at every call for
/// the images that an accident during that call could leave.
#[derive(Debug, Default)]
pub struct RecordingBackend {
    /// What was durable before the first call.
    start: Vec<u8>,
    memory: MemoryBackend,
    log: Mutex<Vec<Op>>,
}

impl RecordingBackend {
    /// An empty file and an empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A file that holds `bytes`, all of them durable, and an empty log: what the next crash
    /// starts from.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        let memory = MemoryBackend::from_bytes(bytes.clone());
        Self { start: bytes, memory, log: Mutex::default() }
    }

    /// How many calls were logged.
    #[must_use]
    pub fn ops(&self) -> usize {
        self.log().len()
    }

    /// A copy of the log.
    #[must_use]
    pub fn to_ops(&self) -> Vec<Op> {
        self.log().clone()
    }

    /// The file as it is now for those who have it open.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.memory.to_bytes()
    }

    /// The file as a power cut during call `at_op` could leave it (after the last call, if
    /// `at_op` is [`ops`](Self::ops) or more). Each `seed` gives one of the possible images.
    ///
    /// All that was there at the last sync before the call is there. Of every write since, the
    /// one that the cut interrupted included, any subset of its 512-byte sectors is, from
    /// none over few and most to all. The length is the durable one, any that the file has had
    /// since, or one between them on a sector's step. What was never written reads as zeros.
    #[must_use]
    pub fn crash_image(&self, at_op: usize, seed: u64) -> Vec<u8> {
        let log = self.log();
        let at_op = at_op.min(log.len());
        let (begun, _) = log.split_at((at_op + 1).min(log.len()));
        let (before, _) = log.split_at(at_op);
        let synced = before.iter().rposition(|op| *op == Op::Sync).map_or(0, |last| last + 1);
        let (durable, _) = before.split_at(synced);
        let mut image = self.start.clone();
        durable.iter().for_each(|op| apply(&mut image, op, usize::MAX));

        let mut rng = Seeded::new(seed);
        let [none, few, half, most, all] = [0, 1, 4, 7, 8];
        let kept = [none, few, half, half, half, most, most, all];
        let kept = kept.get(at(rng.below(8))).copied().unwrap_or(half);
        let mut lengths = vec![image.len()];
        let mut length = image.len();
        for op in begun.iter().skip(synced) {
            match op {
                Op::Write { offset, data } => {
                    let mut place = at(*offset);
                    length = length.max(place.saturating_add(data.len()));
                    for piece in sectors(place, data) {
                        if rng.chance(kept) {
                            put(&mut image, place, piece);
                        }
                        place = place.saturating_add(piece.len());
                    }
                }
                Op::SetLen { len } => {
                    let cut = at(*len);
                    if cut < length && rng.chance(kept) {
                        image.truncate(cut);
                    }
                    length = cut;
                }
                Op::Sync => {}
            }
            lengths.push(length);
        }
        image.resize(pick_length(&mut rng, &lengths), 0);
        image
    }

    /// The file as it is left if the process was killed during call `at_op`: all calls before
    /// are there, of a write that was under way the first `part` bytes.
    #[must_use]
    pub fn kill_image(&self, at_op: usize, part: usize) -> Vec<u8> {
        let log = self.log();
        let mut image = self.start.clone();
        log.iter().take(at_op).for_each(|op| apply(&mut image, op, usize::MAX));
        if let Some(write @ Op::Write { .. }) = log.get(at_op) {
            apply(&mut image, write, part);
        }
        image
    }

    fn log(&self) -> MutexGuard<'_, Vec<Op>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An offset that was written to memory before, so it fits.
fn at(offset: u64) -> usize {
    to_usize(offset).unwrap_or(usize::MAX)
}

fn apply(image: &mut Vec<u8>, op: &Op, most: usize) {
    match op {
        Op::Write { offset, data } => {
            put(image, at(*offset), data.get(..most).unwrap_or(data));
        }
        Op::SetLen { len } => image.resize(at(*len), 0),
        Op::Sync => {}
    }
}

fn put(image: &mut Vec<u8>, place: usize, data: &[u8]) {
    let end = place.saturating_add(data.len());
    if image.len() < end && !data.is_empty() {
        image.resize(end, 0);
    }
    if let Some(found) = image.get_mut(place..end) {
        found.copy_from_slice(data);
    }
}

/// `data` cut where sectors end, if it lies at `place`.
fn sectors(place: usize, data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let first = (SECTOR - place % SECTOR).min(data.len());
    let (head, rest) = data.split_at(first);
    std::iter::once(head).chain(rest.chunks(SECTOR)).filter(|piece| !piece.is_empty())
}

fn pick_length(rng: &mut Seeded, lengths: &[usize]) -> usize {
    let old = lengths.first().copied().unwrap_or_default();
    let new = lengths.last().copied().unwrap_or_default();
    let least = lengths.iter().copied().min().unwrap_or_default();
    let most = lengths.iter().copied().max().unwrap_or_default();
    match rng.below(4) {
        0 => old,
        1 => new,
        2 => lengths.get(at(rng.below(lengths.len() as u64))).copied().unwrap_or(new),
        _ => {
            let between = least + at(rng.below((most - least) as u64 + 1));
            (between - between % SECTOR).max(least)
        }
    }
}

// The log is held over each change, so that its order is the order of the changes.
impl Backend for RecordingBackend {
    fn len(&self) -> Result<u64> {
        self.memory.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.memory.read_at(offset, buf)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        let mut log = self.log();
        self.memory.write_at(offset, data)?;
        if !data.is_empty() {
            log.push(Op::Write { offset, data: data.to_vec() });
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let mut log = self.log();
        self.memory.set_len(len)?;
        log.push(Op::SetLen { len });
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        self.log().push(Op::Sync);
        Ok(())
    }

    fn map(&self, len: u64) -> Result<Option<Mapping>> {
        self.memory.map(len)
    }

    fn writable(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn it_keeps_the_contract() {
        crate::backend::contract::writable(|| Ok(RecordingBackend::new())).unwrap();
    }

    /// 1 000 bytes of 1, a sync, 3 000 bytes of 2 over their end, a write of 3 at the start.
    fn recorded() -> RecordingBackend {
        let backend = RecordingBackend::new();
        backend.write_at(0, &[1; 1000]).unwrap();
        backend.sync().unwrap();
        backend.write_at(700, &[2; 3000]).unwrap();
        backend.write_at(0, &[3; 100]).unwrap();
        backend
    }

    #[test]
    fn what_was_synced_is_in_every_image_unless_it_was_written_again() {
        let backend = recorded();
        for seed in 0..2000 {
            let image = backend.crash_image(4, seed);
            assert!((1000..=3700).contains(&image.len()));
            assert!(image[100..700].iter().all(|b| *b == 1));
            assert!(image[..100].iter().all(|b| *b == image[0]), "a sector is whole or not there");
            assert!(image[700..1000].iter().all(|b| [1, 2].contains(b)));
            assert!(image[1000..].iter().all(|b| [0, 2].contains(b)));
            assert_eq!(image, backend.crash_image(4, seed));
        }
    }

    #[test]
    fn all_subsets_of_sectors_and_all_lengths_come_up() {
        let backend = recorded();
        let images: HashSet<_> = (0..4000).map(|seed| backend.crash_image(4, seed)).collect();
        let lengths: HashSet<_> = images.iter().map(Vec::len).collect();
        assert_eq!(lengths, HashSet::from([1000, 1024, 1536, 2048, 2560, 3072, 3584, 3700]));
        assert!(images.contains(&backend.to_bytes()), "everything made it");
        assert!(images.contains(&vec![1; 1000]), "nothing made it");
        assert!(images.iter().any(|i| i[0] == 3 && i[700] == 1), "the last write alone");
        assert!(images.iter().any(|i| i.len() == 3700 && i[1536] == 0 && i[3699] == 2), "a hole");
    }

    #[test]
    fn a_cut_during_a_call_may_leave_all_of_it_but_nothing_later() {
        let backend = recorded();
        for seed in 0..500 {
            assert!(backend.crash_image(0, seed).iter().all(|b| [0, 1].contains(b)));
            assert!(!backend.crash_image(2, seed).contains(&3));
            // The sync is under way: it promises nothing yet.
            assert!(backend.crash_image(1, seed).len() <= 1000);
        }
        assert!((0..500).any(|seed| backend.crash_image(1, seed).is_empty()));
        assert!((0..500).any(|seed| backend.crash_image(0, seed) == [1; 1000]));
    }

    #[test]
    fn a_cut_length_may_be_back() {
        let backend = RecordingBackend::from_bytes(vec![1; 2000]);
        backend.set_len(600).unwrap();
        let images: HashSet<_> = (0..500).map(|seed| backend.crash_image(1, seed)).collect();
        assert!(images.contains(&vec![1; 600]));
        assert!(images.contains(&vec![1; 2000]));
        assert!(images.iter().all(|image| image[..600] == [1; 600]));
    }

    #[test]
    fn a_killed_process_leaves_a_prefix_of_its_last_write() {
        let backend = recorded();
        assert_eq!(backend.ops(), 4);
        assert_eq!(backend.to_ops()[1], Op::Sync);
        assert!(backend.kill_image(0, 0).is_empty());
        assert_eq!(backend.kill_image(0, 3), [1, 1, 1]);
        let image = backend.kill_image(2, 301);
        assert_eq!((image.len(), image[700], image[1000]), (1001, 2, 2));
        assert_eq!(backend.kill_image(9, 9), backend.to_bytes());
    }
}
