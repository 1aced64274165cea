//! How frames are copied to their rows that are made as one before: without looking for their fields.

use super::column::Column;
use crate::codec::{FormField, KnownField, KnownForm, KnownTable, PlainFrame};
use crate::wire::Row;

/// What is copied from each frame that is made alike, in the order of the columns.
#[derive(Debug)]
pub(super) enum Recipe {
    /// Frames with the same table.
    Table(KnownTable, Vec<KnownField>),
    /// Lean frames with the same fields.
    Lean(KnownForm, Vec<FormField>),
}

impl Recipe {
    /// The one for frames like this, which gives what `columns` say; `None` where its numbers are not copied as
    /// they are.
    pub(super) fn new(columns: &[Column], frame: &PlainFrame<'_>) -> Option<Self> {
        let table = KnownTable::of(frame)?;
        let field = |column: &Column| {
            let field = table.field(frame, column.name.standard()?)?;
            (field.kind() == column.kind && field.is_by_site() == column.by_site).then_some(field)
        };
        let fields = columns.iter().map(field).collect::<Option<_>>()?;
        Some(Self::Table(table, fields))
    }

    /// The one for frames of this form.
    pub(super) fn lean(columns: &[Column], form: KnownForm) -> Option<Self> {
        let field = |column: &Column| {
            let field = form.field(column.name.standard()?)?;
            (field.kind() == column.kind && field.is_by_site() == column.by_site).then_some(field)
        };
        Some(Self::Lean(form, columns.iter().map(field).collect::<Option<_>>()?))
    }

    /// Copies a frame of so many sites to its row; if it is not such a frame, it returns false, and the row is
    /// to be written again.
    #[inline]
    pub(super) fn copied(&self, bytes: &[u8], sites: usize, row: &mut Row<'_>) -> bool {
        match self {
            Self::Table(table, fields) => {
                table.nsites(bytes) == Some(sites)
                    && fields.iter().enumerate().all(|(i, field)| {
                        let (place, numbers) = (row.part(i), table.numbers(bytes, sites, field));
                        match numbers.filter(|numbers| numbers.len() == place.len()) {
                            Some(numbers) => {
                                place.copy_from_slice(numbers);
                                true
                            }
                            None => false,
                        }
                    })
            }
            Self::Lean(form, fields) => {
                form.nsites(bytes) == Some(sites)
                    && fields
                        .iter()
                        .enumerate()
                        .all(|(i, field)| form.copy(bytes, sites, field, row.part(i)))
            }
        }
    }
}
