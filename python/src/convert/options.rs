//! Options by name, as Python gives them.

use crate::error::{described, invalid, wrong_type};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyDictMethods};
use std::time::Duration;
use vlstore::backend::Access;
use vlstore::trajectory::FrameForm;
use vlstore::{
    Alignment, Compression, Durability, Filter, Layout, OriginalTable, Purpose, StoreOptions,
    WriteOptions,
};

/// What the file itself keeps; chosen when it is made.
const KEPT: [&str; 10] = [
    "purpose",
    "chunk_size",
    "block_size",
    "compression",
    "level",
    "filter",
    "typesize",
    "alignment",
    "record_codec",
    "frames",
];
/// Those that a copy has from its source.
const OF_RECORDS: [&str; 2] = ["record_codec", "frames"];
/// What a writer chooses for itself.
const WRITE: [&str; 5] =
    ["durability", "commit_bytes", "commit_interval", "original_table", "accept_older"];
/// What a reader and a writer choose for themselves.
const READ: [&str; 3] = ["threads", "cache_bytes", "access"];

/// What a store is opened for, which decides which options have an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// To read.
    Read,
    /// To add to a store that is there.
    Write,
    /// To add to a store that may be made first.
    Make,
}

impl Role {
    /// Why the option has no effect in this role; `None` if it has one.
    fn refuses(self, name: &str) -> Option<String> {
        if self != Self::Make && KEPT.contains(&name) {
            return Some(format!(
                "{name}: is chosen when a store is made; an existing one keeps what its file has"
            ));
        }
        if self == Self::Read && WRITE.contains(&name) {
            return Some(format!(
                "{name}: has an effect on writing alone, and mode \"r\" only reads; leave it out, or \
                 open with mode \"a\""
            ));
        }
        None
    }
}

/// The options in `given`; `role` says which have an effect.
pub(crate) fn from_dict(given: Option<&Bound<'_, PyDict>>, role: Role) -> PyResult<StoreOptions> {
    let mut out = StoreOptions {
        write: WriteOptions { check: Some(vlstore::codec::check), ..WriteOptions::default() },
        ..StoreOptions::default()
    };
    let Some(given) = given else { return Ok(out) };
    for (name, value) in given.iter() {
        let py = value.py();
        let name: String = name.extract()?;
        if !value.is_none() {
            if let Some(why) = role.refuses(&name) {
                return Err(invalid(py, &why));
            }
            set(&mut out, &name, &value)?;
            positive(&name, &value)?;
        }
    }
    Ok(out)
}

/// Refuses a zero, which in the crate means that none was given.
fn positive(name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let counts = matches!(name, "chunk_size" | "block_size" | "level" | "typesize");
    if counts && value.eq(0)? {
        let why = format!("{name}: 0 is out of range: leave it out for the default");
        return Err(invalid(value.py(), &why));
    }
    Ok(())
}

