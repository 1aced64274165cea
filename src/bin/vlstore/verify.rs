//! `vlstore verify`: every byte checked.

use crate::interrupt::Interrupt;
use crate::open::open;
use crate::output::{Out, grouped, human, shown};
use crate::progress::Progress;
use crate::{Exit, Outcome};
use serde_json::json;
use std::path::PathBuf;
use vlstore::{Error, Result, codec};

const EXAMPLES: &str = "\
Examples:
  $ vlstore verify frames.vls
  $ vlstore verify --json frames.vls

Ends with status 3 if there is damage; each is named by record and place in the file. Damage that
only other programs would meet is told apart.";

/// Check every checksum and every reference of a store
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The store
    store: PathBuf,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let store = open(&args.store)?;
    let interrupt = Interrupt::watch()?;
    let mut progress = Progress::new(0, "bytes", args.json);
    let mut signal = None;
    let checked = store.verify(|done, total| -> Result<()> {
        progress.of(total);
        progress.at(done, done);
        signal = interrupt.signal();
        if signal.is_some() { Err(Error::Interrupted) } else { Ok(()) }
    });
    let checked = checked.and_then(|mut found| {
        found.damages.extend(store.verify_references(codec::refers, |_, _| {
            signal = interrupt.signal();
            if signal.is_some() { Err(Error::Interrupted) } else { Ok(()) }
        })?);
        Ok(found)
    });
    progress.end();
    if let Some(signal) = signal {
        return Ok(Exit::Signal(signal));
    }
    let found = checked.map_err(|e| e.at(&args.store))?;
    let mut out = Out::new();
    if args.json {
        let damages: Vec<_> = found
            .damages
            .iter()
            .map(|d| {
                json!({
                    "record": d.record, "ordinal": d.ordinal, "part": d.part,
                    "offset": d.offset, "why": d.why,
                })
            })
            .collect();
        out.line(json!({
            "whole": found.is_whole(), "records": found.records, "shared": found.shared,
            "blocks": found.blocks,
            "bytes": found.bytes, "unchecked": found.unchecked, "frame": found.frame,
            "damages": damages,
        }))?;
    } else {
        for damage in &found.damages {
            out.line(damage)?;
        }
        if let Some(frame) = &found.frame {
            // The advice of the message is for other verbs.
            let what = frame.split("; `vlstore").next().unwrap_or_default();
            out.line(format!("for other programs: {what}; the records are not concerned"))?;
        }
        if found.unchecked > 0 {
            out.line(format!(
                "unchecked: {} blocks have no checksum, as in files of the original program",
                grouped(found.unchecked)
            ))?;
        }
        let verdict = match found.damages.len() {
            0 => "whole".into(),
            1 => "1 damage".into(),
            n => format!("{n} damages"),
        };
        out.line(format!(
            "{}: {verdict}; {} records, {} blocks, {} checked",
            shown(&args.store),
            grouped(found.records),
            grouped(found.blocks),
            human(found.bytes)
        ))?;
    }
    out.end()?;
    let whole = found.is_whole() && found.frame.is_none();
    Ok(if whole { Exit::Done } else { Exit::Damage })
}
