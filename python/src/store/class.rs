//! `vlstore.Store`: a mapping from keys to records.

use crate::array::buffer::{BytesMut, Record};
use crate::convert::key::{self, key};
use crate::convert::options;
use crate::convert::text::text;
use crate::error::{Failure, invalid, no_attribute};
use crate::store::at::At;
use crate::store::handle::Handle;
use crate::store::iter::{Iter, What};
use crate::store::report;
use crate::store::store_path::StorePath;
use crate::store::typed::{Typed, part};
use crate::store::view::View;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use vlstore::dataset::Source;
use vlstore::maintain::verify_member;
use vlstore::{Error, Key};

/// Records by key in one file, or in memory: a mapping.
///
/// Made by :func:`vlstore.open`, :func:`vlstore.memory` and :func:`vlstore.from_bytes`. Values
/// are ``bytes``; a :class:`Depot` has typed ones. Keys are ``str``, ``int`` (-2**63 to
/// 2**64-1) and ``bytes``; ``1``, ``"1"`` and ``b"1"`` are three keys.
///
/// All records are in :attr:`at` by their ordinals, in the order of insertion. A record that was
/// put without a key (:meth:`push`, :meth:`put_frames`) is in the mapping under its ordinal:
/// ``len``, iteration, ``keys``, ``values``, ``items``, ``in`` and ``store[i]`` have it. It keeps its
/// place, so that it is removed by ``del store.at[i]``, after which those behind it move up, and no
/// key can take its ordinal. Where another record has that integer as its key, ``store[i]`` is the
/// one with the key, and to go over the keys is refused: ``values`` and ``at`` have both.
///
/// All methods may be called from several threads.
#[pyclass(frozen, subclass, mapping, weakref, module = "vlstore", name = "Store")]
pub(crate) struct Store {
    pub(crate) typed: Typed,
}

/// Methods of a trajectory that other stores do not have.
const OF_FRAMES: [&str; 4] = ["get_arrays", "put_frames", "statistics", "topologies"];

impl Store {
    pub(crate) const fn over(typed: Typed) -> Self {
        Self { typed }
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.typed.handle
    }

    /// The value under `key`, if there is one.
    pub(crate) fn value(&self, py: Python<'_>, key: &Key) -> PyResult<Option<Py<PyAny>>> {
        let found = self.handle().read(py, |v| match v.record(key, self.typed.keyed) {
            Ok(record) => Ok(Some(record)),
            Err(Failure::Store(Error::NotFound { .. })) => Ok(None),
            Err(error) => Err(error),
        })?;
        let name = || format!("record {key}");
        found.map(|record| self.typed.decode_as(py, record, name)).transpose()
    }
}

