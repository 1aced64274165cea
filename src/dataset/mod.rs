//! Data sets: a folder of stores and a manifest that lists them, read as one store.
//!
//! The manifest ([`MANIFEST`]) has for each member its name, how many records it has, their weight,
//! which keys they can have and a digest of the file, and what all members have in common: the codec,
//! the columns, attributes such as units, and the digests of the topologies. So a data set is opened
//! without opening a member, and its records have one numbering: those of the first member, then those
//! of the second, and so on. [`DataSet`] is [`Readable`](crate::Readable) as a store is; a member is
//! opened when something in it is read, and only so many are open at a time.
//!
//! Processes write members side by side, each its own store, and [`publish`] them: a new manifest takes the
//! place of the old one in one step. An [`Edit`] does the same step by step and is told if somebody else
//! published meanwhile.
//!
//! ```
//! use vlstore::dataset::{DataSet, publish};
//! use vlstore::{Readable, StoreOptions, Writer};
//!
//! # fn main() -> vlstore::Result<()> {
//! # let dir = tempfile::tempdir().unwrap();
//! # let folder = dir.path();
//! for name in ["a.vls", "b.vls"] {
//!     let mut writer = Writer::create(folder.join(name), &StoreOptions::default())?;
//!     writer.insert(name, name.as_bytes())?;
//!     writer.close()?;
//! }
//! publish(folder, &["a.vls", "b.vls"], |_, _| Ok(()))?;
//!
//! let set = DataSet::open(folder)?;
//! assert_eq!((set.len(), set.get_at(1)?.to_vec()), (2, b"b.vls".to_vec()));
//! assert_eq!(set.find("b.vls")?, Some(1));
//! # Ok(())
//! # }
//! ```

mod describe;
mod edit;
mod key_ranges;
mod manifest;
mod members;
mod reach;
mod read;
mod scan;
mod set;
mod source;
#[cfg(feature = "object-store")]
mod transfer;

pub use describe::{member_name, stores_in};
pub use edit::{Edit, describe_member, publish};
pub use key_ranges::KeyRanges;
pub use manifest::{MANIFEST, Manifest, Member, VERSION, is_member_name};
pub use scan::SetScan;
pub use set::{DataSet, MOST_OPEN, is_dataset};
pub use source::{Source, not_the_manifest};
#[cfg(feature = "object-store")]
pub use transfer::{pull, push};

pub(crate) use describe::sha256_of;
pub(crate) use reach::open_store;
