//! What the labels of the atoms of a PDB file say together: residues, chains, elements, bonds.

use crate::codec::{Property, Real, Topology, Values};
use crate::formats::elements;
use crate::formats::pdb_lines::{Column, LABEL, bonds, residue, serial};
use crate::wire::memory;
use std::collections::{BTreeSet, HashMap};

/// Bonds by serial numbers, as lines of a file have them.
#[derive(Default)]
pub(super) struct Bonds {
    pairs: BTreeSet<(i64, i64)>,
    /// Numbers that are none.
    unread: u64,
}

impl Bonds {
    pub(super) fn add(&mut self, line: &[u8]) {
        let mut numbers = bonds(line);
        let first = numbers.next().flatten();
        for other in numbers {
            match first.zip(other) {
                Some((a, b)) => {
                    self.pairs.insert((a.min(b), a.max(b)));
                }
                None => self.unread += 1,
            }
        }
    }
}

/// What is to be said of a topology beside itself.
#[derive(Default, PartialEq, Eq, Debug)]
pub(super) struct Odd {
    /// Atoms whose element is none.
    pub(super) elements: u64,
    /// Bonds of atoms that are not there, or whose serial number is not theirs alone.
    pub(super) bonds: u64,
}

/// A text of each atom, if one of them is not empty.
fn texts(labels: &[u8], column: Column) -> Option<Values> {
    let all: Vec<String> = labels.chunks(LABEL).map(|l| column.of(l).to_owned()).collect();
    all.iter().any(|t| !t.is_empty()).then_some(Values::Str(all))
}

/// A number of each atom, if one of them is not empty.
fn reals(labels: &[u8], column: Column) -> Option<Values> {
    let all: Vec<f32> =
        labels.chunks(LABEL).map(|l| column.of(l).parse().unwrap_or(f32::NAN)).collect();
    all.iter().any(|x| !x.is_nan()).then_some(Values::Real(Real::F32(all)))
}

/// A charge such as `2-`, as the format has it, or `-2`.
fn charge(text: &str) -> i32 {
    let sign = if text.contains('-') { -1 } else { 1 };
    sign * text.trim_matches(['+', '-']).parse().unwrap_or(0)
}

/// The topology of `atoms` atoms, [`LABEL`] bytes each.
pub(super) fn topology(
    labels: &[u8],
    atoms: usize,
    name: &str,
    bonds: &Bonds,
) -> Result<(Topology, Odd), String> {
    let mut odd = Odd { bonds: bonds.unread, ..Odd::default() };
    let mut out = Topology {
        name: (!name.is_empty()).then(|| name.into()),
        nsites: atoms,
        ..Topology::default()
    };
    let (mut residues, mut residue_names, mut residue_ids) = (Vec::new(), Vec::new(), Vec::new());
    let (mut segments, mut segment_names) = (Vec::new(), Vec::<String>::new());
    let chains = labels.chunks(LABEL).any(|l| !Column::Chain.of(l).is_empty());
    let segment = if chains { Column::Chain } else { Column::Segment };
    let mut last = None;
    for (number, label) in labels.chunks(LABEL).enumerate() {
        let id = residue(label).ok_or_else(|| {
            format!("the number of the residue of atom {number} of this frame is not one")
        })?;
        let now = (
            id,
            Column::Residue.of(label),
            Column::Insertion.of(label),
            Column::Chain.of(label),
            Column::Segment.of(label),
        );
        if last != Some(now) {
            last = Some(now);
            residue_ids.push(id);
            residue_names.push(now.1.to_owned());
            let name = segment.of(label);
            let known = segment_names.last().is_some_and(|s| s == name);
            let place = if known {
                Some(segment_names.len() - 1)
            } else {
                segment_names.iter().position(|s| s == name)
            };
            let place = place.unwrap_or_else(|| {
                segment_names.push(name.into());
                segment_names.len() - 1
            });
            segments.push(u32::try_from(place).map_err(|_| "too many chains")?);
        }
        residues.push(u32::try_from(residue_ids.len() - 1).map_err(|_| "too many residues")?);
    }
    out.names = Some(labels.chunks(LABEL).map(|l| Column::Name.of(l).to_owned()).collect());
    out.residues = Some(residues);
    out.residue_names = Some(residue_names);
    out.residue_ids = Some(residue_ids);
    if segment_names.iter().any(|s| !s.is_empty()) {
        (out.segments, out.segment_names) = (Some(segments), Some(segment_names));
    }
    if labels.chunks(LABEL).any(|l| !Column::Element.of(l).is_empty()) {
        let found = labels.chunks(LABEL).map(|l| elements::of_label(Column::Element.of(l)));
        let types: Vec<i32> = found
            .map(|n| {
                n.unwrap_or_else(|| {
                    odd.elements += 1;
                    elements::UNKNOWN
                })
            })
            .collect();
        out.types = Some(types);
    }
    let charges: Vec<i32> = labels.chunks(LABEL).map(|l| charge(Column::Charge.of(l))).collect();
    let hetero: Vec<bool> = labels.chunks(LABEL).map(|l| l.starts_with(b"HETATM")).collect();
    let segids = if chains { texts(labels, Column::Segment) } else { None };
    for (name, values) in [
        ("altloc", texts(labels, Column::Alternate)),
        ("icode", texts(labels, Column::Insertion)),
        ("segid", segids),
        ("occupancy", reals(labels, Column::Occupancy)),
        ("tempfactor", reals(labels, Column::Temperature)),
        ("formal_charge", charges.iter().any(|c| *c != 0).then_some(Values::I32(charges))),
        ("hetatm", hetero.contains(&true).then_some(Values::Bool(hetero))),
    ] {
        if let Some(values) = values {
            out.atom_properties.push(Property { name: name.into(), shape: vec![], values });
        }
    }
    if !bonds.pairs.is_empty() {
        let found = bonded(labels, bonds, &mut odd).map_err(|e| e.to_string())?;
        out.bonds = Some(found);
    }
    Ok((out, odd))
}

/// Bonds by places of atoms.
fn bonded(labels: &[u8], bonds: &Bonds, odd: &mut Odd) -> crate::Result<Vec<[u32; 2]>> {
    let mut places: HashMap<i64, Option<u32>> = HashMap::new();
    for (place, label) in (0..).zip(labels.chunks(LABEL)) {
        if let Some(serial) = serial(label) {
            // A number that two atoms have names neither.
            places.entry(serial).and_modify(|p| *p = None).or_insert(Some(place));
        }
    }
    let mut found = memory::with_room(bonds.pairs.len())?;
    for (a, b) in &bonds.pairs {
        match places.get(a).copied().flatten().zip(places.get(b).copied().flatten()) {
            Some((a, b)) if a != b => found.push([a.min(b), a.max(b)]),
            _ => odd.bonds += 1,
        }
    }
    found.sort_unstable();
    Ok(found)
}
