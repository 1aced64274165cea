//! Shared records: what many records have in common, stored once and found by its content.
//!
//! A shared record is an ordinary one in every respect but two: its key is the digest of its
//! bytes, and it stands in the lists of deleted records from the commit on that brings it. So
//! it has no ordinal, takes part in no count, listing or table of the original program, and is
//! dropped by whoever knows nothing of it. What refers to it, and how, is the business of the
//! codec of the other records; a store asks a [`Refers`] where it must know.

use crate::error::{Error, Result};
use crate::index::key_hash::key_hash;
use crate::index::layout::KEY_SHARED;
use crate::store::read::location::Location;
use crate::store::read::reader::Reader;
use crate::store::read::record::Record;
use crate::wire::Digest;
use std::collections::HashSet;

impl Reader {
    pub(crate) fn find_shared(&self, digest: &Digest) -> Result<Option<u64>> {
        let bytes = digest.as_bytes();
        self.find_bytes(KEY_SHARED, bytes, key_hash(KEY_SHARED, bytes))
    }

    pub(crate) fn shared(&self, digest: &Digest) -> Result<Record> {
        let name = format_args!("shared {digest}").to_string();
        let Some(id) = self.find_shared(digest)? else {
            return Err(Error::NotFound { key: name.into() });
        };
        let entry = self.entry(id)?;
        let record = self.record(&entry).map_err(|e| e.of_record(&name))?;
        if Digest::of(&record) != *digest {
            return Err(other_content(entry.start).of_record(&name));
        }
        Ok(record)
    }

    /// Bytes of the shared records.
    pub(crate) fn shared_bytes(&self) -> Result<u64> {
        Ok(self.list_shared()?.iter().map(|(_, place)| place.len()).sum())
    }

    pub(crate) fn list_shared(&self) -> Result<Vec<(Digest, Location)>> {
        let mut out = Vec::new();
        if self.totals.shared == 0 {
            return Ok(out);
        }
        let mut seen = HashSet::new();
        self.each_record(|_, entry, kind, key| {
            if kind == KEY_SHARED
                && let Some(digest) = Digest::from_bytes(key)
                && seen.insert(digest)
            {
                let span = self.span(entry)?;
                let weight = entry.weight;
                out.push((digest, Location { start: span.start, end: span.end, weight }));
            }
            Ok(())
        })?;
        Ok(out)
    }
}

/// The damage of a shared record whose bytes are not those that its key names.
pub(crate) fn other_content(start: u64) -> Error {
    Error::corrupt("shared record", start, "has another content than its key says")
}
