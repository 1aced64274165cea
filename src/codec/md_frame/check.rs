//! The rules of a frame that no schema expresses: the same on write and on read.

use super::name::NAME;
use crate::codec::{MdFrameRef, PropertyView};
use crate::{Error, Result, limits};

/// Refuses a frame whose parts contradict each other.
pub(in crate::codec) fn check(frame: &MdFrameRef<'_>) -> Result<()> {
    let n = frame.nsites;
    if i32::try_from(n).is_err() {
        return Err(Error::Limit { what: "number of sites", asked: n as u64, max: (1 << 31) - 1 });
    }
    // The product fits: n is below 2^31, and usize has 64 bits or the memory ended before.
    let per_site = [
        ("types", frame.types.map(<[i32]>::len), 1),
        ("masses", frame.masses.map(|v| v.len()), 1),
        ("charges", frame.charges.map(|v| v.len()), 1),
        ("positions", frame.positions.map(|v| v.len()), 3),
        ("velocities", frame.velocities.map(|v| v.len()), 3),
        ("forces", frame.forces.map(|v| v.len()), 3),
    ];
    for (name, len, width) in per_site {
        let expected = n.saturating_mul(width);
        if len.is_some_and(|len| len != expected) {
            return Err(Error::codec(
                NAME,
                format!(
                    "{name} has {} values, but {n} sites need {expected}",
                    len.unwrap_or_default()
                ),
            ));
        }
    }
    if let Some(precision) = frame.precision
        && !(precision.is_finite() && precision > 0.0)
    {
        return Err(Error::codec(
            NAME,
            format!("precision is {precision:?}, but must be positive and finite"),
        ));
    }
    let properties = frame.atom_properties.len().saturating_add(frame.frame_properties.len());
    if properties > limits::PROPERTIES_MAX {
        return Err(Error::Limit {
            what: "number of extra properties",
            asked: properties as u64,
            max: limits::PROPERTIES_MAX as u64,
        });
    }
    check_properties("atom", &frame.atom_properties, n)?;
    check_properties("frame", &frame.frame_properties, 1)
}

/// Refuses properties of which there are `times` values each that contradict themselves or
/// each other.
pub(in crate::codec) fn check_properties(
    scope: &str,
    properties: &[PropertyView<'_>],
    times: usize,
) -> Result<()> {
    // A few are compared with each other, many are looked up: both without cost that is felt.
    let mut seen = std::collections::BTreeSet::new();
    for (i, property) in properties.iter().enumerate() {
        let name = property.name;
        let twice = if properties.len() <= 16 {
            properties.iter().take(i).any(|other| other.name == name)
        } else {
            !seen.insert(name)
        };
        if twice {
            return Err(Error::codec(NAME, format!("two {scope} properties are named {name:?}")));
        }
        let shape = property.shape;
        if shape.len() > limits::ARRAY_AXES {
            return Err(Error::Limit {
                what: "number of axes of a property",
                asked: shape.len() as u64,
                max: limits::ARRAY_AXES as u64,
            });
        }
        let expected = if times == 0 || shape.contains(&0) {
            Some(0)
        } else {
            shape.iter().try_fold(times, |n, &axis| n.checked_mul(usize::try_from(axis).ok()?))
        };
        let len = property.values.len();
        if expected != Some(len) {
            let expected = expected.map_or("more than 2^64".into(), |n| n.to_string());
            return Err(Error::codec(
                NAME,
                format!(
                    "{scope} property {name:?} has {len} values, but shape {shape:?} needs {expected}"
                ),
            ));
        }
    }
    Ok(())
}
