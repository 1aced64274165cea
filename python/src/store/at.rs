//! `store.at`: the records by their ordinals.

use crate::array::buffer::{BytesMut, Record};
use crate::array::numpy::fresh;
use crate::convert::key::to_python;
use crate::convert::ordinals::{many, one};
use crate::error::{Outcome, no_attribute, wrong_type};
use crate::store::iter::{Iter, What};
use crate::store::typed::{Typed, part};
use crate::store::view::View;
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyList, PySlice};
use vlstore::codec::DType;

/// The records of a store in the order of insertion: ``store.at``.
///
/// ``at[i]`` gives a value (negative ordinals count from the end), ``at[10:20]`` and ``at[[3, 1,
/// 4]]`` a list of values, fetched together. Raises
/// :class:`~vlstore.errors.OrdinalError` beyond the last record.
#[pyclass(frozen, subclass, sequence, module = "vlstore", name = "Ordinals")]
pub(crate) struct At {
    pub(crate) typed: Typed,
}

impl At {
    pub(crate) const fn new(typed: Typed) -> Self {
        Self { typed }
    }

    fn single(&self, py: Python<'_>, which: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let ordinal = one(which)?;
        let record = self.typed.handle.read(py, |v| Ok(v.get_at(v.ordinal(ordinal)?)?))?;
        self.typed.decode_as(py, record, || format!("ordinal {ordinal}"))
    }

    fn values(&self, py: Python<'_>, ordinals: &[i64]) -> PyResult<Vec<Py<PyAny>>> {
        let name = |i| ordinals.get(i).map_or_else(String::new, |o: &i64| format!("ordinal {o}"));
        self.typed.decode_all(py, &self.fetch(py, ordinals)?, name)
    }

    fn fetch(&self, py: Python<'_>, ordinals: &[i64]) -> PyResult<vlstore::Batch> {
        let handle = &self.typed.handle;
        Ok(handle.read(py, |v| Ok(v.get_batch_at(&v.ordinals(ordinals)?)?))?)
    }
}

