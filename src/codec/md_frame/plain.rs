//! Single fields of the usual frame, each bounded when it is asked for.
//!
//! A batch takes two or three fields from each of its frames; to read and check all of them first costs
//! more than to copy these. Nothing is verified here but what is read, in safe code. For
//! whatever is not quite the usual frame there is `None`, and [`MdFrameView`](super::MdFrameView) says
//! what it is.

use super::fast_path::Table;
use crate::codec::RealView;
use crate::codec::generated::md::MdFrame as Wire;
use flatbuffers::VOffsetT;

/// A frame whose fields are read one by one from the bytes of its record.
#[derive(Debug, Clone, Copy)]
pub struct PlainFrame<'a> {
    table: Table<'a>,
    nsites: usize,
}

/// A field that may be missing, or not be one.
type Read<T> = Option<Option<T>>;

impl<'a> PlainFrame<'a> {
    /// The frame in `bytes`; `None` if it is none, refers to a topology or keeps its positions as
    /// integers: what it has then is not all in these bytes as it is.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let table = Table::find(bytes)?;
        if table.place(Wire::VT_TOPOLOGY).is_some()
            || table.place(Wire::VT_QUANTISED_POSITIONS).is_some()
            || table.number(Wire::VT_NCODIM, i32::from_le_bytes)?.is_some_and(|n| n != 3)
        {
            return None;
        }
        let nsites = table.number(Wire::VT_NSITES, i32::from_le_bytes)?.unwrap_or(0);
        Some(Self { table, nsites: usize::try_from(nsites).ok()? })
    }

    pub(super) const fn table(&self) -> &Table<'a> {
        &self.table
    }

    /// Number of sites.
    #[must_use]
    pub const fn nsites(&self) -> usize {
        self.nsites
    }

    /// How many of the twelve fields below it has.
    #[must_use]
    pub fn fields(&self) -> usize {
        let either = [
            [Wire::VT_POSITIONS, Wire::VT_POSITIONS64],
            [Wire::VT_VELOCITIES, Wire::VT_VELOCITIES64],
            [Wire::VT_FORCES, Wire::VT_FORCES64],
            [Wire::VT_MASSES, Wire::VT_MASSES64],
            [Wire::VT_CHARGES, Wire::VT_CHARGES64],
            [Wire::VT_TYPES, Wire::VT_TYPES],
            [Wire::VT_CELL, Wire::VT_CELL],
            [Wire::VT_PBC, Wire::VT_PBC],
            [Wire::VT_ENERGY, Wire::VT_ENERGY],
            [Wire::VT_STRESS, Wire::VT_STRESS],
            [Wire::VT_STEP, Wire::VT_STEP],
            [Wire::VT_TIME, Wire::VT_TIME],
        ];
        let there = |slot: &VOffsetT| self.table.place(*slot).is_some();
        either.iter().filter(|slots| slots.iter().any(there)).count()
    }

    /// Positions, three for each site.
    #[must_use]
    pub fn positions(&self) -> Read<RealView<'a>> {
        self.real(Wire::VT_POSITIONS, Wire::VT_POSITIONS64, 3)
    }

    /// Velocities, three for each site.
    #[must_use]
    pub fn velocities(&self) -> Read<RealView<'a>> {
        self.real(Wire::VT_VELOCITIES, Wire::VT_VELOCITIES64, 3)
    }

    /// Forces, three for each site.
    #[must_use]
    pub fn forces(&self) -> Read<RealView<'a>> {
        self.real(Wire::VT_FORCES, Wire::VT_FORCES64, 3)
    }

    /// Masses, one for each site.
    #[must_use]
    pub fn masses(&self) -> Read<RealView<'a>> {
        self.real(Wire::VT_MASSES, Wire::VT_MASSES64, 1)
    }

    /// Charges, one for each site.
    #[must_use]
    pub fn charges(&self) -> Read<RealView<'a>> {
        self.real(Wire::VT_CHARGES, Wire::VT_CHARGES64, 1)
    }

    /// Types, one for each site.
    #[must_use]
    pub fn types(&self) -> Read<&'a [i32]> {
        let found = self.table.vector::<i32>(Wire::VT_TYPES)?;
        found.is_none_or(|v| v.len() == self.nsites).then_some(found)
    }

    /// Cell vectors.
    #[must_use]
    pub fn cell(&self) -> Read<[f64; 9]> {
        self.table.matrix(Wire::VT_CELL)
    }

    /// Stress tensor.
    #[must_use]
    pub fn stress(&self) -> Read<[f64; 9]> {
        self.table.matrix(Wire::VT_STRESS)
    }

    /// Periodicity along each cell vector.
    #[must_use]
    pub fn pbc(&self) -> Read<[bool; 3]> {
        self.table.pbc()
    }

    /// Potential energy.
    #[must_use]
    pub fn energy(&self) -> Read<f64> {
        self.table.number(Wire::VT_ENERGY, f64::from_le_bytes)
    }

    /// Simulation time.
    #[must_use]
    pub fn time(&self) -> Read<f64> {
        self.table.number(Wire::VT_TIME, f64::from_le_bytes)
    }

    /// Simulation step.
    #[must_use]
    pub fn step(&self) -> Read<i64> {
        self.table.number(Wire::VT_STEP, i64::from_le_bytes)
    }

    /// Numbers of which there are `each` for each site.
    fn real(&self, narrow: VOffsetT, wide: VOffsetT, each: usize) -> Read<RealView<'a>> {
        let found = match (self.table.vector(narrow)?, self.table.vector(wide)?) {
            (None, None) => return Some(None),
            (Some(v), None) => RealView::F32(v),
            (None, Some(v)) => RealView::F64(v),
            (Some(_), Some(_)) => return None,
        };
        (found.len() == self.nsites.saturating_mul(each)).then_some(Some(found))
    }
}

