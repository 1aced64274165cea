//! From 64 to 32 bits, when asked and not otherwise.

use super::values::{MdFrame, Real, Values};
use crate::{Error, Result};

impl MdFrame {
    /// The frame with every float64 array rounded to float32: the arrays of the sites and the
    /// extra properties. Single numbers and cells keep their 64 bits.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] naming the array if a finite value is too large for float32.
    pub fn narrowed(mut self) -> Result<Self> {
        let arrays = [
            ("masses", &mut self.masses),
            ("positions", &mut self.positions),
            ("velocities", &mut self.velocities),
            ("forces", &mut self.forces),
            ("charges", &mut self.charges),
        ];
        for (name, array) in arrays {
            array.as_mut().map_or(Ok(()), |real| narrow(name, real))?;
        }
        for property in self.atom_properties.iter_mut().chain(&mut self.frame_properties) {
            if let Values::Real(real) = &mut property.values {
                narrow(&property.name, real)?;
            }
        }
        Ok(self)
    }
}

fn narrow(name: &str, real: &mut Real) -> Result<()> {
    let Real::F64(wide) = real else { return Ok(()) };
    let rounded: Option<Vec<f32>> = wide.iter().map(|&value| round(value)).collect();
    *real = Real::F32(rounded.ok_or_else(|| {
        Error::invalid(
            "narrowing to float32",
            format!("{name} has a value beyond its range; keep float64 for this data"),
        )
    })?);
    Ok(())
}

#[expect(clippy::cast_possible_truncation, reason = "rounding to float32 is what was asked for")]
fn round(value: f64) -> Option<f32> {
    let rounded = value as f32;
    (rounded.is_finite() || !value.is_finite()).then_some(rounded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Property;

    #[test]
    fn wide_arrays_are_rounded_and_the_rest_is_kept() {
        let frame = MdFrame {
            nsites: 1,
            masses: Some(Real::F64(vec![1.1])),
            charges: Some(Real::F32(vec![0.5])),
            energy: Some(1.1),
            forces: Some(Real::F64(vec![f64::INFINITY, 0.0, 1e-300])),
            frame_properties: vec![Property {
                name: "virial".into(),
                shape: vec![],
                values: Values::Real(Real::F64(vec![2.2])),
            }],
            ..MdFrame::default()
        };
        let narrow = frame.clone().narrowed().unwrap();
        assert_eq!(narrow.masses, Some(Real::F32(vec![1.1])));
        assert_eq!(narrow.forces, Some(Real::F32(vec![f32::INFINITY, 0.0, 0.0])));
        assert_eq!(narrow.frame_properties[0].values, Values::Real(Real::F32(vec![2.2])));
        assert_eq!((narrow.charges, narrow.energy), (frame.charges, frame.energy));
    }

    #[test]
    fn a_value_beyond_float32_is_refused_by_the_name_of_its_array() {
        let frame = MdFrame { masses: Some(Real::F64(vec![1e39])), ..MdFrame::default() };
        assert!(frame.narrowed().unwrap_err().to_string().contains("masses"));
    }
}
