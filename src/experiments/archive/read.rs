//! Reading an archive where it lies, and restoring it.

use super::packed::{Names, Packed};
use super::zip_error;
use crate::backend::{Access, Backend, FileBackend, sync_folder_of, temporary_name};
use crate::error::{Error, Result};
use crate::experiments::files::{Kind, Listing, beside_tasks};
use crate::experiments::folder_level::level;
use crate::experiments::names::{SUFFIX, is_original, task_of};
use crate::experiments::original::Original;
use crate::experiments::raw_files::{Part, io_error};
use crate::experiments::source::{Subjects, Task, no_subject, no_task};
use crate::experiments::task::StoredTask;
use crate::experiments::views::{LIST, LIST_MAX, Views};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zip::{CompressionMethod, ZipArchive};

/// The folder that archives of macOS have beside that of the experiment: it holds what only macOS knows of
/// the files, and no data of theirs.
const OF_MACOS: &str = "__MACOSX/";

/// An experiment in an archive of ours, read without unpacking.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    file: Arc<FileBackend>,
    /// The folders of the subjects, and where the stores of their tasks lie; `None` for one that
    /// cannot be read where it lies.
    subjects: BTreeMap<String, BTreeMap<String, Option<(u64, u64)>>>,
    names: Names,
    /// If it is a folder of the original program.
    original: Option<Original>,
}

/// Where an entry lies that can be read without unpacking it.
fn place_of(zip: &mut ZipArchive<Part>, path: &Path, index: usize) -> Result<Option<(u64, u64)>> {
    let entry = zip.by_index(index).map_err(|e| zip_error(path, e))?;
    let stored = entry.compression() == CompressionMethod::Stored;
    Ok(entry.data_start().filter(|_| stored).map(|at| (at, entry.size())))
}

/// An open archive with what it says of itself.
struct Opened {
    file: Arc<FileBackend>,
    zip: ZipArchive<Part>,
    /// Index, name without the root, whether it is a folder, length: of files and folders.
    entries: Vec<(usize, String, bool, u64)>,
    root: String,
}

impl Archive {
    /// Opens the archive at `path`.
    ///
    /// # Errors
    /// [`Error::Format`] if it is no archive, or one that lost the folders of its experiment, which the
    /// message names; [`Error::Invalid`] for one with tasks of ours and of the original program;
    /// [`Error::Io`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let mut opened = Opened::open(path)?;
        let mut subjects: BTreeMap<String, BTreeMap<String, Option<(u64, u64)>>> = BTreeMap::new();
        let mut original = false;
        let names = opened.entries.iter().map(|(_, name, folder, _)| (name.as_str(), *folder));
        let names = Names::new(names);
        for subject in names.folders("")? {
            subjects.insert(subject, BTreeMap::new());
        }
        for (index, name, folder, _) in &opened.entries {
            let parts: Vec<&str> = name.split('/').filter(|p| !p.is_empty()).collect();
            match (parts.as_slice(), folder) {
                ([subject, file], false) => {
                    // A hidden folder is no subject.
                    let Some(tasks) = subjects.get_mut(*subject) else { continue };
                    if let Some(task) = task_of(file) {
                        tasks.insert(task.into(), place_of(&mut opened.zip, path, *index)?);
                    }
                }
                ([subject, _, file], false) if subjects.contains_key(*subject) => {
                    original |= is_original(file);
                }
                _ => {}
            }
        }
        level(&names, &|_| true, true).must_be_packed(path)?;
        let Opened { file, zip, entries, .. } = opened;
        let ours = subjects.iter().find_map(|(s, tasks)| Some((s, tasks.keys().next()?)));
        let original = match (original, ours) {
            (false, _) => None,
            (true, Some((subject, task))) => {
                let why = format!(
                    "it has tasks of ours ({subject}/{task}) and of the original program: restore it, \
                     and import the latter into another folder"
                );
                return Err(Error::invalid("experiment", why).at(path));
            }
            (true, None) => {
                let len = file.len()?;
                Some(Original::over(Arc::new(Packed::new(path, len, zip, entries)))?)
            }
        };
        Ok(Self { path: path.into(), file, subjects, names, original })
    }
}

