//! `vlstore import`: trajectories into a store.

use crate::choices;
use crate::interrupt::Interrupt;
use crate::outcome::{Exit, Outcome};
use crate::output::{Out, complain, human, plural, shown};
use crate::progress::Progress;
use crate::resume_command::ResumeCommand;
use crate::sizes::{self, Interval};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use vlstore::formats::{FormatKind, InputOptions, NameMap};
use vlstore::trajectory::{
    Begin, Duplicates, ImportOptions, Imported, Importer, Input, Masses, Progress as Done, Target,
};
use vlstore::trajectory::{FrameForm, Positions, Sharing};
use vlstore::{
    Alignment, Compression, Durability, Error, Layout, Purpose, Result, Store, StoreOptions,
    WriteOptions,
};

const EXAMPLES: &str = "\
Examples:
  $ vlstore import run.xtc new.vls
  $ vlstore import --purpose random --compression lz4 run.xtc new.vls
  $ vlstore import --append run.xtc frames.vls
  $ vlstore import --append --from-step 30000 --drop-newer run.xtc frames.vls
  $ vlstore import --name-prefix frame- --commit-every 100frames run.xtc new.vls

Frames get integer keys: 0, 1, 2 and so on, across all inputs. Inputs may be compressed with gzip;
`-` is standard input. The command that comes with the Python package also reads H5MD, AMBER NetCDF,
dumps of LAMMPS, ASE trajectories and databases, Atompack files, and topologies such as TPR, PSF and PRMTOP.

The store keeps a record of its inputs. With --append the frames that it does not have yet are
added, independent of their steps, so the same command resumes an import that was stopped, also by a
kill, and no frame is lost or stored twice. A last frame that a simulation has only half written is
left for the next import. If it is not clear which frames are new, the import is refused, and the
message names the command to use.

Units are those of the format; the attributes of the store state them, and a file in other units
is refused. Ctrl-C finishes the current frame, commits and ends with status 130. Without --append,
a truncated file gives all its complete frames, then an error.";

