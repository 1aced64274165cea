//! `vlstore get`: one record.

use crate::open::open;
use crate::output::{Out, complain};
use crate::{Exit, Outcome, keys};
use std::io;
use std::path::{Path, PathBuf};
use vlstore::backend::{Access, Aside, Backend};
use vlstore::codec::{AnyCodec, by_name, by_name_and_version};
use vlstore::{Error, Key, Opened, Record, Result, Snapshot};

const EXAMPLES: &str = "\
Examples:
  $ vlstore get --as json frames.vls 7
  $ vlstore get --as json --at -1 frames.vls
  $ vlstore get frames.vls 7 > frame.bin
  $ vlstore get --output frame.bin frames.vls 7
  $ vlstore get --codec md-frame --as json frames.vls 7";

/// Write one record to standard output or a file, as bytes or decoded
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The store
    store: PathBuf,
    /// Key of the record; see `vlstore --help`
    #[arg(value_parser = keys::parse, required_unless_present = "at", allow_negative_numbers = true)]
    key: Option<Key>,
    /// By its place in the order of insertion, counted from 0; -1 is the last
    #[arg(long, value_name = "ORDINAL", conflicts_with = "key", allow_negative_numbers = true)]
    at: Option<i64>,
    /// What to write
    #[arg(long = "as", value_name = "FORM", default_value = "bytes")]
    form: Form,
    /// Codec to decode with, if not the one that the store names: raw, array, flat-f32 or
    /// md-frame
    #[arg(long, value_parser = codec)]
    codec: Option<&'static str>,
    /// Write to this file, which must not exist
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// The bytes of the record as they are
    Bytes,
    /// Decoded, as one line of JSON
    Json,
}

fn codec(name: &str) -> Result<&'static str, String> {
    by_name(name).map(AnyCodec::name).map_err(|e| e.to_string())
}

pub(crate) fn hint(error: &Error) -> Option<&'static str> {
    match error {
        Error::NotFound { .. } => {
            Some("`vlstore ls` lists keys; --at N fetches by place; a text key of digits is str:N")
        }
        Error::Exists { .. } => Some("remove it or name another file"),
        _ => None,
    }
}

pub(crate) fn run(args: &Args) -> Outcome {
    let store = open(&args.store)?;
    let fetch = || -> Result<()> {
        let record = record(args, &store)?;
        match &args.output {
            Some(path) => save(path, &text_or_bytes(args, &store, &record)?),
            None => {
                let mut out = Out::new();
                match args.form {
                    Form::Bytes => out.bytes(&record)?,
                    Form::Json => {
                        show(args, &store, &record, out.stream())?;
                        out.line("")?;
                    }
                }
                out.end()
            }
        }
    };
    fetch().map_err(|e| e.at(&args.store))?;
    Ok(Exit::Done)
}

fn record(args: &Args, store: &Snapshot) -> Result<Record> {
    match (&args.key, args.at) {
        (Some(key), _) => store.get(key),
        (None, Some(at)) => {
            let len = i64::try_from(store.len()).unwrap_or(i64::MAX);
            let ordinal = if at < 0 { at.saturating_add(len) } else { at };
            let ordinal = u64::try_from(ordinal).map_err(|_| Error::NotFound {
                key: format!("at ordinal {at}: the store has {len} records").into(),
            })?;
            store.get_at(ordinal)
        }
        (None, None) => Err(Error::invalid("record", "name it by its key or by --at")),
    }
}

fn decoder(args: &Args, store: &Snapshot) -> Result<&'static dyn AnyCodec> {
    if let Some(name) = args.codec {
        return by_name(name);
    }
    if store.opened() == Opened::Unchecked {
        complain("note: this file does not name its codec; --codec md-frame decodes frames");
    }
    let (name, version) = &store.options().record_codec;
    by_name_and_version(name, *version)
}

/// Writes the record as JSON: a frame with what it has from its topology.
fn show(args: &Args, store: &Snapshot, record: &[u8], out: &mut dyn io::Write) -> Result<()> {
    let decoder = decoder(args, store)?;
    match decoder.reference(record) {
        Some(digest) => {
            let shared = store.shared(&digest).map_err(|e| e.of_record(&digest))?;
            decoder.write_json_with(record, &shared, out)
        }
        None => decoder.write_json(record, out),
    }
}

fn text_or_bytes(args: &Args, store: &Snapshot, record: &[u8]) -> Result<Vec<u8>> {
    match args.form {
        Form::Bytes => Ok(record.to_vec()),
        Form::Json => {
            let mut text = Vec::new();
            show(args, store, record, &mut text)?;
            text.push(b'\n');
            Ok(text)
        }
    }
}

/// A new file that appears whole or not at all.
fn save(path: &Path, bytes: &[u8]) -> Result<()> {
    let save = || {
        let aside = Aside::new(path, Access::Pread)?;
        aside.backend().write_at(0, bytes)?;
        aside.publish(false)
    };
    save().map_err(|e: Error| e.at(path))
}
