//! Consolidating an experiment into one file.

use super::compress::{DATA, compressed, is_large, threads};
use super::dataset::dataset;
use super::read::Consolidated;
use super::types::{attribute, datatype};
use super::{ARRAYS, ATTRIBUTES, FORM, LAYER, MARK, MARK_VERSION, OBJECTS, VERSION, hdf5_error};
use crate::backend::{Access, StagedFile};
use crate::error::{Error, Result};
use crate::existing::Existing;
use crate::experiments::array::Array;
use crate::experiments::head::{ArrayEntry, Trial, attributes_text};
use crate::experiments::object::Object;
use crate::experiments::raw_files::{named, refuse_input};
use crate::experiments::source::{Subjects, Task};
use hdf5_pure::{AttrValue, File, FileAccessProperties, FileBuilder, Group, SyncPolicy};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Bytes of arrays that are held in memory until they are written.
const BATCH: usize = 32 << 20;

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
        file.task(&format!("{subject}/{task}"), &*read, &mut |written| {
            done += written;
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
    /// Trials that are in memory only, and the bytes of their arrays.
    waiting: Vec<Waiting>,
    bytes: usize,
}

/// A trial that is to be written.
struct Waiting {
    /// The group of the task, and the place of the trial in it.
    at: String,
    number: usize,
    trial: Trial,
    arrays: Vec<(String, Array)>,
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
        Ok(Self { file, out, level, waiting: Vec::new(), bytes: 0 })
    }

    fn failed(&self, at: &str, error: hdf5_pure::Error) -> Error {
        hdf5_error(self.out, at, error)
    }

    fn group(&self, path: &str) -> Result<Group> {
        self.file.root().create_group(path).map_err(|e| self.failed(path, e))
    }

    /// `done` is told how many more trials are written.
    fn task(
        &mut self,
        path: &str,
        task: &dyn Task,
        done: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<()> {
        self.group(path)?;
        for (number, trial) in task.trials().iter().enumerate() {
            let read = |a: &ArrayEntry| Ok((a.name.clone(), task.array(number, &a.name)?));
            let arrays = trial.arrays.iter().map(read).collect::<Result<Vec<_>>>()?;
            self.bytes += arrays.iter().map(|(_, array)| array.data.len()).sum::<usize>();
            self.waiting.push(Waiting { at: path.into(), number, trial: trial.clone(), arrays });
            if self.bytes >= BATCH {
                done(self.settle()?)?;
            }
        }
        done(self.settle()?)?;
        if !task.objects().is_empty() {
            let objects = self.group(&format!("{path}/{OBJECTS}"))?;
            for name in task.objects() {
                let object = task.object(name)?;
                self.object(&objects, name, object)
                    .map_err(|e| self.failed(&format!("{path}/{name}"), e))?;
            }
        }
        self.commit(path)
    }

    /// Writes the trials that wait; how many they were.
    fn settle(&mut self) -> Result<u64> {
        let mut waiting = std::mem::take(&mut self.waiting);
        let several = self.level > 0 && threads() > 1;
        let large = waiting.iter().flat_map(|w| &w.arrays).filter(|(_, a)| is_large(a)).count();
        let mut places = Vec::new();
        let mut arrays = Vec::new();
        for Waiting { at, number, arrays: own, .. } in &mut waiting {
            let (here, compressed) = std::mem::take(own)
                .into_iter()
                .partition(|(_, array)| !several || large < 2 || !is_large(array));
            *own = here;
            let compressed: Vec<(String, Array)> = compressed;
            for (name, array) in compressed {
                places.push(format!("{at}/{number}/{name}"));
                arrays.push(array);
            }
        }
        let files = compressed(self.out, arrays, self.level)?;
        let count = waiting.len() as u64;
        let mut last = String::new();
        for trial in waiting {
            last = format!("{}/{}", trial.at, trial.number);
            self.trial(trial).map_err(|e| self.failed(&last, e))?;
        }
        for (at, file) in places.iter().zip(&files) {
            self.file.copy_from(file, DATA, at).map_err(|e| self.failed(at, e))?;
        }
        drop(files);
        if count > 0 {
            self.commit(&last)?;
        }
        Ok(count)
    }

    fn trial(&self, waiting: Waiting) -> Result<(), hdf5_pure::Error> {
        let Waiting { at, number, trial, arrays } = waiting;
        let order: Vec<&str> = trial.arrays.iter().map(|a| a.name.as_str()).collect();
        let order = json!(order).to_string();
        let mut kinds = Vec::new();
        for (_, array) in &arrays {
            kinds.push(datatype(array.dtype)?);
        }
        let level = self.level;
        self.file.root().create_group_with(&format!("{at}/{number}"), |g| {
            for (name, value) in &trial.attributes {
                if let Some(value) = attribute(name, value) {
                    g.set_attr(name, value);
                }
            }
            let text = attributes_text(&trial.attributes);
            g.set_attr(ATTRIBUTES, AttrValue::VarLenString(text));
            g.set_attr(ARRAYS, AttrValue::VarLenString(order));
            for ((name, array), kind) in arrays.into_iter().zip(kinds) {
                g.create_dataset(&name, |b| dataset(b, array, kind, level));
            }
        })?;
        Ok(())
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
        self.bytes += array.data.len();
        let level = self.level;
        group.create_dataset(name, |b| {
            dataset(b, array, kind, level);
            b.set_attr(FORM, AttrValue::String(form.into()));
        })?;
        if self.bytes < BATCH {
            return Ok(());
        }
        self.bytes = 0;
        self.file.commit()
    }

    fn commit(&mut self, at: &str) -> Result<()> {
        self.bytes = 0;
        self.file.commit().map_err(|e| self.failed(at, e))
    }

    fn end(mut self) -> Result<()> {
        self.commit("file")?;
        self.file.close().map_err(|e| hdf5_error(self.out, "file", e))
    }
}

fn of_bytes(data: Vec<u8>) -> Array {
    Array { dtype: crate::codec::DType::U8, shape: vec![data.len() as u64], data }
}
