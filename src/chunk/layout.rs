//! Where the blocks of a chunk lie.

use super::algorithm::Algorithm;
use super::header::{EXTENDED, Header, Kind};
use super::params::Filter;
use super::streams;
use crate::error::{Error, Result};
use crate::wire::{Cursor, memory};
use std::ops::Range;

/// The checked plan of a chunk: sizes, algorithm and the place of every block.
///
/// Whatever the header and the block starts claimed has been compared with the allow-list and
/// with each other; what remains unproved are the streams, which [`super::Decoder::decode`]
/// and [`check_block`] walk.
#[derive(Debug, Clone)]
pub struct ChunkLayout {
    header: Header,
    /// Block starts, from the start of the chunk; empty unless the chunk has streams.
    starts: Box<[u32]>,
    /// The same in ascending order, if they are not: blocks written by several threads.
    sorted: Option<Box<[u32]>>,
}

impl ChunkLayout {
    /// Bytes that [`Self::prefix_len`] needs.
    pub const HEADER_LEN: usize = EXTENDED;

    /// How many bytes from the chunk's start [`Self::parse`] needs: header and block starts.
    /// `max_nbytes` bounds the decoded size that the header may claim.
    ///
    /// # Errors
    /// [`Error::Unsupported`] by name for what is outside the allow-list, [`Error::Limit`] for
    /// a size above `max_nbytes`, [`Error::Corrupt`] for a header that contradicts itself.
    pub fn prefix_len(header: &[u8], max_nbytes: u32) -> Result<usize> {
        prefix_len(&Header::parse(header, max_nbytes)?)
    }

    /// Reads a chunk's header and block starts; bytes after them are not looked at.
    ///
    /// # Errors
    /// As [`Self::prefix_len`], and [`Error::Corrupt`] if a block starts outside the chunk.
    pub fn parse(prefix: &[u8], max_nbytes: u32) -> Result<Self> {
        let header = Header::parse(prefix, max_nbytes)?;
        let len = prefix_len(&header)?;
        let prefix = prefix.get(..len).ok_or(Error::corrupt(
            "chunk",
            prefix.len() as u64,
            "the block starts are cut short",
        ))?;
        if header.kind != Kind::Streams {
            return Ok(Self { header, starts: Box::default(), sorted: None });
        }
        let mut c = Cursor::new(prefix);
        c.take(header.len);
        let mut starts = memory::with_room(header.blocks() as usize)?;
        while let Some(start) = c.u32_le() {
            // A stream has at least the 4 bytes of its length.
            if (start as usize) < len || start > header.cbytes - 4 {
                let at = (c.position() - 4) as u64;
                return Err(Error::corrupt("chunk", at, "a block starts outside the chunk"));
            }
            starts.push(start);
        }
        let sorted = (!starts.is_sorted()).then(|| {
            let mut s: Box<[u32]> = starts.as_slice().into();
            s.sort_unstable();
            s
        });
        Ok(Self { header, starts: starts.into(), sorted })
    }

    /// Decoded size, in bytes.
    #[must_use]
    pub const fn nbytes(&self) -> u32 {
        self.header.nbytes
    }

    /// Size of the whole chunk as it is stored, header included, in bytes.
    #[must_use]
    pub const fn cbytes(&self) -> u32 {
        self.header.cbytes
    }

    /// Decoded size of every block but the last, in bytes.
    #[must_use]
    pub const fn block_size(&self) -> u32 {
        self.header.block_size
    }

    /// Number of blocks.
    #[must_use]
    pub const fn blocks(&self) -> u32 {
        self.header.blocks()
    }

    /// Decoded size of block `i`, in bytes; the last may be short. 0 if the block does not exist.
    #[must_use]
    pub fn block_len(&self, i: u32) -> u32 {
        let start = u64::from(i) * u64::from(self.header.block_size);
        let left = u64::from(self.header.nbytes).saturating_sub(start);
        u32::try_from(left).map_or(self.header.block_size, |n| n.min(self.header.block_size))
    }

    /// The bytes of the chunk that hold block `i`, from the start of the chunk; empty if there
    /// is no such block.
    ///
    /// For a stored chunk the decoded bytes themselves; for a run of one value that value (so
    /// the same for all blocks), for zeros and NaN nothing. Block starts may be in any order and
    /// shared: a block ends where the next greater start is, or at the end of the chunk.
    #[must_use]
    pub fn block_range(&self, i: u32) -> Range<u32> {
        let len = self.block_len(i);
        if len == 0 {
            return 0..0;
        }
        let h = &self.header;
        // The header is 16 or 32 bytes long.
        let data = if h.len == EXTENDED { 32 } else { 16 };
        match h.kind {
            Kind::Zeros | Kind::Nans => data..data,
            Kind::Value => data..data + u32::from(h.typesize),
            Kind::Stored => {
                let start = data + i * h.block_size;
                start..start + len
            }
            Kind::Streams => {
                let i = i as usize;
                let Some(&start) = self.starts.get(i) else {
                    return 0..0;
                };
                let end = match (&self.sorted, self.starts.get(i + 1)) {
                    (None, Some(&next)) if next > start => next,
                    (sorted, _) => {
                        let sorted = sorted.as_deref().unwrap_or(&self.starts);
                        let next = sorted.partition_point(|s| *s <= start);
                        sorted.get(next).copied().unwrap_or(h.cbytes)
                    }
                };
                start..end
            }
        }
    }