impl Subjects for Archive {
    fn subjects(&self) -> Result<Vec<String>> {
        if let Some(original) = &self.original {
            return original.subjects();
        }
        Ok(self.subjects.keys().cloned().collect())
    }

    fn tasks(&self, subject: &str) -> Result<Vec<String>> {
        if let Some(original) = &self.original {
            return original.tasks(subject);
        }
        let tasks = self.subjects.get(subject).ok_or_else(|| no_subject(subject).at(&self.path))?;
        Ok(tasks.keys().cloned().collect())
    }

    fn task(&self, subject: &str, task: &str) -> Result<Box<dyn Task>> {
        if let Some(original) = &self.original {
            return original.task(subject, task);
        }
        let tasks = self.subjects.get(subject).ok_or_else(|| no_subject(subject).at(&self.path))?;
        let found = tasks.get(task).ok_or_else(|| no_task(subject, task).at(&self.path))?;
        let name = || PathBuf::from(format!("{subject}/{task}{SUFFIX}"));
        let Some((start, len)) = *found else {
            let why = "it is compressed, and not read inside the archive; restore the experiment \
                       with `vlstore archive --restore` and read the folder";
            let at = crate::printable::printable_path(&name()).to_string();
            return Err(Error::format("zip", at, why).at(&self.path));
        };
        let open = || StoredTask::open_in(Arc::new(Part::new(self.file.clone(), start, len)?));
        Ok(Box::new(open().map_err(|e| e.at(&self.path.join(name())))?))
    }

    fn left_out(&self) -> Result<Vec<String>> {
        if let Some(original) = &self.original {
            return original.left_out();
        }
        beside_tasks(&self.names, &|name, kind| kind == Kind::File && task_of(name).is_some())
    }
}

impl Opened {
    fn open(path: &Path) -> Result<Self> {
        let file = Arc::new(FileBackend::open_read(path, Access::Pread).map_err(|e| e.at(path))?);
        let part = Part::whole(file.clone()).map_err(|e| e.at(path))?;
        let mut zip = ZipArchive::new(part).map_err(|e| zip_error(path, e))?;
        let mut names = Vec::new();
        for i in 0..zip.len() {
            let entry = zip.by_index_raw(i).map_err(|e| zip_error(path, e))?;
            let name = entry.name().map_err(|e| zip_error(path, e))?.into_owned();
            if !name.starts_with(OF_MACOS) {
                names.push((i, name, entry.is_dir(), entry.size()));
            }
        }
        if let Some(losses) = losses(&zip, path, &names)? {
            return Err(Error::format("zip", "archive", losses).at(path));
        }
        if let Some((_, name, ..)) = names.iter().find(|(_, name, ..)| name.contains('\\')) {
            let why = format!(
                "the entry {name:?} has a backslash, where archives have `/` between folders; unpack it \
                 with the program that made it, and give the folder or pack it with `vlstore archive`"
            );
            return Err(Error::format("zip", "archive", why).at(path));
        }
        let unsafe_name = |name: &str| {
            name.is_empty()
                || name.starts_with('/')
                || name.contains('\0')
                || name.trim_end_matches('/').split('/').any(|p| matches!(p, "" | "." | ".."))
        };
        if let Some((_, name, ..)) = names.iter().find(|(_, name, ..)| unsafe_name(name)) {
            let why = format!("the entry {name:?} would lie outside of its folder");
            return Err(Error::format("zip", "archive", why).at(path));
        }
        let tops: BTreeSet<&str> =
            names.iter().filter_map(|(_, name, ..)| name.split('/').next()).collect();
        let [root] = *tops.iter().collect::<Vec<_>>().as_slice() else {
            let some: Vec<_> = tops.iter().take(3).map(|top| format!("{top:?}")).collect();
            let more = if tops.len() > 3 { ", ..." } else { "" };
            let why = format!(
                "its entries do not lie in one folder, as those of an experiment do: there are {}{more}; \
                 unpack it into a new folder, and give that one or pack it with `vlstore archive`",
                some.join(", ")
            );
            return Err(Error::format("zip", "archive", why).at(path));
        };
        let root = (*root).to_owned();
        let views = listed(&mut zip, path, &root)?;
        let prefix = format!("{root}/");
        let kept = |name: &str| !views.as_ref().is_some_and(|views| views.has_in("", name));
        let entries = names
            .into_iter()
            .filter_map(|(i, name, folder, len)| {
                let below = name.strip_prefix(&prefix)?.to_owned();
                (!below.is_empty() && kept(&below)).then_some((i, below, folder, len))
            })
            .collect();
        Ok(Self { file, zip, entries, root })
    }
}

