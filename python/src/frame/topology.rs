//! `vlstore.Topology`: what frames share, over the bytes of its record.

use crate::array::buffer::{Bytes, Record};
use crate::array::numpy::{Input, Want, view};
use crate::array::numpy_c_api::Owner;
use crate::convert::iterable::texts;
use crate::convert::number::integer;
use crate::convert::text::text;
use crate::error::{from_error, invalid};
use crate::frame::fields::{Array, array, offset, property_value};
use crate::frame::properties::{Properties, Sites};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use vlstore::Digest;
use vlstore::codec::{DType, TextView, TopologyRef, TopologyView};

/// What all frames of a molecule or system share. Stored once, found by its content
/// (:attr:`digest`), referred to by frames: ``MdFrame(positions, topology=water)``.
///
/// Every field but the number of sites may be absent and is then ``None``. With ``n`` sites,
/// ``r`` residues and ``b`` bonds:
///
/// ============== ========== ================= ===========================================
/// field          shape      dtype             meaning
/// ============== ========== ================= ===========================================
/// types          (n,)       int32             type of each site, e.g. the atomic number
/// masses         (n,)       float32, float64  mass
/// charges        (n,)       float32, float64  charge
/// names          n          str               name of each site
/// residues       (n,)       uint32            residue of each site, counted from 0
/// residue_names  r          str               name of each residue
/// residue_ids    (r,)       int32             number of each residue in its source
/// segments       (r,)       uint32            segment or chain of each residue
/// segment_names             str               name of each segment or chain
/// bonds          (b, 2)     uint32            two sites each
/// bond_orders    (b,)       float32           1, 2, 3, 1.5 if aromatic, 0 if unknown
/// name                      str               name of the molecule or system
/// ============== ========== ================= ===========================================
///
/// ``atom_properties`` is a dict of extra arrays with ``n`` entries each. Arrays are read-only
/// views::
///
///     >>> import vlstore
///     >>> water = vlstore.Topology(types=[8, 1, 1], names=["O", "H", "H"], bonds=[[0, 1], [0, 2]])
///     >>> frame = vlstore.MdFrame([[0, 0, 0], [0, 0, 0.1], [0, 0.1, 0]], topology=water)
///     >>> frame.types
///     array([8, 1, 1], dtype=int32)
///
/// Raises :class:`~vlstore.errors.WrongTypeError` and :class:`~vlstore.errors.InvalidError` for
/// values that do not fit, :class:`~vlstore.errors.CodecError` for fields that contradict each
/// other.
#[pyclass(frozen, weakref, module = "vlstore", name = "Topology")]
pub(crate) struct Topology {
    record: Py<Record>,
    digest: Digest,
    nsites: usize,
    pub(crate) types: Option<Array>,
    pub(crate) masses: Option<Array>,
    pub(crate) charges: Option<Array>,
    residues: Option<Array>,
    residue_ids: Option<(Array, usize)>,
    segments: Option<(Array, usize)>,
    bonds: Option<(Array, usize)>,
    bond_orders: Option<(Array, usize)>,
}

impl Topology {
    /// The topology in a record, which is verified.
    pub(crate) fn over(py: Python<'_>, record: Record) -> PyResult<Self> {
        let record = Bound::new(py, record)?;
        let all: &[u8] = record.get();
        let view = TopologyView::new(all).map_err(|e| from_error(py, &e))?;
        let list = |at: usize, kind, len| (Array { at, kind }, len);
        Ok(Self {
            digest: Digest::of(all),
            nsites: view.nsites(),
            types: view.types().map(|v| Array { at: offset(all, v), kind: DType::I32 }),
            masses: array(all, view.masses()),
            charges: array(all, view.charges()),
            residues: view.residues().map(|v| Array { at: offset(all, v), kind: DType::U32 }),
            residue_ids: view.residue_ids().map(|v| list(offset(all, v), DType::I32, v.len())),
            segments: view.segments().map(|v| list(offset(all, v), DType::U32, v.len())),
            bonds: view.bonds().map(|v| list(offset(all, v), DType::U32, v.len())),
            bond_orders: view.bond_orders().map(|v| list(offset(all, v), DType::F32, v.len())),
            record: record.clone().unbind(),
        })
    }

