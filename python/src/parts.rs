//! The fields of a frame as Python gives them, checked by name.

use crate::error::{invalid, wrong_type};
use crate::key::described;
use crate::numpy::{Input, Want, real, whole};
use crate::topology::Topology;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFrozenSet, PySet, PyString};
use vlstore::Digest;
use vlstore::codec::{
    DType, MdFrameCodec, MdFrameRef, PropertyView, RealView, TextView, ValuesView,
};
use vlstore::limits;

/// Owned or borrowed fields; [`Parts::encode`] makes a record of them.
#[derive(Default)]
pub(crate) struct Parts {
    name: Option<String>,
    /// Number of sites, and the field that said so.
    nsites: Option<(usize, String)>,
    arrays: Vec<(&'static str, Input)>,
    cell: Option<[f64; 9]>,
    stress: Option<[f64; 9]>,
    pbc: Option<[bool; 3]>,
    energy: Option<f64>,
    time: Option<f64>,
    step: Option<i64>,
    precision: Option<f32>,
    atoms: Vec<Property>,
    whole: Vec<Property>,
    topology: Option<Digest>,
}

/// Extra properties of the atoms of a topology.
pub(crate) struct Properties(Vec<Property>);

struct Property {
    name: String,
    shape: Vec<u32>,
    values: Held,
}

enum Held {
    Numbers(Input),
    Texts(Vec<String>),
}

/// Real numbers in the width in which they came.
pub(crate) fn reals(input: &Input) -> RealView<'_> {
    match input.kind {
        DType::F32 => RealView::F32(input.values()),
        _ => RealView::F64(input.values()),
    }
}

impl Parts {
    /// An array with one row for each site.
    pub(crate) fn sites(
        &mut self,
        what: &'static str,
        any: Option<&Bound<'_, PyAny>>,
        width: usize,
    ) -> PyResult<()> {
        let Some(any) = any else { return Ok(()) };
        let want = if what == "types" { Want::Int32 } else { Want::Real };
        let (form, input) =
            (if width == 3 { "(n, 3)" } else { "(n,)" }, Input::get(any, what, want)?);
        let right = |shape: &[usize]| match shape {
            [_] => width == 1,
            [_, 3] => width == 3,
            // An empty list is an empty array.
            _ => false,
        };
        let input = if input.shape == [0] && width == 3 {
            Input { shape: vec![0, 3], ..input }
        } else {
            input.shaped(any.py(), what, form, right)?
        };
        self.count(any.py(), input.shape.first().copied().unwrap_or(0), what)?;
        self.arrays.push((what, input));
        Ok(())
    }

    /// Takes the number of sites from the first field that has one, and holds the others to it.
    fn count(&mut self, py: Python<'_>, sites: usize, what: &str) -> PyResult<()> {
        match &self.nsites {
            None => self.nsites = Some((sites, what.to_owned())),
            Some((known, _)) if *known == sites => {}
            Some((known, first)) => {
                return Err(invalid(
                    py,
                    &format!("{what} has {sites} sites, but {first} has {known}"),
                ));
            }
        }
        Ok(())
    }

    pub(crate) fn whole(
        &mut self,
        cell: Option<&Bound<'_, PyAny>>,
        stress: Option<&Bound<'_, PyAny>>,
        pbc: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.cell = cell.map(|any| matrix(any, "cell", true)).transpose()?;
        self.stress = stress.map(|any| matrix(any, "stress", false)).transpose()?;
        self.pbc = pbc.map(periodic).transpose()?;
        Ok(())
    }

    pub(crate) fn numbers(
        &mut self,
        energy: Option<&Bound<'_, PyAny>>,
        time: Option<&Bound<'_, PyAny>>,
        step: Option<&Bound<'_, PyAny>>,
        precision: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.energy = energy.map(|any| real(any, "energy")).transpose()?;
        self.time = time.map(|any| real(any, "time")).transpose()?;
        self.step = step.map(|any| whole(any, "step")).transpose()?;
        if let Some(any) = precision {
            real(any, "precision")?;
            self.precision = Some(any.extract()?);
        }
        Ok(())
    }

    pub(crate) fn named(
        &mut self,
        name: Option<&Bound<'_, PyAny>>,
        nsites: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        if let Some(any) = name {
            self.name = Some(text(any, "name")?);
        }
        if let Some(any) = nsites {
            let n = whole(any, "nsites")?;
            let n = usize::try_from(n)
                .map_err(|_| invalid(any.py(), &format!("nsites: {n} is negative")))?;
            self.count(any.py(), n, "nsites")?;
        }
        Ok(())
    }

