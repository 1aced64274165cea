//! What a recovery found, by which means, and what is lost.

use crate::error::Error;
use crate::error::Result;
use crate::maintain::verify::Damage;
use std::fmt;

/// Told how far the work has come and how far it has to go; its error ends the work.
pub(crate) type Progress<'a> = &'a mut dyn FnMut(u64, u64) -> Result<()>;

/// By which means records were found, from the surest to the weakest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RecoveryMethod {
    /// The newest commit, as every reader opens it.
    Commit {
        /// Its number.
        generation: u64,
    },
    /// A root, and the log and the leaves written after it, found by searching the file.
    Root {
        /// The commit that wrote the root.
        generation: u64,
    },
    /// Leaves and log entries found by searching the file, without a root that binds them.
    Segments,
    /// The table `saved_lookup` of the last seal.
    OriginalTable,
    /// Whole chunks that nothing refers to any more, each as one record.
    Chunks,
}

impl fmt::Display for RecoveryMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commit { generation } => write!(f, "the newest commit, {generation}"),
            Self::Root { generation } => {
                write!(f, "the root of commit {generation} and what was written after it")
            }
            Self::Segments => f.write_str("index segments found by searching the file"),
            Self::OriginalTable => f.write_str("the table of the last seal"),
            Self::Chunks => f.write_str("chunks without an index"),
        }
    }
}

/// A group of records that were found by the same means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// How they were found.
    pub means: RecoveryMethod,
    /// Their number.
    pub records: u64,
    /// Their bytes, decoded.
    pub bytes: u64,
    /// How many of them were read without a checksum, because it was lost with the index or
    /// because the file never had one.
    pub unchecked: u64,
}

/// What [`recover`](crate::maintain::recover::recover) did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Records in the new store.
    pub records: u64,
    /// Shared records in the new store, to which others refer.
    pub shared: u64,
    /// Their bytes, decoded.
    pub bytes: u64,
    /// How they were found.
    pub found: Vec<Found>,
    /// Records that are known to have been there and are not in the new store.
    pub lost: u64,
    /// Every loss: the record or the range of records, what is damaged, where and how.
    pub losses: Vec<Damage>,
    /// How many of the records came back without the key that they had, because no copy of it
    /// is left: they are found by their ordinals.
    pub without_key: u64,
    /// Chunks with data in them to which no record leads.
    pub chunks_without_index: u64,
    /// Whether the newest state of the file could not be read as it was: then the file is
    /// damaged, also if nothing is known to be lost.
    pub damaged: bool,
    /// What else the caller must know: what the result may hold that was deleted, what of the
    /// configuration was lost.
    pub notes: Vec<Box<str>>,
}

impl Recovered {
    /// Whether the new store holds everything that the damaged one ever told of.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        !self.is_damaged() && self.notes.is_empty()
    }

    /// Whether the file is damaged, or its newest state gone.
    #[must_use]
    pub const fn is_damaged(&self) -> bool {
        self.damaged
            || !self.losses.is_empty()
            || self.without_key > 0
            || self.chunks_without_index > 0
    }

    /// Notes a damage of the file.
    pub(crate) fn damage(&mut self, text: impl Into<Box<str>>) {
        self.damaged = true;
        self.note(text);
    }

    pub(crate) fn note(&mut self, text: impl Into<Box<str>>) {
        let text = text.into();
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    pub(crate) fn add(&mut self, means: RecoveryMethod, bytes: u64, unchecked: bool) {
        let at = self.found.iter().position(|f| f.means == means).unwrap_or_else(|| {
            self.found.push(Found { means, records: 0, bytes: 0, unchecked: 0 });
            self.found.len() - 1
        });
        if let Some(found) = self.found.get_mut(at) {
            found.records += 1;
            found.bytes += bytes;
            found.unchecked += u64::from(unchecked);
        }
    }

    /// One record is lost.
    pub(crate) fn lose(&mut self, name: String, ordinal: Option<u64>, error: &Error) {
        self.lost += 1;
        self.losses.push(Damage { record: Some(name.into()), ordinal, ..Damage::of(error) });
    }

    /// The index of `count` records is lost, and with it the records.
    pub(crate) fn lose_range(&mut self, ordinal: u64, count: u64, error: &Error) {
        self.lost += count;
        let damage = Damage::of(error);
        let why = format!("{}; with it {count} records from ordinal {ordinal} on", damage.why);
        self.losses.push(Damage { ordinal: Some(ordinal), why: why.into(), ..damage });
    }
}
