//! One array of a batch: its type and shape, found in the frames.

use super::field::{FIELDS, Name};
use super::request::{ArrayRequest, KnownArray};
use super::selection::Selection;
use super::survey::Survey;
use crate::codec::{DType, MdFrameRef, RealView};
use crate::error::{Error, Result};
use crate::store::Readable;

/// One array of the result.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: Name,
    pub(super) kind: DType,
    pub(super) by_site: bool,
    pub(super) item_shape: Vec<u32>,
    /// Bytes of one value where a frame does not have the field; none where all have it.
    pub(super) fill: Vec<u8>,
}

impl Column {
    /// Shape of an array of `rows` rows.
    pub(super) fn shape(&self, rows: usize) -> Vec<usize> {
        let item_shape = self.item_shape.iter().map(|n| usize::try_from(*n).unwrap_or(usize::MAX));
        std::iter::once(rows).chain(item_shape).collect()
    }

    /// Bytes of a row.
    pub(super) fn width(&self) -> usize {
        self.shape(1).iter().fold(self.kind.size(), |n, axis| n.saturating_mul(*axis))
    }

    /// Writes what `frame` has of the field into all of `out`; whether it has as much.
    pub(super) fn put(&self, frame: &MdFrameRef<'_>, out: &mut [u8]) -> bool {
        match self.name.find(frame) {
            Some(found) => found.piece.put(self.kind, out) == Some(out.len()),
            None if self.fill.is_empty() => out.is_empty(),
            None => {
                out.chunks_exact_mut(self.fill.len()).for_each(|o| o.copy_from_slice(&self.fill));
                true
            }
        }
    }
}

/// The arrays that frames give.
pub(super) struct Columns<'a> {
    pub(super) from: &'a dyn Readable,
    pub(super) selection: Selection<'a>,
    pub(super) request: &'a ArrayRequest,
}

impl Columns<'_> {
    /// The arrays that these frames give.
    pub(super) fn of(&self, frames: &[MdFrameRef<'_>]) -> Result<Vec<Column>> {
        let all: Vec<Option<Column>> = match &self.request.fields {
            Some(names) => names.iter().map(|n| self.column(frames, n)).collect::<Result<_>>()?,
            None => FIELDS.iter().map(|n| self.column(frames, n)).collect::<Result<_>>()?,
        };
        Ok(all.into_iter().flatten().collect())
    }

    /// The arrays of no frame at all: of the fields that were asked for, or of those that a first
    /// frame would give.
    pub(super) fn of_none(&self) -> Result<Vec<Column>> {
        let fields = self.request.fields.as_deref();
        let survey = Survey::of(self.from, fields.unwrap_or_default())?;
        let all: Vec<&str> = match fields {
            Some(names) => names.iter().map(String::as_str).collect(),
            None if survey.frames == 0 => FIELDS.to_vec(),
            None => survey.first.clone(),
        };
        let column = |text| {
            if let Some((kind, item_shape, by_site)) = survey.form(text) {
                return Ok(Column {
                    name: Name::new(text),
                    kind,
                    by_site,
                    item_shape,
                    fill: Vec::new(),
                });
            }
            form(&[], &Name::new(text)).ok_or_else(|| survey.unknown(text))
        };
        all.into_iter().map(column).collect()
    }

    /// How the frames give one array; `None` if a field that nobody asked for is not in all, or,
    /// where what is missing is filled, in none.
    fn column(&self, frames: &[MdFrameRef<'_>], text: &str) -> Result<Option<Column>> {
        let (who, fill) = (self.selection, &self.request.fill);
        let asked = self.request.fields.is_some();
        let name = Name::new(text);
        let mut column: Option<Column> = None;
        let mut missing = None;
        for (i, frame) in frames.iter().enumerate() {
            let Some(found) = name.find(frame) else {
                if fill.is_none() {
                    return if asked { Err(self.lacks(i, frame, text)) } else { Ok(None) };
                }
                missing = Some(i);
                continue;
            };
            let kind = found.piece.kind();
            match &mut column {
                None => {
                    let (by_site, item_shape) = (found.by_site, found.item_shape.to_vec());
                    let name = name.clone();
                    column = Some(Column { name, kind, by_site, item_shape, fill: Vec::new() });
                }
                Some(c) if c.by_site != found.by_site || c.item_shape != found.item_shape => {
                    return Err(who.differs(i, text, "shape"));
                }
                Some(c) => match (c.kind, kind) {
                    (a, b) if a == b => {}
                    (DType::F32, DType::F64) | (DType::F64, DType::F32) => c.kind = DType::F64,
                    (DType::I32, DType::I64) | (DType::I64, DType::I32) => c.kind = DType::I64,
                    _ => return Err(who.differs(i, text, "type")),
                },
            }
        }
        if column.is_none() && asked {
            column = match form(frames, &name) {
                Some(column) => Some(column),
                None => Some(self.elsewhere(text)?),
            };
        }
        if let (Some(column), Some(fill), Some(_)) = (&mut column, fill, missing) {
            column.fill = fill.bytes(text, column.kind)?;
        }
        Ok(column)
    }

    /// The column of a field that no frame of the batch has, as frames of another store or others of this one have it.
    fn elsewhere(&self, text: &str) -> Result<Column> {
        if let Some(known) = self.request.known.iter().find(|known| known.name == text) {
            let KnownArray { kind, by_site, .. } = *known;
            let (name, item_shape) = (Name::new(text), known.item_shape.clone());
            return Ok(Column { name, kind, by_site, item_shape, fill: Vec::new() });
        }
        let survey = Survey::of(self.from, &[text.to_owned()])?;
        let Some((kind, item_shape, by_site)) = survey.form(text) else {
            return Err(survey.unknown(text));
        };
        Ok(Column { name: Name::new(text), kind, by_site, item_shape, fill: Vec::new() })
    }

    /// The error for a field that was asked for and is not in a frame.
    fn lacks(&self, i: usize, frame: &MdFrameRef<'_>, text: &str) -> Error {
        if !FIELDS.contains(&text)
            && let Err(unknown) = self.elsewhere(text)
        {
            return unknown;
        }
        let own = frame.atom_properties.iter().chain(&frame.frame_properties).map(|p| p.name);
        let there = FIELDS.into_iter().filter(|name| Name::new(name).find(frame).is_some());
        self.selection.lacks(i, text, &there.chain(own).collect::<Vec<_>>().join(", "))
    }
}

/// A standard field that none of the frames has: numbers by site are as wide as the positions.
fn form(frames: &[MdFrameRef<'_>], name: &Name) -> Option<Column> {
    let (kind, item_shape, by_site) = name.form()?;
    let narrow = by_site
        && kind == DType::F64
        && frames.iter().all(|f| matches!(f.positions, Some(RealView::F32(_))));
    let kind = if narrow && !frames.is_empty() { DType::F32 } else { kind };
    Some(Column {
        name: name.clone(),
        kind,
        by_site,
        item_shape: item_shape.to_vec(),
        fill: Vec::new(),
    })
}
