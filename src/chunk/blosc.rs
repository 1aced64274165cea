//! The one door to the C library: compress a block, decompress a block, nothing else.
//!
//! Only the context functions on plain buffers are called, with one C thread. Both directions
//! work on chunks of exactly one block, built or checked in Rust: the C library never sees the
//! header of a stored chunk, so no size in a file steers it, and never a super-chunk or frame.
#![expect(unsafe_code, reason = "calls into C; every call says what was proved before it")]

use super::algorithm::Algorithm;
use super::header::EXTENDED;
use super::params::Params;
use crate::error::{Error, Result};
use blosc2_sys as ffi;
use std::ptr::{self, NonNull};

/// Bytes before the streams in a chunk of one block: the header and one block start.
pub(super) const ONE_BLOCK: usize = EXTENDED + 4;
/// Readable bytes behind the input of a decoder: some algorithms were caught reading past its end.
pub(crate) const SLACK: usize = 64;

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

pub(super) fn no_memory() -> Error {
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
    pub(super) fn compressing(
        params: Params,
        algorithm: Algorithm,
        len: i32,
        split: bool,
    ) -> Result<Self> {
        let cparams = ffi::blosc2_cparams {
            compcode: algorithm.id(),
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

    pub(super) fn decompressing() -> Result<Self> {
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
    pub(super) fn decompress(&mut self, src: &[u8], len: usize, dst: &mut [u8]) -> i32 {
        if src.len() < len.saturating_add(SLACK) {
            return -1;
        }
        let (Ok(from), Ok(to)) = (i32::try_from(len), i32::try_from(dst.len())) else {
            return -1;
        };
        // SAFETY: `len` bytes and 64 more of `src` are readable, `to` bytes of `dst` writable,
        // and they cannot overlap. `wrap` wrote header and block start itself: a size equal to
        // `dst`, one block, an algorithm and a filter of the allow-list (`Header::parse`), no flag
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
        /// Decodes `src` into `dst`: at most `target` bytes, and at most `room`. Returns how many,
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

/// Decodes an LZ4 stream, the first `len` bytes of `src`, into `dst`, and returns whether it is
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
