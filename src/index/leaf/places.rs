//! One group of places: where each record starts, how long it is, its weight, and whether it
//! was put with a row.

use super::bits::{self, Bits, Field, below, bitmap};
use super::{Defect, GROUP, STRETCH, WORD};
use crate::index::layout::RecordEntry;
use crate::wire::memory;
use std::ops::{Deref, Range};

/// Where a record lies in the logical byte space, and what else the index says of it but its
/// key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// First byte.
    pub start: u64,
    /// Length in bytes.
    pub len: u32,
    /// What the codec counted, 0 where it counts nothing.
    pub weight: u32,
    /// Whether the record was put with a row.
    pub has_row: bool,
}

impl From<&RecordEntry> for Place {
    fn from(e: &RecordEntry) -> Self {
        let (start, len, weight) = (e.start.get(), e.len.get(), e.weight.get());
        Self { start, len, weight, has_row: e.has_row() }
    }
}

/// Bytes in front of the packed numbers of a group.
pub(super) const HEAD: usize = 24;

/// Starts stand there one by one, not as what follows from the lengths.
const RAW: u8 = 1;
/// Each record begins at a multiple of 8 behind the one before.
const PADDED: u8 = 2;
/// Some records begin later than that.
const GAPS: u8 = 4;
/// Every record has a row.
const ROWS: u8 = 8;
/// A bitmap says which records have a row.
const SOME_ROWS: u8 = 16;
const FLAGS: u8 = RAW | PADDED | GAPS | ROWS | SOME_ROWS;

/// The records that begin a stretch, which have no gap.
const FIRSTS: u128 = 1 | 1 << STRETCH | 1 << (2 * STRETCH) | 1 << (3 * STRETCH);

const fn padded(len: u64, flag: bool) -> u64 {
    if flag { len.next_multiple_of(8) } else { len }
}

/// Stretches behind the first among `n` records.
const fn stretches(n: usize) -> usize {
    n.div_ceil(STRETCH).saturating_sub(1)
}

/// How far each record but the first of a stretch starts behind the end of the one before;
/// nothing if one starts before that.
fn gaps(places: &[Place], pad: bool) -> Option<Vec<u64>> {
    let mut out = Vec::new();
    for stretch in places.chunks(STRETCH) {
        out.push(0);
        for pair in stretch.windows(2) {
            if let [a, b] = pair {
                let end = a.start.checked_add(padded(a.len.into(), pad))?;
                out.push(b.start.checked_sub(end)?);
            }
        }
    }
    Some(out)
}

/// Bits for the gaps of a group of `n` records.
fn cost(gaps: &[u64]) -> usize {
    let count = gaps.iter().filter(|g| **g > 0).count();
    let widest = gaps.iter().copied().max().unwrap_or(0);
    if count == 0 { 0 } else { gaps.len() + count * bits::width(widest) as usize }
}

/// Least and width of what is above it.
fn frame(values: impl Iterator<Item = u32> + Clone) -> (u32, u32) {
    let least = values.clone().min().unwrap_or(0);
    (least, bits::width(u64::from(values.max().unwrap_or(0) - least)))
}

