//! How a quantity is found: chosen by what the first frame has, then the same for all frames.

use super::arrays::{
    OF_ASE, cell_volume, chosen_masses, masses, momenta, of_ase, places, positions, property,
    stated_temperature, triples,
};
use super::of_frame::{radius_of_gyration, temperature};
use super::quantity::Quantity;
use super::superpose::Reference;
use crate::codec::MdFrameView;
use crate::column::Column;
use crate::error::{Error, Result};
use crate::store::Readable;
use crate::trajectory::atoms::Atoms;
use crate::trajectory::choice::Choice;
use crate::trajectory::convert_units;
use crate::trajectory::reader::Trajectory;

/// Which frames and atoms are measured, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasureOptions {
    /// What.
    pub quantity: Quantity,
    /// Of which frames.
    pub frames: Choice,
    /// Of which of their atoms; energies, volumes and properties are those of the frame.
    pub atoms: Atoms,
}

/// What the numbers mean.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measured {
    /// Frames.
    pub frames: u64,
    /// Those that have the quantity.
    pub counted: u64,
    /// The unit; `None` if the store does not state it or, for a property, cannot.
    pub unit: Option<String>,
    /// How they were found, in a few words, where there is more than one way: `mass-weighted`.
    pub how: Option<String>,
}

/// The error for a quantity that frames lack.
pub(super) fn lacking(
    trajectory: &Trajectory,
    options: &MeasureOptions,
    first: &MdFrameView<'_>,
    why: &str,
) -> Error {
    match Quantity::of_frame(trajectory, first) {
        Err(e) => e,
        Ok(there) if there.is_empty() => {
            let why = format!("{}: {why}, and frames have no other", options.quantity.name());
            Error::invalid("quantity", why)
        }
        Ok(there) => {
            let there = there.join(", ");
            let why = format!("{}: {why}; available: {there}", options.quantity.name());
            Error::invalid("quantity", why)
        }
    }
}

/// How a quantity is found.
#[derive(Debug)]
pub(super) enum Method {
    Energy,
    Volume,
    Property(String),
    Rmsd(Box<Reference>),
    Gyration {
        weighted: bool,
    },
    Temperature {
        /// Whether momenta are stored instead of velocities.
        momenta: bool,
        /// From the unit of velocities to nm/ps, and that of masses to u.
        velocity: f64,
        mass: f64,
        degrees_of_freedom: Option<f64>,
    },
}

impl Method {
    pub(super) fn choose(
        trajectory: &Trajectory,
        options: &MeasureOptions,
        first: &MdFrameView<'_>,
    ) -> Result<(Self, Measured)> {
        let attributes = trajectory.snapshot().attributes();
        let unit = |name: &str| convert_units::stated_unit(&attributes, name).map(String::from);
        let no = |why: &str| Err(lacking(trajectory, options, first, why));
        let mut out = Measured::default();
        let how = match &options.quantity {
            Quantity::Energy => {
                out.unit = unit("energy");
                Self::Energy
            }
            Quantity::Volume => {
                out.unit = unit("length").map(|length| format!("{length}^3"));
                Self::Volume
            }
            Quantity::Property(name) => Self::Property(name.clone()),
            Quantity::Rmsd { reference } => {
                out.unit = unit("length");
                let item = trajectory.get_at(*reference)?;
                let points = positions(trajectory, &item.view()?, options.atoms)?;
                let Some(points) = points else { return no("the reference has no positions") };
                Self::Rmsd(Box::new(Reference::new(&points)?))
            }
            Quantity::RadiusOfGyration => {
                out.unit = unit("length");
                let weighted = masses(trajectory, first)?.is_some();
                let how =
                    if weighted { "mass-weighted" } else { "every atom with the same weight" };
                out.how = Some(how.into());
                Self::Gyration { weighted }
            }
            Quantity::Temperature { degrees_of_freedom } => {
                let stored = first.velocities().is_some();
                let momenta = !stored && of_ase(&attributes) && momenta(first).is_some();
                if (stored || momenta) && masses(trajectory, first)?.is_some() {
                    out.unit = Some("K".into());
                    let count = degrees_of_freedom.map_or("3 N".into(), |n| n.to_string());
                    out.how = Some(format!("{count} degrees of freedom"));
                    let velocity = if momenta {
                        convert_units::factor_of(OF_ASE, "nm/ps")
                    } else {
                        convert_units::factor(&attributes, "velocity", "nm/ps")
                    }?;
                    let mass = convert_units::factor(&attributes, "mass", "u")?;
                    let degrees_of_freedom = *degrees_of_freedom;
                    Self::Temperature { momenta, velocity, mass, degrees_of_freedom }
                } else if let Some(name) = stated_temperature(first) {
                    out.how = Some("as stored".into());
                    Self::Property(name.into())
                } else if stored || momenta {
                    return no(
                        "the frames have velocities and no masses, which a topology may have",
                    );
                } else {
                    return no("the frames have no velocities and no property of that name");
                }
            }
        };
        Ok((how, out))
    }

    /// The column of the index that has it, where the store keeps what is needed.
    pub(super) fn column(&self, trajectory: &Trajectory) -> Option<&'static str> {
        let name = match self {
            Self::Energy => "energy",
            Self::Volume => "cell",
            _ => return None,
        };
        let kept = trajectory.snapshot().columns();
        let all = [name, "step", "time"].iter().all(|name| Column::find(kept, name).is_some());
        all.then_some(name)
    }

    pub(super) fn values(
        &self,
        trajectory: &Trajectory,
        frame: &MdFrameView<'_>,
        atoms: Atoms,
    ) -> Result<Vec<f64>> {
        let one = match self {
            Self::Energy => frame.energy().unwrap_or(f64::NAN),
            Self::Volume => cell_volume(frame.cell()),
            Self::Property(name) => return Ok(property(frame, name)),
            Self::Rmsd(reference) => match positions(trajectory, frame, atoms)? {
                Some(points) => reference.rmsd(&points)?,
                None => f64::NAN,
            },
            Self::Gyration { weighted } => {
                let points = positions(trajectory, frame, atoms)?;
                let masses =
                    if *weighted { chosen_masses(trajectory, frame, atoms)? } else { None };
                match (points, masses) {
                    (Some(points), masses) if masses.is_some() == *weighted => {
                        radius_of_gyration(&points, masses.as_deref())
                    }
                    _ => f64::NAN,
                }
            }
            Self::Temperature { momenta, velocity, mass, degrees_of_freedom } => {
                let places = places(trajectory, frame, atoms)?;
                let view = if *momenta { self::momenta(frame) } else { frame.velocities() };
                let moves = view.map(|v| triples(v, places.as_deref()));
                match (moves, chosen_masses(trajectory, frame, atoms)?) {
                    (Some(mut moves), Some(masses)) => {
                        if *momenta {
                            let both = moves.iter_mut().zip(&masses);
                            both.for_each(|(p, m)| *p = p.map(|p| p / m));
                        }
                        #[expect(clippy::cast_precision_loss, reason = "a count far below 2^53")]
                        let free = degrees_of_freedom.unwrap_or(3.0 * moves.len() as f64);
                        temperature(&moves, &masses, free) * velocity * velocity * mass
                    }
                    _ => f64::NAN,
                }
            }
        };
        Ok(vec![one])
    }
}
