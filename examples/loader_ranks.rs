//! What ten thousand ranks ask of a data set in one epoch: requests, bytes, members, and how even that is.
//!
//!     cargo run --release --example loader_ranks [RECORDS] [RANKS] [BYTES OF A RECORD] [RECORDS OF A MEMBER]
//!
//! No record exists and none is read: which rank reads what follows from the order, the schedule and the walk that the loader
//! has, and those are asked here. Each run of neighbours that a rank needs of a window is one request; the
//! first read of a member in a window is a look into its index more.

#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a program that shows its results"
)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;
use vlstore::Result;
use vlstore::loader::{
    Balance, Batching, Cursor, Order, Random, Rest, Schedule, Share, Shuffle, Walk,
};

const BATCH: u64 = 32;
/// Decoded bytes of a group and groups of a window, as the loader chooses them by itself.
const GROUP_BYTES: u64 = 512 << 10;
const GROUPS: u64 = 64;
/// Ranks of which all batches are looked at.
const SAMPLE: u64 = 50;

fn main() -> Result<()> {
    let given: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let or = |at: usize, default| given.get(at).copied().unwrap_or(default);
    let (records, ranks, bytes) = (or(0, 10_000_000_000), or(1, 10_000), or(2, 2000));
    let member = or(3, 1_000_000);
    println!(
        "{records} records of {bytes} bytes in members of {member}, {ranks} ranks, batches of {BATCH}\n"
    );
    println!(
        "| group | window | steps of a rank | records left out | requests of a rank: mean, least, most | MB of a rank | members of a window, mean | bytes of a request | plan of a window |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let group = power_of_two(GROUP_BYTES / bytes);
    let window = group * GROUPS;
    for (group, window) in [(group, window), (group / 4, window), (group, window / 4), (1, window)]
    {
        one(
            records,
            ranks,
            bytes,
            member,
            Order { shuffle: Shuffle::Windows, seed: 1, group, window },
        )?;
    }
    println!();
    even(ranks)
}

fn power_of_two(n: u64) -> u64 {
    1 << n.max(1).ilog2()
}

/// What ranks ask for with this order.
fn one(records: u64, ranks: u64, bytes: u64, member: u64, order: Order) -> Result<()> {
    let batching = Batching { records: Some(BATCH), ..Batching::default() };
    let schedule = Schedule::new(records, order, batching, ranks, None)?;
    let (mut steps, mut had) = (0, 0);
    let mut requests = Vec::new();
    let (mut members, mut windows, mut seconds) = (0, 0, 0.0);
    for sample in 0..SAMPLE.min(ranks) {
        let rank = sample * ranks / SAMPLE.min(ranks);
        let share = Share { rank, world: ranks, ..Share::default() };
        let start = Instant::now();
        let mut walk = Walk::new(schedule.clone(), share, Rest::Drop, Cursor::default())?;
        let (mut own, mut round, mut asked) = (Vec::new(), 0, 0);
        let mut look = |own: &mut Vec<u64>| {
            own.sort_unstable();
            asked += own.chunk_by(|a, b| a + 1 == *b).count() as u64;
            members += own.iter().map(|r| r / member).collect::<BTreeSet<_>>().len() as u64;
            windows += 1;
            own.clear();
        };
        steps = 0;
        for step in &mut walk {
            if step.after.round != round {
                look(&mut own);
                round = step.after.round;
            }
            had += step.records.len() as u64;
            own.extend(step.records);
            steps += 1;
        }
        if !own.is_empty() {
            look(&mut own);
        }
        seconds += start.elapsed().as_secs_f64();
        requests.push(asked);
    }
    let looked = requests.len() as u64;
    let sum: u64 = requests.iter().sum();
    let mean = |n: u64| n as f64 / looked as f64;
    println!(
        "| {} | {} | {steps} | {} | {:.0}, {}, {} | {:.0} | {:.1} | {:.0} | {:.2} ms |",
        schedule.order().group,
        schedule.order().window,
        records - steps * BATCH * ranks,
        mean(sum),
        requests.iter().min().unwrap_or(&0),
        requests.iter().max().unwrap_or(&0),
        mean(had) * bytes as f64 / 1e6,
        members as f64 / f64::from(windows),
        had as f64 * bytes as f64 / sum as f64,
        seconds * 1e3 / f64::from(windows)
    );
    Ok(())
}

/// How evenly the cost is divided where records differ in it by factors, and batches are cut by it.
fn even(ranks: u64) -> Result<()> {
    println!(
        "| records | sizes | batches by | steps | slowest rank of a step over the mean: median, worst | sums of ranks apart | plan of an epoch |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    let records = ranks * 2048;
    let mut random = Random::new(7);
    let mut sizes = Vec::new();
    for _ in 0..records {
        // The sum of a few even numbers, as an exponent: a tail of large records.
        let x: f64 = (0..4).map(|_| random.below(1000) as f64 / 1000.0).sum::<f64>() - 2.0;
        sizes.push((40.0 * (1.2 * x).exp()) as u32 + 1);
    }
    let sizes: Arc<[u32]> = sizes.into();
    let mean = sizes.iter().map(|s| u64::from(*s)).sum::<u64>() / records;
    let order = Order { shuffle: Shuffle::Windows, seed: 1, group: 32, window: 1024 };
    for (name, batching) in [
        ("32 records", Batching { records: Some(BATCH), ..Batching::default() }),
        ("cost", Batching { cost: Some(BATCH * mean), ..Batching::default() }),
    ] {
        let start = Instant::now();
        let schedule = Schedule::new(records, order.clone(), batching, ranks, Some(sizes.clone()))?;
        let cost = |r: u64| sizes.get(r as usize).copied().unwrap_or(0).into();
        let found = Balance::of(&schedule, 0, ranks, Rest::Drop, cost)?;
        println!(
            "| {records} | 1 to {}, mean {mean} | {name} | {} | {:.3}, {:.3} | {:.2} % | {:.1} s |",
            sizes.iter().max().unwrap_or(&0),
            found.steps,
            found.median,
            found.worst,
            100.0 * found.apart(),
            start.elapsed().as_secs_f64()
        );
    }
    Ok(())
}
