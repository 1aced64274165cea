//! Reading a data set as a store is read.

use super::set::DataSet;
use crate::column::{Column, ColumnValues};
use crate::error::{Error, Result};
use crate::key::Key;
use crate::store::read::batch::threads;
use crate::store::read::reader::Reader;
use crate::store::read::share_out::share_out;
use crate::store::{
    AskedOfFile, Batch, ColumnData, Files, Layout, Location, Opened, Plan, Readable, Record,
    Snapshot,
};
use crate::wire::{Digest, memory, to_usize};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

impl DataSet {
    /// The open member of a record, and its ordinal there; an error gets the name of the member.
    fn within<T>(&self, ordinal: u64, f: impl FnOnce(&Snapshot, u64) -> Result<T>) -> Result<T> {
        let (member, local) = self.place(ordinal)?;
        let snapshot = self.snapshot(member)?;
        f(&snapshot, local).map_err(|e| self.named(e, member))
    }

    /// As [`within`](Self::within), of a key.
    fn with_key<T>(&self, key: &Key, f: impl FnOnce(&Snapshot, u64) -> Result<T>) -> Result<T> {
        let found = self.find_key(key)?;
        let ordinal = found.ok_or_else(|| Error::NotFound { key: key.to_string().into() })?;
        self.within(ordinal, f)
    }

    /// The ordinal of the record of a member under `key`.
    fn find_in(&self, member: usize, key: &Key) -> Result<Option<u64>> {
        let found = self.snapshot(member)?.find_key(key).map_err(|e| self.named(e, member))?;
        // What was put since the member was published is not in the data set.
        let records = self.member(member)?.records;
        Ok(found.filter(|local| *local < records).map(|local| self.first_of(member) + local))
    }

    /// The ordinals of all records under `key`, one of each member that has it.
    pub(super) fn ordinals_of(&self, key: &Key) -> Result<Vec<u64>> {
        let found = self.may_have(key).map(|member| self.find_in(member, key));
        found.filter_map(Result::transpose).collect()
    }

    /// A batch of each member that is asked, by `read` of it, positions and ordinals.
    fn batches(
        &self,
        asked: Vec<AskedOfFile>,
        read: impl Fn(&Snapshot, &[usize], &[u64]) -> Result<Batch> + Sync,
    ) -> Result<Vec<(Vec<usize>, Batch)>> {
        let work = |(): &mut (), (member, positions, locals): AskedOfFile| {
            let batch = read(&self.snapshot(member)?, &positions, &locals);
            Ok((positions, batch.map_err(|e| self.named(e, member))?))
        };
        share_out(self.at_once(), asked, || (), work)
    }

    fn named(&self, error: Error, member: usize) -> Error {
        match (error, self.path(member)) {
            (error @ Error::NotFound { .. }, _) | (error, Err(_)) => error,
            (error, Ok(path)) => error.at(&path),
        }
    }

    /// What is asked of each member, members in order: positions among what was asked for, and ordinals.
    fn by_member<'a>(
        &self,
        ordinals: impl ExactSizeIterator<Item = &'a u64>,
    ) -> Result<Vec<AskedOfFile>> {
        let mut slots: HashMap<usize, usize> = HashMap::new();
        let mut out: Vec<AskedOfFile> = Vec::new();
        for (position, ordinal) in ordinals.enumerate() {
            let (member, local) = self.place(*ordinal)?;
            let slot = *slots.entry(member).or_insert_with(|| {
                out.push((member, Vec::new(), Vec::new()));
                out.len() - 1
            });
            if let Some((_, positions, locals)) = out.get_mut(slot) {
                positions.push(position);
                locals.push(local);
            }
        }
        out.sort_by_key(|(member, ..)| *member);
        Ok(out)
    }
}

/// Members that are looked into side by side where they are far away.
const AT_ONCE: usize = 16;

impl Files for DataSet {
    fn threads(&self) -> usize {
        threads(self.options().threads)
    }

    fn at_once(&self) -> usize {
        if self.is_far() { AT_ONCE } else { 1 }
    }

    fn with(&self, number: usize, f: &mut dyn FnMut(&Reader) -> Result<()>) -> Result<()> {
        f(&self.snapshot(number)?.inner().reader)
    }
}

impl Readable for DataSet {
    fn len(&self) -> u64 {
        self.records()
    }

    fn generation(&self) -> u64 {
        self.publication()
    }

