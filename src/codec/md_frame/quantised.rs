//! Positions as integers of a stated precision, as trajectories of fixed precision have them.
//!
//! XTC keeps positions as multiples of a thousandth of a nanometre; as `f32` they fill all bits of
//! the mantissa with what such a number is in binary, which no compressor undoes: three of the four
//! bytes remain. As integers, each as its difference from the same component of the site
//! before, they need little more than one byte. Neighbours in a file are mostly neighbours in a
//! molecule, so the differences are small.
//!
//! A difference is folded to an unsigned number, 0, -1, 1, -2, … becoming 0, 1, 2, 3, …, and two
//! of 16 bits stand in a word of 32: lower byte, lower byte, upper byte, upper byte, so that the
//! byte shuffle of words brings bytes of a kind together. If one is longer than 16 bits, each has
//! a word of its own.
//!
//! Nothing is rounded here: positions that are not what a reader makes of such integers, to
//! the last bit, are not turned into them.

use super::root::bad;
use crate::Result;
use crate::wire::memory;

/// The integer `n` of `1 / precision` for the coordinate `x`: the one that readers of XTC
/// turn into the same `f32` again (`n as f32 * (1.0 / precision)`), if there is one, else the
/// nearest. `None` if `x` is not a number or too large for 31 bits.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "compared with the bounds before")]
#[expect(clippy::cast_precision_loss, reason = "as readers do")]
pub fn quantise(x: f64, precision: f32) -> Option<i32> {
    const BOUND: f64 = 2_147_483_645.0;
    let inverse = 1.0 / precision;
    let scaled = x * f64::from(precision);
    if scaled.is_nan() || scaled.abs() >= BOUND {
        return None;
    }
    // The conversion cuts off what is behind the point; `round` is a call where the processor that
    // is compiled for need not know it.
    let near = (scaled + 0.5_f64.copysign(scaled)) as i32;
    // Up to here, rounding errors of a reader stay below half a unit.
    if scaled.abs() < 2_097_152.0 {
        return Some(near);
    }
    let back = |n: i32| n as f32 * inverse == x as f32;
    let other = (x / f64::from(inverse)).round() as i32;
    let around = |n: i32| [0, 1, -1, 128, -128].map(|d| n.saturating_add(d));
    Some(around(near).into_iter().chain(around(other)).find(|n| back(*n)).unwrap_or(near))
}

/// The coordinate that readers make of the integer `n` of `1 / precision`.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "as readers of XTC do")]
pub fn coordinate(n: i32, precision: f32) -> f32 {
    n as f32 * (1.0 / precision)
}

/// `positions`, x y z site by site, as words; `None` if one of them is not, to the last bit, what
/// [`unfold`] would make of it.
pub(in crate::codec) fn fold(positions: &[f32], precision: f32) -> Option<Vec<u32>> {
    let positions = positions.as_chunks::<3>().0.as_flattened();
    let numbers = match small_integers(positions, precision) {
        Some(numbers) => numbers,
        None => integers(positions, precision)?,
    };
    let zigzag = |d: i32| (d << 1 ^ d >> 31).cast_unsigned();
    let mut folded = Vec::with_capacity(numbers.len());
    folded.extend(numbers.iter().take(3).map(|n| zigzag(*n)));
    let behind = numbers.get(3..).unwrap_or_default();
    folded.extend(behind.iter().zip(&numbers).map(|(n, before)| zigzag(n.wrapping_sub(*before))));
    if folded.iter().fold(0, |all, z| all | z) >> 16 != 0 {
        return Some(folded);
    }
    let pair = |[a, b]: [u32; 2]| a & 0xff | (b & 0xff) << 8 | a >> 8 << 16 | b >> 8 << 24;
    let (pairs, last) = folded.as_chunks::<2>();
    let mut words = Vec::with_capacity(folded.len().div_ceil(2));
    words.extend(pairs.iter().map(|z| pair(*z)));
    words.extend(last.iter().map(|z| pair([*z, 0])));
    Some(words)
}

