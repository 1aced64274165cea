//! What one frame adds to the arrays of a batch: its fields by name.

use crate::codec::{DType, Field, MdFrameRef, PlainFrame, PropertyView, RealView, ValuesView};
use std::sync::Arc;

/// The fields that a frame has by itself, in the order in which a batch shows them.
pub(super) const FIELDS: [&str; 12] = [
    "positions",
    "velocities",
    "forces",
    "types",
    "masses",
    "charges",
    "cell",
    "pbc",
    "energy",
    "stress",
    "step",
    "time",
];

/// What one frame adds to one array.
pub(super) enum Piece<'a> {
    F32(&'a [f32]),
    F64(&'a [f64]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    Bool(&'a [bool]),
    Nine([f64; 9]),
    Three([bool; 3]),
    Real(f64),
    Whole(i64),
}

impl Piece<'_> {
    pub(super) const fn kind(&self) -> DType {
        match self {
            Self::F32(_) => DType::F32,
            Self::F64(_) | Self::Nine(_) | Self::Real(_) => DType::F64,
            Self::I32(_) => DType::I32,
            Self::I64(_) | Self::Whole(_) => DType::I64,
            Self::Bool(_) | Self::Three(_) => DType::Bool,
        }
    }

    /// Writes the values as `kind`, which holds all of them, and returns how many bytes.
    pub(super) fn put(&self, kind: DType, out: &mut [u8]) -> Option<usize> {
        match (self, kind) {
            (Self::F32(v), DType::F64) => wide(v.iter().map(|x| f64::from(*x).to_ne_bytes()), out),
            (Self::I32(v), DType::I64) => wide(v.iter().map(|x| i64::from(*x).to_ne_bytes()), out),
            (Self::F32(v), _) => copy(bytemuck::cast_slice(v), out),
            (Self::F64(v), _) => copy(bytemuck::cast_slice(v), out),
            (Self::I32(v), _) => copy(bytemuck::cast_slice(v), out),
            (Self::I64(v), _) => copy(bytemuck::cast_slice(v), out),
            (Self::Bool(v), _) => copy(bytemuck::cast_slice(v), out),
            (Self::Nine(v), _) => copy(bytemuck::bytes_of(v), out),
            (Self::Three(v), _) => copy(&v.map(u8::from), out),
            (Self::Real(v), _) => copy(&v.to_ne_bytes(), out),
            (Self::Whole(v), _) => copy(&v.to_ne_bytes(), out),
        }
    }
}

pub(super) fn copy(from: &[u8], out: &mut [u8]) -> Option<usize> {
    out.get_mut(..from.len())?.copy_from_slice(from);
    Some(from.len())
}

fn wide(values: impl ExactSizeIterator<Item = [u8; 8]>, out: &mut [u8]) -> Option<usize> {
    let len = 8 * values.len();
    let (out, _) = out.get_mut(..len)?.as_chunks_mut::<8>();
    out.iter_mut().zip(values).for_each(|(place, value)| *place = value);
    Some(len)
}

/// What a field adds, and the shape of one entry: of one site if `by_site`, else of one frame.
pub(super) struct Found<'a> {
    pub(super) piece: Piece<'a>,
    pub(super) item_shape: &'a [u32],
    pub(super) by_site: bool,
}

const NINE: &[u32] = &[3, 3];
const THREE: &[u32] = &[3];

fn real(view: RealView<'_>) -> Piece<'_> {
    match view {
        RealView::F32(v) => Piece::F32(v),
        RealView::F64(v) => Piece::F64(v),
    }
}

/// A field of [`FIELDS`] by its number there, so that no name is compared for each frame.
fn field<'a>(frame: &MdFrameRef<'a>, number: usize) -> Option<Found<'a>> {
    let site = |v: Option<RealView<'a>>, item_shape| {
        v.map(|v| Found { piece: real(v), item_shape, by_site: true })
    };
    let whole = |piece, item_shape| Found { piece, item_shape, by_site: false };
    match number {
        0 => site(frame.positions, THREE),
        1 => site(frame.velocities, THREE),
        2 => site(frame.forces, THREE),
        3 => frame.types.map(|v| Found { piece: Piece::I32(v), item_shape: &[], by_site: true }),
        4 => site(frame.masses, &[]),
        5 => site(frame.charges, &[]),
        6 => frame.cell.map(|v| whole(Piece::Nine(v), NINE)),
        7 => frame.pbc.map(|v| whole(Piece::Three(v), THREE)),
        8 => frame.energy.map(|v| whole(Piece::Real(v), &[])),
        9 => frame.stress.map(|v| whole(Piece::Nine(v), NINE)),
        10 => frame.step.map(|v| whole(Piece::Whole(v), &[])),
        11 => frame.time.map(|v| whole(Piece::Real(v), &[])),
        _ => None,
    }
}

