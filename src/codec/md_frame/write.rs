//! A frame as a FlatBuffer, written front to back straight into the caller's buffer.
//!
//! The builder of the `flatbuffers` crate writes back to front into a buffer of its own, which
//! is then copied and cleared, and it panics past 2 GiB. Writing forwards copies each array
//! once. The wire format leaves the order of parts free: only offsets to strings, vectors and
//! tables must point forwards, and a table's first word leads to its vtable.
//!
//! Source: "FlatBuffers Internals" of the FlatBuffers documentation. The generated accessors
//! with their verifier read the result (tests here and in `tests/library/records.rs`).

use super::name::NAME;
use crate::codec::generated::md::{MdFrame as Wire, Property as WireProperty};
use crate::codec::slices::{bounded, bytes_of};
use crate::codec::{MdFrameRef, PropertyView, RealView, TextView, ValuesView};
use crate::wire::memory;
use crate::{Error, Result};
use flatbuffers::VOffsetT;

/// Room for the parts that are not arrays: vtable, table, paddings.
const FIXED: usize = 512;
/// The same for one property.
const FIXED_PROPERTY: usize = 128;

/// Appends the record of a frame that was checked, with `quantised` in the place of its positions if
/// that is given.
pub(in crate::codec) fn append(
    frame: &MdFrameRef<'_>,
    quantised: Option<&[u32]>,
    out: &mut Vec<u8>,
) -> Result<()> {
    let room = room(frame);
    bounded(room as u64)?;
    memory::reserve(out, room)?;
    Record::behind(out).frame(frame, quantised)
}

/// What the record needs at most.
fn room(frame: &MdFrameRef<'_>) -> usize {
    let properties = frame.atom_properties.iter().chain(&frame.frame_properties).map(|p| {
        [FIXED_PROPERTY, p.name.len(), size_of_val(p.shape), values_len(&p.values)]
            .into_iter()
            .fold(0, usize::saturating_add)
    });
    [FIXED, frame.name.map_or(0, str::len), frame.types.map_or(0, size_of_val)]
        .into_iter()
        .chain(
            [frame.masses, frame.positions, frame.velocities, frame.forces, frame.charges]
                .map(real_len),
        )
        .chain(properties)
        .fold(0, usize::saturating_add)
}

/// Bytes of such values.
pub(in crate::codec) fn real_len(v: Option<RealView<'_>>) -> usize {
    match v {
        None => 0,
        Some(RealView::F32(v)) => size_of_val(v),
        Some(RealView::F64(v)) => size_of_val(v),
    }
}

/// Bytes of such values in a record.
pub(in crate::codec) fn values_len(v: &ValuesView<'_>) -> usize {
    match *v {
        ValuesView::I32(v) => size_of_val(v),
        ValuesView::I64(v) => size_of_val(v),
        ValuesView::Real(v) => real_len(Some(v)),
        // Offset, length, text, zero byte and padding.
        ValuesView::Str(v) => v.iter().fold(0usize, |n, text| n.saturating_add(text.len() + 12)),
        ValuesView::Bool(v) => v.len(),
    }
}

/// A present field of a table: its place in the vtable and what it holds.
pub(in crate::codec) struct Field<'a> {
    slot: VOffsetT,
    content: Content<'a>,
    /// Where in the record the table keeps the field; known once the table is written.
    at: usize,
}

pub(in crate::codec) enum Content<'a> {
    U8(u8),
    I32(i32),
    F32(f32),
    I64(i64),
    F64(f64),
    Matrix([f64; 9]),
    Vector { len: usize, align: usize, bytes: &'a [u8] },
    Text(&'a str),
    Texts(TextView<'a>),
    Properties(&'a [PropertyView<'a>]),
}

impl Content<'_> {
    /// Alignment of what stands in the table itself.
    fn align(&self) -> usize {
        match self {
            Self::U8(_) => 1,
            Self::I64(_) | Self::F64(_) | Self::Matrix(_) => 8,
            _ => 4,
        }
    }
}

/// The present fields of one table.
pub(in crate::codec) struct Fields<'a>(Vec<Field<'a>>);

impl<'a> Fields<'a> {
    pub(in crate::codec) fn new() -> Self {
        Self(Vec::with_capacity(24))
    }

    pub(in crate::codec) fn put<T>(
        &mut self,
        slot: VOffsetT,
        value: Option<T>,
        content: fn(T) -> Content<'a>,
    ) {
        if let Some(value) = value {
            self.0.push(Field { slot, content: content(value), at: 0 });
        }
    }

