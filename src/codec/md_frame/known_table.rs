//! Frames whose tables lie as that of a frame before: in most stores, all of them.
//!
//! To find a field takes its table, the list of fields of that, and an offset. Where the first bytes of a
//! record are those of a frame that was read already, which is one comparison, these are known, and what is
//! left are the offset and the length of each array, bounded when they are read, in safe code.

use super::field::Field;
use super::plain::PlainFrame;
use crate::codec::DType;
use crate::codec::generated::md::MdFrame as Wire;
use flatbuffers::VOffsetT;

/// Bytes that are compared, at most.
const HEAD: usize = 192;

/// What the table of a frame says, for others that have the same.
#[derive(Debug)]
pub(crate) struct KnownTable {
    /// The record from its first byte to the first word of its table: where the table is, the list of its
    /// fields, where that is.
    head: Box<[u8]>,
    nsites: usize,
    /// The number of components of a site, if it is there.
    ncodim: Option<usize>,
}

/// Where a field of such frames is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KnownField {
    kind: DType,
    place: Place,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    /// So many numbers for each site; at this byte of the record it says where.
    BySite(usize, usize),
    /// So many bytes at this byte of the record.
    Fixed(usize, usize),
}

impl KnownField {
    /// Type of its numbers.
    pub(crate) const fn kind(&self) -> DType {
        self.kind
    }

    /// Whether each site has as many.
    pub(crate) const fn is_by_site(&self) -> bool {
        matches!(self.place, Place::BySite(..))
    }
}

impl KnownTable {
    /// What is known from this frame; `None` where its table does not lie as that of a frame that was written
    /// here, or where numbers of records are not those of the machine.
    pub(crate) fn of(frame: &PlainFrame<'_>) -> Option<Self> {
        let head = frame.table().head().filter(|head| head.len() <= HEAD)?;
        let nsites = frame.table().place(Wire::VT_NSITES)?;
        let ncodim = frame.table().place(Wire::VT_NCODIM);
        cfg!(target_endian = "little").then(|| Self { head: head.into(), nsites, ncodim })
    }

    /// Number of sites of the frame in `bytes`; `None` if its table is another one.
    #[inline]
    pub(crate) fn nsites(&self, bytes: &[u8]) -> Option<usize> {
        if bytes.get(..self.head.len())? != &*self.head
            || self.ncodim.is_some_and(|at| word(bytes, at) != Some(3))
        {
            return None;
        }
        // As PlainFrame has it: a negative number is none.
        word(bytes, self.nsites).filter(|n| *n <= i32::MAX as usize)
    }

    /// Where `frame`, of which this was made, has the field; `None` if it does not have it, or not as plain
    /// numbers.
    pub(crate) fn field(&self, frame: &PlainFrame<'_>, field: Field) -> Option<KnownField> {
        let table = frame.table();
        let by_site = |slots: [(Option<VOffsetT>, DType); 2], each| {
            let mut there =
                slots.into_iter().filter_map(|(slot, kind)| Some((table.place(slot?)?, kind)));
            let (at, kind) = there.next()?;
            let place = Place::BySite(at, each);
            (there.next().is_none() && at.is_multiple_of(4)).then_some(KnownField { kind, place })
        };
        let real = |narrow, wide, each| {
            by_site([(Some(narrow), DType::F32), (Some(wide), DType::F64)], each)
        };
        let fixed = |slot, kind: DType, count: usize| {
            let at = table.place(slot)?;
            let place = Place::Fixed(at, count * kind.size());
            // Matrices may lie anywhere.
            (count > 1 || at.is_multiple_of(kind.size())).then_some(KnownField { kind, place })
        };
        match field {
            Field::Positions => real(Wire::VT_POSITIONS, Wire::VT_POSITIONS64, 3),
            Field::Velocities => real(Wire::VT_VELOCITIES, Wire::VT_VELOCITIES64, 3),
            Field::Forces => real(Wire::VT_FORCES, Wire::VT_FORCES64, 3),
            Field::Masses => real(Wire::VT_MASSES, Wire::VT_MASSES64, 1),
            Field::Charges => real(Wire::VT_CHARGES, Wire::VT_CHARGES64, 1),
            Field::Types => by_site([(Some(Wire::VT_TYPES), DType::I32), (None, DType::I32)], 1),
            Field::Cell => fixed(Wire::VT_CELL, DType::F64, 9),
            Field::Stress => fixed(Wire::VT_STRESS, DType::F64, 9),
            Field::Energy => fixed(Wire::VT_ENERGY, DType::F64, 1),
            Field::Time => fixed(Wire::VT_TIME, DType::F64, 1),
            Field::Step => fixed(Wire::VT_STEP, DType::I64, 1),
            // Bits, of which booleans are made.
            Field::Pbc => None,
        }
    }

    /// The numbers of a field of the frame in `bytes`, which has `nsites` sites and this table; `None` if they
    /// are not there in full, or not where such numbers may lie.
    #[inline]
    pub(crate) fn numbers<'a>(
        &self,
        bytes: &'a [u8],
        nsites: usize,
        field: &KnownField,
    ) -> Option<&'a [u8]> {
        match field.place {
            Place::Fixed(at, len) => bytes.get(at..at.checked_add(len)?),
            Place::BySite(at, each) => {
                let size = field.kind.size();
                let start = at.checked_add(word(bytes, at)?)?;
                let first = start.checked_add(4)?;
                let count = nsites.checked_mul(each)?;
                if word(bytes, start)? != count || start % 4 != 0 || first % size != 0 {
                    return None;
                }
                bytes.get(first..first.checked_add(count.checked_mul(size)?)?)
            }
        }
    }
}

