//! `vlstore columns`: numbers of every record, without decoding the records.

use crate::open::open_source;
use crate::outcome::{Exit, Outcome};
use crate::output::Out;
use crate::ranges::{self, Slice};
use crate::{choices, get};
use serde_json::{Value, json};
use std::path::PathBuf;
use vlstore::Readable;
use vlstore::codec::AnyCodec;
use vlstore::depot::Columns;
use vlstore::{Column, ColumnData, ColumnValues, Error, Result};

const EXAMPLES: &str = "\
Examples:
  $ vlstore columns frames.vls
  $ vlstore columns frames.vls step time energy > run.csv
  $ vlstore columns --range ::100 --json frames.vls time cell weight";

/// Print numbers of every record (for frames step, time, energy, cell), without decoding them
///
/// Without names it lists the available columns. A column that the store does not keep,
/// as in files of the original program, is computed by decoding the records.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The store, or the folder of a data set
    store: PathBuf,
    /// Columns, in this order; every store has `weight` and `bytes`
    names: Vec<String>,
    /// Only these ordinals, as START:END:STEP
    #[arg(long, value_parser = ranges::parse, allow_hyphen_values = true)]
    range: Option<Slice>,
    /// Codec of the records, if the store does not name it
    #[arg(long, value_parser = choices::codec())]
    codec: Option<&'static str>,
    /// One JSON object on each line instead of comma-separated values
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let source = open_source(&args.store)?;
    let store = &*source;
    let mut out = Out::new();
    let mut write = || -> Result<()> {
        let codec = get::decoder(args.codec, store)?;
        if args.names.is_empty() {
            return list(&mut out, store, codec, args.json);
        }
        let ordinals: Vec<u64> = args.range.unwrap_or(Slice::ALL).of(store.len()).collect();
        let first = ordinals.iter().min().copied().unwrap_or(0);
        let end = ordinals.iter().max().map_or(0, |o| o + 1);
        let columns = args
            .names
            .iter()
            .map(|name| store.column_by(codec, name, first..end))
            .collect::<Result<Vec<_>>>()?;
        if !args.json {
            let names: Vec<String> = columns.iter().flat_map(|c| titles(&c.column)).collect();
            out.line(names.join(","))?;
        }
        for ordinal in ordinals {
            let i = usize::try_from(ordinal - first).unwrap_or(usize::MAX);
            if args.json {
                out.line(Value::Object(columns.iter().map(|c| member(c, i)).collect()))?;
            } else {
                let cells: Vec<String> = columns.iter().flat_map(|c| cells(c, i)).collect();
                out.line(cells.join(","))?;
            }
        }
        Ok(())
    };
    write().map_err(|e| e.at(&args.store))?;
    out.end()?;
    Ok(Exit::Done)
}

pub(crate) fn hint(error: &Error) -> Option<&'static str> {
    match error {
        Error::Invalid { what: "column", .. } => {
            Some("`vlstore columns FILE` lists the columns; --codec names another codec")
        }
        _ => None,
    }
}

/// All columns, and which of them must be found by decoding.
fn list(out: &mut Out, store: &dyn Readable, codec: &dyn AnyCodec, json: bool) -> Result<()> {
    let always = [Column::WEIGHT, Column::BYTES];
    let kept: Vec<&Column> = store.columns().iter().chain(&always).collect();
    let made = codec.rows().map_or(&[][..], |maker| maker.columns);
    let made = made.iter().filter(|c| !kept.iter().any(|k| k.name == c.name));
    for (column, kept) in kept.iter().map(|c| (*c, true)).chain(made.map(|c| (c, false))) {
        let Column { name, kind, count } = column;
        if json {
            out.line(json!({"name": name, "kind": kind.name(), "count": count, "kept": kept}))?;
        } else {
            let how = if kept { "kept" } else { "computed by decoding" };
            out.line(format!("{name:<16} {:<4} {count:>4}  {how}", kind.name()))?;
        }
    }
    Ok(())
}

/// The titles of a column: `cell_0` to `cell_8`.
pub(crate) fn titles(column: &Column) -> Vec<String> {
    if column.count == 1 {
        return vec![column.name.to_string()];
    }
    (0..column.count).map(|i| format!("{}_{i}", column.name)).collect()
}

/// The numbers of a record as JSON, `null` where it has none.
fn numbers(column: &ColumnData, i: usize) -> Vec<Value> {
    let count = column.column.count as usize;
    let at = i.saturating_mul(count)..i.saturating_add(1).saturating_mul(count);
    match &column.values {
        ColumnValues::I64(v) => {
            let some = v.get(at).unwrap_or_default().iter();
            some.map(|n| if *n == i64::MIN { Value::Null } else { json!(n) }).collect()
        }
        // What is not a number of JSON's is none here either.
        ColumnValues::F64(v) => v.get(at).unwrap_or_default().iter().map(|x| json!(x)).collect(),
    }
}

/// The numbers of a record as text, empty where it has none.
pub(crate) fn cells(column: &ColumnData, i: usize) -> Vec<String> {
    let text = |n: Value| if n.is_null() { String::new() } else { n.to_string() };
    numbers(column, i).into_iter().map(text).collect()
}

/// The column and the numbers of a record as a member of a JSON object.
pub(crate) fn member(column: &ColumnData, i: usize) -> (String, Value) {
    let mut numbers = numbers(column, i);
    let value = if column.column.count == 1 { numbers.pop() } else { Some(numbers.into()) };
    (column.column.name.to_string(), value.unwrap_or_default())
}
