//! Opening a store and reading its first record: 1 000 and 200 000 records of 100 bytes, with
//! keys; and opening for writing.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    reason = "a bench may panic; criterion makes undocumented functions"
)]

mod support;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use vlstore::Readable;
use vlstore::{Store, StoreOptions, Writer};

fn open(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions::default();
    let mut group = c.benchmark_group("open");
    for n in [1_000_u64, 200_000] {
        let path = dir.path().join(n.to_string());
        let mut w = Writer::create(&path, &options).unwrap();
        for i in 0..n {
            w.insert(i, &[(i % 251) as u8; 100]).unwrap();
        }
        w.close().unwrap();
        group.bench_function(BenchmarkId::new("first by ordinal", n), |b| {
            b.iter(|| black_box(Store::open(&path).unwrap().get_at(n / 2).unwrap()));
        });
        group.bench_function(BenchmarkId::new("first by key", n), |b| {
            b.iter(|| black_box(Store::open(&path).unwrap().get(n / 2).unwrap()));
        });
        group.bench_function(BenchmarkId::new("writer", n), |b| {
            b.iter(|| black_box(Writer::open(&path, &options.write).unwrap()));
        });
    }
    group.finish();
}

criterion_group!(benches, open);
criterion_main!(benches);
