//! The types of values, told from their text.

use super::comment::{Form, Raw, Scan, Why, meant, shorten, unescaped};
use super::json;
use super::typed::{DEPTH, Typed, values};
use crate::codec::Values;
use std::borrow::Cow;

/// Gives a value its type.
///
/// # Errors
/// A number that no float64 holds, and lists in lists that are of different lengths.
pub(super) fn of(raw: &Raw) -> Result<Typed, Why> {
    match &raw.form {
        Form::Plain => typed(&raw.text),
        Form::Brackets(inner) => brackets(inner),
        Form::Braces(inner) => braces(inner),
    }
}

/// Gives a text its type: integers, real numbers, truths, `_JSON` or text, whichever fits first.
pub(super) fn typed(text: &str) -> Result<Typed, Why> {
    let words =
        || text.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty());
    if words().next().is_none() {
        return Ok(Typed::text(text));
    }
    if let Some(list) = values(words)?.and_then(Typed::list) {
        return Ok(list);
    }
    match text.strip_prefix("_JSON ") {
        Some(rest) => Ok(json::parse(rest)?.unwrap_or_else(|| Typed::text(text))),
        None => Ok(Typed::text(text)),
    }
}

/// One item of a list.
enum Item<'a> {
    Bare(Cow<'a, str>),
    Quoted(String),
    /// A list in the list: what is between its brackets.
    List(&'a str),
}

/// What stands between the items.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Between {
    Nothing,
    Commas,
    Blanks,
}

/// The items of a list, if they are all divided in the same way and none is missing.
fn items(inner: &str) -> Option<(Vec<Item<'_>>, Between)> {
    let mut out = Vec::new();
    let mut between = Between::Nothing;
    let mut rest = inner.trim();
    loop {
        let (item, after) = item(rest)?;
        out.push(item);
        let blank = after.trim_start();
        let now = match blank.strip_prefix(',') {
            Some(next) => {
                rest = next.trim_start();
                Between::Commas
            }
            None if blank.is_empty() => return Some((out, between)),
            None if blank.len() < after.len() => {
                rest = blank;
                Between::Blanks
            }
            None => return None,
        };
        if between != Between::Nothing && between != now {
            return None;
        }
        between = now;
    }
}

/// The item with which `rest` begins, and what follows it.
fn item(rest: &str) -> Option<(Item<'_>, &str)> {
    let first = rest.chars().next()?;
    if matches!(first, '"' | '\'') {
        let mut text = String::new();
        let mut chars = rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => text.extend(chars.next().map(|(_, c)| meant(c, Some(first)))),
                c if c == first => {
                    return Some((Item::Quoted(text), rest.get(at.saturating_add(1)..)?));
                }
                c => text.push(c),
            }
        }
        return None;
    }
    let mut scan = Scan::new(true);
    let mut depth = 0_usize;
    for (at, c) in rest.char_indices() {
        let syntax = scan.is_syntax(c);
        match c {
            '[' if syntax && (depth > 0 || at == 0) => depth = depth.saturating_add(1),
            ']' if syntax && depth > 0 => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some((Item::List(rest.get(1..at)?), rest.get(at.saturating_add(1)..)?));
                }
            }
            '[' | ']' if syntax => return None,
            c if syntax && depth == 0 && (c == ',' || c.is_whitespace()) => {
                let (word, after) = rest.split_at_checked(at)?;
                return (at > 0).then(|| (bare(word), after));
            }
            _ => {}
        }
    }
    (depth == 0).then(|| (bare(rest), ""))
}

fn bare(word: &str) -> Item<'_> {
    Item::Bare(if word.contains('\\') { unescaped(word).into() } else { word.into() })
}

/// A list of the form that the specification prefers, nested or not.
fn brackets(inner: &str) -> Result<Typed, Why> {
    let nested = inner.trim_start().starts_with('[');
    match items(inner) {
        Some((list, between)) if between != Between::Blanks || nested => {
            if !nested && !list.iter().any(|i| matches!(i, Item::List(_))) {
                let n = u32::try_from(list.len()).map_err(|_| "the list is too long")?;
                return words(list, vec![n]);
            }
            let mut rows = Rows::default();
            rows.add(list, between, 0)?;
            rows.finish()
        }
        _ if nested => Err(format!("`[{}]` is not a list of lists", shorten(inner)).into()),
        // In blanks, or with something missing: what ASE makes of the characters.
        _ => typed(&unescaped(inner)),
    }
}

