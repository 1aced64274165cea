//! Writing series through a writer that commits when it is told to, so that one call is one commit.

use super::ids::{Role, key, new_mark};
use super::known_series::{KnownSeries, MIXED, cut, of_series};
use super::points::{Owned, Points};
use super::series_read;
use crate::codec::{Growth, Packing, SeriesCodec, SeriesRef};
use crate::error::{Error, Result};
use crate::existing::Existing;
use crate::key::Key;
use crate::store::{Readable, Writer};
use crate::wire::to_usize;

/// Bytes of numbers in a full record, about.
const BLOCK_BYTES: usize = 256 << 10;

/// Points of a full record of a series with so many channels: about 256 KiB of numbers.
///
/// Records are packed, read and written whole; so this is what one point costs to read or to change,
/// and what an append writes again at most.
#[must_use]
pub const fn block_of(channels: usize) -> usize {
    let points = BLOCK_BYTES / (8 * (channels + 1));
    if points < 64 { 64 } else { 1 << points.ilog2() }
}

/// Puts records of one series.
struct Put<'a> {
    writer: &'a mut Writer,
    id: &'a Key,
    packing: Packing,
    space: Vec<u8>,
}

impl Put<'_> {
    fn points(&mut self, role: Role, first: u64, mark: u64, points: &Points<'_>) -> Result<()> {
        let part = if role == Role::Start {
            SeriesRef::start(mark, points.times(), points.channels())?
        } else {
            SeriesRef::continuation(first, mark, points.times(), points.channels())?
        };
        self.space.clear();
        let encoded = SeriesCodec.encode_with(&part, self.packing, &mut self.space)?;
        self.record(role, encoded.weight)
    }

    fn growth(&mut self, growth: &Growth) -> Result<()> {
        self.space.clear();
        let encoded = SeriesCodec.encode_growth(growth, &mut self.space)?;
        self.record(Role::Growth, encoded.weight)
    }

    /// Marks a start that was a series by itself: from now on it has an account.
    fn mark_start(&mut self, mark: u64) -> Result<Order> {
        let old = self.writer.get_key(self.id).map_err(of_series(self.id))?;
        self.space.clear();
        let encoded = SeriesCodec.encode_marked(&old, mark, &mut self.space);
        let encoded = encoded.map_err(of_series(self.id))?;
        self.record(Role::Start, encoded.weight)?;
        let start = super::series_view::Series::of_record(old).map_err(of_series(self.id))?;
        Ok(Order::default().with(start.times()))
    }

    fn record(&mut self, role: Role, weight: u32) -> Result<()> {
        let key = key(self.id, role);
        // The codec made the bytes just now.
        self.writer.put_with_row(Some(&key), &self.space, weight, None, Existing::Replace).map(drop)
    }

    fn delete(&mut self, role: Role) -> Result<()> {
        match self.writer.delete(key(self.id, role)) {
            Err(error) if matches!(error.root(), Error::NotFound { .. }) => Ok(()),
            done => done,
        }
    }
}

/// Whether times ascend, and the last of them.
#[derive(Clone, Copy)]
struct Order {
    sorted: bool,
    last: f64,
}

impl Default for Order {
    fn default() -> Self {
        Self { sorted: true, last: f64::NEG_INFINITY }
    }
}

impl Order {
    /// That of these times behind the others; times that count from 0 are not stored, and have none.
    fn with(self, times: Option<&[f64]>) -> Self {
        let Some(times) = times else { return Self { sorted: false, last: 0.0 } };
        let ascend = |sorted: bool, (a, b): (&f64, &f64)| sorted && a <= b;
        let before = std::iter::once(&self.last).chain(times);
        let sorted = before.zip(times).fold(self.sorted, ascend);
        Self { sorted, last: times.last().copied().unwrap_or(self.last) }
    }
}

/// A series that is being written, from its first point on or from its end on.
pub(super) struct Growing<'a> {
    put: Put<'a>,
    growth: Growth,
    /// Whether the account has changed.
    changed: bool,
}

