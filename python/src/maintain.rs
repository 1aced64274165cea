//! Keeping stores in order: compacting, copying, merging, splitting, recovering.
//!
//! The functions of `vlstore._maintain` call these; what they return is put into classes there.

use crate::convert::key::{self, key};
use crate::convert::options;
use crate::convert::progress::Progress;
use crate::convert::text::text;
use crate::error::{Failure, from_error, invalid};
use crate::store::class::Store;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::path::PathBuf;
use vlstore::dataset::{Edit, Manifest, Source, describe_member, member_name};
use vlstore::maintain::{
    Balance, Clash, CompactOptions, Compacted, Copied, CopyOptions, MergeOptions, RecoverOptions,
    Select, SplitBy, SplitOptions,
};
use vlstore::trajectory::{FrameChanges, FrameForm, Positions, Sharing, copy_frames};
use vlstore::{Error, Key, Layout, StoreOptions, codec};

/// Works with the interpreter detached; what `progress` raises ends it.
fn run<T: Send>(
    py: Python<'_>,
    progress: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce(&mut Progress) -> vlstore::Result<T> + Send,
) -> PyResult<T> {
    let mut progress = Progress::new(progress)?;
    let done = py.detach(|| work(&mut progress));
    Ok(progress.end(done)?)
}

/// The options of a new store made from the one at `source`.
fn new_options(
    py: Python<'_>,
    source: Option<&PathBuf>,
    given: &Bound<'_, PyDict>,
) -> PyResult<StoreOptions> {
    let Some(source) = source else { return Ok(StoreOptions::default()) };
    let source = py.detach(|| Source::open(source)).map_err(|e| from_error(py, &e))?;
    options::over(source.layout(), given)
}

fn compacted<'py>(py: Python<'py>, done: &Compacted) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("records", done.records)?;
    dict.set_item("record_bytes", done.record_bytes)?;
    dict.set_item("dead_records", done.dead_records)?;
    dict.set_item("dead_bytes", done.dead_bytes)?;
    dict.set_item("bytes_before", done.bytes_before)?;
    dict.set_item("bytes_after", done.bytes_after)?;
    Ok(dict)
}

fn copied<'py>(py: Python<'py>, done: &Copied) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("records", done.records)?;
    dict.set_item("record_bytes", done.record_bytes)?;
    dict.set_item("file_bytes", done.file_bytes)?;
    Ok(dict)
}

fn compacting(given: &Bound<'_, PyDict>, verify: bool, accept: bool) -> PyResult<CompactOptions> {
    let new = options::over(&Layout::default(), given)?.write;
    Ok(CompactOptions {
        threads: new.threads,
        access: new.access,
        original_table: new.original_table,
        verify,
        accept_older: accept,
        refers: Some(codec::refers),
    })
}

#[pyfunction]
#[pyo3(signature = (path, options, verify, accept_older, progress))]
pub(crate) fn _compact<'py>(
    py: Python<'py>,
    path: PathBuf,
    options: &Bound<'py, PyDict>,
    verify: bool,
    accept_older: bool,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let how = compacting(options, verify, accept_older)?;
    let done = run(py, progress, |p| vlstore::maintain::compact(&path, &how, |d, t| p.step(d, t)))?;
    compacted(py, &done)
}

#[pymethods]
impl Store {
    /// Gives back the space of deleted and replaced records of a store that is open for writing,
    /// which continues with the new file; commits first. Returns what :func:`vlstore.compact` does.
    ///
    /// Other threads wait meanwhile. ``progress`` is called with the bytes that are done and those
    /// that there are, and must not use the store; what it raises ends the work, and the store
    /// is as it was.
    #[pyo3(signature = (*, verify=true, progress=None))]
    fn compact<'py>(
        &self,
        py: Python<'py>,
        verify: bool,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let how = CompactOptions {
            threads: self.handle().options.threads,
            access: self.handle().options.access,
            original_table: self.handle().options.original_table,
            verify,
            refers: Some(codec::refers),
            ..CompactOptions::default()
        };
        let mut progress = Progress::new(progress)?;
        let done = self.handle().compact(py, &how, &mut |done, total| progress.step(done, total));
        let done = match done {
            Err(Failure::Store(error)) => progress.end(Err(error))?,
            done => done?,
        };
        let class = py.import("vlstore._maintain")?.getattr("Compacted")?;
        class.call((), Some(&compacted(py, &done)?))
    }
}

