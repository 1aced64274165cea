//! `vlstore split`: one store into several.

use crate::layout::LayoutArgs;
use crate::open::AcceptOlder;
use crate::outcome::Outcome;
use crate::parts::Parts;
use crate::{keys, sizes};
use std::path::{Path, PathBuf};
use vlstore::maintain::{SplitBy, split};
use vlstore::{Error, Key};

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
    let by = match (args.records, args.bytes) {
        (Some(n), _) => SplitBy::Records(n),
        (_, Some(n)) => SplitBy::Bytes(n),
        _ => SplitBy::Keys(args.at.clone()),
    };
    let parts = Parts {
        store: &args.store,
        layout: &args.layout,
        older: &args.older,
        overwrite: args.overwrite,
        json: args.json,
        field: "path",
    };
    parts.run(|options, step| split(&args.store, &args.new, &by, options, step), Path::to_path_buf)
}
