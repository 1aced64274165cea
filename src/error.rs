//! What can go wrong, in types: every failure of this crate is one [`Error`].
//!
//! A message names the thing, the place and, where there is one, the remedy. Context that a
//! lower room cannot know, such as the path of the file, is wrapped around at the border with
//! [`Error::at`].

use crate::printable::{printable, printable_path};
use std::fmt;
use std::io;
use std::path::Path;

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can fail.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused a call.
    Io {
        /// The call, as a verb phrase: `"read"`, `"sync"`.
        op: &'static str,
        /// Where in the file, in bytes, if the call has a place.
        offset: Option<u64>,
        /// What the system said.
        source: io::Error,
    },
    /// Bytes that this crate or another program wrote have changed, or were cut.
    Corrupt(Corruption),
    /// The newest commit of a store cannot be read, and the caller did not say that an older
    /// state is enough: going on would cover what is left of the newer one.
    Older {
        /// The commit that can be read.
        generation: u64,
        /// Records in it.
        records: u64,
    },
    /// The bytes are not of the kind that was expected at all.
    NotAStore {
        /// What was found instead.
        why: &'static str,
    },
    /// A version, codec, filter or feature that this release does not know.
    Unsupported {
        /// The thing, for example `"format version"`.
        what: &'static str,
        /// What the file asks for.
        found: u64,
        /// The newest that this release knows.
        newest: u64,
    },
    /// A size above its ceiling (see [`crate::limits`]).
    Limit {
        /// The thing that has the ceiling, for example `"record"`.
        what: &'static str,
        /// The size that was asked for.
        asked: u64,
        /// The most that is allowed.
        max: u64,
    },
    /// There is not enough memory: the machine has no more, or this process may not have more.
    OutOfMemory {
        /// The bytes that were asked for.
        asked: u64,
    },
    /// There is no record under this key or ordinal.
    NotFound {
        /// The key, as a person would write it.
        key: Box<str>,
    },
    /// There is already a record under this key, or a file at this path.
    Exists {
        /// The key or path, as a person would write it.
        what: Box<str>,
        /// What to call to replace it, if that is known.
        instead: Option<&'static str>,
    },
    /// An argument or a combination of options that cannot work.
    Invalid {
        /// The argument or option.
        what: &'static str,
        /// Why it cannot work, and what would.
        why: Box<str>,
    },
    /// Another process or handle is writing to this file.
    Locked,
    /// A write to something opened for reading, or that cannot be written at all.
    ReadOnly,
    /// An earlier write or sync failed; this handle writes no more.
    Poisoned,
    /// Another file has taken the place of the one that is open, as `compact` does.
    Replaced,
    /// The file that is being written to was deleted, renamed or replaced by another since it was
    /// opened: its path does not lead to it any more. What was put up to the commit that says so
    /// is in it.
    Displaced {
        /// Where the file is now, if it still has a name and the system says which.
        now: Option<Box<Path>>,
    },
    /// A data set is not what its manifest says: a member is missing, or another one than was
    /// published; or the manifest itself was changed.
    DataSet {
        /// The name of the member, or that of the manifest.
        member: Box<str>,
        /// What is wrong with it, and what to do.
        why: Box<str>,
    },
    /// Somebody else published a data set since it was read, so that publishing on top of what was
    /// read would lose what they did.
    Conflict {
        /// The publication that was read; 0 if there was none.
        known: u64,
        /// The publication that is there now.
        newest: u64,
    },
    /// Somebody else uploaded to the same address since an upload to it began, which would have replaced theirs.
    Overtaken,
    /// Work was stopped on request.
    Interrupted,
    /// A thread of this crate ended in the middle of its work: a fault of this crate. Nothing that was
    /// committed is lost.
    Thread {
        /// What it did, for example `"reading"`.
        doing: &'static str,
    },
    /// A record does not decode, or an object does not encode.
    Codec {
        /// The codec's name.
        codec: &'static str,
        /// What is wrong with the object or the bytes.
        why: Box<str>,
    },
    /// A trajectory file of another program does not parse.
    Format {
        /// The format, for example `"XTC"`.
        format: &'static str,
        /// Where: `"frame 3"`, `"line 117"`.
        at: Box<str>,
        /// What is wrong there.
        why: Box<str>,
    },
    /// A frame holds what a trajectory format of another program cannot.
    Unfit(Box<Unfit>),
    /// An import that cannot be resumed, since it could lose or double frames.
    Resume {
        /// What is in the way.
        reason: Unresumed,
        /// What was found, and where.
        why: Box<str>,
    },
    /// Another error, with the record at which it happened.
    Record {
        /// The key or ordinal, as a person would write it.
        key: Box<str>,
        /// What happened.
        source: Box<Error>,
    },
    /// Another error, with the path of the file in which it happened.
    File {
        /// The file.
        path: Box<Path>,
        /// What happened.
        source: Box<Error>,
    },
}

