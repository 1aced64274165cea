//! A series at other times than those at which it was measured.

use super::expr::{BLOCK, Expr};
use super::line::line;
use crate::error::{Error, Result};
use crate::series::stored::Stored;

/// A series on a regular grid of times, by straight lines between its points, block by block. Before
/// the first point and behind the last it has their values.
#[derive(Debug)]
pub struct Resample {
    series: Expr,
    start: f64,
    step: f64,
    count: u64,
    /// Points of the grid that were returned.
    done: u64,
    /// The points between which the next one lies, or that lie before it.
    block: Stored,
    /// The position of the first of them.
    first: u64,
    /// Where in the block the search goes on.
    at: usize,
}

impl Resample {
    /// The grid `start + n * step`, for `count` points; `None` up to the last point of the series.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a series without points, a step that is not positive, and times that are
    /// not sorted, as far as they are read.
    pub fn new(series: &Expr, step: f64, start: Option<f64>, count: Option<u64>) -> Result<Self> {
        if !(step > 0.0 && step.is_finite()) {
            return Err(Error::invalid("step", "is not a positive number"));
        }
        if series.is_empty() {
            return Err(Error::invalid("series", "has no points, so it has no values in between"));
        }
        let time = |at: u64| -> Result<f64> {
            let point = series.read(at..at + 1)?;
            #[expect(clippy::cast_precision_loss, reason = "positions below 2^53 are exact")]
            Ok(point.times.map_or(at as f64, |t| t.first().copied().unwrap_or(f64::NAN)))
        };
        let first = time(0)?;
        if start.is_some_and(f64::is_nan) {
            return Err(Error::invalid("start", "is not a number"));
        }
        let start = start.unwrap_or(first);
        let last = time(series.len() - 1)?;
        if start.is_infinite() || last.is_infinite() {
            let why = format!("the grid begins at {start:?}, and the last time is {last:?}");
            return Err(Error::invalid("times", why));
        }
        let count = match count {
            Some(count) => count,
            None => {
                let steps = ((last - start) / step).floor();
                if steps.is_nan() || steps > 1e15 {
                    return Err(Error::invalid("step", "makes more points than can be counted"));
                }
                // The quotient is rounded; what counts is the grid.
                let mut steps = steps;
                if start + steps * step > last {
                    steps -= 1.0;
                } else if start + (steps + 1.0) * step <= last {
                    steps += 1.0;
                }
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "it is between 0 and 1e15"
                )]
                let steps = (steps + 1.0).max(0.0) as u64;
                steps
            }
        };
        let block = series.read(0..BLOCK)?;
        Ok(Self { series: series.clone(), start, step, count, done: 0, block, first: 0, at: 0 })
    }

    /// Number of points of the grid.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The next points of the grid; `None` behind the last.
    ///
    /// # Errors
    /// As [`Expr::read`]; [`Error::Invalid`] for times that are not sorted.
    pub fn next_block(&mut self) -> Result<Option<Stored>> {
        if self.done >= self.count {
            return Ok(None);
        }
        let n = (self.count - self.done).min(BLOCK);
        let mut out =
            Stored { times: Some(Vec::new()), channels: vec![Vec::new(); self.series.channels()] };
        for i in self.done..self.done + n {
            #[expect(clippy::cast_precision_loss, reason = "positions below 2^53 are exact")]
            let time = self.start + i as f64 * self.step;
            let (low, high, t) = self.around(time)?;
            if let Some(times) = &mut out.times {
                times.push(time);
            }
            for (out, values) in out.channels.iter_mut().zip(&self.block.channels) {
                let value = |at: usize| values.get(at).copied().unwrap_or(f64::NAN);
                let (a, b) = (value(low), value(high));
                out.push(if low == high { a } else { line(a, b, t) });
            }
        }
        self.done += n;
        Ok(Some(out))
    }

    fn time(&self, i: usize) -> Option<f64> {
        match &self.block.times {
            Some(times) => times.get(i).copied(),
            #[expect(clippy::cast_precision_loss, reason = "positions below 2^53 are exact")]
            None => (i < self.block.len()).then(|| (self.first + i as u64) as f64),
        }
    }

    /// The points around a time, which is not before those that were asked for earlier.
    fn around(&mut self, time: f64) -> Result<(usize, usize, f64)> {
        loop {
            let Some(low) = self.time(self.at) else { return Ok((0, 0, 0.0)) };
            if time < low {
                // Before the first point of all. Of points at the same time the last counts.
                return Ok((self.at, self.at, 0.0));
            }
            if let Some(high) = self.time(self.at + 1) {
                if low.is_infinite() || high.is_infinite() {
                    let why = format!(
                        "{:?} is near position {}; a series is resampled by finite times",
                        if low.is_infinite() { low } else { high },
                        self.first + self.at as u64
                    );
                    return Err(Error::invalid("times", why));
                }
                if low > high || low.is_nan() || high.is_nan() {
                    let why = format!(
                        "{high:?} at position {} comes after {low:?}; a series is resampled by sorted \
                         times",
                        self.first + self.at as u64 + 1
                    );
                    return Err(Error::invalid("times", why));
                }
                if time < high {
                    return Ok((self.at, self.at + 1, (time - low) / (high - low)));
                }
                self.at += 1;
                continue;
            }
            let last = self.first + self.at as u64;
            if last + 1 >= self.series.len() {
                return Ok((self.at, self.at, 0.0));
            }
            // The last point stays, as the first of the next block.
            self.block = self.series.read(last..last + BLOCK)?;
            (self.first, self.at) = (last, 0);
        }
    }
}
