//! Record bytes as a frame: verified once, then plain slices.

use super::check::check;
use super::fast_path::{fast_path, may_be_quantised};
use super::lean;
use super::name::NAME;
use super::quantised::unfold;
use super::root::{Matrices, bad, root};
use super::write::append;
use crate::Result;
use crate::codec::generated::md::{Matrix, MdFrame as Wire, Property as WireProperty};
use crate::codec::slices::{numbers_in, truths_in};
use crate::codec::{MdFrame, MdFrameRef, PropertyView, RealView, TextView, ValuesView, aligned};
use crate::wire::{AlignedBuf, Digest};
use bytemuck::AnyBitPattern;
use flatbuffers::{ForwardsUOffset, Vector};

/// A frame in the bytes of a record: whole, consistent and borrowed.
///
/// Everything was checked when it was made, so no accessor can fail.
#[derive(Debug, Clone, PartialEq)]
pub struct MdFrameView<'a> {
    frame: MdFrameRef<'a>,
    matrices: Matrices,
}

impl<'a> MdFrameView<'a> {
    /// Verifies the record in `bytes` and views it.
    ///
    /// Costs a part of a microsecond, whatever the number of sites; texts are read once.
    ///
    /// # Errors
    ///
    /// [`Error::Codec`](crate::Error::Codec) if the bytes are no frame, if lengths in it contradict each other, or
    /// if its arrays are not aligned in memory ([`aligned`](crate::codec::aligned) moves it).
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        let (frame, matrices) = match fast_path(bytes) {
            Some(found) => found,
            None if lean::is_lean(bytes) => lean::view(bytes)?,
            None => {
                let wire = root::<Wire<'a>>("frame", bytes)?;
                let at = |m: &Matrix| m.0.as_ptr().addr().checked_sub(bytes.as_ptr().addr());
                let cell = wire.cell().and_then(at);
                let stress = wire.stress().and_then(at);
                (plain(wire)?, Matrices { cell, stress })
            }
        };
        check(&frame)?;
        Ok(Self { frame, matrices })
    }

    /// As [`new`](Self::new), of a record as it is stored: where the types of a frame are bytes, they come beside
    /// a view that has none, and nothing is copied.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn stored(bytes: &'a [u8]) -> Result<(Self, Option<&'a [u8]>)> {
        if !lean::is_lean(bytes) {
            return Ok((Self::new(bytes)?, None));
        }
        let (frame, matrices, types) = lean::parts(bytes)?;
        check(&frame)?;
        Ok((Self { frame, matrices }, types))
    }

    /// The fields as plain slices, for passing on or encoding again.
    #[must_use]
    pub fn fields(&self) -> &MdFrameRef<'a> {
        &self.frame
    }

    /// The fields as plain slices, taken out.
    #[must_use]
    pub fn into_fields(self) -> MdFrameRef<'a> {
        self.frame
    }

    /// Number of sites.
    #[must_use]
    pub fn nsites(&self) -> usize {
        self.frame.nsites
    }

    /// Name of the frame or of its molecule.
    #[must_use]
    pub fn name(&self) -> Option<&'a str> {
        self.frame.name
    }

    /// Type of each site.
    #[must_use]
    pub fn types(&self) -> Option<&'a [i32]> {
        self.frame.types
    }

    /// Mass of each site.
    #[must_use]
    pub fn masses(&self) -> Option<RealView<'a>> {
        self.frame.masses
    }

    /// Positions, `3 * nsites`.
    #[must_use]
    pub fn positions(&self) -> Option<RealView<'a>> {
        self.frame.positions
    }

    /// Velocities, `3 * nsites`.
    #[must_use]
    pub fn velocities(&self) -> Option<RealView<'a>> {
        self.frame.velocities
    }

    /// Forces, `3 * nsites`.
    #[must_use]
    pub fn forces(&self) -> Option<RealView<'a>> {
        self.frame.forces
    }

    /// Charge of each site.
    #[must_use]
    pub fn charges(&self) -> Option<RealView<'a>> {
        self.frame.charges
    }

    /// Simulation step.
    #[must_use]
    pub fn step(&self) -> Option<i64> {
        self.frame.step
    }

    /// Simulation time.
    #[must_use]
    pub fn time(&self) -> Option<f64> {
        self.frame.time
    }

    /// The three cell vectors as rows.
    #[must_use]
    pub fn cell(&self) -> Option<[f64; 9]> {
        self.frame.cell
    }

    /// Whether the cell repeats along each of its vectors.
    #[must_use]
    pub fn pbc(&self) -> Option<[bool; 3]> {
        self.frame.pbc
    }

    /// Potential energy.
    #[must_use]
    pub fn energy(&self) -> Option<f64> {
        self.frame.energy
    }

    /// Stress tensor, 3 x 3 in C order.
    #[must_use]
    pub fn stress(&self) -> Option<[f64; 9]> {
        self.frame.stress
    }

    /// Where cell and stress tensor lie in the record, for whoever shows them in place.
    #[must_use]
    pub const fn matrices(&self) -> Matrices {
        self.matrices
    }

    /// Precision of the positions if the source had a fixed one.
    #[must_use]
    pub fn precision(&self) -> Option<f32> {
        self.frame.precision
    }

    /// Extra properties of each atom.
    #[must_use]
    pub fn atom_properties(&self) -> &[PropertyView<'a>] {
        &self.frame.atom_properties
    }

    /// Extra properties of the frame.
    #[must_use]
    pub fn frame_properties(&self) -> &[PropertyView<'a>] {
        &self.frame.frame_properties
    }

    /// The digest of the topology that the frame refers to.
    #[must_use]
    pub fn topology(&self) -> Option<Digest> {
        self.frame.topology
    }

    /// The frame, owned.
    #[must_use]
    pub fn to_owned(&self) -> MdFrame {
        self.frame.to_owned()
    }

    /// The frame, owned.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn try_to_owned(&self) -> Result<MdFrame> {
        self.frame.try_to_owned()
    }
}