/// The integers of `1 / precision` that these positions are, if all are below 2^21; `None` if one
/// is not, which [`integers`] then decides. An import spends a quarter of its time here where it is
/// done one by one; these loops use vectors.
///
/// Each of the three roundings between an integer below 2^21 and `scaled` moves it by less than an
/// eighth, so the nearest integer is the one; it is what is left in the mantissa when a number is
/// added whose last bit is 1.
#[expect(clippy::cast_precision_loss, reason = "as readers of XTC do")]
fn small_integers(positions: &[f32], precision: f32) -> Option<Vec<i32>> {
    const UNITS: f32 = 12_582_912.0;
    let inverse = 1.0 / precision;
    let mut out = Vec::with_capacity(positions.len());
    out.extend(positions.iter().map(|x| {
        let scaled = x * precision + UNITS;
        scaled.to_bits().wrapping_sub(UNITS.to_bits()).cast_signed()
    }));
    let differ = positions.iter().zip(&out).fold(0, |all, (x, n)| {
        let back = *n as f32 * inverse;
        all | (x.to_bits() ^ back.to_bits())
    });
    let most = out.iter().fold(0, |all, n| all | (n ^ n >> 31));
    (differ == 0 && most < 1 << 21).then_some(out)
}

/// The integers of `1 / precision` that these positions are; `None` if one is not, to the last bit.
fn integers(positions: &[f32], precision: f32) -> Option<Vec<i32>> {
    let mut out = Vec::with_capacity(positions.len());
    for x in positions {
        let n = quantise(f64::from(*x), precision)?;
        if coordinate(n, precision).to_bits() != x.to_bits() {
            return None;
        }
        out.push(n);
    }
    Some(out)
}

/// The positions of `sites` sites in these words, of a frame that states this precision.
pub(super) fn unfold(words: &[u32], sites: usize, precision: Option<f32>) -> Result<Vec<f32>> {
    let precision = precision.filter(|p| p.is_finite() && *p > 0.0).ok_or_else(|| {
        bad("quantised_positions are given, but no precision that is positive and finite")
    })?;
    let count = sites.saturating_mul(3);
    let odd = words.last().is_some_and(|w| count % 2 == 1 && w & 0xff00_ff00 != 0);
    let halved = words.len() == count.div_ceil(2) && !odd;
    // Before any memory is taken: the number of sites is what the record claims.
    if words.len() != count && !halved {
        let n = words.len();
        return Err(bad(format!(
            "quantised_positions has {n} words, which {sites} sites cannot have"
        )));
    }
    let inverse = 1.0 / precision;
    let mut out = memory::filled(count, 0.0)?;
    let mut sum = Sum { before: [0; 3], inverse };
    if words.len() == count {
        let (sites, _) = words.as_chunks::<3>();
        for (site, out) in sites.iter().zip(out.as_chunks_mut::<3>().0) {
            *out = sum.next(*site);
        }
        return Ok(out);
    }
    let halves = |w: &u32| [w & 0xff | w >> 8 & 0xff00, w >> 8 & 0xff | w >> 16 & 0xff00];
    // Two sites are three words.
    let (threes, rest) = words.as_chunks::<3>();
    let (pairs, last) = out.as_chunks_mut::<6>();
    for (words, out) in threes.iter().zip(&mut *pairs) {
        let [[a, b], [c, d], [e, f]] = [halves(&words[0]), halves(&words[1]), halves(&words[2])];
        let (first, second) = (sum.next([a, b, c]), sum.next([d, e, f]));
        out[..3].copy_from_slice(&first);
        out[3..].copy_from_slice(&second);
    }
    if let ([ab, c], Ok(last)) = (rest, <&mut [f32; 3]>::try_from(last)) {
        let [a, b] = halves(ab);
        *last = sum.next([a, b, halves(c)[0]]);
    }
    Ok(out)
}

/// The integers of the site before.
struct Sum {
    before: [i32; 3],
    inverse: f32,
}

impl Sum {
    #[expect(clippy::cast_precision_loss, reason = "as readers of XTC do")]
    fn next(&mut self, folded: [u32; 3]) -> [f32; 3] {
        let difference = |z: u32| (z >> 1).cast_signed() ^ -(z & 1).cast_signed();
        let ([x, y, z], [a, b, c]) = (folded, self.before);
        let now = [
            a.wrapping_add(difference(x)),
            b.wrapping_add(difference(y)),
            c.wrapping_add(difference(z)),
        ];
        self.before = now;
        now.map(|n| n as f32 * self.inverse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|x| x.to_bits()).collect()
    }

