//! Blobs as objects of S3 and the like.

use super::data::StorageData;
use super::digest::{ContentDigest, Hasher};
use super::name::StorageName;
use super::object_access::{Access, key};
use super::object_tags::{self, attributes, own_tags};
use super::storage::{
    Checks, Entry, Router, Storage, check_place, check_range, check_written, place_of,
};
use super::stream::{ByteStream, GetDigest, Incoming, Outgoing, append, must_match};
use super::tags::Tags;
use crate::error::{Error, Result};
use crate::wire::memory;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::path::Path as Key;
use object_store::{
    MultipartUpload, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload,
};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::Arc;

/// Bytes of a part of an upload: S3 takes at least 5 MiB and at most 10 000 parts.
const PART: usize = 16 << 20;
const PART_MIN: usize = 5 << 20;
/// After so many parts they grow by the size of the first ones, so that 10 000 are enough.
const GROWING: usize = 1000;
/// Where streams lie before their digest is known.
const UNFINISHED: &str = ".partial";
/// Most bytes that S3 copies in one request.
const COPIED: u64 = 5 << 30;

/// How an [`ObjectStorage`] works.
#[derive(Clone)]
pub struct ObjectOptions {
    /// What is checked.
    pub checks: Checks,
    /// Bytes of the first 1000 parts of a stream, from 5 MiB; later ones are larger. With the default of 16 MiB a
    /// stream may have 860 GiB.
    pub part: usize,
    /// The user's choice of places, behind the prefix.
    pub router: Option<Router>,
    /// Whether nothing may be written.
    pub read_only: bool,
}

impl Default for ObjectOptions {
    fn default() -> Self {
        Self { checks: Checks::default(), part: PART, router: None, read_only: false }
    }
}

impl fmt::Debug for ObjectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectOptions")
            .field("checks", &self.checks)
            .field("part", &self.part)
            .field("routed", &self.router.is_some())
            .field("read_only", &self.read_only)
            .finish()
    }
}

/// Blobs as objects of an object store. Content type, encoding and tags become those of the object, as far
/// as the store has such; all tags lie in small objects beside it too, so that they can be searched.
///
/// A stream of more than a part is uploaded in parts under a name of its own, which is aborted if it fails, and copied
/// to its place when its digest is known. A killed process may leave a copy under that name, which
/// [`sweep`](Self::sweep) deletes, and an upload without an end, which only the store sees: let a rule of the
/// bucket abort those.
pub struct ObjectStorage {
    name: StorageName,
    options: ObjectOptions,
    access: Arc<Access>,
    prefix: String,
    copied: u64,
}

impl fmt::Debug for ObjectStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing of the access: it has secrets.
        f.debug_struct("ObjectStorage")
            .field("name", &self.name)
            .field("at", &self.access.at)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// The next part of at most so many bytes; none at the end.
type NextPart<'a> = &'a mut dyn FnMut(usize) -> Result<Option<Vec<u8>>>;

impl ObjectStorage {
    /// Blobs under `prefix` in `store`, which is called `at` in storage data. No message shows any of `secrets`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for parts of less than 5 MiB, or a prefix that is not a path; [`Error::Io`] if the
    /// system starts no threads.
    pub fn over(
        name: StorageName,
        store: Arc<dyn ObjectStore>,
        at: &str,
        prefix: &str,
        secrets: Vec<String>,
        options: ObjectOptions,
    ) -> Result<Self> {
        if options.part < PART_MIN {
            let why = format!("is {}; S3 takes parts of at least {PART_MIN} bytes", options.part);
            return Err(Error::invalid("part size", why));
        }
        let prefix = prefix.trim_matches('/');
        if !prefix.is_empty() {
            check_place(prefix)?;
        }
        let access = Access::new(store, at, secrets)?;
        Ok(Self { name, options, access, prefix: prefix.into(), copied: COPIED })
    }

    /// Deletes the copies that killed writers left of streams, and returns how many there were. Nobody may be
    /// writing meanwhile.
    ///
    /// # Errors
    /// [`Error::ReadOnly`]; [`Error::Io`].
    pub fn sweep(&self) -> Result<u64> {
        self.writable()?;
        let left = self.key(UNFINISHED)?;
        self.access.wait(async {
            let keys = self.access.keys(&left).await?;
            for key in &keys {
                self.access.delete(key).await?;
            }
            Ok(keys.len() as u64)
        })
    }

    const fn writable(&self) -> Result<()> {
        if self.options.read_only { Err(Error::ReadOnly) } else { Ok(()) }
    }

