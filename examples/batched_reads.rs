//! Fetches shuffled batches of records of different lengths, each touched block decoded once.
//!
//!     cargo run --release --example batched_reads

#![allow(clippy::print_stdout, reason = "a program that shows its results")]

use std::time::Instant;
use vlstore::Readable;
use vlstore::{Layout, Purpose, Result, StoreOptions, Writer};

const RECORDS: u64 = 20_000;
const BATCH: usize = 256;

fn main() -> Result<()> {
    let options = StoreOptions {
        layout: Layout { purpose: Purpose::Random, ..Layout::default() },
        ..StoreOptions::default()
    };
    let mut writer = Writer::in_memory(&options)?;
    for i in 0..RECORDS {
        let values = (0..100 + i % 400).map(|k| ((i + k) as f32 * 0.01).sin());
        writer.push(&values.flat_map(f32::to_le_bytes).collect::<Vec<u8>>())?;
    }
    writer.commit()?;
    let store = writer.snapshot()?;

    // Lengths come from the index: nothing is decoded to plan a batch.
    let longest = (0..store.len()).map(|i| store.location_at(i).map(|l| l.len()));
    println!(
        "longest record: {} bytes",
        longest.collect::<Result<Vec<_>>>()?.iter().max().unwrap_or(&0)
    );

    let start = Instant::now();
    let (mut records, mut bytes) = (0, 0);
    for round in 0..200_u64 {
        // A multiplier without a common factor with the number of records visits all of them.
        let wanted: Vec<u64> =
            (0..BATCH as u64).map(|k| (round * BATCH as u64 + k) * 7919 % RECORDS).collect();
        let batch = store.get_batch_at(&wanted)?;
        for (ordinal, record) in wanted.iter().zip(batch.iter()) {
            assert_eq!(record.len() as u64, 4 * (100 + ordinal % 400));
            bytes += record.len();
        }
        records += batch.len();
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{:.0} records/s, {:.0} MB/s", records as f64 / seconds, bytes as f64 / seconds / 1e6);
    Ok(())
}
