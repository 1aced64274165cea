//! How frames are copied to their rows whose tables are the same: without looking for their fields.

use super::column::Column;
use crate::codec::{KnownField, KnownTable, PlainFrame};
use crate::wire::Row;

/// What is copied from each frame with the same table, in the order of the columns.
#[derive(Debug)]
pub(super) struct Recipe {
    table: KnownTable,
    fields: Vec<KnownField>,
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
        Some(Self { table, fields })
    }

    /// Copies a frame of so many sites to its row; if it is not such a frame, it returns false, and the row is
    /// to be written again.
    #[inline]
    pub(super) fn copied(&self, bytes: &[u8], sites: usize, row: &mut Row<'_>) -> bool {
        self.table.nsites(bytes) == Some(sites)
            && self.fields.iter().enumerate().all(|(i, field)| {
                let (place, numbers) = (row.part(i), self.table.numbers(bytes, sites, field));
                match numbers.filter(|numbers| numbers.len() == place.len()) {
                    Some(numbers) => {
                        place.copy_from_slice(numbers);
                        true
                    }
                    None => false,
                }
            })
    }
}
