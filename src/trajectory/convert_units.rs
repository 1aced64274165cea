//! Units of a store: stated in its attributes, never mixed, converted at export.

use crate::codec::{MdFrame, Real};
use crate::error::{Error, Result};
use crate::formats::Units;
use serde_json::{Map, Value, json};

/// The name of the attribute that states them.
pub const UNITS: &str = "units";

fn fields(units: &Units) -> [(&'static str, &'static str); 7] {
    [
        ("length", units.length),
        ("time", units.time),
        ("velocity", units.velocity),
        ("energy", units.energy),
        ("force", units.force),
        ("mass", units.mass),
        ("charge", units.charge),
    ]
}

/// The attributes with these units in them, of a store without a record or one whose user says
/// what its numbers mean; `None` if they state the same already.
///
/// # Errors
/// [`Error::Invalid`] if the store states other units.
pub fn state_units(attributes: &Value, units: &Units) -> Result<Option<Value>> {
    if states(attributes, units)? {
        return Ok(None);
    }
    let mut all = attributes.as_object().cloned().unwrap_or_default();
    let stated: Map<String, Value> =
        fields(units).iter().map(|(k, v)| ((*k).into(), json!(v))).collect();
    all.insert(UNITS.into(), stated.into());
    Ok(Some(all.into()))
}

/// Refuses attributes that do not state these units.
///
/// # Errors
/// [`Error::Invalid`] if the store states other units, or none.
pub fn check_units(attributes: &Value, units: &Units) -> Result<()> {
    if states(attributes, units)? {
        return Ok(());
    }
    Err(Error::invalid(
        "units",
        format!(
            "the store does not say what its numbers mean; if they are in the units of the \
             input ({}, {}, {}), say --same-units",
            units.length, units.time, units.energy
        ),
    ))
}

/// Whether the attributes state these units; refuses others.
fn states(attributes: &Value, units: &Units) -> Result<bool> {
    match attributes.get(UNITS).and_then(Value::as_object) {
        Some(stated) => {
            for (name, unit) in fields(units) {
                let there = stated.get(name).and_then(Value::as_str);
                if there.is_some_and(|there| there != unit) {
                    return Err(Error::invalid(
                        "units",
                        format!(
                            "the store holds {name} in {}, the input in {unit}; units are not \
                             mixed in one store: import into another one",
                            there.unwrap_or_default()
                        ),
                    ));
                }
            }
            Ok(true)
        }
        None => Ok(false),
    }
}

/// The unit that the attributes state of `name`: `length`, `time`, `velocity`, `energy`, `force`, `mass` or
/// `charge`; `None` if they state none.
#[must_use]
pub fn stated_unit<'a>(attributes: &'a Value, name: &str) -> Option<&'a str> {
    attributes.get(UNITS)?.get(name)?.as_str()
}

/// What turns numbers of `name` in the unit that the attributes state into `to`.
///
/// # Errors
/// [`Error::Invalid`] if they state none, or one that is not known here.
pub(super) fn factor(attributes: &Value, name: &str, to: &str) -> Result<f64> {
    let known = stated_unit(attributes, name);
    match known.and_then(size).zip(size(to)) {
        Some((from, to)) => Ok(from / to),
        None => {
            let known = known.map_or_else(|| "no unit".into(), |unit| format!("{unit:?}"));
            let why = format!(
                "the store states {known} of {name}, so its numbers cannot be turned to {to}; state it in \
                 the attribute `{UNITS}`"
            );
            Err(Error::invalid("units", why))
        }
    }
}

/// What turns numbers in `from` into `to`.
///
/// # Errors
/// [`Error::Invalid`] for a unit that is not known here.
pub(super) fn factor_of(from: &str, to: &str) -> Result<f64> {
    let sizes = size(from).zip(size(to));
    let unknown = || Error::invalid("units", format!("{from:?} cannot be turned to {to:?}"));
    sizes.map(|(from, to)| from / to).ok_or_else(unknown)
}

