//! The parts of a chunk that are ours to write: header and block starts.

use super::header::{EXTENDED, Header, Kind};
use super::params::Params;
use crate::error::{Error, Result};

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
    header.algorithm = params.algorithm;
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
            format!("{nbytes} bytes are not a positive multiple of the typesize {typesize}"),
        ));
    }
    if block_size == 0 || !block_size.is_multiple_of(typesize) {
        return Err(Error::invalid(
            "block size",
            format!("{block_size} bytes are not a positive multiple of the typesize {typesize}"),
        ));
    }
    Ok(())
}

/// Notes that block `i` of the chunk in `out` starts at `at`.
pub(super) fn mark_start(out: &mut [u8], i: u32, at: usize) -> Result<()> {
    let start = i32::try_from(at).map_err(|_| too_long(at))?;
    let slot = EXTENDED + 4 * i as usize;
    if let Some(slot) = out.get_mut(slot..slot + 4) {
        slot.copy_from_slice(&start.to_le_bytes());
    }
    Ok(())
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
