//! The least RMSD of two sets of points, over all translations and rotations of one of them.
//!
//! Both sets are moved to their centres. The best rotation is the unit quaternion that belongs to the
//! largest eigenvalue of a symmetric 4 x 4 matrix of the sums of products of coordinates: B. K. P. Horn,
//! «Closed-form solution of absolute orientation using unit quaternions», J. Opt. Soc. Am. A 4 (1987)
//! 629-642. It is never a reflection. Every point has the same weight.

use super::of_frame::{Point, centre};
use crate::error::{Error, Result};
use std::array::from_fn;

/// Points that others are superposed on.
#[derive(Debug, Clone)]
pub struct Reference {
    /// Their centre is the origin.
    points: Vec<Point>,
}

impl Reference {
    /// With these points.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none, or if a coordinate is not finite.
    pub fn new(points: &[Point]) -> Result<Self> {
        if points.is_empty() || !points.iter().flatten().all(|x| x.is_finite()) {
            let why =
                "has no atom, or a position that is not a finite number; choose another frame";
            return Err(Error::invalid("reference", why));
        }
        Ok(Self { points: centred(points) })
    }

    /// The root of the mean square distance of `points` from those of the reference, one by one, after
    /// the translation and rotation that make it least. In the unit of the coordinates; NaN if a
    /// coordinate is not finite.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another number of points.
    pub fn rmsd(&self, points: &[Point]) -> Result<f64> {
        if points.len() != self.points.len() {
            let (is, there) = (points.len(), self.points.len());
            let why = format!(
                "has {there} chosen atoms, another frame has {is}; choose the frames with a range, \
                 or atoms that all of them have"
            );
            return Err(Error::invalid("reference", why));
        }
        let points = centred(points);
        let rotation = rotation(&points, &self.points);
        let squares = points.iter().zip(&self.points).map(|(p, r)| {
            let [x, y, z] = rotation.map(|row| dot(row, *p));
            let off = [x - r[0], y - r[1], z - r[2]];
            dot(off, off)
        });
        #[expect(clippy::cast_precision_loss, reason = "a count far below 2^53")]
        let count = points.len() as f64;
        Ok((squares.sum::<f64>() / count).sqrt())
    }
}

fn dot(a: Point, b: Point) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn centred(points: &[Point]) -> Vec<Point> {
    let [x, y, z] = centre(points, None);
    points.iter().map(|p| [p[0] - x, p[1] - y, p[2] - z]).collect()
}

/// The rows of the rotation that brings `from` closest to `to`.
fn rotation(from: &[Point], to: &[Point]) -> [Point; 3] {
    let mut sums = [[0.0; 3]; 3];
    for (a, b) in from.iter().zip(to) {
        for (row, a) in sums.iter_mut().zip(a) {
            for (sum, b) in row.iter_mut().zip(b) {
                *sum += a * b;
            }
        }
    }
    let [[xx, xy, xz], [yx, yy, yz], [zx, zy, zz]] = sums;
    let [w, x, y, z] = largest([
        [xx + yy + zz, yz - zy, zx - xz, xy - yx],
        [yz - zy, xx - yy - zz, xy + yx, zx + xz],
        [zx - xz, xy + yx, yy - xx - zz, yz + zy],
        [xy - yx, zx + xz, yz + zy, zz - xx - yy],
    ]);
    [
        [w * w + x * x - y * y - z * z, 2.0 * (x * y - w * z), 2.0 * (x * z + w * y)],
        [2.0 * (x * y + w * z), w * w - x * x + y * y - z * z, 2.0 * (y * z - w * x)],
        [2.0 * (x * z - w * y), 2.0 * (y * z + w * x), w * w - x * x - y * y + z * z],
    ]
}

/// Sweeps over the six elements outside the diagonal; about six are enough for the last digit.
const SWEEPS: usize = 32;