/// The records that `chosen` names: `None`, or a kind and what goes with it.
fn select(chosen: Option<(String, Bound<'_, PyAny>)>) -> PyResult<Select> {
    let Some((kind, what)) = chosen else { return Ok(Select::All) };
    let py = what.py();
    match &*kind {
        "keys" => Ok(Select::Keys(key::keys(&what)?)),
        "match" => Ok(Select::Pattern(text(&what, "match")?.into())),
        "range" => {
            let (start, end, step) = what.extract()?;
            Ok(Select::Range { range: start..end, step })
        }
        _ => Err(invalid(py, "choose records by keys, match or range")),
    }
}

#[pyfunction]
#[pyo3(signature = (
    source, target, chosen, options, topologies, positions, frames, overwrite, accept_older, progress
))]
#[expect(clippy::too_many_arguments, reason = "by place, from the function that names them")]
pub(crate) fn _copy<'py>(
    py: Python<'py>,
    source: PathBuf,
    target: PathBuf,
    chosen: Option<(String, Bound<'py, PyAny>)>,
    options: &Bound<'py, PyDict>,
    topologies: Option<&str>,
    positions: Option<&str>,
    frames: Option<&str>,
    overwrite: bool,
    accept_older: bool,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let named = |what: &str, name: &str, known: &str| {
        invalid(py, &format!("{what}: {name:?} is not one of {known}"))
    };
    let sharing = match topologies {
        None => Sharing::Never,
        Some(name) => Sharing::from_name(name)
            .ok_or_else(|| named("topologies", name, "\"never\", \"repeated\", \"always\""))?,
    };
    let positions = positions
        .map(|name| {
            Positions::from_name(name)
                .ok_or_else(|| named("positions", name, "\"quantised\", \"given\""))
        })
        .transpose()?;
    let form = frames
        .map(|name| {
            FrameForm::from_name(name).ok_or_else(|| named("frames", name, "\"table\", \"lean\""))
        })
        .transpose()?;
    let changes = FrameChanges { sharing, positions, form };
    let new = new_options(py, Some(&source), options)?;
    let how = CopyOptions {
        select: select(chosen)?,
        layout: Some(new.layout),
        write: new.write,
        overwrite,
        accept_older,
        refers: Some(codec::refers),
    };
    let done = run(py, progress, |p| {
        if changes == FrameChanges::default() {
            return vlstore::maintain::copy(&source, &target, &how, |d, t| p.step(d, t));
        }
        copy_frames(&source, &target, &how, changes, |d, t| p.step(d, t))
    })?;
    copied(py, &done)
}

#[pyfunction]
#[pyo3(signature = (sources, target, clash, names, options, overwrite, accept_older, progress))]
#[expect(clippy::too_many_arguments, reason = "by place, from the function that names them")]
pub(crate) fn _merge<'py>(
    py: Python<'py>,
    sources: Vec<PathBuf>,
    target: PathBuf,
    clash: &str,
    names: Option<Vec<String>>,
    options: &Bound<'py, PyDict>,
    overwrite: bool,
    accept_older: bool,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let stem = |path: &PathBuf| Some(path.file_stem()?.to_string_lossy().into());
    let clash = match (clash, names) {
        ("prefix", Some(names)) => Clash::Prefix(names.into_iter().map(Into::into).collect()),
        ("prefix", None) => Clash::Prefix(sources.iter().filter_map(stem).collect()),
        (_, Some(_)) => return Err(invalid(py, "names: go with clash=\"prefix\"")),
        ("refuse", None) => Clash::Refuse,
        ("keep-first", None) => Clash::KeepFirst,
        ("keep-last", None) => Clash::KeepLast,
        (other, None) => {
            let known = "\"refuse\", \"keep-first\", \"keep-last\", \"prefix\"";
            return Err(invalid(py, &format!("clash: {other:?} is not one of {known}")));
        }
    };
    let new = new_options(py, sources.first(), options)?;
    let how = MergeOptions {
        clash,
        layout: Some(new.layout),
        write: new.write,
        overwrite,
        accept_older,
        refers: Some(codec::refers),
    };
    let done = run(py, progress, |p| {
        vlstore::maintain::merge(&sources, &target, &how, |d, t| p.step(d, t))
    })?;
    let dict = copied(py, &done.copied)?;
    dict.set_item("left_out", done.left_out)?;
    dict.set_item("differing", done.differing)?;
    Ok(dict)
}

