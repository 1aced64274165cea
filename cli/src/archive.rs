//! `vlstore archive`: an experiment as one zip archive, and back.

use crate::outcome::{Exit, Outcome};
use crate::output::{Out, human, shown};
use crate::work::Work;
use serde_json::json;
use std::path::PathBuf;
use vlstore::experiments::{ArchiveOptions, storage_from_zip, storage_to_zip};
use vlstore::{Error, Existing};

const EXAMPLES: &str = "\
Examples:
  $ vlstore archive data
  $ vlstore archive --no-views data backup.zip
  $ vlstore archive data && vlstore archive --restore data.zip elsewhere

An experiment is a folder with a folder for each subject (see the chapter «Experiments» of the guide), of
ours or of AxoPy. The archive has every file as it is, so that --restore gives the same bytes back, and
beside each task its trials (trials.csv) and arrays (ARRAY/0.npy), for programs that have only unzip.
The same files give the same archive. It appears when it is complete.";

/// Pack an experiment into one zip archive, or restore it from one
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The folder of the experiment; with --restore the archive
    experiment: PathBuf,
    /// The archive to write [default: beside the folder, with its name and .zip]; with --restore the
    /// folder in which the experiment appears [default: where the archive is]
    out: Option<PathBuf>,
    /// Restore the experiment from an archive, byte for byte
    #[arg(long, conflicts_with_all = ["no_views", "overwrite"])]
    restore: bool,
    /// Leave out the tables and arrays for other programs: the archive is about half as long
    #[arg(long)]
    no_views: bool,
    /// Replace an existing archive
    #[arg(long)]
    overwrite: bool,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn hint(error: &Error) -> Option<&'static str> {
    match error {
        Error::Exists { instead: Some(_), .. } => Some("--overwrite replaces it"),
        _ => None,
    }
}

pub(crate) fn run(args: &Args) -> Outcome {
    let options = ArchiveOptions { existing: Existing::of(args.overwrite), views: !args.no_views };
    let mut work = Work::begin("bytes", args.json)?;
    let step = |done, total| work.step(done, total);
    let out = args.out.as_deref();
    let made = if args.restore {
        storage_from_zip(&args.experiment, out, step)
    } else {
        storage_to_zip(&args.experiment, out, options, step)
    };
    let made = work.end(made)?;
    let mut out = Out::new();
    if args.json {
        out.line(json!({ "path": made.to_string_lossy() }))?;
    } else if args.restore {
        out.line(shown(&made))?;
    } else {
        let bytes = std::fs::metadata(&made).map_or(0, |about| about.len());
        out.line(format!("{}: {}", shown(&made), human(bytes)))?;
    }
    out.end()?;
    Ok(Exit::Done)
}
