//! Frames of a trajectory: the schema `schemas/md_frame.fbs`, a superset of the original's.
//!
//! `write` lays a frame out, `read` verifies a record and views it, `check` holds the rules that
//! both obey, `codec` joins them; `fast_path` reads the usual frame in one pass, `plain` single
//! fields of it, `known_table` those of many frames whose tables are the same, `partial` chosen fields from a part of a record; `quantised` keeps positions of fixed precision as integers, `lean`
//! small frames without a table, `known_form` reads many of these that have the same fields.

mod check;
mod fast_path;
mod field;
mod known_form;
mod known_table;
mod lean;
mod name;
mod partial;
mod plain;
mod quantised;
mod read;
mod root;
mod show;
mod write;

pub(super) use check::{check, check_properties};
pub use field::{Field, Fields as FrameFields};
pub(crate) use known_form::{FormField, KnownForm};
pub(crate) use known_table::{KnownField, KnownTable};
pub(super) use lean::{append as append_lean, is_lean};
pub(super) use name::NAME;
pub(super) use partial::ROWS;
pub use partial::{FramePart, HEAD};
pub use plain::PlainFrame;
pub(super) use quantised::fold;
pub use quantised::{coordinate, quantise};
pub use read::MdFrameView;
pub(super) use read::{expand, properties, real, remade, slice, topology_of};
pub use root::Matrices;
pub(super) use root::{bad, root};
pub(super) use show::{array, properties_json, real_json, show};
pub(super) use write::{Content, Fields, Record, append, real_len, values_len};

#[cfg(test)]
mod tests;
