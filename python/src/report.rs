//! What a store says about itself: counts, checks, texts for people.

use crate::handle::Place;
use crate::options;
use crate::store::Store;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use vlstore::{Info, Opened};

/// What :meth:`Store.verify` found.
#[pyclass(frozen, get_all, module = "vlstore", name = "Verified")]
pub(crate) struct Verified {
    /// Live records whose place and bytes were checked.
    records: u64,
    /// Blocks that were decoded.
    blocks: u64,
    /// Bytes that they hold, decoded.
    bytes: u64,
    /// Blocks without a checksum: those of a file of the original program.
    unchecked: u64,
    /// Everything that is wrong, a line each.
    damages: Vec<String>,
    /// What other programs would trip over while everything of ours is whole, or ``None``.
    frame: Option<String>,
}

impl Verified {
    pub(crate) fn new(found: vlstore::Verified) -> Self {
        Self {
            records: found.records,
            blocks: found.blocks,
            bytes: found.bytes,
            unchecked: found.unchecked,
            damages: found.damages.iter().map(ToString::to_string).collect(),
            frame: found.frame.map(Into::into),
        }
    }
}

#[pymethods]
impl Verified {
    /// Whether nothing is wrong.
    #[getter]
    fn ok(&self) -> bool {
        self.damages.is_empty()
    }

    fn __bool__(&self) -> bool {
        self.ok()
    }

    fn __repr__(&self) -> String {
        let found = match self.damages.as_slice() {
            [] => "whole".to_owned(),
            [one] => one.clone(),
            [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
        };
        format!("<vlstore.Verified {} records, {} blocks: {found}>", self.records, self.blocks)
    }
}

/// How much of what was written an opened store holds, in words.
pub(crate) fn opened(opened: Opened) -> String {
    match opened {
        Opened::Whole => "whole".into(),
        Opened::OlderCommit { generation } => format!("older commit {generation}"),
        Opened::LastSeal { generation } => format!("last seal, commit {generation}"),
        Opened::Extended => "extended by another program".into(),
        Opened::Unchecked => "without checksums".into(),
        _ => "other".into(),
    }
}

pub(crate) fn stat<'py>(py: Python<'py>, info: &Info) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("records", info.records)?;
    dict.set_item("dead_records", info.dead_records)?;
    dict.set_item("shared", info.shared)?;
    dict.set_item("raw_bytes", info.raw_bytes)?;
    dict.set_item("dead_bytes", info.dead_bytes)?;
    dict.set_item("file_bytes", info.file_bytes)?;
    dict.set_item("garbage", info.garbage)?;
    dict.set_item("ratio", info.ratio())?;
    dict.set_item("generation", info.generation)?;
    dict.set_item("sealed", info.sealed)?;
    dict.set_item("sealed_records", info.sealed_records)?;
    dict.set_item("checked", info.checked)?;
    dict.set_item("opened", opened(info.opened))?;
    dict.update(options::kept(py, &info.options)?.as_mapping())?;
    Ok(dict)
}

fn place(store: &Store) -> String {
    match &store.handle().place {
        Place::File(path) => path.display().to_string(),
        Place::Memory => "memory".into(),
    }
}

pub(crate) fn repr(slf: &Bound<'_, Store>) -> PyResult<String> {
    let (py, store) = (slf.py(), slf.get());
    let class = slf.get_type().name()?;
    let records = store
        .typed
        .codec
        .as_ref()
        .map_or_else(|| "records".into(), |codec| format!("{} records", codec.name()));
    let handle = store.handle();
    match handle.read(py, |v| Ok((v.len(), v.is_dirty()))) {
        Ok((len, dirty)) => {
            let mode = if handle.is_writer() { "writing" } else { "reading" };
            let dirty = if dirty { ", not committed" } else { "" };
            Ok(format!("<vlstore.{class} {:?}: {len} {records}, {mode}{dirty}>", place(store)))
        }
        Err(_) if handle.is_closed(py) => {
            Ok(format!("<vlstore.{class} {:?}: closed>", place(store)))
        }
        Err(_) => Ok(format!("<vlstore.{class} {:?}>", place(store))),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A small table for a notebook.
pub(crate) fn table(title: &str, rows: &[(&str, String)]) -> String {
    let rows: String = rows
        .iter()
        .map(|(name, value)| {
            format!(
                "<tr><th style=\"text-align:left\">{}</th><td style=\"text-align:left\">{}</td></tr>",
                escaped(name),
                escaped(value)
            )
        })
        .collect();
    format!("<table><caption>{}</caption>{rows}</table>", escaped(title))
}

pub(crate) fn html(slf: &Bound<'_, Store>) -> PyResult<String> {
    let (py, store) = (slf.py(), slf.get());
    let Ok(info) = store.handle().read(py, |v| Ok(v.info()?)) else {
        return Ok(format!("<code>{}</code>", escaped(&repr(slf)?)));
    };
    // What is not committed counts, as it does for `len`; sizes are those of the last commit.
    let (records, dirty) = store.handle().read(py, |v| Ok((v.len(), v.is_dirty())))?;
    let state = opened(info.opened) + if dirty { ", not committed" } else { "" };
    let mut rows = vec![
        ("records", records.to_string()),
        ("record bytes", info.raw_bytes.to_string()),
        ("file bytes", format!("{} ({:.2} : 1)", info.file_bytes, info.ratio())),
        ("record codec", info.options.record_codec.0.clone()),
        ("commit", info.generation.to_string()),
        ("state", state),
    ];
    let attributes = store.handle().read(py, |v| Ok(v.attributes().to_string()))?;
    if attributes != "{}" && attributes != "null" {
        rows.push(("attrs", attributes));
    }
    let class = slf.get_type().name()?;
    Ok(table(&format!("vlstore.{class} {}", place(store)), &rows))
}
