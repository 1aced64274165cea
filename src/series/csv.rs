//! Series from comma-separated values: one column of times, the others channels.

use super::stored::Stored;
use crate::error::{Error, Result};
use std::borrow::Cow;
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

/// Whether a cell is read as a number, exactly or not.
fn is_number(cell: &str) -> bool {
    cell.parse::<f64>().is_ok()
}

/// Digits of an integer up to which each is a number of 64 bits.
const EXACT_DIGITS: usize = 15;

/// A number as people and programs write it; nothing is NaN. A decimal fraction becomes the nearest number.
fn number(cell: &str) -> std::result::Result<f64, String> {
    if cell.is_empty() {
        return Ok(f64::NAN);
    }
    let value: f64 = cell.parse().map_err(|_| format!("{cell:?} is not a number"))?;
    if value.is_infinite() && cell.contains(|c: char| c.is_ascii_digit()) {
        return Err(format!(
            "{cell} is larger than any number of 64 bits (1.8e308); scale it first, or write inf"
        ));
    }
    if cell.len() > EXACT_DIGITS && !is_exact(cell, value) {
        return Err(format!(
            "the integer {cell} would be rounded to {value:?}; scale or shift it first, or write it with a \
             decimal point to have it rounded"
        ));
    }
    Ok(value)
}

/// Whether a text that is digits alone is this number.
fn is_exact(cell: &str, value: f64) -> bool {
    let digits = cell.trim_start_matches(['+', '-']).trim_start_matches('0');
    let whole = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    !whole || format!("{:.0}", value.abs()) == digits
}

/// Which column a name or a number means.
fn column(wanted: &str, names: &[String], count: usize) -> Result<usize> {
    let by_name = names.iter().position(|n| n == wanted);
    by_name.or_else(|| wanted.parse().ok().filter(|n| *n < count)).ok_or_else(|| {
        let known = if names.is_empty() { "no names".into() } else { names.join(", ") };
        Error::invalid("column", format!("{wanted:?} does not exist; the file has {known}"))
    })
}

/// Reads a series. Lines end with LF, CR LF or CR.
///
/// A first line without any number in it names the columns, if other lines follow or it names the column of
/// times; so does a line that begins with `#` if it is the last one before the numbers. All other lines are
/// numbers, an empty cell is NaN. A decimal fraction becomes the nearest number of 64 bits; an integer that
/// would be rounded and a number that would become infinite are refused.
///
/// # Errors
/// [`Error::Format`] with the line that has another number of columns or no number;
/// [`Error::Invalid`] for a column that is not there; [`Error::Io`].
pub fn read_csv(path: &Path, options: &CsvOptions) -> Result<Table> {
    let file = std::fs::File::open(path).map_err(|e| Error::io("open", e).at(path))?;
    parse(BufReader::new(file), options).map_err(|e| e.at(path))
}

/// Reads a line, whichever way it ends, into `out`; whether there was one.
fn next_line(from: &mut impl BufRead, out: &mut Vec<u8>) -> std::io::Result<bool> {
    out.clear();
    let mut any = false;
    loop {
        let here = from.fill_buf()?;
        if here.is_empty() {
            return Ok(any);
        }
        any = true;
        let end = here.iter().position(|b| matches!(b, b'\n' | b'\r'));
        out.extend_from_slice(here.get(..end.unwrap_or(here.len())).unwrap_or_default());
        let ended = end.and_then(|at| here.get(at).copied());
        let taken = end.map_or(here.len(), |at| at + 1);
        from.consume(taken);
        match ended {
            None => {}
            Some(b'\r') => {
                if from.fill_buf()?.first() == Some(&b'\n') {
                    from.consume(1);
                }
                return Ok(true);
            }
            Some(_) => return Ok(true),
        }
    }
}

