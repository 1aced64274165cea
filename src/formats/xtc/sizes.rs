//! Three small numbers as one, and back: mixed-radix numbers of a known count of bits.

use super::bits::BitReader;

/// Sizes of the cubes in which small differences lie; about `2^(i/3)`, so that one of three
/// numbers below entry `i` fits `i` bits. The values are part of the format, with entries of
/// the original table that are a little off.
const SIZES: [u32; 73] = [
    0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 10, 12, 16, 20, 25, 32, 40, 50, 64, 80, 101, 128, 161, 203, 256,
    322, 406, 512, 645, 812, 1024, 1290, 1625, 2048, 2580, 3250, 4096, 5060, 6501, 8192, 10321,
    13003, 16384, 20642, 26007, 32768, 41285, 52015, 65536, 82570, 104_031, 131_072, 165_140,
    208_063, 262_144, 330_280, 416_127, 524_287, 660_561, 832_255, 1_048_576, 1_321_122, 1_664_510,
    2_097_152, 2_642_245, 3_329_021, 4_194_304, 5_284_491, 6_658_042, 8_388_607, 10_568_983,
    13_316_085, 16_777_216,
];

/// First entry that is a size.
pub(super) const FIRST: usize = 9;
/// Last entry.
pub(super) const LAST: usize = SIZES.len() - 1;

/// Largest size that is packed together with its neighbours.
pub(super) const PACKED_MAX: u32 = 0xff_ffff;

/// Entry `index` of the table; zero below [`FIRST`] and past [`LAST`].
pub(super) fn size(index: usize) -> u32 {
    SIZES.get(index).copied().unwrap_or_default()
}

/// Three numbers below `sizes`, packed as `(a * sizes[1] + b) * sizes[2] + c` into `bits` bits,
/// the low byte first, the bits of each byte high to low.
#[derive(Debug, Clone, Copy)]
pub(super) struct Triple {
    bits: u32,
    sizes: [u32; 3],
    /// `u64::MAX / sizes[1]` and `u64::MAX / sizes[2]`, to divide by multiplying.
    inverse: [u64; 2],
}

/// The triples of differences, by index of the table.
static SMALL: [Triple; 73] = {
    let mut all = [Triple::new(0, [1; 3]); 73];
    let mut i = FIRST;
    while i <= LAST {
        #[expect(
            clippy::indexing_slicing,
            reason = "i counts up to LAST, and this runs in the compiler"
        )]
        #[expect(clippy::cast_possible_truncation, reason = "at most 72")]
        {
            all[i] = Triple::new(i as u32, [SIZES[i]; 3]);
        }
        i += 1;
    }
    all
};

impl Triple {
    const fn new(bits: u32, sizes: [u32; 3]) -> Self {
        let [_, b, c] = sizes;
        Self { bits, sizes, inverse: [u64::MAX / b as u64, u64::MAX / c as u64] }
    }

    /// Numbers below `sizes`, which are not zero and at most [`PACKED_MAX`].
    pub(super) const fn of(sizes: [u32; 3]) -> Self {
        let [a, b, c] = sizes;
        let product = a as u128 * b as u128 * c as u128;
        Self::new(128 - product.leading_zeros(), sizes)
    }

    /// Differences of entry `index`; `None` if the entry does not exist.
    pub(super) fn small(index: usize) -> Option<&'static Self> {
        SMALL.get(index).filter(|_| index >= FIRST)
    }

    /// Number of bits.
    pub(super) const fn bits(&self) -> u32 {
        self.bits
    }

    /// The three numbers that come next; `None` past the end, or if the first is too large,
    /// which no writer makes.
    #[inline]
    pub(super) fn read(&self, from: &mut BitReader<'_>) -> Option<[u32; 3]> {
        let [sa, sb, sc] = self.sizes;
        let [ib, ic] = self.inverse;
        let (ab, c) = if self.bits <= 56 {
            divide(from.low_first(self.bits)?, sc, ic)
        } else {
            // At most 72 bits: the upper 32 and the lower 40 divided in turn.
            let low = from.low_first(40)?;
            let high = from.low_first(self.bits - 40)?;
            let (q_high, rest) = divide(high, sc, ic);
            let (q_low, c) = divide(u64::from(rest) << 40 | low, sc, ic);
            (q_high.checked_mul(1 << 40)? | q_low, c)
        };
        let (a, b) = divide(ab, sb, ib);
        let a = u32::try_from(a).ok()?;
        (a < sa).then_some([a, b, c])
    }

    /// The three numbers as one.
    pub(super) fn join(&self, [a, b, c]: [u32; 3]) -> u128 {
        let [_, sb, sc] = self.sizes.map(u128::from);
        (u128::from(a) * sb + u128::from(b)) * sc + u128::from(c)
    }
}

/// Quotient and remainder of `n / by`, where `inverse` is `u64::MAX / by`.
///
/// The product's upper half is the quotient or one less: `inverse` falls short of `2^64 / by` by
/// less than 1 + 1 / by, so the product falls short by less than one quotient.
#[inline]
fn divide(n: u64, by: u32, inverse: u64) -> (u64, u32) {
    let mut q = ((u128::from(n) * u128::from(inverse)) >> 64) as u64;
    let mut rest = n.wrapping_sub(q.wrapping_mul(by.into()));
    if rest >= u64::from(by) {
        q = q.wrapping_add(1);
        rest = rest.wrapping_sub(by.into());
    }
    #[expect(clippy::cast_possible_truncation, reason = "a remainder is below `by`")]
    let rest = rest as u32;
    (q, rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::xtc::bits::BitWriter;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn dividing_by_the_inverse_is_dividing(n: u64, by in 1_u32..) {
            for by in [by, by % 5000 + 1, 1, 2, u32::MAX] {
                let (q, r) = divide(n, by, u64::MAX / u64::from(by));
                prop_assert_eq!((q, u64::from(r)), (n / u64::from(by), n % u64::from(by)));
            }
        }

        #[test]
        fn what_is_packed_comes_back(
            list in prop::collection::vec((prop::array::uniform3(1_u32..=PACKED_MAX), any::<[u32; 3]>()), 1..20),
            lead in 0_u32..8,
        ) {
            let mut w = BitWriter::default();
            w.high_first(0, lead);
            let list: Vec<_> = list.iter().map(|(sizes, n)| {
                let n: [u32; 3] = std::array::from_fn(|i| n[i] % sizes[i]);
                let t = Triple::of(*sizes);
                w.low_first(t.join(n), t.bits());
                (t, n)
            }).collect();
            let mut bytes = w.finish();
            bytes.extend([0; super::super::decode::SLACK]);
            let mut r = BitReader::new(&bytes);
            r.high_first(lead);
            for (t, n) in list {
                prop_assert_eq!(t.read(&mut r), Some(n));
            }
        }
    }

    #[test]
    fn the_largest_cube_comes_back() {
        let t = *Triple::small(LAST).unwrap();
        let n = [size(LAST) - 1; 3];
        let mut w = BitWriter::default();
        w.low_first(t.join(n), t.bits());
        let mut bytes = w.finish();
        bytes.extend([0; 16]);
        assert_eq!(t.read(&mut BitReader::new(&bytes)), Some(n));
        assert!(Triple::small(LAST + 1).is_none() && Triple::small(FIRST - 1).is_none());
    }
}
