//! Extended XYZ, and plain XYZ.
//!
//! The convention of libAtoms and ASE: its specification is the README of libAtoms' extxyz, its other
//! description the documentation of ASE's `ase.io.extxyz`; `docs/formats.md` says what is done where
//! they differ. A line with the number of atoms, a line of `key=value` pairs (`comment` divides them,
//! `value` gives them types, `keys` puts them where they belong), a line for each atom (`columns`). The key
//! `Properties` names the columns, as triples of name, letter (`R` real, `I` integer, `S`
//! string, `L` logical) and width (`layout`). Nine numbers in a row for
//! `Lattice`, `stress` or `virial` are a matrix written column by column, so that those of
//! `Lattice` are the three cell vectors one after the other.
//!
//! Nothing is dropped: what has a field of its own in an `MdFrame` goes there, everything else
//! becomes a property under its own name. Where the columns of a file are not those that the
//! writer would choose, the value of `Properties` is kept as a frame property, and the writer
//! follows it, so a column `force` stays `force`.

mod columns;
mod comment;
mod item;
mod json;
mod keys;
mod layout;
mod notation;
mod numbers;
mod read;
mod typed;
mod value;
mod write;

pub(super) use read::ExtXyzReader;
pub(super) use write::ExtXyzEncoder;

#[cfg(test)]
mod tests;
