//! Reading packed records where they lie.

use super::keys::{At, GroupKeys, HEAD_MAX, Head, Kind, KindKeys, order};
use super::places::{KeptPlaces, Place, Places};
use super::{DIRECTORY, Defect, GROUP, WORD, text};
use crate::error::{Error, Result};
use crate::index::layout::KEY_NONE;
use std::cmp::Ordering;
use std::ops::Range;

/// Where packed records lie, with checksums that are compared before their bytes are shown.
pub trait Source {
    /// Calls `f` with the bytes `range` of the packed records.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for what is damaged or lies outside, errors of reading.
    fn with<R>(&self, range: Range<usize>, f: impl FnOnce(&[u8]) -> R) -> Result<R>;

    /// The error for what they say.
    fn defect(&self, why: Defect) -> Error;
}

/// The packed records of a leaf.
#[derive(Debug)]
pub struct Packed<S> {
    pub(super) source: S,
    records: usize,
    len: usize,
    ordered: u8,
}

/// Where a group lies in the packed records.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) n: usize,
    places: Range<usize>,
    keys: Range<usize>,
}

/// Bytes that are looked at together where one look would do for them all, at most.
pub(super) const AT_ONCE: usize = 4096;

/// The two numbers of an entry of the directory, in bytes.
pub(super) fn entry([a, b, c, d, e, f, g, h]: [u8; DIRECTORY]) -> (usize, usize) {
    let bytes = |n: [u8; 4]| (u32::from_le_bytes(n) as usize).saturating_mul(WORD);
    (bytes([a, b, c, d]), bytes([e, f, g, h]))
}

pub(super) const DISORDER: Defect = "the groups of its records do not follow each other";

impl<S: Source> Packed<S> {
    /// `records` packed into `len` bytes; `ordered` as [`super::Records`] has it.
    pub const fn new(source: S, records: usize, len: usize, ordered: u8) -> Self {
        Self { source, records, len, ordered }
    }

    /// Number of records.
    pub const fn records(&self) -> usize {
        self.records
    }

    /// Number of groups, each of which has [`GROUP`] records but for the last.
    pub const fn groups(&self) -> usize {
        self.records.div_ceil(GROUP)
    }

    /// The positions of the records of group `g` in the leaf.
    pub fn group_at(&self, g: usize) -> Range<usize> {
        let start = g.saturating_mul(GROUP).min(self.records);
        start..start.saturating_add(GROUP).min(self.records)
    }

    /// The kind of all keys, if each is greater than the one before; records without a key and
    /// shared ones do not count.
    pub fn ascending(&self) -> Option<u8> {
        (self.ordered != KEY_NONE).then_some(self.ordered)
    }

    pub(super) fn told<T>(&self, told: Result<Result<T, Defect>>) -> Result<T> {
        told?.map_err(|why| self.source.defect(why))
    }

    /// The two numbers of each of `n` entries of the directory from `first` on, in bytes.
    pub(super) fn directory<const N: usize>(&self, first: usize) -> Result<[(usize, usize); N]> {
        let at = first * DIRECTORY;
        self.told(self.source.with(at..at + N * DIRECTORY, |bytes| {
            let (entries, _) = bytes.as_chunks::<DIRECTORY>();
            let entries: [[u8; DIRECTORY]; N] = entries.try_into().map_err(|_| DISORDER)?;
            Ok(entries.map(entry))
        }))
    }

    pub(super) fn group(&self, g: usize) -> Result<Group> {
        self.group_within(g, self.directory(g)?)
    }

    /// Group `g`, whose entry of the directory and the next one are given.
    pub(super) fn group_within(&self, g: usize, entries: [(usize, usize); 2]) -> Result<Group> {
        let [(places, keys), (places_end, keys_end)] = entries;
        let follow = (self.groups() + 1) * DIRECTORY <= places
            && places <= places_end
            && places_end <= keys
            && keys <= keys_end
            && keys_end <= self.len;
        if !follow {
            return Err(self.source.defect(DISORDER));
        }
        let n = self.records.saturating_sub(g * GROUP).min(GROUP);
        Ok(Group { n, places: places..places_end, keys: keys..keys_end })
    }

    /// Whether the groups fill the packed records from their first byte to their last.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if not, errors of reading.
    pub fn check(&self) -> Result<()> {
        let right = if self.records == 0 {
            self.len == 0
        } else {
            let [(first, keys)] = self.directory(0)?;
            let [(end, keys_end)] = self.directory(self.groups())?;
            first == (self.groups() + 1) * DIRECTORY && end == keys && keys_end == self.len
        };
        if right { Ok(()) } else { Err(self.source.defect(DISORDER)) }
    }

    /// Where the places of group `g` lie in the packed records.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a damage, errors of reading.
    pub fn places_at(&self, g: usize) -> Result<Range<usize>> {
        Ok(self.group(g)?.places)
    }

    /// The record at position `i` of the leaf.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a damage, errors of reading.
    pub fn place(&self, i: usize) -> Result<Place> {
        let group = self.group(i / GROUP)?;
        let get = |bytes: &[u8]| Places::parse(bytes, group.n)?.get(i % GROUP);
        self.told(self.source.with(group.places, get))
    }

