//! A frame as JSON.

use super::name::NAME;
use crate::Result;
use crate::codec::json::{Item, Json};
use crate::codec::{MdFrameRef, PropertyView, RealView, ValuesView};
use crate::wire::Digest;
use std::io;

/// Writes a frame as JSON; `topology` names what it refers to or was joined with.
pub(in crate::codec) fn show(
    f: &MdFrameRef<'_>,
    topology: Option<Digest>,
    out: &mut dyn io::Write,
) -> Result<()> {
    let mut json = Json::new(out);
    json.open('{')?;
    json.key("codec")?.text(NAME)?;
    if let Some(name) = f.name {
        json.key("name")?.text(name)?;
    }
    json.key("nsites")?.value(f.nsites)?;
    scalar(&mut json, "step", f.step)?;
    scalar(&mut json, "time", f.time)?;
    scalar(&mut json, "energy", f.energy)?;
    scalar(&mut json, "precision", f.precision)?;
    if let Some(cell) = &f.cell {
        json.key("cell")?.list(cell)?;
    }
    if let Some(pbc) = &f.pbc {
        json.key("pbc")?.list(pbc)?;
    }
    if let Some(stress) = &f.stress {
        json.key("stress")?.list(stress)?;
    }
    if let Some(topology) = topology {
        json.key("topology")?.text(&topology.to_string())?;
    }
    let per_site = [f.nsites];
    let three = [f.nsites, 3];
    if let Some(types) = f.types {
        array(&mut json, "types", &per_site, ValuesView::I32(types))?;
    }
    real_json(&mut json, "masses", &per_site, f.masses)?;
    real_json(&mut json, "charges", &per_site, f.charges)?;
    real_json(&mut json, "positions", &three, f.positions)?;
    real_json(&mut json, "velocities", &three, f.velocities)?;
    real_json(&mut json, "forces", &three, f.forces)?;
    properties_json(&mut json, "atom_properties", &f.atom_properties, Some(f.nsites))?;
    properties_json(&mut json, "frame_properties", &f.frame_properties, None)?;
    json.close('}')
}

fn scalar(json: &mut Json<'_>, key: &str, value: Option<impl Item>) -> Result<()> {
    value.map_or(Ok(()), |value| json.key(key)?.value(value))
}

/// One array of floating-point numbers as JSON, if there is one.
pub(in crate::codec) fn real_json(
    json: &mut Json<'_>,
    key: &str,
    shape: &[usize],
    values: Option<RealView<'_>>,
) -> Result<()> {
    values.map_or(Ok(()), |values| array(json, key, shape, ValuesView::Real(values)))
}

/// One array as JSON: type, shape and values.
pub(in crate::codec) fn array(
    json: &mut Json<'_>,
    key: &str,
    shape: &[usize],
    values: ValuesView<'_>,
) -> Result<()> {
    json.key(key)?.open('{')?;
    body(json, shape.iter().copied(), values)?;
    json.close('}')
}

/// Type, shape and values of an array whose object is open.
fn body(
    json: &mut Json<'_>,
    shape: impl Iterator<Item = usize>,
    values: ValuesView<'_>,
) -> Result<()> {
    json.key("dtype")?.text(match values {
        ValuesView::I32(_) => "int32",
        ValuesView::I64(_) => "int64",
        ValuesView::Real(RealView::F32(_)) => "float32",
        ValuesView::Real(RealView::F64(_)) => "float64",
        ValuesView::Str(_) => "str",
        ValuesView::Bool(_) => "bool",
    })?;
    json.key("shape")?.items(shape)?;
    let json = json.key("data")?;
    match values {
        ValuesView::I32(v) => json.list(v),
        ValuesView::I64(v) => json.list(v),
        ValuesView::Real(RealView::F32(v)) => json.list(v),
        ValuesView::Real(RealView::F64(v)) => json.list(v),
        ValuesView::Str(v) => json.items(v.iter()),
        ValuesView::Bool(v) => json.list(v),
    }
}

/// Extra properties as JSON.
pub(in crate::codec) fn properties_json(
    json: &mut Json<'_>,
    key: &str,
    list: &[PropertyView<'_>],
    nsites: Option<usize>,
) -> Result<()> {
    if list.is_empty() {
        return Ok(());
    }
    json.key(key)?.open('[')?;
    for property in list {
        json.open('{')?;
        json.key("name")?.text(property.name)?;
        let axes = property.shape.iter().map(|&n| usize::try_from(n).unwrap_or(usize::MAX));
        body(json, nsites.into_iter().chain(axes), property.values)?;
        json.close('}')?;
    }
    json.close(']')
}
