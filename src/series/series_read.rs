//! Reading series from whatever is readable: a snapshot, or a writer with what it was given.

use super::known_series::{KnownSeries, MIXED, Part, cut, of_series, unknown};
use super::series_view::Series;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::store::{Readable, Record};
use crate::wire::{AlignedBuf, to_usize};
use std::ops::Range;

/// Records that are fetched together: those of a longer series are read in such groups, so that not
/// all are in memory twice.
const GROUP: usize = 64;

/// The series `id`.
pub(super) fn entry(store: &dyn Readable, id: &Key) -> Result<KnownSeries> {
    KnownSeries::find(store, id)?.ok_or_else(|| unknown(id))
}

/// The points of a series at `range`, as far as there are some.
pub(super) fn points(
    store: &dyn Readable,
    entry: &KnownSeries,
    range: Range<u64>,
) -> Result<Series> {
    read(store, entry, range).map_err(of_series(&entry.id))
}

fn read(store: &dyn Readable, entry: &KnownSeries, range: Range<u64>) -> Result<Series> {
    let end = range.end.min(entry.len());
    let range = range.start.min(end)..end;
    let parts = entry.parts(range.clone());
    if parts.is_empty() {
        let (times, channels) = entry.shape(store)?;
        return Series::build(times, channels, range.start, 0, |_| Ok(()));
    }
    if let [part] = &parts[..] {
        // What lies in one record is viewed there.
        let series = one(store, entry, part)?;
        let at =
            |position: u64| to_usize(position.saturating_sub(part.first)).unwrap_or(usize::MAX);
        return Ok(series.slice(at(range.start)..at(range.end)));
    }
    let (times, channels) = entry.shape(store)?;
    let len = to_usize(range.end - range.start).ok_or(Error::OutOfMemory { asked: u64::MAX })?;
    Series::build(times, channels, range.start, len, |out| {
        for group in parts.chunks(GROUP) {
            let keys: Vec<Key> = group.iter().map(|part| entry.key(part)).collect();
            let batch = store.plan_keys(&keys).map_err(|e| missing(e, entry))?.batch()?;
            for (part, bytes) in group.iter().zip(batch.iter()) {
                let series = Series::of_record(Record::from(AlignedBuf::copy_of(bytes)?))?;
                fits(&series, entry, part, channels, times)?;
                let skip = to_usize(range.start.saturating_sub(part.first)).unwrap_or(usize::MAX);
                let end = to_usize(range.end - part.first).unwrap_or(usize::MAX);
                let at = part.first.saturating_sub(range.start);
                let at = to_usize(at).unwrap_or(usize::MAX);
                out.put(at, &series.slice(skip..end).points()?)?;
            }
        }
        Ok(())
    })
}

/// The first position whose time is not less than `time`, of a series with sorted times.
pub(super) fn first_not_before(
    store: &dyn Readable,
    entry: &KnownSeries,
    time: f64,
) -> Result<u64> {
    let parts = entry.parts(0..entry.len());
    let read = |part: &Part| {
        let series = one(store, entry, part).map_err(of_series(&entry.id))?;
        let times = series.times().unwrap_or_default();
        Ok::<_, Error>((times.partition_point(|t| *t < time), times.len()))
    };
    // The first record with such a time lies between these.
    let (mut low, mut high) = (0, parts.len());
    while let Some(part) = parts.get(low + (high - low) / 2).filter(|_| low < high) {
        match read(part)? {
            (0, _) => high = low + (high - low) / 2,
            (less, all) if less == all => low += (high - low) / 2 + 1,
            (less, _) => return Ok(part.first + less as u64),
        }
    }
    Ok(parts.get(low).map_or(entry.len(), |part| part.first))
}

/// The points of one record.
fn one(store: &dyn Readable, entry: &KnownSeries, part: &Part) -> Result<Series> {
    let record = store.get_key(&entry.key(part)).map_err(|e| missing(e, entry))?;
    let series = Series::of_record(record)?;
    let (channels, times) = match &entry.growth {
        Some(growth) => (growth.channels as usize, growth.times),
        None => (series.channels(), series.times().is_some()),
    };
    fits(&series, entry, part, channels, times)?;
    Ok(series)
}

/// Refuses a record that is not what the account says.
fn fits(
    series: &Series,
    entry: &KnownSeries,
    part: &Part,
    channels: usize,
    times: bool,
) -> Result<()> {
    if series.mark() != entry.mark() {
        return Err(cut(MIXED));
    }
    let as_said = series.len() as u64 == part.points
        && series.first() == part.first
        && series.channels() == channels
        && series.times().is_some() == times;
    if as_said {
        return Ok(());
    }
    let why = format!(
        "the points {} to {} are not what its account says; store the series again, or remove it",
        part.first,
        part.first + part.points
    );
    Err(Error::codec("series", why))
}

/// A record that the account names and that is not there.
fn missing(error: Error, entry: &KnownSeries) -> Error {
    if !matches!(error.root(), Error::NotFound { .. }) {
        return error;
    }
    let why = format!(
        "its account has {} points, and some of them are not in the store; `check` lists what is \
         missing",
        entry.len()
    );
    Error::codec("series", why)
}
