//! Publishing: a new manifest in the place of the old one, in one step.

use super::describe::{Described, describe, stores_in};
use super::manifest::{MANIFEST, Manifest, Member};
use super::reach::path_of;
use super::set::read_manifest;
use crate::backend::{Access, Backend, StagedFile, remove_abandoned};
use crate::error::{Error, Result};
use crate::existing::Existing;
use crate::limits::MEMBERS_MAX;
use crate::store::Layout;
use crate::wire::Digest;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The attribute that says in which units the numbers of the records are.
const UNITS: &str = "units";
/// How long another process that publishes is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long between two tries.
const PAUSE: Duration = Duration::from_millis(5);
/// Age at which an unfinished manifest belongs to a process that was killed.
const ABANDONED: Duration = Duration::from_secs(3600);

/// Changes of a data set that are published together, on top of the publication that was read.
///
/// ```
/// use vlstore::dataset::Edit;
/// use vlstore::{Error, StoreOptions, Writer};
///
/// # fn main() -> vlstore::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// # let folder = dir.path();
/// # for name in ["a.vls", "b.vls"] {
/// #     Writer::create(folder.join(name), &StoreOptions::default())?.close()?;
/// # }
/// let mut mine = Edit::begin(folder)?;
/// mine.put("a.vls", |_, _| Ok(()))?;
///
/// // Somebody else is faster.
/// let mut other = Edit::begin(folder)?;
/// other.put("b.vls", |_, _| Ok(()))?;
/// assert_eq!(other.publish()?, 1);
///
/// assert!(matches!(mine.publish().unwrap_err().root(), Error::Conflict { known: 0, newest: 1 }));
/// mine.rebase()?;
/// assert_eq!(mine.publish()?, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Edit {
    folder: PathBuf,
    base: Option<Manifest>,
    changes: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Put(Box<Described>),
    Remove(Box<str>),
}

impl Edit {
    /// Reads the data set in `folder`, which may be none so far.
    ///
    /// # Errors
    /// As [`DataSet::open`](super::DataSet::open), if there is a manifest; [`Error::Io`] if there is no
    /// folder.
    pub fn begin(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref().to_path_buf();
        #[cfg(feature = "object-store")]
        if crate::remote::is_url(&folder) {
            let why = "a data set in an object store is published in a folder and uploaded: `vlstore push FOLDER URL`";
            return Err(Error::invalid("folder", why).at(&folder));
        }
        let base = read_manifest(&folder)?;
        Ok(Self { folder, base, changes: Vec::new() })
    }

