//! `vlstore export`: records back to a trajectory file.

use crate::choices;
use crate::open::open;
use crate::outcome::{Exit, Outcome};
use crate::output::{Out, complain, plural};
use crate::ranges::{self, Slice};
use crate::work::Work;
use std::path::{Path, PathBuf};
use vlstore::backend::{ExistingOutput, Output, OutputPlace};
use vlstore::codec::Fields;
use vlstore::formats::FormatKind;
use vlstore::printable::printable_path;
use vlstore::trajectory::{self, AtomGroup, Atoms, ExportOptions, Exported};
use vlstore::{Error, Result, Trajectory};

const EXAMPLES: &str = "\
Examples:
  $ vlstore export frames.vls all.xtc
  $ vlstore export --frames 0:100:10 frames.vls some.xtc
  $ vlstore export --to extxyz --frames -1 frames.vls last.xyz
  $ vlstore export --fields positions,step,time frames.vls thin.xtc
  $ vlstore export --atoms-of protein frames.vls protein.xtc
  $ vlstore export --atoms 0:100 frames.vls run.dcd
  $ vlstore export --to extxyz frames.vls - | head -24

Numbers are converted to the units of the format if the store states its units. A file appears
when it is complete; after Ctrl-C there is none. A pipe is written to directly, and - is standard
output.";

/// Write frames of a store to a trajectory file
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The store
    store: PathBuf,
    /// The file to write; - is standard output
    output: PathBuf,
    /// Format [default: from the name of the file]
    #[arg(long, value_name = "FORMAT", value_parser = choices::written_format())]
    to: Option<FormatKind>,
    /// Only these frames, as START:END:STEP of their ordinals
    #[arg(long, value_parser = ranges::parse, allow_hyphen_values = true)]
    frames: Option<Slice>,
    /// Only these atoms of each frame, as START:END:STEP of their places
    #[arg(long, value_parser = ranges::parse, allow_hyphen_values = true)]
    atoms: Option<Slice>,
    /// Only the atoms in residues of this kind, as the topology of the frames names them
    #[arg(long, value_name = "KIND", value_parser = choices::atom_group(), conflicts_with = "atoms")]
    atoms_of: Option<AtomGroup>,
    /// Only these fields of the frames, comma-separated
    #[arg(long, value_delimiter = ',', value_name = "FIELD", value_parser = choices::field())]
    fields: Vec<String>,
    /// XTC: keep positions to 1/PRECISION nm [default: that of the source, if it was XTC]
    #[arg(long)]
    precision: Option<f32>,
    /// Leave out frames that the format cannot hold, such as those with NaN for XTC, and list them
    #[arg(long)]
    skip_unfit: bool,
    /// Replace an existing file; a store is never replaced
    #[arg(long)]
    overwrite: bool,
    /// No progress, no summary, no notes
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn hint(error: &Error) -> Option<&'static str> {
    match error {
        Error::Exists { .. } => Some("--overwrite replaces it"),
        Error::Invalid { what: "format", .. } => Some("--to xtc or --to extxyz names the format"),
        Error::Unfit(unfit) if &*unfit.field == "precision" => Some("--precision 1000"),
        Error::Unfit(unfit) if unfit.format == "XTC" => Some(
            "--skip-unfit leaves such frames out and lists them, --frames selects others, \
             --precision sets the precision, --to extxyz writes all",
        ),
        Error::Unfit(_) => Some("--skip-unfit leaves such frames out and lists them"),
        _ => None,
    }
}

pub(crate) fn run(args: &Args) -> Outcome {
    let depot = open(&args.store)?.snapshot();
    let depot = Trajectory::new(depot).map_err(|e| e.at(&args.store))?;
    let options = ExportOptions {
        format: args.to,
        frames: args.frames.unwrap_or(Slice::ALL).choice(depot.len()),
        atoms: args.atoms.map(Slice::atoms).or(args.atoms_of.map(Atoms::Of)).unwrap_or_default(),
        fields: (!args.fields.is_empty()).then(|| Fields::named(&args.fields)).transpose()?,
        precision: args.precision,
        overwrite: args.overwrite,
        skip_unfit: args.skip_unfit,
    };
    let standard = args.output == Path::new("-");
    let mut work = Work::begin("frames", args.quiet)?;
    let step = |at, of| work.step(at, of);
    let done = if standard {
        let name = Path::new("standard output");
        trajectory::export_to(&depot, Output::standard(), name, &options, step)
    } else {
        trajectory::export(&depot, &args.output, &options, step)
    };
    let streamed = standard || is_stream(&args.output);
    let done = work.end(done);
    if let Err(Error::Interrupted) = done {
        let what = if streamed { "only in part" } else { "not" };
        complain(&format!("interrupted: {} was {what} written", printable_path(&args.output)));
    }
    // What has no path of its own yet is about the store.
    report(args, &done.map_err(|e| e.at(&args.store))?, streamed)?;
    Ok(Exit::Done)
}

fn is_stream(path: &Path) -> bool {
    OutputPlace::of(path).is_ok_and(|place| matches!(place.there(), ExistingOutput::Stream { .. }))
}

fn report(args: &Args, done: &Exported, streamed: bool) -> Result<()> {
    if args.quiet {
        return Ok(());
    }
    let format = done.format.name();
    if !done.units_stated {
        complain("note: the store does not state its units; numbers are written unchanged");
    }
    if let Some(first) = &done.skipped.first {
        let list: Vec<_> = done.skipped.ordinals.iter().take(20).map(u64::to_string).collect();
        let more = if done.skipped.ordinals.len() > list.len() { ", ..." } else { "" };
        complain(&format!(
            "note: left out {} that {format} cannot hold: {}{more}; the first: {first}",
            plural(done.skipped.ordinals.len() as u64, "frame"),
            list.join(", ")
        ));
    }
    if !done.left_out.is_empty() {
        complain(&format!("note: {format} cannot hold: {}", done.left_out.join(", ")));
    }
    let name = printable_path(&args.output);
    let line = format!("{name}: {} as {format}", plural(done.frames, "frame"));
    if streamed {
        // Standard output may be where the frames go.
        complain(&line);
        return Ok(());
    }
    let mut out = Out::new();
    out.line(line)?;
    out.end()
}
