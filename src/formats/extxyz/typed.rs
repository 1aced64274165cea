//! A value and its type.

use super::comment::{Why, shorten};
use super::numbers::{real, too_long, truth};
use crate::codec::{Real, Values};

/// Deepest nesting that is followed.
pub(super) const DEPTH: usize = 8;

/// A value with its type; `shape` is empty for a scalar.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Typed {
    pub(super) shape: Vec<u32>,
    pub(super) values: Values,
}

impl Typed {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self { shape: Vec::new(), values: Values::Str(vec![text.into()]) }
    }

    /// A flat list: a scalar if it has one value.
    pub(super) fn list(values: Values) -> Option<Self> {
        let n = u32::try_from(values.len()).ok()?;
        Some(Self { shape: if n == 1 { Vec::new() } else { vec![n] }, values })
    }

    /// The only value, as a real number, if it is one without loss.
    pub(super) fn number(&self) -> Option<f64> {
        match (self.values.len(), self.reals()) {
            (1, Some(v)) => v.first().copied(),
            _ => None,
        }
    }

    /// The values as real numbers, if they are such without loss.
    pub(super) fn reals(&self) -> Option<Vec<f64>> {
        match &self.values {
            Values::Real(Real::F64(v)) => Some(v.clone()),
            Values::I64(v) => v.iter().map(|n| exact(*n)).collect(),
            _ => None,
        }
    }
}

/// Up to 2^53 an integer is the same as a real number; beyond, it stays what it is.
#[expect(clippy::cast_precision_loss, reason = "compared")]
fn exact(n: i64) -> Option<f64> {
    (n.unsigned_abs() <= 1 << 53).then_some(n as f64)
}

/// The values of words that are all integers, all numbers or all truths.
pub(super) fn values<'a, I>(words: impl Fn() -> I) -> Result<Option<Values>, Why>
where
    I: Iterator<Item = &'a str>,
{
    if let Some(v) = words().map(|w| w.parse().ok()).collect::<Option<_>>() {
        return Ok(Some(Values::I64(v)));
    }
    if let Some(v) = words().map(truth).collect::<Option<_>>() {
        return Ok(Some(Values::Bool(v)));
    }
    let (mut numbers, mut wrong) = (Vec::new(), None);
    for word in words() {
        match real(word) {
            Ok(Some(_)) if too_long(word) => return Ok(None),
            Ok(Some(x)) => numbers.push(x),
            Ok(None) => return Ok(None),
            Err(why) => wrong = Some(format!("`{}` {why}", shorten(word))),
        }
    }
    match wrong {
        Some(why) => Err(why.into()),
        None => Ok(Some(Values::Real(Real::F64(numbers)))),
    }
}