    /// The members as they were read.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        self.base.as_ref().map_or(&[], |base| &base.members)
    }

    /// The publication that was read; 0 if there was none.
    #[must_use]
    pub fn known(&self) -> u64 {
        self.base.as_ref().map_or(0, |base| base.publication)
    }

    /// The stores in the folder that are no members yet: its files `*.vls` and `*.vlstore`, in order.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none, and no member either; [`Error::Io`] if the folder cannot be read.
    pub fn new_stores(&self) -> Result<Vec<String>> {
        let known = |name: &String| self.members().iter().any(|m| &*m.name == name.as_str());
        let new: Vec<_> = stores_in(&self.folder)?.into_iter().filter(|n| !known(n)).collect();
        if new.is_empty() && self.members().is_empty() {
            let why =
                "there is no *.vls or *.vlstore in this folder; name stores that lie deeper in it";
            return Err(Error::invalid("members", why).at(&self.folder));
        }
        Ok(new)
    }

    /// Puts the store `name` of the folder behind the other members, or in its place if it is one already,
    /// as it is now. Reads the whole file; nobody can write to it meanwhile. `progress` is told the bytes
    /// that were read and all of them.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that leads out of the folder; [`Error::Locked`] if the store has a
    /// writer; [`Error::Older`] if its newest commit cannot be read; as
    /// [`Store::open`](crate::Store::open); what `progress` returns.
    pub fn put(
        &mut self,
        name: &str,
        mut progress: impl FnMut(u64, u64) -> Result<()>,
    ) -> Result<()> {
        let described = describe(&self.folder, name, &mut progress)?;
        self.changes.push(Change::Put(Box::new(described)));
        Ok(())
    }

    /// As [`put`](Self::put) for the members of `described`, which [`describe_member`] made: whoever wrote
    /// them read their files, perhaps on other machines, and here none is read again.
    ///
    /// # Errors
    /// [`Error::DataSet`] if a file is not there or has another length.
    pub fn put_described(&mut self, described: &Manifest) -> Result<()> {
        for member in &described.members {
            let found = std::fs::metadata(path_of(&self.folder, &member.name));
            if found.map_or(0, |about| about.len()) != member.file_bytes {
                let why = "is not there as it was described: write it again, and describe it again";
                return Err(Error::data_set(&*member.name, why).at(&self.folder));
            }
            let listed = |at: &usize| described.shared.get(*at).copied();
            let shared = member.shared.as_ref().map(|own| own.iter().filter_map(listed).collect());
            self.changes.push(Change::Put(Box::new(Described {
                member: Member { shared: None, ..member.clone() },
                layout: described.layout.clone(),
                attributes: described.attributes.clone(),
                shared,
            })));
        }
        Ok(())
    }

    /// Takes a member out of the data set. Its file stays.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the data set has no such member.
    pub fn remove(&mut self, name: &str) -> Result<()> {
        let put = |change: &Change| matches!(change, Change::Put(d) if &*d.member.name == name);
        if !self.members().iter().any(|m| &*m.name == name) && !self.changes.iter().any(put) {
            return Err(Error::NotFound { key: format!("in a member {name:?}").into() });
        }
        self.changes.push(Change::Remove(name.into()));
        Ok(())
    }

    /// Reads the data set again, so that the same changes are published on top of what others published.
    ///
    /// # Errors
    /// As [`Edit::begin`].
    pub fn rebase(&mut self) -> Result<()> {
        self.base = read_manifest(&self.folder)?;
        Ok(())
    }

    /// Publishes the changes and returns the number of the publication; the next changes come on top.
    /// Without changes nothing is written.
    ///
    /// # Errors
    /// [`Error::Conflict`] if somebody else published since the data set was read: then
    /// [`rebase`](Self::rebase) and publish again. [`Error::Invalid`] for members of different codecs or
    /// units. Nothing is published then.
    pub fn publish(&mut self) -> Result<u64> {
        if self.changes.is_empty() && self.base.is_some() {
            return Ok(self.known());
        }
        let place = self.folder.join(MANIFEST);
        remove_abandoned(&place, ABANDONED);
        let mut new = self.base.clone().unwrap_or_default();
        let mut shared = Shared::of(&mut new);
        for change in &self.changes {
            apply(&mut new, change, &mut shared).map_err(|e| e.at(&self.folder))?;
        }
        shared.into(&mut new);
        new.publication = self.known() + 1;
        let staged = self.locked(&place)?;
        let there = read_manifest(&self.folder)?;
        let newest = |there: &Option<Manifest>| there.as_ref().map_or(0, |m| m.publication);
        let conflict = |newest| Error::Conflict { known: self.known(), newest }.at(&self.folder);
        if there != self.base {
            return Err(conflict(newest(&there)));
        }
        staged.backend().write_at(0, new.to_text().as_bytes()).map_err(|e| e.at(&place))?;
        match staged.publish(Existing::of(self.base.is_some())) {
            // Somebody made the first manifest this very moment.
            Err(e) if matches!(e.root(), Error::Exists { .. }) => {
                return Err(conflict(newest(&read_manifest(&self.folder)?)));
            }
            done => done?,
        }
        self.base = Some(new);
        self.changes.clear();
        Ok(self.known())
    }

    /// A new manifest, while nobody else can publish.
    fn locked(&self, place: &Path) -> Result<StagedFile> {
        let begun = Instant::now();
        loop {
            match StagedFile::over(place, Access::Pread) {
                Err(e)
                    if matches!(e.root(), Error::Locked | Error::Replaced)
                        && begun.elapsed() < PATIENCE =>
                {
                    std::thread::sleep(PAUSE);
                }
                staged => return staged,
            }
        }
    }
}

/// The shared records of the members, whatever their places in the list.
struct Shared(HashMap<Box<str>, Option<Vec<Digest>>>);

impl Shared {
    fn of(manifest: &mut Manifest) -> Self {
        let listed = std::mem::take(&mut manifest.shared);
        let digests =
            |own: &Vec<usize>| own.iter().filter_map(|at| listed.get(*at)).copied().collect();
        let each = manifest.members.iter();
        Self(each.map(|m| (m.name.clone(), m.shared.as_ref().map(digests))).collect())
    }

    fn into(mut self, manifest: &mut Manifest) {
        let mut places: HashMap<Digest, usize> = HashMap::new();
        let list = &mut manifest.shared;
        for member in &mut manifest.members {
            let own = self.0.remove(&member.name).flatten();
            member.shared = own.map(|digests| {
                let place = |digest: Digest| {
                    *places.entry(digest).or_insert_with(|| {
                        list.push(digest);
                        list.len() - 1
                    })
                };
                digests.into_iter().map(place).collect()
            });
        }
    }
}

