//! How values are written, so that they are read back as they are.

use super::item::item;
use super::json;
use super::typed::Typed;
use super::value::typed;
use crate::codec::Values;

/// Keys whose values are text, whatever they look like: a hexadecimal number may look decimal.
pub(super) fn is_text_key(key: &str) -> bool {
    key.eq_ignore_ascii_case("uid")
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

/// The text of the value of `key`, from which the reader makes the same value again.
pub(super) fn text(key: &str, shape: &[u32], values: &Values) -> String {
    if let (Values::Str(v), []) = (values, shape) {
        let text = v.first().map(String::as_str).unwrap_or_default();
        // A text that would be read as a number, ends the line or is empty.
        let plain = !text.is_empty() && text == text.trim() && !text.chars().any(char::is_control);
        let same = if is_text_key(key) {
            !text.starts_with("_JSON ")
        } else {
            text.starts_with("_JSON ") || typed(text).is_ok_and(|t| t == Typed::text(text))
        };
        return if plain && same { text.into() } else { format!("_JSON {}", json::string(text)) };
    }
    // One value in a list, lists of lists, and lists of text have no other notation that ASE
    // reads.
    let flat = (shape.is_empty() || matches!(shape, [n] if *n > 1))
        && !matches!(values, Values::Str(_))
        && !is_text_key(key);
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