/// What is damaged, where, and how that shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corruption {
    /// The part of the file, in the words of `docs/format.md`: `"block"`, `"index leaf"`.
    pub part: &'static str,
    /// Where in the file, in bytes from its start.
    pub offset: u64,
    /// How the damage shows: `"checksum differs"`.
    pub why: &'static str,
}

/// What of a frame a format cannot hold, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// The format: `"XTC"`.
    pub format: &'static str,
    /// The frame, once it is known: its ordinal and its key, as a person would write it.
    pub frame: Option<(u64, Box<str>)>,
    /// The field: `"positions"`.
    pub field: Box<str>,
    /// The site, counted from 0, if the field has a value for each.
    pub site: Option<usize>,
    /// The value, and why it does not fit.
    pub why: Box<str>,
    /// What would help.
    pub remedy: Box<str>,
}

/// Why an import cannot be resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unresumed {
    /// The store does not say where its frames come from, or not of all.
    Unknown,
    /// Records were added, deleted or replaced since the import.
    Changed,
    /// An import was stopped in an input that is not given.
    Unfinished,
    /// What was read of an input is not in it any more.
    Replaced,
    /// New frames would not come where an uninterrupted import puts them.
    OutOfOrder,
    /// The frames have another number of atoms than those that are stored.
    Sites,
    /// Standard input cannot be read from where it was left.
    Stream,
    /// An option contradicts what the store was filled with.
    Options,
}

impl Unresumed {
    /// A word for it, for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Changed => "changed",
            Self::Unfinished => "unfinished",
            Self::Replaced => "replaced",
            Self::OutOfOrder => "out of order",
            Self::Sites => "sites",
            Self::Stream => "stream",
            Self::Options => "options",
        }
    }
}

const _: () = assert!(size_of::<Error>() <= 64, "an error travels in every Result: keep it small");

