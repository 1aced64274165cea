//! `vlstore pull`: a store from an object store.

use crate::outcome::Outcome;
use crate::output::human;
use crate::transfer::Told;
use serde_json::json;
use std::path::PathBuf;
use vlstore::dataset::pull;
use vlstore::remote::{PullOptions, RemoteOptions};

const EXAMPLES: &str = "\
Examples:
  $ vlstore pull s3://bucket/run-1/frames.vls copy.vls
  $ vlstore pull --overwrite s3://bucket/frames.vls frames.vls

Addresses and credentials are those of `vlstore push`. If there is an older copy of the same store, only what
it lacks is fetched: chunks and parts of the index that have the same checksums are taken from it. The file
appears when all of it is there and every chunk agrees with its checksums.";

/// Fetch a store from an object store; of an older copy only what differs
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The store: s3://bucket/key
    #[arg(value_name = "URL")]
    url: String,
    /// The file, or the folder of a data set
    file: PathBuf,
    /// Replace a file that is no older copy of this store
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    told: Told,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let options = PullOptions { overwrite: args.overwrite, remote: RemoteOptions::from_env()? };
    args.told.run(
        &args.file,
        |step| pull(&args.url, &args.file, &options, step),
        |done| {
            json!({
                "bytes": done.bytes, "fetched": done.fetched, "kept": done.kept, "unchanged": done.unchanged,
            })
        },
        |done| {
            if done.unchanged {
                "is up to date; nothing was fetched".to_owned()
            } else if done.kept > 0 {
                format!("{} fetched, {} from the older copy", human(done.fetched), human(done.kept))
            } else {
                format!("{} fetched", human(done.fetched))
            }
        },
    )
}
