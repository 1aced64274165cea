//! Units in which fields of frames are wanted, whatever those of the store are.

use super::convert_units::{factor, size, stated_unit};
use crate::error::{Error, Result};
use serde_json::Value;

/// Each quantity with its units, as the attribute [`UNITS`](super::UNITS) has them.
const KNOWN: [(&str, &[&str]); 8] = [
    ("length", &["nm", "angstrom", "bohr"]),
    ("time", &["ps", "fs", "angstrom*sqrt(u/eV)"]),
    ("velocity", &["nm/ps", "angstrom/ps", "angstrom/fs", "angstrom/akma", "sqrt(eV/u)"]),
    ("energy", &["kJ/mol", "kcal/mol", "eV", "hartree"]),
    (
        "force",
        &[
            "kJ/mol/nm",
            "kJ/mol/angstrom",
            "kcal/mol/angstrom",
            "eV/angstrom",
            "hartree/bohr",
            "hartree/angstrom",
        ],
    ),
    ("mass", &["u"]),
    ("charge", &["e"]),
    (STRESS, &["kJ/mol/nm^3", "eV/angstrom^3", "hartree/bohr^3", "GPa", "kbar", "bar"]),
];

/// Not in the attribute: a store has it in its energy per volume.
const STRESS: &str = "stress";

/// The quantity that the numbers of a standard field are of; `None` for a field without one, such as
/// `types` and extra properties.
#[must_use]
pub fn quantity_of(field: &str) -> Option<&'static str> {
    Some(match field {
        "positions" | "cell" => "length",
        "velocities" => "velocity",
        "forces" => "force",
        "masses" => "mass",
        "charges" => "charge",
        "energy" => "energy",
        "time" => "time",
        "stress" => STRESS,
        _ => return None,
    })
}

/// Units that are wanted, by quantity: `length`, `time`, `velocity`, `energy`, `force`, `mass`, `charge`,
/// and `stress`. Of what is not named, numbers stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WantedUnits(Vec<(&'static str, &'static str)>);

impl WantedUnits {
    /// Pairs of a quantity and its unit.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a quantity or a unit that is not known, with those that are.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let one = |(quantity, unit): (&str, &str)| {
            let Some((quantity, units)) = KNOWN.iter().find(|(name, _)| *name == quantity) else {
                let names = KNOWN.map(|(name, _)| name).join(", ");
                let meant = quantity_of(quantity)
                    .map(|of| format!("; numbers of {quantity} are of {of}"))
                    .unwrap_or_default();
                let why = format!("{quantity:?} is not one of the quantities: {names}{meant}");
                return Err(Error::invalid("units", why));
            };
            match units.iter().find(|known| **known == unit) {
                Some(unit) => Ok((*quantity, *unit)),
                None => {
                    let why = format!("{unit:?} is not a unit of {quantity}: {}", units.join(", "));
                    Err(Error::invalid("units", why))
                }
            }
        };
        pairs.into_iter().map(one).collect::<Result<_>>().map(Self)
    }

    /// Whether nothing is wanted.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses that `fields` of two stores with these attributes stand side by side: a quantity that is in
    /// different units, which is not wanted in one.
    ///
    /// # Errors
    /// [`Error::Invalid`] that names the quantity and both units.
    pub fn check_alike<'a>(
        &self,
        (one, other): (&Value, &Value),
        fields: impl IntoIterator<Item = &'a str>,
    ) -> Result<()> {
        for quantity in fields.into_iter().filter_map(quantity_of) {
            // A stress is in the units of energy and length.
            let stated: &[&str] =
                if quantity == STRESS { &["energy", "length"] } else { &[quantity] };
            let wanted = self.0.iter().any(|(name, _)| *name == quantity);
            for (a, b) in
                stated.iter().filter_map(|of| stated_unit(one, of).zip(stated_unit(other, of)))
            {
                if a != b && !wanted {
                    let why = format!(
                        "{quantity} is in {a} in one store and in {b} in another; say in which unit it is \
                         wanted"
                    );
                    return Err(Error::invalid("units", why));
                }
            }
        }
        Ok(())
    }

    /// What turns the numbers of a store with these attributes into the units that are wanted.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it does not state the unit of a quantity that is wanted, or one that is not
    /// known here.
    pub fn factors(&self, attributes: &Value) -> Result<UnitFactors> {
        let one = |(quantity, unit): &(&'static str, &'static str)| {
            let by = if *quantity == STRESS {
                let energy = from_stated(attributes, "energy", "kJ/mol")?;
                let length = from_stated(attributes, "length", "nm")?;
                energy / length.powi(3) / size(unit).unwrap_or(1.0)
            } else {
                from_stated(attributes, quantity, unit)?
            };
            Ok((*quantity, exact(by)))
        };
        self.0.iter().map(one).collect::<Result<_>>().map(UnitFactors)
    }
}

