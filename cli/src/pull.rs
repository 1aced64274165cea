//! `vlstore pull`: a store from an object store.

use crate::outcome::{Exit, Outcome};
use crate::output::{Out, human, shown};
use crate::work::Work;
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
    /// As one JSON object
    #[arg(long)]
    json: bool,
    /// Print no progress
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let options = PullOptions { overwrite: args.overwrite, remote: RemoteOptions::from_env()? };
    let mut work = Work::begin("bytes", args.quiet || args.json)?;
    let done = pull(&args.url, &args.file, &options, |done, total| work.step(done, total));
    if let Some(signal) = work.end()
        && done.is_err()
    {
        return Ok(Exit::Signal(signal));
    }
    let done = done?;
    let mut out = Out::new();
    if args.json {
        let (fetched, kept) = (done.fetched, done.kept);
        let unchanged = done.unchanged;
        out.line(
            json!({ "bytes": done.bytes, "fetched": fetched, "kept": kept, "unchanged": unchanged }),
        )?;
    } else if !args.quiet {
        let what = if done.unchanged {
            "is up to date; nothing was fetched".to_owned()
        } else if done.kept > 0 {
            format!("{} fetched, {} from the older copy", human(done.fetched), human(done.kept))
        } else {
            format!("{} fetched", human(done.fetched))
        };
        out.line(format!("{}: {what}", shown(&args.file)))?;
    }
    out.end()?;
    Ok(Exit::Done)
}
