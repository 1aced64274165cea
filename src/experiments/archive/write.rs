//! Writing an archive.

use super::places::{Places, folded};
use super::read::is_ours;
use super::zip_error;
use crate::backend::{Access, StagedFile, is_temporary_name};
use crate::error::{Error, Result};
use crate::existing::Existing;
use crate::experiments::names::{SUFFIX, task_of};
use crate::experiments::npy;
use crate::experiments::raw_files::{LockedStore, Part, Staged, io_error, named, refuse_input};
use crate::experiments::source::Task;
use crate::experiments::storage::check_root;
use crate::experiments::task::StoredTask;
use crate::experiments::views::{LAYER, LIST, VERSION, Views};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// How an archive is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveOptions {
    /// What becomes of a file that has the name of the archive.
    pub existing: Existing,
    /// Whether the trials and arrays of each task lie in it once more, for other programs.
    pub views: bool,
}

impl Default for ArchiveOptions {
    fn default() -> Self {
        Self { existing: Existing::Refuse, views: true }
    }
}

/// What an experiment has: the path below the root, with `/`.
enum Entry {
    Folder(String),
    File(String, PathBuf, u64),
}

/// Packs the experiment at `root`, a folder of ours or of the original program, into one zip
/// archive, and returns its name: by default that of the folder with `.zip`, beside it.
///
/// The same files give the same bytes. The archive appears when it is complete. `progress` is told
/// how many bytes of how many are read; its error ends the work, and nothing is left.
///
/// # Errors
/// [`Error::Io`] if the folder does not exist or the disk is full; [`Error::Exists`] if there is a
/// file already and it is not to be replaced; [`Error::Locked`] if a task is being written;
/// [`Error::Invalid`] for the folder of a subject, for names that are not UTF-8 or have a backslash, and for
/// an archive that would replace a file of the experiment (an earlier archive in the folder is none); what opening fails
/// with, such as [`Error::Corrupt`], for a damaged task, which is packed as it is
/// [without views](ArchiveOptions::views).
pub fn storage_to_zip(
    root: &Path,
    outfile: Option<&Path>,
    options: ArchiveOptions,
    mut progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<PathBuf> {
    let about = fs::metadata(root).map_err(|e| Error::io("open the experiment", e).at(root))?;
    if !about.is_dir() {
        return Err(Error::invalid("path", "this is not the folder of an experiment").at(root));
    }
    check_root(root, false)?;
    let (name, out) = named(root, outfile, ".zip")?;
    check_name(&name).map_err(|e| e.at(root))?;
    if options.existing == Existing::Replace {
        refuse_input(root, &out, is_ours)?;
    }
    let mut found = Vec::new();
    // The name of the archive, and the file that it is a link to.
    let own = [own_place(&out), fs::canonicalize(&out).unwrap_or_default()];
    collect(root, &name, &own, &mut found)?;
    let list = format!("{name}/{LIST}");
    let unpacked = Views::at(root)?;
    if unpacked.as_ref().is_some_and(Views::is_empty) {
        // It only says that there are no views, and is made anew.
        found.retain(|e| e.path() != list);
    }
    let total = found.iter().map(|e| if let Entry::File(_, _, n) = e { *n } else { 0 }).sum();
    if found.iter().any(|e| folded(e.path()) == folded(&list)) {
        let why = if unpacked.is_some() {
            format!(
                "it was unpacked from an archive by another program, so that the tables and arrays for \
                 other programs lie beside the tasks; restore it with `vlstore archive --restore`, or \
                 delete the folders that its {LIST} lists under \"views\", and {LIST}"
            )
        } else {
            format!("its file {LIST} has the name of the list of an archive: rename it")
        };
        return Err(Error::invalid("experiment", why).at(root));
    }
    if options.existing == Existing::Refuse && fs::symlink_metadata(&out).is_ok() {
        return Err(Error::Exists {
            what: crate::printable::printable_path(&out).into(),
            instead: Some("`overwrite`"),
        }
        .at(&out));
    }
    progress(0, total)?;
    let staged = Staged::new(StagedFile::new(&out, Access::Pread)?)?;
    let mut pack = Pack { zip: ZipWriter::new(staged), out: &out, done: 0, total };
    let mut places = Places::new(found.iter().map(Entry::path));
    let (mut views, mut renamed) = (Map::new(), Map::new());
    for entry in &found {
        match entry {
            Entry::Folder(path) => pack.folder(path)?,
            Entry::File(path, file, len) => {
                let still = store_of_task(path, &name, file)?;
                let task = match &still {
                    Some(still) if options.views => task_in(still, file)?,
                    _ => None,
                };
                pack.file(path, file, *len, still.as_ref(), &mut progress)?;
                if let Some(task) = task {
                    let folder = places.free("", path.strip_suffix(SUFFIX).unwrap_or(path));
                    pack.views(&folder, &task, &mut renamed)?;
                    views.insert(path.clone(), json!(folder));
                }
            }
        }
    }
    let of = |folders: bool| -> Vec<&str> {
        let wanted = found.iter().filter(|e| matches!(e, Entry::Folder(_)) == folders);
        wanted.map(Entry::path).collect()
    };
    let content = json!({
        "layer": LAYER, "version": VERSION, "root": name,
        "folders": of(true), "files": of(false), "views": Json::Object(views),
        "renamed": Json::Object(renamed),
    });
    pack.bytes(&list, format!("{content:#}\n").as_bytes())?;
    let staged = pack.zip.finish().map_err(|e| zip_error(&out, e))?;
    staged.publish(options.existing)?;
    progress(total, total)?;
    Ok(out)
}

impl Entry {
    fn path(&self) -> &str {
        match self {
            Self::Folder(path) | Self::File(path, ..) => path,
        }
    }
}

/// Where the archive will be, as the folder that is packed may name it.
fn own_place(out: &Path) -> PathBuf {
    let folder = out.parent().filter(|p| !p.as_os_str().is_empty());
    let folder = fs::canonicalize(folder.unwrap_or(Path::new("."))).unwrap_or_default();
    folder.join(out.file_name().unwrap_or_default())
}

/// Everything below `folder`, sorted; without the archive itself and files that are not complete.
fn collect(folder: &Path, path: &str, own: &[PathBuf], found: &mut Vec<Entry>) -> Result<()> {
    found.push(Entry::Folder(format!("{path}/")));
    let here = fs::canonicalize(folder).map_err(|e| Error::io("open this folder", e).at(folder))?;
    let failed = |e| Error::io("list this folder", e).at(folder);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().into_string().map_err(|name| {
            let why = format!("the name of {name:?} is not UTF-8: rename it");
            Error::invalid("experiment", why).at(folder)
        })?;
        if !is_temporary_name(&name) && !own.contains(&here.join(&name)) {
            check_name(&name).map_err(|e| e.at(folder))?;
            names.push(name);
        }
    }
    names.sort_unstable();
    for name in names {
        let file = folder.join(&name);
        let looked = |e| Error::io("look at", e).at(&file);
        let link = fs::symlink_metadata(&file).map_err(looked)?.is_symlink();
        let about = fs::metadata(&file).map_err(looked)?;
        let inner = format!("{path}/{name}");
        if about.is_dir() && link {
            let why = "this is a link to a folder: an archive holds files and folders only";
            return Err(Error::invalid("experiment", why).at(&file));
        } else if about.is_dir() {
            collect(&file, &inner, own, found)?;
        } else if about.is_file() {
            found.push(Entry::File(inner, file, about.len()));
        } else {
            let why = "this is neither a file nor a folder";
            return Err(Error::invalid("experiment", why).at(&file));
        }
    }
    Ok(())
}

