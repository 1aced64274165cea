//! `vlstore info`: what is in a store.

use crate::open::open_source;
use crate::outcome::{Exit, Outcome, tell};
use crate::output::{Out, grouped, human};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use vlstore::Readable;
use vlstore::dataset::{DataSet, Member, Source};
use vlstore::printable::printable_path;
use vlstore::trajectory::{IMPORT, describe_import};
use vlstore::{Compression, Info, Opened, Result, Snapshot};

const EXAMPLES: &str = "\
Examples:
  $ vlstore info frames.vls
  $ vlstore info --json frames.vls
  $ vlstore info *.vls";

/// The attribute of the layers over stores: blobs, series, experiments, the cache.
const LAYER: &str = "vlstore:layer";

/// Show what is in a store: records, sizes, commits, attributes
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The stores, or folders of data sets
    #[arg(required = true, value_name = "STORE")]
    stores: Vec<PathBuf>,
    /// As JSON, one object on each line
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let mut out = Out::new();
    let mut failed = None;
    for (i, path) in args.stores.iter().enumerate() {
        let read = || {
            Ok(match open_source(path)? {
                Source::Store(store) => {
                    let info = store.info().map_err(|e| e.at(path))?;
                    Found::Store(store, Box::new(info))
                }
                Source::Set(set) => Found::Set(set),
            })
        };
        match read() {
            Ok(Found::Store(store, info)) if args.json => out.line(as_json(path, &store, &info))?,
            Ok(Found::Set(set)) if args.json => out.line(set_json(path, &set))?,
            Ok(found) => {
                if i > 0 {
                    out.line("")?;
                }
                match found {
                    Found::Store(store, info) => people(&mut out, path, &store, &info)?,
                    Found::Set(set) => set_for_people(&mut out, path, &set)?,
                }
            }
            // The others are shown all the same.
            Err(error) => {
                if let Some(before) = failed.replace(error) {
                    tell(&before);
                }
            }
        }
    }
    out.end()?;
    failed.map_or(Ok(Exit::Done), Err)
}

/// What is at a path.
enum Found {
    Store(Snapshot, Box<Info>),
    Set(DataSet),
}

/// What a data set says of itself: no member is opened.
fn set_json(path: &Path, set: &DataSet) -> Value {
    let manifest = set.manifest();
    let (codec, version) = &manifest.layout.record_codec;
    json!({
        "dataset": path.to_string_lossy(),
        "records": manifest.records(),
        "weight": manifest.weight(),
        "bytes": manifest.file_bytes(),
        "raw_bytes": manifest.record_bytes(),
        "codec": codec,
        "codec_version": version,
        "publication": manifest.publication,
        "shared": manifest.shared.len(),
        "members": manifest.members.iter().map(|m| json!({
            "name": m.name, "records": m.records, "weight": m.weight, "bytes": m.file_bytes,
            "raw_bytes": m.record_bytes, "commit": m.commit, "sha256": m.sha256,
        })).collect::<Vec<_>>(),
        "attributes": manifest.attributes,
    })
}

/// Members that are listed one by one, at most.
const LISTED: usize = 20;

fn set_for_people(out: &mut Out, path: &Path, set: &DataSet) -> Result<()> {
    let manifest = set.manifest();
    let mut row = |name: &str, value: String| out.line(format!("{name:<12}{value}"));
    row("data set", printable_path(path).into_owned())?;
    row("records", grouped(manifest.records()))?;
    let (stored, raw) = (manifest.file_bytes(), manifest.record_bytes());
    row("size", format!("{} for {} of records", human(stored), human(raw)))?;
    row("weight", grouped(manifest.weight()))?;
    let (codec, version) = &manifest.layout.record_codec;
    row("codec", format!("{codec}, version {version}"))?;
    row("publication", grouped(manifest.publication))?;
    row("members", grouped(manifest.members.len() as u64))?;
    for member in manifest.members.iter().take(LISTED) {
        let Member { name, records, file_bytes, .. } = member;
        row("", format!("{name}: {} records, {}", grouped(*records), human(*file_bytes)))?;
    }
    if let Some(more @ 1..) = manifest.members.len().checked_sub(LISTED) {
        row("", format!("and {} more, which --json lists", grouped(more as u64)))?;
    }
    for (name, value) in manifest.attributes.as_object().into_iter().flatten() {
        row("attribute", format!("{name}: {value}"))?;
    }
    Ok(())
}

/// How much of what was written was opened, as a word.
fn opened(info: &Info) -> &'static str {
    match info.opened {
        Opened::Intact => "intact",
        Opened::OlderCommit { .. } => "older commit",
        Opened::LastSeal { .. } => "last seal",
        Opened::Extended => "extended by another program",
        Opened::Unchecked => "unchecked",
        _ => "other",
    }
}

