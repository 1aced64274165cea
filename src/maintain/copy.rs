//! Copying into a new store: other options, a selection, a newer version of the format.

use crate::backend::{Backend, StagedFile};
use crate::dataset::Source;
use crate::error::{Error, Result};
use crate::existing::Existing;
use crate::key::Key;
use crate::maintain::compact::refuse_older;
use crate::maintain::select::Select;
use crate::maintain::shared_transfer::{Refers, SharedTransfer};
use crate::maintain::transfer::{Item, RecordTransfer, stream};
use crate::store::Readable;
use crate::store::options::{Durability, Layout, ReadOptions, StoreOptions, WriteOptions};
use crate::store::target::may_appear;
use crate::store::write::writer::Writer;
use std::path::Path;
use std::sync::Arc;

/// How [`copy`] goes about it.
#[derive(Debug, Clone, Default)]
pub struct CopyOptions {
    /// Which records.
    pub select: Select,
    /// What the new store is made with; `None` makes it as the old one is. The record codec is
    /// always that of the source: its records are copied byte for byte. Start from
    /// [`Readable::layout`](crate::Readable::layout) of the source to change a few.
    pub layout: Option<Layout>,
    /// How the new store is written, and the old one read.
    pub write: WriteOptions,
    /// Whether a store that is there is replaced; a file that is not a store never is.
    pub overwrite: bool,
    /// Whether a source whose newest commit cannot be read is copied as of an older one.
    pub accept_older: bool,
    /// How records refer to shared ones (`Some(codec::refers)`): only those are copied that a
    /// chosen record refers to. `None` copies all.
    pub refers: Option<Refers>,
}

/// What was written to one new store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Copied {
    /// Records.
    pub records: u64,
    /// Shared records, to which others refer.
    pub shared: u64,
    /// Their bytes, decoded.
    pub record_bytes: u64,
    /// Length of the new file in bytes.
    pub file_bytes: u64,
}

