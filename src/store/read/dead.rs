//! The numbers of the records without an ordinal, sorted; one more costs little however many there are.

/// Numbers of one part; one that has twice as many is divided.
const PART: usize = 1024;

/// Sorted numbers, each named once.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeadList {
    /// In order, none of them empty.
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
struct Part {
    /// How many numbers lie before it.
    before: usize,
    numbers: Vec<u64>,
}

impl Part {
    fn first(&self) -> u64 {
        self.numbers.first().copied().unwrap_or(u64::MAX)
    }
}

impl DeadList {
    /// These numbers, which are sorted.
    pub(crate) fn new(sorted: &[u64]) -> Self {
        let parts = sorted.chunks(PART).enumerate();
        let part =
            |(i, numbers): (usize, &[u64])| Part { before: i * PART, numbers: numbers.to_vec() };
        Self { parts: parts.map(part).collect() }
    }

    /// The part in which a number lies if it lies in one.
    fn part_of(&self, id: u64) -> usize {
        self.parts.partition_point(|part| part.first() <= id).saturating_sub(1)
    }

    /// Adds a number; whether it was not there.
    pub(crate) fn add(&mut self, id: u64) -> bool {
        let at = self.part_of(id);
        let Some(part) = self.parts.get_mut(at) else {
            self.parts.push(Part { before: 0, numbers: vec![id] });
            return true;
        };
        let Err(place) = part.numbers.binary_search(&id) else { return false };
        part.numbers.insert(place, id);
        let half = (part.numbers.len() >= 2 * PART).then(|| part.numbers.split_off(PART));
        for later in self.parts.iter_mut().skip(at + 1) {
            later.before += 1;
        }
        if let Some(numbers) = half {
            let before = self.parts.get(at).map_or(0, |part| part.before) + PART;
            self.parts.insert(at + 1, Part { before, numbers });
        }
        true
    }

    /// How many numbers are less than this one: `Ok` if it is there itself.
    pub(crate) fn rank(&self, id: u64) -> Result<usize, usize> {
        let Some(part) = self.parts.get(self.part_of(id)) else { return Err(0) };
        match part.numbers.binary_search(&id) {
            Ok(at) => Ok(part.before + at),
            Err(at) => Err(part.before + at),
        }
    }

    /// How many numbers come before the one at position `ordinal` among those that are not here.
    pub(crate) fn before_live(&self, ordinal: u64) -> usize {
        // The k-th number here comes before that one if at most `ordinal` others come before it.
        let comes_before = |k: usize, id: u64| id - k as u64 <= ordinal;
        let behind = self.parts.partition_point(|part| comes_before(part.before, part.first()));
        let Some(part) = behind.checked_sub(1).and_then(|at| self.parts.get(at)) else { return 0 };
        let (mut low, mut high) = (0, part.numbers.len());
        while let Some(id) = part.numbers.get(low + (high - low) / 2).filter(|_| low < high) {
            let middle = low + (high - low) / 2;
            if comes_before(part.before + middle, *id) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        part.before + low
    }

    /// All numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> {
        self.parts.iter().flat_map(|part| part.numbers.iter().copied())
    }

    /// The numbers from `first` on.
    pub(crate) fn iter_from(&self, first: u64) -> impl Iterator<Item = u64> {
        let parts = self.parts.iter().skip(self.part_of(first));
        parts.flat_map(|part| part.numbers.iter().copied()).skip_while(move |id| *id < first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn check(list: &DeadList, right: &BTreeSet<u64>, end: u64) {
        assert_eq!(list.iter().collect::<Vec<_>>(), right.iter().copied().collect::<Vec<_>>());
        let live: Vec<u64> = (0..end).filter(|id| !right.contains(id)).collect();
        for (ordinal, id) in live.iter().enumerate() {
            let dead = usize::try_from(*id - ordinal as u64).unwrap();
            assert_eq!((list.before_live(ordinal as u64), list.rank(*id)), (dead, Err(dead)));
        }
        for (rank, id) in right.iter().enumerate() {
            assert_eq!(list.rank(*id), Ok(rank));
        }
        for first in [0, 1, end / 3, end - 1, end] {
            assert!(list.iter_from(first).eq(right.range(first..).copied()));
        }
    }

    #[test]
    fn numbers_added_in_any_order_are_sorted_and_counted() {
        let end = 7_000;
        for (start, step) in [(0, 3), (6_999, 11), (3_000, 6_999), (0, 1)] {
            for given in [0, 1, 2_500] {
                let mut right: BTreeSet<u64> = (0..given).map(|i| i * 2).collect();
                let mut list = DeadList::new(&right.iter().copied().collect::<Vec<_>>());
                let mut id = start;
                for _ in 0..3_000 {
                    assert_eq!(list.add(id), right.insert(id));
                    id = (id + step) % end;
                }
                check(&list, &right, end);
            }
        }
        check(&DeadList::default(), &BTreeSet::new(), 10);
    }
}
