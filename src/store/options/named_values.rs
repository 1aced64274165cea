//! The choices of a layout and of a writer, by name.

use crate::chunk::Algorithm;

/// What the store is for: decides block sizes, and by that the point on the curve between file
/// size and the cost of one random record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Purpose {
    /// Smallest file; records are read in order or in large windows. Blocks of 256 KiB.
    Dense,
    /// A small file that is also read at random. Blocks of about 32 KiB, made to fit records.
    #[default]
    Balanced,
    /// Records are fetched one by one in random order. A large record has a block of its own,
    /// small ones share blocks of about 8 KiB, 4 KiB with LZ4.
    Random,
}

/// How blocks are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// By the purpose of the store: LZ4 for random access, Zstd for all else.
    #[default]
    Auto,
    /// Not at all: blocks hold the bytes as they are.
    Stored,
    /// Zstandard: smallest.
    Zstd,
    /// LZ4: fastest to decode.
    Lz4,
    /// LZ4 with a slower encoder that makes smaller blocks; decodes like [`Self::Lz4`].
    Lz4hc,
    /// Deflate, as in zlib.
    Zlib,
    /// `BloscLZ`: what python-blosc2 writes its offsets with.
    BloscLz,
}

impl Compression {
    /// The algorithm for a store of this purpose; `None` stores bytes as they are.
    pub(crate) const fn algorithm(self, purpose: Purpose) -> Option<Algorithm> {
        match (self, purpose) {
            (Self::Stored, _) => None,
            (Self::Lz4, _) | (Self::Auto, Purpose::Random) => Some(Algorithm::Lz4),
            (Self::Zstd | Self::Auto, _) => Some(Algorithm::Zstd),
            (Self::Lz4hc, _) => Some(Algorithm::Lz4hc),
            (Self::Zlib, _) => Some(Algorithm::Zlib),
            (Self::BloscLz, _) => Some(Algorithm::BloscLz),
        }
    }
}

impl From<Option<Algorithm>> for Compression {
    fn from(algorithm: Option<Algorithm>) -> Self {
        match algorithm {
            None => Self::Stored,
            Some(Algorithm::Zstd) => Self::Zstd,
            Some(Algorithm::Lz4) => Self::Lz4,
            Some(Algorithm::Lz4hc) => Self::Lz4hc,
            Some(Algorithm::Zlib) => Self::Zlib,
            Some(Algorithm::BloscLz) => Self::BloscLz,
        }
    }
}

/// Where a record is placed in the logical byte space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Alignment {
    /// At a multiple of 8, and across a block boundary only if it is longer than a block.
    #[default]
    Block,
    /// Directly behind its predecessor, unless it would cross a chunk boundary (the original's
    /// `no_cross`).
    NoCross,
    /// Directly behind its predecessor (the original's `contiguous`).
    Contiguous,
    /// At the start of a chunk (the original's `start`).
    Start,
}

/// What a commit waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Durability {
    /// Commits happen only when asked for and at close, and go to the operating system. A
    /// killed job loses everything since the last one.
    None,
    /// A commit is handed to the operating system: it survives a killed job, and a power cut
    /// once the system has written it out. Costs about three writes.
    #[default]
    Kernel,
    /// A commit is on the medium when it returns: it survives a power cut. Costs two syncs,
    /// milliseconds on most disks.
    Sync,
}

/// Whether a seal writes `saved_lookup`, the table by which the original program finds records.
/// It takes about 20 bytes a record; every other Blosc2 program reads the chunks without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OriginalTable {
    /// As the last seal of the file has it: a new store gets none, a file of the original program
    /// and one that was sealed with the table keep it.
    #[default]
    Auto,
    /// Yes, up to what one Blosc2 buffer holds.
    Always,
    /// No: the original program refuses the file by name.
    Never,
}

macro_rules! named {
    ($ty:ident { $($variant:ident $name:literal),* $(,)? }) => {
        impl $ty {
            /// Every variant.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// The name on the command line and in a file.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
            /// The variant of that name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}
named!(Purpose { Dense "dense", Balanced "balanced", Random "random" });
named!(Compression {
    Auto "auto", Stored "stored", Zstd "zstd", Lz4 "lz4", Lz4hc "lz4hc", Zlib "zlib", BloscLz "blosclz",
});
named!(Alignment {
    Block "block", NoCross "no_cross", Contiguous "contiguous", Start "start",
});
named!(Durability { None "none", Kernel "kernel", Sync "sync" });
named!(OriginalTable { Auto "auto", Always "always", Never "never" });
