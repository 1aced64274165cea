//! `vlstore seal`: for other programs.

use crate::open::{AcceptOlder, tell_accepted};
use crate::outcome::{Exit, Outcome};
use std::path::PathBuf;
use vlstore::Readable;
use vlstore::{StoreOptions, Writer};

const EXAMPLES: &str = "\
Examples:
  $ vlstore seal frames.vls

Other programs that read Blosc2 see the records up to the last seal. A closed store is usually
sealed already; `vlstore info` says up to which record.";

/// Bring the Blosc2 frame up to the last commit, so that other programs see all records
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The store
    store: PathBuf,
    #[command(flatten)]
    older: AcceptOlder,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let accept_older = args.older.accept_older;
    let options = StoreOptions { accept_older, ..StoreOptions::default() };
    let mut writer = Writer::open(&args.store, &options)?;
    tell_accepted(&args.store, writer.opened());
    crate::output::warn_without_lock(&args.store, writer.is_locked());
    writer.seal().map_err(|e| e.at(&args.store))?;
    writer.close().map_err(|e| e.at(&args.store))?;
    Ok(Exit::Done)
}
