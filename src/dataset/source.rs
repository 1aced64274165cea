//! A store or a data set, whichever is at a path.

use super::manifest::MANIFEST;
use super::reach::{may_be_set, open_store};
use super::set::{DataSet, MOST_OPEN};
use crate::error::{Error, Result};
use crate::key::Key;
use crate::store::{ReadOptions, Readable, Snapshot};
use std::ops::Deref;
use std::path::{Path, PathBuf};

/// What is read at a path: a store, or a data set where the path is that of a folder.
#[derive(Debug, Clone)]
pub enum Source {
    /// A store.
    Store(Snapshot),
    /// A data set.
    Set(DataSet),
}

/// A part of a source: a store, and how many of its records belong to the source.
pub(crate) struct Part {
    pub(crate) snapshot: Snapshot,
    /// Where it lies, if it is a member of a data set.
    pub(crate) path: Option<PathBuf>,
    /// The number of its first record among all of the source.
    pub(crate) first: u64,
    pub(crate) records: u64,
}

impl Source {
    /// Opens the store or the data set at `path` for reading, or at an address such as
    /// `s3://bucket/key` (with the feature `object-store`).
    ///
    /// # Errors
    /// As [`Store::open`](crate::Store::open) and [`DataSet::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, &ReadOptions::default())
    }

    /// As [`Source::open`], with other options than the default.
    ///
    /// # Errors
    /// As [`Source::open`].
    pub fn open_with(path: impl AsRef<Path>, options: &ReadOptions) -> Result<Self> {
        let path = path.as_ref();
        not_the_manifest(path)?;
        if path.is_dir() {
            return DataSet::open_with(path, options, MOST_OPEN).map(Self::Set);
        }
        match open_store(path, options) {
            Ok(store) => Ok(Self::Store(store.snapshot())),
            Err(e) if may_be_set(path, &e) => match DataSet::open_with(path, options, MOST_OPEN) {
                Err(none) if matches!(none.root(), Error::NotAStore { .. }) => Err(e),
                found => found.map(Self::Set),
            },
            Err(e) => Err(e),
        }
    }

    /// The data set, if it is one.
    #[must_use]
    pub const fn set(&self) -> Option<&DataSet> {
        match self {
            Self::Store(_) => None,
            Self::Set(set) => Some(set),
        }
    }

    /// The ordinals of all records under `key`: a data set can have one in each member.
    pub(crate) fn ordinals_of(&self, key: &Key) -> Result<Vec<u64>> {
        match self {
            Self::Store(snapshot) => Ok(snapshot.find_key(key)?.into_iter().collect()),
            Self::Set(set) => set.ordinals_of(key),
        }
    }

    /// Bytes of the records, decoded.
    pub(crate) fn record_bytes(&self) -> u64 {
        match self {
            Self::Store(snapshot) => {
                let totals = snapshot.inner().reader.totals;
                totals.record_bytes.saturating_sub(totals.dead_bytes)
            }
            Self::Set(set) => set.manifest().record_bytes(),
        }
    }

    /// The stores of which it consists, opened one after the other.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Result<Part>> {
        let members = match self {
            Self::Store(_) => 1,
            Self::Set(set) => set.members().len(),
        };
        (0..members).map(|number| match self {
            Self::Store(snapshot) => {
                let (snapshot, records) = (snapshot.clone(), snapshot.len());
                Ok(Part { snapshot, path: None, first: 0, records })
            }
            Self::Set(set) => Ok(Part {
                snapshot: set.snapshot(number)?,
                path: Some(set.path(number)?),
                first: set.first_of(number),
                records: set.first_of(number + 1) - set.first_of(number),
            }),
        })
    }
}

/// Refuses the path of a manifest where that of its folder is asked for.
///
/// # Errors
/// [`Error::Invalid`].
pub fn not_the_manifest(path: &Path) -> Result<()> {
    if path.file_name().is_some_and(|name| name == MANIFEST) && path.is_file() {
        let why = "this is the manifest of a data set: give the folder that it is in";
        return Err(Error::invalid("path", why).at(path));
    }
    Ok(())
}

impl Part {
    /// An error of this part, with its path.
    pub(crate) fn named(&self, error: Error) -> Error {
        match &self.path {
            Some(path) => error.at(path),
            None => error,
        }
    }
}

impl Deref for Source {
    type Target = dyn Readable;
    fn deref(&self) -> &Self::Target {
        match self {
            Self::Store(snapshot) => snapshot,
            Self::Set(set) => set,
        }
    }
}
