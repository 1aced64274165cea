//! `vlstore ls`: the records of a store.

use crate::open::open;
use crate::output::{Out, key_json};
use crate::ranges::{self, Slice};
use crate::{Exit, Outcome, keys};
use serde_json::json;
use std::path::PathBuf;
use vlstore::Result;

const EXAMPLES: &str = "\
Examples:
  $ vlstore ls frames.vls
  $ vlstore ls --range 0:10 frames.vls
  $ vlstore ls --json --range -5: frames.vls";

/// List records: ordinal, key, bytes and sites, from the index alone
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The store
    store: PathBuf,
    /// Only these ordinals, as START:END:STEP
    #[arg(long, value_parser = ranges::parse, allow_hyphen_values = true)]
    range: Option<Slice>,
    /// One JSON object on each line
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let store = open(&args.store)?;
    let mut out = Out::new();
    if !args.json {
        out.line(format!("{:>10} {:>10} {:>8}  {}", "ordinal", "bytes", "sites", "key"))?;
    }
    let mut show = |ordinal: u64, key: Option<vlstore::Key>, at: vlstore::Location| {
        if args.json {
            out.line(json!({
                "ordinal": ordinal,
                "key": key_json(key.as_ref()),
                "bytes": at.len(),
                "sites": at.sites,
            }))
        } else {
            let key = key
                .as_ref()
                .map_or_else(|| "-".into(), |k| keys::show(k).escape_debug().to_string());
            out.line(format!("{ordinal:>10} {:>10} {:>8}  {key}", at.len(), at.sites))
        }
    };
    let list = || -> Result<()> {
        match args.range {
            None => store.for_each(show),
            Some(range) => range
                .of(store.len())
                .try_for_each(|o| show(o, store.key_at(o)?, store.location_at(o)?)),
        }
    };
    list().map_err(|e| e.at(&args.store))?;
    out.end()?;
    Ok(Exit::Done)
}
