//! A compressed store for variable-length records.

pub mod backend;
pub mod codec;
pub mod error;
pub mod key;
pub mod limits;
pub mod wire;

pub use error::{Corruption, Error, Result};
pub use key::Key;