/// Put the frames of trajectories into a store
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Trajectories: XTC, TRR, DCD, extended XYZ, PDB or GRO, detected by content, then by name, also compressed with
    /// gzip; `-` is standard input
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// The store to create or, with --append, to add to
    store: PathBuf,

    /// Add the frames that the store does not have yet; create the store if it does not exist
    #[arg(long, conflicts_with = "overwrite")]
    append: bool,
    /// Replace an existing store
    #[arg(long)]
    overwrite: bool,
    /// Begin at this simulation step: frames of the inputs with a smaller one are skipped
    #[arg(long, value_name = "STEP", conflicts_with = "from_frame", allow_negative_numbers = true)]
    from_step: Option<i64>,
    /// Begin at this frame of the inputs, counted from 0 across all of them
    #[arg(long, value_name = "N")]
    from_frame: Option<u64>,
    /// Delete the stored frames from --from-step or --from-frame on
    #[arg(long, requires = "append", conflicts_with = "keep_all")]
    drop_newer: bool,
    /// Add every frame of the inputs, also those that the store has already
    #[arg(long, requires = "append")]
    keep_all: bool,
    /// The store has the units of the inputs, although it does not state them
    #[arg(long, requires = "append")]
    same_units: bool,
    /// Accept frames with another number of atoms than those of the store
    #[arg(long)]
    mixed: bool,
    /// Store new frames of an input after those of later inputs
    #[arg(long, requires = "append")]
    out_of_order: bool,
    /// The inputs are still being written: leave an incomplete last frame for the next import
    /// [default with --append]
    #[arg(long, conflicts_with = "finished")]
    growing: bool,
    /// The inputs are complete: an incomplete last frame is an error [default without --append]
    #[arg(long)]
    finished: bool,
    /// What to do with frames that the inputs or the store have already, as a restarted simulation writes
    /// them: keep and report them, drop (the same step, time and content is stored once), latest (of two
    /// versions of a step, the later one and what follows it replace what was stored from there on),
    /// or refuse [default: keep]
    #[arg(long, value_name = "WHAT", value_parser = choices::duplicates())]
    duplicates: Option<Duplicates>,
    #[command(flatten)]
    older: crate::open::AcceptOlder,

    /// Format of the inputs [default: detected by content]
    #[arg(long, value_parser = choices::format())]
    format: Option<FormatKind>,
    /// Read a key or column of the inputs as a field, for example REF_energy=energy; can be
    /// repeated. FIELD is energy, stress, cell, pbc, time, step, name, positions, velocities, forces,
    /// types, masses or charges, or property:NAME for a property of another name
    #[arg(long, value_name = "NAME=FIELD", value_parser = mapping)]
    map: Vec<(String, String)>,
    /// Take what the frames have in common (names, residues, types, masses) from this file, such as
    /// PDB, GRO or extended XYZ, for inputs that do not say it; stored once
    #[arg(long, value_name = "FILE")]
    topology: Option<PathBuf>,
    /// Masses of atoms for which the input states none: given leaves them out, elements takes the
    /// standard atomic weights of the IUPAC by the types, which must be atomic numbers
    #[arg(long, value_name = "FROM", default_value = "given", value_parser = choices::masses())]
    masses: Masses,
    /// Store float64 arrays as float32 [default: as they are]
    #[arg(long)]
    float32: bool,
    /// Store what frames have in common (types, masses, labels) once, as a topology to which they
    /// refer; repeated: from the second frame with the same values
    #[arg(long, value_name = "WHEN", default_value = "repeated", value_parser = choices::sharing())]
    topologies: Sharing,
    /// Keep positions as integers of the precision that the input states where they are such to
    /// the last bit, which takes less than half the space, or as they are given; the original program
    /// sees only the latter
    #[arg(long, value_name = "HOW", default_value = "quantised", value_parser = choices::positions())]
    positions: Positions,
    /// Keep small frames without a table (lean), or each as a FlatBuffer (table), which the original program
    /// reads [default: lean]
    #[arg(long, value_name = "FORM", value_parser = choices::frames())]
    frames: Option<FrameForm>,
    /// Round positions to integers of one part in so many of the unit of length: 1000 keeps
    /// three decimals; nothing is rounded unasked
    #[arg(long, value_name = "PARTS", conflicts_with = "positions")]
    precision: Option<f32>,
    /// Use this string and the number as key instead of the number alone; --append keeps the form of
    /// the store
    #[arg(long, value_name = "TEXT")]
    name_prefix: Option<String>,

    /// What the store is for [default: balanced]
    #[arg(long, value_parser = choices::purpose())]
    purpose: Option<Purpose>,
    /// Compression [default: by purpose]
    #[arg(long, value_parser = choices::compression())]
    compression: Option<Compression>,
    /// Effort of the compression, 1 to 9 [default: by compression]
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
    /// job) or sync (survives a power failure) [default: kernel]
    #[arg(long, value_parser = choices::durability())]
    durability: Option<Durability>,
    /// Commit after this many frames, bytes or seconds, for example 100frames,8MiB,5s; a killed
    /// job loses at most that [default: 8MiB,5s]
    #[arg(long, value_name = "EACH", value_delimiter = ',', value_parser = sizes::interval)]
    commit_every: Vec<Interval>,
    /// Threads that compress [default: as many as cores]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// No progress and no summary
    #[arg(short, long)]
    quiet: bool,
    /// Wait this many microseconds before each frame, as a simulation would
    #[arg(long, hide = true, default_value_t = 0)]
    pace: u64,
}

