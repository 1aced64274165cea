//! Rows of records: columns of numbers, in the leaves and in the newest part of the index. No
//! block of a record is read for them (see `docs/format.md`, «Rows»).

use crate::chunk::with_decoder;
use crate::column::{Column, ColumnValues, RowMaker, no_column};
use crate::error::{Error, Result};
use crate::index::leaf::Place;
use crate::store::index::io::Io;
use crate::store::index::leaf::{Leaf, OpenLeaf, leaf_records, open};
use crate::store::index::row_chunk::{add_up, layout};
use crate::store::options::{Layout, WriteOptions};
use crate::store::read::reader::Reader;
use crate::wire::memory;
use std::ops::Range;

/// A column of some records.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnData {
    /// The column.
    pub column: Column,
    /// Ordinal of the first record.
    pub first: u64,
    /// Its numbers, record by record, [`Column::count`] of each.
    pub values: ColumnValues,
    /// Ordinals of the records of which the store does not keep the column, ascending: those that
    /// were put without a row, and those where its numbers would take much of the file. In `values`
    /// they have none, and what there is to know of them stands in their bytes.
    pub unknown: Vec<u64>,
}

/// The numbers `wanted` of all rows of a leaf, of `words` numbers each: the first of every
/// record, then the second, and so on. `None` if the leaf does not have them all.
pub(crate) fn leaf_rows(
    io: &Io,
    leaf: &Leaf,
    words: usize,
    wanted: Range<usize>,
) -> Result<Option<Vec<u64>>> {
    let OpenLeaf { segment: seg, numbers, .. } = open(io, leaf)?;
    let at = leaf.at.rows_at();
    let has = |number: usize| numbers >> number.min(127) & 1 == 1;
    if wanted.is_empty() || !wanted.clone().all(has) {
        return Ok(None);
    }
    let bad = |why| Error::corrupt("rows", leaf.at.segment.offset.get(), why);
    let layout = layout(io, seg, at)?;
    let records = leaf.at.records.get() as usize;
    let whole = records.checked_mul(numbers.count_ones() as usize).and_then(|n| n.checked_mul(8));
    if whole != Some(layout.nbytes() as usize)
        || wanted.end > words
        || numbers.checked_shr(u32::try_from(words).unwrap_or(128)).is_some_and(|more| more != 0)
    {
        return Err(bad("are not as long as the configuration says"));
    }
    let before = (0..wanted.start).filter(|number| has(*number)).count();
    let wanted = before..before + wanted.len();
    // Both ends lie inside the chunk, whose length has a ceiling.
    let (start, end) = (wanted.start * records * 8, wanted.end * records * 8);
    let mut out = memory::filled(wanted.len() * records, 0_u64)?;
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut out);
    let (mut stream, mut block) = (Vec::new(), Vec::new());
    let size = layout.block_size().max(1) as usize;
    for i in (start / size)..end.div_ceil(size) {
        let number = u32::try_from(i).map_err(|_| bad("block"))?;
        let range = layout.block_range(number);
        memory::resize(&mut stream, range.end.saturating_sub(range.start) as usize, 0)?;
        seg.read(io, at.saturating_add(range.start as usize), &mut stream)?;
        memory::resize(&mut block, layout.block_len(number) as usize, 0)?;
        with_decoder(|d| d.decode(&layout, number, &stream, &mut block))?;
        let (first, last) = (start.max(i * size), end.min(i * size + block.len()));
        let from = first.checked_sub(i * size).and_then(|n| block.get(n..last - i * size));
        let to = bytes.get_mut(first - start..last.saturating_sub(start));
        match (from, to) {
            (Some(from), Some(to)) if from.len() == to.len() => to.copy_from_slice(from),
            _ => return Err(bad("end before their last block")),
        }
    }
    add_up(&mut out, records);
    Ok(Some(out))
}

/// The rows of one record after the other, in ascending order: each leaf is decoded once.
#[derive(Debug, Default)]
pub(crate) struct RowCursor {
    /// First record, number of records, and their rows, one behind the other.
    held: Option<(u64, u64, Vec<u64>)>,
}

