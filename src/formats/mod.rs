//! Trajectories of other programs, in and out.
//!
//! Knows what each format's fields mean as fields of [`MdFrame`](crate::codec::MdFrame), and
//! where its files break. Does not know the store: the caller takes frames from a
//! [`FrameReader`] and puts them into a store, or the other way round into a [`FrameWriter`].
//! Numbers pass as they are: nothing is scaled, and nothing is narrowed that the target format
//! does not force; [`Units`] says what they mean.
//!
//! A format is one file or folder here that holds how its frames are read (`FrameFormat`, of which
//! `Frames` makes a [`FrameReader`]) and an encoder (a frame in, bytes out), and one arm in each
//! `match` over [`FormatKind`]. Opening, naming the path in errors and how an output is written
//! ([`Output`](crate::backend::Output)) are shared.

mod binary_heads;
mod content;
mod counter;
mod create;
mod dcd;
mod elements;
mod extxyz;
mod frame_format;
mod gro;
mod gro_lines;
mod input;
mod kind;
mod known_atoms;
mod masses;
mod names;
mod open;
mod pdb;
mod pdb_lines;
mod reader;
mod report;
mod source;
mod sum;
mod triclinic;
mod trr;
mod unfit;
mod units;
mod writer;
mod xtc;

pub use content::{ContentPart, head, part_sums};
pub use create::{create, create_in, create_waiting};
pub use kind::{FormatKind, detect};
pub use masses::standard_masses;
pub use names::NameMap;
pub use open::{open, open_as, open_with, read_from, read_topology};
pub use reader::{FramePlace, FrameReader, InputOptions, Reach};
pub use report::{Note, NoteKind, ReadReport};
pub use sum::Sum;
pub use units::Units;
pub use writer::{FrameWriter, OutputOptions};
