//! A Blosc2 frame as other programs see it: header, offsets, trailer, `saved_lookup`.

use crate::backend::Backend;
use crate::chunk::ChunkLayout;
use crate::chunk::with_decoder;
use crate::error::{Error, Result};
use crate::frame::{
    ChunkPlace, FrameHeader, TRAILER_MIN, decode_offsets, parse_trailer, trailer_len,
};
use crate::index::saved_lookup;
use crate::key::Key;
use crate::limits::{LOOKUP_MAX, METALAYER_MAX};
use crate::wire::{memory, to_usize};

/// A frame as other programs see it.
pub(crate) struct Frame {
    pub(crate) header: FrameHeader,
    pub(crate) places: Vec<ChunkPlace>,
    pub(crate) lookup: Option<Vec<(Key, u64, u64)>>,
}

fn read(backend: &dyn Backend, offset: u64, len: u64, part: &'static str) -> Result<Vec<u8>> {
    let end = offset.checked_add(len).filter(|end| backend.len().is_ok_and(|l| *end <= l));
    if end.is_none() {
        return Err(Error::corrupt(
            part,
            offset,
            "reaches past the end of the file; it was cut short",
        ));
    }
    let mut out = memory::zeroed(to_usize(len).unwrap_or(0))?;
    backend.read_at(offset, &mut out)?;
    Ok(out)
}

pub(crate) fn read_header(backend: &dyn Backend) -> Result<(FrameHeader, Vec<u8>)> {
    let len = backend.len()?;
    let first = read(backend, 0, len.min(FrameHeader::MIN_LEN as u64), "frame header")?;
    let n = FrameHeader::prefix_len(&first)? as u64;
    if n > len.max(METALAYER_MAX as u64) {
        return Err(Error::corrupt("frame header", 0, "is longer than the file"));
    }
    let bytes = read(backend, 0, n, "frame header")?;
    Ok((FrameHeader::parse(&bytes)?, bytes))
}

pub(crate) fn read_frame(backend: &dyn Backend, header: FrameHeader) -> Result<Frame> {
    if header.frame_len > backend.len()? {
        let at = backend.len()?;
        return Err(Error::corrupt("file", at, "ends before its frame does; it was cut short"));
    }
    let tail = read(
        backend,
        header.frame_len.saturating_sub(TRAILER_MIN as u64),
        TRAILER_MIN as u64,
        "frame trailer",
    )?;
    let len = u64::from(trailer_len(&tail)?);
    let at = header.trailer_at(len)?;
    let trailer = read(backend, at, len, "frame trailer")?;
    let layer = parse_trailer(&trailer)?.into_iter().find(|m| m.name == saved_lookup::NAME);
    let lookup = match layer {
        Some(m) => {
            let chunk = trailer.get(m.content).unwrap_or_default();
            let most = u32::try_from(LOOKUP_MAX).unwrap_or(u32::MAX);
            let table = decode_chunk(chunk, most)?;
            // An entry of a short key costs ten times its bytes.
            let entries = (4 << 20) + chunk.len().saturating_mul(64);
            if saved_lookup::count(&table)? > entries / saved_lookup::ENTRY_MIN {
                return Err(Error::corrupt("chunk", 0, "claims more than it can hold"));
            }
            Some(saved_lookup::decode(&table)?)
        }
        None => None,
    };
    let places = if header.nbytes == 0 {
        Vec::new()
    } else {
        let offsets =
            read(backend, header.offsets_at(), at - header.offsets_at(), "chunk offsets")?;
        decode_offsets(&offsets, &header)?
    };
    Ok(Frame { header, places, lookup })
}

/// Whether another program can read the frame: header, offsets and trailer.
pub(crate) fn frame_is_readable(backend: &dyn Backend) -> Result<()> {
    let (header, _) = read_header(backend)?;
    read_frame(backend, header).map(drop)
}

/// Decodes a whole chunk that is given whole.
fn decode_chunk(chunk: &[u8], most: u32) -> Result<Vec<u8>> {
    let bad = || Error::corrupt("chunk", 0, "is cut short");
    let head = chunk.get(..ChunkLayout::HEADER_LEN.min(chunk.len())).ok_or_else(bad)?;
    let prefix = ChunkLayout::prefix_len(head, most)?;
    let layout = ChunkLayout::parse(chunk.get(..prefix).ok_or_else(bad)?, most)?;
    // A short chunk may stand for many equal bytes, but not for more than compression gives.
    // Tables of records shrink to a tenth, and much further only if their keys are long and alike.
    let claimed = layout.nbytes() as usize;
    let fair = chunk.len().saturating_mul(64);
    if claimed > (16 << 20) + fair {
        return Err(Error::corrupt("chunk", 0, "claims more than it can hold"));
    }
    let mut out = memory::zeroed(claimed)?;
    let mut rest = out.as_mut_slice();
    for i in 0..layout.blocks() {
        let range = layout.block_range(i);
        let stream = chunk.get(range.start as usize..range.end as usize).ok_or_else(bad)?;
        let n = layout.block_len(i) as usize;
        let (now, later) = std::mem::take(&mut rest).split_at_mut_checked(n).ok_or_else(bad)?;
        with_decoder(|d| d.decode(&layout, i, stream, now))?;
        rest = later;
    }
    Ok(out)
}
