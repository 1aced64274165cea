//! Series as comma-separated values: one column of times, the others channels.

use super::held::Series;
use super::stored::Stored;
use crate::backend::{Output, OutputPlace, There};
use crate::error::{Error, Result};
use crate::existing::Existing;
use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// What of a file is read, and how its lines are divided.
#[derive(Debug, Clone, Default)]
pub struct CsvOptions {
    /// Between columns: a character, or `None` for a comma, or blanks where a line has no comma.
    pub delimiter: Option<char>,
    /// The column of times, by its name or its number from 0; `None` for that named `time`, or else the
    /// first. An empty name for none: the times count from 0.
    pub time: Option<String>,
    /// The columns of values; empty for all others.
    pub values: Vec<String>,
}

/// A series that was read, and what its columns are called.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The points.
    pub points: Stored,
    /// The names of the channels; their numbers if the file has none.
    pub names: Vec<String>,
}

fn bad(line: u64, why: impl Into<Box<str>>) -> Error {
    Error::format("CSV", format!("line {line}"), why)
}

/// The cells of a line.
fn cells(line: &str, delimiter: Option<char>) -> Vec<Cow<'_, str>> {
    if line.contains('"') {
        return quoted(line, delimiter).into_iter().map(Cow::Owned).collect();
    }
    let split: Vec<&str> = match delimiter {
        Some(c) if c.is_whitespace() && c != '\t' => line.split_whitespace().collect(),
        Some(c) => line.split(c).collect(),
        None if line.contains(',') => line.split(',').collect(),
        None => line.split_whitespace().collect(),
    };
    split.into_iter().map(|cell| Cow::Borrowed(cell.trim())).collect()
}

/// The cells of a line with quotes: between two of them a delimiter is text, and two in a row are one.
fn quoted(line: &str, delimiter: Option<char>) -> Vec<String> {
    let blanks = match delimiter {
        Some(c) => c.is_whitespace() && c != '\t',
        None => !line.contains(','),
    };
    let ends = |c: char| if blanks { c.is_whitespace() } else { c == delimiter.unwrap_or(',') };
    let mut out = Vec::new();
    // Whether the place is between quotes, and whether the cell has any.
    let (mut cell, mut within, mut has) = (String::new(), false, false);
    let mut done = |cell: &mut String, has: &mut bool| {
        let text = std::mem::take(cell);
        if *has {
            out.push(text);
        } else if !blanks || !text.is_empty() {
            out.push(text.trim().to_owned());
        }
        *has = false;
    };
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '"' && within && chars.next_if_eq(&'"').is_some() {
            cell.push('"');
        } else if c == '"' {
            (within, has) = (!within, true);
        } else if !within && ends(c) {
            done(&mut cell, &mut has);
        } else if within || !(c.is_whitespace() && (has || cell.is_empty())) {
            cell.push(c);
        }
    }
    done(&mut cell, &mut has);
    out
}

/// A number as people and programs write it; nothing is NaN.
fn number(cell: &str) -> Option<f64> {
    if cell.is_empty() { Some(f64::NAN) } else { cell.parse().ok() }
}

/// Which column a name or a number means.
fn column(wanted: &str, names: &[String], count: usize) -> Result<usize> {
    let by_name = names.iter().position(|n| n == wanted);
    by_name.or_else(|| wanted.parse().ok().filter(|n| *n < count)).ok_or_else(|| {
        let known = if names.is_empty() { "no names".into() } else { names.join(", ") };
        Error::invalid("column", format!("there is none named {wanted:?}; the file has {known}"))
    })
}

/// Reads a series. A first line that is not of numbers names the columns; a line that begins with `#`
/// does so if it is the last one before the numbers, and else says nothing.
///
/// # Errors
/// [`Error::Format`] with the line that has another number of columns or no number;
/// [`Error::Invalid`] for a column that is not there; [`Error::Io`].
pub fn read_csv(path: &Path, options: &CsvOptions) -> Result<Table> {
    let file = std::fs::File::open(path).map_err(|e| Error::io("open", e).at(path))?;
    parse(BufReader::new(file), options).map_err(|e| e.at(path))
}

