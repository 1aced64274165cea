//! The part of JSON that has a type here: numbers, truths, text, and nested lists of equal lengths.
//!
//! As Python writes it: `NaN`, `Infinity` and `-Infinity` are numbers. Real numbers keep every
//! bit, which the number type of a JSON library need not.

use super::comment::Why;
use super::item::item;
use super::typed::{DEPTH, Typed, values};
use crate::codec::Values;

/// The value, if it is a number, a truth, text, or lists of one of them; objects, `null` and the
/// rest have no type here.
///
/// # Errors
/// A number that no float64 holds.
pub(super) fn parse(text: &str) -> Result<Option<Typed>, Why> {
    let text = text.trim();
    if text.starts_with('"') {
        return Ok(serde_json::from_str::<String>(text).ok().map(Typed::text));
    }
    match lists(text) {
        Some(lists) => lists.finish(),
        None => Ok(None),
    }
}

fn lists(text: &str) -> Option<Lists> {
    let mut lists = Lists::default();
    let mut rest = text;
    while !rest.is_empty() {
        rest = lists.take(rest)?.trim_start();
    }
    Some(lists)
}

/// Lists being read: where we are, and how long the lists of each depth are.
#[derive(Default)]
struct Lists {
    /// Items so far in each open list.
    open: Vec<u32>,
    /// Length of the lists at each depth, once one is closed.
    lengths: Vec<Option<u32>>,
    /// How many lists are open around an item; the same for all of them.
    depth: Option<usize>,
    words: Vec<Word>,
    /// Whether a comma or a bracket must come before the next item.
    after_item: bool,
}

enum Word {
    Bare(String),
    Text(String),
}

impl Lists {
    fn take<'a>(&mut self, rest: &'a str) -> Option<&'a str> {
        let done = self.open.is_empty() && !self.lengths.is_empty();
        match rest.chars().next()? {
            '[' if !self.after_item && !done && self.open.len() < DEPTH => {
                if self.depth.is_some_and(|d| d <= self.open.len()) {
                    return None;
                }
                self.count()?;
                self.open.push(0);
                if self.lengths.len() < self.open.len() {
                    self.lengths.push(None);
                }
                rest.get(1..)
            }
            ']' => {
                let length = self.open.pop()?;
                let known = self.lengths.get_mut(self.open.len())?;
                // Lists of one depth are of one length, and a comma is followed by something.
                if known.is_some_and(|k| k != length) || (length > 0 && !self.after_item) {
                    return None;
                }
                *known = Some(length);
                self.after_item = true;
                rest.get(1..)
            }
            ',' if self.after_item && !self.open.is_empty() => {
                self.after_item = false;
                rest.get(1..)
            }
            '"' if !self.after_item => {
                let mut text = serde_json::Deserializer::from_str(rest).into_iter::<String>();
                let word = text.next()?.ok()?;
                let end = text.byte_offset();
                self.item(Word::Text(word))?;
                rest.get(end..)
            }
            _ if !self.after_item => {
                let end = rest.find([',', ']', '[', '"']).unwrap_or(rest.len());
                let (word, rest) = rest.split_at_checked(end)?;
                self.item(Word::Bare(word.trim().into()))?;
                Some(rest)
            }
            _ => None,
        }
    }

    fn count(&mut self) -> Option<()> {
        if let Some(n) = self.open.last_mut() {
            *n = n.checked_add(1)?;
        }
        Some(())
    }

    fn item(&mut self, word: Word) -> Option<()> {
        self.count()?;
        if *self.depth.get_or_insert(self.open.len()) != self.open.len() {
            return None;
        }
        self.words.push(word);
        self.after_item = true;
        Some(())
    }

    fn finish(self) -> Result<Option<Typed>, Why> {
        let Some(shape) = self.shape() else { return Ok(None) };
        let bare: Option<Vec<&str>> = self.words.iter().map(Word::bare).collect();
        let values = match bare {
            // Truths in the letters of a comment are none here.
            Some(bare) => values(|| bare.iter().copied())?.filter(|v| {
                !matches!(v, Values::Bool(_)) || bare.iter().all(|b| matches!(*b, "true" | "false"))
            }),
            None => self.words.into_iter().map(Word::text).collect::<Option<_>>().map(Values::Str),
        };
        Ok(values.map(|values| Typed { shape, values }))
    }

    /// The lengths of the lists, if they are all closed and all of one length; of a scalar, none.
    fn shape(&self) -> Option<Vec<u32>> {
        let shape = self.lengths.iter().copied().collect::<Option<Vec<u32>>>()?;
        let product = shape.iter().try_fold(1_u32, |p, n| p.checked_mul(*n))?;
        (self.open.is_empty() && product as usize == self.words.len()).then_some(shape)
    }
}

