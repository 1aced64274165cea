//! Searching the keys of an ascending leaf.

use super::firsts::Firsts;
use super::keys::{At, Kind, KindKeys};
use super::read::{AT_ONCE, DISORDER, Group, Packed, Source, entry, order_in};
use super::{DIRECTORY, Defect, GROUP, text};
use crate::error::Result;
use crate::wire::memory;
use std::cmp::Ordering;

impl<S: Source> Packed<S> {
    /// The position of the record with this key in an ascending leaf; nothing if there is none,
    /// or the leaf is none.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a damage, errors of reading.
    pub fn search(&self, kind: u8, key: &[u8]) -> Result<Option<usize>> {
        if self.ascending() != Some(kind) {
            return Ok(None);
        }
        // The groups below `low` that have such keys begin with one that is not greater.
        let (mut low, mut high) = (0, self.groups());
        let directory = self.whole_directory()?;
        let entries = |g: usize| match directory.get(g..g + 2) {
            Some([a, b]) => Ok([*a, *b]),
            _ => self.directory(g),
        };
        let mut found = None;
        while low < high {
            let mut mid = low + (high - low) / 2;
            let upper = mid;
            let seen = loop {
                let group = self.group_within(mid, entries(mid)?)?;
                if let Some(order) = self.first_in(&group, kind, key)? {
                    break Some(order);
                }
                mid += 1;
                if mid == high {
                    break None;
                }
            };
            match seen {
                Some(order) if order != Ordering::Greater => {
                    low = mid + 1;
                    found = Some(mid);
                }
                _ => high = upper,
            }
        }
        found.map_or(Ok(None), |g| self.search_group(g, kind, key))
    }

    /// The first key of each group that has one, of an ascending leaf; nothing if that is much.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a damage, errors of reading, [`Error::OutOfMemory`].
    pub fn firsts(&self) -> Result<Option<Firsts>> {
        let Some(kind) = self.ascending() else { return Ok(None) };
        let (mut out, mut key) = (Firsts::of(kind), Vec::new());
        for g in 0..self.groups() {
            let group = self.group(g)?;
            let Some(part) = self.part_with(&group, kind)? else { continue };
            if part.n == 0 {
                continue;
            }
            self.key(g * GROUP + self.position(&group, kind, 0)?, &mut key)?;
            if !out.push(g, &key)? {
                return Ok(None);
            }
        }
        out.finish().map(Some)
    }

