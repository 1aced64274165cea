//! Blobs as files of a folder, named by their digest.

use super::data::StorageData;
use super::digest::{ContentDigest, Hasher};
use super::name::StorageName;
use super::sidecar;
use super::storage::{
    Checks, Entry, Router, Storage, check_place, check_range, check_written, missing, place_of,
};
use super::stream::{ByteStream, GetDigest, Incoming, Outgoing};
use super::tags::Tags;
use crate::backend::{Access, Backend, StagedFile};
use crate::error::{Error, Result};
use crate::existing::Existing;
use crate::printable::printable_path;
use crate::wire::{memory, to_usize};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Bytes of a piece of a stream, if nothing else is asked for.
pub(super) const PIECE: usize = 1 << 20;
/// What a stream is called before its digest is known.
const UNNAMED: &str = "stream";

/// How a [`FolderStorage`] works.
#[derive(Clone)]
pub struct FolderOptions {
    /// What is checked.
    pub checks: Checks,
    /// Bytes of a piece that is read or written at a time.
    pub piece: usize,
    /// The user's choice of places; without it a file lies in the folder under the name of its digest.
    pub router: Option<Router>,
    /// Whether nothing may be written.
    pub read_only: bool,
}

impl Default for FolderOptions {
    fn default() -> Self {
        Self { checks: Checks::default(), piece: PIECE, router: None, read_only: false }
    }
}

impl fmt::Debug for FolderOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FolderOptions")
            .field("checks", &self.checks)
            .field("piece", &self.piece)
            .field("routed", &self.router.is_some())
            .field("read_only", &self.read_only)
            .finish()
    }
}

/// Blobs as files. Each is written aside, synced and renamed, so that there is a whole file or none; tags
/// lie in small files beside it.
///
/// A killed process leaves at most hidden files that end in `.partial`: [`FolderStorage::sweep`].
#[derive(Debug, Clone)]
pub struct FolderStorage {
    name: StorageName,
    root: PathBuf,
    options: FolderOptions,
}

impl FolderStorage {
    /// Blobs in the folder `root`, which is there.
    ///
    /// # Errors
    /// [`Error::Io`] with the path if it is not there or is no folder; [`Error::Invalid`] for pieces of 0
    /// bytes.
    pub fn open(name: StorageName, root: impl AsRef<Path>, options: FolderOptions) -> Result<Self> {
        let root = root.as_ref();
        if options.piece == 0 {
            return Err(Error::invalid("piece size", "is 0; a piece has at least one byte"));
        }
        let found = fs::metadata(root).and_then(|found| {
            if found.is_dir() { Ok(()) } else { Err(io::ErrorKind::NotADirectory.into()) }
        });
        found.map_err(|e| Error::io("use this as the folder of a storage", e).at(root))?;
        let root = std::path::absolute(root).map_err(|e| Error::io("find", e).at(root))?;
        Ok(Self { name, root, options })
    }

