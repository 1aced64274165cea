//! What reading a store from far away costs: round trips, requests and bytes of opening, of records and of
//! batches, with ten million records. No network: the source counts what is asked of it.
//!
//! `cargo bench --bench far` writes the stores (1.5 GB of disk) and prints the table; `-- 1m` takes a tenth.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    reason = "a bench may panic"
)]

#[path = "../tests/common/far.rs"]
mod far;
mod support;

use far::{Cost, Far};
use std::path::Path;
use std::sync::Arc;
use support::data::Random;
use support::measure::wanted;
use vlstore::backend::{Access, FileBackend, PagedBackend};
use vlstore::{
    Durability, Key, ReadOptions, Readable, Result, Store, StoreOptions, WriteOptions, Writer,
};

/// A round trip of object stores of the same region, and what a connection carries.
const ROUND: f64 = 0.03;
const RATE: f64 = 100e6;

fn main() {
    if !wanted() {
        println!("run with: cargo bench --bench far");
        return;
    }
    let records = if std::env::args().any(|a| a == "1m") { 1_000_000 } else { 10_000_000 };
    let dir = tempfile::tempdir().unwrap();
    println!("| keys | what | round trips | requests | KiB | s at 30 ms and 100 MB/s |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for scattered in [false, true] {
        let path = dir.path().join("far");
        write(&path, records, scattered);
        measure(&path, records, scattered);
        std::fs::remove_file(&path).unwrap();
    }
}

/// Keys in order, or in no order.
fn key(i: u64, scattered: bool) -> u64 {
    if scattered { i.wrapping_mul(0x9e37_79b9_7f4a_7c15) } else { i }
}

fn write(path: &Path, records: u64, scattered: bool) {
    let write = WriteOptions { durability: Durability::None, ..WriteOptions::default() };
    let options = StoreOptions { write, ..StoreOptions::default() };
    let mut w = Writer::create(path, &options).unwrap();
    let mut record = Vec::new();
    for i in 0..records {
        record.clear();
        for k in 0..25 {
            let x = (i as f32 * 0.01 + k as f32).sin() * (k % 7 + 1) as f32;
            record.extend(x.to_le_bytes());
        }
        w.insert(key(i, scattered), &record).unwrap();
    }
    w.close().unwrap();
}

fn measure(path: &Path, records: u64, scattered: bool) {
    let source = Arc::new(Far::new(FileBackend::open_read(path, Access::Pread).unwrap()));
    let open = || -> Result<Store> {
        let backend = PagedBackend::open(source.clone(), 64 << 20, None)?;
        Store::open_in(Arc::new(backend), &ReadOptions::default())
    };
    let order = if scattered { "in no order" } else { "in order" };
    let line = |what: &str, cost: Cost, n: usize| {
        let (rounds, requests) = (cost.rounds as f64 / n as f64, cost.requests as f64 / n as f64);
        let bytes = cost.bytes as f64 / n as f64;
        let seconds = rounds * ROUND + bytes / RATE;
        let kib = bytes / 1024.0;
        println!("| {order} | {what} | {rounds:.1} | {requests:.1} | {kib:.0} | {seconds:.3} |");
    };
    let mut random = Random(7);
    let mut next = || random.below(records);
    let store = open().unwrap();
    line("open", source.cost(), 1);
    store.get_at(0).unwrap();
    line("first record", source.cost(), 1);
    let mut sum = Cost::default();
    let mut add = |cost: Cost| {
        sum.rounds += cost.rounds;
        sum.requests += cost.requests;
        sum.bytes += cost.bytes;
    };
    const SINGLE: usize = 50;
    for _ in 0..SINGLE {
        store.get_at(next()).unwrap();
        add(source.cost());
    }
    line("a record by ordinal, mean of 50", std::mem::take(&mut sum), SINGLE);
    let store = open().unwrap();
    source.cost();
    for _ in 0..SINGLE {
        store.get(key(next(), scattered)).unwrap();
    }
    line("a record by key, mean of 50", source.cost(), SINGLE);
    let store = open().unwrap();
    source.cost();
    let ordinals: Vec<u64> = (0..256).map(|_| next()).collect();
    store.get_batch_at(&ordinals).unwrap();
    line("256 records by ordinal, at random", source.cost(), 1);
    let store = open().unwrap();
    source.cost();
    store.get_batch_at(&(records / 2..records / 2 + 256).collect::<Vec<_>>()).unwrap();
    line("256 records side by side", source.cost(), 1);
    let store = open().unwrap();
    source.cost();
    let keys: Vec<Key> = (0..256).map(|_| Key::from(key(next(), scattered))).collect();
    store.plan_keys(&keys).unwrap().batch().unwrap();
    // Those of keys run in up to 32 threads: the time is less than the round trips say.
    line("256 records by key, at random (look-ups side by side)", source.cost(), 1);
    let store = open().unwrap();
    source.cost();
    let n = records.min(1_000_000);
    for found in store.scan(0..n) {
        found.unwrap();
    }
    line("a million records in order", source.cost(), 1);
}
