//! Chosen fields of a frame from the parts of its record in which they lie.
//!
//! The verifier of FlatBuffers wants the whole record, so it says nothing of a part of one. What
//! is read here is therefore walked by hand, in safe code: the root offset, the table, its
//! vtable, and from there only what was asked for, every step bounded by the length of the
//! record. An offset can lie, but it can only lead to other bytes of the same record, which were
//! checked by their blocks' checksums; they are copied as numbers, any pattern of which is one.
//! Lengths must be those that the number of sites demands. So a damaged record gives an error
//! or other numbers of its own, never anything else, as with the verifier.

use super::field::{Field, Fields};
use super::lean::{self, is_lean};
use super::name::NAME;
use crate::codec::generated::md::MdFrame as Wire;
use crate::codec::{MdFrame, Real};
use crate::column::{Column, ColumnKind, RowMaker};
use crate::{Error, Result};
use bytemuck::AnyBitPattern;
use flatbuffers::VOffsetT;
use std::ops::Range;

/// Bytes at the start of a record in which the table of a frame of ours ends.
pub const HEAD: usize = 512;

/// A frame under way: what its table says, and where the arrays lie.
#[derive(Debug)]
pub struct FramePart {
    frame: MdFrame,
    arrays: Vec<Array>,
}

/// An array in the record: its length, 4 bytes, and its numbers.
#[derive(Debug)]
struct Array {
    field: Field,
    wide: bool,
    range: Range<usize>,
    count: usize,
}

impl FramePart {
    /// Looks for `fields` in the record of `len` bytes that begins with `head`; `None` if its
    /// table lies elsewhere, or it is a lean frame, so that the record must be read whole.
    ///
    /// # Errors
    /// [`Error::Codec`] if the bytes are no frame or contradict themselves.
    pub fn find(head: &[u8], len: usize, fields: Fields) -> Result<Option<Self>> {
        if is_lean(head) {
            return Ok(None);
        }
        let Some(table) = Table::find(head, len)? else { return Ok(None) };
        let mut part = Self { frame: MdFrame::default(), arrays: Vec::new() };
        Ok(part.fill(&table, fields)?.map(|()| part))
    }

    fn fill(&mut self, table: &Table<'_>, fields: Fields) -> Result<Option<()>> {
        macro_rules! given {
            ($value:expr) => {
                match $value? {
                    Some(value) => value,
                    None => return Ok(None),
                }
            };
        }
        let nsites: Option<i32> = given!(table.number(Wire::VT_NSITES));
        let ncodim: Option<i32> = given!(table.number(Wire::VT_NCODIM));
        if ncodim.is_some_and(|n| n != 3) {
            return Err(bad("it has other than 3 components per site (ncodim)"));
        }
        let n = usize::try_from(nsites.unwrap_or(0)).map_err(|_| bad("the number of sites"))?;
        let out = &mut self.frame;
        out.nsites = n;
        if fields.has(Field::Step) {
            out.step = given!(table.number(Wire::VT_STEP));
        }
        if fields.has(Field::Time) {
            out.time = given!(table.number(Wire::VT_TIME));
        }
        if fields.has(Field::Energy) {
            out.energy = given!(table.number(Wire::VT_ENERGY));
        }
        if fields.has(Field::Cell) {
            out.cell = given!(table.number::<[[u8; 8]; 9]>(Wire::VT_CELL)).map(matrix);
        }
        if fields.has(Field::Stress) {
            out.stress = given!(table.number::<[[u8; 8]; 9]>(Wire::VT_STRESS)).map(matrix);
        }
        if fields.has(Field::Pbc) {
            out.pbc = match given!(table.number::<u8>(Wire::VT_PBC)) {
                None => None,
                Some(bits @ 0..8) => Some([bits & 1 != 0, bits & 2 != 0, bits & 4 != 0]),
                Some(_) => return Err(bad("pbc has more than three bits")),
            };
        }
        let arrays = [
            (Field::Types, [Some(Wire::VT_TYPES), None], 1),
            (Field::Masses, [Some(Wire::VT_MASSES), Some(Wire::VT_MASSES64)], 1),
            (Field::Charges, [Some(Wire::VT_CHARGES), Some(Wire::VT_CHARGES64)], 1),
            (Field::Positions, [Some(Wire::VT_POSITIONS), Some(Wire::VT_POSITIONS64)], 3),
            (Field::Velocities, [Some(Wire::VT_VELOCITIES), Some(Wire::VT_VELOCITIES64)], 3),
            (Field::Forces, [Some(Wire::VT_FORCES), Some(Wire::VT_FORCES64)], 3),
        ];
        for (field, slots, width) in arrays {
            if !fields.has(field) {
                continue;
            }
            // Integers are made positions by whoever has the whole record.
            if field == Field::Positions
                && given!(table.place(Wire::VT_QUANTISED_POSITIONS)).is_some()
            {
                return Ok(None);
            }
            let count = n.checked_mul(width).ok_or_else(|| bad("the number of sites"))?;
            let mut found = false;
            for (wide, slot) in [false, true].into_iter().zip(slots) {
                let Some(slot) = slot else { continue };
                let size = if wide { 8 } else { 4 };
                let Some(range) = given!(table.array(slot, size, count)) else { continue };
                if std::mem::replace(&mut found, true) {
                    let name = field.name();
                    return Err(bad(format!("{name} are given in 32 and in 64 bits")));
                }
                self.arrays.push(Array { field, wide, range, count });
            }
        }
        Ok(Some(()))
    }

