//! The header of a chunk: the allow-list that every chunk passes before anything else happens.

use super::algorithm::Algorithm;
use super::params::Filter;
use crate::error::{Error, Result};
use crate::wire::Cursor;

/// Length of the Blosc2 header, in bytes.
pub(super) const EXTENDED: usize = 32;
/// Length of the older header, in bytes.
const SHORT: usize = 16;
/// Newest version of the chunk format.
const VERSION: u8 = 5;

pub(super) const SHUFFLE: u8 = 0x01;
const STORED: u8 = 0x02;
pub(super) const BITSHUFFLE: u8 = 0x04;
const DELTA: u8 = 0x08;
/// Set if the bytes of a block are in one stream, not in one for each byte of an element.
pub(super) const ONE_STREAM: u8 = 0x10;

/// What the bytes after the header mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Block starts, then streams.
    Streams,
    /// The decoded bytes.
    Stored,
    /// Nothing: all bytes are zero.
    Zeros,
    /// Nothing: all numbers are NaN.
    Nans,
    /// One element, which all elements equal.
    Value,
}

/// A header that has passed the allow-list; its sizes agree with each other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    /// Version of the chunk format; the C library needs it to undo the bit shuffle.
    pub(super) version: u8,
    pub(super) kind: Kind,
    pub(super) algorithm: Option<Algorithm>,
    pub(super) filter: Filter,
    /// Whether full blocks are split into `typesize` streams.
    pub(super) split: bool,
    pub(super) typesize: u8,
    /// Length of this header, in bytes.
    pub(super) len: usize,
    pub(super) nbytes: u32,
    pub(super) cbytes: u32,
    pub(super) block_size: u32,
}

const fn bad<T>(offset: u64, why: &'static str) -> Result<T> {
    Err(Error::corrupt("chunk header", offset, why))
}

const fn refuse<T>(what: &'static str, found: u8, newest: u64) -> Result<T> {
    Err(Error::Unsupported { what, found: found as u64, newest })
}

impl Header {
    /// Reads and checks the header at the start of `bytes`; `max_nbytes` bounds the size that it
    /// may claim.
    pub(super) fn parse(bytes: &[u8], max_nbytes: u32) -> Result<Self> {
        const CUT: &str = "is cut short";
        let mut c = Cursor::new(bytes);
        let Some([version, stream_version, flags, typesize]) = c.array() else {
            return bad(0, CUT);
        };
        let (Some(nbytes), Some(block_size), Some(cbytes)) = (c.i32_le(), c.i32_le(), c.i32_le())
        else {
            return bad(4, CUT);
        };
        let extended = flags & (SHUFFLE | BITSHUFFLE) == SHUFFLE | BITSHUFFLE;
        let oldest = if extended { 4 } else { 2 };
        if !(oldest..=VERSION).contains(&version) {
            return refuse("chunk version", version, VERSION.into());
        }
        if flags & DELTA != 0 {
            return refuse("delta filter", 3, 2);
        }
        if typesize == 0 {
            return bad(3, "the typesize is 0");
        }
        let Ok(nbytes) = u32::try_from(nbytes) else {
            return bad(4, "the decoded size is negative");
        };
        if nbytes > max_nbytes {
            let (asked, max) = (nbytes.into(), max_nbytes.into());
            return Err(Error::Limit { what: "chunk", asked, max });
        }
        let block_size = match u32::try_from(block_size) {
            Ok(b) if b > 0 && (nbytes == 0 || b <= nbytes) => b,
            _ => return bad(8, "the block size is not between 1 and the decoded size"),
        };
        let len = if extended { EXTENDED } else { SHORT };
        let cbytes = match u32::try_from(cbytes) {
            Ok(n) if n as usize >= len => n,
            _ => return bad(12, "the compressed size is shorter than a header"),
        };
        let stored = if flags & STORED == 0 { Kind::Streams } else { Kind::Stored };
        let (kind, filter, algorithm_id) = if extended {
            let Some(tail) = c.array::<16>() else {
                return bad(16, CUT);
            };
            extended_tail(tail, typesize, nbytes, cbytes, stored)?
        } else {
            (stored, short_filter(flags, version)?, None)
        };
        if kind == Kind::Stored && u64::from(cbytes) != u64::from(nbytes) + len as u64 {
            return bad(12, "the compressed size of a stored chunk is not header plus data");
        }
        let algorithm = if kind == Kind::Streams {
            if stream_version != 1 {
                return refuse("compression format version", stream_version, 1);
            }
            Some(algorithm_of(flags >> 5, algorithm_id)?)
        } else {
            None
        };
        let split = kind == Kind::Streams && flags & ONE_STREAM == 0 && typesize > 1;
        if split && !block_size.is_multiple_of(u32::from(typesize)) {
            // The C library would leave the remainder of the block as it found it.
            return bad(8, "the block size is not a multiple of the typesize");
        }
        Ok(Self {
            version,
            kind,
            algorithm,
            filter,
            split,
            typesize,
            len,
            nbytes,
            cbytes,
            block_size,
        })
    }

