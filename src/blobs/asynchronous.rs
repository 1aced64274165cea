//! Storages for asynchronous code: what blocks runs where blocking is allowed.

use super::data::StorageData;
use super::digest::ContentDigest;
use super::storage::{Entry, Storage};
use super::stream::{ByteStream, GetDigest, append};
use super::tags::Tags;
use crate::error::{Error, Result};
use futures_util::{Stream, StreamExt, future, stream};
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

/// Pieces that are on their way between the two sides of a stream.
const ON_THE_WAY: usize = 2;

/// A storage for code on a tokio runtime. Cheap to clone.
///
/// ```
/// use std::sync::Arc;
/// use vlstore::blobs::{AsyncStorage, Checks, ContentDigest, MemoryStorage, StorageName, Tags};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let storage = MemoryStorage::new(StorageName::new("test.memory@v1")?, Checks::default());
/// let storage = AsyncStorage::new(Arc::new(storage));
/// let digest = ContentDigest::of(b"abc", "text/plain", None)?;
/// let at = storage.write_data(b"abc".to_vec(), digest, Tags::default()).await?;
/// assert_eq!(storage.read_data(at).await?, b"abc");
/// # Ok::<(), vlstore::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct AsyncStorage {
    inner: Arc<dyn Storage>,
}

/// What a thread ended with.
fn ended<T>(done: std::result::Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    match done {
        Ok(done) => done,
        Err(e) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
        Err(_) => Err(Error::Interrupted),
    }
}

/// The pieces that an asynchronous task sends.
struct Received {
    pieces: mpsc::Receiver<Result<Vec<u8>>>,
    digest: GetDigest,
}

impl ByteStream for Received {
    fn next_into(&mut self, out: &mut Vec<u8>) -> Result<bool> {
        match self.pieces.blocking_recv().transpose()? {
            // The mark of the end; without it the task that sends is gone.
            Some(piece) if piece.is_empty() => {
                self.digest.end();
                Ok(false)
            }
            Some(piece) => {
                append(out, &piece)?;
                self.digest.count(&piece);
                Ok(true)
            }
            None => Err(Error::Interrupted),
        }
    }

    fn counts_in(&self, digest: &GetDigest) -> bool {
        self.digest.is(digest)
    }
}