/// Copies records of the store or data set at `from` to a new store at `to`: with other options, or only a
/// selection, or to bring a file of an older version or of the original program to the newest
/// version. Order, weights and attributes stay. Records stream in bounded memory.
///
/// The new file appears under its name when it is whole; `from` is only read. `progress` is told
/// the bytes done and to do; its error ends the work, and no file appears.
///
/// # Errors
/// [`Error::Exists`] if there is a file at `to`, [`Error::NotFound`] for a key of the selection
/// that is not there, [`Error::Invalid`] for options that cannot work or if the newest commit of
/// the source cannot be read; [`Error::Corrupt`] with the record for damage; [`Error::Io`].
pub fn copy(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    options: &CopyOptions,
    progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<Copied> {
    copy_with(from, to, options, None, |_, _, _| Ok(false), progress)
}

/// As [`copy`], with records that are written in another way: `rewrite` gets the bytes of each, the
/// new store, in which it may share what they refer to, and room for the new bytes; it returns
/// whether it gives any. What the index keeps of the record (key, weight, row) stays. With a `version` the new store
/// states that version of its record codec, and `rewrite` makes such records of all.
///
/// # Errors
/// As [`copy`]; what `rewrite` returns, with the record.
pub fn copy_with(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    options: &CopyOptions,
    version: Option<u32>,
    mut rewrite: impl FnMut(&[u8], &mut Writer, &mut Vec<u8>) -> Result<bool>,
    mut progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<Copied> {
    let (from, to) = (from.as_ref(), to.as_ref());
    let source = open_source(from, &options.write.reading(), options.accept_older)?;
    let new = new_options(options.layout.as_ref(), &options.write, &source);
    let existing = Existing::of(options.overwrite);
    let mut target = Target::with_version(to, &source, &new, existing, version)?;
    let writer = &mut target.writer;
    let rewrite: Rewrite<'_> = &mut rewrite;
    copy_some(&source, writer, &options.select, options.refers, rewrite, &mut progress)
        .map_err(|e| e.at(from))?;
    target.finish()?.publish()
}

type Rewrite<'a> = &'a mut dyn FnMut(&[u8], &mut Writer, &mut Vec<u8>) -> Result<bool>;

fn copy_some(
    source: &Source,
    writer: &mut Writer,
    select: &Select,
    refers: Option<Refers>,
    rewrite: Rewrite<'_>,
    progress: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Result<Copied> {
    let chosen = select.check(&**source)?;
    let total = source.record_bytes();
    let mut seen = 0;
    let mut out = Copied::default();
    let mut space = Vec::new();
    for part in source.parts() {
        let part = part?;
        let mut carry =
            SharedTransfer::new(&part.snapshot, refers, writer).map_err(|e| part.named(e))?;
        let mut carrier = RecordTransfer::new(&part.snapshot, writer);
        let copied = stream(
            &part.snapshot,
            |ordinal, key, len| {
                if ordinal >= part.records {
                    return Ok(false);
                }
                seen += len;
                if ordinal.is_multiple_of(4096) {
                    progress(seen.min(total), total)?;
                }
                Ok(chosen.takes(part.first + ordinal, key))
            },
            |item| {
                carry.before(item.key, item.bytes, writer)?;
                space.clear();
                let named = |e: Error| {
                    let key = item.key.map_or_else(|| "without a key".into(), Key::to_string);
                    match e {
                        Error::Codec { .. } => {
                            Error::Record { key: key.into(), source: Box::new(e) }
                        }
                        other => other.of_record(&key),
                    }
                };
                let other = rewrite(item.bytes, writer, &mut space).map_err(named)?;
                let item = if other { Item { bytes: &space, ..item } } else { item };
                carrier.put(writer, item.key, &item)?;
                out.records += 1;
                out.record_bytes += item.bytes.len() as u64;
                Ok(())
            },
        );
        copied.map_err(|e| part.named(e))?;
    }
    progress(total, total)?;
    out.shared = writer.reader.totals.shared;
    let attributes = source.attributes();
    if attributes.is_object() {
        writer.set_attributes(&attributes)?;
    }
    Ok(out)
}

/// Opens a store or a data set that is only read from, as it must be for a copy to be one.
pub(crate) fn open_source(
    path: &Path,
    options: &ReadOptions,
    accept_older: bool,
) -> Result<Source> {
    let source = Source::open_with(path, options)?;
    if let Source::Store(snapshot) = &source {
        refuse_older(snapshot, accept_older).map_err(|e| e.at(path))?;
    }
    Ok(source)
}

/// The options of a new store with this layout, or that of `source`.
pub(crate) fn new_options(
    layout: Option<&Layout>,
    write: &WriteOptions,
    source: &Source,
) -> StoreOptions {
    StoreOptions { layout: layout.unwrap_or_else(|| source.layout()).clone(), write: write.clone() }
}

/// A new store beside the place where it is to appear.
pub(crate) struct Target {
    staged: StagedFile,
    pub(crate) writer: Writer,
    existing: Existing,
}

/// A new store that is written and waits for its name.
pub(crate) struct UnpublishedStore {
    staged: StagedFile,
    copied: Copied,
    existing: Existing,
}

impl Target {
    /// One with `options`, for records of the codec of `source`.
    pub(crate) fn new(
        to: &Path,
        source: &Source,
        options: &StoreOptions,
        existing: Existing,
    ) -> Result<Self> {
        Self::with_version(to, source, options, existing, None)
    }

    /// The same, for records of another version of that codec.
    pub(crate) fn with_version(
        to: &Path,
        source: &Source,
        options: &StoreOptions,
        existing: Existing,
        version: Option<u32>,
    ) -> Result<Self> {
        may_appear(to, existing)?;
        let (codec, own) = source.layout().record_codec.clone();
        // A store without columns gets those that were asked for, if its records allow it.
        let kept = source.layout().columns();
        let columns =
            if kept.is_empty() { options.layout.columns.clone() } else { Some(kept.to_vec()) };
        let layout = Layout {
            record_codec: (codec, version.unwrap_or(own)),
            columns,
            file_id: None,
            ..options.layout.clone()
        };
        // One commit at the end; publishing syncs the file.
        let write = WriteOptions { durability: Durability::None, ..options.write.clone() };
        let new = StoreOptions { layout, write };
        let staged = StagedFile::over(to, options.write.access)?;
        let backend: Arc<dyn Backend> = staged.backend().clone();
        let writer = Writer::create_in(backend, &new).map_err(|e| e.at(to))?;
        Ok(Self { staged, writer, existing })
    }

    /// Commits and seals.
    pub(crate) fn finish(self) -> Result<UnpublishedStore> {
        let Self { staged, writer, existing } = self;
        let place = staged.place().to_path_buf();
        let records = writer.len();
        let totals = writer.reader.totals;
        let shared_bytes = writer.reader.shared_bytes()?;
        let backend = writer.backend().clone();
        writer.close().map_err(|e| e.at(&place))?;
        let copied = Copied {
            records,
            shared: totals.shared,
            record_bytes: totals.record_bytes.saturating_sub(totals.dead_bytes + shared_bytes),
            file_bytes: backend.len()?,
        };
        Ok(UnpublishedStore { staged, copied, existing })
    }
}

impl UnpublishedStore {
    pub(crate) fn publish(self) -> Result<Copied> {
        self.staged.publish(self.existing)?;
        Ok(self.copied)
    }
}
