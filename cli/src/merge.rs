//! `vlstore merge`: several stores into one.

use crate::layout::LayoutArgs;
use crate::open::{AcceptOlder, tell_accepted};
use crate::outcome::{Exit, Outcome};
use crate::output::{Out, complain, human, plural, shown};
use crate::work::Work;
use serde_json::json;
use std::path::PathBuf;
use vlstore::dataset::Source;
use vlstore::maintain::{Clash, MergeOptions, merge};
use vlstore::{Error, codec};

const EXAMPLES: &str = "\
Examples:
  $ vlstore merge --clash prefix --names run1,run2 frames.vls frames.vls merged.vls
  $ vlstore merge --clash keep-first frames.vls frames.vls merged.vls

Records follow each other source by source. Stores with other units or another record codec are
refused, and so are equal keys unless --clash says what to do.";

/// Write the records of several stores to a new one
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The stores to merge, or folders of data sets, at least one
    #[arg(required = true, value_name = "STORE")]
    stores: Vec<PathBuf>,
    /// The store to create
    new: PathBuf,
    /// What to do with equal keys: refuse, keep the first or the last record, or put the name of
    /// its store in front of every key, as in run1/7
    #[arg(long, default_value = "refuse")]
    clash: Settle,
    /// The names for --clash prefix, one for each store [default: the names of the files]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    names: Vec<String>,
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

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Settle {
    Refuse,
    KeepFirst,
    KeepLast,
    Prefix,
}

pub(crate) fn hint(error: &Error) -> Option<&'static str> {
    match error {
        Error::Exists { what, .. } if what.starts_with("record ") => {
            Some("--clash keep-first, keep-last or prefix says what to do with equal keys")
        }
        Error::Exists { .. } => Some("--overwrite replaces it"),
        _ => None,
    }
}

pub(crate) fn run(args: &Args) -> Outcome {
    let clash = match args.clash {
        Settle::Refuse => Clash::Refuse,
        Settle::KeepFirst => Clash::KeepFirst,
        Settle::KeepLast => Clash::KeepLast,
        Settle::Prefix if args.names.is_empty() => {
            let stem = |p: &PathBuf| p.file_stem().map(|s| s.to_string_lossy().into());
            Clash::Prefix(args.stores.iter().filter_map(stem).collect())
        }
        Settle::Prefix => Clash::Prefix(args.names.iter().map(|n| n.as_str().into()).collect()),
    };
    let Some(first) = args.stores.first() else {
        return Err(Error::invalid("stores", "none was given"));
    };
    let first = Source::open(first)?;
    for store in args.stores.iter().filter(|_| args.older.accept_older) {
        tell_accepted(store, Source::open(store)?.opened());
    }
    let options = MergeOptions {
        clash,
        layout: Some(args.layout.of(first.layout())),
        write: args.layout.write(),
        overwrite: args.overwrite,
        accept_older: args.older.accept_older,
        refers: Some(codec::refers),
    };
    let mut work = Work::begin("bytes", args.json)?;
    let done = merge(&args.stores, &args.new, &options, |at, of| work.step(at, of));
    let done = work.end(done)?;
    let mut out = Out::new();
    if args.json {
        out.line(json!({
            "records": done.copied.records, "record_bytes": done.copied.record_bytes,
            "bytes": done.copied.file_bytes, "left_out": done.left_out,
            "differing": done.differing,
        }))?;
    } else {
        if !done.differing.is_empty() {
            complain(&format!(
                "note: the stores state {} differently; the first value was kept",
                done.differing.join(", ")
            ));
        }
        out.line(format!(
            "{}: {}, {}; {} left out because of equal keys",
            shown(&args.new),
            plural(done.copied.records, "record"),
            human(done.copied.file_bytes),
            plural(done.left_out, "record")
        ))?;
    }
    out.end()?;
    Ok(Exit::Done)
}
