//! Small frames without a table: a word that says which fields there are, and their values.
//!
//! A FlatBuffer spends 60 to 100 bytes on saying where its fields are, a tenth to a quarter of a molecule
//! of 9 to 29 atoms, and four bytes on each type, of which one is enough for an atomic number. Here all
//! places follow from the first word. `docs/records.md` describes it byte by byte. The fields of the usual frame
//! are known; any other frame stays a FlatBuffer, so a reader expects both. Its first word tells them apart:
//! that of a FlatBuffer is the place of its root table, below 2^31.

use super::field::Field;
use super::name::NAME;
use super::root::{Matrices, bad};
use crate::Result;
use crate::codec::slices::{bytes_of, numbers_in};
use crate::codec::{MdFrameRef, RealView};
use crate::wire::{AlignedBuf, memory};

/// Set in the first word of every such record.
pub(super) const MARK: u32 = 1 << 31;
/// Whether the arrays of numbers have 64 bits.
pub(super) const WIDE: u32 = 1 << 5;
/// Types as bytes, as integers of 32 bits.
pub(super) const TYPES: [u32; 2] = [1 << 6, 1 << 7];
const ENERGY: u32 = 1 << 8;
const STEP: u32 = 1 << 9;
const TIME: u32 = 1 << 10;
const CELL: u32 = 1 << 11;
const STRESS: u32 = 1 << 12;
pub(super) const PBC: u32 = 1 << 13;
/// The first of the three bits of the periodicity.
pub(super) const PBC_BITS: u32 = 14;
const PRECISION: u32 = 1 << 17;
/// Bits without a meaning: a record that has one is not read.
const UNUSED: u32 = 1 << 18;
/// The first of the twelve bits of the number of sites.
const NSITES: u32 = 19;
/// More sites than this do not fit; there the table does not count.
const SITES_MAX: usize = (1 << 12) - 1;
/// All bits that decide where the fields are.
pub(super) const FORM: u32 = ((1 << NSITES) - 1) & !(7 << PBC_BITS);

/// The arrays of numbers in their order, the bit of each, and its numbers for each site.
pub(super) const ARRAYS: [(Field, u32, usize); 5] = [
    (Field::Positions, 1 << 0, 3),
    (Field::Velocities, 1 << 1, 3),
    (Field::Forces, 1 << 2, 3),
    (Field::Masses, 1 << 3, 1),
    (Field::Charges, 1 << 4, 1),
];
/// The numbers of 64 bits of the whole frame in their order: bit, and how many.
pub(super) const SCALARS: [(Field, u32, usize); 5] = [
    (Field::Energy, ENERGY, 1),
    (Field::Step, STEP, 1),
    (Field::Time, TIME, 1),
    (Field::Cell, CELL, 9),
    (Field::Stress, STRESS, 9),
];

/// Whether this is no FlatBuffer but a lean frame, or would be one.
pub(in crate::codec) fn is_lean(bytes: &[u8]) -> bool {
    first(bytes).is_some_and(|word| word & MARK != 0)
}

#[inline]
pub(super) fn first(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|word| u32::from_le_bytes(*word))
}

/// What the first word of a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form(pub(super) u32);

impl Form {
    pub(super) const fn has(self, bit: u32) -> bool {
        self.0 & bit != 0
    }

    pub(super) const fn nsites(self) -> usize {
        (self.0 >> NSITES) as usize & SITES_MAX
    }

    /// Bytes of a number in an array.
    pub(super) const fn size(self) -> usize {
        if self.has(WIDE) { 8 } else { 4 }
    }

    /// Where the numbers of the whole frame begin. Arrays of wide numbers need a multiple of 8, and the
    /// word before them is that of the precision, or zero.
    pub(super) const fn scalars(self) -> usize {
        if self.has(WIDE | PRECISION) { 8 } else { 4 }
    }

    /// Where the arrays begin.
    pub(super) fn arrays(self) -> usize {
        SCALARS
            .iter()
            .filter(|(_, bit, _)| self.has(*bit))
            .fold(self.scalars(), |at, (_, _, count)| at + 8 * count)
    }

    /// Bytes of the arrays of numbers for each site.
    pub(super) fn by_site(self) -> usize {
        let there = ARRAYS.iter().filter(|(_, bit, _)| self.has(*bit));
        there.fold(0, |all, (_, _, each)| all + each * self.size())
    }