impl Args {
    fn options(&self) -> StoreOptions {
        let mut options = StoreOptions {
            layout: Layout {
                purpose: self.purpose.unwrap_or_default(),
                compression: self.compression.unwrap_or_default(),
                level: self.level.unwrap_or(0),
                chunk_size: self.chunk_size.unwrap_or(0),
                block_size: self.block_size.unwrap_or(0),
                alignment: self.alignment.unwrap_or_default(),
                record_codec: self.frames.unwrap_or_default().record_codec(),
                ..Layout::default()
            },
            write: WriteOptions {
                durability: self.durability.unwrap_or_default(),
                threads: self.threads.unwrap_or(0),
                accept_older: self.older.accept_older,
                ..WriteOptions::default()
            },
        };
        if !self.commit_every.is_empty() {
            options.write.commit_bytes = u64::MAX;
            options.write.commit_interval = Duration::MAX;
        }
        for every in &self.commit_every {
            match every {
                Interval::Bytes(n) => options.write.commit_bytes = *n,
                Interval::Time(t) => options.write.commit_interval = *t,
                Interval::Frames(_) => {}
            }
        }
        options
    }

    fn commit_frames(&self) -> Option<u64> {
        self.commit_every.iter().find_map(|every| match every {
            Interval::Frames(n) => Some(*n),
            _ => None,
        })
    }

    /// All that an import is asked for.
    fn import_options(&self) -> Result<ImportOptions> {
        let mut read = InputOptions::of(self.format);
        read.map = NameMap::new(self.map.iter().cloned())?;
        let topology = self.topology.as_deref().map(vlstore::formats::read_topology);
        read.topology = topology.transpose()?.map(Arc::new);
        let target = match (self.append, self.overwrite) {
            (true, _) => Target::Append,
            (_, true) => Target::Replace,
            _ => Target::Create,
        };
        let step = self.from_step.map(Begin::Step);
        Ok(ImportOptions {
            store: self.options(),
            target,
            begin: step.or(self.from_frame.map(Begin::Frame)),
            drop_newer: self.drop_newer,
            keep_all: self.keep_all,
            same_units: self.same_units,
            read,
            float32: self.float32,
            precision: self.precision,
            masses: self.masses,
            positions: self.positions,
            topologies: self.topologies,
            key_prefix: self.name_prefix.clone(),
            commit_frames: self.commit_frames(),
            duplicates: self.duplicates,
            growing: if self.finished { Some(false) } else { self.growing.then_some(true) },
            mixed: self.mixed,
            out_of_order: self.out_of_order,
            ..ImportOptions::default()
        })
    }

    fn inputs(&self) -> Vec<Input> {
        let input = |path: &PathBuf| {
            if is_standard(path) { Input::standard() } else { Input::from(path.clone()) }
        };
        self.inputs.iter().map(input).collect()
    }

    /// Whether one of the inputs is standard input, which cannot be read again.
    pub(crate) fn reads_standard(&self) -> bool {
        self.inputs.iter().any(|path| is_standard(path))
    }
}

fn mapping(text: &str) -> std::result::Result<(String, String), String> {
    let (from, to) = text.rsplit_once('=').ok_or("expected NAME=FIELD")?;
    NameMap::new([(from, to)]).map_err(|e| e.to_string())?;
    Ok((from.into(), to.into()))
}

fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

pub(crate) fn run(args: &Args, resume: &ResumeCommand) -> Outcome {
    let options = args.import_options()?;
    options.check()?;
    let begun = Instant::now();
    let interrupt = Interrupt::watch()?;
    let mut importer = Importer::open(args.inputs(), &args.store, &options)?;
    resume.begun();
    crate::output::warn_without_lock(&args.store, importer.is_locked());
    crate::open::tell_accepted(&args.store, importer.opened());
    if let Some(has) = importer.layout().filter(|_| args.append) {
        refuse_another(args, &options.store.layout, has)?;
    }
    let mut progress: Option<Progress> = None;
    let passed = importer.run(|done: Done| {
        let bar = progress.get_or_insert_with(|| Progress::new(done.total, "frames", args.quiet));
        bar.at(done.bytes, done.frames);
        interrupt.check()?;
        if args.pace > 0 {
            std::thread::sleep(Duration::from_micros(args.pace));
        }
        Ok(())
    });
    if let Some(bar) = progress {
        bar.end();
    }
    let done = importer.imported();
    resume.came_to(done.skipped + done.frames);
    if let Err(Error::Interrupted) = passed.as_ref().map_err(Error::root) {
        complain(&format!(
            "interrupted: {} stored in {}",
            plural(done.records, "frame"),
            shown(&args.store)
        ));
        complain(&format!("hint: to resume: {}", resume.command()));
        return Err(Error::Interrupted);
    }
    if let Err(error) = passed {
        complain(&format!(
            "{}: stored {}, up to the error",
            shown(&args.store),
            plural(done.frames, "frame")
        ));
        return Err(error);
    }
    report(args, &importer, &done, begun)?;
    if !args.quiet {
        crate::open::tell_unsealed(&args.store);
    }
    Ok(Exit::Done)
}

