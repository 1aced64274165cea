//! `vlstore copy`: into a new store.

use crate::layout::LayoutArgs;
use crate::open::{AcceptOlder, tell_accepted};
use crate::outcome::{Exit, Outcome};
use crate::output::{Out, human, plural, shown};
use crate::work::Work;
use crate::{choices, keys, ranges};
use serde_json::json;
use std::path::PathBuf;
use vlstore::dataset::Source;
use vlstore::maintain::{CopyOptions, Select, copy};
use vlstore::trajectory::{FrameChanges, FrameForm, Positions, Sharing, copy_frames};
use vlstore::{Error, Key, Result, codec};

const EXAMPLES: &str = "\
Examples:
  $ vlstore copy frames.vls copy.vls
  $ vlstore copy --purpose dense frames.vls copy.vls
  $ vlstore copy --range ::10 frames.vls copy.vls
  $ vlstore copy --match '[0-4]' frames.vls copy.vls
  $ vlstore copy --topologies repeated frames.vls copy.vls
  $ vlstore copy --positions quantised frames.vls copy.vls
  $ vlstore copy --frames lean frames.vls copy.vls

Also brings a file of the original program, or of an older version, to the newest version.";

/// Copy records to a new store: with other options, or only some of them
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The store to copy, or the folder of a data set, of which one store is made
    store: PathBuf,
    /// The store to create
    new: PathBuf,
    /// Only these ordinals, as START:END:STEP, ascending
    #[arg(long, value_parser = ranges::parse, allow_hyphen_values = true)]
    range: Option<ranges::Slice>,
    /// Only keys that match this pattern: * any characters, ? one character, [a-z] one of a range
    #[arg(long = "match", value_name = "PATTERN", conflicts_with = "range")]
    pattern: Option<String>,
    /// Only these keys
    #[arg(long, value_name = "KEY", num_args = 1.., value_parser = keys::parse,
        allow_negative_numbers = true, conflicts_with_all = ["range", "pattern"])]
    keys: Vec<Key>,
    /// Store once what frames without a topology have in common, as import does
    #[arg(long, value_name = "WHICH", default_value = "never", value_parser = choices::sharing())]
    topologies: Sharing,
    /// Keep positions as integers of the precision that frames state, where they are such to the
    /// last bit (quantised), or as floating-point numbers, which the original program sees (given)
    /// [default: as they are]
    #[arg(long, value_name = "HOW", value_parser = choices::positions())]
    positions: Option<Positions>,
    /// Keep small frames without a table (lean): smaller and faster to read, but not for the original
    /// program; or each as a FlatBuffer (table) [default: as they are]
    #[arg(long, value_name = "FORM", value_parser = choices::frames())]
    frames: Option<FrameForm>,
    #[command(flatten)]
    layout: LayoutArgs,
    /// Replace an existing file
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    older: AcceptOlder,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn hint(error: &Error) -> Option<&'static str> {
    matches!(error, Error::Exists { .. }).then_some("--overwrite replaces it")
}

pub(crate) fn run(args: &Args) -> Outcome {
    let source = Source::open(&args.store)?;
    if args.older.accept_older {
        tell_accepted(&args.store, source.opened());
    }
    let options = CopyOptions {
        select: select(args, source.len())?,
        layout: Some(args.layout.of(source.layout())),
        write: args.layout.write(),
        overwrite: args.overwrite,
        accept_older: args.older.accept_older,
        refers: Some(codec::refers),
    };
    let mut work = Work::begin("bytes", args.json)?;
    let step = |at, of| work.step(at, of);
    let changes =
        FrameChanges { sharing: args.topologies, positions: args.positions, form: args.frames };
    let done = if changes == FrameChanges::default() {
        copy(&args.store, &args.new, &options, step)
    } else {
        copy_frames(&args.store, &args.new, &options, changes, step)
    };
    let done = work.end(done)?;
    let mut out = Out::new();
    if args.json {
        out.line(json!({
            "records": done.records, "shared": done.shared, "record_bytes": done.record_bytes, "bytes": done.file_bytes,
        }))?;
    } else {
        out.line(format!(
            "{}: {}, {} for {}",
            shown(&args.new),
            plural(done.records, "record"),
            human(done.file_bytes),
            human(done.record_bytes)
        ))?;
    }
    out.end()?;
    Ok(Exit::Done)
}

fn select(args: &Args, len: u64) -> Result<Select> {
    if let Some(pattern) = &args.pattern {
        return Ok(Select::Pattern(pattern.as_str().into()));
    }
    if !args.keys.is_empty() {
        return Ok(Select::Keys(args.keys.clone()));
    }
    let Some(slice) = args.range else { return Ok(Select::All) };
    let mut ordinals = slice.of(len);
    let count = ordinals.len() as u64;
    let Some(first) = ordinals.next() else { return Ok(Select::Range { range: 0..0, step: 1 }) };
    let Some(second) = ordinals.next() else {
        return Ok(Select::Range { range: first..first + 1, step: 1 });
    };
    let step = second.checked_sub(first).ok_or_else(|| {
        Error::invalid("range", "a copy keeps the order of the store; the step must be above 0")
    })?;
    Ok(Select::Range { range: first..first + (count - 1) * step + 1, step })
}
