//! What a record costs in the file: every target of size beside what was measured, on data that
//! the bench makes.
//!
//! `cargo bench --bench sizes`; a word after `--` prints only the rows whose name contains it, and
//! `VLSTORE_SHARE` (1) takes only that share of the records, in hundredths. Each ratio counts the
//! whole file after close: keys, index, its second copy, columns. The reference is what Blosc2
//! makes of the records alone, one behind the other, in blocks of 256 KiB of the same codec: of frames as
//! FlatBuffers, and in the last column as the store keeps them.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    reason = "a bench may panic, and prints"
)]

mod support;

use std::f64::consts::TAU;
use support::blosc::dense_size;
use support::data::Random;
use support::measure::{setting, wanted};
use vlstore::backend::Backend;
use vlstore::codec::{LEAN, MdFrame, MdFrameCodec, Real};
use vlstore::{
    Compression, Durability, Key, Layout, Purpose, ReadOptions, Store, StoreOptions,
    TrajectoryWriter, WriteOptions, Writer,
};

/// Thermal energy at 300 K in eV, and a spring in eV / angstrom^2.
const KT: f64 = 0.02585;
const SPRING: f64 = 20.0;

fn uniform(random: &mut Random) -> f64 {
    random.below(1 << 53) as f64 / (1_u64 << 53) as f64
}

/// A number of the standard normal distribution (Box and Muller).
fn normal(random: &mut Random) -> f64 {
    let (a, b) = (1.0 - uniform(random), uniform(random));
    (-2.0 * a.ln()).sqrt() * (TAU * b).cos()
}

/// A geometry from which frames scatter.
struct Shape {
    sites: Vec<[f64; 3]>,
    types: Vec<i32>,
    cell: Option<[f64; 9]>,
}

/// Frames that scatter around geometries, in random order and turned at random: harmonic
/// displacements, their forces, their energy.
fn frames(shapes: &[Shape], count: usize, seed: u64) -> Vec<MdFrame> {
    let random = &mut Random(seed);
    (0..count)
        .map(|_| {
            let shape = &shapes[random.below(shapes.len() as u64) as usize];
            let (sin, cos) = (TAU * uniform(random)).sin_cos();
            let turn = |[x, y, z]: [f64; 3]| [x * cos - y * sin, x * sin + y * cos, z];
            let (mut positions, mut forces, mut energy) = (Vec::new(), Vec::new(), 0.0);
            for site in &shape.sites {
                let moved: [f64; 3] =
                    std::array::from_fn(|_| normal(random) * (KT / SPRING).sqrt());
                energy += 0.5 * SPRING * moved.iter().map(|m| m * m).sum::<f64>();
                let place = turn(std::array::from_fn(|k| site[k] + moved[k]));
                positions.extend(place.map(|x| x as f32));
                forces.extend(turn(moved.map(|m| -SPRING * m)).map(|f| f as f32));
            }
            MdFrame {
                nsites: shape.sites.len(),
                types: Some(shape.types.clone()),
                positions: Some(Real::F32(positions)),
                forces: Some(Real::F32(forces)),
                energy: Some(energy),
                cell: shape.cell,
                ..MdFrame::default()
            }
        })
        .collect()
}

fn chain(random: &mut Random, sites: usize, step: f64) -> Vec<[f64; 3]> {
    let mut at = [0.0; 3];
    (0..sites)
        .map(|_| {
            at = at.map(|x| x + step * normal(random));
            at
        })
        .collect()
}

/// Molecules of 9 to 29 sites, without a cell.
fn molecules(count: usize) -> Vec<MdFrame> {
    let random = &mut Random(11);
    let shapes: Vec<Shape> = (0..400)
        .map(|_| {
            let n = 9 + random.below(21) as usize;
            let types = (0..n).map(|_| [1, 6, 7, 8][random.below(4) as usize]).collect();
            Shape { sites: chain(random, n, 0.8), types, cell: None }
        })
        .collect();
    frames(&shapes, count, 1)
}

/// Crystals of 64 sites, each with a strained cell.
fn crystals(count: usize) -> Vec<MdFrame> {
    let random = &mut Random(12);
    let shapes: Vec<Shape> = (0..200)
        .map(|_| {
            let strain: [f64; 9] =
                std::array::from_fn(|k| normal(random) * 0.02 + f64::from(u8::from(k % 4 == 0)));
            let row = |x: [f64; 3]| -> [f64; 3] {
                std::array::from_fn(|k| (0..3).map(|j| x[j] * strain[3 * j + k]).sum())
            };
            let grid = (0..64).map(|i| [i / 16, i / 4 % 4, i % 4].map(|x| 2.6 * f64::from(x)));
            let pair = [3 + random.below(57) as i32, 3 + random.below(57) as i32];
            Shape {
                sites: grid.map(row).collect(),
                types: (0..64).map(|i| pair[i % 2]).collect(),
                cell: Some(strain.map(|x| 10.4 * x)),
            }
        })
        .collect();
    frames(&shapes, count, 2)
}

