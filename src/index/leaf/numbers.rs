//! Integers of a group as a line and what lies above it: number `i` is
//! `base + step * i + above[i]`.

use super::bits::{self, Bits};
use std::cmp::Ordering;
use std::ops::RangeInclusive;

/// What 8 bytes with a sign hold.
pub(super) const SIGNED: RangeInclusive<i128> = i64::MIN as i128..=i64::MAX as i128;
/// What 8 bytes without a sign hold.
pub(super) const UNSIGNED: RangeInclusive<i128> = 0..=u64::MAX as i128;

/// Bytes of `base` and `step`.
pub(super) const LINE: usize = 16;

/// How some numbers are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    base: i128,
    step: i64,
    /// Bits for what lies above the line.
    pub(super) width: u32,
}

impl Line {
    fn at(&self, i: usize) -> i128 {
        self.base + i128::from(self.step) * i as i128
    }

    /// The line below `values` that leaves least above it, with a base among `bases`; nothing if
    /// there is none.
    pub(super) fn below(values: &[i128], bases: RangeInclusive<i128>) -> Option<Self> {
        let (first, last) = (values.first()?, values.last()?);
        let steps = i128::try_from(values.len() - 1).ok()?;
        let middle = last.checked_sub(*first)?.checked_div(steps).unwrap_or(0);
        let line = |step: i128| {
            let step = i64::try_from(step).ok()?;
            let above =
                |(i, v): (usize, &i128)| Some(v - i128::from(step) * i128::try_from(i).ok()?);
            let mut all = values.iter().enumerate().map(above);
            let mut least = all.next()??;
            let mut most = least;
            for v in all {
                least = least.min(v?);
                most = most.max(v?);
            }
            let width = bits::width(u64::try_from(most - least).ok()?);
            bases.contains(&least).then_some(Self { base: least, step, width })
        };
        [middle, 0].into_iter().filter_map(line).min_by_key(|l| l.width)
    }

    /// Appends the line, [`LINE`] bytes.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let [low @ .., _, _, _, _, _, _, _, _] = self.base.to_le_bytes();
        out.extend(low);
        out.extend(self.step.to_le_bytes());
    }

    /// Appends what of `values` lies above the line.
    pub(super) fn put_above(&self, values: &[i128], out: &mut Vec<u8>) {
        let above = values.iter().enumerate().map(|(i, v)| v - self.at(i));
        bits::put(out, self.width, above.map(|v| u64::try_from(v).unwrap_or(0)));
    }
}

/// Packed numbers where they lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers<'a> {
    line: Line,
    above: Bits<'a>,
}

impl<'a> Numbers<'a> {
    /// `n` numbers whose line is `line` and which lie at the front of `bytes`.
    pub(super) fn parse(
        line: [u8; LINE],
        bases: &RangeInclusive<i128>,
        bytes: &'a [u8],
        n: usize,
        width: u8,
    ) -> Option<Self> {
        let [b0, b1, b2, b3, b4, b5, b6, b7, step @ ..] = line;
        let base = [b0, b1, b2, b3, b4, b5, b6, b7];
        let base = if *bases.start() < 0 {
            i64::from_le_bytes(base).into()
        } else {
            u64::from_le_bytes(base).into()
        };
        let (above, _) = Bits::split(bytes, n, width.into())?;
        let line = Line { base, step: i64::from_le_bytes(step), width: width.into() };
        Some(Self { line, above })
    }

    /// The position of `wanted` among the `n` numbers, which ascend; the outer nothing if one of them
    /// cannot be read.
    #[expect(clippy::option_option, reason = "no number, and no such number")]
    pub(super) fn search(&self, wanted: i128, n: usize) -> Option<Option<usize>> {
        let (mut low, mut high) = self.around(wanted, n);
        while low < high {
            let mid = low + (high - low) / 2;
            match self.get(mid)?.cmp(&wanted) {
                Ordering::Less => low = mid + 1,
                Ordering::Equal => return Some(Some(mid)),
                Ordering::Greater => high = mid,
            }
        }
        Some(None)
    }

    /// The positions at which `wanted` lies on the line or not too far above it.
    fn around(&self, wanted: i128, n: usize) -> (usize, usize) {
        let above = wanted - self.line.base;
        let (Ok(above), Ok(step)) = (u64::try_from(above), u64::try_from(self.line.step)) else {
            return if above < 0 && self.line.step >= 0 { (0, 0) } else { (0, n) };
        };
        let most = 1_u64.checked_shl(self.line.width).map_or(u64::MAX, |end| end - 1);
        let position = |above: u64| Some(usize::try_from(above.checked_div(step)?).unwrap_or(n));
        match (position(above.saturating_sub(most)), position(above)) {
            (Some(first), Some(last)) => (first.min(n), last.saturating_add(1).min(n)),
            _ => (0, n),
        }
    }

    /// Number `i`.
    pub(super) fn get(&self, i: usize) -> Option<i128> {
        Some(self.line.at(i) + i128::from(self.above.get(i)?))
    }
}