    /// What the frame refers to: it has as many sites.
    pub(crate) fn topology(&mut self, given: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let Some(given) = given else { return Ok(()) };
        let Ok(topology) = given.cast::<Topology>() else {
            let why = described("topology is a vlstore.Topology", given)?;
            return Err(wrong_type(given.py(), &why));
        };
        self.count(given.py(), topology.get().nsites(), "topology")?;
        self.topology = Some(*topology.get().digest());
        Ok(())
    }

    pub(crate) fn atom_properties(&mut self, given: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let Some(given) = given else { return Ok(()) };
        for (name, value) in dict(given, "atom_properties")?.iter() {
            let name = text(&name, "the name of a property")?;
            let what = format!("atom property {name:?}");
            let property = property(&value, name, &what)?;
            let n = match &property.values {
                Held::Texts(_) => property.shape.first().map_or(1, |n| *n as usize),
                Held::Numbers(input) => *input.shape.first().ok_or_else(|| {
                    invalid(
                        value.py(),
                        &format!("{what} is one number, but must have one per site"),
                    )
                })?,
            };
            self.count(value.py(), n, &what)?;
            let shape = property.shape.get(1..).unwrap_or_default().to_vec();
            self.atoms.push(Property { shape, ..property });
        }
        Ok(())
    }

    pub(crate) fn frame_properties(&mut self, given: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let Some(given) = given else { return Ok(()) };
        for (name, value) in dict(given, "frame_properties")?.iter() {
            let name = text(&name, "the name of a property")?;
            let what = format!("frame property {name:?}");
            self.whole.push(property(&value, name, &what)?);
        }
        Ok(())
    }

    fn get(&self, what: &str) -> Option<&Input> {
        self.arrays.iter().find(|(name, _)| *name == what).map(|(_, input)| input)
    }

    /// The record of these fields.
    pub(crate) fn encode(&self) -> vlstore::Result<Vec<u8>> {
        let texts: Vec<Vec<&str>> =
            self.atoms.iter().chain(&self.whole).map(Property::texts).collect();
        let (atoms, whole) = texts.split_at(self.atoms.len());
        let frame = MdFrameRef {
            name: self.name.as_deref(),
            nsites: self.nsites.as_ref().map_or(0, |(n, _)| *n),
            types: self.get("types").map(Input::values),
            masses: self.get("masses").map(reals),
            charges: self.get("charges").map(reals),
            positions: self.get("positions").map(reals),
            velocities: self.get("velocities").map(reals),
            forces: self.get("forces").map(reals),
            step: self.step,
            time: self.time,
            cell: self.cell,
            pbc: self.pbc,
            energy: self.energy,
            stress: self.stress,
            precision: self.precision,
            atom_properties: self.atoms.iter().zip(atoms).map(|(p, t)| p.view(t)).collect(),
            frame_properties: self.whole.iter().zip(whole).map(|(p, t)| p.view(t)).collect(),
            topology: self.topology,
        };
        let mut out = Vec::new();
        MdFrameCodec.encode_ref(&frame, &mut out)?;
        Ok(out)
    }
}

impl Properties {
    pub(crate) fn of_atoms(given: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let mut parts = Parts::default();
        parts.atom_properties(given)?;
        Ok(Self(parts.atoms))
    }

    /// Entries of the first of them.
    pub(crate) fn sites(&self) -> Option<usize> {
        self.0.first().map(|property| match &property.values {
            Held::Texts(texts) => {
                let of_one: usize = property.shape.iter().map(|n| *n as usize).product();
                texts.len().checked_div(of_one).unwrap_or(0)
            }
            Held::Numbers(input) => input.shape.first().copied().unwrap_or(0),
        })
    }

    pub(crate) fn texts(&self) -> Vec<Vec<&str>> {
        self.0.iter().map(Property::texts).collect()
    }

    pub(crate) fn views<'a>(&'a self, texts: &'a [Vec<&'a str>]) -> Vec<PropertyView<'a>> {
        self.0.iter().zip(texts).map(|(property, texts)| property.view(texts)).collect()
    }
}

impl Property {
    fn texts(&self) -> Vec<&str> {
        match &self.values {
            Held::Texts(texts) => texts.iter().map(String::as_str).collect(),
            Held::Numbers(_) => Vec::new(),
        }
    }

    fn view<'a>(&'a self, texts: &'a [&'a str]) -> PropertyView<'a> {
        let values = match &self.values {
            Held::Texts(_) => ValuesView::Str(TextView::new(texts)),
            Held::Numbers(input) => match input.kind {
                DType::I32 => ValuesView::I32(input.values()),
                DType::I64 => ValuesView::I64(input.values()),
                DType::Bool => ValuesView::Bool(input.truths()),
                _ => ValuesView::Real(reals(input)),
            },
        };
        PropertyView { name: &self.name, shape: &self.shape, values }
    }
}