/// In units of the SI or multiples of e and u: lengths in nm, times in ps, energies in kJ/mol,
/// masses in u. 1 eV is 96.48533212331 kJ/mol (CODATA 2018); u nm²/ps² is 1 kJ/mol.
pub(super) fn size(unit: &str) -> Option<f64> {
    const EV: f64 = 96.485_332_123_310_02;
    // CODATA 2018.
    const HARTREE: f64 = 27.211_386_245_988 * EV;
    const BOHR: f64 = 0.052_917_721_090_3;
    Some(match unit {
        "nm" | "ps" | "nm/ps" | "kJ/mol" | "kJ/mol/nm" | "u" | "e" => 1.0,
        "angstrom" | "angstrom/ps" => 0.1,
        "kJ/mol/angstrom" => 10.0,
        "eV" => EV,
        "eV/angstrom" => EV * 10.0,
        "kcal/mol" => 4.184,
        "kcal/mol/angstrom" => 41.84,
        // CHARMM's unit of time is 0.048 888 21 ps.
        "angstrom/akma" => 0.1 / 0.048_888_21,
        "fs" => 0.001,
        "angstrom/fs" => 100.0,
        // sqrt(u / eV) is 1 / sqrt(EV) ps/nm.
        "angstrom*sqrt(u/eV)" => 0.1 / EV.sqrt(),
        "sqrt(eV/u)" => EV.sqrt(),
        "bohr" => BOHR,
        "hartree" => HARTREE,
        "hartree/bohr" => HARTREE / BOHR,
        "hartree/angstrom" => HARTREE * 10.0,
        "kJ/mol/nm^3" => 1.0,
        "eV/angstrom^3" => EV * 1000.0,
        "hartree/bohr^3" => HARTREE / (BOHR * BOHR * BOHR),
        // 1e9 J/m³ in kJ/mol/nm³.
        "GPa" => 602.214_076,
        "kbar" => 60.221_407_6,
        "bar" => 0.060_221_407_6,
        _ => return None,
    })
}

/// Factors from the units of a store to those of a file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conversion {
    length: f64,
    time: f64,
    velocity: f64,
    energy: f64,
    force: f64,
}

impl Conversion {
    /// From what the attributes state to `to`; `None` if nothing changes. A store that states
    /// nothing is taken as it is, which the second part of the result says.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the store states a unit that is not known here.
    pub fn new(attributes: &Value, to: &Units) -> Result<(Option<Self>, bool)> {
        let Some(stated) = attributes.get(UNITS).and_then(Value::as_object) else {
            return Ok((None, false));
        };
        let factor = |name: &str, to: &str| -> Result<f64> {
            let from = stated.get(name).and_then(Value::as_str).unwrap_or(to);
            if from == to {
                return Ok(1.0);
            }
            match (size(from), size(to)) {
                (Some(a), Some(b)) => Ok(a / b),
                _ => Err(Error::invalid(
                    "units",
                    format!("the store holds {name} in {from:?}, which cannot be turned to {to}"),
                )),
            }
        };
        let all = Self {
            length: factor("length", to.length)?,
            time: factor("time", to.time)?,
            velocity: factor("velocity", to.velocity)?,
            energy: factor("energy", to.energy)?,
            force: factor("force", to.force)?,
        };
        let same = Self { length: 1.0, time: 1.0, velocity: 1.0, energy: 1.0, force: 1.0 };
        Ok(((all != same).then_some(all), true))
    }

    /// Converts every field that has a unit; extra properties have none that is known.
    pub fn apply(&self, frame: &mut MdFrame) {
        scale(&mut frame.positions, self.length);
        scale(&mut frame.velocities, self.velocity);
        scale(&mut frame.forces, self.force);
        frame.time = frame.time.map(|t| t * self.time);
        frame.energy = frame.energy.map(|e| e * self.energy);
        frame.cell = frame.cell.map(|c| c.map(|x| x * self.length));
        frame.stress = frame.stress.map(|s| s.map(|x| x * self.energy / self.length.powi(3)));
        frame.precision = frame.precision.map(|p| round(f64::from(p) / self.length));
    }
}

