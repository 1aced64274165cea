//! Files of an experiment as they are: copies byte by byte, and outputs that appear when complete.

use crate::backend::{Access, Backend, FileBackend, LockOutcome, StagedFile, WriterLock};
use crate::error::{Error, Result};
use crate::existing::Existing;
use crate::wire::{memory, to_usize};
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes that are read and written at a time.
const STEP: usize = 1 << 20;

/// A store that nobody writes to for as long as this lives: what is read of it is one state.
#[derive(Debug)]
pub(super) struct LockedStore {
    pub(super) file: Arc<FileBackend>,
    _lock: Option<WriterLock>,
}

impl LockedStore {
    /// # Errors
    /// [`Error::Locked`] if it has a writer.
    pub(super) fn of(path: &Path) -> Result<Self> {
        let reading = || FileBackend::open_read(path, Access::Pread).map(Arc::new);
        match WriterLock::open(path, Access::Pread) {
            Ok((file, LockOutcome::Held(lock))) => Ok(Self { file, _lock: Some(lock) }),
            Ok((file, LockOutcome::Unsupported)) => Ok(Self { file, _lock: None }),
            Err(e) if matches!(e.root(), Error::Locked) => Err(e.at(path)),
            // What this process may not write to is not written to by others of its owner while
            // it is archived, as far as anybody can know.
            Err(_) => Ok(Self { file: reading().map_err(|e| e.at(path))?, _lock: None }),
        }
    }
}

/// Copies the store at `from` to a new file at `to`, byte by byte.
pub(super) fn copy_store(from: &Path, to: &Path) -> Result<()> {
    let still = LockedStore::of(from)?;
    let staged = StagedFile::new(to, Access::Pread)?;
    let mut out = Staged::new(staged)?;
    let mut input = Part::whole(still.file.clone())?;
    io::copy(&mut input, &mut out).map_err(|e| io_error("copy", e).at(from))?;
    out.publish(Existing::Refuse)
}

/// Name of the folder, and of the file that is made of it.
pub(super) fn named(
    root: &Path,
    outfile: Option<&Path>,
    suffix: &str,
) -> Result<(String, PathBuf)> {
    let resolved;
    let path = match root.file_name() {
        Some(_) => root,
        None => {
            resolved =
                fs::canonicalize(root).map_err(|e| Error::io("open the experiment", e).at(root))?;
            &resolved
        }
    };
    let name = path.file_name().and_then(|n| n.to_str()).ok_or_else(|| {
        Error::invalid("experiment", "the name of its folder is not Unicode text").at(root)
    })?;
    let beside = || path.with_file_name(format!("{name}{suffix}"));
    let out = outfile.map_or_else(beside, Path::to_path_buf);
    if out.is_dir() {
        let why = "this is a folder; give the name of the file to write";
        return Err(Error::invalid("output", why).at(&out));
    }
    Ok((name.to_owned(), out))
}

/// Refuses an output that is, also through links, a file that is read: `root` itself, or one below
/// it. What `earlier` says of a file below it is the output of an earlier run, which may be replaced.
pub(super) fn refuse_input(
    root: &Path,
    out: &Path,
    earlier: impl FnOnce(&Path) -> bool,
) -> Result<()> {
    let Ok(of) = Identity::of(out) else { return Ok(()) };
    let refused = |input: &Path| {
        let why = format!(
            "it is {}, which is read: replacing it would lose its data; give the output another name",
            crate::printable::printable_path(input)
        );
        Err(Error::invalid("output", why).at(out))
    };
    if of == Identity::of(root).map_err(|e| Error::io("open the experiment", e).at(root))? {
        return refused(root);
    }
    let mut folders = vec![root.to_path_buf()];
    let mut seen = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        // What cannot be listed is an error of the work itself.
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        if !fs::canonicalize(&folder).is_ok_and(|folder| seen.insert(folder)) {
            continue;
        }
        for path in entries.flatten().map(|entry| entry.path()) {
            match Identity::of(&path) {
                Ok(found) if found == of => {
                    return if earlier(out) { Ok(()) } else { refused(&path) };
                }
                Ok(_) if path.is_dir() => folders.push(path),
                _ => {}
            }
        }
    }
    Ok(())
}

/// What two names of one file have in common.
#[derive(PartialEq, Eq)]
struct Identity {
    #[cfg(unix)]
    file: (u64, u64),
    #[cfg(not(unix))]
    file: std::path::PathBuf,
}

impl Identity {
    #[cfg(unix)]
    fn of(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(path).map(|about| Self { file: (about.dev(), about.ino()) })
    }

    #[cfg(not(unix))]
    fn of(path: &Path) -> io::Result<Self> {
        fs::canonicalize(path).map(|file| Self { file })
    }
}

