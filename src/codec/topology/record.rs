//! A topology as record bytes: written front to back, verified once, then plain slices.

use super::check::check;
use super::values::{Topology, TopologyRef};
use crate::Result;
use crate::codec::generated::md::Topology as Wire;
use crate::codec::md_frame::{
    Content, Fields, Record, bad, properties, real, real_len, root, slice, values_len,
};
use crate::codec::slices::bounded;
use crate::codec::{PropertyView, RealView, TextView, ValuesView};
use flatbuffers::{ForwardsUOffset, Vector};

/// Room for the parts that are not arrays: vtable, table, paddings.
const FIXED: usize = 1024;
/// The same for one property.
const FIXED_PROPERTY: usize = 128;

/// Whether a record may begin with these bytes, whatever lies behind it: they lead to a table
/// and from there to its vtable, none of them larger than the schema will ever need. Denies no
/// record; who looks for one in a heap of bytes tries only what this lets pass.
pub(in crate::codec) fn may_begin(bytes: &[u8]) -> bool {
    const TABLE: u16 = 4096;
    let u16_at = |at: usize| Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let i32_at = |at: usize| Some(i32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let found = || {
        let table = usize::try_from(i32_at(0)?).ok().filter(|at| *at >= 4)?;
        let vtable = i64::try_from(table).ok()?.checked_sub(i64::from(i32_at(table)?))?;
        let vtable = usize::try_from(vtable).ok().filter(|at| *at >= 4)?;
        let (own, other) = (u16_at(vtable)?, u16_at(vtable.checked_add(2)?)?);
        Some(own % 2 == 0 && (4..TABLE).contains(&own) && (4..TABLE).contains(&other))
    };
    found() == Some(true)
}

impl TopologyRef<'_> {
    /// Appends the record of this topology to `out` and returns its number of sites. The same
    /// topology gives the same bytes, by whose digest it is found.
    ///
    /// # Errors
    /// [`Error::Codec`](crate::Error::Codec) if its parts contradict each other,
    /// [`Error::Limit`](crate::Error::Limit) if the record would be too long. `out` is then as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<u32> {
        check(self)?;
        let room = self.room();
        bounded(room as u64)?;
        let too_many = |_| bad("more than 2^31 - 1 sites");
        let sites = u32::try_from(self.nsites).map_err(too_many)?;
        crate::wire::memory::reserve(out, room)?;
        let nsites = i32::try_from(self.nsites).map_err(too_many)?;
        let mut f = Fields::new();
        f.put(Wire::VT_NAME, self.name, Content::Text);
        f.put(Wire::VT_NSITES, Some(nsites), Content::I32);
        if let Some(types) = self.types {
            f.vector(Wire::VT_TYPES, types)?;
        }
        f.real([Wire::VT_MASSES, Wire::VT_MASSES64], self.masses)?;
        f.real([Wire::VT_CHARGES, Wire::VT_CHARGES64], self.charges)?;
        f.put(Wire::VT_NAMES, self.names, Content::Texts);
        for (slot, values) in [
            (Wire::VT_RESIDUES, self.residues),
            (Wire::VT_SEGMENTS, self.segments),
            (Wire::VT_BONDS, self.bonds.map(<[[u32; 2]]>::as_flattened)),
        ] {
            if let Some(values) = values {
                f.vector(slot, values)?;
            }
        }
        f.put(Wire::VT_RESIDUE_NAMES, self.residue_names, Content::Texts);
        if let Some(ids) = self.residue_ids {
            f.vector(Wire::VT_RESIDUE_IDS, ids)?;
        }
        f.put(Wire::VT_SEGMENT_NAMES, self.segment_names, Content::Texts);
        if let Some(orders) = self.bond_orders {
            f.vector(Wire::VT_BOND_ORDERS, orders)?;
        }
        let some = (!self.atom_properties.is_empty()).then_some(&*self.atom_properties);
        f.put(Wire::VT_ATOM_PROPERTIES, some, Content::Properties);
        Record::behind(out).root(f)?;
        Ok(sites)
    }

    /// What the record needs at most.
    fn room(&self) -> usize {
        let texts = |t: Option<TextView<'_>>| t.map_or(0, |t| values_len(&ValuesView::Str(t)));
        let properties = self.atom_properties.iter().map(|p| {
            [FIXED_PROPERTY, p.name.len(), size_of_val(p.shape), values_len(&p.values)]
                .into_iter()
                .fold(0, usize::saturating_add)
        });
        [
            FIXED,
            self.name.map_or(0, str::len),
            self.types.map_or(0, size_of_val),
            real_len(self.masses),
            real_len(self.charges),
            texts(self.names),
            self.residues.map_or(0, size_of_val),
            texts(self.residue_names),
            self.residue_ids.map_or(0, size_of_val),
            self.segments.map_or(0, size_of_val),
            texts(self.segment_names),
            self.bonds.map_or(0, size_of_val),
            self.bond_orders.map_or(0, size_of_val),
        ]
        .into_iter()
        .chain(properties)
        .fold(0, usize::saturating_add)
    }
}

