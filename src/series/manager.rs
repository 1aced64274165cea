//! A collection of series in one store, on a file or in memory: what a storage manager does.

use super::cache::Cache;
use super::check::{self, Defect};
use super::entry::unknown;
use super::held::Series;
use super::ids::{check_id, new_id};
use super::layer::{LAYER, SERIES, VERSION, is_of_series};
use super::points::{Points, TimeRule};
use super::read;
use super::stored::{Stored, Values};
use super::write::{self, Growing};
use crate::codec::{Packing, SeriesCodec};
use crate::error::{Error, Result};
use crate::existing::Existing;
use crate::key::Key;
use crate::store::{
    Durability, Layout, ReadOptions, Readable, Store, StoreOptions, WriteOptions, Writer,
};
use serde_json::json;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Bytes of a batch after which it is committed, so that memory stays bounded.
const BATCH_BYTES: u64 = 64 << 20;

/// How series are stored and read.
#[derive(Debug, Clone)]
pub struct SeriesOptions {
    /// How numbers are packed.
    pub packing: Packing,
    /// Which times are taken.
    pub times: TimeRule,
    /// What a commit waits for.
    pub durability: Durability,
    /// Bytes of series that were read and are kept; 0 keeps none.
    pub cache_bytes: usize,
    /// How long a write waits for another process that writes.
    pub wait: Duration,
    /// Threads that decode; 0 takes as many as there are cores.
    pub threads: usize,
    /// Whether anything may be written.
    pub writable: bool,
}

impl Default for SeriesOptions {
    fn default() -> Self {
        Self {
            packing: Packing::default(),
            times: TimeRule::default(),
            durability: Durability::default(),
            cache_bytes: 32 << 20,
            wait: Duration::from_secs(10),
            threads: 0,
            writable: true,
        }
    }
}

impl SeriesOptions {
    fn write(&self) -> WriteOptions {
        WriteOptions {
            threads: self.threads,
            // Only what is asked for is a commit: what belongs together is put before it.
            commit_bytes: u64::MAX >> 1,
            commit_interval: Duration::MAX,
            durability: self.durability,
            cache_bytes: self.cache_bytes / 4,
            check: Some(crate::codec::check),
            ..WriteOptions::default()
        }
    }

    const fn read(&self) -> ReadOptions {
        let (threads, cache_bytes) = (self.threads, self.cache_bytes / 4);
        ReadOptions { threads, cache_bytes, access: crate::backend::Access::Auto }
    }

    fn create(&self) -> StoreOptions {
        let layout = Layout {
            typesize: 8,
            record_codec: (SERIES.into(), crate::codec::AnyCodec::version(&SeriesCodec)),
            ..Layout::default()
        };
        StoreOptions { layout, write: self.write() }
    }
}

/// A collection of time series in one store.
///
/// Each call that changes something is one commit: after a kill at any moment the series is as before
/// the call, or as after it, and the ids and lengths are those of the data, as both stand in the same
/// index. A store on a file is opened for writing for the moment of a write alone, so that any number
/// of processes may use it; every read sees the newest commit.
///
/// ```
/// use vlstore::series::{Points, SeriesStore, SeriesOptions};
/// use vlstore::{Existing, Key};
///
/// let mut store = SeriesStore::in_memory(SeriesOptions::default())?;
/// let points = Points::new(Some(&[0.0, 1.0]), vec![&[1.5, 2.5]])?;
/// store.store(&Key::from("a/b"), &points, Existing::Refuse)?;
/// store.append(&Key::from("a/b"), &Points::new(Some(&[2.0]), vec![&[3.5]])?)?;
/// assert_eq!(store.size(&Key::from("a/b"))?, 3);
/// assert_eq!(store.get(&Key::from("a/b"))?.channel(0), [1.5, 2.5, 3.5]);
/// # Ok::<(), vlstore::Error>(())
/// ```
#[derive(Debug)]
pub struct SeriesStore {
    place: Place,
    options: SeriesOptions,
    /// The writer of a batch.
    held: Option<Writer>,
    /// Bytes of numbers that the batch was given since its last commit.
    pending: u64,
    cache: Cache,
}

