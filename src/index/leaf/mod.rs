//! The records of a leaf, packed (see `docs/format.md`, «Packed records»): places, lengths,
//! weights and keys in groups of [`GROUP`], each of which is read where it lies.
//!
//! One record costs two looks, at the directory and at its group; one key one or two more. What
//! a group says is checked when it is read: widths, counts and places that do not fit it are an
//! error of the leaf.

mod bits;
mod encode;
mod firsts;
mod keys;
mod numbers;
mod places;
mod read;
mod search;
mod shape;
#[cfg(test)]
mod tests;
mod text;

pub use encode::{Records, pack};
pub use firsts::Firsts;
pub use keys::GroupKeys;
pub use places::{KeptPlaces, Place, least_words};
pub use read::{Packed, Source};
pub use search::KeptKeys;
pub use shape::HEADER_AT;

/// Records in a group; the last group of a leaf may have fewer.
pub const GROUP: usize = 128;
/// Records of a group between two places that stand there themselves: so many lengths at most
/// are added for one place.
pub const STRETCH: usize = 32;
/// Bytes of the directory for one group, and for the end of the last one.
pub const DIRECTORY: usize = 8;
/// Unit of the lengths in the directory, in bytes.
pub const WORD: usize = 8;

/// What a group says that cannot be.
pub type Defect = &'static str;