    /// Where the types begin.
    pub(super) fn types(self) -> usize {
        self.arrays() + self.by_site() * self.nsites()
    }

    /// Bytes of the record.
    pub(super) fn len(self) -> usize {
        let types = match TYPES.map(|bit| self.has(bit)) {
            [false, false] => 0,
            [true, _] => self.nsites().next_multiple_of(4),
            [false, true] => 4 * self.nsites(),
        };
        self.types() + types
    }

    /// Where the array of this bit is, if it is there: bytes of the arrays before it, and its own, for each site.
    pub(super) fn array(self, bit: u32) -> Option<(usize, usize)> {
        let mut at = 0;
        for (_, other, each) in ARRAYS.into_iter().filter(|(_, other, _)| self.has(*other)) {
            let each = each * self.size();
            if other == bit {
                return Some((at, each));
            }
            at += each;
        }
        None
    }

    /// Where the numbers of the whole frame for which `bit` stands begin, and how many bytes they have.
    pub(super) fn scalar(self, bit: u32) -> Option<(usize, usize)> {
        let mut at = self.scalars();
        for (_, other, count) in SCALARS.into_iter().filter(|(_, other, _)| self.has(*other)) {
            if other == bit {
                return Some((at, 8 * count));
            }
            at += 8 * count;
        }
        None
    }

    /// The form of the frame in `bytes`, which then has as many bytes as it needs.
    pub(super) fn of(bytes: &[u8]) -> Result<Self> {
        let form = first(bytes)
            .filter(|word| word & MARK != 0)
            .map(Self)
            .ok_or_else(|| bad("the record is not a lean frame"))?;
        if form.has(UNUSED) || TYPES.iter().all(|bit| form.has(*bit)) {
            let word = form.0;
            return Err(bad(format!(
                "the record is not a lean frame that this release knows: its first word is {word:#010x}"
            )));
        }
        if form.len() != bytes.len() {
            let (needed, len) = (form.len(), bytes.len());
            return Err(bad(format!(
                "the record has {len} bytes, but its first word says {needed}"
            )));
        }
        Ok(form)
    }
}

/// The form in which the frame can be kept; `None` for a frame that has more than such a record.
fn form(frame: &MdFrameRef<'_>) -> Option<Form> {
    let plain = frame.name.is_none()
        && frame.topology.is_none()
        && frame.atom_properties.is_empty()
        && frame.frame_properties.is_empty()
        && frame.nsites <= SITES_MAX;
    if !plain {
        return None;
    }
    let mut form = MARK | u32::try_from(frame.nsites).ok()? << NSITES;
    let mut widths = [false; 2];
    for (field, bit, _) in ARRAYS {
        match real(frame, field) {
            None => continue,
            Some(RealView::F32(_)) => widths[0] = true,
            Some(RealView::F64(_)) => widths[1] = true,
        }
        form |= bit;
    }
    match widths {
        [true, true] => return None,
        [_, wide] => form |= if wide { WIDE } else { 0 },
    }
    if let Some(types) = frame.types {
        let narrow = types.iter().all(|t| u8::try_from(*t).is_ok());
        let [bytes, integers] = TYPES;
        form |= if narrow { bytes } else { integers };
    }
    let given = [
        (ENERGY, frame.energy.is_some()),
        (STEP, frame.step.is_some()),
        (TIME, frame.time.is_some()),
        (CELL, frame.cell.is_some()),
        (STRESS, frame.stress.is_some()),
        (PRECISION, frame.precision.is_some()),
        (PBC, frame.pbc.is_some()),
    ];
    form |= given.iter().filter(|(_, given)| *given).fold(0, |all, (bit, _)| all | bit);
    for (i, repeats) in (0..).zip(frame.pbc.into_iter().flatten()) {
        form |= u32::from(repeats) << (PBC_BITS + i);
    }
    Some(Form(form))
}

fn real<'a>(frame: &MdFrameRef<'a>, field: Field) -> Option<RealView<'a>> {
    match field {
        Field::Positions => frame.positions,
        Field::Velocities => frame.velocities,
        Field::Forces => frame.forces,
        Field::Masses => frame.masses,
        Field::Charges => frame.charges,
        _ => None,
    }
}

