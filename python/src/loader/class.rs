//! `vlstore._core._Loader`: the crate's loader over an open store. What it is called by and what it
//! returns is for the class in Python that stands before it.

use crate::array::numpy::{Input, Want, fresh};
use crate::convert::array_request::array_request;
use crate::convert::key::keys;
use crate::convert::number::real;
use crate::convert::ordinals::many;
use crate::error::{Failure, Outcome, from_error, invalid};
use crate::loader::batch::{Form, Prepared};
use crate::loader::memory::Spare;
use crate::loader::numbers::{self, DTypes};
use crate::loader::options::options;
use crate::loader::run::Run;
use crate::store::class::Store;
use crate::store::typed::Typed;
use crate::store::view::View as Seen;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use vlstore::Readable;
use vlstore::codec::DType;
use vlstore::loader::{Batching, Buckets, Cursor, Padded, Pin, Rows, Share, Sources, View};
use vlstore::trajectory::UnitFactors;
use vlstore::trajectory::arrays::{ArrayInfo, Collator, KnownArray, Selection};

/// A place in a run, as Python has it: epoch, round, batch.
type At = (u64, u64, u64);

/// The crate's loader; used by :class:`vlstore.loader.Loader`.
#[pyclass(frozen, module = "vlstore", name = "_Loader")]
pub(crate) struct Loader {
    typed: Typed,
    inner: Mutex<vlstore::loader::Loader>,
    spare: Spare,
}

/// The stores of a loader, with the records that they have when this is made; used by
/// :class:`vlstore.loader.Loader`.
#[pyclass(frozen, module = "vlstore", name = "_Sources")]
#[derive(Clone)]
pub(crate) struct Stores {
    typed: Typed,
    inner: Sources,
}

#[pymethods]
impl Stores {
    /// An open store, or those at `paths`, of which it is the first; `pins` are those of another such object, in this
    /// process or another.
    #[new]
    #[pyo3(signature = (store, paths, max_open, pins))]
    fn new(
        store: &Bound<'_, Store>,
        paths: Option<Vec<PathBuf>>,
        max_open: usize,
        pins: Option<Vec<(String, u64, u64)>>,
    ) -> PyResult<Self> {
        let (py, typed) = (store.py(), store.get().typed.clone());
        let inner = match paths {
            None => {
                let made = typed.handle.read(py, |v| match v {
                    Seen::Set(set) => Ok(Sources::of_set(set, max_open)),
                    one => Ok(Sources::one(one.committed()?)?),
                });
                Ok(made?)
            }
            Some(paths) => {
                let how = typed.handle.options.reading();
                py.detach(|| Sources::open(paths, &how, max_open))
            }
        };
        let pin = |(file, deleted, records)| Pin { file, deleted, records };
        let pins: Option<Vec<Pin>> = pins.map(|pins| pins.into_iter().map(pin).collect());
        let inner = inner.and_then(|all| match pins {
            Some(pins) => all.as_pinned(&pins),
            None => Ok(all),
        });
        Ok(Self { typed, inner: inner.map_err(|e| from_error(py, &e))? })
    }

    /// The id of each file, how many records were deleted in it, and how many it has.
    fn pins(&self) -> Vec<(String, u64, u64)> {
        let pin = |pin: Pin| (pin.file, pin.deleted, pin.records);
        self.inner.pins().into_iter().map(pin).collect()
    }

    /// Number of records of all.
    fn __len__(&self) -> PyResult<usize> {
        Ok(usize::try_from(self.inner.len())?)
    }
}

impl Loader {
    fn inner(&self) -> MutexGuard<'_, vlstore::loader::Loader> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The loader as it is: what is done with it takes no lock.
    fn now(&self) -> vlstore::loader::Loader {
        self.inner().clone()
    }
}

