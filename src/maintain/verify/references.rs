//! Checking references: that every shared record to which a record refers is there.

use super::all_keys::BulkLookup;
use super::report::{Affected, Causes, Damage};
use crate::error::Result;
use crate::index::layout::KEY_SHARED;
use crate::maintain::shared_transfer::Refers;
use crate::store::Readable;
use crate::store::read::snapshot::Snapshot;
use crate::wire::Digest;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

impl Snapshot {
    /// Checks that every shared record to which a record refers is there; returns a damage for
    /// each that is not, with the records that refer to it. Reads all records; those that cannot
    /// be read are passed over, [`Snapshot::verify`] names them. Nothing is read for a codec of
    /// which `refers` knows nothing.
    ///
    /// `progress` is told the records done and to do; its error ends the check.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) and what `progress` returns; damage is not an error here, it is in the result.
    /// [`Verified::extend`](crate::maintain::Verified::extend) adds it to what `verify` found.
    pub fn verify_references(
        &self,
        refers: Refers,
        mut progress: impl FnMut(u64, u64) -> Result<()>,
    ) -> Result<Vec<Damage>> {
        let mut causes = Causes::default();
        let Some(reference) = refers(&self.layout().record_codec.0) else {
            return Ok(causes.into_list());
        };
        let reader = &self.inner().reader;
        // Of each digest what is wrong with it: a cause, and what follows from it.
        let mut known: HashMap<Digest, Option<(usize, String)>> = HashMap::new();
        let mut lookups = BulkLookup::new(reader);
        for ordinal in 0..self.len() {
            if ordinal.is_multiple_of(1024) {
                progress(ordinal, self.len())?;
            }
            let found = reader.id_at(ordinal).and_then(|id| Ok((id, reader.entry(id)?)));
            let (id, entry) = match found {
                Ok(found) => found,
                Err(e) if e.is_damage() => {
                    let cause = causes.cause(Damage::of(&e));
                    causes.follow(cause, "could not be checked for what they refer to", 1);
                    continue;
                }
                Err(e) => return Err(e),
            };
            let record = match reader.record(&entry) {
                Ok(record) => record,
                Err(e) if e.is_damage() => continue,
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
                    Err(e) if e.is_damage() => {
                        let cause = causes.cause(Damage::of(&e));
                        Some((
                            cause,
                            format!("cannot be completed: shared {digest} cannot be found"),
                        ))
                    }
                    Err(e) => return Err(e),
                });
            }
            if let Some(Some((cause, what))) = known.get(&digest) {
                let key = match reader.key_of(id) {
                    Ok(key) => key,
                    Err(e) if e.is_damage() => None,
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