/// Appends the lean record of a frame that was checked; false, and nothing appended, if it cannot
/// be one.
pub(in crate::codec) fn append(frame: &MdFrameRef<'_>, out: &mut Vec<u8>) -> Result<bool> {
    let Some(form) = form(frame) else { return Ok(false) };
    let end = out.len() + form.len();
    memory::reserve(out, form.len())?;
    out.extend(form.0.to_le_bytes());
    if form.scalars() == 8 {
        out.extend(frame.precision.unwrap_or(0.0).to_le_bytes());
    }
    out.extend(frame.energy.iter().flat_map(|v| v.to_le_bytes()));
    out.extend(frame.step.iter().flat_map(|v| v.to_le_bytes()));
    out.extend(frame.time.iter().flat_map(|v| v.to_le_bytes()));
    out.extend(frame.cell.iter().flatten().flat_map(|v| v.to_le_bytes()));
    out.extend(frame.stress.iter().flatten().flat_map(|v| v.to_le_bytes()));
    for (field, _, _) in ARRAYS {
        match real(frame, field) {
            None => {}
            Some(RealView::F32(v)) => out.extend_from_slice(bytes_of(NAME, v)?),
            Some(RealView::F64(v)) => out.extend_from_slice(bytes_of(NAME, v)?),
        }
    }
    match frame.types {
        Some(types) if form.has(TYPES[0]) => {
            out.extend(types.iter().map(|t| u8::try_from(*t).unwrap_or_default()));
        }
        Some(types) => out.extend_from_slice(bytes_of(NAME, types)?),
        None => {}
    }
    out.resize(end, 0);
    Ok(true)
}

/// What a lean record says beside its arrays.
pub(in crate::codec) fn scalars(bytes: &[u8]) -> Result<MdFrameRef<'static>> {
    Form::of(bytes).map(|form| scalars_of(form, bytes))
}

fn scalars_of(form: Form, bytes: &[u8]) -> MdFrameRef<'static> {
    let part = |bit| form.scalar(bit).and_then(|(at, len)| bytes.get(at..at + len));
    let eight = |bit| part(bit)?.first_chunk().copied();
    let nine = |bit| {
        let words: &[[u8; 8]; 9] = part(bit)?.as_chunks().0.try_into().ok()?;
        Some(words.map(f64::from_le_bytes))
    };
    let precision = bytes.get(4..).and_then(|behind| behind.first_chunk().copied());
    MdFrameRef {
        nsites: form.nsites(),
        step: eight(STEP).map(i64::from_le_bytes),
        time: eight(TIME).map(f64::from_le_bytes),
        cell: nine(CELL),
        pbc: form.has(PBC).then(|| [0, 1, 2].map(|i| form.has(1 << (PBC_BITS + i)))),
        energy: eight(ENERGY).map(f64::from_le_bytes),
        stress: nine(STRESS),
        precision: precision.filter(|_| form.has(PRECISION)).map(f32::from_le_bytes),
        ..MdFrameRef::default()
    }
}

/// The frame in a lean record, and where its matrices begin.
pub(in crate::codec) fn view(bytes: &[u8]) -> Result<(MdFrameRef<'_>, Matrices)> {
    match parts(bytes)? {
        (frame, matrices, None) => Ok((frame, matrices)),
        (_, _, Some(_)) => {
            Err(bad("its types are bytes; view what AnyCodec::expand makes of the record"))
        }
    }
}

/// What a lean record says of a frame.
type Parts<'a> = (MdFrameRef<'a>, Matrices, Option<&'a [u8]>);

/// The same, and its types where they are bytes: then the frame has none.
pub(in crate::codec) fn parts(bytes: &[u8]) -> Result<Parts<'_>> {
    let form = Form::of(bytes)?;
    let n = form.nsites();
    let part = |at: usize, len: usize| bytes.get(at..at + len).unwrap_or_default();
    let array = |(field, bit, _): (Field, _, _)| -> Result<Option<RealView<'_>>> {
        let Some((at, each)) = form.array(bit) else { return Ok(None) };
        let values = part(form.arrays() + at * n, each * n);
        Ok(Some(if form.has(WIDE) {
            RealView::F64(numbers_in(NAME, field.name(), values)?)
        } else {
            RealView::F32(numbers_in(NAME, field.name(), values)?)
        }))
    };
    let [positions, velocities, forces, masses, charges] = ARRAYS.map(array);
    let types = (form.has(TYPES[1])).then(|| part(form.types(), 4 * n));
    let narrow = form.has(TYPES[0]).then(|| part(form.types(), n));
    let frame = MdFrameRef {
        types: types.map(|types| numbers_in(NAME, "types", types)).transpose()?,
        masses: masses?,
        positions: positions?,
        velocities: velocities?,
        forces: forces?,
        charges: charges?,
        ..scalars_of(form, bytes)
    };
    let begin = |bit| form.scalar(bit).map(|(at, _)| at);
    Ok((frame, Matrices { cell: begin(CELL), stress: begin(STRESS) }, narrow))
}

