//! `vlstore push`: a store to an object store.

use crate::outcome::Outcome;
use crate::output::human;
use crate::transfer::Told;
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
    #[command(flatten)]
    told: Told,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let options = PushOptions { overwrite: args.overwrite, remote: RemoteOptions::from_env()? };
    args.told.run(
        args.url.as_ref(),
        |step| push(&args.store, &args.url, &options, step),
        |done| json!({ "bytes": done.bytes, "sent": done.sent, "unchanged": done.unchanged }),
        |done| {
            if done.unchanged {
                "is up to date; nothing was sent".to_owned()
            } else {
                format!("{} sent", human(done.sent))
            }
        },
    )
}
