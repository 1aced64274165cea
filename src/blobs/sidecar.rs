//! The small files with the tags of a content, beside its file.
//!
//! Each set of tags has a file of its own, named by its digest: two that add tags at once do not get in
//! each other's way, and the same tags are there once.

use super::digest::ContentDigest;
use super::storage::TAGS_ENDING;
use super::tags::Tags;
use crate::backend::{Access, Backend, StagedFile};
use crate::error::{Error, Result};
use crate::existing::Existing;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// Digits of the digest of a set of tags in the name of its file.
const DIGITS: usize = 16;
/// What names of files end in that are being written.
const PARTIAL: &str = ".partial";

fn io(op: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    move |e| Error::io(op, e).at(path)
}

/// Keeps `tags` beside the content at `path`; the file, if it is new. None are kept nowhere.
pub(super) fn add(path: &Path, digest: &ContentDigest, tags: &Tags) -> Result<Option<PathBuf>> {
    if tags.is_empty() {
        return Ok(None);
    }
    let json = tags.to_json();
    let name = ContentDigest::of(json.to_string().as_bytes(), "application/json", None)?;
    let short = name.hash().get(..DIGITS).unwrap_or_default();
    let mut file = OsString::from(path);
    file.push(format!(".{short}{TAGS_ENDING}"));
    let file = PathBuf::from(file);
    if file.exists() {
        return Ok(None);
    }
    let text = json!({"digest": digest.to_json(), "tags": json}).to_string();
    let staged = StagedFile::new(&file, Access::Pread)?;
    staged.backend().write_at(0, text.as_bytes()).map_err(|e| e.at(&file))?;
    match staged.publish(Existing::Refuse) {
        Ok(()) => Ok(Some(file)),
        Err(e) if matches!(e.root(), Error::Exists { .. }) => Ok(None),
        Err(e) => Err(e),
    }
}

/// The content to which a file of tags belongs.
fn content_of(file: &Path) -> Option<PathBuf> {
    let name = file.file_name()?.to_str()?.strip_suffix(TAGS_ENDING)?;
    let (content, short) = name.rsplit_once('.')?;
    let ours = short.len() == DIGITS && short.bytes().all(|b| b.is_ascii_hexdigit());
    ours.then(|| file.with_file_name(content))
}

fn parse(file: &Path) -> Result<(ContentDigest, Tags)> {
    let text = fs::read(file).map_err(io("read", file))?;
    let json: Value = serde_json::from_slice(&text)
        .map_err(|e| Error::codec("json", format!("the tags are damaged: {e}")).at(file))?;
    let part = |name: &str| json.get(name).unwrap_or(&Value::Null);
    let digest = ContentDigest::from_json(part("digest")).map_err(|e| e.at(file))?;
    Ok((digest, Tags::from_json(part("tags")).map_err(|e| e.at(file))?))
}

/// The sets of tags of the content at `path`.
pub(super) fn read(path: &Path) -> Result<Vec<Tags>> {
    let Some(folder) = path.parent() else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(io("list the folder", folder))? {
        let file = entry.map_err(io("list the folder", folder))?.path();
        if content_of(&file).as_deref() == Some(path) {
            found.push(parse(&file)?.1);
        }
    }
    found.sort();
    Ok(found)
}

/// Calls `f` with all files under `folder`.
fn each_file(folder: &Path, f: &mut dyn FnMut(PathBuf) -> Result<()>) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(io("list the folder", folder))? {
        let entry = entry.map_err(io("list the folder", folder))?;
        // Links are not followed: they may lead round.
        let kind = entry.file_type().map_err(io("look at", folder))?;
        if kind.is_dir() {
            each_file(&entry.path(), f)?;
        } else if kind.is_file() {
            f(entry.path())?;
        }
    }
    Ok(())
}

/// The contents under `root` with a set of tags that has all of `wanted`.
pub(super) fn tagged(root: &Path, wanted: &Tags) -> Result<BTreeMap<PathBuf, ContentDigest>> {
    let mut found = BTreeMap::new();
    each_file(root, &mut |file| {
        let Some(content) = content_of(&file).filter(|content| content.is_file()) else {
            return Ok(());
        };
        let (digest, tags) = parse(&file)?;
        if tags.have(wanted) {
            found.insert(content, digest);
        }
        Ok(())
    })?;
    Ok(found)
}

/// Deletes files that are left of killed writers.
pub(super) fn sweep(root: &Path) -> Result<u64> {
    let mut left = Vec::new();
    each_file(root, &mut |file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let partial = name.starts_with('.') && name.ends_with(PARTIAL);
        if partial || content_of(&file).is_some_and(|content| !content.exists()) {
            left.push(file);
        }
        Ok(())
    })?;
    for file in &left {
        fs::remove_file(file).map_err(io("delete", file))?;
    }
    Ok(left.len() as u64)
}
