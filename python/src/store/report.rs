//! What a store says about itself: counts, checks, texts for people.

use crate::convert::html::{escaped, table};
use crate::convert::options;
use crate::store::handle::Handle;
use crate::store::store_path::StorePath;
use crate::store::typed::Typed;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::ffi::CString;
use vlstore::dataset::{Manifest, Member};
use vlstore::{Info, Opened};

/// What :meth:`Store.verify` found.
#[derive(Default)]
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
    /// Damage that affects only other programs, or ``None``.
    frame: Option<String>,
}

impl Verified {
    pub(crate) fn new(found: vlstore::maintain::Verified) -> Self {
        Self {
            records: found.records,
            blocks: found.blocks,
            bytes: found.bytes,
            unchecked: found.unchecked,
            damages: found.damages.iter().map(ToString::to_string).collect(),
            frame: found.frame.map(Into::into),
        }
    }

    /// What was found in a member of a data set.
    pub(crate) fn extend(&mut self, member: &str, found: Self) {
        self.records += found.records;
        self.blocks += found.blocks;
        self.bytes += found.bytes;
        self.unchecked += found.unchecked;
        self.damages.extend(found.damages.iter().map(|damage| format!("{member}: {damage}")));
        let frame = found.frame.map(|frame| format!("{member}: {frame}"));
        self.frame = self.frame.take().or(frame);
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
            [] => "intact".to_owned(),
            [one] => one.clone(),
            [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
        };
        format!("<vlstore.Verified {} records, {} blocks: {found}>", self.records, self.blocks)
    }
}

/// How much of what was written an opened store holds, in words.
pub(crate) fn opened(opened: Opened) -> String {
    match opened {
        Opened::Intact => "intact".into(),
        Opened::OlderCommit { generation } => format!("older commit {generation}"),
        Opened::LastSeal { generation } => format!("last seal, commit {generation}"),
        Opened::Extended => "extended by another program".into(),
        Opened::Unchecked => "without checksums".into(),
        _ => "other".into(),
    }
}

pub(crate) fn info<'py>(py: Python<'py>, info: &Info) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("records", info.records)?;
    dict.set_item("dead_records", info.dead_records)?;
    dict.set_item("shared", info.shared)?;
    dict.set_item("raw_bytes", info.raw_bytes)?;
    dict.set_item("dead_bytes", info.dead_bytes)?;
    dict.set_item("file_bytes", info.file_bytes)?;
    dict.set_item("garbage", info.garbage)?;
    dict.set_item("compactable", info.compactable)?;
    dict.set_item("ratio", info.ratio())?;
    dict.set_item("generation", info.generation)?;
    dict.set_item("sealed", info.sealed)?;
    dict.set_item("sealed_records", info.sealed_records)?;
    dict.set_item("checked", info.checked)?;
    dict.set_item("opened", opened(info.opened))?;
    dict.update(options::kept(py, &info.layout)?.as_mapping())?;
    Ok(dict)
}

/// What the manifest of a data set says.
pub(crate) fn manifest<'py>(py: Python<'py>, manifest: &Manifest) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("records", manifest.records())?;
    dict.set_item("weight", manifest.weight())?;
    dict.set_item("raw_bytes", manifest.record_bytes())?;
    dict.set_item("file_bytes", manifest.file_bytes())?;
    dict.set_item("generation", manifest.publication)?;
    dict.set_item("record_codec", &manifest.layout.record_codec.0)?;
    let member = |member: &Member| {
        let dict = PyDict::new(py);
        dict.set_item("name", &*member.name)?;
        dict.set_item("records", member.records)?;
        dict.set_item("weight", member.weight)?;
        dict.set_item("raw_bytes", member.record_bytes)?;
        dict.set_item("file_bytes", member.file_bytes)?;
        dict.set_item("commit", member.commit)?;
        dict.set_item("sha256", &*member.sha256)?;
        Ok(dict)
    };
    let members = manifest.members.iter().map(member).collect::<PyResult<Vec<_>>>()?;
    dict.set_item("members", members)?;
    Ok(dict)
}

fn place(typed: &Typed) -> String {
    match &typed.handle.place {
        StorePath::File(path) => path.display().to_string(),
        StorePath::Object(name, _) => name.clone(),
        StorePath::Memory => "memory".into(),
    }
}

/// What an object of the class `class` shows of itself.
pub(crate) fn repr(py: Python<'_>, class: &str, typed: &Typed) -> String {
    let codec = typed.codec.as_ref();
    let records =
        codec.map_or_else(|| "records".into(), |codec| format!("{} records", codec.name()));
    let handle = &typed.handle;
    match handle.read(py, |v| Ok((v.len(), v.is_dirty()))) {
        Ok((len, dirty)) => {
            let mode = if handle.is_writer() { "writing" } else { "reading" };
            let dirty = if dirty { ", not committed" } else { "" };
            format!("<vlstore.{class} {:?}: {len} {records}, {mode}{dirty}>", place(typed))
        }
        Err(_) if handle.is_closed(py) => format!("<vlstore.{class} {:?}: closed>", place(typed)),
        Err(_) => format!("<vlstore.{class} {:?}>", place(typed)),
    }
}

/// The same for a notebook.
pub(crate) fn html(py: Python<'_>, class: &str, typed: &Typed) -> PyResult<String> {
    let handle = &typed.handle;
    let Ok(info) = handle.read(py, |v| Ok(v.info()?)) else {
        return Ok(format!("<code>{}</code>", escaped(&repr(py, class, typed))));
    };
    // What is not committed counts, as it does for `len`; sizes are those of the last commit.
    let (records, dirty) = handle.read(py, |v| Ok((v.len(), v.is_dirty())))?;
    let state = opened(info.opened) + if dirty { ", not committed" } else { "" };
    let mut rows = vec![
        ("records", records.to_string()),
        ("record bytes", info.raw_bytes.to_string()),
        ("file bytes", format!("{} ({:.2} : 1)", info.file_bytes, info.ratio())),
        ("record codec", info.layout.record_codec.0.clone()),
        ("commit", info.generation.to_string()),
        ("state", state),
    ];
    let attributes = handle.read(py, |v| Ok(v.attributes().to_string()))?;
    if attributes != "{}" && attributes != "null" {
        rows.push(("attrs", attributes));
    }
    Ok(table(&format!("vlstore.{class} {}", place(typed)), &rows))
}

/// Says it if less was opened than was written.
pub(crate) fn warn(py: Python<'_>, handle: &Handle) -> PyResult<()> {
    let found = handle.read(py, |v| Ok(v.opened()))?;
    if !matches!(found, Opened::OlderCommit { .. } | Opened::LastSeal { .. }) {
        return Ok(());
    }
    let place = handle.place.shown();
    let text = format!(
        "{place}: the newest commit cannot be read; opened is the {}. What came after it is \
         missing: `vlstore verify` says more",
        opened(found)
    );
    let class = py.import("vlstore.errors")?.getattr("RecoveredWarning")?;
    PyErr::warn(py, &class, &CString::new(text)?, 2)
}
