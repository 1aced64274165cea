//! Consolidating an experiment into one file.

use super::read::Consolidated;
use super::types::{attribute, datatype};
use super::{ARRAYS, ATTRIBUTES, FORM, LAYER, MARK, MARK_VERSION, OBJECTS, VERSION, hdf5_error};
use crate::backend::{Access, StagedFile};
use crate::error::{Error, Result};
use crate::existing::Existing;
use crate::experiments::array::Array;
use crate::experiments::head::{Trial, attributes_text};
use crate::experiments::object::Object;
use crate::experiments::source::{Subjects, Task};
use crate::experiments::whole::{named, refuse_input};
use hdf5_pure::{
    AttrValue, DatasetBuilder, File, FileAccessProperties, FileBuilder, Group, SyncPolicy,
};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Bytes of arrays that are held in memory until they are written.
const BATCH: usize = 32 << 20;
/// Values are compressed in pieces of at most about so many bytes.
const CHUNK: u64 = 1 << 20;

/// How an experiment is consolidated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsolidateOptions {
    /// What becomes of a file that has the name of the new one.
    pub existing: Existing,
    /// Effort of the compression, 0 (none) to 9.
    pub level: u32,
}

impl Default for ConsolidateOptions {
    fn default() -> Self {
        Self { existing: Existing::Refuse, level: 4 }
    }
}

/// Writes the experiment `from`, which lies at `root`, to one file of HDF5, and returns its name:
/// by default that of `root` with `.hdf5`, beside it. The file appears when it is complete, and can
/// be added to later. `progress` is told how many trials of how many are written.
///
/// # Errors
/// [`Error::Exists`] if there is a file already and it is not to be replaced; [`Error::Invalid`] if
/// it is one that is read (a file of the experiment, or the archive itself); [`Error::Io`] if the
/// disk is full: then nothing is left; what reading the experiment fails with.
pub fn storage_to_hdf5(
    from: &dyn Subjects,
    root: &Path,
    outfile: Option<&Path>,
    options: ConsolidateOptions,
    mut progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<PathBuf> {
    if options.level > 9 {
        return Err(Error::invalid("level", format!("{} is not one of 0 to 9", options.level)));
    }
    let (_, out) = named(root, outfile, ".hdf5")?;
    if options.existing == Existing::Refuse && std::fs::symlink_metadata(&out).is_ok() {
        return Err(Error::Exists {
            what: crate::printable::printable_path(&out).into(),
            instead: Some("`overwrite`"),
        }
        .at(&out));
    }
    if options.existing == Existing::Replace {
        refuse_input(root, &out, |out| Consolidated::open(out).is_ok())?;
    }
    let mut tasks = Vec::new();
    let mut total = 0;
    let subjects = from.subjects()?;
    for subject in &subjects {
        for task in from.tasks(subject)? {
            let read = from.task(subject, &task)?;
            total += read.trials().len() as u64;
            tasks.push((subject.clone(), task));
        }
    }
    progress(0, total)?;
    let staged = StagedFile::new(&out, Access::Pread)?;
    let mut done = 0;
    let mut file = Out::new(&out, &staged.backend().path(), options.level)?;
    for subject in &subjects {
        file.group(subject)?;
    }
    for (subject, task) in &tasks {
        let read = from.task(subject, task)?;
        file.task(&format!("{subject}/{task}"), &*read, &mut || {
            done += 1;
            progress(done, total)
        })?;
    }
    file.end()?;
    staged.publish(options.existing)?;
    progress(total, total)?;
    Ok(out)
}

/// The file that is being written.
struct Out<'a> {
    file: File,
    out: &'a Path,
    level: u32,
    waiting: usize,
}

impl<'a> Out<'a> {
    /// `out` is how the file will be called, `path` how it is called now.
    fn new(out: &'a Path, path: &Path, level: u32) -> Result<Self> {
        let failed = |e| hdf5_error(out, "file", e);
        let mut empty = FileBuilder::new();
        empty.set_attr(MARK, AttrValue::String(LAYER.into()));
        empty.set_attr(MARK_VERSION, AttrValue::I64(VERSION));
        empty.write(path).map_err(failed)?;
        // The file is synced once, before it gets its name.
        let how = FileAccessProperties::new().with_sync_policy(SyncPolicy::OnClose);
        let file = File::open_rw_with_options(path, how).map_err(failed)?;
        Ok(Self { file, out, level, waiting: 0 })
    }

    fn group(&self, path: &str) -> Result<Group> {
        self.file.root().create_group(path).map_err(|e| hdf5_error(self.out, path, e))
    }

