//! From keys to places: the table that other programs read.
//!
//! Knows how keys and locations are laid out in a file. Must not know how the bytes got there.

pub mod saved_lookup;
