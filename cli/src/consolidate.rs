//! `vlstore consolidate`: an experiment as one file of HDF5.

use crate::outcome::{Exit, Outcome};
use crate::output::{Out, human, shown};
use crate::work::Work;
use serde_json::json;
use std::path::PathBuf;
use vlstore::experiments::{
    ConsolidateOptions, open_experiment, storage_to_hdf5, unfinished_trials,
};
use vlstore::{Error, Existing};

const EXAMPLES: &str = "\
Examples:
  $ vlstore consolidate data
  $ vlstore consolidate --level 9 data analysis.hdf5

An experiment is a folder with a folder for each subject (see the chapter «Experiments» of the guide), of
ours or of AxoPy, or an archive of one. In the file each array is /SUBJECT/TASK/TRIAL/ARRAY, and the
attributes of a trial are those of its group. It appears when it is complete, and may be added to.";

/// Write an experiment to one file of HDF5, for analysis
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The experiment: its folder, or an archive
    experiment: PathBuf,
    /// The file to write [default: beside the experiment, with its name and .hdf5]
    out: Option<PathBuf>,
    /// Effort of the compression, 0 (none) to 9
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(0..=9))]
    level: u32,
    /// Replace an existing file
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
    let options = ConsolidateOptions { existing: Existing::of(args.overwrite), level: args.level };
    let from = open_experiment(&args.experiment)?;
    let (unfinished, left_out) = (unfinished_trials(&*from)?, from.left_out()?);
    let mut work = Work::begin("trials", args.json)?;
    let out = args.out.as_deref();
    let made = storage_to_hdf5(&*from, &args.experiment, out, options, |at, of| work.step(at, of));
    let made = work.end(made)?;
    crate::output::warn_of_unfinished(&args.experiment, unfinished);
    crate::output::warn_of_left_out(&args.experiment, &left_out);
    let bytes = std::fs::metadata(&made).map_or(0, |about| about.len());
    let mut out = Out::new();
    if args.json {
        let path = made.to_string_lossy();
        out.line(json!({
            "path": path, "bytes": bytes, "unfinished": unfinished, "left_out": left_out,
        }))?;
    } else {
        out.line(format!("{}: {}", shown(&made), human(bytes)))?;
    }
    out.end()?;
    Ok(Exit::Done)
}
