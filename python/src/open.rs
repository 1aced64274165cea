//! Opening stores: on a file, in memory, over bytes.

use crate::array::buffer::Bytes;
use crate::convert::options::{Role, agree, chooses_layout, from_dict};
use crate::error::{Failure, Outcome, described, from_error, invalid, raise, wrong_type};
use crate::store::class::Store;
use crate::store::codec::RecordCodec;
use crate::store::depot::Depot;
use crate::store::exit;
use crate::store::handle::Handle;
use crate::store::object::ObjectReader;
use crate::store::report::warn;
use crate::store::store_path::StorePath;
use crate::store::typed::Typed;
use crate::trajectory::class::Trajectory;
use pyo3::exceptions::{PyRuntimeWarning, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyType};
use std::ffi::CString;
use std::path::PathBuf;
use std::sync::Arc;
use vlstore::Readable;
use vlstore::backend::{MemoryBackend, RangeSource as _};
use vlstore::codec::{AnyCodec as _, RawCodec};
use vlstore::dataset::{DataSet, MOST_OPEN, is_dataset, not_the_manifest};
use vlstore::remote::RemoteOptions;
use vlstore::trajectory::FrameForm;
use vlstore::{OriginalTable, StoreOptions, Writer};

/// What the caller says about the records.
enum Records {
    /// They are what the file names.
    Auto,
    /// Values are the bytes as they are, whatever the file names.
    Bytes,
    Codec(RecordCodec),
}

impl Records {
    fn new(given: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        match given {
            None => Ok(Self::Auto),
            Some(any) if is(any, "auto") => Ok(Self::Auto),
            Some(any) if is(any, "bytes") => Ok(Self::Bytes),
            Some(any) => RecordCodec::new(any).map(Self::Codec),
        }
    }

    /// What a store that is made keeps about its records.
    fn name(&self, py: Python<'_>, options: &mut StoreOptions) -> PyResult<()> {
        let of_frames = FrameForm::of(&options.layout.record_codec).is_some();
        if options.write.original_table == OriginalTable::Always {
            FrameForm::check_original(&options.layout.record_codec)
                .map_err(|e| from_error(py, &e))?;
        }
        if of_frames && matches!(self, Self::Auto) {
            options.write.rows = RecordCodec::MdFrame.rows();
            return Ok(());
        }
        if of_frames && !matches!(self, Self::Codec(RecordCodec::MdFrame)) {
            return Err(invalid(py, "frames: has an effect with records=\"md-frame\" alone"));
        }
        if let Self::Codec(codec) = self {
            let (name, asked) = &options.layout.record_codec;
            let version = match options.write.original_table {
                _ if name == codec.name() => *asked,
                OriginalTable::Always => codec.original_version(),
                _ => codec.version(),
            };
            if version == 0 || version > codec.version() {
                let (name, newest) = (codec.name(), codec.version());
                let why = format!(
                    "record_codec: the versions of {name} are 1 to {newest}, not {version}"
                );
                return Err(invalid(py, &why));
            }
            options.layout.record_codec = (codec.name().to_owned(), version);
            options.write.rows = codec.rows();
        }
        if !matches!(self, Self::Codec(_)) {
            // A file of frames gets rows of what is added; a new one is of plain bytes.
            options.write.rows = RecordCodec::MdFrame.rows();
            options.layout.columns = Some(Vec::new());
        }
        Ok(())
    }

    fn over<'py>(self, py: Python<'py>, handle: Handle) -> PyResult<Bound<'py, PyAny>> {
        let handle = Arc::new(handle);
        let made = self.typed(py, handle.clone());
        if made.is_err() {
            // What cannot be used is left as it was.
            handle.close(py, false)?;
        }
        made
    }

    fn typed<'py>(self, py: Python<'py>, handle: Arc<Handle>) -> PyResult<Bound<'py, PyAny>> {
        warn(py, &handle)?;
        if handle.options.original_table == OriginalTable::Always {
            let codec = handle.read(py, |v| Ok(v.layout().record_codec.clone()))?;
            FrameForm::check_original(&codec).map_err(|e| from_error(py, &e))?;
        }
        let vouched = matches!(self, Self::Bytes);
        let codec = match self {
            Self::Bytes => None,
            Self::Codec(codec) => Some(codec),
            Self::Auto => {
                let name = handle.read(py, |v| Ok(v.layout().record_codec.0.clone()))?;
                match vlstore::codec::by_name(&name) {
                    Ok(codec) if codec.name() == RawCodec.name() => None,
                    // Records of a codec of the user can be looked at as bytes.
                    Err(_) => None,
                    Ok(_) => Some(RecordCodec::named(py, &name)?),
                }
            }
        };
        let typed = Typed { handle, codec: codec.map(Arc::new), vouched, keyed: false };
        exit::note(&typed.handle);
        match typed.codec.as_deref() {
            None => Ok(Bound::new(py, Store::over(typed))?.into_any()),
            Some(RecordCodec::MdFrame) => {
                Ok(Bound::new(py, Trajectory::over(py, typed)?)?.into_any())
            }
            Some(_) => Ok(Bound::new(py, Depot::over(py, typed)?)?.into_any()),
        }
    }
}

