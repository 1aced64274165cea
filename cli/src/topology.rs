//! `vlstore topology`: what frames of a store share.

use crate::open::open;
use crate::outcome::{Exit, Outcome};
use crate::output::Out;
use serde_json::json;
use std::path::PathBuf;
use vlstore::AlignedBuf;
use vlstore::Readable;
use vlstore::codec::{TopologyView, aligned};
use vlstore::{Error, Result, Snapshot};

const EXAMPLES: &str = "\
Examples:
  $ vlstore topology frames.vls
  $ vlstore topology --json frames.vls

With the first digits of a digest: that topology as one line of JSON.";

/// List the topologies that frames refer to, or show one
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The store
    store: PathBuf,
    /// The digest of one topology, or its first digits
    digest: Option<String>,
    /// One JSON object on each line
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let store = open(&args.store)?;
    let mut out = Out::new();
    let answer = match &args.digest {
        Some(digits) => one(&store, digits, &mut out),
        None => list(&store, args.json, &mut out),
    };
    answer.map_err(|e| e.at(&args.store))?;
    out.end()?;
    Ok(Exit::Done)
}

fn list(store: &Snapshot, as_json: bool, out: &mut Out) -> Result<()> {
    if !as_json {
        out.line(format!("{:<32} {:>10} {:>8}", "digest", "bytes", "sites"))?;
    }
    for (digest, at) in store.list_shared()? {
        if as_json {
            let digest = digest.to_string();
            out.line(json!({"digest": digest, "bytes": at.len(), "sites": at.weight}))?;
        } else {
            out.line(format!("{digest} {:>10} {:>8}", at.len(), at.weight))?;
        }
    }
    Ok(())
}

fn one(store: &Snapshot, digits: &str, out: &mut Out) -> Result<()> {
    let digits = digits.to_ascii_lowercase();
    let all = store.list_shared()?.into_iter().map(|(digest, _)| digest);
    let found: Vec<_> = all.filter(|digest| digest.to_string().starts_with(&digits)).collect();
    let digest = match found.as_slice() {
        [digest] => digest,
        [] => return Err(Error::NotFound { key: format!("topology {digits}").into() }),
        several => {
            let why = format!("{} topologies begin with {digits}; give more digits", several.len());
            return Err(Error::invalid("digest", why));
        }
    };
    let record = store.shared(digest)?;
    let mut space = AlignedBuf::default();
    TopologyView::new(aligned(&record, &mut space)?)?.write_json(out.stream())?;
    out.line("")
}