    pub(in crate::codec) fn vector<T: bytemuck::NoUninit>(
        &mut self,
        slot: VOffsetT,
        values: &'a [T],
    ) -> Result<()> {
        let bytes = bytes_of(NAME, values)?;
        let content = Content::Vector { len: values.len(), align: align_of::<T>(), bytes };
        self.0.push(Field { slot, content, at: 0 });
        Ok(())
    }

    pub(in crate::codec) fn real(
        &mut self,
        slots: [VOffsetT; 2],
        values: Option<RealView<'a>>,
    ) -> Result<()> {
        let [narrow, wide] = slots;
        match values {
            None => Ok(()),
            Some(RealView::F32(v)) => self.vector(narrow, v),
            Some(RealView::F64(v)) => self.vector(wide, v),
        }
    }
}

pub(in crate::codec) struct Record<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
}

impl<'o> Record<'o> {
    /// A record behind what `out` holds.
    pub(in crate::codec) fn behind(out: &'o mut Vec<u8>) -> Self {
        let start = out.len();
        Self { out, start }
    }

    /// Writes the root offset and the table that it leads to, or nothing.
    pub(in crate::codec) fn root(&mut self, mut fields: Fields<'_>) -> Result<()> {
        self.extend(&[0; 4]);
        let written = self.table(&mut fields.0).and_then(|table| self.lead(0, table));
        if written.is_err() {
            self.out.truncate(self.start);
        }
        written
    }

    fn frame(&mut self, frame: &MdFrameRef<'_>, quantised: Option<&[u32]>) -> Result<()> {
        let nsites = i32::try_from(frame.nsites)
            .map_err(|_| Error::codec(NAME, "more than 2^31 - 1 sites"))?;
        let bits = |[a, b, c]: [bool; 3]| u8::from(a) | u8::from(b) << 1 | u8::from(c) << 2;
        let mut f = Fields::new();
        f.put(Wire::VT_NAME, frame.name, Content::Text);
        f.put(Wire::VT_NSITES, Some(nsites), Content::I32);
        f.put(Wire::VT_STEP, frame.step, Content::I64);
        f.put(Wire::VT_TIME, frame.time, Content::F64);
        f.put(Wire::VT_CELL, frame.cell, Content::Matrix);
        f.put(Wire::VT_PBC, frame.pbc.map(bits), Content::U8);
        f.put(Wire::VT_ENERGY, frame.energy, Content::F64);
        f.put(Wire::VT_STRESS, frame.stress, Content::Matrix);
        f.put(Wire::VT_PRECISION, frame.precision, Content::F32);
        if let Some(types) = frame.types {
            f.vector(Wire::VT_TYPES, types)?;
        }
        f.real([Wire::VT_MASSES, Wire::VT_MASSES64], frame.masses)?;
        f.real([Wire::VT_CHARGES, Wire::VT_CHARGES64], frame.charges)?;
        match quantised {
            Some(words) => f.vector(Wire::VT_QUANTISED_POSITIONS, words)?,
            None => f.real([Wire::VT_POSITIONS, Wire::VT_POSITIONS64], frame.positions)?,
        }
        f.real([Wire::VT_VELOCITIES, Wire::VT_VELOCITIES64], frame.velocities)?;
        f.real([Wire::VT_FORCES, Wire::VT_FORCES64], frame.forces)?;
        let some = |p: &'_ [PropertyView<'_>]| !p.is_empty();
        let atom = some(&frame.atom_properties).then_some(&*frame.atom_properties);
        f.put(Wire::VT_ATOM_PROPERTIES, atom, Content::Properties);
        let frame_wide = some(&frame.frame_properties).then_some(&*frame.frame_properties);
        f.put(Wire::VT_FRAME_PROPERTIES, frame_wide, Content::Properties);