/// Appends a group of up to [`GROUP`] places, a multiple of [`WORD`] bytes.
pub(super) fn encode(places: &[Place], out: &mut Vec<u8>) {
    let base = places.first().map_or(0, |p| p.start);
    let ways = [false, true].map(|pad| gaps(places, pad).map(|gaps| (pad, gaps)));
    let way = ways.into_iter().flatten().min_by_key(|(_, gaps)| cost(gaps));
    let firsts: Option<Vec<u64>> =
        places.chunks(STRETCH).skip(1).map(|s| s.first()?.start.checked_sub(base)).collect();
    let way = way.zip(firsts);
    let (len_min, len_bits) = frame(places.iter().map(|p| p.len));
    let (weight_min, weight_bits) = frame(places.iter().map(|p| p.weight));
    let with_row = places.iter().filter(|p| p.has_row).count();
    let mut flags = match with_row {
        0 => 0,
        all if all == places.len() => ROWS,
        _ => SOME_ROWS,
    };
    let widest = |values: &[u64]| bits::width(values.iter().copied().max().unwrap_or(0));
    let least = places.iter().map(|p| p.start).min().unwrap_or(0);
    let (mut gap_bits, starts, base) = match &way {
        Some(((pad, _), firsts)) => {
            flags |= if *pad { PADDED } else { 0 };
            (0, firsts.clone(), base)
        }
        None => {
            flags |= RAW;
            (0, places.iter().map(|p| p.start - least).collect(), least)
        }
    };
    let shown = way.map(|((_, gaps), _)| gaps).filter(|gaps| cost(gaps) > 0);
    if let Some(gaps) = &shown {
        flags |= GAPS;
        gap_bits = widest(gaps);
    }
    let start_bits = widest(&starts);
    let byte = |width: u32| u8::try_from(width).unwrap_or(u8::MAX);
    out.extend([flags, byte(len_bits), byte(weight_bits), byte(gap_bits), byte(start_bits)]);
    out.extend([0; 3]);
    out.extend(base.to_le_bytes());
    out.extend(len_min.to_le_bytes());
    out.extend(weight_min.to_le_bytes());
    bits::put(out, start_bits, starts);
    bits::put(out, len_bits, places.iter().map(|p| u64::from(p.len - len_min)));
    if let Some(gaps) = &shown {
        bits::put(out, 1, gaps.iter().map(|g| u64::from(*g > 0)));
        bits::put(out, gap_bits, gaps.iter().copied().filter(|g| *g > 0));
    }
    bits::put(out, weight_bits, places.iter().map(|p| u64::from(p.weight - weight_min)));
    if flags & SOME_ROWS != 0 {
        bits::put(out, 1, places.iter().map(|p| u64::from(p.has_row)));
    }
    out.resize(out.len().next_multiple_of(WORD), 0);
}

/// A group: what stands in front of it, parsed, and its bytes.
#[derive(Debug)]
pub(super) struct Places<B> {
    bytes: B,
    gap_at: u128,
    rows: u128,
    base: u64,
    len_min: u32,
    weight_min: u32,
    starts: Field,
    lens: Field,
    gaps: Field,
    weights: Field,
    n: usize,
    flags: u8,
}

const NO_FIT: Defect = "a group of places is not as long as it says";
const NO_PLACE: Defect = "a place or a length overflows";

impl<B: Deref<Target = [u8]>> Places<B> {
    /// The group of `n` records in `bytes`, all of them.
    pub(super) fn parse(bytes: B, n: usize) -> Result<Self, Defect> {
        Self::parsed(bytes, n).ok_or(NO_FIT)
    }