    /// What the table alone says: no array is there.
    #[must_use]
    pub const fn scalars(&self) -> &MdFrame {
        &self.frame
    }

    /// The bytes of the record that [`FramePart::finish`] wants, in its order.
    pub fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        self.arrays.iter().map(|a| a.range.clone())
    }

    /// The frame with its arrays from the bytes at [`FramePart::ranges`].
    ///
    /// # Errors
    /// [`Error::Codec`] if an array does not have as many numbers as there are sites.
    pub fn finish<'a>(mut self, parts: impl Iterator<Item = &'a [u8]>) -> Result<MdFrame> {
        let mut parts = parts;
        for Array { field, wide, count, .. } in &self.arrays {
            let part = parts.next().unwrap_or_default();
            let values = part.split_first_chunk::<4>().and_then(|(len, values)| {
                (u32::from_le_bytes(*len) as usize == *count).then_some(values)
            });
            let values = values.ok_or_else(|| {
                let name = field.name();
                bad(format!("{name} do not have as many values as its sites need"))
            })?;
            let real = || -> Option<Real> {
                Some(if *wide {
                    Real::F64(numbers(values, |b| f64::from_le_bytes(*b))?)
                } else {
                    Real::F32(numbers(values, |b| f32::from_le_bytes(*b))?)
                })
            };
            let frame = &mut self.frame;
            match field {
                Field::Types => frame.types = numbers(values, |b| i32::from_le_bytes(*b)),
                Field::Masses => frame.masses = real(),
                Field::Charges => frame.charges = real(),
                Field::Positions => frame.positions = real(),
                Field::Velocities => frame.velocities = real(),
                Field::Forces => frame.forces = real(),
                _ => {}
            }
        }
        Ok(self.frame)
    }
}

fn numbers<T, const N: usize>(bytes: &[u8], each: impl Fn(&[u8; N]) -> T) -> Option<Vec<T>> {
    let (values, rest) = bytes.as_chunks::<N>();
    rest.is_empty().then(|| values.iter().map(each).collect())
}

fn matrix(words: [[u8; 8]; 9]) -> [f64; 9] {
    words.map(f64::from_le_bytes)
}

fn bad(why: impl Into<Box<str>>) -> Error {
    Error::codec(NAME, why)
}

fn outside() -> Error {
    bad("a part of the record lies outside it")
}

/// The root table of a record whose first bytes are at hand. Returns `None` where more of it
/// would be needed.
struct Table<'a> {
    head: &'a [u8],
    /// Length of the record.
    len: usize,
    at: usize,
    vtable: usize,
    vtable_len: usize,
}

impl<'a> Table<'a> {
    fn find(head: &'a [u8], len: usize) -> Result<Option<Self>> {
        let mut out = Self { head, len, at: 0, vtable: 0, vtable_len: 0 };
        let Some(root) = out.word(0)? else { return Ok(None) };
        out.at = root as usize;
        let Some(back) = out.word(out.at)? else { return Ok(None) };
        let vtable = i64::from(root) - i64::from(back.cast_signed());
        out.vtable = usize::try_from(vtable).map_err(|_| outside())?;
        let Some(vtable_len) = out.half(out.vtable)? else { return Ok(None) };
        if !vtable_len.is_multiple_of(2) || !out.vtable.is_multiple_of(2) {
            return Err(bad("the record is not a frame: its vtable is damaged"));
        }
        // As the verifier of whole records has it: zeros are no frame.
        if out.at < 4 || out.vtable < 4 || vtable_len < 4 || back == 0 {
            return Err(bad("the record is not a frame: it has no root table"));
        }
        out.vtable_len = usize::from(vtable_len);
        Ok(Some(out))
    }

