//! NumPy's arrays: those of others as slices, and records as arrays.
//!
//! NumPy is imported when the first array is needed, so that programs that store bytes do not
//! wait for it.

use crate::array::buffer::{Bytes, BytesMut, copied_bytes};
use crate::array::numpy_c_api::{Items, Owner, Space, over_bytes, over_record};
use crate::error::{invalid, wrong_type};
use bytemuck::{AnyBitPattern, NoUninit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use vlstore::codec::{DType, RealView};

struct Numpy {
    asarray: Py<PyAny>,
    contiguous: Py<PyAny>,
    zeros: Py<PyAny>,
    empty: Py<PyAny>,
    dtypes: Vec<(DType, Py<PyAny>)>,
}

fn numpy(py: Python<'_>) -> PyResult<&Numpy> {
    static NUMPY: PyOnceLock<Numpy> = PyOnceLock::new();
    NUMPY.get_or_try_init(py, || {
        let module = py.import("numpy")?;
        let get = |name| module.getattr(name).map(Bound::unbind);
        let dtype =
            |d: &DType| module.getattr("dtype")?.call1((d.name(),)).map(|o| (*d, o.unbind()));
        Ok(Numpy {
            asarray: get("asarray")?,
            contiguous: get("ascontiguousarray")?,
            zeros: get("zeros")?,
            empty: get("empty")?,
            dtypes: DType::ALL.iter().map(dtype).collect::<PyResult<_>>()?,
        })
    })
}

/// NumPy's object for a type of number.
pub(crate) fn dtype(py: Python<'_>, dtype: DType) -> PyResult<Bound<'_, PyAny>> {
    let dtypes = &numpy(py)?.dtypes;
    // They stand in the order of declaration.
    let place = dtypes.get(dtype as usize).filter(|(d, _)| *d == dtype);
    let known = place.or_else(|| dtypes.iter().find(|(d, _)| *d == dtype));
    known
        .map(|(_, object)| object.bind(py).clone())
        .ok_or_else(|| invalid(py, &format!("NumPy has no {}", dtype.name())))
}

fn items(py: Python<'_>, kind: DType) -> PyResult<Items<'_>> {
    Ok(Items { dtype: dtype(py, kind)?, size: kind.size() })
}

/// An array over a part of a record: read-only, without a copy, keeps the owner alive.
pub(crate) fn view<'py>(
    owner: Owner<'_, 'py>,
    kind: DType,
    shape: &[usize],
    at: usize,
) -> PyResult<Bound<'py, PyAny>> {
    over_record(owner, items(owner.py(), kind)?, shape, at)
}

/// A small array with a copy of `values`, read-only.
pub(crate) fn small<'py, T: NoUninit>(
    py: Python<'py>,
    kind: DType,
    shape: &[usize],
    values: &[T],
) -> PyResult<Bound<'py, PyAny>> {
    let bytes = copied_bytes(py, bytemuck::cast_slice(values))?;
    over_bytes(&bytes, items(py, kind)?, shape)
}

/// Where new arrays begin in memory: at a multiple of what XLA, under JAX, takes without a copy.
const ALIGNED: usize = 64;

/// A new array of zeros that nobody else has, and its memory, to be filled.
pub(crate) fn fresh(
    py: Python<'_>,
    kind: DType,
    shape: &[usize],
) -> PyResult<(Py<PyAny>, BytesMut)> {
    made(py, &numpy(py)?.zeros, kind, shape)
}

/// The same without zeros, for those who write every byte of it before anybody sees it.
pub(crate) fn unset(
    py: Python<'_>,
    kind: DType,
    shape: &[usize],
) -> PyResult<(Py<PyAny>, BytesMut)> {
    made(py, &numpy(py)?.empty, kind, shape)
}

/// A new array of so many bytes by `by`, and where in it an array may begin.
fn space<'py>(py: Python<'py>, by: &Py<PyAny>, len: usize) -> PyResult<(Space<'py>, usize)> {
    let len = len.saturating_add(ALIGNED - 1);
    let mut space = Space::new(by.bind(py).call1((len, dtype(py, DType::U8)?))?)?;
    let at = space.bytes().as_ptr().addr();
    Ok((space, at.next_multiple_of(ALIGNED) - at))
}

