//! What is in a file, as a reader of frames sees it: its bytes, or, if they are compressed with
//! gzip, what they unpack to. Also what comes from standard input.

use super::sum::{Sum, TAIL};
use crate::error::{Error, Result};
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, Chain, Cursor, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// So much of the beginning tells the format.
pub(super) const HEAD: usize = 4096;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Bytes of a stream that were read, as the file counts them.
pub(super) struct Raw {
    read: Arc<AtomicU64>,
    total: u64,
}

impl Raw {
    pub(super) fn progress(&self) -> (u64, u64) {
        let read = self.read.load(Ordering::Relaxed);
        (read, self.total)
    }
}

/// A stream that can be read forwards alone.
pub(super) struct Forward<R> {
    inner: R,
    at: u64,
}

impl<R: Read> Read for Forward<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(out)?;
        self.at = self.at.saturating_add(n as u64);
        Ok(n)
    }
}

impl<R: Read> Seek for Forward<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(n) => Some(n),
            SeekFrom::Current(n) => self.at.checked_add_signed(n),
            SeekFrom::End(_) => None,
        };
        let ahead = target.and_then(|n| n.checked_sub(self.at)).ok_or_else(|| {
            io::Error::new(ErrorKind::Unsupported, "a stream cannot be read backwards")
        })?;
        let passed = io::copy(&mut self.by_ref().take(ahead), &mut io::sink())?;
        if passed < ahead {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(self.at)
    }
}

/// Counts what passes.
struct Counting<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(out)?;
        self.read.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

pub(super) type Stream = Forward<Box<dyn Read + Send>>;

/// What was opened.
pub(super) enum Content {
    /// A file whose bytes are the frames.
    Plain(File, u64),
    /// Everything else.
    Stream(Stream, Raw),
}

/// The first bytes of a stream, and the stream with them.
type Peeked<R> = (Vec<u8>, Chain<Cursor<Vec<u8>>, R>);

fn peek<R: Read>(mut inner: R) -> Result<Peeked<R>> {
    let mut head = Vec::new();
    inner.by_ref().take(HEAD as u64).read_to_end(&mut head).map_err(|e| Error::io("read", e))?;
    Ok((head.clone(), Cursor::new(head).chain(inner)))
}

/// A stream, unpacked if it is compressed, and its first bytes.
pub(super) fn stream(inner: impl Read + Send + 'static, total: u64) -> Result<(Vec<u8>, Content)> {
    let read = Arc::new(AtomicU64::new(0));
    let raw = Raw { read: read.clone(), total };
    let (head, inner) = peek(Counting { inner, read })?;
    let (head, inner): (_, Box<dyn Read + Send>) = if head.starts_with(&GZIP) {
        // A beginning that is cut short still tells the format.
        let mut unpacked = MultiGzDecoder::new(inner);
        let mut head = vec![0; HEAD];
        let mut filled = 0;
        while let Some(room) = head.get_mut(filled..).filter(|r| !r.is_empty()) {
            match unpacked.read(room) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if filled == 0 && e.kind() != ErrorKind::UnexpectedEof => {
                    return Err(Error::io("unpack", e));
                }
                Err(_) => break,
            }
        }
        head.truncate(filled);
        (head.clone(), Box::new(Cursor::new(head).chain(unpacked)))
    } else {
        (head, Box::new(inner))
    };
    Ok((head, Content::Stream(Forward { inner, at: 0 }, raw)))
}

/// Opens the content of the file at `path`, and returns its first bytes. A file without a byte is
/// refused unless `empty` says that it may be.
pub(super) fn open(path: &Path, empty: bool) -> Result<(Vec<u8>, Content)> {
    // Asked before opening: opening a pipe waits for someone to write to it.
    let about = std::fs::metadata(path).map_err(|e| Error::io("open", e))?;
    if about.is_dir() {
        return Err(Error::invalid("trajectory", "this is a folder; name a file in it"));
    }
    if !about.is_file() {
        return Err(Error::invalid(
            "trajectory",
            "not a regular file; to read a pipe, name `-` as the input and redirect it: \
             vlstore import - STORE < PIPE",
        ));
    }
    if about.len() == 0 && !empty {
        return Err(Error::format("trajectory", "byte 0", "the file is empty"));
    }
    let mut file = File::open(path).map_err(|e| Error::io("open", e))?;
    let mut head = Vec::new();
    file.by_ref().take(HEAD as u64).read_to_end(&mut head).map_err(|e| Error::io("read", e))?;
    file.rewind().map_err(|e| Error::io("seek", e))?;
    if head.starts_with(&GZIP) {
        return stream(file, about.len());
    }
    Ok((head, Content::Plain(file, about.len())))
}

