//! One frame of a trajectory as borrowed arrays: what is encoded, and what decoding gives.

use super::values::{MdFrame, Property, Real, Values};
use crate::error::Result;
use crate::wire::{Digest, memory};
use flatbuffers::{ForwardsUOffset, Vector};
use std::fmt;

/// Borrowed floating-point values in the width in which they came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RealView<'a> {
    /// 32 bits.
    F32(&'a [f32]),
    /// 64 bits.
    F64(&'a [f64]),
}

/// Borrowed values of an extra property.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ValuesView<'a> {
    /// Integers of 32 bits.
    I32(&'a [i32]),
    /// Integers of 64 bits.
    I64(&'a [i64]),
    /// Floating-point numbers of 32 or 64 bits.
    Real(RealView<'a>),
    /// Texts.
    Str(TextView<'a>),
    /// Booleans.
    Bool(&'a [bool]),
}

/// A borrowed extra property; see [`Property`] for what `shape` means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PropertyView<'a> {
    /// The name, unique among the atom or the frame properties.
    pub name: &'a str,
    /// Shape of one atom's value, or of the frame's value; empty for a scalar.
    pub shape: &'a [u32],
    /// The values.
    pub values: ValuesView<'a>,
}

/// Borrowed texts: of the caller, or of a record.
#[derive(Clone, Copy)]
pub struct TextView<'a>(Texts<'a>);

#[derive(Clone, Copy)]
enum Texts<'a> {
    Owned(&'a [String]),
    Slices(&'a [&'a str]),
    Record(Vector<'a, ForwardsUOffset<&'a str>>),
}

/// One frame of a trajectory that borrows its arrays, with the fields of [`MdFrame`].
///
/// Made by the caller, who may hold the arrays in any memory, nothing about it is checked until
/// it is encoded.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MdFrameRef<'a> {
    /// Name of the frame or of its molecule.
    pub name: Option<&'a str>,
    /// Number of sites (atoms or beads).
    pub nsites: usize,
    /// Type of each site, for example the atomic number.
    pub types: Option<&'a [i32]>,
    /// Mass of each site.
    pub masses: Option<RealView<'a>>,
    /// Positions, `3 * nsites`.
    pub positions: Option<RealView<'a>>,
    /// Velocities, `3 * nsites`.
    pub velocities: Option<RealView<'a>>,
    /// Forces, `3 * nsites`.
    pub forces: Option<RealView<'a>>,
    /// Charge of each site.
    pub charges: Option<RealView<'a>>,
    /// Simulation step.
    pub step: Option<i64>,
    /// Simulation time.
    pub time: Option<f64>,
    /// The three cell vectors as rows, in C order.
    pub cell: Option<[f64; 9]>,
    /// Whether the cell repeats along each of its vectors.
    pub pbc: Option<[bool; 3]>,
    /// Potential energy.
    pub energy: Option<f64>,
    /// Stress tensor, 3 x 3 in C order.
    pub stress: Option<[f64; 9]>,
    /// Precision of the positions if the source had a fixed one: units of `1 / precision`.
    pub precision: Option<f32>,
    /// Extra properties of each atom.
    pub atom_properties: Vec<PropertyView<'a>>,
    /// Extra properties of the frame.
    pub frame_properties: Vec<PropertyView<'a>>,
    /// The digest of its [`Topology`](super::Topology): what the frame does not state itself
    /// it has from there.
    pub topology: Option<Digest>,
}

impl RealView<'_> {
    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::F32(v) => v.len(),
            Self::F64(v) => v.len(),
        }
    }

    /// Whether there are no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values, owned, in their width.
    #[must_use]
    pub fn to_owned(&self) -> Real {
        match self {
            Self::F32(v) => Real::F32(v.to_vec()),
            Self::F64(v) => Real::F64(v.to_vec()),
        }
    }

    /// The values, owned, in their width.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn try_to_owned(&self) -> Result<Real> {
        Ok(match self {
            Self::F32(v) => Real::F32(memory::copied(v)?),
            Self::F64(v) => Real::F64(memory::copied(v)?),
        })
    }
}

impl<'a> From<&'a Real> for RealView<'a> {
    fn from(real: &'a Real) -> Self {
        match real {
            Real::F32(v) => Self::F32(v),
            Real::F64(v) => Self::F64(v),
        }
    }
}

impl ValuesView<'_> {
    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::I32(v) => v.len(),
            Self::I64(v) => v.len(),
            Self::Real(v) => v.len(),
            Self::Str(v) => v.len(),
            Self::Bool(v) => v.len(),
        }
    }

    /// Whether there are no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values, owned.
    #[must_use]
    pub fn to_owned(&self) -> Values {
        match self {
            Self::I32(v) => Values::I32(v.to_vec()),
            Self::I64(v) => Values::I64(v.to_vec()),
            Self::Real(v) => Values::Real(v.to_owned()),
            Self::Str(v) => Values::Str(v.iter().map(str::to_owned).collect()),
            Self::Bool(v) => Values::Bool(v.to_vec()),
        }
    }

    /// The values, owned.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn try_to_owned(&self) -> Result<Values> {
        Ok(match self {
            Self::I32(v) => Values::I32(memory::copied(v)?),
            Self::I64(v) => Values::I64(memory::copied(v)?),
            Self::Real(v) => Values::Real(v.try_to_owned()?),
            Self::Str(v) => Values::Str(v.try_to_owned()?),
            Self::Bool(v) => Values::Bool(memory::copied(v)?),
        })
    }
}

