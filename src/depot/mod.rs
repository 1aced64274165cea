//! Typed records over a store: what a [`Codec`](crate::codec::Codec) means, where a
//! [`Store`](crate::Store) keeps it.
//!
//! Joins `codec` and `store`, which do not know each other: a [`Depot`] reads, a
//! [`DepotWriter`] adds. A store keeps name and version of the codec of its records; opening it
//! with another one is refused, naming both. A file of the original program names no codec and
//! opens with any: whoever opens it knows what is in it. Knows nothing of trajectory *files*:
//! `formats` reads those, and what stands here about frames is only how a job goes on
//! ([`Continue`]) and what frames share ([`Sharing`]), and how their
//! positions are kept ([`Positions`]).
//!
//! ```
//! use vlstore::codec::{MdFrame, MdFrameCodec, Real, RealView};
//! use vlstore::{Depot, DepotWriter, StoreOptions};
//!
//! let mut w = DepotWriter::in_memory(MdFrameCodec, &StoreOptions::default())?;
//! for step in 0..3_i16 {
//!     let positions = Some(Real::F32(vec![f32::from(step); 6]));
//!     let frame =
//!         MdFrame { nsites: 2, positions, step: Some(step.into()), ..MdFrame::default() };
//!     w.put(step, &frame, false)?;
//! }
//! w.commit()?;
//!
//! let depot = Depot::new(w.snapshot()?, MdFrameCodec)?;
//! assert_eq!(depot.sites_at(2)?, 2); // from the index: nothing is decoded
//! let record = depot.get(1)?;
//! let frame = record.view()?;
//! assert_eq!(frame.positions(), Some(RealView::F32(&[1.0; 6])));
//!
//! let batch = depot.get_batch_at(&[2, 0])?;
//! assert_eq!(batch.view(0)?.step(), Some(2));
//! # Ok::<(), vlstore::Error>(())
//! ```

mod columns;
mod fields;
mod get;
mod lift;
mod positions;
mod put;
mod resume;
mod statistics;
mod topologies;

pub use columns::Columns;
pub use fields::Frames;
pub use get::{Depot, Item, Items, Iter};
pub use lift::copy_frames;
pub use positions::Positions;
pub use put::DepotWriter;
pub use resume::{Continue, Continued, StartAt};
pub use statistics::{KeptStatistics, STATISTICS, Statistics};
pub use topologies::{Sharing, Topologies};
