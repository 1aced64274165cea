//! Trajectories: frames in stores, and the files of other programs.
//!
//! Stands on [`depot`](crate::depot), which keeps typed records, and on
//! [`formats`](crate::formats), which reads and writes files of other programs. A
//! [`TrajectoryWriter`] takes each frame through visible steps ([`Continue`], [`Sharing`],
//! [`Positions`]) into a store, a [`Trajectory`] reads it; [`Frames`] reads chosen fields,
//! [`Statistics`] are what training wants to know of all frames. [`Importer`] and [`export`] are
//! the way from files into stores and back, with their units. The command line and the Python
//! package call what is here and add nothing but how a person asks.
//!
//! ```
//! use vlstore::codec::{MdFrame, Real, RealView};
//! use vlstore::{StoreOptions, TrajectoryWriter};
//!
//! let mut w = TrajectoryWriter::in_memory(&StoreOptions::default())?;
//! for step in 0..3_i16 {
//!     let positions = Some(Real::F32(vec![f32::from(step); 6]));
//!     let frame =
//!         MdFrame { nsites: 2, positions, step: Some(step.into()), ..MdFrame::default() };
//!     w.put(step, &frame)?;
//! }
//! w.commit()?;
//!
//! let trajectory = w.trajectory()?;
//! assert_eq!(trajectory.weight_at(2)?, 2); // the sites, from the index: nothing is decoded
//! let record = trajectory.get(1)?;
//! assert_eq!(record.view()?.positions(), Some(RealView::F32(&[1.0; 6])));
//!
//! let batch = trajectory.get_batch_at(&[2, 0])?;
//! assert_eq!(batch.view(0)?.step(), Some(2));
//! # Ok::<(), vlstore::Error>(())
//! ```

pub mod arrays;
mod atoms;
mod choice;
mod continue_from;
mod convert_units;
mod copy_frames;
mod export;
mod fields;
mod frame_form;
mod import;
mod positions;
pub mod quantities;
mod reader;
mod share_topologies;
mod statistics;
mod topology_cache;
mod wanted_units;
mod writer;

pub use atoms::{AtomGroup, Atoms};
pub use choice::Choice;
pub use continue_from::{Continue, Continued, StartAt, drop_from};
pub use convert_units::{Conversion, UNITS, check_units, state_units, stated_unit};
pub use copy_frames::{FrameChanges, copy_frames};
pub use export::{ExportOptions, Exported, Skipped, export, export_to};
pub use fields::Frames;
pub use frame_form::FrameForm;
pub use import::{
    Begin, Duplicates, IMPORT, ImportOptions, Imported, Importer, Input, Masses, Progress, Target,
    describe_import,
};
pub use positions::Positions;
pub use quantities::{MeasureOptions, Measured, Quantity, Sample, measure};
pub use reader::Trajectory;
pub use share_topologies::Sharing;
pub use statistics::{KeptStatistics, STATISTICS, Statistics};
pub use topology_cache::Topologies;
pub use wanted_units::{UnitFactors, WantedUnits, quantity_of};
pub use writer::TrajectoryWriter;
