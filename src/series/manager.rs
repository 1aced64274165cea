//! A collection of series in one store, on a file or in memory: where it is, and who may write to it.
//! What is stored and read is in the files beside this one.

use super::cache::Cache;
use super::layer::{LAYER, SERIES, VERSION, is_of_series, lost};
use super::options::SeriesOptions;
use super::undone_batch::Undone;
use crate::error::{Error, Result};
use crate::store::{Readable, Snapshot, Store, Writer};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A collection of time series in one store.
///
/// Each call that changes something is one commit: after a kill at any moment the series is as before
/// the call, or as after it, and the ids and lengths are those of the data, as both stand in the same
/// index. A call that is refused changes nothing. A store on a file is opened for writing for the moment
/// of a write alone, so that any number of processes may use it; every read sees the newest commit.
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
    pub(super) place: Backing,
    options: SeriesOptions,
    batch: Option<Batch>,
    pub(super) cache: Cache,
}

#[derive(Debug)]
pub(super) enum Backing {
    File(PathBuf, Option<Store>),
    Memory(Box<Writer>),
}

/// Calls that are committed together.
#[derive(Debug, Default)]
struct Batch {
    /// The writer of a file; in memory there is one at all times.
    writer: Option<Writer>,
    /// The state at this moment, for chains, until something is written.
    present: Option<Snapshot>,
    undone: Undone,
}

