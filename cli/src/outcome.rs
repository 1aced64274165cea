//! How a verb ends, and what is said of an error.

use crate::output::complain;
use vlstore::Error;
use vlstore::printable::printable_path;

/// What a verb ends with, if it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All was done.
    Done,
    /// Damage was found.
    Damage,
    /// Something failed, and that was said already.
    Failed,
}

pub(crate) type Outcome = vlstore::Result<Exit>;

/// The message; a path that is there already is named once.
pub(crate) fn said(error: &Error) -> String {
    match error {
        Error::File { path, source } if matches!(&**source, Error::Exists { what, .. } if **what == *printable_path(path)) => {
            source.to_string()
        }
        other => other.to_string(),
    }
}

/// Says what went wrong.
pub(crate) fn tell(error: &Error) {
    complain(&format!("error: {}", said(error)));
}

/// Whether there is no room left to write to.
pub(crate) fn is_full(error: &Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error, Error::Io { source, .. } if matches!(source.kind(), StorageFull | FileTooLarge | QuotaExceeded))
}