fn parse(mut from: impl BufRead, options: &CsvOptions) -> Result<Table> {
    let mut names: Vec<String> = Vec::new();
    // The column of times, and those of the values.
    let mut chosen: Option<(Option<usize>, Vec<usize>)> = None;
    let mut out = Stored::default();
    let (mut bytes, mut width, mut number_of) = (Vec::new(), 0, 0);
    while next_line(&mut from, &mut bytes).map_err(|e| Error::io("read", e))? {
        number_of += 1;
        let why = "it is not UTF-8; save the file in that encoding";
        let line = str::from_utf8(&bytes).map_err(|_| bad(number_of, why))?;
        let line = line.trim_start_matches('\u{feff}');
        if line.trim().is_empty() {
            continue;
        }
        if let Some(comment) = line.trim_start().strip_prefix('#') {
            if chosen.is_none() && width == 0 {
                let found = cells(comment.trim(), options.delimiter);
                names = found.into_iter().map(Cow::into_owned).collect();
            }
            continue;
        }
        let found = cells(line, options.delimiter);
        let first = chosen.is_none() && width == 0;
        if chosen.is_none() {
            let named = !found.iter().any(|cell| is_number(cell));
            if first && named && found.iter().any(|cell| !cell.is_empty()) {
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
            number(cell).map_err(|why| {
                let header = "; a line that names columns and has numbers in it begins with #";
                bad(number_of, if first && !is_number(cell) { why + header } else { why })
            })
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
            if !names.iter().any(|name| is_time(name, options)) {
                let why = "it has no numbers; a series without points has one line, which names the \
                           column of times: time, or the one that is given";
                return Err(bad(number_of.max(1), why));
            }
            let (time, values) = choose(options, &names, names.len())?;
            out.times = time.map(|_| Vec::new());
            out.channels = vec![Vec::new(); values.len()];
            values
        }
    };
    let named = |at: &usize| names.get(*at).cloned().unwrap_or_else(|| at.to_string());
    Ok(Table { points: out, names: values.iter().map(named).collect() })
}

/// Whether a column of this name is that of times.
fn is_time(name: &str, options: &CsvOptions) -> bool {
    match options.time.as_deref() {
        None | Some("") => name.eq_ignore_ascii_case("time"),
        Some(wanted) => name == wanted,
    }
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
        None => (width > 1).then(|| names.iter().position(|n| is_time(n, options)).unwrap_or(0)),
    };
    let values: Vec<usize> = if options.values.is_empty() {
        (0..width).filter(|at| Some(*at) != time).collect()
    } else {
        options.values.iter().map(|name| column(name, names, width)).collect::<Result<_>>()?
    };
    if values.is_empty() {
        return Err(Error::invalid("columns", "none of them has values"));
    }
    Ok((time, values))
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
        let latin = parse(&b"1,2\n\xe9,3\n"[..], &all).unwrap_err().to_string();
        assert!(latin.contains("line 2: it is not UTF-8"), "{latin}");
        let missing = CsvOptions { values: vec!["z".into()], ..all };
        assert!(read("t,v\n1,2\n", &missing).unwrap_err().to_string().contains("\"z\""));
    }

    #[test]
    fn a_first_line_names_the_columns_only_if_no_cell_of_it_is_a_number() {
        let all = CsvOptions::default();
        let why = |text: &str| read(text, &all).unwrap_err().to_string();
        for wrong in ["0,1O\n1,2\n", "time,0\n1,2\n", "o,1.5\n1,2\n", "x,nan\n1,2\n"] {
            let why = why(wrong);
            assert!(why.contains("line 1: ") && why.contains("begins with #"), "{why}");
        }
        assert_eq!(read("#time,0\n1,2\n", &all).unwrap().names, ["0"]);
        // Columns that are not read may hold what they like.
        let some = CsvOptions { time: Some("1".into()), values: vec!["2".into()], ..all.clone() };
        assert_eq!(read("a,1,2\nb,3,4\n", &some).unwrap().points.channels, [[2.0, 4.0]]);
        // One line that names the times is a series without points; any other is not.
        for (header, options) in [
            ("time,v\n", &all),
            ("#v Time", &all),
            ("t,v", &CsvOptions { time: Some("t".into()), ..all.clone() }),
        ] {
            let table = read(header, options).unwrap();
            assert_eq!((table.points.len(), table.points.times), (0, Some(vec![])), "{header}");
        }
        for wrong in ["", "t,v\n", "#t v\n", "l.5\n", "\n\n"] {
            assert!(why(wrong).contains("it has no numbers"), "{wrong:?}");
        }
    }

    #[test]
    fn lines_end_in_any_way() {
        let all = CsvOptions::default();
        let right = read("time,v\n1,2\n\n3,4\n", &all).unwrap();
        for end in ["\r", "\r\n"] {
            let text = "time,v\n1,2\n\n3,4\n".replace('\n', end);
            for room in [1, 2, 3, 8, 100] {
                let from = BufReader::with_capacity(room, text.as_bytes());
                assert_eq!(parse(from, &all).unwrap(), right);
            }
            assert_eq!(read(text.trim_end(), &all).unwrap(), right);
            let why = read(&text.replace('4', "x"), &all).unwrap_err().to_string();
            assert!(why.contains("line 4: \"x\""), "{why}");
        }
        assert_eq!(read("1\r\r\n2\n\r3", &all).unwrap().points.channels, [[1.0, 2.0, 3.0]]);
    }

    #[test]
    fn what_would_be_rounded_to_another_integer_or_to_infinity_is_refused() {
        let exact = [
            "9007199254740992",
            "-9007199254740994",
            "+0018014398509481984",
            "-0000000000000000000",
            "1e22",
            "1e-400",
        ];
        for text in [
            &exact[..],
            &["0.1", "9007199254740993.0", "-inf", "Infinity", "1.7976931348623157e308"],
        ]
        .concat()
        {
            assert_eq!(number(text).unwrap(), text.parse::<f64>().unwrap());
        }
        let long = format!("1{}", "0".repeat(30));
        for text in ["9007199254740993", "-9007199254740993", "123456789012345678901", &long] {
            let why =
                read(&format!("0,1\n1,{text}\n"), &CsvOptions::default()).unwrap_err().to_string();
            assert!(why.contains("line 2: the integer ") && why.contains("rounded"), "{why}");
        }
        for text in ["1e400", "-1e400", "1.8e308"] {
            let why = read(&format!("{text}\n"), &CsvOptions::default()).unwrap_err().to_string();
            assert!(why.contains("line 1: ") && why.contains("larger than any"), "{why}");
        }
    }
}
