//! `vlstore put`: one record from a file or standard input.

use crate::open::{AcceptOlder, tell_accepted};
use crate::outcome::{Exit, Outcome};
use crate::{choices, keys};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use vlstore::Readable;
use vlstore::codec::{self, by_name};
use vlstore::limits::RECORD_MAX;
use vlstore::{Error, Key, Layout, Result, StoreOptions, WriteOptions, Writer};

const EXAMPLES: &str = "\
Examples:
  $ printf 'some bytes' | vlstore put notes.vls first
  $ vlstore put notes.vls second notes.txt
  $ vlstore put --overwrite notes.vls second notes.txt
  $ vlstore get frames.vls 7 | vlstore put --codec md-frame seven.vls 7";

/// Put one record under a key, from a file or standard input; creates the store if it does not exist
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The store
    store: PathBuf,
    /// Key of the record; see `vlstore --help`
    #[arg(value_parser = keys::parse, allow_negative_numbers = true)]
    key: Key,
    /// The file whose bytes are the record; default, or -: standard input
    file: Option<PathBuf>,
    /// Replace an existing record
    #[arg(long)]
    overwrite: bool,
    /// Codec of the records of a new store
    #[arg(long, default_value = "raw", value_parser = choices::codec())]
    codec: &'static str,
    #[command(flatten)]
    older: AcceptOlder,
}

pub(crate) fn hint(error: &Error) -> Option<&'static str> {
    matches!(error, Error::Exists { .. }).then_some("--overwrite replaces it")
}

pub(crate) fn run(args: &Args) -> Outcome {
    let bytes = read(args.file.as_deref())?;
    let new = by_name(args.codec)?;
    let there = args.store.try_exists().unwrap_or(true);
    if !there {
        // Before anything is made: what the codec refuses leaves no empty store.
        new.weight(&bytes)?;
    }
    let record_codec = (new.name().into(), new.version());
    let rows = new.rows();
    let options = StoreOptions {
        layout: Layout { record_codec, ..Layout::default() },
        write: WriteOptions {
            rows,
            accept_older: args.older.accept_older,
            check: Some(codec::check),
            ..WriteOptions::default()
        },
    };
    let mut writer = Writer::open_or_create(&args.store, &options)?;
    tell_accepted(&args.store, writer.opened());
    crate::output::warn_without_lock(&args.store, writer.is_locked());
    let put = if args.overwrite {
        writer.put(&args.key, &bytes)
    } else {
        insert(&mut writer, args, &bytes)
    };
    put.map_err(|e| e.at(&args.store))?;
    writer.close().map_err(|e| e.at(&args.store))?;
    crate::open::tell_unsealed(&args.store);
    Ok(Exit::Done)
}

fn insert(writer: &mut Writer, args: &Args, bytes: &[u8]) -> Result<u64> {
    // The hint names the option of this verb, not a function.
    writer.insert(&args.key, bytes).map_err(|e| match e {
        Error::Exists { what, .. } => Error::Exists { what, instead: None },
        other => other,
    })
}

fn read(file: Option<&Path>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let max = RECORD_MAX;
    match file {
        Some(path) if path != Path::new("-") => {
            let failed = |op| move |e| Error::io(op, e).at(path);
            let file = File::open(path).map_err(failed("open"))?;
            file.take(max + 1).read_to_end(&mut bytes).map_err(failed("read"))?;
        }
        _ => {
            let stdin = io::stdin().lock();
            let failed = |e| Error::io("read standard input", e);
            stdin.take(max + 1).read_to_end(&mut bytes).map_err(failed)?;
        }
    }
    let asked = bytes.len() as u64;
    if asked > max {
        return Err(Error::Limit { what: "record", asked, max });
    }
    Ok(bytes)
}
