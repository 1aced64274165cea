//! Topologies: what all frames of a molecule or system share, the table `Topology` of
//! `schemas/md_frame.fbs`.
//!
//! `values` has the owned and the borrowed form, `record` the bytes, `check` the rules, `join`
//! puts frame and topology together again and takes them apart, `show` writes one for people. How a record is laid out as a
//! FlatBuffer is the knowledge of `md_frame`; where topologies are kept, that of `depot`.

mod check;
mod join;
mod record;
mod show;
mod values;

pub use record::TopologyView;
pub(super) use record::may_begin;
pub use values::{Topology, TopologyRef};

#[cfg(test)]
mod tests;
