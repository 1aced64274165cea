//! The named pieces of metadata in a frame's header and trailer; both share one layout.

use super::msgpack::{self, Reader, Token};
use crate::error::{Error, Result};
use std::ops::Range;

/// A name and where its content lies in the header or trailer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metalayer {
    /// The name, at most 31 bytes.
    pub name: String,
    /// The content, in bytes from the start of the header or trailer.
    pub content: Range<usize>,
}

/// Longest name: one byte of msgpack holds its length.
const NAME_MAX: usize = 31;

/// Reads the metalayers whose array starts at `at` of `part`. No more than `max_count`, none
/// longer than `max_len`.
pub(super) fn parse(
    part: &[u8],
    at: usize,
    max_count: usize,
    max_len: usize,
) -> Result<Vec<Metalayer>> {
    let bad = |at: usize, why| Err(Error::corrupt("metalayers", at as u64, why));
    let Some(tail) = part.get(at..) else {
        return bad(at, "are missing");
    };
    let mut r = Reader::new(tail);
    if r.token()? != Token::Array(3) {
        return bad(at, "do not start with their array");
    }
    let Token::Int(_) = r.token()? else {
        return bad(at + 1, "have no index size");
    };
    let Token::Map(count) = r.token()? else {
        return bad(at + 4, "have no index");
    };
    if count as usize > max_count {
        let (asked, max) = (count.into(), max_count as u64);
        return Err(Error::Limit { what: "metalayers", asked, max });
    }
    let mut found = Vec::new();
    for _ in 0..count {
        let here = at + r.position();
        let Token::Str(name) = r.token()? else {
            return bad(here, "have an entry without name");
        };
        let Token::Int(offset) = r.token()? else {
            return bad(here, "have an entry without offset");
        };
        let content = usize::try_from(offset).ok().and_then(|start| {
            let mut r = Reader::new(part.get(start..)?);
            match r.token().ok()? {
                Token::Bin(bytes) => {
                    let end = start + r.position();
                    Some(end - bytes.len()..end)
                }
                _ => None,
            }
        });
        let Some(content) = content else {
            return bad(here, "name a content that is not there");
        };
        if content.len() > max_len {
            let (asked, max) = (content.len() as u64, max_len as u64);
            return Err(Error::Limit { what: "metalayer", asked, max });
        }
        found.push(Metalayer { name: name.to_owned(), content });
    }
    Ok(found)
}

/// Appends metalayers to `out`, the header or trailer from its first byte on.
pub(super) fn push(out: &mut Vec<u8>, layers: &[(&str, &[u8])]) -> Result<()> {
    let count = u16::try_from(layers.len()).map_err(|_| Error::Limit {
        what: "metalayers",
        asked: layers.len() as u64,
        max: u16::MAX.into(),
    })?;
    let start = out.len();
    out.extend([0x93, 0xcd, 0, 0, 0xde]);
    out.extend(count.to_be_bytes());
    let mut slots = Vec::with_capacity(layers.len());
    for (name, _) in layers {
        if name.len() > NAME_MAX {
            let (asked, max) = (name.len() as u64, NAME_MAX as u64);
            return Err(Error::Limit { what: "metalayer name", asked, max });
        }
        msgpack::push_str(out, name)?;
        out.push(0xd2);
        slots.push(out.len());
        out.extend([0; 4]);
    }
    let index = u16::try_from(out.len() - start).map_err(|_| Error::Limit {
        what: "metalayer index",
        asked: (out.len() - start) as u64,
        max: u16::MAX.into(),
    })?;
    patch(out, start + 2, &index.to_be_bytes());
    out.push(0xdc);
    out.extend(count.to_be_bytes());
    for ((_, content), slot) in layers.iter().zip(slots) {
        let too_long =
            || Error::Limit { what: "metalayers", asked: out.len() as u64, max: i32::MAX as u64 };
        let at = i32::try_from(out.len()).map_err(|_| too_long())?;
        let len = i32::try_from(content.len()).map_err(|_| too_long())?;
        patch(out, slot, &at.to_be_bytes());
        msgpack::push_bin32(out, len.unsigned_abs());
        out.extend_from_slice(content);
    }
    Ok(())
}

/// Overwrites bytes that were left open.
pub(super) fn patch(out: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(to) = out.get_mut(at..at + bytes.len()) {
        to.copy_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_is_parsed() {
        let mut out = vec![9; 5];
        push(&mut out, &[("a", b"one"), ("long name of a metalayer, 31 by", b"")]).unwrap();
        let got = parse(&out, 5, 16, 100).unwrap();
        assert_eq!(got.len(), 2);
        assert_eq!(&out[got[0].content.clone()], b"one");
        assert_eq!(got[1].content.len(), 0);
        assert!(matches!(parse(&out, 5, 1, 100), Err(Error::Limit { .. })));
        assert!(matches!(parse(&out, 5, 16, 2), Err(Error::Limit { .. })));
        assert!(push(&mut out, &[("name with thirty-two characters!", b"")]).is_err());
    }

    #[test]
    fn cut_or_changed_bytes_give_errors_or_ranges_inside() {
        let mut out = Vec::new();
        push(&mut out, &[("magic", &[7; 20]), ("vlstore", &[8; 40])]).unwrap();
        for len in 0..out.len() {
            assert!(parse(&out[..len], 0, 16, 100).is_err());
        }
        for at in 0..out.len() {
            for value in [0, 1, 0x7f, 0x80, 0xc6, 0xff] {
                let mut bad = out.clone();
                bad[at] = value;
                for layer in parse(&bad, 0, 16, 100).unwrap_or_default() {
                    assert!(bad.get(layer.content).is_some());
                }
            }
        }
    }
}
