//! Arrays of a trial: owned, and put together from pieces along an axis.

use crate::codec::{ArrayView, DType};
use crate::error::{Error, Result};
use crate::wire::memory;

/// An array that owns its values: little-endian, in C order.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Type of the values.
    pub dtype: DType,
    /// Lengths along the axes.
    pub shape: Vec<u64>,
    /// The values.
    pub data: Vec<u8>,
}

impl Array {
    /// A copy of `view`.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn of(view: &ArrayView<'_>) -> Result<Self> {
        Ok(Self {
            dtype: view.dtype(),
            shape: view.shape().to_vec(),
            data: memory::copied(view.data())?,
        })
    }

    /// The array, borrowed.
    ///
    /// # Errors
    /// [`Error::Codec`] if the values do not fit the shape.
    pub fn view(&self) -> Result<ArrayView<'_>> {
        ArrayView::new(self.dtype, &self.shape, &self.data)
    }
}

/// Along which axis pieces are joined, as `numpy.vstack`, `hstack` and `dstack` do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StackAxis {
    /// Rows below rows; a piece of one axis is a row.
    Rows,
    /// Columns beside columns; pieces of one axis are joined end to end.
    #[default]
    Columns,
    /// Layers behind layers; pieces of one and two axes get the axes that they lack.
    Layers,
}

