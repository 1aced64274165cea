//! The fields of a frame as Python gives them, checked by name.

use crate::array::numpy::{Input, Want};
use crate::convert::number::{integer, real};
use crate::convert::text::text;
use crate::error::{described, invalid, wrong_type};
use crate::frame::properties::{Properties, Sites};
use crate::frame::topology::Topology;
use pyo3::prelude::*;
use pyo3::types::PyBool;
use vlstore::Digest;
use vlstore::codec::{MdFrameCodec, MdFrameRef, RealView};

/// Owned or borrowed fields; [`Parts::encode`] makes a record of them.
#[derive(Default)]
pub(crate) struct Parts {
    name: Option<String>,
    nsites: Sites,
    arrays: Vec<(&'static str, Input)>,
    cell: Option<[f64; 9]>,
    stress: Option<[f64; 9]>,
    pbc: Option<[bool; 3]>,
    energy: Option<f64>,
    time: Option<f64>,
    step: Option<i64>,
    precision: Option<f32>,
    atoms: Properties,
    whole: Properties,
    topology: Option<Digest>,
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
        self.nsites.hold(any.py(), input.shape.first().copied().unwrap_or(0), what)?;
        self.arrays.push((what, input));
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
        self.step = step.map(|any| integer(any, "step")).transpose()?;
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
            let n = integer(any, "nsites")?;
            let n = usize::try_from(n)
                .map_err(|_| invalid(any.py(), &format!("nsites: {n} is negative")))?;
            self.nsites.hold(any.py(), n, "nsites")?;
        }
        Ok(())
    }

    /// What the frame refers to: it has as many sites.
    pub(crate) fn topology(&mut self, given: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let Some(given) = given else { return Ok(()) };
        let Ok(topology) = given.cast::<Topology>() else {
            let why = described("topology must be a vlstore.Topology", given)?;
            return Err(wrong_type(given.py(), &why));
        };
        self.nsites.hold(given.py(), topology.get().nsites(), "topology")?;
        self.topology = Some(*topology.get().digest());
        Ok(())
    }

    pub(crate) fn atom_properties(&mut self, given: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        self.atoms = Properties::of_atoms(given, &mut self.nsites)?;
        Ok(())
    }

    pub(crate) fn frame_properties(&mut self, given: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        self.whole = Properties::of_frame(given)?;
        Ok(())
    }

    fn get(&self, what: &str) -> Option<&Input> {
        self.arrays.iter().find(|(name, _)| *name == what).map(|(_, input)| input)
    }

    /// The record of these fields.
    pub(crate) fn encode(&self) -> vlstore::Result<Vec<u8>> {
        let (atoms, whole) = (self.atoms.texts(), self.whole.texts());
        let frame = MdFrameRef {
            name: self.name.as_deref(),
            nsites: self.nsites.known().unwrap_or(0),
            types: self.get("types").map(Input::values),
            masses: self.get("masses").map(Input::reals),
            charges: self.get("charges").map(Input::reals),
            positions: self.get("positions").map(Input::reals),
            velocities: self.get("velocities").map(Input::reals),
            forces: self.get("forces").map(Input::reals),
            step: self.step,
            time: self.time,
            cell: self.cell,
            pbc: self.pbc,
            energy: self.energy,
            stress: self.stress,
            precision: self.precision,
            atom_properties: self.atoms.views(&atoms),
            frame_properties: self.whole.views(&whole),
            topology: self.topology,
        };
        let mut out = Vec::new();
        MdFrameCodec.encode_ref(&frame, &mut out)?;
        Ok(out)
    }
}

/// Nine numbers of a 3 x 3 array; three are the diagonal if `diagonal` says so.
fn matrix(any: &Bound<'_, PyAny>, what: &str, diagonal: bool) -> PyResult<[f64; 9]> {
    let form = if diagonal { "(3, 3) or (3,)" } else { "(3, 3)" };
    let right = |shape: &[usize]| shape == [3, 3] || (diagonal && shape == [3]);
    let input = Input::get(any, what, Want::Real)?.shaped(any.py(), what, form, right)?;
    let mut out = [0.0; 9];
    let step = if input.shape.len() == 1 { 4 } else { 1 };
    match input.reals() {
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
        .map_err(|_| invalid(any.py(), "pbc must be three booleans"))
}
