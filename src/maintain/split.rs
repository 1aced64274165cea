//! One store into several, numbered files.

use crate::error::{Error, Result};
use crate::existing::Existing;
use crate::key::Key;
use crate::maintain::copy::{Copied, Target, UnpublishedStore, new_options, open_source};
use crate::maintain::shared_transfer::{Refers, SharedTransfer};
use crate::maintain::transfer::{RecordTransfer, stream};
use crate::store::Readable;
use crate::store::options::{Layout, WriteOptions};
use crate::store::read::snapshot::Snapshot;
use crate::store::target::may_appear;
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Most files of one split: each is open until all are whole.
pub const SPLIT_MAX: usize = 512;

/// Where a new file begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SplitBy {
    /// After so many records.
    Records(u64),
    /// Before the bytes of the records, decoded, exceed this; a larger record has a file of its
    /// own.
    Bytes(u64),
    /// At the records under these keys.
    Keys(Vec<Key>),
}

/// How [`split`] goes about it.
#[derive(Debug, Clone, Default)]
pub struct SplitOptions {
    /// What the new stores are made with; `None` makes them as the old one is.
    pub layout: Option<Layout>,
    /// How the new store is written, and the old one read.
    pub write: WriteOptions,
    /// Whether stores that are there are replaced; a file that is not a store never is.
    pub overwrite: bool,
    /// Whether a source whose newest commit cannot be read is split as of an older one.
    pub accept_older: bool,
    /// How records refer to shared ones (`Some(codec::refers)`): each new store gets those that
    /// its records refer to. `None` gives all to each.
    pub refers: Option<Refers>,
}

/// Writes the records of the store at `from` to several new stores, in order: `name-000.ext`,
/// `name-001.ext` and so on for a `to` of `name.ext`. Each has the attributes of the source.
/// The files appear when all are whole; the source is only read.
///
/// `progress` is told the bytes done and to do; its error ends the work, and no file appears.
///
/// # Errors
/// [`Error::Exists`] if there is a file under one of the names, [`Error::NotFound`] for a key
/// that is not there, [`Error::Invalid`] for parts of no size, [`Error::Limit`] for more than
/// [`SPLIT_MAX`] files; [`Error::Corrupt`] with the record for damage; [`Error::Io`].
pub fn split(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    by: &SplitBy,
    options: &SplitOptions,
    mut progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<Vec<(PathBuf, Copied)>> {
    let (from, to) = (from.as_ref(), to.as_ref());
    let source = open_source(from, &options.write.reading(), options.accept_older)?;
    let ends = ends(&source, by)?;
    let names = names(to, ends.len())?;
    names.iter().try_for_each(|name| may_appear(name, Existing::of(options.overwrite)))?;
    let new = new_options(options.layout.as_ref(), &options.write, &source);
    let totals = source.inner().reader.totals;
    let total = totals.record_bytes.saturating_sub(totals.dead_bytes);
    let attributes = source.attributes();
    let start = |i: usize| -> Result<Option<(Target, SharedTransfer<'_>)>> {
        let Some(name) = names.get(i) else { return Ok(None) };
        let mut target = Target::new(name, &source, &new, Existing::of(options.overwrite))?;
        if attributes.is_object() {
            target.writer.set_attributes(&attributes)?;
        }
        let carry = SharedTransfer::new(&source, options.refers, &mut target.writer)?;
        Ok(Some((target, carry)))
    };
    let finish = |part: (Target, SharedTransfer<'_>)| part.0.finish();
    let mut ready: Vec<UnpublishedStore> = Vec::new();
    let mut now = start(0)?;
    let (mut ordinal, mut done) = (0, 0);
    stream(
        &source,
        |_, _, _| Ok(true),
        |item| {
            if ends.get(ready.len()).is_some_and(|end| *end == ordinal) {
                ready.extend(now.take().map(finish).transpose()?);
                now = start(ready.len())?;
            }
            ordinal += 1;
            if let Some((target, carry)) = &mut now {
                carry.before(item.key, item.bytes, &mut target.writer)?;
                RecordTransfer::new(&source, &target.writer).put(
                    &mut target.writer,
                    item.key,
                    &item,
                )?;
            }
            done += item.bytes.len() as u64;
            progress(done.min(total), total)
        },
    )
    .map_err(|e| e.at(from))?;
    ready.extend(now.take().map(finish).transpose()?);
    let published = ready.into_iter().map(UnpublishedStore::publish).collect::<Result<Vec<_>>>()?;
    Ok(names.into_iter().zip(published).collect())
}

/// Behind which ordinal each part ends.
fn ends(source: &Snapshot, by: &SplitBy) -> Result<Vec<u64>> {
    let starts: HashSet<&Key> = match by {
        SplitBy::Records(0) | SplitBy::Bytes(0) => {
            return Err(Error::invalid("size of a part", "is 0; give 1 or more"));
        }
        SplitBy::Keys(keys) => keys.iter().collect(),
        _ => HashSet::new(),
    };
    for key in &starts {
        if !source.contains(*key)? {
            return Err(Error::NotFound { key: key.to_string().into() });
        }
    }
    let mut ends = Vec::new();
    let (mut records, mut bytes) = (0, 0_u64);
    source.for_each(|ordinal, key, place| {
        let full = match by {
            SplitBy::Records(most) => records >= *most,
            SplitBy::Bytes(most) => bytes.saturating_add(place.len()) > *most,
            SplitBy::Keys(_) => key.is_some_and(|k| starts.contains(&k)),
        };
        if full && records > 0 {
            ends.push(ordinal);
            (records, bytes) = (0, 0);
            if ends.len() >= SPLIT_MAX {
                return Err(Error::Limit {
                    what: "files of one split",
                    asked: ends.len() as u64 + 1,
                    max: SPLIT_MAX as u64,
                });
            }
        }
        records += 1;
        bytes = bytes.saturating_add(place.len());
        Ok(())
    })?;
    ends.push(source.len());
    Ok(ends)
}

/// The names of `count` parts; any bytes that a file system allows stay as they are.
fn names(to: &Path, count: usize) -> Result<Vec<PathBuf>> {
    let Some(stem) = to.file_stem() else {
        return Err(Error::invalid("path", "this path does not name a file").at(to));
    };
    let name = |i: usize| {
        let mut name = OsString::from(stem);
        name.push(format!("-{i:03}"));
        if let Some(end) = to.extension() {
            name.push(".");
            name.push(end);
        }
        to.with_file_name(name)
    };
    Ok((0..count).map(name).collect())
}
