//! Opening a store where it lies.

use super::address::{Address, local_path};
use super::object::ObjectSource;
use super::options::RemoteOptions;
use crate::backend::{PagedBackend, RangeSource};
use crate::error::Result;
use crate::store::{Opened, ReadOptions, Readable, Store};
use std::sync::Arc;

/// The object at an address, to be read by ranges.
///
/// # Errors
/// [`Error::Invalid`](crate::Error::Invalid) for addresses and settings of the environment that are not
/// right. Nothing is asked of the store yet.
pub fn source(url: &str, options: &RemoteOptions) -> Result<ObjectSource> {
    ObjectSource::at(Address::parse(url)?, options.deadline, options.at_once)
}

/// Opens the store at an address for reading, where it lies: `s3://bucket/key`, `gs://bucket/key`,
/// `az://container/key`, `https://host/path`, or `file:///path`. Credentials and endpoints come from the
/// environment (`AWS_…`, `GOOGLE_…`, `AZURE_…`).
///
/// Costs four round trips at most, however many records there are. Reads fetch what they need, a batch all of
/// it side by side. What was fetched is kept in memory, and on a local disk if the options say so; every byte
/// of it is checked as that of a file is. If the object is replaced, reads fail with
/// [`Error::Replaced`](crate::Error::Replaced).
///
/// # Errors
/// As [`Store::open`]; [`Error::Invalid`](crate::Error::Invalid) as [`source`];
/// [`Error::Io`](crate::Error::Io) if there is no such bucket or object, no access, or no answer within the
/// deadline.
pub fn open(url: &str, read: &ReadOptions, options: &RemoteOptions) -> Result<Store> {
    if let Some(path) = local_path(url) {
        return Store::open_with(path, read);
    }
    open_source(Arc::new(source(url, options)?), read, options)
}

/// As [`open`], from any source of ranges.
///
/// # Errors
/// As there.
pub fn open_source(
    source: Arc<dyn RangeSource>,
    read: &ReadOptions,
    options: &RemoteOptions,
) -> Result<Store> {
    let name = source.name().to_owned();
    let open = || {
        let disk = options.disk.as_ref();
        let backend = PagedBackend::open(source.clone(), options.memory, disk)?;
        let store = Store::open_in(Arc::new(backend), read)?;
        if matches!(store.opened(), Opened::OlderCommit { .. } | Opened::LastSeal { .. }) {
            // It may have been damaged on its way.
            return Store::open_in(
                Arc::new(PagedBackend::open(source, options.memory, None)?),
                read,
            );
        }
        Ok(store)
    };
    open().map_err(|e| match e.root() {
        // It says itself which object it is.
        crate::Error::Io { .. } | crate::Error::Interrupted => e,
        _ => e.at(name.as_ref()),
    })
}
