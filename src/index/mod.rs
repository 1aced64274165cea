//! The index as bytes: records by ordinal, keys by hash, chunks by number.
//!
//! Turns values into bytes and back and searches in them; does no input or output (`store`
//! does) and knows neither frames nor compression.

pub(crate) mod directory;
pub mod fence;
pub mod filter;
pub mod key_hash;
pub mod layout;
pub mod leaf;
pub mod log;
pub mod run;
pub mod saved_lookup;
pub mod segment;
pub mod slot;
