//! The line of keys and values, both ways.

use super::json;
use crate::codec::{Real, Values};
use std::fmt::Write;

/// A value with its type; `shape` is empty for a scalar.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Typed {
    pub(super) shape: Vec<u32>,
    pub(super) values: Values,
}

impl Typed {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self { shape: Vec::new(), values: Values::Str(vec![text.into()]) }
    }

    /// A flat list: a scalar if it has one value.
    fn list(values: Values) -> Option<Self> {
        let n = u32::try_from(values.len()).ok()?;
        Some(Self { shape: if n == 1 { Vec::new() } else { vec![n] }, values })
    }
}

/// One pair as it stands in the line; no value if there is no `=`.
#[derive(Debug, PartialEq)]
pub(super) struct Pair {
    pub(super) key: String,
    pub(super) value: Option<String>,
}

/// Splits a line into its pairs. Values and keys may stand in `""`, `''`, `{}` or `[]`, and a
/// backslash takes the next character as it is.
pub(super) fn pairs(line: &str) -> Result<Vec<Pair>, Box<str>> {
    let mut out: Vec<Pair> = Vec::new();
    let mut chars = line.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        match chars.peek() {
            None => return Ok(out),
            Some('=') => {
                chars.next();
                while chars.next_if(|c| c.is_whitespace()).is_some() {}
                let value = word(&mut chars, true)?;
                match out.last_mut() {
                    Some(Pair { value: slot @ None, .. }) => *slot = Some(value),
                    _ => return Err("an `=` without a key before it".into()),
                }
            }
            Some(_) => {
                let key = word(&mut chars, false)?;
                out.push(Pair { key, value: None });
            }
        }
    }
}

/// A word up to white space, or to `=` where that ends it.
fn word(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    value: bool,
) -> Result<String, Box<str>> {
    let mut out = String::new();
    let mut open = None;
    while let Some(&c) = chars.peek() {
        if open.is_none() && (c.is_whitespace() || (c == '=' && !value)) {
            break;
        }
        chars.next();
        match (c, open) {
            ('\\', _) => out.extend(chars.next()),
            (c, Some(close)) if c == close => open = None,
            (c, Some(_)) => out.push(c),
            ('"' | '\'', None) => open = Some(c),
            ('{', None) => open = Some('}'),
            ('[', None) => open = Some(']'),
            (c, None) => out.push(c),
        }
    }
    match open {
        Some(close) => Err(format!("`{close}` is missing after `{}`", shorten(&out)).into()),
        None => Ok(out),
    }
}

/// The first few characters, for a message.
pub(super) fn shorten(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
        None => text.into(),
    }
}

fn truth(word: &str) -> Option<bool> {
    match word {
        "T" | "true" | "True" | "TRUE" => Some(true),
        "F" | "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// A whole number that an `i64` cannot hold would lose digits as a real number.
fn too_long(word: &str) -> bool {
    word.bytes().all(|b| matches!(b, b'0'..=b'9' | b'-' | b'+')) && word.parse::<i64>().is_err()
}

/// Gives the text of a value its type.
pub(super) fn typed(text: &str) -> Typed {
    let words =
        || text.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty());
    if words().next().is_none() {
        return Typed::text(text);
    }
    let numbers = || {
        if let Some(v) = words().map(|w| w.parse().ok()).collect::<Option<Vec<i64>>>() {
            return Some(Values::I64(v));
        }
        if words().any(too_long) {
            return None;
        }
        let v = words().map(|w| w.parse().ok()).collect::<Option<Vec<f64>>>()?;
        Some(Values::Real(Real::F64(v)))
    };
    let truths = || Some(Values::Bool(words().map(truth).collect::<Option<_>>()?));
    if let Some(list) = numbers().or_else(truths).and_then(Typed::list) {
        return list;
    }
    text.strip_prefix("_JSON ").and_then(json::parse).unwrap_or_else(|| Typed::text(text))
}

/// Appends ` key=value`.
pub(super) fn put(out: &mut String, key: &str, value: &str) {
    if !out.is_empty() {
        out.push(' ');
    }
    quote(out, key);
    out.push('=');
    quote(out, value);
}

fn quote(out: &mut String, text: &str) {
    let plain = |c: char| {
        !c.is_whitespace() && !matches!(c, '"' | '\'' | '{' | '}' | '[' | ']' | '=' | ',' | '\\')
    };
    if !text.is_empty() && text.chars().all(plain) {
        out.push_str(text);
        return;
    }
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

/// The text of a value, from which [`typed`] gives the same value again.
pub(super) fn text(shape: &[u32], values: &Values) -> String {
    if let (Values::Str(v), []) = (values, shape) {
        let text = v.first().map(String::as_str).unwrap_or_default();
        // A text that would be read as a number, ends the line or is empty.
        let plain = !text.is_empty()
            && text == text.trim()
            && !text.chars().any(char::is_control)
            && (text.starts_with("_JSON ") || typed(text) == Typed::text(text));
        return if plain { text.into() } else { format!("_JSON {}", json::string(text)) };
    }
    // One value in a list, lists of lists, and lists of text have no other notation.
    let flat =
        (shape.is_empty() || matches!(shape, [n] if *n > 1)) && !matches!(values, Values::Str(_));
    if flat {
        let mut out = String::new();
        for i in 0..values.len() {
            if i > 0 {
                out.push(' ');
            }
            item(&mut out, values, i);
        }
        return out;
    }
    format!("_JSON {}", json::write(shape, values))
}

/// Appends value `i`: numbers in the fewest digits that give the same number again.
pub(super) fn item(out: &mut String, values: &Values, i: usize) {
    // Writing to a String cannot fail.
    let _ = match values {
        Values::I32(v) => v.get(i).map_or(Ok(()), |x| write!(out, "{x}")),
        Values::I64(v) => v.get(i).map_or(Ok(()), |x| write!(out, "{x}")),
        Values::Real(v) => {
            real(out, v, i);
            Ok(())
        }
        Values::Str(v) => v.get(i).map_or(Ok(()), |x| write!(out, "{x}")),
        Values::Bool(v) => v.get(i).map_or(Ok(()), |x| out.write_str(if *x { "T" } else { "F" })),
    };
}

/// Appends real number `i`.
pub(super) fn real(out: &mut String, values: &Real, i: usize) {
    let _ = match values {
        Real::F32(v) => v.get(i).map_or(Ok(()), |x| write!(out, "{x:?}")),
        Real::F64(v) => v.get(i).map_or(Ok(()), |x| write!(out, "{x:?}")),
    };
}
