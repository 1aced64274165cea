//! Words that are numbers or truths.

/// A number that no float64 holds.
pub(super) const TOO_LARGE: &str = "is above 1.8e308, the largest number that a float64 holds";

/// The real number that a word is; `None` if it is not a number. An exponent may begin with `d`, as
/// Fortran writes it.
///
/// # Errors
/// [`TOO_LARGE`] if it is a number in digits that would become infinite.
pub(super) fn real(word: &str) -> Result<Option<f64>, &'static str> {
    let value = match word.parse::<f64>() {
        Ok(value) => value,
        Err(_) => match fortran(word) {
            Some(value) => value,
            None => return Ok(None),
        },
    };
    // `inf` and `nan` in letters mean what they say.
    if value.is_infinite() && word.bytes().any(|b| b.is_ascii_digit()) {
        return Err(TOO_LARGE);
    }
    Ok(Some(value))
}

fn fortran(word: &str) -> Option<f64> {
    let digits = |part: &str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.'));
    let (before, after) = word.split_once(['d', 'D'])?;
    (digits(before) && digits(after)).then(|| format!("{before}e{after}").parse().ok())?
}

/// An integer in digits that an `i64` cannot hold: as a real number it would lose some.
pub(super) fn too_long(word: &str) -> bool {
    word.bytes().all(|b| matches!(b, b'0'..=b'9' | b'-' | b'+')) && word.parse::<i64>().is_err()
}

/// Truth as the specification and ASE spell it in values.
pub(super) fn truth(word: &str) -> Option<bool> {
    match word {
        "T" | "true" | "True" | "TRUE" => Some(true),
        "F" | "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// Truth in any case, for columns that are known to hold it.
pub(super) fn loose_truth(word: &str) -> Option<bool> {
    let is = |long: &str, short: &str| {
        word.eq_ignore_ascii_case(long) || word.eq_ignore_ascii_case(short)
    };
    if is("true", "t") { Some(true) } else { is("false", "f").then_some(false) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_the_specification_writes_them() {
        for (word, value) in [
            ("1", 1.0),
            ("-1.5e3", -1500.0),
            ("+.5", 0.5),
            ("12.", 12.0),
            ("1.5d2", 150.0),
            ("-1D-2", -0.01),
            ("2.d+1", 20.0),
            ("inf", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
            ("1e-400", 0.0),
        ] {
            assert_eq!(real(word), Ok(Some(value)), "{word}");
        }
        assert!(real("NaN").unwrap().unwrap().is_nan());
        for word in ["", ".", "d5", "5d", "1d2d3", "0x10", "1_000", "add", "1e5f", "e5", "-", "1d"]
        {
            assert_eq!(real(word), Ok(None), "{word}");
        }
        for word in ["1e400", "-1D400", "9e999999999999"] {
            assert_eq!(real(word), Err(TOO_LARGE), "{word}");
        }
        assert!(too_long("99999999999999999999") && !too_long("5") && !too_long("1e3"));
    }
}
