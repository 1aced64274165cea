//! Which of the inputs that are given a store has frames of: told by their content, so that one
//! that was moved, renamed, compressed or has grown is known again.

use super::inputs::Given;
use super::record::{ImportRecord, InputEntry};
use crate::error::{Error, Result, Unresumed};
use crate::formats::{self, ContentPart, Sum};
use crate::printable::printable_path;

/// What was found of all inputs.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// What its user should know.
    pub(super) notes: Vec<String>,
}

/// How an input compares with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Likeness {
    /// Another one.
    None,
    /// It begins with the same frame.
    Begins,
    /// All that was read of the row is in it.
    Whole,
}

/// Sets [`Given::row`] of each input that a row of the record is about.
pub(super) fn find(given: &mut [Given], record: &ImportRecord) -> Result<Found> {
    let mut likeness = Vec::with_capacity(given.len());
    for input in given.iter() {
        likeness.push(compare(input, &record.rows)?);
    }
    let by_path = |input: &Given, row: usize| {
        record.rows.get(row).is_some_and(|r| input.path == Some(r.path))
    };
    let mut used = vec![false; record.rows.len()];
    // Those that are where they were come first, so that a copy does not take their place.
    for moved in [false, true] {
        for i in 0..given.len() {
            let rest: Vec<usize> = candidates(&likeness, i)
                .filter(|row| !used.get(*row).copied().unwrap_or(true))
                .filter(|row| moved || given.get(i).is_some_and(|g| by_path(g, *row)))
                .collect();
            let Some(input) = given.get(i).filter(|g| g.row.is_none()) else { continue };
            let Some(last) = rest.last().copied() else { continue };
            // An input that the store has twice and that is given once is the later of the two.
            let others = (i + 1..given.len())
                .filter(|j| given.get(*j).is_some_and(|g| g.row.is_none()))
                .filter(|j| moved || given.get(*j).is_some_and(|g| by_path(g, last)))
                .filter(|j| candidates(&likeness, *j).any(|row| row == last))
                .count();
            let choice = rest.len().saturating_sub(1 + others);
            let Some(row) = rest.get(choice).copied() else { continue };
            debug_assert!(input.row.is_none());
            if let Some(used) = used.get_mut(row) {
                *used = true;
            }
            if let Some(input) = given.get_mut(i) {
                input.row = Some(row);
            }
        }
    }
    let mut found = Found::default();
    for (input, likeness) in given.iter().zip(&likeness).filter(|(input, _)| input.row.is_none()) {
        let rows = record.rows.iter().zip(likeness);
        for (row, likeness) in rows {
            if input.path == Some(row.path) && *likeness != Likeness::Whole {
                return Err(replaced(input, row, *likeness));
            }
        }
        let alike = record.rows.iter().zip(likeness).find(|(_, l)| **l == Likeness::Begins);
        if let Some((row, _)) = alike {
            found.notes.push(format!(
                "{} begins with the same frame as {}, of which the store has {} frames; it is \
                 taken for another input",
                printable_path(&input.name),
                row.file,
                row.next.frame
            ));
        }
    }
    Ok(found)
}

fn candidates(likeness: &[Vec<Likeness>], i: usize) -> impl Iterator<Item = usize> {
    let rows = likeness.get(i).into_iter().flatten().enumerate();
    rows.filter(|(_, l)| **l == Likeness::Whole).map(|(row, _)| row)
}

fn compare(input: &Given, rows: &[InputEntry]) -> Result<Vec<Likeness>> {
    let mut out = vec![Likeness::None; rows.len()];
    if input.path.is_none() || rows.is_empty() {
        return Ok(out);
    }
    let head = formats::head(&input.name)?;
    let mut parts = Vec::new();
    for (i, (row, out)) in rows.iter().zip(&mut out).enumerate() {
        let begins = head.get(..row.head.len as usize).is_some_and(|b| Sum::of(b) == row.head);
        if row.head.len > 0 && begins {
            *out = Likeness::Begins;
            parts.push((i, ContentPart { end: row.next.byte, len: row.tail.len }));
        }
    }
    let list: Vec<ContentPart> = parts.iter().map(|(_, w)| *w).collect();
    for ((row, _), sum) in parts.iter().zip(formats::part_sums(&input.name, &list)?) {
        if let (Some(out), Some(row)) = (out.get_mut(*row), rows.get(*row))
            && sum == Some(row.tail)
        {
            *out = Likeness::Whole;
        }
    }
    Ok(out)
}

fn replaced(input: &Given, row: &InputEntry, likeness: Likeness) -> Error {
    let stored = row.next.frame;
    let what = if likeness == Likeness::None {
        "is not the file that it was: its content is another from the beginning on"
    } else if input.bytes < row.next.byte && input.bytes < row.bytes {
        "is shorter than it was"
    } else {
        "is not the file that it was: what was read of it has changed"
    };
    let why = format!("it {what}; the store has {stored} frames of it");
    Error::resume(Unresumed::Replaced, why).at(&input.name)
}
