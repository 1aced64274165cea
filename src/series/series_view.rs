//! A series that was read: times and values where they lie in one buffer.

use super::points::Points;
use crate::codec::{AnyCodec, Codec, SeriesCodec};
use crate::error::{Error, Result};
use crate::store::Record;
use crate::wire::{AlignedBuf, to_usize};
use std::ops::Range;

/// Points of a series. Times and the values of each channel are views of one buffer, which it holds;
/// cheap to clone.
#[derive(Debug, Clone)]
pub struct Series {
    record: Record,
    /// Where the times begin in the buffer, in bytes.
    times: Option<usize>,
    /// Where the values of the first channel begin.
    values: usize,
    /// Points from one channel to the next.
    stride: usize,
    channels: usize,
    first: u64,
    len: usize,
    /// The mark of the record.
    mark: u64,
}

impl Series {
    /// The points in a record of the codec `series`.
    ///
    /// # Errors
    /// [`Error::Codec`] if it is not one.
    pub fn of_record(record: Record) -> Result<Self> {
        let record = SeriesCodec.expand(&record)?.map_or(record, Record::from);
        let view = SeriesCodec.decode(&record)?;
        if view.growth().is_some() {
            return Err(Error::codec("series", "a record has no points"));
        }
        let len = to_usize(view.points()).ok_or(Error::OutOfMemory { asked: view.points() })?;
        let head = record.len() - 8 * len * (view.channels() + usize::from(view.has_times()));
        let times = view.has_times().then_some(head);
        let values = if view.has_times() { head + 8 * len } else { head };
        let (channels, first, mark) = (view.channels(), view.first(), view.mark());
        Ok(Self { record, times, values, stride: len, channels, first, len, mark })
    }

    /// Room for `len` points from the position `first` on, and a function that fills a part of them.
    pub(super) fn build(
        times: bool,
        channels: usize,
        first: u64,
        len: usize,
        fill: impl FnOnce(&mut Filling<'_>) -> Result<()>,
    ) -> Result<Self> {
        let arrays = channels + usize::from(times);
        let bytes = len.checked_mul(8).and_then(|n| n.checked_mul(arrays));
        let bytes = bytes.ok_or(Error::OutOfMemory { asked: u64::MAX })?;
        let mut out = AlignedBuf::zeroed(bytes)?;
        // Nothing may lie at any address.
        let place = if bytes == 0 { &mut [][..] } else { bytemuck::cast_slice_mut(&mut out) };
        fill(&mut Filling { out: place, len, times })?;
        let (values, times) = if times { (8 * len, Some(0)) } else { (0, None) };
        let record = Record::from(out);
        Ok(Self { record, times, values, stride: len, channels, first, len, mark: 0 })
    }

    /// A copy of these points, the first of which has the position `first`.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn of_points(points: &Points<'_>, first: u64) -> Result<Self> {
        let (times, channels) = (points.times().is_some(), points.channels().len());
        Self::build(times, channels, first, points.len(), |out| out.put(0, points))
    }

    /// The mark of the record in which it was read.
    pub(super) const fn mark(&self) -> u64 {
        self.mark
    }

    /// Number of points.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no points.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of channels.
    #[must_use]
    pub const fn channels(&self) -> usize {
        self.channels
    }

    /// The position of the first point in the stored series.
    #[must_use]
    pub const fn first(&self) -> u64 {
        self.first
    }

    fn numbers(&self, at: usize) -> &[f64] {
        let bytes = self.record.get(at..at + 8 * self.len).unwrap_or_default();
        bytemuck::try_cast_slice(bytes).unwrap_or_default()
    }

    /// The times; `None` if they count from 0.
    #[must_use]
    pub fn times(&self) -> Option<&[f64]> {
        self.times.map(|at| self.numbers(at))
    }

    /// The values of one channel; nothing of one that is not there.
    #[must_use]
    pub fn channel(&self, channel: usize) -> &[f64] {
        if channel < self.channels { self.numbers(self.channel_at(channel)) } else { &[] }
    }

    /// The time of the point at `i`, counted from the first of these.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "positions below 2^53 are exact")]
    pub fn time(&self, i: usize) -> f64 {
        let stored = self.times().and_then(|times| times.get(i));
        stored.copied().unwrap_or((self.first + i as u64) as f64)
    }

    /// The buffer; the numbers in it are little-endian.
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// Where the times begin in the buffer, in bytes.
    #[must_use]
    pub const fn times_at(&self) -> Option<usize> {
        self.times
    }

    /// Where the values of a channel begin in the buffer, in bytes.
    #[must_use]
    pub const fn channel_at(&self, channel: usize) -> usize {
        self.values + 8 * self.stride * channel
    }

    /// Bytes of memory that it holds.
    #[must_use]
    pub fn held(&self) -> usize {
        self.record.held()
    }

    /// The points at `range`, counted from the first of these; without a copy.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        let end = range.end.min(self.len);
        let start = range.start.min(end);
        Self {
            record: self.record.clone(),
            times: self.times.map(|at| at + 8 * start),
            values: self.values + 8 * start,
            first: self.first + start as u64,
            len: end - start,
            ..*self
        }
    }

    /// The points, to be stored again.
    ///
    /// # Errors
    /// As [`Points::new`].
    pub fn points(&self) -> Result<Points<'_>> {
        Points::new(self.times(), (0..self.channels).map(|c| self.channel(c)).collect())
    }
}

/// A buffer of points under construction.
pub(super) struct Filling<'a> {
    out: &'a mut [f64],
    len: usize,
    times: bool,
}

impl Filling<'_> {
    /// Puts points at the position `at`.
    pub(super) fn put(&mut self, at: usize, points: &Points<'_>) -> Result<()> {
        let times = points.times().filter(|_| self.times);
        if times.is_some() != self.times {
            return Err(Error::codec("series", "some parts have times and others do not"));
        }
        let arrays = times.into_iter().chain(points.channels().iter().copied());
        for (place, from) in self.out.chunks_exact_mut(self.len.max(1)).zip(arrays) {
            let place = place
                .get_mut(at..at + from.len())
                .ok_or_else(|| Error::codec("series", "a part is longer than the series"))?;
            place.copy_from_slice(from);
        }
        Ok(())
    }
}
