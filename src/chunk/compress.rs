//! Chunks and blocks from plain bytes.

use super::algorithm::Algorithm;
use super::blosc::{Context, ONE_BLOCK, SLACK, overridden};
#[cfg(debug_assertions)]
use super::decoder::Decoder;
use super::decoder::ready;
use super::header::{EXTENDED, Header, Kind};
use super::layout::ChunkLayout;
use super::params::{Filter, Params};
use super::zstd_planes::ZstdPlanes;
use super::{assemble, special, streams};
use crate::error::{Error, Result};
use crate::limits::{BLOCKS_PER_CHUNK, CHUNK_MAX, STREAM_MAX};
use crate::wire::memory;

/// A chunk without compression leaves out the zeros that it ends with if they are at least this
/// share of it: the others are read where they lie.
const ZEROS_SHARE: usize = 16;

/// The C library stores smaller buffers instead of compressing them.
const C_MIN: usize = 32;

/// What is compressed plane by plane here, if the planes of a block are streams of their own.
const BY_PLANE: (Option<Algorithm>, u8) = (Some(Algorithm::Zstd), 1);

/// Compresses chunks with one set of parameters and one block size.
///
/// Owns one C context with one thread and its buffers; reuse it for many chunks. One for each
/// thread: it is `Send`, and takes `&mut self`.
pub struct Compressor {
    params: Params,
    block_size: u32,
    /// For full blocks, and for the last block of a chunk or a chunk shorter than a block. Each
    /// serves one block length: a context that met a shorter block keeps to that length.
    contexts: [Option<CachedContext>; 2],
    /// For full blocks, where C is not asked.
    planes: Option<ZstdPlanes>,
    #[cfg(debug_assertions)]
    decoder: Decoder,
}

/// A context for compression, the block length that it was made for, and whether it splits.
struct CachedContext {
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
    /// that is not a multiple of the typesize, or a `BLOSC_*` environment variable that overrides
    /// what was asked for; [`Error::Limit`] for a block of more than
    /// [`crate::limits::STREAM_MAX`] bytes.
    pub fn new(params: Params, block_size: u32) -> Result<Self> {
        params.check()?;
        assemble::check_sizes(&params, block_size, u32::from(params.typesize))?;
        if block_size > STREAM_MAX {
            let (asked, max) = (block_size.into(), STREAM_MAX.into());
            return Err(Error::Limit { what: "block", asked, max });
        }
        let mut made = Self {
            params,
            block_size,
            contexts: [None, None],
            planes: None,
            #[cfg(debug_assertions)]
            decoder: Decoder::new()?,
        };
        let by_plane = (params.algorithm, params.level) == BY_PLANE && params.typesize > 1;
        if by_plane && params.splits(block_size) {
            made.planes = Some(ZstdPlanes::new()?);
        }
        // Needed for the last block of a chunk, too; and it says what is wrong with the environment.
        if let Some(algorithm) = params.algorithm {
            made.context(algorithm, block_size, params.splits(block_size))?;
        }
        Ok(made)
    }

    /// One that asks the C library for every block.
    #[cfg(test)]
    pub(super) fn by_library(params: Params, block_size: u32) -> Result<Self> {
        Ok(Self { planes: None, ..Self::new(params, block_size)? })
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

    /// Compresses `src`, a whole chunk, into `out` (what it held is lost) as one complete Blosc2
    /// chunk with exactly this block size (or the chunk's, if that is smaller), streams in block
    /// order without gaps. Memory of `out` is used again.
    ///
    /// The chunk is stored if nothing was gained or the parameters name no algorithm; of such a one
    /// that ends with many zeros, the zeros are left out. A chunk of
    /// zeros becomes the 32 bytes that say so; in a frame these must not be written, C-Blosc2
    /// refuses to read them from a file: name the chunk in the offsets instead (see
    /// `frame::ChunkPlace::Zeros`).
    ///
    /// # Errors
    /// [`Error::Invalid`] if `src` is empty or not a multiple of the typesize, [`Error::Limit`] if
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
        let too_long =
            || Error::Limit { what: "chunk", asked: src.len() as u64, max: max_nbytes.into() };
        let nbytes = u32::try_from(src.len()).map_err(|_| too_long())?;
        if nbytes > max_nbytes {
            return Err(too_long());
        }
        let mut header = assemble::begin(&self.params, self.block_size, nbytes, max_blocks)?;
        if special::is_zero(src) {
            out.clear();
            out.extend(special::zeros_chunk(self.params.typesize, nbytes, header.block_size));
            return Ok(());
        }
        let stored = |out: &mut Vec<u8>| {
            out.clear();
            memory::reserve(out, EXTENDED + src.len())?;
            out.resize(EXTENDED, 0);
            out.extend_from_slice(src);
            let mut header = Header::new(Kind::Stored, header.typesize, nbytes, header.block_size);
            assemble::finish(&mut header, out)
        };
        if self.params.algorithm.is_none() {
            let end = src.iter().rposition(|b| *b != 0).map_or(0, |i| i + 1);
            if src.len() - end >= (src.len() / ZEROS_SHARE).max(header.block_size as usize) {
                self.padded(src, max_blocks, out)?;
                #[cfg(debug_assertions)]
                self.decoder.verify(src, out)?;
                return Ok(());
            }
            return stored(out);
        }
        // Every block is compressed into its place. No more is ever used than a stored chunk
        // takes and one block beyond.
        if let Some(planes) = &mut self.planes {
            planes.begin(self.params.typesize);
        }
        let starts = EXTENDED + 4 * header.blocks() as usize;
        memory::resize(out, starts + src.len() + room(&header, header.block_size), 0)?;
        let mut at = starts;
        for (i, block) in (0..).zip(src.chunks(header.block_size as usize)) {
            assemble::mark_start(out, i, at)?;
            at += self.block(&header, block, out, at)?;
            if at >= EXTENDED + src.len() {
                return stored(out);
            }
        }
        out.truncate(at);
        assemble::finish(&mut header, out)?;
        #[cfg(debug_assertions)]
        self.decoder.verify(src, out)?;
        Ok(())
    }

