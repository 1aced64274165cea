//! `vlstore.Depot`: a store of objects.

use crate::error::invalid;
use crate::store::class::Store;
use crate::store::codec::RecordCodec;
use crate::store::typed::Typed;
use pyo3::prelude::*;
use std::sync::Arc;

/// A store whose records are typed: ``depot[key]`` returns an object, not bytes.
///
/// ``Depot(store, codec)`` is a second view of an open store; closing one closes both. ``codec``
/// is a name (``"array"``, ``"document"``, ``"flat-f32"``, ``"raw"``, ``"series"``), a pair ``(encode,
/// decode)`` of functions, or an object with these two methods (or its class, which is called
/// without arguments). ``encode`` takes an object and
/// gives bytes, ``decode`` takes a :class:`Record` and gives the object. An object may also have
/// a ``name`` and a ``version``, which a new store keeps, and a method ``weight`` that counts what
/// batches are capped by.
///
/// A store of frames is a :class:`Trajectory`. Raises :class:`~vlstore.errors.CodecError` if the store
/// names another codec.
#[pyclass(frozen, subclass, extends = Store, module = "vlstore", name = "Depot")]
pub(crate) struct Depot;

#[pymethods]
impl Depot {
    #[new]
    #[pyo3(signature = (store, codec))]
    fn new(
        store: &Bound<'_, Store>,
        codec: &Bound<'_, PyAny>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let codec = RecordCodec::new(codec)?;
        if matches!(codec, RecordCodec::MdFrame) {
            let why = "codec: a store of frames is a vlstore.Trajectory(store)";
            return Err(invalid(store.py(), why));
        }
        let codec = Some(Arc::new(codec));
        Self::over(store.py(), Typed { codec, ..store.get().typed.clone() })
    }
}

impl Depot {
    pub(crate) fn over(py: Python<'_>, typed: Typed) -> PyResult<PyClassInitializer<Self>> {
        typed.check(py)?;
        Ok(PyClassInitializer::from(Store::over(typed)).add_subclass(Self))
    }
}