/// The topology that the frame in these bytes refers to; `None` also if they are no frame.
pub(in crate::codec) fn topology_of(bytes: &[u8]) -> Option<Digest> {
    let wire = root::<Wire<'_>>("frame", bytes).ok()?;
    Digest::from_bytes(wire.topology()?.bytes())
}

/// Appends the record of the frame in `bytes` as a store of lean frames keeps it, or one that does not; false, and
/// nothing appended, if that is `bytes`, or if they are no frame that is known in full.
pub(in crate::codec) fn remade(bytes: &[u8], lean: bool, out: &mut Vec<u8>) -> Result<bool> {
    let (mut widened, mut space) = (AlignedBuf::default(), AlignedBuf::default());
    let frame = if lean::is_lean(bytes) {
        if let Some(wide) = lean::widen(bytes)? {
            if lean {
                return Ok(false);
            }
            widened = wide;
        } else {
            widened.resize(bytes.len())?;
            widened.copy_from_slice(bytes);
        }
        let (frame, _) = lean::view(&widened)?;
        if !lean {
            return append(&frame, None, out).map(|()| true);
        }
        frame
    } else if lean && !may_be_quantised(bytes) {
        match fast_path(aligned(bytes, &mut space)?) {
            Some((frame, _)) => frame,
            None => return Ok(false),
        }
    } else {
        return Ok(false);
    };
    let start = out.len();
    if !lean::append(&frame, out)? || out.get(start..) == Some(bytes) {
        out.truncate(start);
        return Ok(false);
    }
    Ok(true)
}

/// The record that a view is made of, if in `bytes` types are bytes or positions integers.
pub(in crate::codec) fn expand(bytes: &[u8]) -> Result<Option<AlignedBuf>> {
    if lean::is_lean(bytes) {
        return lean::widen(bytes);
    }
    if !may_be_quantised(bytes) {
        return Ok(None);
    }
    let mut space = AlignedBuf::default();
    let wire = root::<Wire<'_>>("frame", aligned(bytes, &mut space)?)?;
    let Some(words) = wire.quantised_positions() else { return Ok(None) };
    if wire.positions().is_some() || wire.positions64().is_some() {
        return Err(bad("positions are given as integers and as others"));
    }
    let words = slice("quantised_positions", words)?;
    let mut frame = fields(wire)?;
    check(&frame)?;
    let positions = unfold(words, frame.nsites, frame.precision)?;
    frame.positions = Some(RealView::F32(&positions));
    let mut out = Vec::new();
    append(&frame, None, &mut out)?;
    AlignedBuf::copy_of(&out).map(Some)
}