impl Word {
    fn bare(&self) -> Option<&str> {
        match self {
            Self::Bare(word) => Some(word),
            Self::Text(_) => None,
        }
    }

    fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Bare(_) => None,
        }
    }
}

/// A text as JSON.
pub(super) fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Values in lists of lists, as `shape` says.
pub(super) fn write(shape: &[u32], values: &Values) -> String {
    let mut out = String::new();
    let mut next = 0;
    nest(&mut out, shape, values, &mut next);
    out
}

fn nest(out: &mut String, shape: &[u32], values: &Values, next: &mut usize) {
    let Some((length, inner)) = shape.split_first() else {
        match values {
            Values::Str(v) => out.push_str(&string(v.get(*next).map_or("", |t| t))),
            Values::Bool(v) => {
                out.push_str(if v.get(*next) == Some(&true) { "true" } else { "false" });
            }
            other => {
                let at = out.len();
                item(out, other, *next);
                if out.ends_with("inf") {
                    let sign = if out.ends_with("-inf") { "-" } else { "" };
                    out.truncate(at);
                    out.push_str(sign);
                    out.push_str("Infinity");
                }
            }
        }
        *next = next.saturating_add(1);
        return;
    };
    out.push('[');
    for i in 0..*length {
        if i > 0 {
            out.push_str(", ");
        }
        nest(out, inner, values, next);
    }
    out.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Real;

    fn found(text: &str) -> Option<Typed> {
        parse(text).unwrap()
    }

    #[test]
    fn scalars_and_lists_of_one_type_and_equal_lengths_have_a_shape() {
        let t = found("[[1, 2], [3, 4], [5, 6]]").unwrap();
        assert_eq!((t.shape, t.values), (vec![3, 2], Values::I64(vec![1, 2, 3, 4, 5, 6])));
        let t = found("[1, -Infinity, 2.5]").unwrap();
        assert_eq!(t.values, Values::Real(Real::F64(vec![1.0, f64::NEG_INFINITY, 2.5])));
        assert_eq!(found("[true]").unwrap().values, Values::Bool(vec![true]));
        let t = found(r#"["a", "]\","]"#).unwrap();
        assert_eq!((t.shape, t.values), (vec![2], Values::Str(vec!["a".into(), "]\",".into()])));
        assert_eq!(found("\"5\"").unwrap(), Typed::text("5"));
        for (text, values) in [
            ("5", Values::I64(vec![5])),
            (" -2.5e3 ", Values::Real(Real::F64(vec![-2500.0]))),
            ("false", Values::Bool(vec![false])),
        ] {
            assert_eq!(found(text).unwrap(), Typed { shape: vec![], values }, "{text}");
        }
        assert!(parse("1e999").is_err() && parse("[[1], [-1e999]]").is_err());
    }

    #[test]
    fn what_has_no_type_here_is_left_alone() {
        for text in [
            "{\"a\": 1}",
            "null",
            "[1, [2]]",
            "[[1], [2, 3]]",
            "[1,]",
            "[1",
            "[1]]",
            "[1] [2]",
            "[,1]",
            "[1 2]",
            "",
            "T",
            "[\"a\", 1]",
            "[1, 123456789012345678901]",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
        assert_eq!(found(&"[".repeat(100_000)), None);
    }
}