/// Refuses a name that would not be restored: some programs take a backslash for the end of a folder.
fn check_name(name: &str) -> Result<()> {
    if name.contains('\\') {
        let why =
            format!("the name {name:?} has a backslash, which no archive restores: rename it");
        return Err(Error::invalid("experiment", why));
    }
    Ok(())
}

/// The file, if it has the name of a task: nobody writes to it for as long as what is returned lives.
/// Damage in it does not matter here: the bytes are carried as they are.
fn store_of_task(path: &str, root: &str, file: &Path) -> Result<Option<LockedStore>> {
    let below = path.strip_prefix(root).and_then(|p| p.strip_prefix('/')).unwrap_or_default();
    match below.split('/').collect::<Vec<_>>().as_slice() {
        [_, name] if task_of(name).is_some() => LockedStore::of(file).map(Some),
        _ => Ok(None),
    }
}

/// The task whose views are made; `None` for a store that is of something else.
fn task_in(still: &LockedStore, file: &Path) -> Result<Option<StoredTask>> {
    match StoredTask::open_in(still.file.clone()) {
        Ok(task) => Ok(Some(task)),
        Err(e) if matches!(e.root(), Error::Invalid { .. }) => Ok(None),
        Err(e) => Err(e.at(file)),
    }
}

struct Pack<'a> {
    zip: ZipWriter<Staged>,
    out: &'a Path,
    done: u64,
    total: u64,
}

