//! The one door to the C library: compress a block, decompress a block, nothing else.
//!
//! Only the context functions on plain buffers are called, with one C thread. Both directions
//! work on chunks of exactly one block, built or checked in Rust: the C library never sees the
//! header of a stored chunk, so no size in a file steers it, and never a super-chunk or frame.
#![expect(unsafe_code, reason = "calls into C; every call says what was proved before it")]

use super::header::{BITSHUFFLE, EXTENDED, Header, Kind, ONE_STREAM, SHUFFLE};
use super::layout::ChunkLayout;
use super::params::{Codec, Filter, Params};
use super::{direct, special, streams};
use crate::error::{Error, Result};
use crate::wire::memory;
use blosc2_sys as ffi;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::sync::Once;

/// Bytes before the streams in a chunk of one block: the header and one block start.
pub(super) const ONE_BLOCK: usize = EXTENDED + 4;
/// Readable bytes behind the input of a decoder: some codecs were caught reading past its end.
pub(super) const SLACK: usize = 64;
/// Block sizes for which a decoder keeps the temporaries of the C library.
const KEPT: usize = 4;

/// An owned context of the C library.
pub(super) struct Context(NonNull<ffi::blosc2_context>);

// SAFETY: a context is plain memory that belongs to no thread; with one C thread (checked where
// it is made) it starts none. `Context` is not `Sync`, so only one thread uses it at a time.
unsafe impl Send for Context {}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the pointer came from a create function and is freed only here.
        unsafe { ffi::blosc2_free_ctx(self.0.as_ptr()) }
    }
}

fn no_memory() -> Error {
    Error::io("make a Blosc2 context", std::io::ErrorKind::OutOfMemory.into())
}

pub(super) fn overridden() -> Error {
    Error::invalid(
        "environment",
        "a variable whose name starts with BLOSC_ overrides the parameters of Blosc2; unset BLOSC_CLEVEL, BLOSC_COMPRESSOR, BLOSC_SHUFFLE, BLOSC_DELTA, BLOSC_TYPESIZE, BLOSC_BLOCKSIZE, BLOSC_SPLITMODE and BLOSC_NTHREADS",
    )
}

impl Context {
    /// A context that compresses blocks of `len` bytes with `params`.
    pub(super) fn compressing(params: Params, codec: Codec, len: i32, split: bool) -> Result<Self> {
        ready()?;
        let cparams = ffi::blosc2_cparams {
            compcode: codec.id(),
            compcode_meta: 0,
            clevel: params.level,
            use_dict: 0,
            typesize: params.typesize.into(),
            nthreads: 1,
            blocksize: len,
            splitmode: if split { 1 } else { 2 },
            schunk: ptr::null_mut(),
            filters: [0, 0, 0, 0, 0, params.filter.id()],
            filters_meta: [0; 6],
            prefilter: None,
            preparams: ptr::null_mut(),
            tuner_params: ptr::null_mut(),
            tuner_id: 0,
            instr_codec: false,
            codec_params: ptr::null_mut(),
            filter_params: [ptr::null_mut(); 6],
        };
        // SAFETY: the struct is complete and passed by value; null pointers mean "none".
        let made = unsafe { ffi::blosc2_create_cctx(cparams) };
        let context = Self(NonNull::new(made).ok_or_else(overridden)?);
        let mut got = cparams;
        // SAFETY: the context is alive, `got` is a whole struct that C may overwrite.
        unsafe { ffi::blosc2_ctx_get_cparams(context.0.as_ptr(), &raw mut got) };
        let same = got.compcode == cparams.compcode
            && got.clevel == cparams.clevel
            && got.typesize == cparams.typesize
            && got.nthreads == 1
            && got.blocksize == cparams.blocksize
            && got.splitmode == cparams.splitmode
            && got.filters == cparams.filters;
        if same { Ok(context) } else { Err(overridden()) }
    }

