//! `vlstore plot`: what a store holds as a picture, in a file or in the terminal.

mod axis;
mod chart;
mod draw;
mod frames;
mod order;
mod series;
mod sizes;
mod terminal;
mod thin;

use crate::open::open;
use crate::outcome::{Exit, Outcome};
use crate::output::{Out, complain, grouped, plural};
use crate::ranges::{self, Slice};
use crate::work::Work;
use crate::{choices, keys};
use chart::{Chart, Style};
use draw::Picture;
use frames::XAxis;
use std::path::{Path, PathBuf};
use vlstore::backend::{ExistingOutput, Output, OutputPlace};
use vlstore::codec::{AnyCodec, MdFrameCodec, SeriesCodec};
use vlstore::printable::printable_path;
use vlstore::trajectory::quantities::{MeasureOptions, Quantity};
use vlstore::trajectory::{AtomGroup, Atoms};
use vlstore::{Column, Error, Existing, Key, Readable, Result, Store, Trajectory};

const EXAMPLES: &str = "\
Examples:
  $ vlstore plot frames.vls
  $ vlstore plot --quantity rmsd frames.vls rmsd.png
  $ vlstore plot --quantity rmsd --reference 500 --atoms 4:10 frames.vls backbone.svg
  $ vlstore plot --quantity radius-of-gyration --range 0:500 --terminal frames.vls
  $ vlstore plot --quantity volume --over step --output volume.png frames.vls
  $ vlstore plot --quantity bytes frames.vls sizes.png
  $ vlstore plot --quantity order --window 4096 --group 64 frames.vls order.png
  $ vlstore plot curves.vls lc.png
  $ vlstore plot --series lc --points --invert curves.vls lc.svg
  $ vlstore plot --range 0:500 --size 1200x500 curves.vls first.png

Quantities:
  energy              as stored
  temperature         K, from velocities and masses, else the property of that name; --dof
  rmsd                least RMSD from the frame --reference, every atom with the same weight
  radius-of-gyration  mass-weighted where frames or their topology have masses
  volume              of the cell
  property:NAME       a property of frames, with all its numbers
  bytes, weight       how many records have which size: of any store
  order               in which order the training loader serves the records of any store, how far that is
                      from a uniform shuffle, and which window is wide enough

Coordinates are used as they are stored: a molecule that crosses the border of a periodic cell is not put
together before.

However many points there are, what is drawn has a bounded size: of points that fall on the same column of
the picture the least and the greatest value are kept, and what is not a number is a gap.";

/// Most series that are drawn if none are named.
const ALL: usize = 10;

/// Draw what a store holds: quantities of frames over time, sizes of records, time series
///
/// As PNG or SVG, or without OUTPUT in the terminal. Without --quantity: of frames the energy,
/// else the RMSD, if they have them; the series of a store of time series; of others the sizes of
/// records in bytes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The store
    store: PathBuf,
    /// The picture to write, NAME.png or NAME.svg
    output: Option<PathBuf>,
    /// The same as OUTPUT
    #[arg(short, long = "output", value_name = "OUTPUT", conflicts_with = "output")]
    named_output: Option<PathBuf>,
    /// Draw in the terminal, on standard output; the default without OUTPUT
    #[arg(long)]
    terminal: bool,
    /// What to draw; see below
    #[arg(long, value_name = "NAME", value_parser = what, conflicts_with = "series")]
    quantity: Option<What>,
    /// A series, by its id; may be given more than once [default: the first ten]
    #[arg(long, value_name = "ID", value_parser = keys::parse)]
    series: Vec<Key>,
    /// Only these points or frames, as START:END, of frames also START:END:STEP
    #[arg(long, value_parser = ranges::parse, allow_hyphen_values = true)]
    range: Option<Slice>,
    /// The frame to compare with, by its ordinal; from the end where negative [default: 0]
    #[arg(long, value_name = "N", allow_hyphen_values = true, conflicts_with = "series")]
    reference: Option<i64>,
    /// Only these atoms of each frame, as START:END:STEP of their places
    #[arg(long, value_parser = ranges::parse, allow_hyphen_values = true, conflicts_with = "series")]
    atoms: Option<Slice>,
    /// Only the atoms in residues of this kind, as the topology of the frames names them
    #[arg(long, value_name = "KIND", value_parser = choices::atom_group(), conflicts_with_all = ["atoms", "series"])]
    atoms_of: Option<AtomGroup>,
    /// Degrees of freedom of the atoms, for the temperature [default: 3 for each]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "series")]
    dof: Option<u32>,
    /// What the axis below is, for frames [default: time, else frame]
    #[arg(long, value_enum, conflicts_with = "series")]
    over: Option<XAxis>,
    #[command(flatten)]
    order: order::OrderArgs,
    /// Draw points instead of lines
    #[arg(long)]
    points: bool,
    /// Let the values grow downwards, as magnitudes of stars do
    #[arg(long)]
    invert: bool,
    /// Text above the picture [default: the name of the store, and what is drawn]
    #[arg(long)]
    title: Option<String>,
    /// Text below the picture [default: what the axis is, with its unit]
    #[arg(long)]
    x_label: Option<String>,
    /// Text beside the picture [default: what the axis is, with its unit]
    #[arg(long)]
    y_label: Option<String>,
    /// Width and height of the file, in pixels
    #[arg(long, value_name = "WxH", default_value = "1000x600", value_parser = draw::size)]
    size: (u32, u32),
    /// Replace an existing file; a store is never replaced
    #[arg(long)]
    overwrite: bool,
    /// No summary
    #[arg(short, long)]
    quiet: bool,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
