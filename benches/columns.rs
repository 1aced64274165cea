//! Columns against decoding: 100 000 frames of 22 atoms (the trajectory that the tests carry, a
//! hundred times, with an energy for each frame), and large frames read whole and by one field.
//! Prints sizes, times and their ratios; answers are compared before anything is timed.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::print_stdout,
    reason = "a bench may panic, and prints"
)]

mod support;

use std::hint::black_box;
use std::path::Path;
use support::measure::{interleave, median, seconds, setting, wanted};
use vlstore::codec::{Field, Fields, MdFrame, Real};
use vlstore::{Layout, StoreOptions, Trajectory, TrajectoryWriter, formats};

fn small() -> Vec<MdFrame> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ala2-npt-peptide.xtc");
    let mut reader = formats::open(&path).unwrap();
    let (mut all, mut frame) = (Vec::new(), MdFrame::default());
    while reader.next_frame(&mut frame).unwrap() {
        all.push(frame.clone());
    }
    all
}

/// Writes `count` frames one after the other; bytes of the file.
fn write(path: &Path, frames: &[MdFrame], count: usize, columns: bool) -> u64 {
    let columns = if columns { None } else { Some(Vec::new()) };
    let options =
        StoreOptions { layout: Layout { columns, ..Layout::default() }, ..StoreOptions::default() };
    let mut w = TrajectoryWriter::replace(path, &options).unwrap();
    for n in 0..count {
        let time = n as f64 * 0.5;
        let frame = MdFrame {
            step: Some(n as i64 * 250),
            time: Some(time),
            energy: Some(-5000.0 + (time * 0.37).sin() * 40.0 + (time * 7.1).sin()),
            ..frames[n % frames.len()].clone()
        };
        w.insert(n as u64, &frame).unwrap();
    }
    w.close().unwrap();
    std::fs::metadata(path).unwrap().len()
}

/// Energies of all frames from the frames themselves.
fn decoded(depot: &Trajectory) -> Vec<f64> {
    depot.iter().map(|f| f.unwrap().view().unwrap().energy().unwrap()).collect()
}

fn main() {
    if !wanted() {
        return;
    }
    let rounds = setting("VLSTORE_ROUNDS", 11);
    let count = setting("VLSTORE_FRAMES", 100_000);
    let dir = tempfile::tempdir().unwrap();
    let frames = small();
    let (with, without) = (dir.path().join("with.vls"), dir.path().join("without.vls"));
    let mut sizes = (0, 0);
    let put = interleave(
        1,
        || seconds(|| sizes.0 = write(&with, &frames, count, true)),
        || seconds(|| sizes.1 = write(&without, &frames, count, false)),
    );
    let (a, b) = sizes;
    let more = (a as f64 - b as f64) / count as f64;
    println!("{count} frames of {} atoms", frames[0].nsites);
    println!(
        "  file with columns {a} bytes, without {b}: {more:.1} bytes more for each frame, {:.2} %",
        100.0 * (a as f64 / b as f64 - 1.0)
    );
    println!("  putting them all, with : without  {:.2}", put.ratio());

    let open = || Trajectory::open(&with).unwrap();
    let energy =
        |depot: &Trajectory| depot.column("energy").unwrap().values.as_f64().unwrap().to_vec();
    assert_eq!(energy(&open()), decoded(&open()));
    let pair = interleave(
        rounds,
        || {
            let depot = open();
            seconds(|| drop(black_box(energy(&depot))))
        },
        || {
            let depot = open();
            seconds(|| drop(black_box(decoded(&depot))))
        },
    );
    println!(
        "  energies of all: column {:.2} ms, decoding in order {:.0} ms: {:.0} times",
        1e3 * median(&pair.ours),
        1e3 * median(&pair.reference),
        1.0 / pair.ratio()
    );

    // Large frames: 50 000 sites with positions, velocities and forces.
    let real = |k: usize| {
        Some(Real::F32((0..150_000).map(|i| ((i * 37 + k) % 9973) as f32 * 0.001).collect()))
    };
    let large: Vec<MdFrame> = (0..4)
        .map(|k| MdFrame {
            nsites: 50_000,
            types: Some(vec![8; 50_000]),
            positions: real(k),
            velocities: real(k + 7),
            forces: real(k + 13),
            ..MdFrame::default()
        })
        .collect();
    let path = dir.path().join("large.vls");
    write(&path, &large, 64, true);
    let depot = Trajectory::open(&path).unwrap();
    let all: Vec<u64> = (0..64).collect();
    for (what, fields) in [
        ("forces", Fields::of(&[Field::Forces])),
        ("step, time and energy", Fields::of(&[Field::Step, Field::Time, Field::Energy])),
    ] {
        let pair = interleave(
            rounds,
            || seconds(|| drop(black_box(depot.get_fields_batch_at(&all, fields).unwrap()))),
            || {
                seconds(|| {
                    let batch = depot.get_batch_at(&all).unwrap();
                    let found: Vec<MdFrame> =
                        batch.iter().map(|v| fields.only(v.unwrap().fields()).to_owned()).collect();
                    drop(black_box(found));
                })
            },
        );
        println!(
            "64 frames of 50 000 sites, {what}: chosen {:.1} ms, whole {:.1} ms: {:.2} times",
            1e3 * median(&pair.ours),
            1e3 * median(&pair.reference),
            1.0 / pair.ratio()
        );
    }
}
