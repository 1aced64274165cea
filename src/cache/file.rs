//! An open cache: where it is, what it may take, and what of it is seen.

use super::entry::{Entry, EntryInfo, STORED, list};
use super::last_used::Uses;
use super::lock_wait::open_with_retries;
use super::stamp::Stamp;
use crate::backend::Access;
use crate::codec::{AnyCodec as _, DocumentCodec, check};
use crate::error::{Error, Result};
use crate::store::{
    Compression, Layout, Opened, Purpose, ReadOptions, Readable, Snapshot, Store, StoreOptions,
    WriteOptions, Writer,
};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// The attribute of a store that says which layer wrote it.
const LAYER: &str = "vlstore:layer";
const NAME: &str = "cache";
const VERSION: u64 = 1;

/// How a cache is opened.
#[derive(Debug, Clone)]
pub struct CacheOptions {
    /// Bytes that all results may have together, before compression; `None` sets no limit. A store
    /// that exceeds it deletes the results that were used least recently.
    pub max_bytes: Option<u64>,
    /// How long a write waits for other processes to finish theirs.
    pub lock_wait: Duration,
    /// Whether nothing may be written. Then the file must be there, and no permission to write it is
    /// needed.
    pub read_only: bool,
    /// Whether a file whose newest commit cannot be read is used all the same, as of the commit before:
    /// results stored after that are lost then. Without, [`Error::Older`] says so, and nothing is taken for
    /// missing.
    pub accept_older: bool,
    /// How a new file compresses results.
    pub compression: Compression,
    /// How the file is read: mapped or by calls.
    pub access: Access,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            max_bytes: None,
            lock_wait: Duration::from_secs(60),
            read_only: false,
            accept_older: false,
            compression: Compression::Auto,
            access: Access::Auto,
        }
    }
}

/// Counts and sizes of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheInfo {
    /// Stored results.
    pub entries: u64,
    /// Their bytes before compression: what the budget limits.
    pub bytes: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Bytes of the file that repacking would save, about.
    pub reclaimable: u64,
}

/// Results by the text of the call, in a store file that several processes may use at once.
///
/// All methods may be called from several threads. The file is open for writing only while one of them
/// writes.
#[derive(Debug)]
pub struct Cache {
    pub(super) path: PathBuf,
    pub(super) options: CacheOptions,
    seen: Mutex<Seen>,
    pub(super) uses: Mutex<Uses>,
}

/// The newest state that was looked at.
#[derive(Debug)]
struct Seen {
    store: Store,
    /// What the file was then; `None` if a change of it might not show.
    stamp: Option<Stamp>,
}

impl Cache {
    /// Opens the cache at `path`, or makes one there, unless it is to be read only.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is a store that is not a cache; [`Error::Io`] if there is no file
    /// and it is to be read only; else as [`Writer::create`] and [`Store::open`].
    pub fn open(path: impl AsRef<Path>, options: &CacheOptions) -> Result<Self> {
        let path = absolute(path.as_ref())?;
        if !options.read_only && !path.try_exists().unwrap_or(true) {
            match Writer::create(&path, &new(options)) {
                Ok(mut writer) => mark(&mut writer)?,
                // Another process was faster.
                Err(e) if matches!(e.root(), Error::Exists { .. } | Error::Locked) => {}
                Err(e) => return Err(e),
            }
        }
        Self::over(path, options)
    }

    /// Makes an empty cache at `path`; a cache that is there is replaced.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is a store that is not a cache, and as [`Store::open`] if it cannot be told
    /// what it is: it stays as it is. Else as [`Writer::replace`]; [`Error::ReadOnly`] if it is to be read
    /// only.
    pub fn replace(path: impl AsRef<Path>, options: &CacheOptions) -> Result<Self> {
        let path = absolute(path.as_ref())?;
        if options.read_only {
            return Err(Error::ReadOnly.at(&path));
        }
        if path.try_exists().unwrap_or(true) {
            let there = Store::open_with(&path, &reading(options))?;
            check_layer(&*there).map_err(|e| e.at(&path))?;
        }
        let make = || Writer::replace(&path, &new(options));
        mark(&mut open_with_retries(options.lock_wait, make)?)?;
        Self::over(path, options)
    }

