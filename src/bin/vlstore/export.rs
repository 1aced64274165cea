//! `vlstore export`: records back to a trajectory file.

use crate::interrupt::Interrupt;
use crate::open::open;
use crate::output::{Out, complain, plural};
use crate::progress::Progress;
use crate::ranges::{self, Slice};
use crate::units::Conversion;
use crate::{Exit, Outcome};
use std::path::PathBuf;
use vlstore::codec::{Fields, MdFrameCodec};
use vlstore::formats::{self, FormatKind, WriteOptions};
use vlstore::{Depot, Error, Result};

/// Frames that are fetched together, at most.
const PART_RECORDS: usize = 256;
/// Bytes from which on no further frame is fetched together with others.
const PART_BYTES: u64 = 16 << 20;

const EXAMPLES: &str = "\
Examples:
  $ vlstore export frames.vls all.xtc
  $ vlstore export --frames 0:100:10 frames.vls some.xtc
  $ vlstore export --to extxyz --frames -1 frames.vls last.xyz
  $ vlstore export --fields positions,step,time frames.vls thin.xtc

Numbers are converted to the units of the format if the store states its own. The file appears
when it is whole; after Ctrl-C there is none.";

/// Write frames of a store to a trajectory file
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The store
    store: PathBuf,
    /// The file to write
    output: PathBuf,
    /// Format: xtc or extxyz [default: by the name of the file]
    #[arg(long, value_name = "FORMAT", value_parser = |s: &str| {
        FormatKind::from_name(s).map_err(|e| e.to_string())
    })]
    to: Option<FormatKind>,
    /// Only these frames, as START:END:STEP of their places in the store
    #[arg(long, value_parser = ranges::parse, allow_hyphen_values = true)]
    frames: Option<Slice>,
    /// Only these fields of the frames, parted by commas: positions, velocities, forces, types,
    /// masses, charges, cell, pbc, energy, stress, step, time
    #[arg(long, value_delimiter = ',', value_name = "FIELD")]
    fields: Vec<String>,
    /// XTC: keep positions to 1/PRECISION nm [default: that of the source, if it was XTC]
    #[arg(long)]
    precision: Option<f32>,
    /// Replace a file that is there
    #[arg(long)]
    overwrite: bool,
    /// No progress, no summary, no notes
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn hint(error: &Error) -> Option<&'static str> {
    match error {
        Error::Exists { .. } => Some("--overwrite replaces it"),
        Error::Invalid { what: "frame for XTC", why } if why.contains("precision") => {
            Some("--precision 1000 keeps three decimals of a nanometre")
        }
        _ => None,
    }
}

pub(crate) fn run(args: &Args) -> Outcome {
    let kind = args.to.or_else(|| FormatKind::from_path(&args.output)).ok_or_else(|| {
        Error::invalid("format", "the name of the file tells none; say --to xtc or --to extxyz")
            .at(&args.output)
    })?;
    let snapshot = open(&args.store)?.snapshot();
    let depot = Depot::new(snapshot, MdFrameCodec).map_err(|e| e.at(&args.store))?;
    let attributes = depot.snapshot().attributes();
    let (conversion, stated) =
        Conversion::new(&attributes, &kind.units()).map_err(|e| e.at(&args.store))?;
    if !stated && !args.quiet {
        complain("note: the store does not state its units; numbers are written as they are");
    }
    let mut options = WriteOptions::default();
    if let Some(precision) = args.precision {
        options = options.with_precision(precision);
    }
    let fields = (!args.fields.is_empty()).then(|| Fields::named(&args.fields)).transpose()?;
    let mut writer = formats::create(&args.output, kind, &options, args.overwrite)?;
    let interrupt = Interrupt::watch()?;
    let mut chosen = args.frames.unwrap_or(Slice::ALL).of(depot.len());
    let mut progress = Progress::new(chosen.len() as u64, "frames", args.quiet);
    let mut signal = None;
    let mut done = 0;
    while signal.is_none() {
        let part = next_part(&depot, &mut chosen).map_err(|e| e.at(&args.store))?;
        if part.is_empty() {
            break;
        }
        let items = depot.get_batch_at(&part).map_err(|e| e.at(&args.store))?;
        for (view, ordinal) in items.iter().zip(&part) {
            let name = |e: Error| in_record(e, *ordinal).at(&args.store);
            let mut frame = view.and_then(|view| depot.whole(&view)).map_err(name)?;
            if let Some(fields) = fields {
                fields.keep(&mut frame);
            }
            if let Some(conversion) = &conversion {
                conversion.apply(&mut frame);
            }
            writer.write(&frame)?;
            done += 1;
            progress.at(done, done);
        }
        signal = interrupt.signal();
    }
    progress.end();
    if let Some(signal) = signal {
        complain(&format!("interrupted: {} was not written", args.output.display()));
        return Ok(Exit::Signal(signal));
    }
    let left_out = writer.left_out();
    writer.finish()?;
    report(args, done, kind, &left_out)?;
    Ok(Exit::Done)
}

/// The next ordinals to fetch together: few enough for memory.
fn next_part(
    depot: &Depot<MdFrameCodec>,
    chosen: &mut impl Iterator<Item = u64>,
) -> Result<Vec<u64>> {
    let (mut part, mut bytes) = (Vec::new(), 0);
    while part.len() < PART_RECORDS && bytes < PART_BYTES {
        let Some(ordinal) = chosen.next() else { break };
        bytes += depot.location_at(ordinal)?.len();
        part.push(ordinal);
    }
    Ok(part)
}

fn report(args: &Args, frames: u64, kind: FormatKind, left_out: &[String]) -> Result<()> {
    if args.quiet {
        return Ok(());
    }
    if !left_out.is_empty() {
        let list = left_out.join(", ");
        complain(&format!("note: {} has no place for: {list}", kind.name()));
    }
    let mut out = Out::new();
    out.line(format!("{}: {} as {}", args.output.display(), plural(frames, "frame"), kind.name()))?;
    out.end()
}

/// Says which record does not decode.
fn in_record(error: Error, ordinal: u64) -> Error {
    match error {
        Error::Codec { codec, why } => {
            Error::codec(codec, format!("record at ordinal {ordinal}: {why}"))
        }
        Error::Record { key, source } => {
            Error::Record { key: format!("at ordinal {ordinal}, {key}").into(), source }
        }
        other => other,
    }
}