    fn decompressing() -> Result<Self> {
        let dparams = ffi::blosc2_dparams {
            nthreads: 1,
            schunk: ptr::null_mut(),
            postfilter: None,
            postparams: ptr::null_mut(),
        };
        // SAFETY: the struct is complete and passed by value; null pointers mean "none".
        let made = unsafe { ffi::blosc2_create_dctx(dparams) };
        let context = Self(NonNull::new(made).ok_or_else(no_memory)?);
        let mut got = dparams;
        // SAFETY: the context is alive, `got` is a whole struct that C may overwrite.
        unsafe { ffi::blosc2_ctx_get_dparams(context.0.as_ptr(), &raw mut got) };
        // More threads would be started, and they do not survive a fork.
        if got.nthreads == 1 { Ok(context) } else { Err(overridden()) }
    }

    /// Compresses `src` into `dst`; the length of the chunk, or an error code that is not above 0.
    pub(super) fn compress(&mut self, src: &[u8], dst: &mut [u8]) -> i32 {
        let (Ok(from), Ok(to)) = (i32::try_from(src.len()), i32::try_from(dst.len())) else {
            return -1;
        };
        // SAFETY: both lengths are those of the slices, in bytes (this call counts bytes, not
        // elements), and the slices cannot overlap. `compressing` made the context for this.
        unsafe {
            ffi::blosc2_compress_ctx(
                self.0.as_ptr(),
                src.as_ptr().cast(),
                from,
                dst.as_mut_ptr().cast(),
                to,
            )
        }
    }

    /// Decompresses the first `len` bytes of `src`, a chunk of one block that [`Decoder::wrap`]
    /// built, into `dst`; the decoded length, or an error code below 0.
    fn decompress(&mut self, src: &[u8], len: usize, dst: &mut [u8]) -> i32 {
        if src.len() < len.saturating_add(SLACK) {
            return -1;
        }
        let (Ok(from), Ok(to)) = (i32::try_from(len), i32::try_from(dst.len())) else {
            return -1;
        };
        // SAFETY: `len` bytes and 64 more of `src` are readable, `to` bytes of `dst` writable,
        // and they cannot overlap. `wrap` wrote header and block start itself: a size equal to
        // `dst`, one block, a codec and a filter of the allow-list (`Header::parse`), no flag
        // that makes C follow a pointer or a file; `streams::walk` proved that every stream
        // lies inside and together they decode to exactly the block.
        unsafe {
            ffi::blosc2_decompress_ctx(
                self.0.as_ptr(),
                src.as_ptr().cast(),
                from,
                dst.as_mut_ptr().cast(),
                to,
            )
        }
    }
}

/// The decoder of LZ4 that is part of the bundled library; its header declares it so.
mod ffi_lz4 {
    unsafe extern "C" {
        /// Decodes `src` into `dst`: at most `target` bytes, and at most `room`. Answers how many,
        /// or an error code below 0. Source: `lz4.h` of LZ4 1.10.
        pub(super) fn LZ4_decompress_safe_partial(
            src: *const std::ffi::c_char,
            dst: *mut std::ffi::c_char,
            len: std::ffi::c_int,
            target: std::ffi::c_int,
            room: std::ffi::c_int,
        ) -> std::ffi::c_int;
        /// The same without a target.
        pub(super) fn LZ4_decompress_safe(
            src: *const std::ffi::c_char,
            dst: *mut std::ffi::c_char,
            len: std::ffi::c_int,
            room: std::ffi::c_int,
        ) -> std::ffi::c_int;
    }
}

/// Decodes an LZ4 stream, the first `len` bytes of `src`, into `dst`, and answers whether it is
/// good: it has exactly `dst.len()` bytes, or, if fewer are `wanted`, at least so many. Bytes of
/// `dst` behind the wanted ones are unspecified.
pub(super) fn lz4(src: &[u8], len: usize, dst: &mut [u8], wanted: usize) -> bool {
    if src.len() < len.saturating_add(SLACK) || wanted > dst.len() {
        return false;
    }
    let (Ok(from), Ok(to)) = (i32::try_from(len), i32::try_from(dst.len())) else { return false };
    let (src, out) = (src.as_ptr().cast(), dst.as_mut_ptr().cast());
    let done = match i32::try_from(wanted) {
        Ok(part) if part < to => {
            // SAFETY: `from` bytes and 64 more of `src` are readable, `to` bytes of `dst`
            // writable, and they cannot overlap. Whatever the stream says, this function reads
            // and writes nothing else: that is what its name promises.
            unsafe { ffi_lz4::LZ4_decompress_safe_partial(src, out, from, part, to) }
        }
        // SAFETY: as above.
        _ => unsafe { ffi_lz4::LZ4_decompress_safe(src, out, from, to) },
    };
    usize::try_from(done).is_ok_and(|n| n == wanted.min(dst.len()))
}

