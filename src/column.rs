//! Numbers that a store keeps of every record beside its bytes, so that they can be read for all
//! records without decoding one: the columns, and the row of a record.

use crate::error::{Error, Result};
use crate::limits::{COLUMN_NAME, COLUMNS, ROW_MAX};
use crate::wire::Digest;
use std::borrow::Cow;
use std::fmt;

/// What the numbers of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnKind {
    /// Integers of 64 bits; `i64::MIN` where a record has none.
    I64,
    /// Floating-point numbers of 64 bits; NaN where a record has none.
    F64,
}

impl ColumnKind {
    /// The name in a file and on the command line: `i64` or `f64`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::I64 => "i64",
            Self::F64 => "f64",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::I64, Self::F64].into_iter().find(|kind| kind.name() == name)
    }

    /// The bits that stand for no value.
    #[must_use]
    pub const fn absent(self) -> u64 {
        match self {
            Self::I64 => i64::MIN.cast_unsigned(),
            Self::F64 => f64::NAN.to_bits(),
        }
    }
}

/// A column: its name, what its numbers are, and how many of them each record has.
///
/// ```
/// use vlstore::{Column, ColumnKind};
/// const ENERGY: Column = Column::new("energy", ColumnKind::F64, 1);
/// assert_eq!(ENERGY.name, "energy");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Column {
    /// The name: 1 to 64 bytes, unique in its store, and neither `weight` nor `bytes`, which
    /// every store has.
    pub name: Cow<'static, str>,
    /// What its numbers are.
    pub kind: ColumnKind,
    /// Numbers of each record: 1, or 9 for the vectors of a cell.
    pub count: u32,
}

impl Column {
    /// The column that every store has: what the codec counts, the sites of a frame.
    pub const WEIGHT: Self = Self::new("weight", ColumnKind::I64, 1);
    /// The column that every store has: lengths of the records in bytes.
    pub const BYTES: Self = Self::new("bytes", ColumnKind::I64, 1);

    /// A column of `count` numbers for each record.
    #[must_use]
    pub const fn new(name: &'static str, kind: ColumnKind, count: u32) -> Self {
        Self { name: Cow::Borrowed(name), kind, count }
    }

    /// Refuses columns that cannot be kept together.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that is empty, too long, taken or given twice, and for a
    /// column without numbers; [`Error::Limit`] for too many columns or numbers.
    pub fn check(columns: &[Self]) -> Result<()> {
        let bad = |name: &str, why: &str| {
            Err(Error::invalid("column", format!("{name:?} {why}; choose another name")))
        };
        if columns.len() > COLUMNS {
            let (asked, max) = (columns.len() as u64, COLUMNS as u64);
            return Err(Error::Limit { what: "number of columns", asked, max });
        }
        for (i, column) in columns.iter().enumerate() {
            let name = &*column.name;
            if name.is_empty() || name.len() > COLUMN_NAME {
                return bad(name, "is not a name of 1 to 64 bytes");
            }
            if name == Self::WEIGHT.name || name == Self::BYTES.name {
                return bad(name, "is a column that every store has");
            }
            if columns.iter().take(i).any(|other| other.name == column.name) {
                return bad(name, "is given twice");
            }
            if column.count == 0 {
                return Err(Error::invalid("column", format!("{name:?} has no number at all")));
            }
        }
        let words: u64 = columns.iter().map(|c| u64::from(c.count)).sum();
        if words > ROW_MAX as u64 {
            return Err(Error::Limit {
                what: "numbers in all columns together",
                asked: words,
                max: ROW_MAX as u64,
            });
        }
        Ok(())
    }

    /// Numbers of one record in all of `columns`, which were checked.
    #[must_use]
    pub fn words(columns: &[Self]) -> usize {
        columns.iter().map(|c| c.count as usize).sum()
    }