#[pymethods]
impl At {
    /// Number of records.
    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(usize::try_from(self.typed.handle.read(py, |v| Ok(v.len()))?)?)
    }

    fn __getitem__(&self, py: Python<'_>, which: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        // The plain case first: to find out that a number cannot be gone through costs as much
        // as to read its record.
        if which.is_exact_instance_of::<PyInt>() {
            return self.single(py, which);
        }
        if let Ok(slice) = which.cast::<PySlice>() {
            let len = isize::try_from(self.__len__(py)?)?;
            let span = slice.indices(len)?;
            let ordinals = (0..span.slicelength)
                .map(|i| i64::try_from(span.start + isize::try_from(i)? * span.step))
                .collect::<Result<Vec<_>, _>>()?;
            let values = self.values(py, &ordinals)?;
            return Ok(PyList::new(py, values)?.into_any().unbind());
        }
        if which.try_iter().is_ok() && !which.hasattr("__index__")? || which.len().is_ok() {
            return Ok(PyList::new(py, self.batch(py, which)?)?.into_any().unbind());
        }
        self.single(py, which)
    }

    fn __iter__(&self, py: Python<'_>) -> PyResult<Iter> {
        Ok(Iter::new(py, &self.typed, What::All)?)
    }

    /// The values at ``ordinals``, in the requested order: an array, a list or another iterable
    /// of integers.
    fn batch(&self, py: Python<'_>, ordinals: &Bound<'_, PyAny>) -> PyResult<Vec<Py<PyAny>>> {
        self.values(py, &many(ordinals)?)
    }

    /// Weight of each record (of a frame its number of atoms), (k,), int64; reads the index and decodes nothing. All
    /// records without ``ordinals``.
    #[pyo3(signature = (ordinals=None))]
    fn weights<'py>(
        &self,
        py: Python<'py>,
        ordinals: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let asked = ordinals.map(many).transpose()?;
        let weights = self.typed.handle.read(py, |v| {
            let all = match asked {
                Some(asked) => v.ordinals(&asked)?,
                None => (0..v.len()).collect(),
            };
            let weights = all.into_iter().map(|o| Ok(v.location_at(o)?.weight));
            weights.collect::<Outcome<Vec<_>>>()
        })?;
        let (array, mut memory) = fresh(py, DType::I64, &[weights.len()])?;
        let (places, _) = memory.as_mut_slice().as_chunks_mut::<8>();
        for (place, n) in places.iter_mut().zip(weights) {
            *place = i64::from(n).to_ne_bytes();
        }
        Ok(array)
    }

    /// The bytes at ``ordinals`` without a copy, as :class:`Record` objects that share one
    /// buffer.
    fn view_batch(&self, py: Python<'_>, ordinals: &Bound<'_, PyAny>) -> PyResult<Vec<Record>> {
        let batch = self.fetch(py, &many(ordinals)?)?;
        (0..batch.len()).map(|i| part(py, &batch, i).map(Record::stored)).collect()
    }

    /// The bytes at ``ordinal`` where they lie; see :meth:`Store.view`.
    fn view(&self, py: Python<'_>, ordinal: &Bound<'_, PyAny>) -> PyResult<Record> {
        let ordinal = one(ordinal)?;
        Ok(Record::stored(self.typed.handle.read(py, |v| Ok(v.get_at(v.ordinal(ordinal)?)?))?))
    }

    /// Copies the bytes at ``ordinal`` into ``buffer``; see :meth:`Store.get_into`.
    fn get_into(
        &self,
        py: Python<'_>,
        ordinal: &Bound<'_, PyAny>,
        buffer: &Bound<'_, PyAny>,
    ) -> PyResult<usize> {
        let ordinal = one(ordinal)?;
        let mut out = BytesMut::get(buffer)?;
        let handle = &self.typed.handle;
        Ok(handle.read(py, |v| Ok(v.get_at_into(v.ordinal(ordinal)?, out.as_mut_slice())?))?)
    }

    /// The key of the record at ``ordinal``; ``None`` if it was put without one.
    fn key(&self, py: Python<'_>, ordinal: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let ordinal = one(ordinal)?;
        let key = self.typed.handle.read(py, |v| Ok(v.key_at(v.ordinal(ordinal)?)?))?;
        to_python(py, key.as_ref())
    }

    /// Where the record at ``ordinal`` lies: ``(start, end, weight)``; see
    /// :meth:`Store.location`.
    fn location(&self, py: Python<'_>, ordinal: &Bound<'_, PyAny>) -> PyResult<(u64, u64, u32)> {
        let ordinal = one(ordinal)?;
        let handle = &self.typed.handle;
        let place = handle.read(py, |v| Ok(v.location_at(v.ordinal(ordinal)?)?))?;
        Ok((place.start, place.end, place.weight))
    }

    /// Refused: a record keeps its place, and a changed one gets a new one.
    fn __setitem__(
        &self,
        py: Python<'_>,
        _ordinal: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let why = "a record is put under a key or pushed, not at an ordinal";
        Err(wrong_type(py, why))
    }

    fn __delitem__(&self, py: Python<'_>, ordinal: &Bound<'_, PyAny>) -> PyResult<()> {
        let ordinal = one(ordinal)?;
        Ok(self.typed.handle.write(py, |w| {
            let ordinal = View::Writer(w).ordinal(ordinal)?;
            Ok(w.delete_at(ordinal)?)
        })?)
    }

    /// Says where flat arrays are made.
    fn __getattr__(slf: &Bound<'_, Self>, name: &str) -> PyResult<Py<PyAny>> {
        let why = "flat arrays are made of frames, of a vlstore.Trajectory: make one with \
                   vlstore.open(path, \"w\", records=\"md-frame\")";
        Err(no_attribute(&slf.get_type().name()?, name, (name == "arrays").then_some(why)))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let (py, this, class) = (slf.py(), slf.get(), slf.get_type().name()?);
        if this.typed.handle.is_closed(py) {
            return Ok(format!("<vlstore.{class} of a closed store>"));
        }
        Ok(format!("<vlstore.{class} of {} records>", this.__len__(py)?))
    }
}