#[inline]
fn word(bytes: &[u8], at: usize) -> Option<usize> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_le_bytes(*word) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Codec, MdFrame, MdFrameCodec, Real};
    use crate::wire::AlignedBuf;
    use proptest::prelude::*;

    fn record(frame: &MdFrame) -> AlignedBuf {
        let mut out = Vec::new();
        MdFrameCodec.encode(frame, &mut out).unwrap();
        AlignedBuf::copy_of(&out).unwrap()
    }

    fn frame(nsites: usize, fields: u16) -> MdFrame {
        let has = |bit: u32| fields >> bit & 1 == 1;
        let f32s = |each: usize| Real::F32((0_u16..).take(each * nsites).map(f32::from).collect());
        let f64s = |each: usize| Real::F64((7_u16..).take(each * nsites).map(f64::from).collect());
        MdFrame {
            nsites,
            types: has(0).then(|| vec![8; nsites]),
            masses: has(1).then(|| f64s(1)),
            positions: has(2).then(|| f32s(3)),
            velocities: has(3).then(|| f64s(3)),
            forces: has(4).then(|| f32s(3)),
            charges: has(5).then(|| f32s(1)),
            step: has(6).then_some(7),
            time: has(7).then_some(0.5),
            cell: has(8).then_some([2.0; 9]),
            pbc: has(9).then_some([true, false, true]),
            energy: has(10).then_some(-76.4),
            stress: has(11).then_some([3.0; 9]),
            ..MdFrame::default()
        }
    }

    /// Bytes of a field as `PlainFrame` reads it; `None` if it has none or refuses it.
    fn plainly(frame: &PlainFrame<'_>, field: Field) -> Option<Vec<u8>> {
        use crate::codec::RealView;
        let real = |read: Option<Option<RealView<'_>>>| {
            read.flatten().map(|view| match view {
                RealView::F32(v) => bytemuck::cast_slice(v).to_vec(),
                RealView::F64(v) => bytemuck::cast_slice(v).to_vec(),
            })
        };
        match field {
            Field::Positions => real(frame.positions()),
            Field::Velocities => real(frame.velocities()),
            Field::Forces => real(frame.forces()),
            Field::Masses => real(frame.masses()),
            Field::Charges => real(frame.charges()),
            Field::Types => frame.types().flatten().map(|v| bytemuck::cast_slice(v).to_vec()),
            Field::Cell => frame.cell().flatten().map(|v| bytemuck::bytes_of(&v).to_vec()),
            Field::Stress => frame.stress().flatten().map(|v| bytemuck::bytes_of(&v).to_vec()),
            Field::Energy => frame.energy().flatten().map(|v| v.to_ne_bytes().to_vec()),
            Field::Time => frame.time().flatten().map(|v| v.to_ne_bytes().to_vec()),
            Field::Step => frame.step().flatten().map(|v| v.to_ne_bytes().to_vec()),
            Field::Pbc => None,
        }
    }

    proptest! {
        #[test]
        fn other_frames_are_read_as_by_their_own_tables(
            fields in 0_u16..1 << 12,
            others in 0_u16..1 << 12,
            sizes in prop::array::uniform2(0_usize..40),
            damage in prop::collection::vec((0_usize..600, prop_oneof![any::<u8>(), 0..64_u8]), 0..4),
        ) {
            let known = record(&frame(sizes[0], fields));
            let known = PlainFrame::new(&known).unwrap();
            let Some(table) = KnownTable::of(&known) else { return Ok(()) };
            for fields in [fields, others] {
                let mut bytes = record(&frame(sizes[1], fields));
                let len = bytes.len();
                for (at, value) in &damage {
                    bytes[at % len] = *value;
                }
                let Some(nsites) = table.nsites(&bytes) else { continue };
                let plain = PlainFrame::new(&bytes).unwrap();
                prop_assert_eq!(nsites, plain.nsites());
                for field in Field::ALL {
                    if let Some(at) = table.field(&known, field) {
                        let numbers = table.numbers(&bytes, nsites, &at).map(<[u8]>::to_vec);
                        prop_assert_eq!(numbers, plainly(&plain, field), "{:?}", field);
                    }
                }
            }
        }
    }

    #[test]
    fn a_frame_of_another_size_has_the_same_table_and_one_of_other_fields_has_not() {
        let known = record(&frame(3, 0b1111_1111_1111));
        let known = PlainFrame::new(&known).unwrap();
        let table = KnownTable::of(&known).unwrap();
        assert_eq!(table.nsites(&record(&frame(5, 0b1111_1111_1111))), Some(5));
        assert_eq!(table.nsites(&record(&frame(5, 0b0111_1111_1111))), None);
        assert_eq!(table.nsites(&[]), None);
        let positions = table.field(&known, Field::Positions).unwrap();
        assert!(positions.is_by_site() && positions.kind() == DType::F32);
        assert!(table.field(&known, Field::Pbc).is_none());
    }
}