fn is(any: &Bound<'_, PyAny>, name: &str) -> bool {
    any.cast::<PyString>().is_ok_and(|text| text == name)
}

/// Opens the store at `path`.
#[pyfunction(name = "_open")]
#[pyo3(signature = (path, mode, records, options))]
pub(crate) fn open<'py>(
    path: &Bound<'py, PyAny>,
    mode: &str,
    records: Option<&Bound<'py, PyAny>>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = path.py();
    let role = match mode {
        "r" => Role::Read,
        "a" | "w" | "x" => Role::Make,
        _ => {
            let why = format!(
                "mode: {mode:?} is not one of \"r\" (read), \"a\" (add, and make if missing), \
                 \"w\" (make anew), \"x\" (make, must not exist)"
            );
            return Err(invalid(py, &why));
        }
    };
    let file: PathBuf = path.extract().map_err(|error: PyErr| {
        if error.is_instance_of::<PyTypeError>(py) {
            described("path must be a str or an os.PathLike", path)
                .map_or_else(|e| e, |why| wrong_type(py, &why))
        } else {
            error
        }
    })?;
    not_the_manifest(&file).map_err(|e| from_error(py, &e))?;
    if mode != "r" && is_dataset(&file) {
        let why = format!(
            "{}: this is a data set, which is only read: write a store in the folder, close it, and publish it \
             (vlstore.publish)",
            path.str()?
        );
        return Err(invalid(py, &why));
    }
    let given = options;
    let mut options = from_dict(given, role)?;
    let records = Records::new(records)?;
    if vlstore::remote::is_url(&file) {
        if mode != "r" {
            let why = format!(
                "mode: {mode:?} does not work on {}: a store in an object store is only read; write it to a \
                 file and use vlstore.push",
                file.display()
            );
            return Err(invalid(py, &why));
        }
        let url = file.to_string_lossy().into_owned();
        let handle = py.detach(|| -> Outcome<Handle> {
            let (remote, read) = (RemoteOptions::from_env()?, options.write.reading());
            let place = StorePath::File(file.clone());
            match vlstore::remote::open(&url, &read, &remote) {
                Ok(store) => Ok(Handle::reader(store, place, options.write)),
                // A data set may be there.
                Err(e) if vlstore::remote::is_missing(&e) => {
                    match DataSet::open_with(&file, &read, MOST_OPEN) {
                        Err(none) if matches!(none.root(), vlstore::Error::NotAStore { .. }) => {
                            Err(e.into())
                        }
                        set => Ok(Handle::set(set?, place, options.write)),
                    }
                }
                Err(e) => Err(e.into()),
            }
        })?;
        return records.over(py, handle);
    }
    if mode == "a" && chooses_layout(given)? && file.is_file() {
        let there = py.detach(|| vlstore::Store::open_with(&file, &options.write.reading()));
        // What cannot be opened is refused below, as it is without options.
        if let Ok(there) = there {
            agree(given, &options.layout, there.layout())?;
        }
    }
    records.name(py, &mut options)?;
    let place = StorePath::File(file.clone());
    let (handle, alone) = py.detach(|| -> Outcome<(Handle, bool)> {
        let writer = match mode {
            "r" if file.is_dir() => {
                let set = DataSet::open_with(&file, &options.write.reading(), MOST_OPEN)?;
                return Ok((Handle::set(set, place, options.write), true));
            }
            "r" => {
                let store = vlstore::Store::open_with(&file, &options.write.reading())?;
                return Ok((Handle::reader(store, place, options.write), true));
            }
            "a" => Writer::open_or_create(&file, &options)?,
            "w" => Writer::replace(&file, &options)?,
            _ => Writer::create(&file, &options)?,
        };
        let alone = writer.is_locked();
        Ok((Handle::writer(writer, place, "a", options.write), alone))
    })?;
    if !alone {
        let text = format!(
            "{}: this file system has no locks; make sure that no other process writes to the store",
            path.str()?
        );
        let class = py.get_type::<PyRuntimeWarning>();
        PyErr::warn(py, &class, &CString::new(text)?, 2)?;
    }
    records.over(py, handle)
}

