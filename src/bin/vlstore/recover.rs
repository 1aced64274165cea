//! `vlstore recover`: all that is left of a damaged store.

use crate::output::{Out, human, plural, shown};
use crate::work::Work;
use crate::{Exit, Outcome, choices};
use serde_json::json;
use std::path::PathBuf;
use vlstore::{Error, RecoverOptions, Recovered, Result, StoreOptions, codec, recover};

const EXAMPLES: &str = "\
Examples:
  $ vlstore recover frames.vls saved.vls
  $ vlstore recover --json frames.vls saved.vls

Every loss is named with its record and its place in the file. Ends with status 3 if there is
one. The damaged file is only read.";

/// Write a new store with all that is left of a damaged one, and say what is not
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The damaged store
    store: PathBuf,
    /// The store to make
    new: PathBuf,
    /// Replace a file that is there
    #[arg(long)]
    overwrite: bool,
    /// Also write chunks to which no record leads, each as a record chunk-N
    #[arg(long)]
    chunks: bool,
    /// Codec of the records, as md-frame, if the damaged file no longer says it
    #[arg(long, value_parser = choices::codec())]
    codec: Option<&'static str>,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn hint(error: &Error) -> Option<&'static str> {
    matches!(error, Error::Exists { .. }).then_some("--overwrite replaces it")
}

pub(crate) fn run(args: &Args) -> Outcome {
    let mut store = StoreOptions::default();
    if let Some(name) = args.codec {
        store.record_codec = (name.into(), codec::by_name(name)?.version());
    }
    let options = RecoverOptions {
        overwrite: args.overwrite,
        chunks: args.chunks,
        contents: Some(codec::content),
        store,
    };
    let mut work = Work::begin("steps", args.json)?;
    let done = recover(&args.store, &args.new, &options, |at, of| work.step(at, of));
    if let Some(signal) = work.end() {
        return Ok(Exit::Signal(signal));
    }
    let done = done?;
    let mut out = Out::new();
    if args.json {
        out.line(as_json(&done))?;
    } else {
        people(&mut out, args, &done)?;
    }
    out.end()?;
    Ok(if done.losses.is_empty() { Exit::Done } else { Exit::Damage })
}

fn as_json(done: &Recovered) -> serde_json::Value {
    let found: Vec<_> = done
        .found
        .iter()
        .map(|f| {
            json!({
                "means": f.means.to_string(), "records": f.records, "bytes": f.bytes,
                "unchecked": f.unchecked,
            })
        })
        .collect();
    let losses: Vec<_> = done
        .losses
        .iter()
        .map(|d| {
            json!({
                "record": d.record, "ordinal": d.ordinal, "part": d.part,
                "offset": d.offset, "why": d.why,
            })
        })
        .collect();
    json!({
        "records": done.records, "shared": done.shared, "bytes": done.bytes, "lost": done.lost, "found": found,
        "losses": losses, "chunks_without_index": done.chunks_without_index, "notes": done.notes,
    })
}

fn people(out: &mut Out, args: &Args, done: &Recovered) -> Result<()> {
    for f in &done.found {
        let unchecked = match f.unchecked {
            0 => String::new(),
            n => format!(", {n} of them without a checksum"),
        };
        out.line(format!("by {}: {}{unchecked}", f.means, plural(f.records, "record")))?;
    }
    for note in &done.notes {
        out.line(format!("note: {note}"))?;
    }
    for loss in &done.losses {
        out.line(format!("lost: {loss}"))?;
    }
    if done.chunks_without_index > 0 {
        let written = if args.chunks { "written as chunk-N" } else { "--chunks writes them" };
        out.line(format!(
            "{} to which no record leads; {written}",
            plural(done.chunks_without_index, "chunk")
        ))?;
    }
    out.line(format!(
        "{}: {}, {}; {} lost",
        shown(&args.new),
        plural(done.records, "record"),
        human(done.bytes),
        plural(done.lost, "record")
    ))
}
