//! Checking records: that each lies in the data, is whole, and is found by its key.

use super::all_keys::BulkLookup;
use super::chunks::BadBlocks;
use super::report::{Affected, Causes, Damage, NOT_FOUND, UNREAD, Verified};
use crate::error::{Error, Result};
use crate::index::layout::{KEY_NONE, KEY_SHARED, key_from_bytes, signed};
use crate::index::leaf::Place;
use crate::store::read::reader::Reader;
use crate::store::read::shared::other_content;
use crate::store::read::snapshot::Snapshot;
use crate::wire::Digest;
use std::cell::{Cell, RefCell};

impl Snapshot {
    /// Checks every record, deleted ones too; gives back the causes with what follows from them.
    pub(crate) fn check_records(
        &self,
        reader: &Reader,
        bad: &BadBlocks,
        out: &mut Verified,
        mut causes: Causes,
    ) -> Result<Causes> {
        let (dead, dead_lost): (Vec<u64>, _) = match reader.dead() {
            Ok(d) => (d.iter().collect(), None),
            Err(e) if e.is_damage() => {
                let cause = causes.cause(Damage::of(&e));
                causes.follow(cause, "which records are deleted is not known", 0);
                (Vec::new(), Some(cause))
            }
            Err(e) => return Err(e),
        };
        let mut dead = dead.into_iter().peekable();
        let causes = RefCell::new(causes);
        let next = Cell::new(0_u64);
        let missed = Cell::new(dead_lost.is_some());
        let (mut records, mut shared) = (0, 0);
        let (mut all_bytes, mut dead_bytes) = (0_u64, 0_u64);
        let mut lookups = BulkLookup::new(reader);
        reader.each_record_or(
            |id, entry, kind, key| {
                let mut causes = causes.borrow_mut();
                while dead.next_if(|d| *d < id).is_some() {}
                let is_dead = dead.next_if_eq(&id).is_some();
                let len = u64::from(entry.len);
                all_bytes = all_bytes.saturating_add(len);
                if kind == KEY_SHARED {
                    shared += 1;
                    let is_dead = is_dead || dead_lost.is_some();
                    return check_shared(
                        reader,
                        &mut lookups,
                        bad,
                        entry,
                        key,
                        is_dead,
                        &mut causes,
                    );
                }
                if is_dead {
                    dead_bytes = dead_bytes.saturating_add(len);
                    return Ok(());
                }
                let ordinal = next.replace(next.get() + 1);
                let name: Box<str> = match key_from_bytes(kind, key) {
                    Some(k) => k.to_string().into(),
                    None => format!("at {ordinal}").into(),
                };
                let who = || Affected { record: name.clone(), ordinal: Some(ordinal) };
                records += 1;
                if signed(kind, key).is_some_and(|k| self.inner().slot.is_above_all(k)) {
                    let why = "says that no key is so great";
                    let cause = causes.cause(Damage::new("commit slot", None, why));
                    causes.affect(cause, "can be put a second time", who());
                }
                let cause = match reader.span(entry) {
                    Ok(span) => bad.inside(reader, &span),
                    Err(e) => Some(causes.cause(Damage::of(&e))),
                };
                if let Some(cause) = cause {
                    causes.affect(cause, UNREAD, who());
                }
                if kind == KEY_NONE {
                    return Ok(());
                }
                match (lookups.find(kind, key), dead_lost) {
                    (Ok(Some(at)), _) if at == id => {}
                    (Ok(_), Some(cause)) => causes.affect(cause, "may be deleted", who()),
                    (Ok(_), None) => {
                        let why = "does not lead from the key to the record";
                        let cause = causes.cause(Damage::new("run of keys", None, why));
                        causes.affect(cause, NOT_FOUND, who());
                    }
                    (Err(e), _) if e.is_damage() => {
                        let cause = causes.cause(Damage::of(&e));
                        causes.affect(cause, NOT_FOUND, who());
                    }
                    (Err(e), _) => return Err(e),
                }
                Ok(())
            },
            |first, count, e| {
                next.set(next.get() + count);
                if !e.is_damage() {
                    return Err(e);
                }
                missed.set(true);
                let mut causes = causes.borrow_mut();
                let cause = causes.cause(Damage::of(&e));
                let what =
                    format!("from number {first} on could not be checked: their index is in it");
                causes.follow(cause, &what, count);
                Ok(())
            },
        )?;
        out.records += records;
        out.shared += shared;
        let mut causes = causes.into_inner();
        let told = reader.totals;
        for (what, told, counted) in [
            ("shared records", told.shared, shared),
            ("bytes of all records", told.record_bytes, all_bytes),
            ("bytes of deleted records", told.dead_bytes, dead_bytes),
        ] {
            // Where a part of the index cannot be read, nobody can count.
            if told != counted && !missed.get() {
                let why = format!("counts {told} {what}; there are {counted}");
                causes.cause(Damage::new("root", None, why));
            }
        }
        Ok(causes)
    }
}

/// Checks one shared record: that it is out of the count, found, and what its key says.
fn check_shared(
    reader: &Reader,
    lookups: &mut BulkLookup<'_>,
    bad: &BadBlocks,
    entry: &Place,
    key: &[u8],
    is_dead: bool,
    causes: &mut Causes,
) -> Result<()> {
    let digest = Digest::from_bytes(key);
    let name: Box<str> = digest.map_or("shared".into(), |d| format!("shared {d}").into());
    let who = || Affected { record: name.clone(), ordinal: None };
    let start = entry.start;
    let whole = || {
        let digest = digest.ok_or_else(|| other_content(start))?;
        let span = reader.span(entry)?;
        if let Some(cause) = bad.inside(reader, &span) {
            return Ok(Some(cause));
        }
        if Digest::of(&reader.record(entry)?) != digest {
            return Err(other_content(start));
        }
        Ok(None)
    };
    match whole() {
        Ok(None) => {}
        Ok(Some(cause)) => causes.affect(cause, UNREAD, who()),
        Err(e) if e.is_damage() => {
            let cause = causes.cause(Damage::of(&e));
            causes.affect(cause, UNREAD, who());
        }
        Err(e) => return Err(e),
    }
    if !is_dead {
        let e = Error::corrupt("shared record", start, "is counted among the records");
        causes.cause(Damage { record: Some(name.clone()), ..Damage::of(&e) });
    }
    let Some(digest) = digest else { return Ok(()) };
    match lookups.find(KEY_SHARED, digest.as_bytes()) {
        Ok(Some(_)) => {}
        Ok(None) => {
            let e = Error::corrupt("shared record", start, "no run of keys leads to it");
            causes.cause(Damage { record: Some(name), ..Damage::of(&e) });
        }
        Err(e) if e.is_damage() => {
            let cause = causes.cause(Damage::of(&e));
            causes.affect(cause, NOT_FOUND, who());
        }
        Err(e) => return Err(e),
    }
    Ok(())
}