    /// Bytes of the record, if they are at hand.
    fn bytes(&self, at: usize, size: usize) -> Result<Option<&'a [u8]>> {
        let end = at.checked_add(size).filter(|end| *end <= self.len).ok_or_else(outside)?;
        Ok(self.head.get(at..end))
    }

    fn word(&self, at: usize) -> Result<Option<u32>> {
        if !at.is_multiple_of(4) {
            return Err(bad("the record is not a frame: a part is not aligned"));
        }
        let bytes = self.bytes(at, 4)?;
        Ok(bytes.and_then(|b| b.try_into().ok()).map(u32::from_le_bytes))
    }

    fn half(&self, at: usize) -> Result<Option<u16>> {
        let bytes = self.bytes(at, 2)?;
        Ok(bytes.and_then(|b| b.try_into().ok()).map(u16::from_le_bytes))
    }

    /// Where the table keeps the field of this slot: `Some(None)` if it has none.
    fn place(&self, slot: VOffsetT) -> Result<Option<Option<usize>>> {
        let slot = usize::from(slot);
        if slot + 2 > self.vtable_len {
            return Ok(Some(None));
        }
        let Some(offset) = self.half(self.vtable.checked_add(slot).ok_or_else(outside)?)? else {
            return Ok(None);
        };
        let place = self.at.checked_add(usize::from(offset)).ok_or_else(outside)?;
        Ok(Some((offset != 0).then_some(place)))
    }

    /// A number in the table: `Some(None)` if it is absent.
    fn number<T: Number>(&self, slot: VOffsetT) -> Result<Option<Option<T>>> {
        let at = match self.place(slot)? {
            None => return Ok(None),
            Some(None) => return Ok(Some(None)),
            Some(Some(at)) => at,
        };
        if !at.is_multiple_of(align_of::<T>()) {
            return Err(bad("the record is not a frame: a number is not aligned"));
        }
        let Some(bytes) = self.bytes(at, size_of::<T>())? else { return Ok(None) };
        Ok(Some(bytemuck::try_pod_read_unaligned::<T>(bytes).ok().map(T::native)))
    }

    /// Length and numbers of an array: `Some(None)` if it is absent.
    fn array(
        &self,
        slot: VOffsetT,
        size: usize,
        count: usize,
    ) -> Result<Option<Option<Range<usize>>>> {
        let at = match self.place(slot)? {
            None => return Ok(None),
            Some(None) => return Ok(Some(None)),
            Some(Some(at)) => at,
        };
        let Some(offset) = self.word(at)? else { return Ok(None) };
        let start = at.checked_add(offset as usize).ok_or_else(outside)?;
        let first = start.checked_add(4).ok_or_else(outside)?;
        let end = count.checked_mul(size).and_then(|n| n.checked_add(first));
        let end = end.filter(|end| *end <= self.len).ok_or_else(outside)?;
        if !start.is_multiple_of(4) || !first.is_multiple_of(size) {
            return Err(bad("the record is not a frame: an array is not aligned"));
        }
        Ok(Some(Some(start..end)))
    }
}

/// A number as a table holds it.
trait Number: AnyBitPattern {
    fn native(self) -> Self;
}

macro_rules! numbers {
    ($($ty:ty: $this:ident => $from:expr;)*) => {$(
        impl Number for $ty {
            fn native(self) -> Self {
                let $this = self;
                $from
            }
        }
    )*};
}
numbers! {
    u8: n => n;
    i32: n => Self::from_le(n);
    i64: n => Self::from_le(n);
    f64: n => Self::from_bits(u64::from_le(n.to_bits()));
    [[u8; 8]; 9]: n => n;
}

/// What a store keeps of every frame beside its record.
pub(super) static COLUMNS: [Column; 4] = [
    Column::new("step", ColumnKind::I64, 1),
    Column::new("time", ColumnKind::F64, 1),
    Column::new("energy", ColumnKind::F64, 1),
    Column::new("cell", ColumnKind::F64, 9),
];

/// How the row of a frame follows from its record.
pub(in crate::codec) const ROWS: RowMaker = RowMaker { columns: &COLUMNS, fill };

fn fill(bytes: &[u8], row: &mut [u64]) -> bool {
    let wanted = Fields::of(&[Field::Step, Field::Time, Field::Energy, Field::Cell]);
    let found = if is_lean(bytes) {
        lean::scalars(bytes).ok().map(|frame| (frame.step, frame.time, frame.energy, frame.cell))
    } else {
        let part = FramePart::find(bytes, bytes.len(), wanted).ok().flatten();
        let frame = part.as_ref().map(FramePart::scalars);
        frame.map(|frame| (frame.step, frame.time, frame.energy, frame.cell))
    };
    let (Some((s, t, e, c)), [step, time, energy, cell @ ..]) = (found, row) else { return false };
    let set = |place: &mut u64, value: Option<u64>| *place = value.unwrap_or(*place);
    set(step, s.map(i64::cast_unsigned));
    set(time, t.map(f64::to_bits));
    set(energy, e.map(f64::to_bits));
    for (place, value) in cell.iter_mut().zip(c.iter().flatten()) {
        *place = value.to_bits();
    }
    true
}
