//! What the manifest says of a member, found out from the store.

use super::key_ranges::{KeyRanges, hex};
use super::manifest::{MANIFEST, Member, is_member_name};
use super::reach::path_of;
use crate::backend::{Access, Backend, FileBackend, LockOutcome, WriterLock, sync_folder_of};
use crate::error::{Error, Result};
use crate::printable::printable_path;
use crate::store::{Layout, Opened, Readable, Snapshot, Store};
use crate::wire::{Digest, memory, to_usize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::path::{Component, Path};

/// Shared records of one member that the manifest lists, at most.
const SHARED_MAX: usize = 64;
/// Bytes of a file that are read at a time.
const PIECE: u64 = 1 << 20;

/// A store as it is about to be published.
#[derive(Debug, Clone)]
pub(super) struct Described {
    /// [`Member::shared`] is not set.
    pub(super) member: Member,
    pub(super) layout: Layout,
    pub(super) attributes: Value,
    /// Its shared records, if they are not too many to list.
    pub(super) shared: Option<Vec<Digest>>,
}

/// Reads what the manifest says of the store `name` in `folder`. Nobody can write to the store meanwhile.
/// `progress` is told the bytes of the file that were read and all of them.
pub(super) fn describe(
    folder: &Path,
    name: &str,
    progress: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Result<Described> {
    is_member_name(name)?;
    let path = path_of(folder, name);
    let _lock = lock(&path)?;
    // What is published must not be gone after a power cut while the manifest is there.
    let file = File::open(&path).map_err(|e| Error::io("open", e).at(&path))?;
    file.sync_all().map_err(|e| Error::io("sync", e).at(&path))?;
    sync_folder_of(&path)?;
    let snapshot = Store::open(&path)?.snapshot();
    describe_open(name, &snapshot, progress).map_err(|e| e.at(&path))
}

/// Keeps writers out, where the system can.
fn lock(path: &Path) -> Result<Option<WriterLock>> {
    // A file that cannot be opened for writing has no writer here.
    let Ok(file) = FileBackend::open_write(path, Access::Pread) else { return Ok(None) };
    match WriterLock::acquire(&file).map_err(|e| e.at(path))? {
        LockOutcome::Held(lock) => Ok(Some(lock)),
        LockOutcome::Unsupported => Ok(None),
    }
}

fn describe_open(
    name: &str,
    snapshot: &Snapshot,
    progress: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Result<Described> {
    let info = snapshot.info()?;
    match snapshot.opened() {
        Opened::Intact | Opened::Extended => {}
        Opened::Unchecked => {
            let why = "a file of the original program has no checksums to be known by; `vlstore copy` \
                       makes a store of it";
            return Err(Error::invalid("member", why));
        }
        _ => return Err(Error::Older { generation: info.generation, records: info.records }),
    }
    let mut keys = KeyRanges::default();
    let (mut weight, mut record_bytes) = (0_u64, 0_u64);
    snapshot.visit_index(&mut |_, key, place| {
        if let Some(key) = &key {
            keys.add(key);
        }
        weight = weight.saturating_add(u64::from(place.weight));
        record_bytes = record_bytes.saturating_add(place.len());
        Ok(())
    })?;
    let shared = snapshot.list_shared()?.into_iter().map(|(digest, _)| digest);
    let shared: Vec<Digest> = shared.take(SHARED_MAX + 1).collect();
    let (sha256, file_bytes) = sha256_of(&**snapshot.backend(), progress)?;
    let member = Member {
        name: name.into(),
        records: info.records,
        weight,
        record_bytes,
        file_bytes,
        file: snapshot.file_id().into(),
        commit: info.generation,
        deleted: info.dead_records,
        state: Some(snapshot.state_sum()),
        sha256,
        keys,
        shared: None,
    };
    Ok(Described {
        member,
        layout: snapshot.layout().clone(),
        attributes: snapshot.attributes(),
        shared: Some(shared).filter(|listed| listed.len() <= SHARED_MAX),
    })
}

/// The SHA-256 of a file in hexadecimal digits, and how long it is.
pub(crate) fn sha256_of(
    file: &dyn Backend,
    progress: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Result<(Box<str>, u64)> {
    let len = file.len()?;
    let mut sum = Sha256::new();
    let mut piece = memory::zeroed(to_usize(PIECE.min(len)).unwrap_or(usize::MAX))?;
    let mut at = 0;
    while at < len {
        progress(at, len)?;
        let n = to_usize(PIECE.min(len - at)).unwrap_or(usize::MAX);
        let part = piece.get_mut(..n).unwrap_or_default();
        file.read_at(at, part)?;
        sum.update(&*part);
        at += n as u64;
    }
    progress(len, len)?;
    Ok((hex(&sum.finalize()).into(), len))
}

/// The name that a store has, or would have, as a member of the data set in `folder`: `path` is that name
/// already, or a path of a file in the folder.
///
/// # Errors
/// [`Error::Invalid`] for a path that does not lead into the folder; [`Error::Io`] if the file does not exist.
pub fn member_name(folder: &Path, path: &Path) -> Result<String> {
    if let Some(name) = path.to_str().filter(|name| is_member_name(name).is_ok())
        && path_of(folder, name).is_file()
    {
        return Ok(name.into());
    }
    let failed = |e| Error::io("find the file", e).at(path);
    let outside = || {
        let why = format!(
            "it is not in the folder {}: a member lies in the folder of its data set",
            printable_path(folder)
        );
        Error::invalid("member", why).at(path)
    };
    std::fs::metadata(path).map_err(failed)?;
    // Folders by any way that leads there; but a file that is a link is the member under its name here.
    let file = path.file_name().ok_or_else(outside)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new(".")).canonicalize().map_err(failed)?;
    let inside = folder.canonicalize().map_err(|e| Error::io("find the folder", e).at(folder))?;
    let place = parent.join(file);
    let relative = place.strip_prefix(&inside).map_err(|_| outside())?;
    let names = relative.components().map(|part| match part {
        Component::Normal(name) => name.to_str(),
        _ => None,
    });
    let name = names.collect::<Option<Vec<_>>>().ok_or_else(outside)?.join("/");
    is_member_name(&name).map(|()| name).map_err(|e| e.at(path))
}

/// The names of the stores in `folder`, in order: its files `*.vls` and `*.vlstore`.
///
/// # Errors
/// [`Error::Io`] if the folder cannot be read.
pub fn stores_in(folder: &Path) -> Result<Vec<String>> {
    let failed = |e| Error::io("read the folder", e).at(folder);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let store = path.extension().is_some_and(|end| end == "vls" || end == "vlstore");
        if let Some(name) = path.file_name().and_then(|name| name.to_str())
            && store
            && !name.starts_with('.')
            && name != MANIFEST
            && path.is_file()
        {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}
