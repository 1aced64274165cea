//! The file as a program sees it that knows Blosc2 and nothing of ours: header, offsets chunk,
//! trailer, the table of records, and every chunk decoded.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "shared by several test programs, none of which uses all of it"
)]

use vlstore::chunk::{ChunkLayout, Decoder};
use vlstore::frame::{self, ChunkPlace, FrameHeader};
use vlstore::index::saved_lookup;
use vlstore::{Error, Key, Result};

/// What a frame holds: the logical bytes, and the places of records if the trailer names them.
#[derive(Debug)]
pub struct Frame {
    pub bytes: Vec<u8>,
    pub records: Option<Vec<(Key, u64, u64)>>,
}

fn cut(why: &'static str) -> Error {
    Error::corrupt("frame", 0, why)
}

fn part(image: &[u8], from: u64, to: u64) -> Result<&[u8]> {
    image.get(from as usize..to as usize).ok_or_else(|| cut("a part lies outside"))
}

fn decode_chunk(bytes: &[u8], most: u32, out: &mut Vec<u8>) -> Result<()> {
    let layout = ChunkLayout::parse(bytes, most)?;
    let mut decoder = Decoder::new()?;
    for i in 0..layout.blocks() {
        let range = layout.block_range(i);
        let stream = part(bytes, range.start.into(), range.end.into())?;
        let at = out.len();
        out.resize(at + layout.block_len(i) as usize, 0);
        decoder.decode(&layout, i, stream, &mut out[at..])?;
    }
    Ok(())
}

/// Reads the frame at the start of `image`.
pub fn read(image: &[u8]) -> Result<Frame> {
    let header = FrameHeader::parse(image)?;
    let whole = part(image, 0, header.frame_len)?;
    let trailer_len = u64::from(frame::trailer_len(whole)?);
    let at = header.trailer_at(trailer_len)?;
    let trailer = part(whole, at, at + trailer_len)?;
    let mut records = None;
    for layer in frame::parse_trailer(trailer)? {
        if layer.name == saved_lookup::NAME {
            let mut table = Vec::new();
            decode_chunk(&trailer[layer.content], u32::MAX, &mut table)?;
            records = Some(saved_lookup::decode(&table)?);
        }
    }
    let offsets = part(whole, header.offsets_at(), at.max(header.offsets_at()))?;
    let mut bytes = Vec::new();
    for (i, place) in frame::decode_offsets(offsets, &header)?.into_iter().enumerate() {
        match place {
            ChunkPlace::At(offset) => {
                let start = header.header_len + offset;
                let chunk = part(whole, start, header.frame_len)?;
                decode_chunk(chunk, header.chunk_size, &mut bytes)?;
            }
            ChunkPlace::Zeros => bytes.resize(bytes.len() + header.chunk_size as usize, 0),
            ChunkPlace::Nans => return Err(cut("a chunk of NaN")),
        }
        if bytes.len() != (i + 1) * header.chunk_size as usize {
            return Err(cut("a chunk has not the chunk size"));
        }
    }
    if bytes.len() as u64 != header.nbytes {
        return Err(cut("nbytes is not that of the chunks"));
    }
    Ok(Frame { bytes, records })
}

/// Bytes of all chunks of the frame at the start of `image`, as they are stored.
pub fn chunk_bytes(image: &[u8]) -> Result<u64> {
    let header = FrameHeader::parse(image)?;
    let whole = part(image, 0, header.frame_len)?;
    let mut sum = 0;
    for place in
        frame::decode_offsets(part(whole, header.offsets_at(), header.frame_len)?, &header)?
    {
        if let ChunkPlace::At(offset) = place {
            let chunk = part(whole, header.header_len + offset, header.frame_len)?;
            sum += u64::from(ChunkLayout::parse(chunk, header.chunk_size)?.cbytes());
        }
    }
    Ok(sum)
}