/// The same for every entry, so that the same content gives the same bytes.
fn options(method: CompressionMethod, len: u64) -> SimpleFileOptions {
    SimpleFileOptions::default()
        .compression_method(method)
        .compression_level((method == CompressionMethod::Deflated).then_some(6))
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644)
        .large_file(len >= u64::from(u32::MAX) - (1 << 20))
}

impl Pack<'_> {
    fn folder(&mut self, path: &str) -> Result<()> {
        let options = options(CompressionMethod::Stored, 0).unix_permissions(0o755);
        self.zip.add_directory(path, options).map_err(|e| zip_error(self.out, e))
    }

    fn start(&mut self, path: &str, method: CompressionMethod, len: u64) -> Result<()> {
        self.zip.start_file(path, options(method, len)).map_err(|e| zip_error(self.out, e))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.zip.write_all(bytes).map_err(|e| io_error("write", e).at(self.out))
    }

    fn bytes(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        self.start(path, CompressionMethod::Deflated, bytes.len() as u64)?;
        self.write(bytes)
    }

    /// A file as it is. The store of a task is compressed already: it is stored, so that it can be
    /// read where it lies.
    fn file(
        &mut self,
        path: &str,
        file: &Path,
        len: u64,
        still: Option<&LockedStore>,
        progress: &mut dyn FnMut(u64, u64) -> Result<()>,
    ) -> Result<()> {
        let failed = |e| io_error("read", e).at(file);
        let mut input: Box<dyn Read> = match still {
            Some(still) => {
                self.start(path, CompressionMethod::Stored, len)?;
                Box::new(Part::whole(still.file.clone())?)
            }
            None => {
                self.start(path, CompressionMethod::Deflated, len)?;
                Box::new(fs::File::open(file).map_err(failed)?)
            }
        };
        let mut step = crate::wire::memory::zeroed(1 << 20)?;
        loop {
            let n = input.read(&mut step).map_err(failed)?;
            if n == 0 {
                return Ok(());
            }
            self.write(step.get(..n).unwrap_or_default())?;
            self.done = (self.done + n as u64).min(self.total);
            progress(self.done, self.total)?;
        }
    }

    /// The trials and arrays of a task, for other programs. `renamed` gets the arrays whose folder
    /// is not called as they are.
    fn views(
        &mut self,
        folder: &str,
        task: &StoredTask,
        renamed: &mut Map<String, Json>,
    ) -> Result<()> {
        const TABLE: &str = "trials.csv";
        self.folder(&format!("{folder}/"))?;
        self.bytes(&format!("{folder}/{TABLE}"), task.table().csv().as_bytes())?;
        let trials = task.trials();
        let names: BTreeSet<&str> =
            trials.iter().flat_map(|t| &t.arrays).map(|a| a.name.as_str()).collect();
        let mut places = Places::new([TABLE]);
        for name in names {
            let place = places.free(&format!("{folder}/"), name);
            if place != format!("{folder}/{name}") {
                renamed.insert(place.clone(), json!(name));
            }
            for (i, trial) in trials.iter().enumerate() {
                if !trial.arrays.iter().any(|a| a.name == name) {
                    continue;
                }
                let array = task.array(i, name)?;
                let header = npy::header(&array);
                let len = (header.len() + array.data.len()) as u64;
                self.start(&format!("{place}/{i}.npy"), CompressionMethod::Deflated, len)?;
                self.write(&header)?;
                self.write(&array.data)?;
            }
        }
        Ok(())
    }
}
