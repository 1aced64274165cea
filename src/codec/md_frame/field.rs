//! The fields of a frame by name, and sets of them.

use crate::codec::{MdFrame, MdFrameRef, Real, RealView};
use crate::{Error, Result};

/// A field that a frame can be read with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field {
    /// Positions of the sites.
    Positions,
    /// Velocities of the sites.
    Velocities,
    /// Forces on the sites.
    Forces,
    /// Types of the sites.
    Types,
    /// Masses of the sites.
    Masses,
    /// Charges of the sites.
    Charges,
    /// Cell vectors.
    Cell,
    /// Along which of them the cell repeats.
    Pbc,
    /// Potential energy.
    Energy,
    /// Stress.
    Stress,
    /// Simulation step.
    Step,
    /// Simulation time.
    Time,
}

impl Field {
    /// Every field.
    pub const ALL: [Self; 12] = [
        Self::Positions,
        Self::Velocities,
        Self::Forces,
        Self::Types,
        Self::Masses,
        Self::Charges,
        Self::Cell,
        Self::Pbc,
        Self::Energy,
        Self::Stress,
        Self::Step,
        Self::Time,
    ];

    /// The name, as in `docs/records.md`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Positions => "positions",
            Self::Velocities => "velocities",
            Self::Forces => "forces",
            Self::Types => "types",
            Self::Masses => "masses",
            Self::Charges => "charges",
            Self::Cell => "cell",
            Self::Pbc => "pbc",
            Self::Energy => "energy",
            Self::Stress => "stress",
            Self::Step => "step",
            Self::Time => "time",
        }
    }

    /// The field of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.name() == name)
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// Fields that are wanted of a frame; the number of sites always is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fields(u16);

impl Fields {
    /// These fields.
    #[must_use]
    pub fn of(fields: &[Field]) -> Self {
        Self(fields.iter().fold(0, |all, f| all | f.bit()))
    }

    /// The fields of these names.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the known names for another one.
    pub fn named<S: AsRef<str>>(names: &[S]) -> Result<Self> {
        names.iter().try_fold(Self::default(), |all, name| {
            let name = name.as_ref();
            let field = Field::from_name(name).ok_or_else(|| {
                let known = Field::ALL.map(Field::name).join(", ");
                Error::invalid(
                    "field",
                    format!("a frame has no field {name:?}; the fields are {known}"),
                )
            })?;
            Ok(Self(all.0 | field.bit()))
        })
    }

    /// Whether `field` is one of them.
    #[must_use]
    pub const fn has(self, field: Field) -> bool {
        self.0 & field.bit() != 0
    }

    /// Takes all else out of a frame that was read whole: other fields, its name, extra
    /// properties. The precision goes with the positions.
    pub fn keep(self, frame: &mut MdFrame) {
        let all = std::mem::take(frame);
        let real = |f, v: Option<Real>| v.filter(|_| self.has(f));
        *frame = MdFrame {
            nsites: all.nsites,
            types: all.types.filter(|_| self.has(Field::Types)),
            masses: real(Field::Masses, all.masses),
            positions: real(Field::Positions, all.positions),
            precision: all.precision.filter(|_| self.has(Field::Positions)),
            velocities: real(Field::Velocities, all.velocities),
            forces: real(Field::Forces, all.forces),
            charges: real(Field::Charges, all.charges),
            step: all.step.filter(|_| self.has(Field::Step)),
            time: all.time.filter(|_| self.has(Field::Time)),
            cell: all.cell.filter(|_| self.has(Field::Cell)),
            pbc: all.pbc.filter(|_| self.has(Field::Pbc)),
            energy: all.energy.filter(|_| self.has(Field::Energy)),
            stress: all.stress.filter(|_| self.has(Field::Stress)),
            ..MdFrame::default()
        };
    }

    /// Those fields of a frame that was read whole.
    #[must_use]
    pub fn only<'a>(self, frame: &MdFrameRef<'a>) -> MdFrameRef<'a> {
        let real = |f, v: Option<RealView<'a>>| v.filter(|_| self.has(f));
        MdFrameRef {
            nsites: frame.nsites,
            types: frame.types.filter(|_| self.has(Field::Types)),
            masses: real(Field::Masses, frame.masses),
            positions: real(Field::Positions, frame.positions),
            velocities: real(Field::Velocities, frame.velocities),
            forces: real(Field::Forces, frame.forces),
            charges: real(Field::Charges, frame.charges),
            step: frame.step.filter(|_| self.has(Field::Step)),
            time: frame.time.filter(|_| self.has(Field::Time)),
            cell: frame.cell.filter(|_| self.has(Field::Cell)),
            pbc: frame.pbc.filter(|_| self.has(Field::Pbc)),
            energy: frame.energy.filter(|_| self.has(Field::Energy)),
            stress: frame.stress.filter(|_| self.has(Field::Stress)),
            ..MdFrameRef::default()
        }
    }
}
