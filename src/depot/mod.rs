//! Typed records over a store: what a [`Codec`](crate::codec::Codec) means, where a
//! [`Store`](crate::Store) keeps it.
//!
//! Joins `codec` and `store`, which do not know each other: a [`Depot`] reads, a
//! [`DepotWriter`] adds, and [`Columns`] are numbers of many records without the records. A store
//! keeps name and version of the codec of its records; opening it with another one is refused,
//! naming both. A file of the original program names no codec and opens with any: whoever opens
//! it knows what is in it. Knows no codec in particular: what is special about frames of
//! trajectories is in [`trajectory`](crate::trajectory), which stands on this.
//!
//! ```
//! use vlstore::codec::FlatF32Codec;
//! use vlstore::{Depot, DepotWriter, StoreOptions};
//!
//! let mut w = DepotWriter::in_memory(FlatF32Codec, &StoreOptions::default())?;
//! w.put("a", &[0.5, 1.5])?;
//! w.put("b", &[2.5])?;
//! assert!(w.insert("b", &[3.5]).is_err()); // there is one
//! w.commit()?;
//!
//! assert_eq!(w.reading()?.get("b")?.view()?, [2.5]); // committed or not
//! let depot = Depot::new(w.snapshot()?, FlatF32Codec)?;
//! assert_eq!(depot.get("b")?.view()?, [2.5]);
//! let batch = depot.get_batch_at(&[1, 0])?;
//! assert_eq!(batch.view(1)?, [0.5, 1.5]);
//! # Ok::<(), vlstore::Error>(())
//! ```

mod columns;
mod encode_many;
mod read;
mod write;

pub use columns::Columns;
pub use encode_many::{EncodedItems, encode_many};
pub use read::{Depot, Item, Items, Iter};
pub use write::DepotWriter;
