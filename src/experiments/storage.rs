//! The folder of an experiment: a folder for each subject, a store in it for each task.

use super::files::{Folder, Kind, Listing, beside_tasks};
use super::folder_level::level;
use super::names::{self, SUFFIX, task_of};
use super::original::Original;
use super::source::{Subjects, Task, no_subject, no_task};
use super::task::{StoredTask, TaskOptions, TaskWriter};
use super::views::Views;
use crate::error::{Error, Result};
use crate::existing::Existing;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The data of an experiment: `root/SUBJECT/TASK.vls`.
///
/// Subjects and tasks are files of their own, so several processes can acquire at once, and
/// experiments are merged by bringing the folders of their subjects under one root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    root: PathBuf,
}

impl Storage {
    /// The experiment at `root`, which is made if it does not exist.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder cannot be made, [`Error::Invalid`] if it is that of a subject.
    pub fn create(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        fs::create_dir_all(&root).map_err(|e| Error::io("create this folder", e).at(&root))?;
        check_root(&root, false)?;
        Ok(Self { root })
    }

    /// The experiment at `root`, which is there.
    ///
    /// # Errors
    /// [`Error::Io`] if there is nothing, [`Error::Invalid`] if it is no folder, or that of a subject.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        let about =
            fs::metadata(&root).map_err(|e| Error::io("open the experiment", e).at(&root))?;
        if !about.is_dir() {
            return Err(Error::invalid("path", "this is not the folder of an experiment").at(&root));
        }
        check_root(&root, false)?;
        Ok(Self { root })
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Takes the subject, or makes it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that cannot be one, [`Error::Io`] if the folder cannot be
    /// made.
    pub fn make_subject(&self, subject: &str) -> Result<PathBuf> {
        let path = self.subject_path(subject)?;
        fs::create_dir_all(&path).map_err(|e| Error::io("create this folder", e).at(&path))?;
        Ok(path)
    }

    /// Makes a task of `subject`, which is made if it does not exist.
    ///
    /// # Errors
    /// [`Error::Exists`] if there is one and it is not to be replaced; else as
    /// [`TaskWriter::create`].
    pub fn create_task(
        &self,
        subject: &str,
        task: &str,
        existing: Existing,
        options: TaskOptions,
    ) -> Result<TaskWriter> {
        let path = self.task_path(subject, task)?;
        self.make_subject(subject)?;
        TaskWriter::create(&path, existing, options).map_err(|e| match e.root() {
            Error::Exists { .. } => {
                let what = format!("task {task:?} of subject {subject:?}").into();
                Error::Exists { what, instead: Some("`overwrite`") }.at(&path)
            }
            _ => e,
        })
    }

    /// Opens a task to append trials, and makes it if it does not exist.
    ///
    /// # Errors
    /// As [`TaskWriter::open`] and [`TaskWriter::create`].
    pub fn append_task(
        &self,
        subject: &str,
        task: &str,
        options: TaskOptions,
    ) -> Result<TaskWriter> {
        let path = self.task_path(subject, task)?;
        if path.try_exists().unwrap_or(true) {
            return TaskWriter::open(&path, options);
        }
        self.create_task(subject, task, Existing::Refuse, options)
    }

    /// Opens a task for reading; makes nothing.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the task does not exist; else as [`StoredTask::open`].
    pub fn require_task(&self, subject: &str, task: &str) -> Result<StoredTask> {
        let path = self.task_path(subject, task)?;
        if !path.try_exists().unwrap_or(true) {
            return Err(no_task(subject, task).at(&self.root));
        }
        StoredTask::open(&path)
    }

    /// Brings all subjects and tasks of the experiment at `other` here, byte for byte; returns how
    /// many tasks. Nothing is changed there.
    ///
    /// # Errors
    /// [`Error::Exists`] if a task of a subject is here already, [`Error::Invalid`] if `other` is a
    /// folder of the original program: then nothing was brought. [`Error::Locked`] if one is being written; [`Error::Io`] where a copy fails: those before
    /// it are here.
    pub fn merge(&self, other: &Self) -> Result<u64> {
        if Original::is_at(&other.root)? {
            let why =
                "it is a folder of AxoPy, which holds no tasks of ours: use `import_experiment`";
            return Err(Error::invalid("experiment", why).at(&other.root));
        }
        let mut files = Vec::new();
        for subject in other.subjects()? {
            for task in other.tasks(&subject)? {
                let (from, to) =
                    (other.task_path(&subject, &task)?, self.task_path(&subject, &task)?);
                if to.try_exists().unwrap_or(true) {
                    let what = format!("task {task:?} of subject {subject:?}").into();
                    return Err(Error::Exists { what, instead: None }.at(&to));
                }
                files.push((subject.clone(), from, to));
            }
        }
        for (subject, from, to) in &files {
            self.make_subject(subject)?;
            super::raw_files::copy_store(from, to)?;
        }
        for subject in other.subjects()? {
            self.make_subject(&subject)?;
        }
        Ok(files.len() as u64)
    }

    pub(super) fn subject_path(&self, subject: &str) -> Result<PathBuf> {
        names::check("subject", subject)?;
        Ok(self.root.join(subject))
    }

    /// Where the store of a task is, or would be.
    ///
    /// # Errors
    /// [`Error::Invalid`] for names that cannot be those of a subject and a task.
    pub fn task_path(&self, subject: &str, task: &str) -> Result<PathBuf> {
        names::check("task", task)?;
        Ok(self.subject_path(subject)?.join(format!("{task}{SUFFIX}")))
    }
}

impl Subjects for Storage {
    fn subjects(&self) -> Result<Vec<String>> {
        Folder(self.root.clone()).folders("")
    }

    fn tasks(&self, subject: &str) -> Result<Vec<String>> {
        let path = self.subject_path(subject)?;
        let files = Folder(path).files("").map_err(|e| match e.root() {
            Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                no_subject(subject).at(&self.root)
            }
            _ => e,
        })?;
        let mut tasks: Vec<String> =
            files.iter().filter_map(|name| task_of(name)).map(Into::into).collect();
        tasks.sort_unstable();
        Ok(tasks)
    }

    fn task(&self, subject: &str, task: &str) -> Result<Box<dyn Task>> {
        Ok(Box::new(self.require_task(subject, task)?))
    }

    fn left_out(&self) -> Result<Vec<String>> {
        let views = Views::at(&self.root)?.unwrap_or_default();
        let is_task = |name: &str, kind| kind == Kind::File && task_of(name).is_some();
        let mut beside = beside_tasks(&Folder(self.root.clone()), &is_task)?;
        beside.retain(|name| !views.has_in("", name));
        Ok(beside)
    }
}

/// Refuses a folder on disk that is of a subject, and with `deeper` also one that lies above the experiment.
pub(super) fn check_root(root: &Path, deeper: bool) -> Result<()> {
    let is_task = |at: &str| StoredTask::is_at(&root.join(at));
    level(&Folder(root.into()), &is_task, deeper).must_be_root(root)
}