    /// The places of group `g`, to be kept; nothing if they cannot be.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a damage, errors of reading.
    pub fn kept_places(&self, g: usize) -> Result<Option<KeptPlaces>> {
        let group = self.group(g)?;
        self.source.with(group.places, |bytes| KeptPlaces::new(bytes, group.n))
    }

    /// Puts the records of group `g` into `out`, in place of what it held.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a damage, errors of reading.
    pub fn places(&self, g: usize, out: &mut Vec<Place>) -> Result<()> {
        let group = self.group(g)?;
        out.clear();
        let list = |bytes: &[u8]| Places::parse(bytes, group.n)?.list(0..group.n, out);
        self.told(self.source.with(group.places.clone(), list))
    }

    /// Puts the keys of group `g` into `out`, in place of what it held.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a damage, errors of reading.
    pub fn keys(&self, g: usize, out: &mut GroupKeys) -> Result<()> {
        let group = self.group(g)?;
        self.told(self.source.with(group.keys, |bytes| out.fill(bytes, group.n)))
    }

    /// Calls `f` with the place of every record and with kind and bytes of its key.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a damage, errors of reading, those of `f`.
    pub fn each(&self, mut f: impl FnMut(usize, &Place, u8, &[u8]) -> Result<()>) -> Result<()> {
        self.check()?;
        let (mut places, mut keys) = (Vec::new(), GroupKeys::default());
        for g in 0..self.groups() {
            self.places(g, &mut places)?;
            self.keys(g, &mut keys)?;
            for (i, place) in places.iter().enumerate() {
                let (kind, key) = keys.get(i);
                f(g * GROUP + i, place, kind, key)?;
            }
        }
        Ok(())
    }

