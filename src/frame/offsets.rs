//! The offsets chunk: where each chunk of a frame starts.

use super::header::FrameHeader;
use crate::chunk::{Algorithm, ChunkLayout, Compressor, Decoder, Filter, Params};
use crate::error::{Error, Result};
use crate::limits::BLOCKS_PER_CHUNK;
use crate::wire::memory;

/// Longest buffer of Blosc2, in bytes: the largest signed number of 32 bits, less a header.
const BUFFER_MAX: u32 = i32::MAX as u32 - 32;
/// Usual block of an offsets chunk, in bytes: what a reader decodes to find one chunk.
const BLOCK: u32 = 64 << 10;
/// Places that may be listed whatever the length of the file: some 16 MiB of what a store keeps
/// of each.
const FREE_PLACES: u64 = 1 << 18;
/// Fewest bytes of a chunk that is there.
const CHUNK_BYTES: u64 = 16;

/// Where a chunk of a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkPlace {
    /// At this many bytes from the end of the header.
    At(u64),
    /// Nowhere: all its bytes are zero.
    Zeros,
    /// Nowhere: all its numbers, of 4 or 8 bytes, are NaN.
    Nans,
}

impl ChunkPlace {
    /// The number that stands for it in the offsets chunk.
    #[must_use]
    pub const fn to_raw(self) -> u64 {
        match self {
            Self::At(offset) => offset,
            Self::Zeros => 0x81 << 56,
            Self::Nans => 0x82 << 56,
        }
    }

    /// The place that a number in the offsets chunk stands for.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for uninitialised chunks and kinds that Blosc2 does not define.
    pub const fn from_raw(raw: u64) -> Result<Self> {
        match raw >> 56 {
            0..=0x7f => Ok(Self::At(raw)),
            0x81 => Ok(Self::Zeros),
            0x82 => Ok(Self::Nans),
            0x84 => Err(Error::Unsupported {
                what: "chunk of uninitialised values",
                found: 4,
                newest: 2,
            }),
            other => {
                Err(Error::Unsupported { what: "special chunk", found: other & 0x7f, newest: 2 })
            }
        }
    }
}

/// The offsets chunk for these numbers (see [`ChunkPlace::to_raw`]), one for each chunk in order;
/// nothing if there is none, as a frame without chunks has no offsets chunk.
///
/// # Errors
/// [`Error::Limit`] for more than one Blosc2 buffer holds, 268 million;
/// [`Error::Invalid`] if the environment overrides the parameters of Blosc2.
pub fn encode_offsets(offsets: &[u64]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    if offsets.is_empty() {
        return Ok(out);
    }
    let max = u64::from(BUFFER_MAX / 8);
    let nbytes = match u32::try_from(offsets.len()) {
        Ok(n) if u64::from(n) <= max => n * 8,
        _ => {
            let asked = offsets.len() as u64;
            return Err(Error::Limit { what: "chunks in a frame", asked, max });
        }
    };
    let bytes: Vec<u8> = offsets.iter().flat_map(|o| o.to_le_bytes()).collect();
    let block = nbytes.div_ceil(BLOCKS_PER_CHUNK).next_power_of_two().max(BLOCK);
    let params =
        Params { algorithm: Some(Algorithm::Lz4), level: 5, filter: Filter::Shuffle, typesize: 8 };
    Compressor::new(params, block)?.compress_bounded(
        &bytes,
        BUFFER_MAX,
        BLOCKS_PER_CHUNK,
        &mut out,
    )?;
    Ok(out)
}

