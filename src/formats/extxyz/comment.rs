//! The line of keys: where its keys and values begin and end.

use crate::limits::PROPERTIES_MAX;
use std::iter::Peekable;
use std::str::CharIndices;

/// Most pairs of a line: properties of a frame, and keys that are fields. A long line costs no more.
const MOST: usize = PROPERTIES_MAX + 32;

/// What went wrong in a line.
pub(super) type Why = Box<str>;

/// One pair as it stands in the line; no value if there is no `=`.
#[derive(Debug, PartialEq)]
pub(super) struct Pair {
    pub(super) key: String,
    pub(super) value: Option<Raw>,
}

/// A value before it has a type.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Raw {
    /// The characters without quotes, brackets and escapes around them, as ASE takes them.
    pub(super) text: String,
    pub(super) form: Form,
}

/// What stood around a value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Form {
    /// Quotes, nothing, or a mixture.
    Plain,
    /// `{}`: what is between them, escapes and all.
    Braces(String),
    /// `[]`: what is between them, escapes and all.
    Brackets(String),
}

/// Splits a line into its pairs. Values and keys may stand in `""`, `''`, `{}` or `[]`, and a
/// backslash takes the next character as it is.
pub(super) fn pairs(line: &str) -> Result<Vec<Pair>, Why> {
    let mut out: Vec<Pair> = Vec::new();
    let mut chars = line.char_indices().peekable();
    let blanks = |chars: &mut Peekable<CharIndices<'_>>| {
        while chars.next_if(|(_, c)| c.is_whitespace()).is_some() {}
    };
    loop {
        blanks(&mut chars);
        if out.len() > MOST {
            return Err(format!(
                "there are more than {MOST} keys in the line; a frame holds up to \
                 {PROPERTIES_MAX} properties"
            )
            .into());
        }
        match chars.peek() {
            None => return Ok(out),
            Some((_, '=')) => {
                chars.next();
                blanks(&mut chars);
                let more = value(line, &mut chars)?;
                match out.last_mut() {
                    Some(Pair { value: slot @ None, .. }) => *slot = Some(more),
                    // `a = b = c` is the value `b=c`, as for ASE.
                    Some(Pair { value: Some(raw), .. }) => {
                        raw.text = format!("{}={}", raw.text, more.text);
                        raw.form = Form::Plain;
                    }
                    None => return Err("an `=` without a key before it".into()),
                }
            }
            Some(_) => {
                let key = word(&mut chars, false)?;
                out.push(Pair { key, value: None });
            }
        }
    }
}

/// A value up to white space: what is in braces or brackets as a whole, whatever is nested in it.
fn value(line: &str, chars: &mut Peekable<CharIndices<'_>>) -> Result<Raw, Why> {
    if let Some(&(at, open @ ('[' | '{'))) = chars.peek()
        && let Some(rest) = line.get(at..)
        && let Some(end) = closing(rest, open)
        && let Some(inner) = rest.get(1..end.saturating_sub(1))
    {
        let until = at.saturating_add(end);
        while chars.next_if(|(i, _)| *i < until).is_some() {}
        let form =
            if open == '[' { Form::Brackets(inner.into()) } else { Form::Braces(inner.into()) };
        return Ok(Raw { text: unescaped(inner), form });
    }
    Ok(Raw { text: word(chars, true)?, form: Form::Plain })
}

/// Where the bracket closes with which `rest` begins: the place after it, if white space or the
/// end of the line follows there.
fn closing(rest: &str, open: char) -> Option<usize> {
    let find = |quotes: bool| {
        let mut scan = Scan::new(quotes);
        let mut depth = 0_usize;
        let close = if open == '[' { ']' } else { '}' };
        for (at, c) in rest.char_indices() {
            if !scan.is_syntax(c) {
                continue;
            }
            if c == open {
                depth = depth.saturating_add(1);
            } else if c == close {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(at.saturating_add(1));
                }
            }
        }
        None
    };
    // An apostrophe that nothing closes is one of the characters.
    let end = find(true).or_else(|| find(false))?;
    rest.get(end..)?.chars().next().is_none_or(char::is_whitespace).then_some(end)
}