/// Lets the C library choose its shuffle routines before two threads can race for it: it keeps
/// them in globals that it fills at first use without synchronisation.
fn ready() -> Result<()> {
    static READY: Once = Once::new();
    let mut result = Ok(());
    READY.call_once(|| {
        result = Context::decompressing().and_then(|context| {
            let mut header = Header::new(Kind::Streams, 4, 64, 64);
            header.codec = Some(Codec::Lz4);
            header.filter = Filter::Shuffle;
            let mut stream = [7; 68];
            if let Some(len) = stream.first_chunk_mut() {
                *len = 64_u32.to_le_bytes();
            }
            let mut decoder = Decoder { contexts: vec![(0, context)], ..Decoder::empty() };
            decoder.whole(&header, &stream, &mut [0; 64])
        });
    });
    result
}

/// Decodes blocks of any chunk.
///
/// Owns C contexts with one thread each and a scratch buffer; reuse it for many blocks, then it
/// allocates nothing as long as no more than four block sizes take turns. One for each thread:
/// it is `Send`, and takes `&mut self`.
pub struct Decoder {
    /// Contexts and the block length for which each holds temporaries.
    contexts: Vec<(u32, Context)>,
    /// The context that the next new block length takes over.
    next: usize,
    /// The streams of the block in hand, with room for a header before them and slack behind:
    /// what a codec reads is what was checked, whatever happens to the file meanwhile.
    scratch: Vec<u8>,
    planes: Vec<u8>,
    /// A whole block of which a part is wanted.
    whole: Vec<u8>,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").finish_non_exhaustive()
    }
}

impl Decoder {
    fn empty() -> Self {
        Self {
            contexts: Vec::new(),
            next: 0,
            scratch: Vec::new(),
            planes: Vec::new(),
            whole: Vec::new(),
        }
    }

    /// A decoder without any memory of its own yet.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the environment variable `BLOSC_NTHREADS` asks for more C threads
    /// than the one that survives a fork, [`Error::Io`] if there is no memory.
    pub fn new() -> Result<Self> {
        ready()?;
        Ok(Self { contexts: vec![(0, Context::decompressing()?)], ..Self::empty() })
    }

    /// Decodes block `i`. `stream` is exactly the bytes `chunk[layout.block_range(i)]`, whose
    /// checksum the caller has verified if there is one, and `dst` has `layout.block_len(i)`
    /// bytes.
    ///
    /// Every stream length is walked before C sees it; stored blocks and runs of one value never
    /// reach C. Bytes of `dst` are unspecified after an error.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a block that does not exist or slices of the wrong length,
    /// [`Error::Corrupt`] for streams that do not decode to exactly this block,
    /// [`Error::Limit`] for one longer than [`crate::limits::STREAM_MAX`].
    pub fn decode(
        &mut self,
        layout: &ChunkLayout,
        i: u32,
        stream: &[u8],
        dst: &mut [u8],
    ) -> Result<()> {
        self.decode_part(layout, i, stream, 0..layout.block_len(i) as usize, dst)
    }

    /// Decodes the bytes `part` of block `i` into `dst`, which is as long; else as
    /// [`Self::decode`]. Costs less than the whole block where [`Self::decodes_parts`].
    ///
    /// # Errors
    /// As [`Self::decode`]; [`Error::Invalid`] for a part that the block does not have. Of
    /// streams that are not needed only the lengths are looked at.
    pub fn decode_part(
        &mut self,
        layout: &ChunkLayout,
        i: u32,
        stream: &[u8],
        part: Range<usize>,
        dst: &mut [u8],
    ) -> Result<()> {
        self.decode_checked(layout, i, stream, part, dst, |_| Ok(()))
    }

