//! What the face of the original program needs beyond the modern one: many records in one
//! buffer, all places at once, and its hash.

use crate::array::buffer::{Bytes, BytesMut, fresh_bytes};
use crate::convert::key::{keys, to_python};
use crate::error::{Failure, from_error};
use crate::store::class::Store;
use crate::store::handle::Handle;
use crate::store::typed::Typed;
use pyo3::prelude::*;
use pyo3::types::{PyList, PySlice};
use std::ops::Range;
use std::sync::Arc;
use twox_hash::XxHash3_128;
use vlstore::{Batch, Error, Location};

/// The XXH3 hash of 128 bits of a buffer, as 32 hexadecimal digits.
#[pyfunction]
#[pyo3(name = "_byte_hash", signature = (content, seed))]
pub(crate) fn byte_hash(py: Python<'_>, content: &Bound<'_, PyAny>, seed: u64) -> PyResult<String> {
    let bytes = Bytes::get(content, "the content")?;
    Ok(py.detach(|| format!("{:032x}", XxHash3_128::oneshot_with_seed(seed, &bytes))))
}

/// The bytes of the logical byte space from the first record to the end of the last.
fn span(places: &[Location]) -> Range<u64> {
    let start = places.iter().map(|p| p.start).min().unwrap_or(0);
    let end = places.iter().map(|p| p.end).max().unwrap_or(0);
    start..end
}

/// Where each record goes in the common buffer: as they lie in the store, gaps included.
fn spread(places: &[Location]) -> PyResult<(Vec<Range<usize>>, usize)> {
    let whole = span(places);
    let at = |offset: u64| usize::try_from(offset.saturating_sub(whole.start));
    let slices = places.iter().map(|p| Ok(at(p.start)?..at(p.end)?)).collect::<PyResult<_>>()?;
    Ok((slices, at(whole.end)?))
}

fn fill(out: &mut [u8], batch: &Batch, slices: &[Range<usize>], packed: bool) {
    if packed {
        if let Some(out) = out.get_mut(..batch.buffer().len()) {
            out.copy_from_slice(batch.buffer());
        }
        return;
    }
    for (record, place) in batch.iter().zip(slices) {
        // Both lengths come from one entry of the index.
        if let Some(out) = out.get_mut(place.clone()).filter(|out| out.len() == record.len()) {
            out.copy_from_slice(record);
        }
    }
}

#[pymethods]
impl Store {
    /// The same store as a mapping of the records that have a key, as the original's face has it.
    fn _keyed<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Self>> {
        Bound::new(py, Self::over(Typed { keyed: true, ..self.typed.clone() }))
    }

    /// Keys and places of all records with a key: ``(key, start, end)``, in the order of
    /// insertion.
    fn _places<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let found = self.handle().read(py, |v| {
            let mut found = Vec::new();
            for ordinal in 0..v.len() {
                if let Some(key) = v.key_at(ordinal)? {
                    found.push((key, v.location_at(ordinal)?));
                }
            }
            Ok(found)
        })?;
        let list = PyList::empty(py);
        for (key, place) in found {
            list.append((to_python(py, Some(&key))?, place.start, place.end))?;
        }
        Ok(list)
    }

    /// A second handle, for reading, on the last commit in the same memory. A child of a fork
    /// can use it, which a writer refuses.
    fn _reader<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Self>> {
        let this = self.handle();
        let backend = this.read(py, |v| Ok(v.committed()?.backend().clone()))?;
        let options = this.options.clone();
        let store = py
            .detach(|| vlstore::Store::open_in(backend, &options.reading()))
            .map_err(|error| from_error(py, &error))?;
        let handle = Arc::new(Handle::reader(store, this.place.clone(), options));
        Bound::new(py, Self::over(Typed { handle, ..self.typed.clone() }))
    }

    /// Bytes from the first record under ``keys`` to the end of the last.
    fn _span(&self, py: Python<'_>, keys: &Bound<'_, PyAny>) -> PyResult<u64> {
        let keys = self::keys(keys)?;
        let places = self.handle().read(py, |v| {
            keys.into_iter().map(|key| Ok(v.location_of(&key)?)).collect::<Result<Vec<_>, _>>()
        })?;
        let span = span(&places);
        Ok(span.end - span.start)
    }

    /// Fetches the records under ``keys`` into one buffer: ``(buffer, slices)``.
    ///
    /// ``make`` is called with the size that is needed and gives the buffer, or is ``None`` for
    /// ``bytes``. The records lie in it as they do in the store, gaps included, or, if
    /// ``packed``, one after the other at multiples of 8. Blocks in gaps are not decoded.
    #[pyo3(signature = (keys, make, packed))]
    fn _fused<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyAny>,
        make: Option<&Bound<'py, PyAny>>,
        packed: bool,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyList>)> {
        let keys = self::keys(keys)?;
        let (places, batch) = self.handle().read(py, |v| {
            let places = if packed {
                Vec::new()
            } else {
                let one = |key: &vlstore::Key| Ok(v.location_of(key)?);
                keys.iter().map(one).collect::<Result<Vec<_>, Failure>>()?
            };
            Ok((places, v.plan_keys(&keys)?.batch()?))
        })?;
        let (slices, size) =
            if packed { (batch.places().to_vec(), batch.buffer().len()) } else { spread(&places)? };
        let out = match make {
            None => fresh_bytes(py, size, |out| {
                py.detach(|| fill(out, &batch, &slices, packed));
            })?
            .into_any(),
            Some(make) => {
                let out = make.call1((size,))?;
                let mut memory = BytesMut::get(&out)?;
                let room = memory.as_mut_slice().len();
                if room < size {
                    let error =
                        Error::Limit { what: "buffer", asked: size as u64, max: room as u64 };
                    return Err(from_error(py, &error));
                }
                py.detach(|| fill(memory.as_mut_slice(), &batch, &slices, packed));
                out
            }
        };
        let slice = py.get_type::<PySlice>();
        let list = PyList::empty(py);
        for place in slices {
            list.append(slice.call1((place.start, place.end))?)?;
        }
        Ok((out, list))
    }
}
