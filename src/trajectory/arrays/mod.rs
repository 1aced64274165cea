//! Many frames as flat arrays: what a model is trained on.
//!
//! A [`Collator`] is told once which fields are wanted ([`ArrayRequest`]) and makes one array of each
//! for any number of frames: those by site (`positions`, `forces` …) one behind the other, those by
//! frame (`energy`, `cell` …) stacked, with `ptr`, where the sites of each frame begin, and `batch`,
//! the frame of each site. Where the memory comes from is the caller's choice: the collator asks for
//! it array by array ([`ArrayInfo`]) and fills it from blocks that are decoded once each, by as many
//! threads as the store was given, with no buffer between. It knows no Python and takes no lock that
//! somebody waits for: call it from any thread.
//!
//! ```
//! use vlstore::codec::{MdFrame, Real};
//! use vlstore::trajectory::arrays::{ArrayRequest, Collator, Selection};
//! use vlstore::{StoreOptions, TrajectoryWriter};
//!
//! let mut w = TrajectoryWriter::in_memory(&StoreOptions::default())?;
//! for sites in 1..4_u16 {
//!     let positions = Some(Real::F32(vec![f32::from(sites); 3 * usize::from(sites)]));
//!     let nsites = usize::from(sites);
//!     let frame = MdFrame { nsites, positions, energy: Some(0.5), ..MdFrame::default() };
//!     w.push(&frame)?;
//! }
//! w.commit()?;
//! let trajectory = w.trajectory()?;
//!
//! let fields = Some(vec!["positions".to_owned(), "energy".to_owned()]);
//! let collator = Collator::new(ArrayRequest { fields, ..ArrayRequest::default() });
//! let chosen = Selection::Ordinals(&[2, 0]);
//! let made = collator.arrays(trajectory.snapshot(), chosen, |array| {
//!     Ok::<_, vlstore::Error>(vec![0; array.bytes()])
//! })?;
//! let (positions, bytes) = &made.list[0];
//! assert_eq!((&*positions.name, &positions.shape[..]), ("positions", &[4, 3][..]));
//! assert_eq!(bytes[..4], 3_f32.to_ne_bytes());
//! let names: Vec<&str> = made.list.iter().map(|(array, _)| &*array.name).collect();
//! assert_eq!(names, ["positions", "energy", "ptr", "batch"]);
//! # Ok::<(), vlstore::Error>(())
//! ```

mod collator;
mod column;
mod field;
mod mixed_frames;
mod output;
mod recipe;
mod request;
mod selection;
mod survey;

pub use collator::Collator;
pub use mixed_frames::Fetched;
pub use output::{ArrayInfo, Arrays};
pub use request::{ArrayRequest, Fill, FillValue, KnownArray};
pub use selection::Selection;
