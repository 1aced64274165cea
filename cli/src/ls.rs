//! `vlstore ls`: the records of a store.

use crate::open::open_source;
use crate::outcome::{Exit, Outcome};
use crate::output::{Out, key_json};
use crate::ranges::{self, Slice};
use crate::{choices, columns, get, keys};
use serde_json::json;
use std::ops::Range;
use std::path::PathBuf;
use vlstore::Readable;
use vlstore::codec::AnyCodec;
use vlstore::depot::Columns;
use vlstore::{ColumnData, Result};

const EXAMPLES: &str = "\
Examples:
  $ vlstore ls frames.vls
  $ vlstore ls --range 0:10 frames.vls
  $ vlstore ls --json --range -5: frames.vls
  $ vlstore ls --columns energy,step --range 0:10 frames.vls";

/// List records: ordinal, key, bytes and weight, and columns if requested, from the index alone
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The store, or the folder of a data set
    store: PathBuf,
    /// Only these ordinals, as START:END:STEP
    #[arg(long, value_parser = ranges::parse, allow_hyphen_values = true)]
    range: Option<Slice>,
    /// Also these columns, comma-separated: for frames step, time, energy and cell; those that the
    /// store does not keep are computed by decoding the records
    #[arg(long, value_delimiter = ',', value_name = "COLUMN")]
    columns: Vec<String>,
    /// Codec of the records, if the store does not name it
    #[arg(long, value_parser = choices::codec())]
    codec: Option<&'static str>,
    /// One JSON object on each line
    #[arg(long)]
    json: bool,
}

/// Records of which columns are held at a time.
const WINDOW: u64 = 1 << 16;

/// The columns of the records around the one that was asked for last.
struct Shown<'a> {
    store: &'a dyn Readable,
    codec: &'static dyn AnyCodec,
    names: &'a [String],
    /// From the first record to be listed to the last.
    bounds: Range<u64>,
    held: Range<u64>,
    data: Vec<ColumnData>,
}

impl Shown<'_> {
    /// The columns, and which of their rows is that of the record at `ordinal`.
    fn at(&mut self, ordinal: u64) -> Result<(usize, &[ColumnData])> {
        if !self.held.contains(&ordinal) {
            let first = (ordinal - ordinal % WINDOW).max(self.bounds.start);
            let end = (ordinal - ordinal % WINDOW + WINDOW).min(self.bounds.end);
            let read = |name: &String| self.store.column_by(self.codec, name, first..end);
            self.data = self.names.iter().map(read).collect::<Result<_>>()?;
            self.held = first..end;
        }
        let row = usize::try_from(ordinal - self.held.start).unwrap_or(usize::MAX);
        Ok((row, &self.data))
    }
}

pub(crate) fn run(args: &Args) -> Outcome {
    let source = open_source(&args.store)?;
    let store = &*source;
    let mut out = Out::new();
    let mut list = || -> Result<()> {
        let chosen = args.range.unwrap_or(Slice::ALL).of(store.len());
        let (mut first, mut last) = (u64::MAX, 0);
        chosen.for_each(|o| (first, last) = (first.min(o), last.max(o)));
        let mut shown = match &args.columns[..] {
            [] => None,
            names => Some(Shown {
                store,
                codec: get::decoder(args.codec, store)?,
                names,
                bounds: first..last.saturating_add(1),
                held: 0..0,
                data: Vec::new(),
            }),
        };
        let mut titled = args.json;
        let mut show = |ordinal: u64, key: Option<vlstore::Key>, at: vlstore::Location| {
            let (row, data) = shown.as_mut().map_or(Ok((0, &[][..])), |s| s.at(ordinal))?;
            if !std::mem::replace(&mut titled, true) {
                out.line(titles(data))?;
            }
            if args.json {
                let mut record = json!({
                    "ordinal": ordinal,
                    "key": key_json(key.as_ref()),
                    "bytes": at.len(),
                    "weight": at.weight,
                });
                if let Some(members) = record.as_object_mut() {
                    members.extend(data.iter().map(|c| columns::member(c, row)));
                }
                out.line(record)
            } else {
                let key = key.as_ref().map_or_else(|| "-".into(), keys::show);
                let cells: String = data
                    .iter()
                    .flat_map(|c| columns::cells(c, row))
                    .map(|cell| format!("{:>14} ", if cell.is_empty() { "-" } else { &cell }))
                    .collect();
                out.line(format!("{ordinal:>10} {:>10} {:>8}  {cells}{key}", at.len(), at.weight))
            }
        };
        match args.range {
            None => store.visit_index(&mut show)?,
            Some(range) => range
                .of(store.len())
                .try_for_each(|o| show(o, store.key_at(o)?, store.location_at(o)?))?,
        }
        // Nothing was listed: the names are told all the same, and checked.
        if first == u64::MAX {
            let mut data = Vec::new();
            for name in &args.columns {
                data.push(store.column_by(get::decoder(args.codec, store)?, name, 0..0)?);
            }
            if !args.json {
                out.line(titles(&data))?;
            }
        }
        Ok(())
    };
    list().map_err(|e| e.at(&args.store))?;
    out.end()?;
    Ok(Exit::Done)
}

fn titles(data: &[ColumnData]) -> String {
    let columns = data.iter().flat_map(|c| columns::titles(&c.column));
    let columns: String = columns.map(|title| format!("{title:>14} ")).collect();
    format!("{:>10} {:>10} {:>8}  {columns}{}", "ordinal", "bytes", "weight", "key")
}
