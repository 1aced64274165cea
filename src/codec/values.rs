//! One frame of a trajectory as plain owned arrays: what formats fill and the codec stores.

use crate::wire::Digest;

/// Floating-point values in the width in which they came; nothing is narrowed unasked.
#[derive(Debug, Clone, PartialEq)]
pub enum Real {
    /// 32 bits.
    F32(Vec<f32>),
    /// 64 bits.
    F64(Vec<f64>),
}

/// Values of an extra property.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Integers of 32 bits.
    I32(Vec<i32>),
    /// Integers of 64 bits.
    I64(Vec<i64>),
    /// Floating-point numbers of 32 or 64 bits.
    Real(Real),
    /// Texts.
    Str(Vec<String>),
    /// Booleans.
    Bool(Vec<bool>),
}

/// A named extra property: of each atom (then `values` holds `nsites * width` values, atom by
/// atom) or of the frame (then it holds the product of `shape`, in C order; an empty `shape` is
/// a scalar of one value).
#[derive(Debug, Clone, PartialEq)]
pub struct Property {
    /// The name, unique among the atom or the frame properties.
    pub name: String,
    /// Shape of one atom's value, or of the frame's value; empty for a scalar.
    pub shape: Vec<u32>,
    /// The values.
    pub values: Values,
}

/// One frame of a trajectory, owned. Every field but `nsites` may be absent.
///
/// Arrays with three components per site are flat: `x0 y0 z0 x1 y1 z1 …`, of length
/// `3 * nsites`. Units are not part of a frame: the store's attributes state them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MdFrame {
    /// Name of the frame or of its molecule.
    pub name: Option<String>,
    /// Number of sites (atoms or beads).
    pub nsites: usize,
    /// Type of each site, for example the atomic number.
    pub types: Option<Vec<i32>>,
    /// Mass of each site.
    pub masses: Option<Real>,
    /// Positions, `3 * nsites`.
    pub positions: Option<Real>,
    /// Velocities, `3 * nsites`.
    pub velocities: Option<Real>,
    /// Forces, `3 * nsites`.
    pub forces: Option<Real>,
    /// Charge of each site.
    pub charges: Option<Real>,
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
    /// Precision of the positions if the source had a fixed one (XTC): units of
    /// `1 / precision`.
    pub precision: Option<f32>,
    /// Extra properties of each atom.
    pub atom_properties: Vec<Property>,
    /// Extra properties of the frame.
    pub frame_properties: Vec<Property>,
    /// The digest of its [`Topology`](super::Topology): what the frame does not state itself
    /// it has from there.
    pub topology: Option<Digest>,
}

impl Real {
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
}

impl Values {
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
}
