//! Adding records: real frames of 1 324 and of 64 atoms, both codecs, durability to the kernel,
//! a file on disk; one commit at the end of each round besides the automatic ones.
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
use support::data;
use vlstore::{Compression, Layout, Purpose, StoreOptions, Writer};

fn append(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let sets = [
        (data::frames(1001), Purpose::Balanced, "1324 atoms, balanced"),
        (data::small(10_000), Purpose::Random, "64 atoms, random"),
    ];
    for (set, purpose, label) in &sets {
        println!("append: {}", set.what);
        let mut group = c.benchmark_group(format!("append/{label}"));
        group.sample_size(10).throughput(Throughput::BytesDecimal(set.bytes() as u64));
        for compression in [Compression::Zstd, Compression::Lz4, Compression::Stored] {
            let layout = Layout { purpose: *purpose, compression, ..Layout::default() };
            let options = StoreOptions::from(layout);
            group.bench_function(BenchmarkId::from_parameter(compression.name()), |b| {
                b.iter_batched(
                    || Writer::replace(dir.path().join("append"), &options).unwrap(),
                    |mut w| {
                        for r in &set.records {
                            w.push(r).unwrap();
                        }
                        w.commit().unwrap();
                        w
                    },
                    criterion::BatchSize::PerIteration,
                );
            });
        }
        group.finish();
    }
}

criterion_group!(benches, append);
criterion_main!(benches);
