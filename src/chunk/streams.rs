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

/// One stream of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream<'a> {
    /// A run of one byte.
    Run(u8),
    /// The decoded bytes.
    Plain(&'a [u8]),
    /// Bytes for the algorithm.
    Packed(&'a [u8]),
}

impl Stream<'_> {
    /// The byte of a run; 0 for another stream.
    pub(super) const fn value(self) -> u8 {
        match self {
            Self::Run(value) => value,
            Self::Plain(_) | Self::Packed(_) => 0,
        }
    }
}

/// Takes the next stream, which decodes to `each` bytes, from a block.
///
/// A stream is a length of 4 bytes and that many bytes. Length 0 is a run of zeros; a negative
/// length is a run of the byte `-length`, followed by a token of one byte. One that is as long
/// as what it decodes to was not compressed.
///
/// # Errors
/// [`Error::Corrupt`] if the stream leaves the block, is longer than what it decodes to, or is a
/// run that Blosc2 does not define; [`Error::Limit`] if it is longer than `BloscLZ` survives.
pub(super) fn next<'a>(c: &mut Cursor<'a>, each: u32) -> Result<Stream<'a>> {
    let at = c.position();
    let bad = |why| Err(Error::corrupt("stream", at as u64, why));
    let Some(len) = c.i32_le() else {
        return bad("starts past the end of its block");
    };
    let Ok(len) = u32::try_from(len) else {
        return match (u8::try_from(len.unsigned_abs()), c.u8()) {
            (Err(_), _) => bad("repeats a value that is not a byte"),
            (Ok(value), Some(token)) if token & 1 == 1 => Ok(Stream::Run(value)),
            _ => bad("is a run of an unknown kind"),
        };
    };
    if len == 0 {
        return Ok(Stream::Run(0));
    }
    if len > each {
        return bad("is longer than what it decodes to");
    }
    if len > STREAM_MAX {
        let (asked, max) = (len.into(), STREAM_MAX.into());
        return Err(Error::Limit { what: "stream", asked, max });
    }
    match c.take(len as usize) {
        Some(bytes) if len == each => Ok(Stream::Plain(bytes)),
        Some(bytes) => Ok(Stream::Packed(bytes)),
        None => bad("ends past the end of its block"),
    }
}

/// Walks the `streams` streams of a block, each of which decodes to `each` bytes.
///
/// # Errors
/// Those of [`next`].
pub(super) fn walk(bytes: &[u8], streams: u32, each: u32) -> Result<Walk> {
    let mut c = Cursor::new(bytes);
    let mut zeros = true;
    for _ in 0..streams {
        zeros &= next(&mut c, each)? == Stream::Run(0);
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