/// Chains of 100 to 1 900 sites.
fn chains(count: usize) -> Vec<MdFrame> {
    let random = &mut Random(13);
    let shapes: Vec<Shape> = (0..20)
        .map(|_| {
            let n = 100 + random.below(1800) as usize;
            Shape { sites: chain(random, n, 2.2), types: vec![6; n], cell: None }
        })
        .collect();
    frames(&shapes, count, 3)
}

/// Steps of one simulation of `sites` sites, whose cell breathes.
fn steps(count: usize, sites: usize) -> Vec<MdFrame> {
    let random = &mut Random(14);
    let shape = Shape { sites: chain(random, sites, 1.5), types: vec![8; sites], cell: None };
    let mut out = frames(&[shape], count, 4);
    for (i, frame) in out.iter_mut().enumerate() {
        let a = 12.0 * (1.0 + 0.001 * (i as f64 * 0.01).sin() + 1e-4 * normal(random));
        frame.cell = Some([a, 0.0, 0.0, 0.0, a, 0.0, 0.0, 0.0, a]);
        (frame.step, frame.time) = (Some(i as i64 * 250), Some(i as f64 * 0.5));
    }
    out
}

fn options(purpose: Purpose, compression: Compression) -> StoreOptions {
    StoreOptions {
        layout: Layout { purpose, compression, ..Layout::default() },
        write: WriteOptions { durability: Durability::None, ..WriteOptions::default() },
    }
}

/// A closed store of these frames under text keys: the length of the file, and what of it is not
/// compressed records.
fn stored(frames: &[MdFrame], options: &StoreOptions, each: usize) -> (u64, f64) {
    let mut w = TrajectoryWriter::in_memory(options).unwrap();
    for (i, frame) in frames.iter().enumerate() {
        w.insert(format!("mol_{i:08}"), frame).unwrap();
        if i % each == each - 1 {
            w.commit().unwrap();
        }
    }
    let backend = w.writer().backend().clone();
    w.close().unwrap();
    let read = Store::open_in(backend.clone(), &ReadOptions::default()).unwrap();
    let chunks: u64 = read.stat(|_, _| Ok(())).unwrap().kinds.iter().map(|k| k.file_bytes).sum();
    let len = backend.len().unwrap();
    (len, (len - chunks) as f64 / frames.len() as f64)
}

/// The records of a store of this version of the codec.
fn raw(frames: &[MdFrame], version: u32) -> Vec<u8> {
    let mut out = Vec::new();
    for frame in frames {
        MdFrameCodec.encode_for(version, &frame.view(), &mut out).unwrap();
    }
    out
}

/// What a line prints: the ratio, the target, and whether it is met.
fn line(what: &str, ratio: f64, target: f64, note: &str) {
    let met = if ratio <= target { "met" } else { "MISSED" };
    println!("| {what} | {ratio:.3} | {target:.3} | {met} | {note} |");
}

fn main() {
    if !wanted() {
        println!("run with: cargo bench --bench sizes");
        return;
    }
    let only: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let asked = |what: &str| only.is_empty() || only.iter().any(|word| what.contains(&**word));
    let share = setting("VLSTORE_SHARE", 100);
    let many = |n: usize| (n * share / 100).max(200);
    println!("| what | ratio | at most | | |");
    println!("| --- | --- | --- | --- | --- |");
    of_frames(&asked, many);
    of_commits(&asked, many);
    of_records(&asked, many);
}

