//! In which order records come: a pure function of the seed and the epoch.

use super::permutation::Permutation;
use super::random::{Random, key_of};
use std::ops::Range;

/// How records are brought into random order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shuffle {
    /// Not at all: in the order of the store.
    Sequential,
    /// Groups of neighbours in random order, then the records of a window of groups: nearly as
    /// fast as a sequential read, and nearly as good as a full shuffle if the window is wide enough
    /// (see [`Spread`](super::Spread)).
    Windows,
    /// Every record by itself, each order of all records alike: decodes a block for nearly every
    /// record unless the store was made with purpose `random`.
    Global,
}

impl Shuffle {
    /// The name in a state and in Python.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sequential => "sequential",
            Self::Windows => "windows",
            Self::Global => "global",
        }
    }

    /// The shuffle of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Sequential, Self::Windows, Self::Global].into_iter().find(|s| s.name() == name)
    }
}

/// The order of all epochs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// How records are shuffled.
    pub shuffle: Shuffle,
    /// Chooses one of the orders; each epoch has another.
    pub seed: u64,
    /// Records of a group: neighbours in the store, that are read together. 1 or more; a group of
    /// [`Shuffle::Global`] is one record.
    pub group: u64,
    /// Records of a window: what is in memory at once, and shuffled if the groups are. 1 or more.
    pub window: u64,
}

/// What a key is used for.
const GROUPS: u64 = 1;
const WINDOW: u64 = 2;

/// The order of the `n` records of one epoch, without the shuffle inside windows.
#[derive(Debug, Clone)]
pub struct Sequence {
    n: u64,
    group: u64,
    groups: Option<Permutation>,
    /// Where the last group stands, which may be shorter than the others.
    last: u64,
    short: u64,
}

impl Order {
    /// The order of `n` records in `epoch`.
    #[must_use]
    pub fn sequence(&self, n: u64, epoch: u64) -> Sequence {
        let group = if self.shuffle == Shuffle::Global { 1 } else { self.group.clamp(1, n.max(1)) };
        let count = n.div_ceil(group);
        let last = count.saturating_sub(1);
        let groups = (self.shuffle != Shuffle::Sequential)
            .then(|| Permutation::new(count, key_of(&[GROUPS, self.seed, epoch])));
        let at = groups.as_ref().map_or(last, |groups| groups.place_of(last));
        Sequence { n, group, groups, last: at, short: n - last * group }
    }

    /// Shuffles what the window `number` of an epoch has, if windows are shuffled.
    pub fn shuffle_window<T>(&self, epoch: u64, number: u64, records: &mut [T]) {
        if self.shuffle == Shuffle::Windows {
            self.random(epoch, number).shuffle(records);
        }
    }

    /// Random numbers that belong to a window.
    pub(super) fn random(&self, epoch: u64, number: u64) -> Random {
        Random::new(key_of(&[WINDOW, self.seed, epoch, number]))
    }
}

impl Sequence {
    /// Number of records.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.n
    }

    /// Whether there are no records.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// The records at the positions `range` of the order, as runs of neighbours in the store; one
    /// run for each group or part of a group.
    pub fn runs(&self, range: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let mut position = range.start;
        let end = range.end.min(self.n);
        std::iter::from_fn(move || {
            (position < end).then(|| {
                let (slot, inside, len) = self.slot(position);
                let number = self.groups.as_ref().map_or(slot, |groups| groups.at(slot));
                let first = number * self.group + inside;
                let n = (len - inside).min(end - position);
                position += n;
                first..first + n
            })
        })
    }

    /// The records at the positions `range` of the order.
    pub fn records(&self, range: Range<u64>) -> impl Iterator<Item = u64> + '_ {
        self.runs(range).flatten()
    }

    /// The place of the group at `position`, how far inside it, and its length.
    const fn slot(&self, position: u64) -> (u64, u64, u64) {
        let before = self.last * self.group;
        if position < before {
            (position / self.group, position % self.group, self.group)
        } else if position < before + self.short {
            (self.last, position - before, self.short)
        } else {
            let position = position + (self.group - self.short);
            (position / self.group, position % self.group, self.group)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn order(shuffle: Shuffle, seed: u64, group: u64) -> Order {
        Order { shuffle, seed, group, window: 64 }
    }

    proptest! {
        /// Nothing is lost and nothing comes twice; the runs of any range are the same records.
        #[test]
        fn a_sequence_has_every_record_once(
            n in 0_u64..500, group in 1_u64..70, seed in any::<u64>(), epoch in 0_u64..5,
            a in 0_u64..520, b in 0_u64..520,
        ) {
            for shuffle in [Shuffle::Sequential, Shuffle::Windows, Shuffle::Global] {
                let sequence = order(shuffle, seed, group).sequence(n, epoch);
                let all: Vec<u64> = sequence.records(0..n).collect();
                let range = a.min(b)..a.max(b);
                let part: Vec<u64> = sequence.records(range.clone()).collect();
                let clip = |at: u64| usize::try_from(at.min(n)).unwrap();
                prop_assert_eq!(&part, &all[clip(range.start)..clip(range.end)]);
                let mut sorted = all.clone();
                sorted.sort_unstable();
                prop_assert!(sorted.into_iter().eq(0..n), "{:?}", all);
                if shuffle == Shuffle::Sequential {
                    prop_assert!(all.into_iter().eq(0..n));
                }
            }
        }
    }

    #[test]
    fn epochs_and_seeds_differ_and_repeat_exactly() {
        let at = |seed, epoch| {
            order(Shuffle::Windows, seed, 7)
                .sequence(300, epoch)
                .records(0..300)
                .collect::<Vec<_>>()
        };
        assert_eq!(at(1, 0), at(1, 0));
        assert_ne!(at(1, 0), at(1, 1));
        assert_ne!(at(1, 0), at(2, 0));
    }

    /// The order is a promise: a state that was written yesterday goes on with it.
    #[test]
    fn the_order_of_a_seed_stays_what_it_is() {
        let order = order(Shuffle::Windows, 42, 3);
        let mut records: Vec<u64> = order.sequence(20, 1).records(0..20).collect();
        let unmixed = records.clone();
        order.shuffle_window(1, 0, &mut records);
        assert_eq!((&unmixed[..], &records[..]), (&PINNED[0][..], &PINNED[1][..]));
        let global = Order { shuffle: Shuffle::Global, ..order };
        assert_eq!(global.sequence(10, 0).records(0..10).collect::<Vec<_>>(), GLOBAL);
        let many = 1_000_000_007;
        assert_eq!(global.sequence(many, 0).records(0..4).collect::<Vec<_>>(), LARGE);
    }

    const PINNED: [[u64; 20]; 2] = [
        [6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5, 18, 19, 12, 13, 14, 15, 16, 17],
        [6, 4, 17, 7, 0, 15, 16, 2, 12, 11, 5, 13, 10, 1, 8, 14, 3, 19, 9, 18],
    ];
    const GLOBAL: [u64; 10] = [4, 9, 5, 1, 3, 0, 8, 7, 6, 2];
    const LARGE: [u64; 4] = [106_797_484, 939_652_453, 909_452_751, 411_472_735];
}