/// A list of the older form: a scalar if there is one value in it.
fn braces(inner: &str) -> Result<Typed, Why> {
    let text = unescaped(inner);
    match items(inner) {
        Some((list, _)) if !text.starts_with("_JSON ") => {
            if list.iter().any(|i| matches!(i, Item::List(_))) {
                return Ok(Typed::text(text));
            }
            let n = u32::try_from(list.len()).map_err(|_| "the list is too long")?;
            words(list, if n == 1 { Vec::new() } else { vec![n] })
        }
        _ => typed(&text),
    }
}

/// Items that are no lists, in the type that all of them have.
fn words(items: Vec<Item<'_>>, shape: Vec<u32>) -> Result<Typed, Why> {
    let quoted = items.iter().any(|i| matches!(i, Item::Quoted(_)));
    let all: Vec<String> = items
        .into_iter()
        .filter_map(|i| match i {
            Item::Bare(text) => Some(text.into_owned()),
            Item::Quoted(text) => Some(text),
            Item::List(_) => None,
        })
        .collect();
    let typed = if quoted { None } else { values(|| all.iter().map(String::as_str))? };
    Ok(Typed { shape, values: typed.unwrap_or(Values::Str(all)) })
}

/// Lists in lists, laid out one after the other.
#[derive(Default)]
struct Rows<'a> {
    words: Vec<Item<'a>>,
    /// Length of the lists at each depth.
    lengths: Vec<usize>,
    /// How deep the values are, once one is known.
    leaves: Option<usize>,
}

