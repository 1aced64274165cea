//! Which records of a store are loaded: all, a range, or chosen ones; splits that do not leak.

use super::random::{Random, key_of};
use crate::error::{Error, Result};
use crate::wire::memory;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Some records of a store, by their ordinals, under numbers of their own from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    how: How,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum How {
    Range(Range<u64>),
    Chosen(Arc<[u64]>),
}

/// What a key is used for.
const SPLIT: u64 = 3;

impl View {
    /// The records at the ordinals `range`.
    #[must_use]
    pub const fn range(range: Range<u64>) -> Self {
        Self { how: How::Range(range) }
    }

    /// The records at these ordinals, in this order.
    #[must_use]
    pub fn chosen(ordinals: Vec<u64>) -> Self {
        let first = ordinals.first().copied().unwrap_or(0);
        if ordinals.iter().copied().eq(first..first.saturating_add(ordinals.len() as u64)) {
            return Self::range(first..first + ordinals.len() as u64);
        }
        Self { how: How::Chosen(ordinals.into()) }
    }

    /// The records of this view whose ordinal `keep` is true for, as for a condition on the
    /// [`values`](super::Sources::values) of a column.
    #[must_use]
    pub fn filter(&self, mut keep: impl FnMut(u64) -> bool) -> Self {
        let all = (0..self.len()).filter_map(|number| self.ordinal(number));
        Self::chosen(all.filter(|ordinal| keep(*ordinal)).collect())
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> u64 {
        match &self.how {
            How::Range(range) => range.end.saturating_sub(range.start),
            How::Chosen(ordinals) => ordinals.len() as u64,
        }
    }

    /// Whether the records are in the order of the stores.
    pub(super) fn is_sorted(&self) -> bool {
        match &self.how {
            How::Range(_) => true,
            How::Chosen(ordinals) => ordinals.is_sorted_by(|a, b| a < b),
        }
    }

    /// The greatest ordinal.
    pub(super) fn last(&self) -> Option<u64> {
        match &self.how {
            How::Range(range) => range.end.checked_sub(1).filter(|last| *last >= range.start),
            How::Chosen(ordinals) => ordinals.iter().max().copied(),
        }
    }

    /// Whether there are no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ordinal of the record `number` of the view.
    #[must_use]
    pub fn ordinal(&self, number: u64) -> Option<u64> {
        match &self.how {
            How::Range(range) => Some(range.start + number).filter(|_| number < self.len()),
            How::Chosen(ordinals) => {
                usize::try_from(number).ok().and_then(|at| ordinals.get(at)).copied()
            }
        }
    }

    /// How many of its records lie before each of these ordinals, which ascend and divide the store into
    /// parts; `None` if the records of the view are not in the order of these parts.
    pub(super) fn cut(&self, ordinals: &[u64]) -> Option<Vec<u64>> {
        match &self.how {
            How::Range(range) => {
                let before =
                    |o: &u64| (*o).clamp(range.start, range.end.max(range.start)) - range.start;
                Some(ordinals.iter().map(before).collect())
            }
            How::Chosen(chosen) => {
                let part = |o: &u64| ordinals.partition_point(|first| first <= o);
                let before = |n: &u64| chosen.partition_point(|o| o < n) as u64;
                let sorted = chosen.is_sorted_by_key(part);
                sorted.then(|| ordinals.iter().map(before).collect())
            }
        }
    }

    /// Refuses a view that reaches past the `records` of a store.
    ///
    /// # Errors
    /// [`Error::NotFound`] that names the first ordinal that is not there.
    pub fn check(&self, records: u64) -> Result<()> {
        let beyond = match &self.how {
            How::Range(range) => Some(range.end.saturating_sub(1)).filter(|_| !self.is_empty()),
            How::Chosen(ordinals) => ordinals.iter().max().copied(),
        };
        match beyond.filter(|last| *last >= records) {
            None => Ok(()),
            Some(last) => Err(Error::NotFound {
                key: format!("at ordinal {last}: the store has {records} records").into(),
            }),
        }
    }

    /// A short name for these records: that of no others.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.how {
            How::Range(range) => format!("{}..{}", range.start, range.end),
            How::Chosen(ordinals) => format!("{:016x}", key_of(ordinals)),
        }
    }

    /// Divides the view at random into parts that have about these `shares` of its records.
    ///
    /// Records with the same number in `groups` (one for each record of the view: a molecule, a
    /// trajectory) come into the same part, so that no part knows a neighbour of what another one is
    /// tested with; without groups each record is drawn by itself. The same seed and the same
    /// records give the same parts. A part has its share to within a record, or a group, and its
    /// records are in the order of the view.
    ///
    /// # Errors
    /// [`Error::Invalid`] for shares that are not between 0 and 1 or are more than 1 together, and
    /// for groups that are not one for each record; [`Error::OutOfMemory`].
    pub fn split(&self, shares: &[f64], seed: u64, groups: Option<&[u64]>) -> Result<Vec<Self>> {
        let bad = |why: &str| Error::invalid("split", why);
        let sum: f64 = shares.iter().sum();
        if shares.iter().any(|share| !(0.0..=1.0).contains(share)) || sum > 1.0 + 1e-9 {
            return Err(bad("shares are between 0 and 1, and 1 together at most"));
        }
        let n = usize::try_from(self.len()).map_err(|_| memory::out_of_memory(usize::MAX))?;
        if groups.is_some_and(|groups| groups.len() != n) {
            return Err(bad("groups are not one for each record"));
        }
        // The members of each group, numbered in the order in which the groups first come.
        let mut sizes: Vec<u64> = Vec::new();
        let mut member = memory::with_room(n)?;
        let mut known = HashMap::new();
        for i in 0..n {
            let group = match groups.and_then(|groups| groups.get(i)) {
                Some(group) => *known.entry(*group).or_insert(sizes.len()),
                None => sizes.len(),
            };
            match sizes.get_mut(group) {
                Some(size) => *size += 1,
                None => sizes.push(1),
            }
            member.push(group);
        }
        let mut order: Vec<usize> = (0..sizes.len()).collect();
        Random::new(key_of(&[SPLIT, seed])).shuffle(&mut order);
        let mut part_of = memory::filled(sizes.len(), shares.len())?;
        let mut order = order.into_iter();
        let (mut taken, mut wanted) = (0.0, 0.0);
        for (part, share) in shares.iter().enumerate() {
            wanted += share * float(self.len());
            while taken + 0.5 <= wanted
                && let Some(group) = order.next()
            {
                taken += sizes.get(group).map_or(0.0, |size| float(*size));
                if let Some(place) = part_of.get_mut(group) {
                    *place = part;
                }
            }
        }
        let mut parts: Vec<Vec<u64>> = shares.iter().map(|_| Vec::new()).collect();
        for (number, group) in (0..).zip(member) {
            let part = part_of.get(group).and_then(|part| parts.get_mut(*part));
            if let (Some(part), Some(ordinal)) = (part, self.ordinal(number)) {
                part.push(ordinal);
            }
        }
        Ok(parts.into_iter().map(Self::chosen).collect())
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of records are far below 2^53")]
const fn float(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(view: &View) -> Vec<u64> {
        (0..view.len()).map(|i| view.ordinal(i).unwrap()).collect()
    }

    proptest! {
        #[test]
        fn parts_share_no_record_and_no_group(
            n in 0_u64..400, seed in any::<u64>(), group in 1_u64..20,
            shares in prop::collection::vec(0.0_f64..0.3, 0..4),
        ) {
            let view = View::range(5..5 + n);
            let groups: Vec<u64> = (0..n).map(|i| i / group * 7 % 64).collect();
            let parts = view.split(&shares, seed, Some(&groups)).unwrap();
            prop_assert_eq!(&parts, &view.split(&shares, seed, Some(&groups)).unwrap());
            let of = |part: &View| {
                all(part).iter().map(|o| groups[usize::try_from(o - 5).unwrap()]).collect::<Vec<_>>()
            };
            for (i, a) in parts.iter().enumerate() {
                prop_assert!(all(a).is_sorted_by(|x, y| x < y));
                for b in &parts[..i] {
                    let theirs = of(b);
                    prop_assert!(of(a).iter().all(|g| !theirs.contains(g)), "a group is in both");
                }
            }
            // Single records: exact shares.
            let single = view.split(&shares, seed, None).unwrap();
            let mut sum = 0.0;
            let mut had = 0;
            for (part, share) in single.iter().zip(&shares) {
                sum += share * float(n);
                had += part.len();
                prop_assert!((float(had) - sum).abs() <= 0.5 + 1e-9, "{had} of {sum}");
            }
        }
    }

    #[test]
    fn a_view_names_its_records_and_refuses_what_is_not_there() {
        let view = View::chosen(vec![7, 3, 9]);
        assert_eq!((all(&view), view.ordinal(3)), (vec![7, 3, 9], None));
        assert!(view.check(10).is_ok() && View::range(9..9).check(0).is_ok());
        let text = view.check(9).unwrap_err().to_string();
        assert!(text.contains("ordinal 9: the store has 9 records"), "{text}");
        assert!(View::range(2..4).check(3).is_err());
        assert_eq!(View::chosen(vec![4, 5, 6]), View::range(4..7));
        assert!(View::chosen(vec![]).is_empty());
        assert_ne!(view.name(), View::chosen(vec![3, 7, 9]).name());
        assert_ne!(View::range(0..1).name(), View::range(0..10).name());
        for shares in [&[1.5][..], &[-0.1], &[0.6, 0.6], &[f64::NAN]] {
            assert!(view.split(shares, 0, None).is_err(), "{shares:?}");
        }
        assert!(view.split(&[0.5], 0, Some(&[1, 2])).is_err());
    }
}