enum What {
    Frames(Quantity),
    Sizes(Column),
    Order,
}

fn what(name: &str) -> std::result::Result<What, String> {
    match name {
        "bytes" => Ok(What::Sizes(Column::BYTES)),
        "weight" => Ok(What::Sizes(Column::WEIGHT)),
        "order" => Ok(What::Order),
        _ => Quantity::from_name(name).map(What::Frames).ok_or_else(|| {
            let known = Quantity::NAMES.join(", ");
            format!("known are {known}, property:NAME, bytes, weight, order")
        }),
    }
}

pub(crate) fn hint(error: &Error) -> Option<&'static str> {
    match error {
        Error::Exists { .. } => Some("--overwrite replaces it"),
        Error::Invalid { what: "picture", .. } => Some("name it NAME.png or NAME.svg"),
        Error::Invalid { what: "quantity", .. } => Some(
            "`vlstore plot --quantity NAME STORE` draws one of these; --quantity bytes draws the sizes \
             of records of any store",
        ),
        _ => None,
    }
}

/// A chart, and what is to be said of it.
struct Drawing {
    chart: Chart,
    /// What was drawn, in a few words.
    summary: String,
    notes: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let output = args.output.as_deref().or(args.named_output.as_deref());
    let picture = output.map(Picture::of).transpose()?;
    let store = open(&args.store)?;
    let mut work = Work::begin("frames", args.quiet)?;
    let made = make(args, &store, &mut work);
    let made = work.end(made).map_err(|e| e.at(&args.store))?;
    if let Some((output, picture)) = output.zip(picture) {
        let bytes = draw::draw(&made.chart, picture, args.size)?;
        write(args, output, &bytes)?;
    }
    if args.terminal || output.is_none() {
        let mut out = Out::new();
        for line in terminal::text(&made.chart, columns()).lines() {
            out.line(line)?;
        }
        out.end()?;
    }
    if !args.quiet {
        made.notes.iter().for_each(|note| complain(&format!("note: {note}")));
        if let Some(output) = output {
            complain(&format!("{}: {}", printable_path(output), made.summary));
        }
    }
    Ok(Exit::Done)
}

/// Characters of a line of the terminal, as far as the shell says.
fn columns() -> usize {
    let said = std::env::var("COLUMNS").ok().and_then(|n| n.parse().ok());
    said.map_or(80, |n: usize| n.clamp(30, 200))
}

fn write(args: &Args, output: &Path, bytes: &[u8]) -> Result<()> {
    if args.overwrite
        && let ExistingOutput::File(_) = OutputPlace::of(output)?.there()
        && vlstore::store::is_store(output)?
    {
        let why = "this is a store, so it is not replaced by a picture; are the arguments in the right order?";
        return Err(Error::invalid("file to write", why).at(output));
    }
    let write = || {
        let mut out = Output::create(output, Existing::of(args.overwrite), &mut || Ok(()))?;
        out.write(bytes)?;
        out.publish()
    };
    write().map_err(|e: Error| e.at(output))
}