    fn over(path: PathBuf, options: &CacheOptions) -> Result<Self> {
        let store = opened(&path, options)?;
        Ok(Self {
            path,
            options: options.clone(),
            seen: Mutex::new(Seen { store, stamp: None }),
            uses: Mutex::default(),
        })
    }

    /// Where the file is, whatever the current folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How it was opened.
    #[must_use]
    pub const fn options(&self) -> &CacheOptions {
        &self.options
    }

    /// Refuses to write to a cache that is to be read only.
    pub(super) fn writable(&self) -> Result<()> {
        if self.options.read_only { Err(Error::ReadOnly.at(&self.path)) } else { Ok(()) }
    }

    /// The newest state of the cache. Costs one call of the system if nothing has changed.
    ///
    /// # Errors
    /// As [`Store::refresh`]; [`Error::Io`] if the file is gone.
    pub fn snapshot(&self) -> Result<Snapshot> {
        let mut seen = locked(&self.seen);
        let now = SystemTime::now();
        let stamp = Stamp::of(&self.path).map_err(|e| e.at(&self.path))?;
        if seen.stamp != Some(stamp) {
            self.renew(&mut seen)?;
            seen.stamp = Some(stamp).filter(|stamp| stamp.is_settled(now));
        }
        Ok(seen.store.snapshot())
    }

    fn renew(&self, seen: &mut Seen) -> Result<()> {
        loop {
            match seen.store.refresh() {
                // A file that is not at its path any more says so only when it has nothing newer.
                Ok(true) => {}
                Ok(false) => {
                    return whole(&seen.store, &self.options).map_err(|e| e.at(&self.path));
                }
                Err(e) if matches!(e.root(), Error::Replaced) => {
                    seen.store = opened(&self.path, &self.options)?;
                    return Ok(());
                }
                Err(e) => return Err(e.at(&self.path)),
            }
        }
    }

    /// The stored result of the call with this text; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Corrupt`] or [`Error::Codec`], with the record, if the entry is damaged; as
    /// [`Cache::snapshot`].
    pub fn get(&self, text: &str) -> Result<Option<Entry>> {
        let found = self.find(&self.snapshot()?, text)?;
        if found.is_some() {
            self.note_use(text);
        }
        Ok(found)
    }

    /// As [`Cache::get`], in a state that was taken before; is not counted as a use.
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub fn find(&self, snapshot: &Snapshot, text: &str) -> Result<Option<Entry>> {
        Entry::find(snapshot, text).map_err(|e| e.of_record(&text).at(&self.path))
    }

    /// Whether there is a result of the call with this text; reads no result.
    ///
    /// # Errors
    /// As [`Cache::snapshot`]; [`Error::Corrupt`] for a damaged index.
    pub fn contains(&self, text: &str) -> Result<bool> {
        Ok(self.snapshot()?.find_key(&super::call_key::record_key(text))?.is_some())
    }

    /// Notes that the result of this call was used now. Kept in memory until something is written; not
    /// at all without a budget.
    pub fn note_use(&self, text: &str) {
        if self.options.max_bytes.is_some() {
            locked(&self.uses).note(text, super::last_used::seconds());
        }
    }

    /// What is stored, in the order of storing; reads the index and no result.
    ///
    /// # Errors
    /// As [`Cache::snapshot`]; [`Error::Corrupt`] for a damaged index.
    pub fn entries(&self) -> Result<Vec<EntryInfo>> {
        list(&self.snapshot()?).map_err(|e| e.at(&self.path))
    }

    /// The entry that [`Cache::entries`] listed; `None` if it is gone meanwhile.
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub fn entry(&self, info: &EntryInfo) -> Result<Option<Entry>> {
        match self.snapshot()?.get_key(&info.record_key()) {
            Err(e) if matches!(e.root(), Error::NotFound { .. }) => Ok(None),
            record => Ok(Some(Entry::new(record.map_err(|e| e.at(&self.path))?))),
        }
    }

    /// Number of stored results.
    ///
    /// # Errors
    /// As [`Cache::snapshot`].
    pub fn len(&self) -> Result<u64> {
        let snapshot = self.snapshot()?;
        Ok(snapshot.len() - super::last_used::records(&snapshot)?)
    }