/// A topology in the bytes of a record: whole, consistent and borrowed.
///
/// Everything was checked when it was made, so no accessor can fail.
#[derive(Debug, Clone, PartialEq)]
pub struct TopologyView<'a> {
    fields: TopologyRef<'a>,
}

impl<'a> TopologyView<'a> {
    /// Verifies the record in `bytes` and views it. Costs a pass over residues, bonds and texts.
    ///
    /// # Errors
    /// [`Error::Codec`](crate::Error::Codec) if the bytes are no topology, if parts of it contradict each other, or
    /// if its arrays are not aligned in memory ([`aligned`](crate::codec::aligned) moves it).
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        let fields = plain(root::<Wire<'a>>("topology", bytes)?)?;
        check(&fields)?;
        Ok(Self { fields })
    }

    /// The fields as plain slices, for passing on or encoding again.
    #[must_use]
    pub const fn fields(&self) -> &TopologyRef<'a> {
        &self.fields
    }

    /// Number of sites.
    #[must_use]
    pub const fn nsites(&self) -> usize {
        self.fields.nsites
    }

    /// Name of the molecule or system.
    #[must_use]
    pub const fn name(&self) -> Option<&'a str> {
        self.fields.name
    }

    /// Type of each site.
    #[must_use]
    pub const fn types(&self) -> Option<&'a [i32]> {
        self.fields.types
    }

    /// Mass of each site.
    #[must_use]
    pub const fn masses(&self) -> Option<RealView<'a>> {
        self.fields.masses
    }

    /// Charge of each site.
    #[must_use]
    pub const fn charges(&self) -> Option<RealView<'a>> {
        self.fields.charges
    }

    /// Name of each site.
    #[must_use]
    pub const fn names(&self) -> Option<TextView<'a>> {
        self.fields.names
    }

    /// Residue of each site, counted from 0.
    #[must_use]
    pub const fn residues(&self) -> Option<&'a [u32]> {
        self.fields.residues
    }

    /// Name of each residue.
    #[must_use]
    pub const fn residue_names(&self) -> Option<TextView<'a>> {
        self.fields.residue_names
    }

    /// Number by which the source called each residue.
    #[must_use]
    pub const fn residue_ids(&self) -> Option<&'a [i32]> {
        self.fields.residue_ids
    }

    /// Segment or chain of each residue, counted from 0.
    #[must_use]
    pub const fn segments(&self) -> Option<&'a [u32]> {
        self.fields.segments
    }

    /// Name of each segment or chain.
    #[must_use]
    pub const fn segment_names(&self) -> Option<TextView<'a>> {
        self.fields.segment_names
    }

    /// Bonds: two different sites each.
    #[must_use]
    pub const fn bonds(&self) -> Option<&'a [[u32; 2]]> {
        self.fields.bonds
    }

    /// Order of each bond; 0 where it is not known.
    #[must_use]
    pub const fn bond_orders(&self) -> Option<&'a [f32]> {
        self.fields.bond_orders
    }

    /// Extra properties of each atom.
    #[must_use]
    pub fn atom_properties(&self) -> &[PropertyView<'a>] {
        &self.fields.atom_properties
    }

    /// The topology, owned.
    #[must_use]
    pub fn to_owned(&self) -> Topology {
        self.fields.to_owned()
    }

    /// The topology, owned.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn try_to_owned(&self) -> Result<Topology> {
        self.fields.try_to_owned()
    }
}

/// The fields of a verified table as slices.
fn plain(wire: Wire<'_>) -> Result<TopologyRef<'_>> {
    let nsites = usize::try_from(wire.nsites())
        .map_err(|_| bad(format!("the number of sites is {}", wire.nsites())))?;
    let bonds = match wire.bonds().map(|v| slice::<u32>("bonds", v)).transpose()? {
        None => None,
        Some(flat) => {
            let (pairs, rest) = flat.as_chunks::<2>();
            if !rest.is_empty() {
                return Err(bad("the last bond of a topology has one site"));
            }
            Some(pairs)
        }
    };
    Ok(TopologyRef {
        name: wire.name(),
        nsites,
        types: wire.types().map(|v| slice("types", v)).transpose()?,
        masses: real("masses", wire.masses(), wire.masses64())?,
        charges: real("charges", wire.charges(), wire.charges64())?,
        names: texts(wire.names()),
        residues: wire.residues().map(|v| slice("residues", v)).transpose()?,
        residue_names: texts(wire.residue_names()),
        residue_ids: wire.residue_ids().map(|v| slice("residue numbers", v)).transpose()?,
        segments: wire.segments().map(|v| slice("segments", v)).transpose()?,
        segment_names: texts(wire.segment_names()),
        bonds,
        bond_orders: wire.bond_orders().map(|v| slice("bond orders", v)).transpose()?,
        atom_properties: properties(wire.atom_properties())?,
    })
}

fn texts<'a>(list: Option<Vector<'a, ForwardsUOffset<&'a str>>>) -> Option<TextView<'a>> {
    list.map(TextView::in_record)
}
