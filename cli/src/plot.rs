//! `vlstore plot`: series of a store as a picture.

mod chart;
mod draw;
mod read;

use crate::keys;
use crate::open::open;
use crate::outcome::{Exit, Outcome};
use crate::output::{complain, grouped, plural};
use crate::ranges::{self, Slice};
use chart::{Chart, Style};
use draw::Picture;
use std::path::PathBuf;
use vlstore::backend::{Output, OutputPlace, There};
use vlstore::printable::printable_path;
use vlstore::{Error, Existing, Key};

const EXAMPLES: &str = "\
Examples:
  $ vlstore plot curves.vls lc.png
  $ vlstore plot --series lc --points --invert curves.vls lc.svg
  $ vlstore plot --range 0:500 --size 1200x500 curves.vls first.png

However long a series is, what is drawn has a bounded size: of points that fall on the same column of
the picture the least and the greatest value are kept, and what is not a number is a gap.";

/// Most series that are drawn if none are named.
const ALL: usize = 10;

/// Draw series of a store of time series as a picture, PNG or SVG
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The store
    store: PathBuf,
    /// The picture to write, NAME.png or NAME.svg
    output: PathBuf,
    /// A series, by its id; may be given more than once [default: the first ten]
    #[arg(long, value_name = "ID", value_parser = keys::parse)]
    series: Vec<Key>,
    /// Only the points at these positions, as START:END
    #[arg(long, value_parser = ranges::parse, allow_hyphen_values = true)]
    range: Option<Slice>,
    /// Draw points instead of lines
    #[arg(long)]
    points: bool,
    /// Let the values grow downwards, as magnitudes of stars do
    #[arg(long)]
    invert: bool,
    /// Text above the picture [default: the name of the store]
    #[arg(long)]
    title: Option<String>,
    /// Text below the axis of times
    #[arg(long, default_value = "time")]
    x_label: String,
    /// Text beside the axis of values
    #[arg(long, default_value = "value")]
    y_label: String,
    /// Width and height, in pixels
    #[arg(long, value_name = "WxH", default_value = "1000x600", value_parser = draw::size)]
    size: (u32, u32),
    /// Replace an existing file; a store is never replaced
    #[arg(long)]
    overwrite: bool,
    /// No summary
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn hint(error: &Error) -> Option<&'static str> {
    match error {
        Error::Exists { .. } => Some("--overwrite replaces it"),
        Error::Invalid { what: "picture", .. } => Some("name it NAME.png or NAME.svg"),
        _ => None,
    }
}

pub(crate) fn run(args: &Args) -> Outcome {
    let picture = Picture::of(&args.output)?;
    let store = open(&args.store)?;
    let chosen = read::Chosen { ids: &args.series, most: ALL, range: args.range };
    let style = if args.points { Style::Points } else { Style::Line };
    let found = read::lines(&store, &chosen, style, args.size.0).map_err(|e| e.at(&args.store))?;
    let name = args.store.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let points = found.points;
    let chart = Chart {
        title: args.title.clone().unwrap_or(name),
        x_label: args.x_label.clone(),
        y_label: args.y_label.clone(),
        invert_y: args.invert,
        lines: found.lines,
    };
    let bytes = draw::draw(&chart, picture, args.size)?;
    if args.overwrite
        && let There::File(_) = OutputPlace::of(&args.output)?.there()
        && vlstore::store::is_store(&args.output)?
    {
        let why = "this is a store, so it is not replaced by a picture; are the arguments in the right order?";
        return Err(Error::invalid("file to write", why).at(&args.output));
    }
    let write = || {
        let mut out = Output::create(&args.output, Existing::of(args.overwrite), &mut || Ok(()))?;
        out.write(&bytes)?;
        out.publish()
    };
    write().map_err(|e: Error| e.at(&args.output))?;
    if !args.quiet {
        if found.left_out > 0 {
            complain(&format!(
                "note: {} more series are not drawn; --series chooses",
                grouped(found.left_out)
            ));
        }
        complain(&format!(
            "{}: {} with {}",
            printable_path(&args.output),
            plural(chart.lines.len() as u64, "line"),
            plural(points, "point")
        ));
    }
    Ok(Exit::Done)
}