impl<'a> Rows<'a> {
    fn add(&mut self, list: Vec<Item<'a>>, between: Between, depth: usize) -> Result<(), Why> {
        if depth >= DEPTH {
            return Err(format!("lists are nested deeper than {}", DEPTH).into());
        }
        match self.lengths.get(depth) {
            Some(length) if *length != list.len() => {
                return Err(format!(
                    "lists of {length} and of {} values are mixed; they must be of one \
                     length",
                    list.len()
                )
                .into());
            }
            Some(_) => {}
            None => self.lengths.push(list.len()),
        }
        for item in list {
            match item {
                Item::List(inner) => {
                    if between == Between::Blanks {
                        return Err("a comma is missing between two lists".into());
                    }
                    if self.leaves.is_some_and(|d| d <= depth) {
                        return Err(MIXED.into());
                    }
                    let (list, between) = items(inner).ok_or_else(|| {
                        format!("`[{}]` is not a list: something is missing in it", shorten(inner))
                    })?;
                    self.add(list, between, depth.saturating_add(1))?;
                }
                word => {
                    if *self.leaves.get_or_insert(depth) != depth
                        || self.lengths.len() > depth.saturating_add(1)
                    {
                        return Err(MIXED.into());
                    }
                    self.words.push(word);
                }
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Typed, Why> {
        let shape = self.lengths.iter().map(|n| u32::try_from(*n)).collect::<Result<_, _>>();
        words(self.words, shape.map_err(|_| "the list is too long")?)
    }
}

const MIXED: &str = "lists and single values are mixed";

#[cfg(test)]
mod tests {
    use super::super::comment::pairs;
    use super::*;
    use crate::codec::Real;

    fn value(text: &str) -> Result<Typed, Why> {
        let mut all = pairs(&format!("k={text}"))?;
        assert_eq!(all.len(), 1, "{text}: {all:?}");
        of(all.remove(0).value.as_ref().unwrap())
    }

    fn ints(v: &[i64]) -> Values {
        Values::I64(v.into())
    }

    fn reals(v: &[f64]) -> Values {
        Values::Real(Real::F64(v.into()))
    }

    fn texts(v: &[&str]) -> Values {
        Values::Str(v.iter().map(|s| (*s).into()).collect())
    }

    fn truths(v: &[bool]) -> Values {
        Values::Bool(v.into())
    }

    #[test]
    fn values_have_the_type_that_the_specification_gives_them() {
        let none: &[u32] = &[];
        for (text, shape, values) in [
            ("3", none, ints(&[3])),
            ("\" 3 \"", none, ints(&[3])),
            ("{ 3}", none, ints(&[3])),
            ("-12.D+2", none, reals(&[-1200.0])),
            ("TRUE", none, truths(&[true])),
            ("t", none, texts(&["t"])),
            ("1.3k7", none, texts(&["1.3k7"])),
            ("5,", none, ints(&[5])),
            // The older forms of lists.
            ("\"1 2.0 3\"", &[3], reals(&[1.0, 2.0, 3.0])),
            ("'T F True FALSE'", &[4], truths(&[true, false, true, false])),
            ("{1 2 3}", &[3], ints(&[1, 2, 3])),
            ("{1,2,3}", &[3], ints(&[1, 2, 3])),
            ("{\"x y\" z}", &[2], texts(&["x y", "z"])),
            ("{a b}", &[2], texts(&["a", "b"])),
            ("{hello}", none, texts(&["hello"])),
            ("{with, a comma}", none, texts(&["with, a comma"])),
            ("\"a b\"", none, texts(&["a b"])),
            // The form of today.
            ("[1,2]", &[2], ints(&[1, 2])),
            ("[ 1 , 2.5 ]", &[2], reals(&[1.0, 2.5])),
            ("[3]", &[1], ints(&[3])),
            ("[\"3\"]", &[1], texts(&["3"])),
            ("[T, F]", &[2], truths(&[true, false])),
            ("[T, F, bob]", &[3], texts(&["T", "F", "bob"])),
            ("[ a, \"b\", 'c d' ]", &[3], texts(&["a", "b", "c d"])),
            ("[\"a, b\", \"c]\"]", &[2], texts(&["a, b", "c]"])),
            ("[\"q\\\"\\n\\\\\"]", &[1], texts(&["q\"\n\\"])),
            ("[[1,2],[3,4]]", &[2, 2], ints(&[1, 2, 3, 4])),
            ("[[1, 2], [3, 4.5]]", &[2, 2], reals(&[1.0, 2.0, 3.0, 4.5])),
            ("[[1], [2], [3]]", &[3, 1], ints(&[1, 2, 3])),
            ("[[T, F]]", &[1, 2], truths(&[true, false])),
            ("[[1, 2], [a, b]]", &[2, 2], texts(&["1", "2", "a", "b"])),
            ("[[\"x y\", z]]", &[1, 2], texts(&["x y", "z"])),
            ("[[[1], [2]], [[3], [4]]]", &[2, 2, 1], ints(&[1, 2, 3, 4])),
            // What is in blanks, or lacks something, is what ASE makes of it.
            ("[1 2 3]", &[3], ints(&[1, 2, 3])),
            ("[1,2,]", &[2], ints(&[1, 2])),
            ("[a b]", none, texts(&["a b"])),
            ("[]", none, texts(&[""])),
            ("[a[1], b]", none, texts(&["a[1], b"])),
            // JSON.
            ("\"_JSON 70.388\"", none, reals(&[70.388])),
            ("\"_JSON 5\"", none, ints(&[5])),
            ("\"_JSON true\"", none, truths(&[true])),
            ("\"_JSON \\\"x\\\"\"", none, texts(&["x"])),
            ("\"_JSON null\"", none, texts(&["_JSON null"])),
            ("\"_JSON [[1, 2], [3, 4]]\"", &[2, 2], ints(&[1, 2, 3, 4])),
            ("\"_JSON [[1, 2], [3]]\"", none, texts(&["_JSON [[1, 2], [3]]"])),
            ("\"_JSON 123456789012345678901\"", none, texts(&["_JSON 123456789012345678901"])),
            ("123456789012345678901", none, texts(&["123456789012345678901"])),
        ] {
            let found = value(text).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!((&found.shape[..], &found.values), (shape, &values), "{text}");
        }
    }

    #[test]
    fn what_would_lose_values_is_an_error() {
        for (text, says) in [
            ("1e400", "`1e400` is above 1.8e308"),
            ("\"1 -2D999\"", "`-2D999` is above"),
            ("[1, 1e400]", "`1e400` is above"),
            ("[[1e400]]", "`1e400` is above"),
            ("\"_JSON [1e400]\"", "`1e400` is above"),
            ("[[1, 2], [3]]", "lists of 2 and of 1 values"),
            ("[[1,2],[3]]", "lists of 2 and of 1 values"),
            ("[[1], 2]", "mixed"),
            ("[1, [2]]", "mixed"),
            ("[[1, 2] [3, 4]]", "a comma is missing"),
            ("[[1, 2],]", "is not a list of lists"),
            ("[[1,, 2]]", "something is missing"),
            ("[[]]", "something is missing"),
        ] {
            let why = value(text).unwrap_err();
            assert!(why.contains(says), "{text}: {why}");
        }
        let deep = format!("{}1{}", "[".repeat(50_000), "]".repeat(50_000));
        assert!(value(&deep).unwrap_err().contains("deeper than"));
    }
}