fn as_json(path: &Path, store: &Snapshot, info: &Info) -> Value {
    let params = info.layout.params();
    let (codec, version) = &info.layout.record_codec;
    // A file of the original names no codec.
    let named = info.checked;
    json!({
        "store": path.to_string_lossy(),
        "records": info.records,
        "bytes": info.file_bytes,
        "raw_bytes": info.raw_bytes,
        "ratio": info.ratio(),
        "codec": named.then_some(codec),
        "codec_version": named.then_some(version),
        "compression": Compression::from(params.algorithm).name(),
        "level": params.level,
        "filter": params.filter.name(),
        "typesize": params.typesize,
        "purpose": info.layout.purpose.name(),
        "alignment": info.layout.alignment.name(),
        "chunk_size": info.chunk_size,
        "block_size": info.layout.block_size,
        "commits": info.commits,
        "generation": info.generation,
        "sealed": info.sealed,
        "sealed_records": info.sealed_records,
        "original_table": info.original_table,
        "shared": info.shared,
        "dead_records": info.dead_records,
        "dead_bytes": info.dead_bytes,
        "garbage_bytes": info.garbage,
        "log_bytes": info.log_bytes,
        "compactable_bytes": info.compactable,
        "checked": info.checked,
        "opened": opened(info),
        "attributes": store.attributes(),
    })
}

fn people(out: &mut Out, path: &Path, store: &Snapshot, info: &Info) -> Result<()> {
    let mut row = |name: &str, value: String| out.line(format!("{name:<12}{value}"));
    let params = info.layout.params();
    row("store", printable_path(path).into_owned())?;
    row("records", grouped(info.records))?;
    if info.shared > 0 {
        let frames = info.layout.record_codec.0 == "md-frame";
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
    let (codec, version) = &info.layout.record_codec;
    if info.checked {
        row("codec", format!("{codec}, version {version}"))?;
    } else {
        row("codec", "unknown: a file of the original program does not name it".into())?;
    }
    let block = match info.layout.block_size {
        0 => "blocks by purpose".into(),
        n => format!("blocks of {n}"),
    };
    let compression = params.algorithm.map_or("no compression".into(), |c| {
        format!("{}, level {}, {}", c.name(), params.level, params.filter.name())
    });
    row("compression", compression)?;
    row(
        "layout",
        format!(
            "purpose {}, chunks of {}, {block}, alignment {}",
            info.layout.purpose.name(),
            info.chunk_size,
            info.layout.alignment.name()
        ),
    )?;
    if info.checked {
        row("commits", grouped(info.commits))?;
        let sealed = if info.sealed {
            "all records: other programs see the whole store".into()
        } else {
            format!(
                "up to record {} of {}; `vlstore seal` shows other programs all records",
                grouped(info.sealed_records),
                grouped(info.records)
            )
        };
        row("sealed", sealed)?;
        let original = if info.original_table {
            "the original program finds what is sealed by its keys"
        } else {
            "the original program cannot read it; `vlstore seal --original` writes what it needs"
        };
        row("original", original.into())?;
        row(
            "dead",
            format!(
                "{} records, {}; {} of the file",
                grouped(info.dead_records),
                human(info.dead_bytes),
                human(info.garbage)
            ),
        )?;
        if info.compacting_pays() {
            let saved = human(info.compactable);
            row("compact", format!("`vlstore compact` would save about {saved}"))?;
        }
    }
    match info.opened {
        Opened::Intact => {}
        Opened::Unchecked => {
            row("unchecked", "a file of the original program: its bytes have no checksums".into())?
        }
        Opened::OlderCommit { generation } | Opened::LastSeal { generation } => row(
            "damaged",
            format!(
                "this is commit {generation}, not the newest; run `vlstore verify` for details"
            ),
        )?,
        _ => row("opened", opened(info).into())?,
    }
    let mut attributes = store.attributes();
    if let Some(imported) = describe_import(&attributes) {
        row("imported", imported)?;
        // Longer than a person wants to read; --json shows it.
        if let Some(members) = attributes.as_object_mut() {
            members.remove(IMPORT);
        }
    }
    if let Some(layer) = described_layer(&attributes) {
        row("layer", layer)?;
        if let Some(members) = attributes.as_object_mut() {
            members.remove(LAYER);
        }
    }
    if attributes.as_object().is_some_and(|a| !a.is_empty()) {
        row("attributes", attributes.to_string())?;
    }
    Ok(())
}

/// Which layer wrote the store, in words; nothing if none did, or in words of its own.
fn described_layer(attributes: &Value) -> Option<String> {
    let layer = attributes.get(LAYER)?;
    let name = layer.get("name").unwrap_or(layer).as_str()?.escape_debug();
    let version =
        layer.get("version").or_else(|| attributes.get("version")).and_then(Value::as_u64);
    Some(version.map_or_else(|| name.to_string(), |version| format!("{name}, version {version}")))
}
