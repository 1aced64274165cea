//! Objects to record bytes and back.
//!
//! Knows what records mean; does not know the store. `depot` joins the two.
//!
//! A [`Codec`] translates one type of object and borrows from the record when it decodes;
//! [`AnyCodec`] is what a program can do that knows a codec by name only ([`by_name`]). The
//! bytes of every record are specified in `docs/records.md`. What `flatc` generated stays
//! behind `generated`, private.
//!
//! ```
//! use vlstore::codec::{Codec, MdFrame, MdFrameCodec, Real, RealView, by_name};
//! use vlstore::wire::AlignedBuf;
//!
//! let frame = MdFrame {
//!     nsites: 1,
//!     positions: Some(Real::F32(vec![0.1, 0.2, 0.3])),
//!     step: Some(500),
//!     ..MdFrame::default()
//! };
//! let mut out = Vec::new();
//! MdFrameCodec.encode(&frame, &mut out)?;
//!
//! // A store hands out records at multiples of 8; here a copy does.
//! let record = AlignedBuf::copy_of(&out)?;
//! let view = MdFrameCodec.decode(&record)?;
//! assert_eq!(view.positions(), Some(RealView::F32(&[0.1, 0.2, 0.3])));
//!
//! // Whoever knows the name only can still show it.
//! assert!(by_name("md-frame")?.describe(&record)?.contains("\"step\":500"));
//! # Ok::<(), vlstore::Error>(())
//! ```

mod array;
mod borrowed;
mod document;
mod dtype;
mod flat_f32;
mod generated;
mod json;
mod md_frame;
mod md_frame_codec;
mod narrow;
mod raw;
mod registry;
mod series;
mod slices;
mod topology;
mod traits;
mod values;

pub use array::{ArrayCodec, ArrayView, Shape};
pub use borrowed::{MdFrameRef, PropertyView, RealView, TextView, ValuesView};
pub use document::{DocumentCodec, DocumentRef, DocumentView};
pub use dtype::{DType, Element};
pub use flat_f32::FlatF32Codec;
pub use md_frame::{
    Field, FrameFields as Fields, FramePart, HEAD, Matrices, MdFrameView, PlainFrame,
};
pub(crate) use md_frame::{FormField, KnownField, KnownForm, KnownTable};
pub use md_frame::{coordinate, quantise};
pub use md_frame_codec::{LEAN, MdFrameCodec};
pub use raw::RawCodec;
pub use registry::{CODECS, by_name, by_name_and_version, check, content, refers};
pub use series::{Growth, Packing, SeriesCodec, SeriesHead, SeriesPart, SeriesRef, SeriesView};
pub use slices::aligned;
pub use topology::{Topology, TopologyRef, TopologyView};
pub use traits::{AnyCodec, Codec, Encoded};
pub use values::{MdFrame, Property, Real, Values};