/// The fields of a verified table as slices.
pub(super) fn plain(wire: Wire<'_>) -> Result<MdFrameRef<'_>> {
    if wire.quantised_positions().is_some() {
        let why = "its positions are integers; view what AnyCodec::expand makes of the record";
        return Err(bad(why));
    }
    fields(wire)
}

/// The fields of a verified table as slices, but for positions as integers.
fn fields(wire: Wire<'_>) -> Result<MdFrameRef<'_>> {
    let nsites = usize::try_from(wire.nsites())
        .map_err(|_| bad(format!("the number of sites is {}", wire.nsites())))?;
    if wire.ncodim() != 3 {
        return Err(bad(format!(
            "it has {} components per site (ncodim); only 3 are supported",
            wire.ncodim()
        )));
    }
    let pbc = match wire.pbc() {
        None => None,
        Some(bits @ 0..8) => Some([bits & 1 != 0, bits & 2 != 0, bits & 4 != 0]),
        Some(bits) => return Err(bad(format!("pbc is {bits}, but has three bits"))),
    };
    Ok(MdFrameRef {
        name: wire.name(),
        nsites,
        types: wire.types().map(|v| slice("types", v)).transpose()?,
        masses: real("masses", wire.masses(), wire.masses64())?,
        positions: real("positions", wire.positions(), wire.positions64())?,
        velocities: real("velocities", wire.velocities(), wire.velocities64())?,
        forces: real("forces", wire.forces(), wire.forces64())?,
        charges: real("charges", wire.charges(), wire.charges64())?,
        step: wire.step(),
        time: wire.time(),
        cell: wire.cell().map(matrix),
        pbc,
        energy: wire.energy(),
        stress: wire.stress().map(matrix),
        precision: wire.precision(),
        atom_properties: properties(wire.atom_properties())?,
        frame_properties: properties(wire.frame_properties())?,
        topology: wire.topology().map(digest).transpose()?,
    })
}

fn digest(bytes: Vector<'_, u8>) -> Result<Digest> {
    let bytes = bytes.bytes();
    Digest::from_bytes(bytes)
        .ok_or_else(|| bad(format!("the topology is named by {} bytes, not 16", bytes.len())))
}

fn matrix(m: &Matrix) -> [f64; 9] {
    m.v().into()
}

pub(in crate::codec) fn slice<'a, T: AnyBitPattern>(
    what: &str,
    values: Vector<'a, T>,
) -> Result<&'a [T]> {
    numbers_in(NAME, what, values.bytes())
}

pub(in crate::codec) fn real<'a>(
    what: &str,
    narrow: Option<Vector<'a, f32>>,
    wide: Option<Vector<'a, f64>>,
) -> Result<Option<RealView<'a>>> {
    match (narrow, wide) {
        (None, None) => Ok(None),
        (Some(v), None) => slice(what, v).map(|v| Some(RealView::F32(v))),
        (None, Some(v)) => slice(what, v).map(|v| Some(RealView::F64(v))),
        (Some(_), Some(_)) => Err(bad(format!("{what} are given in 32 and in 64 bits"))),
    }
}

pub(in crate::codec) fn properties<'a>(
    list: Option<Vector<'a, ForwardsUOffset<WireProperty<'a>>>>,
) -> Result<Vec<PropertyView<'a>>> {
    list.into_iter().flat_map(|list| list.iter()).map(property).collect()
}

fn property(wire: WireProperty<'_>) -> Result<PropertyView<'_>> {
    let name = wire.name();
    let kinds = [
        wire.ints().is_some(),
        wire.longs().is_some(),
        wire.floats().is_some(),
        wire.doubles().is_some(),
        wire.texts().is_some(),
        wire.truths().is_some(),
    ];
    if kinds.into_iter().filter(|&present| present).count() != 1 {
        return Err(bad(format!("property {name:?} does not have values of one kind")));
    }
    let values = if let Some(v) = wire.ints() {
        ValuesView::I32(slice(name, v)?)
    } else if let Some(v) = wire.longs() {
        ValuesView::I64(slice(name, v)?)
    } else if let Some(v) = wire.texts() {
        ValuesView::Str(TextView::in_record(v))
    } else if let Some(v) = wire.truths() {
        ValuesView::Bool(truths_in(NAME, name, v.bytes())?)
    } else {
        let values = real(name, wire.floats(), wire.doubles())?;
        ValuesView::Real(values.ok_or_else(|| bad(format!("property {name:?} has no values")))?)
    };
    let shape = wire.shape().map_or(Ok(&[][..]), |v| slice("shape", v))?;
    Ok(PropertyView { name, shape, values })
}