impl Loader {
    /// What bounds the number of frames of a padded batch: a cap only if it counts sites, as the width does.
    fn rows(&self) -> Batching {
        let loader = self.now();
        let options = loader.options();
        let sites = options.costs.is_none() && &*options.cost == "weight";
        let bounds = loader.schedule().batching().clone();
        if sites { bounds } else { Batching { cost: None, buckets: None, ..bounds } }
    }
}

/// Ordinals as Python counts: negative ones from the end.
fn ordinals(asked: &[i64], len: u64) -> Outcome<Vec<u64>> {
    let one = |asked: &i64| {
        let found = match u64::try_from(*asked) {
            Ok(ordinal) => Some(ordinal).filter(|ordinal| *ordinal < len),
            Err(_) => len.checked_sub(asked.unsigned_abs()),
        };
        found.ok_or(Failure::Ordinal { asked: *asked, len })
    };
    asked.iter().map(one).collect()
}

/// Real numbers, one for each record that is loaded.
fn reals(any: &Bound<'_, PyAny>, loader: &vlstore::loader::Loader) -> PyResult<Vec<f64>> {
    let (py, records) = (any.py(), loader.view().len());
    let input = Input::get(any, "values", Want::Real)?;
    let reals: Vec<f64> = match input.reals() {
        vlstore::codec::RealView::F32(v) => v.iter().map(|v| f64::from(*v)).collect(),
        vlstore::codec::RealView::F64(v) => v.to_vec(),
    };
    if reals.len() as u64 != records {
        let why = format!("values: found {}, but there are {records} records", reals.len());
        return Err(invalid(py, &why));
    }
    if let Some((number, value)) = (0..).zip(&reals).find(|(_, value)| !value.is_finite()) {
        let who = loader.sources().called(loader.view().ordinal(number).unwrap_or(u64::MAX));
        return Err(invalid(
            py,
            &format!("values: {value} of the record {who} is no number to measure by"),
        ));
    }
    Ok(reals)
}

#[pymethods]
impl Loader {
    /// A loader of these stores.
    #[new]
    #[pyo3(signature = (sources, records, options, sizes))]
    fn new(
        sources: &Bound<'_, Stores>,
        records: Option<&Bound<'_, PyAny>>,
        options: &Bound<'_, PyDict>,
        sizes: Option<(u64, u64)>,
    ) -> PyResult<Self> {
        let py = sources.py();
        let Stores { typed, inner: sources } = sources.get().clone();
        let asked = records.map(many).transpose()?;
        let mut view = asked.map(|asked| ordinals(&asked, sources.len())).transpose()?;
        if let Some(asked) = options.get_item("keys")?.filter(|keys| !keys.is_none()) {
            let asked = keys(&asked)?;
            view = Some(py.detach(|| sources.find(&asked)).map_err(|e| from_error(py, &e))?);
        }
        let given = options.get_item("costs")?.filter(|costs| !costs.is_none());
        let given = given.map(|costs| many(&costs)).transpose()?;
        let mut options = self::options(options, view.map(View::chosen))?;
        // What is negative is no cost.
        let cost = |cost: i64| u64::try_from(cost).unwrap_or(u64::MAX);
        options.costs = given.map(|costs| costs.into_iter().map(cost).collect());
        let made = py.detach(|| {
            let made = vlstore::loader::Loader::over(sources, options)?;
            sizes.map_or_else(|| Ok(made.clone()), |(group, window)| made.with_sizes(group, window))
        });
        let inner = Mutex::new(made.map_err(|e| from_error(py, &e))?);
        Ok(Self { typed, inner, spare: Spare::default() })
    }

    /// The same loader for another share, which opens nothing.
    fn share(
        &self,
        py: Python<'_>,
        rank: u64,
        world: u64,
        worker: u64,
        workers: u64,
    ) -> PyResult<Self> {
        let share = Share { rank, world, worker, workers };
        let inner = self.now().shared(share).map_err(|e| from_error(py, &e))?;
        Ok(Self { typed: self.typed.clone(), inner: Mutex::new(inner), spare: Spare::default() })
    }

