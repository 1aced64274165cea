//! The streams of a block: lengths walked before the C library follows them.

use crate::error::{Error, Result};
use crate::limits::STREAM_MAX;
use crate::wire::Cursor;

/// What a walk over the streams of a block found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Walk {
    /// Bytes from the start of the block to the end of its last stream.
    pub(super) used: usize,
    /// Whether the block is all zero, so that nothing needs decoding.
    pub(super) zeros: bool,
}

/// Walks the `streams` streams of a block, each of which decodes to `each` bytes.
///
/// A stream is a length of 4 bytes and that many bytes. Length 0 is a run of zeros; a negative
/// length is a run of the byte `-length`, followed by a token of one byte.
///
/// # Errors
/// [`Error::Corrupt`] if a stream leaves the block, is longer than what it decodes to, or is a
/// run that Blosc2 does not define; [`Error::Limit`] if it is longer than `BloscLZ` survives.
pub(super) fn walk(bytes: &[u8], streams: u32, each: u32) -> Result<Walk> {
    let mut c = Cursor::new(bytes);
    let mut zeros = true;
    let bad = |at: usize, why| Err(Error::corrupt("stream", at as u64, why));
    for _ in 0..streams {
        let at = c.position();
        let Some(len) = c.i32_le() else {
            return bad(at, "starts past the end of its block");
        };
        match u32::try_from(len) {
            Ok(0) => {}
            Ok(len) => {
                zeros = false;
                if len > each {
                    return bad(at, "is longer than what it decodes to");
                }
                if len > STREAM_MAX {
                    let (asked, max) = (len.into(), STREAM_MAX.into());
                    return Err(Error::Limit { what: "stream", asked, max });
                }
                if c.take(len as usize).is_none() {
                    return bad(at, "ends past the end of its block");
                }
            }
            Err(_) => {
                zeros = false;
                if len < -255 {
                    return bad(at, "repeats something that is no byte");
                }
                match c.u8() {
                    Some(token) if token & 1 == 1 => {}
                    _ => return bad(at, "is a run of an unknown kind"),
                }
            }
        }
    }
    Ok(Walk { used: c.position(), zeros })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_streams_are_walked_to_their_end() {
        let bytes = [3, 0, 0, 0, 9, 9, 9, 0, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 1, 77];
        assert_eq!(walk(&bytes, 3, 8).unwrap(), Walk { used: 16, zeros: false });
        assert_eq!(walk(&[0; 8], 2, 8).unwrap(), Walk { used: 8, zeros: true });
    }

    #[test]
    fn streams_that_lie_about_their_length_are_errors() {
        assert!(walk(&[0; 7], 2, 8).is_err());
        assert!(walk(&[4, 0, 0, 0, 9, 9, 9], 1, 8).is_err());
        assert!(walk(&[4, 0, 0, 0, 9, 9, 9, 9], 1, 3).is_err());
        assert!(walk(&[0xff, 0xff, 0xff, 0xff], 1, 8).is_err());
        assert!(walk(&[0xff, 0xff, 0xff, 0xff, 0], 1, 8).is_err());
        assert!(walk(&[0, 0xff, 0xff, 0xff, 1], 1, 8).is_err());
        assert!(walk(&[0, 0, 0, 0x80, 1], 1, 8).is_err());
        let mut long = (STREAM_MAX + 1).to_le_bytes().to_vec();
        long.resize(STREAM_MAX as usize + 5, 0);
        assert!(matches!(walk(&long, 1, u32::MAX), Err(Error::Limit { .. })));
    }
}
