//! Joining the streams of blocks that were compressed one by one into a chunk.

use super::header::{EXTENDED, Header, Kind};
use super::params::Params;
use super::special;
use crate::error::{Error, Result};
use crate::limits::BLOCKS_PER_CHUNK;

/// Joins the streams of blocks, as [`super::Compressor::compress_block`] gave them, into one
/// chunk of `nbytes` decoded bytes in `out` (cleared first), without gaps and in order.
///
/// `params` and `block_size` must be those of the compressor, and every block but the last must
/// have `block_size` decoded bytes. A block that is missing is written as `&[]` and reads as
/// zeros. The result may be larger than a stored chunk would be; the caller compares.
///
/// # Errors
/// [`Error::Invalid`] for parameters that do not fit or another number of blocks than `nbytes`
/// needs, [`Error::Limit`] for too many blocks or a chunk of 2 GiB or more.
pub fn join<'a>(
    params: &Params,
    block_size: u32,
    nbytes: u32,
    blocks: impl IntoIterator<Item = &'a [u8]>,
    out: &mut Vec<u8>,
) -> Result<()> {
    out.clear();
    if params.codec.is_none() {
        return Err(Error::invalid("codec", "is missing: blocks of a stored chunk are not joined"));
    }
    let mut header = begin(params, block_size, nbytes, BLOCKS_PER_CHUNK)?;
    let count = header.blocks();
    out.resize(EXTENDED + 4 * count as usize, 0);
    let mut blocks = blocks.into_iter();
    for i in 0..count {
        let Some(streams) = blocks.next() else {
            return Err(Error::invalid("blocks", format!("{i} given where {count} are needed")));
        };
        mark_start(out, i)?;
        if streams.is_empty() {
            push_zero_block(&header, i, out);
        } else {
            out.extend_from_slice(streams);
        }
    }
    if blocks.next().is_some() {
        return Err(Error::invalid("blocks", format!("more given than the {count} needed")));
    }
    finish(&mut header, out)
}

/// The chunk of `nbytes` zeros, 32 bytes long.
///
/// In a frame such a chunk must not be written: C-Blosc2 refuses to read it from a file. Name
/// it in the offsets instead (see `frame::ChunkPlace::Zeros`). `nbytes` must be a multiple of
/// `typesize`.
#[must_use]
pub fn zeros(typesize: u8, nbytes: u32, block_size: u32) -> [u8; 32] {
    special::zeros_chunk(typesize, nbytes, block_size.min(nbytes).max(1))
}

/// The chunk of `nbytes` bytes of numbers that are all NaN, 32 bytes long; to be read as what
/// `frame::ChunkPlace::Nans` stands for. `typesize` must be 4 or 8, and `nbytes` a multiple.
#[must_use]
pub fn nans(typesize: u8, nbytes: u32, block_size: u32) -> [u8; 32] {
    special::nans_chunk(typesize, nbytes, block_size.min(nbytes).max(1))
}

/// The header of a chunk of streams, with everything but its compressed size.
pub(super) fn begin(
    params: &Params,
    block_size: u32,
    nbytes: u32,
    max_blocks: u32,
) -> Result<Header> {
    params.check()?;
    check_sizes(params, block_size, nbytes)?;
    let block_size = block_size.min(nbytes);
    let mut header = Header::new(Kind::Streams, params.typesize, nbytes, block_size);
    header.codec = params.codec;
    header.filter = params.filter;
    header.split = params.splits(block_size);
    if header.blocks() > max_blocks {
        return Err(Error::Limit {
            what: "blocks in a chunk",
            asked: header.blocks().into(),
            max: max_blocks.into(),
        });
    }
    Ok(header)
}

/// Refuses sizes that Blosc2 would silently change.
pub(super) fn check_sizes(params: &Params, block_size: u32, nbytes: u32) -> Result<()> {
    let typesize = u32::from(params.typesize).max(1);
    if nbytes == 0 || !nbytes.is_multiple_of(typesize) {
        return Err(Error::invalid(
            "chunk size",
            format!("{nbytes} bytes are no positive multiple of the typesize {typesize}"),
        ));
    }
    if block_size == 0 || !block_size.is_multiple_of(typesize) {
        return Err(Error::invalid(
            "block size",
            format!("{block_size} bytes are no positive multiple of the typesize {typesize}"),
        ));
    }
    Ok(())
}

/// Notes that block `i` starts at the end of `out`.
pub(super) fn mark_start(out: &mut [u8], i: u32) -> Result<()> {
    let start = i32::try_from(out.len()).map_err(|_| too_long(out.len()))?;
    let at = EXTENDED + 4 * i as usize;
    if let Some(slot) = out.get_mut(at..at + 4) {
        slot.copy_from_slice(&start.to_le_bytes());
    }
    Ok(())
}

/// Appends the streams of a block of zeros.
pub(super) fn push_zero_block(header: &Header, i: u32, out: &mut Vec<u8>) {
    let left = header.nbytes.saturating_sub(i.saturating_mul(header.block_size));
    let streams = header.streams(left.min(header.block_size));
    out.resize(out.len() + 4 * streams as usize, 0);
}

/// Writes the header over the first bytes of `out`, the whole chunk.
pub(super) fn finish(header: &mut Header, out: &mut [u8]) -> Result<()> {
    let cbytes = i32::try_from(out.len()).map_err(|_| too_long(out.len()))?;
    header.cbytes = cbytes.unsigned_abs();
    if let Some(head) = out.get_mut(..EXTENDED) {
        head.copy_from_slice(&header.encode());
    }
    Ok(())
}

const fn too_long(len: usize) -> Error {
    Error::Limit { what: "compressed chunk", asked: len as u64, max: i32::MAX as u64 }
}
