//! Groups of different sizes: they begin where blocks of the files begin, so that no block is decoded for two
//! of them.

use super::order::{Order, Shuffle};
use super::permutation::Permutation;
use super::random::key_of;
use std::ops::Range;
use std::sync::{Arc, Mutex};

/// Where the groups of some records begin.
///
/// Cheap to clone. An epoch keeps where each group comes, 16 bytes for each.
#[derive(Debug, Clone)]
pub struct Groups {
    records: u64,
    starts: Arc<[u64]>,
    laid: Arc<Mutex<Option<Kept>>>,
}

/// The groups of the epoch that was asked for last, and its key.
type Kept = (u64, Arc<Laid>);

/// The groups of an epoch one behind the other.
#[derive(Debug)]
struct Laid {
    /// Behind which position of the order each ends, and its first record.
    groups: Box<[(u64, u64)]>,
}

/// What a key is used for.
const UNEVEN: u64 = 4;

impl Groups {
    /// Groups of `records` records that begin at `starts` and reach to the next start. A start that is 0, above the last
    /// record or not above the start before is left out.
    #[must_use]
    pub fn new(records: u64, starts: impl IntoIterator<Item = u64>) -> Self {
        let mut last = 0;
        let inner = starts.into_iter().filter(|start| {
            let begins = *start > last && *start < records;
            if begins {
                last = *start;
            }
            begins
        });
        let starts = (records > 0).then_some(0).into_iter().chain(inner).collect();
        Self { records, starts, laid: Arc::default() }
    }

    /// Number of records of all groups.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// How many records the group of a record has on average; one at least.
    #[must_use]
    pub fn typical_size(&self) -> u64 {
        let ends = self.starts.iter().skip(1).copied().chain([self.records]);
        let sizes = self.starts.iter().zip(ends).map(|(start, end)| u128::from(end - start));
        let squares = sizes.map(|size| size * size).sum::<u128>();
        u64::try_from(squares / u128::from(self.records.max(1))).unwrap_or(u64::MAX).max(1)
    }

    /// Where each group begins.
    #[must_use]
    pub fn starts(&self) -> &[u64] {
        &self.starts
    }

    /// A short name: that of no other groups.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {:016x}", self.starts.len(), key_of(&self.starts))
    }

    /// The order of an epoch; only for groups that are shuffled.
    pub(super) fn sequence(&self, order: &Order, epoch: u64) -> Uneven {
        debug_assert_eq!(order.shuffle, Shuffle::Windows);
        let key = key_of(&[UNEVEN, order.seed, epoch]);
        // Never waited for: in a child of a fork it may be locked for ever.
        let Ok(mut held) = self.laid.try_lock() else {
            return Uneven { laid: Arc::new(self.laid(key)) };
        };
        match &*held {
            Some((known, laid)) if *known == key => Uneven { laid: laid.clone() },
            _ => {
                let laid = Arc::new(self.laid(key));
                *held = Some((key, laid.clone()));
                Uneven { laid }
            }
        }
    }

    fn laid(&self, key: u64) -> Laid {
        let count = self.starts.len() as u64;
        let permutation = Permutation::new(count, key);
        let start = |group: u64| {
            let found = usize::try_from(group).ok().and_then(|group| self.starts.get(group));
            found.copied().unwrap_or(self.records)
        };
        let mut position = 0;
        let lay = |slot| {
            let group = permutation.at(slot);
            position += start(group + 1) - start(group);
            (position, start(group))
        };
        Laid { groups: (0..count).map(lay).collect() }
    }
}

/// The order of one epoch of groups of different sizes.
#[derive(Debug)]
pub(super) struct Uneven {
    laid: Arc<Laid>,
}

impl Uneven {
    /// The records at the positions `range` of the order, as runs of neighbours in the store.
    pub(super) fn runs(&self, range: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let groups = &self.laid.groups;
        let mut slot = groups.partition_point(|(end, _)| *end <= range.start);
        let mut position = range.start;
        std::iter::from_fn(move || {
            let (end, first) = groups.get(slot).copied()?;
            if position >= range.end {
                return None;
            }
            let begin = slot.checked_sub(1).and_then(|at| groups.get(at)).map_or(0, |g| g.0);
            let stop = end.min(range.end);
            let run = first + (position - begin)..first + (stop - begin);
            (position, slot) = (stop, slot + 1);
            Some(run)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn order(seed: u64) -> Order {
        Order { shuffle: Shuffle::Windows, seed, group: 8, window: 32 }
    }

    proptest! {
        /// Nothing is lost and nothing comes twice; any range of positions is a part of the same order, and each
        /// group comes as a whole.
        #[test]
        fn an_order_of_groups_has_every_record_once(
            n in 0_u64..300, starts in prop::collection::vec(0_u64..320, 0..40),
            seed in any::<u64>(), epoch in 0_u64..4, a in 0_u64..320, b in 0_u64..320,
        ) {
            let groups = Groups::new(n, starts);
            let order = order(seed);
            let sequence = groups.sequence(&order, epoch);
            let all: Vec<u64> = sequence.runs(0..n).flatten().collect();
            let range = a.min(b)..a.max(b);
            let part: Vec<u64> = sequence.runs(range.clone()).flatten().collect();
            let clip = |at: u64| usize::try_from(at.min(n)).unwrap();
            prop_assert_eq!(&part, &all[clip(range.start)..clip(range.end)]);
            let runs: Vec<_> = sequence.runs(0..n).collect();
            let mut begins: Vec<u64> = runs.iter().map(|run| run.start).collect();
            begins.sort_unstable();
            prop_assert_eq!(&*begins, groups.starts());
            let mut sorted = all.clone();
            sorted.sort_unstable();
            prop_assert!(sorted.into_iter().eq(0..n), "{:?}", all);
        }
    }

    #[test]
    fn epochs_and_seeds_differ_and_repeat_exactly() {
        let groups = Groups::new(300, (0..300).step_by(7));
        let at = |seed, epoch| {
            groups.sequence(&order(seed), epoch).runs(0..300).flatten().collect::<Vec<_>>()
        };
        assert_eq!(at(1, 0), at(1, 0));
        assert_ne!(at(1, 0), at(1, 1));
        assert_ne!(at(1, 0), at(2, 0));
        // Also while another thread lays out an epoch.
        let first = at(1, 0);
        let held = groups.laid.lock().unwrap();
        assert_eq!(at(1, 0), first);
        drop(held);
    }

    #[test]
    fn what_is_no_start_is_left_out() {
        let groups = Groups::new(10, [0, 4, 4, 3, 9, 10, 12]);
        assert_eq!((groups.starts(), groups.records()), (&[0, 4, 9][..], 10));
        assert!(Groups::new(0, [1, 2]).starts().is_empty());
        assert_ne!(groups.name(), Groups::new(10, [4]).name());
    }

    /// The order is a promise: a state that was written yesterday goes on with it.
    #[test]
    fn the_order_of_a_seed_stays_what_it_is() {
        let groups = Groups::new(20, [3, 8, 10, 17]);
        let order = order(42);
        let records: Vec<u64> = groups.sequence(&order, 1).runs(0..20).flatten().collect();
        assert_eq!(records, PINNED);
    }

    const PINNED: [u64; 20] =
        [10, 11, 12, 13, 14, 15, 16, 0, 1, 2, 17, 18, 19, 3, 4, 5, 6, 7, 8, 9];
}