impl StackAxis {
    /// The number of the axis: 0, 1 or 2.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Rows => 0,
            Self::Columns => 1,
            Self::Layers => 2,
        }
    }

    /// The axis of this number.
    ///
    /// # Errors
    /// [`Error::Invalid`] for any other than 0, 1 and 2.
    pub fn from_number(number: u64) -> Result<Self> {
        match number {
            0 => Ok(Self::Rows),
            1 => Ok(Self::Columns),
            2 => Ok(Self::Layers),
            _ => {
                let why = format!("{number} is not one of 0 (rows), 1 (columns), 2 (layers)");
                Err(Error::invalid("stack axis", why))
            }
        }
    }

    /// The shape of a piece with the axes that joining needs.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a single value, which has no axis.
    pub fn lifted(self, shape: &[u64]) -> Result<Vec<u64>> {
        Ok(match (self, shape) {
            (_, []) => {
                let why = "a single value cannot be stacked; give an array of one entry";
                return Err(Error::invalid("piece", why));
            }
            (Self::Rows, [n]) => vec![1, *n],
            (Self::Layers, [n]) => vec![1, *n, 1],
            (Self::Layers, [m, n]) => vec![*m, *n, 1],
            (_, shape) => shape.to_vec(),
        })
    }

    /// The axis along which pieces of so many axes grow.
    #[must_use]
    pub const fn along(self, axes: usize) -> usize {
        match self {
            Self::Rows => 0,
            Self::Columns if axes == 1 => 0,
            Self::Columns => 1,
            Self::Layers => 2,
        }
    }

    /// Refuses a piece that does not fit those before it; both shapes are lifted.
    ///
    /// # Errors
    /// [`Error::Invalid`] that names both.
    pub(super) fn fits(self, first: (DType, &[u64]), piece: (DType, &[u64])) -> Result<()> {
        if first.0 != piece.0 {
            let why = format!(
                "holds {}, and this piece {}; convert the piece first, so that no value changes \
                 unseen",
                first.0.name(),
                piece.0.name()
            );
            return Err(Error::invalid("piece", why));
        }
        let along = self.along(first.1.len());
        let same = first.1.len() == piece.1.len()
            && first
                .1
                .iter()
                .zip(piece.1)
                .enumerate()
                .all(|(axis, (a, b))| axis == along || a == b);
        if same {
            return Ok(());
        }
        let why = format!(
            "{:?} cannot be joined to {:?} along axis {along}: all other axes must be equal",
            piece.1, first.1
        );
        Err(Error::invalid("piece", why))
    }

    /// All pieces as one array.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none or they do not fit each other, [`Error::OutOfMemory`].
    pub fn joined(self, pieces: &[ArrayView<'_>]) -> Result<Array> {
        let Some(first) = pieces.first() else {
            return Err(Error::invalid("array", "no piece of it was given"));
        };
        let dtype = first.dtype();
        let mut shape = self.lifted(first.shape())?;
        let along = self.along(shape.len());
        let mut total = 0_u64;
        let inner_axes = |shape: &[u64]| -> u64 { shape.iter().skip(along + 1).product() };
        let mut parts = memory::with_room(pieces.len())?;
        for piece in pieces {
            let own = self.lifted(piece.shape())?;
            self.fits((dtype, &shape), (piece.dtype(), &own))?;
            let length = own.get(along).copied().unwrap_or_default();
            total = total.saturating_add(length);
            let bytes = length.saturating_mul(inner_axes(&own)).saturating_mul(dtype.size() as u64);
            parts.push((usize::try_from(bytes).unwrap_or(usize::MAX), piece.data()));
        }
        let outer: u64 = shape.iter().take(along).product();
        if let Some(place) = shape.get_mut(along) {
            *place = total;
        }
        let mut data = memory::with_room(pieces.iter().map(|p| p.data().len()).sum())?;
        for row in 0..usize::try_from(outer).unwrap_or(usize::MAX) {
            for (bytes, piece) in &parts {
                let start = row.saturating_mul(*bytes);
                data.extend_from_slice(piece.get(start..start + bytes).unwrap_or_default());
            }
        }
        Ok(Array { dtype, shape, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(axis: StackAxis, pieces: &[(&[u64], &[i32])]) -> Result<(Vec<u64>, Vec<i32>)> {
        let pieces: Vec<_> =
            pieces.iter().map(|(shape, values)| ArrayView::of(shape, values).unwrap()).collect();
        let whole = axis.joined(&pieces)?;
        let values = whole.data.chunks(4).map(|b| i32::from_le_bytes(b.try_into().unwrap()));
        Ok((whole.shape, values.collect()))
    }

    #[test]
    fn pieces_are_joined_as_numpy_stacks_them() {
        use StackAxis::{Columns, Layers, Rows};
        let one: &[(&[u64], &[i32])] = &[(&[2], &[1, 2]), (&[3], &[3, 4, 5])];
        assert_eq!(joined(Columns, one).unwrap(), (vec![5], vec![1, 2, 3, 4, 5]));
        let two: &[(&[u64], &[i32])] = &[(&[2, 1], &[1, 2]), (&[2, 2], &[3, 4, 5, 6])];
        assert_eq!(joined(Columns, two).unwrap(), (vec![2, 3], vec![1, 3, 4, 2, 5, 6]));
        let rows: &[(&[u64], &[i32])] = &[(&[2], &[1, 2]), (&[2, 2], &[3, 4, 5, 6])];
        assert_eq!(joined(Rows, rows).unwrap(), (vec![3, 2], vec![1, 2, 3, 4, 5, 6]));
        let layers: &[(&[u64], &[i32])] = &[(&[2], &[1, 2]), (&[2], &[3, 4])];
        assert_eq!(joined(Layers, layers).unwrap(), (vec![1, 2, 2], vec![1, 3, 2, 4]));
        let empty: &[(&[u64], &[i32])] = &[(&[2, 0], &[]), (&[2, 1], &[7, 8])];
        assert_eq!(joined(Columns, empty).unwrap(), (vec![2, 1], vec![7, 8]));
        let wrong: &[(&[u64], &[i32])] = &[(&[2, 1], &[1, 2]), (&[3, 1], &[1, 2, 3])];
        let why = joined(Columns, wrong).unwrap_err().to_string();
        assert!(why.contains("[3, 1] cannot be joined to [2, 1]"), "{why}");
        assert!(joined(Rows, &[]).is_err() && StackAxis::from_number(3).is_err());
        assert!(Columns.lifted(&[]).is_err());
    }

    #[test]
    fn another_type_is_refused_and_named() {
        let (a, b) =
            (ArrayView::of(&[1], &[1.0_f32]).unwrap(), ArrayView::of(&[1], &[1_i32]).unwrap());
        let why = StackAxis::Columns.joined(&[a, b]).unwrap_err().to_string();
        assert!(why.contains("float32") && why.contains("int32"), "{why}");
    }
}
