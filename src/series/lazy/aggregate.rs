//! Count, extremes, mean and spread of values that come one after the other.

use super::expr::Expr;
use crate::error::Result;

/// What is known of some values. NaN among them makes all but the count NaN, as in NumPy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Number of values.
    pub count: u64,
    /// The least; NaN of none.
    pub min: f64,
    /// The greatest; NaN of none.
    pub max: f64,
    /// The mean; NaN of none.
    pub mean: f64,
    /// Sum of the squares of the differences from the mean.
    pub squares: f64,
    /// The sum.
    pub sum: f64,
    /// The first; NaN of none.
    pub first: f64,
    /// The last; NaN of none.
    pub last: f64,
}

impl Default for Summary {
    fn default() -> Self {
        let nan = f64::NAN;
        Self {
            count: 0,
            min: nan,
            max: nan,
            mean: nan,
            squares: 0.0,
            sum: 0.0,
            first: nan,
            last: nan,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts below 2^53 are exact")]
impl Summary {
    /// Adds one value.
    pub fn add(&mut self, x: f64) {
        self.count += 1;
        self.last = x;
        self.sum += x;
        if self.count == 1 {
            (self.min, self.max, self.mean, self.first) = (x, x, x, x);
            self.squares = if x.is_finite() { 0.0 } else { f64::NAN };
            return;
        }
        let difference = x - self.mean;
        if x.is_infinite() || self.mean.is_infinite() {
            // As the sum: of one sign infinite, of both NaN.
            (self.mean, self.squares) = (self.sum, f64::NAN);
        } else {
            self.mean += difference / self.count as f64;
            self.squares += difference * (x - self.mean);
        }
        // NaN is neither less nor greater, and stays.
        if x < self.min || x.is_nan() {
            self.min = x;
        }
        if x > self.max || x.is_nan() {
            self.max = x;
        }
    }

    /// The standard deviation with the divisor `count - ddof`; NaN if that is not positive.
    #[must_use]
    pub fn std(&self, ddof: u64) -> f64 {
        match self.count.checked_sub(ddof) {
            None | Some(0) => f64::NAN,
            Some(n) => (self.squares / n as f64).sqrt(),
        }
    }
}

/// The summary of each channel, in one pass and bounded memory.
///
/// # Errors
/// As [`Expr::read`].
pub fn summary(series: &Expr) -> Result<Vec<Summary>> {
    let mut out = vec![Summary::default(); series.channels()];
    for block in series.blocks(0) {
        for (summary, values) in out.iter_mut().zip(&block?.channels) {
            values.iter().for_each(|x| summary.add(*x));
        }
    }
    Ok(out)
}
