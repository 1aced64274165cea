//! How far stores are read.

use crate::backend::DiskCache;
use crate::error::{Error, Result};
use std::env;
use std::fmt;
use std::time::Duration;

/// The folder of pages on a local disk.
const CACHE: &str = "VLSTORE_REMOTE_CACHE";
/// How many bytes it may hold.
const CACHE_BYTES: &str = "VLSTORE_REMOTE_CACHE_BYTES";
/// Seconds in which a request must have an answer.
const DEADLINE: &str = "VLSTORE_REMOTE_DEADLINE";

/// How a store in an object store is read.
#[derive(Clone)]
pub struct RemoteOptions {
    /// How long one request may take, with all that is tried again; then it fails. A request asks for
    /// 1 MiB at most.
    pub deadline: Duration,
    /// Requests that are on their way at the same time, at most, for each call.
    pub at_once: usize,
    /// Bytes of pages that are kept in memory.
    pub memory: usize,
    /// Pages that are kept on a local disk, for later processes too; none by default.
    pub disk: Option<DiskCache>,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(60), at_once: 16, memory: 64 << 20, disk: None }
    }
}

impl RemoteOptions {
    /// The default, with what the environment says: `VLSTORE_REMOTE_CACHE` is the folder of pages on a local
    /// disk, `VLSTORE_REMOTE_CACHE_BYTES` how many bytes it may hold (1 GiB if it is not set),
    /// `VLSTORE_REMOTE_DEADLINE` the deadline in seconds.
    ///
    /// # Errors
    /// [`Error::Invalid`] for values that are not numbers; [`Error::Io`] if the folder cannot be made.
    pub fn from_env() -> Result<Self> {
        let mut out = Self::default();
        if let Some(seconds) = number(DEADLINE)? {
            out.deadline = Duration::from_secs(seconds.max(1));
        }
        let bytes = number(CACHE_BYTES)?.unwrap_or(1 << 30);
        if let Some(folder) = env::var_os(CACHE).filter(|folder| !folder.is_empty()) {
            out.disk = Some(DiskCache::new(folder, bytes)?);
        }
        Ok(out)
    }
}

fn number(name: &'static str) -> Result<Option<u64>> {
    let Some(text) = env::var_os(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    let parsed = text.to_str().and_then(|text| text.parse().ok());
    let why = || format!("is {:?}, not a number", text.to_string_lossy());
    parsed.map(Some).ok_or_else(|| Error::invalid(name, why()))
}

impl fmt::Debug for RemoteOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteOptions")
            .field("deadline", &self.deadline)
            .field("at_once", &self.at_once)
            .field("memory", &self.memory)
            .field("disk", &self.disk.is_some())
            .finish()
    }
}
