//! The plain frame, read in one pass over its table.
//!
//! The verifier of FlatBuffers goes through every field that the schema knows, and reading goes
//! through them once more; for a small record that costs as much as to fetch it. Here each field
//! is bounded where it is read, in safe code. Whatever is not quite what the verifier would
//! accept, and frames with extra properties, are left to it: it accepts every record that is read
//! here and reads the same from it, and all errors are its own.

use super::name::NAME;
use super::root::{Matrices, rooted};
use crate::codec::generated::md::MdFrame as Wire;
use crate::codec::slices::numbers_in;
use crate::codec::{MdFrameRef, RealView};
use crate::limits::RECORD_MAX;
use crate::wire::Digest;
use bytemuck::AnyBitPattern;
use flatbuffers::VOffsetT;
use std::ops::Deref;

/// Bytes of the longest vtable that is read here: several times what the schema has.
const VTABLE_MAX: usize = 128;

/// Whether this may be a frame with its positions as integers. Looks at its table alone.
pub(super) fn may_be_quantised(bytes: &[u8]) -> bool {
    Table::find(bytes).is_some_and(|t| t.place(Wire::VT_QUANTISED_POSITIONS).is_some())
}

/// The fields of the frame in `bytes`, and where its matrices begin; `None` if it is none, or not
/// a plain one.
pub(super) fn fast_path(bytes: &[u8]) -> Option<(MdFrameRef<'_>, Matrices)> {
    let mut t = Whole { table: Table::find(bytes)?, left: bytes.len() };
    for slot in [Wire::VT_ATOM_PROPERTIES, Wire::VT_FRAME_PROPERTIES, Wire::VT_QUANTISED_POSITIONS]
    {
        if t.place(slot).is_some() {
            return None;
        }
    }
    if t.number(Wire::VT_NCODIM, i32::from_le_bytes)?.is_some_and(|n| n != 3) {
        return None;
    }
    let nsites = t.number(Wire::VT_NSITES, i32::from_le_bytes)?.unwrap_or(0);
    let topology = match t.vector::<u8>(Wire::VT_TOPOLOGY)? {
        None => None,
        Some(digest) => Some(Digest::from_bytes(digest)?),
    };
    let matrices = Matrices { cell: t.place(Wire::VT_CELL), stress: t.place(Wire::VT_STRESS) };
    let frame = MdFrameRef {
        name: t.text(Wire::VT_NAME)?,
        nsites: usize::try_from(nsites).ok()?,
        types: t.vector(Wire::VT_TYPES)?,
        masses: t.real(Wire::VT_MASSES, Wire::VT_MASSES64)?,
        positions: t.real(Wire::VT_POSITIONS, Wire::VT_POSITIONS64)?,
        velocities: t.real(Wire::VT_VELOCITIES, Wire::VT_VELOCITIES64)?,
        forces: t.real(Wire::VT_FORCES, Wire::VT_FORCES64)?,
        charges: t.real(Wire::VT_CHARGES, Wire::VT_CHARGES64)?,
        step: t.number(Wire::VT_STEP, i64::from_le_bytes)?,
        time: t.number(Wire::VT_TIME, f64::from_le_bytes)?,
        cell: t.matrix(Wire::VT_CELL)?,
        pbc: t.pbc()?,
        energy: t.number(Wire::VT_ENERGY, f64::from_le_bytes)?,
        stress: t.matrix(Wire::VT_STRESS)?,
        precision: t.number(Wire::VT_PRECISION, f32::from_le_bytes)?,
        atom_properties: Vec::new(),
        frame_properties: Vec::new(),
        topology,
    };
    Some((frame, matrices))
}

/// The root table of a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
    vtable: &'a [u8],
}

impl<'a> Table<'a> {
    pub(super) fn find(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len() as u64 > RECORD_MAX || rooted(bytes).is_err() {
            return None;
        }
        let at = word(bytes, 0)?;
        let back = i64::from(word(bytes, at)?.try_into().ok().map(u32::cast_signed)?);
        let vtable = usize::try_from(i64::try_from(at).ok()? - back).ok()?;
        let len = usize::from(u16::from_le_bytes(fixed(bytes, vtable)?));
        if !at.is_multiple_of(4) || !vtable.is_multiple_of(2) || !len.is_multiple_of(2) {
            return None;
        }
        let end = vtable.checked_add(len).filter(|_| len <= VTABLE_MAX)?;
        Some(Self { bytes, at, vtable: bytes.get(vtable..end)? })
    }

