//! One record at random: 10 000 real frames of 64 atoms (random, 8 KiB blocks) and 1 001 of
//! 1 324 atoms (balanced), by ordinal and by key, cache off and on, and without compression.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    reason = "a bench may panic; criterion makes undocumented functions"
)]

mod support;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use support::data::{self, Random};
use vlstore::Readable;
use vlstore::{Compression, Layout, Purpose, Store, StoreOptions, WriteOptions, Writer};

fn get(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("get");
    let sets = [
        (data::small(10_000), Purpose::Random, "64 atoms, random"),
        (data::frames(1001), Purpose::Balanced, "1324 atoms, balanced"),
    ];
    for (set, purpose, label) in &sets {
        println!("get: {}", set.what);
        let mut group = c.benchmark_group(format!("get/{label}"));
        group.throughput(Throughput::Elements(1));
        for compression in [Compression::Zstd, Compression::Lz4, Compression::Stored] {
            let layout = Layout { purpose: *purpose, compression, ..Layout::default() };
            let options = StoreOptions {
                layout,
                write: WriteOptions {
                    cache_bytes: 0,
                    access: vlstore::backend::Access::Map,
                    ..WriteOptions::default()
                },
            };
            let mut w = Writer::replace(&path, &options).unwrap();
            for (i, r) in set.records.iter().enumerate() {
                w.insert(i as u64, r).unwrap();
            }
            w.close().unwrap();
            let n = set.records.len() as u64;
            let store = Store::open_with(&path, &options.write.reading()).unwrap();
            for i in Random(1).list(100, n) {
                assert_eq!(*store.get(i).unwrap(), set.records[i as usize][..]);
            }
            let mut random = Random(2);
            group.bench_function(BenchmarkId::new("ordinal", compression.name()), |b| {
                b.iter(|| black_box(store.get_at(random.below(n)).unwrap()));
            });
            group.bench_function(BenchmarkId::new("key", compression.name()), |b| {
                b.iter(|| black_box(store.get(random.below(n)).unwrap()));
            });
            let cached = StoreOptions {
                write: WriteOptions { cache_bytes: 32 << 20, ..options.write },
                ..options
            };
            let cached = Store::open_with(&path, &cached.write.reading()).unwrap();
            group.bench_function(
                BenchmarkId::new("ordinal, cache 32 MiB", compression.name()),
                |b| {
                    b.iter(|| black_box(cached.get_at(random.below(n)).unwrap()));
                },
            );
        }
        group.finish();
    }
}

criterion_group!(benches, get);
criterion_main!(benches);