    /// Calls `f` with the keys of a part of a group.
    pub(super) fn with_kind<R>(
        &self,
        part: &KindKeys,
        f: impl FnOnce(&Kind<'_>) -> Result<R, Defect>,
    ) -> Result<R> {
        let head = part.at.start..part.at.end.min(part.at.start + HEAD_MAX);
        self.told(self.source.with(head, |bytes| {
            let kind = Kind::parse(bytes, part.at.len(), part.n)?;
            if kind.kind != part.kind && part.kind != KEY_NONE {
                return Err("keys of a group are of another kind than it says");
            }
            f(&kind)
        }))
    }

    /// The keys among which that of the record at position `i` of a group stands, and its
    /// position there; nothing if it has none.
    fn part_of(&self, group: &Group, i: usize) -> Result<Option<(KindKeys, usize)>> {
        if group.keys.is_empty() {
            return Ok(None);
        }
        let shift = |part: KindKeys| {
            let at = part.at.start + group.keys.start..part.at.end + group.keys.start;
            KindKeys { at, ..part }
        };
        let head = group.keys.start..group.keys.end.min(group.keys.start + HEAD_MAX);
        let found = self.told(self.source.with(head, |bytes| {
            Ok(match Head::parse(bytes, group.keys.len(), group.n)? {
                Head::One(kind) => {
                    Some((KindKeys { kind: kind.kind, at: 0..group.keys.len(), n: group.n }, i))
                }
                Head::Mixed(mixed) => mixed.find(i),
            })
        }))?;
        Ok(found.filter(|(part, _)| part.kind != KEY_NONE).map(|(part, i)| (shift(part), i)))
    }

    /// The keys of `kind` in a group.
    pub(super) fn part_with(&self, group: &Group, kind: u8) -> Result<Option<KindKeys>> {
        if group.keys.is_empty() {
            return Ok(None);
        }
        let head = group.keys.start..group.keys.end.min(group.keys.start + HEAD_MAX);
        self.told(self.source.with(head, |bytes| {
            let (len, first) = (group.keys.len(), group.keys.start);
            Ok(match Head::parse(bytes, len, group.n)? {
                Head::One(one) => (one.kind == kind).then(|| KindKeys {
                    kind,
                    at: group.keys.clone(),
                    n: group.n,
                }),
                Head::Mixed(mixed) => mixed
                    .parts()
                    .find(|p| p.kind == kind && p.n > 0)
                    .map(|p| KindKeys { at: p.at.start + first..p.at.end + first, ..p }),
            })
        }))
    }

    /// Puts the key of the record at position `i` of the leaf into `out`; its kind,
    /// [`KEY_NONE`] if it has none.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a damage, errors of reading.
    pub fn key(&self, i: usize, out: &mut Vec<u8>) -> Result<u8> {
        out.clear();
        let group = self.group(i / GROUP)?;
        let Some((part, i)) = self.part_of(&group, i % GROUP)? else { return Ok(KEY_NONE) };
        let at = self.with_kind(&part, |kind| kind.key(i, out))?;
        let shift = |at: Range<usize>| part.at.start + at.start..part.at.start + at.end;
        match at {
            At::Known => {}
            At::Bytes(at) => self.source.with(shift(at), |bytes| {
                out.extend_from_slice(bytes);
            })?,
            At::Front(at, i, _) => {
                self.told(self.source.with(shift(at), |bytes| text::front(bytes, i, out)))?;
            }
        }
        Ok(part.kind)
    }

    /// Whether the record at position `i` of the leaf has this key.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a damage, errors of reading.
    pub fn key_is(&self, i: usize, kind: u8, key: &[u8]) -> Result<bool> {
        let group = self.group(i / GROUP)?;
        let told = self.with_one(&group, |one, bytes| {
            if one.kind != kind {
                return Ok(false);
            }
            Ok(order_in(one, bytes, i % GROUP, key)? == Ordering::Equal)
        })?;
        if let Some(told) = told {
            return Ok(told);
        }
        match self.part_of(&group, i % GROUP)? {
            Some((part, i)) if part.kind == kind => {
                Ok(self.compare(&part, i, key)? == Ordering::Equal)
            }
            _ => Ok(false),
        }
    }

    /// What `f` tells of the keys of a group, if they are of one kind and few bytes, so that they are
    /// looked at once; else nothing.
    pub(super) fn with_one<R>(
        &self,
        group: &Group,
        f: impl FnOnce(&Kind<'_>, &[u8]) -> Result<R, Defect>,
    ) -> Result<Option<R>> {
        if group.keys.is_empty() || group.keys.len() > AT_ONCE {
            return Ok(None);
        }
        self.told(self.source.with(group.keys.clone(), |bytes| {
            match Head::parse(bytes, bytes.len(), group.n)? {
                Head::One(one) => f(&one, bytes).map(Some),
                Head::Mixed(_) => Ok(None),
            }
        }))
    }

    /// How the key at position `i` of a part compares with `wanted`.
    pub(super) fn compare(&self, part: &KindKeys, i: usize, wanted: &[u8]) -> Result<Ordering> {
        let at = match self.with_kind(part, |kind| kind.compare(i, wanted))? {
            Ok(order) => return Ok(order),
            Err(at) => at,
        };
        let shift = |at: Range<usize>| part.at.start + at.start..part.at.start + at.end;
        match at {
            At::Known => Err(self.source.defect(DISORDER)),
            At::Bytes(at) => self.source.with(shift(at), |bytes| order(part.kind, bytes, wanted)),
            At::Front(at, i, n) => {
                let order = self.told(self.source.with(shift(at), |bytes| {
                    text::compare_fronts(bytes, n, wanted, |j, order| (j == i).then_some(order))
                }))?;
                order.ok_or_else(|| self.source.defect(DISORDER))
            }
        }
    }

    /// Kind and bytes of the first key of an ascending leaf; nothing if the leaf is none.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a damage, errors of reading.
    pub fn first_key(&self) -> Result<Option<(u8, Vec<u8>)>> {
        self.outer_key(0..self.groups(), |_| 0)
    }

    /// As [`Packed::first_key`], the last one.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a damage, errors of reading.
    pub fn last_key(&self) -> Result<Option<(u8, Vec<u8>)>> {
        self.outer_key((0..self.groups()).rev(), |n| n - 1)
    }

    fn outer_key(
        &self,
        groups: impl Iterator<Item = usize>,
        pick: impl Fn(usize) -> usize,
    ) -> Result<Option<(u8, Vec<u8>)>> {
        let Some(kind) = self.ascending() else { return Ok(None) };
        for g in groups {
            let group = self.group(g)?;
            if let Some(part) = self.part_with(&group, kind)? {
                let mut out = Vec::new();
                let i = self.position(&group, kind, pick(part.n))?;
                self.key(g * GROUP + i, &mut out)?;
                return Ok(Some((kind, out)));
            }
        }
        Ok(None)
    }

    /// The position in a group of the record whose key is number `i` of `kind` there.
    pub(super) fn position(&self, group: &Group, kind: u8, i: usize) -> Result<usize> {
        let head = group.keys.start..group.keys.end.min(group.keys.start + HEAD_MAX);
        self.told(self.source.with(head, |bytes| {
            match Head::parse(bytes, group.keys.len(), group.n)? {
                Head::One(_) => Ok(i),
                Head::Mixed(mixed) => mixed.position(kind, i).ok_or(DISORDER),
            }
        }))
    }
}

/// How the key at position `i` compares with `wanted`; `bytes` are all keys of this kind.
pub(super) fn order_in(
    kind: &Kind<'_>,
    bytes: &[u8],
    i: usize,
    wanted: &[u8],
) -> Result<Ordering, Defect> {
    match kind.compare(i, wanted)? {
        Ok(order) => Ok(order),
        Err(At::Known) => Err(DISORDER),
        Err(At::Bytes(at)) => Ok(order(kind.kind, bytes.get(at).ok_or(DISORDER)?, wanted)),
        Err(At::Front(at, i, n)) => {
            let bytes = bytes.get(at).ok_or(DISORDER)?;
            let pick = |j, order| (j == i).then_some(order);
            text::compare_fronts(bytes, n, wanted, pick)?.ok_or(DISORDER)
        }
    }
}
