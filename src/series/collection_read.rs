//! What reads the series of a collection, whole or in part, and what lists and checks them.

use super::check::{self, Defect};
use super::manager::SeriesStore;
use super::series_read;
use super::series_view::Series;
use super::stored::SeriesValues;
use crate::error::{Error, Result};
use crate::key::Key;
use std::ops::Range;

impl SeriesStore {
    /// Number of points of a series, from the index.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none.
    pub fn size(&mut self, id: &Key) -> Result<u64> {
        self.reading(|store| Ok(series_read::entry(store, id)?.len()))
    }

    /// Whether there is a series under `id`.
    ///
    /// # Errors
    /// As [`Readable::find_key`](crate::Readable::find_key).
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
            let entry = series_read::entry(store, id)?;
            let (times, channels) = entry.shape(store)?;
            Ok((entry.len(), channels, times))
        })
    }

    /// A series, whole.
    ///
    /// # Errors
    /// [`Error::NotFound`] that names the id if there is none; [`Error::Corrupt`] for damage.
    pub fn get(&mut self, id: &Key) -> Result<Series> {
        let (store, path, cache) = self.now()?;
        let mut find = || {
            let entry = series_read::entry(store, id)?;
            if let Some(series) = cache.get(id, entry.stamp) {
                return Ok(series);
            }
            let series = series_read::points(store, &entry, 0..entry.len())?;
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
        self.reading(|store| series_read::points(store, &series_read::entry(store, id)?, range))
    }

    /// Points of a series from one position to before another, as far as there are some; negative ones
    /// count from the end, as in Python. `None` stands for the first and the last position.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn slice(&mut self, id: &Key, from: Option<i64>, to: Option<i64>) -> Result<Series> {
        self.reading(|store| {
            let entry = series_read::entry(store, id)?;
            let len = entry.len();
            let place = |at: i64| {
                if at < 0 { len.saturating_sub(at.unsigned_abs()) } else { at.unsigned_abs() }
            };
            let range = from.map_or(0, place)..to.map_or(len, place);
            series_read::points(store, &entry, range.start..range.end.max(range.start))
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
            let entry = series_read::entry(store, id)?;
            if !entry.growth.as_ref().is_some_and(|g| g.sorted) {
                return Ok(None);
            }
            let place = |time| series_read::first_not_before(store, &entry, time);
            let from = from.map_or(Ok(0), place)?;
            let to = to.map_or(Ok(entry.len()), place)?;
            series_read::points(store, &entry, from..to.max(from)).map(Some)
        })
    }

    /// A series as it is now, to be read part by part: it stays as it is whatever happens to the
    /// store. Within a batch that is what the batch has so far; if it is undone then, reading is refused.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn values(&mut self, id: &Key) -> Result<SeriesValues> {
        let (snapshot, undone) = self.kept()?;
        let values = SeriesValues::new(snapshot, undone, id);
        values.map_err(|e| match self.path() {
            Some(path) => e.at(path),
            None => e,
        })
    }

    /// All ids with the lengths of their series, in the order in which they were stored; from the
    /// index alone.
    ///
    /// # Errors
    /// As [`Readable::visit_index`](crate::Readable::visit_index).
    pub fn lengths(&mut self) -> Result<Vec<(Key, u64)>> {
        self.reading(check::lengths)
    }

    /// What of the series does not fit together: parts that are missing, and parts of which nobody
    /// knows. That an older state than the newest is read comes first.
    ///
    /// # Errors
    /// As [`Readable::visit_index`](crate::Readable::visit_index).
    pub fn check(&mut self) -> Result<Vec<Defect>> {
        self.reading(check::check)
    }
}
