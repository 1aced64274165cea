//! The compression algorithms.

/// The algorithms that are read and written: those that every build of Blosc2 has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `BloscLZ`: what python-blosc2 writes its offsets with; written only when asked for.
    BloscLz,
    /// LZ4: fastest to decode.
    Lz4,
    /// LZ4 with a slower, denser encoder; decodes like [`Self::Lz4`].
    Lz4hc,
    /// Deflate, as in zlib; written only when asked for.
    Zlib,
    /// Zstandard: densest.
    Zstd,
}

impl Algorithm {
    /// All algorithms, in the order of their ids.
    pub const ALL: [Self; 5] = [Self::BloscLz, Self::Lz4, Self::Lz4hc, Self::Zlib, Self::Zstd];

    /// The name that Blosc2 gives it, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BloscLz => "blosclz",
            Self::Lz4 => "lz4",
            Self::Lz4hc => "lz4hc",
            Self::Zlib => "zlib",
            Self::Zstd => "zstd",
        }
    }

    /// The algorithm of this name, in lower case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.name() == name)
    }

    /// The number of the algorithm in frame headers and chunk headers.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            Self::BloscLz => 0,
            Self::Lz4 => 1,
            Self::Lz4hc => 2,
            Self::Zlib => 4,
            Self::Zstd => 5,
        }
    }

    /// The algorithm with this number.
    #[must_use]
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.id() == id)
    }

    /// The number of the stream format in the flags of a chunk; LZ4 and LZ4HC share one.
    pub(super) const fn format(self) -> u8 {
        match self {
            Self::BloscLz => 0,
            Self::Lz4 | Self::Lz4hc => 1,
            Self::Zlib => 3,
            Self::Zstd => 4,
        }
    }
}
