//! Frames of a trajectory: the schema `schemas/md_frame.fbs`, a superset of the original's.
//!
//! `write` lays a frame out, `read` verifies a record and views it, `check` holds the rules that
//! both obey, `codec` joins them; `fast_path` reads the usual frame in one pass, `part` chosen fields
//! from a part of a record; `quantised` keeps positions of fixed precision as integers.

mod check;
mod codec;
mod fast_path;
mod part;
mod quantised;
mod read;
mod write;

pub(super) use check::check_properties;
pub use codec::MdFrameCodec;
pub(super) use codec::{array, properties_json, real_json};
pub use part::{Field, Fields as FrameFields, FramePart, HEAD};
pub use quantised::{coordinate, quantise};
pub use read::{Matrices, MdFrameView};
pub(super) use read::{bad, properties, real, root, slice};
pub(super) use write::{Content, Fields, Record, real_len, values_len};

pub(super) const NAME: &str = "md-frame";

#[cfg(test)]
mod tests;