    /// All from the first byte of the record to the first word of the table, if the list of its fields is
    /// there: records that agree in this have the same fields at the same places.
    pub(super) fn head(&self) -> Option<&'a [u8]> {
        let fields = self.vtable.as_ptr().addr() - self.bytes.as_ptr().addr();
        (fields + self.vtable.len() <= self.at).then_some(self.bytes.get(..self.at + 4)).flatten()
    }

    /// Where the field in `slot` lies, if it is there.
    #[inline]
    pub(super) fn place(&self, slot: VOffsetT) -> Option<usize> {
        let offset = u16::from_le_bytes(fixed(self.vtable, usize::from(slot))?);
        (offset != 0).then_some(self.at + usize::from(offset))
    }

    #[inline]
    pub(super) fn number<T, const N: usize>(
        &self,
        slot: VOffsetT,
        read: impl FnOnce([u8; N]) -> T,
    ) -> Option<Option<T>> {
        let Some(at) = self.place(slot) else { return Some(None) };
        if !at.is_multiple_of(N) {
            return None;
        }
        Some(Some(read(fixed(self.bytes, at)?)))
    }

    pub(super) fn matrix(&self, slot: VOffsetT) -> Option<Option<[f64; 9]>> {
        let Some(at) = self.place(slot) else { return Some(None) };
        let (words, _) = self.bytes.get(at..at.checked_add(72)?)?.as_chunks::<8>();
        let words: &[[u8; 8]; 9] = words.try_into().ok()?;
        Some(Some(words.map(f64::from_le_bytes)))
    }

    /// Whether there are three bits of periodicity, and which.
    pub(super) fn pbc(&self) -> Option<Option<[bool; 3]>> {
        match self.number(Wire::VT_PBC, u8::from_le_bytes)? {
            None => Some(None),
            Some(bits @ 0..8) => Some(Some([bits & 1 != 0, bits & 2 != 0, bits & 4 != 0])),
            Some(_) => None,
        }
    }

    /// The bytes of the vector in `slot`, of items of `size` bytes, and where they begin.
    #[inline]
    fn bytes_of(&self, slot: VOffsetT, size: usize) -> Option<Option<(usize, &'a [u8])>> {
        let Some(at) = self.place(slot) else { return Some(None) };
        let head = at.checked_add(word(self.bytes, at)?)?;
        let len = word(self.bytes, head)?.checked_mul(size)?;
        let first = head.checked_add(4)?;
        if !at.is_multiple_of(4) || !head.is_multiple_of(4) || !first.is_multiple_of(size) {
            return None;
        }
        Some(Some((first, self.bytes.get(first..first.checked_add(len)?)?)))
    }

    /// The numbers of the vector in `slot`.
    #[inline]
    pub(super) fn vector<T: AnyBitPattern>(&self, slot: VOffsetT) -> Option<Option<&'a [T]>> {
        let Some((_, bytes)) = self.bytes_of(slot, size_of::<T>())? else { return Some(None) };
        numbers_in(NAME, "", bytes).ok().map(Some)
    }
}

/// The table as it is read from end to end.
struct Whole<'a> {
    table: Table<'a>,
    /// What all vectors together may still be long: parts that are shared are left to the
    /// verifier, which counts them.
    left: usize,
}

impl<'a> Deref for Whole<'a> {
    type Target = Table<'a>;
    fn deref(&self) -> &Table<'a> {
        &self.table
    }
}

impl<'a> Whole<'a> {
    fn bytes_of(&mut self, slot: VOffsetT, size: usize) -> Option<Option<(usize, &'a [u8])>> {
        let Some((first, bytes)) = self.table.bytes_of(slot, size)? else { return Some(None) };
        self.left = self.left.checked_sub(bytes.len())?;
        Some(Some((first, bytes)))
    }

    fn vector<T: AnyBitPattern>(&mut self, slot: VOffsetT) -> Option<Option<&'a [T]>> {
        let Some((_, bytes)) = self.bytes_of(slot, size_of::<T>())? else { return Some(None) };
        numbers_in(NAME, "", bytes).ok().map(Some)
    }

    fn real(&mut self, narrow: VOffsetT, wide: VOffsetT) -> Option<Option<RealView<'a>>> {
        match (self.vector(narrow)?, self.vector(wide)?) {
            (None, None) => Some(None),
            (Some(v), None) => Some(Some(RealView::F32(v))),
            (None, Some(v)) => Some(Some(RealView::F64(v))),
            (Some(_), Some(_)) => None,
        }
    }

    /// A text, which a zero ends.
    fn text(&mut self, slot: VOffsetT) -> Option<Option<&'a str>> {
        let Some((first, bytes)) = self.bytes_of(slot, 1)? else { return Some(None) };
        if self.bytes.get(first + bytes.len()) != Some(&0) {
            return None;
        }
        std::str::from_utf8(bytes).ok().map(Some)
    }
}

fn fixed<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(fixed(bytes, at)?)).ok()
}

#[cfg(test)]
mod tests {
    use super::super::read::plain;
    use super::super::root::root;
    use super::*;
    use crate::codec::generated::md::Matrix;
    use crate::codec::{Codec, MdFrame, MdFrameCodec, MdFrameView, Real};
    use crate::wire::AlignedBuf;
    use proptest::prelude::*;

