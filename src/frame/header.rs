//! The header of a frame: of any contiguous frame when read, of a new store when built.

use super::metalayer::{self, Metalayer};
use super::msgpack;
use crate::chunk::{Algorithm, Filter, Params};
use crate::error::{Error, Result};
use crate::limits::{FOREIGN_CHUNKS, METALAYER_MAX, METALAYERS};
use crate::wire::Cursor;
use std::ops::Range;

/// Length of the header of a store that this crate creates, in bytes: three pages of 4 KiB.
pub const HEADER_LEN: usize = 12_288;
/// Where the two slot areas start, in bytes from the start of the file: pages of their own.
pub const SLOT_OFFSETS: [u64; 2] = [4096, 8192];
/// Length of a slot area, in bytes.
pub const SLOT_LEN: usize = 4096;
/// Where the bytes of [`patch_totals`] are written, in bytes from the start of the file.
pub const TOTALS_OFFSET: u64 = 16;
/// How many they are, and where they end.
pub const TOTALS_LEN: usize = 31;
/// See [`TOTALS_LEN`].
pub const TOTALS_END: usize = 47;
const _: () = assert!(TOTALS_OFFSET + TOTALS_LEN as u64 == TOTALS_END as u64);
/// Content of the metalayer `magic`, by which the original program knows its files.
pub const MAGIC: [u8; 16] = [
    0xa4, 0x9a, 0x33, 0x67, 0xcf, 0x7d, 0x44, 0xd1, 0xb0, 0x97, 0xe0, 0x51, 0x05, 0x83, 0x36, 0xeb,
];

/// [`HEADER_LEN`] as the header states it.
const HEADER_BYTES: u32 = 12_288;
const _: () = assert!(HEADER_BYTES as usize == HEADER_LEN);

/// Version of the frame format that is read and written.
const VERSION: u8 = 2;
/// Where the metalayers start: after the fixed fields.
const METALAYERS_AT: usize = 87;
/// Longest header that is read: every metalayer at its ceiling, and names.
const HEADER_MAX: u64 = METALAYERS_AT as u64 + METALAYERS as u64 * (METALAYER_MAX as u64 + 64);

/// The checked header of a contiguous frame. Offsets and sizes agree with each other and with
/// the frame's own length; whether the file is that long, the caller must compare.
#[derive(Debug, Clone)]
pub struct FrameHeader {
    /// Length of the header, in bytes; chunk offsets count from here.
    pub header_len: u64,
    /// Length of the whole frame, in bytes.
    pub frame_len: u64,
    /// Decoded size of all chunks together, in bytes.
    pub nbytes: u64,
    /// Bytes from the header's end to the offsets chunk.
    pub cbytes: u64,
    /// Bytes in one element.
    pub typesize: u32,
    /// Usual block size, in bytes; 0 if left to the library. Chunks may differ.
    pub block_size: u32,
    /// Decoded size of every chunk but the last, in bytes; 0 only in a frame without chunks.
    pub chunk_size: u32,
    /// Default algorithm; `None` if this crate does not know it. Chunks may differ.
    pub algorithm: Option<Algorithm>,
    /// Default level, 0 to 9; 0 stores.
    pub level: u8,
    /// Ids of the default filters, in order.
    pub filters: [u8; 6],
    /// Whether the trailer holds variable-length metalayers.
    pub has_vlmetalayers: bool,
    /// The metalayers, with ranges in bytes from the start of the header.
    pub metalayers: Vec<Metalayer>,
}

const fn bad<T>(offset: u64, why: &'static str) -> Result<T> {
    Err(Error::corrupt("frame header", offset, why))
}

impl FrameHeader {
    /// Bytes from the frame's start that [`Self::prefix_len`] needs.
    pub const MIN_LEN: usize = METALAYERS_AT;