        if let Some(topology) = &frame.topology {
            f.vector(Wire::VT_TOPOLOGY, topology.as_bytes())?;
        }
        self.root(f)
    }

    fn property(&mut self, property: &PropertyView<'_>) -> Result<usize> {
        let mut f = Fields(Vec::with_capacity(3));
        f.put(WireProperty::VT_NAME, Some(property.name), Content::Text);
        if !property.shape.is_empty() {
            f.vector(WireProperty::VT_SHAPE, property.shape)?;
        }
        match property.values {
            ValuesView::I32(v) => f.vector(WireProperty::VT_INTS, v)?,
            ValuesView::I64(v) => f.vector(WireProperty::VT_LONGS, v)?,
            ValuesView::Real(v) => {
                f.real([WireProperty::VT_FLOATS, WireProperty::VT_DOUBLES], Some(v))?;
            }
            ValuesView::Str(v) => f.put(WireProperty::VT_TEXTS, Some(v), Content::Texts),
            ValuesView::Bool(v) => f.vector(WireProperty::VT_TRUTHS, v)?,
        }
        self.table(&mut f.0)
    }

    /// Writes vtable and table, then what the table's fields lead to; returns where the table is.
    fn table(&mut self, fields: &mut [Field<'_>]) -> Result<usize> {
        let last = fields.iter().map(|f| usize::from(f.slot)).max().unwrap_or(2);
        let vtable_len = last + 2;
        self.pad(vtable_len, 8);
        let vtable = self.at();
        let table = vtable + vtable_len;
        self.zeros(vtable_len);
        self.extend(&[0; 4]);
        self.lead_back(table, vtable)?;
        // Four-byte fields first: they fill the gap before the first multiple of 8.
        for align in [4, 8, 1] {
            for field in fields.iter_mut().filter(|f| f.content.align() == align) {
                self.pad(0, align);
                field.at = self.at();
                self.half(vtable + usize::from(field.slot), field.at - table)?;
                match &field.content {
                    Content::U8(v) => self.extend(&[*v]),
                    Content::I32(v) => self.extend(&v.to_le_bytes()),
                    Content::F32(v) => self.extend(&v.to_le_bytes()),
                    Content::I64(v) => self.extend(&v.to_le_bytes()),
                    Content::F64(v) => self.extend(&v.to_le_bytes()),
                    Content::Matrix(m) => m.iter().for_each(|v| self.extend(&v.to_le_bytes())),
                    _ => self.extend(&[0; 4]),
                }
            }
        }
        self.half(vtable, vtable_len)?;
        self.half(vtable + 2, self.at() - table)?;
        for field in fields.iter() {
            self.follow(field)?;
        }
        Ok(table)
    }

    /// Writes what an offset field leads to.
    fn follow(&mut self, field: &Field<'_>) -> Result<()> {
        match field.content {
            Content::Vector { len, align, bytes } => {
                let at = self.vector(len, align)?;
                self.extend(bytes);
                self.lead(field.at, at)
            }
            Content::Text(text) => self.text(field.at, text),
            Content::Texts(texts) => {
                let at = self.vector(texts.len(), 4)?;
                self.lead(field.at, at)?;
                let first = self.at();
                self.zeros(4 * texts.len());
                for (i, text) in texts.iter().enumerate() {
                    self.text(first + 4 * i, text)?;
                }
                Ok(())
            }
            Content::Properties(properties) => {
                let at = self.vector(properties.len(), 4)?;
                self.lead(field.at, at)?;
                let first = self.at();
                self.zeros(4 * properties.len());
                for (i, property) in properties.iter().enumerate() {
                    let table = self.property(property)?;
                    self.lead(first + 4 * i, table)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Begins a vector whose values lie at a multiple of `align`.
    fn vector(&mut self, len: usize, align: usize) -> Result<usize> {
        self.pad(4, align.max(4));
        let at = self.at();
        let len = u32::try_from(len).map_err(|_| too_long())?;
        self.extend(&len.to_le_bytes());
        Ok(at)
    }

    fn text(&mut self, field: usize, text: &str) -> Result<()> {
        let at = self.vector(text.len(), 4)?;
        self.extend(text.as_bytes());
        self.extend(&[0]);
        self.lead(field, at)
    }

    fn at(&self) -> usize {
        self.out.len() - self.start
    }

    fn extend(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn zeros(&mut self, n: usize) {
        self.out.resize(self.out.len() + n, 0);
    }

    /// Zeros until what comes `ahead` bytes later lies at a multiple of `align`.
    fn pad(&mut self, ahead: usize, align: usize) {
        let at = self.at() + ahead;
        self.zeros(at.next_multiple_of(align) - at);
    }

    fn patch(&mut self, at: usize, bytes: &[u8]) -> Result<()> {
        let at = self.start + at;
        self.out.get_mut(at..at + bytes.len()).ok_or_else(too_long)?.copy_from_slice(bytes);
        Ok(())
    }

    /// The offset field at `at` leads forwards to `target`.
    fn lead(&mut self, at: usize, target: usize) -> Result<()> {
        let offset = u32::try_from(target - at).map_err(|_| too_long())?;
        self.patch(at, &offset.to_le_bytes())
    }

    /// The first word of the table at `at` leads back to its vtable.
    fn lead_back(&mut self, at: usize, vtable: usize) -> Result<()> {
        let offset = i32::try_from(at - vtable).map_err(|_| too_long())?;
        self.patch(at, &offset.to_le_bytes())
    }

    fn half(&mut self, at: usize, value: usize) -> Result<()> {
        let value = u16::try_from(value).map_err(|_| too_long())?;
        self.patch(at, &value.to_le_bytes())
    }
}

fn too_long() -> Error {
    Error::codec(NAME, "a part of the frame is too long for a record")
}
