//! Objects to record bytes and back.
//!
//! Knows what records mean; does not know the store. `depot` joins the two.
//!
//! A [`Codec`] translates one type of object and borrows from the record when it decodes;
//! [`AnyCodec`] is what a program can do that knows a codec by name only ([`by_name`]). The
//! bytes of every record are specified in `docs/records.md`. What `flatc` generated stays
//! behind `generated`, private.

mod array;
mod borrowed;
mod dtype;
mod flat_f32;
mod generated;
mod json;
mod md_frame;
mod narrow;
mod raw;
mod registry;
mod slices;
mod traits;
mod values;

pub use array::{ArrayCodec, ArrayView, Shape};
pub use borrowed::{MdFrameRef, PropertyView, RealView, TextView, ValuesView};
pub use dtype::{DType, Element};
pub use flat_f32::FlatF32Codec;
pub use md_frame::{MdFrameCodec, MdFrameView};
pub use raw::RawCodec;
pub use registry::{CODECS, by_name, by_name_and_version};
pub use slices::aligned;
pub use traits::{AnyCodec, Codec, Encoded};
pub use values::{MdFrame, Property, Real, Values};
