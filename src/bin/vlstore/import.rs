//! `vlstore import`: trajectories into a store.

use crate::choices::{self, Compressor};
use crate::interrupt::Interrupt;
use crate::output::{Out, complain, human, plural};
use crate::progress::Progress;
use crate::sizes::{self, Every};
use crate::{Exit, Outcome};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use vlstore::codec::{MdFrame, MdFrameCodec};
use vlstore::depot::{Continue, Continued, Positions, Sharing, StartAt};
use vlstore::formats::{self, FormatKind, FrameReader};
use vlstore::trajectory::state_units;
use vlstore::{
    Alignment, Depot, DepotWriter, Durability, Error, Key, Purpose, Result, Store, StoreOptions,
};

const EXAMPLES: &str = "\
Examples:
  $ vlstore import run.xtc new.vls
  $ vlstore import --purpose random --codec lz4 run.xtc new.vls
  $ vlstore import --append run.xtc frames.vls
  $ vlstore import --append --from-step 30000 --drop-newer run.xtc frames.vls
  $ vlstore import --name-prefix frame- --commit-every 100frames run.xtc new.vls

Frames get whole-number keys: 0, 1, 2 and so on, across all inputs. With --append they go on
behind the last one, and frames that are not newer than the last stored one are skipped, so that
the same command can be given again after a stop.

Units are those of the format; the attributes of the store state them, and a file in other units
is refused. Ctrl-C finishes the current frame, commits and ends with status 130. A file that is
cut short gives all its whole frames, then an error.";

/// Put the frames of trajectories into a store
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Trajectories: XTC or extended XYZ, told by their content, then by their name
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// The store to make or, with --append, to add to
    store: PathBuf,

    /// Add to the store if it is there; frames up to its last step are skipped
    #[arg(long, conflicts_with = "overwrite")]
    append: bool,
    /// Replace a store that is there
    #[arg(long)]
    overwrite: bool,
    /// Begin at this simulation step: older frames of the inputs are skipped
    #[arg(long, value_name = "STEP", conflicts_with = "from_frame", allow_negative_numbers = true)]
    from_step: Option<i64>,
    /// Begin at this frame of the inputs, counted from 0 across all of them
    #[arg(long, value_name = "N")]
    from_frame: Option<u64>,
    /// Delete what the store has at and past --from-step or --from-frame
    #[arg(long, requires = "append", conflicts_with = "keep_all")]
    drop_newer: bool,
    /// Add every frame, also such as are not newer than the last stored one
    #[arg(long, requires = "append")]
    keep_all: bool,
    /// The store holds numbers in the units of the inputs, though it does not say so
    #[arg(long, requires = "append")]
    same_units: bool,

    /// Format of the inputs, if it is not to be told by their content
    #[arg(long, value_parser = choices::format())]
    format: Option<FormatKind>,
    /// Store float64 arrays as float32; nothing is narrowed unasked
    #[arg(long)]
    float32: bool,
    /// Store what frames have in common (types, masses, labels) once, as a topology to which they
    /// refer; repeated: from the second frame that has the same
    #[arg(long, value_name = "WHEN", default_value = "repeated", value_parser = choices::sharing())]
    topologies: Sharing,
    /// Keep positions as whole numbers of the precision that the input states where they are such to
    /// the last bit, which takes less than half the room, or as they are given; the original program
    /// sees only the latter
    #[arg(long, value_name = "HOW", default_value = "whole", value_parser = choices::positions())]
    positions: Positions,
    /// Round positions to whole numbers of one part in so many of the unit of length: 1000 keeps
    /// three decimals; nothing is rounded unasked
    #[arg(long, value_name = "PARTS", conflicts_with = "positions")]
    precision: Option<f32>,
    /// Name frames by this text and their number instead of the number alone
    #[arg(long, value_name = "TEXT")]
    name_prefix: Option<String>,

    /// What the store is for [default: balanced]
    #[arg(long, value_parser = choices::purpose())]
    purpose: Option<Purpose>,
    /// Compressor [default: by purpose]
    #[arg(long, value_parser = choices::compressor(), visible_alias = "compressor")]
    codec: Option<Compressor>,
    /// Effort of the compressor, 1 to 9 [default: by compressor]
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=9))]
    level: Option<u8>,
    /// Bytes of a chunk, the unit of writing [default: by purpose]
    #[arg(long, value_name = "SIZE", value_parser = sizes::small)]
    chunk_size: Option<u32>,
    /// Bytes of a block, the unit of random reading [default: by purpose and frames]
    #[arg(long, value_name = "SIZE", value_parser = sizes::small)]
    block_size: Option<u32>,
    /// Placement of frames [default: block]
    #[arg(long, value_parser = choices::alignment())]
    alignment: Option<Alignment>,
    /// What a commit waits for: none (only one commit, at the end), kernel (survives a killed
    /// job) or sync (survives a power cut) [default: kernel]
    #[arg(long, value_parser = choices::durability())]
    durability: Option<Durability>,
    /// Commit every so many frames, bytes or seconds, as in 100frames,8MiB,5s; a killed job
    /// loses at most that [default: 8MiB,5s]
    #[arg(long, value_name = "EACH", value_delimiter = ',', value_parser = sizes::every)]
    commit_every: Vec<Every>,
    /// Threads that compress [default: as many as cores]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// No progress and no summary
    #[arg(short, long)]
    quiet: bool,
    /// Wait so many microseconds before each frame, as a simulation would
    #[arg(long, hide = true, default_value_t = 0)]
    pace: u64,
}

