//! Packed bits to coordinates. The source of the scheme is named at the head of the room.

use super::bits::BitReader;
use super::sizes::{FIRST, LAST, PACKED_MAX, Triple, size};

/// Bytes of room to look ahead that must follow the packed bytes.
pub(super) const SLACK: usize = 16;

/// What stands before the packed bits, checked.
pub(super) struct Packed {
    precision: f32,
    min: [i32; 3],
    /// Values along each axis, from the smallest to the largest.
    span: [u32; 3],
    whole: Whole,
    small: usize,
    length: usize,
}

/// How a coordinate that is not a difference is stored.
enum Whole {
    /// The three numbers in one.
    Together(Triple),
    /// Each in bits of its own, because one of the spans is large.
    Apart([u32; 3]),
}

/// Atoms farther apart than the largest size make the widespread writers go one past the table.
/// No difference can be stored there, and none needs to be.
const PAST: usize = LAST + 1;

const SHORT: &str = "its packed coordinates end too early; the frame is damaged";
const RANGE: &str = "a coordinate lies outside the range that the frame states; it is damaged";

impl Packed {
    /// Checks the numbers against each other: `length` bytes must be able to hold `atoms`
    /// atoms.
    pub(super) fn new(
        precision: f32,
        min: [i32; 3],
        max: [i32; 3],
        small: i32,
        length: usize,
        atoms: usize,
    ) -> Result<Self, Box<str>> {
        if !(precision.is_finite() && precision > 0.0) {
            return Err(format!("it claims a precision of {precision}").into());
        }
        let mut span = [0; 3];
        for ((span, min), max) in span.iter_mut().zip(min).zip(max) {
            // Writers keep the span in 31 bits.
            *span = u32::try_from(i64::from(max) - i64::from(min) + 1)
                .ok()
                .filter(|s| (1..=i32::MAX.unsigned_abs()).contains(s))
                .ok_or_else(|| format!("its coordinates are said to go from {min} to {max}"))?;
        }
        let small = usize::try_from(small).ok().filter(|s| (FIRST..=PAST).contains(s)).ok_or_else(
            || format!("its first small size is number {small}; there are {FIRST} to {PAST}"),
        )?;
        let whole = if span.iter().any(|s| *s > PACKED_MAX) {
            Whole::Apart(span.map(|s| 32 - s.leading_zeros()))
        } else {
            Whole::Together(Triple::of(span))
        };
        // An atom costs a whole coordinate and a flag, or a difference of the smallest size.
        let least = match &whole {
            Whole::Together(t) => t.bits(),
            Whole::Apart(bits) => bits.iter().sum(),
        }
        .saturating_add(1)
        .min(9);
        let most = (length as u64).saturating_mul(8) / u64::from(least);
        if atoms as u64 > most {
            return Err(format!("it claims {atoms} atoms in {length} bytes").into());
        }
        Ok(Self { precision, min, span, whole, small, length })
    }

    pub(super) const fn precision(&self) -> f32 {
        self.precision
    }

    /// Bytes, without padding.
    pub(super) const fn length(&self) -> usize {
        self.length
    }

    /// Fills `out` from `bytes`: the packed ones and [`SLACK`] more.
    pub(super) fn decode(&self, bytes: &[u8], out: &mut [[f32; 3]]) -> Result<(), &'static str> {
        let mut bits = BitReader::new(bytes);
        match &self.whole {
            Whole::Together(t) => self.atoms(&mut bits, out, |b| t.read(b)),
            Whole::Apart(each) => self.atoms(&mut bits, out, |b| {
                let mut one = |n| u32::try_from(b.high_first(n)?).ok();
                let [x, y, z] = *each;
                Some([one(x)?, one(y)?, one(z)?])
            }),
        }?;
        // Every bit is accounted for, but those that fill the last byte.
        match bits.position().div_ceil(8) {
            used if used > self.length => Err(SHORT),
            used if used < self.length => {
                Err("its packed coordinates go on after the last atom; the frame is damaged")
            }
            _ => Ok(()),
        }
    }

    /// Runs of atoms: one whole coordinate, then up to ten differences, each from the atom
    /// before. Offsets are kept from `min`, so that one comparison tells whether they lie in
    /// the range.
    #[inline]
    fn atoms<'b>(
        &self,
        bits: &mut BitReader<'b>,
        out: &mut [[f32; 3]],
        whole: impl Fn(&mut BitReader<'b>) -> Option<[u32; 3]>,
    ) -> Result<(), &'static str> {
        const RUN: &str = "a run of atoms goes past the last one; the frame is damaged";
        const TABLE: &str = "its small sizes leave the table; the frame is damaged";
        let inverse = 1.0 / self.precision;
        let mut index = self.small;
        let mut small = Triple::small(index);
        let mut half = size(index) / 2;
        let mut run = 0;
        let mut slots = out.iter_mut();
        while let Some(slot) = slots.next() {
            let first = whole(bits).ok_or(SHORT)?;
            self.inside(first)?;
            let flag = bits.high_first(1).ok_or(SHORT)?;
            let mut change = 1;
            if flag == 1 {
                let both = bits.high_first(5).ok_or(SHORT)?;
                // Run and change of size share the field; 0, 1, 2 are smaller, same, larger.
                change = both % 3;
                run = both / 3;
            }
            if run == 0 {
                self.place(slot, first, inverse);
            } else {
                let small = small.ok_or(TABLE)?;
                // The first two atoms are stored in exchanged order: good for water, whose
                // oxygen is close to both hydrogens.
                let mut last = self.near(first, small.read(bits).ok_or(SHORT)?, half)?;
                self.place(slot, last, inverse);
                self.place(slots.next().ok_or(RUN)?, first, inverse);
                for _ in 1..run {
                    last = self.near(last, small.read(bits).ok_or(SHORT)?, half)?;
                    self.place(slots.next().ok_or(RUN)?, last, inverse);
                }
            }
            if change != 1 {
                index = if change == 0 { index.wrapping_sub(1) } else { index + 1 };
                if !(FIRST..=PAST).contains(&index) {
                    return Err(TABLE);
                }
                small = Triple::small(index);
                half = size(index) / 2;
            }
        }
        Ok(())
    }

    #[inline]
    fn inside(&self, at: [u32; 3]) -> Result<(), &'static str> {
        let [x, y, z] = at;
        let [sx, sy, sz] = self.span;
        if x < sx && y < sy && z < sz { Ok(()) } else { Err(RANGE) }
    }

    #[inline]
    fn near(&self, from: [u32; 3], by: [u32; 3], half: u32) -> Result<[u32; 3], &'static str> {
        let [x, y, z] = from;
        let [dx, dy, dz] = by;
        // No sum passes 2^32 (31 bits and 25 bits), and what falls below zero wraps to
        // something larger than any span.
        let step = |a: u32, d: u32| a.wrapping_add(d).wrapping_sub(half);
        let at = [step(x, dx), step(y, dy), step(z, dz)];
        self.inside(at)?;
        Ok(at)
    }

    #[inline]
    #[expect(clippy::cast_precision_loss, reason = "the format says so")]
    fn place(&self, slot: &mut [f32; 3], at: [u32; 3], inverse: f32) {
        let [x, y, z] = at;
        let [mx, my, mz] = self.min;
        let value = |n: u32, min: i32| min.wrapping_add_unsigned(n) as f32 * inverse;
        *slot = [value(x, mx), value(y, my), value(z, mz)];
    }
}
