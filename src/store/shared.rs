//! Shared records: what many records have in common, stored once and found by its content.
//!
//! A shared record is an ordinary one in every respect but two: its key is the digest of its
//! bytes, and it stands in the lists of deleted records from the commit on that brings it. So
//! it has no ordinal, takes part in no count, listing or table of the original program, and is
//! dropped by whoever knows nothing of it. What refers to it, and how, is the business of the
//! codec of the other records; a store asks a [`Refers`] where it must know.

use super::core::Core;
use super::crowd::Lookups;
use super::record::Record;
use super::snapshot::{Location, Snapshot};
use super::verify::{Affected, Causes, Damage, is_damage};
use super::writer::Writer;
use crate::error::{Error, Result};
use crate::index::layout::{KEY_SHARED, RECORDS_MAX, key_hash};
use crate::index::log::DeadEntry;
use crate::key::Key;
use crate::limits::RECORD_MAX;
use crate::wire::Digest;
use once_cell::race::OnceBox;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

/// Which shared record the record with these bytes refers to, if it refers to one.
pub type Reference = fn(&[u8]) -> Option<Digest>;

/// For the name of a codec, how its records refer to shared ones; `None` if that is not known,
/// then all shared records of a store count as needed. `codec::refers` answers for the codecs
/// of this crate.
pub type Refers = fn(&str) -> Option<Reference>;

impl Core {
    pub(super) fn find_shared(&self, digest: &Digest) -> Result<Option<u64>> {
        let bytes = digest.as_bytes();
        self.find_bytes(KEY_SHARED, bytes, key_hash(KEY_SHARED, bytes))
    }

    pub(super) fn shared(&self, digest: &Digest) -> Result<Record> {
        let name = format_args!("shared {digest}").to_string();
        let Some(id) = self.find_shared(digest)? else {
            return Err(Error::NotFound { key: name.into() });
        };
        let entry = self.entry(id)?;
        let record = self.record(&entry).map_err(|e| e.of_record(&name))?;
        if Digest::of(&record) != *digest {
            return Err(other_content(entry.start.get()).of_record(&name));
        }
        Ok(record)
    }

    /// Bytes of the shared records.
    pub(super) fn shared_bytes(&self) -> Result<u64> {
        Ok(self.list_shared()?.iter().map(|(_, place)| place.len()).sum())
    }

    fn list_shared(&self) -> Result<Vec<(Digest, Location)>> {
        let mut out = Vec::new();
        if self.totals.shared == 0 {
            return Ok(out);
        }
        let mut seen = HashSet::new();
        self.each_record(|_, entry, key| {
            if entry.key_kind == KEY_SHARED
                && let Some(digest) = Digest::from_bytes(key)
                && seen.insert(digest)
            {
                let span = self.span(entry)?;
                let sites = entry.sites.get();
                out.push((digest, Location { start: span.start, end: span.end, sites }));
            }
            Ok(())
        })?;
        Ok(out)
    }
}

/// The damage of a shared record whose bytes are not those that its key names.
pub(super) fn other_content(start: u64) -> Error {
    Error::corrupt("shared record", start, "has another content than its key says")
}

impl Snapshot {
    /// The shared record whose content has this digest.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none, [`Error::Corrupt`] if its bytes have changed.
    pub fn shared(&self, digest: &Digest) -> Result<Record> {
        self.inner().core.shared(digest)
    }

    /// Whether there is a shared record with this content; decodes nothing.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the index is damaged where it had to be read.
    pub fn contains_shared(&self, digest: &Digest) -> Result<bool> {
        Ok(self.inner().core.find_shared(digest)?.is_some())
    }

    /// All shared records in the order in which they were put. Reads the whole index if there
    /// is one at all.
    ///
    /// # Errors
    /// As [`Snapshot::for_each`].
    pub fn list_shared(&self) -> Result<Vec<(Digest, Location)>> {
        self.inner().core.list_shared()
    }
}