fn dict<'a, 'py>(any: &'a Bound<'py, PyAny>, what: &str) -> PyResult<&'a Bound<'py, PyDict>> {
    match any.cast::<PyDict>() {
        Ok(dict) => Ok(dict),
        Err(_) => Err(wrong_type(any.py(), &described(&format!("{what} is a dict"), any)?)),
    }
}

pub(crate) fn text(any: &Bound<'_, PyAny>, what: &str) -> PyResult<String> {
    match any.cast::<PyString>() {
        Ok(text) => text.to_str().map(ToOwned::to_owned).map_err(|_| {
            invalid(any.py(), &format!("{what} must be valid Unicode: it has a lone surrogate"))
        }),
        Err(_) => Err(wrong_type(any.py(), &described(&format!("{what} is a str"), any)?)),
    }
}

fn property(any: &Bound<'_, PyAny>, name: String, what: &str) -> PyResult<Property> {
    // Texts could be gone through in these, too: keys without their values, in no order.
    if any.is_instance_of::<PyDict>()
        || any.is_instance_of::<PySet>()
        || any.is_instance_of::<PyFrozenSet>()
    {
        let wanted = format!("{what} is a number, a text, an array or a list of texts");
        return Err(wrong_type(any.py(), &described(&wanted, any)?));
    }
    if any.is_instance_of::<PyString>() {
        let values = Held::Texts(vec![text(any, what)?]);
        return Ok(Property { name, shape: Vec::new(), values });
    }
    let mut texts = Vec::new();
    if let Some(axes) = gather(any, 0, &mut texts) {
        let shape = axes.iter().map(|n| length(any.py(), *n, what)).collect::<PyResult<_>>()?;
        return Ok(Property { name, shape, values: Held::Texts(texts) });
    }
    let input = Input::get(any, what, Want::Any)?;
    let shape =
        input.shape.iter().map(|n| length(any.py(), *n, what)).collect::<PyResult<Vec<_>>>()?;
    Ok(Property { name, shape, values: Held::Numbers(input) })
}

/// Gathers texts from lists, nested to any depth; their shape, if it is such and none is empty.
fn gather(any: &Bound<'_, PyAny>, depth: usize, texts: &mut Vec<String>) -> Option<Vec<usize>> {
    if let Ok(text) = any.cast::<PyString>() {
        texts.push(text.to_string());
        return Some(Vec::new());
    }
    // Keys without their values, in no order.
    let keys = any.is_instance_of::<PyDict>()
        || any.is_instance_of::<PySet>()
        || any.is_instance_of::<PyFrozenSet>();
    if keys || depth >= limits::ARRAY_AXES {
        return None;
    }
    let mut inner = None;
    let mut n = 0_usize;
    for item in any.try_iter().ok()? {
        let shape = gather(&item.ok()?, depth.saturating_add(1), texts)?;
        if *inner.get_or_insert_with(|| shape.clone()) != shape {
            return None;
        }
        n = n.saturating_add(1);
    }
    Some(std::iter::once(n).chain(inner?).collect())
}

fn length(py: Python<'_>, n: usize, what: &str) -> PyResult<u32> {
    u32::try_from(n).map_err(|_| invalid(py, &format!("{what} has an axis of {n} entries")))
}

/// Nine numbers of a 3 x 3 array; three are the diagonal if `diagonal` says so.
fn matrix(any: &Bound<'_, PyAny>, what: &str, diagonal: bool) -> PyResult<[f64; 9]> {
    let form = if diagonal { "(3, 3) or (3,)" } else { "(3, 3)" };
    let right = |shape: &[usize]| shape == [3, 3] || (diagonal && shape == [3]);
    let input = Input::get(any, what, Want::Real)?.shaped(any.py(), what, form, right)?;
    let mut out = [0.0; 9];
    let step = if input.shape.len() == 1 { 4 } else { 1 };
    match reals(&input) {
        RealView::F32(v) => out.iter_mut().step_by(step).zip(v).for_each(|(o, v)| *o = (*v).into()),
        RealView::F64(v) => out.iter_mut().step_by(step).zip(v).for_each(|(o, v)| *o = *v),
    }
    Ok(out)
}

fn periodic(any: &Bound<'_, PyAny>) -> PyResult<[bool; 3]> {
    if let Ok(all) = any.cast::<PyBool>() {
        return Ok([all.is_true(); 3]);
    }
    let input = Input::get(any, "pbc", Want::Bool)?;
    let input = input.shaped(any.py(), "pbc", "(3,)", |shape| shape == [3])?;
    <[bool; 3]>::try_from(input.truths())
        .map_err(|_| invalid(any.py(), "pbc must be three truth values"))
}
