//! Stores and manifests by a path, or by an address of an object store.

use super::manifest::MANIFEST;
use crate::error::{Error, Result};
use crate::limits::MANIFEST_MAX;
#[cfg(feature = "object-store")]
use crate::remote::{Prefix, RemoteOptions, is_url, open};
use crate::store::{ReadOptions, Store};
use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
#[cfg(feature = "object-store")]
use std::sync::Arc;

/// Where a member lies.
pub(super) fn path_of(folder: &Path, name: &str) -> PathBuf {
    name.split('/').fold(folder.to_path_buf(), |path, part| path.join(part))
}

/// How the files of a data set are reached.
#[derive(Debug, Clone)]
pub(super) enum Reach {
    Folder,
    #[cfg(feature = "object-store")]
    Far(Arc<Prefix>),
}

/// The address, if it is one and not a path.
#[cfg(feature = "object-store")]
fn address(path: &Path) -> Option<&str> {
    path.to_str().filter(|_| is_url(path))
}

/// Opens the store in a file, or at an address such as `s3://bucket/key`.
pub(crate) fn open_store(path: &Path, options: &ReadOptions) -> Result<Store> {
    #[cfg(feature = "object-store")]
    if let Some(url) = address(path) {
        return open(url, options, &RemoteOptions::from_env()?);
    }
    Store::open_with(path, options)
}

/// Whether a data set may be where no store is.
pub(super) fn may_be_set(path: &Path, error: &Error) -> bool {
    #[cfg(feature = "object-store")]
    if address(path).is_some() {
        return crate::remote::is_missing(error);
    }
    let _ = (path, error);
    false
}

impl Reach {
    pub(super) fn of(folder: &Path) -> Result<Self> {
        #[cfg(feature = "object-store")]
        if let Some(url) = address(folder) {
            return Ok(Self::Far(Arc::new(Prefix::new(url, &RemoteOptions::from_env()?)?)));
        }
        let _ = folder;
        Ok(Self::Folder)
    }

    /// Whether members are read over a network.
    pub(super) const fn is_far(&self) -> bool {
        !matches!(self, Self::Folder)
    }

    /// The folder, wherever the process goes later: members are opened when they are needed.
    pub(super) fn place(&self, folder: &Path) -> Result<PathBuf> {
        match self {
            Self::Folder => {
                std::path::absolute(folder).map_err(|e| Error::io("find", e).at(folder))
            }
            #[cfg(feature = "object-store")]
            Self::Far(_) => Ok(folder.to_path_buf()),
        }
    }

    /// The text of the manifest, if there is one.
    pub(super) fn manifest(&self, folder: &Path) -> Result<Option<Vec<u8>>> {
        match self {
            Self::Folder => in_folder(folder),
            #[cfg(feature = "object-store")]
            Self::Far(prefix) => Ok(prefix.get(MANIFEST, MANIFEST_MAX)?.map(|(text, _)| text)),
        }
    }

    /// Opens the member `name`, one of `share` that are open at a time.
    pub(super) fn open(
        &self,
        folder: &Path,
        name: &str,
        options: &ReadOptions,
        share: usize,
    ) -> Result<Store> {
        match self {
            Self::Folder => {
                let _ = share;
                Store::open_with(path_of(folder, name), options)
            }
            #[cfg(feature = "object-store")]
            Self::Far(prefix) => prefix.open(name, options, share),
        }
    }
}

fn in_folder(folder: &Path) -> Result<Option<Vec<u8>>> {
    let path = folder.join(MANIFEST);
    let failed = |e| Error::io("read the manifest", e).at(&path);
    // Before it is opened: a pipe would wait for a writer.
    match fs::metadata(&path) {
        Ok(about) if about.is_file() => {}
        Ok(_) => return Err(Error::NotAStore { why: "the manifest is not a file" }.at(&path)),
        Err(e) if e.kind() == ErrorKind::NotFound && folder.is_dir() => return Ok(None),
        Err(e) => {
            // Where there is no folder, that is what is said.
            let there = fs::read_dir(folder);
            return Err(
                there.map_or_else(|e| Error::io("open the folder", e).at(folder), |_| failed(e))
            );
        }
    }
    let file = File::open(&path).map_err(failed)?;
    let mut text = Vec::new();
    // One byte more than is read, so that a longer one is known to be.
    file.take(MANIFEST_MAX + 1).read_to_end(&mut text).map_err(failed)?;
    Ok(Some(text))
}
