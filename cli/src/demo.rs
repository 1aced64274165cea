//! `vlstore demo`: a real trajectory, a writer that is killed, and a check of every frame.

mod measure;

pub(crate) use measure::shuffled;
use vlstore::Readable;

use crate::outcome::{Exit, Outcome};
use crate::output::{Out, human, plural, shown};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use vlstore::backend::Output;
use vlstore::codec::MdFrame;
use vlstore::formats;
use vlstore::{Error, Existing, Opened, Result, Store, Trajectory};

/// Alanine dipeptide in water: 1324 atoms, 160 frames, 16 ps.
const CARRIED: &[u8] = include_bytes!("../data/ala2-npt-160.xtc");
const CARRIED_NAME: &str = "ala2-npt-160.xtc";
/// Longest that a child may take.
const PATIENCE: Duration = Duration::from_secs(120);

const EXAMPLES: &str = "\
Examples:
  $ vlstore demo
  $ vlstore demo --keep demo-files run.xtc";

/// Import a real trajectory, kill the writer half-way, resume, read back, compare, measure
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Your own trajectory [default: a small one that is part of the program]
    trajectory: Option<PathBuf>,
    /// Work in this folder and leave the files there [default: a temporary folder]
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let mut out = Out::new();
    let temporary;
    let folder: &Path = match &args.keep {
        Some(folder) => {
            fs::create_dir_all(folder).map_err(|e| Error::io("make the folder", e).at(folder))?;
            folder
        }
        None => {
            temporary = tempfile::tempdir().map_err(|e| Error::io("make a temporary folder", e))?;
            temporary.path()
        }
    };
    let store = folder.join("demo.vls");
    let carried = folder.join(CARRIED_NAME);
    let source = match &args.trajectory {
        Some(own) => own.as_path(),
        None => {
            let mut file = Output::create(&carried, Existing::Replace, &mut || Ok(()))?;
            file.write(CARRIED).and_then(|()| file.publish()).map_err(|e| e.at(&carried))?;
            &carried
        }
    };
    let frames = decode(source)?;
    let size = fs::metadata(source).map_err(|e| Error::io("look at", e).at(source))?.len();
    let atoms = frames.first().map_or(0, |f| f.nsites);
    out.line(format!(
        "source    {}: {} of {atoms} atoms, {}\n",
        shown(source),
        plural(frames.len() as u64, "frame"),
        human(size)
    ))?;
    if frames.len() < 4 {
        let why = "the demonstration needs four frames or more, to stop half-way";
        return Err(Error::invalid("trajectory", why).at(source));
    }
    if store.exists() {
        if !vlstore::store::is_store(&store)? {
            let why = "this is not a store, so it is not replaced; delete it first";
            return Err(Error::invalid("path", why).at(&store));
        }
        fs::remove_file(&store).map_err(|e| Error::io("remove", e).at(&store))?;
    }

    let survived = kill_half_way(&mut out, source, &store, frames.len() as u64)?;
    go_on(&mut out, source, &store, survived)?;
    compare(&mut out, &store, &frames)?;
    measure::table(&mut out, source, &store, folder, &frames)?;
    if args.keep.is_some() {
        out.line(format!("\nThe store is {}.", shown(&store)))?;
    }
    out.end()?;
    Ok(Exit::Done)
}

/// All frames of the source, decoded by its own reader; no store is involved.
fn decode(source: &Path) -> Result<Vec<MdFrame>> {
    let mut reader = formats::open(source)?;
    let mut frames = Vec::new();
    let mut frame = MdFrame::default();
    while reader.next_frame(&mut frame)? {
        frames.push(std::mem::take(&mut frame));
    }
    Ok(frames)
}

fn import(source: &Path, store: &Path, more: &[&str]) -> Result<Child> {
    let me = std::env::current_exe().map_err(|e| Error::io("find this program", e))?;
    Command::new(me)
        .args(["import", "--quiet", "--commit-every", "20frames"])
        .args(more)
        .arg(source)
        .arg(store)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|e| Error::io("start a writer", e))
}