    /// How many bytes from the frame's start [`Self::parse`] needs, from the first
    /// [`Self::MIN_LEN`].
    ///
    /// # Errors
    /// [`Error::NotAStore`] if this is no Blosc2 frame, [`Error::Corrupt`] or [`Error::Limit`]
    /// for an impossible header length.
    pub fn prefix_len(bytes: &[u8]) -> Result<usize> {
        let mut c = Cursor::new(bytes);
        if c.array() != Some(*b"\x9e\xa8b2frame\0\xd2") {
            return Err(Error::NotAStore { why: "it does not start as a Blosc2 frame does" });
        }
        let Some(len) = c.i32_be() else {
            return bad(11, "is cut short");
        };
        match u64::try_from(len) {
            Ok(n) if n > HEADER_MAX => {
                Err(Error::Limit { what: "frame header", asked: n, max: HEADER_MAX })
            }
            Ok(n) if n >= METALAYERS_AT as u64 => {
                usize::try_from(n).or(bad(11, "is longer than memory"))
            }
            _ => bad(11, "the header length is shorter than a header"),
        }
    }

    /// Reads the header of any contiguous frame from the bytes at its start.
    ///
    /// # Errors
    /// [`Error::NotAStore`] if this is no Blosc2 frame, [`Error::Unsupported`] by name for
    /// sparse frames, chunks of variable size and other versions, [`Error::Corrupt`] for fields
    /// that contradict each other, [`Error::Limit`] for sizes above their ceiling.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let len = Self::prefix_len(bytes)?;
        let Some(bytes) = bytes.get(..len) else {
            return bad(bytes.len() as u64, "is cut short");
        };
        let mut c = Cursor::new(bytes);
        c.take(15);
        let frame_len = field(&mut c, 0xcf, Cursor::u64_be)?;
        let flags = field(&mut c, 0xa4, Cursor::array)?;
        let nbytes = field(&mut c, 0xd3, Cursor::i64_be)?;
        let cbytes = field(&mut c, 0xd3, Cursor::i64_be)?;
        let typesize = field(&mut c, 0xd2, Cursor::i32_be)?;
        let block_size = field(&mut c, 0xd2, Cursor::i32_be)?;
        let chunk_size = field(&mut c, 0xd2, Cursor::i32_be)?;
        field(&mut c, 0xd1, Cursor::u16_be)?;
        field(&mut c, 0xd1, Cursor::u16_be)?;
        let has_vlmetalayers = match c.u8() {
            Some(0xc2) => false,
            Some(0xc3) => true,
            _ => {
                return bad(68, "does not say whether there are variable-length metalayers");
            }
        };
        // The type of this msgpack value counts the filters.
        let [count, f0, f1, f2, f3, f4, f5, ..] = field(&mut c, 0xd8, Cursor::array::<17>)?;
        if count > 6 {
            return bad(70, "has more filters than there is room for");
        }
        check_flags(flags)?;
        let [_, _, algorithm, _] = flags;
        let (Ok(nbytes), Ok(cbytes)) = (u64::try_from(nbytes), u64::try_from(cbytes)) else {
            return bad(30, "a size is negative");
        };
        let (Ok(typesize @ 1..), Ok(block_size), Ok(chunk_size)) =
            (u32::try_from(typesize), u32::try_from(block_size), u32::try_from(chunk_size))
        else {
            return bad(48, "the size of elements, blocks or chunks is negative");
        };
        if nbytes > 0 && chunk_size == 0 {
            return Err(Error::Unsupported {
                what: "chunks of variable size",
                found: 1,
                newest: 0,
            });
        }
        let data_end = (len as u64).checked_add(cbytes);
        if data_end.is_none_or(|end| end > frame_len) {
            return bad(39, "the compressed size leaves the frame");
        }
        let header = Self {
            header_len: len as u64,
            frame_len,
            nbytes,
            cbytes,
            typesize,
            block_size,
            chunk_size,
            algorithm: Algorithm::from_id(algorithm & 0x0f),
            level: algorithm >> 4,
            filters: [f0, f1, f2, f3, f4, f5],
            has_vlmetalayers,
            metalayers: metalayer::parse(bytes, METALAYERS_AT, METALAYERS, METALAYER_MAX)?,
        };
        if header.chunks() > FOREIGN_CHUNKS {
            let (asked, max) = (header.chunks(), FOREIGN_CHUNKS);
            return Err(Error::Limit { what: "chunks in a frame", asked, max });
        }
        Ok(header)
    }

    /// Number of chunks.
    #[must_use]
    pub const fn chunks(&self) -> u64 {
        if self.chunk_size == 0 { 0 } else { self.nbytes.div_ceil(self.chunk_size as u64) }
    }

    /// Decoded size of chunk `i`, in bytes; the last may be short. 0 if the chunk does not exist.
    #[must_use]
    pub fn chunk_len(&self, i: u64) -> u32 {
        let start = i.saturating_mul(self.chunk_size.into());
        let left = self.nbytes.saturating_sub(start);
        u32::try_from(left).map_or(self.chunk_size, |n| n.min(self.chunk_size))
    }

    /// Where the offsets chunk starts, in bytes from the start of the frame.
    #[must_use]
    pub const fn offsets_at(&self) -> u64 {
        self.header_len + self.cbytes
    }

    /// Where a trailer of `len` bytes starts, in bytes from the start of the frame: at its end,
    /// or after the header if there are no chunks.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the frame has no room for it.
    pub fn trailer_at(&self, len: u64) -> Result<u64> {
        let after = if self.nbytes == 0 { self.header_len } else { self.offsets_at() };
        match self.frame_len.checked_sub(len) {
            Some(at) if at >= after => Ok(if self.nbytes == 0 { self.header_len } else { at }),
            _ => Err(Error::corrupt("frame trailer", self.frame_len, "is longer than its room")),
        }
    }

    /// Where the content of the metalayer `name` lies, in bytes from the start of the header.
    #[must_use]
    pub fn metalayer(&self, name: &str) -> Option<Range<usize>> {
        self.metalayers.iter().find(|m| m.name == name).map(|m| m.content.clone())
    }

    /// The default parameters, if this crate can write with them.
    #[must_use]
    pub fn params(&self) -> Option<Params> {
        let mut filter = Filter::None;
        for id in self.filters {
            match (Filter::from_id(id)?, filter) {
                (Filter::None, _) => {}
                (found, Filter::None) => filter = found,
                _ => return None,
            }
        }
        let stored = self.level == 0;
        let params = Params {
            algorithm: if stored { None } else { Some(self.algorithm?) },
            level: self.level,
            filter: if stored { Filter::None } else { filter },
            typesize: u8::try_from(self.typesize).ok()?,
        };
        params.check().ok().map(|()| params)
    }
}

