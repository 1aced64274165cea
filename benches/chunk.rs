//! Chunks alone: 1 MiB of real frames of 64 atoms compressed and decoded block by block, by
//! codec and block size; typesize 4, shuffle.
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
use vlstore::chunk::{Algorithm, ChunkLayout, Compressor, Decoder, Filter, Params};

fn chunk(c: &mut Criterion) {
    let set = data::small(600);
    println!("chunk: {}", set.what);
    let all = set.records.concat();
    let bytes = &all[..1 << 20];
    let mut group = c.benchmark_group("chunk");
    group.sample_size(20).throughput(Throughput::BytesDecimal(1 << 20));
    for (codec, level) in [(Algorithm::Zstd, 1), (Algorithm::Lz4, 5)] {
        for block in [4 << 10, 8 << 10, 32 << 10, 256 << 10] {
            let params =
                Params { algorithm: Some(codec), level, filter: Filter::Shuffle, typesize: 4 };
            let mut compressor = Compressor::new(params, block).unwrap();
            let mut chunk = Vec::new();
            compressor.compress(bytes, &mut chunk).unwrap();
            let layout = ChunkLayout::parse(&chunk, 1 << 20).unwrap();
            let mut decoder = Decoder::new().unwrap();
            let mut out = vec![0; bytes.len()];
            let mut decode = |out: &mut [u8]| {
                for (i, part) in (0..).zip(out.chunks_mut(block as usize)) {
                    let range = layout.block_range(i);
                    let stream = &chunk[range.start as usize..range.end as usize];
                    decoder.decode(&layout, i, stream, part).unwrap();
                }
            };
            decode(&mut out);
            assert_eq!(out, bytes);
            let label = format!(
                "{} blocks of {} KiB, size {:.3}",
                codec.name(),
                block >> 10,
                chunk.len() as f64 / bytes.len() as f64
            );
            group.bench_function(BenchmarkId::new("decode", &label), |b| {
                b.iter(|| decode(&mut out));
            });
            let mut made = Vec::new();
            group.bench_function(BenchmarkId::new("compress", &label), |b| {
                b.iter(|| compressor.compress(bytes, &mut made).unwrap());
            });
        }
    }
    group.finish();
}

criterion_group!(benches, chunk);
criterion_main!(benches);