#[pyfunction]
#[pyo3(signature = (source, target, by, options, overwrite, accept_older, progress))]
#[expect(clippy::too_many_arguments, reason = "by place, from the function that names them")]
pub(crate) fn _split<'py>(
    py: Python<'py>,
    source: PathBuf,
    target: PathBuf,
    by: (String, Bound<'py, PyAny>),
    options: &Bound<'py, PyDict>,
    overwrite: bool,
    accept_older: bool,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Vec<(PathBuf, Bound<'py, PyDict>)>> {
    let (kind, what) = by;
    let by = split_by(&kind, &what)?;
    let new = new_options(py, Some(&source), options)?;
    let how = SplitOptions {
        layout: Some(new.layout),
        write: new.write,
        overwrite,
        accept_older,
        refers: Some(codec::refers),
    };
    let done = run(py, progress, |p| {
        vlstore::maintain::split(&source, &target, &by, &how, |d, t| p.step(d, t))
    })?;
    done.iter().map(|(path, one)| Ok((path.clone(), copied(py, one)?))).collect()
}

/// Where parts begin.
fn split_by(kind: &str, what: &Bound<'_, PyAny>) -> PyResult<SplitBy> {
    Ok(match kind {
        "records" => SplitBy::Records(what.extract()?),
        "bytes" => SplitBy::Bytes(what.extract()?),
        "parts" => {
            let (count, balance): (u64, String) = what.extract()?;
            let balance = Balance::from_name(&balance).ok_or_else(|| {
                let known = "\"records\", \"bytes\", \"weight\"";
                invalid(what.py(), &format!("balance: {balance:?} is not one of {known}"))
            })?;
            SplitBy::Parts { count, balance }
        }
        _ => {
            let keys = what.try_iter()?.map(|k| key(&k?)).collect::<PyResult<Vec<Key>>>()?;
            SplitBy::Keys(keys)
        }
    })
}

#[pyfunction]
#[pyo3(signature = (source, target, by, options, accept_older, progress))]
pub(crate) fn _shard<'py>(
    py: Python<'py>,
    source: PathBuf,
    target: PathBuf,
    by: (String, Bound<'py, PyAny>),
    options: &Bound<'py, PyDict>,
    accept_older: bool,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Vec<(PathBuf, Bound<'py, PyDict>)>> {
    let by = split_by(&by.0, &by.1)?;
    let new = new_options(py, Some(&source), options)?;
    let how = SplitOptions {
        layout: Some(new.layout),
        write: new.write,
        overwrite: false,
        accept_older,
        refers: Some(codec::refers),
    };
    let done = run(py, progress, |p| {
        vlstore::maintain::shard(&source, &target, &by, &how, |d, t| p.step(d, t))
    })?;
    done.iter().map(|(name, one)| Ok((target.join(name), copied(py, one)?))).collect()
}

/// Publishes members of a data set; `known` is the publication on top of which it is to be, if that matters.
/// Returns the publication, the names of the members and how many records they have.
#[pyfunction]
#[pyo3(signature = (folder, stores, remove, known, progress))]
pub(crate) fn _publish(
    py: Python<'_>,
    folder: PathBuf,
    stores: Option<Vec<PathBuf>>,
    remove: Vec<String>,
    known: Option<u64>,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<(u64, Vec<String>, u64)> {
    run(py, progress, |p| {
        let mut edit = Edit::begin(&folder)?;
        if let Some(known) = known.filter(|known| *known != edit.known()) {
            return Err(Error::Conflict { known, newest: edit.known() }.at(&folder));
        }
        let names = match stores {
            Some(stores) => stores
                .iter()
                .map(|path| member_name(&folder, path))
                .collect::<Result<Vec<_>, _>>()?,
            None if !remove.is_empty() => Vec::new(),
            None => edit.new_stores()?,
        };
        for name in &remove {
            edit.remove(name).map_err(|e| e.at(&folder))?;
        }
        let size = |name: &String| std::fs::metadata(folder.join(name)).map_or(0, |m| m.len());
        let total: u64 = names.iter().map(size).sum();
        let mut before = 0;
        for name in &names {
            edit.put(name, |done, _| p.step((before + done).min(total), total))?;
            before += size(name);
        }
        let publication = match known {
            Some(_) => edit.publish()?,
            None => edit.publish_on_top()?,
        };
        let members = edit.members();
        let records = members.iter().map(|m| m.records).sum();
        Ok((publication, members.iter().map(|m| m.name.to_string()).collect(), records))
    })
}

/// What a manifest says of a store in `folder`, for the process that publishes it.
#[pyfunction]
#[pyo3(signature = (folder, name))]
pub(crate) fn _describe(py: Python<'_>, folder: PathBuf, name: &str) -> PyResult<String> {
    run(py, None, |p| Ok(describe_member(&folder, name, |d, t| p.step(d, t))?.to_text()))
}

/// Publishes members by what [`_describe`] returned for them, in this order.
#[pyfunction]
#[pyo3(signature = (folder, described, known))]
pub(crate) fn _publish_described(
    py: Python<'_>,
    folder: PathBuf,
    described: Vec<String>,
    known: Option<u64>,
) -> PyResult<u64> {
    run(py, None, |_| {
        let mut edit = Edit::begin(&folder)?;
        if let Some(known) = known.filter(|known| *known != edit.known()) {
            return Err(Error::Conflict { known, newest: edit.known() }.at(&folder));
        }
        for one in &described {
            edit.put_described(&Manifest::from_text(one.as_bytes())?)?;
        }
        match known {
            Some(_) => edit.publish(),
            None => edit.publish_on_top(),
        }
    })
}

#[pyfunction]
#[pyo3(signature = (source, target, records, chunks, overwrite, progress))]
pub(crate) fn _recover<'py>(
    py: Python<'py>,
    source: PathBuf,
    target: PathBuf,
    records: Option<&str>,
    chunks: bool,
    overwrite: bool,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let mut store = StoreOptions::default();
    if let Some(name) = records {
        let codec = codec::by_name(name).map_err(|e| from_error(py, &e))?;
        store.layout.record_codec = (name.to_owned(), codec.version());
    }
    let contents = Some(codec::content as fn(&str, u32) -> _);
    let how = RecoverOptions { overwrite, chunks, contents, store };
    let done = run(py, progress, |p| {
        vlstore::maintain::recover(&source, &target, &how, |d, t| p.step(d, t))
    })?;
    let dict = PyDict::new(py);
    dict.set_item("records", done.records)?;
    dict.set_item("record_bytes", done.bytes)?;
    dict.set_item("lost", done.lost)?;
    let found = |f: &vlstore::maintain::Found| (f.means.to_string(), f.records, f.unchecked);
    dict.set_item("found", done.found.iter().map(found).collect::<Vec<_>>())?;
    let losses: Vec<String> = done.losses.iter().map(ToString::to_string).collect();
    dict.set_item("losses", losses)?;
    dict.set_item("notes", done.notes.iter().map(|note| &**note).collect::<Vec<_>>())?;
    dict.set_item("complete", done.is_complete())?;
    Ok(dict)
}
