//! Arrays in memory of a caller, cut into rows that threads fill in any order, each row once.
#![expect(
    unsafe_code,
    reason = "lends disjoint parts of the same memory to several threads; docs/safety.md, section wire"
)]

use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};

/// How an array is cut.
#[derive(Debug, Clone, Copy)]
pub enum Cut<'m> {
    /// Each row has as many bytes.
    Even(usize),
    /// Row `i` has the items from `ends[i]` to `ends[i + 1]`, each of as many bytes.
    Items(usize, &'m [usize]),
}

impl Cut<'_> {
    /// The bytes of row `i`; `None` if there is no such row.
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

/// The arrays, and which rows were taken.
#[derive(Debug)]
pub struct Rows<'m> {
    arrays: Vec<Array<'m>>,
    taken: Vec<AtomicBool>,
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
        Some(Self { arrays, taken: (0..rows).map(|_| AtomicBool::new(false)).collect() })
    }

    /// Row `i`, the first time that it is asked for; afterwards, and where there is none, `None`.
    #[must_use]
    pub fn take(&self, i: usize) -> Option<Row<'_>> {
        // Nothing is read that another thread wrote before: who waits for all threads sees all rows.
        let before = self.taken.get(i)?.swap(true, Ordering::Relaxed);
        (!before).then_some(Row { arrays: &self.arrays, i })
    }
}

/// One row of all arrays. There is one of each number.
#[derive(Debug)]
pub struct Row<'r> {
    arrays: &'r [Array<'r>],
    i: usize,
}

impl Row<'_> {
    /// Its part of an array; nothing if there is no such array.
    #[inline]
    pub fn part(&mut self, array: usize) -> &mut [u8] {
        let Some(array) = self.arrays.get(array) else { return &mut [] };
        let Some((start, end)) = array.cut.range(self.i) else { return &mut [] };
        if start > end || end > array.len {
            return &mut [];
        }
        // SAFETY: the range lies in the memory of the array, which `Rows` has for itself as long as this
        // lives. Rows do not overlap (`Cut::range` of ascending ends, which cannot change meanwhile), there is
        // one `Row` of each number (`Rows::take`), and the slice borrows it mutably.
        unsafe { std::slice::from_raw_parts_mut(array.first.wrapping_add(start), end - start) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_fill_each_row_once_and_nothing_else() {
        let ends: Vec<usize> = (0..=200_usize).map(|i| i * i / 7).collect();
        let (rows, items) = (200, *ends.last().unwrap());
        let (mut even, mut uneven) = (vec![0; rows * 3 + 5], vec![0; items * 2 + 1]);
        let cuts = [(&mut even[..], Cut::Even(3)), (&mut uneven[..], Cut::Items(2, &ends))];
        let shared = Rows::new(rows, cuts).unwrap();
        let taken = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let (shared, ends, taken) = (&shared, &ends, &taken);
                scope.spawn(move || {
                    for i in (0..rows + 2).map(|i| (i * 37 + thread) % (rows + 2)) {
                        let Some(mut row) = shared.take(i) else { continue };
                        let value = u8::try_from(i % 250 + 1).unwrap();
                        assert_eq!(row.part(0).len(), 3);
                        assert_eq!(row.part(1).len(), 2 * (ends[i + 1] - ends[i]));
                        assert!(row.part(2).is_empty());
                        row.part(0).fill(value);
                        row.part(1).fill(value);
                        taken.store(true, Ordering::Relaxed);
                        assert!(shared.take(i).is_none());
                    }
                });
            }
        });
        assert!(taken.into_inner() && (0..rows).all(|i| shared.take(i).is_none()));
        drop(shared);
        let value = |i: usize| u8::try_from(i % 250 + 1).unwrap();
        assert!((0..rows).all(|i| even[i * 3..i * 3 + 3].iter().all(|b| *b == value(i))));
        assert_eq!(even[rows * 3..], [0; 5]);
        let row = |i: usize| &uneven[2 * ends[i]..2 * ends[i + 1]];
        assert!((0..rows).all(|i| row(i).iter().all(|b| *b == value(i))));
        assert_eq!(uneven[items * 2..], [0]);
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
