//! The tests of the library in one program, one module for each promise: compiled and linked once, and
//! run side by side, so that no core waits for the longest test of a file.
//!
//! What disturbs other tests, or is disturbed by them, is a program of its own beside this folder:
//!
//! * `corruption`, `hostile`, `formats_hostile`: an allocator with a ceiling for the whole process.
//! * `concurrency`: forks, whose children have a copy of all that other threads are at; and a campaign runs
//!   it under ThreadSanitizer.
//! * `foreign_probe`: driven by tests of Python, which need nothing else of this.
//! * `architecture`: reads sources and does not use the library.
//!
//! So a test here starts no fork, sets no variable and no limit of its own process (a child may have
//! them: `common::only`), and counts nothing that belongs to the process: of open files, those in its folder.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test ends where something is not as it should be, and says so"
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/frame.rs"]
mod frame;
#[path = "../common/listed.rs"]
mod listed;
#[path = "../common/other.rs"]
mod other;

mod blobs;
mod built_frame;
mod cache;
mod columns;
mod compact;
mod compat;
mod copies;
mod copy_merge_split;
mod cost;
mod crash;
mod cut;
mod damage;
mod dataset;
mod depot;
mod environment;
mod experiments;
mod far;
mod faults;
mod fields;
mod foreign_frame;
mod format_doc;
mod formats_binary;
mod formats_extxyz;
mod formats_places;
mod formats_xtc;
mod golden;
mod import;
#[cfg(unix)]
mod kill;
mod large;
mod lean;
mod limits;
mod loader;
mod model;
mod original;
mod records;
mod recover;
mod roundtrip;
mod sizes;
mod topology;
mod verify;