/// Opens the store in an object that a Python object reads by ranges.
#[pyfunction(name = "_open_object")]
#[pyo3(signature = (object, records, options))]
pub(crate) fn open_object<'py>(
    object: &Bound<'py, PyAny>,
    records: Option<&Bound<'py, PyAny>>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = object.py();
    let options = from_dict(options, Role::Read)?;
    let records = Records::new(records)?;
    let source = Arc::new(ObjectReader::new(object)?);
    let (name, kept) = (source.name().to_owned(), source.object());
    let store = py.detach(|| -> Outcome<vlstore::Store> {
        let remote = RemoteOptions::from_env()?;
        // What it is called may not tell it from all others.
        let remote = RemoteOptions { disk: None, ..remote };
        Ok(vlstore::remote::open_source(source, &options.write.reading(), &remote)?)
    })?;
    records.over(py, Handle::reader(store, StorePath::Object(name, kept), options.write))
}

/// Makes a store in memory.
#[pyfunction(name = "_memory")]
#[pyo3(signature = (records, options))]
pub(crate) fn memory<'py>(
    py: Python<'py>,
    records: Option<&Bound<'py, PyAny>>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let mut options = from_dict(options, Role::Make)?;
    let records = Records::new(records)?;
    records.name(py, &mut options)?;
    let writer = Writer::in_memory(&options).map_err(|e| from_error(py, &e))?;
    records.over(py, Handle::writer(writer, StorePath::Memory, "a", options.write))
}

/// Opens the store whose content is `data`.
#[pyfunction(name = "_from_bytes")]
#[pyo3(signature = (data, mode, records, options))]
pub(crate) fn from_bytes<'py>(
    data: &Bound<'py, PyAny>,
    mode: &str,
    records: Option<&Bound<'py, PyAny>>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = data.py();
    if !matches!(mode, "r" | "a") {
        let why = format!("mode: {mode:?} is neither \"r\" (read) nor \"a\" (add)");
        return Err(invalid(py, &why));
    }
    let role = if mode == "r" { Role::Read } else { Role::Write };
    let options = from_dict(options, role)?;
    let records = Records::new(records)?;
    let bytes = Bytes::get(data, "data")?;
    let handle = py.detach(|| -> Outcome<Handle> {
        if mode == "r" {
            let bytes = copied(&bytes).map_err(Failure::from)?;
            let backend = Arc::new(vlstore::backend::SliceBackend::from_owner(bytes));
            let store = vlstore::Store::open_in(backend, &options.write.reading())?;
            return Ok(Handle::reader(store, StorePath::Memory, options.write));
        }
        let backend = Arc::new(MemoryBackend::from_bytes(copied(&bytes).map_err(Failure::from)?));
        let writer = Writer::open_in(backend, &options.write).map_err(Failure::from)?;
        Ok(Handle::writer(writer, StorePath::Memory, "a", options.write))
    })?;
    records.over(py, handle)
}

/// The bytes once more; an error where there is no memory for them.
fn copied(bytes: &[u8]) -> vlstore::Result<Vec<u8>> {
    let mut out = Vec::new();
    let asked = bytes.len() as u64;
    out.try_reserve_exact(bytes.len()).map_err(|_| vlstore::Error::OutOfMemory { asked })?;
    out.extend_from_slice(bytes);
    Ok(out)
}

/// Opens what [`Store::__reduce__`] sent.
#[pyfunction]
#[pyo3(signature = (place, seen, options, codec))]
pub(crate) fn _reopen<'py>(
    place: &Bound<'py, PyAny>,
    seen: (String, u64),
    options: &Bound<'py, PyDict>,
    codec: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = place.py();
    let store = if place.is_instance_of::<PyBytes>() {
        from_bytes(place, "r", codec, Some(options))?
    } else if place.hasattr("begin")? {
        open_object(place, codec, Some(options))?
    } else {
        open(place, "r", codec, Some(options))?
    };
    let opened = store.cast::<Store>()?.get();
    let (still, id) = opened.handle().read(py, |v| Ok((v.is_still(&seen.0)?, v.id()?)))?;
    let found = (id, opened.generation(py)?);
    if !still || found.1 < seen.1 {
        let why = format!(
            "{} at commit {} is there, but {} at commit {} was seen where the store was pickled: another file has \
             taken its place (compacting it makes one, too), or the data set has other members; open it again by its \
             path",
            found.0, found.1, seen.0, seen.1
        );
        return Err(raise(py, "ReplacedError", &why));
    }
    Ok(store)
}

/// The class that a pickled store needs to be known by.
pub(crate) fn register(py: Python<'_>, class: &Bound<'_, PyType>) -> PyResult<()> {
    py.import("collections.abc")?.getattr("Mapping")?.call_method1("register", (class,)).map(drop)
}
