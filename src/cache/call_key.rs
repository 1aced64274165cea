//! What was called, as the text that is the key of its result.

use super::argument::{Argument, named, quoted};
use crate::error::{Error, Result};
use crate::key::Key;
use crate::wire::Digest;
use std::collections::BTreeMap;
use std::fmt;

/// Bytes of the longest text that is the key of its record. That of a longer call is a digest, and the
/// head of the record has the text: so the calls of most caches can be read in a list of the keys.
const LONGEST: usize = 1024;

/// A function by its name and version, and the arguments it was called with.
///
/// Its text is a list in JSON: `["name",version,[positional],{named}]`, without the first two if the
/// function has no name.
///
/// ```
/// use vlstore::cache::Call;
/// let call = Call::new("model.energy", 2).with(0.5).with_named("steps", 10);
/// assert_eq!(call.text(), r#"["model.energy",2,[0.5],{"steps":10}]"#);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    function: String,
    version: u64,
    positional: Vec<Argument>,
    named: BTreeMap<String, Argument>,
}

impl Call {
    /// A call without arguments of the function of this name; the empty name is none. The version
    /// is raised when the function returns something else than before.
    #[must_use]
    pub fn new(function: impl Into<String>, version: u64) -> Self {
        Self { function: function.into(), version, positional: Vec::new(), named: BTreeMap::new() }
    }

    /// The same call with one more positional argument.
    #[must_use]
    pub fn with(mut self, argument: impl Into<Argument>) -> Self {
        self.positional.push(argument.into());
        self
    }

    /// The same call with this named argument.
    #[must_use]
    pub fn with_named(mut self, name: impl Into<String>, argument: impl Into<Argument>) -> Self {
        self.named.insert(name.into(), argument.into());
        self
    }

    /// The text of the call, by which its result is found.
    #[must_use]
    pub fn text(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        if !self.function.is_empty() {
            quoted(&self.function, f)?;
            write!(f, ",{},", self.version)?;
        }
        f.write_str("[")?;
        for (i, argument) in self.positional.iter().enumerate() {
            write!(f, "{}{argument}", if i > 0 { "," } else { "" })?;
        }
        f.write_str("],")?;
        named(&self.named, f)?;
        f.write_str("]")
    }
}

/// The key of the record of the call with this text.
pub(super) fn record_key(text: &str) -> Key {
    if text.len() <= LONGEST {
        Key::from(text)
    } else {
        Key::from(format!("#{}", Digest::of(text.as_bytes())).as_str())
    }
}

/// Whether `key` is that of a result, and if so whether its text is in the head of the record alone.
pub(super) fn of_result(key: &Key) -> Option<(&str, bool)> {
    match key {
        Key::Str(text) if text.starts_with('[') => Some((text, false)),
        Key::Str(text) if text.starts_with('#') => Some((text, true)),
        _ => None,
    }
}

/// The parts of the text of a call, as they stand in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts<'a> {
    /// Name and version of the function as JSON; both are empty if it has no name.
    pub function: (&'a str, &'a str),
    /// The positional arguments, a list of JSON.
    pub positional: &'a str,
    /// The named arguments, an object of JSON.
    pub named: &'a str,
}

impl<'a> Parts<'a> {
    /// The parts of the text of a call.
    ///
    /// # Errors
    /// [`Error::Codec`] if it is not such a text.
    pub fn of(text: &'a str) -> Result<Self> {
        let bad = || Error::codec("document", "the key of the entry is not the text of a call");
        let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).ok_or_else(bad)?;
        let parts = split(inner).ok_or_else(bad)?;
        let (function, positional, named) = match *parts.as_slice() {
            [positional, named] => (("", ""), positional, named),
            [name, version, positional, named] => ((name, version), positional, named),
            _ => return Err(bad()),
        };
        if !(positional.starts_with('[') && named.starts_with('{')) {
            return Err(bad());
        }
        Ok(Self { function, positional, named })
    }
}

/// The values between the commas of a list that are in no inner list, object or text.
fn split(inner: &str) -> Option<Vec<&str>> {
    let (mut out, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for (i, byte) in inner.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.checked_sub(1)?,
            b',' if depth == 0 => {
                out.push(inner.get(start..i)?);
                start = i + 1;
            }
            _ => {}
        }
    }
    out.push(inner.get(start..)?);
    (depth == 0 && !quoted).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_without_a_name_has_two_parts_and_one_with_a_name_four() {
        let plain = Call::new("", 1).with(1).with("a,b]\"").text();
        assert_eq!(plain, r#"[[1,"a,b]\""],{}]"#);
        let parts = Parts::of(&plain).unwrap();
        assert_eq!((parts.function, parts.named), (("", ""), "{}"));
        assert_eq!(parts.positional, r#"[1,"a,b]\""]"#);
        let named = Call::new("f", 3).with_named("b", vec![1, 2]).text();
        let parts = Parts::of(&named).unwrap();
        assert_eq!(parts.function, ("\"f\"", "3"));
        assert_eq!((parts.positional, parts.named), ("[]", r#"{"b":[1,2]}"#));
        for bad in ["", "[]", "[1,2]", "[[1],{}", "x", "[[],[]]", "[[]],{}]", "[\"]"] {
            assert!(Parts::of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_long_call_has_a_digest_for_its_key() {
        let text = Call::new("f", 1).with("x".repeat(2000)).text();
        let key = record_key(&text);
        let Some((digest, true)) = of_result(&key) else { panic!("{key}") };
        assert_eq!(digest.len(), 33);
        let short = record_key(r#"["f",1,[],{}]"#);
        assert_eq!(of_result(&short), Some((r#"["f",1,[],{}]"#, false)));
        assert_eq!(of_result(&Key::from("vlstore:uses")), None);
    }
}