fn scale(values: &mut Option<Real>, factor: f64) {
    #[expect(clippy::float_cmp, reason = "exactly 1 is what equal units give")]
    if factor == 1.0 {
        return;
    }
    match values {
        Some(Real::F32(v)) => v.iter_mut().for_each(|x| *x = round(f64::from(*x) * factor)),
        Some(Real::F64(v)) => v.iter_mut().for_each(|x| *x *= factor),
        None => {}
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the width of the source is kept")]
const fn round(x: f64) -> f32 {
    x as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::FormatKind;

    #[test]
    fn units_are_stated_once_and_then_compared() {
        let xtc = FormatKind::Xtc.units();
        let stated = state_units(&json!({"a": 1}), &xtc).unwrap().unwrap();
        assert_eq!(stated["a"], 1);
        assert_eq!(stated["units"]["length"], "nm");
        assert!(
            check_units(&stated, &xtc).is_ok() && state_units(&stated, &xtc).unwrap().is_none()
        );
        let why = state_units(&stated, &FormatKind::ExtXyz.units()).unwrap_err().to_string();
        assert!(why.contains("length in nm") && why.contains("angstrom"), "{why}");
        let why = check_units(&json!({}), &xtc).unwrap_err().to_string();
        assert!(why.contains("--same-units"), "{why}");
    }

    #[test]
    fn every_unit_of_every_format_can_be_converted_and_back() {
        for from in FormatKind::ALL {
            let stated = state_units(&json!({}), &from.units()).unwrap().unwrap();
            assert_eq!(Conversion::new(&stated, &from.units()).unwrap(), (None, true));
            for to in FormatKind::ALL {
                assert!(Conversion::new(&stated, &to.units()).is_ok());
            }
        }
        let stated = state_units(&json!({}), &FormatKind::Xtc.units()).unwrap().unwrap();
        let (c, _) = Conversion::new(&stated, &FormatKind::ExtXyz.units()).unwrap();
        let mut frame = MdFrame {
            nsites: 1,
            positions: Some(Real::F32(vec![0.123, -4.5, 1.0])),
            velocities: Some(Real::F64(vec![1.0, 0.0, 0.0])),
            cell: Some([2.0; 9]),
            time: Some(1.0),
            energy: Some(96.485_332_123_310_02),
            precision: Some(1000.0),
            ..MdFrame::default()
        };
        c.unwrap().apply(&mut frame);
        assert_eq!(frame.positions, Some(Real::F32(vec![1.23, -45.0, 10.0])));
        assert_eq!((frame.cell, frame.precision), (Some([20.0; 9]), Some(100.0)));
        assert!((frame.energy.unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(frame.time, Some(1000.0));
        let Some(Real::F64(v)) = frame.velocities else { unreachable!() };
        assert_eq!(v[0], 0.01);
        // As MDAnalysis measures.
        let other = json!({"units": {"velocity": "angstrom/ps", "force": "kJ/mol/angstrom"}});
        let (c, _) = Conversion::new(&other, &FormatKind::Trr.units()).unwrap();
        let force = Some(Real::F64(vec![2.0]));
        let mut frame = MdFrame { velocities: force.clone(), forces: force, ..MdFrame::default() };
        c.unwrap().apply(&mut frame);
        assert_eq!(frame.velocities, Some(Real::F64(vec![0.2])));
        assert_eq!(frame.forces, Some(Real::F64(vec![20.0])));
        // A store that was filled when the format was taken to be in ASE's unit of time, which
        // is 98.227 to the picosecond.
        let old = json!({"units": {"time": "angstrom*sqrt(u/eV)", "velocity": "sqrt(eV/u)"}});
        let (c, _) = Conversion::new(&old, &FormatKind::Xtc.units()).unwrap();
        let mut frame = MdFrame { time: Some(98.226_947_884_640_62), ..MdFrame::default() };
        c.unwrap().apply(&mut frame);
        assert!((frame.time.unwrap() - 1.0).abs() < 1e-8);
    }
}
