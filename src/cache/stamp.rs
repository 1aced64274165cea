//! Whether a file may have changed since it was looked at, for the price of one call.

use crate::error::{Error, Result};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// How far the clock of a file system may lag behind: two changes within that time can have the same
/// time.
const LAG: Duration = Duration::from_millis(100);

/// What the system says about a file at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    file: (u64, u64),
    len: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    /// The stamp of the file at `path`.
    pub(super) fn of(path: &Path) -> Result<Self> {
        let found = std::fs::metadata(path).map_err(|e| Error::io("look at the file", e))?;
        Ok(Self { file: identity(&found), len: found.len(), modified: found.modified().ok() })
    }

    /// Whether a later change of the file is sure to give another stamp than this one, which was made
    /// at `now`: not if the file was changed a moment before.
    pub(super) fn is_settled(&self, now: SystemTime) -> bool {
        let since = self.modified.and_then(|at| now.duration_since(at).ok());
        since.is_some_and(|since| since > LAG)
    }
}

#[cfg(unix)]
fn identity(found: &std::fs::Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt as _;
    (found.dev(), found.ino())
}

/// Without numbers of files, a file that took the place of another is told by its length and time.
#[cfg(not(unix))]
fn identity(_: &std::fs::Metadata) -> (u64, u64) {
    (0, 0)
}
