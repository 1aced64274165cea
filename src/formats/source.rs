//! Buffered reading with a known position and a known end, for the readers of all formats.

use crate::error::{Error, Result};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};

/// Read ahead by this much; large enough that the kernel is asked rarely.
const BUFFER: usize = 128 << 10;

/// A file, or anything else that can be read and skipped in, whose length is known: claims
/// about what follows are compared with [`left`](Self::left) before they cost memory.
pub(super) struct Source<R> {
    inner: BufReader<R>,
    at: u64,
    total: u64,
}

impl Source<File> {
    pub(super) fn file(file: File, total: u64) -> Self {
        Self::new(file, total)
    }
}

impl<R: Read + Seek> Source<R> {
    pub(super) fn new(inner: R, total: u64) -> Self {
        Self { inner: BufReader::with_capacity(BUFFER, inner), at: 0, total }
    }

    /// Bytes from the start.
    pub(super) const fn at(&self) -> u64 {
        self.at
    }

    /// Bytes in all.
    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    /// Bytes that are left.
    pub(super) const fn left(&self) -> u64 {
        self.total.saturating_sub(self.at)
    }

    /// Fills `out`; `false` if the source ends before that.
    pub(super) fn fill(&mut self, out: &mut [u8]) -> Result<bool> {
        if (out.len() as u64) > self.left() {
            return Ok(false);
        }
        match self.inner.read_exact(out) {
            Ok(()) => {
                self.at = self.at.saturating_add(out.len() as u64);
                Ok(true)
            }
            // The file became shorter while it was read.
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
            Err(e) => Err(Error::io_at("read", self.at, e)),
        }
    }

    /// Passes over `n` bytes; `false` if the source ends before that.
    pub(super) fn skip(&mut self, n: u64) -> Result<bool> {
        let Ok(step) = i64::try_from(n) else {
            return Ok(false);
        };
        if n > self.left() {
            return Ok(false);
        }
        self.inner.seek_relative(step).map_err(|e| Error::io_at("seek", self.at, e))?;
        self.at = self.at.saturating_add(n);
        Ok(true)
    }

    /// Replaces `line` by the next line, without its end (`\n` or `\r\n`); `false` at the end.
    pub(super) fn line(&mut self, line: &mut Vec<u8>) -> Result<bool> {
        line.clear();
        let n = self
            .inner
            .by_ref()
            .take(self.total.saturating_sub(self.at))
            .read_until(b'\n', line)
            .map_err(|e| Error::io_at("read", self.at, e))?;
        self.at = self.at.saturating_add(n as u64);
        if line.last() == Some(&b'\n') {
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
        }
        Ok(n > 0)
    }
}
