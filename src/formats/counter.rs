//! Which frame of a binary file is next, and where reading ended: the same error comes again until
//! the reader is led elsewhere.

use crate::error::{Error, Result};

/// Counts frames and remembers an error.
pub(super) struct Counter {
    format: &'static str,
    /// Number of the frame that is next.
    next: u64,
    /// Where and how reading ended before the end of the file.
    failed: Option<(Box<str>, Box<str>)>,
}

impl Counter {
    pub(super) const fn new(format: &'static str) -> Self {
        Self { format, next: 0, failed: None }
    }

    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    /// Reading goes on with this frame.
    pub(super) fn go_to(&mut self, frame: u64) {
        (self.next, self.failed) = (frame, None);
    }

    /// The error that was met before.
    pub(super) fn check(&self) -> Result<()> {
        match &self.failed {
            Some((at, why)) => Err(Error::format(self.format, at.clone(), why.clone())),
            None => Ok(()),
        }
    }

    /// Counts the frame that began at this byte; an error gets its place.
    pub(super) fn count(&mut self, byte: u64, result: Result<bool>) -> Result<bool> {
        let at = format!("frame {} (byte {byte})", self.next);
        match result {
            Ok(more) => {
                self.next = self.next.saturating_add(u64::from(more));
                Ok(more)
            }
            Err(Error::Format { why, .. }) => {
                self.failed = Some((at.clone().into(), why.clone()));
                Err(Error::format(self.format, at, why))
            }
            Err(other) => {
                self.failed = Some((at.into(), format!("{other}; open the file again").into()));
                Err(other)
            }
        }
    }
}
