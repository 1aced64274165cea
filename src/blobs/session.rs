//! The one writer of a store of blobs, shared by the threads of a process and opened only while somebody
//! writes, so that other processes write in between.

use super::records::{self, UNFINISHED, part_key};
use crate::DepotWriter;
use crate::backend::process_id;
use crate::codec::DocumentCodec;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::store::{Durability, Readable, Record, StoreOptions, Writer};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// First pause before the lock of a store is tried again; each next one is twice as long, up to the most.
const PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// After this long without a sign of its writer an unfinished stream of another machine is given up.
const GIVEN_UP: u64 = 24 * 60 * 60;

/// The streams that this process is writing, by whatever storage: with the process that says so, since
/// those of a parent are not ours.
static LIVE: Mutex<(u32, BTreeSet<String>)> = Mutex::new((0, BTreeSet::new()));

fn live() -> MutexGuard<'static, (u32, BTreeSet<String>)> {
    let mut live = LIVE.lock().unwrap_or_else(PoisonError::into_inner);
    let here = process_id();
    if live.0 != here {
        *live = (here, BTreeSet::new());
    }
    live
}

/// Notes that this process writes a stream no more.
pub(super) fn no_longer(token: &str) {
    live().1.remove(token);
}

/// The writer of a store of blobs.
#[derive(Debug)]
pub(super) struct Shared {
    path: PathBuf,
    options: StoreOptions,
    /// How long to wait for other processes.
    wait: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    writer: Option<DepotWriter<DocumentCodec>>,
    users: usize,
    /// Those of them that want no commit after each write.
    holders: usize,
    process: u32,
}

/// A share of the writer; the last one that leaves closes it.
#[derive(Debug)]
pub(super) struct Session<'a> {
    shared: &'a Shared,
    left: bool,
}

impl Shared {
    pub(super) fn new(path: PathBuf, options: StoreOptions, wait: Duration) -> Self {
        Self { path, options, wait, state: Mutex::default() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let here = process_id();
        if state.process != here {
            // The writer of a parent is not ours: what it did not commit is its own affair.
            *state = State { process: here, ..State::default() };
        }
        state
    }

    /// A share of the writer, which is opened if nobody here has it.
    pub(super) fn enter(&self) -> Result<Session<'_>> {
        let mut state = self.state();
        if state.writer.is_none() {
            let mut writer = self.open().map_err(|e| e.at(&self.path))?;
            reclaim(&mut writer, false)?;
            state.writer = Some(writer);
        }
        state.users += 1;
        Ok(Session { shared: self, left: false })
    }

    fn open(&self) -> Result<DepotWriter<DocumentCodec>> {
        let (start, mut pause) = (Instant::now(), PAUSE);
        loop {
            let opened = DepotWriter::open(&self.path, DocumentCodec, &self.options.write);
            match opened {
                Err(e) if matches!(e.root(), Error::Locked) && start.elapsed() < self.wait => {
                    std::thread::sleep(pause);
                    pause = LONGEST_PAUSE.min(2 * pause);
                }
                Ok(mut writer) => {
                    records::claim(writer.writer_mut())?;
                    return Ok(writer);
                }
                Err(e) => return Err(e),
            }
        }
    }

    /// The record under `key` that the writer of this process has, if it is open: committed or not.
    pub(super) fn find_open(&self, key: &Key) -> Result<Option<Record>> {
        match &self.state().writer {
            Some(writer) => found(writer.writer(), key),
            None => Ok(None),
        }
    }

    /// What `f` makes of the open writer; `None` if there is none.
    pub(super) fn with_open<T>(&self, f: impl FnOnce(&Writer) -> Result<T>) -> Result<Option<T>> {
        match &self.state().writer {
            Some(writer) => f(writer.writer()).map(Some),
            None => Ok(None),
        }
    }

    /// Commits are left to the writer until the matching [`release`](Self::release).
    pub(super) fn hold(&self) -> Result<()> {
        let session = self.enter()?;
        self.state().holders += 1;
        // The share is given back by `release`.
        std::mem::forget(session);
        Ok(())
    }

    /// Ends a [`hold`](Self::hold) and commits.
    pub(super) fn release(&self) -> Result<()> {
        let mut state = self.state();
        if state.holders == 0 {
            return Ok(());
        }
        state.holders -= 1;
        drop(state);
        Session { shared: self, left: false }.leave()
    }

    /// Deletes the parts of all streams that this process is not writing; how many streams there were.
    pub(super) fn sweep(&self) -> Result<u64> {
        let session = self.enter()?;
        let swept = session.with(|w| reclaim(w, true))?;
        session.leave()?;
        Ok(swept)
    }
}

