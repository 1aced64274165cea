//! Many records of one file, looked up to be read together: into one buffer, or shown one by one (`visit`).

use crate::error::{Error, Result};
use crate::index::leaf::Place;
use crate::store::read::batch::Batch;
use crate::store::read::reader::Reader;
use crate::store::read::record::Record;
use crate::store::read::share_out::share_out;
use crate::wire::{memory, to_usize};
use std::borrow::Cow;
use std::ops::Range;

/// Records of one file that were looked up; what a [`Plan`](crate::Plan) consists of.
#[derive(Debug)]
pub(crate) struct FilePlan<'a> {
    pub(super) reader: &'a Reader,
    /// In the order in which they lie.
    pub(super) wanted: Cow<'a, [Wanted]>,
}

/// Records of one file that were looked up, without the file.
#[derive(Debug)]
pub(crate) struct Looked(Vec<Wanted>);

/// A record: its logical bytes, and its position among those that were asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) start: u64,
    pub(super) end: u64,
    weight: u32,
    pub(super) position: u32,
}

/// The position of a record, in few bytes: there are many of them, and they are moved about.
fn position(i: usize) -> Result<u32> {
    let limit =
        || Error::Limit { what: "records of a batch", asked: i as u64, max: u32::MAX.into() };
    u32::try_from(i).map_err(|_| limit())
}

/// Fewer records than this are sorted by comparing them.
const FEW: usize = 512;
/// Records from which on several threads look them up.
const MANY: usize = 192;
/// Parts of them for each thread.
const PARTS: usize = 2;
/// Bits of a number by which records are counted in one pass.
const DIGIT: u32 = 11;

/// Sorts numbers of records, with their positions: many of them by counting, digit by digit, which takes less than
/// to compare them with each other.
fn sort(asked: &mut Vec<(u64, u32)>) -> Result<()> {
    if asked.is_sorted() {
        return Ok(());
    }
    let least = asked.iter().map(|(id, _)| *id).min().unwrap_or(0);
    let most = asked.iter().map(|(id, _)| *id).max().unwrap_or(0);
    let bits = u64::BITS - (most - least).leading_zeros();
    if asked.len() < FEW || bits > 4 * DIGIT {
        asked.sort_unstable();
        return Ok(());
    }
    let mut other = memory::filled(asked.len(), (0, 0))?;
    for shift in (0..bits).step_by(DIGIT as usize) {
        let digit = |id: u64| to_usize(((id - least) >> shift) % (1 << DIGIT)).unwrap_or(0);
        // How many have each digit, then where the next one that has it belongs.
        let mut next = [0_usize; 1 << DIGIT];
        for (id, _) in &*asked {
            if let Some(count) = next.get_mut(digit(*id)) {
                *count += 1;
            }
        }
        let mut before = 0;
        for count in &mut next {
            (*count, before) = (before, before + *count);
        }
        for one in &*asked {
            if let Some(at) = next.get_mut(digit(one.0)) {
                if let Some(place) = other.get_mut(*at) {
                    *place = *one;
                }
                *at += 1;
            }
        }
        std::mem::swap(asked, &mut other);
    }
    Ok(())
}

/// Looks up records that are sorted, as many threads as the reader has each a part of many.
fn looked_up(reader: &Reader, asked: &[(u64, u32)]) -> Result<Vec<Wanted>> {
    let look = |part: &[(u64, u32)]| {
        let mut wanted = memory::with_room(part.len())?;
        reader.places(part, |place, i| {
            wanted.push(Wanted::new(reader, place, i)?);
            Ok(())
        })?;
        Ok(wanted)
    };
    // What is far away comes by few requests, which were announced for all.
    if reader.threads <= 1 || asked.len() < MANY || reader.io.is_far() {
        return look(asked);
    }
    let each = asked.len().div_ceil(reader.threads * PARTS);
    let parts = asked.chunks(each).collect();
    let parts = share_out(reader.threads, parts, || (), |(), part| look(part))?;
    let mut wanted = memory::with_room(asked.len())?;
    parts.into_iter().for_each(|part| wanted.extend(part));
    Ok(wanted)
}

impl<'a> FilePlan<'a> {
    /// Looks up one record after the other.
    pub(crate) fn one_by_one(
        reader: &'a Reader,
        entries: impl ExactSizeIterator<Item = Result<Place>>,
    ) -> Result<Self> {
        let mut wanted = memory::with_room(entries.len())?;
        for (i, entry) in entries.enumerate() {
            wanted.push(Wanted::new(reader, &entry?, position(i)?)?);
        }
        Ok(Self::sorted(reader, wanted))
    }

    /// Looks up the records at these ordinals, those that lie side by side in the index together.
    pub(crate) fn at(reader: &'a Reader, ordinals: &[u64]) -> Result<Self> {
        let mut asked = memory::with_room(ordinals.len())?;
        for (i, ordinal) in ordinals.iter().enumerate() {
            asked.push((reader.id_at(*ordinal)?, position(i)?));
        }
        sort(&mut asked)?;
        if reader.io.is_far() {
            reader.announce_records(asked.iter().map(|(id, _)| *id).collect())?;
        }
        match looked_up(reader, &asked) {
            Ok(wanted) => Ok(Self::sorted(reader, wanted)),
            // The first that fails, in the order asked for.
            Err(_) => Self::one_by_one(reader, ordinals.iter().map(|o| reader.entry_at(*o))),
        }
    }

