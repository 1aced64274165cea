//! The table of the original program: the metalayer `saved_lookup` of the trailer.
//!
//! A msgpack array with one array `["__tuple__", key, start, end]` for each record, which is how
//! python-blosc2 stores a Python tuple; start and end count the decoded bytes of all chunks.

use crate::error::{Error, Result};
use crate::frame::msgpack::{self, Reader, Token};
use crate::key::Key;
use crate::limits::LOOKUP_MAX;
use crate::wire::memory;
use std::borrow::Borrow;

/// The name of the metalayer.
pub const NAME: &str = "saved_lookup";
/// How python-blosc2 marks an array that is a tuple.
const TUPLE: &str = "__tuple__";
/// Fewest bytes of an entry: array, mark, and three values of one byte.
pub const ENTRY_MIN: usize = 1 + 10 + 3;

/// Writes the table with `count` entries of key, start and end.
///
/// # Errors
/// [`Error::Invalid`] if there are more or fewer entries, an entry ends before it starts or a
/// key is out of range; [`Error::Limit`] if the table is longer than [`LOOKUP_MAX`], the most
/// that one Blosc2 buffer holds.
pub fn encode<K: Borrow<Key>>(
    count: usize,
    entries: impl IntoIterator<Item = (K, u64, u64)>,
) -> Result<Vec<u8>> {
    let too_long =
        |asked: usize| Error::Limit { what: NAME, asked: asked as u64, max: LOOKUP_MAX as u64 };
    let n = u32::try_from(count).map_err(|_| too_long(count))?;
    let mut out = Vec::new();
    msgpack::push_array(&mut out, n);
    let mut written = 0;
    for (key, start, end) in entries {
        let key = key.borrow();
        key.check()?;
        if end < start {
            return Err(Error::invalid("entry", format!("of {key} ends before it starts")));
        }
        msgpack::push_array(&mut out, 4);
        msgpack::push_str(&mut out, TUPLE)?;
        match key {
            Key::Str(text) => msgpack::push_str(&mut out, text)?,
            Key::Int(n) => msgpack::push_int(&mut out, *n)?,
            Key::Bytes(bytes) => msgpack::push_bin(&mut out, bytes)?,
        }
        msgpack::push_uint(&mut out, start);
        msgpack::push_uint(&mut out, end);
        if out.len() > LOOKUP_MAX {
            return Err(too_long(out.len()));
        }
        written += 1;
    }
    if written == count {
        Ok(out)
    } else {
        Err(Error::invalid("entries", format!("{written} were given where {count} were announced")))
    }
}

/// Number of entries that the table says it has, not more than its bytes have room for.
///
/// # Errors
/// [`Error::Corrupt`] if it is not a list, or claims more.
pub fn count(bytes: &[u8]) -> Result<usize> {
    counted(&mut Reader::new(bytes))
}

fn counted(r: &mut Reader<'_>) -> Result<usize> {
    let Token::Array(count) = r.token()? else {
        return Err(Error::corrupt(NAME, 0, "is not a list"));
    };
    // What a file claims is bounded by what is there before it is allocated.
    if count as usize > r.remaining() / ENTRY_MIN {
        return Err(Error::corrupt(NAME, 0, "claims more entries than it has"));
    }
    Ok(count as usize)
}

/// Reads the table: key, start and end of each entry, in the order in which they stand. Whether
/// an entry lies inside the data and whether a key stands twice is for the caller to check.
///
/// # Errors
/// [`Error::Corrupt`] for anything that is not such a table, [`Error::Limit`] for a key that is
/// too long.
pub fn decode(bytes: &[u8]) -> Result<Vec<(Key, u64, u64)>> {
    let bad = |at: usize, why| Err(Error::corrupt(NAME, at as u64, why));
    let mut r = Reader::new(bytes);
    let count = counted(&mut r)?;
    let mut entries = memory::with_room(count)?;
    for _ in 0..count {
        let at = r.position();
        if r.token()? != Token::Array(4) || r.token()? != Token::Str(TUPLE) {
            return bad(at, "has an entry that is not a tuple of key, start and end");
        }
        let key = match r.token()? {
            Token::Str(text) => Key::Str(text.into()),
            Token::Int(n) => Key::Int(n),
            Token::Bin(bytes) => Key::Bytes(bytes.into()),
            _ => return bad(at, "has a key that is neither text, integer nor bytes"),
        };
        key.check()?;
        let (Token::Int(start), Token::Int(end)) = (r.token()?, r.token()?) else {
            return bad(at, "has a place that is not an integer");
        };
        let (Ok(start), Ok(end)) = (u64::try_from(start), u64::try_from(end)) else {
            return bad(at, "has a negative place");
        };
        if end < start {
            return bad(at, "has an entry that ends before it starts");
        }
        entries.push((key, start, end));
    }
    if r.remaining() > 0 {
        return bad(r.position(), "goes on after its last entry");
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<(Key, u64, u64)> {
        vec![
            (Key::from("frame_0"), 0, 10),
            (Key::from("ü".repeat(300)), 10, 10),
            (Key::from(-5), 12, 1 << 40),
            (Key::from(u64::MAX), 0, u64::MAX),
            (Key::from(&b"\x00\xff"[..]), 7, 9),
        ]
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let entries = sample();
        let bytes = encode(5, entries.iter().map(|(k, s, e)| (k, *s, *e))).unwrap();
        assert_eq!(decode(&bytes).unwrap(), entries);
        let none = encode::<Key>(0, []).unwrap();
        assert_eq!(none, [0x90]);
        assert_eq!(decode(&none).unwrap(), []);
        let many = if cfg!(miri) { 300 } else { 70_000_u64 };
        let many: Vec<_> = (0..many).map(|i| (Key::from(i), i, i + 1)).collect();
        let bytes = encode(many.len(), many.clone()).unwrap();
        assert_eq!(decode(&bytes).unwrap(), many);
    }

    #[test]
    fn wrong_counts_and_places_are_refused_on_writing() {
        assert!(encode(4, sample()).is_err());
        assert!(encode(6, sample()).is_err());
        assert!(encode(1, [(Key::from(1), 3, 2)]).is_err());
        assert!(encode(1, [(Key::Int(1 << 70), 3, 4)]).is_err());
    }

    #[test]
    fn cut_or_changed_bytes_never_panic_and_no_cut_is_accepted() {
        let bytes = encode(5, sample()).unwrap();
        let step = if cfg!(miri) { 11 } else { 1 };
        for len in (0..bytes.len()).step_by(step) {
            assert!(decode(&bytes[..len]).is_err());
        }
        for at in (0..bytes.len()).step_by(step) {
            for bit in 0..8 {
                let mut bad = bytes.clone();
                bad[at] ^= 1 << bit;
                let _ = decode(&bad);
            }
        }
        let mut longer = bytes;
        longer.push(0);
        assert!(decode(&longer).is_err());
    }

    #[test]
    fn a_claimed_count_allocates_nothing() {
        assert!(decode(&[0xdd, 0xff, 0xff, 0xff, 0xff, 0x94]).is_err());
        assert!(decode(&[0x91, 0x94]).is_err());
        assert!(decode(&[0x05]).is_err());
    }
}
