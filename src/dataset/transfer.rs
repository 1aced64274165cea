//! Data sets to and from object stores: members first, then the manifest in one step.

use super::manifest::{MANIFEST, Manifest, Member};
use super::reach::path_of;
use super::set::read_manifest;
use crate::backend::{Access, Backend as _, StagedFile};
use crate::error::{Error, Result};
use crate::existing::Existing;
use crate::limits::MANIFEST_MAX;
use crate::remote::{self, Prefix, PullOptions, Pulled, PushOptions, Pushed, is_missing};
use std::fs;
use std::path::Path;

fn no_manifest() -> Error {
    Error::NotAStore {
        why: "there is no manifest (vlstore-dataset.json), so it is not a data set; `vlstore publish FOLDER` \
              makes one of the stores in a folder",
    }
}

fn bytes_of(members: &[Member]) -> u64 {
    members.iter().map(|member| member.file_bytes).fold(0, u64::saturating_add)
}

/// Whether the publication `new` may take the place of `old`; `false` if it is the same.
fn follows(old: Option<&Manifest>, new: &Manifest, overwrite: bool) -> Result<bool> {
    match old {
        Some(old) if old == new => Ok(false),
        Some(old) if old.publication >= new.publication && !overwrite => {
            Err(Error::Conflict { known: new.publication, newest: old.publication })
        }
        _ => Ok(true),
    }
}

/// Uploads what is at `path`. A store goes to the address `url`, as [`remote::push`](crate::remote::push()) does
/// it. Of a data set the members go below that address, of each what differs, then the manifest, which takes the
/// place of the one that was there in one step; until then the data set there is as it was.
///
/// `progress` is told the bytes done and to do; its error ends the work.
///
/// # Errors
/// [`Error::NotAStore`] for a folder that is no data set; [`Error::Conflict`] if the data set there has a publication
/// that this one does not follow, or got one meanwhile: of two that publish at once one wins, and what the
/// other has uploaded stays in its folder. As [`remote::push`](crate::remote::push()).
pub fn push(
    path: impl AsRef<Path>,
    url: &str,
    options: &PushOptions,
    mut progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<Pushed> {
    let path = path.as_ref();
    match path.is_dir() {
        true => push_set(path, url, options, &mut progress),
        false => remote::push(path, url, options, progress),
    }
}

fn push_set(
    folder: &Path,
    url: &str,
    options: &PushOptions,
    progress: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Result<Pushed> {
    let manifest = read_manifest(folder)?.ok_or_else(|| no_manifest().at(folder))?;
    let prefix = Prefix::new(url, &options.remote)?;
    let found = prefix.get(MANIFEST, MANIFEST_MAX)?;
    let theirs = |text: &[u8]| Manifest::from_text(text).map_err(|e| e.at(url.as_ref()));
    let old = found.as_ref().map(|(text, _)| theirs(text)).transpose()?;
    let new =
        follows(old.as_ref(), &manifest, options.overwrite).map_err(|e| e.at(url.as_ref()))?;
    let total = bytes_of(&manifest.members);
    let mut out = Pushed { unchanged: !new, ..Pushed::default() };
    for member in &manifest.members {
        let before = out.bytes;
        let path = path_of(folder, &member.name);
        let mut step = |done: u64, _: u64| progress((before + done).min(total), total);
        let done = prefix.push(&member.name, &path, options, &mut step)?;
        out.bytes += done.bytes;
        out.sent += done.sent;
        out.unchanged &= done.unchanged;
    }
    if new {
        let text = manifest.to_text().into_bytes();
        let len = text.len() as u64;
        let known = found.as_ref().map(|(_, version)| &**version);
        if !prefix.put(MANIFEST, text, known)? {
            let newest = prefix.get(MANIFEST, MANIFEST_MAX)?;
            let newest = newest.map(|(text, _)| theirs(&text)).transpose()?;
            // The same may have been put by somebody else, or by this very request if its answer was lost.
            if newest.as_ref() != Some(&manifest) {
                let newest = newest.map_or(0, |newest| newest.publication);
                let known = old.map_or(0, |old| old.publication);
                return Err(Error::Conflict { known, newest }.at(url.as_ref()));
            }
        }
        out.sent += len;
    }
    progress(total, total)?;
    Ok(out)
}

/// Fetches what is at the address `url` to `path`. A store becomes a file, as
/// [`remote::pull`](crate::remote::pull()) does it, a data set a folder, which is made if it is not there: of each
/// member what differs, then the manifest.
///
/// `progress` is told the bytes done and to do; its error ends the work.
///
/// # Errors
/// [`Error::Conflict`] if the folder has a publication that the
/// one there does not follow. As [`remote::pull`](crate::remote::pull()).
pub fn pull(
    url: &str,
    path: impl AsRef<Path>,
    options: &PullOptions,
    mut progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<Pulled> {
    let path = path.as_ref();
    match remote::pull(url, path, options, &mut progress) {
        Err(e) if is_missing(&e) => match pull_set(url, path, options, &mut progress) {
            Err(none) if matches!(none.root(), Error::NotAStore { .. }) => Err(e),
            done => done,
        },
        done => done,
    }
}

fn pull_set(
    url: &str,
    folder: &Path,
    options: &PullOptions,
    progress: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Result<Pulled> {
    let prefix = Prefix::new(url, &options.remote)?;
    let found = prefix.get(MANIFEST, MANIFEST_MAX)?;
    let (text, _) = found.ok_or_else(|| no_manifest().at(url.as_ref()))?;
    let manifest = Manifest::from_text(&text).map_err(|e| e.at(url.as_ref()))?;
    let make = |folder: &Path| {
        fs::create_dir_all(folder).map_err(|e| Error::io("make the folder", e).at(folder))
    };
    make(folder)?;
    let old = read_manifest(folder)?;
    let new = follows(old.as_ref(), &manifest, options.overwrite).map_err(|e| e.at(folder))?;
    let total = bytes_of(&manifest.members);
    let mut out = Pulled { unchanged: !new, ..Pulled::default() };
    for member in &manifest.members {
        let before = out.bytes;
        let path = path_of(folder, &member.name);
        path.parent().map_or(Ok(()), make)?;
        let mut step = |done: u64, _: u64| progress((before + done).min(total), total);
        let done = prefix.pull(&member.name, &path, options, &mut step)?;
        out.bytes += done.bytes;
        out.fetched += done.fetched;
        out.kept += done.kept;
        out.unchanged &= done.unchanged;
    }
    if new {
        let staged = StagedFile::over(folder.join(MANIFEST), Access::Pread)?;
        staged.backend().write_at(0, &text)?;
        staged.publish(Existing::of(old.is_some() || options.overwrite))?;
    }
    progress(total, total)?;
    Ok(out)
}