impl<'a> From<&'a Values> for ValuesView<'a> {
    fn from(values: &'a Values) -> Self {
        match values {
            Values::I32(v) => Self::I32(v),
            Values::I64(v) => Self::I64(v),
            Values::Real(v) => Self::Real(v.into()),
            Values::Str(v) => Self::Str(TextView::of(v)),
            Values::Bool(v) => Self::Bool(v),
        }
    }
}

impl PropertyView<'_> {
    /// The property, owned.
    #[must_use]
    pub fn to_owned(&self) -> Property {
        Property {
            name: self.name.to_owned(),
            shape: self.shape.to_vec(),
            values: self.values.to_owned(),
        }
    }

    /// The property, owned.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn try_to_owned(&self) -> Result<Property> {
        Ok(Property {
            name: self.name.to_owned(),
            shape: memory::copied(self.shape)?,
            values: self.values.try_to_owned()?,
        })
    }
}

/// Properties, owned.
pub(super) fn owned_properties(all: &[PropertyView<'_>]) -> Result<Vec<Property>> {
    all.iter().map(PropertyView::try_to_owned).collect()
}

impl<'a> From<&'a Property> for PropertyView<'a> {
    fn from(property: &'a Property) -> Self {
        Self { name: &property.name, shape: &property.shape, values: (&property.values).into() }
    }
}

impl<'a> TextView<'a> {
    /// Texts of the caller.
    #[must_use]
    pub fn new(texts: &'a [&'a str]) -> Self {
        Self(Texts::Slices(texts))
    }

    /// Owned texts of the caller.
    #[must_use]
    pub const fn of(texts: &'a [String]) -> Self {
        Self(Texts::Owned(texts))
    }

    /// Texts in a record that was verified.
    pub(super) fn in_record(texts: Vector<'a, ForwardsUOffset<&'a str>>) -> Self {
        Self(Texts::Record(texts))
    }

    /// Number of texts.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.0 {
            Texts::Owned(v) => v.len(),
            Texts::Slices(v) => v.len(),
            Texts::Record(v) => v.len(),
        }
    }

    /// Whether there are no texts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text at `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&'a str> {
        match self.0 {
            Texts::Owned(v) => v.get(index).map(String::as_str),
            Texts::Slices(v) => v.get(index).copied(),
            Texts::Record(v) => (index < v.len()).then(|| v.get(index)),
        }
    }

    /// The texts in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a str> + use<'a> {
        let texts = *self;
        (0..texts.len()).map(move |i| texts.get(i).unwrap_or_default())
    }

    /// The texts, owned.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn try_to_owned(&self) -> Result<Vec<String>> {
        let mut out = memory::with_room(self.len())?;
        for text in self.iter() {
            out.push(memory::text(text)?);
        }
        Ok(out)
    }
}

impl PartialEq for TextView<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl fmt::Debug for TextView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl MdFrame {
    /// The frame, borrowed.
    #[must_use]
    pub fn view(&self) -> MdFrameRef<'_> {
        MdFrameRef {
            name: self.name.as_deref(),
            nsites: self.nsites,
            types: self.types.as_deref(),
            masses: self.masses.as_ref().map(RealView::from),
            positions: self.positions.as_ref().map(RealView::from),
            velocities: self.velocities.as_ref().map(RealView::from),
            forces: self.forces.as_ref().map(RealView::from),
            charges: self.charges.as_ref().map(RealView::from),
            step: self.step,
            time: self.time,
            cell: self.cell,
            pbc: self.pbc,
            energy: self.energy,
            stress: self.stress,
            precision: self.precision,
            atom_properties: self.atom_properties.iter().map(PropertyView::from).collect(),
            frame_properties: self.frame_properties.iter().map(PropertyView::from).collect(),
            topology: self.topology,
        }
    }
}

impl MdFrameRef<'_> {
    /// The frame, owned.
    #[must_use]
    pub fn to_owned(&self) -> MdFrame {
        MdFrame {
            name: self.name.map(str::to_owned),
            nsites: self.nsites,
            types: self.types.map(<[i32]>::to_vec),
            masses: self.masses.map(|v| v.to_owned()),
            positions: self.positions.map(|v| v.to_owned()),
            velocities: self.velocities.map(|v| v.to_owned()),
            forces: self.forces.map(|v| v.to_owned()),
            charges: self.charges.map(|v| v.to_owned()),
            step: self.step,
            time: self.time,
            cell: self.cell,
            pbc: self.pbc,
            energy: self.energy,
            stress: self.stress,
            precision: self.precision,
            atom_properties: self.atom_properties.iter().map(PropertyView::to_owned).collect(),
            frame_properties: self.frame_properties.iter().map(PropertyView::to_owned).collect(),
            topology: self.topology,
        }
    }

    /// The frame, owned: for frames of files, whose size is not known to be harmless.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn try_to_owned(&self) -> Result<MdFrame> {
        let real = |v: &Option<RealView<'_>>| v.map(|v| v.try_to_owned()).transpose();
        Ok(MdFrame {
            name: self.name.map(str::to_owned),
            nsites: self.nsites,
            types: self.types.map(memory::copied).transpose()?,
            masses: real(&self.masses)?,
            positions: real(&self.positions)?,
            velocities: real(&self.velocities)?,
            forces: real(&self.forces)?,
            charges: real(&self.charges)?,
            step: self.step,
            time: self.time,
            cell: self.cell,
            pbc: self.pbc,
            energy: self.energy,
            stress: self.stress,
            precision: self.precision,
            atom_properties: owned_properties(&self.atom_properties)?,
            frame_properties: owned_properties(&self.frame_properties)?,
            topology: self.topology,
        })
    }
}
