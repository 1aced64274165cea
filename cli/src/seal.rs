//! `vlstore seal`: for other programs.

use crate::open::{AcceptOlder, tell_accepted};
use crate::outcome::{Exit, Outcome};
use crate::output::complain;
use std::path::PathBuf;
use vlstore::trajectory::FrameForm;
use vlstore::{OriginalTable, Readable, Store, StoreOptions, WriteOptions, Writer};

const EXAMPLES: &str = "\
Examples:
  $ vlstore seal frames.vls
  $ vlstore copy --frames table frames.vls others.vls && vlstore seal --original others.vls

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
    /// Also write the table by which the original program finds records, about 20 bytes a record.
    /// Later seals keep it. Frames must have been kept with `--frames table`
    #[arg(long)]
    original: bool,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let accept_older = args.older.accept_older;
    let original_table = if args.original { OriginalTable::Always } else { OriginalTable::Auto };
    let options = StoreOptions {
        write: WriteOptions { accept_older, original_table, ..WriteOptions::default() },
        ..StoreOptions::default()
    };
    let mut writer = Writer::open(&args.store, &options.write)?;
    if args.original {
        FrameForm::check_original(&writer.layout().record_codec).map_err(|e| e.at(&args.store))?;
    }
    tell_accepted(&args.store, writer.opened());
    crate::output::warn_without_lock(&args.store, writer.is_locked());
    writer.seal().map_err(|e| e.at(&args.store))?;
    writer.close().map_err(|e| e.at(&args.store))?;
    if args.original && !Store::open(&args.store)?.info()?.original_table {
        complain(
            "note: the original program cannot read this store: a record has no key, or the table \
             would be too long; other programs see all of it",
        );
    }
    Ok(Exit::Done)
}