impl AsyncStorage {
    /// `storage` for asynchronous code.
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Self { inner: storage }
    }

    /// The storage under this one.
    #[must_use]
    pub const fn storage(&self) -> &Arc<dyn Storage> {
        &self.inner
    }

    async fn blocking<T: Send + 'static>(
        &self,
        f: impl FnOnce(&dyn Storage) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let storage = Arc::clone(&self.inner);
        ended(spawn_blocking(move || f(&*storage)).await)
    }

    /// As [`Storage::write_data`].
    ///
    /// # Errors
    /// As there.
    pub async fn write_data(
        &self,
        data: Vec<u8>,
        digest: ContentDigest,
        tags: Tags,
    ) -> Result<StorageData> {
        self.blocking(move |storage| storage.write_data(&data, &digest, &tags)).await
    }

    /// As [`Storage::read_data`].
    ///
    /// # Errors
    /// As there.
    pub async fn read_data(&self, at: StorageData) -> Result<Vec<u8>> {
        self.blocking(move |storage| storage.read_data(&at)).await
    }

    /// As [`Storage::write_data_stream`]: all pieces of `stream`, which `get_digest` counts. If this is dropped
    /// before it is done, nothing is stored.
    ///
    /// # Errors
    /// As there; what `stream` says.
    pub async fn write_data_stream(
        &self,
        stream: impl Stream<Item = Result<Vec<u8>>> + Send,
        get_digest: &GetDigest,
        tags: Tags,
    ) -> Result<StorageData> {
        let (sender, pieces) = mpsc::channel(ON_THE_WAY);
        let mut received = Received { pieces, digest: get_digest.clone() };
        let digest = get_digest.clone();
        let writing =
            self.blocking(move |storage| storage.write_data_stream(&mut received, &digest, &tags));
        let sending = async move {
            let mut stream = std::pin::pin!(stream);
            while let Some(piece) = stream.next().await {
                let last = piece.is_err();
                let empty = piece.as_ref().is_ok_and(Vec::is_empty);
                if !empty && (sender.send(piece).await.is_err() || last) {
                    return;
                }
            }
            // Nobody may be there to hear it, if the writing failed.
            let _ = sender.send(Ok(Vec::new())).await;
        };
        let (done, ()) = future::join(writing, sending).await;
        done
    }

    /// As [`Storage::read_data_stream`].
    ///
    /// # Errors
    /// As there, and of each piece.
    pub async fn read_data_stream(
        &self,
        at: StorageData,
    ) -> Result<impl Stream<Item = Result<Vec<u8>>> + Send + use<>> {
        let opened = self.blocking(move |storage| storage.read_data_stream(&at)).await?;
        Ok(stream::unfold(Some(opened), |opened| async {
            let mut opened = opened?;
            let next = spawn_blocking(move || {
                let mut piece = Vec::new();
                let more = opened.next_into(&mut piece)?;
                Ok((piece, more.then_some(opened)))
            });
            match ended(next.await) {
                Ok((piece, None)) if piece.is_empty() => None,
                Ok((piece, rest)) => Some((Ok(piece), rest)),
                Err(e) => Some((Err(e), None)),
            }
        }))
    }

    /// As [`Storage::read_range`].
    ///
    /// # Errors
    /// As there.
    pub async fn read_range(&self, at: StorageData, range: Range<u64>) -> Result<Vec<u8>> {
        self.blocking(move |storage| storage.read_range(&at, range)).await
    }

    /// As [`Storage::entry`].
    ///
    /// # Errors
    /// As there.
    pub async fn entry(&self, at: StorageData) -> Result<Entry> {
        self.blocking(move |storage| storage.entry(&at)).await
    }

    /// As [`Storage::search`].
    ///
    /// # Errors
    /// As there.
    pub async fn search(&self, tags: Tags) -> Result<Vec<Entry>> {
        self.blocking(move |storage| storage.search(&tags)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Compression;
    use crate::blobs::{BlobOptions, ContentKind, StorageName, StoreStorage};

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn streams_go_in_and_out_and_a_failed_one_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let name = StorageName::new("test@v1").unwrap();
        let options = BlobOptions { part: 1000, ..BlobOptions::default() };
        let path = dir.path().join("b.vls");
        let storage = StoreStorage::create(name, &path, Compression::Stored, options).unwrap();
        let storage = AsyncStorage::new(Arc::new(storage));
        let kind = || ContentKind::new("text/plain", None).unwrap();
        run(async {
            for n in [0_usize, 1, 50] {
                let pieces = stream::iter((0..n).map(|i| Ok(vec![i.to_le_bytes()[0]; 333])));
                let digest = GetDigest::new(kind());
                let at = storage.write_data_stream(pieces, &digest, Tags::default()).await.unwrap();
                assert_eq!(at.digest(), &digest.get().unwrap());
                let whole: Vec<u8> = (0..n).flat_map(|i| vec![i.to_le_bytes()[0]; 333]).collect();
                assert_eq!(storage.read_data(at.clone()).await.unwrap(), whole);
                let back = storage.read_data_stream(at).await.unwrap();
                let back: Vec<_> = back.map(|p| p.unwrap()).collect().await;
                assert_eq!(back.concat(), whole);
            }
            let failing =
                (0..9).map(|i| if i < 8 { Ok(vec![1; 999]) } else { Err(Error::Poisoned) });
            let digest = GetDigest::new(kind());
            let done = storage.write_data_stream(stream::iter(failing), &digest, Tags::default());
            assert!(matches!(done.await.unwrap_err().root(), Error::Poisoned));
            // Given up while it waits for more.
            let slow = stream::iter([Ok(vec![2; 5000])]).chain(stream::pending());
            let digest = GetDigest::new(kind());
            let writing = storage.write_data_stream(slow, &digest, Tags::default());
            let waited = std::time::Duration::from_millis(200);
            let both = futures_util::future::select(
                Box::pin(writing),
                spawn_blocking(move || std::thread::sleep(waited)),
            );
            drop(both.await);
        });
        let left = |prefix: &str| {
            let store = crate::Store::open(&path).unwrap();
            let keys = crate::Readable::keys(&*store).unwrap();
            keys.iter().filter(|k| k.to_string().contains(prefix)).count()
        };
        // One content has parts: 50 * 333 bytes.
        for _ in 0..100 {
            if left(".part") == 17 {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        assert_eq!((left(".part"), left(".unfinished")), (17, 0));
    }
}