/// Reads the offsets chunk at the start of `bytes`, for the chunks of `header`.
///
/// # Errors
/// [`Error::Corrupt`] if it does not decode, has not one offset for each chunk, or an offset
/// leaves the part of the frame before it; [`Error::Unsupported`] for uninitialised chunks;
/// [`Error::Limit`] if a short file claims more chunks than could be in it and 262 144 besides.
pub fn decode_offsets(bytes: &[u8], header: &FrameHeader) -> Result<Vec<ChunkPlace>> {
    let count = header.chunks();
    let mut places = Vec::new();
    if count == 0 {
        return Ok(places);
    }
    let max = (header.cbytes / CHUNK_BYTES + FREE_PLACES).min(u64::from(BUFFER_MAX / 8));
    if count > max {
        return Err(Error::Limit { what: "chunks in a frame", asked: count, max });
    }
    let bad = |why| Error::corrupt("chunk offsets", header.offsets_at(), why);
    let nbytes = u32::try_from(count * 8).map_err(|_| bad("are too many"))?;
    let layout = ChunkLayout::parse(bytes, nbytes)?;
    if layout.nbytes() != nbytes {
        return Err(bad("are not as many as the chunks"));
    }
    // Whole offsets in every block, so that each can be read where it is decoded.
    if layout.blocks() > 1 && !layout.block_size().is_multiple_of(8) {
        return Err(bad("are cut by the blocks of their chunk"));
    }
    memory::reserve(&mut places, usize::try_from(count).map_err(|_| bad("are too many"))?)?;
    let mut decoder = Decoder::new()?;
    let mut block = Vec::new();
    for i in 0..layout.blocks() {
        let range = layout.block_range(i);
        let stream = bytes
            .get(range.start as usize..range.end as usize)
            .ok_or_else(|| bad("are cut short"))?;
        memory::resize(&mut block, layout.block_len(i) as usize, 0)?;
        decoder.decode(&layout, i, stream, &mut block)?;
        for raw in block.as_chunks::<8>().0 {
            let place = ChunkPlace::from_raw(u64::from_le_bytes(*raw))?;
            if let ChunkPlace::At(offset) = place
                && offset.checked_add(CHUNK_BYTES).is_none_or(|end| end > header.cbytes)
            {
                return Err(bad("point outside the chunks"));
            }
            places.push(place);
        }
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{build_header, patch_totals};

    fn header(chunks: u64, cbytes: u64) -> FrameHeader {
        let params = Params { algorithm: None, level: 0, filter: Filter::None, typesize: 1 };
        let mut bytes = build_header(&params, 1000, 1000).unwrap();
        let totals = patch_totals(&bytes, 1 << 40, chunks * 1000, cbytes).unwrap();
        bytes[16..47].copy_from_slice(&totals);
        FrameHeader::parse(&bytes).unwrap()
    }

    #[test]
    fn any_number_of_offsets_comes_back() {
        for n in [1_u64, 2, 5, 1000, 8192, 8193, 300_000] {
            let raw: Vec<u64> =
                (0..n).map(|i| if i % 7 == 6 { 0x81 << 56 } else { i * 1003 }).collect();
            let chunk = encode_offsets(&raw).unwrap();
            let got = decode_offsets(&chunk, &header(n, n * 1003 + 16)).unwrap();
            assert_eq!(got.iter().map(|p| p.to_raw()).collect::<Vec<_>>(), raw);
            assert!(decode_offsets(&chunk, &header(n + 1, n * 1003 + 16)).is_err());
            assert!(decode_offsets(&chunk[..chunk.len() - 1], &header(n, n * 1003 + 16)).is_err());
        }
        assert!(encode_offsets(&[]).unwrap().is_empty());
        assert_eq!(decode_offsets(&[], &header(0, 0)).unwrap(), []);
    }

    #[test]
    fn offsets_that_leave_the_frame_and_unknown_kinds_are_errors() {
        let decode = |raw: u64| decode_offsets(&encode_offsets(&[raw]).unwrap(), &header(1, 100));
        assert_eq!(decode(84).unwrap(), [ChunkPlace::At(84)]);
        assert_eq!(decode(0).unwrap(), [ChunkPlace::At(0)]);
        assert_eq!(decode(0x82 << 56).unwrap(), [ChunkPlace::Nans]);
        assert!(decode(85).is_err());
        assert!(decode(u64::MAX >> 1).is_err());
        assert!(matches!(decode(0x84 << 56), Err(Error::Unsupported { .. })));
        assert!(matches!(decode(0x83 << 56), Err(Error::Unsupported { .. })));
        assert!(matches!(decode(u64::MAX), Err(Error::Unsupported { .. })));
    }

    #[test]
    fn a_short_file_cannot_claim_more_chunks_than_memory_allows() {
        let mut zeros = Vec::new();
        let params = Params { algorithm: None, level: 0, filter: Filter::None, typesize: 8 };
        Compressor::new(params, 1 << 16)
            .unwrap()
            .compress_bounded(&vec![0; 8 << 23], 8 << 23, u32::MAX, &mut zeros)
            .unwrap();
        let h = header(1 << 23, 1000);
        assert!(matches!(decode_offsets(&zeros, &h), Err(Error::Limit { .. })));
    }
}