    /// Where the numbers of the column `name` begin in a row, and the column.
    #[must_use]
    pub fn find<'a>(columns: &'a [Self], name: &str) -> Option<(usize, &'a Self)> {
        let mut at = 0;
        for column in columns {
            if column.name == name {
                return Some((at, column));
            }
            at += column.count as usize;
        }
        None
    }

    /// The bits of a row in which no column has a value.
    #[must_use]
    pub fn absent(columns: &[Self]) -> Vec<u64> {
        let each = |c: &Self| std::iter::repeat_n(c.kind.absent(), c.count as usize);
        columns.iter().flat_map(each).collect()
    }
}

/// How a writer learns whether bytes are a record of the codec that its store names, in this
/// version of it: the number of sites (`None` if it leaves them to the caller), or an error that
/// says why they are none.
///
/// What the record refers to is asked for by its digest: `shared` calls the closure with the bytes
/// of that shared record, or refuses. `codec::check` is the one for the codecs of this release.
pub type RecordCheck =
    fn(codec: &str, version: u32, bytes: &[u8], shared: &SharedLookup<'_>) -> Result<Option<u32>>;

/// Calls its closure with the bytes of the shared record of this digest, or returns the error that
/// says why there are none.
pub type SharedLookup<'a> = dyn Fn(&Digest, &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> + 'a;

/// The numbers of one record, column by column.
///
/// ```
/// use vlstore::{Column, ColumnKind, Row};
/// let columns = [Column::new("step", ColumnKind::I64, 1), Column::new("box", ColumnKind::F64, 3)];
/// let mut row = Row::new(&columns);
/// row.set_i64("step", &[500])?;
/// row.set_f64("box", &[1.0, 2.0, 3.0])?;
/// assert!(row.set_f64("step", &[1.0]).is_err());
/// # Ok::<(), vlstore::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Row<'a> {
    columns: &'a [Column],
    words: Vec<u64>,
}

impl<'a> Row<'a> {
    /// A row without any value; `columns` are those of the store.
    #[must_use]
    pub fn new(columns: &'a [Column]) -> Self {
        Self { columns, words: Column::absent(columns) }
    }

    /// The columns of the row.
    #[must_use]
    pub const fn columns(&self) -> &'a [Column] {
        self.columns
    }

    /// Sets a column of integers.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the column does not exist, [`Error::Invalid`] if it has other
    /// numbers or another number of them.
    pub fn set_i64(&mut self, name: &str, values: &[i64]) -> Result<()> {
        self.set(name, ColumnKind::I64, values.iter().map(|v| v.cast_unsigned()))
    }

    /// Sets a column of floating-point numbers.
    ///
    /// # Errors
    /// As [`Row::set_i64`].
    pub fn set_f64(&mut self, name: &str, values: &[f64]) -> Result<()> {
        self.set(name, ColumnKind::F64, values.iter().map(|v| v.to_bits()))
    }

    fn set(
        &mut self,
        name: &str,
        kind: ColumnKind,
        values: impl ExactSizeIterator<Item = u64>,
    ) -> Result<()> {
        let (at, column) = Column::find(self.columns, name).ok_or_else(|| no_column(name))?;
        let count = column.count as usize;
        if column.kind != kind || values.len() != count {
            return Err(Error::invalid(
                "row",
                format!(
                    "the column {name:?} has {count} of {}, not {} of {}",
                    column.kind.name(),
                    values.len(),
                    kind.name()
                ),
            ));
        }
        for (place, value) in self.words.iter_mut().skip(at).zip(values) {
            *place = value;
        }
        Ok(())
    }

    /// The bits of the numbers, column by column.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.words
    }
}

/// That a store has no column of this name.
pub(crate) fn no_column(name: &str) -> Error {
    Error::NotFound { key: format!("column {name:?}").into() }
}

/// How the row of a record follows from its bytes: what a codec tells a writer, so that every
/// way of putting a record fills its row.
#[derive(Clone, Copy)]
pub struct RowMaker {
    /// The columns that it fills, and those that a new store is made with.
    pub columns: &'static [Column],
    /// Writes the numbers of a record, as bits, over a row of absent values; whether the bytes
    /// are such a record. It must give the same for the same bytes at any time.
    pub fill: fn(bytes: &[u8], row: &mut [u64]) -> bool,
}

