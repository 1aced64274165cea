//! The subset of msgpack that frames and `saved_lookup` use, read with bounds, written plainly.
//!
//! Source: the msgpack specification. Numbers in it are big-endian, unlike all else in a file.

use crate::error::{Error, Result};
use crate::limits::MSGPACK_DEPTH;
use crate::wire::Cursor;

/// One step through a msgpack document. Containers announce how many values follow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Token<'a> {
    /// Nothing.
    Nil,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i128),
    /// A floating-point number.
    Float(f64),
    /// Text.
    Str(&'a str),
    /// Bytes.
    Bin(&'a [u8]),
    /// An array of that many values.
    Array(u32),
    /// A map of that many pairs of values.
    Map(u32),
    /// A value of an application's own type.
    Ext(u8, &'a [u8]),
}

/// Reads msgpack from bytes that nobody has checked. Allocates nothing.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { cursor: Cursor::new(bytes) }
    }

    /// Position, in bytes from the start.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.cursor.position()
    }

    /// Bytes that are left.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.cursor.remaining()
    }

    /// The error for the value that starts at `at`.
    #[must_use]
    pub const fn error(at: usize, why: &'static str) -> Error {
        Error::corrupt("msgpack", at as u64, why)
    }

    /// The next token.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the bytes end inside it, text is not UTF-8, or its first byte is
    /// the one that msgpack never uses.
    pub fn token(&mut self) -> Result<Token<'a>> {
        let at = self.position();
        self.try_token().ok_or(Self::error(at, "a value is cut short or malformed"))
    }

    fn try_token(&mut self) -> Option<Token<'a>> {
        let c = &mut self.cursor;
        let head = c.u8()?;
        Some(match head {
            0x00..=0x7f => Token::Int(head.into()),
            0x80..=0x8f => Token::Map(u32::from(head & 0x0f)),
            0x90..=0x9f => Token::Array(u32::from(head & 0x0f)),
            0xa0..=0xbf => return text(c, u32::from(head & 0x1f)),
            0xc0 => Token::Nil,
            0xc1 => return None,
            0xc2 | 0xc3 => Token::Bool(head == 0xc3),
            0xc4..=0xc6 => {
                let len = length(c, head - 0xc4)?;
                Token::Bin(c.take(len as usize)?)
            }
            0xc7..=0xc9 => {
                let len = length(c, head - 0xc7)?;
                ext(c, len)?
            }
            0xca => Token::Float(f32::from_bits(c.u32_be()?).into()),
            0xcb => Token::Float(f64::from_bits(c.u64_be()?)),
            0xcc => Token::Int(c.u8()?.into()),
            0xcd => Token::Int(c.u16_be()?.into()),
            0xce => Token::Int(c.u32_be()?.into()),
            0xcf => Token::Int(c.u64_be()?.into()),
            0xd0 => Token::Int(i8::from_be_bytes(c.array()?).into()),
            0xd1 => Token::Int(i16::from_be_bytes(c.array()?).into()),
            0xd2 => Token::Int(c.i32_be()?.into()),
            0xd3 => Token::Int(c.i64_be()?.into()),
            0xd4..=0xd8 => ext(c, 1 << (head - 0xd4))?,
            0xd9..=0xdb => {
                let len = length(c, head - 0xd9)?;
                return text(c, len);
            }
            0xdc => Token::Array(c.u16_be()?.into()),
            0xdd => Token::Array(c.u32_be()?),
            0xde => Token::Map(c.u16_be()?.into()),
            0xdf => Token::Map(c.u32_be()?),
            0xe0..=0xff => Token::Int(i128::from(head) - 256),
        })
    }

    /// Steps over one value with all that is in it.
    ///
    /// # Errors
    /// [`Error::Corrupt`] as [`Self::token`], [`Error::Limit`] if containers are nested more
    /// than [`MSGPACK_DEPTH`] deep.
    pub fn skip(&mut self) -> Result<()> {
        // Values still to come on each level; a claimed count allocates nothing.
        let mut left = [0_u64; MSGPACK_DEPTH];
        let mut depth = 0;
        loop {
            let inside = match self.token()? {
                Token::Array(n) => u64::from(n),
                Token::Map(n) => 2 * u64::from(n),
                _ => 0,
            };
            if inside > 0 {
                let Some(level) = left.get_mut(depth) else {
                    let max = MSGPACK_DEPTH as u64;
                    return Err(Error::Limit { what: "msgpack depth", asked: max + 1, max });
                };
                *level = inside;
                depth += 1;
                continue;
            }
            loop {
                let Some(level) = depth.checked_sub(1).and_then(|d| left.get_mut(d)) else {
                    return Ok(());
                };
                *level -= 1;
                if *level > 0 {
                    break;
                }
                depth -= 1;
            }
        }
    }
}

