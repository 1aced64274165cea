//! Which keys the records of a member can have, so that most members need not be asked for a key.

use crate::key::Key;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// Longest key that a range ends with, in bytes; a range with a longer one has no ends.
const LONGEST: usize = 256;

/// The ranges in which the keys of some records lie, for each kind of key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyRanges {
    integers: Span<i128>,
    strings: Span<Box<str>>,
    bytes: Span<Box<[u8]>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Span<T> {
    /// There is no key of this kind.
    #[default]
    Nothing,
    /// From the least to the greatest, both included.
    Between(T, T),
    /// Nothing is known.
    Anywhere,
}

impl<T: Ord + Clone> Span<T> {
    fn add<B: ?Sized + PartialOrd<B>>(&mut self, key: &B, own: impl Fn() -> T, short: bool)
    where
        T: std::borrow::Borrow<B>,
    {
        match self {
            _ if !short => *self = Self::Anywhere,
            Self::Nothing => *self = Self::Between(own(), own()),
            Self::Between(least, _) if key < (*least).borrow() => *least = own(),
            Self::Between(_, most) if key > (*most).borrow() => *most = own(),
            Self::Between(..) | Self::Anywhere => {}
        }
    }

    fn has<B: ?Sized + PartialOrd<B>>(&self, key: &B) -> bool
    where
        T: std::borrow::Borrow<B>,
    {
        match self {
            Self::Nothing => false,
            Self::Between(least, most) => key >= least.borrow() && key <= most.borrow(),
            Self::Anywhere => true,
        }
    }

    fn to_json(&self, one: impl Fn(&T) -> Value) -> Option<Value> {
        match self {
            Self::Nothing => None,
            Self::Between(least, most) => Some(json!([one(least), one(most)])),
            Self::Anywhere => Some(json!(true)),
        }
    }

    fn from_json(value: Option<&Value>, one: impl Fn(&Value) -> Option<T>) -> Option<Self> {
        match value {
            None => Some(Self::Nothing),
            Some(Value::Bool(true)) => Some(Self::Anywhere),
            Some(Value::Array(ends)) => match &ends[..] {
                [least, most] => Some(Self::Between(one(least)?, one(most)?)),
                _ => None,
            },
            Some(_) => None,
        }
    }
}

impl KeyRanges {
    /// Takes in one more key.
    pub fn add(&mut self, key: &Key) {
        match key {
            Key::Int(n) => self.integers.add(n, || *n, true),
            Key::Str(text) => self.strings.add(&**text, || text.clone(), text.len() <= LONGEST),
            Key::Bytes(bytes) => {
                self.bytes.add(&**bytes, || bytes.clone(), bytes.len() <= LONGEST);
            }
        }
    }

    /// Whether one of the records can have this key: `false` is certain.
    #[must_use]
    pub fn may_have(&self, key: &Key) -> bool {
        match key {
            Key::Int(n) => self.integers.has(n),
            Key::Str(text) => self.strings.has(&**text),
            Key::Bytes(bytes) => self.bytes.has(&**bytes),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let mut out = Map::new();
        let ints = self.integers.to_json(|n| match (u64::try_from(*n), i64::try_from(*n)) {
            (Ok(n), _) => json!(n),
            (_, Ok(n)) => json!(n),
            _ => Value::Null,
        });
        let texts = self.strings.to_json(|text| json!(text));
        let bytes = self.bytes.to_json(|bytes| json!(hex(bytes)));
        for (name, span) in [("integers", ints), ("strings", texts), ("bytes", bytes)] {
            if let Some(span) = span {
                out.insert(name.into(), span);
            }
        }
        Value::Object(out)
    }

    pub(super) fn from_json(value: &Value) -> Option<Self> {
        let value = value.as_object()?;
        let integer = |n: &Value| n.as_u64().map(i128::from).or_else(|| n.as_i64().map(i128::from));
        let text = |text: &Value| text.as_str().map(Into::into);
        Some(Self {
            integers: Span::from_json(value.get("integers"), integer)?,
            strings: Span::from_json(value.get("strings"), text)?,
            bytes: Span::from_json(value.get("bytes"), |bytes| unhex(bytes.as_str()?))?,
        })
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        // Writing to a string does not fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn unhex(text: &str) -> Option<Box<[u8]>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|n| u8::try_from(n).ok());
    text.len().is_multiple_of(2).then_some(())?;
    let pair = |pair: &[u8]| Some(digit(pair.first()?)? << 4 | digit(pair.get(1)?)?);
    text.as_bytes().chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_no_range_is_in_no_member_and_ranges_come_back_from_json() {
        let mut ranges = KeyRanges::default();
        let keys = [
            Key::from(-3),
            Key::from(u64::MAX),
            Key::from("frame-1"),
            Key::from("frame-9"),
            Key::from(&b"\x00\xff"[..]),
        ];
        assert!(keys.iter().all(|key| !ranges.may_have(key)));
        keys.iter().for_each(|key| ranges.add(key));
        assert!(keys.iter().all(|key| ranges.may_have(key)));
        assert!(ranges.may_have(&Key::from(7)) && !ranges.may_have(&Key::from(-4)));
        assert!(ranges.may_have(&Key::from("frame-5")) && !ranges.may_have(&Key::from("g")));
        assert!(!ranges.may_have(&Key::from(&b"\x00"[..])));
        assert_eq!(KeyRanges::from_json(&ranges.to_json()), Some(ranges.clone()));
        ranges.add(&Key::from("x".repeat(LONGEST + 1)));
        ranges.add(&Key::from("y"));
        assert!(ranges.may_have(&Key::from("anything")) && !ranges.may_have(&Key::from(-4)));
        assert_eq!(KeyRanges::from_json(&ranges.to_json()), Some(ranges));
        for wrong in [json!(3), json!({"integers": [1]}), json!({"integers": ["a", "b"]})] {
            assert_eq!(KeyRanges::from_json(&wrong), None, "{wrong}");
        }
        assert_eq!(KeyRanges::from_json(&json!({"bytes": ["0", "00"]})), None);
    }
}
