//! Shared records on their way from one store to another.

use crate::error::{Error, Result};
use crate::key::Key;
use crate::store::Readable;
use crate::store::read::snapshot::Snapshot;
use crate::store::write::writer::Writer;
use crate::wire::Digest;
use std::collections::HashSet;

/// Which shared record the record with these bytes refers to, if it refers to one.
pub type Reference = fn(&[u8]) -> Option<Digest>;

/// For the name of a codec, how its records refer to shared ones; `None` if that is not known,
/// then all shared records of a store count as needed. `codec::refers` knows the codecs
/// of this crate.
pub type Refers = fn(&str) -> Option<Reference>;

/// Takes along the shared records that copied records refer to: each once, before the first
/// that refers to it.
pub(crate) struct SharedTransfer<'a> {
    source: &'a Snapshot,
    refers: Option<Reference>,
    done: HashSet<Digest>,
    last: Option<Digest>,
}

impl<'a> SharedTransfer<'a> {
    /// Nothing is known of what refers to what without `refers`: then all are taken at once.
    pub(crate) fn new(
        source: &'a Snapshot,
        refers: Option<Refers>,
        writer: &mut Writer,
    ) -> Result<Self> {
        let refers = refers.and_then(|refers| refers(&source.layout().record_codec.0));
        let mut out = Self { source, refers, done: HashSet::new(), last: None };
        if refers.is_none() {
            for (digest, _) in source.list_shared()? {
                out.take(digest, writer)?;
            }
        }
        Ok(out)
    }

    /// Sees to it that what this record refers to is in `writer`.
    pub(crate) fn before(
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
        let reader = &self.source.inner().reader;
        let record = reader.shared(&digest)?;
        let weight = match reader.find_shared(&digest)? {
            Some(id) => reader.entry(id)?.weight,
            None => 0,
        };
        writer.share_sized(&record, weight)?;
        self.done.insert(digest);
        self.last = Some(digest);
        Ok(())
    }
}