    fn task(
        &mut self,
        path: &str,
        task: &dyn Task,
        done: &mut dyn FnMut() -> Result<()>,
    ) -> Result<()> {
        let group = self.group(path)?;
        for (i, trial) in task.trials().iter().enumerate() {
            let arrays =
                trial.arrays.iter().map(|a| Ok((a.name.as_str(), task.array(i, &a.name)?)));
            let arrays = arrays.collect::<Result<Vec<_>>>()?;
            self.trial(&group, &i.to_string(), trial, arrays)
                .map_err(|e| hdf5_error(self.out, &format!("{path}/{i}"), e))?;
            done()?;
        }
        if !task.objects().is_empty() {
            let objects = self.group(&format!("{path}/{OBJECTS}"))?;
            for name in task.objects() {
                let object = task.object(name)?;
                self.object(&objects, name, object)
                    .map_err(|e| hdf5_error(self.out, &format!("{path}/{name}"), e))?;
            }
        }
        self.commit().map_err(|e| hdf5_error(self.out, path, e))
    }

    fn trial(
        &mut self,
        group: &Group,
        number: &str,
        trial: &Trial,
        arrays: Vec<(&str, Array)>,
    ) -> Result<(), hdf5_pure::Error> {
        let order: Vec<&str> = arrays.iter().map(|(name, _)| *name).collect();
        let order = json!(order).to_string();
        let bytes: usize = arrays.iter().map(|(_, array)| array.data.len()).sum();
        let mut kinds = Vec::new();
        for (_, array) in &arrays {
            kinds.push(datatype(array.dtype)?);
        }
        let level = self.level;
        group.create_group_with(number, |g| {
            for (name, value) in &trial.attributes {
                if let Some(value) = attribute(name, value) {
                    g.set_attr(name, value);
                }
            }
            let text = attributes_text(&trial.attributes);
            g.set_attr(ATTRIBUTES, AttrValue::VarLenString(text));
            g.set_attr(ARRAYS, AttrValue::VarLenString(order));
            for ((name, array), kind) in arrays.into_iter().zip(kinds) {
                g.create_dataset(name, |b| dataset(b, array, kind, level));
            }
        })?;
        self.waiting += bytes;
        if self.waiting >= BATCH { self.commit() } else { Ok(()) }
    }

    fn object(
        &mut self,
        group: &Group,
        name: &str,
        object: Object,
    ) -> Result<(), hdf5_pure::Error> {
        let (form, array) = match object {
            Object::Bytes(data) => ("bytes", of_bytes(data)),
            Object::Array(array) => ("array", array),
            Object::Json(value) => ("json", of_bytes(value.to_string().into_bytes())),
        };
        let kind = datatype(array.dtype)?;
        self.waiting += array.data.len();
        let level = self.level;
        group.create_dataset(name, |b| {
            dataset(b, array, kind, level);
            b.set_attr(FORM, AttrValue::String(form.into()));
        })?;
        if self.waiting >= BATCH { self.commit() } else { Ok(()) }
    }

    fn commit(&mut self) -> Result<(), hdf5_pure::Error> {
        self.waiting = 0;
        self.file.commit()
    }

    fn end(mut self) -> Result<()> {
        self.commit().map_err(|e| hdf5_error(self.out, "file", e))?;
        self.file.close().map_err(|e| hdf5_error(self.out, "file", e))
    }
}

fn of_bytes(data: Vec<u8>) -> Array {
    Array { dtype: crate::codec::DType::U8, shape: vec![data.len() as u64], data }
}

/// Sets up a data set of an array.
pub(super) fn dataset(
    builder: &mut DatasetBuilder,
    array: Array,
    kind: hdf5_pure::Datatype,
    level: u32,
) {
    let Array { dtype, shape, data } = array;
    let size = dtype.size() as u64;
    let count = (data.len() / dtype.size()) as u64;
    if count == 0 {
        builder.with_dtype(kind).with_shape(&shape);
        return;
    }
    builder.with_raw_data(kind, data, count).with_shape(&shape);
    // A single value has no axis to be cut along.
    if shape.is_empty() {
        return;
    }
    builder.with_chunks(&chunk_shape(&shape, size));
    // Either way with a checksum: that of the compressed pieces, or one of their own.
    if level == 0 {
        builder.with_fletcher32();
    } else {
        builder.with_shuffle().with_deflate(level);
    }
}

/// Lengths of the pieces in which an array is compressed: the longest axis is cut first.
fn chunk_shape(shape: &[u64], size: u64) -> Vec<u64> {
    let mut chunk = shape.to_vec();
    loop {
        let bytes = chunk.iter().product::<u64>().saturating_mul(size);
        if bytes <= CHUNK {
            return chunk;
        }
        match chunk.iter_mut().max() {
            Some(longest) if *longest > 1 => *longest = longest.div_ceil(2),
            _ => return chunk,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_small_and_cover_small_arrays_whole() {
        assert_eq!(chunk_shape(&[64, 1000], 8), [64, 1000]);
        assert_eq!(chunk_shape(&[1 << 21], 4), [1 << 18]);
        let chunk = chunk_shape(&[64, 100_000], 8);
        assert!(chunk[0] == 64 && chunk.iter().product::<u64>() * 8 <= CHUNK, "{chunk:?}");
    }
}