impl fmt::Debug for RowMaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowMaker").field("columns", &self.columns).finish_non_exhaustive()
    }
}

/// What the bytes of a codec's records tell by themselves: what a codec tells a recovery, so that
/// what the index said of a record and is lost follows from the record again.
#[derive(Debug, Clone, Copy)]
pub struct Content {
    /// The shared record that a record refers to, if it refers to one.
    pub reference: fn(bytes: &[u8]) -> Option<Digest>,
    /// Whether a shared record of this codec may begin with these bytes, which go on to whatever
    /// lies behind it. A record is looked for only if it says so, so it must never deny one.
    pub shared: fn(bytes: &[u8]) -> bool,
    /// The weight of a record; `None` if the bytes are not such a record.
    pub weight: fn(bytes: &[u8]) -> Option<u32>,
    /// The row of a record, for codecs that have one.
    pub rows: Option<RowMaker>,
}

/// A column that was read.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnValues {
    /// Integers.
    I64(Vec<i64>),
    /// Floating-point numbers.
    F64(Vec<f64>),
}

impl ColumnValues {
    /// Number of values.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::I64(v) => v.len(),
            Self::F64(v) => v.len(),
        }
    }

    /// Whether there are no values.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values, if they are integers.
    #[must_use]
    pub fn as_i64(&self) -> Option<&[i64]> {
        match self {
            Self::I64(v) => Some(v),
            Self::F64(_) => None,
        }
    }

    /// The values, if they are floating-point numbers.
    #[must_use]
    pub fn as_f64(&self) -> Option<&[f64]> {
        match self {
            Self::I64(_) => None,
            Self::F64(v) => Some(v),
        }
    }

    /// The bits of the values.
    #[must_use]
    pub fn into_words(self) -> Vec<u64> {
        match self {
            Self::I64(v) => v.into_iter().map(i64::cast_unsigned).collect(),
            Self::F64(v) => v.into_iter().map(f64::to_bits).collect(),
        }
    }

    /// Values from their bits.
    #[must_use]
    pub fn from_words(kind: ColumnKind, words: Vec<u64>) -> Self {
        match kind {
            ColumnKind::I64 => Self::I64(words.into_iter().map(u64::cast_signed).collect()),
            ColumnKind::F64 => Self::F64(words.into_iter().map(f64::from_bits).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_cannot_be_kept_are_refused_by_name() {
        let a = Column::new("a", ColumnKind::F64, 1);
        assert!(Column::check(&[]).is_ok());
        assert!(Column::check(&[a.clone(), Column { name: "b".into(), ..a.clone() }]).is_ok());
        for (bad, why) in [
            (vec![a.clone(), a.clone()], "twice"),
            (vec![Column { name: "".into(), ..a.clone() }], "1 to 64"),
            (vec![Column { name: "x".repeat(65).into(), ..a.clone() }], "1 to 64"),
            (vec![Column::WEIGHT], "every store has"),
            (vec![Column { count: 0, ..a.clone() }], "no number"),
            (vec![Column { count: 129, ..a.clone() }], "129"),
            (vec![a.clone(); 65], "65"),
        ] {
            let error = Column::check(&bad).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_row_takes_what_its_columns_are_and_nothing_else() {
        let columns =
            [Column::new("n", ColumnKind::I64, 1), Column::new("cell", ColumnKind::F64, 2)];
        let mut row = Row::new(&columns);
        assert_eq!(row.words(), Column::absent(&columns));
        row.set_f64("cell", &[1.0, -0.0]).unwrap();
        assert_eq!(row.words(), [1 << 63, 1.0_f64.to_bits(), 1 << 63]);
        assert!(matches!(row.set_i64("m", &[1]).unwrap_err(), Error::NotFound { .. }));
        assert!(row.set_i64("cell", &[1, 2]).is_err());
        assert!(row.set_i64("n", &[1, 2]).is_err());
        assert_eq!(Column::find(&columns, "cell").map(|c| c.0), Some(1));
    }
}