/// A store keeps the layout that it was made with: another one is refused, not ignored.
fn refuse_another(args: &Args, asked: &Layout, has: &Layout) -> Result<()> {
    let number = |n: u32| n.to_string();
    let compression = |layout: &Layout| Compression::from(layout.params().algorithm).name();
    let form =
        |layout: &Layout| FrameForm::of(&layout.record_codec).map_or("no frames", FrameForm::name);
    let level = |layout: &Layout| layout.params().level.to_string();
    let all = [
        (
            "--purpose",
            args.purpose.is_some(),
            asked.purpose.name().into(),
            has.purpose.name().into(),
        ),
        (
            "--compression",
            args.compression.is_some(),
            compression(asked).into(),
            compression(has).into(),
        ),
        ("--level", args.level.is_some(), level(asked), level(has)),
        (
            "--chunk-size",
            args.chunk_size.is_some(),
            number(asked.chunk_size),
            number(has.chunk_size),
        ),
        (
            "--block-size",
            args.block_size.is_some(),
            number(asked.block_size),
            number(has.block_size),
        ),
        (
            "--alignment",
            args.alignment.is_some(),
            asked.alignment.name().into(),
            has.alignment.name().into(),
        ),
        ("--frames", args.frames.is_some(), form(asked).into(), form(has).into()),
    ];
    let other = all
        .into_iter()
        .find(|(_, given, asked, has): &(_, _, String, String)| *given && asked != has);
    let Some((name, _, asked, has)) = other else { return Ok(()) };
    let why = format!(
        "the store has {has}, not {asked}, and keeps it; leave {name} out, or make a store that \
         has it: vlstore copy {name} {asked} {} NEW",
        shown(&args.store)
    );
    Err(Error::invalid(name, why))
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn report(args: &Args, importer: &Importer, done: &Imported, begun: Instant) -> Result<()> {
    if args.quiet {
        return Ok(());
    }
    for note in &done.notes {
        complain(&format!("note: {note}"));
    }
    let mut out = Out::new();
    if done.dropped > 0 {
        out.line(format!("dropped {} of the store", plural(done.dropped, "frame")))?;
    }
    if done.skipped > 0 {
        let why = "the store has them already, or they were not requested";
        out.line(format!("skipped {}: {why}", plural(done.skipped, "frame")))?;
    }
    let kind = importer.kind();
    let unit = kind.map_or("", |kind| kind.units().length);
    let positions = match args.precision {
        Some(precision) => format!("; positions rounded to integers of 1/{precision} {unit}"),
        None if done.quantised > 0 => "; positions as integers, equal to the last bit".into(),
        None => String::new(),
    };
    let seconds = begun.elapsed().as_secs_f64().max(1e-9);
    let info = Store::open(&args.store)?.info().map_err(|e| e.at(&args.store))?;
    let input = match done.bytes {
        0 => String::new(),
        bytes => format!("{} of ", human(bytes)),
    };
    out.line(format!(
        "{}: {} imported, {} in all; {input}{} input, {:.0} frames/s{positions}",
        shown(&args.store),
        plural(done.frames, "frame"),
        human(info.file_bytes),
        kind.map_or("no", FormatKind::name),
        done.frames as f64 / seconds,
    ))?;
    out.end()
}
