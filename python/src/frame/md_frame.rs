//! `vlstore.MdFrame`: one frame of a trajectory over the bytes of its record.

use crate::array::buffer::{Bytes, Memory, Record, copied_bytes};
use crate::array::numpy::{small, tuple, view};
use crate::array::numpy_c_api::{Holds, Owner};
use crate::convert::html::table;
use crate::error::{from_error, raise};
use crate::frame::fields::{Array, array, offset, property_value};
use crate::frame::parts::Parts;
use crate::frame::topology::Topology;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::borrow::Cow;
use vlstore::Digest;
use vlstore::codec::{AnyCodec, DType, LEAN, MdFrameCodec, MdFrameView};

/// One frame of a trajectory: arrays by site, and what belongs to the frame as a whole.
///
/// Every field but the number of sites may be absent and is then ``None``. With ``n`` sites:
///
/// ============== ========== ================= ===========================================
/// field          shape      dtype             meaning
/// ============== ========== ================= ===========================================
/// positions      (n, 3)     float32, float64  length
/// velocities     (n, 3)     float32, float64  length / time
/// forces         (n, 3)     float32, float64  energy / length
/// types          (n,)       int32             type of each site, e.g. the atomic number
/// masses         (n,)       float32, float64  mass
/// charges        (n,)       float32, float64  charge
/// cell           (3, 3)     float64           the three cell vectors as rows, length
/// pbc            3          bool              whether the cell repeats along each of them
/// energy                    float             potential energy
/// stress         (3, 3)     float64           stress tensor
/// step                      int               simulation step
/// time                      float             simulation time
/// precision                 float             positions are multiples of 1 / precision
/// name                      str               name of the frame or molecule
/// topology                  Topology          what it shares with other frames
/// ============== ========== ================= ===========================================
///
/// Units are not part of a frame: the attributes of the store state them. Extra properties are
/// dicts of arrays, ``atom_properties`` with ``n`` entries each and ``frame_properties``.
///
/// float32 and float64 are kept; nothing is narrowed. Arrays that are not contiguous or have
/// another byte order are converted, integers become float64 where that is exact; anything
/// else is refused by name. ``cell`` may be three lengths.
///
/// The arrays of a frame are read-only views of its record; they stay valid when the frame or
/// the store is gone::
///
///     >>> import vlstore
///     >>> frame = vlstore.MdFrame([[0, 0, 0], [0, 0, 0.1]], types=[8, 1], energy=-76.4)
///     >>> frame
///     <vlstore.MdFrame of 2 sites: types, positions, energy>
///     >>> frame.positions[1]
///     array([0. , 0. , 0.1])
///
/// Raises :class:`~vlstore.errors.WrongTypeError` and :class:`~vlstore.errors.InvalidError` for
/// values that do not fit, :class:`~vlstore.errors.CodecError` for fields that contradict each
/// other.
#[pyclass(frozen, weakref, module = "vlstore", name = "MdFrame")]
pub(crate) struct MdFrame {
    memory: Memory,
    nsites: usize,
    name: Option<Box<str>>,
    types: Option<Types>,
    masses: Option<Array>,
    charges: Option<Array>,
    positions: Option<Array>,
    velocities: Option<Array>,
    forces: Option<Array>,
    step: Option<i64>,
    time: Option<f64>,
    /// Where it begins in the record.
    cell: Option<usize>,
    pbc: Option<[bool; 3]>,
    energy: Option<f64>,
    stress: Option<usize>,
    precision: Option<f32>,
    digest: Option<Digest>,
    topology: Option<Py<Topology>>,
}

/// Where the types begin in the record: as int32, or one byte each.
#[derive(Debug, Clone, Copy)]
enum Types {
    Integers(usize),
    Bytes(usize),
}

impl Holds for MdFrame {
    fn memory(&self) -> &Memory {
        &self.memory
    }
}

