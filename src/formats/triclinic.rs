//! Cell vectors from lengths and angles: the first along x, the second in the plane of x and y.

/// The vectors as rows, from their lengths and the cosines of alpha, beta and gamma.
pub(super) fn cell(lengths: [f64; 3], cosines: [f64; 3]) -> Result<[f64; 9], String> {
    let ([a, b, c], [ca, cb, cg]) = (lengths, cosines);
    let sg = (1.0 - cg * cg).sqrt();
    let (cx, cy) = (c * cb, c * (ca - cb * cg) / sg);
    let cz = (c * c - cx * cx - cy * cy).sqrt();
    let cell = [a, 0.0, 0.0, b * cg, b * sg, 0.0, cx, cy, cz];
    if cell.iter().all(|x| x.is_finite()) {
        return Ok(cell);
    }
    let [alpha, beta, gamma] = cosines.map(|x| x.acos().to_degrees());
    Err(format!(
        "its unit cell is none: there is no parallelepiped with the lengths {a}, {b}, {c} and the \
         angles alpha {alpha}, beta {beta}, gamma {gamma}"
    ))
}

/// Of an angle in degrees, exactly 0 for a right one.
pub(super) fn cosine(degrees: f64) -> f64 {
    (90.0 - degrees).to_radians().sin()
}
