//! Which atoms of frames: by their places, or by the residues in which they are.

use crate::codec::{MdFrame, Real, Topology, Values};
use crate::error::{Error, Result};
use crate::wire::memory;

/// A selection of atoms, in the order in which they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Atoms {
    /// All.
    #[default]
    All,
    /// As a slice of Python: from `start` on, before `end`, every `step`-th; counted from the end where
    /// negative.
    Range {
        /// The first; `None` is 0.
        start: Option<i64>,
        /// Behind the last; `None` is the number of atoms.
        end: Option<i64>,
        /// From one to the next, 1 or more.
        step: i64,
    },
    /// Those in residues of a kind, as the topology of the frame names them.
    Of(AtomGroup),
}

/// A kind of residues, told by their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtomGroup {
    /// Amino acids in the names of the PDB, AMBER, CHARMM and GROMACS, with the caps of chains.
    Protein,
    /// Nucleotides of DNA and RNA.
    Nucleic,
    /// Water in the names of simulation programs.
    Water,
    /// All but water.
    NotWater,
}

const PROTEIN: [&str; 62] = [
    "ALA", "ARG", "ASN", "ASP", "CYS", "GLN", "GLU", "GLY", "HIS", "ILE", "LEU", "LYS", "MET",
    "PHE", "PRO", "SER", "THR", "TRP", "TYR", "VAL", "MSE", "SEC", "PYL", "ASX", "GLX", "HID",
    "HIE", "HIP", "HSD", "HSE", "HSP", "HISA", "HISB", "HISD", "HISE", "HISH", "HIS1", "HIS2",
    "CYX", "CYM", "CYS1", "CYS2", "CYSH", "ASH", "ASPH", "ASPP", "GLH", "GLUH", "GLUP", "LYN",
    "LYSH", "LSN", "ARGN", "TYM", "HYP", "ACE", "NME", "NMA", "NHE", "NH2", "FOR", "CME",
];
const NUCLEIC: [&str; 35] = [
    "A", "C", "G", "U", "T", "I", "DA", "DC", "DG", "DT", "DU", "DI", "RA", "RC", "RG", "RU",
    "ADE", "CYT", "GUA", "THY", "URA", "A5", "A3", "C5", "C3", "G5", "G3", "U5", "U3", "DA5",
    "DA3", "DC5", "DC3", "DG5", "DG3",
];
const WATER: [&str; 16] = [
    "HOH", "WAT", "SOL", "H2O", "DOD", "TIP", "TIP2", "TIP3", "TIP4", "TIP5", "TP3", "TP4", "SPC",
    "SPCE", "TIP3P", "OH2",
];

impl AtomGroup {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Protein, Self::Nucleic, Self::Water, Self::NotWater];

    /// The name on the command line and in Python.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Protein => "protein",
            Self::Nucleic => "nucleic",
            Self::Water => "water",
            Self::NotWater => "not-water",
        }
    }

    /// The kind of that name.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the names that there are.
    pub fn from_name(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|g| g.name() == name).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            Error::invalid("atoms_of", format!("{name:?} is not one of {known}"))
        })
    }

    /// Whether a residue of this name is of the kind. An N or C before the name of an amino acid, as
    /// AMBER has it at the ends of a chain, does not count.
    #[must_use]
    pub fn has(self, residue: &str) -> bool {
        let residue = residue.to_ascii_uppercase();
        let among = |names: &[&str]| names.contains(&&*residue);
        match self {
            Self::Protein => {
                let end = residue.strip_prefix(['N', 'C']).filter(|rest| rest.len() == 3);
                among(&PROTEIN) || end.is_some_and(|rest| PROTEIN.contains(&rest))
            }
            Self::Nucleic => among(&NUCLEIC),
            Self::Water => among(&WATER),
            Self::NotWater => !among(&WATER),
        }
    }
}

impl Atoms {
    /// Refuses a selection that cannot be.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a step below 1.
    pub(super) fn check(self) -> Result<()> {
        match self {
            Self::Range { step: ..1, .. } => {
                let why = "the step is 1 or more: atoms keep their order";
                Err(Error::invalid("atoms", why))
            }
            _ => Ok(()),
        }
    }

    /// The places of the atoms in a frame of so many, ascending.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are none, or if the topology does not tell them.
    pub(super) fn places(self, sites: usize, topology: Option<&Topology>) -> Result<Vec<usize>> {
        let places: Vec<usize> = match self {
            Self::All => (0..sites).collect(),
            Self::Range { start, end, step } => {
                let len = i64::try_from(sites).unwrap_or(i64::MAX);
                let bound = |at: Option<i64>, open: i64| {
                    let at = at.unwrap_or(open);
                    let at = if at < 0 { at.saturating_add(len) } else { at };
                    usize::try_from(at.clamp(0, len)).unwrap_or(sites)
                };
                let step = usize::try_from(step).unwrap_or(1).max(1);
                (bound(start, 0)..bound(end, len)).step_by(step).collect()
            }
            Self::Of(group) => {
                let names = topology
                    .and_then(|t| t.residues.as_ref().zip(t.residue_names.as_ref()))
                    .ok_or_else(|| {
                        let why = "the topology of the frames names no residues; give one when they \
                                   are imported: vlstore import --topology FILE, a GRO or PDB file \
                                   of these atoms";
                        Error::invalid("atoms", why)
                    })?;
                let (residues, names) = names;
                let chosen: Vec<bool> = names.iter().map(|name| group.has(name)).collect();
                let is = |r: &u32| {
                    usize::try_from(*r).ok().and_then(|r| chosen.get(r)).is_some_and(|c| *c)
                };
                (0..).zip(residues).filter(|(_, r)| is(r)).map(|(place, _)| place).collect()
            }
        };
        if places.is_empty() {
            let what = match self {
                Self::Of(group) => format!("in residues of the kind {}", group.name()),
                _ => "in the range".into(),
            };
            let why = format!("of the {sites} atoms of the frame none is {what}");
            return Err(Error::invalid("atoms", why));
        }
        Ok(places)
    }
}

