//! Chunks and blocks from plain bytes.

#[cfg(debug_assertions)]
use super::blosc::Decoder;
use super::blosc::{Context, ONE_BLOCK, SLACK, overridden};
use super::header::{EXTENDED, Header, Kind};
use super::layout::ChunkLayout;
use super::params::{Codec, Filter, Params};
use super::{join, special, streams};
use crate::error::{Error, Result};
use crate::limits::{BLOCKS_PER_CHUNK, CHUNK_MAX, STREAM_MAX};

/// The C library stores smaller buffers instead of compressing them.
const C_MIN: usize = 32;

/// Compresses chunks with one set of parameters and one block size.
///
/// Owns one C context with one thread and its buffers; reuse it for many chunks. One for each
/// thread: it is `Send`, and takes `&mut self`.
pub struct Compressor {
    params: Params,
    block_size: u32,
    /// For full blocks, and for the last block of a chunk or a chunk shorter than a block. Each
    /// serves one block length: a context that met a shorter block keeps to that length.
    contexts: [Option<Made>; 2],
    scratch: Vec<u8>,
    #[cfg(debug_assertions)]
    decoder: Decoder,
}

/// A context for compression, the block length that it was made for, and whether it splits.
struct Made {
    context: Context,
    len: u32,
    split: bool,
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressor")
            .field("params", &self.params)
            .field("block_size", &self.block_size)
            .finish_non_exhaustive()
    }
}

impl Compressor {
    /// A compressor of blocks of `block_size` bytes, which must be a multiple of the typesize.
    ///
    /// # Errors
    /// [`Error::Invalid`] for parameters that cannot work (see [`Params::check`]), a block size
    /// that is no multiple of the typesize, or a `BLOSC_*` environment variable that overrides
    /// what was asked for; [`Error::Limit`] for a block of more than
    /// [`crate::limits::STREAM_MAX`] bytes.
    pub fn new(params: Params, block_size: u32) -> Result<Self> {
        params.check()?;
        join::check_sizes(&params, block_size, u32::from(params.typesize))?;
        if block_size > STREAM_MAX {
            let (asked, max) = (block_size.into(), STREAM_MAX.into());
            return Err(Error::Limit { what: "block", asked, max });
        }
        let mut made = Self {
            params,
            block_size,
            contexts: [None, None],
            scratch: Vec::new(),
            #[cfg(debug_assertions)]
            decoder: Decoder::new()?,
        };
        if let Some(codec) = params.codec {
            made.context(codec, block_size, params.splits(block_size))?;
        }
        Ok(made)
    }

    /// What it compresses with.
    #[must_use]
    pub const fn params(&self) -> &Params {
        &self.params
    }

    /// Decoded size of its blocks, in bytes.
    #[must_use]
    pub const fn block_size(&self) -> u32 {
        self.block_size
    }

    /// Compresses `src`, a whole chunk, into `out` (cleared first) as one complete Blosc2 chunk
    /// with exactly this block size (or the chunk's, if that is smaller), streams in block order
    /// without gaps.
    ///
    /// The chunk is stored if the parameters name no codec or nothing was gained, and a chunk of
    /// zeros becomes the 32 bytes that say so (see [`super::zeros`] for where those may stand).
    ///
    /// # Errors
    /// [`Error::Invalid`] if `src` is empty or no multiple of the typesize, [`Error::Limit`] if
    /// it is longer than [`crate::limits::CHUNK_MAX`] or has more than
    /// [`crate::limits::BLOCKS_PER_CHUNK`] blocks.
    pub fn compress(&mut self, src: &[u8], out: &mut Vec<u8>) -> Result<()> {
        self.compress_bounded(src, CHUNK_MAX, BLOCKS_PER_CHUNK, out)
    }

    /// As [`Self::compress`] with other ceilings, for the offsets and metalayers of a frame.
    pub(crate) fn compress_bounded(
        &mut self,
        src: &[u8],
        max_nbytes: u32,
        max_blocks: u32,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        out.clear();
        let too_long =
            || Error::Limit { what: "chunk", asked: src.len() as u64, max: max_nbytes.into() };
        let nbytes = u32::try_from(src.len()).map_err(|_| too_long())?;
        if nbytes > max_nbytes {
            return Err(too_long());
        }
        let mut header = join::begin(&self.params, self.block_size, nbytes, max_blocks)?;
        if special::is_zero(src) {
            out.extend(special::zeros_chunk(self.params.typesize, nbytes, header.block_size));
            return Ok(());
        }
        let stored = |out: &mut Vec<u8>| {
            out.resize(EXTENDED, 0);
            out.extend_from_slice(src);
            let mut header = Header::new(Kind::Stored, header.typesize, nbytes, header.block_size);
            join::finish(&mut header, out)
        };
        if self.params.codec.is_none() {
            return stored(out);
        }
        out.resize(EXTENDED + 4 * header.blocks() as usize, 0);
        for (i, block) in (0..).zip(src.chunks(header.block_size as usize)) {
            join::mark_start(out, i)?;
            self.block(&header, block, out)?;
            if out.len() >= EXTENDED + src.len() {
                out.clear();
                return stored(out);
            }
        }
        join::finish(&mut header, out)?;
        #[cfg(debug_assertions)]
        self.decoder.verify(src, out)?;
        Ok(())
    }