/// Whether there is nothing of this name; the folder in which a relative path begins is there.
fn is_missing(path: &Path) -> bool {
    let found = fs::symlink_metadata(path);
    !path.as_os_str().is_empty() && found.is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound)
}

/// Whether the file at `path` is an archive that was written here.
pub(super) fn is_ours(path: &Path) -> bool {
    let list = || {
        let mut zip = ZipArchive::new(fs::File::open(path).ok()?).ok()?;
        let of_list = |n: &str| n.strip_suffix(LIST).is_some_and(|root| root.ends_with('/'));
        let name = zip.file_names().flatten().find(|n| of_list(n))?.into_owned();
        let mut text = String::new();
        zip.by_name(&name).ok()?.take(LIST_MAX).read_to_string(&mut text).ok()?;
        Some(text)
    };
    // Of a newer release, too.
    list().is_some_and(|text| !matches!(Views::of(&text), Ok(None)))
}

/// The views, as the list of an archive of ours has them; another archive has none.
fn listed(zip: &mut ZipArchive<Part>, path: &Path, root: &str) -> Result<Option<Views>> {
    let Some(index) = zip.index_for_name(&format!("{root}/{LIST}")) else { return Ok(None) };
    let entry = zip.by_index(index).map_err(|e| zip_error(path, e))?;
    let mut text = Vec::new();
    entry
        .take(LIST_MAX)
        .read_to_end(&mut text)
        .map_err(|e| io_error("read the list of the archive", e).at(path))?;
    // What is no text is a file of the experiment that happens to have this name.
    let Ok(text) = String::from_utf8(text) else { return Ok(None) };
    Views::of(&text).map_err(|e| e.at(path))
}

/// What an archive that `storage_to_zip` of the original program made has lost; `None` for others.
/// It writes every file directly below the root, whatever folder it comes from.
fn losses(
    zip: &ZipArchive<Part>,
    path: &Path,
    names: &[(usize, String, bool, u64)],
) -> Result<Option<String>> {
    let table = |name: &str| name.split('/').count() == 2 && name.ends_with("/trials.csv");
    let repeated = zip.has_duplicate_names();
    let parts = |name: &str| name.split('/').map(str::to_owned).collect::<Vec<_>>();
    let whole = names.iter().any(|(_, name, ..)| match parts(name).as_slice() {
        [_, _, file] => task_of(file).is_some(),
        [_, _, _, file] => is_original(file),
        _ => false,
    });
    let listed = names.iter().any(|(_, name, ..)| name.ends_with(&format!("/{LIST}")));
    if !repeated && (listed || whole || !names.iter().any(|(_, name, ..)| table(name))) {
        return Ok(None);
    }
    if !repeated {
        let name = names.iter().find(|(_, name, ..)| table(name)).map_or("", |(_, name, ..)| name);
        return Ok(Some(format!(
            "the folders of this experiment are lost: {name:?} lies directly in the folder of the \
             archive, not in those of a subject and a task. It was packed by a program that leaves \
             them out, or from the folder of one task alone. Pack the whole folder of the experiment \
             with `vlstore archive`"
        )));
    }
    // The archive knows each name once: the directory at its end has them all.
    let all = directory(path)?;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in &all {
        *counts.entry(name).or_default() += 1;
    }
    let shown: Vec<String> = counts.iter().map(|(name, n)| format!("{n} x {name:?}")).collect();
    Ok(Some(format!(
        "the folders of this experiment are lost: it was packed by a program that puts the files of \
         all subjects and tasks into one folder, and unpacking leaves one file of each name. It has \
         {} files under {} names ({}); which subject and task each belongs to is not recorded. Pack \
         the original folder again with `vlstore archive`",
        all.len(),
        counts.len(),
        shown.join(", ")
    )))
}