    fn opened(&self) -> Opened {
        Opened::Intact
    }

    fn layout(&self) -> &Layout {
        &self.manifest().layout
    }

    fn attributes(&self) -> serde_json::Value {
        self.manifest().attributes.clone()
    }

    fn find_key(&self, key: &Key) -> Result<Option<u64>> {
        for member in self.may_have(key) {
            if let Some(ordinal) = self.find_in(member, key)? {
                return Ok(Some(ordinal));
            }
        }
        Ok(None)
    }

    fn find_keys(&self, keys: &[Key]) -> Result<Vec<Option<u64>>> {
        // Members in their order, each asked once for all that it may have.
        let mut asked: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (position, key) in keys.iter().enumerate() {
            for member in self.may_have(key) {
                asked.entry(member).or_default().push(position);
            }
        }
        let mut asked: Vec<(usize, Vec<usize>)> = asked.into_iter().collect();
        let mut found: Vec<Option<u64>> = memory::filled(keys.len(), None)?;
        let look = |(): &mut (), (member, positions): &(usize, Vec<usize>)| {
            let own: Vec<Key> = positions.iter().filter_map(|at| keys.get(*at)).cloned().collect();
            if own.is_empty() {
                return Ok(Vec::new());
            }
            self.snapshot(*member)?.find_keys(&own).map_err(|e| self.named(e, *member))
        };
        for members in asked.chunks_mut(self.at_once()) {
            for (_, positions) in &mut *members {
                positions.retain(|at| found.get(*at).is_some_and(Option::is_none));
            }
            let here = share_out(self.at_once(), members.iter().collect(), || (), look)?;
            for ((member, positions), locals) in members.iter().zip(here) {
                let (first, records) = (self.first_of(*member), self.member(*member)?.records);
                for (at, local) in positions.iter().zip(locals) {
                    // The first member that has a key is that of the record.
                    if let (Some(place @ None), Some(local)) =
                        (found.get_mut(*at), local.filter(|local| *local < records))
                    {
                        *place = Some(first + local);
                    }
                }
            }
        }
        Ok(found)
    }

    fn get_key(&self, key: &Key) -> Result<Record> {
        self.with_key(key, |snapshot, local| snapshot.get_at(local))
    }

    fn get_at(&self, ordinal: u64) -> Result<Record> {
        self.within(ordinal, |snapshot, local| snapshot.get_at(local))
    }

    fn get_key_into(&self, key: &Key, out: &mut [u8]) -> Result<usize> {
        self.with_key(key, |snapshot, local| snapshot.get_at_into(local, out))
    }

    fn get_at_into(&self, ordinal: u64, out: &mut [u8]) -> Result<usize> {
        self.within(ordinal, |snapshot, local| snapshot.get_at_into(local, out))
    }