pub(crate) fn hint(error: &Error) -> Option<&'static str> {
    match error {
        Error::Exists { .. } => Some("--append adds to the store, --overwrite replaces it"),
        Error::Invalid { what: "step", .. } => {
            Some("--from-frame N goes on from frame N of the inputs, --keep-all adds every frame")
        }
        Error::Io { source, .. }
            if matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::FileTooLarge) =>
        {
            Some("every commit is kept; make room, then --append goes on behind the last one")
        }
        _ => None,
    }
}

impl Args {
    fn options(&self) -> StoreOptions {
        let mut options = StoreOptions {
            purpose: self.purpose.unwrap_or_default(),
            codec: self.codec.map(|c| c.0),
            level: self.level.unwrap_or(0),
            chunk_size: self.chunk_size.unwrap_or(0),
            block_size: self.block_size.unwrap_or(0),
            alignment: self.alignment.unwrap_or_default(),
            durability: self.durability.unwrap_or_default(),
            threads: self.threads.unwrap_or(0),
            ..StoreOptions::default()
        };
        if !self.commit_every.is_empty() {
            options.commit_bytes = u64::MAX;
            options.commit_interval = Duration::MAX;
        }
        for every in &self.commit_every {
            match every {
                Every::Bytes(n) => options.commit_bytes = *n,
                Every::Time(t) => options.commit_interval = *t,
                Every::Frames(_) => {}
            }
        }
        options
    }

    fn positions(&self) -> Positions {
        self.precision.map_or(self.positions, Positions::Rounded)
    }

    fn commit_frames(&self) -> Option<u64> {
        self.commit_every.iter().find_map(|every| match every {
            Every::Frames(n) => Some(*n),
            _ => None,
        })
    }

    fn kind(&self, input: &Path) -> Result<FormatKind> {
        self.format.map_or_else(|| formats::detect(input), Ok)
    }

    fn key(&self, number: u64) -> Key {
        match &self.name_prefix {
            Some(prefix) => Key::from(format!("{prefix}{number}")),
            None => Key::from(number),
        }
    }
}

/// The inputs one after the other, as one row of frames.
struct Source<'a> {
    args: &'a Args,
    kinds: Vec<FormatKind>,
    reader: Box<dyn FrameReader>,
    input: usize,
    /// Bytes of the inputs before this one.
    before: u64,
    total: u64,
}

impl<'a> Source<'a> {
    /// Opens the first input and looks at all: nothing is made if one of them is missing.
    fn open(args: &'a Args) -> Result<Self> {
        let mut kinds = Vec::new();
        let mut total = 0;
        for input in &args.inputs {
            kinds.push(args.kind(input)?);
            total += formats::open_as(input, args.kind(input)?)?.progress().1;
        }
        let [first, others @ ..] = &kinds[..] else {
            return Err(Error::invalid("inputs", "there is none"));
        };
        for (kind, input) in others.iter().zip(args.inputs.iter().skip(1)) {
            if kind.units() != first.units() {
                let why = format!(
                    "this file is in the units of {}, the first in those of {}; units are not \
                     mixed in one store",
                    kind.name(),
                    first.name()
                );
                return Err(Error::invalid("units", why).at(input));
            }
        }
        let first = args.inputs.first().map(PathBuf::as_path).unwrap_or(Path::new(""));
        let reader = formats::open_as(first, args.kind(first)?)?;
        Ok(Self { args, kinds, reader, input: 0, before: 0, total })
    }

    fn kind(&self) -> FormatKind {
        self.reader.kind()
    }

    /// Goes on to the next input; whether there was one.
    fn next_input(&mut self) -> Result<bool> {
        let next = self.input + 1;
        let (Some(path), Some(kind)) = (self.args.inputs.get(next), self.kinds.get(next)) else {
            return Ok(false);
        };
        self.before += self.reader.progress().1;
        self.reader = formats::open_as(path, *kind)?;
        self.input = next;
        Ok(true)
    }

    fn next_frame(&mut self, frame: &mut MdFrame) -> Result<bool> {
        loop {
            if self.reader.next_frame(frame)? {
                return Ok(true);
            }
            if !self.next_input()? {
                return Ok(false);
            }
        }
    }