    #[inline]
    fn parsed(all: B, n: usize) -> Option<Self> {
        let bytes: &[u8] = &all;
        let head: &[u8; HEAD] = bytes.first_chunk()?;
        let [flags, len_bits, weight_bits, gap_bits, start_bits, r0, r1, r2, head @ ..] = *head;
        let [b0, b1, b2, b3, b4, b5, b6, b7, l0, l1, l2, l3, w0, w1, w2, w3] = head;
        let raw = flags & RAW != 0;
        // What means nothing must not be there: it might mean something one day.
        let known = flags & !FLAGS == 0
            && (!raw || flags & (PADDED | GAPS) == 0)
            && flags & (ROWS | SOME_ROWS) != ROWS | SOME_ROWS
            && [r0, r1, r2] == [0; 3]
            && (flags & GAPS != 0 || gap_bits == 0);
        let fit = (1..=GROUP).contains(&n) && len_bits <= 32 && weight_bits <= 32;
        (known && fit).then_some(())?;
        let stated = if raw { n } else { stretches(n) };
        let (starts, at) = Field::split(bytes, HEAD, stated, start_bits.into())?;
        let (lens, at) = Field::split(bytes, at, n, len_bits.into())?;
        let (gap_at, at) = if flags & GAPS != 0 { bitmap(bytes, at, n)? } else { (0, at) };
        (gap_at & FIRSTS == 0 && (gap_at != 0) == (flags & GAPS != 0)).then_some(())?;
        let (gaps, at) = Field::split(bytes, at, gap_at.count_ones() as usize, gap_bits.into())?;
        let (weights, at) = Field::split(bytes, at, n, weight_bits.into())?;
        let (rows, at) = match flags & (ROWS | SOME_ROWS) {
            SOME_ROWS => bitmap(bytes, at, n)?,
            ROWS => (below(n), at),
            _ => (0, at),
        };
        // Zeros up to the next word, and nothing more.
        let rest = bytes.get(at..)?;
        (rest.len() < WORD && rest.iter().all(|b| *b == 0)).then_some(())?;
        Some(Self {
            gap_at,
            rows,
            base: u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]),
            len_min: u32::from_le_bytes([l0, l1, l2, l3]),
            weight_min: u32::from_le_bytes([w0, w1, w2, w3]),
            starts,
            lens,
            gaps,
            weights,
            n,
            flags,
            bytes: all,
        })
    }

    /// The record at position `i` of the group.
    #[inline]
    pub(super) fn get(&self, i: usize) -> Result<Place, Defect> {
        if i >= self.n {
            return Err(NO_FIT);
        }
        self.start(i).and_then(|start| self.place(i, start)).ok_or(NO_PLACE)
    }

    fn start(&self, i: usize) -> Option<u64> {
        if self.flags & RAW != 0 {
            return self.base.checked_add(self.starts.of(&self.bytes).get(i)?);
        }
        let stretch = i / STRETCH;
        self.from(stretch * STRETCH, self.first(stretch)?, i)
    }

    /// Where record `i` begins, if record `first` of its stretch begins at `start`.
    #[inline]
    fn from(&self, first: usize, start: u64, i: usize) -> Option<u64> {
        let pad = self.flags & PADDED != 0;
        let least = u64::from(self.len_min);
        // 32 lengths of 32 bits and some pads: no sum of them overflows.
        let lens = self.lens.of(&self.bytes).sum(first..i, |len| padded(least + len, pad))?;
        let mut start = start.checked_add(lens)?;
        if self.gap_at != 0 {
            let before = |i: usize| (self.gap_at & below(i)).count_ones() as usize;
            let here = self.gap_at >> first & (below(i - first) << 1);
            if here != 0 {
                let rank = before(first + 1);
                for j in rank..rank + here.count_ones() as usize {
                    start = start.checked_add(self.gaps.of(&self.bytes).get(j)?)?;
                }
            }
        }
        Some(start)
    }

    /// Where a stretch begins.
    fn first(&self, stretch: usize) -> Option<u64> {
        match stretch.checked_sub(1) {
            None => Some(self.base),
            Some(i) => self.base.checked_add(self.starts.of(&self.bytes).get(i)?),
        }
    }

    #[inline]
    fn place(&self, i: usize, start: u64) -> Option<Place> {
        let above =
            |least: u32, packed: Bits<'_>| least.checked_add(u32::try_from(packed.get(i)?).ok()?);
        Some(Place {
            start,
            len: above(self.len_min, self.lens.of(&self.bytes))?,
            weight: above(self.weight_min, self.weights.of(&self.bytes))?,
            has_row: self.rows >> i & 1 == 1,
        })
    }

    /// Appends the records at `positions` to `out`, each at the cost of its own.
    pub(super) fn list(&self, positions: Range<usize>, out: &mut Vec<Place>) -> Result<(), Defect> {
        if positions.end > self.n {
            return Err(NO_FIT);
        }
        self.listed(positions, out).ok_or(NO_PLACE)
    }

    /// One kind of number after the other, each as many at a look as there are in it.
    fn listed(&self, positions: Range<usize>, out: &mut Vec<Place>) -> Option<()> {
        let before = out.len();
        let above = |least: u32, packed: u64| u32::try_from(u64::from(least) + packed).ok();
        let mut fits = true;
        self.lens.of(&self.bytes).each(positions.clone(), |packed| {
            let len = above(self.len_min, packed);
            fits &= len.is_some();
            out.push(Place { len: len.unwrap_or_default(), ..Place::default() });
        })?;
        let mut places = out.iter_mut().skip(before);
        self.weights.of(&self.bytes).each(positions.clone(), |packed| {
            let weight = above(self.weight_min, packed);
            fits &= weight.is_some();
            if let Some(place) = places.next() {
                place.weight = weight.unwrap_or_default();
            }
        })?;
        let (raw, pad) = (self.flags & RAW != 0, self.flags & PADDED != 0);
        let mut gap = (self.gap_at & below(positions.start + 1)).count_ones() as usize;
        let mut next = Some(self.start(positions.start)?).filter(|_| !positions.is_empty());
        for (i, place) in positions.clone().zip(out.iter_mut().skip(before)) {
            if i > positions.start {
                if raw {
                    next = self.start(i);
                } else if i.is_multiple_of(STRETCH) {
                    next = self.first(i / STRETCH);
                } else if self.gap_at >> i & 1 == 1 {
                    gap += 1;
                    next = u64::checked_add(next?, self.gaps.of(&self.bytes).get(gap - 1)?);
                }
            }
            place.start = next?;
            place.has_row = self.rows >> i & 1 == 1;
            next = place.start.checked_add(padded(place.len.into(), pad));
        }
        fits.then_some(())
    }
}

