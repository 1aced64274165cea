//! Chains of operations on series, evaluated for a range of positions at a time.

use super::op::{Binary, Unary};
use crate::error::{Error, Result};
use crate::series::series_view::Series;
use crate::series::stored::{SeriesValues, Stored};
use crate::wire::to_usize;
use std::ops::Range;
use std::sync::Arc;

/// Points that are evaluated at a time: that many numbers of each operand are in memory.
pub const BLOCK: u64 = 1 << 14;

/// Deepest chain: it is evaluated by a function that calls itself.
const DEPTH: u32 = 1000;

/// A series that is computed when it is asked for. Cheap to clone.
///
/// Each value depends on the values at its position alone, so that any range can be evaluated by itself.
///
/// ```
/// use vlstore::series::lazy::{Binary, Expr, summary};
/// use vlstore::series::{Points, SeriesOptions, SeriesStore};
/// use vlstore::{Existing, Key};
///
/// let mut store = SeriesStore::in_memory(SeriesOptions::default())?;
/// let points = Points::new(None, vec![&[1.0, 2.0, 6.0]])?;
/// store.store(&Key::from("x"), &points, Existing::Refuse)?;
/// let x = Expr::stored(store.values(&Key::from("x"))?);
/// let centred = x.with_number(Binary::Subtract, summary(&x)?[0].mean)?;
/// assert_eq!(centred.read(0..3)?.channels[0], [-2.0, -1.0, 3.0]);
/// # Ok::<(), vlstore::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Expr {
    node: Arc<Node>,
    len: u64,
    channels: usize,
    times: bool,
    depth: u32,
}

#[derive(Debug)]
enum Node {
    Stored(SeriesValues),
    Held(Series),
    Each(Unary, Expr),
    Number { op: Binary, of: Expr, number: f64, first: bool },
    Pair(Binary, Expr, Expr),
    Slice(Expr, u64),
}

impl Expr {
    /// A stored series.
    #[must_use]
    pub fn stored(values: SeriesValues) -> Self {
        let (len, channels, times) = (values.len(), values.channels(), values.has_times());
        Self { node: Arc::new(Node::Stored(values)), len, channels, times, depth: 0 }
    }

    /// A series in memory.
    #[must_use]
    pub fn held(series: Series) -> Self {
        let (len, channels) = (series.len() as u64, series.channels());
        let times = series.times().is_some() || series.first() != 0;
        Self { node: Arc::new(Node::Held(series)), len, channels, times, depth: 0 }
    }

    fn over(&self, node: Node, channels: usize, depth: u32) -> Result<Self> {
        if depth > DEPTH {
            let why = "has more than 1000 operations in a row; store the result in between";
            return Err(Error::invalid("chain", why));
        }
        Ok(Self { node: Arc::new(node), channels, depth, ..*self })
    }

    /// The operation on each value.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a chain of more than 1000 operations.
    pub fn each(&self, op: Unary) -> Result<Self> {
        self.over(Node::Each(op, self.clone()), self.channels, self.depth + 1)
    }

    /// The operation with each value and a number.
    ///
    /// # Errors
    /// As [`each`](Self::each).
    pub fn with_number(&self, op: Binary, number: f64) -> Result<Self> {
        let node = Node::Number { op, of: self.clone(), number, first: false };
        self.over(node, self.channels, self.depth + 1)
    }

    /// The operation with a number and each value.
    ///
    /// # Errors
    /// As [`each`](Self::each).
    pub fn after_number(&self, number: f64, op: Binary) -> Result<Self> {
        let node = Node::Number { op, of: self.clone(), number, first: true };
        self.over(node, self.channels, self.depth + 1)
    }

    /// The operation with the values of another series at the same times. A series of one channel goes
    /// with each channel of the other.
    ///
    /// # Errors
    /// [`Error::Invalid`] if lengths or channels do not fit; as [`each`](Self::each). Times that differ
    /// are found when the values are asked for.
    pub fn with(&self, op: Binary, other: &Self) -> Result<Self> {
        if self.len != other.len {
            let why = format!("one has {} points and the other {}", self.len, other.len);
            return Err(Error::invalid("series", why));
        }
        if self.channels != other.channels && self.channels != 1 && other.channels != 1 {
            let why =
                format!("one has {} channels and the other {}", self.channels, other.channels);
            return Err(Error::invalid("series", why));
        }
        let channels = self.channels.max(other.channels);
        let depth = self.depth.max(other.depth) + 1;
        let mut out = self.over(Node::Pair(op, self.clone(), other.clone()), channels, depth)?;
        out.times |= other.times;
        Ok(out)
    }

    /// The points at `range`, as far as there are some.
    ///
    /// # Errors
    /// As [`each`](Self::each).
    pub fn slice(&self, range: Range<u64>) -> Result<Self> {
        let end = range.end.min(self.len);
        let start = range.start.min(end);
        let depth = self.depth + 1;
        let mut out = self.over(Node::Slice(self.clone(), start), self.channels, depth)?;
        out.len = end - start;
        // Times that count from 0 count from somewhere else here.
        out.times |= start > 0;
        Ok(out)
    }

