//! `vlstore push`: a store to an object store.

use crate::outcome::{Exit, Outcome};
use crate::output::{Out, human, shown};
use crate::work::Work;
use serde_json::json;
use std::path::PathBuf;
use vlstore::dataset::push;
use vlstore::remote::{PushOptions, RemoteOptions};

const EXAMPLES: &str = "\
Examples:
  $ vlstore push frames.vls s3://bucket/run-1/frames.vls
  $ vlstore push --overwrite frames.vls s3://bucket/frames.vls

Addresses: s3://bucket/key, gs://bucket/key, az://container/key, https://host/path. Credentials come from
the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL;
GOOGLE_APPLICATION_CREDENTIALS; AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY.

If the object is the same state of the store already, nothing is sent. An older state is replaced when
all parts have arrived; another store only with --overwrite. Of a newer state S3 is sent what differs; other
services get all of it. Of a data set the members go first, then the manifest, in one step.";

/// Upload a store to an object store
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The store, or the folder of a data set
    store: PathBuf,
    /// Where it goes: s3://bucket/key
    #[arg(value_name = "URL")]
    url: String,
    /// Replace an object that is no older state of this store
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
    let options = PushOptions { overwrite: args.overwrite, remote: RemoteOptions::from_env()? };
    let mut work = Work::begin("bytes", args.quiet || args.json)?;
    let done = push(&args.store, &args.url, &options, |done, total| work.step(done, total));
    if let Some(signal) = work.end()
        && done.is_err()
    {
        return Ok(Exit::Signal(signal));
    }
    let done = done?;
    let mut out = Out::new();
    if args.json {
        out.line(json!({ "bytes": done.bytes, "sent": done.sent, "unchanged": done.unchanged }))?;
    } else if !args.quiet {
        let what = if done.unchanged {
            "is up to date; nothing was sent".to_owned()
        } else {
            format!("{} sent", human(done.sent))
        };
        out.line(format!("{}: {what}", shown(args.url.as_ref())))?;
    }
    out.end()?;
    Ok(Exit::Done)
}