impl MdFrame {
    /// The frame in a record, which is verified, and expanded if it is stored smaller; `find` finds
    /// its topology if it has one.
    pub(crate) fn over(
        py: Python<'_>,
        memory: Memory,
        find: impl FnOnce(&Digest) -> PyResult<Option<Py<Topology>>>,
    ) -> PyResult<Self> {
        // Only positions that are integers have to be made others: types are, when they are asked for.
        let memory = match MdFrameCodec.version_of(&memory) {
            LEAN => memory,
            _ => {
                let expanded = MdFrameCodec.expand(&memory).map_err(|e| from_error(py, &e))?;
                expanded.map_or(memory, |bytes| Memory::Stored(bytes.into()))
            }
        };
        let all: &[u8] = &memory;
        let (view, bytes) = MdFrameView::stored(all).map_err(|e| from_error(py, &e))?;
        let integers = view.types().map(|v| Types::Integers(offset(all, v)));
        let digest = view.topology();
        let topology = digest.as_ref().map(find).transpose()?.flatten();
        if let Some(topology) = &topology {
            fits(py, &view, topology.get())?;
        }
        let matrices = view.matrices();
        Ok(Self {
            digest,
            topology,
            nsites: view.nsites(),
            name: view.name().map(Into::into),
            types: bytes.map(|v| Types::Bytes(offset(all, v))).or(integers),
            masses: array(all, view.masses()),
            charges: array(all, view.charges()),
            positions: array(all, view.positions()),
            velocities: array(all, view.velocities()),
            forces: array(all, view.forces()),
            step: view.step(),
            time: view.time(),
            cell: matrices.cell,
            pbc: view.pbc(),
            energy: view.energy(),
            stress: matrices.stress,
            precision: view.precision(),
            memory,
        })
    }

    /// What the frame refers to: its digest, and the topology if it is known.
    pub(crate) fn refers(&self, py: Python<'_>) -> Option<(Digest, Option<Py<Topology>>)> {
        Some((self.digest?, self.topology.as_ref().map(|t| t.clone_ref(py))))
    }

    /// An array of its own with one number for each site, or that of its topology.
    fn own_or<'py>(
        slf: &Bound<'py, Self>,
        own: Option<Array>,
        shared: impl FnOnce(&Topology) -> Option<Array>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match (&own, &slf.get().topology) {
            (None, Some(topology)) => topology.get().by_site(slf.py(), shared(topology.get())),
            _ => Self::real(slf, own, 1),
        }
    }

    pub(crate) const fn nsites(&self) -> usize {
        self.nsites
    }

    fn real<'py>(
        slf: &Bound<'py, Self>,
        array: Option<Array>,
        width: usize,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(Array { at, kind }) = array else { return Ok(None) };
        let shape = [slf.get().nsites, width];
        let shape = if width == 1 { shape.get(..1).unwrap_or_default() } else { &shape[..] };
        view(Owner::of(slf), kind, shape, at).map(Some)
    }

    /// A matrix that begins at `at`.
    fn matrix<'py>(
        slf: &Bound<'py, Self>,
        at: Option<usize>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(at) = at else { return Ok(None) };
        let all: &[u8] = &slf.get().memory;
        let bytes = all.get(at..at.saturating_add(72)).unwrap_or_default();
        // Nobody promises that another program aligned it.
        if bytes.as_ptr().addr().is_multiple_of(8) {
            return view(Owner::of(slf), DType::F64, &[3, 3], at).map(Some);
        }
        small(slf.py(), DType::F64, &[3, 3], bytes).map(Some)
    }

    /// Names of the fields that are there, those of the topology included.
    fn present(&self) -> Vec<&'static str> {
        let shared = self.topology.as_ref().map(|t| t.get());
        let names = self.own();
        let of_topology = shared.into_iter().flat_map(|t| {
            let there = [t.types.is_some(), t.masses.is_some(), t.charges.is_some(), true];
            ["types", "masses", "charges", "topology"].into_iter().zip(there)
        });
        let mut out: Vec<_> = of_topology
            .filter_map(|(name, there)| (there && !names.contains(&name)).then_some(name))
            .collect();
        out.extend(names);
        out
    }

    /// Names of the fields that the frame has itself.
    fn own(&self) -> Vec<&'static str> {
        [
            ("types", self.types.is_some()),
            ("masses", self.masses.is_some()),
            ("charges", self.charges.is_some()),
            ("positions", self.positions.is_some()),
            ("velocities", self.velocities.is_some()),
            ("forces", self.forces.is_some()),
            ("cell", self.cell.is_some()),
            ("pbc", self.pbc.is_some()),
            ("energy", self.energy.is_some()),
            ("stress", self.stress.is_some()),
            ("step", self.step.is_some()),
            ("time", self.time.is_some()),
            ("precision", self.precision.is_some()),
            ("name", self.name.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, there)| there.then_some(name))
        .collect()
    }

    fn properties<'py>(slf: &Bound<'py, Self>, of_atoms: bool) -> PyResult<Bound<'py, PyDict>> {
        let (py, this) = (slf.py(), slf.get());
        let dict = PyDict::new(py);
        let (view, _) = MdFrameView::stored(&this.memory).map_err(|e| from_error(py, &e))?;
        let list = if of_atoms { view.atom_properties() } else { view.frame_properties() };
        for property in list {
            let lead = of_atoms.then_some(this.nsites);
            dict.set_item(property.name, property_value(Owner::of(slf), property, lead)?)?;
        }
        Ok(dict)
    }
}