impl Error {
    /// Whether it says that bytes are damaged, and not that the system failed: memory that is not
    /// there now, a read that failed, a stop that was asked for.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        !matches!(
            self.root(),
            Self::Io { .. } | Self::OutOfMemory { .. } | Self::Interrupted | Self::Thread { .. }
        )
    }

    /// Damage of `part` at `offset` of the file.
    #[must_use]
    pub const fn corrupt(part: &'static str, offset: u64, why: &'static str) -> Self {
        Self::Corrupt(Corruption { part, offset, why })
    }

    /// A call of the operating system that failed.
    #[must_use]
    pub fn io(op: &'static str, source: io::Error) -> Self {
        Self::Io { op, offset: None, source }
    }

    /// A call of the operating system that failed at `offset` of a file.
    #[must_use]
    pub fn io_at(op: &'static str, offset: u64, source: io::Error) -> Self {
        Self::Io { op, offset: Some(offset), source }
    }

    /// An argument that cannot work, and why.
    #[must_use]
    pub fn invalid(what: &'static str, why: impl Into<Box<str>>) -> Self {
        Self::Invalid { what, why: why.into() }
    }

    /// Bytes or an object that `codec` does not accept, and why.
    #[must_use]
    pub fn codec(codec: &'static str, why: impl Into<Box<str>>) -> Self {
        Self::Codec { codec, why: why.into() }
    }

    /// An import that cannot be resumed, and why.
    #[must_use]
    pub fn resume(reason: Unresumed, why: impl Into<Box<str>>) -> Self {
        Self::Resume { reason, why: why.into() }
    }

    /// A file of another program that does not parse at `at`, and why.
    #[must_use]
    pub fn format(format: &'static str, at: impl Into<Box<str>>, why: impl Into<Box<str>>) -> Self {
        Self::Format { format, at: at.into(), why: why.into() }
    }

    /// A member of a data set that is not as its manifest says, and what to do.
    #[must_use]
    pub fn data_set(member: impl Into<Box<str>>, why: impl Into<Box<str>>) -> Self {
        Self::DataSet { member: member.into(), why: why.into() }
    }

    /// The same error with the path of the file; keeps the innermost path that is known.
    #[must_use]
    pub fn at(self, path: &Path) -> Self {
        match self {
            Self::File { .. } => self,
            other => Self::File { path: path.into(), source: Box::new(other) },
        }
    }

    /// The same error with the record at which it happened, if it is damage: other errors say
    /// themselves what they are about.
    #[must_use]
    pub fn of_record(self, key: &dyn fmt::Display) -> Self {
        match self {
            Self::Corrupt(_)
            | Self::Unsupported { .. }
            | Self::Limit { .. }
            | Self::OutOfMemory { .. } => {
                Self::Record { key: key.to_string().into(), source: Box::new(self) }
            }
            other => other,
        }
    }

    /// The error itself, without the path or record around it.
    #[must_use]
    pub fn root(&self) -> &Self {
        match self {
            Self::File { source, .. } | Self::Record { source, .. } => source.root(),
            other => other,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { op, offset: Some(offset), source } => {
                write!(f, "cannot {op} at byte {offset}: {source}")
            }
            Self::Io { op, offset: None, source } => write!(f, "cannot {op}: {source}"),
            Self::Corrupt(c) => c.fmt(f),
            Self::Older { generation, records } => write!(
                f,
                "the newest commit cannot be read; commit {generation} can, with {records} records, and what was written after it would be lost; `vlstore recover STORE NEW` first saves all that is left, and --accept-older (accept_older) then continues with the older state"
            ),
            Self::NotAStore { why } => write!(f, "not a store: {why}"),
            Self::Unsupported { what, found, newest } => write!(
                f,
                "{what} {found} is not supported (this release knows up to {newest}); a newer release of vlstore may read it"
            ),
            Self::Limit { what: "buffer", asked, max } => {
                write!(f, "{asked} bytes do not fit a buffer of {max}")
            }
            Self::Limit { what, asked, max } => {
                write!(f, "{what} of {asked} is above the limit of {max}")
            }
            Self::OutOfMemory { asked } => write!(
                f,
                "cannot allocate {asked} bytes; read or write less at a time, or raise the limit of this process (`ulimit -v`)"
            ),
            Self::NotFound { key } => write!(f, "no record {key}"),
            Self::Exists { what, instead: None } => write!(f, "{what} exists already"),
            Self::Exists { what, instead: Some(call) } => {
                write!(f, "{what} exists already; {call} replaces it")
            }
            Self::Invalid { what, why } => write!(f, "{what}: {why}"),
            Self::Locked => f.write_str(
                "another writer has this store open; wait for it to finish, or open for reading, which needs no lock",
            ),
            Self::ReadOnly => f.write_str("opened for reading only; open for writing to change it"),
            Self::Poisoned => f.write_str(
                "an earlier write failed, so this handle writes no more; everything up to the last commit is safe: open the store again",
            ),
            Self::Replaced => f.write_str(
                "another file has taken the place of this one, which stays as it is; open the path again to see it",
            ),
            Self::Displaced { now: Some(now) } => write!(
                f,
                "the file was renamed to {} while it was being written; what was put so far is committed there: open it under that name to continue",
                now.display()
            ),
            Self::Displaced { now: None } => f.write_str(
                "the file was deleted or replaced by another while it was being written; what was put so far is committed in it, but no path leads to it: a program in Rust or Python can write it to a new path with `save_as` while the writer is open",
            ),
            Self::DataSet { member, why } => write!(f, "member {}: {why}", printable(member)),
            Self::Conflict { known, newest } => write!(
                f,
                "publication {newest} of this data set was made by somebody else since publication {known} was read; nothing was published and nothing is lost: read the data set again and publish on top of it"
            ),
            Self::Overtaken => f.write_str(
                "somebody else uploaded to this address since this upload began; theirs is there, nothing of it was replaced, and the file here is as it was: look at it with `vlstore info`, then push again",
            ),
            Self::Interrupted => f.write_str("interrupted"),
            Self::Thread { doing } => write!(
                f,
                "{doing}: a thread ended unexpectedly, which is a fault of vlstore; what was committed is safe: open the store again"
            ),
            Self::Codec { codec, why } => write!(f, "codec {codec}: {why}"),
            Self::Format { format, at, why } => write!(f, "{format}, {at}: {why}"),
            Self::Unfit(unfit) => unfit.fmt(f),
            Self::Resume { why, .. } => f.write_str(why),
            Self::Record { key, source } => write!(f, "record {key}: {source}"),
            Self::File { path, source } => write!(f, "{}: {source}", printable_path(path)),
        }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.frame {
            Some((ordinal, key)) => write!(f, "frame {ordinal} (key {key})")?,
            None => f.write_str("the frame")?,
        }
        write!(f, " cannot be written as {}: {}", self.format, printable(&self.field))?;
        if let Some(site) = self.site {
            write!(f, " of site {site} (counted from 0)")?;
        }
        write!(f, ": {}; {}", self.why, self.remedy)
    }
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "damaged {} at byte {}: {}; `vlstore verify` lists all damage and `vlstore recover` saves the rest",
            self.part, self.offset, self.why
        )
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::File { source, .. } | Self::Record { source, .. } => Some(&**source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_the_system_or_of_this_crate_is_not_damage_of_a_file() {
        for error in [
            Error::io("read", io::ErrorKind::Other.into()),
            Error::OutOfMemory { asked: 1 },
            Error::Interrupted,
            Error::Thread { doing: "reading" },
        ] {
            assert!(!error.at(Path::new("run.vls")).is_damage());
        }
        assert!(Error::corrupt("block", 0, "checksum differs").is_damage());
    }
}
