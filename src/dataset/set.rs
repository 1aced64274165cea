//! A data set that is open: its manifest, and where a record of it lies.

use super::manifest::{MANIFEST, Manifest, Member};
use super::members::Open;
use super::reach::{Reach, path_of};
use crate::error::{Error, Result};
use crate::key::Key;
use crate::store::{ReadOptions, Snapshot};
use crate::wire::{Digest, checksum, memory};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many members are open at a time, unless another number is asked for.
pub const MOST_OPEN: usize = 64;

/// Whether the folder `path` has the manifest of a data set.
#[must_use]
pub fn is_dataset(path: &Path) -> bool {
    path.join(MANIFEST).is_file()
}

/// The data set in a folder, as one publication has it: what is published later is not seen before
/// [`refresh`](Self::refresh).
///
/// [`Readable`](crate::Readable) as a store is: an ordinal counts the records of the first member, then those of the second,
/// and so on. A [`Location`](crate::Location) is that in the member. A key that several members have is
/// that of the first of them. Cheap to clone, shared between threads.
#[derive(Debug, Clone)]
pub struct DataSet {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    reach: Reach,
    manifest: Manifest,
    /// The number of the first record of each member.
    firsts: Vec<u64>,
    records: u64,
    /// The first member that has a shared record, as far as members list theirs.
    shared: HashMap<Digest, usize>,
    options: ReadOptions,
    most_open: usize,
    open: Open,
}