/// Records between two places of a kept group that stand there themselves.
const MARK: usize = 8;

/// A group of places that is kept: parsed and checked once, for who comes back.
#[derive(Debug)]
pub struct KeptPlaces {
    places: Places<Box<[u8]>>,
    /// Where every [`MARK`]th record begins, behind the base of the group.
    marks: [u32; GROUP / MARK],
}

impl KeptPlaces {
    /// The group of `n` records in `bytes`; nothing if it cannot be kept, or says what cannot be.
    pub(super) fn new(bytes: &[u8], n: usize) -> Option<Self> {
        let mut own = memory::with_room(bytes.len()).ok()?;
        own.extend_from_slice(bytes);
        let places = Places::parse(own.into_boxed_slice(), n).ok()?;
        let mut list = Vec::new();
        places.list(0..n, &mut list).ok()?;
        let mut marks = [0; GROUP / MARK];
        // Starts that stand there one by one need no marks.
        if places.flags & RAW == 0 {
            for (mark, place) in marks.iter_mut().zip(list.iter().step_by(MARK)) {
                *mark = u32::try_from(place.start.checked_sub(places.base)?).ok()?;
            }
        }
        Some(Self { places, marks })
    }

    /// Bytes of memory that it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.places.bytes.len()
    }

    /// The record at position `i` of the group, if there is one.
    #[inline]
    #[must_use]
    pub fn get(&self, i: usize) -> Option<Place> {
        let places = &self.places;
        if i >= places.n {
            return None;
        }
        let start = if places.flags & RAW != 0 {
            places.start(i)?
        } else {
            let mark = self.marks.get(i / MARK)?;
            places.from(i / MARK * MARK, places.base.checked_add((*mark).into())?, i)?
        };
        places.place(i, start)
    }
}

/// Fewest words that so many records can be packed into.
#[must_use]
pub const fn least_words(records: u64) -> u64 {
    let groups = records.div_ceil(GROUP as u64);
    if groups == 0 { 0 } else { groups + 1 + groups * (HEAD / WORD) as u64 }
}
