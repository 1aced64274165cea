//! Stores by a path, or by an address of an object store.

use crate::error::Result;
use crate::store::{ReadOptions, Store};
use std::path::Path;

/// Opens the store in a file, or at an address such as `s3://bucket/key`.
#[cfg(feature = "object-store")]
pub(crate) fn open_store(path: &Path, options: &ReadOptions) -> Result<Store> {
    use crate::remote::{RemoteOptions, is_url, open};
    match path.to_str().filter(|_| is_url(path)) {
        Some(url) => open(url, options, &RemoteOptions::from_env()?),
        None => Store::open_with(path, options),
    }
}

/// Opens the store in a file.
#[cfg(not(feature = "object-store"))]
pub(crate) fn open_store(path: &Path, options: &ReadOptions) -> Result<Store> {
    Store::open_with(path, options)
}
