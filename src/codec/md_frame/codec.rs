//! The codec `md-frame`.

use super::NAME;
use super::check::check;
use super::part::ROWS;
use super::quantised::fold;
use super::read::{MdFrameView, expand, topology_of};
use super::write::append;
use crate::codec::json::{Item, Json};
use crate::codec::{
    AnyCodec, Codec, Encoded, MdFrame, MdFrameRef, PropertyView, RealView, TopologyView,
    ValuesView, aligned,
};
use crate::column::RowMaker;
use crate::wire::{AlignedBuf, Digest};
use crate::{Error, Result};
use std::io;

/// Records that are one frame of a trajectory each.
#[derive(Debug, Clone, Copy, Default)]
pub struct MdFrameCodec;

impl MdFrameCodec {
    /// The topology that the frame in the record `bytes` refers to. At any address, and cheaper
    /// than a view: no number is looked at.
    #[must_use]
    pub fn topology_of(bytes: &[u8]) -> Option<Digest> {
        topology_of(bytes)
    }

    /// Appends the record for a frame whose arrays lie anywhere in memory, so that they need
    /// not be gathered in an [`MdFrame`] first.
    ///
    /// # Errors
    ///
    /// As [`Codec::encode`].
    pub fn encode_ref(&self, frame: &MdFrameRef<'_>, out: &mut Vec<u8>) -> Result<Encoded> {
        check(frame)?;
        let weight = u32::try_from(frame.nsites).map_err(|_| too_many())?;
        append(frame, None, out)?;
        Ok(Encoded { weight })
    }

    /// As [`encode_ref`](Self::encode_ref), with the positions as integers of the precision
    /// that the frame states, if they are such to the last bit: less than half the bytes once they
    /// are compressed. Answers whether they are.
    ///
    /// # Errors
    ///
    /// As [`Codec::encode`].
    pub fn encode_quantised(
        &self,
        frame: &MdFrameRef<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(Encoded, bool)> {
        check(frame)?;
        let weight = u32::try_from(frame.nsites).map_err(|_| too_many())?;
        let words = match (frame.positions, frame.precision) {
            (Some(RealView::F32(positions)), Some(precision)) => fold(positions, precision),
            _ => None,
        };
        append(frame, words.as_deref(), out)?;
        Ok((Encoded { weight }, words.is_some()))
    }
}

/// The record `bytes`, expanded and aligned, in `space` if it has to be moved.
fn ready<'a>(bytes: &'a [u8], space: &'a mut AlignedBuf) -> Result<&'a [u8]> {
    if let Some(expanded) = expand(bytes)? {
        *space = expanded;
        return Ok(space);
    }
    aligned(bytes, space)
}

fn too_many() -> Error {
    Error::codec(NAME, "more than 2^31 - 1 sites")
}

impl Codec for MdFrameCodec {
    type Input<'a> = MdFrame;
    type View<'a> = MdFrameView<'a>;

    fn encode(&self, item: &MdFrame, out: &mut Vec<u8>) -> Result<Encoded> {
        self.encode_ref(&item.view(), out)
    }

    fn decode<'a>(&self, bytes: &'a [u8]) -> Result<MdFrameView<'a>> {
        MdFrameView::new(bytes)
    }
}

impl AnyCodec for MdFrameCodec {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn rows(&self) -> Option<RowMaker> {
        Some(ROWS)
    }

    fn weight(&self, bytes: &[u8]) -> Result<u32> {
        let mut space = AlignedBuf::default();
        let view = MdFrameView::new(ready(bytes, &mut space)?)?;
        u32::try_from(view.nsites()).map_err(|_| too_many())
    }

    fn expand(&self, bytes: &[u8]) -> Result<Option<AlignedBuf>> {
        expand(bytes)
    }

    fn reference(&self, bytes: &[u8]) -> Option<Digest> {
        topology_of(bytes)
    }

    fn check_reference(&self, bytes: &[u8], shared: &[u8]) -> Result<()> {
        let (mut a, mut b) = (AlignedBuf::default(), AlignedBuf::default());
        let topology = TopologyView::new(aligned(shared, &mut b)?)?;
        let frame = MdFrameView::new(ready(bytes, &mut a)?)?;
        frame.fields().joined(topology.fields()).map(drop)
    }

    fn write_json(&self, bytes: &[u8], out: &mut dyn io::Write) -> Result<()> {
        let mut space = AlignedBuf::default();
        let view = MdFrameView::new(ready(bytes, &mut space)?)?;
        show(view.fields(), view.topology(), out)
    }

    fn write_json_with(&self, bytes: &[u8], shared: &[u8], out: &mut dyn io::Write) -> Result<()> {
        let (mut a, mut b) = (AlignedBuf::default(), AlignedBuf::default());
        let topology = TopologyView::new(aligned(shared, &mut b)?)?;
        let view = MdFrameView::new(ready(bytes, &mut a)?)?;
        show(&view.fields().joined(topology.fields())?, view.topology(), out)
    }
}

/// Writes a frame as JSON; `topology` names what it refers to or was joined with.
fn show(f: &MdFrameRef<'_>, topology: Option<Digest>, out: &mut dyn io::Write) -> Result<()> {
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
