//! What a format reads a trajectory from: its bytes, and the count of the frames and lines that were read.

use super::counter::Counter;
use super::source::Source;
use crate::error::{Error, Result};
use std::io::{Read, Seek};

/// The bytes, and how far reading has come.
pub(super) struct Input<R> {
    pub(super) source: Source<R>,
    pub(super) counter: Counter,
}

impl<R: Read + Seek> Input<R> {
    pub(super) fn new(format: &'static str, source: Source<R>) -> Self {
        Self { source, counter: Counter::new(format) }
    }

    /// As [`Source::line`], counted.
    pub(super) fn next_line(&mut self, line: &mut Vec<u8>) -> Result<bool> {
        let more = self.source.line(line)?;
        self.counter.count_line(more);
        Ok(more)
    }

    /// Why the line that was read last is refused.
    pub(super) fn wrong(&self, why: impl Into<Box<str>>) -> Error {
        self.counter.wrong_line(why)
    }

    /// As [`wrong`](Self::wrong), where more was to come.
    pub(super) fn short(&mut self, why: impl Into<Box<str>>) -> Error {
        self.source.note_cut();
        self.wrong(why)
    }

    /// As [`short`](Self::short), where a line of an atom was to come.
    pub(super) fn short_of_atoms(&mut self, done: usize, atoms: usize) -> Error {
        self.short(format!("the file ends here, after {done} of {atoms} atoms"))
    }
}
