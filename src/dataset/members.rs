//! The members that are open: only so many at a time, each compared with the manifest when it is opened.

use super::manifest::Member;
use super::reach::Reach;
use crate::backend::process_id;
use crate::error::{Error, Result};
use crate::store::{Opened, ReadOptions, Readable, Snapshot};
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Least memory for decoded blocks that a member gets.
const CACHE_LEAST: usize = 1 << 20;

/// Members that are open, the last one used last.
#[derive(Debug)]
pub(super) struct Open {
    most: usize,
    options: ReadOptions,
    stores: Mutex<VecDeque<(usize, Snapshot)>>,
    /// The process whose threads take the lock.
    process: u32,
}

impl Open {
    /// At most `most` members, one at least; together they keep `cache_bytes` of decoded blocks.
    pub(super) fn new(options: &ReadOptions, most: usize) -> Self {
        let most = most.max(1);
        let cache_bytes = (options.cache_bytes / most).max(CACHE_LEAST.min(options.cache_bytes));
        let options = ReadOptions { cache_bytes, ..*options };
        Self { most, options, stores: Mutex::default(), process: process_id() }
    }

    /// The member with this number, opened and compared with the manifest if it is not open.
    pub(super) fn get(
        &self,
        number: usize,
        member: &Member,
        place: (&Reach, &Path),
    ) -> Result<Snapshot> {
        if let Some(snapshot) = self.find(number) {
            return Ok(snapshot);
        }
        let snapshot = opened(member, place, &self.options, self.most)?;
        self.keep(number, &snapshot);
        Ok(snapshot)
    }

    /// Numbers of the members that are open, the last one used first.
    pub(super) fn numbers(&self) -> Vec<usize> {
        self.lock().map(|s| s.iter().rev().map(|(n, _)| *n).collect()).unwrap_or_default()
    }

    /// In a child of a fork the lock is not waited for: a thread that is not there may hold it.
    fn lock(&self) -> Option<MutexGuard<'_, VecDeque<(usize, Snapshot)>>> {
        if process_id() == self.process {
            return Some(self.stores.lock().unwrap_or_else(PoisonError::into_inner));
        }
        self.stores.try_lock().ok()
    }

    fn find(&self, number: usize) -> Option<Snapshot> {
        let mut stores = self.lock()?;
        let at = stores.iter().position(|(n, _)| *n == number)?;
        let found = stores.remove(at)?;
        let snapshot = found.1.clone();
        stores.push_back(found);
        Some(snapshot)
    }

    fn keep(&self, number: usize, snapshot: &Snapshot) {
        if let Some(mut stores) = self.lock() {
            stores.push_back((number, snapshot.clone()));
            while stores.len() > self.most {
                stores.pop_front();
            }
        }
    }
}

/// Opens a member, and refuses one that is not what was published.
fn opened(
    member: &Member,
    (reach, folder): (&Reach, &Path),
    options: &ReadOptions,
    share: usize,
) -> Result<Snapshot> {
    let snapshot = match reach.open(folder, &member.name, options, share) {
        Ok(store) => store.snapshot(),
        Err(error) => return Err(unopened(member, error)),
    };
    match difference(member, &snapshot)? {
        None => Ok(snapshot),
        Some(what) => Err(differs(&member.name, &what)),
    }
}

/// Names a member that cannot be opened.
fn unopened(member: &Member, error: Error) -> Error {
    match error.root() {
        Error::Io { source, .. } if source.kind() == ErrorKind::NotFound => {
            let why = "is missing: bring it back, or take it out of the data set (`vlstore publish \
                       FOLDER --remove NAME`)";
            Error::data_set(&*member.name, why)
        }
        Error::NotAStore { .. } => differs(&member.name, "is not a store"),
        // A folder, or a pipe.
        Error::Invalid { .. } => differs(&member.name, "is not a file"),
        _ => error,
    }
}

/// What is said of a member that is not what was published.
pub(super) fn differs(name: &str, what: &str) -> Error {
    let why = format!(
        "{what}, so it is not what was published: bring that back, or publish what is there \
         (`vlstore publish FOLDER NAME`)"
    );
    Error::data_set(name, why)
}

/// How a store differs from what the manifest says of it. One that grew since has the same first
/// records, so that it does not.
fn difference(member: &Member, snapshot: &Snapshot) -> Result<Option<String>> {
    let info = snapshot.info()?;
    let older = match snapshot.opened() {
        Opened::OlderCommit { .. } | Opened::LastSeal { .. } => {
            ", its newest commit cannot be read"
        }
        _ => "",
    };
    let (commit, deleted) = (info.generation, info.dead_records);
    Ok(if *snapshot.file_id() != *member.file {
        Some("is another file".into())
    } else if commit < member.commit {
        Some(format!("is at commit {commit}, not at commit {}{older}", member.commit))
    } else if deleted != member.deleted || info.records < member.records {
        Some("has lost records since it was published".into())
    } else if commit == member.commit && info.records != member.records {
        Some(format!("has {} records, not {}", info.records, member.records))
    } else if commit == member.commit && member.state.is_some_and(|s| s != snapshot.state_sum()) {
        // A copy that went on by itself has the id of the file, and may have as many commits and records.
        Some(format!("has another content at commit {commit}"))
    } else {
        None
    })
}
