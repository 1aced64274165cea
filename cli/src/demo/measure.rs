//! The table: the store beside the format that the frames came from, in one run.

use crate::output::{Out, grouped, human};
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};
use vlstore::codec::MdFrame;
use vlstore::formats::{self, OutputOptions};
use vlstore::trajectory::Positions;
use vlstore::{
    Error, Existing, Result, Store, StoreOptions, Trajectory, TrajectoryWriter, WriteOptions,
};

/// Time that one figure may take.
const EACH: Duration = Duration::from_millis(300);

/// The numbers below `n` in an order that is always the same and looks like none.
pub(crate) fn shuffled(n: u64) -> Vec<u64> {
    let mut order: Vec<u64> = (0..n).collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for i in (1..order.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let j = state % (i as u64 + 1);
        order.swap(i, usize::try_from(j).unwrap_or(0));
    }
    order
}

/// Runs `work` again and again for a while and returns the best rate in frames a second: other
/// programs on the machine only make it slower.
#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn rate(mut work: impl FnMut() -> Result<u64>) -> Result<f64> {
    let begun = Instant::now();
    let mut best = 0_f64;
    loop {
        let start = Instant::now();
        let frames = work()?;
        best = best.max(frames as f64 / start.elapsed().as_secs_f64().max(1e-9));
        if begun.elapsed() > EACH {
            return Ok(best);
        }
    }
}

struct Comparison {
    what: &'static str,
    source: f64,
    store: f64,
}

pub(super) fn table(
    out: &mut Out,
    source: &Path,
    store: &Path,
    folder: &Path,
    frames: &[MdFrame],
) -> Result<()> {
    let kind = formats::detect(source)?;
    let (append, once) = append(source, folder, frames)?;
    let rows = [append, random(source, store, frames.len() as u64)?, sequential(source, store)?];
    let sizes = [source, store].map(|p| fs::metadata(p).map(|m| m.len()));
    let [Ok(source_size), Ok(store_size)] = sizes else {
        return Err(Error::invalid("files", "one of them was deleted"));
    };
    out.line(format!("{:<24}{:>14}{:>14}{:>14}", "", kind.name(), "vlstore", "vlstore is"))?;
    for (what, size) in [("size", once), ("size, committed often", store_size)] {
        out.line(format!(
            "{what:<24}{:>14}{:>14}{:>14}",
            human(source_size),
            human(size),
            factor(ratio(source_size, size), "smaller", "larger")
        ))?;
    }
    for row in &rows {
        out.line(format!(
            "{:<24}{:>14}{:>14}{:>14}",
            row.what,
            per_second(row.source),
            per_second(row.store),
            factor(row.store / row.source.max(1e-9), "faster", "slower")
        ))?;
    }
    out.line(format!(
        "\nMeasured in this run; speeds are frames a second. `Committed often` is the store that was \
         killed, with a\ncommit every 20 frames. A frame of {} is found by passing over those \
         before it, one of the store by its key.",
        kind.name()
    ))?;
    if cfg!(debug_assertions) {
        out.line(
            "This program was built without full optimisation: its speeds are not representative.",
        )?;
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
fn ratio(a: u64, b: u64) -> f64 {
    a as f64 / b.max(1) as f64
}

fn factor(value: f64, more: &str, less: &str) -> String {
    if value >= 1.0 { format!("{value:.1}x {more}") } else { format!("{:.1}x {less}", 1.0 / value) }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate for people")]
fn per_second(rate: f64) -> String {
    format!("{}/s", grouped(rate as u64))
}

/// Frames that are in memory, encoded, compressed and written; the store commits as it does by
/// default and is closed. Returns the size of that store, too.
fn append(source: &Path, folder: &Path, frames: &[MdFrame]) -> Result<(Comparison, u64)> {
    let kind = formats::detect(source)?;
    // Two names: a store does not replace a trajectory, nor the other way round.
    let file = folder.join(".demo-append").with_extension(kind.name());
    let scratch = folder.join(".demo-append.vls");
    let to_source = rate(|| {
        let mut writer =
            formats::create(&file, kind, &OutputOptions::default(), Existing::Replace)?;
        frames.iter().try_for_each(|f| writer.write(f))?;
        writer.finish()?;
        Ok(frames.len() as u64)
    })?;
    let to_store = rate(|| {
        let mut writer = TrajectoryWriter::replace(&scratch, &StoreOptions::default())?;
        writer.keep_positions(Positions::Quantised)?;
        for (number, frame) in (0_u64..).zip(frames) {
            writer.insert(number, frame)?;
        }
        writer.close()?;
        Ok(frames.len() as u64)
    })?;
    let size = Store::open(&scratch)?.info()?.file_bytes;
    // What is left is a file in the folder of the demonstration.
    let _ = fs::remove_file(&scratch);
    let _ = fs::remove_file(&file);
    Ok((Comparison { what: "append", source: to_source, store: to_store }, size))
}

/// One frame at a time, anywhere. A trajectory file has no index: its reader passes over the
/// frames before the wanted one.
fn random(source: &Path, store: &Path, len: u64) -> Result<Comparison> {
    let order = shuffled(len);
    let mut wanted = order.iter().copied().cycle();
    let from_source = rate(|| {
        let mut frame = MdFrame::default();
        for _ in 0..8 {
            let mut reader = formats::open(source)?;
            reader.skip(wanted.next().unwrap_or(0))?;
            reader.next_frame(&mut frame)?;
            black_box(&frame);
        }
        Ok(8)
    })?;
    // No cache of decoded blocks: every frame is fetched and decoded anew.
    let options = StoreOptions {
        write: WriteOptions { cache_bytes: 0, ..WriteOptions::default() },
        ..StoreOptions::default()
    };
    let snapshot = Store::open_with(store, &options.write.reading())?.snapshot();
    let depot = Trajectory::new(snapshot)?;
    let from_store = rate(|| {
        for ordinal in &order {
            black_box(depot.get(*ordinal)?.view()?.positions());
        }
        Ok(len)
    })?;
    Ok(Comparison { what: "random frame", source: from_source, store: from_store })
}

fn sequential(source: &Path, store: &Path) -> Result<Comparison> {
    let from_source = rate(|| {
        let mut reader = formats::open(source)?;
        let mut frame = MdFrame::default();
        let mut n = 0;
        while reader.next_frame(&mut frame)? {
            black_box(&frame);
            n += 1;
        }
        Ok(n)
    })?;
    let depot = Trajectory::open(store)?;
    let from_store = rate(|| {
        for item in &depot {
            black_box(item?.view()?.positions());
        }
        Ok(depot.len())
    })?;
    Ok(Comparison { what: "sequential scan", source: from_source, store: from_store })
}