#[cfg(test)]
mod tests {
    use super::super::MdFrameView;
    use super::*;
    use crate::codec::{Codec, MdFrame, MdFrameCodec, Real};
    use crate::wire::{AlignedBuf, Digest};
    use proptest::prelude::*;

    fn frame(fields: u16) -> MdFrame {
        let has = |bit: u32| fields >> bit & 1 == 1;
        MdFrame {
            nsites: 2,
            types: has(0).then(|| vec![8, 1]),
            masses: has(1).then(|| Real::F64(vec![16.0, 1.0])),
            positions: has(2).then(|| Real::F32(vec![0.5; 6])),
            velocities: has(3).then(|| Real::F64(vec![0.25; 6])),
            forces: has(4).then(|| Real::F32(vec![1.5; 6])),
            charges: has(5).then(|| Real::F32(vec![-0.8, 0.8])),
            step: has(6).then_some(7),
            time: has(7).then_some(0.5),
            cell: has(8).then_some([2.0; 9]),
            pbc: has(9).then_some([true, false, true]),
            energy: has(10).then_some(-76.4),
            stress: has(11).then_some([3.0; 9]),
            ..MdFrame::default()
        }
    }

    fn record(frame: &MdFrame) -> AlignedBuf {
        let mut out = Vec::new();
        MdFrameCodec.encode(frame, &mut out).unwrap();
        AlignedBuf::copy_of(&out).unwrap()
    }

    proptest! {
        #[test]
        fn every_field_is_the_one_of_the_view(fields in 0_u16..1 << 12) {
            let bytes = record(&frame(fields));
            let (plain, view) = (PlainFrame::new(&bytes).unwrap(), MdFrameView::new(&bytes).unwrap());
            let view = view.fields();
            prop_assert_eq!(plain.nsites(), 2);
            prop_assert_eq!(plain.fields(), fields.count_ones() as usize);
            prop_assert_eq!(plain.positions().unwrap(), view.positions);
            prop_assert_eq!(plain.velocities().unwrap(), view.velocities);
            prop_assert_eq!(plain.forces().unwrap(), view.forces);
            prop_assert_eq!(plain.masses().unwrap(), view.masses);
            prop_assert_eq!(plain.charges().unwrap(), view.charges);
            prop_assert_eq!(plain.types().unwrap(), view.types);
            prop_assert_eq!(plain.cell().unwrap(), view.cell);
            prop_assert_eq!(plain.stress().unwrap(), view.stress);
            prop_assert_eq!(plain.pbc().unwrap(), view.pbc);
            prop_assert_eq!(plain.energy().unwrap(), view.energy);
            prop_assert_eq!(plain.time().unwrap(), view.time);
            prop_assert_eq!(plain.step().unwrap(), view.step);
        }

        #[test]
        fn damaged_bytes_give_nothing_or_numbers_for_each_site(
            damage in prop::collection::vec((0_usize..400, prop_oneof![any::<u8>(), 0..64_u8]), 1..4),
        ) {
            let mut bytes = record(&frame(0xfff));
            let len = bytes.len();
            for (at, value) in damage {
                bytes[at % len] = value;
            }
            let Some(plain) = PlainFrame::new(&bytes) else { return Ok(()) };
            let len = |read: Read<RealView<'_>>| read.flatten().map(|v| v.len());
            let right = Some(3 * plain.nsites());
            prop_assert!(len(plain.positions()).is_none_or(|n| Some(n) == right));
            prop_assert!(len(plain.velocities()).is_none_or(|n| Some(n) == right));
            prop_assert!(len(plain.masses()).is_none_or(|n| n == plain.nsites()));
            prop_assert!(plain.types().flatten().is_none_or(|v| v.len() == plain.nsites()));
        }
    }

    #[test]
    fn what_is_not_all_in_its_record_is_left_to_others() {
        let shared = MdFrame { topology: Some(Digest::of(b"t")), ..frame(4) };
        assert!(PlainFrame::new(&record(&shared)).is_none());
        let mut out = Vec::new();
        let exact = MdFrame { precision: Some(2.0), ..frame(4) };
        assert!(MdFrameCodec.encode_quantised(&exact.view(), &mut out).unwrap().1);
        assert!(PlainFrame::new(&AlignedBuf::copy_of(&out).unwrap()).is_none());
        assert!(PlainFrame::new(&[0; 64]).is_none());
    }
}
