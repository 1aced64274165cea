//! A part of a series: what is encoded, what is viewed, and the head that both begin with.

use super::growth::Growth;
use super::magic::{CHANNELS, MAGIC, NAME, VERSION, bad};
use crate::codec::Encoded;
use crate::codec::slices::numbers_in;
use crate::wire::{Cursor, to_usize};
use crate::{Error, Result};

/// What a record is of its series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeriesPart {
    /// The first points.
    Start,
    /// Later points.
    Continuation,
    /// No points: the account of the parts behind the start.
    Growth,
}

impl SeriesPart {
    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Continuation => "continuation",
            Self::Growth => "growth",
        }
    }

    const ALL: [Self; 3] = [Self::Start, Self::Continuation, Self::Growth];
}

/// A part of a series to encode: some points of it.
#[derive(Debug, Clone, Copy)]
pub struct SeriesRef<'a> {
    part: SeriesPart,
    first: u64,
    mark: u64,
    times: Option<&'a [f64]>,
    channels: &'a [&'a [f64]],
}

impl<'a> SeriesRef<'a> {
    /// The start of a series: values of each channel, and their times unless these count from 0.
    ///
    /// `mark` is 0 if the series is this record alone; else it is the mark that all records of the
    /// series have.
    ///
    /// # Errors
    /// [`Error::Codec`] if there is no channel, or the lengths differ.
    pub fn start(mark: u64, times: Option<&'a [f64]>, channels: &'a [&'a [f64]]) -> Result<Self> {
        Self::new(SeriesPart::Start, 0, mark, times, channels)
    }

    /// Points of a series from the position `first` on; `mark` is that of the series, not 0.
    ///
    /// # Errors
    /// As [`SeriesRef::start`]; [`Error::Codec`] without a mark.
    pub fn continuation(
        first: u64,
        mark: u64,
        times: Option<&'a [f64]>,
        channels: &'a [&'a [f64]],
    ) -> Result<Self> {
        if mark == 0 {
            return Err(Error::codec(
                NAME,
                "later points of a series have its mark, which is not 0",
            ));
        }
        Self::new(SeriesPart::Continuation, first, mark, times, channels)
    }

    fn new(
        part: SeriesPart,
        first: u64,
        mark: u64,
        times: Option<&'a [f64]>,
        channels: &'a [&'a [f64]],
    ) -> Result<Self> {
        let Some(one) = channels.first() else {
            return Err(Error::codec(NAME, "a series has at least one channel"));
        };
        let differs = channels.iter().any(|c| c.len() != one.len());
        if differs || times.is_some_and(|t| t.len() != one.len()) {
            let times = times.map_or(one.len(), <[f64]>::len);
            let why = format!("there are {times} times and {} values", one.len());
            return Err(Error::codec(NAME, why));
        }
        if channels.len() > CHANNELS as usize {
            let (asked, max) = (channels.len() as u64, CHANNELS.into());
            return Err(Error::Limit { what: "number of channels", asked, max });
        }
        Ok(Self { part, first, mark, times, channels })
    }

    /// Number of points.
    #[must_use]
    pub fn points(&self) -> u64 {
        self.channels.first().map_or(0, |c| c.len() as u64)
    }

    /// The times; `None` if they count from 0.
    #[must_use]
    pub const fn times(&self) -> Option<&'a [f64]> {
        self.times
    }

    /// The values of each channel.
    #[must_use]
    pub const fn channels(&self) -> &'a [&'a [f64]] {
        self.channels
    }
}

/// A part of a series in the bytes of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesView<'a> {
    head: Head,
    /// Times if there are some, then channel by channel.
    numbers: &'a [f64],
    growth: Option<Growth>,
}