    /// As [`Packed::search`], with the first keys of the groups at hand, and what is kept of the keys of
    /// a group.
    ///
    /// # Errors
    /// As [`Packed::search`].
    pub fn search_from<'k>(
        &self,
        firsts: &Firsts,
        kept: impl FnOnce(usize) -> Option<&'k KeptKeys>,
        kind: u8,
        key: &[u8],
    ) -> Result<Option<usize>> {
        let Some(g) = firsts.find(key).filter(|_| self.ascending() == Some(kind)) else {
            return Ok(None);
        };
        match kept(g) {
            Some(kept) => {
                let found = kept.search(kind, key).map_err(|why| self.source.defect(why))?;
                Ok(found.map(|i| g * GROUP + i))
            }
            None => self.search_group(g, kind, key),
        }
    }

    /// The keys of group `g`, to be kept; nothing if they are many bytes, or of several kinds.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) for a damage, errors of reading.
    pub fn kept_keys(&self, g: usize) -> Result<Option<KeptKeys>> {
        let group = self.group(g)?;
        self.with_one(&group, |_, bytes| {
            let keys = memory::copied(bytes).ok().map(Vec::into_boxed_slice);
            Ok(keys.map(|bytes| KeptKeys { bytes, n: group.n }))
        })
        .map(Option::flatten)
    }

    /// The position of the record with this key in a group whose first key is not greater.
    fn search_group(&self, g: usize, kind: u8, key: &[u8]) -> Result<Option<usize>> {
        let group = self.group(g)?;
        let told = self.with_one(&group, |one, bytes| {
            if one.kind == kind { search_in(one, bytes, group.n, key) } else { Ok(None) }
        })?;
        if let Some(found) = told {
            return Ok(found.map(|i| g * GROUP + i));
        }
        let Some(part) = self.part_with(&group, kind)? else { return Ok(None) };
        match self.search_part(&part, key)? {
            Some(i) => Ok(Some(g * GROUP + self.position(&group, kind, i)?)),
            None => Ok(None),
        }
    }

    /// The position of a key in a part whose first key is not greater.
    fn search_part(&self, part: &KindKeys, key: &[u8]) -> Result<Option<usize>> {
        if part.at.len() <= AT_ONCE {
            return self.told(self.source.with(part.at.clone(), |bytes| {
                search_in(&Kind::parse(bytes, bytes.len(), part.n)?, bytes, part.n, key)
            }));
        }
        let step = self.with_kind(part, |kind| Ok(kind.step()))?;
        let (mut low, mut high) = (0, part.n.div_ceil(step));
        while low + 1 < high {
            let mid = low + (high - low) / 2;
            match self.compare(part, mid * step, key)? {
                Ordering::Greater => high = mid,
                Ordering::Less => low = mid,
                Ordering::Equal => return Ok(Some(mid * step)),
            }
        }
        let first = low * step;
        let at = self.with_kind(part, |kind| kind.compare(first, key))?;
        let Err(At::Front(at, _, n)) = at else {
            return Ok((self.compare(part, first, key)? == Ordering::Equal).then_some(first));
        };
        let at = part.at.start + at.start..part.at.start + at.end;
        let found = self.told(self.source.with(at, |bytes| {
            text::compare_fronts(bytes, n, key, |j, order| match order {
                Ordering::Less => None,
                Ordering::Equal => Some(Some(j)),
                Ordering::Greater => Some(None),
            })
        }))?;
        Ok(found.flatten().map(|j| first + j))
    }

    /// How the first key of `kind` in a group compares with `wanted`; nothing if there is none.
    fn first_in(&self, group: &Group, kind: u8, wanted: &[u8]) -> Result<Option<Ordering>> {
        let told = self.with_one(group, |one, bytes| {
            (one.kind == kind).then(|| order_in(one, bytes, 0, wanted)).transpose()
        })?;
        if let Some(told) = told {
            return Ok(told);
        }
        let Some(part) = self.part_with(group, kind)? else { return Ok(None) };
        self.compare(&part, 0, wanted).map(Some)
    }

    /// All entries of the directory, if they are few.
    fn whole_directory(&self) -> Result<Vec<(usize, usize)>> {
        let len = (self.groups() + 1) * DIRECTORY;
        if len > AT_ONCE {
            return Ok(Vec::new());
        }
        self.source.with(0..len, |bytes| {
            let (entries, _) = bytes.as_chunks::<DIRECTORY>();
            entries.iter().copied().map(entry).collect()
        })
    }
}

/// The keys of a group, all of one kind, for who comes back.
#[derive(Debug)]
pub struct KeptKeys {
    bytes: Box<[u8]>,
    n: usize,
}

impl KeptKeys {
    /// Bytes of memory that they take.
    #[must_use]
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.bytes.len()
    }

    /// The position of a key in the group.
    fn search(&self, kind: u8, key: &[u8]) -> Result<Option<usize>, Defect> {
        let own = Kind::parse(&self.bytes, self.bytes.len(), self.n)?;
        if own.kind == kind { search_in(&own, &self.bytes, self.n, key) } else { Ok(None) }
    }
}

/// The position of a key among `n` whose first is not greater; `bytes` are all of them.
fn search_in(kind: &Kind<'_>, bytes: &[u8], n: usize, key: &[u8]) -> Result<Option<usize>, Defect> {
    if let Some(found) = kind.search_numbers(key)? {
        return Ok(found);
    }
    let step = kind.step();
    let (mut low, mut high) = (0, n.div_ceil(step));
    while low + 1 < high {
        let mid = low + (high - low) / 2;
        match order_in(kind, bytes, mid * step, key)? {
            Ordering::Greater => high = mid,
            Ordering::Less => low = mid,
            Ordering::Equal => return Ok(Some(mid * step)),
        }
    }
    let first = low * step;
    if let Err(At::Front(at, _, n)) = kind.compare(first, key)? {
        let bytes = bytes.get(at).ok_or(DISORDER)?;
        let found = text::compare_fronts(bytes, n, key, |j, order| match order {
            Ordering::Less => None,
            Ordering::Equal => Some(Some(j)),
            Ordering::Greater => Some(None),
        })?;
        return Ok(found.flatten().map(|j| first + j));
    }
    Ok((order_in(kind, bytes, first, key)? == Ordering::Equal).then_some(first))
}
