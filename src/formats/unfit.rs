//! What a format cannot hold of a frame, and numbers in the 32 bits that a format has for them.

use crate::codec::Real;
use crate::error::{Error, Result, Unfit};

/// What helps where nothing else does.
pub(super) const LEAVE_OUT: &str = "leave the frame out, or write extended XYZ";

/// Says what `format` cannot hold, at which site, and what helps.
pub(super) fn unfit(
    format: &'static str,
    field: &str,
    site: Option<usize>,
    why: impl Into<Box<str>>,
    remedy: impl Into<Box<str>>,
) -> Error {
    Error::Unfit(Box::new(Unfit {
        format,
        frame: None,
        field: field.into(),
        site,
        why: why.into(),
        remedy: remedy.into(),
    }))
}

/// The number in 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "the format holds 32 bits; docs/formats.md")]
pub(super) fn single(
    format: &'static str,
    field: &str,
    site: Option<usize>,
    x: f64,
) -> Result<f32> {
    let narrow = x as f32;
    if narrow.is_infinite() && x.is_finite() {
        let why = format!("{x:e} is greater than any number of 32 bits");
        return Err(unfit(format, field, site, why, LEAVE_OUT));
    }
    Ok(narrow)
}

/// The step in 32 bits; 0 for none.
pub(super) fn step(format: &'static str, step: Option<i64>) -> Result<i32> {
    let step = step.unwrap_or_default();
    i32::try_from(step).map_err(|_| {
        let why = format!("{step} is outside the 32 bits that {format} has for it");
        let remedy = "leave the step out (--fields positions,cell,time), or write extended XYZ";
        unfit(format, "step", None, why, remedy)
    })
}

/// Refuses arrays that do not have three numbers for each site.
pub(super) fn three_each(
    format: &'static str,
    field: &str,
    values: &Real,
    sites: usize,
) -> Result<()> {
    if sites.checked_mul(3) == Some(values.len()) {
        return Ok(());
    }
    let why = format!("found {} numbers for {sites} sites", values.len());
    Err(unfit(format, field, None, why, "store three numbers for each site"))
}