/// Keeps these places of `values`, of which each has `width`.
fn keep<T: Clone>(values: &mut Vec<T>, places: &[usize], width: usize) -> Result<()> {
    let mut out = memory::with_room(places.len().saturating_mul(width))?;
    for place in places {
        let from = place.saturating_mul(width);
        out.extend_from_slice(values.get(from..from.saturating_add(width)).unwrap_or_default());
    }
    *values = out;
    Ok(())
}

fn keep_real(values: &mut Real, places: &[usize], width: usize) -> Result<()> {
    match values {
        Real::F32(v) => keep(v, places, width),
        Real::F64(v) => keep(v, places, width),
    }
}

/// Keeps the atoms at these places. The frame has no topology then: that was one of all atoms.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub(super) fn keep_atoms(frame: &mut MdFrame, places: &[usize]) -> Result<()> {
    if let Some(types) = &mut frame.types {
        keep(types, places, 1)?;
    }
    for (values, width) in [
        (&mut frame.masses, 1),
        (&mut frame.charges, 1),
        (&mut frame.positions, 3),
        (&mut frame.velocities, 3),
        (&mut frame.forces, 3),
    ] {
        if let Some(values) = values {
            keep_real(values, places, width)?;
        }
    }
    for property in &mut frame.atom_properties {
        let width = property.shape.iter().map(|n| usize::try_from(*n).unwrap_or(0)).product();
        match &mut property.values {
            Values::I32(v) => keep(v, places, width),
            Values::I64(v) => keep(v, places, width),
            Values::Real(v) => keep_real(v, places, width),
            Values::Str(v) => keep(v, places, width),
            Values::Bool(v) => keep(v, places, width),
        }?;
    }
    frame.nsites = places.len();
    frame.topology = None;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Property;

    fn topology() -> Topology {
        let names = ["NALA", "HIE", "SOL", "DA"].map(String::from).into();
        Topology {
            nsites: 6,
            residues: Some(vec![0, 0, 1, 2, 2, 3]),
            residue_names: Some(names),
            residue_ids: Some(vec![1, 2, 3, 4]),
            ..Topology::default()
        }
    }

    #[test]
    fn each_selection_gives_its_places_or_says_why_not() {
        let topology = topology();
        let range = |start, end, step| Atoms::Range { start, end, step };
        for (atoms, right) in [
            (Atoms::All, vec![0, 1, 2, 3, 4, 5]),
            (range(Some(1), Some(3), 1), vec![1, 2]),
            (range(None, None, 4), vec![0, 4]),
            (range(Some(-2), None, 1), vec![4, 5]),
            (range(None, Some(100), 5), vec![0, 5]),
            (Atoms::Of(AtomGroup::Protein), vec![0, 1, 2]),
            (Atoms::Of(AtomGroup::Water), vec![3, 4]),
            (Atoms::Of(AtomGroup::NotWater), vec![0, 1, 2, 5]),
            (Atoms::Of(AtomGroup::Nucleic), vec![5]),
        ] {
            assert_eq!(atoms.places(6, Some(&topology)).unwrap(), right, "{atoms:?}");
        }
        let why = |atoms: Atoms, t| atoms.places(6, t).unwrap_err().to_string();
        assert!(why(Atoms::Of(AtomGroup::Protein), None).contains("--topology"));
        assert!(why(range(Some(6), None, 1), None).contains("none is in the range"));
        assert!(range(None, None, 0).check().is_err() && range(None, None, 1).check().is_ok());
        assert!(AtomGroup::from_name("proteins").unwrap_err().to_string().contains("not-water"));
    }

    #[test]
    fn every_array_of_the_atoms_is_cut_to_them() {
        let three = |from: u8| Real::F64((from..from + 9).map(f64::from).collect());
        let label = |name: &str, shape: &[u32], values| Property {
            name: name.into(),
            shape: shape.into(),
            values,
        };
        let mut frame = MdFrame {
            nsites: 3,
            types: Some(vec![1, 2, 3]),
            masses: Some(Real::F32(vec![1.0, 2.0, 3.0])),
            positions: Some(three(0)),
            forces: Some(three(10)),
            energy: Some(1.0),
            atom_properties: vec![
                label("two", &[2], Values::I64((0..6).collect())),
                label("text", &[], Values::Str(["a", "b", "c"].map(String::from).into())),
            ],
            ..MdFrame::default()
        };
        keep_atoms(&mut frame, &[0, 2]).unwrap();
        let right = MdFrame {
            nsites: 2,
            types: Some(vec![1, 3]),
            masses: Some(Real::F32(vec![1.0, 3.0])),
            positions: Some(Real::F64(vec![0.0, 1.0, 2.0, 6.0, 7.0, 8.0])),
            forces: Some(Real::F64(vec![10.0, 11.0, 12.0, 16.0, 17.0, 18.0])),
            energy: Some(1.0),
            atom_properties: vec![
                label("two", &[2], Values::I64(vec![0, 1, 4, 5])),
                label("text", &[], Values::Str(["a", "c"].map(String::from).into())),
            ],
            ..MdFrame::default()
        };
        assert_eq!(frame, right);
    }
}
