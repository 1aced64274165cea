//! `vlstore compact`: frees the space of deleted records.

use crate::open::{AcceptOlder, tell_accepted};
use crate::outcome::{Exit, Outcome};
use crate::output::{Out, human, plural, shown};
use crate::work::Work;
use serde_json::json;
use std::path::PathBuf;
use vlstore::Readable;
use vlstore::maintain::{CompactOptions, compact};
use vlstore::{Error, Store, codec};

const EXAMPLES: &str = "\
Examples:
  $ vlstore compact frames.vls
  $ vlstore compact --json frames.vls

The new file is written in the same folder, checked, and replaces the old one in one step: there must
be space for both. Readers keep the file that they have open. After Ctrl-C or an error nothing has changed.";

/// Rewrite a store without deleted records and other unused space
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The store
    store: PathBuf,
    #[command(flatten)]
    older: AcceptOlder,
    /// Do not check the new file before it replaces the old one
    #[arg(long)]
    no_verify: bool,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn hint(error: &Error) -> Option<&'static str> {
    match error {
        Error::Corrupt(_) => {
            Some("`vlstore recover` writes a new store with everything that is left")
        }
        _ => None,
    }
}

pub(crate) fn run(args: &Args) -> Outcome {
    let options = CompactOptions {
        verify: !args.no_verify,
        accept_older: args.older.accept_older,
        refers: Some(codec::refers),
        ..CompactOptions::default()
    };
    if args.older.accept_older {
        tell_accepted(&args.store, Store::open(&args.store)?.opened());
    }
    let mut work = Work::begin("bytes", args.json)?;
    let done = compact(&args.store, &options, |at, of| work.step(at, of));
    let done = work.end(done)?;
    let mut out = Out::new();
    if args.json {
        out.line(json!({
            "records": done.records, "record_bytes": done.record_bytes,
            "dead_records": done.dead_records, "dead_bytes": done.dead_bytes,
            "bytes_before": done.bytes_before, "bytes_after": done.bytes_after,
        }))?;
    } else {
        out.line(format!(
            "{}: {}, {} before, {} now; deleted records removed: {}, {}",
            shown(&args.store),
            plural(done.records, "record"),
            human(done.bytes_before),
            human(done.bytes_after),
            plural(done.dead_records, "record"),
            human(done.dead_bytes)
        ))?;
    }
    out.end()?;
    Ok(Exit::Done)
}