/// Tells the characters that divide a list from those in quotes and behind a backslash.
pub(super) struct Scan {
    quotes: bool,
    open: Option<char>,
    escaped: bool,
    /// Whether an item begins here: a quote within a word does not count.
    fresh: bool,
}

impl Scan {
    pub(super) const fn new(quotes: bool) -> Self {
        Self { quotes, open: None, escaped: false, fresh: true }
    }

    /// Takes the next character; whether it may divide something.
    pub(super) fn is_syntax(&mut self, c: char) -> bool {
        if self.escaped {
            self.escaped = false;
            return false;
        }
        if c == '\\' {
            self.escaped = true;
            self.fresh = false;
            return false;
        }
        if let Some(open) = self.open {
            if c == open {
                self.open = None;
            }
            return false;
        }
        if self.quotes && self.fresh && matches!(c, '"' | '\'') {
            self.open = Some(c);
            self.fresh = false;
            return false;
        }
        self.fresh = c.is_whitespace() || matches!(c, ',' | '[' | '{');
        true
    }
}

/// A word up to white space, or to `=` where that ends it.
fn word(chars: &mut Peekable<CharIndices<'_>>, value: bool) -> Result<String, Why> {
    let mut out = String::new();
    let mut open = None;
    while let Some(&(_, c)) = chars.peek() {
        if open.is_none() && (c.is_whitespace() || (c == '=' && !value)) {
            break;
        }
        chars.next();
        match (c, open) {
            ('\\', _) => out.extend(chars.next().map(|(_, c)| meant(c, open))),
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

/// The character that a backslash before `c` stands for: a line end for `\n` in double quotes,
/// otherwise `c` itself.
pub(super) const fn meant(c: char, quote: Option<char>) -> char {
    match (c, quote) {
        ('n', Some('"')) => '\n',
        _ => c,
    }
}

/// Without the backslashes that take the next character as it is.
pub(super) fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    out
}

/// The first few characters, for a message.
pub(super) fn shorten(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str) -> Vec<(String, Option<String>)> {
        pairs(line).unwrap().into_iter().map(|p| (p.key, p.value.map(|v| v.text))).collect()
    }

    #[test]
    fn pairs_begin_and_end_as_for_ase() {
        let some = |k: &str, v: &str| (k.to_string(), Some(v.to_string()));
        for (line, expected) in [
            ("a=1 b = 2", vec![some("a", "1"), some("b", "2")]),
            ("a = b = c", vec![some("a", "b=c")]),
            (r#"a="x \"y\"" 'b c'='d e'"#, vec![some("a", "x \"y\""), some("b c", "d e")]),
            ("a=[[1, 2], [3, 4]] b=2", vec![some("a", "[1, 2], [3, 4]"), some("b", "2")]),
            (r#"a=["x]", 'y'] b={z "}"}"#, vec![some("a", "\"x]\", 'y'"), some("b", "z \"}\"")]),
            ("a={it's} b=[5\" pipe]", vec![some("a", "it's"), some("b", "5\" pipe")]),
            (r#"a="line\nend" b=x\ y"#, vec![some("a", "line\nend"), some("b", "x y")]),
            ("a=x[1 2]y", vec![some("a", "x1 2y")]),
            ("a=\"\"", vec![some("a", "")]),
            ("a=", vec![some("a", "")]),
        ] {
            assert_eq!(texts(line), expected, "{line}");
        }
        assert_eq!(texts("bare"), [("bare".to_string(), None)]);
        for line in ["=1", "a=\"1", "a=[1", "a={[1]", "'b"] {
            assert!(pairs(line).is_err(), "{line}");
        }
    }
}