    /// Goes on with what was looked up in the file of `reader`.
    pub(crate) fn of(reader: &'a Reader, looked: &'a Looked) -> Self {
        Self { reader, wanted: Cow::Borrowed(&looked.0) }
    }

    /// What was looked up, to keep without the file.
    pub(crate) fn looked(self) -> Looked {
        Looked(self.wanted.into_owned())
    }

    /// All of it comes side by side, if it is far away.
    pub(super) fn announce(&self) -> Result<()> {
        if !self.reader.io.is_far() {
            return Ok(());
        }
        let mut spans = memory::with_room(self.wanted.len())?;
        spans.extend(self.wanted.iter().map(|wanted| wanted.start..wanted.end));
        self.reader.announce_spans(&spans)
    }

    fn sorted(reader: &'a Reader, mut wanted: Vec<Wanted>) -> Self {
        let place = |w: &Wanted| (w.start, w.end);
        // Records of another writer may lie in any order.
        if !wanted.is_sorted_by_key(place) {
            wanted.sort_by_key(place);
        }
        Self { reader, wanted: Cow::Owned(wanted) }
    }
}

impl Wanted {
    fn new(reader: &Reader, place: &Place, position: u32) -> Result<Self> {
        let span = reader.span(place)?;
        Ok(Self { start: span.start, end: span.end, weight: place.weight, position })
    }

    /// Logical bytes that are no record of the index.
    pub(super) fn bytes(span: &Range<u64>, i: usize) -> Result<Self> {
        Ok(Self { start: span.start, end: span.end, weight: 0, position: position(i)? })
    }
}

impl Looked {
    /// Bytes of the records together.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.iter().map(|w| w.end - w.start).sum()
    }

    /// What the codec counted in each record, with its position.
    pub(crate) fn weights(&self) -> impl Iterator<Item = (usize, u32)> {
        self.0.iter().map(|w| (w.position as usize, w.weight))
    }

    /// The positions of the records, each that of `positions` at its own.
    pub(crate) fn positions<'p>(&'p self, positions: &'p [usize]) -> Positions<'p> {
        Positions { wanted: self.0.iter(), among: Some(positions) }
    }
}

impl FilePlan<'_> {
    /// Number of records.
    pub(crate) fn len(&self) -> usize {
        self.wanted.len()
    }

    /// The records in one buffer, in the order asked for. Each block in which one of them lies is
    /// decoded once, and no other, by as many threads as the store was given.
    ///
    /// # Errors
    /// As [`Readable::get_at`](crate::Readable::get_at), for the first record that fails.
    pub(crate) fn batch(&self) -> Result<Batch> {
        self.announce()?;
        self.reader.batch_sorted(self.wanted.iter().map(|w| (w.start, w.end, w.position as usize)))
    }

    /// What the codec counted in each record when it was put (for a frame its sites), in the
    /// order asked for; decodes nothing.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub(crate) fn weights(&self) -> Result<Vec<u32>> {
        let mut out = memory::filled(self.len(), 0)?;
        for wanted in &*self.wanted {
            if let Some(place) = out.get_mut(wanted.position as usize) {
                *place = wanted.weight;
            }
        }
        Ok(out)
    }

    /// Bytes of the records together.
    pub(crate) fn bytes(&self) -> u64 {
        self.wanted.iter().map(|w| w.end - w.start).sum()
    }

    /// The first of the records; `None` if none was asked for.
    ///
    /// # Errors
    /// As [`Readable::get_at`](crate::Readable::get_at).
    pub(crate) fn first(&self) -> Result<Option<Record>> {
        let first = self.wanted.iter().find(|w| w.position == 0);
        first.map(|w| self.reader.record_in(w.start..w.end)).transpose()
    }
}

/// The positions of the records of a part, in the order in which they are visited.
pub(crate) struct Positions<'p> {
    pub(super) wanted: std::slice::Iter<'p, Wanted>,
    /// The positions among all records, if these are some of several files.
    pub(super) among: Option<&'p [usize]>,
}

impl Iterator for Positions<'_> {
    type Item = usize;
    fn next(&mut self) -> Option<usize> {
        let position = self.wanted.next()?.position as usize;
        self.among.map_or(Some(position), |among| among.get(position).copied())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_are_sorted_with_their_positions_however_they_are_spread() {
        for (count, step) in [(0, 1), (1, 1), (500, 1), (500, 3), (500, 1 << 50), (500, 0)] {
            let mixed = |i: u64| (i * 37 + i / 13) % 499;
            let asked = (0..count).zip(0_u32..).map(|(i, at)| (7 + step * mixed(i), at));
            let mut asked: Vec<(u64, u32)> = asked.collect();
            let mut right = asked.clone();
            right.sort_unstable();
            super::sort(&mut asked).unwrap();
            assert_eq!(asked, right);
        }
    }
}