    pub(crate) const fn digest(&self) -> &Digest {
        &self.digest
    }

    pub(crate) const fn nsites(&self) -> usize {
        self.nsites
    }

    /// The bytes of the topology.
    pub(crate) const fn record(&self) -> &Py<Record> {
        &self.record
    }

    /// One array with an entry for each site.
    pub(crate) fn by_site<'py>(
        &self,
        py: Python<'py>,
        array: Option<Array>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        array
            .map(|a| view(Owner::of(self.record.bind(py)), a.kind, &[self.nsites], a.at))
            .transpose()
    }

    fn list<'py>(
        &self,
        py: Python<'py>,
        array: Option<(Array, usize)>,
        width: usize,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some((Array { at, kind }, len)) = array else { return Ok(None) };
        let shape = [len, width];
        let shape = if width == 1 { shape.get(..1).unwrap_or_default() } else { &shape[..] };
        view(Owner::of(self.record.bind(py)), kind, shape, at).map(Some)
    }

    fn texts<'py>(
        &self,
        py: Python<'py>,
        get: impl for<'a> FnOnce(&TopologyView<'a>) -> Option<TextView<'a>>,
    ) -> PyResult<Option<Bound<'py, PyList>>> {
        let view = self.fields(py)?;
        get(&view).map(|texts| PyList::new(py, texts.iter())).transpose()
    }

    /// All fields, borrowed from the record; checks it once more.
    pub(crate) fn fields(&self, py: Python<'_>) -> PyResult<TopologyView<'_>> {
        TopologyView::new(self.record.get()).map_err(|e| from_error(py, &e))
    }

    /// The extra properties of the atoms, into `dict` unless a name is there already.
    pub(crate) fn add_properties(&self, dict: &Bound<'_, PyDict>) -> PyResult<()> {
        let py = dict.py();
        for property in self.fields(py)?.atom_properties() {
            if !dict.contains(property.name)? {
                let record = self.record.bind(py);
                dict.set_item(
                    property.name,
                    property_value(Owner::of(record), property, Some(self.nsites))?,
                )?;
            }
        }
        Ok(())
    }
}

/// Integers of 32 bits from 0 on.
fn counts(any: &Bound<'_, PyAny>, what: &str, width: usize) -> PyResult<Vec<u32>> {
    let py = any.py();
    let form = if width == 1 { "(n,)" } else { "(b, 2)" };
    let input = Input::get(any, what, Want::Int64)?;
    let right = |shape: &[usize]| match shape {
        // An empty list is an empty array.
        [n] => width == 1 || *n == 0,
        [_, w] => width > 1 && *w == width,
        _ => false,
    };
    let input = input.shaped(py, what, form, right)?;
    let small = |n: &i64| {
        u32::try_from(*n)
            .map_err(|_| invalid(py, &format!("{what} has {n}, which is not an index")))
    };
    input.values::<i64>().iter().map(small).collect()
}

type Any<'py> = Option<Bound<'py, PyAny>>;