    /// As [`Self::decode_part`] of streams that nobody has checked yet: `check` sees the bytes
    /// that are decoded, and not those in the file, which another program may change in between.
    ///
    /// # Errors
    /// As [`Self::decode_part`], and those of `check`.
    pub(crate) fn decode_checked(
        &mut self,
        layout: &ChunkLayout,
        i: u32,
        stream: &[u8],
        part: Range<usize>,
        dst: &mut [u8],
        check: impl FnOnce(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let range = layout.block_range(i);
        let len = layout.block_len(i);
        let whole = part == (0..len as usize);
        let fits = dst.len() == part.len()
            && !dst.is_empty()
            && part.end <= len as usize
            && stream.len() == range.len();
        if !fits {
            return Err(Error::invalid(
                "block",
                format!(
                    "{i} of {} has {len} bytes, stored in {}; asked for were {part:?} into {} from {}",
                    layout.blocks(),
                    range.len(),
                    dst.len(),
                    stream.len()
                ),
            ));
        }
        let header = layout.header();
        if header.kind == Kind::Streams {
            check(self.hold(stream)?)?;
            return self.streams(header, stream.len(), len, &part, dst);
        }
        check(stream)?;
        match header.kind {
            Kind::Stored => dst.copy_from_slice(stream.get(part).unwrap_or_default()),
            Kind::Zeros => dst.fill(0),
            _ if whole => self.whole(header, stream, dst)?,
            _ => {
                let mut all = std::mem::take(&mut self.whole);
                memory::resize(&mut all, len as usize, 0)?;
                let done = self.whole(header, stream, &mut all);
                dst.copy_from_slice(all.get(part).unwrap_or_default());
                self.whole = all;
                done?;
            }
        }
        Ok(())
    }

    /// Decodes a part of a block of `len` bytes whose streams are held.
    fn streams(
        &mut self,
        header: &Header,
        held: usize,
        len: u32,
        part: &Range<usize>,
        dst: &mut [u8],
    ) -> Result<()> {
        if direct::knows(header, len) {
            let all = self.scratch.get(ONE_BLOCK..).unwrap_or_default();
            let streams = direct::Held::new(all, held).ok_or_else(no_memory)?;
            return direct::decode(header, streams, len, part, dst, &mut self.planes);
        }
        if *part == (0..len as usize) {
            return self.block(header, held, dst);
        }
        let mut whole = std::mem::take(&mut self.whole);
        memory::resize(&mut whole, len as usize, 0)?;
        let done = self.block(header, held, &mut whole);
        dst.copy_from_slice(whole.get(part.clone()).unwrap_or_default());
        self.whole = whole;
        done
    }

    /// Copies the streams of a block into the scratch buffer, with zeros or bytes of earlier
    /// blocks as slack behind them.
    fn hold(&mut self, stream: &[u8]) -> Result<&[u8]> {
        let total = ONE_BLOCK + stream.len() + SLACK;
        if self.scratch.len() < total {
            // A power of two, so that blocks of similar size do not each grow it a little.
            memory::resize(&mut self.scratch, total.next_power_of_two(), 0)?;
        }
        let to = self.scratch.get_mut(ONE_BLOCK..ONE_BLOCK + stream.len()).ok_or_else(no_memory)?;
        to.copy_from_slice(stream);
        Ok(to)
    }

    /// Whether a part of a block of this chunk costs less than the whole.
    #[must_use]
    pub fn decodes_parts(layout: &ChunkLayout) -> bool {
        let header = layout.header();
        match header.kind {
            Kind::Streams => header.split && direct::knows(header, header.block_size),
            Kind::Stored | Kind::Zeros => true,
            Kind::Value | Kind::Nans => false,
        }
    }

    /// Decodes a whole block.
    pub(super) fn whole(&mut self, header: &Header, stream: &[u8], dst: &mut [u8]) -> Result<()> {
        match header.kind {
            Kind::Stored => dst.copy_from_slice(stream),
            Kind::Zeros => dst.fill(0),
            Kind::Value => special::fill(dst, stream),
            Kind::Nans => special::fill(dst, special::nan(header.typesize)),
            Kind::Streams => {
                self.hold(stream)?;
                self.block(header, stream.len(), dst)?;
            }
        }
        Ok(())
    }

    /// Decodes the streams of one block of a chunk with this header, which are `held` bytes of
    /// the scratch buffer, by the C library.
    fn block(&mut self, header: &Header, held: usize, dst: &mut [u8]) -> Result<()> {
        let len = u32::try_from(dst.len()).unwrap_or(u32::MAX);
        let count = header.streams(len);
        if len / count * count != len {
            // The codec would leave the rest of the block as it found it.
            return Err(Error::corrupt("block", 0, "does not split into its streams"));
        }
        let stream = self.scratch.get(ONE_BLOCK..ONE_BLOCK + held).unwrap_or_default();
        let walk = streams::walk(stream, count, len / count)?;
        if walk.zeros {
            dst.fill(0);
            return Ok(());
        }
        let wrapped = self.wrap(header, len, count, walk.used)?;
        let at = self.context_for(len)?;
        let scratch = &self.scratch;
        let done = match self.contexts.get_mut(at) {
            Some((_, context)) => context.decompress(scratch, wrapped, dst),
            None => -1,
        };
        if usize::try_from(done).is_ok_and(|n| n == dst.len()) {
            Ok(())
        } else {
            Err(Error::corrupt("block", 0, "the codec cannot decode it"))
        }
    }

    /// Makes the `used` bytes of streams in the scratch buffer a chunk of one block of `len`
    /// decoded bytes; answers the length of the chunk.
    fn wrap(&mut self, header: &Header, len: u32, count: u32, used: usize) -> Result<usize> {
        let total = ONE_BLOCK + used;
        let cbytes = u32::try_from(total)
            .ok()
            .filter(|n| i32::try_from(*n).is_ok())
            .ok_or(Error::corrupt("block", 0, "is too long"))?;
        let mut head = *header;
        head.kind = Kind::Streams;
        head.nbytes = len;
        head.block_size = len;
        head.cbytes = cbytes;
        head.split = count > 1;
        let head = head.encode();
        debug_assert_eq!(head.get(2).map(|f| f & (SHUFFLE | BITSHUFFLE)), Some(5));
        debug_assert_eq!(head.get(2).map(|f| f & ONE_STREAM == 0), Some(count > 1));
        if let Some((to, rest)) = self.scratch.split_first_chunk_mut::<EXTENDED>()
            && let Some((to_start, _)) = rest.split_first_chunk_mut::<4>()
        {
            *to = head;
            *to_start = 36_u32.to_le_bytes();
        }
        Ok(total)
    }

    /// The index of a context whose temporaries fit blocks of `len` bytes, or that will make
    /// them: C allocates them anew whenever the block length differs from the one before.
    fn context_for(&mut self, len: u32) -> Result<usize> {
        if let Some(at) = self.contexts.iter().position(|(l, _)| *l == len) {
            return Ok(at);
        }
        if let Some(at) = self.contexts.iter().position(|(l, _)| *l == 0) {
            self.claim(at, len);
            return Ok(at);
        }
        if self.contexts.len() < KEPT {
            self.contexts.push((len, Context::decompressing()?));
            return Ok(self.contexts.len() - 1);
        }
        let at = self.next;
        self.next = (at + 1) % KEPT;
        self.claim(at, len);
        Ok(at)
    }

    fn claim(&mut self, at: usize, len: u32) {
        if let Some((l, _)) = self.contexts.get_mut(at) {
            *l = len;
        }
    }

    /// Decodes all of `chunk` and compares: debug builds check what they wrote.
    #[cfg(debug_assertions)]
    pub(super) fn verify(&mut self, src: &[u8], chunk: &[u8]) -> Result<()> {
        let layout = ChunkLayout::parse(chunk, u32::MAX)?;
        let mut at = 0;
        let mut block = Vec::new();
        for i in 0..layout.blocks() {
            let range = layout.block_range(i);
            let stream = chunk.get(range.start as usize..range.end as usize).unwrap_or_default();
            block.resize(layout.block_len(i) as usize, 0);
            self.decode(&layout, i, stream, &mut block)?;
            debug_assert_eq!(src.get(at..at + block.len()), Some(block.as_slice()), "block {i}");
            at += block.len();
        }
        debug_assert_eq!(at, src.len());
        Ok(())
    }
}
