//! What to compress with, and which combinations make sense.

use super::algorithm::Algorithm;
use crate::error::{Error, Result};

/// What is done to the bytes of a block before the algorithm sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Filter {
    /// Nothing.
    None,
    /// First bytes of all elements, then second bytes, and so on.
    Shuffle,
    /// First bits of all elements, then second bits, and so on.
    BitShuffle,
}

impl Filter {
    /// The number of the filter in frame headers and chunk headers.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Shuffle => 1,
            Self::BitShuffle => 2,
        }
    }

    /// The filter with this number.
    #[must_use]
    pub const fn from_id(id: u8) -> Option<Self> {
        match id {
            0 => Some(Self::None),
            1 => Some(Self::Shuffle),
            2 => Some(Self::BitShuffle),
            _ => None,
        }
    }

    /// The name that Blosc2 gives it, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "nofilter",
            Self::Shuffle => "shuffle",
            Self::BitShuffle => "bitshuffle",
        }
    }

    /// The filter of that name; `none` is understood too.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "none" | "nofilter" => Some(Self::None),
            "shuffle" => Some(Self::Shuffle),
            "bitshuffle" => Some(Self::BitShuffle),
            _ => None,
        }
    }
}

/// How a chunk is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Params {
    /// The algorithm; `None` stores the bytes as they are, so that they can be read in place.
    pub algorithm: Option<Algorithm>,
    /// How hard the algorithm tries, 1 to 9; not used for stored chunks.
    pub level: u8,
    /// The filter; must be [`Filter::None`] for stored chunks.
    pub filter: Filter,
    /// Bytes in one element, for the filters; 1 to 255.
    pub typesize: u8,
}

impl Params {
    /// Refuses combinations that cannot work.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the parameter: typesize 0, a level outside 1 to 9, or a filter
    /// without an algorithm (Blosc2 leaves stored bytes unfiltered).
    pub fn check(&self) -> Result<()> {
        if self.typesize == 0 {
            return Err(Error::invalid(
                "typesize",
                "is 0; use 1 for bytes, 4 for 32-bit and 8 for 64-bit numbers",
            ));
        }
        if self.algorithm.is_none() && self.filter != Filter::None {
            return Err(Error::invalid(
                "filter",
                format!(
                    "{} needs compression: stored chunks hold their bytes as they are",
                    self.filter.name()
                ),
            ));
        }
        if self.algorithm.is_some() && !(1..=9).contains(&self.level) {
            return Err(Error::invalid(
                "level",
                format!(
                    "{} is outside 1 to 9; to store without compression choose `stored`",
                    self.level
                ),
            ));
        }
        Ok(())
    }

    /// Whether the bytes of each position in an element become a stream of their own.
    ///
    /// The rule of C-Blosc2, so that files are as dense as its own: fast algorithms gain from it
    /// behind a shuffle, as long as each stream has something to work with.
    pub(super) fn splits(self, block_size: u32) -> bool {
        let fast = match self.algorithm {
            Some(Algorithm::BloscLz | Algorithm::Lz4) => true,
            Some(Algorithm::Zstd) => self.level <= 5,
            _ => false,
        };
        let typesize = u32::from(self.typesize);
        fast && self.filter == Filter::Shuffle
            && (1..=16).contains(&typesize)
            && block_size.is_multiple_of(typesize)
            && block_size / typesize >= 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Params =
        Params { algorithm: Some(Algorithm::Lz4), level: 5, filter: Filter::Shuffle, typesize: 4 };

    #[test]
    fn names_and_ids_lead_back_to_the_algorithm() {
        for c in Algorithm::ALL {
            assert_eq!(Algorithm::from_name(c.name()), Some(c));
            assert_eq!(Algorithm::from_id(c.id()), Some(c));
        }
        assert_eq!(Algorithm::from_name("snappy"), None);
        assert_eq!(Algorithm::from_id(3), None);
    }

    #[test]
    fn combinations_that_cannot_work_are_refused_by_name() {
        GOOD.check().unwrap();
        let refused = |p: Params| match p.check() {
            Err(Error::Invalid { what, .. }) => what,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(Params { typesize: 0, ..GOOD }), "typesize");
        assert_eq!(refused(Params { level: 0, ..GOOD }), "level");
        assert_eq!(refused(Params { level: 10, ..GOOD }), "level");
        assert_eq!(refused(Params { algorithm: None, ..GOOD }), "filter");
        Params { algorithm: None, level: 0, filter: Filter::None, typesize: 1 }.check().unwrap();
    }
}
