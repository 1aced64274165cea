//! Points as a caller gives them: times, and the values of each channel.

use crate::error::{Error, Result};

/// Which times a series may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeRule {
    /// Any, kept in the order in which they are given: unsorted, repeated, NaN.
    #[default]
    Any,
    /// None less than the one before it, and no NaN.
    Sorted,
    /// Each greater than the one before it.
    Increasing,
}

impl TimeRule {
    /// The names in Python.
    pub const NAMES: [&str; 3] = ["any", "sorted", "increasing"];

    /// The rule of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "any" => Some(Self::Any),
            "sorted" => Some(Self::Sorted),
            "increasing" => Some(Self::Increasing),
            _ => None,
        }
    }

    fn allows(self, before: f64, after: f64) -> bool {
        match self {
            Self::Any => true,
            Self::Sorted => before <= after,
            Self::Increasing => before < after,
        }
    }

    /// Refuses times that the rule does not allow behind `last`, the time before them.
    ///
    /// # Errors
    /// [`Error::Invalid`] that names the first of them and its position.
    pub fn check(self, last: Option<f64>, times: &[f64], first: u64) -> Result<()> {
        if self == Self::Any {
            return Ok(());
        }
        let mut before = last;
        for (i, time) in times.iter().enumerate() {
            if time.is_nan() || before.is_some_and(|b| !self.allows(b, *time)) {
                let rule = if self == Self::Sorted { "sorted" } else { "increasing" };
                let at = first + i as u64;
                let why = before.map_or_else(String::new, |b| format!(" after {b:?}"));
                let why = format!(
                    "{time:?} at position {at}{why} is not {rule}, as this store wants them; sort \
                     the series first, or open the store with times=\"any\""
                );
                return Err(Error::invalid("times", why));
            }
            before = Some(*time);
        }
        Ok(())
    }
}

/// Points of a series: the values of each channel, and their times unless these count from 0.
#[derive(Debug, Clone)]
pub struct Points<'a> {
    times: Option<&'a [f64]>,
    channels: Vec<&'a [f64]>,
}

impl<'a> Points<'a> {
    /// Points with these times, and these values of each channel.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no channel or the lengths differ.
    pub fn new(times: Option<&'a [f64]>, channels: Vec<&'a [f64]>) -> Result<Self> {
        let Some(len) = channels.first().map(|c| c.len()) else {
            return Err(Error::invalid("series", "has no channel; one is the least"));
        };
        if let Some(other) = channels.iter().find(|c| c.len() != len) {
            let why = format!("its channels have {len} and {} values", other.len());
            return Err(Error::invalid("series", why));
        }
        if let Some(times) = times.filter(|t| t.len() != len) {
            let why = format!("there are {} times and {len} values", times.len());
            return Err(Error::invalid("series", why));
        }
        Ok(Self { times, channels })
    }

    /// Number of points.
    #[must_use]
    pub fn len(&self) -> usize {
        self.channels.first().map_or(0, |c| c.len())
    }

    /// Whether there are no points.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The times; `None` if they count from 0.
    #[must_use]
    pub const fn times(&self) -> Option<&'a [f64]> {
        self.times
    }

    /// The values of each channel.
    #[must_use]
    pub fn channels(&self) -> &[&'a [f64]] {
        &self.channels
    }

    /// The points from `from` to `to`, as far as there are some.
    pub(super) fn part(&self, from: usize, to: usize) -> Self {
        let cut = |all: &'a [f64]| {
            let to = to.min(all.len());
            all.get(from.min(to)..to).unwrap_or_default()
        };
        Self {
            times: self.times.map(cut),
            channels: self.channels.iter().map(|c| cut(c)).collect(),
        }
    }
}

/// Points that belong to nobody else.
#[derive(Debug, Clone, Default)]
pub(super) struct Owned {
    pub(super) times: Option<Vec<f64>>,
    pub(super) channels: Vec<Vec<f64>>,
}

impl Owned {
    pub(super) fn points(&self) -> Result<Points<'_>> {
        let channels = self.channels.iter().map(Vec::as_slice).collect();
        Points::new(self.times.as_deref(), channels)
    }

    pub(super) fn extend(&mut self, more: &Points<'_>) {
        if self.channels.is_empty() {
            self.channels = vec![Vec::new(); more.channels.len()];
            self.times = more.times.map(|_| Vec::new());
        }
        for (own, more) in self.channels.iter_mut().zip(&more.channels) {
            own.extend_from_slice(more);
        }
        if let (Some(own), Some(more)) = (&mut self.times, more.times) {
            own.extend_from_slice(more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_names_the_first_time_that_breaks_it() {
        let rule = TimeRule::Sorted;
        rule.check(Some(1.0), &[1.0, 2.0, 2.0], 0).unwrap();
        let why = TimeRule::Increasing.check(None, &[1.0, 2.0, 2.0], 5).unwrap_err().to_string();
        assert!(why.contains("2.0 at position 7 after 2.0 is not increasing"), "{why}");
        assert!(rule.check(None, &[f64::NAN], 0).is_err());
        assert!(rule.check(Some(3.0), &[2.0], 0).is_err());
        TimeRule::Any.check(Some(3.0), &[2.0, f64::NAN], 0).unwrap();
        for name in TimeRule::NAMES {
            assert!(TimeRule::from_name(name).is_some());
        }
        assert!(TimeRule::from_name("").is_none());
    }

    #[test]
    fn points_have_one_length() {
        assert!(Points::new(None, vec![]).is_err());
        assert!(Points::new(None, vec![&[1.0], &[]]).is_err());
        let why = Points::new(Some(&[1.0]), vec![&[1.0, 2.0]]).unwrap_err().to_string();
        assert!(why.contains("1 times and 2 values"), "{why}");
    }
}
