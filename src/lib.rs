//! A compressed store for variable-length records.
//!
//! Records of any length are packed into chunks, compressed with Blosc2 and found again by key
//! or by their place in the order of insertion. One file is two things at once: an append-only
//! log with atomic commits, and at every moment a valid Blosc2 frame that python-blosc2 opens.
//!
//! # What happens when the job is killed
//!
//! A writer commits by itself after every 8 MiB of records or 5 seconds, whichever comes first,
//! looked at on each `put`, and when it is closed. **A killed job loses at most what it put
//! since then**; everything before is whole, readable at once, and the next writer goes on in
//! the same file. [`WriteOptions`] changes both figures; [`Writer::commit`] commits now. By
//! default a commit is handed to the operating system, which survives a killed process; with
//! [`Durability::Sync`] it is on the medium when it returns, which survives a power cut and
//! costs two syncs.
//!
//! # A trajectory, stored and read
//!
//! ```
//! use vlstore::codec::{MdFrame, Real, RealView};
//! use vlstore::{StoreOptions, Trajectory, TrajectoryWriter};
//!
//! # fn main() -> vlstore::Result<()> {
//! # let dir = tempfile::tempdir().unwrap();
//! let path = dir.path().join("water.vlstore");
//!
//! // Frame by frame, as a simulation makes them.
//! let mut writer = TrajectoryWriter::create(&path, &StoreOptions::default())?;
//! for step in 0..100 {
//!     let frame = MdFrame {
//!         nsites: 3,
//!         step: Some(step),
//!         positions: Some(Real::F32((0..9).map(|i| i as f32 + 0.001 * step as f32).collect())),
//!         ..MdFrame::default()
//!     };
//!     writer.put(step, &frame)?;
//! }
//! writer.close()?;
//!
//! // Any frame, or many at once; the arrays are views of the record, nothing is copied.
//! let trajectory = Trajectory::open(&path)?;
//! let item = trajectory.get(42)?;
//! let frame = item.view()?;
//! assert_eq!(frame.step(), Some(42));
//! let Some(RealView::F32(positions)) = frame.positions() else { panic!("no positions") };
//! assert_eq!(positions.len(), 9);
//!
//! let batch = trajectory.get_batch_at(&[7, 93, 7])?;
//! assert_eq!(batch.view(1)?.step(), Some(93));
//! # Ok(())
//! # }
//! ```
//!
//! # Where to go from here
//!
//! * [`Writer`] adds records of bytes, [`Store`] and [`Snapshot`] read them; [`DepotWriter`] and
//!   [`Depot`] do the same for objects, by a [`codec`].
//! * [`TrajectoryWriter`] and [`Trajectory`] do it for frames of simulations, with what those
//!   share and how they continue; [`trajectory`] also takes files of other programs into stores
//!   and out of them, which [`formats`] reads and writes.
//! * [`backend`] is what a store needs of a file; memory and byte slices do as well.
//! * `docs/format.md` specifies every byte of the file, `docs/records.md` those of the records,
//!   `docs/design.md` says why it is as it is, `docs/benchmarks.md` what it reaches.

pub mod backend;
pub mod blobs;
pub mod cache;
pub mod codec;
pub mod column;
pub mod dataset;
pub mod depot;
pub mod error;
mod existing;
#[cfg(feature = "experiments")]
pub mod experiments;
pub mod formats;
pub mod key;
pub mod limits;
pub mod loader;
pub mod maintain;
pub mod printable;
#[cfg(feature = "object-store")]
pub mod remote;
pub mod series;
pub mod store;
pub mod trajectory;

// The rooms of the bytes in a file belong to no one outside: `docs/format.md` specifies what they
// write. The feature `testing` opens them to tests, benchmarks and fuzz targets.
#[cfg(not(feature = "testing"))]
#[allow(unreachable_pub, dead_code, unused_imports, reason = "tests look at more of it")]
mod chunk;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod chunk;
#[cfg(not(feature = "testing"))]
#[allow(unreachable_pub, dead_code, unused_imports, reason = "tests look at more of it")]
mod frame;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod frame;
#[cfg(not(feature = "testing"))]
#[allow(unreachable_pub, dead_code, unused_imports, reason = "tests look at more of it")]
mod index;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod index;
#[cfg(not(feature = "testing"))]
#[allow(unreachable_pub, dead_code, unused_imports, reason = "tests look at more of it")]
mod wire;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod wire;

pub use chunk::Filter;
pub use column::{
    Column, ColumnKind, ColumnValues, Content, RecordCheck, Row, RowMaker, SharedLookup,
};
pub use depot::{Depot, DepotWriter};
pub use error::{Corruption, Error, Result, Unresumed};
pub use existing::Existing;
pub use key::Key;
pub use store::{
    Alignment, Batch, ChunkClass, Closed, ColumnData, Compression, Durability, Info, Layout,
    Location, Opened, OriginalTable, Plan, Purpose, RatioClass, ReadOptions, Readable, Record,
    Scan, SizeClass, Snapshot, Stat, Store, StoreOptions, WriteOptions, Writer,
};
pub use trajectory::{Trajectory, TrajectoryWriter};
pub use wire::{AlignedBuf, Digest};

/// The examples of the README, run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
