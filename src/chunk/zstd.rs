//! The door to Zstd, which is part of the bundled C library: streams in and out, without Blosc2 around them.
#![expect(unsafe_code, reason = "calls into C; every call says what was proved before it")]

use super::blosc::{SLACK, no_memory};
use crate::error::{Error, Result};
use std::ffi::{c_int, c_void};
use std::ptr::NonNull;

/// Functions of Zstd. Source: `zstd.h` of Zstd 1.5.6.
mod ffi {
    use std::ffi::{c_int, c_uint, c_void};

    unsafe extern "C" {
        pub(super) fn ZSTD_createDCtx() -> *mut c_void;
        pub(super) fn ZSTD_freeDCtx(context: *mut c_void) -> usize;
        /// Decodes `src` into `dst`, at most `room` bytes. Returns how many, or a code that `ZSTD_isError`
        /// knows.
        pub(super) fn ZSTD_decompressDCtx(
            context: *mut c_void,
            dst: *mut c_void,
            room: usize,
            src: *const c_void,
            len: usize,
        ) -> usize;
        pub(super) fn ZSTD_createCCtx() -> *mut c_void;
        pub(super) fn ZSTD_freeCCtx(context: *mut c_void) -> usize;
        pub(super) fn ZSTD_CCtx_setParameter(
            context: *mut c_void,
            parameter: c_int,
            value: c_int,
        ) -> usize;
        /// Encodes `src` into `dst`, at most `room` bytes. Returns how many, or a code that `ZSTD_isError`
        /// knows.
        pub(super) fn ZSTD_compress2(
            context: *mut c_void,
            dst: *mut c_void,
            room: usize,
            src: *const c_void,
            len: usize,
        ) -> usize;
        pub(super) fn ZSTD_isError(code: usize) -> c_uint;
    }
}

/// A number of bytes that Zstd returned; `None` for an error.
fn bytes(code: usize) -> Option<usize> {
    // SAFETY: takes a number and returns one.
    (unsafe { ffi::ZSTD_isError(code) } == 0).then_some(code)
}

/// Decodes streams.
pub(super) struct Unpacker(NonNull<c_void>);

// SAFETY: a context is plain memory that belongs to no thread. It is not `Sync`: one thread uses it at a time.
unsafe impl Send for Unpacker {}

impl Drop for Unpacker {
    fn drop(&mut self) {
        // SAFETY: the pointer came from the function that makes contexts and is freed only here.
        unsafe { ffi::ZSTD_freeDCtx(self.0.as_ptr()) };
    }
}

impl Unpacker {
    pub(super) fn new() -> Result<Self> {
        // SAFETY: takes nothing and returns a new context or null.
        let made = unsafe { ffi::ZSTD_createDCtx() };
        NonNull::new(made).map(Self).ok_or_else(no_memory)
    }

    /// Decodes the first `len` bytes of `src` into all of `dst`; whether that is what they are.
    pub(super) fn unpack(&mut self, src: &[u8], len: usize, dst: &mut [u8]) -> bool {
        if src.len() < len.saturating_add(SLACK) {
            return false;
        }
        let (from, to) = (src.as_ptr().cast(), dst.as_mut_ptr().cast());
        // SAFETY: `len` bytes and 64 more of `src` are readable, all of `dst` is writable, and they cannot overlap.
        // Whatever the stream says, no more is written than there is room for.
        let done = unsafe { ffi::ZSTD_decompressDCtx(self.0.as_ptr(), to, dst.len(), from, len) };
        bytes(done) == Some(dst.len())
    }
}

/// A setting of [`Packer`], by its number in `ZSTD_cParameter`, and its value.
pub(super) type Setting = (c_int, c_int);

/// The level: what all other settings are unless they are given.
pub(super) const LEVEL: c_int = 100;
/// Bits of the number of places that are remembered.
pub(super) const HASH_LOG: c_int = 102;
/// The shortest match that is looked for, in bytes.
pub(super) const SHORTEST_MATCH: c_int = 105;

/// Encodes streams, with the same settings each.
pub(super) struct Packer(NonNull<c_void>);

// SAFETY: a context is plain memory that belongs to no thread, and starts none unless it is told to. It is not
// `Sync`: one thread uses it at a time.
unsafe impl Send for Packer {}

impl Drop for Packer {
    fn drop(&mut self) {
        // SAFETY: the pointer came from the function that makes contexts and is freed only here.
        unsafe { ffi::ZSTD_freeCCtx(self.0.as_ptr()) };
    }
}

impl Packer {
    pub(super) fn new(settings: &[Setting]) -> Result<Self> {
        // SAFETY: takes nothing and returns a new context or null.
        let made = unsafe { ffi::ZSTD_createCCtx() };
        let made = NonNull::new(made).map(Self).ok_or_else(no_memory)?;
        for (setting, value) in settings {
            // SAFETY: a live context that has not begun a stream; a number that is no setting is an error.
            let code = unsafe { ffi::ZSTD_CCtx_setParameter(made.0.as_ptr(), *setting, *value) };
            bytes(code).ok_or_else(|| {
                Error::codec("zstd", format!("has no setting {setting} of the value {value}"))
            })?;
        }
        Ok(made)
    }

    /// Encodes `src` into the first bytes of `dst`; how many, or `None` if it takes more than there are.
    pub(super) fn pack(&mut self, src: &[u8], dst: &mut [u8]) -> Option<usize> {
        let (from, to) = (src.as_ptr().cast(), dst.as_mut_ptr().cast());
        // SAFETY: both lengths are those of the slices, which cannot overlap.
        let code = unsafe { ffi::ZSTD_compress2(self.0.as_ptr(), to, dst.len(), from, src.len()) };
        bytes(code)
    }
}