    /// The same chunk; if it is a run of one value, then in blocks of at most 64 KiB, whatever
    /// its header says: nothing of it needs to be decoded but what is asked for.
    #[must_use]
    pub fn in_small_blocks(mut self) -> Self {
        const MOST: u32 = 64 << 10;
        if self.is_special() && self.header.block_size > MOST {
            let typesize = u32::from(self.header.typesize);
            self.header.block_size = MOST / typesize * typesize;
        }
        self
    }

    /// Whether the bytes of a block are the decoded bytes, so that they can be used in place.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        self.header.kind == Kind::Stored
    }

    /// Whether the chunk is a run of one value (zeros, NaN or any other) without block data.
    #[must_use]
    pub const fn is_special(&self) -> bool {
        !matches!(self.header.kind, Kind::Stored | Kind::Streams)
    }

    /// Whether the blocks are streams of an algorithm.
    pub(crate) fn has_streams(&self) -> bool {
        self.header.kind == Kind::Streams
    }

    /// The algorithm; `None` for stored chunks and runs of one value.
    #[must_use]
    pub const fn algorithm(&self) -> Option<Algorithm> {
        self.header.algorithm
    }

    /// The filter that is undone after decoding; none for stored chunks and runs of one value.
    #[must_use]
    pub const fn filter(&self) -> Filter {
        self.header.filter
    }

    /// Bytes in one element.
    #[must_use]
    pub const fn typesize(&self) -> u8 {
        self.header.typesize
    }

    pub(super) const fn header(&self) -> &Header {
        &self.header
    }
}

fn prefix_len(header: &Header) -> Result<usize> {
    match header.kind {
        Kind::Stored | Kind::Zeros | Kind::Nans | Kind::Value => Ok(header.len),
        Kind::Streams => {
            let len = header.len as u64 + 4 * u64::from(header.blocks());
            // Bounds what `parse` allocates by the size of the chunk.
            let room = if header.nbytes == 0 { 0 } else { 4 };
            if len + room > u64::from(header.cbytes) {
                let why = "the compressed size leaves no room for the blocks";
                return Err(Error::corrupt("chunk header", 12, why));
            }
            usize::try_from(len).map_err(|_| Error::corrupt("chunk header", 12, "is too large"))
        }
    }
}

/// Walks the streams of block `i`, as a decoder would, without decoding; `stream` is
/// `chunk[layout.block_range(i)]`.
///
/// # Errors
/// [`Error::Corrupt`] if a stream leaves the block or is of no known kind, [`Error::Limit`] if
/// it is longer than [`crate::limits::STREAM_MAX`].
pub fn check_block(layout: &ChunkLayout, i: u32, stream: &[u8]) -> Result<()> {
    let range = layout.block_range(i);
    if stream.len() != range.len() {
        return Err(Error::corrupt("block", range.start.into(), "has not the length of its range"));
    }
    let header = layout.header();
    if header.kind == Kind::Streams {
        let len = layout.block_len(i);
        let streams = header.streams(len);
        streams::walk(stream, streams, len / streams)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(starts: &[u32], nbytes: u32, cbytes: u32) -> Vec<u8> {
        let mut h = Header::new(Kind::Streams, 1, nbytes, 100);
        h.algorithm = Some(Algorithm::Zstd);
        h.cbytes = cbytes;
        let mut out = h.encode().to_vec();
        out.extend(starts.iter().flat_map(|s| s.to_le_bytes()));
        out
    }

    #[test]
    fn blocks_end_at_the_next_greater_start() {
        let c = chunk(&[80, 48, 80, 60], 350, 100);
        assert_eq!(ChunkLayout::prefix_len(&c[..32], 1000).unwrap(), 48);
        let l = ChunkLayout::parse(&c, 1000).unwrap();
        let ranges: Vec<_> = (0..5).map(|i| l.block_range(i)).collect();
        assert_eq!(ranges, [80..100, 48..60, 80..100, 60..80, 0..0]);
        let lens: Vec<_> = (0..5).map(|i| l.block_len(i)).collect();
        assert_eq!(lens, [100, 100, 100, 50, 0]);
        let l = ChunkLayout::parse(&chunk(&[48, 60, 60, 90], 350, 100), 1000).unwrap();
        let ranges: Vec<_> = (0..4).map(|i| l.block_range(i)).collect();
        assert_eq!(ranges, [48..60, 60..90, 60..90, 90..100]);
    }

    #[test]
    fn starts_outside_the_chunk_are_errors() {
        for bad in [0, 47, 97, 100, u32::MAX] {
            assert!(ChunkLayout::parse(&chunk(&[48, bad, 80, 60], 350, 100), 1000).is_err());
        }
        assert!(ChunkLayout::parse(&chunk(&[48, 50, 80, 60], 350, 51), 1000).is_err());
        assert!(ChunkLayout::parse(&chunk(&[48, 50, 80], 350, 100), 1000).is_err());
    }

    #[test]
    fn a_header_that_claims_more_blocks_than_its_bytes_hold_is_refused_before_allocation() {
        let mut h = Header::new(Kind::Streams, 1, 256 << 20, 1);
        h.algorithm = Some(Algorithm::Lz4);
        h.cbytes = 1000;
        assert!(ChunkLayout::prefix_len(&h.encode(), 256 << 20).is_err());
    }
}
