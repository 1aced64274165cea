//! Arrays over memory of ours, made through NumPy's C interface.
//!
//! `numpy.ndarray(shape, dtype, buffer, offset)` says the same and takes most of a microsecond,
//! which is what reading a whole record costs. `docs/safety.md` lists each use of unsafe code.

#![expect(unsafe_code, reason = "NumPy's C interface is a table of untyped pointers")]

use crate::array::buffer::{BytesMut, Memory, Record};
use crate::error::{invalid, raise};
use pyo3::PyClass;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::True;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;
use std::ffi::{c_int, c_void};

/// Positions in the table, part of NumPy's binary interface, the same in NumPy 1 and 2.
/// Source: the header `numpy/__multiarray_api.h` that NumPy installs.
const GET_VERSION: usize = 0;
const ARRAY_TYPE: usize = 2;
const NEW_FROM_DESCR: usize = 94;
const SET_BASE_OBJECT: usize = 282;

/// `NPY_ARRAY_C_CONTIGUOUS` and `NPY_ARRAY_ALIGNED`; without `NPY_ARRAY_WRITEABLE`. Source:
/// `numpy/ndarraytypes.h`.
const READ_ONLY: c_int = 0x0001 | 0x0100;

/// The same with `NPY_ARRAY_WRITEABLE`.
const WRITABLE: c_int = READ_ONLY | 0x0400;

/// Axes of an array that any NumPy takes.
const AXES: usize = 32;

type GetVersion = unsafe extern "C" fn() -> u32;
type NewFromDescr = unsafe extern "C" fn(
    *mut ffi::PyTypeObject,
    *mut ffi::PyObject,
    c_int,
    *const isize,
    *const isize,
    *mut c_void,
    c_int,
    *mut ffi::PyObject,
) -> *mut ffi::PyObject;
type SetBaseObject = unsafe extern "C" fn(*mut ffi::PyObject, *mut ffi::PyObject) -> c_int;

/// What of the table is used.
struct Api {
    class: Py<PyAny>,
    new: NewFromDescr,
    set_base: SetBaseObject,
}

impl Api {
    fn load(py: Python<'_>) -> PyResult<Self> {
        let module = py
            .import("numpy._core._multiarray_umath")
            .or_else(|_| py.import("numpy.core._multiarray_umath"))?;
        let class = py.import("numpy")?.getattr("ndarray")?;
        let capsule = module.getattr("_ARRAY_API")?;
        // SAFETY: the call checks that the object is a capsule without a name, and raises if
        // not.
        let table = unsafe { ffi::PyCapsule_GetPointer(capsule.as_ptr(), std::ptr::null()) };
        if table.is_null() {
            return Err(PyErr::fetch(py));
        }
        let table = table.cast::<*mut c_void>();
        // SAFETY: NumPy's capsule points to its table, which is static and has more than 282
        // entries in every version from 1.7 on.
        let entry = |at: usize| unsafe { *table.wrapping_add(at) };
        let unknown = || raise(py, "UnsupportedError", "this NumPy has another C interface");
        if entry(ARRAY_TYPE) != class.as_ptr().cast() {
            return Err(unknown());
        }
        // SAFETY: entry 0 is this function in every version.
        let version =
            unsafe { std::mem::transmute::<*mut c_void, Option<GetVersion>>(entry(GET_VERSION)) };
        // SAFETY: it takes nothing and returns a number.
        let version = version.map(|version| unsafe { version() });
        // The upper byte is the major version of the interface.
        if !version.is_some_and(|v| matches!(v >> 24, 1 | 2)) {
            return Err(unknown());
        }
        // SAFETY: in these versions the entry is this function.
        let new = unsafe {
            std::mem::transmute::<*mut c_void, Option<NewFromDescr>>(entry(NEW_FROM_DESCR))
        };
        // SAFETY: as above.
        let set_base = unsafe {
            std::mem::transmute::<*mut c_void, Option<SetBaseObject>>(entry(SET_BASE_OBJECT))
        };
        let (Some(new), Some(set_base)) = (new, set_base) else { return Err(unknown()) };
        Ok(Self { class: class.unbind(), new, set_base })
    }
}

fn api(py: Python<'_>) -> PyResult<&Api> {
    static API: PyOnceLock<Api> = PyOnceLock::new();
    API.get_or_try_init(py, || Api::load(py))
}

/// Items of a type of NumPy.
pub(crate) struct Items<'py> {
    /// NumPy's `dtype` object.
    pub(crate) dtype: Bound<'py, PyAny>,
    /// Bytes of one.
    pub(crate) size: usize,
}

/// A class whose objects own the bytes of a record. It is frozen: nobody can take the memory out of
/// an object, so that what [`Holds::memory`] gives lives as long as the object does.
pub(crate) trait Holds: PyClass<Frozen = True> + Sync {
    /// The bytes; always the same.
    fn memory(&self) -> &Memory;
}

impl Holds for Record {
    fn memory(&self) -> &Memory {
        self.memory()
    }
}

/// An object that owns the bytes of a record: they stay where they are for as long as it lives.
#[derive(Clone, Copy)]
pub(crate) struct Owner<'a, 'py> {
    any: &'a Bound<'py, PyAny>,
    memory: &'a Memory,
}

