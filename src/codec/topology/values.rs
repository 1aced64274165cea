//! A topology as plain arrays, owned and borrowed.

use crate::codec::borrowed::owned_properties;
use crate::codec::{Property, PropertyView, Real, RealView, TextView};
use crate::wire::memory;

/// What all frames of a molecule or system share. Every field but `nsites` may be absent.
///
/// Frames refer to it by its digest ([`MdFrame::topology`](super::super::MdFrame::topology)), and
/// have from it what they do not state themselves.
///
/// ```
/// use vlstore::codec::{Topology, TopologyView};
/// use vlstore::wire::AlignedBuf;
///
/// let water = Topology {
///     nsites: 3,
///     types: Some(vec![8, 1, 1]),
///     names: Some(vec!["OW".into(), "HW1".into(), "HW2".into()]),
///     bonds: Some(vec![[0, 1], [0, 2]]),
///     ..Topology::default()
/// };
/// let mut out = Vec::new();
/// water.encode(&mut out)?;
/// let record = AlignedBuf::copy_of(&out)?;
/// let view = TopologyView::new(&record)?;
/// assert_eq!(view.bonds(), Some(&[[0, 1], [0, 2]][..]));
/// assert_eq!(view.to_owned(), water);
/// # Ok::<(), vlstore::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Topology {
    /// Name of the molecule or system.
    pub name: Option<String>,
    /// Number of sites (atoms or beads).
    pub nsites: usize,
    /// Type of each site, for example the atomic number.
    pub types: Option<Vec<i32>>,
    /// Mass of each site.
    pub masses: Option<Real>,
    /// Charge of each site.
    pub charges: Option<Real>,
    /// Name of each site.
    pub names: Option<Vec<String>>,
    /// Residue of each site, counted from 0.
    pub residues: Option<Vec<u32>>,
    /// Name of each residue.
    pub residue_names: Option<Vec<String>>,
    /// Number by which the source called each residue.
    pub residue_ids: Option<Vec<i32>>,
    /// Segment or chain of each residue, counted from 0.
    pub segments: Option<Vec<u32>>,
    /// Name of each segment or chain.
    pub segment_names: Option<Vec<String>>,
    /// Bonds: two different sites each, counted from 0.
    pub bonds: Option<Vec<[u32; 2]>>,
    /// Order of each bond: 1, 2, 3, 1.5 for aromatic ones, 0 where it is not known.
    pub bond_orders: Option<Vec<f32>>,
    /// Extra properties of each atom.
    pub atom_properties: Vec<Property>,
}

/// A topology that borrows its arrays, with the fields of [`Topology`].
///
/// Made by the caller, nothing about it is checked until it is encoded.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TopologyRef<'a> {
    /// Name of the molecule or system.
    pub name: Option<&'a str>,
    /// Number of sites (atoms or beads).
    pub nsites: usize,
    /// Type of each site, for example the atomic number.
    pub types: Option<&'a [i32]>,
    /// Mass of each site.
    pub masses: Option<RealView<'a>>,
    /// Charge of each site.
    pub charges: Option<RealView<'a>>,
    /// Name of each site.
    pub names: Option<TextView<'a>>,
    /// Residue of each site, counted from 0.
    pub residues: Option<&'a [u32]>,
    /// Name of each residue.
    pub residue_names: Option<TextView<'a>>,
    /// Number by which the source called each residue.
    pub residue_ids: Option<&'a [i32]>,
    /// Segment or chain of each residue, counted from 0.
    pub segments: Option<&'a [u32]>,
    /// Name of each segment or chain.
    pub segment_names: Option<TextView<'a>>,
    /// Bonds: two different sites each, counted from 0.
    pub bonds: Option<&'a [[u32; 2]]>,
    /// Order of each bond: 1, 2, 3, 1.5 for aromatic ones, 0 where it is not known.
    pub bond_orders: Option<&'a [f32]>,
    /// Extra properties of each atom.
    pub atom_properties: Vec<PropertyView<'a>>,
}

impl Topology {
    /// The topology, borrowed.
    #[must_use]
    pub fn view(&self) -> TopologyRef<'_> {
        TopologyRef {
            name: self.name.as_deref(),
            nsites: self.nsites,
            types: self.types.as_deref(),
            masses: self.masses.as_ref().map(RealView::from),
            charges: self.charges.as_ref().map(RealView::from),
            names: self.names.as_deref().map(TextView::of),
            residues: self.residues.as_deref(),
            residue_names: self.residue_names.as_deref().map(TextView::of),
            residue_ids: self.residue_ids.as_deref(),
            segments: self.segments.as_deref(),
            segment_names: self.segment_names.as_deref().map(TextView::of),
            bonds: self.bonds.as_deref(),
            bond_orders: self.bond_orders.as_deref(),
            atom_properties: self.atom_properties.iter().map(PropertyView::from).collect(),
        }
    }

    /// Appends the record of this topology to `out`.
    ///
    /// # Errors
    /// As [`TopologyRef::encode`].
    pub fn encode(&self, out: &mut Vec<u8>) -> crate::Result<u32> {
        self.view().encode(out)
    }
}

impl TopologyRef<'_> {
    /// The topology, owned.
    #[must_use]
    pub fn to_owned(&self) -> Topology {
        let texts = |t: Option<TextView<'_>>| t.map(|t| t.iter().map(str::to_owned).collect());
        Topology {
            name: self.name.map(str::to_owned),
            nsites: self.nsites,
            types: self.types.map(<[i32]>::to_vec),
            masses: self.masses.map(|v| v.to_owned()),
            charges: self.charges.map(|v| v.to_owned()),
            names: texts(self.names),
            residues: self.residues.map(<[u32]>::to_vec),
            residue_names: texts(self.residue_names),
            residue_ids: self.residue_ids.map(<[i32]>::to_vec),
            segments: self.segments.map(<[u32]>::to_vec),
            segment_names: texts(self.segment_names),
            bonds: self.bonds.map(<[[u32; 2]]>::to_vec),
            bond_orders: self.bond_orders.map(<[f32]>::to_vec),
            atom_properties: self.atom_properties.iter().map(PropertyView::to_owned).collect(),
        }
    }

    /// The topology, owned: for those of files, whose size is not known to be harmless.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn try_to_owned(&self) -> crate::Result<Topology> {
        let texts = |t: &Option<TextView<'_>>| t.map(|t| t.try_to_owned()).transpose();
        Ok(Topology {
            name: self.name.map(str::to_owned),
            nsites: self.nsites,
            types: self.types.map(memory::copied).transpose()?,
            masses: self.masses.map(|v| v.try_to_owned()).transpose()?,
            charges: self.charges.map(|v| v.try_to_owned()).transpose()?,
            names: texts(&self.names)?,
            residues: self.residues.map(memory::copied).transpose()?,
            residue_names: texts(&self.residue_names)?,
            residue_ids: self.residue_ids.map(memory::copied).transpose()?,
            segments: self.segments.map(memory::copied).transpose()?,
            segment_names: texts(&self.segment_names)?,
            bonds: self.bonds.map(memory::copied).transpose()?,
            bond_orders: self.bond_orders.map(memory::copied).transpose()?,
            atom_properties: owned_properties(&self.atom_properties)?,
        })
    }
}
