//! Chunks alone: 1 MiB of real frames of 64 atoms compressed and decoded block by block, by
//! codec and block size; typesize 4, shuffle. And Zstd at level 1 beside Blosc2 itself, in turns: bytes, and
//! the time of writing and of reading whole chunks.
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
use support::blosc::Context;
use support::data::{self, Data};
use support::measure::{interleave, seconds, setting, wanted};
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

/// Our chunks of these records beside those of Blosc2: ratios, below 1 where ours are smaller or faster.
fn beside(set: &Data, block: u32) {
    let all = set.records.concat();
    let bytes = &all[..all.len().min(2 << 20) / 4 * 4];
    let (algorithm, filter) = (Some(Algorithm::Zstd), Filter::Shuffle);
    let params = Params { algorithm, level: 1, filter, typesize: 4 };
    let (mut ours, mut library) =
        (Compressor::new(params, block).unwrap(), Context::compressing(params, block));
    let (mut made, mut theirs) = (Vec::new(), vec![0; bytes.len() + 4096]);
    ours.compress(bytes, &mut made).unwrap();
    let len = library.compress(bytes, &mut theirs);
    theirs.truncate(len);
    let layout = ChunkLayout::parse(&made, u32::MAX).unwrap();
    let (mut decoder, mut by_library) = (Decoder::new().unwrap(), Context::decompressing());
    let (mut a, mut b) = (vec![0; bytes.len()], vec![0; bytes.len()]);
    let rounds = setting("ROUNDS", 40);
    let read = interleave(
        rounds,
        || {
            seconds(|| {
                for (i, part) in (0..).zip(a.chunks_mut(block as usize)) {
                    let range = layout.block_range(i);
                    let stream = &made[range.start as usize..range.end as usize];
                    decoder.decode(&layout, i, stream, part).unwrap();
                }
            })
        },
        || seconds(|| by_library.decompress(&theirs, &mut b)),
    );
    assert!(a == bytes && b == bytes);
    let (mut again, mut there) = (Vec::new(), vec![0; bytes.len() + 4096]);
    let write = interleave(
        rounds / 4,
        || seconds(|| ours.compress(bytes, &mut again).unwrap()),
        || seconds(|| assert!(library.compress(bytes, &mut there) == len)),
    );
    println!(
        "{}, blocks of {} KiB, to Blosc2 itself: {:.3} of the bytes, {:.2} of the time to read, {:.2} to write",
        set.what,
        block >> 10,
        made.len() as f64 / len as f64,
        read.ratio(),
        write.ratio()
    );
}

fn planes(_: &mut Criterion) {
    if !wanted() {
        return;
    }
    let sets = [Some(data::small(4000)), Some(data::frames(150)), data::mixed(1)];
    for set in sets.iter().flatten() {
        for block in [32 << 10, 256 << 10] {
            beside(set, block);
        }
    }
}

criterion_group!(benches, chunk, planes);
criterion_main!(benches);