/// The eigenvector of length 1 of the largest eigenvalue of a symmetric matrix, by rotations of Jacobi.
#[expect(clippy::indexing_slicing, reason = "all places are below 4")]
fn largest(mut a: [[f64; 4]; 4]) -> [f64; 4] {
    let mut vectors = [[0.0; 4]; 4];
    (0..4).for_each(|i| vectors[i][i] = 1.0);
    for _ in 0..SWEEPS {
        let mut turned = false;
        for (p, q) in [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)] {
            let off = a[p][q];
            if off == 0.0 || off.abs() <= f64::EPSILON * 1e-3 * (a[p][p].abs() + a[q][q].abs()) {
                continue;
            }
            turned = true;
            let theta = (a[q][q] - a[p][p]) / (2.0 * off);
            let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
            let c = 1.0 / t.hypot(1.0);
            let s = t * c;
            for row in &mut a {
                (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
            }
            let (first, second) = (a[p], a[q]);
            a[p] = from_fn(|k| c * first[k] - s * second[k]);
            a[q] = from_fn(|k| s * first[k] + c * second[k]);
            for row in &mut vectors {
                (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
            }
        }
        if !turned {
            break;
        }
    }
    let best = (1..4).fold(0, |best, i| if a[i][i] > a[best][best] { i } else { best });
    let [w, x, y, z] = [0, 1, 2, 3].map(|k: usize| vectors[k][best]);
    let length = (w * w + x * x + y * y + z * z).sqrt();
    [w / length, x / length, y / length, z / length]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points without a symmetry, about the size of a molecule.
    fn shape() -> Vec<Point> {
        (0..20_u8)
            .map(|i| {
                let i = f64::from(i);
                [(i * 0.7).sin() + 0.1 * i, (i * 1.3).cos() * 0.6, (i * i * 0.37).sin()]
            })
            .collect()
    }

    fn turned(points: &[Point], [w, x, y, z]: [f64; 4]) -> Vec<Point> {
        let n = (w * w + x * x + y * y + z * z).sqrt();
        let (w, x, y, z) = (w / n, x / n, y / n, z / n);
        points
            .iter()
            .map(|p| {
                let [a, b, c] = *p;
                // p + 2 v x (v x p + w p) for the rotation by (w, v).
                let t = [y * c - z * b + w * a, z * a - x * c + w * b, x * b - y * a + w * c];
                [
                    a + 2.0 * (y * t[2] - z * t[1]) + 5.0,
                    b + 2.0 * (z * t[0] - x * t[2]) - 7.0,
                    c + 2.0 * (x * t[1] - y * t[0]) + 100.0,
                ]
            })
            .collect()
    }

    #[test]
    fn what_was_only_moved_and_turned_has_no_distance() {
        let shape = shape();
        let reference = Reference::new(&shape).unwrap();
        assert!(reference.rmsd(&shape).unwrap() < 1e-15);
        for by in [
            [1.0, 0.0, 0.0, 0.0],
            [0.0, 1.0, 0.0, 0.0],
            [0.0, 0.0, 0.0, 1.0],
            [0.3, -0.5, 0.7, 0.1],
            [-0.9, 0.01, 0.02, 0.4],
            [1e-9, 1.0, 1.0, 1.0],
        ] {
            let off = reference.rmsd(&turned(&shape, by)).unwrap();
            assert!(off < 1e-13, "{by:?}: {off}");
        }
    }

    #[test]
    fn a_mirror_image_is_another_shape_and_few_points_are_no_trouble() {
        let shape = shape();
        let reference = Reference::new(&shape).unwrap();
        let mirrored: Vec<Point> = shape.iter().map(|p| [-p[0], p[1], p[2]]).collect();
        assert!(reference.rmsd(&mirrored).unwrap() > 0.1);
        // One point, two points of which one is farther away, points on a line, points in one place.
        let two = |d: f64| vec![[0.0, 0.0, 0.0], [0.0, d, 0.0]];
        for (a, b, right) in [
            (vec![[1.0, 2.0, 3.0]], vec![[9.0, 9.0, 9.0]], 0.0),
            (two(1.0), two(2.0), 0.5),
            (vec![[0.0; 3]; 3], vec![[1.0; 3]; 3], 0.0),
        ] {
            let off = Reference::new(&a).unwrap().rmsd(&b).unwrap();
            assert!((off - right).abs() < 1e-12, "{off} {right}");
        }
        assert!(reference.rmsd(&shape[1..]).unwrap_err().to_string().contains("20 chosen atoms"));
        assert!(Reference::new(&[]).is_err() && Reference::new(&[[f64::NAN; 3]]).is_err());
        let mut broken = shape.clone();
        broken[3][1] = f64::NAN;
        assert!(reference.rmsd(&broken).unwrap().is_nan());
    }

    /// Against a search over rotations around one axis.
    #[test]
    fn no_other_rotation_is_better() {
        let shape = shape();
        let other: Vec<Point> =
            shape.iter().map(|p| [p[0], p[1] + 0.3 * p[2] * p[0], p[2]]).collect();
        let least = Reference::new(&shape).unwrap().rmsd(&other).unwrap();
        let plain = |points: &[Point]| {
            let (a, b) = (centred(points), centred(&shape));
            let sum: f64 = a
                .iter()
                .zip(&b)
                .flat_map(|(p, r)| p.iter().zip(r))
                .map(|(p, r)| (p - r).powi(2))
                .sum();
            (sum / 20.0).sqrt()
        };
        for n in 0..1000_u32 {
            let n = f64::from(n);
            let by = [1.0, (n * 0.11).sin() * 0.2, (n * 0.23).sin() * 0.2, (n * 0.31).sin() * 0.2];
            assert!(plain(&turned(&other, by)) >= least - 1e-12);
        }
        assert!(least > 0.01 && plain(&other) < 2.0 * least + 1.0);
    }
}
