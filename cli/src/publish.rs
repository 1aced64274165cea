//! `vlstore publish`: the members of a data set.

use crate::outcome::{Exit, Outcome};
use crate::output::{Out, grouped, plural, shown};
use crate::work::Work;
use serde_json::json;
use std::path::PathBuf;
use vlstore::dataset::{Edit, member_name};
use vlstore::{Error, Result};

const EXAMPLES: &str = "\
Examples:
  $ mkdir runs && cp frames.vls runs/a.vls && vlstore publish runs
  $ mkdir runs && cp frames.vls runs/a.vls && vlstore publish runs runs/a.vls
  $ mkdir runs && cp frames.vls runs/a.vls && vlstore publish runs
  $ mkdir d && cp frames.vls d && vlstore publish d && vlstore publish --remove frames.vls d

Several processes may write members side by side and publish each its own: what others published
meanwhile stays. A member that grew or was compacted is read as before until it is published again.";

/// Make the stores in a folder one data set, or add some to it: a new manifest, in one step
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The folder
    folder: PathBuf,
    /// Stores in the folder, which become members or are read again if they are
    /// [default: the *.vls and *.vlstore in it that are not members yet]
    stores: Vec<PathBuf>,
    /// Take this member out of the data set; its file stays. May be given more than once
    #[arg(long, value_name = "NAME")]
    remove: Vec<String>,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn hint(error: &Error) -> Option<&'static str> {
    matches!(error, Error::Locked).then_some("a member is published when its writer is closed")
}

pub(crate) fn run(args: &Args) -> Outcome {
    let mut edit = Edit::begin(&args.folder)?;
    let names = names(args, &edit)?;
    let mut work = Work::begin("bytes", args.json)?;
    let done = change(args, &mut edit, &names, &mut work);
    let publication = work.end(done)?;
    let members = edit.members();
    let records: u64 = members.iter().map(|m| m.records).sum();
    let mut out = Out::new();
    if args.json {
        out.line(json!({
            "publication": publication, "members": members.len(), "records": records, "read": names,
        }))?;
    } else {
        out.line(format!(
            "{}: publication {publication}, {}, {} records",
            shown(&args.folder),
            plural(members.len() as u64, "member"),
            grouped(records)
        ))?;
    }
    out.end()?;
    Ok(Exit::Done)
}

/// Which stores are read.
fn names(args: &Args, edit: &Edit) -> Result<Vec<String>> {
    if !args.stores.is_empty() {
        return args.stores.iter().map(|path| member_name(&args.folder, path)).collect();
    }
    if !args.remove.is_empty() {
        return Ok(Vec::new());
    }
    edit.new_stores()
}

fn change(args: &Args, edit: &mut Edit, names: &[String], work: &mut Work) -> Result<u64> {
    for name in &args.remove {
        edit.remove(name).map_err(|e| e.at(&args.folder))?;
    }
    let size = |name: &String| std::fs::metadata(args.folder.join(name)).map_or(0, |m| m.len());
    let total: u64 = names.iter().map(size).sum();
    let mut before = 0;
    for name in names {
        edit.put(name, |done, _| work.step((before + done).min(total), total))?;
        before += size(name);
    }
    edit.publish_on_top()
}