    #[test]
    fn words_are_as_the_page_says() {
        // Differences 1 -2 3 | 299 2 -3: folded 2 3 6 | 598 4 5.
        let positions = [1, -2, 3, 300, 0, 0].map(|n| coordinate(n, 1000.0));
        let words = fold(&positions, 1000.0).unwrap();
        assert_eq!(words, [0x0000_0302, 0x0200_5606, 0x0000_0504]);
        assert_eq!(bits(&unfold(&words, 2, Some(1000.0)).unwrap()), bits(&positions));
        // 70 000 is folded to more than 16 bits.
        let words = fold(&[1, 0, 70_000].map(|n| coordinate(n, 10.0)), 10.0).unwrap();
        assert_eq!(words, [2, 0, 140_000]);
        assert!(fold(&[], 10.0).unwrap().is_empty());
        assert!(unfold(&[], 0, Some(10.0)).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_whole_number_is_not_made_one() {
        let close = f32::from_bits(0.1_f32.to_bits() + 1);
        for x in [close, f32::NAN, f32::INFINITY, -0.0, 1e30, 0.000_5] {
            assert_eq!(fold(&[0.1, x, 0.1], 1000.0), None, "{x}");
        }
        assert!(fold(&[coordinate(100, 1000.0); 3], 1000.0).is_some());
    }

    #[test]
    fn words_that_do_not_fit_the_sites_or_have_no_precision_are_refused() {
        for (words, sites) in [(1, 1), (4, 1), (2, 0), (4, 3), (6, 3), (9, 2), (3, usize::MAX)] {
            assert!(unfold(&vec![0; words], sites, Some(1.0)).is_err(), "{words} {sites}");
        }
        assert!(unfold(&[0, 0x100], 1, Some(1.0)).is_err(), "what fills the last word is zero");
        for precision in [None, Some(0.0), Some(-1.0), Some(f32::NAN), Some(f32::INFINITY)] {
            assert!(unfold(&[], 0, precision).is_err());
        }
    }

    proptest! {
        #[test]
        fn whole_numbers_come_back_to_the_last_bit(
            numbers in prop::collection::vec(
                prop_oneof![-40_000..40_000, -2_000_000..2_000_000_i32], 0..40),
            precision in prop::sample::select(vec![1.0_f32, 10.0, 100.0, 1000.0, 123.4, 1e6]),
        ) {
            let numbers = &numbers[..numbers.len() / 3 * 3];
            let positions: Vec<_> = numbers.iter().map(|n| coordinate(*n, precision)).collect();
            let words = fold(&positions, precision).unwrap();
            let back = unfold(&words, positions.len() / 3, Some(precision)).unwrap();
            prop_assert_eq!(bits(&back), bits(&positions));
        }

        #[test]
        fn the_loops_with_vectors_find_the_same_integers(
            numbers in prop::collection::vec(-2_097_151..2_097_152_i32, 0..40),
            precision in prop::sample::select(vec![1.0_f32, 10.0, 1000.0, 123.4, 1e6, 0.3, 7e-20]),
            any in prop::collection::vec(any::<f32>(), 0..4),
        ) {
            let mut positions: Vec<_> = numbers.iter().map(|n| coordinate(*n, precision)).collect();
            prop_assert_eq!(small_integers(&positions, precision), Some(numbers.clone()));
            prop_assert_eq!(integers(&positions, precision), Some(numbers));
            positions.extend(any);
            if let Some(small) = small_integers(&positions, precision) {
                prop_assert_eq!(integers(&positions, precision), Some(small));
            }
            positions.push(0.0);
            prop_assert_eq!(small_integers(&positions, f32::NAN), None);
        }

        #[test]
        fn any_words_are_positions_or_refused(
            words in prop::collection::vec(any::<u32>(), 0..20),
            sites in 0..12_usize,
        ) {
            if let Ok(positions) = unfold(&words, sites, Some(1000.0)) {
                prop_assert_eq!(positions.len(), 3 * sites);
            }
        }
    }
}
