//! `vlstore verify`: every byte checked.

use crate::interrupt::Interrupt;
use crate::open::reach;
use crate::outcome::{Exit, Outcome, said};
use crate::output::{Out, complain, grouped, human, plural, shown};
use crate::progress::Progress;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use vlstore::Readable;
use vlstore::backend::RangeSource as _;
use vlstore::dataset::DataSet;
use vlstore::maintain::{Damage, Verified, verify_member};
use vlstore::remote::{self, RemoteOptions};
use vlstore::{Error, Opened, Result, StoreOptions, codec};

const EXAMPLES: &str = "\
Examples:
  $ vlstore verify frames.vls
  $ vlstore verify --json frames.vls
  $ vlstore verify -q frames.vls

Each damage is listed once, with its place in the file and its consequences: which records cannot
be read, and which cannot be found. The rest of the file is still checked. Damage that affects only
other programs is marked. Ends with status 3 if one of the stores is damaged, else with 1 if one
could not be checked.";

/// Check every checksum and every reference of a store
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The stores, or folders of data sets, of which each member is checked
    #[arg(required = true, value_name = "STORE")]
    stores: Vec<PathBuf>,
    /// Print nothing: the exit status says whether all are intact
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,
    /// As one JSON object for each store
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let interrupt = Interrupt::watch()?;
    let (mut damaged, mut failed) = (false, false);
    for (path, member) in parts(&args.stores, &mut failed) {
        let (path, member) = (&path, member.as_ref());
        let mut progress = Progress::new(0, "bytes", args.json || args.quiet);
        let checked = check(path, member, args.quiet, |done, total| {
            if let (Some(done), Some(total)) = (done, total) {
                progress.of(total);
                progress.at(done, done);
            }
            interrupt.check()
        });
        progress.end();
        match checked {
            Ok(found) => {
                damaged |= !found.is_intact() || found.frame.is_some();
                if !args.quiet {
                    tell(path, &found, args.json)?;
                }
            }
            Err(error) if matches!(error.root(), Error::Interrupted) => return Err(error),
            // Others on the line are checked all the same.
            Err(error) => {
                failed = true;
                complain(&format!("error: {}", said(&error)));
            }
        }
    }
    Ok(match (damaged, failed) {
        (true, _) => Exit::Damage,
        (false, true) => Exit::Failed,
        (false, false) => Exit::Done,
    })
}

/// Whether a data set is there: a folder, or an address below which a manifest is.
fn is_set(path: &Path) -> bool {
    let Some(url) = path.to_str().filter(|_| remote::is_url(path)) else { return path.is_dir() };
    let begun = RemoteOptions::from_env().and_then(|o| remote::source(url, &o)?.begin(1));
    matches!(begun, Err(e) if remote::is_missing(&e)) && DataSet::open(path).is_ok()
}

/// What is checked one by one: stores, and the members of data sets, which are told of where their manifest
/// cannot be read.
fn parts(paths: &[PathBuf], failed: &mut bool) -> Vec<(PathBuf, Option<(DataSet, usize)>)> {
    let mut out = Vec::new();
    for path in paths {
        if !is_set(path) {
            out.push((path.clone(), None));
            continue;
        }
        let listed = DataSet::open(path).and_then(|set| {
            let one = |i| Ok((set.path(i)?, Some((set.clone(), i))));
            (0..set.members().len()).map(one).collect::<Result<Vec<_>>>()
        });
        match listed {
            Ok(members) => out.extend(members),
            Err(error) => {
                *failed = true;
                complain(&format!("error: {}", said(&error)));
            }
        }
    }
    out
}

