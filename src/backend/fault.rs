//! Disks that lose power, fill up and fail, for tests.
//!
//! [`RecordingBackend`] keeps a log of every call and makes from it the files that a power cut
//! or a killed process could have left. [`FailingBackend`] fails a chosen call. Both live in
//! memory and depend on nothing but their seed, so a failure that was found once is found
//! again.

mod failing;
mod recording;
mod seeded;

pub use failing::{FailingBackend, Fault};
pub use recording::{Op, RecordingBackend};
pub use seeded::Seeded;

/// Unit that a disk writes whole, in bytes. A power cut leaves all of a sector or nothing.
pub const SECTOR: usize = 512;

/// Unit that a system keeps in memory and writes back, in bytes.
pub const PAGE: usize = 4096;