    /// As [`open`](Self::open); the folder is made if it is not there.
    ///
    /// # Errors
    /// As [`open`](Self::open), and if the folder cannot be made.
    pub fn create(
        name: StorageName,
        root: impl AsRef<Path>,
        options: FolderOptions,
    ) -> Result<Self> {
        let root = root.as_ref();
        fs::create_dir_all(root).map_err(|e| Error::io("make the folder", e).at(root))?;
        Self::open(name, root, options)
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Deletes what killed writers left: files that never became blobs, and tags of none. Returns how many
    /// files it deleted. Nobody may be writing meanwhile.
    ///
    /// # Errors
    /// [`Error::ReadOnly`]; [`Error::Io`] with the path.
    pub fn sweep(&self) -> Result<u64> {
        self.writable()?;
        sidecar::sweep(&self.root)
    }

    fn writable(&self) -> Result<()> {
        if self.options.read_only { Err(Error::ReadOnly.at(&self.root)) } else { Ok(()) }
    }

    fn at(&self, place: &str, digest: &ContentDigest) -> Result<StorageData> {
        let root = self.root.to_string_lossy();
        StorageData::new([("root", &root), ("file", place)], digest.clone())
    }

    /// Where the blob lies: in the folder in which it was written, or else in this one.
    fn find(&self, at: &StorageData) -> Result<PathBuf> {
        let place = at.part("file")?;
        check_place(place)?;
        let written = Path::new(at.part("root")?).join(place);
        if written.is_file() { Ok(written) } else { Ok(self.root.join(place)) }
    }

    fn open_file(&self, at: &StorageData) -> Result<(File, PathBuf)> {
        let path = self.find(at)?;
        let read = |e: io::Error| match e.kind() {
            io::ErrorKind::NotFound => missing(&printable_path(&path)),
            _ => Error::io("open", e).at(&path),
        };
        let file = File::open(&path).map_err(read)?;
        let size = file.metadata().map_err(|e| Error::io("look at", e).at(&path))?.len();
        if size != at.digest().size() {
            let why = "it has another length than when it was written";
            return Err(Error::corrupt("content", size, why).at(&path));
        }
        Ok((file, path))
    }

    /// Names a file that is whole, with its tags. `staged` is dropped if there is one already.
    fn keep(
        &self,
        digest: &ContentDigest,
        tags: &Tags,
        staged: impl FnOnce(&Path) -> Result<StagedFile>,
    ) -> Result<StorageData> {
        let place = place_of(self.options.router.as_ref(), digest, tags)?;
        let path = self.root.join(&place);
        if let Some(folder) = path.parent().filter(|folder| *folder != self.root) {
            fs::create_dir_all(folder).map_err(|e| Error::io("make the folder", e).at(folder))?;
        }
        let at = self.at(&place, digest)?;
        let there = fs::metadata(&path).ok().map(|found| found.len());
        if there.is_some() && self.options.router.is_some() {
            self.must_be_the_same(&path, digest)?;
        }
        // The tags first: whoever sees the blob sees them.
        let tagged = sidecar::add(&path, digest, tags)?;
        let existing = match there {
            Some(size) if size == digest.size() => return Ok(at),
            // Somebody cut it: it is made whole.
            Some(_) => Existing::Replace,
            None => Existing::Refuse,
        };
        match staged(&path).and_then(|staged| staged.publish(existing)) {
            Ok(()) => Ok(at),
            // Another one wrote the same at this moment.
            Err(e) if matches!(e.root(), Error::Exists { .. }) => {
                if self.options.router.is_some() {
                    self.must_be_the_same(&path, digest)?;
                }
                Ok(at)
            }
            Err(e) => {
                if let Some(tagged) = tagged.filter(|_| !path.exists()) {
                    // The error that matters is that of the content.
                    let _ = fs::remove_file(tagged);
                }
                Err(e)
            }
        }
    }

    /// A place that the user chose may hold something else.
    fn must_be_the_same(&self, path: &Path, digest: &ContentDigest) -> Result<()> {
        let mut file = File::open(path).map_err(|e| Error::io("open", e).at(path))?;
        let (mut hasher, mut piece) = (Hasher::default(), memory::zeroed(PIECE)?);
        loop {
            let n = file.read(&mut piece).map_err(|e| Error::io("read", e).at(path))?;
            if n == 0 {
                break;
            }
            hasher.update(piece.get(..n).unwrap_or_default());
        }
        if hasher.now().0 == digest.hash() {
            return Ok(());
        }
        let what = format!("another content at the place {}", printable_path(path));
        Err(Error::Exists { what: what.into(), instead: None })
    }
}

impl Storage for FolderStorage {
    fn name(&self) -> &StorageName {
        &self.name
    }

    fn is_read_only(&self) -> bool {
        self.options.read_only
    }

    fn checks(&self) -> Checks {
        self.options.checks
    }

    fn write_data(&self, data: &[u8], digest: &ContentDigest, tags: &Tags) -> Result<StorageData> {
        self.writable()?;
        check_written(data, digest, self.options.checks)?;
        self.write_known(data, digest, tags)
    }

    fn write_known(&self, data: &[u8], digest: &ContentDigest, tags: &Tags) -> Result<StorageData> {
        self.writable()?;
        self.keep(digest, tags, |path| {
            let staged = StagedFile::new(path, Access::Pread)?;
            staged.backend().write_at(0, data).map_err(|e| e.at(path))?;
            Ok(staged)
        })
    }

