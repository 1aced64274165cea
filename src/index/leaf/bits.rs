//! Numbers of a fixed width one behind the other: number `i` of width `w` is bits `i * w` to
//! `(i + 1) * w`, bit `b` being bit `b % 8` of byte `b / 8`.

use std::ops::Range;

/// Widest number that one look of 8 bytes always holds, wherever it begins.
const ONE_LOOK: u32 = 57;

/// Bytes that `n` numbers of `width` bits take.
pub(super) const fn bytes(n: usize, width: u32) -> usize {
    (n * width as usize).div_ceil(8)
}

/// Bits that `n` needs.
pub(super) const fn width(n: u64) -> u32 {
    64 - n.leading_zeros()
}

/// Appends `values` in `width` bits each.
pub(super) fn put(out: &mut Vec<u8>, width: u32, values: impl IntoIterator<Item = u64>) {
    let (mut held, mut have) = (0_u128, 0);
    for value in values {
        held |= u128::from(value) << have;
        have += width;
        while have >= 8 {
            let [low, ..] = held.to_le_bytes();
            out.push(low);
            held >>= 8;
            have -= 8;
        }
    }
    if have > 0 {
        let [low, ..] = held.to_le_bytes();
        out.push(low);
    }
}

/// Where packed numbers begin in the bytes that they lie in, and how wide they are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Field {
    at: u32,
    width: u32,
}

impl Field {
    /// `n` numbers of `width` bits from byte `at` of `bytes` on: they, and where they end.
    #[inline]
    pub(super) fn split(bytes: &[u8], at: usize, n: usize, width: u32) -> Option<(Self, usize)> {
        let end = at + self::bytes(n, width);
        let fits = end <= bytes.len() && width <= 64;
        fits.then_some((Self { at: u32::try_from(at).ok()?, width }, end))
    }

    /// The numbers, in the bytes that they were found in.
    #[inline]
    pub(super) fn of(self, bytes: &[u8]) -> Bits<'_> {
        Bits { bytes: bytes.get(self.at as usize..).unwrap_or_default(), width: self.width }
    }
}

/// Packed numbers. Bytes may follow behind the last of them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    width: u32,
}

impl<'a> Bits<'a> {
    /// Takes `n` numbers of `width` bits from the front of `bytes`: they, and what follows.
    pub(super) fn split(bytes: &'a [u8], n: usize, width: u32) -> Option<(Self, &'a [u8])> {
        let rest = bytes.get(self::bytes(n, width)..)?;
        (width <= 64).then_some((Self { bytes, width }, rest))
    }

    /// Number `i`.
    #[inline]
    pub(super) fn get(&self, i: usize) -> Option<u64> {
        let first = i * self.width as usize;
        let (at, shift) = (first / 8, first % 8);
        if self.width <= ONE_LOOK {
            return Some(self.look(at)? >> shift & ((1 << self.width) - 1));
        }
        let bytes = self.bytes.get(at..(first + self.width as usize).div_ceil(8))?;
        let word = bytes.iter().rev().fold(0_u128, |word, b| word << 8 | u128::from(*b));
        u64::try_from(word >> shift & ((1 << self.width) - 1)).ok()
    }

    /// The 8 bytes from `at` on.
    #[inline]
    fn look(&self, at: usize) -> Option<u64> {
        match self.bytes.get(at..).and_then(<[u8]>::first_chunk) {
            Some(word) => Some(u64::from_le_bytes(*word)),
            None => self.last(at),
        }
    }

    /// The sum of what `f` makes of the numbers `range`, of at most 32 bits.
    #[inline]
    pub(super) fn sum(&self, range: Range<usize>, f: impl Fn(u64) -> u64) -> Option<u64> {
        if self.width == 0 {
            return Some(range.len() as u64 * f(0));
        }
        let mut sum = 0;
        self.each(range, |n| sum += f(n))?;
        Some(sum)
    }

    /// Calls `f` with the numbers `range`, of at most 32 bits, as many at a look as there are in it.
    #[inline]
    pub(super) fn each(&self, range: Range<usize>, mut f: impl FnMut(u64)) -> Option<()> {
        let (mask, many) = ((1 << self.width) - 1, ONE_LOOK / self.width.max(1));
        let mut i = range.start;
        while i < range.end {
            let first = i * self.width as usize;
            let mut word = self.look(first / 8)? >> (first % 8);
            let n = (range.end - i).min(many as usize);
            for _ in 0..n {
                f(word & mask);
                word >>= self.width;
            }
            i += n;
        }
        Some(())
    }

    /// The bytes from `at` on, which are fewer than 8; those that are missing as zeros: whoever
    /// took these numbers saw that all of them are there.
    #[cold]
    fn last(&self, at: usize) -> Option<u64> {
        let rest = self.bytes.get(at..)?;
        Some(rest.iter().rev().fold(0, |word, b| word << 8 | u64::from(*b)))
    }
}

/// Up to 128 bits from byte `at` on, one for each of `n` records: they, and where they end. Those
/// behind the last record must be 0.
pub(super) fn bitmap(bytes: &[u8], at: usize, n: usize) -> Option<(u128, usize)> {
    let end = at + n.div_ceil(8);
    let mut map = [0; 16];
    map.get_mut(..end - at)?.copy_from_slice(bytes.get(at..end)?);
    let map = u128::from_le_bytes(map);
    (map & !below(n) == 0).then_some((map, end))
}

/// The lowest `n` bits.
pub(super) const fn below(n: usize) -> u128 {
    if n >= 128 { u128::MAX } else { (1 << n) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_width_come_back() {
        for width in 0..=64_u32 {
            let most = if width == 64 { u64::MAX } else { (1 << width) - 1 };
            let values: Vec<u64> =
                (0..130_u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) & most).collect();
            let mut out = Vec::new();
            put(&mut out, width, values.iter().copied());
            assert_eq!(out.len(), bytes(values.len(), width));
            for follow in [0, 3, 20] {
                out.resize(bytes(values.len(), width) + follow, 0xff);
                let (found, rest) = Bits::split(&out, values.len(), width).unwrap();
                assert_eq!(rest.len(), follow);
                let (field, end) = Field::split(&out, 0, values.len(), width).unwrap();
                assert_eq!((field.of(&out).get(129), end), (found.get(129), out.len() - follow));
                for (i, value) in values.iter().enumerate() {
                    assert_eq!(found.get(i), Some(*value), "{width} {i}");
                }
                for range in [0..130, 3..4, 7..99, 130..130] {
                    let mut all = Vec::new();
                    if width <= 32 {
                        found.each(range.clone(), |n| all.push(n)).unwrap();
                        assert_eq!(all, values[range.clone()]);
                        let sum = values[range.clone()].iter().map(|n| n + 3).sum();
                        assert_eq!(found.sum(range, |n| n + 3), Some(sum));
                    }
                }
            }
            let short = bytes(values.len(), width).saturating_sub(1);
            assert!(width == 0 || Bits::split(&out[..short], values.len(), width).is_none());
        }
        assert!(Bits::split(&[0; 99], 3, 65).is_none());
    }

    #[test]
    fn a_bitmap_says_nothing_of_records_that_are_not_there() {
        assert_eq!(bitmap(&[7, 0b101, 9], 1, 3), Some((5, 2)));
        assert!(bitmap(&[0b1101], 0, 3).is_none() && bitmap(&[1], 0, 9).is_none());
        assert!(bitmap(&[1], 2, 3).is_none() && bitmap(&[0xff; 40], 0, 136).is_none());
        assert_eq!(bitmap(&[0xff; 16], 0, 128), Some((u128::MAX, 16)));
    }
}
