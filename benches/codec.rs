//! Objects to bytes and back: a frame of 1 324 atoms and one of 64 atoms as `md-frame`.
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
use support::data;
use vlstore::codec::{AnyCodec, Codec, MdFrameCodec, Real, coordinate, quantise};
use vlstore::wire::AlignedBuf;

fn codec(c: &mut Criterion) {
    let mut group = c.benchmark_group("codec");
    for (set, label) in [(data::frames(1), "1324 atoms"), (data::small(1), "64 atoms")] {
        println!("codec: {}", set.what);
        let record = AlignedBuf::copy_of(&set.records[0]).unwrap();
        let frame = MdFrameCodec.decode(&record).unwrap().fields().to_owned();
        let mut out = Vec::new();
        MdFrameCodec.encode(&frame, &mut out).unwrap();
        assert_eq!(out, set.records[0]);
        group.throughput(Throughput::BytesDecimal(record.len() as u64));
        group.bench_function(BenchmarkId::new("encode", label), |b| {
            b.iter(|| {
                out.clear();
                MdFrameCodec.encode(&frame, &mut out).unwrap()
            });
        });
        group.bench_function(BenchmarkId::new("decode to a view", label), |b| {
            b.iter(|| {
                let view = MdFrameCodec.decode(&record).unwrap();
                black_box(view.positions().is_some())
            });
        });
        // Positions as integers of a thousandth, as an XTC file has them.
        let mut frame = frame;
        if let Some(Real::F32(positions)) = &mut frame.positions {
            for x in positions {
                *x = coordinate(quantise(f64::from(*x), 1000.0).unwrap(), 1000.0);
            }
        }
        frame.precision = Some(1000.0);
        group.bench_function(BenchmarkId::new("encode, whole positions", label), |b| {
            b.iter(|| {
                out.clear();
                MdFrameCodec.encode_quantised(&frame.view(), &mut out).unwrap()
            });
        });
        let whole = AlignedBuf::copy_of(&out).unwrap();
        assert!(whole.len() < record.len());
        group.bench_function(BenchmarkId::new("expand whole positions", label), |b| {
            b.iter(|| MdFrameCodec.expand(&whole).unwrap().unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, codec);
criterion_main!(benches);