/// A length of 1, 2 or 4 bytes.
fn length(c: &mut Cursor<'_>, width: u8) -> Option<u32> {
    match width {
        0 => c.u8().map(u32::from),
        1 => c.u16_be().map(u32::from),
        _ => c.u32_be(),
    }
}

fn text<'a>(c: &mut Cursor<'a>, len: u32) -> Option<Token<'a>> {
    std::str::from_utf8(c.take(len as usize)?).ok().map(Token::Str)
}

fn ext<'a>(c: &mut Cursor<'a>, len: u32) -> Option<Token<'a>> {
    let kind = c.u8()?;
    Some(Token::Ext(kind, c.take(len as usize)?))
}

/// Appends the start of an array of `n` values, in the shortest form.
pub fn push_array(out: &mut Vec<u8>, n: u32) {
    match (u8::try_from(n), u16::try_from(n)) {
        (Ok(n @ 0..=15), _) => out.push(0x90 | n),
        (_, Ok(n)) => {
            out.push(0xdc);
            out.extend(n.to_be_bytes());
        }
        _ => {
            out.push(0xdd);
            out.extend(n.to_be_bytes());
        }
    }
}

/// Appends text, in the shortest form.
///
/// # Errors
/// [`Error::Limit`] if it has 4 GiB or more.
pub fn push_str(out: &mut Vec<u8>, text: &str) -> Result<()> {
    match u8::try_from(text.len()) {
        Ok(n @ 0..=31) => out.push(0xa0 | n),
        _ => push_length(out, text.len(), 0xd9)?,
    }
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// Appends bytes, in the shortest form.
///
/// # Errors
/// [`Error::Limit`] if there are 4 GiB or more.
pub fn push_bin(out: &mut Vec<u8>, bytes: &[u8]) -> Result<()> {
    push_length(out, bytes.len(), 0xc4)?;
    out.extend_from_slice(bytes);
    Ok(())
}

/// Appends the start of `len` bytes in the long form, which leaves room for any length.
pub(super) fn push_bin32(out: &mut Vec<u8>, len: u32) {
    out.push(0xc6);
    out.extend(len.to_be_bytes());
}

fn push_length(out: &mut Vec<u8>, len: usize, first: u8) -> Result<()> {
    if let Ok(n) = u8::try_from(len) {
        out.push(first);
        out.push(n);
    } else if let Ok(n) = u16::try_from(len) {
        out.push(first + 1);
        out.extend(n.to_be_bytes());
    } else if let Ok(n) = u32::try_from(len) {
        out.push(first + 2);
        out.extend(n.to_be_bytes());
    } else {
        let (asked, max) = (len as u64, u32::MAX.into());
        return Err(Error::Limit { what: "msgpack value", asked, max });
    }
    Ok(())
}

/// Appends an integer, in the shortest form, as the msgpack of Python does.
///
/// # Errors
/// [`Error::Invalid`] if it is outside −2^63 to 2^64 − 1.
pub fn push_int(out: &mut Vec<u8>, n: i128) -> Result<()> {
    if let Ok(n) = u64::try_from(n) {
        push_uint(out, n);
        return Ok(());
    }
    let Ok(wide) = i64::try_from(n) else {
        return Err(Error::invalid("msgpack number", format!("{n} does not fit 64 bits")));
    };
    if let Ok(n) = i8::try_from(wide) {
        if n < -32 {
            out.push(0xd0);
        }
        out.extend(n.to_be_bytes());
    } else if let Ok(n) = i16::try_from(wide) {
        out.push(0xd1);
        out.extend(n.to_be_bytes());
    } else if let Ok(n) = i32::try_from(wide) {
        out.push(0xd2);
        out.extend(n.to_be_bytes());
    } else {
        out.push(0xd3);
        out.extend(wide.to_be_bytes());
    }
    Ok(())
}

/// Appends an integer that is not negative, in the shortest form.
pub fn push_uint(out: &mut Vec<u8>, n: u64) {
    if let Ok(n) = u8::try_from(n) {
        if n > 0x7f {
            out.push(0xcc);
        }
        out.push(n);
    } else if let Ok(n) = u16::try_from(n) {
        out.push(0xcd);
        out.extend(n.to_be_bytes());
    } else if let Ok(n) = u32::try_from(n) {
        out.push(0xce);
        out.extend(n.to_be_bytes());
    } else {
        out.push(0xcf);
        out.extend(n.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_in_the_shortest_form() {
        for (n, len) in [
            (0, 1),
            (127, 1),
            (128, 2),
            (255, 2),
            (256, 3),
            (65_536, 5),
            (1 << 32, 9),
            (i128::from(u64::MAX), 9),
            (-1, 1),
            (-32, 1),
            (-33, 2),
            (-129, 3),
            (-40_000, 5),
            (i128::from(i64::MIN), 9),
        ] {
            let mut out = Vec::new();
            push_int(&mut out, n).unwrap();
            assert_eq!(out.len(), len, "{n}");
            assert_eq!(Reader::new(&out).token().unwrap(), Token::Int(n));
        }
        assert!(push_int(&mut Vec::new(), 1 << 64).is_err());
        assert!(push_int(&mut Vec::new(), -(1 << 63) - 1).is_err());
    }

    #[test]
    fn text_and_bytes_of_any_length_come_back() {
        for len in [0, 31, 32, 255, 256, 65_535, 65_536] {
            let (text, bytes) = ("x".repeat(len), vec![9; len]);
            let mut out = Vec::new();
            push_str(&mut out, &text).unwrap();
            push_bin(&mut out, &bytes).unwrap();
            let mut r = Reader::new(&out);
            assert_eq!(r.token().unwrap(), Token::Str(&text));
            assert_eq!(r.token().unwrap(), Token::Bin(&bytes));
            assert_eq!(r.remaining(), 0);
        }
    }

    #[test]
    fn whole_values_are_skipped_and_deep_ones_refused() {
        // [1, {"a": [nil, 2.0]}, ext] and one more value.
        let doc =
            [0x93, 1, 0x81, 0xa1, b'a', 0x92, 0xc0, 0xcb, 0, 0, 0, 0, 0, 0, 0, 0, 0xd4, 5, 6, 0xc3];
        let mut r = Reader::new(&doc);
        r.skip().unwrap();
        assert_eq!(r.token().unwrap(), Token::Bool(true));
        let mut deep = vec![0x91; MSGPACK_DEPTH];
        deep.push(7);
        Reader::new(&deep).skip().unwrap();
        deep.insert(0, 0x91);
        assert!(matches!(Reader::new(&deep).skip(), Err(Error::Limit { .. })));
    }

    #[test]
    fn no_bytes_panic() {
        for a in 0..=255_u8 {
            for b in [0, 1, 0x7f, 0x80, 0xff] {
                for len in 0..8 {
                    let mut bytes = vec![b; len];
                    bytes.insert(0, a);
                    let _ = Reader::new(&bytes).skip();
                }
            }
        }
        assert!(Reader::new(&[0xdd, 0xff, 0xff, 0xff, 0xff]).skip().is_err());
        assert!(Reader::new(&[0xa1, 0xff]).token().is_err());
        assert!(Reader::new(&[0xc1]).token().is_err());
    }
}