fn parse(from: impl BufRead, options: &CsvOptions) -> Result<Table> {
    let mut names: Vec<String> = Vec::new();
    // The column of times, and those of the values.
    let mut chosen: Option<(Option<usize>, Vec<usize>)> = None;
    let mut out = Stored::default();
    let mut width = 0;
    for (line, number_of) in from.split(b'\n').zip(1..) {
        let line = line.map_err(|e| Error::io("read", e))?;
        let line = str::from_utf8(&line).map_err(|_| bad(number_of, "it is not UTF-8"))?;
        let line = line.trim_start_matches('\u{feff}').trim_end_matches('\r');
        if line.trim().is_empty() {
            continue;
        }
        if let Some(comment) = line.trim_start().strip_prefix('#') {
            if chosen.is_none() {
                let found = cells(comment.trim(), options.delimiter);
                names = found.into_iter().map(Cow::into_owned).collect();
            }
            continue;
        }
        let found = cells(line, options.delimiter);
        if chosen.is_none() {
            let header = found.iter().any(|cell| number(cell).is_none());
            if header && out.channels.is_empty() && width == 0 {
                names = found.into_iter().map(Cow::into_owned).collect();
                width = names.len();
                continue;
            }
            if names.len() != found.len() {
                if width > 0 {
                    let why =
                        format!("it has {} columns, and the header names {width}", found.len());
                    return Err(bad(number_of, why));
                }
                // A comment that was one.
                names.clear();
            }
            width = found.len();
            let (time, values) = choose(options, &names, width)?;
            out.times = time.map(|_| Vec::new());
            out.channels = vec![Vec::new(); values.len()];
            chosen = Some((time, values));
        }
        if found.len() != width {
            let why = format!("it has {} columns, and the first has {width}", found.len());
            return Err(bad(number_of, why));
        }
        let Some((time, values)) = &chosen else { continue };
        let value = |at: usize| {
            let cell = found.get(at).map(Cow::as_ref).unwrap_or_default();
            number(cell).ok_or_else(|| bad(number_of, format!("{cell:?} is not a number")))
        };
        if let (Some(times), Some(at)) = (&mut out.times, time) {
            times.push(value(*at)?);
        }
        for (channel, at) in out.channels.iter_mut().zip(values) {
            channel.push(value(*at)?);
        }
    }
    let values = match chosen {
        Some((_, values)) => values,
        None => {
            // A header and no line behind it.
            let (time, values) = choose(options, &names, names.len())?;
            out.times = time.map(|_| Vec::new());
            out.channels = vec![Vec::new(); values.len()];
            values
        }
    };
    let named = |at: &usize| names.get(*at).cloned().unwrap_or_else(|| at.to_string());
    Ok(Table { points: out, names: values.iter().map(named).collect() })
}

fn choose(
    options: &CsvOptions,
    names: &[String],
    width: usize,
) -> Result<(Option<usize>, Vec<usize>)> {
    let time = match options.time.as_deref() {
        Some("") => None,
        Some(name) => Some(column(name, names, width)?),
        // One column alone is of values.
        None => (width > 1)
            .then(|| names.iter().position(|n| n.eq_ignore_ascii_case("time")).unwrap_or(0)),
    };
    let values: Vec<usize> = if options.values.is_empty() {
        (0..width).filter(|at| Some(*at) != time).collect()
    } else {
        options.values.iter().map(|name| column(name, names, width)).collect::<Result<_>>()?
    };
    if values.is_empty() {
        return Err(Error::invalid("columns", "there is none of values"));
    }
    Ok((time, values))
}

/// Bytes that are gathered before they are written.
const GATHERED: usize = 1 << 20;

