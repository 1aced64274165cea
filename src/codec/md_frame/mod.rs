//! Frames of a trajectory: the schema `schemas/md_frame.fbs`, a superset of the original's.
//!
//! `write` lays a frame out, `read` verifies a record and views it, `check` holds the rules that
//! both obey, `codec` joins them; `part` reads chosen fields from a part of a record.

mod check;
mod codec;
mod part;
mod read;
mod write;

pub use codec::MdFrameCodec;
pub use part::{Field, Fields, FramePart, HEAD};
pub use read::MdFrameView;

const NAME: &str = "md-frame";

#[cfg(test)]
mod tests;