impl SeriesStore {
    /// Opens the store at `path`; a writable one is made if there is none, with its folder.
    ///
    /// # Errors
    /// As [`Store::open`]; [`Error::Invalid`] if the file holds something else than series.
    pub fn open(path: impl AsRef<Path>, options: SeriesOptions) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        let mut out = Self::new(Backing::File(path.clone(), None), options);
        if out.options.writable && !path.try_exists().unwrap_or(true) {
            if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
                std::fs::create_dir_all(folder)
                    .map_err(|e| Error::io("make the folder", e).at(folder))?;
            }
            match Writer::create(&path, &out.options.create()).and_then(named) {
                // Another process was faster.
                Err(error) if matches!(error.root(), Error::Exists { .. }) => {}
                made => {
                    made?.close()?;
                }
            }
        }
        out.refreshed()?;
        Ok(out)
    }

    /// A new store in memory.
    ///
    /// # Errors
    /// As [`Writer::in_memory`].
    pub fn in_memory(options: SeriesOptions) -> Result<Self> {
        let mut writer = named(Writer::in_memory(&options.create())?)?;
        writer.commit()?;
        Ok(Self::new(Backing::Memory(Box::new(writer)), options))
    }

    fn new(place: Backing, options: SeriesOptions) -> Self {
        let cache = Cache::new(options.cache_bytes / 4 * 3);
        Self { place, options, batch: None, cache }
    }

    /// The file; `None` in memory.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Backing::File(path, _) => Some(path),
            Backing::Memory(_) => None,
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

    /// What is missing, and what to do, if the newest commit of the file cannot be read: then an older
    /// state is read, or that of the last seal. `None` if nothing is missing. Of the state that was read last.
    #[must_use]
    pub fn lost(&self) -> Option<String> {
        let Backing::File(_, Some(store)) = &self.place else { return None };
        lost(&**store)
    }

    /// Moves on to the newest commit of the file; within a batch nobody else writes one.
    pub(super) fn refreshed(&mut self) -> Result<()> {
        let Backing::File(path, store) = &mut self.place else { return Ok(()) };
        if self.batch.is_some() {
            return Ok(());
        }
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

    /// What is there now, of a batch too; the path if it is in a file, and the cache.
    pub(super) fn now(&mut self) -> Result<(&dyn Readable, Option<&Path>, &mut Cache)> {
        self.refreshed()?;
        let Self { place, batch, cache, .. } = self;
        let writer = batch.as_ref().and_then(|batch| batch.writer.as_ref());
        match (place, writer) {
            (Backing::Memory(writer), _) => Ok((&**writer, None, cache)),
            (Backing::File(path, _), Some(writer)) => Ok((writer, Some(path), cache)),
            (Backing::File(path, Some(store)), None) => Ok((&**store, Some(path), cache)),
            (Backing::File(..), None) => Err(Error::Replaced),
        }
    }

    /// Calls `f` with what is there now.
    pub(super) fn reading<T>(&mut self, f: impl FnOnce(&dyn Readable) -> Result<T>) -> Result<T> {
        let (store, path, _) = self.now()?;
        f(store).map_err(|e| match path {
            Some(path) => e.at(path),
            None => e,
        })
    }

    /// What is there now, to keep; and what says whether it is still there, if it is of a batch.
    pub(super) fn kept(&mut self) -> Result<(Snapshot, Option<Undone>)> {
        self.refreshed()?;
        if let Some(batch) = &mut self.batch {
            let writer = match (&self.place, &batch.writer) {
                (Backing::Memory(writer), _) => writer,
                (Backing::File(..), Some(writer)) => writer,
                (Backing::File(..), None) => return Err(Error::Replaced),
            };
            let present = match &batch.present {
                Some(present) => present.clone(),
                None => batch.present.insert(writer.uncommitted_snapshot()?).clone(),
            };
            return Ok((present, Some(batch.undone.clone())));
        }
        match &self.place {
            Backing::Memory(writer) => Ok((writer.snapshot()?, None)),
            Backing::File(_, Some(store)) => Ok((store.snapshot(), None)),
            Backing::File(..) => Err(Error::Replaced),
        }
    }

    fn must_be_writable(&self) -> Result<()> {
        match self.path() {
            _ if self.options.writable => Ok(()),
            Some(path) => Err(Error::ReadOnly.at(path)),
            None => Err(Error::ReadOnly),
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

    /// Calls `f` with a writer, and commits what it did unless that is for the end of a batch. If it
    /// fails nothing of it stays.
    pub(super) fn writing<T>(
        &mut self,
        f: impl FnOnce(&mut Writer, &SeriesOptions) -> Result<T>,
    ) -> Result<T> {
        self.must_be_writable()?;
        let Self { place, options, batch, cache } = self;
        if let Some(batch) = batch {
            batch.present = None;
            return match (place, &mut batch.writer) {
                (Backing::Memory(writer), _) => writer.all_or_nothing(|writer| f(writer, options)),
                (Backing::File(path, _), Some(writer)) => {
                    writer.all_or_nothing(|writer| f(writer, options)).map_err(|e| of_file(e, path))
                }
                (Backing::File(..), None) => Err(Error::ReadOnly),
            };
        }
        if let Backing::Memory(writer) = place {
            let done = f(writer, options).and_then(|out| writer.commit().map(|_| out));
            if done.is_err() && writer.is_dirty() {
                cache.clear();
                roll_back(writer, options)?;
            }
            return done;
        }
        let Backing::File(path, _) = place else { return Err(Error::ReadOnly) };
        let path = path.clone();
        let mut writer = self.open_writer(&path)?;
        let out = f(&mut writer, &self.options).map_err(|e| of_file(e, &path))?;
        writer.close().map_err(|e| e.at(&path))?;
        Ok(out)
    }

    /// Takes the right to write until [`end_batch`](Self::end_batch): calls between the two are
    /// committed together then, and cost far less. What is not committed is seen here alone. Memory stays
    /// bounded however much is written.
    ///
    /// # Errors
    /// [`Error::Invalid`] within a batch; as [`Writer::open`].
    pub fn begin_batch(&mut self) -> Result<()> {
        if self.batch.is_some() {
            return Err(Error::invalid(
                "batch",
                "there is one already; end it before another begins",
            ));
        }
        self.must_be_writable()?;
        let writer = match &self.place {
            Backing::File(path, _) => Some(self.open_writer(&path.clone())?),
            Backing::Memory(_) => None,
        };
        self.batch = Some(Batch { writer, ..Batch::default() });
        Ok(())
    }

    /// Ends a batch: commits what it did, or undoes all of it, also if the commit fails.
    ///
    /// # Errors
    /// As [`Writer::commit`].
    pub fn end_batch(&mut self, commit: bool) -> Result<()> {
        let Some(batch) = self.batch.take() else { return Ok(()) };
        // What was kept may be of records that are gone, at places that are given to others.
        self.cache.clear();
        let ended = match (&mut self.place, batch.writer) {
            (Backing::File(path, _), Some(writer)) if commit => {
                writer.close().map(drop).map_err(|e| e.at(path))
            }
            (Backing::Memory(writer), _) if commit => writer.commit().map(drop),
            _ => Ok(()),
        };
        if commit && ended.is_ok() {
            return Ok(());
        }
        batch.undone.set();
        if let Backing::Memory(writer) = &mut self.place {
            roll_back(writer, &self.options)?;
        }
        ended
    }

    /// Whether a batch is under way.
    #[must_use]
    pub const fn in_batch(&self) -> bool {
        self.batch.is_some()
    }
}

/// Brings a store in memory back to its last commit.
fn roll_back(writer: &mut Writer, options: &SeriesOptions) -> Result<()> {
    *writer = Writer::open_in(writer.backend().clone(), &options.write())?;
    Ok(())
}

/// Says in a new store what lies in it.
fn named(mut writer: Writer) -> Result<Writer> {
    writer.set_attributes(&json!({ LAYER: SERIES, "vlstore:version": VERSION }))?;
    Ok(writer)
}

/// The error with the path; that a series exists already is no matter of the file.
fn of_file(error: Error, path: &Path) -> Error {
    if matches!(error.root(), Error::Exists { .. }) { error } else { error.at(path) }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