#[pymethods]
impl Store {
    /// Number of records, with a key or without.
    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        let len = self.handle().read(py, |v| Ok(v.len()))?;
        Ok(usize::try_from(len)?)
    }

    /// A store is true, also an empty one.
    fn __bool__(&self) -> bool {
        true
    }

    fn __contains__(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        let key = self::key(key)?;
        Ok(self.handle().read(py, |v| Ok(v.place(&key, self.typed.keyed)?.is_some()))?)
    }

    fn __getitem__(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let key = self::key(key)?;
        let record = self.handle().read(py, |v| v.record(&key, self.typed.keyed))?;
        self.typed.decode_as(py, record, || format!("record {key}"))
    }

    fn __iter__(&self, py: Python<'_>) -> PyResult<Iter> {
        Ok(Iter::new(py, &self.typed, What::Keys)?)
    }

    /// The value under ``key``, or ``default`` if there is none.
    #[pyo3(signature = (key, default=None))]
    fn get(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        default: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let key = self::key(key)?;
        let found = self.value(py, &key)?;
        Ok(found.or(default).unwrap_or_else(|| py.None()))
    }

    /// The bytes under ``key`` where they lie, without a copy: a read-only buffer that stays
    /// valid whatever happens to the store. (Where the file is mapped and another program cuts it
    /// short, reading what is gone ends the process: see ``access`` of :func:`vlstore.open`.)
    ///
    /// Raises :class:`~vlstore.errors.NotFoundError` if the record does not exist, :class:`~vlstore.errors.CorruptError`
    /// if it is damaged.
    fn view(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<Record> {
        let key = self::key(key)?;
        Ok(Record::stored(self.handle().read(py, |v| v.record(&key, self.typed.keyed))?))
    }

    /// Copies the bytes under ``key`` into ``buffer`` and returns their number.
    ///
    /// ``buffer`` is a ``bytearray``, a writable ``memoryview`` or array, contiguous. Raises
    /// :class:`~vlstore.errors.LimitError` if it is too small; then it is unchanged.
    fn get_into(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        buffer: &Bound<'_, PyAny>,
    ) -> PyResult<usize> {
        let key = self::key(key)?;
        let mut out = BytesMut::get(buffer)?;
        Ok(self.handle().read(py, |v| match v.get_key_into(&key, out.as_mut_slice()) {
            Err(Error::NotFound { .. }) if matches!(key, Key::Int(_)) => {
                Ok(v.get_at_into(v.placed(&key, self.typed.keyed)?, out.as_mut_slice())?)
            }
            done => Ok(done?),
        })?)
    }

    /// The values under ``keys``, in the requested order; a key may come more than once.
    ///
    /// Each block in which one of them lies is decoded once, on all cores that the store was
    /// given; far faster than one after the other.
    ///
    /// Raises :class:`~vlstore.errors.NotFoundError` for the first key without a record,
    /// :class:`~vlstore.errors.CorruptError` for the first record that is damaged.
    fn get_batch(&self, py: Python<'_>, keys: &Bound<'_, PyAny>) -> PyResult<Vec<Py<PyAny>>> {
        let keys = key::keys(keys)?;
        let batch = self.handle().read(py, |v| v.batch(keys.clone(), self.typed.keyed))?;
        let name = |i| keys.get(i).map_or_else(String::new, |key| format!("record {key}"));
        self.typed.decode_all(py, &batch, name)
    }

    /// The bytes under ``keys`` without a copy, as :class:`Record` objects that share one
    /// buffer. Raises as :meth:`get_batch`.
    fn view_batch(&self, py: Python<'_>, keys: &Bound<'_, PyAny>) -> PyResult<Vec<Record>> {
        let keys = key::keys(keys)?;
        let batch = self.handle().read(py, |v| v.batch(keys, self.typed.keyed))?;
        (0..batch.len()).map(|i| part(py, &batch, i).map(Record::stored)).collect()
    }

    /// A number of every record, in the order of insertion, without decoding the records: an
    /// array of its own, writable.
    ///
    /// Every store has ``"weight"`` and ``"bytes"``, ``(n,)`` int64, with ``n`` records. Of frames
    /// there are also ``"step"``, ``(n,)`` int64, -2**63 where a frame has none; ``"time"`` and
    /// ``"energy"``, ``(n,)`` float64; ``"cell"``, ``(n, 3, 3)`` float64, the vectors as rows;
    /// NaN where a frame has none, in the units of the store. What a file does not keep, as those
    /// of the original program, is found by decoding.
    ///
    /// Raises :class:`~vlstore.errors.InvalidError` with the known names for another one.
    fn column(&self, py: Python<'_>, name: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.typed.column(py, &text(name, "the name of a column")?)
    }

    /// Several columns as a dict of arrays; without names all of them. See :meth:`column`.
    #[pyo3(signature = (*names))]
    fn columns<'py>(
        &self,
        py: Python<'py>,
        names: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let given = names.iter().map(|name| text(&name, "the name of a column"));
        let mut names = given.collect::<PyResult<Vec<_>>>()?;
        if names.is_empty() {
            names = self.typed.column_names(py)?;
        }
        let out = PyDict::new(py);
        for name in names {
            let column = self.typed.column(py, &name)?;
            out.set_item(name, column)?;
        }
        Ok(out)
    }

    /// The ordinal of the record under ``key``; ``None`` if there is none.
    fn find(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<Option<u64>> {
        let key = self::key(key)?;
        Ok(self.handle().read(py, |v| Ok(v.place(&key, self.typed.keyed)?))?)
    }

    /// Where the record under ``key`` lies: ``(start, end, weight)``, the first two in bytes of
    /// the logical byte space. Decodes nothing.
    fn location(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<(u64, u64, u32)> {
        let key = self::key(key)?;
        let keyed = self.typed.keyed;
        let place = self.handle().read(py, |v| Ok(v.location_at(v.placed(&key, keyed)?)?))?;
        Ok((place.start, place.end, place.weight))
    }

    /// The keys, in the order of insertion, as a view like that of a dict; the ordinals of records
    /// without one.
    fn keys(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        dict_view(slf, "Keys")
    }

    /// The values of all records, as a view like that of a dict.
    fn values(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        dict_view(slf, "Values")
    }

    /// The pairs of key and value, as a view like that of a dict.
    fn items(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        dict_view(slf, "Items")
    }

    fn _iter_values(&self, py: Python<'_>) -> PyResult<Iter> {
        Ok(Iter::new(py, &self.typed, What::Values)?)
    }

    fn _iter_items(&self, py: Python<'_>) -> PyResult<Iter> {
        Ok(Iter::new(py, &self.typed, What::Items)?)
    }

    /// The records by their ordinals, 0 to ``len(store) - 1``: ``store.at[i]``,
    /// ``store.at[-1]``, ``store.at[10:20]``, ``for value in store.at``.
    #[getter]
    fn at(&self) -> At {
        At::new(self.typed.clone())
    }

    /// What the user wrote about the store: a dict of names and JSON values, kept in the file.
    ///
    /// Changes are seen at once and saved by the next commit.
    #[getter]
    fn attrs(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let class = slf.py().import("vlstore._views")?.getattr("Attributes")?;
        Ok(class.call1((slf,))?.unbind())
    }

    fn _attributes(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.handle().read(py, |v| Ok(v.attributes().to_string()))?)
    }

    fn _set_attributes(&self, py: Python<'_>, text: &str) -> PyResult<()> {
        let attributes: serde_json::Value =
            serde_json::from_str(text).map_err(|e| invalid(py, &format!("attributes: {e}")))?;
        Ok(self.handle().write(py, |w| Ok(w.set_attributes(&attributes)?))?)
    }

    /// The path of the file as it was given; ``None`` for a store in memory or in an object store.
    #[getter]
    fn path(&self) -> Option<std::path::PathBuf> {
        match &self.handle().place {
            StorePath::File(path) => {
                Some(path.clone()).filter(|path| !vlstore::remote::is_url(path))
            }
            StorePath::Object(..) | StorePath::Memory => None,
        }
    }

    /// ``"r"`` if the store is open for reading, ``"a"`` if for writing, too.
    #[getter]
    fn mode(&self) -> &'static str {
        self.handle().mode
    }

    /// Whether the store was closed.
    #[getter]
    fn closed(&self, py: Python<'_>) -> bool {
        self.handle().is_closed(py)
    }

    /// The number of the commit that is seen; for a writer that of its last commit.
    #[getter]
    pub(crate) fn generation(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.handle().read(py, |v| Ok(v.generation()))?)
    }

    /// How much of what was written the store held when it was opened: ``"intact"``, ``"older
    /// commit 7"``, ``"last seal, commit 3"``, ``"extended by another program"``, or ``"without
    /// checksums"`` for a file of the original program.
    #[getter]
    fn opened(&self, py: Python<'_>) -> PyResult<String> {
        Ok(report::opened(self.handle().read(py, |v| Ok(v.opened()))?))
    }

    /// The codec of a :class:`Depot` as it was given; ``None`` for a plain store.
    #[getter]
    pub(crate) fn codec(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.typed.codec.as_ref().map(|codec| codec.given(py))
    }

    /// What the file keeps of the options it was made with.
    #[getter]
    fn options<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let kept = self.handle().read(py, |v| Ok(v.layout().clone()))?;
        options::kept(py, &kept)
    }

    /// Counts and sizes, as a dict: ``records``, ``raw_bytes`` (decoded), ``file_bytes``,
    /// ``ratio``, ``generation``, ``sealed_records``, ``opened`` and more. What a writer has not
    /// committed is not in it.
    ///
    /// Of a data set ``records``, ``weight``, ``raw_bytes``, ``file_bytes``, ``generation`` (how often it was
    /// published), ``record_codec`` and ``members``, a list of dicts: what the manifest says, without opening a member.
    fn info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let manifest = self.handle().read(py, |v| match v {
            View::Set(set) => Ok(Some(set.manifest().clone())),
            _ => Ok(None),
        })?;
        if let Some(manifest) = manifest {
            return report::manifest(py, &manifest);
        }
        let info = self.handle().read(py, |v| Ok(v.info()?))?;
        report::info(py, &info)
    }

    /// Checks every byte of the last commit: index, blocks, the place of every record. Reads the
    /// whole file. Damage is returned, not raised. Of a data set every member is checked, and that it
    /// is the file that was published.
    fn verify(&self, py: Python<'_>) -> PyResult<report::Verified> {
        let source = self.handle().read(py, |v| match v {
            View::Set(set) => Ok(Source::Set(set.clone())),
            one => Ok(Source::Store(one.committed()?)),
        })?;
        let mut raised = None;
        let found: vlstore::Result<_> = py.detach(|| {
            let mut signals = |_, _| {
                Python::attach(|py| py.check_signals()).map_err(|error| {
                    raised = Some(error);
                    vlstore::Error::Interrupted
                })
            };
            let refers = vlstore::codec::refers;
            match &source {
                Source::Store(snapshot) => {
                    let mut found = snapshot.verify(&mut signals)?;
                    found.extend(snapshot.verify_references(refers, &mut signals)?);
                    Ok(report::Verified::new(found))
                }
                Source::Set(set) => {
                    let mut all = report::Verified::default();
                    for (number, member) in set.members().iter().enumerate() {
                        let found = verify_member(set, number, refers, &mut signals)?;
                        all.extend(&member.name, report::Verified::new(found));
                    }
                    Ok(all)
                }
            }
        });
        match (raised, found) {
            (Some(error), _) => Err(error),
            (None, found) => Ok(found.map_err(Failure::from)?),
        }
    }

    /// The content of the file as of now, as bytes. A writer commits and seals first.
    ///
    /// :func:`vlstore.from_bytes` opens it, and so does any program if it is written to a file.
    pub(crate) fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        if self.handle().is_writer() {
            self.handle().write(py, |w| Ok(w.seal()?))?;
        }
        let backend = self.handle().read(py, |v| Ok(v.committed()?.backend().clone()))?;
        let len = usize::try_from(backend.len().map_err(Failure::from)?)?;
        PyBytes::new_with(py, len, |out| {
            py.detach(|| backend.read_at(0, out)).map_err(|e| Failure::from(e).into())
        })
    }

    /// Says where the methods of frames are, which are those of a :class:`Trajectory`.
    fn __getattr__(slf: &Bound<'_, Self>, name: &str) -> PyResult<Py<PyAny>> {
        let class = slf.get_type().name()?;
        let what = OF_FRAMES.contains(&name).then_some(
            "it is a method of vlstore.Trajectory, a store of frames: make one with \
             vlstore.open(path, \"w\", records=\"md-frame\")",
        );
        Err(no_attribute(&class, name, what))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        Ok(report::repr(slf.py(), &slf.get_type().name()?.to_string(), &slf.get().typed))
    }

    fn _repr_html_(slf: &Bound<'_, Self>) -> PyResult<String> {
        report::html(slf.py(), &slf.get_type().name()?.to_string(), &slf.get().typed)
    }
}

fn dict_view(store: &Bound<'_, Store>, class: &str) -> PyResult<Py<PyAny>> {
    Ok(store.py().import("vlstore._views")?.getattr(class)?.call1((store,))?.unbind())
}