impl Snapshot {
    /// Checks that every shared record to which a record refers is there; answers a damage for
    /// each that is not, with the records that refer to it. Reads all records; those that cannot
    /// be read are passed over, [`Snapshot::verify`] names them. Nothing is read for a codec of
    /// which `refers` knows nothing.
    ///
    /// `progress` is told the records done and to do; its error ends the check.
    ///
    /// # Errors
    /// [`Error::Io`] and what `progress` answers; damage is no error here, it is in the answer.
    /// [`Verified::extend`](super::Verified::extend) adds it to what `verify` found.
    pub fn verify_references(
        &self,
        refers: Refers,
        mut progress: impl FnMut(u64, u64) -> Result<()>,
    ) -> Result<Vec<Damage>> {
        let mut causes = Causes::default();
        let Some(reference) = refers(&self.options().record_codec.0) else {
            return Ok(causes.into_list());
        };
        let core = &self.inner().core;
        // Of each digest what is wrong with it: a cause, and what follows from it.
        let mut known: HashMap<Digest, Option<(usize, String)>> = HashMap::new();
        let mut lookups = Lookups::new(core);
        for ordinal in 0..self.len() {
            if ordinal.is_multiple_of(1024) {
                progress(ordinal, self.len())?;
            }
            let found = core.id_at(ordinal).and_then(|id| Ok((id, core.entry(id)?)));
            let (id, entry) = match found {
                Ok(found) => found,
                Err(e) if is_damage(&e) => {
                    let cause = causes.cause(Damage::of(&e));
                    causes.follow(cause, "could not be checked for what they refer to", 1);
                    continue;
                }
                Err(e) => return Err(e),
            };
            let record = match core.record(&entry) {
                Ok(record) => record,
                Err(e) if is_damage(&e) => continue,
                Err(e) => return Err(e),
            };
            let Some(digest) = reference(&record) else { continue };
            if let Entry::Vacant(place) = known.entry(digest) {
                place.insert(match lookups.find(KEY_SHARED, digest.as_bytes()) {
                    Ok(Some(_)) => None,
                    Ok(None) => {
                        let why = format!("{digest}, to which records refer, is gone");
                        let cause = causes.cause(Damage::new("shared record", None, why));
                        Some((cause, "cannot be made whole without it".into()))
                    }
                    Err(e) if is_damage(&e) => {
                        let cause = causes.cause(Damage::of(&e));
                        Some((
                            cause,
                            format!("cannot be made whole: shared {digest} cannot be found"),
                        ))
                    }
                    Err(e) => return Err(e),
                });
            }
            if let Some(Some((cause, what))) = known.get(&digest) {
                let key = match core.key_of(id) {
                    Ok(key) => key,
                    Err(e) if is_damage(&e) => None,
                    Err(e) => return Err(e),
                };
                let name = key.map_or_else(|| format!("at {ordinal}"), |key| key.to_string());
                let who = Affected { record: name.into(), ordinal: Some(ordinal) };
                causes.affect(*cause, what, who);
            }
        }
        progress(self.len(), self.len())?;
        Ok(causes.into_list())
    }
}

impl Writer {
    /// Stores `bytes` once, for other records to refer to, and answers the digest by which they
    /// are found. If they are there already, nothing is added; if they are there but damaged,
    /// they are put anew.
    ///
    /// A shared record has no ordinal and cannot be deleted; [`compact`](super::compact) drops
    /// those to which no record refers. Put it before the records that refer to it: then it is
    /// in no later commit than they are.
    ///
    /// # Errors
    /// As [`Writer::put`].
    pub fn share(&mut self, bytes: &[u8]) -> Result<Digest> {
        self.share_sized(bytes, 0)
    }

    /// As [`Writer::share`], with the count that the index keeps beside the length.
    ///
    /// # Errors
    /// As [`Writer::put`].
    pub fn share_sized(&mut self, bytes: &[u8], sites: u32) -> Result<Digest> {
        self.usable()?;
        let digest = Digest::of(bytes);
        if self.core.find_shared(&digest)?.is_some() {
            match self.core.shared(&digest) {
                Ok(_) => return Ok(digest),
                // A read that gave too little may give all the next time.
                Err(e) if matches!(e.root(), Error::Corrupt(c) if c.part == "file") => {
                    return Err(e);
                }
                Err(e) if is_damage(&e) => {}
                Err(e) => return Err(e),
            }
        }
        let limits = [
            ("record", bytes.len() as u64, RECORD_MAX),
            ("records", self.core.ids().saturating_add(1), RECORDS_MAX),
            ("shared records", self.core.totals.shared.saturating_add(1), u32::MAX.into()),
        ];
        if let Some((what, asked, max)) = limits.into_iter().find(|(_, asked, max)| asked > max) {
            return Err(Error::Limit { what, asked, max });
        }
        let hash = key_hash(KEY_SHARED, digest.as_bytes());
        self.guard(|w| {
            let id = w.core.ids();
            w.add(Some((KEY_SHARED, digest.as_bytes(), hash)), bytes, sites, None, None)?;
            // Without a hash: no tombstone, or the runs would no longer lead to it.
            let shared =
                DeadEntry { record: id.into(), shared: 1.into(), ..bytemuck::Zeroable::zeroed() };
            w.core.tail.kill(shared);
            w.core.totals.dead_records += 1;
            w.core.totals.shared += 1;
            w.core.dead = OnceBox::new();
            Ok(())
        })?;
        Ok(digest)
    }

    /// The shared record whose content has this digest, committed or not.
    ///
    /// # Errors
    /// As [`Snapshot::shared`].
    pub fn shared(&self, digest: &Digest) -> Result<Record> {
        self.core.shared(digest)
    }

    /// Whether there is a shared record with this content, committed or not.
    ///
    /// # Errors
    /// As [`Snapshot::contains_shared`].
    pub fn contains_shared(&self, digest: &Digest) -> Result<bool> {
        Ok(self.core.find_shared(digest)?.is_some())
    }
}

/// Takes along the shared records that copied records refer to: each once, before the first
/// that refers to it.
pub(super) struct Carry<'a> {
    source: &'a Snapshot,
    refers: Option<Reference>,
    done: HashSet<Digest>,
    last: Option<Digest>,
}