#[derive(Debug)]
enum Place {
    File(PathBuf, Option<Store>),
    Memory(Box<Writer>),
}

impl SeriesStore {
    /// Opens the store at `path`; a writable one is made if there is none, with its folder.
    ///
    /// # Errors
    /// As [`Store::open`]; [`Error::Invalid`] if the file holds something else than series.
    pub fn open(path: impl AsRef<Path>, options: SeriesOptions) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        let cache = Cache::new(options.cache_bytes / 4 * 3);
        let place = Place::File(path.clone(), None);
        let mut out = Self { place, options, held: None, pending: 0, cache };
        if out.options.writable && !path.try_exists().unwrap_or(true) {
            if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
                std::fs::create_dir_all(folder)
                    .map_err(|e| Error::io("make the folder", e).at(folder))?;
            }
            match out.make(&path) {
                // Another process was faster.
                Err(error) if matches!(error.root(), Error::Exists { .. }) => {}
                made => made?,
            }
        }
        out.refreshed()?;
        Ok(out)
    }

    fn make(&self, path: &Path) -> Result<()> {
        let mut writer = Writer::create(path, &self.options.create())?;
        writer.set_attributes(&json!({ LAYER: SERIES, "vlstore:version": VERSION }))?;
        writer.close().map(drop)
    }

    /// A new store in memory.
    ///
    /// # Errors
    /// As [`Writer::in_memory`].
    pub fn in_memory(options: SeriesOptions) -> Result<Self> {
        let mut writer = Writer::in_memory(&options.create())?;
        writer.set_attributes(&json!({ LAYER: SERIES, "vlstore:version": VERSION }))?;
        let cache = Cache::new(options.cache_bytes / 4 * 3);
        let place = Place::Memory(Box::new(writer));
        Ok(Self { place, options, held: None, pending: 0, cache })
    }

    /// The file; `None` in memory.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::File(path, _) => Some(path),
            Place::Memory(_) => None,
        }
    }

    /// The options.
    #[must_use]
    pub const fn options(&self) -> &SeriesOptions {
        &self.options
    }

    /// Bytes that the cache holds.
    #[must_use]
    pub const fn cached(&self) -> usize {
        self.cache.held()
    }

    /// Moves on to the newest commit of the file.
    fn refreshed(&mut self) -> Result<()> {
        let Place::File(path, store) = &mut self.place else { return Ok(()) };
        while let Some(open) = store {
            match open.refresh() {
                // Behind the last commit of this file may come another file.
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error) if matches!(error.root(), Error::Replaced) => *store = None,
                Err(error) => return Err(error.at(path)),
            }
        }
        let opened = Store::open_with(&*path, &self.options.read())?;
        is_of_series(&*opened).map_err(|e| e.at(path))?;
        self.cache.clear();
        *store = Some(opened);
        Ok(())
    }

    /// Calls `f` with the newest state.
    fn reading<T>(&mut self, f: impl FnOnce(&dyn Readable) -> Result<T>) -> Result<T> {
        if let Some(writer) = &self.held {
            return f(writer);
        }
        self.refreshed()?;
        match &self.place {
            Place::Memory(writer) => f(&**writer),
            Place::File(path, Some(store)) => f(&**store).map_err(|e| e.at(path)),
            Place::File(..) => Err(Error::Replaced),
        }
    }

    /// The writer, as soon as no other process writes.
    fn open_writer(&self, path: &Path) -> Result<Writer> {
        let until = Instant::now() + self.options.wait;
        let mut pause = Duration::from_millis(1);
        loop {
            match Writer::open(path, &self.options.write()) {
                Err(error) if matches!(error.root(), Error::Locked) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(error);
                    }
                    std::thread::sleep(pause.min(left));
                    pause = (pause * 2).min(Duration::from_millis(50));
                }
                opened => {
                    let writer = opened?;
                    is_of_series(&writer).map_err(|e| e.at(path))?;
                    return Ok(writer);
                }
            }
        }
    }

    /// Calls `f` with a writer, and commits what it did; nothing of it stays if it fails.
    fn writing<T>(
        &mut self,
        bytes: u64,
        f: impl FnOnce(&mut Writer, &SeriesOptions) -> Result<T>,
    ) -> Result<T> {
        if !self.options.writable {
            return Err(match self.path() {
                Some(path) => Error::ReadOnly.at(path),
                None => Error::ReadOnly,
            });
        }
        if let Some(writer) = &mut self.held {
            let out = f(writer, &self.options)?;
            self.pending += bytes;
            if self.pending >= BATCH_BYTES {
                writer.commit()?;
                self.pending = 0;
            }
            return Ok(out);
        }
        if let Place::File(path, _) = &self.place {
            let path = path.clone();
            let mut writer = self.open_writer(&path)?;
            let out = f(&mut writer, &self.options).map_err(|e| of_file(e, &path))?;
            writer.close().map_err(|e| e.at(&path))?;
            return Ok(out);
        }
        let Place::Memory(writer) = &mut self.place else { return Err(Error::ReadOnly) };
        let out = f(writer, &self.options)?;
        writer.commit()?;
        Ok(out)
    }

    /// Takes the right to write until [`end_batch`](Self::end_batch): calls between the two are
    /// committed together then, or each time that they are 64 MiB, and cost far less. What is not
    /// committed is seen here alone.
    ///
    /// # Errors
    /// [`Error::Invalid`] within a batch; as [`Writer::open`].
    pub fn begin_batch(&mut self) -> Result<()> {
        if self.held.is_some() {
            return Err(Error::invalid("batch", "there is one already"));
        }
        if !self.options.writable {
            return Err(Error::ReadOnly);
        }
        if let Place::File(path, _) = &self.place {
            self.held = Some(self.open_writer(&path.clone())?);
            self.pending = 0;
        }
        Ok(())
    }

    /// Ends a batch: commits what it did, or forgets what of it is not committed yet.
    ///
    /// # Errors
    /// As [`Writer::commit`].
    pub fn end_batch(&mut self, commit: bool) -> Result<()> {
        // What was kept may be of records that are gone, at places that are given to others.
        self.cache.clear();
        match self.held.take() {
            Some(writer) if commit => writer.close().map(drop),
            _ => Ok(()),
        }
    }

    /// Whether a batch is under way.
    #[must_use]
    pub const fn in_batch(&self) -> bool {
        self.held.is_some()
    }

    /// Stores a series under `id`. One that is there is replaced, whatever its length, or kept and
    /// the new one refused.
    ///
    /// # Errors
    /// [`Error::Exists`] that names the id; [`Error::Invalid`] for an id or times that cannot be;
    /// [`Error::Locked`] if another process writes for too long; as [`Writer::commit`]. Nothing is
    /// stored then.
    pub fn store(&mut self, id: &Key, points: &Points<'_>, existing: Existing) -> Result<()> {
        self.store_all(id, points, existing, |_| Ok(None)).map(drop)
    }

    /// As [`store`](Self::store), with points that follow in pieces, as `next` gives them for the
    /// number of points so far: for a series that is larger than memory. The length.
    ///
    /// # Errors
    /// As [`store`](Self::store); what `next` returns.
    pub fn store_all(
        &mut self,
        id: &Key,
        points: &Points<'_>,
        existing: Existing,
        mut next: impl FnMut(u64) -> Result<Option<Stored>>,
    ) -> Result<u64> {
        check_id(id)?;
        let last = |points: &Points<'_>| points.times().and_then(|t| t.last().copied());
        self.options.times.check(None, points.times().unwrap_or_default(), 0)?;
        let bytes = 8 * (points.len() * (points.channels().len() + 1)) as u64;
        self.writing(bytes, |writer, options| {
            if existing == Existing::Refuse && writer.find_key(id)?.is_some() {
                let what = format!("series {id}").into();
                return Err(Error::Exists { what, instead: Some("existing=\"replace\"") });
            }
            let (mut len, mut before) = (points.len() as u64, last(points));
            let mut following = next(len)?.filter(|more| !more.is_empty());
            let some = following.is_some();
            let mut growing = Growing::begin(writer, id, options.packing, points, some)?;
            while let Some(more) = following {
                let more = more.points()?;
                growing.fits(&more)?;
                options.times.check(before, more.times().unwrap_or_default(), len)?;
                growing.push(&more)?;
                (len, before) = (len + more.len() as u64, last(&more).or(before));
                following = next(len)?;
            }
            growing.end()
        })
    }

    /// Stores a series under a new id, which no process has used, and returns it.
    ///
    /// # Errors
    /// As [`store`](Self::store).
    pub fn store_new(&mut self, points: &Points<'_>) -> Result<Key> {
        loop {
            let id = new_id();
            match self.store(&id, points, Existing::Refuse) {
                Err(error) if matches!(error.root(), Error::Exists { .. }) => {}
                stored => return stored.map(|()| id),
            }
        }
    }

    /// Adds points behind the last one and returns the new length. Costs what is appended, and at
    /// most the writing of one record more, however long the series is.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such series; [`Error::Invalid`] for points with other
    /// channels, with times where it has none or without where it has some, and for times that the
    /// rule refuses; as [`store`](Self::store).
    pub fn append(&mut self, id: &Key, points: &Points<'_>) -> Result<u64> {
        let bytes = 8 * (points.len() * (points.channels().len() + 1)) as u64;
        self.writing(bytes, |writer, options| {
            let entry = read::entry(writer, id)?;
            let len = entry.len();
            if let Some(times) = points.times().filter(|_| options.times != TimeRule::Any) {
                let end = read::points(writer, &entry, len.saturating_sub(1)..len)?;
                let last = end.times().and_then(|t| t.last().copied());
                options.times.check(last, times, len)?;
            }
            let mut growing = Growing::resume(writer, id, options.packing, &entry)?;
            growing.fits(points)?;
            growing.push(points)?;
            growing.end()
        })
    }

    /// Replaces values from the position `from` on, of each channel.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such series, [`Error::Invalid`] for points that it does not
    /// have; as [`store`](Self::store).
    pub fn set(&mut self, id: &Key, from: u64, values: &Points<'_>) -> Result<()> {
        let bytes = 8 * (values.len() * values.channels().len()) as u64;
        self.writing(bytes, |writer, options| write::set(writer, id, options.packing, from, values))
    }

    /// Removes a series.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none; as [`store`](Self::store).
    pub fn remove(&mut self, id: &Key) -> Result<()> {
        self.writing(
            64,
            |writer, _| {
                if write::remove(writer, id, true)? { Ok(()) } else { Err(unknown(id)) }
            },
        )
    }

    /// Removes all series; how many there were.
    ///
    /// # Errors
    /// As [`store`](Self::store).
    pub fn clear(&mut self) -> Result<u64> {
        self.writing(64, |writer, _| {
            let keys = writer.keys()?;
            let mut count = 0;
            for key in &keys {
                count += u64::from(!matches!(key, Key::Bytes(_)));
                writer.delete(key)?;
            }
            Ok(count)
        })
    }

    /// Number of points of a series, from the index.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none.
    pub fn size(&mut self, id: &Key) -> Result<u64> {
        self.reading(|store| Ok(read::entry(store, id)?.len()))
    }

    /// Whether there is a series under `id`.
    ///
    /// # Errors
    /// As [`Readable::find_key`].
    pub fn contains(&mut self, id: &Key) -> Result<bool> {
        if matches!(id, Key::Bytes(_)) {
            return Ok(false);
        }
        self.reading(|store| Ok(store.find_key(id)?.is_some()))
    }

    /// Number of points and of channels of a series, and whether it has times of its own; reads no
    /// value.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none.
    pub fn shape(&mut self, id: &Key) -> Result<(u64, usize, bool)> {
        self.reading(|store| {
            let entry = read::entry(store, id)?;
            let (times, channels) = entry.shape(store)?;
            Ok((entry.len(), channels, times))
        })
    }

    /// A series, whole.
    ///
    /// # Errors
    /// [`Error::NotFound`] that names the id if there is none; [`Error::Corrupt`] for damage.
    pub fn get(&mut self, id: &Key) -> Result<Series> {
        // The file may have been replaced by another, of which nothing is kept.
        if self.held.is_none() {
            self.refreshed()?;
        }
        let Self { place, held, cache, .. } = self;
        let (store, path): (&dyn Readable, Option<&Path>) = match (held, place) {
            (Some(writer), _) => (writer, None),
            (None, Place::Memory(writer)) => (&**writer, None),
            (None, Place::File(path, Some(store))) => (&**store, Some(path)),
            (None, Place::File(..)) => return Err(Error::Replaced),
        };
        let mut find = || {
            let entry = read::entry(store, id)?;
            if let Some(series) = cache.get(id, entry.stamp) {
                return Ok(series);
            }
            let series = read::points(store, &entry, 0..entry.len())?;
            cache.put(id, entry.stamp, &series);
            Ok(series)
        };
        find().map_err(|e: Error| match path {
            Some(path) => e.at(path),
            None => e,
        })
    }

    /// Points of a series at `range`, as far as there are some; the records that hold them are read.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn range(&mut self, id: &Key, range: Range<u64>) -> Result<Series> {
        self.reading(|store| read::points(store, &read::entry(store, id)?, range))
    }

    /// Points of a series from one position to before another, as far as there are some; negative ones
    /// count from the end, as in Python. `None` stands for the first and the last position.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn slice(&mut self, id: &Key, from: Option<i64>, to: Option<i64>) -> Result<Series> {
        self.reading(|store| {
            let entry = read::entry(store, id)?;
            let len = entry.len();
            let place = |at: i64| {
                if at < 0 { len.saturating_sub(at.unsigned_abs()) } else { at.unsigned_abs() }
            };
            let range = from.map_or(0, place)..to.map_or(len, place);
            read::points(store, &entry, range.start..range.end.max(range.start))
        })
    }

    /// Points with times from `from` to before `to`, of which only the records are read that hold them,
    /// and a few to find these. `None` for a series whose times are not known to be sorted, or that is
    /// one record: then all of it has to be looked at.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn between(
        &mut self,
        id: &Key,
        from: Option<f64>,
        to: Option<f64>,
    ) -> Result<Option<Series>> {
        self.reading(|store| {
            let entry = read::entry(store, id)?;
            if !entry.growth.as_ref().is_some_and(|g| g.sorted) {
                return Ok(None);
            }
            let place = |time| read::first_not_before(store, &entry, time);
            let from = from.map_or(Ok(0), place)?;
            let to = to.map_or(Ok(entry.len()), place)?;
            read::points(store, &entry, from..to.max(from)).map(Some)
        })
    }

    /// A series as it is now, to be read part by part: it stays as it is whatever happens to the
    /// store. A batch commits first what it has.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn values(&mut self, id: &Key) -> Result<Values> {
        if let Some(writer) = &mut self.held {
            writer.commit()?;
        }
        let snapshot = match (&self.held, &self.place) {
            (Some(writer), _) => writer.snapshot()?,
            (None, Place::Memory(writer)) => writer.snapshot()?,
            (None, Place::File(..)) => {
                self.refreshed()?;
                match &self.place {
                    Place::File(_, Some(store)) => store.snapshot(),
                    _ => return Err(Error::Replaced),
                }
            }
        };
        Values::new(snapshot, id)
    }

    /// All ids with the lengths of their series, in the order in which they were stored; from the
    /// index alone.
    ///
    /// # Errors
    /// As [`Readable::visit_index`].
    pub fn lengths(&mut self) -> Result<Vec<(Key, u64)>> {
        self.reading(check::lengths)
    }

    /// What of the series does not fit together: parts that are missing, and parts of which nobody
    /// knows.
    ///
    /// # Errors
    /// As [`Readable::visit_index`].
    pub fn check(&mut self) -> Result<Vec<Defect>> {
        self.reading(check::check)
    }
}

/// The error with the path; that a series exists already is no matter of the file.
fn of_file(error: Error, path: &Path) -> Error {
    if matches!(error.root(), Error::Exists { .. }) { error } else { error.at(path) }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
