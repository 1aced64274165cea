//! Experiments as they lie somewhere: recognised, read, and taken over into a root of ours.

use super::archive::Archive;
use super::array::Array;
use super::hdf5::Consolidated;
use super::original::Original;
use super::source::{Subjects, Task};
use super::storage::{Storage, check_root};
use super::task::{Acquired, StoredTask, TaskOptions, TaskWriter};
use crate::backend::{sync_folder_of, temporary_name};
use crate::error::{Error, Result};
use crate::existing::Existing;
use std::fs;
use std::io::Read;
use std::path::Path;

/// Opens the experiment at `path` for reading: a folder of ours or of the original program, an
/// archive, or a consolidated file.
///
/// # Errors
/// [`Error::Io`] if there is nothing; [`Error::Format`] or [`Error::Invalid`] for what is no
/// experiment, such as the folder of a subject, and for an archive that lost the folders of its experiment.
pub fn open_experiment(path: impl AsRef<Path>) -> Result<Box<dyn Subjects>> {
    let path = path.as_ref();
    let about = fs::metadata(path).map_err(|e| Error::io("open the experiment", e).at(path))?;
    if about.is_dir() {
        check_root(path, true)?;
        return Ok(match original_at(path)? {
            Some(original) => Box::new(original),
            None => Box::new(Storage::open(path)?),
        });
    }
    match &start_of(path)? {
        b"PK\x03\x04" | b"PK\x05\x06" => Ok(Box::new(Archive::open(path)?)),
        b"\x89HDF" => Ok(Box::new(Consolidated::open(path)?)),
        _ if StoredTask::is_at(path) => {
            let why = "this is one task; give the folder of its experiment, two above it, or read it alone \
                       with `Storage`";
            Err(Error::invalid("experiment", why).at(path))
        }
        _ => {
            let why = "this is no experiment: neither a folder nor an archive (zip) nor a \
                       consolidated file (HDF5)";
            Err(Error::invalid("path", why).at(path))
        }
    }
}

fn start_of(path: &Path) -> Result<[u8; 4]> {
    let mut start = [0; 4];
    let read = fs::File::open(path).and_then(|mut file| file.read(&mut start));
    read.map_err(|e| Error::io("read", e).at(path))?;
    Ok(start)
}

/// The experiment of the original program at `path`, if it is one; a folder that is of ours, too, is
/// refused.
fn original_at(path: &Path) -> Result<Option<Original>> {
    if !Original::is_at(path)? {
        return Ok(None);
    }
    let ours = Storage::open(path)?;
    for subject in ours.subjects()? {
        if let Some(task) = ours.tasks(&subject)?.first() {
            let why = format!(
                "it has tasks of ours ({subject}/{task}) and of the original program; import the \
                 latter into another folder first"
            );
            return Err(Error::invalid("experiment", why).at(path));
        }
    }
    Ok(Some(Original::open(path)?))
}

/// What [`import_experiment`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportedExperiment {
    /// Tasks that were made, of all subjects together.
    pub tasks: u64,
    /// Trials in them.
    pub trials: u64,
    /// What is in no task, and stayed where it is: see [`Subjects::left_out`].
    pub left_out: Vec<String>,
    /// Trials that were begun and never written: they are not taken over.
    pub unfinished: u64,
}

/// Takes the experiment at `from` over into the root `to`: every subject, task, trial, array and
/// single object. Each task appears when it is complete.
///
/// # Errors
/// [`Error::Exists`] if a task is there already: then nothing was made. Else what reading and
/// writing fails with; tasks before it are there.
pub fn import_experiment(
    from: &Path,
    to: &Storage,
    mut progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<ImportedExperiment> {
    let source = open_experiment(from)?;
    let mut done = ImportedExperiment { left_out: source.left_out()?, ..Default::default() };
    let (mut all, mut total) = (Vec::new(), 0);
    let subjects = source.subjects()?;
    for subject in &subjects {
        for task in source.tasks(subject)? {
            let path = to.task_path(subject, &task)?;
            if path.try_exists().unwrap_or(true) {
                let what = format!("task {task:?} of subject {subject:?}").into();
                return Err(Error::Exists { what, instead: None }.at(&path));
            }
            let read = source.task(subject, &task)?;
            total += read.trials().len() as u64;
            done.unfinished += read.unfinished().len() as u64;
            all.push((subject, task, path));
        }
    }
    for subject in &subjects {
        to.make_subject(subject)?;
    }
    for (subject, task, path) in all {
        let aside = path.with_file_name(temporary_name(None, random()));
        let read = source.task(subject, &task)?;
        let mut written = || -> Result<()> {
            copy_task(&*read, &from.join(subject).join(&task), &aside, &mut || {
                done.trials += 1;
                progress(done.trials, total)
            })?;
            publish(&aside, &path)
        };
        // By its name, which nobody has heard of before.
        let written = written().map_err(|e| match e {
            Error::File { path: of, source } if *of == *aside => source.at(&path),
            other => other.at(&path),
        });
        if written.is_err() {
            // What was written aside; nothing else is ever deleted.
            let _ = fs::remove_file(&aside);
        }
        written?;
        done.tasks += 1;
    }
    Ok(done)
}

fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

/// Gives a complete task its name.
fn publish(aside: &Path, path: &Path) -> Result<()> {
    if path.try_exists().unwrap_or(true) {
        let what = crate::printable::printable_path(path).into();
        return Err(Error::Exists { what, instead: None }.at(path));
    }
    fs::rename(aside, path).map_err(|e| Error::io("rename to", e).at(path))?;
    sync_folder_of(path)
}

/// `place` names the task in messages.
fn copy_task(
    from: &dyn Task,
    place: &Path,
    to: &Path,
    done: &mut dyn FnMut() -> Result<()>,
) -> Result<()> {
    let mut writer = TaskWriter::create(to, Existing::Refuse, TaskOptions::default())?;
    for (i, trial) in from.trials().iter().enumerate() {
        let arrays = trial.arrays.iter().map(|entry| from.array(i, &entry.name));
        let arrays: Vec<Array> = arrays.collect::<Result<_>>()?;
        let mut given = Vec::new();
        for (entry, array) in trial.arrays.iter().zip(&arrays) {
            given.push((entry.name.as_str(), entry.axis, Acquired::Whole(array.view()?)));
        }
        writer.write(None, &trial.attributes, &given).map_err(|e| match e {
            // What is wrong is in the trial that was read.
            Error::Invalid { .. } => e.at(&place.join(i.to_string())),
            other => other,
        })?;
        done()?;
    }
    for name in from.objects() {
        writer.put_object(name, &from.object(name)?)?;
    }
    writer.close()
}
