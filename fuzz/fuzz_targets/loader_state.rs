//! Any numbers in the state of a loader: refused, or a run that goes on to the end of its epoch. A
//! state that was not changed leads to the batches that were left.
#![no_main]
use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use vlstore::loader::{
    Batching, Buckets, Cursor, Groups, Last, Mixture, Order, Rest, Schedule, Share, Shuffle, Walk,
    Weights, resumed, state,
};

#[derive(Debug, Arbitrary)]
struct Input {
    records: u16,
    seed: u64,
    shuffle: u8,
    group: u8,
    window: u16,
    batch: Option<u8>,
    cost: Option<u16>,
    edges: Option<Vec<u8>>,
    near: bool,
    drop: bool,
    lanes: u8,
    starts: Option<Vec<u16>>,
    mixture: Option<(u8, u8, u16)>,
    epoch: u8,
    steps: u8,
    world: u8,
    rank: u8,
    edits: Vec<(u8, Number)>,
    text: Option<String>,
}

#[derive(Debug, Arbitrary)]
enum Number {
    Small(u8),
    Any(u64),
    Signed(i64),
    Float(f64),
    Text(String),
    Nothing,
}

const FIELDS: [&str; 12] = [
    "epoch",
    "round",
    "batch",
    "lanes",
    "epoch",
    "round",
    "batch",
    "lanes",
    "vlstore-loader",
    "records",
    "seed",
    "batch_size",
];

fn schedule(input: &Input) -> vlstore::Result<Schedule> {
    let records = u64::from(input.records % 3000);
    let shuffle =
        [Shuffle::Sequential, Shuffle::Windows, Shuffle::Global][usize::from(input.shuffle) % 3];
    let order =
        Order { shuffle, seed: input.seed, group: input.group.into(), window: input.window.into() };
    let mut edges = input.edges.clone().unwrap_or_default();
    edges.sort_unstable();
    edges.dedup();
    let buckets = match (input.near, edges.is_empty()) {
        (true, _) => Some(Buckets::Near),
        (_, false) => Some(Buckets::Edges(edges.iter().map(|e| u64::from(*e) + 50).collect())),
        _ => None,
    };
    let batching = Batching {
        records: input.batch.map(u64::from),
        cost: input.cost.map(u64::from),
        buckets,
        last: if input.drop { Last::Drop } else { Last::Keep },
    };
    let costs: Arc<[u32]> = (0..records).map(|i| (i as u32).wrapping_mul(7) % 50).collect();
    let lanes = u64::from(input.lanes % 9);
    let mut out = Schedule::new(records, order, batching, lanes, Some(costs))?;
    if let Some(starts) = &input.starts {
        out = out.grouped(Groups::new(records, starts.iter().map(|s| (*s).into())))?;
    }
    if let Some((a, b, draws)) = input.mixture {
        let first = records / 3;
        let weights = Weights::Stated(vec![a.into(), b.into()]);
        let draws = u64::from(draws % 3000);
        let mixture = Mixture::new(&[("a", first), ("b", records - first)], &weights, draws)?;
        out = out.mixed(mixture)?;
    }
    Ok(out)
}

fuzz_target!(|input: Input| {
    let Ok(made) = schedule(&input) else { return };
    let world = u64::from(input.world % 5) + 1;
    let share = Share { rank: u64::from(input.rank) % world, world, worker: 0, workers: 1 };
    let start = Cursor { epoch: input.epoch.into(), ..Cursor::default() };
    let mut walk = Walk::new(made.clone(), share, Rest::Drop, start).expect("an epoch begins");
    let mut at = start;
    for _ in 0..input.steps {
        let Some(step) = walk.next() else { break };
        at = step.after;
    }
    let left: Vec<_> = walk.map(|step| step.records).collect();

    let mut given = state(&made, "data", "cost", at);
    let (schedule, cursor) = resumed(&made, "data", "cost", &given).expect("its own state");
    assert_eq!(cursor, at);
    let again = Walk::new(schedule, share, Rest::Drop, cursor).expect("its own place");
    assert!(again.map(|step| step.records).eq(left));

    for (field, number) in input.edits {
        given[FIELDS[usize::from(field) % FIELDS.len()]] = match number {
            Number::Small(n) => n.into(),
            Number::Any(n) => n.into(),
            Number::Signed(n) => n.into(),
            Number::Float(n) => n.into(),
            Number::Text(text) => text.into(),
            Number::Nothing => serde_json::Value::Null,
        };
    }
    // Also as text, as a person or another program may have written it.
    if let Some(Ok(text)) = input.text.as_deref().map(serde_json::from_str) {
        given = text;
    }
    if let Ok((schedule, cursor)) = resumed(&made, "data", "cost", &given) {
        let _ = schedule.progress(cursor);
        let walk = Walk::new(schedule, share, Rest::Repeat, cursor).expect("what was accepted");
        assert!(walk.take(10_000).count() < 10_000, "more batches than records");
    }
});
