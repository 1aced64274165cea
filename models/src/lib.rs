//! Parts of the library under loom: the sources are the library's own, see `build.rs`. Around
//! them stands what they need of their neighbours, as little as will do.
#![allow(dead_code, clippy::all)]

pub mod channel;
pub mod once;

/// What stands for `crate::wire`.
pub mod wire {
    pub fn prefetch(_: usize, _: usize) {}
    /// Once: whoever tries again is another thread of the model.
    pub fn briefly<T>(mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
        attempt()
    }
    pub fn to_usize(n: u64) -> Option<usize> {
        usize::try_from(n).ok()
    }
    /// Bytes, without the alignment.
    #[derive(Debug, Clone, Default)]
    pub struct AlignedBuf(pub Vec<u8>);
    impl std::ops::Deref for AlignedBuf {
        type Target = [u8];
        fn deref(&self) -> &[u8] {
            &self.0
        }
    }
}

/// What stands for `crate::error`.
pub mod error {
    pub type Result<T, E = Error> = std::result::Result<T, E>;
    #[derive(Debug)]
    pub enum Error {
        Other(&'static str),
        Thread { doing: &'static str },
    }
    impl Error {
        pub fn invalid(_: &str, why: &'static str) -> Self {
            Self::Other(why)
        }
        pub fn io(op: &'static str, _: std::io::Error) -> Self {
            Self::Other(op)
        }
        pub fn corrupt(_: &str, _: u64, why: &'static str) -> Self {
            Self::Other(why)
        }
    }
}

/// What stands for `crate::chunk`: a codec that turns the bits around, and one block.
pub mod chunk {
    use crate::error::{Error, Result};
    #[derive(Debug, Clone, Copy)]
    pub struct Params;
    pub struct Compressor;
    impl Compressor {
        pub fn new(_: Params, block: u32) -> Result<Self> {
            if block == 0 { Err(Error::Other("no block")) } else { Ok(Self) }
        }
        pub fn compress(&mut self, src: &[u8], out: &mut Vec<u8>) -> Result<()> {
            out.clear();
            out.extend(src.iter().map(|b| !b));
            Ok(())
        }
    }
    pub struct ChunkLayout;
    impl ChunkLayout {
        pub const HEADER_LEN: usize = 0;
        pub fn prefix_len(_: &[u8], _: u32) -> Result<usize> {
            Ok(0)
        }
        pub fn parse(_: &[u8], _: u32) -> Result<Self> {
            Ok(Self)
        }
        pub fn blocks(&self) -> u32 {
            0
        }
        pub fn block_range(&self, _: u32) -> std::ops::Range<u32> {
            0..0
        }
    }
}

/// What stands for `crate::store`.
pub mod store {
    pub mod block_checksum {
        pub fn block_sum(_: [u8; 16], _: u64, _: u32, _: &[u8]) -> u64 {
            0
        }
        pub fn prefix_sum(_: [u8; 16], _: u64, _: &[u8]) -> u64 {
            0
        }
    }
    pub mod cache {
        include!(concat!(env!("OUT_DIR"), "/cache.rs"));
    }
    pub mod pool {
        include!(concat!(env!("OUT_DIR"), "/pool.rs"));
    }
}
