//! Buffered reading with a known position, for the readers of all formats: of files, whose end is
//! known, and of streams, whose end is not.

use super::content::Raw;
use super::sum::{Sum, TAIL};
use crate::error::{Error, Result};
use crate::wire::memory;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek};

/// Read ahead by this much; large enough that the kernel is asked rarely.
const BUFFER: usize = 128 << 10;
/// So much of a stream is taken into memory at a time: what it claims costs no more than it holds.
const STEP: usize = 4 << 20;
/// Longest line of a stream; in a file a line ends with the file.
const LINE_MAX: u64 = 256 << 20;

/// A file, or anything else that can be read and skipped in. Where its length is known, claims
/// about what follows are compared with [`left`](Self::left) before they cost memory; else memory
/// is taken as bytes come.
pub(super) struct Source<R> {
    inner: BufReader<R>,
    at: u64,
    /// `u64::MAX` for a stream.
    total: u64,
    raw: Option<Raw>,
    /// The newest bytes of the frame that is being read.
    recent: Vec<u8>,
    /// The end came where more was wanted.
    cut: bool,
    /// The last line had no end.
    open: bool,
}

impl Source<File> {
    pub(super) fn file(file: File, total: u64) -> Self {
        Self::new(file, total)
    }
}

impl<R: Read + Seek> Source<R> {
    pub(super) fn new(inner: R, total: u64) -> Self {
        Self {
            inner: BufReader::with_capacity(BUFFER, inner),
            at: 0,
            total,
            raw: None,
            recent: Vec::new(),
            cut: false,
            open: false,
        }
    }

    /// One whose length is not known. `raw` tells how far reading has come, for people.
    pub(super) fn stream(inner: R, raw: Raw) -> Self {
        Self { raw: Some(raw), ..Self::new(inner, u64::MAX) }
    }

    const fn is_stream(&self) -> bool {
        self.raw.is_some()
    }

    /// Bytes from the start.
    pub(super) const fn at(&self) -> u64 {
        self.at
    }

    /// Bytes that were read and bytes in all, as the file counts them; 0 if nobody knows.
    pub(super) fn progress(&self) -> (u64, u64) {
        self.raw.as_ref().map_or((self.at, self.total), |raw| raw.progress())
    }

    /// Bytes that are left; more than there can be in a stream.
    pub(super) const fn left(&self) -> u64 {
        self.total.saturating_sub(self.at)
    }

    /// How much memory to reserve for what is claimed to take `bytes`: no more than can come, and of
    /// a stream little at a time.
    pub(super) fn reserve(&self, bytes: u64) -> u64 {
        bytes.min(if self.is_stream() { STEP as u64 } else { self.left() })
    }

    /// Whether nothing follows.
    pub(super) fn at_end(&mut self) -> Result<bool> {
        if !self.is_stream() {
            return Ok(self.left() == 0);
        }
        match self.inner.fill_buf() {
            Ok(bytes) => Ok(bytes.is_empty()),
            Err(e) => Err(self.failed(e)),
        }
    }

    /// Whether the end came where more was wanted, or the last line had no end.
    pub(super) const fn unfinished(&self) -> bool {
        self.cut || self.open
    }

    /// The end came where more was wanted.
    pub(super) const fn note_cut(&mut self) {
        self.cut = true;
    }

    /// From here on the bytes of another frame come.
    pub(super) fn begin(&mut self) {
        self.recent.clear();
    }

    /// The checksum of the last bytes of the frame that was read.
    pub(super) fn tail(&self) -> Sum {
        let from = self.recent.len().saturating_sub(TAIL);
        Sum::of(self.recent.get(from..).unwrap_or_default())
    }

    fn keep(recent: &mut Vec<u8>, bytes: &[u8]) {
        if let Some(from) = bytes.len().checked_sub(TAIL) {
            recent.clear();
            recent.extend_from_slice(bytes.get(from..).unwrap_or_default());
            return;
        }
        if recent.len() > 2 * TAIL {
            recent.drain(..recent.len() - TAIL);
        }
        recent.extend_from_slice(bytes);
    }