/// The names in the directory at the end of an archive, repeated ones too.
fn directory(path: &Path) -> Result<Vec<String>> {
    let bytes = fs::read(path).map_err(|e| Error::io("read", e).at(path))?;
    let u16_at = |at: usize| -> Option<usize> {
        Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?).into())
    };
    let u32_at = |at: usize| -> Option<usize> {
        usize::try_from(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?)).ok()
    };
    let names = || {
        let end = bytes.windows(4).rposition(|w| w == b"PK\x05\x06")?;
        let (count, mut at) = (u16_at(end + 10)?, u32_at(end + 16)?);
        let mut names = Vec::new();
        for _ in 0..count {
            let (name, extra, comment) = (u16_at(at + 28)?, u16_at(at + 30)?, u16_at(at + 32)?);
            names.push(String::from_utf8_lossy(bytes.get(at + 46..at + 46 + name)?).into_owned());
            at += 46 + name + extra + comment;
        }
        Some(names)
    };
    names().ok_or_else(|| Error::format("zip", "directory", "it is damaged").at(path))
}

/// Restores the experiment in the archive at `path` byte for byte, in `folder` (by default the one
/// in which the archive lies; it is made if it does not exist), and returns its root. It appears when it is complete.
///
/// # Errors
/// [`Error::Exists`] if there is something with the name of the root; [`Error::Format`] if it is no
/// archive or damaged; [`Error::Io`] if the disk is full. Then nothing is left.
pub fn storage_from_zip(
    path: &Path,
    folder: Option<&Path>,
    mut progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<PathBuf> {
    let mut opened = Opened::open(path)?;
    let folder = match folder {
        Some(folder) => folder,
        None => path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")),
    };
    let root = folder.join(&opened.root);
    let free = || match fs::symlink_metadata(&root) {
        Ok(_) => {
            let what = crate::printable::printable_path(&root).into();
            Err(Error::Exists { what, instead: None }.at(&root))
        }
        Err(_) => Ok(()),
    };
    free()?;
    let random = RandomState::new().hash_one(std::process::id());
    let staged = folder.join(temporary_name(None, random));
    // What an archive claims may be more than there are numbers.
    let total = opened.entries.iter().fold(0_u64, |total, e| total.saturating_add(e.3));
    let missing: Vec<&Path> = folder.ancestors().take_while(|f| is_missing(f)).collect();
    let mut restore = || -> Result<()> {
        progress(0, total)?;
        fs::create_dir_all(folder).map_err(|e| Error::io("create a folder", e).at(folder))?;
        fs::create_dir(&staged).map_err(|e| Error::io("create a folder", e).at(folder))?;
        let mut done = 0;
        for (index, name, is_folder, _) in &opened.entries {
            let to = staged.join(name);
            let failed = |e| Error::io("create", e).at(&root.join(name));
            if *is_folder {
                fs::create_dir_all(&to).map_err(failed)?;
                continue;
            }
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent).map_err(failed)?;
            }
            let mut from = opened.zip.by_index(*index).map_err(|e| zip_error(path, e))?;
            let mut out = fs::File::create_new(&to).map_err(failed)?;
            let mut step = crate::wire::memory::zeroed(1 << 20)?;
            loop {
                let n = from
                    .read(&mut step)
                    .map_err(|e| Error::format("zip", name.as_str(), e.to_string()).at(path))?;
                if n == 0 {
                    break;
                }
                out.write_all(step.get(..n).unwrap_or_default())
                    .map_err(|e| Error::io("write", e).at(&root.join(name)))?;
                done += n as u64;
                progress(done.min(total), total)?;
            }
            out.sync_all().map_err(|e| Error::io("sync", e).at(&root.join(name)))?;
        }
        free()?;
        fs::rename(&staged, &root).map_err(|e| Error::io("rename to", e).at(&root))
    };
    let restored = restore();
    if restored.is_err() {
        // What was written aside, and the folders that were made for it, if nobody else has put
        // anything there; nothing else is ever deleted.
        let _ = fs::remove_dir_all(&staged);
        missing.iter().for_each(|folder| drop(fs::remove_dir(folder)));
    }
    restored?;
    sync_folder_of(&root)?;
    progress(total, total)?;
    Ok(root)
}
