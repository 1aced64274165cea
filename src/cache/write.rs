//! Storing and deleting: each its own turn of the lock.

use super::budget;
use super::call_key::record_key;
use super::entry::{EntryInfo, put_row};
use super::file::{Cache, check_layer, locked, mark, writing};
use super::lock_wait::open_with_retries;
use crate::codec::{ArrayView, Codec as _, DocumentCodec, DocumentRef};
use crate::error::{Error, Result};
use crate::key::Key;
use crate::store::{Readable as _, Writer};
use serde_json::json;
use std::time::Duration;

/// Commits behind the last seal from which on the file is sealed.
const UNSEALED: u64 = 32;

impl Cache {
    /// Stores a result under the text of its call; one that is there is replaced. `stored` is in seconds
    /// since 1970 (UTC), `result` a tree whose numbers of arrays lead to `arrays`, `extra` any
    /// JSON object or null. Returns how many results had to go.
    ///
    /// # Errors
    /// [`Error::Limit`] if it does not fit the budget or a record, [`Error::Locked`] if no turn came
    /// within [`CacheOptions::lock_wait`](super::CacheOptions::lock_wait), [`Error::ReadOnly`]; else as
    /// [`Writer::put`]. After an error nothing has changed.
    pub fn put(
        &self,
        text: &str,
        stored: f64,
        result: &serde_json::Value,
        extra: &serde_json::Value,
        arrays: &[ArrayView<'_>],
    ) -> Result<u64> {
        let mut head = json!({"key": text, "stored": stored, "result": result});
        if let (Some(members), false) = (head.as_object_mut(), extra.is_null()) {
            members.insert("extra".into(), extra.clone());
        }
        let document = DocumentRef { head: &head.to_string(), arrays };
        self.put_document(text, stored, &document, self.options.lock_wait)
    }

    /// As [`Cache::put`], with the head as text: one that says what `text` and `stored` say.
    ///
    /// # Errors
    /// As [`Cache::put`]; `wait` is how long it waits for its turn.
    pub fn put_document(
        &self,
        text: &str,
        stored: f64,
        document: &DocumentRef<'_>,
        wait: Duration,
    ) -> Result<u64> {
        self.writable()?;
        let mut bytes = Vec::new();
        DocumentCodec.encode(document, &mut bytes)?;
        if let Some(max) = self.options.max_bytes.filter(|max| bytes.len() as u64 > *max) {
            let asked = bytes.len() as u64;
            return Err(Error::Limit { what: "a result in a cache", asked, max });
        }
        let key = record_key(text);
        self.write(wait, |writer| {
            // One commit for the result and for what has to go: the budget holds at every moment.
            let before = budget::bytes_beside(self, writer, &key)?;
            put_row(writer, &key, &bytes, stored)?;
            budget::within_budget(self, writer, before, &key, bytes.len() as u64)
        })
    }

    /// Deletes the results of the calls with these texts, and returns how many there were.
    ///
    /// # Errors
    /// As [`Cache::put`].
    pub fn remove<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> Result<u64> {
        self.remove_within(texts, self.options.lock_wait)
    }

    /// As [`Cache::remove`]; `wait` is how long it waits for its turn.
    ///
    /// # Errors
    /// As [`Cache::put`].
    pub fn remove_within<'a>(
        &self,
        texts: impl IntoIterator<Item = &'a str>,
        wait: Duration,
    ) -> Result<u64> {
        self.remove_keys(texts.into_iter().map(record_key).collect(), wait)
    }

    /// Deletes these entries, and returns how many were still there.
    ///
    /// # Errors
    /// As [`Cache::put`].
    pub fn remove_entries(&self, entries: &[EntryInfo], wait: Duration) -> Result<u64> {
        self.remove_keys(entries.iter().map(EntryInfo::record_key).collect(), wait)
    }

    fn remove_keys(&self, keys: Vec<Key>, wait: Duration) -> Result<u64> {
        self.writable()?;
        if keys.is_empty() {
            return Ok(0);
        }
        self.write(wait, |writer| {
            let mut gone = 0;
            for key in &keys {
                if writer.find_key(key)?.is_some() {
                    writer.delete(key.clone())?;
                    gone += 1;
                }
            }
            Ok(gone)
        })
    }

    /// Deletes everything, and returns how many results there were. A file to which nothing can be written because it
    /// is damaged is replaced by an empty one.
    ///
    /// # Errors
    /// As [`Cache::put`].
    pub fn clear(&self) -> Result<u64> {
        self.clear_within(self.options.lock_wait)
    }

    /// As [`Cache::clear`]; `wait` is how long it waits for its turn.
    ///
    /// # Errors
    /// As [`Cache::put`].
    pub fn clear_within(&self, wait: Duration) -> Result<u64> {
        self.writable()?;
        let there = self.len()?;
        match self.entries().and_then(|entries| self.remove_entries(&entries, wait)) {
            // Nothing of the file is wanted any more.
            Err(e) if matches!(e.root(), Error::Corrupt(_)) => {
                let mut options = self.options.clone();
                options.compression = self.snapshot()?.layout().compression;
                options.lock_wait = wait;
                Self::replace(&self.path, &options).map(|_| there)
            }
            cleared => cleared,
        }
    }

    /// Writes down when results were used last, for other processes and later runs.
    ///
    /// # Errors
    /// As [`Cache::put`].
    pub fn flush(&self) -> Result<()> {
        self.flush_within(self.options.lock_wait)
    }

    /// As [`Cache::flush`]; `wait` is how long it waits for its turn.
    ///
    /// # Errors
    /// As [`Cache::put`].
    pub fn flush_within(&self, wait: Duration) -> Result<()> {
        if self.options.read_only || locked(&self.uses).is_empty() {
            return Ok(());
        }
        self.write(wait, |writer| budget::write_uses(self, writer).map(drop))
    }

    /// One turn of the lock: opens the file for writing, and commits what `work` did.
    fn write<T>(&self, wait: Duration, work: impl FnOnce(&mut Writer) -> Result<T>) -> Result<T> {
        let options = writing(&self.options);
        let mut writer = open_with_retries(wait, || Writer::open(&self.path, &options))?;
        let turn = || -> Result<T> {
            check_layer(&writer)?;
            mark(&mut writer)?;
            let done = work(&mut writer)?;
            writer.commit()?;
            let info = writer.info()?;
            // Not closed: that would seal the file, which the next result leaves behind. But the next who
            // writes reads all commits behind the seal, so there are never many.
            if info.generation - info.sealed_generation >= UNSEALED {
                // The result is committed, whether this works or not; the next writer tries again.
                let _ = writer.seal();
            }
            let worn = budget::is_worn(self, &info);
            drop(writer);
            if worn {
                // What was to be written is. Whoever has the lock now, or the next who stores something,
                // repacks instead; `repack` says what is in the way.
                let _ = self.repack();
            }
            Ok(done)
        };
        turn().map_err(|e: Error| e.at(&self.path))
    }
}