impl RowCursor {
    /// The row of a record, if it was put with one.
    pub(crate) fn row<'a>(
        &'a mut self,
        reader: &'a Reader,
        id: u64,
        entry: &Place,
    ) -> Result<Option<&'a [u64]>> {
        let words = reader.memtable.row_words();
        if !entry.has_row || words == 0 {
            return Ok(None);
        }
        if let Some(i) = id.checked_sub(reader.memtable.first_record) {
            return Ok(usize::try_from(i).ok().and_then(|i| reader.memtable.row(i)));
        }
        let inside = |(first, count, _): &(u64, u64, Vec<u64>)| {
            id.checked_sub(*first).is_some_and(|i| i < *count)
        };
        if !self.held.as_ref().is_some_and(inside) {
            let leaf = reader.stored_index.leaf_of(&reader.io, id)?;
            let leaf = leaf.ok_or_else(|| Error::corrupt("rows", id, "are in no leaf"))?;
            // Where not all numbers are kept they follow from the record again.
            let rows = whole_rows(&reader.io, leaf, words)?.unwrap_or_default();
            let at = &leaf.at;
            self.held = Some((at.first_record.get(), u64::from(at.records.get()), rows));
        }
        Ok(self.held.as_ref().and_then(|(first, _, rows)| {
            let at = usize::try_from(id - first).ok()?.checked_mul(words)?;
            rows.get(at..at.checked_add(words)?)
        }))
    }
}

/// All rows of a leaf, record by record; `None` if it does not have all numbers of them.
pub(crate) fn whole_rows(io: &Io, leaf: &Leaf, words: usize) -> Result<Option<Vec<u64>>> {
    let Some(planes) = leaf_rows(io, leaf, words, 0..words)? else { return Ok(None) };
    turned(&planes, leaf.at.records.get() as usize).map(Some)
}

/// Numbers of each record together, from the first of every record, then the second, and so on.
fn turned(planes: &[u64], records: usize) -> Result<Vec<u64>> {
    let mut out = memory::with_room(planes.len())?;
    for record in 0..records {
        out.extend(planes.iter().skip(record).step_by(records.max(1)));
    }
    Ok(out)
}

/// How a row of one store becomes one of another: by the names of the columns.
#[derive(Debug, Default)]
pub(crate) struct RowMap {
    /// For each number of the new row, its place in the old one; `None` where the old store
    /// does not have all columns of the new one.
    from: Option<Vec<usize>>,
    space: Vec<u64>,
}

impl RowMap {
    pub(crate) fn new(old: &[Column], new: &[Column]) -> Self {
        let mut from = Vec::new();
        for column in new {
            match Column::find(old, &column.name) {
                Some((at, found)) if found == column => from.extend(at..at + column.count as usize),
                _ => return Self::default(),
            }
        }
        Self { from: (!from.is_empty()).then_some(from), space: Vec::new() }
    }

    /// The row in the new store.
    pub(crate) fn apply(&mut self, row: Option<&[u64]>) -> Option<&[u64]> {
        let (row, from) = (row?, self.from.as_ref()?);
        self.space.clear();
        for at in from {
            self.space.push(*row.get(*at)?);
        }
        Some(&self.space)
    }
}

/// Makes rows from the bytes of records, in the columns of one store.
#[derive(Debug)]
pub(crate) struct Maker {
    maker: RowMaker,
    map: RowMap,
    absent: Vec<u64>,
    made: Vec<u64>,
}

impl Maker {
    /// The one that these options name, if it fills all columns of this layout.
    pub(crate) fn new(options: &WriteOptions, layout: &Layout) -> Option<Self> {
        let maker = options.rows?;
        let map = RowMap::new(maker.columns, layout.columns());
        let absent = Column::absent(maker.columns);
        map.from.is_some().then_some(Self { maker, map, absent, made: Vec::new() })
    }

    /// The row of these bytes, if they are such a record.
    pub(crate) fn row(&mut self, bytes: &[u8]) -> Option<&[u64]> {
        self.made.clear();
        self.made.extend_from_slice(&self.absent);
        (self.maker.fill)(bytes, &mut self.made).then_some(())?;
        self.map.apply(Some(&self.made))
    }
}

