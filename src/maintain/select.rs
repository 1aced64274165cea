//! Choosing records: by name, by pattern, by position.

use crate::error::{Error, Result};
use crate::key::Key;
use crate::store::Readable;
use std::collections::HashSet;
use std::ops::Range;

/// Which records of a store.
///
/// ```
/// use vlstore::maintain::Select;
/// assert!(Select::matches("frame-*[05]", "frame-120"));
/// assert!(!Select::matches("frame-?", "frame-12"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Select {
    /// All of them.
    #[default]
    All,
    /// Those under these keys, in the order of the store.
    Keys(Vec<Key>),
    /// Those whose key, written as text, matches a pattern: `*` is any text, `?` one character,
    /// `[a-z]` one of a range, `[!a-z]` one outside it. Whole-number keys are matched in
    /// decimal, keys of bytes only if they are UTF-8; records without a key never match.
    Pattern(Box<str>),
    /// Those at these ordinals, every `step`-th from the first on.
    Range {
        /// The ordinals.
        range: Range<u64>,
        /// 1 for all of them.
        step: u64,
    },
}

impl Select {
    /// Whether `text` matches `pattern`, in time that is bounded by the product of their
    /// lengths.
    #[must_use]
    pub fn matches(pattern: &str, text: &str) -> bool {
        let pattern: Vec<char> = pattern.chars().collect();
        let text: Vec<char> = text.chars().collect();
        let (mut p, mut t) = (0, 0);
        // The last star, and how much of the text it has taken: only that one is ever widened.
        let mut star: Option<(usize, usize)> = None;
        while let Some(&c) = text.get(t) {
            if pattern.get(p) == Some(&'*') {
                star = Some((p, t));
                p += 1;
            } else if let Some(next) = one(&pattern, p, c) {
                p = next;
                t += 1;
            } else if let Some((at, taken)) = star {
                star = Some((at, taken + 1));
                p = at + 1;
                t = taken + 1;
            } else {
                return false;
            }
        }
        pattern.iter().skip(p).all(|c| *c == '*')
    }

    /// The selection, checked against a store: every key is there, the step is not 0.
    pub(crate) fn check(&self, source: &dyn Readable) -> Result<Chosen<'_>> {
        match self {
            Self::All => Ok(Chosen::All),
            Self::Keys(keys) => {
                for key in keys {
                    if source.find_key(key)?.is_none() {
                        return Err(Error::NotFound { key: key.to_string().into() });
                    }
                }
                Ok(Chosen::Keys(keys.iter().collect()))
            }
            Self::Pattern(pattern) => Ok(Chosen::Pattern(pattern)),
            Self::Range { step: 0, .. } => {
                Err(Error::invalid("range", "the step is 0; 1 takes every record"))
            }
            Self::Range { range, step } => Ok(Chosen::Range(range.clone(), *step)),
        }
    }
}

/// A selection that was checked.
pub(crate) enum Chosen<'a> {
    All,
    Keys(HashSet<&'a Key>),
    Pattern(&'a str),
    Range(Range<u64>, u64),
}

impl Chosen<'_> {
    pub(crate) fn takes(&self, ordinal: u64, key: Option<&Key>) -> bool {
        match self {
            Self::All => true,
            Self::Keys(keys) => key.is_some_and(|k| keys.contains(k)),
            Self::Pattern(pattern) => match key {
                None => false,
                Some(Key::Str(text)) => Select::matches(pattern, text),
                Some(Key::Int(n)) => Select::matches(pattern, &n.to_string()),
                Some(Key::Bytes(bytes)) => {
                    str::from_utf8(bytes).is_ok_and(|text| Select::matches(pattern, text))
                }
            },
            Self::Range(range, step) => {
                range.contains(&ordinal) && (ordinal - range.start).is_multiple_of(*step)
            }
        }
    }
}

/// Matches one character; returns where the pattern goes on.
fn one(pattern: &[char], p: usize, c: char) -> Option<usize> {
    match pattern.get(p)? {
        '?' => Some(p + 1),
        '[' => {
            let negated = matches!(pattern.get(p + 1), Some('!' | '^'));
            let first = p + 1 + usize::from(negated);
            // A bracket right after the opening one stands for itself.
            let Some(end) = pattern.iter().skip(first + 1).position(|c| *c == ']') else {
                return (c == '[').then_some(p + 1);
            };
            let end = first + 1 + end;
            let mut at = first;
            let mut inside = false;
            while at < end {
                let low = *pattern.get(at)?;
                if pattern.get(at + 1) == Some(&'-') && at + 2 < end {
                    inside |= (low..=*pattern.get(at + 2)?).contains(&c);
                    at += 3;
                } else {
                    inside |= low == c;
                    at += 1;
                }
            }
            (inside != negated).then_some(end + 1)
        }
        other => (*other == c).then_some(p + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_they_do_in_a_shell() {
        let yes = [
            ("", ""),
            ("*", ""),
            ("*", "anything"),
            ("a*c", "abbbc"),
            ("a*b*c", "a-b-b-c"),
            ("frame-[0-9]", "frame-7"),
            ("[!0-9]x", "ax"),
            ("[]]", "]"),
            ("[a", "[a"),
            ("?", "é"),
            ("**x", "x"),
        ];
        for (p, t) in yes {
            assert!(Select::matches(p, t), "{p} {t}");
        }
        for (p, t) in
            [("", "a"), ("a", ""), ("a*c", "ab"), ("[0-9]", "a"), ("[!a]", "a"), ("?", "")]
        {
            assert!(!Select::matches(p, t), "{p} {t}");
        }
    }

    #[test]
    fn a_pattern_made_to_take_for_ever_does_not() {
        let text = "a".repeat(20_000);
        assert!(!Select::matches(&"*a".repeat(50).replace("**", "*"), &format!("{text}b")));
    }
}