fn of_frames(asked: &dyn Fn(&str) -> bool, many: impl Fn(usize) -> usize) {
    type Make = fn(usize) -> Vec<MdFrame>;
    let sets: [(&str, usize, Make, f64); 4] = [
        ("9 to 29 sites", 100_000, molecules, 1.025),
        ("64 sites", 30_000, crystals, 1.02),
        ("100 to 1900 sites", 2_000, chains, 1.02),
        ("steps of 64 sites", 30_000, |n| steps(n, 64), 1.02),
    ];
    for (set, count, make, dense) in sets {
        let rows = [
            ("Zstd dense", Purpose::Dense, Compression::Zstd, dense),
            ("Zstd balanced", Purpose::Balanced, Compression::Zstd, 1.06),
            ("Zstd random", Purpose::Random, Compression::Zstd, 1.11),
            ("LZ4 balanced", Purpose::Balanced, Compression::Lz4, 1.09),
            ("LZ4 random", Purpose::Random, Compression::Lz4, 1.15),
            ("stored dense", Purpose::Dense, Compression::Stored, 1.03),
            ("stored balanced", Purpose::Balanced, Compression::Stored, 1.03),
            ("stored random", Purpose::Random, Compression::Stored, 1.03),
        ];
        let rows = rows.map(|(name, p, c, most)| (format!("{set}, {name}"), p, c, most));
        if !rows.iter().any(|row| asked(&row.0)) {
            continue;
        }
        let frames = make(many(count));
        let [bytes, lean] = [1, LEAN].map(|version| raw(&frames, version));
        for (what, purpose, codec, most) in rows.into_iter().filter(|row| asked(&row.0)) {
            let options = options(purpose, codec);
            let (len, rest) = stored(&frames, &options, usize::MAX);
            let [bare, own] = [&bytes, &lean].map(|bytes| match codec {
                Compression::Stored => bytes.len(),
                _ => dense_size(options.layout.params(), bytes),
            });
            let mut plain = options;
            plain.layout.columns = Some(Vec::new());
            let (without, _) = stored(&frames, &plain, usize::MAX);
            let columns = 100.0 * (len as f64 / without as f64 - 1.0);
            let note = format!(
                "{} B a record, as FlatBuffers {}; {:.3} to its own records; all but records {rest:.1} B, columns {columns:.2} %",
                lean.len() / frames.len(),
                bytes.len() / frames.len(),
                len as f64 / own as f64
            );
            line(&what, len as f64 / bare as f64, most, &note);
        }
    }
}

fn of_commits(asked: &dyn Fn(&str) -> bool, many: impl Fn(usize) -> usize) {
    for (what, sites, count) in [
        ("a commit every 20 frames, 64 sites", 64, 10_000),
        ("a commit every 20 frames, 1000 sites", 1000, 1000),
    ] {
        if asked(what) {
            let frames = steps(many(count), sites);
            let mut options = options(Purpose::Balanced, Compression::Zstd);
            options.write.durability = Durability::Kernel;
            let (often, once) =
                (stored(&frames, &options, 20), stored(&frames, &options, usize::MAX));
            line(what, often.0 as f64 / once.0 as f64, 1.1, "through one committed once");
        }
    }
}

/// Small records by the order of their keys; the target is bytes a record.
fn of_records(asked: &dyn Fn(&str) -> bool, many: impl Fn(usize) -> usize) {
    type Name = fn(u64, &mut Random) -> Option<Key>;
    let n = many(1_000_000);
    let keys: [(&str, f64, Name); 4] = [
        ("no key", 4.0, |_, _| None),
        ("ascending integers", 4.0, |i, _| Some(Key::from(3 * i))),
        ("ascending text", 8.0, |i, _| Some(Key::from(format!("mol_{i:08}")))),
        ("text of 16 letters in no order", 28.0, |_, random| {
            Some(Key::from(format!("{:08x}{:08x}", random.below(1 << 32), random.below(1 << 32))))
        }),
    ];
    for (name, most, key) in keys {
        let what = format!("index a record, {name}, bytes");
        if asked(&what) {
            let mut w = Writer::in_memory(&options(Purpose::Dense, Compression::Zstd)).unwrap();
            let random = &mut Random(5);
            for i in 0..n as u64 {
                // Lengths that differ, so that places cost what they cost.
                let record = [7; 400];
                let len = 200 + random.below(200) as usize;
                w.put_sized(key(i, random).as_ref(), &record[..len], 9, vlstore::Existing::Replace)
                    .unwrap();
            }
            let backend = w.backend().clone();
            w.close().unwrap();
            let read = Store::open_in(backend.clone(), &ReadOptions::default()).unwrap();
            let kinds = read.stat(|_, _| Ok(())).unwrap().kinds;
            let chunks: u64 = kinds.iter().map(|k| k.file_bytes).sum();
            line(&what, (backend.len().unwrap() - chunks) as f64 / n as f64, most, "");
        }
    }
    for (name, codec) in [("Zstd", Compression::Zstd), ("stored", Compression::Stored)] {
        let what = format!("records of 9 bytes, {name}");
        if asked(&what) {
            let mut w = Writer::in_memory(&options(Purpose::Balanced, codec)).unwrap();
            let random = &mut Random(6);
            for _ in 0..n {
                let record: [u8; 9] = std::array::from_fn(|_| random.below(256) as u8);
                w.push(&record).unwrap();
            }
            let backend = w.backend().clone();
            w.close().unwrap();
            line(&what, backend.len().unwrap() as f64 / (9 * n) as f64, 1.6, "through the records");
        }
    }
}
