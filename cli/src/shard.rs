//! `vlstore shard`: a store or a data set into a new data set.

use crate::layout::LayoutArgs;
use crate::open::{AcceptOlder, tell_accepted};
use crate::outcome::{Exit, Outcome};
use crate::output::{Out, human, plural, shown};
use crate::work::Work;
use crate::{choices, sizes};
use serde_json::json;
use std::path::PathBuf;
use vlstore::dataset::Source;
use vlstore::maintain::{Balance, SplitBy, SplitOptions, shard};
use vlstore::{Error, codec};

const EXAMPLES: &str = "\
Examples:
  $ vlstore shard --parts 4 frames.vls sharded
  $ vlstore shard --parts 4 --balance weight frames.vls sharded
  $ vlstore shard --bytes 1MiB frames.vls sharded
  $ vlstore shard --records 500 frames.vls one && vlstore shard --parts 2 one other

The folder has the members part-00000.vls, part-00001.vls and so on, with the records in the same
order, and a manifest. It appears when all is complete. Verbs that read take it where they take a
store.";

/// Write the records of a store or data set to a new data set, in members of about equal size
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[group(id = "by", required = true, multiple = false, args = ["records", "bytes", "parts"])]
pub(crate) struct Args {
    /// The store, or the folder of a data set
    store: PathBuf,
    /// The folder to create
    new: PathBuf,
    /// Records of a member
    #[arg(long, value_name = "N")]
    records: Option<u64>,
    /// Maximum bytes of records of a member, decoded
    #[arg(long, value_name = "SIZE", value_parser = sizes::bytes)]
    bytes: Option<u64>,
    /// Number of members
    #[arg(long, value_name = "N")]
    parts: Option<u64>,
    /// What the members of --parts have about equally much of: records, bytes, or weight (atoms of
    /// frames) [default: records]
    #[arg(long, value_name = "WHAT", value_parser = choices::balance(), requires = "parts")]
    balance: Option<Balance>,
    #[command(flatten)]
    layout: LayoutArgs,
    #[command(flatten)]
    older: AcceptOlder,
    /// One JSON object on each line
    #[arg(long)]
    json: bool,
}

pub(crate) fn hint(error: &Error) -> Option<&'static str> {
    matches!(error, Error::Exists { .. }).then_some("name another folder, or delete that one first")
}

pub(crate) fn run(args: &Args) -> Outcome {
    let source = Source::open(&args.store)?;
    if args.older.accept_older {
        tell_accepted(&args.store, source.opened());
    }
    let by = match (args.records, args.bytes) {
        (Some(n), _) => SplitBy::Records(n),
        (_, Some(n)) => SplitBy::Bytes(n),
        _ => SplitBy::Parts {
            count: args.parts.unwrap_or(1),
            balance: args.balance.unwrap_or_default(),
        },
    };
    let options = SplitOptions {
        layout: Some(args.layout.of(source.layout())),
        write: args.layout.write(),
        overwrite: false,
        accept_older: args.older.accept_older,
        refers: Some(codec::refers),
    };
    let mut work = Work::begin("bytes", args.json)?;
    let done = shard(&args.store, &args.new, &by, &options, |at, of| work.step(at, of));
    if let Some(signal) = work.end() {
        return Ok(Exit::Signal(signal));
    }
    let mut out = Out::new();
    for (name, part) in done? {
        if args.json {
            out.line(json!({
                "member": name, "records": part.records,
                "record_bytes": part.record_bytes, "bytes": part.file_bytes,
            }))?;
        } else {
            let (path, records) = (args.new.join(name), plural(part.records, "record"));
            out.line(format!("{}: {records}, {}", shown(&path), human(part.file_bytes)))?;
        }
    }
    out.end()?;
    Ok(Exit::Done)
}
