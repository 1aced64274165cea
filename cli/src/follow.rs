//! `vlstore follow`: a store as it grows.

use crate::interrupt::Interrupt;
use crate::keys;
use crate::open::{open, tell};
use crate::outcome::{Exit, Outcome};
use crate::output::{Out, grouped, human, key_json};
use crate::sizes::{self, Interval};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};
use vlstore::Readable;
use vlstore::{Error, Result, Store};

const EXAMPLES: &str = "\
Examples:
  $ vlstore follow --count 1 frames.vls
  $ vlstore follow --until-closed --json frames.vls

A line for each commit that is seen: records, how many a second, the last key, and the lag: how
long ago the file was written. If another file replaces it, as after compact, the new one is followed.";

/// Watch a store while another process writes to it
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The store
    store: PathBuf,
    /// How often to look, for example 500ms or 2s
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = interval)]
    interval: Duration,
    /// End when the writer has closed the store
    #[arg(long)]
    until_closed: bool,
    /// End after this number of lines
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// One JSON object on each line
    #[arg(long)]
    json: bool,
}

fn interval(text: &str) -> Result<Duration, String> {
    match sizes::interval(text)? {
        Interval::Time(time) => Ok(time),
        _ => Err("expected a time, for example 500ms".into()),
    }
}

pub(crate) fn run(args: &Args) -> Outcome {
    let interrupt = Interrupt::watch()?;
    let mut store = open(&args.store)?;
    let mut out = Out::new();
    let mut before = (store.len(), Instant::now());
    let mut lines = 0;
    let mut newer = true;
    loop {
        if newer {
            before = show(args, &mut out, &store, before)?;
            lines += 1;
        }
        if args.count.is_some_and(|n| lines >= n) || (args.until_closed && store.is_closed()) {
            return Ok(Exit::Done);
        }
        let wake = Instant::now() + args.interval;
        while let Some(left) = wake.checked_duration_since(Instant::now()) {
            interrupt.check()?;
            thread::sleep(left.min(Duration::from_millis(50)));
        }
        newer = match store.refresh() {
            Ok(newer) => {
                if newer {
                    tell(&args.store, store.opened());
                }
                newer
            }
            Err(e) if matches!(e.root(), Error::Replaced) => {
                store = open(&args.store)?;
                true
            }
            Err(e) => return Err(e.at(&args.store)),
        };
    }
}

/// Since when the file has not been written, as its clock says; clocks may disagree.
fn lag(path: &Path) -> Option<Duration> {
    let written = std::fs::metadata(path).and_then(|m| m.modified()).ok()?;
    Some(SystemTime::now().duration_since(written).unwrap_or_default())
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn show(
    args: &Args,
    out: &mut Out,
    store: &Store,
    before: (u64, Instant),
) -> Result<(u64, Instant)> {
    let (records, now) = (store.len(), Instant::now());
    let added = records.saturating_sub(before.0);
    let rate = added as f64 / now.duration_since(before.1).as_secs_f64().max(1e-9);
    let last = match records.checked_sub(1) {
        Some(ordinal) => store.key_at(ordinal).map_err(|e| e.at(&args.store))?,
        None => None,
    };
    let lag = lag(&args.store);
    let info = store.info().map_err(|e| e.at(&args.store))?;
    if args.json {
        out.line(json!({
            "records": records, "added": added, "rate": rate, "last_key": key_json(last.as_ref()),
            "generation": store.generation(), "bytes": info.file_bytes,
            "lag": lag.map(|l| l.as_secs_f64()), "closed": store.is_closed(),
        }))?;
    } else {
        let last = last.map_or_else(|| "-".into(), |k| keys::show(&k));
        let lag = lag.map_or_else(|| "?".into(), |l| format!("{:.1}", l.as_secs_f64()));
        let closed = if store.is_closed() { ", closed" } else { "" };
        out.line(format!(
            "{} records, +{} at {rate:.1}/s, last key {last}, {}, lag {lag} s{closed}",
            grouped(records),
            grouped(added),
            human(info.file_bytes)
        ))?;
    }
    out.flush()?;
    Ok((records, now))
}
