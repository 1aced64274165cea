//! Many frames as flat arrays of `NumPy`: memory for what the crate fills, and its names.

use crate::array::buffer::BytesMut;
use crate::array::numpy::unset;
use crate::error::{Failure, Outcome};
use crate::store::handle::Handle;
use crate::store::view::{Asked, View};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use vlstore::trajectory::arrays::{ArrayInfo, ArrayRequest, Arrays};

/// An array and the memory that it shows.
struct Array {
    shown: Py<PyAny>,
    memory: BytesMut,
}

impl AsMut<[u8]> for Array {
    fn as_mut(&mut self) -> &mut [u8] {
        self.memory.as_mut_slice()
    }
}

impl Array {
    fn new(info: &ArrayInfo) -> Outcome<Self> {
        Python::attach(|py| {
            let (shown, memory) = unset(py, info.dtype, &info.shape)?;
            Ok::<_, Failure>(Self { shown, memory })
        })
    }
}

/// The arrays of a batch.
pub(crate) struct Flat(Arrays<Array>);

impl Flat {
    /// The arrays by their names.
    pub(crate) fn dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (info, array) in &self.0.list {
            dict.set_item(&*info.name, &array.shown)?;
        }
        Ok(dict)
    }

    /// The names of those with an entry for each site.
    pub(crate) fn per_site(&self) -> Vec<String> {
        let by_site = self.0.list.iter().filter(|(info, _)| info.by_site);
        by_site.map(|(info, _)| info.name.to_string()).collect()
    }
}

/// The arrays of the frames that `asked` names, filled with the interpreter detached.
pub(crate) fn flat(
    py: Python<'_>,
    handle: &Handle,
    asked: &Asked,
    request: ArrayRequest,
) -> PyResult<Flat> {
    let collator = handle.collator(request);
    let selection = asked.selection();
    let made = handle.read(py, |view| match view {
        // A reader goes through a state of its own and holds no lock while it makes arrays.
        View::Reader(snapshot) => Ok(Ok(collator.arrays(snapshot, selection, Array::new)?)),
        View::Set(set) => Ok(Ok(collator.arrays(set, selection, Array::new)?)),
        View::Writer(writer) => Ok(Err(collator.fetch(writer, selection)?)),
    })?;
    match made {
        Ok(made) => Ok(Flat(made)),
        Err(fetched) => Ok(Flat(py.detach(|| fetched.arrays(Array::new))?)),
    }
}
