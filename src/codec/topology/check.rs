//! The rules of a topology that no schema expresses: the same on write and on read.

use super::values::TopologyRef;
use crate::codec::md_frame::{bad, check_properties};
use crate::{Error, Result};

/// Refuses a topology whose parts contradict each other.
pub(super) fn check(t: &TopologyRef<'_>) -> Result<()> {
    let n = t.nsites;
    if i32::try_from(n).is_err() {
        return Err(Error::Limit { what: "number of sites", asked: n as u64, max: (1 << 31) - 1 });
    }
    let per_site = [
        ("types", t.types.map(<[i32]>::len)),
        ("masses", t.masses.map(|v| v.len())),
        ("charges", t.charges.map(|v| v.len())),
        ("names", t.names.map(|v| v.len())),
        ("residues", t.residues.map(<[u32]>::len)),
    ];
    for (name, len) in per_site {
        count(name, len, n, "sites")?;
    }
    check_residues(t)?;
    check_bonds(t)?;
    check_properties("atom", &t.atom_properties, n)
}

fn count(name: &str, len: Option<usize>, wanted: usize, of: &str) -> Result<()> {
    match len {
        Some(len) if len != wanted => {
            Err(bad(format!("a topology has {len} {name}, but {wanted} {of}")))
        }
        _ => Ok(()),
    }
}

/// Refuses values that count beyond `end`.
fn below(name: &str, values: &[u32], end: usize, of: &str) -> Result<()> {
    let beyond = |v: &&u32| usize::try_from(**v).is_ok_and(|v| v >= end);
    match values.iter().find(beyond) {
        Some(v) => Err(bad(format!("{name} of a topology name {v}, but there are {end} {of}"))),
        None => Ok(()),
    }
}

fn without(name: &str, needed: &str) -> Error {
    bad(format!("a topology has {name}, but no {needed}"))
}

fn check_residues(t: &TopologyRef<'_>) -> Result<()> {
    let lists = [
        ("residue names", t.residue_names.map(|v| v.len())),
        ("residue numbers", t.residue_ids.map(<[i32]>::len)),
        ("segments", t.segments.map(<[u32]>::len)),
    ];
    let known = lists.iter().find_map(|(_, len)| *len);
    match (t.residues, known) {
        (None, Some(_)) => return Err(without("residue names, numbers or segments", "residues")),
        (Some(residues), known) => {
            let residues_there = known.unwrap_or(t.nsites);
            for (name, len) in lists {
                count(name, len, residues_there, "residues")?;
            }
            below("residues", residues, residues_there, "residues")?;
        }
        (None, None) => {}
    }
    match (t.segments, t.segment_names) {
        (None, None) => Ok(()),
        (Some(segments), Some(names)) => below("segments", segments, names.len(), "segments"),
        (Some(_), None) => Err(without("segments", "segment names")),
        (None, Some(_)) => Err(without("segment names", "segments")),
    }
}

fn check_bonds(t: &TopologyRef<'_>) -> Result<()> {
    let Some(bonds) = t.bonds else {
        return t.bond_orders.map_or(Ok(()), |_| Err(without("bond orders", "bonds")));
    };
    below("bonds", bonds.as_flattened(), t.nsites, "sites")?;
    if let Some([a, _]) = bonds.iter().find(|[a, b]| a == b) {
        return Err(bad(format!("a bond of a topology joins site {a} with itself")));
    }
    let orders = t.bond_orders.unwrap_or_default();
    count("bond orders", t.bond_orders.map(<[f32]>::len), bonds.len(), "bonds")?;
    match orders.iter().find(|order| !(order.is_finite() && **order >= 0.0)) {
        Some(order) => Err(bad(format!("a bond of a topology is of order {order:?}"))),
        None => Ok(()),
    }
}
