//! Selections of records: `a:b:c`, as slices of Python.

use vlstore::trajectory::{Atoms, Choice};

/// Which ordinals, in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slice {
    start: Option<i64>,
    end: Option<i64>,
    step: i64,
}

/// `7`, `2:9`, `:100`, `-10:`, `::5`, `::-1`.
pub(crate) fn parse(text: &str) -> Result<Slice, String> {
    let number = |part: &str| match part {
        "" => Ok(None),
        part => part.parse::<i64>().map(Some).map_err(|_| {
            format!("{part:?} is not an integer; a range is START:END:STEP, for example ::10")
        }),
    };
    let parts: Vec<&str> = text.split(':').collect();
    match parts[..] {
        [one] => {
            let one = number(one)?.ok_or("a range is START:END:STEP, for example 100:200")?;
            // The last one is -1, and what ends before 0 has no number: an open end.
            let end = (one != -1).then(|| one.saturating_add(1));
            Ok(Slice { start: Some(one), end, step: 1 })
        }
        [start, end] => Ok(Slice { start: number(start)?, end: number(end)?, step: 1 }),
        [start, end, step] => {
            let step = number(step)?.unwrap_or(1);
            if step == 0 {
                return Err("a range cannot have the step 0".into());
            }
            Ok(Slice { start: number(start)?, end: number(end)?, step })
        }
        _ => Err("a range is START:END:STEP, for example 0:100:10".into()),
    }
}

impl Slice {
    /// Everything, in order.
    pub(crate) const ALL: Self = Self { start: None, end: None, step: 1 };

    /// Start, end and step, as they were given.
    pub(crate) const fn parts(self) -> (Option<i64>, Option<i64>, i64) {
        (self.start, self.end, self.step)
    }

    /// From one ordinal to the next.
    pub(crate) const fn step(self) -> i64 {
        self.step
    }

    /// These frames of a store of `len`.
    pub(crate) fn choice(self, len: u64) -> Choice {
        if self == Self::ALL {
            return Choice::All;
        }
        let mut chosen = self.of(len);
        let count = chosen.len() as u64;
        Choice::Steps { first: chosen.next().unwrap_or(0), step: self.step, count }
    }

    /// These atoms of a frame.
    pub(crate) const fn atoms(self) -> Atoms {
        Atoms::Range { start: self.start, end: self.end, step: self.step }
    }

    /// The ordinals among `len` records.
    pub(crate) fn of(self, len: u64) -> impl ExactSizeIterator<Item = u64> {
        let len = i64::try_from(len).unwrap_or(i64::MAX);
        let (low, high) = if self.step > 0 { (0, len) } else { (-1, len - 1) };
        let bound = |at: i64| {
            let at = if at < 0 { at.saturating_add(len) } else { at };
            at.clamp(low, high)
        };
        let up = self.step > 0;
        let start = self.start.map_or(if up { low } else { high }, bound);
        let end = self.end.map_or(if up { high } else { low }, bound);
        let way = if up { end - start } else { start - end };
        let stride = self.step.unsigned_abs();
        let count = u64::try_from(way).map_or(0, |way| way.div_ceil(stride));
        let step = self.step;
        // Fits: there are no more than `len` of them.
        (0..usize::try_from(count).unwrap_or(usize::MAX)).map(move |i| {
            let i = i64::try_from(i).unwrap_or(i64::MAX);
            u64::try_from(start + i * step).unwrap_or(0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_python() {
        let of = |text: &str| parse(text).unwrap().of(10).collect::<Vec<_>>();
        assert_eq!(of("::4"), [0, 4, 8]);
        assert_eq!(of("2:5"), [2, 3, 4]);
        assert_eq!(of("-3:"), [7, 8, 9]);
        assert_eq!(of("::-4"), [9, 5, 1]);
        assert_eq!(of("3:0:-1"), [3, 2, 1]);
        assert_eq!(of("7"), [7]);
        assert_eq!(of("-1"), [9]);
        assert_eq!(of("5:2").len(), 0);
        assert_eq!(of("8:100"), [8, 9]);
        assert_eq!(of("100").len(), 0);
        assert_eq!(Slice::ALL.of(0).len(), 0);
        assert_eq!(parse("::-1").unwrap().of(0).len(), 0);
        for bad in ["", "a:b", "1:2:0", "1:2:3:4", "1.5"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
