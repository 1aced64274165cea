//! What the index knows of a series, and which records hold which points of it.

use super::ids::{Role, key};
use crate::codec::{Codec, Growth, SeriesCodec, SeriesHead};
use crate::error::{Error, Result};
use crate::key::Key;
use crate::store::Readable;
use crate::wire::AlignedBuf;
use std::ops::Range;

/// A series as the index has it.
#[derive(Debug, Clone)]
pub(super) struct KnownSeries {
    pub(super) id: Key,
    /// The ordinal of its start.
    pub(super) ordinal: u64,
    /// Points of its start.
    pub(super) start: u64,
    pub(super) growth: Option<Growth>,
    /// Where start and growth lie in the byte space of the file, in which no place is used twice: as
    /// long as both are the same, so is the series.
    pub(super) stamp: (u64, u64),
}

/// Some points of a series: the record that holds them, and where they are in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) role: Role,
    /// The position of its first point.
    pub(super) first: u64,
    pub(super) points: u64,
}

/// That there is no series of this id.
pub(super) fn unknown(id: &Key) -> Error {
    Error::NotFound { key: format!("of the series {id}").into() }
}

/// Puts the name of the series before an error.
pub(super) fn of_series(id: &Key) -> impl FnOnce(Error) -> Error {
    let key = format!("series {id}").into();
    move |source| match source {
        Error::Codec { .. } | Error::NotFound { .. } => {
            Error::Record { key, source: Box::new(source) }
        }
        other => other.of_record(&key),
    }
}

/// Of a series that is only in part in the store, and of one whose parts are those of two.
pub(super) const CUT: &str =
    "is cut: its first points are here, and the account of the others is not";
pub(super) const MIXED: &str = "is mixed: its parts are of two series that had this id";

/// That the parts of a series do not belong together, and how that is put right.
pub(super) fn cut(what: &str) -> Error {
    let why = format!(
        "{what}. Commands that choose records (copy --keys, copy --match, split, rm, merge) do not know series; \
         store it again from where it is whole, in Python manager.store(id, other.lazy(id)), or remove it: \
         manager.remove(id)"
    );
    Error::codec("series", why)
}

impl KnownSeries {
    /// The series `id`, if there is one.
    pub(super) fn find(store: &dyn Readable, id: &Key) -> Result<Option<Self>> {
        let Some(ordinal) = store.find_key(id)? else { return Ok(None) };
        let at = store.location_at(ordinal)?;
        let (growth, grown) = match store.find_key(&key(id, Role::Growth))? {
            None => (None, u64::MAX),
            Some(account) => {
                let record = store.get_at(account).map_err(of_series(id))?;
                (
                    Some(account_of(&record).map_err(of_series(id))?),
                    store.location_at(account)?.start,
                )
            }
        };
        // The start of a series that has grown weighs what no other weighs.
        match (&growth, at.weight == u32::MAX) {
            (None, true) => return Err(of_series(id)(cut(CUT))),
            (Some(_), false) => return Err(of_series(id)(cut(MIXED))),
            _ => {}
        }
        let start = growth.as_ref().map_or(at.weight.into(), |g| g.start);
        let stamp = (at.start, grown);
        Ok(Some(Self { id: id.clone(), ordinal, start, growth, stamp }))
    }

    /// The mark that all its records have.
    pub(super) fn mark(&self) -> u64 {
        self.growth.as_ref().map_or(0, |g| g.mark)
    }

    pub(super) fn len(&self) -> u64 {
        self.growth.as_ref().map_or(self.start, |g| g.len)
    }

    /// Whether it has times, and the number of its channels.
    pub(super) fn shape(&self, store: &dyn Readable) -> Result<(bool, usize)> {
        if let Some(growth) = &self.growth {
            return Ok((growth.times, growth.channels as usize));
        }
        let head = head_at(store, self.ordinal).map_err(of_series(&self.id))?;
        Ok((head.times, head.channels as usize))
    }

    /// The records with the points at `range`.
    pub(super) fn parts(&self, range: Range<u64>) -> Vec<Part> {
        let mut out = Vec::new();
        if range.is_empty() {
            return out;
        }
        let mut add = |role, first: u64, points: u64| {
            if points > 0 && first < range.end && range.start < first + points {
                out.push(Part { role, first, points });
            }
            first + points
        };
        let mut at = add(Role::Start, 0, self.start);
        let Some(growth) = &self.growth else { return out };
        // Of very many blocks those outside are not gone through.
        let skipped = (range.start.saturating_sub(at) / growth.block).min(growth.blocks);
        let behind = range.end.saturating_sub(at).div_ceil(growth.block);
        for n in skipped..growth.blocks.min(behind) {
            add(Role::Block(n), at + n * growth.block, growth.block);
        }
        at += growth.blocks * growth.block;
        for (n, points) in (0..).zip(&growth.pieces) {
            at = add(Role::Piece(n), at, *points);
        }
        out
    }

    pub(super) fn key(&self, part: &Part) -> Key {
        key(&self.id, part.role)
    }
}

/// What the record at `ordinal` says of itself.
pub(super) fn head_at(store: &dyn Readable, ordinal: u64) -> Result<SeriesHead> {
    let len = store.location_at(ordinal)?.len();
    let head = store.get_parts_at(&[(ordinal, 0..len.min(SeriesHead::LEN as u64))])?;
    SeriesCodec.peek(head.get(0).unwrap_or_default())
}

/// The account in a record.
pub(super) fn account_of(record: &[u8]) -> Result<Growth> {
    let mut space = AlignedBuf::default();
    let view = SeriesCodec.decode(crate::codec::aligned(record, &mut space)?)?;
    let none = || Error::codec("series", "the record under the key of its account is none");
    view.growth().cloned().ok_or_else(none)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_range_are_those_that_touch_it() {
        let growth = Growth {
            mark: 1,
            channels: 1,
            times: false,
            sorted: false,
            last: 0.0,
            len: 25,
            start: 10,
            block: 4,
            blocks: 3,
            pieces: vec![2, 1],
        };
        let id = Key::from("x");
        let entry = KnownSeries { id, ordinal: 0, start: 10, growth: Some(growth), stamp: (0, 0) };
        let all = entry.parts(0..25);
        let starts: Vec<u64> = all.iter().map(|p| p.first).collect();
        assert_eq!(starts, [0, 10, 14, 18, 22, 24]);
        for start in 0..25 {
            for end in start..26 {
                let expected: Vec<Part> = all
                    .iter()
                    .filter(|p| p.first < end && start < p.first + p.points && start < end)
                    .cloned()
                    .collect();
                assert_eq!(entry.parts(start..end), expected, "{start}..{end}");
            }
        }
    }
}
