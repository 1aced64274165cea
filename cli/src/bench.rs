//! `vlstore bench`: the user's own file on the user's own machine.

use crate::interrupt::Interrupt;
use crate::open::open_with;
use crate::outcome::{Exit, Outcome};
use crate::output::{Out, grouped, human, plural, shown};
use serde_json::{Value, json};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use vlstore::Digest;
use vlstore::Readable;
use vlstore::formats;
use vlstore::trajectory::{ImportOptions, Importer};
use vlstore::{Error, Result, Snapshot, Store, StoreOptions, WriteOptions};

const EXAMPLES: &str = "\
Examples:
  $ vlstore bench --seconds 0.1 frames.vls
  $ vlstore bench --seconds 0.1 --json run.xtc

A trajectory is first imported into a temporary store, as `vlstore import` does; this is measured as
`import` and includes reading the file. Every record is compared, by a checksum, with what the first pass
read; this is not part of the times. Files that were read before are in the page cache of the system.";

/// Measure a store, or a trajectory in one: in order, at random, in shuffled batches
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A store, or a trajectory
    file: PathBuf,
    /// Seconds for each figure
    #[arg(long, default_value_t = 1.0, value_parser = seconds)]
    seconds: f64,
    /// Records of a batch
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch: u32,
    /// Threads for scans and batches [default: as many as cores]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    threads: usize,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    let n: f64 = text.parse().map_err(|_| format!("{text:?} is not a number"))?;
    if (0.01..=3600.0).contains(&n) { Ok(n) } else { Err("0.01 to 3600 seconds".into()) }
}

/// One row of the table.
struct Figure {
    what: String,
    records: u64,
    bytes: u64,
    time: Duration,
}

#[expect(clippy::cast_precision_loss, reason = "rates for people")]
impl Figure {
    fn per_second(&self, n: u64) -> f64 {
        n as f64 / self.time.as_secs_f64().max(1e-9)
    }
}

/// What a figure is taken from.
struct Bench<'a> {
    args: &'a Args,
    store: Snapshot,
    /// Checksum of each record, from the first pass.
    sums: Vec<Digest>,
    interrupt: Interrupt,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let interrupt = Interrupt::watch()?;
    let (temporary, made);
    let mut figures = Vec::new();
    let is_store = match Store::open(&args.file) {
        Ok(_) => true,
        Err(error) => match (error.root(), formats::detect(&args.file)) {
            (Error::NotAStore { .. }, Ok(_)) => false,
            _ => return Err(error),
        },
    };
    let path: &Path = if is_store {
        &args.file
    } else {
        temporary = tempfile::tempdir().map_err(|e| Error::io("make a temporary folder", e))?;
        made = temporary.path().join("bench.vls");
        figures.push(import(&args.file, &made, &interrupt)?);
        &made
    };
    let options = StoreOptions {
        write: WriteOptions { cache_bytes: 0, threads: args.threads, ..WriteOptions::default() },
        ..StoreOptions::default()
    };
    let store = open_with(path, &options)?.snapshot();
    if store.is_empty() {
        return Err(Error::invalid("store", "it has no record to read").at(path));
    }
    let measure = || -> Result<()> {
        let sums = store.scan(0..store.len()).map(|r| r.map(|r| Digest::of(&r)));
        let sums = sums.collect::<Result<Vec<_>>>()?;
        let bench = Bench { args, store: store.clone(), sums, interrupt };
        figures.push(bench.sequential()?);
        figures.push(bench.random()?);
        figures.push(bench.batched()?);
        Ok(())
    };
    measure().map_err(|e| e.at(path))?;
    show(args, &store, &figures)?;
    Ok(Exit::Done)
}

/// Imports the trajectory as `vlstore import` does.
fn import(source: &Path, path: &Path, interrupt: &Interrupt) -> Result<Figure> {
    let start = Instant::now();
    let mut importer = Importer::open(vec![source.into()], path, &ImportOptions::default())?;
    importer.run(|_| interrupt.check())?;
    let time = start.elapsed();
    let bytes = Store::open(path)?.info()?.raw_bytes;
    Ok(Figure { what: "import".into(), records: importer.imported().frames, bytes, time })
}

