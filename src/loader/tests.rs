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
        lanes in 1_u64..6, spread in 1_u64..60, buckets in 0_u8..4,
        starts in prop::option::of(prop::collection::vec(1_u64..700, 0..30)),
    ) -> Schedule {
        let order = Order { shuffle, seed, group, window };
        let mut random = Random::new(seed);
        let costs: Arc<[u32]> =
            (0..n).map(|_| u32::try_from(1 + random.below(spread)).unwrap()).collect();
        let records = if cap.is_none() { records.or(Some(7)) } else { records };
        let buckets = match buckets {
            0 => Some(Buckets::Near),
            1 => Some(Buckets::Edges(vec![10, 30, 60])),
            _ => None,
        };
        let counted = cap.is_some() || buckets.is_some();
        let batching = Batching { records, cost: cap, buckets, ..Batching::default() };
        let schedule = Schedule::new(n, order, batching, lanes, counted.then_some(costs)).unwrap();
        match starts {
            None => schedule,
            Some(mut starts) => {
                starts.sort_unstable();
                schedule.grouped(Groups::new(n, starts)).unwrap()
            }
        }
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
        if let Batching { records: Some(size), cost: None, buckets: None, .. } = schedule.batching() {
            let full = steps.iter().filter(|t| t.records.len() as u64 == *size).count() as u64;
            prop_assert_eq!(full, schedule.records() / size, "all but the last are full");
        }
        let order = (schedule.order().shuffle, schedule.lanes());
        if order == (Shuffle::Sequential, 1) && schedule.batching().buckets.is_none() {
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

/// Three stores, of which the smallest is half of an epoch.
fn mixture(draws: u64) -> Mixture {
    let weights = Weights::Stated(vec![2.0, 1.0, 1.0]);
    Mixture::new(&[("a", 70), ("b", 500), ("c", 430)], &weights, draws).unwrap()
}

proptest! {
    /// Ranks and workers divide the draws of a mixture, with any batching, and a state continues
    /// with the rest, as for records that come once.
    #[test]
    fn a_mixture_is_divided_and_continued_like_any_data(
        shuffle in shuffles(), seed in any::<u64>(), group in 1_u64..20, window in 20_u64..200,
        records in 1_u64..50, cap in prop::option::of(60_u64..600), near in any::<bool>(),
        worlds in prop::collection::vec((1_u64..5, 0_usize..9), 1..4), epoch in 0_u64..4,
        lanes in 1_u64..5, draws in 200_u64..1200,
    ) {
        let order = Order { shuffle, seed, group, window };
        let buckets = near.then_some(Buckets::Near);
        let counted = cap.is_some() || near;
        let batching = Batching { records: Some(records), cost: cap, buckets, ..Batching::default() };
        let costs = counted.then(|| families(1000).iter().map(|c| c % 60).collect());
        let schedule = Schedule::new(1000, order, batching, lanes, costs).unwrap();
        let schedule = schedule.mixed(mixture(draws)).unwrap();
        let from = Cursor { epoch, ..Cursor::default() };
        let whole = sorted(walk(&schedule, Share::default(), Rest::Drop, from));
        prop_assert_eq!(whole.len() as u64, draws);
        prop_assert_eq!(schedule.all(epoch).count() as u64, schedule.batches(epoch));
        let mut at = from;
        let mut had = Vec::new();
        for (world, steps) in worlds {
            let parts: Vec<Vec<StepBatch>> = ranks(world)
                .map(|share| walk(&schedule, share, Rest::Repeat, at).into_iter().take(steps).collect())
                .collect();
            at = parts[0].last().map_or(at, |t| t.after);
            had.extend(parts.into_iter().flatten().filter(|t| !t.repeated));
        }
        had.extend(walk(&schedule, Share::default(), Rest::Drop, at));
        prop_assert_eq!(sorted(had), whole);
    }
}

#[test]
fn batches_of_a_mixture_have_its_shares_and_no_lane_one_store_alone() {
    for (shuffle, cap) in [
        (Shuffle::Windows, None),
        (Shuffle::Global, None),
        (Shuffle::Sequential, None),
        (Shuffle::Windows, Some(2000)),
        (Shuffle::Global, Some(2000)),
        (Shuffle::Sequential, Some(2000)),
    ] {
        let order = Order { shuffle, seed: 2, group: 4, window: 256 };
        let batching = Batching { records: Some(64), cost: cap, ..Batching::default() };
        let costs = cap.map(|_| vec![20; 1000].into());
        let schedule = Schedule::new(1000, order, batching, 2, costs).unwrap();
        let schedule = schedule.mixed(mixture(2048)).unwrap();
        for batch in schedule.all(1).filter(|batch| batch.len() == 64) {
            // The first is half of an epoch: 32 of 64, with a standard deviation of 4.
            let first = batch.iter().filter(|r| **r < 70).count();
            assert!((10..55).contains(&first), "{shuffle:?} {cap:?}: {first} of 64");
        }
    }
}

#[test]
fn buckets_leave_little_padding_and_few_widths() {
    let costs = families(20_000);
    let cost = |r: u64| u64::from(costs[usize::try_from(r).unwrap()]);
    let share = |buckets: Option<Buckets>, cap| {
        let order = Order { shuffle: Shuffle::Windows, seed: 4, group: 32, window: 4096 };
        let batching = Batching { records: Some(32), cost: cap, buckets, ..Batching::default() };
        let counted = batching.buckets.is_some().then(|| costs.clone());
        let schedule = Schedule::new(20_000, order, batching, 1, counted).unwrap();
        padding(&schedule, 0, Padded::default(), cost)
    };
    let (mixed, near) = (share(None, None), share(Some(Buckets::Near), None));
    assert!(mixed > 0.3 && near < 0.02, "{mixed} {near}");
    let edges = Buckets::Edges((1..=9).map(|i| i * 64).collect());
    let edged = share(Some(edges.clone()), Some(64 * 64));
    assert!(near < edged && edged < 0.2, "{edged}");
    let too_large = Batching {
        buckets: Some(Buckets::Edges(vec![64])),
        records: Some(1),
        ..Batching::default()
    };
    let order = Order { shuffle: Shuffle::Windows, seed: 4, group: 32, window: 4096 };
    let make = |batching| Schedule::new(20_000, order.clone(), batching, 1, Some(costs.clone()));
    assert!(make(too_large).unwrap_err().to_string().contains("above the last edge 64"));
    for edges in [vec![], vec![64, 64], vec![64, 32]] {
        let batching = Batching {
            buckets: Some(Buckets::Edges(edges)),
            records: Some(1),
            ..Batching::default()
        };
        assert!(make(batching).unwrap_err().to_string().contains("ascend"));
    }
    let narrow = Batching { buckets: Some(edges), cost: Some(550), ..Batching::default() };
    assert!(make(narrow).unwrap_err().to_string().contains("576 with padding, above the cap"));
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

/// With every record by itself, batches under a cap are as mixed as the data, on any number of ranks.
#[test]
fn a_cap_sorts_no_sizes_into_batches() {
    let costs: Arc<[u32]> = (0..4000).map(|i| if i % 2 == 0 { 10 } else { 90 }).collect();
    for lanes in [1, 3] {
        let order = Order { shuffle: Shuffle::Global, seed: 4, group: 1, window: 512 };
        let batching = Batching { cost: Some(1000), ..Batching::default() };
        let schedule = Schedule::new(4000, order, batching, lanes, Some(costs.clone())).unwrap();
        let of_one_size = |batch: &Numbers| batch.iter().all(|r| r % 2 == batch[0] % 2);
        let (odd, all) = (schedule.all(0).filter(of_one_size).count(), schedule.batches(0));
        assert!(odd as u64 * 50 < all, "{odd} of {all} batches have one size only");
    }
}

#[test]
fn ranks_without_a_whole_step_have_what_the_walk_gives_them() {
    let order = Order { shuffle: Shuffle::Windows, seed: 1, group: 4, window: 64 };
    let batching = Batching { records: Some(10), ..Batching::default() };
    let schedule = Schedule::new(25, order, batching, 1, None).unwrap();
    for rest in [Rest::Drop, Rest::Repeat] {
        let of = |share| walk(&schedule, share, rest, Cursor::default());
        let records = |steps: Vec<StepBatch>| steps.iter().map(|t| t.records.len() as u64).sum();
        let sums: Vec<u64> = ranks(2).map(|share| records(of(share))).collect();
        assert_eq!(Balance::of(&schedule, 0, 2, rest, |_| 1).unwrap().sums, sums, "{rest:?}");
    }
    assert!(Balance::of(&schedule, 0, u64::MAX, Rest::Drop, |_| 1).is_err());
    let none = Balance::of(&schedule, 0, 9, Rest::Drop, |_| 1).unwrap();
    assert_eq!((none.sums, none.steps, none.median), (vec![0; 9], 0, 1.0));
}

/// Sizes that come in families, small ones first, as a merged data set has them.
fn families(n: u64) -> Arc<[u32]> {
    let mut random = Random::new(9);
    (0..n).map(|i| u32::try_from(9 + i / 100 * 100 / 40 + random.below(30)).unwrap()).collect()
}

#[test]
fn capped_batches_cost_every_rank_the_same() {
    let costs = families(20_000);
    for (world, window, mixed) in
        [(2_u64, 2048, false), (4, 1024, false), (8, 512, false), (2, 2048, true), (4, 1024, true)]
    {
        let order = Order { shuffle: Shuffle::Windows, seed: 4, group: 32, window };
        let batching = Batching { cost: Some(4000), ..Batching::default() };
        let mut schedule =
            Schedule::new(20_000, order, batching, world, Some(costs.clone())).unwrap();
        let mut needed = costs.iter().map(|c| u64::from(*c)).sum::<u64>().div_ceil(4000);
        if mixed {
            // The second half has five times the cost of the first.
            let parts = [("small", 10_000), ("large", 10_000)];
            let weights = Weights::Stated(vec![3.0, 1.0]);
            schedule = schedule.mixed(Mixture::new(&parts, &weights, 20_000).unwrap()).unwrap();
            needed =
                schedule.all(0).flatten().map(|r| schedule.cost(r)).sum::<u64>().div_ceil(4000);
        }
        let each: Vec<Vec<StepBatch>> =
            ranks(world).map(|s| walk(&schedule, s, Rest::Drop, Cursor::default())).collect();
        let sums: Vec<u64> = each
            .iter()
            .map(|steps| steps.iter().flat_map(|t| &t.records).map(|r| schedule.cost(*r)).sum())
            .collect();
        let (least, most) = (sums.iter().min().unwrap(), sums.iter().max().unwrap());
        assert!(most * 100 <= least * 105, "{world} ranks: {sums:?}");
        let balance = Balance::of(&schedule, 0, world, Rest::Drop, |r| schedule.cost(r)).unwrap();
        assert_eq!((balance.sums.clone(), balance.steps), (sums, each[0].len() as u64));
        assert!(balance.apart() <= 0.05 && (1.0..1.05).contains(&balance.median), "{balance:?}");
        let had: usize = each.iter().flatten().map(|t| t.records.len()).sum();
        assert!(had > 19_900, "{had} records of 20000");
        let batches: usize = each.iter().map(Vec::len).sum();
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
        let batching = Batching { records, cost, ..Batching::default() };
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
    assert!(above.contains("record 7 costs 6, above the cap of 5 a batch"), "{above}");
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