/// Refuses a topology of another number of sites.
fn fits(py: Python<'_>, frame: &MdFrameView<'_>, topology: &Topology) -> PyResult<()> {
    let (a, b) = (frame.nsites(), topology.nsites());
    if a == b {
        return Ok(());
    }
    let why = format!("the frame has {a} sites, its topology {} {b}", topology.digest());
    Err(raise(py, "CodecError", &why))
}

#[pymethods]
impl MdFrame {
    #[new]
    #[pyo3(signature = (
        positions=None, *, types=None, masses=None, charges=None, velocities=None, forces=None,
        cell=None, pbc=None, energy=None, stress=None, step=None, time=None, precision=None,
        name=None, nsites=None, atom_properties=None, frame_properties=None, topology=None
    ))]
    #[expect(clippy::too_many_arguments, reason = "one for each field, by name")]
    fn new(
        py: Python<'_>,
        positions: Option<Bound<'_, PyAny>>,
        types: Option<Bound<'_, PyAny>>,
        masses: Option<Bound<'_, PyAny>>,
        charges: Option<Bound<'_, PyAny>>,
        velocities: Option<Bound<'_, PyAny>>,
        forces: Option<Bound<'_, PyAny>>,
        cell: Option<Bound<'_, PyAny>>,
        pbc: Option<Bound<'_, PyAny>>,
        energy: Option<Bound<'_, PyAny>>,
        stress: Option<Bound<'_, PyAny>>,
        step: Option<Bound<'_, PyAny>>,
        time: Option<Bound<'_, PyAny>>,
        precision: Option<Bound<'_, PyAny>>,
        name: Option<Bound<'_, PyAny>>,
        nsites: Option<Bound<'_, PyAny>>,
        atom_properties: Option<Bound<'_, PyAny>>,
        frame_properties: Option<Bound<'_, PyAny>>,
        topology: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let mut parts = Parts::default();
        parts.sites("positions", positions.as_ref(), 3)?;
        parts.sites("velocities", velocities.as_ref(), 3)?;
        parts.sites("forces", forces.as_ref(), 3)?;
        parts.sites("types", types.as_ref(), 1)?;
        parts.sites("masses", masses.as_ref(), 1)?;
        parts.sites("charges", charges.as_ref(), 1)?;
        parts.whole(cell.as_ref(), stress.as_ref(), pbc.as_ref())?;
        parts.numbers(energy.as_ref(), time.as_ref(), step.as_ref(), precision.as_ref())?;
        parts.topology(topology.as_ref())?;
        parts.named(name.as_ref(), nsites.as_ref())?;
        parts.atom_properties(atom_properties.as_ref())?;
        parts.frame_properties(frame_properties.as_ref())?;
        let bytes = py.detach(|| parts.encode()).map_err(|e| from_error(py, &e))?;
        let topology = topology.and_then(|t| t.cast_into::<Topology>().ok()).map(Bound::unbind);
        Self::over(py, Memory::made(&bytes)?, |_| Ok(topology))
    }

    /// The frame in the bytes of a record; they are copied unless they are a :class:`Record`.
    ///
    /// A frame that refers to a topology knows only its digest then, unless it is given.
    ///
    /// Raises :class:`~vlstore.errors.CodecError` if they are not a frame, or if it refers to
    /// another topology.
    #[staticmethod]
    #[pyo3(signature = (data, topology=None))]
    fn from_bytes(
        py: Python<'_>,
        data: &Bound<'_, PyAny>,
        topology: Option<Bound<'_, Topology>>,
    ) -> PyResult<Self> {
        let find = |digest: &Digest| match topology {
            Some(t) if t.get().digest() == digest => Ok(Some(t.unbind())),
            Some(_) => Err(raise(py, "CodecError", &format!("the frame refers to {digest}"))),
            None => Ok(None),
        };
        let memory = match data.cast::<Record>() {
            Ok(record) => record.get().memory().clone(),
            Err(_) => Memory::made(&Bytes::get(data, "data")?)?,
        };
        Self::over(py, memory, find)
    }

    /// Number of sites (atoms or beads).
    #[getter(nsites)]
    fn py_nsites(&self) -> usize {
        self.nsites
    }

    /// Name of the frame or of its molecule.
    #[getter]
    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Type of each site, for example the atomic number: (n,), int32.
    #[getter]
    fn types<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let this = slf.get();
        match this.types {
            Some(Types::Bytes(at)) => {
                let bytes = this.memory.get(at..at.saturating_add(this.nsites));
                let types: Vec<i32> =
                    bytes.unwrap_or_default().iter().map(|t| i32::from(*t)).collect();
                small(slf.py(), DType::I32, &[this.nsites], &types).map(Some)
            }
            Some(Types::Integers(at)) => {
                Self::own_or(slf, Some(Array { at, kind: DType::I32 }), |t| t.types)
            }
            None => Self::own_or(slf, None, |t| t.types),
        }
    }

    /// Mass of each site: (n,).
    #[getter]
    fn masses<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        Self::own_or(slf, slf.get().masses, |t| t.masses)
    }

    /// Charge of each site: (n,).
    #[getter]
    fn charges<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        Self::own_or(slf, slf.get().charges, |t| t.charges)
    }

    /// Positions: (n, 3).
    #[getter]
    fn positions<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        Self::real(slf, slf.get().positions, 3)
    }

    /// Velocities: (n, 3).
    #[getter]
    fn velocities<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        Self::real(slf, slf.get().velocities, 3)
    }

    /// Forces: (n, 3).
    #[getter]
    fn forces<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        Self::real(slf, slf.get().forces, 3)
    }

    /// Simulation step.
    #[getter]
    fn step(&self) -> Option<i64> {
        self.step
    }

    /// Simulation time.
    #[getter]
    fn time(&self) -> Option<f64> {
        self.time
    }

    /// The three cell vectors as rows: (3, 3), float64.
    #[getter]
    fn cell<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        Self::matrix(slf, slf.get().cell)
    }

    /// Whether the cell repeats along each of its vectors.
    #[getter]
    fn pbc<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        self.pbc.map(|v| PyTuple::new(py, v)).transpose()
    }

    /// Potential energy.
    #[getter]
    fn energy(&self) -> Option<f64> {
        self.energy
    }

    /// Stress tensor: (3, 3), float64.
    #[getter]
    fn stress<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        Self::matrix(slf, slf.get().stress)
    }

    /// The source had its positions at multiples of 1 / precision.
    #[getter]
    fn precision(&self) -> Option<f32> {
        self.precision
    }

    /// What it shares with other frames: ``types``, ``masses``, ``charges`` and properties that
    /// it does not have itself are those of its topology. ``None`` if it refers to none, or if it
    /// was made of bytes alone.
    #[getter]
    fn topology(&self, py: Python<'_>) -> Option<Py<Topology>> {
        self.topology.as_ref().map(|t| t.clone_ref(py))
    }

    /// The digest of its topology, known or not; ``None`` if it refers to none.
    #[getter]
    fn topology_digest(&self) -> Option<String> {
        self.digest.map(|digest| digest.to_string())
    }

    /// Extra properties of each site, by name: arrays with ``n`` entries, lists for strings.
    #[getter]
    fn atom_properties<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        let dict = Self::properties(slf, true)?;
        if let Some(topology) = &slf.get().topology {
            topology.get().add_properties(&dict)?;
        }
        Ok(dict)
    }

    /// Extra properties of the frame, by name: arrays, numbers or strings.
    #[getter]
    fn frame_properties<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        Self::properties(slf, false)
    }

    /// The bytes of the frame as they are stored, but for positions that are integers.
    #[getter]
    fn record(&self) -> Record {
        Record::new(self.memory.clone())
    }

    /// The frame as a FlatBuffer of ``schemas/md_frame.fbs``, for other programs that read these. A copy only
    /// if the frame is lean.
    fn to_flatbuffer(&self) -> PyResult<Record> {
        match table_of(&self.memory) {
            Cow::Borrowed(_) => Ok(self.record()),
            Cow::Owned(table) => Ok(Record::new(Memory::made(&table)?)),
        }
    }

    /// Bytes of memory that the frame keeps alive; 0 if it is in the mapped file.
    #[getter]
    fn held(&self) -> usize {
        self.memory.held()
    }

    /// The fields that are there, by the names of the arguments of :class:`MdFrame`. What the
    /// frame has from its topology is under ``topology``.
    fn to_dict<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(slf.py());
        let this = slf.get();
        for name in this.own() {
            dict.set_item(name, slf.getattr(name)?)?;
        }
        if let Some(topology) = &this.topology {
            dict.set_item("topology", topology)?;
        }
        dict.set_item("nsites", this.nsites)?;
        for (name, of_atoms) in [("atom_properties", true), ("frame_properties", false)] {
            let properties = Self::properties(slf, of_atoms)?;
            if !properties.is_empty() {
                dict.set_item(name, properties)?;
            }
        }
        Ok(dict)
    }

    /// A frame with some fields changed; ``None`` removes one.
    #[pyo3(signature = (**changes))]
    fn replace<'py>(
        slf: &Bound<'py, Self>,
        changes: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let dict = Self::to_dict(slf)?;
        if let Some(changes) = changes {
            dict.update(changes.as_mapping())?;
        }
        slf.get_type().call((), Some(&dict))
    }

    /// The frame of an ``ase.Atoms``: :func:`vlstore.plugins.ase.from_atoms`, with its options.
    #[staticmethod]
    #[pyo3(signature = (atoms, **options))]
    fn from_ase<'py>(
        atoms: &Bound<'py, PyAny>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let plugin = atoms.py().import("vlstore.plugins.ase")?;
        plugin.getattr("from_atoms")?.call((atoms,), options)
    }

    /// The ``ase.Atoms`` of the frame: :func:`vlstore.plugins.ase.to_atoms`. ``units`` is what its
    /// numbers mean, ``store.attrs["units"]``; by default Å, eV and fs.
    #[pyo3(signature = (units=None))]
    fn to_ase<'py>(
        slf: &Bound<'py, Self>,
        units: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("vlstore.plugins.ase")?.call_method1("to_atoms", (slf, units))
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        let Ok(other) = other.cast::<Self>() else { return false };
        let (one, other) = (&*self.memory, &*other.get().memory);
        let version = |bytes| MdFrameCodec.version_of(bytes);
        let lean = version(one).max(version(other)) == LEAN;
        one == other || (lean && table_of(one) == table_of(other))
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        copied_bytes(py, &table_of(&self.memory))?.hash()
    }

    fn __len__(&self) -> usize {
        self.nsites
    }

    fn __repr__(&self) -> String {
        let site = if self.nsites == 1 { "site" } else { "sites" };
        let fields = self.present().join(", ");
        let fields = if fields.is_empty() { "no field".to_owned() } else { fields };
        format!("<vlstore.MdFrame of {} {site}: {fields}>", self.nsites)
    }

    fn _repr_html_(slf: &Bound<'_, Self>) -> PyResult<String> {
        let this = slf.get();
        let mut rows = Vec::new();
        for name in this.present() {
            let value = slf.getattr(name)?;
            let text = match value.getattr_opt("shape")? {
                Some(shape) => {
                    let shape: Vec<usize> = shape.extract()?;
                    format!("{} {}", value.getattr("dtype")?, tuple(&shape))
                }
                None => value.str()?.to_string_lossy().into_owned(),
            };
            rows.push((name, text));
        }
        Ok(table(&format!("vlstore.MdFrame of {} sites", this.nsites), &rows))
    }

    #[expect(clippy::type_complexity, reason = "what the protocol wants")]
    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyAny>, (Record, Option<Py<Topology>>))> {
        let rebuild = slf.get_type().getattr("from_bytes")?;
        let (this, py) = (slf.get(), slf.py());
        Ok((rebuild, (this.record(), this.topology.as_ref().map(|t| t.clone_ref(py)))))
    }
}

/// The bytes of a frame as a FlatBuffer, in which equal frames are equal.
fn table_of(frame: &[u8]) -> Cow<'_, [u8]> {
    let mut table = Vec::new();
    match MdFrameCodec.for_version(1, frame, &mut table) {
        Ok(true) => Cow::Owned(table),
        // It was read before, so there is no error but one of memory.
        _ => Cow::Borrowed(frame),
    }
}

/// The bytes of a record that holds no frame are refused before they are stored.
pub(crate) fn sites(py: Python<'_>, bytes: &[u8]) -> PyResult<u32> {
    MdFrameCodec.weight(bytes).map_err(|e| from_error(py, &e))
}