    /// The first number of a column for each record that is loaded.
    fn values(&self, py: Python<'_>, name: &str) -> PyResult<Py<PyAny>> {
        let loader = self.now();
        let values = py.detach(|| loader.values(name)).map_err(|e| from_error(py, &e))?;
        let (array, mut memory) = fresh(py, DType::F64, &[values.len()])?;
        let (places, _) = memory.as_mut_slice().as_chunks_mut::<8>();
        for (value, place) in values.iter().zip(places) {
            *place = value.to_ne_bytes();
        }
        Ok(array)
    }

    /// What the record at an ordinal is called in messages.
    fn called(&self, ordinal: u64) -> String {
        self.now().sources().called(ordinal)
    }

    /// Where the next run begins.
    #[getter]
    fn at(&self) -> At {
        let at = self.inner().at();
        (at.epoch, at.round, at.batch)
    }

    /// Lets the next run begin there.
    fn set_at(&self, at: At) {
        let (epoch, round, batch) = at;
        self.inner().set_at(Cursor { epoch, round, batch });
    }

    /// Number of batches in a whole epoch.
    fn steps(&self, py: Python<'_>, epoch: u64) -> u64 {
        let loader = self.now();
        py.detach(|| loader.steps(epoch))
    }

    /// How much of the epoch lies before ``at``, 0 to 1.
    fn progress(&self, py: Python<'_>, at: At) -> f64 {
        let loader = self.now();
        let (epoch, round, batch) = at;
        py.detach(|| loader.progress(Cursor { epoch, round, batch }))
    }

    /// The state of a run that has come to ``at``, as JSON.
    fn state(&self, py: Python<'_>, at: At) -> String {
        let loader = self.now();
        let (epoch, round, batch) = at;
        py.detach(|| loader.state(Cursor { epoch, round, batch }).to_string())
    }

    /// A short name for the batches of all epochs.
    fn order_id(&self) -> String {
        self.now().order_id()
    }

    /// Continues from a state in JSON.
    fn resume(&self, py: Python<'_>, state: &str) -> PyResult<()> {
        let given = serde_json::from_str(state)
            .map_err(|e| invalid(py, &format!("state: is not JSON: {e}")))?;
        let mut loader = self.now();
        py.detach(|| loader.resume(&given)).map_err(|e| from_error(py, &e))?;
        *self.inner() = loader;
        Ok(())
    }