/// The first bytes of the content of the file at `path`: 4 096, or all if there are fewer.
///
/// # Errors
/// [`Error::Io`] if the file cannot be opened or read, with the path.
pub fn head(path: &Path) -> Result<Vec<u8>> {
    open(path, true).map(|(head, _)| head).map_err(|e| e.at(path))
}

/// A part of a content: `len` bytes, at most 4 096, that end before byte `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentPart {
    /// Behind the last of them.
    pub end: u64,
    /// How many.
    pub len: u32,
}

/// The checksums of parts of the content of the file at `path`, `None` for those that lie behind
/// its end. What is compressed is unpacked up to the last of them; else only they are read.
///
/// # Errors
/// [`Error::Io`] if the file cannot be opened or read, with the path.
pub fn part_sums(path: &Path, parts: &[ContentPart]) -> Result<Vec<Option<Sum>>> {
    sums(path, parts).map_err(|e| e.at(path))
}

fn sums(path: &Path, parts: &[ContentPart]) -> Result<Vec<Option<Sum>>> {
    let mut out = vec![None; parts.len()];
    let mut space = vec![0; TAIL];
    match open(path, true)?.1 {
        Content::Plain(mut file, total) => {
            for (part, out) in parts.iter().zip(&mut out) {
                let Some(bytes) = space.get_mut(..part.len as usize) else { continue };
                let Some(start) = part.end.checked_sub(part.len.into()) else { continue };
                if part.end > total {
                    continue;
                }
                file.seek(SeekFrom::Start(start)).map_err(|e| Error::io_at("seek", start, e))?;
                match file.read_exact(bytes) {
                    Ok(()) => *out = Some(Sum::of(bytes)),
                    Err(e) if e.kind() == ErrorKind::UnexpectedEof => {}
                    Err(e) => return Err(Error::io_at("read", start, e)),
                }
            }
        }
        Content::Stream(mut stream, _) => {
            let mut order: Vec<usize> = (0..parts.len()).collect();
            order.sort_by_key(|i| parts.get(*i).map(|w| w.end));
            // The last bytes before where the stream stands.
            let mut recent: Vec<u8> = Vec::new();
            for i in order {
                let (Some(part), Some(out)) = (parts.get(i), out.get_mut(i)) else { continue };
                while stream.at < part.end {
                    let want = usize::try_from(part.end - stream.at).unwrap_or(TAIL).min(TAIL);
                    let n = match stream.read(space.get_mut(..want).unwrap_or_default()) {
                        Ok(n) => n,
                        Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                        // What is damaged or cut shows when frames are read.
                        Err(_) => 0,
                    };
                    if n == 0 {
                        break;
                    }
                    recent.extend_from_slice(space.get(..n).unwrap_or_default());
                    if let Some(more) = recent.len().checked_sub(TAIL) {
                        recent.drain(..more);
                    }
                }
                let from = recent.len().checked_sub(part.len as usize);
                if stream.at == part.end
                    && let Some(bytes) = from.and_then(|from| recent.get(from..))
                {
                    *out = Some(Sum::of(bytes));
                }
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    #[test]
    fn parts_of_a_content_are_the_same_compressed_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..30_000_u32).flat_map(|i| i.to_le_bytes()).collect();
        let (plain, packed) = (folder.path().join("a"), folder.path().join("a.gz"));
        std::fs::write(&plain, &bytes).unwrap();
        // Two members, one after the other.
        let mut out = Vec::new();
        for part in bytes.chunks(70_000) {
            let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
            gz.write_all(part).unwrap();
            out.extend(gz.finish().unwrap());
        }
        std::fs::write(&packed, out).unwrap();
        let parts = [(120_000, 4096), (100, 100), (99_000, 300), (120_001, 5), (3, 4), (0, 0)]
            .map(|(end, len)| ContentPart { end, len });
        let here = |w: &ContentPart| {
            let start = w.end.checked_sub(u64::from(w.len))?;
            let span = usize::try_from(start).unwrap()..usize::try_from(w.end).unwrap();
            bytes.get(span).map(Sum::of)
        };
        let right: Vec<_> = parts.iter().map(here).collect();
        assert_eq!(part_sums(&plain, &parts).unwrap(), right);
        assert_eq!(part_sums(&packed, &parts).unwrap(), right);
        assert_eq!(right.iter().filter(|s| s.is_none()).count(), 2);
    }
}