/// The lean record with its types as integers of 32 bits, if they are bytes.
pub(in crate::codec) fn widen(bytes: &[u8]) -> Result<Option<AlignedBuf>> {
    let form = Form::of(bytes)?;
    if !form.has(TYPES[0]) {
        return Ok(None);
    }
    let wide = Form(form.0 ^ TYPES[0] ^ TYPES[1]);
    let mut out = AlignedBuf::unset(wide.len())?;
    let (head, types) = out.split_at_mut(form.types());
    head.copy_from_slice(bytes.get(..form.types()).unwrap_or_default());
    if let Some(word) = head.first_chunk_mut() {
        *word = wide.0.to_le_bytes();
    }
    let narrow = bytes.get(form.types()..).unwrap_or_default();
    for (place, t) in types.as_chunks_mut::<4>().0.iter_mut().zip(narrow) {
        *place = u32::from(*t).to_le_bytes();
    }
    Ok(Some(out))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::known_form::KnownForm;
    use super::*;
    use crate::codec::{AnyCodec, Codec, MdFrame, MdFrameCodec, MdFrameView, Real};
    use crate::wire::Digest;
    use proptest::prelude::*;

    pub(in crate::codec::md_frame) fn frame(
        given: u32,
        nsites: usize,
        wide: bool,
        type_of: i32,
    ) -> MdFrame {
        let has = |bit: u32| given >> bit & 1 != 0;
        let numbers = |count: usize, seed: u16| {
            let of = |i: usize| u16::try_from(i * 7).unwrap() + seed;
            if wide {
                Real::F64((0..count).map(|i| f64::from(of(i)) / 3.0).collect())
            } else {
                Real::F32((0..count).map(|i| f32::from(of(i)) / 3.0).collect())
            }
        };
        let nine = |seed: f64| [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0].map(|x| seed * x);
        MdFrame {
            nsites,
            types: has(0).then(|| vec![type_of; nsites]),
            masses: has(1).then(|| numbers(nsites, 1)),
            positions: has(2).then(|| numbers(3 * nsites, 2)),
            velocities: has(3).then(|| numbers(3 * nsites, 3)),
            forces: has(4).then(|| numbers(3 * nsites, 4)),
            charges: has(5).then(|| numbers(nsites, 5)),
            step: has(6).then_some(-7),
            time: has(7).then_some(0.1),
            cell: has(8).then(|| nine(0.5)),
            pbc: has(9).then_some([true, false, has(10)]),
            energy: has(10).then_some(f64::NAN),
            stress: has(11).then(|| nine(-0.5)),
            precision: has(12).then_some(1000.0),
            ..MdFrame::default()
        }
    }

    fn table(frame: &MdFrame) -> Vec<u8> {
        let mut out = Vec::new();
        MdFrameCodec.encode(frame, &mut out).unwrap();
        out
    }

    pub(in crate::codec::md_frame) fn lean(frame: &MdFrame) -> Option<Vec<u8>> {
        let mut out = vec![9];
        append(&frame.view(), &mut out).unwrap().then(|| out.split_off(1))
    }

    #[test]
    fn the_bytes_are_as_the_page_says() {
        let frame = MdFrame {
            nsites: 2,
            types: Some(vec![8, 1]),
            positions: Some(Real::F32(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])),
            energy: Some(-1.5),
            pbc: Some([true, false, true]),
            ..MdFrame::default()
        };
        let bytes = lean(&frame).unwrap();
        assert_eq!(bytes.len(), 40);
        assert_eq!(bytes[..4], 0x8011_6141_u32.to_le_bytes());
        assert_eq!(bytes[4..12], (-1.5_f64).to_le_bytes());
        assert_eq!(bytes[12..16], 1.0_f32.to_le_bytes());
        assert_eq!(bytes[36..], [8, 1, 0, 0]);
    }

    #[test]
    fn a_frame_that_has_more_stays_a_table() {
        let plain = frame(0b101, 2, false, 1);
        assert!(lean(&plain).is_some());
        let others = [
            MdFrame { name: Some("water".into()), ..plain.clone() },
            MdFrame { topology: Digest::from_bytes(&[7; 16]), ..plain.clone() },
            MdFrame { masses: Some(Real::F64(vec![1.0; 2])), ..plain.clone() },
            MdFrame { nsites: SITES_MAX + 1, ..MdFrame::default() },
        ];
        for other in &others {
            let mut out = vec![1];
            assert!(!append(&other.view(), &mut out).unwrap());
            assert_eq!(out, [1]);
        }
        assert!(lean(&MdFrame { nsites: SITES_MAX, ..MdFrame::default() }).is_some());
    }

    #[test]
    fn the_first_word_of_a_table_is_not_that_of_a_lean_frame() {
        assert!(!is_lean(&table(&frame(0x1fff, 3, true, 1))));
        assert!(!is_lean(&[]) && !is_lean(&[255, 255, 255]));
        let bytes = lean(&frame(0x1fff, 3, true, 1)).unwrap();
        assert!(is_lean(&bytes));
        let why = MdFrameView::new(&AlignedBuf::copy_of(&bytes).unwrap()).unwrap_err().to_string();
        assert!(why.contains("expand"), "{why}");
    }

    #[test]
    fn words_without_a_meaning_and_other_lengths_are_refused() {
        let bytes = lean(&frame(0x1fff, 3, false, 1)).unwrap();
        for bit in [1 << 18, TYPES[1]] {
            let mut other = bytes.clone();
            other[..4].copy_from_slice(&(first(&bytes).unwrap() | bit).to_le_bytes());
            let why = MdFrameCodec.weight(&other).unwrap_err().to_string();
            assert!(why.contains("first word is 0x"), "{why}");
        }
        let why = MdFrameCodec.weight(&bytes[..bytes.len() - 4]).unwrap_err().to_string();
        assert!(why.contains("bytes, but its first word says"), "{why}");
    }

    proptest! {
        #[test]
        fn a_frame_comes_back_with_every_bit(
            given in 0..1_u32 << 13,
            nsites in 0..9_usize,
            wide: bool,
            type_of in prop::sample::select(vec![0, 1, 255, 256, -1]),
        ) {
            let frame = frame(given, nsites, wide, type_of);
            let record = table(&frame);
            let bytes = lean(&frame).unwrap();
            prop_assert_eq!(bytes.len() % 4, 0);
            prop_assert!(bytes.len() < record.len());
            prop_assert_eq!(MdFrameCodec.weight(&bytes).unwrap() as usize, nsites);
            let expanded = MdFrameCodec.expand(&bytes).unwrap();
            prop_assert_eq!(expanded.is_some(), frame.types.is_some() && (0..256).contains(&type_of) || nsites == 0 && frame.types.is_some());
            let expanded = expanded.unwrap_or_else(|| AlignedBuf::copy_of(&bytes).unwrap());
            let view = MdFrameView::new(&expanded).unwrap();
            prop_assert_eq!(&table(&view.to_owned()), &record);
            for (matrix, at) in [(view.cell(), view.matrices().cell), (view.stress(), view.matrices().stress)] {
                prop_assert_eq!(matrix.is_some(), at.is_some());
                if let (Some(matrix), Some(at)) = (matrix, at) {
                    prop_assert_eq!(bytemuck::bytes_of(&matrix), &expanded[at..at + 72]);
                }
            }
            // Whatever a store keeps, it is made from what another one had, at any address.
            for from in [&bytes, &record, &expanded.to_vec()] {
                let mut moved = vec![0; 3];
                moved.extend(from);
                for (version, wanted) in [(1, &record), (2, &bytes)] {
                    let mut out = vec![7];
                    let made = MdFrameCodec.for_version(version, &moved[3..], &mut out).unwrap();
                    prop_assert_eq!(made, from != wanted);
                    prop_assert_eq!(&out[1..], if made { &wanted[..] } else { &[] });
                }
            }
        }

        #[test]
        fn any_bytes_are_a_frame_or_refused(
            word: u32,
            rest in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut bytes = (word | MARK).to_le_bytes().to_vec();
            bytes.extend(rest);
            let known = KnownForm::of(&bytes).and_then(|form| form.nsites(&bytes));
            prop_assert_eq!(MdFrameCodec.weight(&bytes).ok().map(|n| n as usize), known);
        }
    }
}
