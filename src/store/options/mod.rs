//! How a store is made, written and read: plain values, checked once when used.
//!
//! [`Layout`] is kept by the file, [`WriteOptions`] and [`ReadOptions`] belong to who has it open;
//! [`StoreOptions`] is what a new store is made with.

mod handle;
mod layout;
mod named_values;

pub use handle::{ReadOptions, WriteOptions};
pub use layout::Layout;
pub use named_values::{Alignment, Compression, Durability, OriginalTable, Purpose};

use crate::column::Column;
use crate::error::Result;

/// A new store: the layout that its file keeps, and how its writer works.
///
/// ```
/// use vlstore::{Durability, Layout, Purpose, StoreOptions, WriteOptions};
/// let options = StoreOptions {
///     layout: Layout { purpose: Purpose::Random, ..Layout::default() },
///     write: WriteOptions { durability: Durability::Sync, ..WriteOptions::default() },
/// };
/// assert!(options.check().is_ok());
/// ```
#[derive(Debug, Clone, Default)]
pub struct StoreOptions {
    /// What the file keeps.
    pub layout: Layout,
    /// What the writer does.
    pub write: WriteOptions,
}

impl StoreOptions {
    /// Refuses combinations that cannot work.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) that names the option and what would work.
    pub fn check(&self) -> Result<()> {
        self.layout.check()?;
        Column::check(self.columns())
    }

    /// The columns of a store that is made so, beside those that every store has.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        let own = self.layout.columns.as_deref();
        own.or(self.write.rows.map(|maker| maker.columns)).unwrap_or_default()
    }

    /// The layout of the file, with its columns.
    pub(crate) fn kept(&self) -> Layout {
        Layout { columns: Some(self.columns().to_vec()), ..self.layout.clone() }
    }
}

impl From<Layout> for StoreOptions {
    fn from(layout: Layout) -> Self {
        Self { layout, write: WriteOptions::default() }
    }
}
