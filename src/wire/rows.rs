//! Arrays in memory of a caller, cut into rows that threads fill in any order, each row once.
#![expect(
    unsafe_code,
    reason = "lends disjoint parts of the same memory to several threads; docs/safety.md, section wire"
)]

use super::prefetch_to_write;
use std::marker::PhantomData;

/// How an array is cut.
#[derive(Debug, Clone, Copy)]
pub enum Cut<'m> {
    /// Each row has as many bytes.
    Even(usize),
    /// Row `i` has the items from `ends[i]` to `ends[i + 1]`, each of as many bytes.
    Items(usize, &'m [usize]),
}

impl Cut<'_> {
    /// The bytes of row `i`; `None` if `i` is not a row.
    #[inline]
    fn range(&self, i: usize) -> Option<(usize, usize)> {
        let (width, start, end) = match self {
            Self::Even(width) => (*width, i, i.checked_add(1)?),
            Self::Items(width, ends) => (*width, *ends.get(i)?, *ends.get(i + 1)?),
        };
        Some((start.checked_mul(width)?, end.checked_mul(width)?))
    }
}

/// One array.
#[derive(Debug)]
struct Array<'m> {
    first: *mut u8,
    len: usize,
    cut: Cut<'m>,
    memory: PhantomData<&'m mut [u8]>,
}

// SAFETY: it stands for the `&mut [u8]` that it was made of, which may be sent.
unsafe impl Send for Array<'_> {}
// SAFETY: through a shared one only `Row::part` reaches the memory, which reaches each row from one thread alone.
unsafe impl Sync for Array<'_> {}

/// The arrays, and whose each row is.
#[derive(Debug)]
pub struct Rows<'m> {
    arrays: Vec<Array<'m>>,
    rows: usize,
    /// The share of each row; without any, all are those of the first.
    owners: Vec<u16>,
}

impl<'m> Rows<'m> {
    /// Cuts arrays into `rows` rows. `None` if one of them has other rows than that, ends that do not
    /// ascend, or less memory than its rows take.
    pub fn new(
        rows: usize,
        arrays: impl IntoIterator<Item = (&'m mut [u8], Cut<'m>)>,
    ) -> Option<Self> {
        let fits = |(memory, cut): (&'m mut [u8], Cut<'m>)| {
            let end = match cut {
                Cut::Even(width) => rows.checked_mul(width)?,
                Cut::Items(width, ends) => {
                    (ends.len() == rows.checked_add(1)? && ends.is_sorted()).then_some(())?;
                    ends.last()?.checked_mul(width)?
                }
            };
            let (first, len) = (memory.as_mut_ptr(), memory.len());
            (end <= len).then_some(Array { first, len, cut, memory: PhantomData })
        };
        let arrays = arrays.into_iter().map(fits).collect::<Option<_>>()?;
        Some(Self { arrays, rows, owners: Vec::new() })
    }

    /// Shares the rows out: the first share has those that the first of `parts` names, and so on. A row
    /// that no part names belongs to the first share, one that several name to the last of them; those
    /// beyond the greatest number of shares have no row.
    pub fn share<P: IntoIterator<Item = usize>>(
        &mut self,
        parts: impl ExactSizeIterator<Item = P>,
    ) -> Vec<Share<'_>> {
        let count = parts.len();
        self.owners.clear();
        if count > 1 {
            self.owners.resize(self.rows, 0);
            for (part, owner) in parts.zip(0..=u16::MAX) {
                for i in part {
                    if let Some(place) = self.owners.get_mut(i) {
                        *place = owner;
                    }
                }
            }
        }
        let rows = &*self;
        (0..=u16::MAX).take(count).map(|owner| Share { rows, owner }).collect()
    }
}

/// Some of the rows, for one thread. There is one share of each number, so that a row is reached
/// through one share alone, and shares are neither copied nor used from two places at once.
#[derive(Debug)]
pub struct Share<'r> {
    rows: &'r Rows<'r>,
    owner: u16,
}

impl Share<'_> {
    /// Row `i`; `None` if it is not of this share.
    ///
    /// No atomic operation here: it would wait until all that was written to the rows before is in memory.
    #[inline]
    pub fn row(&mut self, i: usize) -> Option<Row<'_>> {
        let owner = if self.rows.owners.is_empty() { 0 } else { *self.rows.owners.get(i)? };
        (owner == self.owner && i < self.rows.rows).then_some(Row { arrays: &self.rows.arrays, i })
    }

    /// Asks for the memory of row `i`, which will be written soon.
    #[inline]
    pub fn prefetch(&self, i: usize) {
        for array in &self.rows.arrays {
            if let Some((start, end)) = array.cut.range(i) {
                prefetch_to_write(
                    array.first.addr().wrapping_add(start),
                    end.saturating_sub(start),
                );
            }
        }
    }
}

