//! The trailer of a frame: variable-length metalayers, and the length by which it is found.

use super::metalayer::{self, Metalayer};
use crate::error::{Error, Result};
use crate::limits::VLMETALAYERS;
use crate::wire::Cursor;

/// Fewest bytes of a trailer; the last of them suffice for [`trailer_len`].
pub const TRAILER_MIN: usize = 2 + METALAYERS_MIN + FOOTER;
/// Metalayers without an entry.
const METALAYERS_MIN: usize = 10;
/// Length field and fingerprint, at the very end.
const FOOTER: usize = 5 + 18;
/// Version of the trailer format.
const VERSION: u8 = 1;

/// The trailer with these variable-length metalayers, each a name and the Blosc2 chunk that
/// holds its content.
///
/// # Errors
/// [`Error::Limit`] for too many, a name of more than 31 bytes, or 2 GiB altogether.
pub fn build_trailer(layers: &[(&str, &[u8])]) -> Result<Vec<u8>> {
    if layers.len() > VLMETALAYERS {
        let (asked, max) = (layers.len() as u64, VLMETALAYERS as u64);
        return Err(Error::Limit { what: "metalayers", asked, max });
    }
    let mut out = vec![0x94, VERSION];
    metalayer::push(&mut out, layers)?;
    let len = i32::try_from(out.len() + FOOTER).map_err(|_| Error::Limit {
        what: "frame trailer",
        asked: out.len() as u64,
        max: i32::MAX as u64,
    })?;
    out.push(0xce);
    out.extend(len.to_be_bytes());
    // A fingerprint of type 0: none.
    out.extend([0xd8, 0]);
    out.extend([0; 16]);
    Ok(out)
}

/// The length of the trailer, from the last bytes of the frame (at least [`TRAILER_MIN`]).
///
/// # Errors
/// [`Error::Corrupt`] if they are not the end of a trailer.
pub fn trailer_len(tail: &[u8]) -> Result<u32> {
    let bad = |why| Err(Error::corrupt("frame trailer", tail.len() as u64, why));
    let Some(footer) = tail.len().checked_sub(FOOTER).and_then(|at| tail.get(at..)) else {
        return bad("is cut short");
    };
    let mut c = Cursor::new(footer);
    if c.u8() != Some(0xce) {
        return bad("does not end as a trailer does");
    }
    match (c.u32_be(), c.u8()) {
        (Some(len), Some(0xd8)) if len as usize >= TRAILER_MIN && i32::try_from(len).is_ok() => {
            Ok(len)
        }
        _ => bad("states a length that no trailer has"),
    }
}

/// Reads a trailer, given whole: the variable-length metalayers, with ranges in bytes from its
/// start. What lies there is a Blosc2 chunk that holds the content, not checked yet.
///
/// # Errors
/// [`Error::Corrupt`] if it is not a trailer of this length, [`Error::Unsupported`] for another
/// version, [`Error::Limit`] for too many metalayers.
pub fn parse_trailer(trailer: &[u8]) -> Result<Vec<Metalayer>> {
    let mut c = Cursor::new(trailer);
    if c.u8() != Some(0x94) {
        return Err(Error::corrupt("frame trailer", 0, "does not start as a trailer does"));
    }
    match c.u8() {
        Some(VERSION) => {}
        found => {
            return Err(Error::Unsupported {
                what: "frame trailer version",
                found: found.unwrap_or(0).into(),
                newest: VERSION.into(),
            });
        }
    }
    if trailer_len(trailer)? as usize != trailer.len() {
        return Err(Error::corrupt("frame trailer", 0, "does not have the length that it states"));
    }
    let body = trailer.get(..trailer.len() - FOOTER).unwrap_or_default();
    metalayer::parse(body, 2, VLMETALAYERS, trailer.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_is_parsed() {
        let t = build_trailer(&[("saved_lookup", &[5; 300]), ("x", &[6; 40])]).unwrap();
        assert_eq!(trailer_len(&t).unwrap() as usize, t.len());
        let got = parse_trailer(&t).unwrap();
        assert_eq!(got.len(), 2);
        assert_eq!(got[0].name, "saved_lookup");
        assert_eq!(t[got[0].content.clone()], [5; 300]);
        assert_eq!(t[got[1].content.clone()], [6; 40]);
        let empty = build_trailer(&[]).unwrap();
        assert_eq!(empty.len(), TRAILER_MIN);
        assert_eq!(parse_trailer(&empty).unwrap(), []);
    }

    #[test]
    fn no_cut_is_accepted_and_no_flip_panics() {
        let good = build_trailer(&[("saved_lookup", &[5; 30])]).unwrap();
        for len in 0..good.len() {
            assert!(parse_trailer(&good[..len]).is_err());
        }
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                for layer in parse_trailer(&bad).unwrap_or_default() {
                    assert!(bad.get(layer.content).is_some());
                }
            }
        }
    }
}