fn made(
    py: Python<'_>,
    by: &Py<PyAny>,
    kind: DType,
    shape: &[usize],
) -> PyResult<(Py<PyAny>, BytesMut)> {
    let len = shape.iter().fold(kind.size(), |n, axis| n.saturating_mul(*axis));
    let (mut space, at) = space(py, by, len)?;
    let (array, _) = space.array(items(py, kind)?, shape, at)?;
    let memory = BytesMut::get(&array)?;
    Ok((array.unbind(), memory))
}

/// New arrays that nobody else has, in one piece of memory: asking for it costs as much as filling a small
/// array. A part of them that is kept keeps all of it.
pub(crate) struct Together<'py> {
    py: Python<'py>,
    space: Space<'py>,
    /// Where the next one begins.
    at: usize,
}

impl<'py> Together<'py> {
    /// Room for arrays of these lengths in bytes, of zeros.
    pub(crate) fn fresh(py: Python<'py>, lengths: impl Iterator<Item = usize>) -> PyResult<Self> {
        Self::made(py, &numpy(py)?.zeros, lengths)
    }

    /// The same without zeros, for those who write every byte of it before anybody sees it.
    pub(crate) fn unset(py: Python<'py>, lengths: impl Iterator<Item = usize>) -> PyResult<Self> {
        Self::made(py, &numpy(py)?.empty, lengths)
    }

    fn made(
        py: Python<'py>,
        by: &Py<PyAny>,
        lengths: impl Iterator<Item = usize>,
    ) -> PyResult<Self> {
        let aligned = |len: usize| len.checked_next_multiple_of(ALIGNED).unwrap_or(usize::MAX);
        let len = lengths.fold(0_usize, |all, len| all.saturating_add(aligned(len)));
        let (space, at) = space(py, by, len)?;
        Ok(Self { py, space, at })
    }

    /// The next array, and its memory, to be filled.
    pub(crate) fn array(
        &mut self,
        kind: DType,
        shape: &[usize],
    ) -> PyResult<(Bound<'py, PyAny>, &mut [u8])> {
        let at = self.at;
        let made = self.space.array(items(self.py, kind)?, shape, at)?;
        self.at = at.saturating_add(made.1.len().next_multiple_of(ALIGNED));
        Ok(made)
    }
}

/// An array of somebody else, brought into a form that records can take: C order, the machine's
/// byte order.
pub(crate) struct Input {
    pub(crate) bytes: Bytes,
    pub(crate) kind: DType,
    pub(crate) shape: Vec<usize>,
}

/// What an array may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    /// float32 or float64 as they are; float16 and integers are widened, which loses
    /// nothing.
    Real,
    /// Integers that fit 32 bits.
    Int32,
    /// Integers that fit 64 bits.
    Int64,
    /// Booleans.
    Bool,
    /// Any of the numbers above, in 32 or 64 bits.
    Any,
}

/// Refuses a masked array, whose mask no record keeps: what it hides would come back as numbers.
pub(crate) fn unmasked(any: &Bound<'_, PyAny>, what: &str) -> PyResult<()> {
    if any.get_type().name()? == "MaskedArray" {
        let why =
            format!("{what} is a masked array, whose mask would be lost; give array.filled(...)");
        return Err(wrong_type(any.py(), &why));
    }
    Ok(())
}