impl<'a, 'py> Owner<'a, 'py> {
    pub(crate) fn of<T: Holds>(object: &'a Bound<'py, T>) -> Self {
        Self { any: object.as_any(), memory: object.get().memory() }
    }

    pub(crate) fn py(self) -> Python<'py> {
        self.any.py()
    }

    pub(crate) fn bytes(self) -> &'a [u8] {
        self.memory
    }
}

/// An array over the bytes from `at` on of a record: read-only, keeps their owner alive.
pub(crate) fn over_record<'py>(
    owner: Owner<'_, 'py>,
    items: Items<'py>,
    shape: &[usize],
    at: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let bytes = owner.bytes().get(at..).unwrap_or_default();
    over(owner.any, &Data::read_only(bytes), items, shape)
}

/// An array over `bytes`: read-only.
pub(crate) fn over_bytes<'py>(
    bytes: &Bound<'py, PyBytes>,
    items: Items<'py>,
    shape: &[usize],
) -> PyResult<Bound<'py, PyAny>> {
    over(bytes.as_any(), &Data::read_only(bytes.as_bytes()), items, shape)
}

/// A new array of bytes for other arrays over its memory, not yet visible to Python code.
pub(crate) struct Space<'py> {
    array: Bound<'py, PyAny>,
    memory: BytesMut,
}

impl<'py> Space<'py> {
    /// What `numpy.empty` or `numpy.zeros` has just made.
    pub(crate) fn new(array: Bound<'py, PyAny>) -> PyResult<Self> {
        let memory = BytesMut::get(&array)?;
        Ok(Self { array, memory })
    }

    /// Its bytes.
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        self.memory.as_mut_slice()
    }

    /// A writable array over the bytes from `at` on, which keeps them alive, and its memory.
    pub(crate) fn array(
        &mut self,
        items: Items<'py>,
        shape: &[usize],
        at: usize,
    ) -> PyResult<(Bound<'py, PyAny>, &mut [u8])> {
        let len = shape.iter().fold(items.size, |n, axis| n.saturating_mul(*axis));
        let bytes = self.memory.as_mut_slice().get_mut(at..).unwrap_or_default();
        let data = Data { first: bytes.as_mut_ptr(), len: bytes.len(), flags: WRITABLE };
        let array = over(&self.array, &data, items, shape)?;
        Ok((array, bytes.get_mut(..len).unwrap_or_default()))
    }
}

/// Memory for an array, and whether it may be written through it.
struct Data {
    first: *mut u8,
    len: usize,
    flags: c_int,
}

impl Data {
    fn read_only(bytes: &[u8]) -> Self {
        Self { first: bytes.as_ptr().cast_mut(), len: bytes.len(), flags: READ_ONLY }
    }
}

/// An array over the first of `data`, which `base` owns and never moves; only the arrays over it write to it.
fn over<'py>(
    base: &Bound<'py, PyAny>,
    data: &Data,
    items: Items<'py>,
    shape: &[usize],
) -> PyResult<Bound<'py, PyAny>> {
    let py = base.py();
    let mut axes = [0_isize; AXES];
    let Some(axes) = axes.get_mut(..shape.len()) else {
        return Err(invalid(py, "an array with more than 32 axes"));
    };
    let mut len = items.size;
    for (axis, n) in axes.iter_mut().zip(shape) {
        *axis = isize::try_from(*n)?;
        len = len.saturating_mul(*n);
    }
    if len > data.len {
        return Err(invalid(py, "an array reaches past the end of its record"));
    }
    if !data.first.addr().is_multiple_of(items.size.clamp(1, 8)) {
        return Err(invalid(py, "an array is not aligned in memory"));
    }
    let api = api(py)?;
    let class = api.class.as_ptr().cast::<ffi::PyTypeObject>();
    let count = c_int::try_from(axes.len())?;
    // SAFETY: class and function are those of the table. The call takes over the reference to
    // the dtype that `into_ptr` gives up; axes are as many as `count` and copied; the data are
    // as long as shape and item size say, aligned, and without the flag that lets anybody write
    // unless they are those of a new array.
    let array = unsafe {
        (api.new)(
            class,
            items.dtype.into_ptr(),
            count,
            axes.as_ptr(),
            std::ptr::null(),
            data.first.cast::<c_void>(),
            data.flags,
            std::ptr::null_mut(),
        )
    };
    // SAFETY: a new reference, or null with an exception set.
    let array = unsafe { Bound::from_owned_ptr_or_err(py, array) }.map_err(|error| {
        // Axes without an entry beside ones that no memory would hold: NumPy has no such array.
        let raised = raise(py, "CodecError", &format!("NumPy cannot make an array of it: {error}"));
        raised.set_cause(py, Some(error));
        raised
    })?;
    // SAFETY: the array is new and has no base; the call takes over the reference to the base,
    // which from here on lives as long as the array and owns the data.
    let code = unsafe { (api.set_base)(array.as_ptr(), base.clone().into_ptr()) };
    if code == 0 { Ok(array) } else { Err(PyErr::fetch(py)) }
}