/// One row of all arrays, as long as its share is borrowed.
#[derive(Debug)]
pub struct Row<'r> {
    arrays: &'r [Array<'r>],
    i: usize,
}

impl Row<'_> {
    /// Its part of an array; empty if `array` is not one.
    #[inline]
    pub fn part(&mut self, array: usize) -> &mut [u8] {
        let Some(array) = self.arrays.get(array) else { return &mut [] };
        let Some((start, end)) = array.cut.range(self.i) else { return &mut [] };
        if start > end || end > array.len {
            return &mut [];
        }
        // SAFETY: the range lies in the memory of the array, which `Rows` has for itself as long as this
        // lives. Rows do not overlap (`Cut::range` of ascending ends, which cannot change meanwhile). A row is
        // reached through one share (`Rows::share`), which lends one `Row` at a time, and the slice borrows it
        // mutably.
        unsafe { std::slice::from_raw_parts_mut(array.first.wrapping_add(start), end - start) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_fill_the_rows_of_their_shares_and_nothing_else() {
        let ends: Vec<usize> = (0..=200_usize).map(|i| i * i / 7).collect();
        let (count, items) = (200, *ends.last().unwrap());
        for threads in [1, 3] {
            let (mut even, mut uneven) = (vec![0; count * 3 + 5], vec![0; items * 2 + 1]);
            let cuts = [(&mut even[..], Cut::Even(3)), (&mut uneven[..], Cut::Items(2, &ends))];
            let mut rows = Rows::new(count, cuts).unwrap();
            let owner = |i: usize| i * 37 % threads;
            let part = |thread| (0..count + 2).filter(move |i| owner(*i) == thread);
            let shares = rows.share((0..threads).map(part));
            std::thread::scope(|scope| {
                for (thread, mut share) in shares.into_iter().enumerate() {
                    let ends = &ends;
                    scope.spawn(move || {
                        for i in (0..count + 2).rev() {
                            share.prefetch(i);
                            let Some(mut row) = share.row(i) else {
                                assert!(owner(i) != thread || i >= count);
                                continue;
                            };
                            assert!(owner(i) == thread && i < count);
                            let value = u8::try_from(i % 250 + 1).unwrap();
                            assert_eq!(row.part(0).len(), 3);
                            assert_eq!(row.part(1).len(), 2 * (ends[i + 1] - ends[i]));
                            assert!(row.part(2).is_empty());
                            row.part(0).fill(value);
                            row.part(1).fill(value);
                        }
                    });
                }
            });
            let value = |i: usize| u8::try_from(i % 250 + 1).unwrap();
            assert!((0..count).all(|i| even[i * 3..i * 3 + 3].iter().all(|b| *b == value(i))));
            assert_eq!(even[count * 3..], [0; 5]);
            let row = |i: usize| &uneven[2 * ends[i]..2 * ends[i + 1]];
            assert!((0..count).all(|i| row(i).iter().all(|b| *b == value(i))));
            assert_eq!(uneven[items * 2..], [0]);
        }
    }

    #[test]
    fn a_row_that_several_parts_name_belongs_to_one() {
        let mut memory = [0; 8];
        let mut rows = Rows::new(4, [(&mut memory[..], Cut::Even(2))]).unwrap();
        let mut shares = rows.share([vec![0, 1, 2], vec![2, 1, 9]].into_iter());
        let has = |share: &mut Share<'_>| [0, 1, 2, 3].map(|i| share.row(i).is_some());
        assert_eq!(has(&mut shares[0]), [true, false, false, true]);
        assert_eq!(has(&mut shares[1]), [false, true, true, false]);
    }

    #[test]
    fn arrays_that_do_not_have_these_rows_are_refused() {
        let mut memory = [0; 10];
        let mut new = |rows, cut| Rows::new(rows, [(&mut memory[..], cut)]).is_some();
        assert!(new(5, Cut::Even(2)));
        assert!(!new(5, Cut::Even(3)));
        assert!(!new(usize::MAX, Cut::Even(2)));
        assert!(new(2, Cut::Items(5, &[0, 1, 2])));
        assert!(!new(2, Cut::Items(5, &[0, 2, 1])));
        assert!(!new(2, Cut::Items(5, &[0, 1])));
        assert!(!new(2, Cut::Items(5, &[0, 1, 3])));
        assert!(!new(1, Cut::Items(usize::MAX, &[0, 2])));
        assert!(!new(0, Cut::Items(1, &[])));
    }
}