fn make(args: &Args, store: &Store, work: &mut Work) -> Result<Drawing> {
    let codec = store.layout().record_codec.0.as_str();
    let about_frames = args.reference.is_some()
        || args.atoms.is_some()
        || args.atoms_of.is_some()
        || args.dof.is_some()
        || args.over.is_some();
    if args.order.given() && args.quantity.as_ref().is_some_and(|what| *what != What::Order) {
        let why = "--window, --group, --shuffle, --seed, --epoch, --batch and --by are for --quantity order";
        return Err(Error::invalid("arguments", why));
    }
    match &args.quantity {
        Some(What::Order) => of_order(args, store),
        None if args.order.given() => of_order(args, store),
        Some(What::Frames(quantity)) => of_frames(args, store, Some(quantity.clone()), work),
        Some(What::Sizes(column)) => of_sizes(args, store, column),
        None if !args.series.is_empty() => of_series(args, store),
        None if codec == MdFrameCodec.name() || about_frames => of_frames(args, store, None, work),
        None if codec == SeriesCodec.name() => of_series(args, store),
        None => of_sizes(args, store, &Column::BYTES),
    }
}

/// The name of the store, and what is drawn of it.
fn title(args: &Args, what: &str) -> String {
    args.title.clone().unwrap_or_else(|| {
        let name = args.store.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if what.is_empty() { name } else { format!("{name}: {what}") }
    })
}

const fn style(args: &Args) -> Style {
    if args.points { Style::Points } else { Style::Line }
}

/// Columns of points: those of the file, else those of the terminal.
fn width(args: &Args) -> u32 {
    let file = args.output.is_some() || args.named_output.is_some();
    if file { args.size.0 } else { u32::try_from(2 * columns()).unwrap_or(160) }
}

fn lines(chart: &Chart, points: u64) -> String {
    format!("{} with {}", plural(chart.lines.len() as u64, "line"), plural(points, "point"))
}

fn of_series(args: &Args, store: &Store) -> Result<Drawing> {
    let chosen = series::Chosen { ids: &args.series, most: ALL, range: args.range };
    let found = series::lines(store, &chosen, style(args), width(args))?;
    let more = (found.left_out > 0).then(|| {
        format!("{} more series are not drawn; --series chooses", grouped(found.left_out))
    });
    let chart = Chart {
        title: title(args, ""),
        x_label: args.x_label.clone().unwrap_or_else(|| "time".into()),
        y_label: args.y_label.clone().unwrap_or_else(|| "value".into()),
        invert_y: args.invert,
        log_x: false,
        lines: found.lines,
    };
    let summary = lines(&chart, found.points);
    Ok(Drawing { chart, summary, notes: more.into_iter().collect() })
}

fn of_sizes(args: &Args, store: &Store, column: &Column) -> Result<Drawing> {
    let found = sizes::distribution(store, column)?;
    let what =
        if *column == Column::BYTES { "size of a record (bytes)" } else { "weight of a record" };
    let chart = Chart {
        title: title(args, &plural(found.records, "record")),
        x_label: args.x_label.clone().unwrap_or_else(|| what.into()),
        y_label: args.y_label.clone().unwrap_or_else(|| "records".into()),
        invert_y: args.invert,
        log_x: found.log,
        lines: vec![found.line],
    };
    Ok(Drawing { chart, summary: plural(found.records, "record"), notes: Vec::new() })
}

fn of_order(args: &Args, store: &Store) -> Result<Drawing> {
    let found = order::order(&store.snapshot(), &args.order)?;
    let chart = Chart {
        title: title(args, &found.title),
        x_label: args.x_label.clone().unwrap_or_else(|| "place in the epoch".into()),
        y_label: args.y_label.clone().unwrap_or_else(|| "place in the store".into()),
        invert_y: args.invert,
        log_x: false,
        lines: vec![found.line],
    };
    Ok(Drawing { chart, summary: found.summary, notes: found.notes })
}