    /// Passes over so many frames, as far as there are.
    fn skip(&mut self, frames: u64) -> Result<u64> {
        let mut done = 0;
        loop {
            done += self.reader.skip(frames - done)?;
            if done == frames || !self.next_input()? {
                return Ok(done);
            }
        }
    }

    fn at(&self) -> u64 {
        self.before + self.reader.progress().0
    }
}

/// What an import did so far.
#[derive(Debug, Default)]
struct Tally {
    taken: u64,
    skipped: u64,
    /// Frames whose positions are stored as whole numbers.
    whole: u64,
}

pub(crate) fn run(args: &Args) -> Outcome {
    if args.drop_newer && args.from_step.is_none() && args.from_frame.is_none() {
        return Err(Error::invalid("--drop-newer", "wants --from-step or --from-frame with it"));
    }
    let options = args.options();
    options.check()?;
    if let Some(precision) = args.precision
        && !(precision.is_finite() && precision > 0.0)
    {
        return Err(Error::invalid("--precision", "it must be a number above zero"));
    }
    let begun = Instant::now();
    let mut source = Source::open(args)?;
    // A file whose first frame is damaged leaves no empty store behind.
    let (mut frame, mut after) = (MdFrame::default(), MdFrame::default());
    let mut number = source.skip(args.from_frame.unwrap_or(0))?;
    let mut more = narrowed_next(&mut source, &mut frame, args.float32)?;

    let interrupt = Interrupt::watch()?;
    let (mut writer, continued) = open_store(args, &options, &source)?;
    let mut next = continued.map_or(0, |c| c.next_frame);
    writer.share_topologies(args.topologies);
    writer.keep_positions(args.positions())?;
    let mut progress = Progress::new(source.total, "frames", args.quiet);
    let mut tally = Tally::default();
    let commit_frames = args.commit_frames();
    let mut uncommitted = 0;
    let mut signal = None;
    let mut pass = || -> Result<()> {
        while more {
            signal = interrupt.signal();
            if signal.is_some() {
                break;
            }
            if args.pace > 0 {
                std::thread::sleep(Duration::from_micros(args.pace));
            }
            // Read before this one is put, so that it is known what the two have in common; if it
            // cannot be read, this one is kept all the same.
            let next_frame = narrowed_next(&mut source, &mut after, args.float32);
            if let Ok(true) = next_frame {
                writer.foresee(&after)?;
            }
            if writer.put_frame(number, args.key(next), &frame)?.is_some() {
                tally.taken += 1;
                next += 1;
                uncommitted += 1;
                if commit_frames.is_some_and(|n| uncommitted >= n) {
                    writer.commit()?;
                    uncommitted = 0;
                }
            } else {
                tally.skipped += 1;
            }
            number += 1;
            progress.at(source.at(), tally.taken);
            more = next_frame?;
            std::mem::swap(&mut frame, &mut after);
        }
        Ok(())
    };
    let passed = pass();
    progress.end();
    let stored = writer.len();
    tally.whole = writer.kept_whole();
    // Whatever stopped it: what was read is kept.
    let closed = writer.close().map_err(|e| e.at(&args.store));
    if let Err(error) = passed {
        if closed.is_ok() {
            complain(&format!(
                "{}: stored {}, up to the error",
                args.store.display(),
                plural(tally.taken, "frame")
            ));
        }
        return Err(error.at(&args.store));
    }
    closed?;
    if let Some(signal) = signal {
        complain(&format!(
            "interrupted: {} stored in {}; --append goes on",
            plural(stored, "frame"),
            args.store.display()
        ));
        return Ok(Exit::Signal(signal));
    }
    report(args, &source, &tally, continued, begun)?;
    Ok(Exit::Done)
}

/// The next frame as it is to be stored; whether there was one.
fn narrowed_next(source: &mut Source<'_>, frame: &mut MdFrame, narrow: bool) -> Result<bool> {
    let more = source.next_frame(frame)?;
    if more && narrow {
        *frame = std::mem::take(frame).narrowed()?;
    }
    Ok(more)
}