/// What turns numbers of `quantity` in the unit that the attributes state into `to`.
fn from_stated(attributes: &Value, quantity: &str, to: &str) -> Result<f64> {
    let known =
        KNOWN.iter().find(|(name, _)| *name == quantity).map_or(&[][..], |(_, units)| units);
    match stated_unit(attributes, quantity) {
        Some(stated) if !known.contains(&stated) => {
            let why = format!(
                "the store states {stated:?} as its unit of {quantity}, so its numbers cannot be turned to \
                 {to}; known are {}",
                known.join(", ")
            );
            Err(Error::invalid("units", why))
        }
        _ => factor(attributes, quantity, to),
    }
}

/// A tenth is not 0.1: a factor that is an integer, or one over an integer, but for the last bits, is it.
fn exact(by: f64) -> f64 {
    let nearest = if by >= 1.0 { by.round() } else { 1.0 / (1.0 / by).round() };
    if (nearest - by).abs() < 1e-15 * by { nearest } else { by }
}

/// Factors of the numbers of a store; see [`WantedUnits::factors`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UnitFactors(Vec<(&'static str, f64)>);

impl UnitFactors {
    /// What the numbers of `field` are multiplied by; 1 where nothing changes.
    #[must_use]
    pub fn of(&self, field: &str) -> f64 {
        let quantity = quantity_of(field);
        self.0.iter().find(|(name, _)| Some(*name) == quantity).map_or(1.0, |(_, by)| *by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_of_a_field_get_the_factor_of_their_quantity() {
        let store =
            json!({"units": {"length": "angstrom", "energy": "eV", "force": "eV/angstrom"}});
        let wanted = WantedUnits::new([
            ("length", "nm"),
            ("energy", "kcal/mol"),
            ("force", "hartree/bohr"),
            ("stress", "GPa"),
        ])
        .unwrap();
        let factors = wanted.factors(&store).unwrap();
        assert_eq!(factors.of("positions"), 0.1);
        assert_eq!(factors.of("cell"), 0.1);
        assert!((factors.of("energy") - 23.060_547_830_619).abs() < 1e-9);
        assert!((factors.of("forces") - 0.529_177_210_903 / 27.211_386_245_988).abs() < 1e-12);
        assert!((factors.of("stress") - 160.217_663_4).abs() < 1e-6);
        assert_eq!((factors.of("types"), factors.of("time")), (1.0, 1.0));
        assert_eq!(WantedUnits::default().factors(&json!({})).unwrap().of("energy"), 1.0);
    }

    #[test]
    fn every_unit_is_known_and_turns_back() {
        for (quantity, units) in KNOWN {
            for (from, to) in units.iter().flat_map(|a| units.iter().map(move |b| (a, b))) {
                let (from, to) = (size(from).unwrap(), size(to).unwrap());
                assert!(exact(from / to) * exact(to / from) - 1.0 < 1e-14, "{quantity}");
            }
        }
    }

    #[test]
    fn stores_in_different_units_do_not_mix_unless_one_unit_is_wanted() {
        let one = json!({"units": {"length": "angstrom", "energy": "eV"}});
        let other = json!({"units": {"length": "angstrom", "energy": "kJ/mol"}});
        let alike = |wanted: &[(&str, &str)], fields: &[&str]| {
            let wanted = WantedUnits::new(wanted.iter().copied()).unwrap();
            wanted.check_alike((&one, &other), fields.iter().copied())
        };
        alike(&[], &["positions", "cell", "types", "forces"]).unwrap();
        alike(&[("energy", "eV")], &["energy"]).unwrap();
        for field in ["energy", "stress"] {
            let why = alike(&[("length", "nm")], &[field]).unwrap_err().to_string();
            assert!(why.contains("in eV in one store and in kJ/mol in another"), "{why}");
        }
    }

    #[test]
    fn what_cannot_be_turned_is_named() {
        let why = |pair| WantedUnits::new([pair]).unwrap_err().to_string();
        let text = why(("forces", "eV/angstrom"));
        assert!(text.contains("numbers of forces are of force"), "{text}");
        assert!(why(("energy", "nm")).contains("kcal/mol, eV"));
        let energy = WantedUnits::new([("energy", "eV")]).unwrap();
        let why = |store| energy.factors(&store).unwrap_err().to_string();
        assert!(why(json!({})).contains("no unit"));
        assert!(why(json!({"units": {"energy": "cal"}})).contains("\"cal\""));
        // A unit of something else, in the place of an energy.
        assert!(why(json!({"units": {"energy": "nm"}})).contains("\"nm\""));
    }
}
