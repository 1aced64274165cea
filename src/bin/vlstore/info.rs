//! `vlstore info`: what is in a store.

use crate::open::open;
use crate::output::{Out, grouped, human};
use crate::{Exit, Outcome};
use serde_json::{Value, json};
use std::path::PathBuf;
use vlstore::{Info, Opened, Result, Snapshot};

const EXAMPLES: &str = "\
Examples:
  $ vlstore info frames.vls
  $ vlstore info --json frames.vls";

/// Show what is in a store: records, sizes, commits, attributes
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The store
    store: PathBuf,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let store = open(&args.store)?;
    let info = store.info().map_err(|e| e.at(&args.store))?;
    let mut out = Out::new();
    if args.json {
        out.line(as_json(&store, &info))?;
    } else {
        people(&mut out, args, &store, &info)?;
    }
    out.end()?;
    Ok(Exit::Done)
}

/// How much of what was written was opened, as a word.
fn opened(info: &Info) -> &'static str {
    match info.opened {
        Opened::Whole => "whole",
        Opened::OlderCommit { .. } => "older commit",
        Opened::LastSeal { .. } => "last seal",
        Opened::Extended => "extended by another program",
        Opened::Unchecked => "unchecked",
        _ => "other",
    }
}

fn as_json(store: &Snapshot, info: &Info) -> Value {
    let params = info.options.params();
    let (codec, version) = &info.options.record_codec;
    // A file of the original names no codec.
    let named = info.checked;
    json!({
        "records": info.records,
        "bytes": info.file_bytes,
        "raw_bytes": info.raw_bytes,
        "ratio": info.ratio(),
        "codec": named.then_some(codec),
        "codec_version": named.then_some(version),
        "compressor": params.codec.map_or("none", vlstore::chunk::Codec::name),
        "level": params.level,
        "filter": params.filter.name(),
        "typesize": params.typesize,
        "purpose": info.options.purpose.name(),
        "alignment": info.options.alignment.name(),
        "chunk_size": info.chunk_size,
        "block_size": info.options.block_size,
        "commits": info.commits,
        "generation": info.generation,
        "sealed": info.sealed,
        "sealed_records": info.sealed_records,
        "lookup": info.lookup,
        "shared": info.shared,
        "dead_records": info.dead_records,
        "dead_bytes": info.dead_bytes,
        "garbage_bytes": info.garbage,
        "log_bytes": info.log_bytes,
        "checked": info.checked,
        "opened": opened(info),
        "attributes": store.attributes(),
    })
}

fn people(out: &mut Out, args: &Args, store: &Snapshot, info: &Info) -> Result<()> {
    let mut row = |name: &str, value: String| out.line(format!("{name:<12}{value}"));
    let params = info.options.params();
    row("store", args.store.display().to_string())?;
    row("records", grouped(info.records))?;
    if info.shared > 0 {
        let frames = info.options.record_codec.0 == "md-frame";
        let name = if frames { "topologies" } else { "shared" };
        row(name, format!("{}, to which records refer", grouped(info.shared)))?;
    }
    row(
        "size",
        format!(
            "{} for {} of records ({:.2} times smaller)",
            human(info.file_bytes),
            human(info.raw_bytes),
            info.ratio()
        ),
    )?;
    let (codec, version) = &info.options.record_codec;
    if info.checked {
        row("codec", format!("{codec}, version {version}"))?;
    } else {
        row("codec", "unknown: a file of the original program does not say".into())?;
    }
    let block = match info.options.block_size {
        0 => "blocks by purpose".into(),
        n => format!("blocks of {n}"),
    };
    let compressor = params.codec.map_or("no compression".into(), |c| {
        format!("{}, level {}, {}", c.name(), params.level, params.filter.name())
    });
    row("compressed", compressor)?;
    row(
        "layout",
        format!(
            "purpose {}, chunks of {}, {block}, alignment {}",
            info.options.purpose.name(),
            info.chunk_size,
            info.options.alignment.name()
        ),
    )?;
    if info.checked {
        row("commits", grouped(info.commits))?;
        let sealed = if info.sealed {
            "all records: other programs see the whole store".into()
        } else {
            format!(
                "up to record {} of {}; `vlstore seal` brings other programs up to date",
                grouped(info.sealed_records),
                grouped(info.records)
            )
        };
        row("sealed", sealed)?;
        row(
            "dead",
            format!(
                "{} records, {}; {} of the file",
                grouped(info.dead_records),
                human(info.dead_bytes),
                human(info.garbage)
            ),
        )?;
    }
    match info.opened {
        Opened::Whole => {}
        Opened::Unchecked => {
            row("unchecked", "a file of the original program: its bytes have no checksums".into())?
        }
        Opened::OlderCommit { generation } | Opened::LastSeal { generation } => row(
            "damaged",
            format!("this is commit {generation}, not the newest; `vlstore verify` says more"),
        )?,
        _ => row("opened", opened(info).into())?,
    }
    let attributes = store.attributes();
    if attributes.as_object().is_some_and(|a| !a.is_empty()) {
        row("attributes", attributes.to_string())?;
    }
    Ok(())
}