    fn key(&self, place: &str) -> Result<Key> {
        key(&self.prefix, place)
    }

    fn data(&self, place: &str, digest: &ContentDigest) -> Result<StorageData> {
        let parts = [("at", self.access.at.as_str()), ("prefix", &self.prefix), ("object", place)];
        StorageData::new(parts, digest.clone())
    }

    /// Where a blob may lie: under the prefix under which it was written; in this bucket, also if it was written
    /// in another one.
    fn find(&self, at: &StorageData) -> Result<Key> {
        let place = at.part("object")?;
        check_place(place)?;
        let bucket = at.part("at")?;
        if bucket == self.access.at { key(at.part("prefix")?, place) } else { self.key(place) }
    }

    /// Whether there is this content already.
    async fn is_there(&self, key: &Key, digest: &ContentDigest) -> Result<bool> {
        let there = self.access.size(key).await?;
        if there.is_some() && self.options.router.is_some() {
            // A place that the user chose may hold something else.
            let mut hasher = Hasher::default();
            let mut got = self.access.get(key, None).await?.into_stream();
            while let Some(piece) = got.next().await {
                hasher.update(&piece.map_err(|e| self.access.failed(&e))?);
            }
            if hasher.now().0 != digest.hash() {
                let what = format!("another content at the place {key}");
                return Err(Error::Exists { what: what.into(), instead: None });
            }
        }
        Ok(there == Some(digest.size()))
    }

    /// Keeps a content, which `put` puts under its key if it is not there, with its tags.
    fn keep(
        &self,
        digest: &ContentDigest,
        tags: &Tags,
        put: impl FnOnce(&Key) -> Result<()>,
    ) -> Result<StorageData> {
        let place = place_of(self.options.router.as_ref(), digest, tags)?;
        let (key, at) = (self.key(&place)?, self.data(&place, digest)?);
        let (there, tagged) = self.access.wait(async {
            let there = self.is_there(&key, digest).await?;
            // The tags first: whoever sees the blob sees them.
            Ok((there, object_tags::add(&self.access, &key, digest, tags).await?))
        })?;
        if there {
            return Ok(at);
        }
        put(&key).inspect_err(|_| {
            if let Some(tagged) = tagged {
                // The error that matters is that of the content.
                let _ = self.access.wait(async {
                    match self.access.size(&key).await? {
                        None => self.access.delete(&tagged).await,
                        Some(_) => Ok(()),
                    }
                });
            }
        })?;
        Ok(at)
    }

    /// Uploads all parts to `key`; aborted, it leaves nothing.
    fn upload(&self, key: &Key, options: PutMultipartOptions, next: NextPart<'_>) -> Result<()> {
        let failed = |e| self.access.failed(&e);
        let mut upload = self.access.wait(async {
            self.access.store().put_multipart_opts(key, options).await.map_err(failed)
        })?;
        let done = self.parts(&mut *upload, next).and_then(|()| {
            self.access.wait(async { upload.complete().await.map(drop).map_err(failed) })
        });
        if done.is_err() {
            // The error that matters is that of the stream.
            let _ = self.access.wait(async { upload.abort().await.map_err(failed) });
        }
        done
    }

    fn parts(&self, upload: &mut dyn MultipartUpload, next: NextPart<'_>) -> Result<()> {
        for n in 1_usize.. {
            let Some(part) = next(self.options.part * n.div_ceil(GROWING))? else { break };
            let sent = upload.put_part(PutPayload::from(part));
            self.access.wait(async { sent.await.map_err(|e| self.access.failed(&e)) })?;
        }
        Ok(())
    }

    fn multipart(digest: &GetDigest, tags: &Tags) -> PutMultipartOptions {
        let (tags, attributes) = (own_tags(tags), attributes(digest.kind()));
        PutMultipartOptions { tags, attributes, ..PutMultipartOptions::default() }
    }

    /// Copies an object within the store.
    fn copy(&self, from: &Key, to: &Key, size: u64, options: PutMultipartOptions) -> Result<()> {
        if size <= self.copied {
            let copied = async { self.access.store().copy(from, to).await };
            return self.access.wait(async { copied.await.map_err(|e| self.access.failed(&e)) });
        }
        // Too large for one request: it comes and goes again.
        let got = self.access.wait(self.access.get(from, None))?;
        let mut stream = ObjectParts { stream: got.into_stream(), access: self.access.clone() };
        let (mut held, mut more) = (Vec::new(), true);
        self.upload(to, options, &mut |most| {
            while more && held.len() < most {
                more = stream.next_into(&mut held)?;
            }
            Ok(front(&mut held, most))
        })
    }

