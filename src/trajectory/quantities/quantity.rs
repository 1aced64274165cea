//! What can be measured of a frame, by name.

use super::arrays::{cell_volume, masses, momenta, of_ase, stated_temperature};
use crate::codec::{MdFrameView, ValuesView};
use crate::error::Result;
use crate::store::Readable;
use crate::trajectory::reader::Trajectory;

/// What is measured.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Quantity {
    /// The energy of the frame, as stored.
    Energy,
    /// The temperature in K: from masses and velocities where the first frame has both, or from masses and the
    /// atom property `momenta` in the unit of ASE where the store is in eV and Å; else the frame property
    /// `temperature`, as stored.
    Temperature {
        /// Degrees of freedom of the chosen atoms; `None` is three for each atom. Every constraint takes
        /// one: three rigid bonds of a water take three.
        degrees_of_freedom: Option<f64>,
    },
    /// The least RMSD of the chosen atoms from those of another frame; see [`Reference`](super::Reference).
    Rmsd {
        /// The ordinal of that frame.
        reference: u64,
    },
    /// The radius of gyration of the chosen atoms: weighted by the masses where the first frame or its topology
    /// has them, else with the same weight for every atom; see [`radius_of_gyration`](super::radius_of_gyration).
    RadiusOfGyration,
    /// The volume of the cell.
    Volume,
    /// The frame property of this name: all its numbers.
    Property(String),
}

impl Quantity {
    /// The names of those that have no further part, as [`from_name`](Self::from_name) knows them.
    pub const NAMES: [&'static str; 5] =
        ["energy", "temperature", "rmsd", "radius-of-gyration", "volume"];

    /// The quantity of that name, with the first frame as reference and three degrees of freedom for each
    /// atom: one of [`NAMES`](Self::NAMES), or a frame property as `property:NAME`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "energy" => Self::Energy,
            "temperature" => Self::Temperature { degrees_of_freedom: None },
            "rmsd" => Self::Rmsd { reference: 0 },
            "radius-of-gyration" => Self::RadiusOfGyration,
            "volume" => Self::Volume,
            _ => Self::Property(name.strip_prefix("property:")?.into()),
        })
    }

    /// Its name; that of a property with `property:` before it.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Energy => "energy".into(),
            Self::Temperature { .. } => "temperature".into(),
            Self::Rmsd { .. } => "rmsd".into(),
            Self::RadiusOfGyration => "radius-of-gyration".into(),
            Self::Volume => "volume".into(),
            Self::Property(name) => format!("property:{name}"),
        }
    }

    /// The quantities that a frame has, by name; what is in its topology counts.
    ///
    /// # Errors
    /// As [`Trajectory::topology_of`].
    pub fn of_frame(trajectory: &Trajectory, frame: &MdFrameView<'_>) -> Result<Vec<String>> {
        let masses = masses(trajectory, frame)?.is_some();
        let attributes = trajectory.snapshot().attributes();
        let moves =
            frame.velocities().is_some() || (of_ase(&attributes) && momenta(frame).is_some());
        let there = [
            frame.energy().is_some(),
            (masses && moves) || stated_temperature(frame).is_some(),
            frame.positions().is_some(),
            frame.positions().is_some(),
            cell_volume(frame.cell()).is_finite(),
        ];
        let named = Self::NAMES.into_iter().zip(there).filter(|(_, there)| *there);
        let mut all: Vec<String> = named.map(|(name, _)| name.into()).collect();
        let properties = frame.frame_properties().iter();
        let numbers = properties.filter(|p| !matches!(p.values, ValuesView::Str(_)));
        all.extend(numbers.map(|p| format!("property:{}", p.name)));
        Ok(all)
    }
}
