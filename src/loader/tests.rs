//! What every order, batch size and number of ranks must keep: nothing lost, nothing twice.

use super::*;
use proptest::prelude::*;
use std::sync::Arc;

fn shuffles() -> impl Strategy<Value = Shuffle> {
    prop::sample::select(vec![Shuffle::Sequential, Shuffle::Windows, Shuffle::Global])
}

prop_compose! {
    fn schedules()(
        n in 0_u64..700,
        shuffle in shuffles(), seed in any::<u64>(), group in 1_u64..40, window in 1_u64..200,
        records in prop::option::of(1_u64..50), cap in prop::option::of(60_u64..600),
        lanes in 1_u64..6, spread in 1_u64..60,
    ) -> Schedule {
        let order = Order { shuffle, seed, group, window };
        let mut random = Random::new(seed);
        let costs: Arc<[u32]> =
            (0..n).map(|_| u32::try_from(1 + random.below(spread)).unwrap()).collect();
        let records = if cap.is_none() { records.or(Some(7)) } else { records };
        let batching = Batching { records, cost: cap, last: Last::Keep };
        Schedule::new(n, order, batching, lanes, cap.map(|_| costs)).unwrap()
    }
}

fn walk(schedule: &Schedule, share: Share, rest: Rest, from: Cursor) -> Vec<StepBatch> {
    Walk::new(schedule.clone(), share, rest, from).unwrap().collect()
}

fn ranks(world: u64) -> impl Iterator<Item = Share> {
    (0..world).map(move |rank| Share { rank, world, ..Share::default() })
}

fn sorted(steps: impl IntoIterator<Item = StepBatch>) -> Vec<u64> {
    let mut all: Vec<u64> = steps.into_iter().flat_map(|t| t.records).collect();
    all.sort_unstable();
    all
}

proptest! {
    #[test]
    fn an_epoch_has_every_record_once(schedule in schedules(), epoch in 0_u64..3) {
        let from = Cursor { epoch, ..Cursor::default() };
        let steps = walk(&schedule, Share::default(), Rest::Drop, from);
        for step in &steps {
            let cost: u64 = step.records.iter().map(|r| schedule.cost(*r)).sum();
            let limits = schedule.batching();
            prop_assert!(limits.cost.is_none_or(|cap| cost <= cap));
            prop_assert!(limits.records.is_none_or(|most| step.records.len() as u64 <= most));
            prop_assert!(!step.records.is_empty());
        }
        if let Batching { records: Some(size), cost: None, .. } = schedule.batching() {
            let full = steps.iter().filter(|t| t.records.len() as u64 == *size).count() as u64;
            prop_assert_eq!(full, schedule.records() / size, "all but the last are full");
        }
        if (schedule.order().shuffle, schedule.lanes()) == (Shuffle::Sequential, 1) {
            let all = steps.iter().flat_map(|t| t.records.clone());
            prop_assert!(all.eq(0..schedule.records()));
        }
        prop_assert_eq!(steps.len() as u64, schedule.batches(epoch));
        let progress: Vec<f64> = steps.iter().map(|t| schedule.progress(t.after)).collect();
        prop_assert!(progress.is_sorted() && progress.iter().all(|p| (0.0..=1.0).contains(p)));
        prop_assert!(progress.last().is_none_or(|p| *p == 1.0));
        prop_assert_eq!(schedule.progress(from) == 0.0, schedule.records() > 0);
        prop_assert!(sorted(steps).into_iter().eq(0..schedule.records()));
    }

    /// Ranks have equally many batches, no record in common, and together all but what is said to
    /// be dropped; repeated batches are marked.
    #[test]
    fn ranks_and_workers_divide_an_epoch(
        schedule in schedules(), world in 1_u64..6, workers in 1_u64..4,
    ) {
        let from = Cursor::default();
        let each: Vec<Vec<StepBatch>> =
            ranks(world).map(|share| walk(&schedule, share, Rest::Drop, from)).collect();
        prop_assert!(each.iter().all(|steps| steps.len() == each[0].len()));
        let mut all = sorted(each.iter().flatten().cloned());
        let had = all.len() as u64;
        all.dedup();
        prop_assert_eq!(all.len() as u64, had, "a record came twice");
        for share in ranks(world) {
            let mut walk = Walk::new(schedule.clone(), share, Rest::Drop, from).unwrap();
            prop_assert_eq!(walk.by_ref().count(), each[0].len());
            prop_assert_eq!(share.steps(Rest::Drop, schedule.batches(0)), each[0].len() as u64);
            prop_assert_eq!(walk.dropped(), schedule.records() - had);
        }

        let each: Vec<Vec<StepBatch>> =
            ranks(world).map(|share| walk(&schedule, share, Rest::Repeat, from)).collect();
        prop_assert!(each.iter().all(|steps| steps.len() == each[0].len()));
        let once = each.iter().flatten().filter(|t| !t.repeated).cloned();
        prop_assert!(sorted(once).into_iter().eq(0..schedule.records()));

        // Workers, one after the other, are what one process would have.
        let share = Share { rank: world - 1, world, ..Share::default() };
        let mut theirs: Vec<_> = (0..workers)
            .map(|worker| {
                let share = Share { worker, workers, ..share };
                Walk::new(schedule.clone(), share, Rest::Repeat, from).unwrap()
            })
            .collect();
        for (worker, walk) in (0..).zip(&theirs) {
            let share = Share { worker, workers, ..share };
            let count = Walk::new(schedule.clone(), share, Rest::Repeat, from).unwrap().count();
            prop_assert_eq!(share.steps(Rest::Repeat, schedule.batches(0)), count as u64);
            prop_assert_eq!(walk.cursor(), from);
        }
        for (i, step) in each[each.len() - 1].iter().enumerate() {
            let worker = i % theirs.len();
            let other = theirs[worker].next();
            prop_assert_eq!(Some(step), other.as_ref());
        }
        prop_assert!(theirs.iter_mut().all(|w| w.next().is_none()));
    }

    /// Stopped after any step and continued with another number of ranks, the epoch has every
    /// record once.
    #[test]
    fn a_state_continues_with_any_number_of_ranks(
        schedule in schedules(), worlds in prop::collection::vec((1_u64..6, 0_usize..20), 1..4),
    ) {
        let mut at = Cursor::default();
        let mut had = Vec::new();
        for (world, steps) in worlds {
            let parts: Vec<Vec<StepBatch>> = ranks(world)
                .map(|share| walk(&schedule, share, Rest::Repeat, at).into_iter().take(steps).collect())
                .collect();
            let ends: Vec<_> = parts.iter().map(|p| p.last().map_or(at, |t| t.after)).collect();
            prop_assert!(ends.iter().all(|end| *end == ends[0]), "ranks agree where they are");
            at = ends[0];
            had.extend(parts.into_iter().flatten().filter(|t| !t.repeated));
        }
        had.extend(walk(&schedule, Share::default(), Rest::Drop, at));
        prop_assert!(sorted(had).into_iter().eq(0..schedule.records()));
    }
}