    /// A chunk that is not compressed, but for its blocks of zeros, which take no room.
    fn padded(&self, src: &[u8], max_blocks: u32, out: &mut Vec<u8>) -> Result<()> {
        // The algorithm is never asked: a stream of full length is the bytes as they are.
        let (algorithm, typesize) = (Some(Algorithm::Lz4), self.params.typesize);
        let params = Params { algorithm, level: 1, filter: Filter::None, typesize };
        let nbytes = u32::try_from(src.len()).unwrap_or(u32::MAX);
        let mut header = assemble::begin(&params, self.block_size, nbytes, max_blocks)?;
        header.split = false;
        out.clear();
        memory::reserve(out, EXTENDED + src.len() + 8 * header.blocks() as usize)?;
        out.resize(EXTENDED + 4 * header.blocks() as usize, 0);
        for (i, block) in (0..).zip(src.chunks(header.block_size as usize)) {
            let at = out.len();
            assemble::mark_start(out, i, at)?;
            let len = if special::is_zero(block) { 0 } else { block.len() };
            out.extend(u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
            out.extend_from_slice(block.get(..len).unwrap_or_default());
        }
        assemble::finish(&mut header, out)
    }

    /// Writes the streams of `src`, a block of a chunk with this header, into `out` from `at`
    /// on; their length.
    fn block(&mut self, header: &Header, src: &[u8], out: &mut [u8], at: usize) -> Result<usize> {
        let len = u32::try_from(src.len()).unwrap_or(u32::MAX);
        let count = header.streams(len);
        let Some(algorithm) = header.algorithm else {
            return Ok(0);
        };
        let small = || Error::codec("blosc2", "while compressing: no room left");
        if special::is_zero(src) {
            let streams = out.get_mut(at..at + 4 * count as usize).ok_or_else(small)?;
            streams.fill(0);
            return Ok(streams.len());
        }
        if src.len() < C_MIN {
            let mut stream = len.to_le_bytes().to_vec();
            push_filtered(header.filter, header.typesize.into(), src, &mut stream);
            let to = out.get_mut(at..at + stream.len()).ok_or_else(small)?;
            to.copy_from_slice(&stream);
            return Ok(stream.len());
        }
        if count > 1
            && let Some(planes) = &mut self.planes
        {
            return planes.block(src, out.get_mut(at..).ok_or_else(small)?);
        }
        // C makes a chunk of one block, whose header and block start come to lie over bytes
        // that are there already, and are put back.
        let chunk = at.checked_sub(ONE_BLOCK).ok_or_else(small)?;
        let to = out.get_mut(chunk..at + room(header, len)).ok_or_else(small)?;
        let mut before = [0; ONE_BLOCK];
        let head = to.get(..ONE_BLOCK).ok_or_else(small)?;
        before.copy_from_slice(head);
        let split = count > 1;
        let done = self.context(algorithm, len, split)?.compress(src, to);
        let made = check_made(header, src, split, done, to);
        if let Some(head) = to.get_mut(..ONE_BLOCK) {
            head.copy_from_slice(&before);
        }
        made
    }

    fn context(&mut self, algorithm: Algorithm, len: u32, split: bool) -> Result<&mut Context> {
        let [full, last] = &mut self.contexts;
        let slot = if len == self.block_size { full } else { last };
        if slot.as_ref().is_none_or(|made| made.len != len || made.split != split) {
            let c_len = i32::try_from(len).map_err(|_| overridden())?;
            ready()?;
            let context = Context::compressing(self.params, algorithm, c_len, split)?;
            *slot = Some(CachedContext { context, len, split });
        }
        slot.as_mut().map(|made| &mut made.context).ok_or_else(overridden)
    }
}

/// Room for every stream of a block of `len` bytes as it is, so that C never falls back to a
/// stored chunk.
fn room(header: &Header, len: u32) -> usize {
    4 * header.streams(len) as usize + len as usize + SLACK
}

/// The length of the streams in the chunk of one block that C made, after comparing its header
/// with what was asked for.
fn check_made(header: &Header, src: &[u8], split: bool, done: i32, chunk: &[u8]) -> Result<usize> {
    let failed = |why: &str| Err(Error::codec("blosc2", format!("while compressing: {why}")));
    let Ok(done) = usize::try_from(done) else {
        return failed(&format!("the library returned error {done}"));
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
        && got.algorithm == header.algorithm
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
    Ok(streams.len())
}

/// Appends `src`, fewer than 32 bytes, as the filter would hand it to the algorithm.
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
