//! `vlstore rm`: deletes records.

use crate::keys;
use crate::open::{AcceptOlder, tell_accepted};
use crate::outcome::{Exit, Outcome};
use std::path::PathBuf;
use vlstore::Readable;
use vlstore::{Error, Key, Result, StoreOptions, WriteOptions, Writer};

const EXAMPLES: &str = "\
Examples:
  $ vlstore rm frames.vls 7
  $ vlstore rm frames.vls 8 9 10

The bytes stay in the file as dead space until `vlstore compact`; `vlstore info` counts them.";

/// Delete records; all of them, or none if one is missing
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The store
    store: PathBuf,
    /// Keys of the records; see `vlstore --help`
    #[arg(required = true, value_parser = keys::parse, allow_negative_numbers = true)]
    keys: Vec<Key>,
    #[command(flatten)]
    older: AcceptOlder,
}

pub(crate) fn run(args: &Args) -> Outcome {
    // No commit by itself half-way.
    let options = StoreOptions {
        write: WriteOptions {
            commit_bytes: u64::MAX,
            commit_interval: std::time::Duration::MAX,
            accept_older: args.older.accept_older,
            ..WriteOptions::default()
        },
        ..StoreOptions::default()
    };
    let remove = || -> Result<()> {
        let mut writer = Writer::open(&args.store, &options.write)?;
        tell_accepted(&args.store, writer.opened());
        crate::output::warn_without_lock(&args.store, writer.is_locked());
        for key in &args.keys {
            if !writer.contains(key)? {
                return Err(Error::NotFound { key: key.to_string().into() });
            }
        }
        for key in &args.keys {
            writer.delete(key)?;
        }
        writer.close().map(drop)
    };
    remove().map_err(|e| e.at(&args.store))?;
    crate::open::tell_unsealed(&args.store);
    Ok(Exit::Done)
}
