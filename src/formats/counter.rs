//! Which frame and line of a trajectory is next, and where reading ended: the same error comes again until
//! the reader is led elsewhere.

use super::reader::FramePlace;
use crate::error::{Error, Result};

/// Counts frames and lines, and remembers an error.
pub(super) struct Counter {
    format: &'static str,
    /// Number of the frame that is next, or that is being read.
    frame: u64,
    /// Lines that were read; 0 of a binary format.
    line: u64,
    /// Where and how reading ended before the end of the file.
    failed: Option<(Box<str>, Box<str>)>,
}

impl Counter {
    pub(super) const fn new(format: &'static str) -> Self {
        Self { format, frame: 0, line: 0, failed: None }
    }

    pub(super) const fn frame(&self) -> u64 {
        self.frame
    }

    pub(super) const fn line(&self) -> u64 {
        self.line
    }

    /// One more line was read, if there was one.
    pub(super) fn count_line(&mut self, more: bool) {
        self.line = self.line.saturating_add(u64::from(more));
    }

    /// The place at this byte.
    pub(super) const fn place(&self, byte: u64) -> FramePlace {
        FramePlace { byte, frame: self.frame, line: self.line }
    }

    /// Reading goes on from there.
    pub(super) fn go_to(&mut self, place: FramePlace) {
        (self.frame, self.line, self.failed) = (place.frame, place.line, None);
    }

    /// A line of the frame that is being read, for people.
    pub(super) fn at_line(&self, line: u64) -> String {
        format!("line {line} (frame {})", self.frame)
    }

    /// Why the line that was read last is refused.
    pub(super) fn wrong_line(&self, why: impl Into<Box<str>>) -> Error {
        Error::format(self.format, self.at_line(self.line), why)
    }

    /// The error that was met before.
    pub(super) fn check(&self) -> Result<()> {
        match &self.failed {
            Some((at, why)) => Err(Error::format(self.format, at.clone(), why.clone())),
            None => Ok(()),
        }
    }

    /// Counts the frame that began at this byte. An error that has no place gets one, and is kept.
    pub(super) fn count(&mut self, byte: u64, result: Result<bool>) -> Result<bool> {
        let at = || match self.line {
            0 => format!("frame {} (byte {byte})", self.frame),
            line => self.at_line(line),
        };
        match result {
            Ok(more) => {
                self.frame = self.frame.saturating_add(u64::from(more));
                Ok(more)
            }
            Err(Error::Format { at: known, why, .. }) => {
                let at = if known.is_empty() { at().into() } else { known };
                self.failed = Some((at.clone(), why.clone()));
                Err(Error::format(self.format, at, why))
            }
            Err(other) => {
                let why = format!("{other}; open the file again");
                self.failed = Some((at().into(), why.into()));
                Err(other)
            }
        }
    }
}
