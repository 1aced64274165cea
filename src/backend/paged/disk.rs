//! Pages on a local disk, shared by processes: a file for each, with its checksum, made under another
//! name and renamed. What cannot be written is not kept, and what is damaged is not there.

use super::page::Page;
use crate::backend::process_id;
use crate::error::{Error, Result};
use crate::wire::{Digest, checksum};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// The folder of this version of the files.
const VERSION: &str = "pages-1";
const TEMPORARY: &str = ".tmp";
const SUM: usize = 8;
/// A file that was used says so after this time at the earliest.
const STALE: Duration = Duration::from_secs(600);
/// Left by who was killed.
const ABANDONED: Duration = Duration::from_secs(3600);
/// A process looks at what there is after it has written this share of the limit.
const SHARE: u64 = 8;

/// A folder on a local disk in which pages of far objects are kept, up to a number of bytes. Any number of
/// processes may use it at once. It may be deleted at any time.
///
/// Files that were not used for longest go first. A process looks at all of them when it has written an
/// eighth of the limit, so that much more may be there for a while for each process that writes.
#[derive(Debug, Clone)]
pub struct DiskCache {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    limit: u64,
    /// Bytes written since the last look.
    written: AtomicU64,
    names: AtomicU64,
    /// Nothing can be written there.
    full: AtomicBool,
}

/// The pages of one version of one object.
#[derive(Debug)]
pub(super) struct DiskObject {
    cache: Arc<Inner>,
    folder: PathBuf,
}

impl DiskCache {
    /// Pages in `folder`, which is made if it is not there, for this user alone; `limit` bytes at most.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder cannot be made.
    pub fn new(folder: impl AsRef<Path>, limit: u64) -> Result<Self> {
        let folder = folder.as_ref().join(VERSION);
        make(&folder).map_err(|e| Error::io("make the folder of the cache", e).at(&folder))?;
        let inner = Inner {
            folder,
            limit,
            // What other processes left is looked at with the first page that is written.
            written: AtomicU64::new(limit / SHARE),
            names: AtomicU64::new(0),
            full: AtomicBool::new(false),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    pub(super) fn object(&self, name: &str, version: &str, len: u64) -> DiskObject {
        let text = format!("{name}\0{version}\0{len}");
        let folder = self.inner.folder.join(Digest::of(text.as_bytes()).to_string());
        DiskObject { cache: self.inner.clone(), folder }
    }
}

fn make(folder: &Path) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(folder)
}

impl DiskObject {
    fn path(&self, page: u64) -> PathBuf {
        self.folder.join(format!("{page:x}"))
    }

    /// The page, if it is there as it was written, with `len` bytes.
    pub(super) fn get(&self, page: u64, len: usize) -> Option<Page> {
        let mut file = File::open(self.path(page)).ok()?;
        let mut bytes = Vec::new();
        let most = u64::try_from(SUM + len).ok()?.saturating_add(1);
        Read::by_ref(&mut file).take(most).read_to_end(&mut bytes).ok()?;
        let (sum, found) = bytes.split_at_checked(SUM)?;
        if found.len() != len || seal(page, found).to_le_bytes() != *sum {
            let _ = fs::remove_file(self.path(page));
            return None;
        }
        let used = file.metadata().and_then(|m| m.modified()).ok()?;
        if used.elapsed().unwrap_or_default() > STALE {
            // What is used stays; where that cannot be noted it goes earlier.
            let _ = file.set_modified(SystemTime::now());
        }
        Some(Page::from(found))
    }

    pub(super) fn forget(&self, page: u64) {
        let _ = fs::remove_file(self.path(page));
    }

    pub(super) fn put(&self, page: u64, bytes: &[u8]) {
        if self.cache.full.load(Ordering::Relaxed) {
            return;
        }
        let size = (SUM + bytes.len()) as u64;
        let share = self.cache.limit / SHARE;
        if self.cache.written.fetch_add(size, Ordering::Relaxed) >= share {
            self.cache.written.store(0, Ordering::Relaxed);
            self.cache.sweep();
        }
        if self.write(page, bytes).is_err() {
            self.cache.full.store(true, Ordering::Relaxed);
        }
    }

    fn write(&self, page: u64, bytes: &[u8]) -> std::io::Result<()> {
        let n = self.cache.names.fetch_add(1, Ordering::Relaxed);
        let name = format!("{page:x}-{}-{n}{TEMPORARY}", process_id());
        let temporary = self.folder.join(name);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        let file = options.open(&temporary).or_else(|_| {
            make(&self.folder)?;
            options.open(&temporary)
        });
        let written = file.and_then(|mut file| {
            file.write_all(&seal(page, bytes).to_le_bytes())?;
            file.write_all(bytes)
        });
        let done = written.and_then(|()| fs::rename(&temporary, self.path(page)));
        if done.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        done
    }
}

/// The checksum of a page, which is that of no other page with the same bytes.
fn seal(page: u64, bytes: &[u8]) -> u64 {
    checksum(bytes) ^ page.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Inner {
    /// Deletes what was not used for longest until nine tenths of the limit are left. Others may delete or
    /// write at the same time.
    fn sweep(&self) {
        let mut all = Vec::new();
        for object in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            for file in fs::read_dir(object.path()).into_iter().flatten().flatten() {
                let Ok(found) = file.metadata() else { continue };
                let used = found.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                let temporary = file.file_name().to_string_lossy().ends_with(TEMPORARY);
                if temporary {
                    if used.elapsed().unwrap_or_default() > ABANDONED {
                        let _ = fs::remove_file(file.path());
                    }
                    continue;
                }
                all.push((used, found.len(), file.path()));
            }
        }
        let mut sum: u64 = all.iter().map(|(_, len, _)| len).sum();
        if sum <= self.limit {
            return;
        }
        all.sort_unstable();
        for (_, len, path) in all {
            if sum <= self.limit / 10 * 9 {
                break;
            }
            if fs::remove_file(&path).is_ok() {
                sum = sum.saturating_sub(len);
                if let Some(folder) = path.parent() {
                    // Only if it is empty.
                    let _ = fs::remove_dir(folder);
                }
            }
        }
    }
}