impl DataSet {
    /// Opens the data set in `folder`: reads its manifest and opens no member. With the feature
    /// `object-store` the folder may be an address such as `s3://bucket/folder`.
    ///
    /// # Errors
    /// [`Error::NotAStore`] if the folder has no manifest, [`Error::Unsupported`] for one of a newer
    /// version, [`Error::DataSet`] for one that was changed; [`Error::Io`]. With the path.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(folder, &ReadOptions::default(), MOST_OPEN)
    }

    /// As [`DataSet::open`], with options for its members, of which at most `most_open` are open at a
    /// time, one at least. [`ReadOptions::cache_bytes`] is for all of them together.
    ///
    /// # Errors
    /// As [`DataSet::open`].
    pub fn open_with(
        folder: impl AsRef<Path>,
        options: &ReadOptions,
        most_open: usize,
    ) -> Result<Self> {
        // Members are opened later, perhaps after the process went on to another folder.
        let folder = folder.as_ref();
        let reach = Reach::of(folder)?;
        let folder = &reach.place(folder)?;
        let Some(manifest) = manifest_by(&reach, folder)? else {
            let why = "this folder has no manifest (vlstore-dataset.json), so it is not a data set; \
                       `vlstore publish FOLDER` makes one of the stores in it";
            return Err(Error::NotAStore { why }.at(folder));
        };
        Self::of(folder, reach, manifest, options, most_open)
    }

    fn of(
        folder: &Path,
        reach: Reach,
        manifest: Manifest,
        options: &ReadOptions,
        most_open: usize,
    ) -> Result<Self> {
        let mut firsts = memory::with_room(manifest.members.len())?;
        let (mut records, mut shared) = (0_u64, HashMap::new());
        for (number, member) in manifest.members.iter().enumerate() {
            firsts.push(records);
            records = records.saturating_add(member.records);
            for at in member.shared.iter().flatten() {
                if let Some(digest) = manifest.shared.get(*at) {
                    shared.entry(*digest).or_insert(number);
                }
            }
        }
        let inner = Inner {
            folder: folder.to_path_buf(),
            reach,
            manifest,
            firsts,
            records,
            shared,
            options: *options,
            most_open,
            open: Open::new(options, most_open),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The same data set, of which at most `most_open` members are open at a time.
    #[must_use]
    pub(crate) fn opening(&self, most_open: usize) -> Self {
        let Inner { folder, reach, manifest, firsts, records, shared, options, .. } = &*self.inner;
        let inner = Inner {
            folder: folder.clone(),
            reach: reach.clone(),
            manifest: manifest.clone(),
            firsts: firsts.clone(),
            records: *records,
            shared: shared.clone(),
            options: *options,
            most_open,
            open: Open::new(options, most_open),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Moves on to the newest publication; whether there was a newer one.
    ///
    /// # Errors
    /// As [`DataSet::open`].
    pub fn refresh(&mut self) -> Result<bool> {
        let Inner { folder, options, most_open, .. } = &*self.inner;
        let new = Self::open_with(folder, options, *most_open)?;
        let newer = new.publication() != self.publication();
        if newer {
            *self = new;
        }
        Ok(newer)
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.inner.folder
    }

    /// What the data set consists of.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.inner.manifest
    }

    /// How often the data set had been published when it was read.
    #[must_use]
    pub fn publication(&self) -> u64 {
        self.inner.manifest.publication
    }

    /// The members.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.inner.manifest.members
    }

    /// What the first so many members are known by, wherever the data set lies: later publications that keep them,
    /// with as many records, have the same. `None` if there are not so many.
    #[must_use]
    pub fn state_of_first(&self, members: usize) -> Option<u64> {
        let mut text = String::new();
        for member in self.members().get(..members)? {
            let Member { name, file, records, deleted, .. } = member;
            // Writing to a string does not fail.
            let _ = writeln!(text, "{} {name} {file} {records} {deleted}", name.len());
        }
        Some(checksum(text.as_bytes()))
    }

    /// Where the member with this number lies.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none with this number.
    pub fn path(&self, member: usize) -> Result<PathBuf> {
        Ok(path_of(&self.inner.folder, &self.member(member)?.name))
    }

    /// How the members are read.
    #[must_use]
    pub fn options(&self) -> &ReadOptions {
        &self.inner.options
    }

    pub(super) fn is_far(&self) -> bool {
        self.inner.reach.is_far()
    }

    pub(super) fn records(&self) -> u64 {
        self.inner.records
    }

    pub(super) fn member(&self, number: usize) -> Result<&Member> {
        let all = self.members();
        all.get(number).ok_or_else(|| Error::NotFound {
            key: format!("in member {number} of {}", all.len()).into(),
        })
    }

    /// Number of the first record of a member.
    #[must_use]
    pub fn first_of(&self, member: usize) -> u64 {
        self.inner.firsts.get(member).copied().unwrap_or(self.inner.records)
    }

    /// The member in which the record at `ordinal` is, and its ordinal there.
    ///
    /// # Errors
    /// [`Error::NotFound`] beyond the last record.
    pub fn place(&self, ordinal: u64) -> Result<(usize, u64)> {
        if ordinal >= self.inner.records {
            let records = self.inner.records;
            let key = format!("at {ordinal}: the data set has {records} records").into();
            return Err(Error::NotFound { key });
        }
        // Members without records have the number of the one behind them.
        let firsts = &self.inner.firsts;
        let member = firsts.partition_point(|first| *first <= ordinal).saturating_sub(1);
        Ok((member, ordinal - self.first_of(member)))
    }

    /// The member with this number, opened if it is not open. It may have more records than the data set
    /// has of it: those that were put since it was published.
    ///
    /// # Errors
    /// [`Error::DataSet`] if it is missing or not what was published; else as
    /// [`Store::open`](crate::Store::open).
    pub fn snapshot(&self, member: usize) -> Result<Snapshot> {
        let known = self.member(member)?;
        let found = self.inner.open.get(member, known, (&self.inner.reach, &self.inner.folder));
        found.map_err(|e| match e {
            Error::DataSet { .. } => e.at(&self.inner.folder),
            other => other,
        })
    }

    /// Members that can have a key, the first ones first.
    pub(super) fn may_have(&self, key: &Key) -> impl Iterator<Item = usize> {
        let members = self.members().iter().enumerate();
        members.filter(|(_, member)| member.keys.may_have(key)).map(|(number, _)| number)
    }

    /// Members that can have a shared record: the one that lists it, or those that list none, open
    /// ones first.
    pub(super) fn may_share(&self, digest: &Digest) -> Vec<usize> {
        if let Some(member) = self.inner.shared.get(digest) {
            return vec![*member];
        }
        let unlisted = |n: &usize| self.members().get(*n).is_some_and(|m| m.shared.is_none());
        let mut out: Vec<usize> = self.inner.open.numbers();
        out.retain(unlisted);
        let open = out.len();
        for number in (0..self.members().len()).filter(unlisted) {
            if !out.iter().take(open).any(|known| *known == number) {
                out.push(number);
            }
        }
        out
    }
}

/// The manifest in `folder`, if there is one.
pub(super) fn read_manifest(folder: &Path) -> Result<Option<Manifest>> {
    manifest_by(&Reach::Folder, folder)
}

fn manifest_by(reach: &Reach, folder: &Path) -> Result<Option<Manifest>> {
    let Some(text) = reach.manifest(folder)? else { return Ok(None) };
    Manifest::from_text(&text).map(Some).map_err(|e| e.at(&folder.join(MANIFEST)))
}
