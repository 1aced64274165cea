//! `vlstore stat`: how a store is made up, with a picture.

use crate::open::{AcceptOlder, open, tell_accepted};
use crate::outcome::{Exit, Outcome};
use crate::output::{Out, grouped, human, plural};
use crate::work::Work;
use serde_json::json;
use std::path::PathBuf;
use vlstore::Readable;
use vlstore::trajectory::Statistics;
use vlstore::{Info, Result, Stat, StoreOptions, Trajectory, TrajectoryWriter, WriteOptions};

const EXAMPLES: &str = "\
Examples:
  $ vlstore stat frames.vls
  $ vlstore stat --json frames.vls
  $ vlstore stat --training --keep frames.vls
  $ vlstore stat --training --json frames.vls";

/// Show sizes of records, ratios, blocks and compression of chunks
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The store
    store: PathBuf,
    /// Statistics of frames instead: energies per site, forces, counts by type; read from the store
    /// if they are up to date, else computed
    #[arg(long)]
    training: bool,
    /// Keep them in the attributes of the store, for later readers
    #[arg(long, requires = "training")]
    keep: bool,
    #[command(flatten)]
    older: AcceptOlder,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

/// Longest bar of the picture, in characters.
const WIDTH: u64 = 40;

pub(crate) fn run(args: &Args) -> Outcome {
    if args.training {
        return training(args);
    }
    let store = open(&args.store)?;
    let mut work = Work::begin("chunks", args.json)?;
    let stat = store.stat(|at, of| work.step(at, of));
    let stat = work.end(stat).map_err(|e| e.at(&args.store))?;
    let info = store.info().map_err(|e| e.at(&args.store))?;
    let mut out = Out::new();
    if args.json {
        out.line(as_json(&stat, &info))?;
    } else {
        picture(&mut out, &stat)?;
        dead(&mut out, &info)?;
    }
    out.end()?;
    Ok(Exit::Done)
}

fn training(args: &Args) -> Outcome {
    let mut work = Work::begin("frames", args.json)?;
    let found = if args.keep {
        let accept_older = args.older.accept_older;
        let options = StoreOptions {
            write: WriteOptions { accept_older, ..WriteOptions::default() },
            ..StoreOptions::default()
        };
        TrajectoryWriter::open(&args.store, &options.write).and_then(|mut writer| {
            tell_accepted(&args.store, writer.writer().opened());
            let found = writer.keep_statistics(|at, of| work.step(at, of))?;
            writer.close()?;
            Ok(found)
        })
    } else {
        open(&args.store).and_then(|store| {
            let depot = Trajectory::new(store.snapshot())?;
            depot.statistics(|at, of| work.step(at, of))
        })
    };
    let found = work.end(found).map_err(|e| e.at(&args.store))?;
    let mut out = Out::new();
    if args.json {
        out.line(found.to_json())?;
    } else {
        table(&mut out, &found)?;
    }
    out.end()?;
    Ok(Exit::Done)
}

/// Statistics for people, in the units of the store.
fn table(out: &mut Out, s: &Statistics) -> Result<()> {
    let [fewest, most] = s.sites_range;
    out.line(format!(
        "{}, {}, from {fewest} to {most} each",
        plural(s.frames, "frame"),
        plural(s.sites, "site")
    ))?;
    let number = |n: Option<f64>| n.map_or_else(|| "-".into(), |n| n.to_string());
    for (what, value, of) in [
        ("energy, mean", s.energy_mean, s.energies),
        ("energy per site, mean", s.energy_per_site_mean, s.energies_per_site),
        ("energy per site, deviation", s.energy_per_site_std, s.energies_per_site),
        ("force component, rms", s.force_rms, s.force_components),
        ("force component, largest", s.force_max, s.force_components),
    ] {
        out.line(format!("{what:<28}{:>24}  of {}", number(value), grouped(of)))?;
    }
    for (kind, count) in &s.types {
        out.line(format!("type {kind:<23}{:>24}", grouped(*count)))?;
    }
    Ok(())
}

fn as_json(stat: &Stat, info: &Info) -> serde_json::Value {
    let sizes: Vec<_> = stat
        .sizes
        .iter()
        .map(|s| json!({"from": s.from, "to": s.to, "records": s.records, "bytes": s.bytes}))
        .collect();
    let kinds: Vec<_> = stat
        .kinds
        .iter()
        .map(|k| {
            json!({
                "compression": k.compression, "filter": k.filter, "block_size": k.block_size,
                "chunks": k.chunks, "raw_bytes": k.raw_bytes, "file_bytes": k.file_bytes,
            })
        })
        .collect();
    let ratios: Vec<_> = stat
        .ratios
        .iter()
        .map(|r| json!({"from": r.from, "to": r.to, "chunks": r.chunks}))
        .collect();
    json!({
        "sizes": sizes, "shortest": stat.shortest, "longest": stat.longest,
        "chunks": stat.chunks, "open_bytes": stat.open_bytes, "kinds": kinds, "ratios": ratios, "unreadable": stat.unreadable,
        "dead_records": info.dead_records, "dead_bytes": info.dead_bytes, "garbage": info.garbage,
    })
}

/// What `compact` would give back.
fn dead(out: &mut Out, info: &Info) -> Result<()> {
    if info.dead_records == 0 {
        return Ok(());
    }
    out.line(format!(
        "dead: {}, {}; `vlstore compact` frees them",
        plural(info.dead_records, "record"),
        human(info.dead_bytes)
    ))
}

fn bar(n: u64, most: u64) -> String {
    // What is there at all shows.
    let len = if n == 0 { 0 } else { (n * WIDTH / most.max(1)).max(1) };
    "#".repeat(usize::try_from(len).unwrap_or(0))
}

fn picture(out: &mut Out, stat: &Stat) -> Result<()> {
    let records = stat.sizes.iter().map(|s| s.records).sum();
    out.line(format!(
        "{}, from {} to {}",
        plural(records, "record"),
        human(stat.shortest),
        human(stat.longest)
    ))?;
    let most = stat.sizes.iter().map(|s| s.records).max().unwrap_or(0);
    for s in &stat.sizes {
        let (from, to) = (human(s.from), human(s.to));
        out.line(format!(
            "{from:>9} to {to:<9}{:>12}  {}",
            grouped(s.records),
            bar(s.records, most)
        ))?;
    }
    let open = match stat.open_bytes {
        0 => String::new(),
        n => format!(", and {} in one that is not full", human(n)),
    };
    out.line(format!("{}{open}", plural(stat.chunks, "full chunk")))?;
    for k in &stat.kinds {
        out.line(format!(
            "  {} {}, blocks of {}: {}, {} as {}",
            k.compression,
            k.filter,
            human(k.block_size.into()),
            plural(k.chunks, "chunk"),
            human(k.raw_bytes),
            human(k.file_bytes)
        ))?;
    }
    let most = stat.ratios.iter().map(|r| r.chunks).max().unwrap_or(0);
    for r in &stat.ratios {
        let (from, to) = (format!("{:.2}x", r.from), format!("{:.2}x", r.to));
        out.line(format!(
            "{from:>9} to {to:<9}{:>12}  {}",
            grouped(r.chunks),
            bar(r.chunks, most)
        ))?;
    }
    if stat.unreadable > 0 {
        out.line(format!(
            "{} cannot be read; run `vlstore verify` for details",
            plural(stat.unreadable, "chunk")
        ))?;
    }
    Ok(())
}
