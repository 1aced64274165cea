//! What changes the series of a collection: storing, appending, replacing values, removing.

use super::ids::{check_id, new_id};
use super::known_series::unknown;
use super::manager::SeriesStore;
use super::options::SeriesOptions;
use super::points::{Points, TimeRule};
use super::series_read;
use super::series_write::{self, Growing};
use super::stored::Stored;
use crate::error::{Error, Result};
use crate::existing::Existing;
use crate::key::Key;
use crate::store::{Readable, Writer};

impl SeriesStore {
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
    /// As [`store`](Self::store); what `next` returns. Whatever came before the error, what was stored
    /// stays.
    pub fn store_all(
        &mut self,
        id: &Key,
        points: &Points<'_>,
        existing: Existing,
        next: impl FnMut(u64) -> Result<Option<Stored>>,
    ) -> Result<u64> {
        self.writing(|writer, options| store_in(writer, options, id, points, existing, next))
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
    /// [`Error::NotFound`] if the series does not exist; [`Error::Invalid`] for points with other
    /// channels, with times where it has none or without where it has some, and for times that the
    /// rule refuses; as [`store`](Self::store).
    pub fn append(&mut self, id: &Key, points: &Points<'_>) -> Result<u64> {
        self.writing(|writer, options| append_in(writer, options, id, points))
    }

    /// As [`append`](Self::append), with points in pieces, as `next` gives them for the number of points so
    /// far until it gives none, in one commit: for points that are larger than memory.
    ///
    /// # Errors
    /// As [`append`](Self::append); what `next` returns. Nothing is appended then.
    pub fn append_all(
        &mut self,
        id: &Key,
        mut next: impl FnMut(u64) -> Result<Option<Stored>>,
    ) -> Result<u64> {
        self.writing(|writer, options| {
            let (mut len, mut done) = (series_read::entry(writer, id)?.len(), 0);
            while let Some(more) = next(done)? {
                len = append_in(writer, options, id, &more.points()?)?;
                if more.is_empty() {
                    break;
                }
                done += more.len() as u64;
            }
            Ok(len)
        })
    }

    /// Replaces values from the position `from` on, of each channel.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the series does not exist, [`Error::Invalid`] for points that it does not
    /// have; as [`store`](Self::store).
    pub fn set(&mut self, id: &Key, from: u64, values: &Points<'_>) -> Result<()> {
        self.writing(|writer, options| series_write::set(writer, id, options.packing, from, values))
    }

    /// Removes a series.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none; as [`store`](Self::store).
    pub fn remove(&mut self, id: &Key) -> Result<()> {
        self.writing(|writer, _| {
            if series_write::remove(writer, id, true)? { Ok(()) } else { Err(unknown(id)) }
        })
    }

    /// Removes all series; how many there were.
    ///
    /// # Errors
    /// As [`store`](Self::store).
    pub fn clear(&mut self) -> Result<u64> {
        self.writing(|writer, _| {
            let keys = writer.keys()?;
            let mut count = 0;
            for key in &keys {
                count += u64::from(!matches!(key, Key::Bytes(_)));
                writer.delete(key)?;
            }
            Ok(count)
        })
    }
}

/// Stores a series under `id` with points that follow in pieces; its length.
pub(super) fn store_in(
    writer: &mut Writer,
    options: &SeriesOptions,
    id: &Key,
    points: &Points<'_>,
    existing: Existing,
    mut next: impl FnMut(u64) -> Result<Option<Stored>>,
) -> Result<u64> {
    check_id(id)?;
    let last = |points: &Points<'_>| points.times().and_then(|t| t.last().copied());
    options.times.check(None, points.times().unwrap_or_default(), 0)?;
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
}

/// Adds points behind the last one of a series; its length.
fn append_in(
    writer: &mut Writer,
    options: &SeriesOptions,
    id: &Key,
    points: &Points<'_>,
) -> Result<u64> {
    let entry = series_read::entry(writer, id)?;
    let len = entry.len();
    if let Some(times) = points.times().filter(|_| options.times != TimeRule::Any) {
        let end = series_read::points(writer, &entry, len.saturating_sub(1)..len)?;
        let last = end.times().and_then(|t| t.last().copied());
        options.times.check(last, times, len)?;
    }
    let mut growing = Growing::resume(writer, id, options.packing, &entry)?;
    growing.fits(points)?;
    growing.push(points)?;
    growing.end()
}