impl<'a> SeriesView<'a> {
    pub(super) fn new(head: Head, body: &'a [u8]) -> Result<Self> {
        if head.part == SeriesPart::Growth {
            let (words, rest) = body.as_chunks::<8>();
            let words: Vec<u64> = words.iter().map(|w| u64::from_le_bytes(*w)).collect();
            let known = Growth {
                mark: head.mark,
                channels: head.channels,
                times: head.times,
                sorted: head.sorted,
                len: head.points,
                start: head.first,
                ..Growth::default()
            };
            let growth = known
                .with_words(&words)
                .filter(|_| rest.is_empty())
                .ok_or_else(|| bad("its account contradicts itself"))?;
            return Ok(Self { head, numbers: &[], growth: Some(growth) });
        }
        if body.len() != head.plain_len()? {
            return Err(bad("it has not as many bytes as its points take"));
        }
        let numbers = numbers_in(NAME, "the series", body)?;
        Ok(Self { head, numbers, growth: None })
    }

    /// What the record is.
    #[must_use]
    pub const fn part(&self) -> SeriesPart {
        self.head.part
    }

    /// The position of the first point in the series; of a growth, the length of the start.
    #[must_use]
    pub const fn first(&self) -> u64 {
        self.head.first
    }

    /// Number of points; of a growth, of the whole series.
    #[must_use]
    pub const fn points(&self) -> u64 {
        self.head.points
    }

    /// The mark that all records of the series have; 0 if this one is all of it.
    #[must_use]
    pub const fn mark(&self) -> u64 {
        self.head.mark
    }

    /// Number of channels.
    #[must_use]
    pub const fn channels(&self) -> usize {
        self.head.channels as usize
    }

    /// Whether the series has times of its own.
    #[must_use]
    pub const fn has_times(&self) -> bool {
        self.head.times
    }

    /// The times; `None` if they count from 0.
    #[must_use]
    pub fn times(&self) -> Option<&'a [f64]> {
        let n = self.head.points_len().ok()?;
        self.numbers.get(..n).filter(|_| self.head.times && self.growth.is_none())
    }

    /// The values, one channel after the other.
    #[must_use]
    pub fn values(&self) -> &'a [f64] {
        let skip = if self.head.times { self.head.points_len().unwrap_or(0) } else { 0 };
        self.numbers.get(skip..).unwrap_or_default()
    }

    /// The values of one channel.
    #[must_use]
    pub fn channel(&self, channel: usize) -> Option<&'a [f64]> {
        let n = self.head.points_len().ok()?;
        let at = channel.checked_mul(n)?;
        self.values().get(at..at.checked_add(n)?).filter(|_| channel < self.channels())
    }

    pub(super) fn weight(&self) -> Encoded {
        self.head.weight()
    }

    /// The account, if it is one.
    #[must_use]
    pub const fn growth(&self) -> Option<&Growth> {
        self.growth.as_ref()
    }
}

/// What a record says of itself before its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesHead {
    /// What the record is.
    pub part: SeriesPart,
    /// Whether the series has times of its own.
    pub times: bool,
    /// Number of channels.
    pub channels: u32,
    /// Number of points; of a growth, of the whole series.
    pub points: u64,
    /// The mark that all records of the series have; 0 if this one is all of it.
    pub mark: u64,
}

impl SeriesHead {
    /// Bytes from which a head is read.
    pub const LEN: usize = Head::LEN;
}

/// The first bytes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    part: SeriesPart,
    times: bool,
    packed: bool,
    sorted: bool,
    channels: u32,
    first: u64,
    points: u64,
    mark: u64,
}

const TIMES: u8 = 1;
const PACKED: u8 = 2;
const SORTED: u8 = 4;

impl Head {
    pub(super) const LEN: usize = 32;

    pub(super) fn of(item: &SeriesRef<'_>, packed: bool) -> Self {
        Self {
            part: item.part,
            times: item.times.is_some(),
            packed,
            sorted: false,
            channels: u32::try_from(item.channels.len()).unwrap_or(u32::MAX),
            first: item.first,
            points: item.points(),
            mark: item.mark,
        }
    }

