//! `vlstore recover`: everything that is left of a damaged store.

use crate::choices;
use crate::outcome::{Exit, Outcome};
use crate::output::{Out, human, plural, shown};
use crate::verify::damage_json;
use crate::work::Work;
use serde_json::json;
use std::path::PathBuf;
use vlstore::maintain::{Damage, RecoverOptions, Recovered, recover};
use vlstore::{Error, Result, StoreOptions, codec};

const EXAMPLES: &str = "\
Examples:
  $ vlstore recover frames.vls saved.vls
  $ vlstore recover --json frames.vls saved.vls

From a truncated file, for example after an interrupted copy, every record is recovered whose bytes are
still there. Every loss is listed with its record and its place in the file; records with the same loss
share a line, --json lists each. Ends with status 3 if the file is damaged or its newest state is
lost, even if no record is known to be lost. The damaged file is only read.";

/// Write a new store with everything that is left of a damaged one, and list what is lost
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The damaged store
    store: PathBuf,
    /// The store to create
    new: PathBuf,
    /// Replace an existing file
    #[arg(long)]
    overwrite: bool,
    /// Also write the bytes of chunks whose records are unknown: each chunk as one record, chunk-N
    /// or chunk-at-OFFSET
    #[arg(long)]
    chunks: bool,
    /// Codec of the records, such as md-frame, if the damaged file does not name it any more
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
        store.layout.record_codec = (name.into(), codec::by_name(name)?.version());
    }
    let options = RecoverOptions {
        overwrite: args.overwrite,
        chunks: args.chunks,
        contents: Some(codec::content),
        store,
    };
    let mut work = Work::begin("steps", args.json)?;
    let done = recover(&args.store, &args.new, &options, |at, of| work.step(at, of));
    let done = work.end(done)?;
    let mut out = Out::new();
    if args.json {
        out.line(as_json(&done))?;
    } else {
        people(&mut out, args, &done)?;
    }
    out.end()?;
    Ok(if done.is_damaged() { Exit::Damage } else { Exit::Done })
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
    let losses: Vec<_> = done.losses.iter().map(damage_json).collect();
    json!({
        "records": done.records, "shared": done.shared, "bytes": done.bytes, "lost": done.lost, "found": found,
        "losses": losses, "chunks_without_index": done.chunks_without_index,
        "without_key": done.without_key, "damaged": done.is_damaged(), "notes": done.notes,
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
    for alike in done.losses.chunk_by(alike) {
        out.line(lost(alike))?;
    }
    if done.without_key > 0 {
        out.line(format!(
            "without a key: {}, whose keys are lost; found by ordinal",
            plural(done.without_key, "record")
        ))?;
    }
    if done.chunks_without_index > 0 {
        let written = if args.chunks {
            "each is written as one record"
        } else {
            "--chunks writes the bytes of each as one record"
        };
        out.line(format!(
            "{} with data but without information where records begin; {written}",
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

/// Whether two losses that follow each other are of records one behind the other, for one reason.
fn alike(a: &Damage, b: &Damage) -> bool {
    let follows = a.ordinal.zip(b.ordinal).is_some_and(|(a, b)| b == a + 1);
    let named = a.record.is_some() && b.record.is_some();
    follows && named && (&a.part, &a.why) == (&b.part, &b.why)
}

/// A line on losses that are alike.
fn lost(losses: &[Damage]) -> String {
    match losses {
        [first, .., last] => {
            let name = |d: &Damage| d.record.as_deref().unwrap_or_default().to_owned();
            let at = first.offset.map_or_else(String::new, |at| format!(" from byte {at} on"));
            let (from, to) = (first.ordinal.unwrap_or(0), last.ordinal.unwrap_or(0));
            format!(
                "lost: {}, {} to {} (ordinals {from} to {to}): {}{at}: {}",
                plural(losses.len() as u64, "record"),
                name(first),
                name(last),
                first.part,
                first.why
            )
        }
        _ => losses.iter().map(|loss| format!("lost: {loss}")).collect(),
    }
}