fn open_store(
    args: &Args,
    options: &StoreOptions,
    source: &Source<'_>,
) -> Result<(DepotWriter<MdFrameCodec>, Option<Continued>)> {
    let path = &args.store;
    let there = path.try_exists().unwrap_or(false);
    for input in &args.inputs {
        if there && same_file(input, path) {
            return Err(Error::invalid("store", "it is also an input").at(path));
        }
    }
    let mut writer = if args.append && there {
        may_append(args, path, source)?;
        let writer = DepotWriter::open(path, MdFrameCodec, options)?;
        say_what_stays(args, options, writer.writer().options());
        writer
    } else if args.overwrite {
        DepotWriter::replace(path, MdFrameCodec, options)?
    } else {
        DepotWriter::create(path, MdFrameCodec, options)?
    };
    crate::output::warn_without_lock(path, writer.writer().is_locked());
    let prepare = |writer: &mut DepotWriter<MdFrameCodec>| {
        let known = writer.is_empty() || args.same_units;
        let attributes = writer.writer().attributes();
        if let Some(stated) = state_units(&attributes, &source.kind().units(), known)? {
            writer.writer_mut().set_attributes(&stated)?;
        }
        continue_in(args, writer)
    };
    let continued = prepare(&mut writer).map_err(|e| e.at(path))?;
    Ok((writer, continued))
}

/// Refuses before anything is changed: opening a file of the original program for writing turns
/// it into one of ours.
fn may_append(args: &Args, path: &Path, source: &Source<'_>) -> Result<()> {
    let look = || {
        let depot = Depot::new(Store::open(path)?.snapshot(), MdFrameCodec)?;
        let known = depot.is_empty() || args.same_units;
        state_units(&depot.snapshot().attributes(), &source.kind().units(), known).map(drop)
    };
    look().map_err(|e| e.at(path))
}

/// A store keeps the layout that it was made with: says so where another was asked for.
fn say_what_stays(args: &Args, asked: &StoreOptions, has: &StoreOptions) {
    let (new, old) = (asked.params(), has.params());
    let stays = [
        ("--purpose", args.purpose.is_some() && asked.purpose != has.purpose),
        ("--codec", args.codec.is_some() && new.codec != old.codec),
        ("--level", args.level.is_some() && new.level != old.level),
        ("--chunk-size", args.chunk_size.is_some() && asked.chunk_size != has.chunk_size),
        ("--block-size", args.block_size.is_some() && asked.block_size != has.block_size),
        ("--alignment", args.alignment.is_some() && asked.alignment != has.alignment),
    ];
    let names: Vec<&str> = stays.iter().filter(|(_, other)| *other).map(|(n, _)| *n).collect();
    if !names.is_empty() && !args.quiet {
        complain(&format!(
            "note: a store keeps what it was made with; {} changes nothing here",
            names.join(", ")
        ));
    }
}

/// Settles where frames go on, and under which number.
fn continue_in(args: &Args, writer: &mut DepotWriter<MdFrameCodec>) -> Result<Option<Continued>> {
    let how = match (args.drop_newer, args.keep_all || writer.is_empty()) {
        (true, _) => Continue::DropNewer,
        (_, true) => Continue::KeepAll,
        _ => Continue::SkipOlder,
    };
    let start = match (args.from_step, args.from_frame, how) {
        (Some(step), ..) => StartAt::Step(step),
        (None, Some(frame), _) => StartAt::Frame(frame),
        (None, None, Continue::SkipOlder) => StartAt::Step(i64::MIN),
        (None, None, _) => StartAt::Frame(0),
    };
    let mut continued = writer.continue_from(start, how)?;
    if let Some(prefix) = &args.name_prefix
        && let Some(last) = writer.len().checked_sub(1)
        && let Some(Key::Str(name)) = writer.snapshot()?.key_at(last)?
        && let Some(number) = name.strip_prefix(prefix.as_str())
        && let Ok(number) = number.parse::<u64>()
    {
        continued.next_frame = number.saturating_add(1);
    }
    Ok(Some(continued))
}

fn same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn report(
    args: &Args,
    source: &Source<'_>,
    tally: &Tally,
    continued: Option<Continued>,
    begun: Instant,
) -> Result<()> {
    if args.quiet {
        return Ok(());
    }
    let mut out = Out::new();
    let dropped = continued.map_or(0, |c| c.dropped);
    if dropped > 0 {
        out.line(format!("dropped {} of the store", plural(dropped, "frame")))?;
    }
    if tally.skipped > 0 {
        let why = "they are not newer than what is stored, or older than asked for";
        out.line(format!("skipped {}: {why}", plural(tally.skipped, "frame")))?;
    }
    let unit = source.kind().units().length;
    let positions = match args.precision {
        Some(precision) => format!("; positions rounded to whole numbers of 1/{precision} {unit}"),
        None if tally.whole > 0 => "; positions as whole numbers, equal to the last bit".into(),
        None => String::new(),
    };
    let seconds = begun.elapsed().as_secs_f64().max(1e-9);
    let info = Store::open(&args.store)?.info().map_err(|e| e.at(&args.store))?;
    out.line(format!(
        "{}: {} imported, {} in all; {} of {} input, {:.0} frames/s{positions}",
        args.store.display(),
        plural(tally.taken, "frame"),
        human(info.file_bytes),
        human(source.total),
        source.kind().name(),
        tally.taken as f64 / seconds,
    ))?;
    out.end()
}
