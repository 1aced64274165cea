//! Checking the index: every page of runs, their order and their filters, and the rows of leaves.

use super::report::{Causes, Damage};
use crate::error::{Error, Result};
use crate::index::filter::Filter;
use crate::index::run::RunEntry;
use crate::limits::INDEX_PAGE;
use crate::store::index::leaf::{Leaf, open};
use crate::store::index::open_run::{OpenRun, Run, RunReader, open_run};
use crate::store::read::reader::Reader;
use crate::store::read::rows::leaf_rows;

/// Reads every page of runs and the rows of leaves; the records of leaves are read one by one.
pub(crate) fn check(reader: &Reader, causes: &mut Causes) -> Result<()> {
    let words = reader.memtable.row_words();
    // A leaf or a page of the directory that cannot be opened is told of with its records.
    for leaf in
        reader.stored_index.leaves_or(&reader.io, reader.memtable.first_record, |_, e| passed(e))?
    {
        let Ok(open) = open(&reader.io, leaf) else { continue };
        if let Some(e) = damage(check_rows(reader, leaf, words))? {
            let cause = causes.cause(Damage::of(&e));
            let count = u64::from(leaf.at.records.get());
            causes.follow(cause, "cannot give their columns", count);
        }
        for e in open.segment.damages_of_copies(&reader.io)? {
            let cause = causes.cause(Damage::of(&e));
            causes.follow(cause, "the other copy of this page of the index may be read instead", 0);
        }
    }
    for run in &reader.stored_index.runs {
        let open = match open_run(&reader.io, run) {
            Ok(open) => open,
            Err(e) if e.is_damage() => {
                causes.cause(Damage::of(&e));
                continue;
            }
            Err(e) => return Err(e),
        };
        let mut whole = true;
        let mut buf = vec![0; INDEX_PAGE];
        for at in (0..open.segment.len()).step_by(INDEX_PAGE) {
            let n = INDEX_PAGE.min(open.segment.len() - at);
            let page = buf.get_mut(..n).unwrap_or_default();
            if let Some(e) = damage(open.segment.read(&reader.io, at, page))? {
                let cause = causes.cause(Damage::of(&e));
                if std::mem::take(&mut whole) {
                    let what =
                        "the order of the entries of its run and their filter could not be checked";
                    causes.follow(cause, what, 0);
                }
            }
        }
        if whole && let Some(e) = damage(check_entries(reader, run, open))? {
            causes.cause(Damage::of(&e));
        }
    }
    Ok(())
}

/// The error, if it is a damage; others are errors of the check.
fn damage(done: Result<()>) -> Result<Option<Error>> {
    match done {
        Ok(()) => Ok(None),
        Err(e) if e.is_damage() => Ok(Some(e)),
        Err(e) => Err(e),
    }
}

/// Passes over a damage.
fn passed(e: Error) -> Result<()> {
    if e.is_damage() { Ok(()) } else { Err(e) }
}

/// Decodes the rows of a leaf.
fn check_rows(reader: &Reader, leaf: &Leaf, words: usize) -> Result<()> {
    let numbers = open(&reader.io, leaf)?.numbers;
    // One behind the columns is asked for too: it must not be there.
    let last = usize::try_from(u128::BITS - numbers.leading_zeros()).unwrap_or(0);
    for number in 0..words.max(last) {
        leaf_rows(&reader.io, leaf, words, number..number + 1)?;
    }
    Ok(())
}

/// The order of the entries of a run, and that its filter knows each of them.
fn check_entries(reader: &Reader, run: &Run, open: &OpenRun) -> Result<()> {
    let seg = &open.segment;
    let mut last: Option<RunEntry> = None;
    // A filter that reaches past the end of the file is not made for comparison.
    let filter_at = run.at.filter_at();
    let filter_end = filter_at.and_then(|at| at.checked_add(run.at.filter_len()));
    if filter_at.is_some() && filter_end.is_none_or(|end| end > reader.io.len()) {
        return Err(seg.corrupt("its filter reaches past the end of the file"));
    }
    let mut filter = Filter::of_blocks(run.at.filter_blocks.get().into())?;
    let mut entries = RunReader::new(&reader.io, run)?;
    while entries.left() > 0 {
        entries.fill(&reader.io)?;
        for e in entries.rest() {
            if last.is_some_and(|l| l > *e) {
                return Err(seg.corrupt("is out of order"));
            }
            filter.insert(e.hash());
            last = Some(*e);
        }
        entries.take(entries.rest().len());
    }
    // A bit that is missing there would hide a record.
    let Some(filter_at) = filter_at else { return Ok(()) };
    let ours = filter.finish(filter_at, &run.at.segment);
    for (ours, at) in ours.chunks(INDEX_PAGE).zip((filter_at..).step_by(INDEX_PAGE)) {
        if !reader.io.bytes(at, ours.len(), |theirs| theirs == ours)? {
            return Err(seg.corrupt("its filter is damaged or does not fit its entries"));
        }
    }
    Ok(())
}