    fn stored(&self, at: &StorageData, range: Option<Range<u64>>) -> Result<Vec<u8>> {
        let key = self.find(at)?;
        self.access.wait(async {
            let got = self.access.get(&key, range).await?;
            if got.meta.size != at.digest().size() {
                let why = "it has another length than when it was written";
                return Err(Error::corrupt("content", 0, why).of_record(&key.as_ref()));
            }
            got.bytes().await.map(Vec::from).map_err(|e| self.access.failed(&e))
        })
    }
}

/// At most so many bytes of what is held; none if nothing is.
fn front(held: &mut Vec<u8>, most: usize) -> Option<Vec<u8>> {
    let rest = held.split_off(most.min(held.len()));
    Some(std::mem::replace(held, rest)).filter(|part| !part.is_empty())
}

impl Storage for ObjectStorage {
    fn name(&self) -> &StorageName {
        &self.name
    }

    fn is_read_only(&self) -> bool {
        self.options.read_only
    }

    fn checks(&self) -> Checks {
        self.options.checks
    }

    fn write_data(&self, data: &[u8], digest: &ContentDigest, tags: &Tags) -> Result<StorageData> {
        self.writable()?;
        check_written(data, digest, self.options.checks)?;
        self.write_known(data, digest, tags)
    }

    fn write_known(&self, data: &[u8], digest: &ContentDigest, tags: &Tags) -> Result<StorageData> {
        self.writable()?;
        self.keep(digest, tags, |key| {
            if data.len() > self.options.part {
                let options = Self::multipart(&GetDigest::new(digest.kind().clone()), tags);
                let mut rest = data;
                return self.upload(key, options, &mut |most| {
                    let (part, later) = rest.split_at(most.min(rest.len()));
                    rest = later;
                    let part = memory::copied(part)?;
                    Ok(Some(part).filter(|part| !part.is_empty()))
                });
            }
            let (tags, attributes) = (own_tags(tags), attributes(digest.kind()));
            let options = PutOptions { tags, attributes, ..PutOptions::default() };
            let payload = PutPayload::from(memory::copied(data)?);
            self.access.wait(async {
                let put = self.access.store().put_opts(key, payload, options).await;
                put.map(drop).map_err(|e| self.access.failed(&e))
            })
        })
    }

    fn read_data(&self, at: &StorageData) -> Result<Vec<u8>> {
        let data = self.stored(at, None)?;
        must_match(&data, at.digest(), at.part("object")?, self.options.checks.read)?;
        Ok(data)
    }

    fn write_data_stream(
        &self,
        stream: &mut dyn ByteStream,
        get_digest: &GetDigest,
        tags: &Tags,
    ) -> Result<StorageData> {
        self.writable()?;
        let mut incoming = Incoming::new(stream, get_digest, self.options.checks.written);
        let mut held = Vec::new();
        let mut more = incoming.fill(&mut held, self.options.part)?;
        if !more {
            // Short enough for one request.
            let digest = incoming.digest()?;
            return self.write_known(&held, &digest, tags);
        }
        let random = RandomState::new();
        let random = format!("{:016x}{:016x}", random.hash_one(0_u8), random.hash_one(1_u8));
        let temporary = self.key(&format!("{UNFINISHED}/{random}"))?;
        let mut digest = None;
        self.upload(&temporary, Self::multipart(get_digest, tags), &mut |most| {
            more = more && incoming.fill(&mut held, most)?;
            let part = front(&mut held, most);
            if part.is_none() {
                // Before the upload is completed.
                digest = Some(incoming.digest()?);
            }
            Ok(part)
        })?;
        let kept = digest.ok_or(Error::Poisoned).and_then(|digest| {
            self.keep(&digest, tags, |key| {
                self.copy(&temporary, key, digest.size(), Self::multipart(get_digest, tags))
            })
        });
        let deleted = self.access.wait(self.access.delete(&temporary));
        kept.and_then(|at| deleted.map(|()| at))
    }

    fn read_data_stream(&self, at: &StorageData) -> Result<Box<dyn ByteStream>> {
        let key = self.find(at)?;
        let got = self.access.wait(self.access.get(&key, None))?;
        let parts = ObjectParts { stream: got.into_stream(), access: self.access.clone() };
        let called = at.part("object")?.to_owned();
        Ok(Box::new(Outgoing::new(parts, at.digest(), called, self.options.checks.read)))
    }