impl<'a> Carry<'a> {
    /// Nothing is known of what refers to what without `refers`: then all are taken at once.
    pub(super) fn new(
        source: &'a Snapshot,
        refers: Option<Refers>,
        writer: &mut Writer,
    ) -> Result<Self> {
        let refers = refers.and_then(|refers| refers(&source.options().record_codec.0));
        let mut out = Self { source, refers, done: HashSet::new(), last: None };
        if refers.is_none() {
            for (digest, _) in source.list_shared()? {
                out.take(digest, writer)?;
            }
        }
        Ok(out)
    }

    /// Sees to it that what this record refers to is in `writer`.
    pub(super) fn before(
        &mut self,
        key: Option<&Key>,
        bytes: &[u8],
        writer: &mut Writer,
    ) -> Result<()> {
        let Some(digest) = self.refers.and_then(|refers| refers(bytes)) else { return Ok(()) };
        // Records in a row mostly refer to the same one.
        if self.last == Some(digest) || self.done.contains(&digest) {
            return Ok(());
        }
        self.take(digest, writer).map_err(|e| match (e, key) {
            (Error::NotFound { .. }, key) => {
                let gone = Error::corrupt("shared record", 0, "is gone; a record refers to it");
                let who = key.map_or_else(String::new, |k| format!("{k}, "));
                gone.of_record(&format_args!("{who}shared {digest}"))
            }
            (e, _) => e,
        })
    }

    fn take(&mut self, digest: Digest, writer: &mut Writer) -> Result<()> {
        let core = &self.source.inner().core;
        let record = core.shared(&digest)?;
        let sites = match core.find_shared(&digest)? {
            Some(id) => core.entry(id)?.sites.get(),
            None => 0,
        };
        writer.share_sized(&record, sites)?;
        self.done.insert(digest);
        self.last = Some(digest);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Durability, StoreOptions};

    fn writer() -> Writer {
        let options = StoreOptions {
            chunk_size: 4096,
            block_size: 2048,
            durability: Durability::None,
            ..StoreOptions::default()
        };
        Writer::in_memory(&options).unwrap()
    }

    #[test]
    fn a_shared_record_is_found_by_its_content_and_counted_nowhere() {
        let mut w = writer();
        w.put("a", b"one", false).unwrap();
        let digest = w.share(b"water").unwrap();
        assert_eq!(w.share(b"water").unwrap(), digest);
        assert_eq!(w.put("b", b"two", false).unwrap(), 1);
        assert_eq!((w.len(), &w.shared(&digest).unwrap()[..]), (2, &b"water"[..]));
        assert_eq!((w.find("b").unwrap(), &w.get_at(1).unwrap()[..]), (Some(1), &b"two"[..]));
        assert_eq!(w.key_at(1).unwrap(), Some(Key::from("b")));
        w.commit().unwrap();
        for seal in [false, true] {
            if seal {
                w.seal().unwrap();
            }
            let s = w.snapshot().unwrap();
            assert_eq!((s.len(), s.keys().unwrap().len()), (2, 2));
            assert_eq!(&s.shared(&digest).unwrap()[..], b"water");
            assert!(s.contains_shared(&digest).unwrap());
            let absent = Digest::of(b"ice");
            assert!(matches!(s.shared(&absent).unwrap_err(), Error::NotFound { .. }));
            let list = s.list_shared().unwrap();
            assert_eq!((list.len(), list[0].0, list[0].1.len()), (1, digest, 5));
            let info = s.info().unwrap();
            assert_eq!(
                (info.records, info.shared, info.dead_records, info.dead_bytes),
                (2, 1, 0, 0)
            );
            let all: Vec<_> = s.scan(0..9).map(|r| r.unwrap().to_vec()).collect();
            assert_eq!(all, [b"one", b"two"]);
            assert!(s.verify(|_, _| Ok(())).unwrap().is_whole());
        }
    }

    #[test]
    fn shared_records_are_found_through_leaves_and_merged_runs_among_deleted_ones() {
        let mut w = writer();
        let digests: Vec<Digest> = (0..40_u32)
            .map(|i| {
                let digest = w.share(&i.to_le_bytes()).unwrap();
                w.put(i, &[7; 50], false).unwrap();
                if i % 3 == 0 {
                    w.delete(i).unwrap();
                }
                w.seal().unwrap();
                digest
            })
            .collect();
        let s = w.snapshot().unwrap();
        assert_eq!((s.len(), s.info().unwrap().shared), (26, 40));
        for (i, digest) in (0..).zip(&digests) {
            assert_eq!(&s.shared(digest).unwrap()[..], &u32::to_le_bytes(i));
        }
        let listed: Vec<Digest> = s.list_shared().unwrap().iter().map(|l| l.0).collect();
        assert_eq!(listed, digests);
        assert!(s.verify(|_, _| Ok(())).unwrap().is_whole());
    }

    #[test]
    fn an_empty_content_can_be_shared() {
        let mut w = writer();
        let digest = w.share(b"").unwrap();
        w.commit().unwrap();
        let s = w.snapshot().unwrap();
        assert!(s.is_empty() && s.shared(&digest).unwrap().is_empty());
    }
}