    fn plan_keys(&self, keys: &[Key]) -> Result<Plan<'_>> {
        let found = self.find_keys(keys)?.into_iter().zip(keys);
        let there = |(found, key): (Option<u64>, &Key)| {
            found.ok_or_else(|| Error::NotFound { key: key.to_string().into() })
        };
        self.plan_at(&found.map(there).collect::<Result<Vec<_>>>()?)
    }

    fn plan_at(&self, ordinals: &[u64]) -> Result<Plan<'_>> {
        let asked = self.by_member(ordinals.iter())?;
        Plan::of_files(Arc::new(self.clone()), asked, ordinals.len())
    }

    fn get_parts_at(&self, parts: &[(u64, Range<u64>)]) -> Result<Batch> {
        let asked = self.by_member(parts.iter().map(|(ordinal, _)| ordinal))?;
        let own = |positions: &[usize], locals: &[u64]| -> Vec<(u64, Range<u64>)> {
            let ranges = positions.iter().filter_map(|at| parts.get(*at)).map(|(_, range)| range);
            locals.iter().copied().zip(ranges.cloned()).collect()
        };
        let batches = self.batches(asked, |snapshot, positions, locals| {
            snapshot.get_parts_at(&own(positions, locals))
        })?;
        Batch::joined(&batches, parts.len())
    }

    // Not by a plan, which would not name the member of a damaged record.
    fn get_batch_at(&self, ordinals: &[u64]) -> Result<Batch> {
        let asked = self.by_member(ordinals.iter())?;
        let batches = self.batches(asked, |snapshot, _, locals| snapshot.get_batch_at(locals))?;
        Batch::joined(&batches, ordinals.len())
    }

    fn key_at(&self, ordinal: u64) -> Result<Option<Key>> {
        self.within(ordinal, |snapshot, local| snapshot.key_at(local))
    }

    fn location_at(&self, ordinal: u64) -> Result<Location> {
        self.within(ordinal, |snapshot, local| snapshot.location_at(local))
    }

    fn location_of(&self, key: &Key) -> Result<Location> {
        self.with_key(key, |snapshot, local| snapshot.location_at(local))
    }

    fn blocks_at(&self, ordinal: u64) -> Result<u64> {
        self.within(ordinal, |snapshot, local| snapshot.blocks_at(local))
    }

    fn visit_index(
        &self,
        f: &mut dyn FnMut(u64, Option<Key>, Location) -> Result<()>,
    ) -> Result<()> {
        for (number, member) in self.members().iter().enumerate().filter(|(_, m)| m.records > 0) {
            let (snapshot, first) = (self.snapshot(number)?, self.first_of(number));
            let mut raised = None;
            let visited = snapshot.visit_index(&mut |local, key, place| {
                if local >= member.records {
                    return Ok(());
                }
                f(first + local, key, place).map_err(|e| {
                    raised = Some(e);
                    Error::Interrupted
                })
            });
            // What `f` returns is no error of the member.
            match (raised, visited) {
                (Some(error), _) => return Err(error),
                (None, done) => done.map_err(|e| self.named(e, number))?,
            }
        }
        Ok(())
    }

    /// Of a member that does not keep the column its records are [unknown](ColumnData::unknown).
    fn column(&self, name: &str, range: Range<u64>) -> Result<ColumnData> {
        let range = range.start..range.end.min(self.len()).max(range.start);
        let every = [Column::WEIGHT, Column::BYTES];
        let column = self.columns().iter().chain(&every).find(|c| c.name == name).cloned();
        let column =
            column.ok_or_else(|| Error::NotFound { key: format!("column {name:?}").into() })?;
        let count = column.count as usize;
        let mut words = memory::with_room(
            to_usize(range.end - range.start)
                .and_then(|n| n.checked_mul(count))
                .unwrap_or(usize::MAX),
        )?;
        let (mut unknown, mut at) = (Vec::new(), range.start);
        while at < range.end {
            let (member, local) = self.place(at)?;
            let first = self.first_of(member);
            let end = self.first_of(member + 1).min(range.end);
            let snapshot = self.snapshot(member)?;
            let kept = every.contains(&column) || snapshot.columns().contains(&column);
            if kept {
                let found = snapshot.column(name, local..end - first);
                let found = found.map_err(|e| self.named(e, member))?;
                unknown.extend(found.unknown.iter().map(|local| first + local));
                words.extend(found.values.into_words());
            } else {
                unknown.extend(at..end);
                let more = to_usize(end - at).unwrap_or(usize::MAX).saturating_mul(count);
                words.extend(std::iter::repeat_n(column.kind.absent(), more));
            }
            at = end;
        }
        let values = ColumnValues::from_words(column.kind, words);
        Ok(ColumnData { column, first: range.start, values, unknown })
    }

    fn shared(&self, digest: &Digest) -> Result<Record> {
        for member in self.may_share(digest) {
            match self.snapshot(member)?.shared(digest) {
                Err(Error::NotFound { .. }) => {}
                found => return found.map_err(|e| self.named(e, member)),
            }
        }
        Err(Error::NotFound { key: format!("shared {digest}").into() })
    }

    fn contains_shared(&self, digest: &Digest) -> Result<bool> {
        for member in self.may_share(digest) {
            let found = self.snapshot(member)?.contains_shared(digest);
            if found.map_err(|e| self.named(e, member))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads the index of every member that has shared records or does not list them.
    fn list_shared(&self) -> Result<Vec<(Digest, Location)>> {
        let mut seen = std::collections::HashSet::new();
        let mut out = Vec::new();
        for (number, member) in self.members().iter().enumerate() {
            if member.shared.as_ref().is_some_and(Vec::is_empty) {
                continue;
            }
            let own = self.snapshot(number)?.list_shared();
            let own = own.map_err(|e| self.named(e, number))?;
            out.extend(own.into_iter().filter(|(digest, _)| seen.insert(*digest)));
        }
        Ok(out)
    }
}
