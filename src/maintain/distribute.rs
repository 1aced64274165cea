//! The records of a source, in order, to several new stores: where each ends, and writing them.

use crate::dataset::Source;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::maintain::copy::Target;
use crate::maintain::shared_transfer::{Refers, SharedTransfer};
use crate::maintain::transfer::{RecordTransfer, stream};
use std::collections::HashSet;

/// Where a new file begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SplitBy {
    /// After so many records.
    Records(u64),
    /// Before the bytes of the records, decoded, exceed this; a larger record has a file of its
    /// own.
    Bytes(u64),
    /// At the records under these keys.
    Keys(Vec<Key>),
    /// So that there are so many files, which have about equally much of something.
    Parts {
        /// Number of files; fewer if there are fewer records.
        count: u64,
        /// What they have about equally much of.
        balance: Balance,
    },
}

/// What parts have about equally much of: the difference is at most that of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Balance {
    /// Records.
    #[default]
    Records,
    /// Bytes of the records, decoded.
    Bytes,
    /// What the codec counts: sites of frames.
    Weight,
}

impl Balance {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Records, Self::Bytes, Self::Weight];

    /// The name on the command line and in Python.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Bytes => "bytes",
            Self::Weight => "weight",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|b| b.name() == name)
    }
}

/// Behind which ordinal each part ends; at most `most` of them.
pub(crate) fn ends(source: &Source, by: &SplitBy, most: u64) -> Result<Vec<u64>> {
    let starts: HashSet<&Key> = match by {
        SplitBy::Records(0) | SplitBy::Bytes(0) => {
            return Err(Error::invalid("size of a part", "is 0; give 1 or more"));
        }
        SplitBy::Parts { count: 0, .. } => {
            return Err(Error::invalid("number of parts", "is 0; give 1 or more"));
        }
        SplitBy::Parts { count, .. } if *count > most => return Err(too_many(*count, most)),
        SplitBy::Keys(keys) => keys.iter().collect(),
        _ => HashSet::new(),
    };
    for key in &starts {
        if source.find_key(key)?.is_none() {
            return Err(Error::NotFound { key: key.to_string().into() });
        }
    }
    let total = match by {
        SplitBy::Parts { balance, .. } => amount(source, *balance)?,
        _ => 0,
    };
    let mut ends = Vec::new();
    let (mut records, mut bytes, mut sum) = (0, 0_u64, 0_u128);
    source.visit_index(&mut |ordinal, key, place| {
        let full = match by {
            SplitBy::Records(most) => records >= *most,
            SplitBy::Bytes(most) => bytes.saturating_add(place.len()) > *most,
            SplitBy::Keys(_) => key.is_some_and(|k| starts.contains(&k)),
            SplitBy::Parts { count, balance } => {
                let own = each(*balance, &place);
                // Where the middle of a record is behind the end of a part, the next part has it.
                let end = u128::from(total) * (ends.len() as u128 + 1) * 2;
                let behind = (sum * 2 + u128::from(own)) * u128::from(*count) > end;
                sum += u128::from(own);
                let left = count - 1 - (ends.len() as u64).min(count - 1);
                left > 0 && (behind || source.len() - ordinal <= left)
            }
        };
        if full && records > 0 {
            ends.push(ordinal);
            (records, bytes) = (0, 0);
            if ends.len() as u64 >= most {
                return Err(too_many(ends.len() as u64 + 1, most));
            }
        }
        records += 1;
        bytes = bytes.saturating_add(place.len());
        Ok(())
    })?;
    ends.push(source.len());
    Ok(ends)
}

fn each(balance: Balance, place: &crate::store::Location) -> u64 {
    match balance {
        Balance::Records => 1,
        Balance::Bytes => place.len(),
        Balance::Weight => u64::from(place.weight),
    }
}

/// How much of something all records have.
fn amount(source: &Source, balance: Balance) -> Result<u64> {
    let mut sum = 0_u64;
    source.visit_index(&mut |_, _, place| {
        sum = sum.saturating_add(each(balance, &place));
        Ok(())
    })?;
    Ok(sum)
}

const fn too_many(asked: u64, max: u64) -> Error {
    Error::Limit { what: "files of one split", asked, max }
}

/// Writes the records up to each of `ends` to a store of its own: `begin` makes that with a number,
/// `finish` gets it when it has its records.
pub(crate) fn distribute(
    source: &Source,
    ends: &[u64],
    refers: Option<Refers>,
    mut begin: impl FnMut(usize) -> Result<Target>,
    mut finish: impl FnMut(Target) -> Result<()>,
    progress: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Result<()> {
    let total = source.record_bytes();
    let attributes = source.attributes();
    let mut begin = |number| -> Result<Target> {
        let mut target = begin(number)?;
        if attributes.is_object() {
            target.writer.set_attributes(&attributes)?;
        }
        Ok(target)
    };
    let (mut now, mut number) = (Some(begin(0)?), 0);
    let (mut ordinal, mut done) = (0, 0);
    for part in source.parts() {
        let part = part?;
        let mut carry: Option<(usize, SharedTransfer<'_>)> = None;
        let written = stream(
            &part.snapshot,
            |ordinal, _, _| Ok(ordinal < part.records),
            |item| {
                if ends.get(number).is_some_and(|end| *end == ordinal) {
                    now.take().map_or(Ok(()), &mut finish)?;
                    number += 1;
                    now = Some(begin(number)?);
                }
                ordinal += 1;
                if let Some(target) = &mut now {
                    let writer = &mut target.writer;
                    let carry = match &mut carry {
                        Some((of, carry)) if *of == number => carry,
                        carry => {
                            let new = SharedTransfer::new(&part.snapshot, refers, writer)?;
                            &mut carry.insert((number, new)).1
                        }
                    };
                    carry.before(item.key, item.bytes, writer)?;
                    RecordTransfer::new(&part.snapshot, writer).put(writer, item.key, &item)?;
                }
                done += item.bytes.len() as u64;
                progress(done.min(total), total)
            },
        );
        written.map_err(|e| part.named(e))?;
    }
    now.take().map_or(Ok(()), &mut finish)
}
