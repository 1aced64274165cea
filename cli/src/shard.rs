//! `vlstore shard`: a store or a data set into a new data set.

use crate::layout::LayoutArgs;
use crate::open::AcceptOlder;
use crate::outcome::Outcome;
use crate::parts::Parts;
use crate::{choices, sizes};
use std::path::PathBuf;
use vlstore::Error;
use vlstore::maintain::{Balance, SplitBy, shard};

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
    let by = match (args.records, args.bytes) {
        (Some(n), _) => SplitBy::Records(n),
        (_, Some(n)) => SplitBy::Bytes(n),
        _ => SplitBy::Parts {
            count: args.parts.unwrap_or(1),
            balance: args.balance.unwrap_or_default(),
        },
    };
    let parts = Parts {
        store: &args.store,
        layout: &args.layout,
        older: &args.older,
        overwrite: false,
        json: args.json,
        field: "member",
    };
    parts.run(
        |options, step| shard(&args.store, &args.new, &by, options, step),
        |name| args.new.join(name),
    )
}