    fn read_data(&self, at: &StorageData) -> Result<Vec<u8>> {
        self.open_file(at)?;
        let mut data = memory::zeroed(to_usize(at.digest().size()).unwrap_or(usize::MAX))?;
        self.read_into(at, &mut data)?;
        Ok(data)
    }

    fn read_into(&self, at: &StorageData, out: &mut [u8]) -> Result<()> {
        let (mut file, path) = self.open_file(at)?;
        if out.len() as u64 != at.digest().size() {
            let (asked, max) = (at.digest().size(), out.len() as u64);
            return Err(Error::Limit { what: "buffer", asked, max });
        }
        let mut hasher = self.options.checks.read.then(Hasher::default);
        for piece in out.chunks_mut(PIECE) {
            file.read_exact(piece).map_err(|e| Error::io("read", e).at(&path))?;
            if let Some(hasher) = &mut hasher {
                hasher.update(piece);
            }
        }
        if hasher.is_none_or(|hasher| hasher.now().0 == at.digest().hash()) {
            return Ok(());
        }
        let why = "its SHA-256 is not that of what was written";
        Err(Error::corrupt("content", 0, why).at(&path))
    }

    fn write_data_stream(
        &self,
        stream: &mut dyn ByteStream,
        get_digest: &GetDigest,
        tags: &Tags,
    ) -> Result<StorageData> {
        self.writable()?;
        let mut incoming = Incoming::new(stream, get_digest, self.options.checks.written);
        let staged = StagedFile::new(self.root.join(UNNAMED), Access::Pread)?;
        let (mut piece, mut offset, mut more) = (Vec::new(), 0, true);
        while more {
            piece.clear();
            more = incoming.fill(&mut piece, self.options.piece)?;
            staged.backend().write_at(offset, &piece)?;
            offset += piece.len() as u64;
        }
        let digest = incoming.digest()?;
        self.keep(&digest, tags, |path| staged.aimed(path))
    }

    fn read_data_stream(&self, at: &StorageData) -> Result<Box<dyn ByteStream>> {
        let (file, path) = self.open_file(at)?;
        let piece = self.options.piece;
        let called = at.part("file")?.to_owned();
        let parts = FileParts { file, path, piece };
        Ok(Box::new(Outgoing::new(parts, at.digest(), called, self.options.checks.read)))
    }

    fn read_range(&self, at: &StorageData, range: Range<u64>) -> Result<Vec<u8>> {
        check_range(&range, at.digest().size())?;
        let (mut file, path) = self.open_file(at)?;
        let n = range.end - range.start;
        let mut data = memory::with_room(to_usize(n).unwrap_or(usize::MAX))?;
        let read = file
            .seek(SeekFrom::Start(range.start))
            .and_then(|_| Read::by_ref(&mut file).take(n).read_to_end(&mut data));
        read.map_err(|e| Error::io_at("read", range.start, e).at(&path))?;
        if data.len() as u64 != n {
            return Err(Error::corrupt("content", range.start, "it is cut off").at(&path));
        }
        Ok(data)
    }

    fn entry(&self, at: &StorageData) -> Result<Entry> {
        let (_, path) = self.open_file(at)?;
        Ok(Entry { data: at.clone(), tags: sidecar::read(&path)? })
    }

    fn search(&self, tags: &Tags) -> Result<Vec<Entry>> {
        let mut found = Vec::new();
        for (path, digest) in sidecar::tagged(&self.root, tags)? {
            let Ok(place) = path.strip_prefix(&self.root) else { continue };
            let names: Vec<_> = place.iter().map(|name| name.to_string_lossy()).collect();
            let data = self.at(&names.join("/"), &digest)?;
            found.push(Entry { data, tags: sidecar::read(&path)? });
        }
        Ok(found)
    }
}

/// A file, a piece at a time.
struct FileParts {
    file: File,
    path: PathBuf,
    piece: usize,
}

impl ByteStream for FileParts {
    fn next_into(&mut self, out: &mut Vec<u8>) -> Result<bool> {
        let before = out.len();
        let read = Read::by_ref(&mut self.file).take(self.piece as u64).read_to_end(out);
        read.map(|n| n > 0).map_err(|e| {
            out.truncate(before);
            Error::io("read", e).at(&self.path)
        })
    }
}