    /// Blocks in the chunk.
    pub(super) const fn blocks(&self) -> u32 {
        self.nbytes.div_ceil(self.block_size)
    }

    /// Streams in a block of `len` decoded bytes: the last, short block is never split.
    pub(super) const fn streams(&self, len: u32) -> u32 {
        if self.split && len == self.block_size { self.typesize as u32 } else { 1 }
    }

    /// The Blosc2 header that says the same.
    pub(super) fn encode(&self) -> [u8; EXTENDED] {
        let mut flags = SHUFFLE | BITSHUFFLE;
        let mut special = 0;
        match self.kind {
            Kind::Streams => {
                flags |= self.algorithm.map_or(0, Algorithm::format) << 5;
                flags |= if self.split { 0 } else { ONE_STREAM };
            }
            Kind::Stored => flags |= STORED,
            Kind::Zeros => special = 1,
            Kind::Nans => special = 2,
            Kind::Value => special = 3,
        }
        let mut out = [0; EXTENDED];
        let [b0, b1, b2, b3] = self.nbytes.to_le_bytes();
        let [s0, s1, s2, s3] = self.block_size.to_le_bytes();
        let [c0, c1, c2, c3] = self.cbytes.to_le_bytes();
        let head =
            [self.version, 1, flags, self.typesize, b0, b1, b2, b3, s0, s1, s2, s3, c0, c1, c2, c3];
        let tail = [
            0,
            0,
            0,
            0,
            0,
            self.filter.id(),
            self.algorithm.map_or(0, Algorithm::id),
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            special << 4,
        ];
        for (to, from) in out.iter_mut().zip(head.into_iter().chain(tail)) {
            *to = from;
        }
        out
    }

    /// A header of the newest version for `nbytes` decoded bytes; `cbytes` is still to be set.
    pub(super) const fn new(kind: Kind, typesize: u8, nbytes: u32, block_size: u32) -> Self {
        Self {
            version: VERSION,
            kind,
            algorithm: None,
            filter: Filter::None,
            split: false,
            typesize,
            len: EXTENDED,
            nbytes,
            cbytes: 0,
            block_size,
        }
    }
}

/// The second half of a Blosc2 header: filters, algorithm and flags.
fn extended_tail(
    tail: [u8; 16],
    typesize: u8,
    nbytes: u32,
    cbytes: u32,
    stored: Kind,
) -> Result<(Kind, Filter, Option<u8>)> {
    let [
        f0,
        f1,
        f2,
        f3,
        f4,
        f5,
        algorithm_id,
        algorithm_meta,
        m0,
        m1,
        m2,
        m3,
        m4,
        m5,
        reserved,
        flags,
    ] = tail;
    for (bit, what) in [
        (0x01, "chunk with a dictionary"),
        (0x02, "big-endian chunk"),
        (0x04, "chunk with its compression stated elsewhere"),
        (0x08, "lazy chunk"),
        (0x80, "instrumented chunk"),
    ] {
        if flags & bit != 0 {
            return refuse(what, flags, 0x30);
        }
    }
    if reserved != 0 {
        // Later releases of C-Blosc2 keep flags there, for variable-length blocks among others.
        return refuse("chunk flags", reserved, 0);
    }
    let kind = match (flags >> 4) & 7 {
        0 => stored,
        1 => Kind::Zeros,
        2 => Kind::Nans,
        3 => Kind::Value,
        4 => return refuse("chunk of uninitialised values", 4, 3),
        other => return refuse("special value", other, 3),
    };
    if !matches!(kind, Kind::Streams | Kind::Stored) {
        if !nbytes.is_multiple_of(u32::from(typesize)) {
            return bad(4, "the decoded size is not a multiple of the typesize");
        }
        if kind == Kind::Nans && typesize != 4 && typesize != 8 {
            return refuse("chunk of NaN with typesize", typesize, 8);
        }
        if kind == Kind::Value && (cbytes as usize) < EXTENDED + usize::from(typesize) {
            return bad(12, "the compressed size leaves no room for the repeated value");
        }
        return Ok((kind, Filter::None, None));
    }
    if kind == Kind::Stored {
        // Filters are named but were not applied.
        return Ok((kind, Filter::None, None));
    }
    let mut filter = Filter::None;
    for (id, meta) in [(f0, m0), (f1, m1), (f2, m2), (f3, m3), (f4, m4), (f5, m5)] {
        match (Filter::from_id(id), filter) {
            (Some(Filter::None), _) => {}
            (Some(found), Filter::None) if meta == 0 => filter = found,
            (Some(_), Filter::None) => return refuse("filter parameter", meta, 0),
            (Some(_), _) => return refuse("second filter", id, 0),
            (None, _) => return refuse("filter", id, 2),
        }
    }
    if algorithm_meta != 0 {
        return refuse("compression parameter", algorithm_meta, 0);
    }
    Ok((kind, filter, Some(algorithm_id)))
}

