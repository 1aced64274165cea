//! Stores a trajectory frame by frame, goes on after a stop, and reads it back.
//!
//!     cargo run --release --example store_trajectory [FILE.xtc]

#![allow(clippy::print_stdout, reason = "a program that shows its results")]

use std::path::PathBuf;
use vlstore::codec::MdFrame;
use vlstore::{Result, StoreOptions, Trajectory, TrajectoryWriter, WriteOptions, formats};

fn main() -> Result<()> {
    let source = std::env::args_os().nth(1).map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/ala2-npt-peptide.xtc")),
        PathBuf::from,
    );
    let path = std::env::temp_dir().join(format!("trajectory-{}.vlstore", std::process::id()));

    // The first half; dropping the writer after a commit is what a stopped job leaves.
    let mut reader = formats::open(&source)?;
    let mut frame = MdFrame::default();
    let mut writer = TrajectoryWriter::create(&path, &StoreOptions::default())?;
    for number in 0..500 {
        if !reader.next_frame(&mut frame)? {
            break;
        }
        writer.insert(number, &frame)?;
    }
    writer.commit()?;
    drop(writer);

    // The rest goes into the same file.
    let mut writer = TrajectoryWriter::open(&path, &WriteOptions::default())?;
    let mut number = writer.len();
    while reader.next_frame(&mut frame)? {
        writer.insert(number, &frame)?;
        number += 1;
    }
    writer.close()?;

    let depot = Trajectory::open(&path)?;
    let size = |p: &std::path::Path| std::fs::metadata(p).map_or(0, |m| m.len());
    println!(
        "{} frames, {} bytes ({} in {})",
        depot.len(),
        size(&path),
        size(&source),
        source.display()
    );
    let last = depot.get_at(depot.len() - 1)?;
    let last = last.view()?;
    println!(
        "the last one has {} sites, step {:?}, time {:?}",
        last.nsites(),
        last.step(),
        last.time()
    );
    drop(depot);
    std::fs::remove_file(&path).map_err(|e| vlstore::Error::io("remove the example's file", e))
}