/// Checks one store. Where it cannot even be opened for its damage, that is the damage.
fn check(
    path: &Path,
    member: Option<&(DataSet, usize)>,
    quiet: bool,
    mut progress: impl FnMut(Option<u64>, Option<u64>) -> Result<()>,
) -> Result<Verified> {
    let tell = |kind: &str, what: &str| {
        if !quiet {
            complain(&format!(
                "{kind}: {}: {what}; `vlstore recover` writes a new store with everything that is left",
                shown(path)
            ));
        }
    };
    if let Some((set, number)) = member {
        let progress = |done, total| progress(Some(done), Some(total));
        return verify_member(set, *number, codec::refers, progress).map_err(|e| e.at(path));
    }
    let store = match reach(path, &StoreOptions::default()) {
        Ok(store) => store,
        Err(error) => {
            let Error::Corrupt(found) = error.root() else { return Err(error) };
            let mut damage = Damage::new(found.part, Some(found.offset), found.why);
            let what = damage.to_string();
            tell("error", &what);
            damage.why = format!("{}; nothing more can be checked", found.why).into();
            return Ok(Verified { damages: vec![damage], ..Verified::default() });
        }
    };
    if let Opened::OlderCommit { generation } | Opened::LastSeal { generation } = store.opened() {
        let what = format!("the newest commit cannot be read; commit {generation} is checked");
        tell("warning", &what);
    }
    let mut found =
        store.verify(|done, total| progress(Some(done), Some(total))).map_err(|e| e.at(path))?;
    let references = store.verify_references(codec::refers, |_, _| progress(None, None));
    found.extend(references.map_err(|e| e.at(path))?);
    Ok(found)
}

fn tell(path: &Path, found: &Verified, as_json: bool) -> Result<()> {
    let mut out = Out::new();
    if as_json {
        out.line(object(path, found))?;
    } else {
        people(&mut out, path, found)?;
    }
    out.end()
}

/// A damage as JSON, with what follows from it.
pub(crate) fn damage_json(d: &Damage) -> Value {
    let effects: Vec<_> = d
        .effects
        .iter()
        .map(|e| {
            let records: Vec<_> = e
                .records
                .iter()
                .map(|r| json!({ "record": r.record, "ordinal": r.ordinal }))
                .collect();
            json!({ "what": e.what, "count": e.count, "records": records })
        })
        .collect();
    json!({
        "record": d.record, "ordinal": d.ordinal, "part": d.part,
        "offset": d.offset, "why": d.why, "effects": effects,
    })
}

fn object(path: &Path, found: &Verified) -> Value {
    let damages: Vec<_> = found.damages.iter().map(damage_json).collect();
    json!({
        "store": path.to_string_lossy(),
        "intact": found.is_intact(), "records": found.records, "shared": found.shared,
        "blocks": found.blocks,
        "bytes": found.bytes, "unchecked": found.unchecked, "frame": found.frame,
        "damages": damages,
    })
}

fn people(out: &mut Out, path: &Path, found: &Verified) -> Result<()> {
    for damage in &found.damages {
        let mut cause = String::new();
        // Writing to a string does not fail.
        let _ = damage.cause(&mut cause);
        out.line(cause)?;
        for effect in &damage.effects {
            out.line(format!("    {effect}"))?;
        }
    }
    if let Some(frame) = &found.frame {
        // The advice of the message is for other verbs.
        let what = frame.split("; `vlstore").next().unwrap_or_default();
        out.line(format!("for other programs: {what}; the records are not affected"))?;
    }
    if found.unchecked > 0 {
        out.line(format!(
            "unchecked: {} blocks have no checksum, as in files of the original program",
            grouped(found.unchecked)
        ))?;
    }
    let verdict = match found.damages.len() {
        0 => "intact".into(),
        n => plural(n as u64, "damage"),
    };
    out.line(format!(
        "{}: {verdict}; {} records, {} blocks, {} checked",
        shown(path),
        grouped(found.records),
        grouped(found.blocks),
        human(found.bytes)
    ))?;
    // Of a member that is missing or another file nothing can be recovered.
    if found.damages.iter().any(|damage| &*damage.part != "member") {
        let (first, path) = match remote::is_url(path) {
            true => ("fetch the object with a tool of its service; ", "FILE".into()),
            false => ("", shown(path).to_string()),
        };
        let advice =
            format!("`vlstore recover {path} NEW` writes a new store with all that is left");
        out.line(format!("{first}{advice}"))?;
    }
    Ok(())
}
