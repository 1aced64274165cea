//! Numbers that follow from the arrays of one frame.

/// Coordinates, or the components of a velocity.
pub type Point = [f64; 3];

/// The gas constant in kJ/mol/K: product of the constants of Boltzmann and Avogadro, both exact in the SI.
const GAS_CONSTANT: f64 = 8.314_462_618_153_24e-3;

/// The centre of points: of mass where there are masses, else every point has the same weight.
pub(super) fn centre(points: &[Point], masses: Option<&[f64]>) -> Point {
    let mut sums = [0.0; 3];
    let mut total = 0.0;
    weighted(points, masses, |p, m| {
        total += m;
        sums.iter_mut().zip(p).for_each(|(sum, x)| *sum += m * x);
    });
    sums.map(|sum| sum / total)
}

fn weighted(points: &[Point], masses: Option<&[f64]>, mut each: impl FnMut(&Point, f64)) {
    match masses {
        Some(masses) => points.iter().zip(masses).for_each(|(p, m)| each(p, *m)),
        None => points.iter().for_each(|p| each(p, 1.0)),
    }
}

/// The radius of gyration: the root of the mean square distance from the centre, both weighted by the
/// masses where they are given, else with the same weight for every point. In the unit of the coordinates;
/// NaN without points.
#[must_use]
pub fn radius_of_gyration(points: &[Point], masses: Option<&[f64]>) -> f64 {
    let [x, y, z] = centre(points, masses);
    let (mut sum, mut total) = (0.0, 0.0);
    weighted(points, masses, |p, m| {
        let off = [p[0] - x, p[1] - y, p[2] - z];
        sum += m * off.iter().map(|d| d * d).sum::<f64>();
        total += m;
    });
    (sum / total).sqrt()
}

/// The volume of a cell with these vectors as rows, in the third power of their unit: without a sign, and 0 if
/// the vectors lie in a plane.
#[must_use]
pub fn volume(cell: &[f64; 9]) -> f64 {
    let [a, b, c, d, e, f, g, h, i] = *cell;
    (a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)).abs()
}

/// The temperature in K of atoms with these velocities in nm/ps and masses in u: twice the kinetic energy divided
/// by the gas constant and the number of degrees of freedom. The centre of mass may move.
#[must_use]
pub fn temperature(velocities: &[Point], masses: &[f64], degrees_of_freedom: f64) -> f64 {
    let twice: f64 =
        velocities.iter().zip(masses).map(|(v, m)| m * v.iter().map(|v| v * v).sum::<f64>()).sum();
    // u nm²/ps² is 1 kJ/mol.
    twice / (GAS_CONSTANT * degrees_of_freedom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() <= 1e-12 * b.abs().max(1.0), "{a} {b}");
    }

    #[test]
    fn numbers_of_simple_shapes_are_those_of_a_textbook() {
        // Two points at a distance of 2: each is 1 from the centre. With masses 3 and 1 the centre lies at a
        // quarter, and the mean square is (3 * 0.25 + 1 * 2.25) / 4.
        let two = [[1.0, 1.0, 1.0], [1.0, 3.0, 1.0]];
        near(radius_of_gyration(&two, None), 1.0);
        near(radius_of_gyration(&two, Some(&[3.0, 1.0])), 0.75_f64.sqrt());
        assert!(radius_of_gyration(&[], None).is_nan());
        near(volume(&[2.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 4.0]), 24.0);
        // A left-handed cell, and a triclinic one: the shear changes nothing.
        near(volume(&[0.0, 3.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 4.0]), 24.0);
        near(volume(&[2.0, 0.0, 0.0, 1.0, 3.0, 0.0, -0.5, 0.7, 4.0]), 24.0);
        near(volume(&[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0]), 0.0);
    }

    #[test]
    fn a_gas_at_300_kelvin_has_300_kelvin() {
        // Argon, 39.948 u: the root of the mean square of a component at 300 K is sqrt(kT/m) = 249.88 m/s.
        let v = 0.249_880_4;
        let atoms = vec![[v, -v, v]; 10];
        let t = temperature(&atoms, &[39.948; 10], 30.0);
        assert!((t - 300.0).abs() < 0.01, "{t}");
        near(temperature(&atoms, &[39.948; 10], 27.0), t * 30.0 / 27.0);
    }
}