    /// What is loaded, and how.
    fn describe<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let loader = self.now();
        let (order, out) = (loader.schedule().order(), PyDict::new(py));
        out.set_item("records", loader.view().len())?;
        out.set_item("epoch_records", loader.schedule().records())?;
        out.set_item("shuffle", order.shuffle.name())?;
        out.set_item("seed", order.seed)?;
        out.set_item("group", order.group)?;
        out.set_item("window", order.window)?;
        out.set_item("lanes", loader.schedule().lanes())?;
        out.set_item("batch_size", loader.schedule().batching().records)?;
        out.set_item("max_cost", loader.schedule().batching().cost)?;
        out.set_item("memory", loader.options().memory)?;
        Ok(out)
    }

    /// The ordinals of the records that are loaded, int64.
    fn ordinals(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let view = self.inner().view().clone();
        let (array, mut memory) = fresh(py, DType::I64, &[usize::try_from(view.len())?])?;
        let (places, _) = memory.as_mut_slice().as_chunks_mut::<8>();
        for (number, place) in (0..).zip(places) {
            *place = view.ordinal(number).unwrap_or(u64::MAX).to_ne_bytes();
        }
        Ok(array)
    }

    /// The design effect of an epoch's batches by ``values``, one for each record.
    fn effect(&self, py: Python<'_>, values: &Bound<'_, PyAny>, epoch: u64) -> PyResult<f64> {
        let loader = self.now();
        let values = reals(values, &loader)?;
        py.detach(|| loader.effect(&values, epoch)).map_err(|e| from_error(py, &e))
    }

    /// What the ranks have in an epoch: the cost of each, the steps, and the median and the worst of the
    /// greatest cost of a step to the mean; how far the sums lie apart.
    fn balance(&self, py: Python<'_>, epoch: u64) -> PyResult<(Vec<u64>, u64, f64, f64, f64)> {
        let loader = self.now();
        let found = py.detach(|| loader.balance(epoch)).map_err(|e| from_error(py, &e))?;
        let apart = found.apart();
        Ok((found.sums, found.steps, found.median, found.worst, apart))
    }

    /// The share of padding in the padded batches of an epoch, each as wide as its bucket or its largest
    /// record, or ``width`` wide, and with as many rows as its bucket can have if ``full``.
    fn padding(&self, py: Python<'_>, epoch: u64, width: Option<u64>, full: bool) -> PyResult<f64> {
        let loader = self.now();
        let shape = Padded { width, rows: if full { Rows::Full } else { Rows::Own } };
        py.detach(|| loader.padding(epoch, shape)).map_err(|e| from_error(py, &e))
    }

    /// What bounds the rows of a padded batch: a number of records, a cap on their sites, and the sizes of the
    /// buckets.
    fn bounds(&self) -> (Option<u64>, Option<u64>, Vec<u64>) {
        let Batching { records, cost, buckets, .. } = self.rows();
        let edges = match buckets {
            Some(Buckets::Edges(edges)) => edges,
            _ => Vec::new(),
        };
        (records, cost, edges)
    }

    /// How many records an epoch has of each part, if shares were given.
    fn draws(&self) -> Option<Vec<u64>> {
        let loader = self.now();
        let mixture = loader.schedule().mixture()?;
        Some(mixture.parts().map(|(_, draws)| draws).collect())
    }

    /// The window that keeps the effect below ``1 + excess`` for batches of ``batch`` records.
    fn window_for(
        &self,
        values: &Bound<'_, PyAny>,
        batch: u64,
        excess: &Bound<'_, PyAny>,
    ) -> PyResult<u64> {
        let loader = self.now();
        let values = reals(values, &loader)?;
        let excess = real(excess, "excess")?;
        Ok(loader.window_for(&values, batch, excess))
    }

    /// Refuses what no batch can be, of arrays with these names and types.
    #[pyo3(signature = (layout, dtype, units, pad_to, pad_rows, arrays))]
    #[expect(clippy::too_many_arguments, reason = "the Python half names them")]
    fn check(
        &self,
        py: Python<'_>,
        layout: &str,
        dtype: Option<&Bound<'_, PyAny>>,
        units: Option<&Bound<'_, PyAny>>,
        pad_to: Vec<usize>,
        pad_rows: bool,
        arrays: Vec<First>,
    ) -> PyResult<()> {
        let arrays = known(arrays);
        let (dtypes, units) = (DTypes::get(dtype)?, numbers::units(units)?);
        dtypes.check(py, &arrays)?;
        if !units.is_empty() && layout == "records" {
            return Err(invalid(py, "layout: records have the units of the store"));
        }
        let rows = pad_rows.then(|| self.rows());
        Form::new(py, layout, dtypes, pad_to, rows).map(drop)
    }

    /// Refuses units that the numbers of ``store`` cannot be turned to, and fields that are in other units
    /// there than in the first store.
    fn check_units(
        &self,
        py: Python<'_>,
        store: &Bound<'_, Store>,
        units: Option<&Bound<'_, PyAny>>,
        fields: Vec<String>,
    ) -> PyResult<()> {
        let units = numbers::units(units)?;
        let attributes = |typed: &Typed| typed.handle.read(py, |v| Ok(v.committed()?.attributes()));
        let (first, other) = (attributes(&self.typed)?, attributes(&store.get().typed)?);
        let alike = units.check_alike((&first, &other), fields.iter().map(|name| &**name));
        let known = alike.and_then(|()| units.factors(&other).map(drop));
        known.map_err(|e| from_error(py, &e))
    }

    /// A run from ``at`` to the end of the epoch.
    #[pyo3(signature = (layout, fields, missing, fill_value, mask, dtype, first, units, pad_to, pad_rows))]
    #[expect(clippy::too_many_arguments, reason = "the Python half names them")]
    fn start(
        &self,
        py: Python<'_>,
        layout: &str,
        fields: Option<&Bound<'_, PyAny>>,
        missing: Option<&Bound<'_, PyAny>>,
        fill_value: Option<&Bound<'_, PyAny>>,
        mask: bool,
        dtype: Option<&Bound<'_, PyAny>>,
        first: Vec<First>,
        units: Option<&Bound<'_, PyAny>>,
        pad_to: Vec<usize>,
        pad_rows: bool,
    ) -> PyResult<Run> {
        let loader = self.now();
        let rows = pad_rows.then(|| self.rows());
        let first = known(first);
        let form = Form::new(py, layout, DTypes::get(dtype)?.or_first(&first), pad_to, rows)?;
        let units = numbers::units(units)?;
        let mut request = array_request(fields, missing, fill_value, mask)?;
        (request.batch, request.known) = (false, first);
        let run = if form == Form::Records {
            loader.start(|asked| Ok(Prepared::Records(asked.plan()?.batch()?)))
        } else {
            let (collator, spare) = (Collator::new(request), self.spare.clone());
            loader.start(move |asked| {
                let (snapshot, chosen) = (asked.snapshot(), Selection::Ordinals(asked.ordinals()));
                let new = |array: &ArrayInfo| spare.take(array.bytes());
                let factors = match units.is_empty() {
                    true => UnitFactors::default(),
                    false => units.factors(&snapshot.attributes())?,
                };
                let made = collator.arrays_of(snapshot, chosen, asked.plan()?, new)?;
                Ok(Prepared::Arrays(made, factors))
            })
        };
        let run = run.map_err(|e| from_error(py, &e))?;
        Ok(Run::new(self.typed.clone(), form, run))
    }
}

