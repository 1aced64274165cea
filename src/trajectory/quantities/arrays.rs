//! The numbers of a frame that quantities are made of, in 64 bits.

use super::of_frame::{Point, volume};
use crate::codec::{MdFrameView, RealView, ValuesView};
use crate::error::Result;
use crate::trajectory::atoms::Atoms;
use crate::trajectory::convert_units;
use crate::trajectory::reader::Trajectory;

/// The unit of velocities of ASE.
pub(super) const OF_ASE: &str = "sqrt(eV/u)";

/// Whether a store is in the units of ASE, in which momenta are those of ASE too.
pub(super) fn of_ase(attributes: &serde_json::Value) -> bool {
    let is = |name, unit| convert_units::stated_unit(attributes, name) == Some(unit);
    is("energy", "eV") && is("length", "angstrom") && is("mass", "u")
}

/// The momenta of the atoms.
pub(super) fn momenta<'a>(frame: &MdFrameView<'a>) -> Option<RealView<'a>> {
    let mut all = frame.atom_properties().iter();
    let found = all.find(|p| p.name == "momenta" && p.shape == [3])?;
    match found.values {
        ValuesView::Real(view) => Some(view),
        _ => None,
    }
}

/// The name of a frame property that is the temperature.
pub(super) fn stated_temperature<'a>(frame: &MdFrameView<'a>) -> Option<&'a str> {
    let named = frame.frame_properties().iter().map(|p| p.name);
    named.into_iter().find(|name| name.eq_ignore_ascii_case("temperature"))
}

/// The volume of a cell that there is; NaN for none, and for one of zeros, which stands for none.
pub(super) fn cell_volume(cell: Option<[f64; 9]>) -> f64 {
    cell.map(|cell| volume(&cell)).filter(|v| *v > 0.0).unwrap_or(f64::NAN)
}

/// The numbers of a property; one NaN if the frame does not have it, or as text.
#[expect(clippy::cast_precision_loss, reason = "a number for a picture")]
pub(super) fn property(frame: &MdFrameView<'_>, name: &str) -> Vec<f64> {
    let found = frame.frame_properties().iter().find(|p| p.name == name);
    match found.map(|p| &p.values) {
        Some(ValuesView::I32(v)) => v.iter().map(|n| f64::from(*n)).collect(),
        Some(ValuesView::I64(v)) => v.iter().map(|n| *n as f64).collect(),
        Some(ValuesView::Bool(v)) => v.iter().map(|b| f64::from(u8::from(*b))).collect(),
        Some(ValuesView::Real(v)) => numbers(*v, None),
        Some(ValuesView::Str(_)) | None => vec![f64::NAN],
    }
}

/// The places of the chosen atoms; `None` stands for all.
pub(super) fn places(
    trajectory: &Trajectory,
    frame: &MdFrameView<'_>,
    atoms: Atoms,
) -> Result<Option<Vec<usize>>> {
    if atoms == Atoms::All {
        return Ok(None);
    }
    let topology = match atoms {
        Atoms::Of(_) => trajectory.topology_of(frame)?,
        _ => None,
    };
    atoms.places(frame.nsites(), topology.as_deref()).map(Some)
}

pub(super) fn positions(
    trajectory: &Trajectory,
    frame: &MdFrameView<'_>,
    atoms: Atoms,
) -> Result<Option<Vec<Point>>> {
    let Some(view) = frame.positions() else { return Ok(None) };
    Ok(Some(triples(view, places(trajectory, frame, atoms)?.as_deref())))
}

/// The masses of all atoms: of the frame, else of its topology.
pub(super) fn masses(trajectory: &Trajectory, frame: &MdFrameView<'_>) -> Result<Option<Vec<f64>>> {
    if let Some(own) = frame.masses() {
        return Ok(Some(numbers(own, None)));
    }
    let topology = trajectory.topology_of(frame)?;
    let masses = topology.as_ref().and_then(|t| t.masses.as_ref());
    Ok(masses.map(|masses| numbers(RealView::from(masses), None)))
}

pub(super) fn chosen_masses(
    trajectory: &Trajectory,
    frame: &MdFrameView<'_>,
    atoms: Atoms,
) -> Result<Option<Vec<f64>>> {
    let Some(all) = masses(trajectory, frame)? else { return Ok(None) };
    Ok(Some(match places(trajectory, frame, atoms)? {
        None => all,
        Some(places) => places.iter().filter_map(|p| all.get(*p).copied()).collect(),
    }))
}

/// Numbers in 64 bits: all, or those at these places.
pub(super) fn numbers(view: RealView<'_>, places: Option<&[usize]>) -> Vec<f64> {
    fn pick<T: Copy + Into<f64>>(v: &[T], places: Option<&[usize]>) -> Vec<f64> {
        match places {
            None => v.iter().map(|x| (*x).into()).collect(),
            Some(places) => places.iter().filter_map(|p| v.get(*p)).map(|x| (*x).into()).collect(),
        }
    }
    match view {
        RealView::F32(v) => pick(v, places),
        RealView::F64(v) => pick(v, places),
    }
}

/// Points in 64 bits: all, or those of the atoms at these places.
pub(super) fn triples(view: RealView<'_>, places: Option<&[usize]>) -> Vec<Point> {
    fn pick<T: Copy + Into<f64>>(v: &[T], places: Option<&[usize]>) -> Vec<Point> {
        let (all, _) = v.as_chunks::<3>();
        let point = |p: &[T; 3]| p.map(Into::into);
        match places {
            None => all.iter().map(point).collect(),
            Some(places) => places.iter().filter_map(|p| all.get(*p)).map(point).collect(),
        }
    }
    match view {
        RealView::F32(v) => pick(v, places),
        RealView::F64(v) => pick(v, places),
    }
}