/// The filter that the flags of a 16-byte header name.
const fn short_filter(flags: u8, version: u8) -> Result<Filter> {
    if flags & STORED != 0 {
        Ok(Filter::None)
    } else if flags & SHUFFLE != 0 {
        Ok(Filter::Shuffle)
    } else if flags & BITSHUFFLE == 0 {
        Ok(Filter::None)
    } else if version == 2 {
        // Blosc 1 shuffled the bits of some sizes only.
        refuse("bit shuffle of chunk version", version, VERSION as u64)
    } else {
        Ok(Filter::BitShuffle)
    }
}

/// The algorithm that the flags name; `id` tells LZ4HC from LZ4.
fn algorithm_of(format: u8, id: Option<u8>) -> Result<Algorithm> {
    match (format, id) {
        (0, _) => Ok(Algorithm::BloscLz),
        (1, Some(2)) => Ok(Algorithm::Lz4hc),
        (1, _) => Ok(Algorithm::Lz4),
        (3, _) => Ok(Algorithm::Zlib),
        (4, _) => Ok(Algorithm::Zstd),
        (6, Some(user)) => refuse("user-defined or plugin compression", user, 5),
        (other, _) => refuse("compression format", other, 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> [u8; 32] {
        let mut h = Header::new(Kind::Streams, 4, 4096, 1024);
        h.algorithm = Some(Algorithm::Lz4);
        h.filter = Filter::Shuffle;
        h.split = true;
        h.cbytes = 600;
        h.encode()
    }

    fn what(at: usize, value: u8) -> &'static str {
        let mut bytes = sample();
        bytes[at] = value;
        match Header::parse(&bytes, 1 << 20) {
            Err(Error::Unsupported { what, .. }) => what,
            Err(Error::Corrupt(c)) => c.why,
            other => panic!("byte {at} = {value}: {other:?}"),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let h = Header::parse(&sample(), 1 << 20).unwrap();
        assert_eq!((h.algorithm, h.filter, h.split), (Some(Algorithm::Lz4), Filter::Shuffle, true));
        assert_eq!((h.nbytes, h.block_size, h.cbytes, h.blocks()), (4096, 1024, 600, 4));
        assert_eq!(h.encode(), sample());
    }

    #[test]
    fn everything_outside_the_allow_list_is_refused_by_name() {
        assert_eq!(what(0, 6), "chunk version");
        assert_eq!(what(0, 3), "chunk version");
        assert_eq!(what(1, 2), "compression format version");
        assert_eq!(what(2, 0x2d), "delta filter");
        assert_eq!(what(2, 0xc5), "user-defined or plugin compression");
        assert_eq!(what(2, 0xe5), "compression format");
        assert_eq!(what(2, 0x45), "compression format");
        assert_eq!(what(3, 0), "the typesize is 0");
        assert_eq!(what(3, 3), "the block size is not a multiple of the typesize");
        assert_eq!(what(7, 0x80), "the decoded size is negative");
        for filter in [3, 4, 5, 32, 35, 160] {
            assert_eq!(what(21, filter), "filter");
        }
        assert_eq!(what(16, 1), "second filter");
        assert_eq!(what(23, 1), "compression parameter");
        assert_eq!(what(29, 4), "filter parameter");
        assert_eq!(what(30, 1), "chunk flags");
        assert_eq!(what(31, 0x01), "chunk with a dictionary");
        assert_eq!(what(31, 0x02), "big-endian chunk");
        assert_eq!(what(31, 0x04), "chunk with its compression stated elsewhere");
        assert_eq!(what(31, 0x08), "lazy chunk");
        assert_eq!(what(31, 0x80), "instrumented chunk");
        assert_eq!(what(31, 0x40), "chunk of uninitialised values");
        assert_eq!(what(31, 0x50), "special value");
        assert_eq!(what(15, 0x80), "the compressed size is shorter than a header");
    }

    #[test]
    fn a_claimed_size_above_the_limit_is_refused_before_use() {
        assert!(matches!(
            Header::parse(&sample(), 4095),
            Err(Error::Limit { what: "chunk", asked: 4096, max: 4095 })
        ));
        Header::parse(&sample(), 4096).unwrap();
    }

    #[test]
    fn a_short_slice_is_an_error() {
        for n in 0..32 {
            assert!(Header::parse(&sample()[..n], 1 << 20).is_err());
        }
    }
}
