//! `vlstore get`: one record.

use crate::open::open_source;
use crate::outcome::{Exit, Outcome};
use crate::output::{Out, complain};
use crate::{choices, keys};
use std::io;
use std::path::{Path, PathBuf};
use vlstore::Readable;
use vlstore::backend::Output;
use vlstore::codec::{AnyCodec, Codec, Fields, MdFrameCodec, by_name, by_name_and_version};
use vlstore::printable::is_unprintable;
use vlstore::trajectory::Frames;
use vlstore::{Error, Existing, Key, Opened, Record, Result};

const EXAMPLES: &str = "\
Examples:
  $ vlstore get --as json frames.vls 7
  $ vlstore get --as json --at -1 frames.vls
  $ vlstore get --as json --fields positions,time frames.vls 7
  $ vlstore get frames.vls 7 > frame.bin
  $ vlstore get --output frame.bin frames.vls 7
  $ vlstore get --codec md-frame --as json frames.vls 7";

/// Write one record to standard output or a file, as bytes or decoded
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The store, or the folder of a data set
    store: PathBuf,
    /// Key of the record; see `vlstore --help`
    #[arg(value_parser = keys::parse, required_unless_present = "at", allow_negative_numbers = true)]
    key: Option<Key>,
    /// Ordinal of the record, counted from 0 in the order of insertion; -1 is the last
    #[arg(long, value_name = "ORDINAL", conflicts_with = "key", allow_negative_numbers = true)]
    at: Option<i64>,
    /// What to write
    #[arg(long = "as", value_name = "FORM", default_value = "bytes")]
    form: Form,
    /// Codec to decode with, if the store does not name it
    #[arg(long, value_parser = choices::codec())]
    codec: Option<&'static str>,
    /// Only these fields of a frame, comma-separated; a large frame is not decoded for the rest
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = choices::field())]
    fields: Vec<String>,
    /// Write to this file, which must not exist, or into this pipe; - is standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// The bytes of the record, unchanged
    Bytes,
    /// Decoded, as one line of JSON
    Json,
    /// The bytes as one line of hexadecimal digits
    Hex,
}

pub(crate) fn hint(error: &Error) -> Option<&'static str> {
    match error {
        Error::NotFound { .. } => Some(
            "`vlstore ls` lists keys; --at N selects by ordinal; a string key of digits is str:N",
        ),
        Error::Exists { .. } => Some("delete it or use another name"),
        Error::Invalid { what: TERMINAL, .. } => Some(
            "use --output FILE or a pipe; --as json decodes it, \
             --as hex shows its bytes",
        ),
        _ => None,
    }
}

pub(crate) fn run(args: &Args) -> Outcome {
    let source = open_source(&args.store)?;
    let store = &*source;
    let show = |record: &[u8]| -> Result<()> {
        let path = args.output.as_deref().filter(|path| *path != Path::new("-"));
        match path {
            Some(path) => save(path, args, store, record),
            None => {
                if args.form == Form::Bytes {
                    may_show(record, io::IsTerminal::is_terminal(&io::stdout()))?;
                }
                let mut out = Out::new();
                write(args, store, record, out.stream())?;
                out.end()
            }
        }
    };
    let fetch = || {
        if args.fields.is_empty() {
            show(&record(args, store)?)
        } else {
            show(&fields(args, store)?)
        }
    };
    fetch().map_err(|e| e.at(&args.store))?;
    Ok(Exit::Done)
}

fn record(args: &Args, store: &dyn Readable) -> Result<Record> {
    match (&args.key, args.at) {
        (Some(key), _) => store.get_key(key),
        (None, Some(at)) => store.get_at(ordinal(at, store)?),
        (None, None) => Err(Error::invalid("record", "give its key, or its ordinal with --at")),
    }
}

fn ordinal(at: i64, store: &dyn Readable) -> Result<u64> {
    let len = i64::try_from(store.len()).unwrap_or(i64::MAX);
    let ordinal = if at < 0 { at.saturating_add(len) } else { at };
    u64::try_from(ordinal).map_err(|_| Error::NotFound {
        key: format!("at ordinal {at}: the store has {len} records").into(),
    })
}

/// The record of a frame with the chosen fields alone.
fn fields(args: &Args, store: &dyn Readable) -> Result<Vec<u8>> {
    let codec = decoder(args.codec, store)?;
    if codec.name() != MdFrameCodec.name() {
        let why = format!("are those of frames, but the records are {}", codec.name());
        return Err(Error::invalid("fields", why));
    }
    let ordinal = match (&args.key, args.at) {
        (Some(key), _) => {
            store.find_key(key)?.ok_or_else(|| Error::NotFound { key: key.to_string().into() })?
        }
        (None, at) => ordinal(at.unwrap_or(0), store)?,
    };
    let mut out = Vec::new();
    for frame in store.frames_at(&[ordinal], Fields::named(&args.fields)?)? {
        MdFrameCodec.encode(&frame, &mut out)?;
    }
    Ok(out)
}

/// The codec that was asked for, else the one that the store names.
pub(crate) fn decoder(
    asked: Option<&'static str>,
    store: &dyn Readable,
) -> Result<&'static dyn AnyCodec> {
    if let Some(name) = asked {
        return by_name(name);
    }
    if store.opened() == Opened::Unchecked {
        complain("note: this file does not name its codec; --codec md-frame decodes frames");
    }
    let (name, version) = &store.layout().record_codec;
    by_name_and_version(name, *version)
}

/// Writes the record as JSON: a frame with what it has from its topology.
fn show(args: &Args, store: &dyn Readable, record: &[u8], out: &mut dyn io::Write) -> Result<()> {
    let decoder = decoder(args.codec, store)?;
    match decoder.reference(record) {
        Some(digest) => {
            let shared = store.shared(&digest).map_err(|e| e.of_record(&digest))?;
            decoder.write_json_with(record, &shared, out)
        }
        None => decoder.write_json(record, out),
    }
}

/// The record in the form that was asked for.
fn write(args: &Args, store: &dyn Readable, record: &[u8], out: &mut dyn io::Write) -> Result<()> {
    let failed = |e| Error::io("write to standard output", e);
    match args.form {
        Form::Bytes => out.write_all(record).map_err(failed),
        Form::Hex => writeln!(out, "{}", keys::hex(record)).map_err(failed),
        Form::Json => {
            show(args, store, record, out)?;
            writeln!(out).map_err(failed)
        }
    }
}

/// What the error of a refused terminal is about.
const TERMINAL: &str = "standard output";

/// Bytes that a terminal would act on are not shown on one.
fn may_show(record: &[u8], terminal: bool) -> Result<()> {
    let plain = |c: char| matches!(c, '\n' | '\t') || !is_unprintable(c);
    if terminal && !std::str::from_utf8(record).is_ok_and(|text| text.chars().all(plain)) {
        let why = "this is a terminal, and the record is binary data";
        return Err(Error::invalid(TERMINAL, why));
    }
    Ok(())
}

/// A new file that appears whole or not at all, or a pipe.
fn save(path: &Path, args: &Args, store: &dyn Readable, record: &[u8]) -> Result<()> {
    let mut bytes = Vec::new();
    write(args, store, record, &mut bytes)?;
    let save = || {
        let mut output = Output::create(path, Existing::Refuse, &mut || Ok(()))?;
        if args.form == Form::Bytes {
            may_show(record, output.is_terminal())?;
        }
        output.write(&bytes)?;
        output.publish()
    };
    save().map_err(|e: Error| e.at(path))
}