impl<'a> Growing<'a> {
    /// Begins a new series with these points; what was under its id is gone. `more` says that others will
    /// follow.
    pub(super) fn begin(
        writer: &'a mut Writer,
        id: &'a Key,
        packing: Packing,
        points: &Points<'_>,
        more: bool,
    ) -> Result<Self> {
        remove(writer, id, false)?;
        let block = block_of(points.channels().len());
        let mut put = Put { writer, id, packing, space: Vec::new() };
        let start = points.part(0, block);
        let mark = if more || points.len() > block { new_mark() } else { 0 };
        put.points(Role::Start, 0, mark, &start)?;
        let order = Order::default().with(start.times());
        let growth = Growth {
            mark,
            sorted: order.sorted,
            last: order.last,
            channels: u32::try_from(points.channels().len()).unwrap_or(u32::MAX),
            times: points.times().is_some(),
            len: start.len() as u64,
            start: start.len() as u64,
            block: block as u64,
            ..Growth::default()
        };
        let mut growing = Self { put, growth, changed: mark != 0 };
        growing.push(&points.part(block, usize::MAX))?;
        Ok(growing)
    }

    /// Goes on behind the last point of a series.
    pub(super) fn resume(
        writer: &'a mut Writer,
        id: &'a Key,
        packing: Packing,
        entry: &KnownSeries,
    ) -> Result<Self> {
        let growth = match &entry.growth {
            Some(growth) => growth.clone(),
            None => {
                let (times, channels) = entry.shape(&*writer)?;
                Growth {
                    mark: 0,
                    channels: u32::try_from(channels).unwrap_or(u32::MAX),
                    times,
                    len: entry.start,
                    start: entry.start,
                    block: block_of(channels) as u64,
                    ..Growth::default()
                }
            }
        };
        let put = Put { writer, id, packing, space: Vec::new() };
        Ok(Self { put, growth, changed: false })
    }

    /// Refuses points that cannot follow those that are there.
    pub(super) fn fits(&self, points: &Points<'_>) -> Result<()> {
        let channels = points.channels().len();
        if channels != self.growth.channels as usize {
            let why = format!(
                "{} has {} channels, and what is appended has {channels}",
                self.put.id, self.growth.channels
            );
            return Err(Error::invalid("series", why));
        }
        if points.times().is_some() != self.growth.times {
            let (has, lacks) = ("has times", "has none: its times count from 0");
            let (old, new) = if self.growth.times { (has, lacks) } else { (lacks, has) };
            let why = format!("{} {old}, and what is appended {new}", self.put.id);
            return Err(Error::invalid("series", why));
        }
        Ok(())
    }

    /// Adds points behind the last one.
    ///
    /// The rule: a piece that is shorter than twice what comes behind it is merged with that, so that
    /// there are few of them and each point is written again at most once for each doubling; and as
    /// soon as they are a block together, they become one, which is never written again.
    pub(super) fn push(&mut self, points: &Points<'_>) -> Result<()> {
        if points.is_empty() {
            return Ok(());
        }
        if self.growth.mark == 0 {
            self.growth.mark = new_mark();
            let order = self.put.mark_start(self.growth.mark)?;
            (self.growth.sorted, self.growth.last) = (order.sorted, order.last);
        }
        let order = Order { sorted: self.growth.sorted, last: self.growth.last };
        let order = order.with(points.times());
        (self.growth.sorted, self.growth.last) = (order.sorted, order.last);
        let mark = self.growth.mark;
        let block = to_usize(self.growth.block).unwrap_or(usize::MAX);
        let tail: u64 = self.growth.pieces.iter().sum();
        let mut new = points.len() as u64;
        let mut keep = self.growth.pieces.len();
        let full = tail + new >= self.growth.block;
        while let Some(last) = keep.checked_sub(1).and_then(|n| self.growth.pieces.get(n)) {
            if !full && *last >= 2 * new {
                break;
            }
            new += last;
            keep -= 1;
        }
        let merged = (keep..self.growth.pieces.len()).map(|n| n as u64);
        let mut held = Owned::default();
        for number in merged.clone() {
            let record = self.put.writer.get_key(&key(self.put.id, Role::Piece(number)));
            let record = record.map_err(of_series(self.put.id))?;
            let piece =
                super::series_view::Series::of_record(record).map_err(of_series(self.put.id))?;
            if piece.mark() != mark {
                return Err(of_series(self.put.id)(cut(MIXED)));
            }
            held.extend(&piece.points()?);
        }
        let mut first = self.growth.len - (new - points.len() as u64);
        let whole;
        let mut rest = if held.channels.is_empty() {
            points.clone()
        } else {
            held.extend(points);
            whole = held;
            whole.points()?
        };
        while full && rest.len() >= block {
            self.put.points(Role::Block(self.growth.blocks), first, mark, &rest.part(0, block))?;
            self.growth.blocks += 1;
            first += self.growth.block;
            rest = rest.part(block, usize::MAX);
        }
        self.growth.pieces.truncate(keep);
        let mut dead = merged;
        if !rest.is_empty() {
            self.put.points(Role::Piece(keep as u64), first, mark, &rest)?;
            self.growth.pieces.push(rest.len() as u64);
            // Its number is that of the first piece in it.
            dead.next();
        }
        for number in dead {
            self.put.delete(Role::Piece(number))?;
        }
        self.growth.len += points.len() as u64;
        self.changed = true;
        Ok(())
    }