/// What of every record a column takes.
enum Source {
    Weight,
    Bytes,
    Row(Range<usize>),
}

impl Reader {
    /// The column `name` of the live records at these ordinals.
    pub(crate) fn column(
        &self,
        columns: &[Column],
        name: &str,
        ordinals: Range<u64>,
    ) -> Result<ColumnData> {
        let (source, column) = match name {
            "weight" => (Source::Weight, &Column::WEIGHT),
            "bytes" => (Source::Bytes, &Column::BYTES),
            _ => {
                let (at, column) = Column::find(columns, name).ok_or_else(|| no_column(name))?;
                (Source::Row(at..at + column.count as usize), column)
            }
        };
        let ordinals = ordinals.start..ordinals.end.min(self.live());
        let mut taken = Taken {
            ordinal: ordinals.start,
            words: Vec::new(),
            unknown: Vec::new(),
            absent: vec![column.kind.absent(); column.count as usize],
        };
        if !ordinals.is_empty() {
            let ids = self.id_at(ordinals.start)?..self.id_at(ordinals.end - 1)? + 1;
            self.take(&source, ids, &mut taken)?;
        }
        let values = ColumnValues::from_words(column.kind, taken.words);
        let (column, unknown) = (column.clone(), taken.unknown);
        Ok(ColumnData { column, first: ordinals.start, values, unknown })
    }

    fn take(&self, source: &Source, ids: Range<u64>, out: &mut Taken) -> Result<()> {
        let mut dead = self.dead()?.iter_from(ids.start).peekable();
        let mut is_dead = |id| dead.next_if_eq(&id).is_some();
        let words = self.memtable.row_words();
        let mut places = Vec::new();
        for leaf in self.stored_index.all_leaves(&self.io)? {
            let first = leaf.at.first_record.get();
            let end = first.saturating_add(u64::from(leaf.at.records.get()));
            if end <= ids.start || first >= ids.end {
                continue;
            }
            let records = leaf_records(&self.io, leaf)?;
            let planes = match source {
                Source::Row(wanted) => leaf_rows(&self.io, leaf, words, wanted.clone())?,
                _ => None,
            };
            for group in 0..records.groups() {
                let here = records.group_at(group);
                let (id, n) = (first + here.start as u64, here.len() as u64);
                if id.saturating_add(n) <= ids.start || id >= ids.end {
                    continue;
                }
                records.places(group, &mut places)?;
                for (i, (id, entry)) in here.zip((id..).zip(&places)) {
                    if ids.contains(&id) && !is_dead(id) {
                        let row = planes.as_ref().filter(|_| entry.has_row);
                        let row = row.map(|p| p.iter().skip(i).step_by(records.records()));
                        out.push(source, entry, row);
                    }
                }
            }
        }
        for (i, (id, entry)) in
            (self.memtable.first_record..).zip(&self.memtable.records).enumerate()
        {
            if ids.contains(&id) && !is_dead(id) {
                let row = match source {
                    Source::Row(wanted) => {
                        self.memtable.row(i).and_then(|r| r.get(wanted.clone())).map(<[u64]>::iter)
                    }
                    _ => None,
                };
                out.push(source, &entry.into(), row);
            }
        }
        Ok(())
    }
}

/// A column as it grows.
struct Taken {
    ordinal: u64,
    words: Vec<u64>,
    unknown: Vec<u64>,
    absent: Vec<u64>,
}

impl Taken {
    fn push<'a>(
        &mut self,
        source: &Source,
        entry: &Place,
        row: Option<impl Iterator<Item = &'a u64>>,
    ) {
        match (source, row) {
            (Source::Weight, _) => self.words.push(u64::from(entry.weight)),
            (Source::Bytes, _) => self.words.push(u64::from(entry.len)),
            (Source::Row(_), Some(row)) => self.words.extend(row),
            (Source::Row(_), None) => {
                self.words.extend_from_slice(&self.absent);
                self.unknown.push(self.ordinal);
            }
        }
        self.ordinal += 1;
    }
}