/// Writes points as they come: the time and the value of each channel, with as few digits as lead back to
/// the same number. The file appears when it is whole. `next` gives pieces until there are no more.
///
/// # Errors
/// [`Error::Exists`] if there is a file and `existing` keeps it, [`Error::Io`]; what `next` returns.
pub fn write_csv(
    path: &Path,
    existing: Existing,
    names: &[String],
    mut next: impl FnMut() -> Result<Option<Series>>,
) -> Result<u64> {
    let mut write = || {
        if existing.is_replaced()
            && let There::File(_) = OutputPlace::of(path)?.there()
            && crate::store::is_store(path)?
        {
            let why = "this is a store, so it is not replaced by a table; name another file";
            return Err(Error::invalid("file to write", why));
        }
        let mut out = Output::create(path, existing, &mut || Ok(()))?;
        let mut text = String::from("time");
        for name in names {
            text.push(',');
            let plain = !name.contains([',', '"', '\n', '\r']);
            if plain {
                text.push_str(name);
            } else {
                let _ = write!(text, "\"{}\"", name.replace(['"', '\n', '\r'], " "));
            }
        }
        text.push('\n');
        let mut count = 0;
        while let Some(series) = next()? {
            for i in 0..series.len() {
                let _ = write!(text, "{:?}", series.time(i));
                for channel in 0..series.channels() {
                    let value = series.channel(channel).get(i).copied().unwrap_or(f64::NAN);
                    let _ = write!(text, ",{value:?}");
                }
                text.push('\n');
                if text.len() >= GATHERED {
                    out.write(text.as_bytes())?;
                    text.clear();
                }
            }
            count += series.len() as u64;
        }
        out.write(text.as_bytes())?;
        out.publish()?;
        Ok(count)
    };
    write().map_err(|e: Error| e.at(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, options: &CsvOptions) -> Result<Table> {
        parse(text.as_bytes(), options)
    }

    #[test]
    fn headers_comments_blanks_and_columns_are_understood() {
        let all = CsvOptions::default();
        let table = read("t,a,b\n0,1,2\r\n1,,inf\n", &all).unwrap();
        assert_eq!(table.names, ["a", "b"]);
        assert_eq!(table.points.times, Some(vec![0.0, 1.0]));
        assert_eq!(table.points.channels[1], [2.0, f64::INFINITY]);
        assert!(table.points.channels[0][1].is_nan());
        let table = read("#one two\n#t x y\n5e-324 -0.0 1\n\n", &all).unwrap();
        assert_eq!((table.names, table.points.len()), (vec!["x".into(), "y".into()], 1));
        assert_eq!(table.points.times, Some(vec![5e-324]));
        let some = CsvOptions { time: Some("b".into()), values: vec!["0".into()], ..all.clone() };
        let table = read("a,b\n1,2\n", &some).unwrap();
        assert_eq!((table.points.times, table.points.channels), (Some(vec![2.0]), vec![vec![1.0]]));
        let none = CsvOptions { time: Some(String::new()), ..all.clone() };
        let table = read("1;2\n3;4\n", &CsvOptions { delimiter: Some(';'), ..none }).unwrap();
        assert_eq!((table.points.times, table.names), (None, vec!["0".into(), "1".into()]));
        assert_eq!(read("7\n8\n", &all).unwrap().points.channels, [[7.0, 8.0]]);
        assert_eq!(read("t,v\n", &all).unwrap().points.len(), 0);
    }

    #[test]
    fn headers_with_quotes_and_times_elsewhere_are_understood() {
        let read = |text: &str| parse(text.as_bytes(), &CsvOptions::default());
        let table = read("v,\"a \"\"b\"\", c\",Time\n1,2,3\n\"4\", \"5\" ,6\n").unwrap();
        assert_eq!(table.names, ["v", "a \"b\", c"]);
        assert_eq!(table.points.times, Some(vec![3.0, 6.0]));
        assert_eq!(table.points.channels, [[1.0, 4.0], [2.0, 5.0]]);
        let table = read("\"my time\" \"v\"\n1 2\n").unwrap();
        assert_eq!((table.points.times, table.names), (Some(vec![1.0]), vec!["v".into()]));
        let why = read("time,a,b\n1,2\n").unwrap_err().to_string();
        assert!(why.contains("line 2") && why.contains("the header names 3"), "{why}");
        let table = read("time,\"\",b\n1,,2\n").unwrap();
        assert!(table.points.channels[0][0].is_nan() && table.names[0].is_empty());
    }

    #[test]
    fn what_is_no_table_is_refused_with_its_line() {
        let all = CsvOptions::default();
        let why = |text: &str| read(text, &all).unwrap_err().to_string();
        assert!(why("1,2\n3\n").contains("line 2"));
        assert!(why("t,v\n1,2\n1,x\n").contains("line 3: \"x\" is not a number"));
        let missing = CsvOptions { values: vec!["z".into()], ..all };
        assert!(read("t,v\n1,2\n", &missing).unwrap_err().to_string().contains("\"z\""));
    }
}