    fn failed(&mut self, error: std::io::Error) -> Error {
        if error.kind() == ErrorKind::UnexpectedEof && self.is_stream() {
            self.cut = true;
            return Error::format("gzip", "", "the compressed stream ends early; it was cut short");
        }
        Error::io_at("read", self.at, error)
    }

    /// Fills `out`; `false` if the source ends before that.
    pub(super) fn fill(&mut self, out: &mut [u8]) -> Result<bool> {
        if (out.len() as u64) > self.left() {
            self.cut = true;
            return Ok(false);
        }
        match self.inner.read_exact(out) {
            Ok(()) => {
                self.at = self.at.saturating_add(out.len() as u64);
                Self::keep(&mut self.recent, out);
                Ok(true)
            }
            // The file became shorter while it was read, or the stream ends.
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => {
                self.cut = true;
                Ok(false)
            }
            Err(e) => Err(Error::io_at("read", self.at, e)),
        }
    }

    /// Fills `out` with `len` bytes and `slack` zeros; `false` if the source ends before that.
    pub(super) fn fill_vec(&mut self, out: &mut Vec<u8>, len: usize, slack: usize) -> Result<bool> {
        out.clear();
        if (len as u64) > self.left() {
            self.cut = true;
            return Ok(false);
        }
        let step = if self.is_stream() { STEP } else { len };
        while out.len() < len {
            let from = out.len();
            memory::resize(out, from + step.min(len - from), 0)?;
            if !self.fill(out.get_mut(from..).unwrap_or_default())? {
                return Ok(false);
            }
        }
        memory::resize(out, len.saturating_add(slack), 0)?;
        Ok(true)
    }

    /// Passes over `n` bytes; `false` if the source ends before that.
    pub(super) fn skip(&mut self, n: u64) -> Result<bool> {
        let Ok(step) = i64::try_from(n) else {
            return Ok(false);
        };
        if n > self.left() {
            self.cut = true;
            return Ok(false);
        }
        match self.inner.seek_relative(step) {
            Ok(()) => {
                self.at = self.at.saturating_add(n);
                Ok(true)
            }
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => {
                self.cut = true;
                Ok(false)
            }
            Err(e) => Err(Error::io_at("seek", self.at, e)),
        }
    }

    /// Whether bytes that were read can be read again.
    pub(super) const fn rewinds(&self) -> bool {
        !self.is_stream()
    }

    /// Goes to this byte; `false` if the source ends before it, or if it has been read and cannot
    /// be read again.
    pub(super) fn go_to(&mut self, byte: u64) -> Result<bool> {
        let Some(back) = self.at.checked_sub(byte) else {
            return self.skip(byte - self.at);
        };
        if back > 0 {
            let Some(step) = i64::try_from(back).ok().filter(|_| self.rewinds()) else {
                return Ok(false);
            };
            self.inner.seek_relative(-step).map_err(|e| Error::io_at("seek", byte, e))?;
            self.at = byte;
        }
        (self.cut, self.open) = (false, false);
        Ok(true)
    }

    /// Replaces `line` by the next line, without its end (`\n` or `\r\n`); `false` at the end.
    pub(super) fn line(&mut self, line: &mut Vec<u8>) -> Result<bool> {
        line.clear();
        let most = if self.is_stream() { LINE_MAX } else { self.left() };
        let read = self.inner.by_ref().take(most).read_until(b'\n', line);
        let n = read.map_err(|e| self.failed(e))?;
        self.at = self.at.saturating_add(n as u64);
        Self::keep(&mut self.recent, line);
        let ended = line.last() == Some(&b'\n');
        if n > 0 {
            self.open = !ended;
        }
        if ended {
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
        } else if n as u64 == LINE_MAX && self.is_stream() {
            return Err(Error::Limit { what: "line", asked: LINE_MAX + 1, max: LINE_MAX });
        }
        Ok(n > 0)
    }
}