    fn read_range(&self, at: &StorageData, range: Range<u64>) -> Result<Vec<u8>> {
        check_range(&range, at.digest().size())?;
        if !range.is_empty() {
            return self.stored(at, Some(range));
        }
        // There is no request for nothing; the object must be there all the same.
        self.entry_key(at).map(|_| Vec::new())
    }

    fn entry(&self, at: &StorageData) -> Result<Entry> {
        let key = self.entry_key(at)?;
        let tags = self.access.wait(object_tags::of(&self.access, &key))?;
        Ok(Entry { data: at.clone(), tags })
    }

    fn search(&self, tags: &Tags) -> Result<Vec<Entry>> {
        let root = self.key("")?;
        let found = self.access.wait(object_tags::tagged(&self.access, &root))?;
        let mut out = Vec::new();
        for (key, (digest, sets)) in found {
            if sets.iter().any(|set| set.have(tags)) {
                let place = key.strip_prefix(root.as_ref()).unwrap_or(&key);
                let data = self.data(place.trim_start_matches('/'), &digest)?;
                out.push(Entry { data, tags: sets });
            }
        }
        Ok(out)
    }
}

impl ObjectStorage {
    /// The key of a content that is there.
    fn entry_key(&self, at: &StorageData) -> Result<Key> {
        let key = self.find(at)?;
        self.access.wait(async {
            match self.access.size(&key).await? {
                Some(_) => Ok(()),
                None => Err(self.access.nothing_at(&key).await),
            }
        })?;
        Ok(key)
    }
}

/// An object as it comes.
struct ObjectParts {
    stream: BoxStream<'static, object_store::Result<bytes::Bytes>>,
    access: Arc<Access>,
}

impl ByteStream for ObjectParts {
    fn next_into(&mut self, out: &mut Vec<u8>) -> Result<bool> {
        let stream = &mut self.stream;
        let next = self
            .access
            .wait(async { stream.next().await.transpose().map_err(|e| self.access.failed(&e)) })?;
        match next {
            Some(piece) => append(out, &piece).map(|()| true),
            None => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blobs::{ContentKind, Pieces};
    use object_store::memory::InMemory;
    use tokio::runtime::Builder;

    fn storage(store: &Arc<InMemory>) -> ObjectStorage {
        let options = ObjectOptions { part: PART_MIN, ..ObjectOptions::default() };
        let name = StorageName::new("test.objects@v1").unwrap();
        let (store, secrets) = (Arc::clone(store) as _, vec!["hush".to_owned()]);
        ObjectStorage::over(name, store, "test://here", "some/where", secrets, options).unwrap()
    }

    #[test]
    fn what_is_too_large_for_one_request_is_copied_in_parts() {
        let store = Arc::new(InMemory::new());
        let storage = ObjectStorage { copied: 0, ..storage(&store) };
        let whole: Vec<u8> = (0..2 * PART_MIN + 77).map(|i| i.to_le_bytes()[1]).collect();
        let digest = GetDigest::new(ContentKind::new("text/plain", None).unwrap());
        let pieces = Pieces(whole.chunks(999_983).map(Ok));
        let mut stream = crate::blobs::Digesting::into(pieces, &digest);
        let at = storage.write_data_stream(&mut stream, &digest, &Tags::default()).unwrap();
        assert_eq!(storage.read_data(&at).unwrap(), whole);
        assert_eq!(storage.sweep().unwrap(), 0, "nothing is left under the temporary name");
    }

    #[test]
    fn it_may_be_used_and_dropped_within_asynchronous_code() {
        let store = Arc::new(InMemory::new());
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let storage = storage(&store);
            let kind = ContentKind::new("text/plain", None).unwrap();
            let at = storage.put(b"abc", kind, &Tags::new([("a", "b")]).unwrap()).unwrap();
            assert_eq!(storage.read_data(&at).unwrap(), b"abc");
            assert_eq!(storage.search(&Tags::default()).unwrap().len(), 1);
        });
    }

    #[test]
    fn no_message_shows_a_secret() {
        let storage = storage(&Arc::new(InMemory::new()));
        let answer = "Client error with status 403 Forbidden: hush is not known".into();
        let error = object_store::Error::Generic { store: "S3", source: answer };
        let shown = storage.access.failed(&error).to_string();
        assert!(shown.contains("test://here") && shown.contains("access_key_id"), "{shown}");
        assert!(!shown.contains("hush") && !format!("{storage:?}").contains("hush"), "{shown}");
    }
}