fn of_frames(
    args: &Args,
    store: &Store,
    quantity: Option<Quantity>,
    work: &mut Work,
) -> Result<Drawing> {
    let trajectory = Trajectory::new(store.snapshot())?;
    let options = MeasureOptions {
        quantity: asked(args, &trajectory, quantity)?,
        frames: args.range.unwrap_or(Slice::ALL).choice(trajectory.len()),
        atoms: args.atoms.map(Slice::atoms).or(args.atoms_of.map(Atoms::Of)).unwrap_or_default(),
    };
    let drawn = (style(args), width(args));
    let found = frames::lines(&trajectory, &options, args.over, drawn, work)?;
    let (counted, frames) = (found.measured.counted, found.measured.frames);
    let mut notes = Vec::new();
    if counted < frames {
        notes.push(format!(
            "{} of {} do not have this quantity",
            grouped(frames - counted),
            plural(frames, "frame")
        ));
    }
    if found.left_out > 0 {
        notes.push(format!(
            "{} more numbers of the property are not drawn",
            grouped(found.left_out)
        ));
    }
    let physical = !matches!(options.quantity, Quantity::Property(_));
    if found.measured.unit.is_none() && found.measured.how.is_none() && physical {
        notes.push("the store does not state its units; numbers are drawn unchanged".into());
    }
    let chart = Chart {
        title: title(args, &described(args, &options.quantity, found.measured.how.as_deref())),
        x_label: args.x_label.clone().unwrap_or(found.x_label),
        y_label: args.y_label.clone().unwrap_or(found.y_label),
        invert_y: args.invert,
        log_x: false,
        lines: found.lines,
    };
    let summary = lines(&chart, counted);
    Ok(Drawing { chart, summary, notes })
}

/// The quantity with the options that belong to it; which are for another one is refused.
fn asked(args: &Args, trajectory: &Trajectory, quantity: Option<Quantity>) -> Result<Quantity> {
    let for_another = |option: &str, name: &str| {
        Err(Error::invalid("arguments", format!("{option} is for --quantity {name}")))
    };
    let mut quantity = match quantity {
        Some(quantity) => quantity,
        None if args.reference.is_some() => Quantity::Rmsd { reference: 0 },
        None if args.dof.is_some() => Quantity::Temperature { degrees_of_freedom: None },
        None => by_itself(trajectory)?,
    };
    if let Some(n) = args.dof {
        let Quantity::Temperature { degrees_of_freedom } = &mut quantity else {
            return for_another("--dof", "temperature");
        };
        *degrees_of_freedom = Some(n.into());
    }
    if let Some(n) = args.reference {
        let Quantity::Rmsd { reference } = &mut quantity else {
            return for_another("--reference", "rmsd");
        };
        let len = trajectory.len();
        let found = if n < 0 { len.checked_add_signed(n) } else { u64::try_from(n).ok() };
        *reference = found.filter(|n| *n < len).ok_or_else(|| {
            let why = format!("frame {n} does not exist: the store has {}", plural(len, "frame"));
            Error::invalid("reference", why)
        })?;
    }
    let of_atoms = ["rmsd", "radius-of-gyration", "temperature"];
    if (args.atoms.is_some() || args.atoms_of.is_some()) && !of_atoms.contains(&&*quantity.name()) {
        return for_another("--atoms", &of_atoms.join(", "));
    }
    Ok(quantity)
}

/// What is drawn of frames if nothing is named: what the first of them has.
fn by_itself(trajectory: &Trajectory) -> Result<Quantity> {
    if trajectory.is_empty() {
        return Ok(Quantity::Energy);
    }
    let first = trajectory.get_at(0)?;
    let there = Quantity::of_frame(trajectory, &first.view()?)?;
    let has = |name: &str| there.iter().any(|t| t == name);
    let best = ["energy", "rmsd"].into_iter().find(|name| has(name));
    let best = best.or_else(|| there.first().map(|name| &**name)).unwrap_or("energy");
    Ok(Quantity::from_name(best).unwrap_or(Quantity::Energy))
}

/// What is drawn, of which atoms, and how it was found.
fn described(args: &Args, quantity: &Quantity, how: Option<&str>) -> String {
    let mut out = frames::title(quantity);
    if let Quantity::Rmsd { reference } = quantity {
        out += &format!(" from frame {reference}");
    }
    if let Some(atoms) = args.atoms {
        let (start, end, step) = atoms.parts();
        let part = |n: Option<i64>| n.map_or_else(String::new, |n| n.to_string());
        out += &format!(", atoms {}:{}", part(start), part(end));
        if step != 1 {
            out += &format!(":{step}");
        }
    }
    if let Some(kind) = args.atoms_of {
        out += &format!(", {}", kind.name());
    }
    if let Some(how) = how {
        out += &format!(", {how}");
    }
    out
}
