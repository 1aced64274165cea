//! Parts of a series that belong to nobody else, and a stored series that is read part by part.

use super::known_series::KnownSeries;
use super::points::Points;
use super::series_read;
use super::series_view::Series;
use super::undone_batch::Undone;
use crate::error::Result;
use crate::key::Key;
use crate::store::Snapshot;
use std::ops::Range;

/// Points that were computed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stored {
    /// Times; `None` if they count from 0.
    pub times: Option<Vec<f64>>,
    /// The values of each channel.
    pub channels: Vec<Vec<f64>>,
}

impl Stored {
    /// The points, to be stored.
    ///
    /// # Errors
    /// As [`Points::new`].
    pub fn points(&self) -> Result<Points<'_>> {
        Points::new(self.times.as_deref(), self.channels.iter().map(Vec::as_slice).collect())
    }

    /// Number of points.
    #[must_use]
    pub fn len(&self) -> usize {
        self.channels.first().map_or(0, Vec::len)
    }

    /// Whether there are no points.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The series of a store at one commit, read without a writer.
#[derive(Debug, Clone)]
pub struct SeriesReader {
    snapshot: Snapshot,
}

impl SeriesReader {
    /// The series of a store.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if it holds something else.
    pub fn new(snapshot: Snapshot) -> Result<Self> {
        super::layer::is_of_series(&snapshot)?;
        Ok(Self { snapshot })
    }

    /// As [`SeriesStore::lengths`](super::SeriesStore::lengths).
    ///
    /// # Errors
    /// As there.
    pub fn lengths(&self) -> Result<Vec<(Key, u64)>> {
        super::check::lengths(&self.snapshot)
    }

    /// As [`SeriesStore::values`](super::SeriesStore::values).
    ///
    /// # Errors
    /// As there.
    pub fn values(&self, id: &Key) -> Result<SeriesValues> {
        SeriesValues::new(self.snapshot.clone(), None, id)
    }
}

/// A stored series of which no value is read yet.
#[derive(Debug, Clone)]
pub struct SeriesValues {
    snapshot: Snapshot,
    /// Of the batch in which it was read.
    undone: Option<Undone>,
    entry: KnownSeries,
    times: bool,
    channels: usize,
}

impl SeriesValues {
    pub(super) fn new(snapshot: Snapshot, undone: Option<Undone>, id: &Key) -> Result<Self> {
        let entry = series_read::entry(&snapshot, id)?;
        let (times, channels) = entry.shape(&snapshot)?;
        Ok(Self { snapshot, undone, entry, times, channels })
    }

    /// Number of points.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.entry.len()
    }

    /// Whether there are no points.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of channels.
    #[must_use]
    pub const fn channels(&self) -> usize {
        self.channels
    }

    /// Whether it has times of its own.
    #[must_use]
    pub const fn has_times(&self) -> bool {
        self.times
    }

    /// The points at `range`, as far as there are some.
    ///
    /// # Errors
    /// As [`SeriesStore::get`](super::SeriesStore::get); [`Error::Invalid`](crate::Error::Invalid) if the batch
    /// in which it was read has been undone.
    pub fn read(&self, range: Range<u64>) -> Result<Series> {
        if let Some(undone) = &self.undone {
            undone.check(&self.entry.id)?;
        }
        series_read::points(&self.snapshot, &self.entry, range)
    }
}
