//! Aggregates of windows of a series, in one pass over it.

use super::aggregate::Summary;
use super::expr::Expr;
use super::percentile::{self, of_values, percentiles};
use crate::error::{Error, Result};
use std::ops::Range;

/// Values of one window up to which they are gathered for its percentiles; a longer window is read
/// again for them.
const GATHERED: usize = 2 << 20;

/// Which points make a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Windows {
    /// So many points each; the last may have fewer.
    Points(u64),
    /// Points with times from `origin + n * width` to before `origin + (n + 1) * width`. A window
    /// without points is left out. The times must be sorted.
    Time {
        /// The length of a window.
        width: f64,
        /// Where one of them begins; `None` for the first time.
        origin: Option<f64>,
    },
}

/// A number of each window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum What {
    /// Number of points.
    Count,
    /// The least value.
    Min,
    /// The greatest value.
    Max,
    /// The mean.
    Mean,
    /// The sum.
    Sum,
    /// The standard deviation, with the divisor n - 1.
    Std,
    /// The first value.
    First,
    /// The last value.
    Last,
    /// The percentile, 0 to 100; 50 is the median.
    Percentile(f64),
}

impl What {
    /// The number of that name: `count`, `min`, `max`, `mean`, `sum`, `std`, `first`, `last`, `median`,
    /// or `p` and a percentile, such as `p99.9`.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the names that are known.
    pub fn from_name(name: &str) -> Result<Self> {
        Ok(match name {
            "count" => Self::Count,
            "min" => Self::Min,
            "max" => Self::Max,
            "mean" => Self::Mean,
            "sum" => Self::Sum,
            "std" => Self::Std,
            "first" => Self::First,
            "last" => Self::Last,
            "median" => Self::Percentile(50.0),
            _ => {
                let q = name.strip_prefix('p').and_then(|q| q.parse().ok());
                let q: f64 = q.ok_or_else(|| {
                    let known = "count, min, max, mean, sum, std, first, last, median, p0 to p100";
                    Error::invalid("aggregate", format!("{name:?} is not known; known are {known}"))
                })?;
                percentile::check(&[q])?;
                Self::Percentile(q)
            }
        })
    }
}

/// Aggregates, one row for each window.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Aggregates {
    /// The time at which each window begins: of its first point, or of the window.
    pub times: Vec<f64>,
    /// What was asked for, of each channel: `columns[what][channel][window]`.
    pub columns: Vec<Vec<Vec<f64>>>,
}

/// A window under way.
struct Open {
    start: f64,
    /// Positions of its points.
    range: Range<u64>,
    summaries: Vec<Summary>,
    values: Vec<Vec<f64>>,
}

