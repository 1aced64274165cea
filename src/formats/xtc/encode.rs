//! Whole-number coordinates to packed bits. The source of the scheme is named at the head of
//! the room; choices that a reader does not see are made as GROMACS makes them, so that its
//! own files come out the same to the byte.

use super::bits::BitWriter;
use super::sizes::{FIRST, LAST, PACKED_MAX, Triple, size};

/// Most differences after a whole coordinate.
const RUN_MAX: usize = 8;

/// Coordinates, packed.
pub(super) struct Bits {
    pub(super) min: [i32; 3],
    pub(super) max: [i32; 3],
    pub(super) small: i32,
    pub(super) bytes: Vec<u8>,
}

/// Packs `atoms`; `None` if there are none or they span more than 31 bits along an axis.
pub(super) fn encode(atoms: &[[i32; 3]]) -> Option<Bits> {
    let (mut min, mut max) = (*atoms.first()?, *atoms.first()?);
    for at in atoms {
        for ((a, min), max) in at.iter().zip(&mut min).zip(&mut max) {
            *min = (*min).min(*a);
            *max = (*max).max(*a);
        }
    }
    let mut span = [0; 3];
    for ((span, min), max) in span.iter_mut().zip(min).zip(max) {
        *span = u32::try_from(i64::from(max) - i64::from(min) + 1)
            .ok()
            .filter(|s| *s < i32::MAX.unsigned_abs() - 1)?;
    }
    // Offsets from the smallest value: below 2^31, so differences fit an i32.
    let offsets: Vec<[i32; 3]> = atoms.iter().map(|at| sub(*at, min)).collect();
    let nearest = offsets.windows(2).map(|w| match w {
        [a, b] => sub(*b, *a).iter().map(|d| u64::from(d.unsigned_abs())).sum(),
        _ => u64::MAX,
    });
    let nearest = nearest.min().unwrap_or(u64::MAX).min(i32::MAX.unsigned_abs().into());
    let start = (FIRST..LAST).find(|i| u64::from(size(*i)) >= nearest).unwrap_or(LAST);
    let mut packer = Packer::new(start, span);
    let mut rest = offsets;
    packer.pack(&mut rest);
    Some(Bits { min, max, small: i32::try_from(start).ok()?, bytes: packer.bits.finish() })
}

/// Cannot overflow for offsets, which lie within 31 bits; wraps for `min` on the way there.
fn sub(a: [i32; 3], b: [i32; 3]) -> [i32; 3] {
    let ([ax, ay, az], [bx, by, bz]) = (a, b);
    [ax.wrapping_sub(bx), ay.wrapping_sub(by), az.wrapping_sub(bz)]
}

/// Whether `a` and `b` differ by less than `by` along each axis.
fn close(a: [i32; 3], b: [i32; 3], by: u32) -> bool {
    sub(a, b).iter().all(|d| d.unsigned_abs() < by)
}

struct Packer {
    bits: BitWriter,
    /// The whole coordinates as one number, unless a span is too large for that.
    together: Option<Triple>,
    widths: [u32; 3],
    /// Index of the small size in use, and the bounds within which it moves.
    index: usize,
    lowest: usize,
    highest: usize,
}

impl Packer {
    fn new(start: usize, span: [u32; 3]) -> Self {
        let highest = LAST.min(start + 8);
        Self {
            bits: BitWriter::default(),
            together: span.iter().all(|s| *s <= PACKED_MAX).then(|| Triple::of(span)),
            widths: span.map(|s| 32 - s.leading_zeros()),
            index: start,
            lowest: highest - 8,
            highest,
        }
    }

    fn pack(&mut self, atoms: &mut [[i32; 3]]) {
        let larger = size(self.highest) / 2;
        let mut before: Option<[i32; 3]> = None;
        let mut run_before = None;
        let mut rest = atoms;
        while let Some((first, tail)) = rest.split_first_mut() {
            let half = size(self.index) / 2;
            let far = before.is_none_or(|b| !close(*first, b, larger));
            let mut change = if self.index < self.highest && !far {
                1
            } else if self.index > self.lowest {
                -1
            } else {
                0
            };
            let paired = match tail.first_mut() {
                Some(second) if close(*first, *second, half) => {
                    // Stored in exchanged order: good for water.
                    std::mem::swap(first, second);
                    true
                }
                _ => false,
            };
            self.whole(*first);
            let mut last = *first;
            if !paired && change == -1 {
                change = 0;
            }
            // How many of the next atoms are close, each to the one before.
            let limit = u64::from(size(self.index.saturating_sub(1)) / 2).pow(2);
            let mut steps = [[0; 3]; RUN_MAX];
            let mut run = 0;
            if paired {
                for (step, at) in steps.iter_mut().zip(tail.iter()) {
                    if run > 0 && !close(*at, last, half) {
                        break;
                    }
                    let by = sub(*at, last);
                    let square: u64 = by.iter().map(|d| u64::from(d.unsigned_abs()).pow(2)).sum();
                    if change == -1 && square >= limit {
                        change = 0;
                    }
                    *step = by.map(|d| d.wrapping_add_unsigned(half).cast_unsigned());
                    last = *at;
                    run += 1;
                }
            }
            if run_before != Some(run) || change != 0 {
                run_before = Some(run);
                self.bits.high_first(1, 1);
                // At most 3 * 8 + 2, in 5 bits.
                let both = 3 * run + usize::from(change == 0) + 2 * usize::from(change == 1);
                self.bits.high_first(u32::try_from(both).unwrap_or_default(), 5);
            } else {
                self.bits.high_first(0, 1);
            }
            if let Some(small) = Triple::small(self.index) {
                for step in steps.iter().take(run) {
                    self.bits.low_first(small.join(*step), small.bits());
                }
            }
            match change {
                1 => self.index += 1,
                -1 => self.index -= 1,
                _ => {}
            }
            before = Some(last);
            rest = tail.split_at_mut_checked(run).map(|(_, after)| after).unwrap_or_default();
        }
    }

    fn whole(&mut self, at: [i32; 3]) {
        let at = at.map(i32::cast_unsigned);
        match &self.together {
            Some(t) => self.bits.low_first(t.join(at), t.bits()),
            None => {
                for (value, width) in at.iter().zip(self.widths) {
                    self.bits.high_first(*value, width);
                }
            }
        }
    }
}
