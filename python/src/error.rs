//! Which exception an error becomes.
//!
//! The classes stand in `vlstore.errors`, in Python, where they can be read and documented; each
//! is looked up once.

use pyo3::PyTypeInfo;
use pyo3::exceptions::{PyAttributeError, PyKeyboardInterrupt, PyMemoryError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyType};
use std::io::ErrorKind;
use vlstore::Error;

/// What a call of this face ends with if it does not end well.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The crate said so.
    Store(Error),
    /// The handle was closed.
    Closed,
    /// The handle of a writer was inherited through a fork.
    Forked,
    /// There is no record at this ordinal, counted as the caller counts.
    Ordinal { asked: i64, len: u64 },
    /// Python said so, or was asked to raise.
    Python(PyErr),
}

pub(crate) type Outcome<T> = Result<T, Failure>;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Self {
        Self::Python(error)
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        Python::attach(|py| match failure {
            Failure::Store(error) => from_error(py, &error),
            Failure::Closed => raise(py, "ClosedError", "the store is closed: open it again"),
            Failure::Forked => raise(
                py,
                "InvalidError",
                "the store was opened for writing before a fork; only the process that opened \
                 it may use this handle: open it again for reading here",
            ),
            Failure::Ordinal { asked, len } => raise(
                py,
                "OrdinalError",
                &format!("no record at ordinal {asked}: the store has {len} records"),
            ),
            Failure::Python(error) => error,
        })
    }
}

/// An exception of `vlstore.errors`.
pub(crate) fn raise(py: Python<'_>, class: &str, message: &str) -> PyErr {
    match class_named(py, class) {
        Ok(class) => PyErr::from_type(class, (message.to_owned(),)),
        Err(error) => error,
    }
}

/// An argument that has the wrong type.
pub(crate) fn wrong_type(py: Python<'_>, message: &str) -> PyErr {
    raise(py, "WrongTypeError", message)
}

/// An argument that cannot work.
pub(crate) fn invalid(py: Python<'_>, message: &str) -> PyErr {
    raise(py, "InvalidError", message)
}

/// An attribute that an object does not have; `hint` says where it is instead.
pub(crate) fn no_attribute(class: &Bound<'_, PyString>, name: &str, hint: Option<&str>) -> PyErr {
    let hint = hint.map_or_else(String::new, |hint| format!("; {hint}"));
    PyAttributeError::new_err(format!("'{class}' object has no attribute '{name}'{hint}"))
}

/// A refusal that shows what was given instead.
pub(crate) fn described(wanted: &str, any: &Bound<'_, PyAny>) -> PyResult<String> {
    let kind = any.get_type().name()?;
    if any.is_none() {
        return Ok(format!("{wanted}, not None"));
    }
    let mut shown = any.repr().map_or_else(|_| String::new(), |r| r.to_string_lossy().into_owned());
    if shown.chars().count() > 40 {
        shown = shown.chars().take(40).chain("...".chars()).collect();
    }
    Ok(format!("{wanted}, not {kind} ({shown})"))
}

/// Puts the name of a record before an error of what it holds.
pub(crate) fn of_record(py: Python<'_>, error: PyErr, name: &dyn std::fmt::Display) -> PyErr {
    let value = error.value(py);
    let class = error.get_type(py);
    let ours = class_named(py, "Error").and_then(|base| value.is_instance(&base)).unwrap_or(false);
    if !ours {
        // That of a codec of the user: it stays what it is.
        let _ = value.call_method1("add_note", (format!("in {name}"),));
        return error;
    }
    let why = value.to_string();
    if why.starts_with("record ") || why.starts_with("ordinal ") {
        return error;
    }
    let raised = PyErr::from_type(class, (format!("{name}: {why}"),));
    raised.set_cause(py, error.cause(py));
    raised
}

fn class_named<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyType>> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let module =
        MODULE.get_or_try_init(py, || PyModule::import(py, "vlstore.errors").map(Bound::unbind))?;
    Ok(module.bind(py).getattr(name)?.cast_into::<PyType>()?)
}

/// Whether it says no more than that the handle has failed before.
pub(crate) fn is_poisoned(py: Python<'_>, error: &PyErr) -> bool {
    class_named(py, "PoisonedError").is_ok_and(|class| error.is_instance(py, &class))
}

/// The exception for an error of the crate.
pub(crate) fn from_error(py: Python<'_>, error: &Error) -> PyErr {
    let root = error.root();
    let in_file = matches!(error, Error::File { .. });
    let class = match root {
        Error::Io { source, .. } => match source.kind() {
            ErrorKind::OutOfMemory => return PyMemoryError::new_err(error.to_string()),
            ErrorKind::NotFound => "MissingFileError",
            ErrorKind::PermissionDenied => "PermissionDeniedError",
            _ => "SystemCallError",
        },
        Error::Corrupt(_) => "CorruptError",
        Error::Older { .. } => "OlderStateError",
        Error::NotAStore { .. } => "NotAStoreError",
        Error::Unsupported { .. } => "UnsupportedError",
        Error::Limit { .. } => "LimitError",
        Error::NotFound { .. } => "NotFoundError",
        Error::Exists { .. } if in_file => "StoreExistsError",
        Error::Exists { .. } => "RecordExistsError",
        Error::Invalid { .. } => "InvalidError",
        Error::Locked => "LockedError",
        Error::ReadOnly => "ReadOnlyError",
        Error::Poisoned => "PoisonedError",
        Error::Replaced | Error::Displaced { .. } => "ReplacedError",
        Error::DataSet { .. } => "DataSetError",
        Error::Conflict { .. } | Error::Overtaken => "ConflictError",
        Error::Interrupted => return PyKeyboardInterrupt::new_err(()),
        Error::OutOfMemory { .. } => return PyMemoryError::new_err(error.to_string()),
        Error::Codec { .. } => "CodecError",
        Error::Format { .. } | Error::Unfit(_) => "FormatError",
        Error::Resume { .. } => "ResumeError",
        _ => "Error",
    };
    // A path that exists already is in the message itself.
    let message = if class == "StoreExistsError" { root.to_string() } else { error.to_string() };
    let raised = raise(py, class, &message);
    match annotate(py, &raised, error) {
        Ok(()) => raised,
        Err(other) => other,
    }
}

/// Puts what a program may want to know beside the message.
fn annotate(py: Python<'_>, raised: &PyErr, error: &Error) -> PyResult<()> {
    let value = raised.value(py);
    if value.is_instance(&pyo3::exceptions::PyOSError::type_object(py))?
        && let Error::File { path, .. } = error
    {
        value.setattr("filename", path.to_string_lossy())?;
    }
    match error.root() {
        Error::Io { source, .. } => value.setattr("errno", source.raw_os_error()),
        Error::Resume { reason, .. } => value.setattr("reason", reason.name()),
        Error::Corrupt(found) => {
            value.setattr("part", found.part)?;
            value.setattr("offset", found.offset)?;
            value.setattr("why", found.why)
        }
        Error::Unfit(found) => {
            let frame = found.frame.as_ref();
            value.setattr("ordinal", frame.map(|(ordinal, _)| *ordinal))?;
            value.setattr("key", frame.map(|(_, key)| &**key))?;
            value.setattr("field", &*found.field)?;
            value.setattr("site", found.site)
        }
        _ => Ok(()),
    }
}