    /// Number of points.
    #[must_use]
    pub const fn len(&self) -> u64 {
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

    /// Whether its times are other than its positions.
    #[must_use]
    pub const fn has_times(&self) -> bool {
        self.times
    }

    /// The points at `range`, as far as there are some.
    ///
    /// # Errors
    /// [`Error::Invalid`] that names the position where the times of two operands differ; as
    /// [`SeriesValues::read`].
    pub fn read(&self, range: Range<u64>) -> Result<Stored> {
        let end = range.end.min(self.len);
        let range = range.start.min(end)..end;
        let mut out = self.evaluate(range.clone())?;
        if self.times && out.times.is_none() {
            out.times = Some(counted(&range, 0));
        }
        Ok(out)
    }

    /// The points block by block, from the position `from` on.
    pub fn blocks(&self, from: u64) -> impl Iterator<Item = Result<Stored>> {
        let len = self.len;
        let starts = (0..).map(move |n: u64| from + n * BLOCK).take_while(move |at| *at < len);
        starts.map(move |at| self.read(at..at + BLOCK))
    }

    fn evaluate(&self, range: Range<u64>) -> Result<Stored> {
        match &*self.node {
            Node::Stored(values) => Ok(copied(&values.read(range)?)),
            Node::Held(series) => {
                let at = |n: u64| to_usize(n).unwrap_or(usize::MAX);
                let part = series.slice(at(range.start)..at(range.end));
                let mut out = copied(&part);
                if out.times.is_none() && series.first() != 0 {
                    out.times = Some(counted(&range, series.first()));
                }
                Ok(out)
            }
            Node::Each(op, of) => Ok(mapped(of.evaluate(range)?, |x| op.of(x))),
            Node::Number { op, of, number, first } => {
                let of = of.evaluate(range)?;
                Ok(if *first {
                    mapped(of, |x| op.of(*number, x))
                } else {
                    mapped(of, |x| op.of(x, *number))
                })
            }
            Node::Pair(op, a, b) => {
                let (a, b) = (a.evaluate(range.clone())?, b.evaluate(range.clone())?);
                paired(*op, a, b, &range)
            }
            Node::Slice(of, start) => {
                let inner = range.start + start..range.end + start;
                let mut out = of.evaluate(inner.clone())?;
                if out.times.is_none() && *start > 0 {
                    out.times = Some(counted(&inner, 0));
                }
                Ok(out)
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "positions below 2^53 are exact")]
fn counted(range: &Range<u64>, from: u64) -> Vec<f64> {
    range.clone().map(|n| (from + n) as f64).collect()
}

fn copied(series: &Series) -> Stored {
    Stored {
        times: series.times().map(<[f64]>::to_vec),
        channels: (0..series.channels()).map(|c| series.channel(c).to_vec()).collect(),
    }
}

fn mapped(mut of: Stored, f: impl Fn(f64) -> f64) -> Stored {
    of.channels.iter_mut().flatten().for_each(|x| *x = f(*x));
    of
}

fn paired(op: Binary, a: Stored, b: Stored, range: &Range<u64>) -> Result<Stored> {
    let times = match (a.times, b.times) {
        (None, None) => None,
        (Some(a), b) => {
            let b = b.unwrap_or_else(|| counted(range, 0));
            same(&a, &b, range.start)?;
            Some(a)
        }
        (None, Some(b)) => {
            same(&counted(range, 0), &b, range.start)?;
            Some(b)
        }
    };
    let count = a.channels.len().max(b.channels.len());
    let one = |channels: &[Vec<f64>], n: usize| {
        channels
            .get(if channels.len() == 1 { 0 } else { n })
            .map(Vec::as_slice)
            .unwrap_or_default()
            .to_vec()
    };
    let channels = (0..count).map(|n| {
        let mut out = one(&a.channels, n);
        let other = one(&b.channels, n);
        out.iter_mut().zip(&other).for_each(|(x, y)| *x = op.of(*x, *y));
        out
    });
    Ok(Stored { times, channels: channels.collect() })
}

/// Refuses times that differ; NaN is like NaN.
fn same(a: &[f64], b: &[f64], first: u64) -> Result<()> {
    let differ = |(a, b): (&f64, &f64)| a != b && !(a.is_nan() && b.is_nan());
    match a.iter().zip(b).position(differ) {
        None => Ok(()),
        Some(at) => {
            let (a, b) = (a.get(at).copied(), b.get(at).copied());
            let why = format!(
                "the times differ at position {}: {:?} and {:?}; bring both series to the same times \
                 first (interpolate, resample)",
                first + at as u64,
                a.unwrap_or(f64::NAN),
                b.unwrap_or(f64::NAN)
            );
            Err(Error::invalid("series", why))
        }
    }
}