/// An optional argument, read by `read` under its name.
fn read<T>(
    any: &Any<'_>,
    what: &str,
    read: impl FnOnce(&Bound<'_, PyAny>, &str) -> PyResult<T>,
) -> PyResult<Option<T>> {
    any.as_ref().map(|any| read(any, what)).transpose()
}

fn numbers(any: &Bound<'_, PyAny>, what: &str, want: Want) -> PyResult<Input> {
    Input::get(any, what, want)?.shaped(any.py(), what, "(n,)", |shape| shape.len() == 1)
}

#[pymethods]
impl Topology {
    #[new]
    #[pyo3(signature = (
        *, types=None, masses=None, charges=None, names=None, residues=None, residue_names=None,
        residue_ids=None, segments=None, segment_names=None, bonds=None, bond_orders=None,
        name=None, nsites=None, atom_properties=None
    ))]
    #[expect(clippy::too_many_arguments, reason = "one for each field, by name")]
    fn new<'py>(
        py: Python<'py>,
        types: Any<'py>,
        masses: Any<'py>,
        charges: Any<'py>,
        names: Any<'py>,
        residues: Any<'py>,
        residue_names: Any<'py>,
        residue_ids: Any<'py>,
        segments: Any<'py>,
        segment_names: Any<'py>,
        bonds: Any<'py>,
        bond_orders: Any<'py>,
        name: Any<'py>,
        nsites: Any<'py>,
        atom_properties: Any<'py>,
    ) -> PyResult<Self> {
        let types = read(&types, "types", |a, w| numbers(a, w, Want::Int32))?;
        let masses = read(&masses, "masses", |a, w| numbers(a, w, Want::Real))?;
        let charges = read(&charges, "charges", |a, w| numbers(a, w, Want::Real))?;
        let names = read(&names, "names", texts)?;
        let residues = read(&residues, "residues", |a, w| counts(a, w, 1))?;
        let residue_names = read(&residue_names, "residue_names", texts)?;
        let residue_ids = read(&residue_ids, "residue_ids", |a, w| numbers(a, w, Want::Int32))?;
        let segments = read(&segments, "segments", |a, w| counts(a, w, 1))?;
        let segment_names = read(&segment_names, "segment_names", texts)?;
        let bonds = read(&bonds, "bonds", |a, w| counts(a, w, 2))?;
        let orders = read(&bond_orders, "bond_orders", |a, w| numbers(a, w, Want::Real))?;
        let name = read(&name, "name", text)?;
        let given = read(&nsites, "nsites", integer)?;
        let mut counted = Sites::default();
        let properties = Properties::of_atoms(atom_properties.as_ref(), &mut counted)?;
        let by_site = [
            types.as_ref().map(|v| v.shape.first().copied().unwrap_or(0)),
            masses.as_ref().map(|v| v.shape.first().copied().unwrap_or(0)),
            charges.as_ref().map(|v| v.shape.first().copied().unwrap_or(0)),
            names.as_ref().map(Vec::len),
            residues.as_ref().map(Vec::len),
            counted.known(),
        ];
        let nsites = match given {
            Some(n) => {
                usize::try_from(n).map_err(|_| invalid(py, &format!("nsites: {n} is negative")))?
            }
            None => by_site.into_iter().flatten().next().unwrap_or(0),
        };
        let narrow: Option<Vec<f32>> = orders.as_ref().map(|orders| match orders.kind {
            DType::F32 => orders.values::<f32>().to_vec(),
            #[expect(clippy::cast_possible_truncation, reason = "orders are 1, 1.5, 2 or 3")]
            _ => orders.values::<f64>().iter().map(|v| *v as f32).collect(),
        });
        let bytes = py.detach(|| {
            let (pairs, _) = bonds.as_deref().unwrap_or_default().as_chunks::<2>();
            let texts = properties.texts();
            let fields = TopologyRef {
                name: name.as_deref(),
                nsites,
                types: types.as_ref().map(Input::values),
                masses: masses.as_ref().map(Input::reals),
                charges: charges.as_ref().map(Input::reals),
                names: names.as_deref().map(TextView::of),
                residues: residues.as_deref(),
                residue_names: residue_names.as_deref().map(TextView::of),
                residue_ids: residue_ids.as_ref().map(Input::values),
                segments: segments.as_deref(),
                segment_names: segment_names.as_deref().map(TextView::of),
                bonds: bonds.is_some().then_some(pairs),
                bond_orders: narrow.as_deref(),
                atom_properties: properties.views(&texts),
            };
            let mut out = Vec::new();
            fields.encode(&mut out).map(|_| out)
        });
        Self::over(py, Record::made(&bytes.map_err(|e| from_error(py, &e))?)?)
    }

    /// The topology in the bytes of its record; they are copied unless they are a
    /// :class:`Record`.
    ///
    /// Raises :class:`~vlstore.errors.CodecError` if they are not a topology.
    #[staticmethod]
    fn from_bytes(py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(record) = data.cast::<Record>() {
            return Self::over(py, Record::new(record.get().memory().clone()));
        }
        Self::over(py, Record::made(&Bytes::get(data, "data")?)?)
    }

    /// The digest of its record, 32 hexadecimal digits: the same topology has the same
    /// everywhere.
    #[getter(digest)]
    fn py_digest(&self) -> String {
        self.digest.to_string()
    }

    /// Number of sites (atoms or beads).
    #[getter(nsites)]
    fn py_nsites(&self) -> usize {
        self.nsites
    }

    /// Name of the molecule or system.
    #[getter]
    fn name(&self, py: Python<'_>) -> PyResult<Option<String>> {
        Ok(self.fields(py)?.name().map(ToOwned::to_owned))
    }

    /// Type of each site, for example the atomic number: (n,), int32.
    #[getter]
    fn types<'py>(&self, py: Python<'py>) -> PyResult<Any<'py>> {
        self.by_site(py, self.types)
    }

    /// Mass of each site: (n,).
    #[getter]
    fn masses<'py>(&self, py: Python<'py>) -> PyResult<Any<'py>> {
        self.by_site(py, self.masses)
    }

    /// Charge of each site: (n,).
    #[getter]
    fn charges<'py>(&self, py: Python<'py>) -> PyResult<Any<'py>> {
        self.by_site(py, self.charges)
    }

    /// Name of each site.
    #[getter]
    fn names<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        self.texts(py, |t| t.names())
    }

    /// Residue of each site, counted from 0: (n,), uint32.
    #[getter]
    fn residues<'py>(&self, py: Python<'py>) -> PyResult<Any<'py>> {
        self.by_site(py, self.residues)
    }

    /// Name of each residue.
    #[getter]
    fn residue_names<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        self.texts(py, |t| t.residue_names())
    }

    /// Number by which the source called each residue: (r,), int32.
    #[getter]
    fn residue_ids<'py>(&self, py: Python<'py>) -> PyResult<Any<'py>> {
        self.list(py, self.residue_ids, 1)
    }

    /// Segment or chain of each residue, counted from 0: (r,), uint32.
    #[getter]
    fn segments<'py>(&self, py: Python<'py>) -> PyResult<Any<'py>> {
        self.list(py, self.segments, 1)
    }

    /// Name of each segment or chain.
    #[getter]
    fn segment_names<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        self.texts(py, |t| t.segment_names())
    }

    /// Bonds, the two sites of each: (b, 2), uint32.
    #[getter]
    fn bonds<'py>(&self, py: Python<'py>) -> PyResult<Any<'py>> {
        self.list(py, self.bonds, 2)
    }

    /// Order of each bond, 0 where it is not known: (b,), float32.
    #[getter]
    fn bond_orders<'py>(&self, py: Python<'py>) -> PyResult<Any<'py>> {
        self.list(py, self.bond_orders, 1)
    }

    /// Extra properties of each site, by name: arrays with ``n`` entries, lists for strings.
    #[getter]
    fn atom_properties<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        self.add_properties(&dict)?;
        Ok(dict)
    }

    /// The bytes of the topology as they are stored.
    #[getter(record)]
    fn py_record(&self, py: Python<'_>) -> Py<Record> {
        self.record.clone_ref(py)
    }

    /// The fields that are there, by the names of the arguments of :class:`Topology`.
    fn to_dict<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(slf.py());
        for name in FIELDS {
            let value = slf.getattr(name)?;
            if !value.is_none() {
                dict.set_item(name, value)?;
            }
        }
        let properties = slf.getattr("atom_properties")?;
        if properties.len()? > 0 {
            dict.set_item("atom_properties", properties)?;
        }
        Ok(dict)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| **self.record.get() == **other.get().record.get())
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        self.record.bind(py).hash()
    }

    fn __len__(&self) -> usize {
        self.nsites
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let this = slf.get();
        let site = if this.nsites == 1 { "site" } else { "sites" };
        let mut there = Vec::new();
        for name in FIELDS.into_iter().filter(|name| *name != "nsites") {
            if !slf.getattr(name)?.is_none() {
                there.push(name);
            }
        }
        let fields = if there.is_empty() { "no field".to_owned() } else { there.join(", ") };
        Ok(format!("<vlstore.Topology of {} {site}: {fields}>", this.nsites))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Py<Record>,))> {
        let rebuild = slf.get_type().getattr("from_bytes")?;
        Ok((rebuild, (slf.get().record.clone_ref(slf.py()),)))
    }
}

/// The fields but for extra properties, by the names of the arguments.
const FIELDS: [&str; 13] = [
    "name",
    "nsites",
    "types",
    "masses",
    "charges",
    "names",
    "residues",
    "residue_names",
    "residue_ids",
    "segments",
    "segment_names",
    "bonds",
    "bond_orders",
];