/// A field with the msgpack type `kind` in front.
fn field<'a, T>(
    c: &mut Cursor<'a>,
    kind: u8,
    value: impl FnOnce(&mut Cursor<'a>) -> Option<T>,
) -> Result<T> {
    let at = c.position() as u64;
    if c.u8() != Some(kind) {
        return bad(at, "a field does not have the type that it must have");
    }
    value(c).ok_or(Error::corrupt("frame header", at, "is cut short"))
}

const fn check_flags([general, kind, _, _]: [u8; 4]) -> Result<()> {
    let (what, found, newest) = if general & 0x40 != 0 {
        ("chunks of variable size", 1, 0)
    } else if general & 0x0f != VERSION {
        ("frame format version", general & 0x0f, VERSION)
    } else if general & 0xb0 != 0x10 {
        ("width of chunk offsets", general >> 4, 1)
    } else if kind == 1 {
        ("sparse frame", kind, 0)
    } else if kind != 0 {
        ("frame type", kind, 0)
    } else {
        return Ok(());
    };
    Err(Error::Unsupported { what, found: found as u64, newest: newest as u64 })
}

/// The header of a new store, exactly [`HEADER_LEN`] bytes: an empty frame with the metalayers
/// `magic` and `vlstore`, the second holding the two slot areas, all zero.
///
/// The lengths say "a header and nothing else" until [`patch_totals`] is applied: a frame needs a
/// trailer too (see [`super::build_trailer`]).
///
/// # Errors
/// [`Error::Invalid`] for parameters that cannot work or sizes that do not fit them.
pub fn build_header(params: &Params, chunk_size: u32, block_size: u32) -> Result<Vec<u8>> {
    params.check()?;
    let typesize = u32::from(params.typesize);
    let size = |what, n: u32| match i32::try_from(n) {
        Ok(n) if n > 0 && n.unsigned_abs().is_multiple_of(typesize) => Ok(n.to_be_bytes()),
        _ => Err(Error::invalid(
            what,
            format!("{n} bytes are not a positive multiple of the typesize {typesize}"),
        )),
    };
    let chunk_bytes = size("chunk size", chunk_size)?;
    let block_bytes = size("block size", block_size)?;
    if block_size > chunk_size {
        return Err(Error::invalid(
            "block size",
            format!("{block_size} bytes are more than the {chunk_size} of a chunk"),
        ));
    }
    let (algorithm, level) = params.algorithm.map_or((Algorithm::Lz4, 0), |c| (c, params.level));
    let split = 0; // "Always": what other programs do with what they add.
    let mut out = Vec::with_capacity(HEADER_LEN);
    out.extend(b"\x9e\xa8b2frame\0\xd2");
    out.extend(HEADER_BYTES.to_be_bytes());
    out.push(0xcf);
    out.extend(u64::from(HEADER_BYTES).to_be_bytes());
    out.extend([0xa4, 0x10 | VERSION, 0, algorithm.id() | level << 4, split]);
    for _ in 0..2 {
        out.push(0xd3);
        out.extend([0; 8]);
    }
    for bytes in [typesize.to_be_bytes(), block_bytes, chunk_bytes] {
        out.push(0xd2);
        out.extend(bytes);
    }
    // One thread each, as everywhere.
    out.extend([0xd1, 0, 1, 0xd1, 0, 1]);
    out.extend([0xc3, 0xd8, 6, 0, 0, 0, 0, 0, params.filter.id(), algorithm.id(), 0]);
    out.extend([0; 8]);
    let mut magic = Vec::new();
    msgpack::push_bin(&mut magic, &MAGIC)?;
    // The content of `vlstore` is itself msgpack, for python-blosc2: bytes up to the end. Its
    // length is found by laying out an empty one first.
    let mut empty = out.clone();
    metalayer::push(&mut empty, &[("magic", &magic), ("vlstore", &[])])?;
    let room = HEADER_LEN.saturating_sub(empty.len());
    let mut slots = Vec::with_capacity(room);
    msgpack::push_bin32(&mut slots, u32::try_from(room.saturating_sub(5)).unwrap_or(0));
    slots.resize(room, 0);
    metalayer::push(&mut out, &[("magic", &magic), ("vlstore", &slots)])?;
    Ok(out)
}

