//! Frames and topologies, each over the bytes of its record.

pub(crate) mod fields;
pub(crate) mod md_frame;
mod parts;
mod properties;
pub(crate) mod topology;
