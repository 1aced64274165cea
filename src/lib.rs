//! A compressed store for variable-length records.

pub mod backend;
pub mod chunk;
pub mod codec;
pub mod error;
pub mod formats;
pub mod frame;
pub mod index;
pub mod key;
pub mod limits;
pub mod store;
pub mod wire;

pub use error::{Corruption, Error, Result};
pub use key::Key;
pub use store::{
    Alignment, Batch, Damage, Durability, Location, Lookup, Opened, Purpose, Record, Scan,
    Snapshot, Store, StoreOptions, Verified, Writer,
};