impl Session<'_> {
    /// Does something with the writer, while no other thread does.
    pub(super) fn with<T>(
        &self,
        f: impl FnOnce(&mut DepotWriter<DocumentCodec>) -> Result<T>,
    ) -> Result<T> {
        let mut state = self.shared.state();
        let Some(writer) = &mut state.writer else { return Err(Error::Poisoned) };
        f(writer).map_err(|e| e.at(&self.shared.path))
    }

    /// Commits, and closes the writer if nobody else has a share.
    pub(super) fn leave(mut self) -> Result<()> {
        self.left = true;
        let mut state = self.shared.state();
        state.users = state.users.saturating_sub(1);
        let done = match state.users {
            0 => state.writer.take().map_or(Ok(()), |w| w.close().map(drop)),
            _ if state.holders > 0 => Ok(()),
            _ => state.writer.as_mut().map_or(Ok(()), |w| w.commit().map(drop)),
        };
        done.map_err(|e| e.at(&self.shared.path))
    }

    /// Commits to the operating system only: for parts of a content, so that they are found from its record,
    /// whose commit makes them as safe as the store is to be.
    pub(super) fn commit_parts(&self) -> Result<()> {
        self.with(|w| {
            let writer = w.writer_mut();
            let durability = std::mem::replace(&mut writer.write.durability, Durability::Kernel);
            let done = writer.commit();
            writer.write.durability = durability;
            done.map(drop)
        })
    }

    /// As [`commit_parts`](Self::commit_parts), and leaves.
    pub(super) fn leave_part(self) -> Result<()> {
        // Dropping closes nothing that would be lost.
        self.commit_parts()
    }

    /// Notes that this process writes the stream `token`, and that it is alive.
    pub(super) fn begin(&self, token: &str) -> Result<()> {
        live().1.insert(token.into());
        self.with(|w| {
            let mut list = unfinished(w.writer())?;
            list.retain(|one| name_of(one) != Some(token));
            list.push(json!({
                "name": token, "process": process_id(), "scope": scope(), "time": now(),
            }));
            keep_unfinished(w, &list)
        })
    }

    /// Notes that the stream `token` is whole, or gone.
    ///
    /// # Errors
    /// [`Error::Invalid`] if somebody gave it up and took its parts.
    pub(super) fn end(&self, token: &str) -> Result<()> {
        self.with(|w| end_stream(w, token))
    }

    /// Deletes the first `count` parts of a stream that failed.
    pub(super) fn forget(&self, token: &str, count: u64) -> Result<()> {
        self.with(|w| forget_parts(w, token, count))
    }
}

/// As [`Session::end`], of a writer that nobody else uses meanwhile.
pub(super) fn end_stream(w: &mut DepotWriter<DocumentCodec>, token: &str) -> Result<()> {
    let mut list = unfinished(w.writer())?;
    let before = list.len();
    list.retain(|one| name_of(one) != Some(token));
    if list.len() == before {
        let why = "was abandoned by another process, which deleted its parts; write it again";
        return Err(Error::invalid("stream", why));
    }
    keep_unfinished(w, &list)
}

/// As [`Session::forget`], of a writer that nobody else uses meanwhile.
pub(super) fn forget_parts(
    w: &mut DepotWriter<DocumentCodec>,
    token: &str,
    count: u64,
) -> Result<()> {
    for n in 0..count {
        delete_if_there(w, &part_key(token, n))?;
    }
    Ok(())
}

impl Drop for Session<'_> {
    /// After an error: what was committed stays, nothing else.
    fn drop(&mut self) {
        if !self.left {
            let mut state = self.shared.state();
            state.users = state.users.saturating_sub(1);
            if state.users == 0 {
                state.writer = None;
            }
        }
    }
}

/// The record under `key`, if there is one.
pub(super) fn found(reader: &impl Readable, key: &Key) -> Result<Option<Record>> {
    match reader.find_key(key)? {
        Some(ordinal) => reader.get_at(ordinal).map(Some),
        None => Ok(None),
    }
}

fn delete_if_there(writer: &mut DepotWriter<DocumentCodec>, key: &Key) -> Result<bool> {
    match writer.writer_mut().delete(key.clone()) {
        Ok(()) => Ok(true),
        Err(Error::NotFound { .. }) => Ok(false),
        Err(e) => Err(e),
    }
}

fn name_of(one: &Value) -> Option<&str> {
    one.get("name").and_then(Value::as_str)
}

fn unfinished(reader: &impl Readable) -> Result<Vec<Value>> {
    let Some(record) = found(reader, &Key::from(UNFINISHED))? else { return Ok(Vec::new()) };
    let (head, _) = records::view(&record)?;
    Ok(head.get("unfinished").and_then(Value::as_array).cloned().unwrap_or_default())
}

fn keep_unfinished(writer: &mut DepotWriter<DocumentCodec>, list: &[Value]) -> Result<()> {
    let key = Key::from(UNFINISHED);
    if list.is_empty() {
        return delete_if_there(writer, &key).map(drop);
    }
    records::put(writer, key, &json!({"unfinished": list}), None).map(drop)
}

/// Deletes the parts of streams whose writers are gone, or of `all` that are not `live`.
fn reclaim(writer: &mut DepotWriter<DocumentCodec>, all: bool) -> Result<u64> {
    let list = unfinished(writer.writer())?;
    if list.is_empty() {
        return Ok(0);
    }
    let live = live().1.clone();
    let (kept, gone): (Vec<Value>, Vec<Value>) = list.into_iter().partition(|one| {
        let mine = name_of(one).is_some_and(|name| live.contains(name));
        mine || (!all && is_alive(one))
    });
    if gone.is_empty() {
        return Ok(0);
    }
    for token in gone.iter().filter_map(name_of) {
        let mut n = 0;
        while delete_if_there(writer, &part_key(token, n))? {
            n += 1;
        }
    }
    keep_unfinished(writer, &kept)?;
    writer.commit()?;
    Ok(gone.len() as u64)
}

/// Whether the writer of an unfinished stream may still be there.
fn is_alive(one: &Value) -> bool {
    let number = |name: &str| one.get(name).and_then(Value::as_u64).unwrap_or(0);
    let here =
        one.get("scope").and_then(Value::as_str).is_some_and(|s| Some(s) == scope().as_deref());
    if !here {
        return number("time").saturating_add(GIVEN_UP) > now();
    }
    let process = number("process");
    // A stream of this process that is not in `live` failed without a chance to say so.
    process != u64::from(process_id()) && Path::new(&format!("/proc/{process}")).exists()
}

/// Within which numbers of processes mean something: this start of this machine, and its name space.
fn scope() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let space = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), space.display()))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}
