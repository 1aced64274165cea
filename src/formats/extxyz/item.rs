//! One value as text.

use crate::codec::{Real, Values};
use std::fmt::Write;

/// Appends value `i`: numbers in the fewest digits that give the same number again.
pub(super) fn item(out: &mut String, values: &Values, i: usize) {
    // Writing to a String cannot fail.
    let _ = match values {
        Values::I32(v) => v.get(i).map_or(Ok(()), |x| write!(out, "{x}")),
        Values::I64(v) => v.get(i).map_or(Ok(()), |x| write!(out, "{x}")),
        Values::Real(v) => {
            real(out, v, i);
            Ok(())
        }
        Values::Str(v) => v.get(i).map_or(Ok(()), |x| write!(out, "{x}")),
        Values::Bool(v) => v.get(i).map_or(Ok(()), |x| out.write_str(if *x { "T" } else { "F" })),
    };
}

/// Appends real number `i`.
pub(super) fn real(out: &mut String, values: &Real, i: usize) {
    let _ = match values {
        Real::F32(v) => v.get(i).map_or(Ok(()), |x| write!(out, "{x:?}")),
        Real::F64(v) => v.get(i).map_or(Ok(()), |x| write!(out, "{x:?}")),
    };
}