    /// Writes the account, if there is more than a start; the new length.
    pub(super) fn end(mut self) -> Result<u64> {
        if self.changed {
            self.put.growth(&self.growth)?;
        }
        Ok(self.growth.len)
    }
}

/// Deletes all records of a series; the start only if `whole`, as what is put replaces it. Whether
/// there was one.
pub(super) fn remove(writer: &mut Writer, id: &Key, whole: bool) -> Result<bool> {
    let entry = KnownSeries::find(writer, id);
    let entry = match entry {
        Ok(entry) => entry,
        // A damaged account must not keep a series from being replaced: its parts are then found by
        // their numbers.
        Err(error) if matches!(error.root(), Error::Codec { .. } | Error::Corrupt(_)) => None,
        Err(error) => return Err(error),
    };
    let there = writer.find_key(id)?.is_some();
    let mut put = Put { writer, id, packing: Packing::Plain, space: Vec::new() };
    let growth = entry.and_then(|e| e.growth).unwrap_or_default();
    let known = [growth.blocks, growth.pieces.len() as u64];
    for (role, known) in [Role::Block as fn(u64) -> Role, Role::Piece].into_iter().zip(known) {
        // Behind those that the account names may be some of another series, if two stores were merged.
        for number in 0.. {
            if number >= known && put.writer.find_key(&key(id, role(number)))?.is_none() {
                break;
            }
            put.delete(role(number))?;
        }
    }
    put.delete(Role::Growth)?;
    if whole {
        put.delete(Role::Start)?;
    }
    Ok(there)
}

/// Replaces values of a series from a position on: one list for each channel.
pub(super) fn set(
    writer: &mut Writer,
    id: &Key,
    packing: Packing,
    from: u64,
    values: &Points<'_>,
) -> Result<()> {
    let entry = series_read::entry(writer, id)?;
    let end = from.saturating_add(values.len() as u64);
    let (_, channels) = entry.shape(writer)?;
    if channels != values.channels().len() {
        let given = values.channels().len();
        let why = format!("the series {id} has {channels} channels, and {given} are given");
        return Err(Error::invalid("values", why));
    }
    if end > entry.len() {
        let why = format!(
            "the points {from} to {end} do not exist in the series {id}, which has {}",
            entry.len()
        );
        return Err(Error::invalid("position", why));
    }
    for part in entry.parts(from..end) {
        let old = series_read::points(writer, &entry, part.first..part.first + part.points)?;
        let mut new = Owned::default();
        new.extend(&old.points()?);
        drop(old);
        let begin = from.max(part.first);
        let stop = end.min(part.first + part.points);
        let place = |n: u64| to_usize(n).unwrap_or(usize::MAX);
        let given = values.part(place(begin - from), place(stop - from));
        for (channel, given) in new.channels.iter_mut().zip(given.channels()) {
            let at = place(begin - part.first);
            if let Some(place) = channel.get_mut(at..at + given.len()) {
                place.copy_from_slice(given);
            }
        }
        let mut put = Put { writer: &mut *writer, id, packing, space: Vec::new() };
        put.points(part.role, part.first, entry.mark(), &new.points()?)?;
    }
    // A new account, so that who keeps the series sees that it is another one.
    if let Some(growth) = &entry.growth {
        Put { writer, id, packing, space: Vec::new() }.growth(growth)?;
    }
    Ok(())
}
