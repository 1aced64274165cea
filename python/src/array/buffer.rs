//! Memory shared with Python.
//!
//! Three directions: [`Record`] serves memory of the crate to Python, [`Bytes`] and
//! [`BytesMut`] let the crate read and fill memory of Python while the interpreter is detached. `docs/safety.md` lists each use.

#![expect(unsafe_code, reason = "the buffer protocol is a contract between C programs")]

use crate::error::{Failure, described, invalid, wrong_type};
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use std::ffi::{CStr, c_char, c_int};
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;
use vlstore::AlignedBuf;

/// The bytes of a record where they lie, read-only.
///
/// Supports the buffer protocol: ``bytes(record)``, ``memoryview(record)`` and
/// ``numpy.frombuffer(record, dtype)`` work, the latter two without a copy. It stays valid when
/// the store is closed, changed or deleted. It keeps alive the memory that it lies in: a decoded
/// block, its batch, or the mapped file.
#[pyclass(frozen, module = "vlstore", name = "Record")]
pub(crate) struct Record {
    bytes: Memory,
}

/// The bytes of a record, wherever they lie; they stay there, and never change, for as long as
/// it or a clone of it lives. Cheap to clone.
#[derive(Clone)]
pub(crate) enum Memory {
    Stored(vlstore::Record),
    /// Encoded here.
    Owned(Arc<AlignedBuf>),
}

impl Memory {
    pub(crate) fn made(bytes: &[u8]) -> PyResult<Self> {
        let copy = AlignedBuf::copy_of(bytes).map_err(Failure::from)?;
        Ok(Self::Owned(Arc::new(copy)))
    }

    /// Bytes of memory that are kept alive; 0 if they lie in the mapped file.
    pub(crate) fn held(&self) -> usize {
        match self {
            Self::Stored(record) => record.held(),
            Self::Owned(bytes) => bytes.len(),
        }
    }
}

impl Deref for Memory {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Stored(record) => record,
            Self::Owned(bytes) => bytes,
        }
    }
}

impl Record {
    pub(crate) const fn new(bytes: Memory) -> Self {
        Self { bytes }
    }

    pub(crate) const fn memory(&self) -> &Memory {
        &self.bytes
    }

    pub(crate) fn stored(record: vlstore::Record) -> Self {
        Self { bytes: Memory::Stored(record) }
    }

    /// A record that was encoded here.
    pub(crate) fn made(bytes: &[u8]) -> PyResult<Self> {
        Ok(Self { bytes: Memory::made(bytes)? })
    }
}

impl Deref for Record {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

#[pymethods]
impl Record {
    /// Number of bytes.
    fn __len__(&self) -> usize {
        self.len()
    }

    fn __bytes__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        copied_bytes(py, self)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        if let Ok(other) = other.cast::<Self>() {
            return **self == **other.get();
        }
        Bytes::get(other, "the other").is_ok_and(|other| **self == *other)
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        copied_bytes(py, self)?.hash()
    }

    fn __repr__(&self) -> String {
        format!("<vlstore.Record of {} bytes>", self.len())
    }

    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        let rebuild = py.get_type::<Self>().getattr("from_bytes")?;
        Ok((rebuild, (copied_bytes(py, self)?,)))
    }

    /// A record that holds a copy of ``data``.
    #[staticmethod]
    fn from_bytes(data: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::made(&Bytes::get(data, "the data")?)
    }

    /// Bytes of memory that the record keeps alive; 0 if it is in the mapped file.
    #[getter]
    fn held(&self) -> usize {
        self.bytes.held()
    }

    // SAFETY: called by the interpreter alone, which passes a view of its own to be filled, or null.
    unsafe fn __getbuffer__(
        slf: &Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("the view is null"));
        }
        let bytes: &[u8] = slf.get();
        let len = isize::try_from(bytes.len())
            .map_err(|_| PyBufferError::new_err("the record is too long for a buffer"))?;
        let at = bytes.as_ptr().cast_mut().cast();
        // SAFETY: `view` is the caller's and not null. The bytes are at a fixed address for as
        // long as the object lives (the class is frozen and never replaces its memory), and the
        // call makes the view hold a reference to the object. It refuses a writable request,
        // so nothing is written through the pointer.
        let code = unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), at, len, 1, flags) };
        if code == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }
}