/// An array of the first frame: its name, its type, the shape of an entry, and whether there is one for each site.
type First = (String, String, Vec<u32>, bool);

fn known(first: Vec<First>) -> Vec<KnownArray> {
    let known = |(name, kind, item_shape, by_site): First| {
        let kind = *DType::ALL.iter().find(|known| known.name() == kind)?;
        Some(KnownArray { name, kind, item_shape, by_site })
    };
    first.into_iter().filter_map(known).collect()
}

/// Parts of the records at ``ordinals``, each an array of ordinals; see
/// :func:`vlstore.loader.split`.
#[pyfunction(name = "_split_records")]
pub(crate) fn split(
    py: Python<'_>,
    ordinals: &Bound<'_, PyAny>,
    shares: Vec<f64>,
    seed: u64,
    groups: Option<&Bound<'_, PyAny>>,
) -> PyResult<Vec<Py<PyAny>>> {
    let unsigned = |any: &Bound<'_, PyAny>| -> PyResult<Vec<u64>> {
        Ok(many(any)?.into_iter().map(i64::cast_unsigned).collect())
    };
    let view = View::chosen(unsigned(ordinals)?);
    let groups = groups.map(unsigned).transpose()?;
    let parts = view.split(&shares, seed, groups.as_deref()).map_err(|e| from_error(py, &e))?;
    let array = |part: View| {
        let (array, mut memory) = fresh(py, DType::I64, &[usize::try_from(part.len())?])?;
        let (places, _) = memory.as_mut_slice().as_chunks_mut::<8>();
        for (number, place) in (0..).zip(places) {
            *place = part.ordinal(number).unwrap_or(u64::MAX).to_ne_bytes();
        }
        Ok(array)
    };
    parts.into_iter().map(array).collect()
}