/// Aggregates of windows.
///
/// Memory is bounded: a block of the series, the values of one window up to some millions if
/// percentiles are wanted, and the result.
///
/// # Errors
/// [`Error::Invalid`] for windows without a length, and if times are not sorted where windows go by
/// time; as [`Expr::read`].
pub fn aggregate(series: &Expr, windows: Windows, wanted: &[What]) -> Result<Aggregates> {
    let bad = |why: &str| Err(Error::invalid("window", why));
    match windows {
        Windows::Points(0) => return bad("has no points; give one or more"),
        Windows::Time { width, .. } if !(width > 0.0 && width.is_finite()) => {
            return bad("has a width that is not a positive number");
        }
        Windows::Time { origin: Some(origin), .. } if !origin.is_finite() => {
            return bad("begins at a time that is not a number");
        }
        _ => {}
    }
    let gathers = wanted.iter().any(|w| matches!(w, What::Percentile(_)));
    let mut out = Aggregates {
        times: Vec::new(),
        columns: vec![vec![Vec::new(); series.channels()]; wanted.len()],
    };
    let mut open: Option<Open> = None;
    let mut origin = match windows {
        Windows::Time { origin, .. } => origin,
        Windows::Points(_) => None,
    };
    let mut last = f64::NEG_INFINITY;
    let mut position = 0;
    for block in series.blocks(0) {
        let block = block?;
        for i in 0..block.len() {
            #[expect(clippy::cast_precision_loss, reason = "positions below 2^53 are exact")]
            let time = match &block.times {
                Some(times) => times.get(i).copied().unwrap_or(f64::NAN),
                None => position as f64,
            };
            let start = match windows {
                Windows::Points(n) => (position % n == 0).then_some(time),
                Windows::Time { width, .. } => {
                    if time.is_infinite() {
                        let why = format!(
                            "{time:?} at position {position}: windows by time need finite times"
                        );
                        return Err(Error::invalid("times", why));
                    }
                    if time.is_nan() || time < last {
                        let why = format!(
                            "{time:?} at position {position} comes after {last:?}; windows by time need \
                             sorted times"
                        );
                        return Err(Error::invalid("times", why));
                    }
                    last = time;
                    let origin = *origin.get_or_insert(time);
                    let start = edge(time, origin, width)?;
                    open.as_ref().is_none_or(|o| o.start != start).then_some(start)
                }
            };
            if let Some(start) = start {
                if let Some(done) = open.take() {
                    close(series, done, wanted, &mut out)?;
                }
                open = Some(Open {
                    start,
                    range: position..position,
                    summaries: vec![Summary::default(); series.channels()],
                    values: vec![Vec::new(); series.channels()],
                });
            }
            let Some(open) = &mut open else { continue };
            position += 1;
            open.range.end = position;
            for (channel, values) in block.channels.iter().enumerate() {
                let x = values.get(i).copied().unwrap_or(f64::NAN);
                if let Some(summary) = open.summaries.get_mut(channel) {
                    summary.add(x);
                }
                if gathers
                    && let Some(values) = open.values.get_mut(channel)
                    && values.len() <= GATHERED
                {
                    values.push(x);
                }
            }
        }
    }
    if let Some(done) = open {
        close(series, done, wanted, &mut out)?;
    }
    Ok(out)
}

/// Where the window begins in which `time` lies.
fn edge(time: f64, origin: f64, width: f64) -> Result<f64> {
    let begin = |n: f64| origin + n * width;
    // The quotient is rounded, so that it may be that of a neighbour.
    let n = ((time - origin) / width).floor();
    let found =
        [n, n - 1.0, n + 1.0].into_iter().find(|n| begin(*n) <= time && time < begin(n + 1.0));
    found.map(begin).ok_or_else(|| {
        let why = format!(
            "has a width of {width:?}, which is too small beside the time {time:?} to divide it; give a larger one"
        );
        Error::invalid("window", why)
    })
}

fn close(series: &Expr, mut open: Open, wanted: &[What], out: &mut Aggregates) -> Result<()> {
    out.times.push(open.start);
    let asked: Vec<f64> = wanted
        .iter()
        .filter_map(|w| if let What::Percentile(q) = w { Some(*q) } else { None })
        .collect();
    for (channel, summary) in open.summaries.iter().enumerate() {
        let mut found = match open.values.get_mut(channel) {
            _ if asked.is_empty() => Vec::new(),
            Some(values) if values.len() <= GATHERED => of_values(values, &asked),
            _ => percentiles(series, channel, open.range.clone(), &asked)?,
        }
        .into_iter();
        for (what, column) in wanted.iter().zip(&mut out.columns) {
            #[expect(clippy::cast_precision_loss, reason = "counts below 2^53 are exact")]
            let value = match what {
                What::Count => summary.count as f64,
                What::Min => summary.min,
                What::Max => summary.max,
                What::Mean => summary.mean,
                What::Sum => summary.sum,
                What::Std => summary.std(1),
                What::First => summary.first,
                What::Last => summary.last,
                What::Percentile(_) => found.next().unwrap_or(f64::NAN),
            };
            if let Some(column) = column.get_mut(channel) {
                column.push(value);
            }
        }
    }
    Ok(())
}
