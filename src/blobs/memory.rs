//! Blobs in the memory of this process.

use super::data::StorageData;
use super::digest::ContentDigest;
use super::name::StorageName;
use super::storage::{Checks, Entry, Storage, check_range, check_written, missing};
use super::stream::{ByteStream, GetDigest, Incoming, Outgoing, Pieces, must_match};
use super::tags::{TagSets, Tags};
use crate::error::Result;
use crate::wire::to_usize;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of a piece of a stream that is read.
const PIECE: usize = 1 << 20;

/// Blobs in memory, until the storage is dropped: for tests, and for what need not stay.
#[derive(Debug)]
pub struct MemoryStorage {
    name: StorageName,
    checks: Checks,
    blobs: Mutex<BTreeMap<String, Blob>>,
}

#[derive(Debug, Clone)]
struct Blob {
    data: Arc<[u8]>,
    at: StorageData,
    tags: TagSets,
}

impl MemoryStorage {
    /// An empty storage.
    #[must_use]
    pub fn new(name: StorageName, checks: Checks) -> Self {
        Self { name, checks, blobs: Mutex::default() }
    }

    fn blobs(&self) -> MutexGuard<'_, BTreeMap<String, Blob>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, at: &StorageData) -> Result<Blob> {
        let key = at.part("memory")?;
        self.blobs().get(key).cloned().ok_or_else(|| missing(key))
    }
}

impl Storage for MemoryStorage {
    fn name(&self) -> &StorageName {
        &self.name
    }

    fn checks(&self) -> Checks {
        self.checks
    }

    fn write_data(&self, data: &[u8], digest: &ContentDigest, tags: &Tags) -> Result<StorageData> {
        check_written(data, digest, self.checks)?;
        self.write_known(data, digest, tags)
    }

    fn write_known(&self, data: &[u8], digest: &ContentDigest, tags: &Tags) -> Result<StorageData> {
        let key = digest.file_name();
        let at = StorageData::new([("memory", &key)], digest.clone())?;
        let mut blobs = self.blobs();
        let fresh = || Blob { data: data.into(), at: at.clone(), tags: TagSets::default() };
        blobs.entry(key).or_insert_with(fresh).tags.add(tags);
        Ok(at)
    }

    fn read_data(&self, at: &StorageData) -> Result<Vec<u8>> {
        let blob = self.find(at)?;
        must_match(&blob.data, at.digest(), at.part("memory")?, self.checks.read)?;
        Ok(blob.data.to_vec())
    }

    fn write_data_stream(
        &self,
        stream: &mut dyn ByteStream,
        get_digest: &GetDigest,
        tags: &Tags,
    ) -> Result<StorageData> {
        let mut incoming = Incoming::new(stream, get_digest, self.checks.written);
        let mut data = Vec::new();
        incoming.fill(&mut data, usize::MAX)?;
        let digest = incoming.digest()?;
        self.write_known(&data, &digest, tags)
    }

    fn read_data_stream(&self, at: &StorageData) -> Result<Box<dyn ByteStream>> {
        let blob = self.find(at)?;
        let starts = (0..blob.data.len()).step_by(PIECE);
        let data = Arc::clone(&blob.data);
        let pieces = starts.map(move |start| {
            let end = data.len().min(start + PIECE);
            Ok(data.get(start..end).unwrap_or_default().to_vec())
        });
        let called = at.part("memory")?.to_owned();
        Ok(Box::new(Outgoing::new(Pieces(pieces), at.digest(), called, self.checks.read)))
    }

    fn read_range(&self, at: &StorageData, range: Range<u64>) -> Result<Vec<u8>> {
        let blob = self.find(at)?;
        check_range(&range, blob.data.len() as u64)?;
        let bytes = to_usize(range.start).zip(to_usize(range.end));
        let bytes = bytes.and_then(|(start, end)| blob.data.get(start..end));
        Ok(bytes.unwrap_or_default().to_vec())
    }

    fn entry(&self, at: &StorageData) -> Result<Entry> {
        let blob = self.find(at)?;
        Ok(Entry { data: blob.at, tags: blob.tags.0 })
    }

    fn search(&self, tags: &Tags) -> Result<Vec<Entry>> {
        let blobs = self.blobs();
        let tagged = blobs.values().filter(|b| !b.tags.0.is_empty() && b.tags.have(tags));
        Ok(tagged.map(|b| Entry { data: b.at.clone(), tags: b.tags.0.clone() }).collect())
    }
}