/// Starts a writer that adds frames as a simulation would, watches the file grow as any reader
/// may, and kills the writer half-way. Returns how many frames survived.
fn kill_half_way(out: &mut Out, source: &Path, store: &Path, total: u64) -> Result<u64> {
    // Slow enough to be caught half-way, fast enough not to bore.
    let pace = (2_000_000 / total.max(1)).clamp(1, 200_000).to_string();
    let begun = Instant::now();
    let mut child = import(source, store, &["--pace", &pace])?;
    let mut reader: Option<Store> = None;
    let mut seen = 0;
    let mut looks = 0_u64;
    while seen < total / 2 {
        std::thread::sleep(Duration::from_millis(5));
        if let Some(ended) = child.try_wait().map_err(|e| Error::io("wait for a writer", e))? {
            let why = format!("it ended before it could be killed ({ended})");
            return Err(Error::invalid("writer", why));
        }
        if begun.elapsed() > PATIENCE {
            stop(&mut child)?;
            return Err(Error::invalid("writer", "it took too long"));
        }
        match &mut reader {
            None => reader = Store::open(store).ok(),
            Some(reader) => {
                reader.refresh().map_err(|e| e.at(store))?;
                seen = reader.len();
                looks += 1;
            }
        }
    }
    let status = stop(&mut child)?;
    out.line(format!(
        "kill      a writer added frames and committed every 20; a reader looked {looks} times \
         while it wrote\n          and saw {seen}, then the writer was killed ({})",
        ended_by(status)
    ))?;
    let after = Store::open(store)?;
    let survived = after.len();
    let state = match after.opened() {
        Opened::Intact => "intact",
        _ => "whole up to the last commit",
    };
    out.line(format!(
        "          left behind: {} {state}, {}",
        plural(survived, "frame"),
        human(after.info()?.file_bytes)
    ))?;
    if survived < seen {
        let why = format!("{seen} frames were committed and {survived} survived");
        return Err(Error::invalid("store", why).at(store));
    }
    out.flush()?;
    Ok(survived)
}

/// Kills the child by SIGKILL, which no program can answer, and waits for its end.
fn stop(child: &mut Child) -> Result<ExitStatus> {
    child.kill().map_err(|e| Error::io("kill the writer", e))?;
    child.wait().map_err(|e| Error::io("wait for a writer", e))
}

#[cfg(unix)]
fn ended_by(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match status.signal() {
        Some(9) => "signal 9, SIGKILL".into(),
        _ => status.to_string(),
    }
}

#[cfg(not(unix))]
fn ended_by(status: ExitStatus) -> String {
    status.to_string()
}

fn go_on(out: &mut Out, source: &Path, store: &Path, survived: u64) -> Result<()> {
    let mut child = import(source, store, &["--append"])?;
    let status = child.wait().map_err(|e| Error::io("wait for a writer", e))?;
    if !status.success() {
        return Err(Error::invalid("writer", format!("the second one failed ({status})")));
    }
    let all = Store::open(store)?.len();
    out.line(format!(
        "resume    a second writer, with the same trajectory and --append, added {}",
        plural(all.saturating_sub(survived), "frame")
    ))?;
    out.flush()
}

/// Every frame of the store against the source: at random one by one, shuffled in batches, and
/// in order.
fn compare(out: &mut Out, store: &Path, frames: &[MdFrame]) -> Result<()> {
    let depot = Trajectory::open(store)?;
    let wrong = |ordinal: u64, how: &str| {
        let why = format!("frame {ordinal}, read {how}, differs from that of the source");
        Error::invalid("store", why).at(store)
    };
    if depot.len() != frames.len() as u64 {
        let why = format!("it holds {} frames, the source {}", depot.len(), frames.len());
        return Err(Error::invalid("store", why).at(store));
    }
    let order = shuffled(depot.len());
    let right = |ordinal: u64| usize::try_from(ordinal).ok().and_then(|i| frames.get(i));
    for ordinal in &order {
        let item = depot.get(*ordinal)?;
        if right(*ordinal) != Some(&item.view()?.fields().to_owned()) {
            return Err(wrong(*ordinal, "at random"));
        }
    }
    for part in order.chunks(256) {
        for (view, ordinal) in depot.get_batch_at(part)?.iter().zip(part) {
            if right(*ordinal) != Some(&view?.fields().to_owned()) {
                return Err(wrong(*ordinal, "in a batch"));
            }
        }
    }
    for (ordinal, item) in (0..).zip(&depot) {
        if right(ordinal) != Some(&item?.view()?.fields().to_owned()) {
            return Err(wrong(ordinal, "in order"));
        }
    }
    let found = depot.snapshot().verify(|_, _| Ok(()))?;
    if let Some(damage) = found.damages.first() {
        return Err(Error::invalid("store", damage.to_string()).at(store));
    }
    out.line(format!(
        "compare   all {} equal those of the source in every field and bit: one by one at \
         random,\n          shuffled in batches, and in order; every checksum of the file is \
         right\n",
        plural(depot.len(), "frame")
    ))?;
    out.flush()
}