    /// Compresses one block and appends its streams to `out`, for [`super::join`].
    ///
    /// `src` has the block size, or is shorter and then the last block of a chunk that has
    /// others. Streams of a block that does not compress hold its filtered bytes.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `src` is empty, longer than a block or no multiple of the typesize,
    /// or if the parameters name no codec.
    pub fn compress_block(&mut self, src: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let len = u32::try_from(src.len()).unwrap_or(u32::MAX);
        if len > self.block_size || self.params.codec.is_none() {
            return Err(Error::invalid(
                "block",
                format!("of {len} bytes does not fit a compressor of {} bytes", self.block_size),
            ));
        }
        join::check_sizes(&self.params, self.block_size, len)?;
        let header = join::begin(&self.params, self.block_size, self.block_size, 1)?;
        self.block(&header, src, out)
    }

    /// Appends the streams of `src`, a block of a chunk with this header.
    fn block(&mut self, header: &Header, src: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let len = u32::try_from(src.len()).unwrap_or(u32::MAX);
        let count = header.streams(len);
        if special::is_zero(src) {
            out.resize(out.len() + 4 * count as usize, 0);
            return Ok(());
        }
        let Some(codec) = header.codec else {
            return Ok(());
        };
        if src.len() < C_MIN {
            out.extend(len.to_le_bytes());
            push_filtered(header.filter, header.typesize.into(), src, out);
            return Ok(());
        }
        // Room for every stream as it is, so that C never falls back to a stored chunk.
        let room = ONE_BLOCK + 4 * count as usize + src.len() + SLACK;
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.resize(room.max(scratch.len()), 0);
        let split = count > 1;
        let done = self.context(codec, len, split)?.compress(src, &mut scratch);
        let appended = check_made(header, src, split, done, &scratch).map(|s| out.extend(s));
        self.scratch = scratch;
        appended
    }

    fn context(&mut self, codec: Codec, len: u32, split: bool) -> Result<&mut Context> {
        let [full, last] = &mut self.contexts;
        let slot = if len == self.block_size { full } else { last };
        if slot.as_ref().is_none_or(|made| made.len != len || made.split != split) {
            let c_len = i32::try_from(len).map_err(|_| overridden())?;
            let context = Context::compressing(self.params, codec, c_len, split)?;
            *slot = Some(Made { context, len, split });
        }
        slot.as_mut().map(|made| &mut made.context).ok_or_else(overridden)
    }
}

/// The streams in the chunk of one block that C made, after comparing its header with what was
/// asked for.
fn check_made<'a>(
    header: &Header,
    src: &[u8],
    split: bool,
    done: i32,
    chunk: &'a [u8],
) -> Result<&'a [u8]> {
    let failed = |why: &str| Err(Error::codec("blosc2", format!("while compressing: {why}")));
    let Ok(done) = usize::try_from(done) else {
        return failed(&format!("the library answered with error {done}"));
    };
    let Some(chunk) = chunk.get(..done) else {
        return failed("more bytes than there is room for");
    };
    let layout = match ChunkLayout::parse(chunk, u32::MAX) {
        Ok(layout) => layout,
        Err(e) => return failed(&e.to_string()),
    };
    let got = layout.header();
    let same = got.kind == Kind::Streams
        && got.codec == header.codec
        && got.filter == header.filter
        && got.typesize == header.typesize
        && got.split == split
        && got.nbytes as usize == src.len()
        && got.block_size == got.nbytes
        && got.cbytes as usize == done
        && layout.block_range(0).start as usize == ONE_BLOCK;
    if !same {
        return failed("the chunk is not what was asked for; unset BLOSC_* in the environment");
    }
    let streams = chunk.get(ONE_BLOCK..).unwrap_or_default();
    let count = got.streams(got.nbytes);
    if streams::walk(streams, count, got.nbytes / count)?.used != streams.len() {
        return failed("there are bytes between the streams");
    }
    Ok(streams)
}

/// Appends `src`, fewer than 32 bytes, as the filter would hand it to the codec.
fn push_filtered(filter: Filter, typesize: usize, src: &[u8], out: &mut Vec<u8>) {
    let elements = src.len() / typesize.max(1);
    let byte = |i: usize| src.get(i).copied().unwrap_or(0);
    match filter {
        Filter::None => out.extend_from_slice(src),
        Filter::Shuffle => {
            for b in 0..typesize {
                out.extend((0..elements).map(|e| byte(e * typesize + b)));
            }
            out.extend(src.iter().skip(elements * typesize));
        }
        Filter::BitShuffle => {
            // Elements in eights; what is left over is copied.
            let whole = elements / 8 * 8;
            for b in 0..typesize {
                for bit in 0..8 {
                    out.extend((0..whole).step_by(8).map(|first| {
                        (0..8).fold(0, |acc, e| {
                            acc | ((byte((first + e) * typesize + b) >> bit) & 1) << e
                        })
                    }));
                }
            }
            out.extend(src.iter().skip(whole * typesize));
        }
    }
}