/// Memory of a Python object, contiguous in C order, to be read while the interpreter runs on.
///
/// Python code that changes the object meanwhile makes the values that are read indefinite, as
/// with every extension that lets the interpreter go; the documentation of the calls says so.
pub(crate) struct Bytes {
    slice: NonNull<[u8]>,
    _export: Export,
}

// SAFETY: what is shared is a slice of bytes behind an exported buffer, which the exporter may
// neither move nor free before the buffer is released; releasing attaches by itself.
unsafe impl Send for Bytes {}
// SAFETY: as above; only reading is offered.
unsafe impl Sync for Bytes {}

impl Bytes {
    /// The memory of `any`, which `what` names in an error: a buffer of any numbers, without
    /// gaps.
    pub(crate) fn get(any: &Bound<'_, PyAny>, what: &str) -> PyResult<Self> {
        let Some(export) = Export::get(any, what)? else {
            let mut why =
                described(&format!("{what} must be bytes or another object with a buffer"), any)?;
            if any.is_instance_of::<PyString>() {
                why.push_str("; encode strings first: value.encode()");
            }
            return Err(wrong_type(any.py(), &why));
        };
        let slice = export.contiguous(any.py(), what)?;
        Ok(Self { slice, _export: export })
    }
}

impl Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: pointer and length come from the buffer that `self` holds, checked for
        // contiguity; the protocol keeps the memory in place until it is released.
        unsafe { self.slice.as_ref() }
    }
}

/// Memory of a Python object, contiguous in C order, to be filled.
pub(crate) struct BytesMut {
    slice: NonNull<[u8]>,
    _export: Export,
}

// SAFETY: as for `Bytes`; the slice is reached through `&mut self` alone.
unsafe impl Send for BytesMut {}

impl BytesMut {
    /// The memory of `any`, which must be writable, without gaps.
    pub(crate) fn get(any: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = any.py();
        let Some(export) = Export::get(any, "the buffer")? else {
            let wanted = "the buffer is a bytearray or another object with writable memory";
            return Err(wrong_type(py, &described(wanted, any)?));
        };
        if export.view.readonly != 0 {
            let why = "the buffer is read-only: give a bytearray or a writable array";
            return Err(wrong_type(py, why));
        }
        let slice = export.contiguous(py, "the buffer")?;
        Ok(Self { slice, _export: export })
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as for `Bytes`, and the exporter granted a writable buffer. Python code that
        // reads the object meanwhile sees indefinite values, no invalid memory.
        unsafe { self.slice.as_mut() }
    }
}

/// A new `bytes` with a copy of `data`; no memory for it is an error of Python's.
pub(crate) fn copied_bytes<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    if data.len() < LARGE {
        return Ok(PyBytes::new(py, data));
    }
    fresh_bytes(py, data.len(), |out| out.copy_from_slice(data))
}

/// Bytes below which a new `bytes` is simply zeroed.
const LARGE: usize = 1 << 20;

