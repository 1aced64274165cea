//! The unit cell of a DCD frame: six numbers that programs fill in three ways.
//!
//! In the order of the file they are A, gamma, B, beta, alpha, C. As VMD and MDAnalysis do it, if all
//! three angles are between -1 and 1 they are cosines (NAMD since 2.5, OpenMM, LAMMPS); else, if
//! one of the six is negative or an angle above 180, they are the lower triangle of a symmetric
//! matrix whose rows are the cell vectors (CHARMM since version 25); else degrees (older programs).

use crate::formats::triclinic;

/// Rounding that a cell may undergo, as a part of its largest number.
const TOLERANCE: f64 = 1e-6;

/// The cell vectors as rows; `None` if there is no cell, which zero lengths say.
pub(super) fn decode(six: [f64; 6]) -> Result<Option<[f64; 9]>, String> {
    let [a, gamma, b, beta, alpha, c] = six;
    if [a, b, c] == [0.0; 3] {
        return Ok(None);
    }
    let angles = [alpha, beta, gamma];
    let cosines = if angles.iter().all(|x| x.abs() <= 1.0) {
        angles
    } else if six.iter().any(|x| *x < 0.0) || angles.iter().any(|x| *x > 180.0) {
        return Ok(Some([a, gamma, beta, gamma, b, alpha, beta, alpha, c]));
    } else {
        angles.map(triclinic::cosine)
    };
    triclinic::cell([a, b, c], cosines).map(Some)
}

/// The six numbers from which a reader gets this cell back; `None` if there are none such.
pub(super) fn encode(cell: Option<[f64; 9]>) -> Option<[f64; 6]> {
    let Some(cell) = cell else { return Some([0.0; 6]) };
    let [ax, ay, az, bx, by, bz, cx, cy, cz] = cell;
    let (a, b, c) = ([ax, ay, az], [bx, by, bz], [cx, cy, cz]);
    let dot = |u: [f64; 3], v: [f64; 3]| u.iter().zip(v).map(|(x, y)| x * y).sum::<f64>();
    let length = |u: [f64; 3]| dot(u, u).sqrt();
    let cosine = |u: [f64; 3], v: [f64; 3]| {
        let both = length(u) * length(v);
        if both == 0.0 { 0.0 } else { dot(u, v) / both }
    };
    let by_angles = [length(a), cosine(a, b), length(b), cosine(a, c), cosine(b, c), length(c)];
    let by_matrix = [ax, bx, by, cx, cy, cz];
    let largest = cell.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    [by_angles, by_matrix].into_iter().find(|six| match decode(*six) {
        Ok(Some(found)) => {
            found.iter().zip(cell).all(|(x, y)| (x - y).abs() <= TOLERANCE * largest)
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: [f64; 9], b: [f64; 9]) -> bool {
        a.iter().zip(b).all(|(x, y)| (x - y).abs() < 1e-9)
    }

    #[test]
    fn the_three_ways_to_state_a_cell_are_told_apart() {
        let right = [20.0, 0.0, 0.0, 0.0, 30.0, 0.0, 0.0, 0.0, 40.0];
        for six in [[20.0, 0.0, 30.0, 0.0, 0.0, 40.0], [20.0, 90.0, 30.0, 90.0, 90.0, 40.0]] {
            assert!(near(decode(six).unwrap().unwrap(), right), "{six:?}");
        }
        // Gamma is 60 degrees.
        let tilted = [20.0, 0.0, 0.0, 15.0, 675_f64.sqrt(), 0.0, 0.0, 0.0, 40.0];
        for six in [[20.0, 0.5, 30.0, 0.0, 0.0, 40.0], [20.0, 60.0, 30.0, 90.0, 90.0, 40.0]] {
            assert!(near(decode(six).unwrap().unwrap(), tilted), "{six:?}");
        }
        let matrix = [20.0, -3.0, 30.0, 2.0, 5.0, 40.0];
        let rows = [20.0, -3.0, 2.0, -3.0, 30.0, 5.0, 2.0, 5.0, 40.0];
        assert_eq!(decode(matrix), Ok(Some(rows)));
        assert_eq!(decode([0.0, 90.0, 0.0, 90.0, 90.0, 0.0]), Ok(None));
        for none in
            [[1.0, 1.0, 1.0, 1.0, 1.0, 1.0], [9.0, 20.0, 9.0, 170.0, 20.0, 9.0], [f64::NAN; 6]]
        {
            assert!(decode(none).unwrap_err().contains("its unit cell"), "{none:?}");
        }
    }

    #[test]
    fn a_cell_is_written_so_that_it_is_read_again_or_not_at_all() {
        let matrix = [20.0, -3.0, 2.0, -3.0, 30.0, 5.0, 2.0, 5.0, 40.0];
        let tilted = [20.0, 0.0, 0.0, 15.0, 26.0, 0.0, -4.0, 7.5, 40.0];
        for cell in [matrix, tilted] {
            assert!(near(decode(encode(Some(cell)).unwrap()).unwrap().unwrap(), cell));
        }
        assert_eq!(encode(None), Some([0.0; 6]));
        let turned = [0.0, 20.0, 0.0, 30.0, 0.0, 0.0, 0.0, 0.0, 40.0];
        assert_eq!(encode(Some(turned)), None);
        assert_eq!(encode(Some([f64::NAN; 9])), None);
    }
}