/// An error of the crate that travelled through `io`, or one of `io`.
pub(super) fn io_error(op: &'static str, error: io::Error) -> Error {
    match error.downcast::<Carried>() {
        Ok(carried) => carried.0,
        Err(error) => Error::io(op, error),
    }
}

/// An error of the crate on its way through `io`.
#[derive(Debug)]
struct Carried(Error);

impl std::fmt::Display for Carried {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Carried {}

pub(super) fn carried(error: Error) -> io::Error {
    match error {
        Error::Io { source, .. } => source,
        other => io::Error::other(Carried(other)),
    }
}

/// A file that is written aside and appears when it is complete.
pub(super) struct Staged {
    staged: StagedFile,
    waiting: Vec<u8>,
    /// Where what waits belongs, and how long the file is.
    at: u64,
    len: u64,
}

impl Staged {
    pub(super) fn new(staged: StagedFile) -> Result<Self> {
        Ok(Self { staged, waiting: memory::with_room(STEP)?, at: 0, len: 0 })
    }

    fn settle(&mut self) -> io::Result<()> {
        if !self.waiting.is_empty() {
            self.staged.backend().write_at(self.at, &self.waiting).map_err(carried)?;
            self.at += self.waiting.len() as u64;
            self.len = self.len.max(self.at);
            self.waiting.clear();
        }
        Ok(())
    }

    /// Gives the file its name.
    pub(super) fn publish(mut self, existing: Existing) -> Result<()> {
        self.settle().map_err(|e| io_error("write", e))?;
        self.staged.publish(existing)
    }
}

impl Write for Staged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.waiting.len() + bytes.len() > STEP {
            self.settle()?;
        }
        if bytes.len() >= STEP {
            self.staged.backend().write_at(self.at, bytes).map_err(carried)?;
            self.at += bytes.len() as u64;
            self.len = self.len.max(self.at);
        } else {
            self.waiting.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.settle()
    }
}

impl Seek for Staged {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.settle()?;
        self.at = place(to, self.at, self.len)?;
        Ok(self.at)
    }
}

impl Read for Staged {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.settle()?;
        let n = out.len().min(to_usize(self.len.saturating_sub(self.at)).unwrap_or(usize::MAX));
        let out = out.get_mut(..n).unwrap_or_default();
        self.staged.backend().read_at(self.at, out).map_err(carried)?;
        self.at += n as u64;
        Ok(n)
    }
}

fn place(to: SeekFrom, at: u64, len: u64) -> io::Result<u64> {
    let place = match to {
        SeekFrom::Start(n) => Some(n),
        SeekFrom::End(n) => len.checked_add_signed(n),
        SeekFrom::Current(n) => at.checked_add_signed(n),
    };
    place.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))
}

/// A part of a file, read as a file of its own.
#[derive(Debug, Clone)]
pub(super) struct Part {
    inner: Arc<dyn Backend>,
    start: u64,
    len: u64,
    at: u64,
}

impl Part {
    pub(super) fn whole(inner: Arc<dyn Backend>) -> Result<Self> {
        let len = inner.len()?;
        Ok(Self { inner, start: 0, len, at: 0 })
    }

    /// # Errors
    /// [`Error::Corrupt`] if it would end behind the file.
    pub(super) fn new(inner: Arc<dyn Backend>, start: u64, len: u64) -> Result<Self> {
        let of = inner.len()?;
        if start.checked_add(len).is_none_or(|end| end > of) {
            return Err(Error::corrupt("archive", start, "an entry ends behind its file"));
        }
        Ok(Self { inner, start, len, at: 0 })
    }
}

impl Read for Part {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = out.len().min(to_usize(self.len.saturating_sub(self.at)).unwrap_or(usize::MAX));
        let out = out.get_mut(..n).unwrap_or_default();
        self.inner.read_at(self.start + self.at, out).map_err(carried)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for Part {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = place(to, self.at, self.len)?;
        Ok(self.at)
    }
}

impl Backend for Part {
    fn len(&self) -> Result<u64> {
        Ok(self.len)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let end = offset.checked_add(buf.len() as u64);
        if end.is_none_or(|end| end > self.len) {
            return Err(Error::corrupt("file", offset, "it ends before this"));
        }
        self.inner.read_at(self.start + offset, buf)
    }

    fn write_at(&self, _: u64, _: &[u8]) -> Result<()> {
        Err(Error::ReadOnly)
    }

    fn set_len(&self, _: u64) -> Result<()> {
        Err(Error::ReadOnly)
    }

    fn sync(&self) -> Result<()> {
        Err(Error::ReadOnly)
    }

    fn map(&self, _: u64) -> Result<Option<crate::backend::Mapping>> {
        Ok(None)
    }

    fn writable(&self) -> bool {
        false
    }
}