    fn by_verifier(bytes: &[u8]) -> Option<MdFrameRef<'_>> {
        plain(root::<Wire<'_>>("frame", bytes).ok()?).ok()
    }

    /// Numbers compared bit by bit: damage makes NaN of them.
    fn same(a: &MdFrameRef<'_>, b: &MdFrameRef<'_>) -> bool {
        let bits = |r: Option<RealView<'_>>| match r {
            None => None,
            Some(RealView::F32(v)) => Some((4, bytemuck::cast_slice::<_, u8>(v).to_vec())),
            Some(RealView::F64(v)) => Some((8, bytemuck::cast_slice::<_, u8>(v).to_vec())),
        };
        let nine = |m: Option<[f64; 9]>| m.map(|m| m.map(f64::to_bits));
        let reals = |f: &MdFrameRef<'_>| {
            [f.masses, f.positions, f.velocities, f.forces, f.charges].map(bits)
        };
        let one = |f: &MdFrameRef<'_>| {
            (
                (f.name.map(String::from), f.nsites, f.types.map(<[i32]>::to_vec), f.pbc),
                (f.step, f.time.map(f64::to_bits), f.energy.map(f64::to_bits)),
                (nine(f.cell), nine(f.stress), f.precision.map(f32::to_bits), f.topology),
                (f.atom_properties.len(), f.frame_properties.len()),
            )
        };
        one(a) == one(b) && reals(a) == reals(b)
    }

    fn frame(fields: u16) -> AlignedBuf {
        let has = |bit: u32| fields >> bit & 1 == 1;
        let frame = MdFrame {
            nsites: 3,
            name: has(0).then(|| "water".into()),
            types: has(1).then(|| vec![8, 1, 1]),
            masses: has(2).then(|| Real::F64(vec![16.0, 1.0, 1.0])),
            positions: has(3).then(|| Real::F32(vec![0.5; 9])),
            velocities: has(4).then(|| Real::F64(vec![0.25; 9])),
            forces: has(5).then(|| Real::F32(vec![1.5; 9])),
            charges: has(6).then(|| Real::F32(vec![-0.8, 0.4, 0.4])),
            step: has(7).then_some(7),
            time: has(8).then_some(0.5),
            cell: has(9).then_some([2.0; 9]),
            pbc: has(10).then_some([true, false, true]),
            energy: has(11).then_some(-76.4),
            stress: has(12).then_some([3.0; 9]),
            precision: has(13).then_some(1000.0),
            topology: has(14).then(|| Digest::of(b"topology")),
            ..MdFrame::default()
        };
        let mut out = Vec::new();
        MdFrameCodec.encode(&frame, &mut out).unwrap();
        AlignedBuf::copy_of(&out).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn every_plain_frame_is_read_and_as_the_verifier_reads_it(fields: u16) {
            let bytes = frame(fields);
            let (ours, at) = fast_path(&bytes).unwrap();
            prop_assert_eq!(at, MdFrameView::new(&bytes).unwrap().matrices());
            let wire = root::<Wire<'_>>("frame", &bytes).unwrap();
            let here = |m: Option<&Matrix>| m.map(|m| m.0.as_ptr().addr() - bytes.as_ptr().addr());
            prop_assert_eq!(at, Matrices { cell: here(wire.cell()), stress: here(wire.stress()) });
            prop_assert!(same(&ours, &by_verifier(&bytes).unwrap()));
        }

        #[test]
        fn of_a_damaged_frame_nothing_is_read_that_the_verifier_refuses(
            fields: u16,
            // Where the offsets and lengths are, and small values, which lie inside the record.
            damage in prop::collection::vec((0_usize..700, prop_oneof![any::<u8>(), 0..64_u8]), 1..4),
            cut in 0_usize..40,
        ) {
            let mut bytes = frame(fields);
            let len = bytes.len();
            for (at, value) in damage {
                bytes[at % len] = value;
            }
            bytes.resize(len - if cut < 8 { cut } else { 0 }).unwrap();
            if let Some((ours, _)) = fast_path(&bytes) {
                let theirs = by_verifier(&bytes);
                prop_assert!(theirs.is_some_and(|theirs| same(&ours, &theirs)));
            }
        }
    }

    #[test]
    fn shared_and_shifted_arrays_are_left_to_the_verifier() {
        let bytes = frame(u16::MAX);
        // In the middle of a word everything lies at odd addresses.
        let mut odd = AlignedBuf::zeroed(bytes.len() + 1).unwrap();
        odd[1..].copy_from_slice(&bytes);
        assert!(fast_path(&odd[1..]).is_none());
        assert!(fast_path(&[]).is_none());
        assert!(fast_path(&bytes[..bytes.len() / 2]).is_none());
    }
}