fn apply(new: &mut Manifest, change: &Change, shared: &mut Shared) -> Result<()> {
    let described = match change {
        Change::Remove(name) => {
            new.members.retain(|m| m.name != *name);
            return Ok(());
        }
        Change::Put(described) => &**described,
    };
    let Described { member, layout, attributes, shared: own } = described;
    if new.members.iter().all(|m| m.name == member.name) {
        // The only member says how the data set is.
        new.layout = Layout { file_id: None, ..layout.clone() };
        new.attributes = object(attributes);
    } else {
        join(new, described)?;
    }
    let count = new.members.len() as u64;
    match new.members.iter_mut().find(|m| m.name == member.name) {
        Some(place) => *place = member.clone(),
        None if count >= MEMBERS_MAX => {
            let (what, asked) = ("members of a data set", count + 1);
            return Err(Error::Limit { what, asked, max: MEMBERS_MAX });
        }
        None => new.members.push(member.clone()),
    }
    shared.0.insert(member.name.clone(), own.clone());
    Ok(())
}

/// Refuses a member that is not like the others; leaves what all of them have in common.
fn join(new: &mut Manifest, described: &Described) -> Result<()> {
    let Described { member, layout, attributes, .. } = described;
    let (theirs, own) = (&new.layout.record_codec, &layout.record_codec);
    if theirs.0 != own.0 {
        let why = format!(
            "the records of {} are {} (version {}), those of the data set {} (version {}): one data set \
             has records of one codec",
            member.name, own.0, own.1, theirs.0, theirs.1
        );
        return Err(Error::invalid("members", why));
    }
    // A data set of a version may have records of all earlier ones.
    new.layout.record_codec.1 = theirs.1.max(own.1);
    // A store without a record has nothing that could be in other units.
    if member.records == 0 {
        return Ok(());
    }
    if new.members.iter().all(|m| m.records == 0) {
        new.attributes = object(attributes);
    }
    let (theirs, own) = (new.attributes.get(UNITS), attributes.get(UNITS));
    if theirs != own {
        let show = |v: Option<&Value>| v.map_or_else(|| "not stated".into(), Value::to_string);
        let why = format!(
            "the units of {} are {}, those of the data set {}: bring them to the same units first",
            member.name,
            show(own),
            show(theirs)
        );
        return Err(Error::invalid("members", why));
    }
    if let Some(kept) = new.attributes.as_object_mut() {
        kept.retain(|name, value| attributes.get(name) == Some(value));
    }
    new.keep_columns(layout.columns());
    Ok(())
}

fn object(attributes: &Value) -> Value {
    match attributes {
        Value::Object(_) => attributes.clone(),
        _ => Value::Object(Map::new()),
    }
}

/// What a manifest says of the store `name` in `folder`, as the manifest of a data set that has only this
/// member; it is written nowhere. A process that wrote a member describes it, and one of all processes
/// publishes it without reading the file again: [`Edit::put_described`].
///
/// # Errors
/// As [`Edit::put`].
pub fn describe_member(
    folder: impl AsRef<Path>,
    name: &str,
    mut progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<Manifest> {
    let put = Change::Put(Box::new(describe(folder.as_ref(), name, &mut progress)?));
    let mut one = Manifest::default();
    let mut shared = Shared::of(&mut one);
    apply(&mut one, &put, &mut shared)?;
    shared.into(&mut one);
    Ok(one)
}

/// Puts stores of `folder` into its data set, which is made if there is none, and publishes them on top of
/// whatever others published meanwhile. Returns the number of the publication.
///
/// Each file is read whole; `progress` is told the bytes that were read and those of all files.
///
/// # Errors
/// As [`Edit::put`] and [`Edit::publish`], without [`Error::Conflict`]. Nothing is published then.
pub fn publish(
    folder: impl AsRef<Path>,
    names: &[impl AsRef<str>],
    mut progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<u64> {
    let folder = folder.as_ref();
    let mut edit = Edit::begin(folder)?;
    let size = |name: &str| std::fs::metadata(folder.join(name)).map_or(0, |about| about.len());
    let total: u64 = names.iter().map(|name| size(name.as_ref())).sum();
    let mut before = 0;
    for name in names.iter().map(AsRef::as_ref) {
        edit.put(name, |done, _| progress((before + done).min(total), total))?;
        before += size(name);
    }
    edit.publish_on_top()
}

impl Edit {
    /// As [`publish`](Self::publish), on top of whatever others publish meanwhile.
    ///
    /// # Errors
    /// As there, without [`Error::Conflict`].
    pub fn publish_on_top(&mut self) -> Result<u64> {
        loop {
            match self.publish() {
                Err(e) if matches!(e.root(), Error::Conflict { .. }) => self.rebase()?,
                done => return done,
            }
        }
    }
}
