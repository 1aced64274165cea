//! Records of a window into batches under a cap on their cost.

use crate::loader::random::Random;

/// Batches that are looked through for room, at most: more fill hardly better and cost more time.
const OPEN: usize = 64;

/// What a batch holds at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) records: u64,
    pub(super) cost: u64,
}

/// A batch that is being filled.
struct Bin {
    records: Vec<u64>,
    cost: u64,
}

impl Bin {
    fn fits(&self, cost: u64, limits: Limits) -> bool {
        (self.records.len() as u64) < limits.records
            && self.cost.checked_add(cost).is_some_and(|sum| sum <= limits.cost)
    }
}

/// Puts each record into the first batch that has room for it, in the order in which they come, so
/// that the batches are as mixed as that order is; then brings the batches into random order, for
/// the last ones have what did not fit elsewhere.
pub(super) fn first_fit(
    records: &[u64],
    cost: impl Fn(u64) -> u64,
    limits: Limits,
    random: &mut Random,
) -> Vec<Vec<u64>> {
    let least = records.iter().map(|r| cost(*r)).min().unwrap_or(0);
    let mut full: Vec<Bin> = Vec::new();
    let mut open: Vec<Bin> = Vec::new();
    for record in records {
        let cost = cost(*record);
        let at = open.iter().position(|bin| bin.fits(cost, limits)).unwrap_or_else(|| {
            if open.len() == OPEN {
                full.push(open.remove(0));
            }
            open.push(Bin { records: Vec::new(), cost: 0 });
            open.len() - 1
        });
        if let Some(bin) = open.get_mut(at) {
            bin.records.push(*record);
            bin.cost += cost;
            if !bin.fits(least, limits) {
                full.push(open.remove(at));
            }
        }
    }
    let mut batches: Vec<_> = full.into_iter().chain(open).map(|bin| bin.records).collect();
    random.shuffle(&mut batches);
    batches
}

/// Puts records of nearly the same cost together, in which a batch pays for each of its records as for
/// the dearest, as a padded one does; then brings the batches into random order.
///
/// With `edges`, which ascend and of which the last is not below any cost, a record counts as the first
/// of them that is not below its cost, and a batch has records of one edge only.
pub(super) fn alike(
    records: &[u64],
    cost: impl Fn(u64) -> u64,
    limits: Limits,
    edges: &[u64],
    random: &mut Random,
) -> Vec<Vec<u64>> {
    let edge = |cost: u64| edges.get(edges.partition_point(|e| *e < cost)).copied();
    let mut sorted: Vec<(u64, u64)> = records
        .iter()
        .map(|record| {
            let cost = cost(*record);
            (edge(cost).unwrap_or(cost), *record)
        })
        .collect();
    // Stable: which of those that count alike are together is left to the order of the window.
    sorted.sort_by_key(|(counts, _)| *counts);
    let mut batches: Vec<(u64, Vec<u64>)> = Vec::new();
    for (counts, record) in sorted {
        let room = |(first, batch): &&mut (u64, Vec<u64>)| {
            let n = batch.len() as u64 + 1;
            n <= limits.records
                && n.saturating_mul(counts) <= limits.cost
                && (edges.is_empty() || *first == counts)
        };
        match batches.last_mut().filter(room) {
            Some((_, batch)) => batch.push(record),
            None => batches.push((counts, vec![record])),
        }
    }
    let mut batches: Vec<_> = batches.into_iter().map(|(_, batch)| batch).collect();
    random.shuffle(&mut batches);
    batches
}

/// Fills one batch after the other and keeps the order of the records.
pub(super) fn in_order(
    records: &[u64],
    cost: impl Fn(u64) -> u64,
    limits: Limits,
) -> Vec<Vec<u64>> {
    let mut batches = Vec::new();
    let mut bin = Bin { records: Vec::new(), cost: 0 };
    for record in records {
        let cost = cost(*record);
        if !bin.records.is_empty() && !bin.fits(cost, limits) {
            batches.push(std::mem::take(&mut bin.records));
            bin.cost = 0;
        }
        bin.records.push(*record);
        bin.cost = bin.cost.saturating_add(cost);
    }
    if !bin.records.is_empty() {
        batches.push(bin.records);
    }
    batches
}

/// Divides batches until there are `wanted`, the one with the most records first; whether there
/// were enough records for that.
pub(super) fn divide(batches: &mut Vec<Vec<u64>>, wanted: usize) -> bool {
    while batches.len() < wanted {
        let longest = (0..).zip(&*batches).max_by_key(|(_, b)| b.len()).map(|(at, _)| at);
        let Some(batch) = longest.and_then(|at: usize| batches.get_mut(at)) else { return false };
        if batch.len() < 2 {
            return false;
        }
        let other = batch.split_off(batch.len().div_ceil(2));
        batches.push(other);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn batches_hold_every_record_once_and_stay_below_their_limits(
            costs in prop::collection::vec(0_u64..100, 0..300),
            most in 1_u64..40, cap in 100_u64..1000, more in 0_usize..10, seed in any::<u64>(),
        ) {
            let limits = Limits { records: most, cost: cap };
            let records: Vec<u64> = (0..costs.len() as u64).collect();
            let cost = |r: u64| costs[usize::try_from(r).unwrap()];
            let mut mixed = first_fit(&records, cost, limits, &mut Random::new(seed));
            divide(&mut mixed, records.len().min(more));
            prop_assert!(mixed.len() >= records.len().min(more));
            let near = alike(&records, cost, limits, &[], &mut Random::new(seed));
            let edges = [10, 50, 100];
            let edged = alike(&records, cost, limits, &edges, &mut Random::new(seed));
            let edge = |r: &u64| *edges.iter().find(|e| **e >= cost(*r)).unwrap();
            for batch in &edged {
                prop_assert!(batch.iter().all(|r| edge(r) == edge(&batch[0])));
                prop_assert!(batch.len() as u64 * edge(&batch[0]) <= cap);
            }
            for batch in &near {
                let dearest = batch.iter().map(|r| cost(*r)).max().unwrap();
                prop_assert!(batch.len() as u64 * dearest <= cap, "padded");
            }
            for batches in [mixed, near, edged, in_order(&records, cost, limits)] {
                let mut all = batches.concat();
                all.sort_unstable();
                prop_assert_eq!(&all, &records);
                for batch in batches {
                    prop_assert!(!batch.is_empty() && batch.len() as u64 <= most);
                    prop_assert!(batch.iter().map(|r| cost(*r)).sum::<u64>() <= cap);
                }
            }
        }
    }

    #[test]
    fn mixed_sizes_fill_nearly_every_batch() {
        let mut random = Random::new(5);
        let costs: Vec<u64> = (0..4096).map(|_| 9 + random.below(200)).collect();
        let records: Vec<u64> = (0..4096).collect();
        let cost = |r: u64| costs[usize::try_from(r).unwrap()];
        let limits = Limits { records: u64::MAX, cost: 2000 };
        let batches = first_fit(&records, cost, limits, &mut random).len();
        let least = costs.iter().sum::<u64>().div_ceil(2000);
        assert!(batches as u64 * 100 <= least * 103, "{batches} of at least {least}");
    }
}
