//! Batches of 256 records: shuffled over the whole store, and from a shuffled window of 2 048;
//! then the whole store in order. Real frames of 64 atoms (random) and 1 324 atoms (balanced).
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

fn batch(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("batch");
    let sets = [
        (data::small(10_000), Purpose::Random, "64 atoms, random"),
        (data::frames(4004), Purpose::Balanced, "1324 atoms, balanced"),
    ];
    for (set, purpose, label) in &sets {
        println!("batch: {}", set.what);
        let mut group = c.benchmark_group(format!("batch/{label}"));
        group.sample_size(20);
        for compression in [Compression::Zstd, Compression::Lz4, Compression::Stored] {
            let layout = Layout { purpose: *purpose, compression, ..Layout::default() };
            let options = StoreOptions {
                layout,
                write: WriteOptions {
                    access: vlstore::backend::Access::Map,
                    ..WriteOptions::default()
                },
            };
            let mut w = Writer::replace(&path, &options).unwrap();
            for r in &set.records {
                w.push(r).unwrap();
            }
            w.close().unwrap();
            let n = set.records.len() as u64;
            let store = Store::open_with(&path, &options.write.reading()).unwrap();
            for (i, r) in store.scan(0..n).enumerate() {
                assert_eq!(*r.unwrap(), set.records[i][..]);
            }
            let mut random = Random(2);
            group.throughput(Throughput::Elements(256));
            group.bench_function(BenchmarkId::new("256 shuffled", compression.name()), |b| {
                b.iter(|| black_box(store.get_batch_at(&random.list(256, n)).unwrap()));
            });
            group.bench_function(BenchmarkId::new("256 of a window", compression.name()), |b| {
                b.iter(|| {
                    let from = random.below(n - 2048);
                    let asked: Vec<u64> =
                        random.list(256, 2048).into_iter().map(|i| from + i).collect();
                    black_box(store.get_batch_at(&asked).unwrap())
                });
            });
            group.throughput(Throughput::BytesDecimal(set.bytes() as u64));
            group.bench_function(BenchmarkId::new("scan", compression.name()), |b| {
                b.iter(|| store.scan(0..n).map(|r| r.unwrap().len()).sum::<usize>());
            });
        }
        group.finish();
    }
}

criterion_group!(benches, batch);
criterion_main!(benches);