impl Input {
    /// The array `any`, which `what` names in an error.
    pub(crate) fn get(any: &Bound<'_, PyAny>, what: &str, want: Want) -> PyResult<Self> {
        let py = any.py();
        if any.is_none() {
            return Err(wrong_type(py, &format!("{what} must be an array, not None")));
        }
        unmasked(any, what)?;
        let np = numpy(py)?;
        let array = np.asarray.bind(py).call1((any,)).map_err(|error| {
            let raised =
                wrong_type(py, &format!("{what}: NumPy cannot make an array of this: {error}"));
            raised.set_cause(py, Some(error));
            raised
        })?;
        let found = array.getattr("dtype")?;
        let letter: char = found.getattr("kind")?.extract()?;
        let size: usize = found.getattr("itemsize")?.extract()?;
        let shape: Vec<usize> = array.getattr("shape")?.extract()?;
        let kind = match (want, letter, size) {
            (Want::Real | Want::Any, 'f', 4 | 2) => DType::F32,
            (Want::Real | Want::Any, 'f', 8) => DType::F64,
            (Want::Real, 'i' | 'u', _) => DType::F64,
            (Want::Any, 'i', 1 | 2 | 4) | (Want::Any, 'u', 1 | 2) => DType::I32,
            (Want::Any | Want::Int64, 'i' | 'u', _) => DType::I64,
            (Want::Int32, 'i' | 'u', _) => DType::I32,
            (Want::Bool | Want::Any, 'b', _) => DType::Bool,
            _ if shape.contains(&0) && letter == 'f' => match want {
                // An empty list becomes an array of float64.
                Want::Int32 => DType::I32,
                Want::Bool => DType::Bool,
                _ => DType::I64,
            },
            _ => {
                let wanted = match want {
                    Want::Real => "float32 or float64",
                    Want::Int32 | Want::Int64 => "integers",
                    Want::Bool => "booleans",
                    Want::Any => "numbers or booleans",
                };
                return Err(wrong_type(py, &format!("{what} holds {wanted}, not {found}")));
            }
        };
        if matches!(letter, 'i' | 'u') {
            fits(&array, what, kind)?;
        }
        let target = dtype(py, kind)?;
        let mut array = np.contiguous.bind(py).call1((&array, &target))?;
        if !array.getattr("flags")?.getattr("aligned")?.extract::<bool>()? {
            array = array.call_method0("copy")?;
        }
        Ok(Self { bytes: Bytes::get(&array, what)?, kind, shape })
    }

    /// The values; empty if they are of another type.
    pub(crate) fn values<T: AnyBitPattern>(&self) -> &[T] {
        if self.bytes.is_empty() {
            return &[];
        }
        bytemuck::try_cast_slice(&self.bytes).unwrap_or_default()
    }

    /// Real numbers in the width in which they came.
    pub(crate) fn reals(&self) -> RealView<'_> {
        match self.kind {
            DType::F32 => RealView::F32(self.values()),
            _ => RealView::F64(self.values()),
        }
    }

    /// Booleans; NumPy keeps each as a byte of 0 or 1.
    pub(crate) fn truths(&self) -> &[bool] {
        if self.bytes.is_empty() {
            return &[];
        }
        bytemuck::checked::try_cast_slice(&self.bytes).unwrap_or_default()
    }

    /// Refuses another shape than one that `form` describes.
    pub(crate) fn shaped(
        self,
        py: Python<'_>,
        what: &str,
        form: &str,
        right: impl FnOnce(&[usize]) -> bool,
    ) -> PyResult<Self> {
        if right(&self.shape) {
            return Ok(self);
        }
        let found = tuple(&self.shape);
        Err(invalid(py, &format!("{what} has shape {found}, but must have {form}")))
    }
}

/// A shape as Python writes it.
pub(crate) fn tuple(shape: &[usize]) -> String {
    match shape {
        [one] => format!("({one},)"),
        many => {
            let list = many.iter().map(ToString::to_string).collect::<Vec<_>>();
            format!("({})", list.join(", "))
        }
    }
}

/// Refuses integers that the type does not hold exactly.
fn fits(array: &Bound<'_, PyAny>, what: &str, kind: DType) -> PyResult<()> {
    let py = array.py();
    let size: usize = array.getattr("dtype")?.getattr("itemsize")?.extract()?;
    let bound: i128 = match kind {
        DType::I32 => 1 << 31,
        DType::I64 => 1 << 63,
        // float64 holds every integer up to 2^53.
        _ => 1 << 53,
    };
    let count: usize = array.getattr("size")?.extract()?;
    if count == 0 || (size < 4) || (size == 4 && kind != DType::I32) {
        return Ok(());
    }
    let least: i128 = array.call_method0("min")?.call_method0("item")?.extract()?;
    let most: i128 = array.call_method0("max")?.call_method0("item")?.extract()?;
    if least < -bound || most >= bound {
        let worst = if least < -bound { least } else { most };
        return Err(invalid(
            py,
            &format!("{what} has the value {worst}, which {} cannot hold exactly", kind.name()),
        ));
    }
    Ok(())
}