    pub(super) const fn of_growth(growth: &Growth) -> Self {
        Self {
            part: SeriesPart::Growth,
            times: growth.times,
            packed: false,
            sorted: growth.sorted,
            channels: growth.channels,
            first: growth.start,
            points: growth.len,
            mark: growth.mark,
        }
    }

    pub(super) fn write(self, out: &mut Vec<u8>) {
        let part = match self.part {
            SeriesPart::Start => 0,
            SeriesPart::Continuation => 1,
            SeriesPart::Growth => 2,
        };
        let flag = |set, flag| if set { flag } else { 0 };
        let flags = flag(self.times, TIMES) | flag(self.packed, PACKED) | flag(self.sorted, SORTED);
        out.extend_from_slice(&[MAGIC, VERSION, part, flags]);
        out.extend_from_slice(&self.channels.to_le_bytes());
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&self.points.to_le_bytes());
        out.extend_from_slice(&self.mark.to_le_bytes());
    }

    pub(super) fn read(bytes: &[u8]) -> Result<(Self, &[u8])> {
        let cut = || bad("its header is incomplete");
        let mut from = Cursor::new(bytes);
        let [magic, version, part, flags]: [u8; 4] = from.array().ok_or_else(cut)?;
        if magic != MAGIC {
            return Err(bad("it does not begin with the right bytes"));
        }
        if version != VERSION {
            return Err(Error::Unsupported {
                what: "series record version",
                found: version.into(),
                newest: VERSION.into(),
            });
        }
        let part =
            *SeriesPart::ALL.get(usize::from(part)).ok_or_else(|| bad("its part is not known"))?;
        let channels = from.u32_le().ok_or_else(cut)?;
        let first = from.u64_le().ok_or_else(cut)?;
        let points = from.u64_le().ok_or_else(cut)?;
        let mark = from.u64_le().ok_or_else(cut)?;
        let [times, packed, sorted] = [TIMES, PACKED, SORTED].map(|flag| flags & flag != 0);
        let growth = part == SeriesPart::Growth;
        let known = flags & !(TIMES | PACKED | SORTED) == 0;
        if !known || (growth && packed) || (sorted && !(growth && times)) {
            return Err(bad("its flags are not known"));
        }
        let fits = if part == SeriesPart::Start { first == 0 } else { mark != 0 };
        if !(1..=CHANNELS).contains(&channels) || !fits {
            return Err(bad("its numbers do not fit its part"));
        }
        let head = Self { part, times, packed, sorted, channels, first, points, mark };
        Ok((head, from.take(from.remaining()).unwrap_or_default()))
    }

    pub(super) const fn public(self) -> SeriesHead {
        let Self { part, times, channels, points, mark, .. } = self;
        SeriesHead { part, times, channels, points, mark }
    }

    /// What the record weighs: its points. The start of a grown series weighs the most that there is, so that
    /// the index alone tells that its length stands in the account.
    pub(super) fn weight(self) -> Encoded {
        let grown = self.part == SeriesPart::Start && self.mark != 0;
        let points = if grown { u64::MAX } else { self.points };
        Encoded { weight: u32::try_from(points).unwrap_or(u32::MAX) }
    }

    pub(super) const fn is_packed(self) -> bool {
        self.packed
    }

    pub(super) const fn expanded(self) -> Self {
        Self { packed: false, ..self }
    }

    pub(super) const fn marked(self, mark: u64) -> Self {
        Self { mark, ..self }
    }

    /// Number of arrays.
    pub(super) const fn arrays(self) -> usize {
        self.channels as usize + self.times as usize
    }

    pub(super) fn points_len(self) -> Result<usize> {
        to_usize(self.points).ok_or_else(|| bad("it has more points than memory"))
    }

    /// Bytes of the arrays, unpacked.
    pub(super) fn plain_len(self) -> Result<usize> {
        let one = self.points_len()?.checked_mul(8);
        one.and_then(|n| n.checked_mul(self.arrays()))
            .ok_or_else(|| bad("it has more points than memory"))
    }
}
