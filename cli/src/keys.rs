//! Keys as a person writes them.

use std::fmt::Write as _;
use vlstore::Key;
use vlstore::printable::{is_unprintable, printable};

/// `7` is the integer, `str:7` the string, `hex:00ff` bytes, `json:"a\u001bb"` a string with characters
/// that would control a terminal, anything else a string.
pub(crate) fn parse(text: &str) -> Result<Key, String> {
    let key = if let Some(rest) = text.strip_prefix("str:") {
        Key::from(rest)
    } else if let Some(rest) = text.strip_prefix("int:") {
        let n = rest.parse().map_err(|_| format!("{rest:?} is not an integer"))?;
        Key::Int(n)
    } else if let Some(rest) = text.strip_prefix("hex:") {
        Key::from(
            unhex(rest).ok_or("hex: needs pairs of hexadecimal digits, for example hex:00ff")?,
        )
    } else if let Some(rest) = text.strip_prefix("json:") {
        let text: String = serde_json::from_str(rest)
            .map_err(|_| "json: needs a JSON string, for example json:\"a\\u001bb\"")?;
        Key::from(text)
    } else if let Ok(n) = text.parse() {
        Key::Int(n)
    } else {
        Key::from(text)
    };
    key.check().map_err(|e| e.to_string())?;
    Ok(key)
}

/// A key as [`parse`] reads it back.
pub(crate) fn show(key: &Key) -> String {
    match key {
        Key::Int(i) => i.to_string(),
        Key::Bytes(b) => format!("hex:{}", hex(b)),
        Key::Str(s) if s.contains(is_unprintable) => {
            // What JSON itself leaves as it is, as U+009B, is escaped in its way.
            format!("json:{}", printable(&serde_json::json!(s).to_string()))
        }
        Key::Str(s) => {
            let plain = parse(s).is_ok_and(|k| k == *key) && !s.is_empty();
            if plain { s.to_string() } else { format!("str:{s}") }
        }
    }
}

/// Hexadecimal digits of bytes.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, b| {
        // Writing to a String cannot fail.
        let _ = write!(out, "{b:02x}");
        out
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_shown_is_read_back_as_the_same() {
        for key in [
            Key::from("frame-7"),
            Key::from("7"),
            Key::from("-7"),
            Key::from(""),
            Key::from("str:x"),
            Key::from("hex:00"),
            Key::from(7),
            Key::from(u64::MAX),
            Key::from(i64::MIN),
            Key::from(&b"\x00\xff"[..]),
            Key::from("\u{1b}[31m \"red\" \\ \n\u{9b}\u{202e}"),
            Key::from("json:\"x\""),
            Key::from("back\\slash 'quote'"),
        ] {
            assert_eq!(parse(&show(&key)).unwrap(), key, "{}", show(&key));
            assert!(!show(&key).contains(is_unprintable), "{}", show(&key));
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for bad in ["int:x", "hex:0", "hex:zz", "18446744073709551616"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