impl Bench<'_> {
    /// Repeats `pass` until the time is over. `pass` returns its records, bytes and time.
    fn repeat(
        &self,
        what: String,
        mut pass: impl FnMut() -> Result<(u64, u64, Duration)>,
    ) -> Result<Figure> {
        let mut figure = Figure { what, records: 0, bytes: 0, time: Duration::ZERO };
        while figure.time.as_secs_f64() < self.args.seconds {
            self.interrupt.check()?;
            let (records, bytes, time) = pass()?;
            figure.records += records;
            figure.bytes += bytes;
            figure.time += time.max(Duration::from_nanos(1));
        }
        Ok(figure)
    }

    /// Compares what was read with what the first pass read.
    fn check(&self, ordinal: u64, bytes: &[u8]) -> Result<()> {
        let right = usize::try_from(ordinal).ok().and_then(|i| self.sums.get(i));
        if right == Some(&Digest::of(bytes)) {
            return Ok(());
        }
        let why = format!("the record at ordinal {ordinal} has other bytes than in the first pass");
        Err(Error::invalid("result", why))
    }

    fn sequential(&self) -> Result<Figure> {
        let all = 0..self.store.len();
        for (ordinal, record) in all.clone().zip(self.store.scan(all.clone())) {
            self.check(ordinal, &record?)?;
        }
        self.repeat("in order".into(), || {
            let start = Instant::now();
            let (mut records, mut bytes) = (0, 0);
            for record in self.store.scan(all.clone()) {
                bytes += black_box(record?).len() as u64;
                records += 1;
            }
            Ok((records, bytes, start.elapsed()))
        })
    }

    fn random(&self) -> Result<Figure> {
        let order = crate::demo::shuffled(self.store.len());
        let mut parts = order.chunks(1000).cycle();
        self.repeat("at random".into(), || {
            let part = parts.next().unwrap_or_default();
            let (mut bytes, mut time) = (0, Duration::ZERO);
            for ordinal in part {
                let start = Instant::now();
                let record = self.store.get_at(*ordinal)?;
                time += start.elapsed();
                self.check(*ordinal, &record)?;
                bytes += record.len() as u64;
            }
            Ok((part.len() as u64, bytes, time))
        })
    }

    fn batched(&self) -> Result<Figure> {
        let order = crate::demo::shuffled(self.store.len());
        let size = usize::try_from(self.args.batch).unwrap_or(256);
        let mut parts = order.chunks(size).cycle();
        self.repeat(format!("batches of {size}"), || {
            let part = parts.next().unwrap_or_default();
            let start = Instant::now();
            let batch = self.store.get_batch_at(part)?;
            let time = start.elapsed();
            let mut bytes = 0;
            for (ordinal, record) in part.iter().zip(batch.iter()) {
                self.check(*ordinal, record)?;
                bytes += record.len() as u64;
            }
            Ok((part.len() as u64, bytes, time))
        })
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates for people")]
fn show(args: &Args, store: &Snapshot, figures: &[Figure]) -> Result<()> {
    let info = store.info()?;
    let mut out = Out::new();
    if args.json {
        let rows: Vec<Value> = figures
            .iter()
            .map(|f| {
                json!({
                    "what": f.what, "records": f.records, "bytes": f.bytes,
                    "seconds": f.time.as_secs_f64(),
                    "records_per_second": f.per_second(f.records),
                    "mb_per_second": f.per_second(f.bytes) / 1e6,
                })
            })
            .collect();
        out.line(json!({
            "file": args.file.display().to_string(), "records": info.records, "bytes": info.file_bytes,
            "raw_bytes": info.raw_bytes, "figures": rows,
        }))?;
        return out.end();
    }
    out.line(format!(
        "{}: {}, {} in a file of {}\n",
        shown(&args.file),
        plural(info.records, "record"),
        human(info.raw_bytes),
        human(info.file_bytes)
    ))?;
    out.line(format!("{:<16}{:>14}{:>12}", "", "records/s", "MB/s"))?;
    for f in figures {
        out.line(format!(
            "{:<16}{:>14}{:>12.1}",
            f.what,
            grouped(f.per_second(f.records) as u64),
            f.per_second(f.bytes) / 1e6
        ))?;
    }
    out.line("\nEvery record that was read equals what the first pass read.")?;
    if cfg!(debug_assertions) {
        out.line(
            "This program was built without full optimisation: its speeds are not representative.",
        )?;
    }
    out.end()
}
