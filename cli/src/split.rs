//! `vlstore split`: one store into several.

use crate::layout::LayoutArgs;
use crate::open::{AcceptOlder, tell_accepted};
use crate::outcome::{Exit, Outcome};
use crate::output::{Out, human, plural, shown};
use crate::work::Work;
use crate::{keys, sizes};
use serde_json::json;
use std::path::PathBuf;
use vlstore::dataset::Source;
use vlstore::maintain::{SplitBy, SplitOptions, split};
use vlstore::{Error, Key, codec};

const EXAMPLES: &str = "\
Examples:
  $ vlstore split --records 500 frames.vls part.vls
  $ vlstore split --at 3 --at 4 frames.vls part.vls

The parts are named part-000.vls, part-001.vls and so on. They appear when all are complete.";

/// Write the records of a store to several new ones, in order
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[group(id = "by", required = true, multiple = false, args = ["records", "bytes", "at"])]
pub(crate) struct Args {
    /// The store to split, or the folder of a data set
    store: PathBuf,
    /// Name of the parts, before they are numbered
    new: PathBuf,
    /// Records of a part
    #[arg(long, value_name = "N")]
    records: Option<u64>,
    /// Maximum bytes of records of a part, decoded
    #[arg(long, value_name = "SIZE", value_parser = sizes::bytes)]
    bytes: Option<u64>,
    /// Begin a new part at this key; may be given more than once
    #[arg(long, value_name = "KEY", value_parser = keys::parse, allow_negative_numbers = true)]
    at: Vec<Key>,
    #[command(flatten)]
    layout: LayoutArgs,
    /// Replace existing files
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    older: AcceptOlder,
    /// One JSON object on each line
    #[arg(long)]
    json: bool,
}

pub(crate) fn hint(error: &Error) -> Option<&'static str> {
    matches!(error, Error::Exists { .. }).then_some("--overwrite replaces it")
}

pub(crate) fn run(args: &Args) -> Outcome {
    let source = Source::open(&args.store)?;
    if args.older.accept_older {
        tell_accepted(&args.store, source.opened());
    }
    let by = match (args.records, args.bytes) {
        (Some(n), _) => SplitBy::Records(n),
        (_, Some(n)) => SplitBy::Bytes(n),
        _ => SplitBy::Keys(args.at.clone()),
    };
    let options = SplitOptions {
        layout: Some(args.layout.of(source.layout())),
        write: args.layout.write(),
        overwrite: args.overwrite,
        accept_older: args.older.accept_older,
        refers: Some(codec::refers),
    };
    let mut work = Work::begin("bytes", args.json)?;
    let done = split(&args.store, &args.new, &by, &options, |at, of| work.step(at, of));
    if let Some(signal) = work.end() {
        return Ok(Exit::Signal(signal));
    }
    let mut out = Out::new();
    for (path, part) in done? {
        if args.json {
            out.line(json!({
                "path": path.to_string_lossy(), "records": part.records,
                "record_bytes": part.record_bytes, "bytes": part.file_bytes,
            }))?;
        } else {
            let records = plural(part.records, "record");
            out.line(format!("{}: {records}, {}", shown(&path), human(part.file_bytes)))?;
        }
    }
    out.end()?;
    Ok(Exit::Done)
}