/// The bytes that a seal writes at [`TOTALS_OFFSET`] over those of `header`, the first bytes of
/// the file: the length of the frame, the decoded size of its chunks and the bytes between
/// header and offsets chunk. The flags among them stay as they are.
///
/// # Errors
/// [`Error::Corrupt`] if `header` is cut short, [`Error::Invalid`] for sizes beyond 2^63.
pub fn patch_totals(
    header: &[u8],
    frame_len: u64,
    nbytes: u64,
    cbytes: u64,
) -> Result<[u8; TOTALS_LEN]> {
    let Some(mut out) = header.get(16..).and_then(|tail| tail.first_chunk()).copied() else {
        return bad(header.len() as u64, "is cut short");
    };
    if [frame_len, nbytes, cbytes].into_iter().any(|n| i64::try_from(n).is_err()) {
        return Err(Error::invalid("frame size", "is beyond 2^63 bytes"));
    }
    metalayer::patch(&mut out, 0, &frame_len.to_be_bytes());
    metalayer::patch(&mut out, 14, &nbytes.to_be_bytes());
    metalayer::patch(&mut out, 23, &cbytes.to_be_bytes());
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMS: Params =
        Params { algorithm: Some(Algorithm::Zstd), level: 3, filter: Filter::Shuffle, typesize: 4 };

    fn patched(frame_len: u64, nbytes: u64, cbytes: u64) -> Vec<u8> {
        let mut h = build_header(&PARAMS, 1 << 20, 8192).unwrap();
        let totals = patch_totals(&h, frame_len, nbytes, cbytes).unwrap();
        h[16..47].copy_from_slice(&totals);
        h
    }

    #[test]
    fn a_new_header_is_three_pages_with_two_free_slots() {
        let bytes = build_header(&PARAMS, 1 << 20, 8192).unwrap();
        assert_eq!(bytes.len(), HEADER_LEN);
        let h = FrameHeader::parse(&bytes).unwrap();
        assert_eq!((h.header_len, h.frame_len, h.nbytes, h.cbytes), (12_288, 12_288, 0, 0));
        assert_eq!((h.chunk_size, h.block_size, h.typesize), (1 << 20, 8192, 4));
        assert_eq!(h.params(), Some(PARAMS));
        assert!(h.has_vlmetalayers);
        assert_eq!(bytes[h.metalayer("magic").unwrap()][2..], MAGIC);
        let slots = h.metalayer("vlstore").unwrap();
        assert_eq!(slots.end, HEADER_LEN);
        assert!(slots.start + 5 <= 4096);
        let mut r = msgpack::Reader::new(&bytes[slots]);
        r.skip().unwrap();
        assert_eq!(r.remaining(), 0);
        for at in SLOT_OFFSETS {
            let at = usize::try_from(at).unwrap();
            assert!(bytes[at..at + SLOT_LEN].iter().all(|b| *b == 0));
        }
    }

    #[test]
    fn totals_are_read_back_and_flags_kept() {
        let h = FrameHeader::parse(&patched(30_000, 3 << 20, 10_000)).unwrap();
        assert_eq!((h.frame_len, h.nbytes, h.cbytes), (30_000, 3 << 20, 10_000));
        assert_eq!((h.chunks(), h.offsets_at(), h.params()), (3, 22_288, Some(PARAMS)));
        assert_eq!(h.trailer_at(100).unwrap(), 29_900);
        assert!(h.trailer_at(10_000).is_err());
        assert!(patch_totals(&[0; 46], 1, 1, 1).is_err());
        assert!(patch_totals(&[0; 47], 1 << 63, 1, 1).is_err());
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        let good = patched(30_000, 3 << 20, 10_000);
        let what = |at: usize, value: u8| {
            let mut bad = good.clone();
            bad[at] = value;
            match FrameHeader::parse(&bad) {
                Err(Error::Unsupported { what, .. } | Error::Limit { what, .. }) => what,
                Err(Error::Corrupt(c)) => c.why,
                Err(Error::NotAStore { .. }) => "not a store",
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(what(0, 0x9d), "not a store");
        assert_eq!(what(5, b'x'), "not a store");
        assert_eq!(what(25, 0x52), "chunks of variable size");
        assert_eq!(what(25, 0x13), "frame format version");
        assert_eq!(what(25, 0x22), "width of chunk offsets");
        assert_eq!(what(26, 1), "sparse frame");
        assert_eq!(what(26, 2), "frame type");
        assert_eq!(what(12, 0x7f), "is cut short");
        assert_eq!(what(11, 0x7f), "frame header");
        assert_eq!(what(11, 0xff), "the header length is shorter than a header");
        assert_eq!(what(30, 0x80), "a size is negative");
        assert_eq!(what(39, 0x40), "the compressed size leaves the frame");
        assert_eq!(what(31, 0x40), "chunks in a frame");
        let mut variable = good.clone();
        variable[58..62].fill(0);
        assert!(matches!(
            FrameHeader::parse(&variable),
            Err(Error::Unsupported { what: "chunks of variable size", .. })
        ));
    }

    #[test]
    fn no_change_of_a_byte_panics_and_no_cut_is_accepted() {
        let good = patched(30_000, 3 << 20, 10_000);
        for at in 0..200 {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                if let Ok(h) = FrameHeader::parse(&bad) {
                    let _ = (h.chunk_len(u64::MAX), h.trailer_at(u64::MAX), h.params());
                    assert!(h.metalayers.iter().all(|m| bad.get(m.content.clone()).is_some()));
                }
            }
        }
        for len in (0..400).chain([HEADER_LEN - 1]) {
            assert!(FrameHeader::parse(&good[..len]).is_err());
        }
    }

    #[test]
    fn sizes_that_do_not_fit_the_typesize_are_refused() {
        assert!(build_header(&PARAMS, 1 << 20, 8191).is_err());
        assert!(build_header(&PARAMS, 1001, 8).is_err());
        assert!(build_header(&PARAMS, 0, 8).is_err());
        assert!(build_header(&PARAMS, 8, 16).is_err());
        assert!(build_header(&PARAMS, 1 << 31, 16).is_err());
    }
}