/// The same of a frame whose fields are read one by one.
#[inline]
fn read<'a>(frame: &PlainFrame<'a>, number: usize) -> Option<Found<'a>> {
    let site = |v: Option<Option<RealView<'a>>>, item_shape| {
        Some(Found { piece: real(v??), item_shape, by_site: true })
    };
    let whole = |piece, item_shape| Some(Found { piece, item_shape, by_site: false });
    match number {
        0 => site(frame.positions(), THREE),
        1 => site(frame.velocities(), THREE),
        2 => site(frame.forces(), THREE),
        3 => Some(Found { piece: Piece::I32(frame.types()??), item_shape: &[], by_site: true }),
        4 => site(frame.masses(), &[]),
        5 => site(frame.charges(), &[]),
        6 => whole(Piece::Nine(frame.cell()??), NINE),
        7 => whole(Piece::Three(frame.pbc()??), THREE),
        8 => whole(Piece::Real(frame.energy()??), &[]),
        9 => whole(Piece::Nine(frame.stress()??), NINE),
        10 => whole(Piece::Whole(frame.step()??), &[]),
        11 => whole(Piece::Real(frame.time()??), &[]),
        _ => None,
    }
}

/// Type, shape of an entry and whether there is one for each site, of the standard fields.
const FORMS: [(DType, &[u32], bool); 12] = [
    (DType::F64, THREE, true),
    (DType::F64, THREE, true),
    (DType::F64, THREE, true),
    (DType::I32, &[], true),
    (DType::F64, &[], true),
    (DType::F64, &[], true),
    (DType::F64, NINE, false),
    (DType::Bool, THREE, false),
    (DType::F64, &[], false),
    (DType::F64, NINE, false),
    (DType::I64, &[], false),
    (DType::F64, &[], false),
];

/// What a batch takes from each of its frames.
#[derive(Debug, Clone)]
pub(super) struct Name {
    pub(super) text: Arc<str>,
    /// Its number in [`FIELDS`]; else it is an extra property.
    pub(super) number: Option<usize>,
}

impl Name {
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.into(), number: FIELDS.iter().position(|known| *known == text) }
    }

    /// How a standard field looks where no frame has it.
    pub(super) fn form(&self) -> Option<(DType, &'static [u32], bool)> {
        FORMS.get(self.number?).copied()
    }

    /// Which of the standard fields it is.
    pub(super) fn standard(&self) -> Option<Field> {
        Field::from_name(FIELDS.get(self.number?)?)
    }

    pub(super) fn find<'a>(&self, frame: &MdFrameRef<'a>) -> Option<Found<'a>> {
        match self.number {
            Some(number) => field(frame, number),
            None => property(&frame.atom_properties, &self.text, true)
                .or_else(|| property(&frame.frame_properties, &self.text, false)),
        }
    }

    /// As [`find`](Self::find), of standard fields alone.
    #[inline]
    pub(super) fn read<'a>(&self, frame: &PlainFrame<'a>) -> Option<Found<'a>> {
        read(frame, self.number?)
    }

    /// Whether the frame has a standard field of its sites.
    pub(super) fn any_by_site(frame: &MdFrameRef<'_>) -> bool {
        let by_site = (0..).zip(FORMS).filter(|(_, (_, _, by_site))| *by_site);
        by_site.map(|(number, _)| number).any(|number| field(frame, number).is_some())
    }
}

/// How many of the standard fields a frame has.
pub(super) fn standard(frame: &MdFrameRef<'_>) -> usize {
    (0..FIELDS.len()).filter(|number| field(frame, *number).is_some()).count()
}

fn property<'a>(list: &[PropertyView<'a>], name: &str, by_site: bool) -> Option<Found<'a>> {
    let property = list.iter().find(|p| p.name == name)?;
    let piece = match property.values {
        ValuesView::I32(v) => Piece::I32(v),
        ValuesView::I64(v) => Piece::I64(v),
        ValuesView::Bool(v) => Piece::Bool(v),
        ValuesView::Real(v) => real(v),
        ValuesView::Str(_) => return None,
    };
    Some(Found { piece, item_shape: property.shape, by_site })
}