/// Whether one of the options is given that a file keeps.
pub(crate) fn chooses_layout(given: Option<&Bound<'_, PyDict>>) -> PyResult<bool> {
    let Some(given) = given else { return Ok(false) };
    for name in KEPT {
        if given.get_item(name)?.is_some_and(|value| !value.is_none()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Refuses options that a store which is there does not have, and which would have no effect.
pub(crate) fn agree(
    given: Option<&Bound<'_, PyDict>>,
    asked: &Layout,
    there: &Layout,
) -> PyResult<()> {
    let Some(given) = given else { return Ok(()) };
    let (py, own) = (given.py(), kept(given.py(), there)?);
    let wanted = kept(py, asked)?;
    for name in KEPT {
        let Some(value) = given.get_item(name)?.filter(|value| !value.is_none()) else { continue };
        let has = own.get_item(name)?;
        let same = match (&has, wanted.get_item(name)?) {
            (Some(has), Some(wanted)) => has.eq(wanted)?,
            _ => false,
        };
        if !same {
            let has = has.map_or_else(|| "None".into(), |has| has.to_string());
            let why = format!(
                "{name}: the store has {has}, not {value}, and keeps it; vlstore.copy(path, new, \
                 {name}={}) makes one that has it",
                value.repr()?
            );
            return Err(invalid(py, &why));
        }
    }
    Ok(())
}

/// The options of a store that is made from one with the layout of `source`.
pub(crate) fn over(source: &Layout, given: &Bound<'_, PyDict>) -> PyResult<StoreOptions> {
    const ALSO: [&str; 4] = ["threads", "durability", "original_table", "access"];
    let py = given.py();
    let mut out = StoreOptions::from(source.clone());
    let get = |name: &str| Ok::<_, PyErr>(given.get_item(name)?.filter(|value| !value.is_none()));
    if get("purpose")?.is_some() {
        // All else follows anew from the purpose.
        let layout = out.layout;
        out.layout = Layout {
            compression: Compression::Auto,
            level: 0,
            chunk_size: 0,
            block_size: 0,
            ..layout
        };
    }
    if get("compression")?.is_some() {
        out.layout.level = 0;
    }
    for (name, value) in given.iter().filter(|(_, value)| !value.is_none()) {
        let name: String = name.extract()?;
        let known = || KEPT.iter().chain(&ALSO).filter(|known| !OF_RECORDS.contains(known));
        if !known().any(|known| *known == name) {
            let known = known().copied().collect::<Vec<_>>().join(", ");
            let why = format!("unknown option {name:?}; the options here are {known}");
            return Err(wrong_type(py, &why));
        }
        set(&mut out, &name, &value)?;
        positive(&name, &value)?;
    }
    if get("chunk_size")?.is_some()
        && get("block_size")?.is_none()
        && out.layout.block_size > out.layout.chunk_size
    {
        out.layout.block_size = 0;
    }
    Ok(out)
}

fn set(out: &mut StoreOptions, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
    match name {
        "purpose" => {
            out.layout.purpose =
                choice(name, value, Purpose::from_name, &["dense", "balanced", "random"])?;
        }
        "chunk_size" => out.layout.chunk_size = integer(name, value)?,
        "block_size" => out.layout.block_size = integer(name, value)?,
        "compression" => {
            let known = ["zstd", "lz4", "lz4hc", "zlib", "blosclz", "stored"];
            let named =
                |name: &str| known.contains(&name).then(|| Compression::from_name(name)).flatten();
            out.layout.compression = choice(name, value, named, &known)?;
        }
        "level" => out.layout.level = integer(name, value)?,
        "filter" => {
            out.layout.filter =
                choice(name, value, Filter::from_name, &["none", "shuffle", "bitshuffle"])?;
        }
        "typesize" => out.layout.typesize = integer(name, value)?,
        "alignment" => {
            let known = ["block", "no_cross", "contiguous", "start"];
            out.layout.alignment = choice(name, value, Alignment::from_name, &known)?;
        }
        "record_codec" => {
            out.layout.record_codec = value.extract().or_else(|_| {
                value.extract::<String>().map(|name| (name, 1)).map_err(|_| {
                    wrong_type(value.py(), "record_codec: give a name, or a name and a version")
                })
            })?;
        }
        "threads" => out.write.threads = integer(name, value)?,
        "frames" => {
            out.layout.record_codec =
                choice(name, value, FrameForm::from_name, &["table", "lean"])?.record_codec();
        }
        "durability" => {
            let known = ["none", "kernel", "sync"];
            out.write.durability = choice(name, value, Durability::from_name, &known)?;
        }
        "commit_bytes" => out.write.commit_bytes = integer(name, value)?,
        "commit_interval" => {
            let refuse = || invalid(value.py(), "commit_interval: give seconds, 0 or more");
            let seconds: f64 = value.extract().map_err(|_| refuse())?;
            out.write.commit_interval = if seconds == f64::INFINITY {
                Duration::MAX
            } else {
                Duration::try_from_secs_f64(seconds).map_err(|_| refuse())?
            };
        }
        "cache_bytes" => out.write.cache_bytes = integer(name, value)?,
        "original_table" => {
            out.write.original_table =
                choice(name, value, OriginalTable::from_name, &["auto", "always", "never"])?;
        }
        "accept_older" => {
            out.write.accept_older = value.extract::<bool>().map_err(|_| {
                described("accept_older must be True or False", value)
                    .map_or_else(|e| e, |why| wrong_type(value.py(), &why))
            })?;
        }
        "access" => {
            let named = |name: &str| match name {
                "auto" => Some(Access::Auto),
                "map" => Some(Access::Map),
                "pread" => Some(Access::Pread),
                _ => None,
            };
            out.write.access = choice(name, value, named, &["auto", "map", "pread"])?;
        }
        _ => {
            let known =
                KEPT.iter().chain(&WRITE).chain(&READ).copied().collect::<Vec<_>>().join(", ");
            let why = format!("unknown option {name:?}; the options are {known}");
            return Err(wrong_type(value.py(), &why));
        }
    }
    Ok(())
}

fn choice<T>(
    what: &str,
    value: &Bound<'_, PyAny>,
    named: impl Fn(&str) -> Option<T>,
    known: &[&str],
) -> PyResult<T> {
    let list = known.iter().map(|k| format!("{k:?}")).collect::<Vec<_>>().join(", ");
    let Ok(name) = value.extract::<String>() else {
        return Err(wrong_type(
            value.py(),
            &described(&format!("{what} must be one of {list}"), value)?,
        ));
    };
    named(&name)
        .ok_or_else(|| invalid(value.py(), &format!("{what}: {name:?} is not one of {list}")))
}

fn integer<T: TryFrom<u64>>(what: &str, value: &Bound<'_, PyAny>) -> PyResult<T> {
    let number = value.extract::<u64>();
    if value.is_instance_of::<PyBool>() || !value.hasattr("__index__")? {
        let wanted = format!("{what} must be an integer");
        return Err(wrong_type(value.py(), &described(&wanted, value)?));
    }
    number.ok().and_then(|n| T::try_from(n).ok()).ok_or_else(|| {
        let shown = value.repr().map_or_else(|_| "?".into(), |r| r.to_string_lossy().into_owned());
        invalid(value.py(), &format!("{what}: {shown} is out of range"))
    })
}

/// The options that a second handle on the same store takes over, as a dict that `from_dict`
/// reads.
pub(crate) fn own<'py>(py: Python<'py>, options: &WriteOptions) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("threads", options.threads)?;
    dict.set_item("cache_bytes", options.cache_bytes)?;
    dict.set_item(
        "access",
        match options.access {
            Access::Map => "map",
            Access::Pread => "pread",
            _ => "auto",
        },
    )?;
    Ok(dict)
}

/// What a file keeps of its layout, for people and programs.
pub(crate) fn kept<'py>(py: Python<'py>, layout: &Layout) -> PyResult<Bound<'py, PyDict>> {
    let params = layout.params();
    let dict = PyDict::new(py);
    dict.set_item("purpose", layout.purpose.name())?;
    dict.set_item("chunk_size", layout.chunk())?;
    dict.set_item("block_size", layout.block_size)?;
    dict.set_item("compression", Compression::from(params.algorithm).name())?;
    dict.set_item("level", params.level)?;
    dict.set_item("filter", params.filter.name())?;
    dict.set_item("typesize", params.typesize)?;
    dict.set_item("alignment", layout.alignment.name())?;
    dict.set_item("record_codec", layout.record_codec.0.as_str())?;
    dict.set_item("record_codec_version", layout.record_codec.1)?;
    dict.set_item("frames", FrameForm::of(&layout.record_codec).map(FrameForm::name))?;
    Ok(dict)
}