    /// Whether nothing is stored.
    ///
    /// # Errors
    /// As [`Cache::snapshot`].
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Counts and sizes; reads no result.
    ///
    /// # Errors
    /// As [`Cache::snapshot`].
    pub fn info(&self) -> Result<CacheInfo> {
        let snapshot = self.snapshot()?;
        let all = snapshot.info()?;
        Ok(CacheInfo {
            entries: snapshot.len() - super::last_used::records(&snapshot)?,
            bytes: all.raw_bytes - super::last_used::bytes(&snapshot)?.min(all.raw_bytes),
            file_bytes: all.file_bytes,
            reclaimable: all.compactable,
        })
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What it guards is whole at every moment: a thread that panicked left nothing half-done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|e| Error::io("find the current folder", e).at(path))
}

/// The store of a cache, opened for reading.
fn opened(path: &Path, options: &CacheOptions) -> Result<Store> {
    let store = Store::open_with(path, &reading(options))?;
    check_layer(&*store).and_then(|()| whole(&store, options)).map_err(|e| e.at(path))?;
    Ok(store)
}

/// Refuses a state that is older than what was written: what is not in it is not missing.
fn whole(store: &Store, options: &CacheOptions) -> Result<()> {
    match store.opened() {
        Opened::OlderCommit { generation } | Opened::LastSeal { generation }
            if !options.accept_older =>
        {
            Err(Error::Older { generation, records: store.len() })
        }
        _ => Ok(()),
    }
}

fn reading(options: &CacheOptions) -> ReadOptions {
    ReadOptions { access: options.access, ..ReadOptions::default() }
}

/// How the file is opened to write to it.
pub(super) fn writing(options: &CacheOptions) -> WriteOptions {
    WriteOptions {
        access: options.access,
        accept_older: options.accept_older,
        check: Some(check),
        ..WriteOptions::default()
    }
}

/// Bytes of a chunk in a new file.
const CHUNK: u32 = 256 << 10;

/// How a new file is made.
fn new(options: &CacheOptions) -> StoreOptions {
    let layout = Layout {
        // Results are fetched one by one.
        purpose: Purpose::Random,
        // Each store opens the file, which reads what is in the open chunk, and a seal writes that anew: with
        // small results this is most of what a store costs. Large ones are read from many chunks as fast.
        chunk_size: CHUNK,
        compression: options.compression,
        typesize: 8,
        record_codec: (DocumentCodec.name().into(), DocumentCodec.version()),
        columns: Some(vec![STORED]),
        ..Layout::default()
    };
    StoreOptions { layout, write: writing(options) }
}

/// Says in the attributes that this is a cache.
pub(super) fn mark(writer: &mut Writer) -> Result<()> {
    if writer.attributes().get(LAYER).is_some() {
        return Ok(());
    }
    let mut attributes = writer.attributes();
    if let Some(members) = attributes.as_object_mut() {
        members.insert(LAYER.into(), NAME.into());
        members.insert("version".into(), json!(VERSION));
    }
    writer.set_attributes(&attributes)?;
    writer.commit().map(drop)
}

/// Refuses a store that is not a cache, or one of a newer release.
pub(super) fn check_layer(store: &impl Readable) -> Result<()> {
    let attributes = store.attributes();
    let layer = attributes.get(LAYER).and_then(Value::as_str);
    let (codec, _) = &store.layout().record_codec;
    match layer {
        Some(NAME) => {}
        // A moment after it was made, or left so by a process that was killed then.
        None if store.is_empty() && codec == DocumentCodec.name() => return Ok(()),
        _ => {
            let found = layer.map_or_else(
                || format!("a store of {codec} records"),
                |layer| format!("a store of the layer {layer:?}"),
            );
            return Err(Error::invalid("cache", format!("this is {found}; choose another file")));
        }
    }
    match attributes.get("version").and_then(Value::as_u64) {
        Some(VERSION) => Ok(()),
        found => Err(Error::Unsupported {
            what: "version of a cache",
            found: found.unwrap_or_default(),
            newest: VERSION,
        }),
    }
}
