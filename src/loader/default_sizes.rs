//! How large groups and windows are, unless it is said.
//!
//! Two things pull a window to different sides. What is decoded shall still be in the caches of the processor
//! when it is served: above 16 MiB an epoch takes a quarter longer. And a batch shall be drawn from many groups:
//! of records that resemble their neighbours, one from a window of `k` groups has at worst a design effect of
//! `1 + (records - 1) / k` (see [`Spread`](super::Spread)). Between them stands the group: one of few blocks
//! costs a read for few bytes, and decodes much of the blocks at its ends for nothing, half a block at each end, where it
//! does not begin and end with a block.

use crate::store::Purpose;

/// Bytes of a window, as decoded.
const WINDOW: u64 = 16 << 20;

/// Groups of a window at least, also of records that are larger than a group shall be.
const GROUPS: u64 = 32;

/// Bytes of a group: two blocks of a dense store, eight of a balanced one.
const fn group_bytes(purpose: Purpose) -> u64 {
    match purpose {
        Purpose::Dense => 512 << 10,
        Purpose::Balanced | Purpose::Random => 256 << 10,
    }
}

/// Records of a group and of a window, for records of `each` bytes; a window has no more than `most` bytes, or
/// one record.
pub(super) fn default_sizes(each: u64, purpose: Purpose, most: u64) -> (u64, u64) {
    let each = each.max(1);
    // A power of two is a multiple of most sizes of batches.
    let whole = |records: u64| 1 << (u64::BITS - 1 - records.max(1).leading_zeros());
    let group: u64 = whole(group_bytes(purpose) / each);
    let window = whole(WINDOW / each).max(group.saturating_mul(GROUPS));
    (group, window.min(whole(most / each)))
}

#[cfg(test)]
mod tests {
    use super::super::{Batching, Cursor, Order, Rest, Schedule, Share, Shuffle, Spread, Walk};
    use super::*;

    const PURPOSES: [Purpose; 3] = [Purpose::Dense, Purpose::Balanced, Purpose::Random];

    #[test]
    fn windows_stay_in_caches_have_many_groups_and_fit_the_memory() {
        for purpose in PURPOSES {
            for each in [0, 1, 500, 1900, 30_000, 400_000, 5_000_000, 3 << 30] {
                let (group, window) = default_sizes(each, purpose, 128 << 20);
                let bytes = window * each.max(1);
                assert!(group >= 1 && window >= 1 && window.is_multiple_of(group));
                assert!(bytes <= 128 << 20 || window == 1, "{each}");
                let groups = window / group;
                assert!(groups >= GROUPS || bytes * 2 > 128 << 20, "{each}: {groups}");
                assert!(bytes <= WINDOW || groups <= GROUPS, "{each}: {bytes}");
                assert!(bytes * 2 > WINDOW || each == 0, "{each}: {bytes}");
            }
            let (_, window) = default_sizes(1900, purpose, 1 << 20);
            assert!(window * 1900 <= 1 << 20);
        }
    }

    /// Of a store in which neighbours resemble each other, which is the worst case, measured over several
    /// epochs.
    #[test]
    fn the_default_order_is_as_near_to_a_uniform_shuffle_as_its_groups_let_it_be() {
        let batch = 32;
        for purpose in PURPOSES {
            let (group, window) = default_sizes(40_000, purpose, 128 << 20);
            let records = 40 * window;
            let values: Vec<f64> = (0..u32::try_from(records).unwrap()).map(f64::from).collect();
            let order = Order { shuffle: Shuffle::Windows, seed: 5, group, window };
            let batching = Batching { records: Some(batch), ..Batching::default() };
            let schedule = Schedule::new(records, order, batching, 1, None).unwrap();
            let mut spread = Spread::new(&values);
            for epoch in 0..4 {
                let from = Cursor { epoch, ..Cursor::default() };
                let walk = Walk::new(schedule.clone(), Share::default(), Rest::Drop, from).unwrap();
                walk.for_each(|step| spread.add(&step.records));
            }
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let bound = 1.0 + (batch - 1) as f64 / (window / group) as f64;
            let effect = spread.effect();
            assert!(effect < 1.15 * bound && bound < 2.0, "{effect}, {bound}");
        }
    }
}