#[test]
fn lanes_keep_ranks_in_blocks_of_their_own() {
    let order = Order { shuffle: Shuffle::Windows, seed: 1, group: 50, window: 500 };
    let batching = Batching { records: Some(10), ..Batching::default() };
    let schedule = Schedule::new(20_000, order, batching, 4, None).unwrap();
    let mut groups = std::collections::HashMap::<u64, std::collections::HashSet<u64>>::new();
    for share in ranks(4) {
        for step in walk(&schedule, share, Rest::Drop, Cursor::default()) {
            for record in step.records {
                groups.entry(record / 50).or_default().insert(share.rank);
            }
        }
    }
    assert!(groups.values().all(|ranks| ranks.len() == 1), "a group is read by one rank");
}

/// Sizes that come in families, small ones first, as a merged data set has them.
fn families(n: u64) -> Arc<[u32]> {
    let mut random = Random::new(9);
    (0..n).map(|i| u32::try_from(9 + i / 100 * 100 / 40 + random.below(30)).unwrap()).collect()
}

#[test]
fn capped_batches_cost_every_rank_the_same() {
    let costs = families(20_000);
    for (world, window) in [(2_u64, 2048), (4, 1024), (8, 512)] {
        let order = Order { shuffle: Shuffle::Windows, seed: 4, group: 32, window };
        let batching = Batching { cost: Some(4000), ..Batching::default() };
        let schedule = Schedule::new(20_000, order, batching, world, Some(costs.clone())).unwrap();
        let each: Vec<Vec<StepBatch>> =
            ranks(world).map(|s| walk(&schedule, s, Rest::Drop, Cursor::default())).collect();
        let sums: Vec<u64> = each
            .iter()
            .map(|steps| steps.iter().flat_map(|t| &t.records).map(|r| schedule.cost(*r)).sum())
            .collect();
        let (least, most) = (sums.iter().min().unwrap(), sums.iter().max().unwrap());
        assert!(most * 100 <= least * 105, "{world} ranks: {sums:?}");
        let had: usize = each.iter().flatten().map(|t| t.records.len()).sum();
        assert!(had > 19_900, "{had} records of 20000");
        let batches: usize = each.iter().map(Vec::len).sum();
        let needed = costs.iter().map(|c| u64::from(*c)).sum::<u64>().div_ceil(4000);
        assert!(
            (batches as u64) * 100 < needed * 112,
            "{batches} batches, {needed} would hold all"
        );
    }
}

#[test]
fn sizes_that_cannot_work_are_refused_by_name() {
    let order = Order { shuffle: Shuffle::Windows, seed: 0, group: 8, window: 64 };
    let make = |order: &Order, records, cost, lanes, costs: Option<Vec<u32>>| {
        let batching = Batching { records, cost, last: Last::Keep };
        let made = Schedule::new(10, order.clone(), batching, lanes, costs.map(Into::into));
        made.unwrap_err().to_string()
    };
    let zero = Order { window: 0, ..order.clone() };
    assert!(make(&zero, Some(1), None, 1, None).starts_with("window: is 0"));
    assert!(make(&order, Some(0), None, 1, None).starts_with("batch size: is 0"));
    assert!(make(&order, Some(1), None, 0, None).starts_with("lanes: is 0"));
    assert!(make(&order, None, None, 1, None).contains("say how many records"));
    assert!(make(&order, None, Some(5), 1, Some(vec![1; 9])).contains("one for each"));
    let mut costs = vec![5; 10];
    costs[7] = 6;
    let above = make(&order, None, Some(5), 1, Some(costs));
    assert!(above.contains("record 7 alone costs 6, above the cap of 5"), "{above}");
    for (rank, world) in [(0, 0), (2, 2)] {
        let share = Share { rank, world, ..Share::default() };
        assert!(share.check().is_err());
        assert!(Share { worker: rank, workers: world, ..Share::default() }.check().is_err());
    }
    let batching = Batching { records: Some(3), ..Batching::default() };
    let schedule = Schedule::new(10, order, batching, 1, None).unwrap();
    for (round, batch) in [(0, 5), (1, 1), (2, 0)] {
        let from = Cursor { epoch: 0, round, batch };
        let refused = Walk::new(schedule.clone(), Share::default(), Rest::Drop, from);
        assert!(refused.unwrap_err().to_string().contains("there is no batch"));
    }
}