/// A new `bytes` of `len` zeros, into which `fill` writes before anybody sees it.
///
/// The memory of a large one is asked for zeroed, so that pages which `fill` leaves alone are
/// never touched.
pub(crate) fn fresh_bytes<'py>(
    py: Python<'py>,
    len: usize,
    fill: impl FnOnce(&mut [u8]),
) -> PyResult<Bound<'py, PyBytes>> {
    // Those of 0 and 1 bytes are shared by all of Python, and never made here.
    if len < LARGE {
        return PyBytes::new_with(py, len, |out| {
            fill(out);
            Ok(())
        });
    }
    let bytes = py.get_type::<PyBytes>().call1((len,))?.cast_into::<PyBytes>()?;
    // SAFETY: the object was made by the call above, is of the very class `bytes` and longer
    // than those that Python shares, so nobody else has a reference to it.
    let at = unsafe { ffi::PyBytes_AsString(bytes.as_ptr()) };
    // SAFETY: a `bytes` of `len` has `len` bytes in one piece, here zeroed, at an address that
    // stays; they are lent to `fill` alone, which ends before the object is given away.
    let out = unsafe { std::slice::from_raw_parts_mut(at.cast::<u8>(), len) };
    fill(out);
    Ok(bytes)
}

/// The buffer of a Python object, held until this is dropped. Of any shape, a single number
/// included, and any format: arrays of NumPy and `ctypes`, their scalars, `array.array`.
struct Export {
    /// At a fixed address: the exporter may keep it.
    view: Box<ffi::Py_buffer>,
}

impl Export {
    /// `None` if the object has no buffer at all.
    fn get(any: &Bound<'_, PyAny>, what: &str) -> PyResult<Option<Self>> {
        // SAFETY: asks the class of a live object.
        if unsafe { ffi::PyObject_CheckBuffer(any.as_ptr()) } == 0 {
            return Ok(None);
        }
        let mut view = Box::new(ffi::Py_buffer::new());
        // SAFETY: the view is new and ours, and the object is alive; on success the view holds a
        // reference to it.
        let code =
            unsafe { ffi::PyObject_GetBuffer(any.as_ptr(), &raw mut *view, ffi::PyBUF_FULL_RO) };
        if code == 0 {
            return Ok(Some(Self { view }));
        }
        let cause = PyErr::fetch(any.py());
        let why = format!("the buffer of {what} cannot be read: {}", cause.value(any.py()));
        let raised = wrong_type(any.py(), &why);
        raised.set_cause(any.py(), Some(cause));
        Err(raised)
    }

    /// Whether the items are pointers to Python objects.
    fn has_objects(&self) -> bool {
        let Some(at) = NonNull::new(self.view.format) else { return false };
        // SAFETY: a format that is there is a text that a zero ends, as long as the view is held.
        let format = unsafe { CStr::from_ptr(at.as_ptr()) }.to_bytes();
        // Names of fields stand between colons.
        format.split(|b| *b == b':').step_by(2).any(|codes| codes.contains(&b'O'))
    }

    fn contiguous(&self, py: Python<'_>, what: &str) -> PyResult<NonNull<[u8]>> {
        // An array of Python objects has pointers for values, which mean nothing elsewhere.
        if self.has_objects() {
            let why = format!("{what} is an array of Python objects, not of numbers");
            return Err(wrong_type(py, &why));
        }
        let len = usize::try_from(self.view.len)?;
        if len == 0 {
            return Ok(NonNull::from(&mut []));
        }
        let order = c_char::try_from(b'C')?;
        // SAFETY: the view was filled by its exporter and is held.
        if unsafe { ffi::PyBuffer_IsContiguous(&raw const *self.view, order) } == 0 {
            let why = format!("{what} is not contiguous: copy it first (numpy.ascontiguousarray)");
            return Err(invalid(py, &why));
        }
        let at = NonNull::new(self.view.buf.cast::<u8>())
            .ok_or_else(|| invalid(py, &format!("{what} has a buffer without memory")))?;
        Ok(NonNull::slice_from_raw_parts(at, len))
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        // At the end of the interpreter there is nobody left to give it back to.
        let _ = Python::try_attach(|_| {
            // SAFETY: the view was filled by `PyObject_GetBuffer` and is released once, here, by a
            // thread that is attached.
            unsafe { ffi::PyBuffer_Release(&raw mut *self.view) };
        });
    }
}
