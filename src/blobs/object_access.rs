//! An object store for code that is not asynchronous, with errors that say what to do.

use super::storage::missing;
use crate::backend::process_id;
use crate::error::{Error, Result};
use futures_util::StreamExt;
use object_store::path::Path as Key;
use object_store::{GetOptions, GetResult, ObjectStore, ObjectStoreExt};
use std::io;
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use tokio::runtime::{Builder, Runtime};

/// What S3 returns if the bucket does not exist.
const NO_BUCKET: &str = "NoSuchBucket";
/// Most characters of an answer that are shown.
const SHOWN: usize = 500;

/// The threads on which requests run.
struct Threads {
    runtime: Option<Runtime>,
    process: u32,
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            if self.process == process_id() {
                // Does not wait: this may be asynchronous code.
                runtime.shutdown_background();
            } else {
                // The threads are those of a parent.
                std::mem::forget(runtime);
            }
        }
    }
}

struct Wakes(Thread);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// An object store, and who may reach it.
pub(super) struct Access {
    pub(super) store: Arc<dyn ObjectStore>,
    /// What tells this store from others: `s3://bucket`.
    pub(super) at: String,
    /// Texts that no message shows.
    secrets: Vec<String>,
    threads: Threads,
}

impl Access {
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        at: &str,
        secrets: Vec<String>,
    ) -> Result<Arc<Self>> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = Some(runtime.map_err(|e| Error::io("start threads", e))?);
        let threads = Threads { runtime, process: process_id() };
        let secrets = secrets.into_iter().filter(|s| !s.is_empty()).collect();
        Ok(Arc::new(Self { store, at: at.into(), secrets, threads }))
    }

    /// Waits for `future`, also within asynchronous code, where tokio itself would panic.
    pub(super) fn wait<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        let runtime = self.threads.runtime.as_ref();
        let Some(runtime) = runtime.filter(|_| self.threads.process == process_id()) else {
            let why = "was made before a fork: make another one in this process";
            return Err(Error::invalid("object storage", why));
        };
        let _within = runtime.enter();
        let waker = Waker::from(Arc::new(Wakes(thread::current())));
        let (mut future, mut context) = (pin!(future), Context::from_waker(&waker));
        loop {
            match future.as_mut().poll(&mut context) {
                Poll::Ready(done) => return done,
                Poll::Pending => thread::park(),
            }
        }
    }

    /// An error of the store, without what is secret.
    pub(super) fn failed(&self, error: &object_store::Error) -> Error {
        let mut answer = error.to_string();
        for secret in &self.secrets {
            answer = answer.replace(secret, "***");
        }
        let at = &self.at;
        let no_bucket = answer.contains(NO_BUCKET);
        let denied = "access denied: check access_key_id, secret_access_key and region, and what this key is allowed to do";
        let (kind, why) = match error {
            _ if no_bucket => (
                io::ErrorKind::NotFound,
                "this bucket does not exist: create it, or correct its name",
            ),
            object_store::Error::PermissionDenied { .. }
            | object_store::Error::Unauthenticated { .. } => {
                (io::ErrorKind::PermissionDenied, denied)
            }
            _ if answer.contains("403 Forbidden") || answer.contains("401 Unauthorized") => {
                (io::ErrorKind::PermissionDenied, denied)
            }
            _ => (io::ErrorKind::Other, "the object store returned an error"),
        };
        let answer: String = answer.chars().take(SHOWN).collect();
        Error::io("use the object store", io::Error::new(kind, format!("{at}: {why} ({answer})")))
    }

    /// An error of reading `key`: a content that is not there is missing.
    pub(super) async fn lost(&self, error: object_store::Error, key: &Key) -> Error {
        match &error {
            object_store::Error::NotFound { .. } if !error.to_string().contains(NO_BUCKET) => {
                self.nothing_at(key).await
            }
            _ => self.failed(&error),
        }
    }

    /// Why there is nothing under `key`: the question for an object does not tell whether there is a bucket.
    pub(super) async fn nothing_at(&self, key: &Key) -> Error {
        match self.store.list(Some(key)).next().await {
            Some(Err(e)) if e.to_string().contains(NO_BUCKET) => self.failed(&e),
            _ => missing(key.as_ref()),
        }
    }

    /// Size of the object under `key`, if there is one.
    pub(super) async fn size(&self, key: &Key) -> Result<Option<u64>> {
        match self.store.head(key).await {
            Ok(found) => Ok(Some(found.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.failed(&e)),
        }
    }

    /// The object under `key`, or a part of it.
    pub(super) async fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<GetResult> {
        let options = GetOptions { range: range.map(Into::into), ..GetOptions::default() };
        match self.store.get_opts(key, options).await {
            Ok(got) => Ok(got),
            Err(e) => Err(self.lost(e, key).await),
        }
    }

    pub(super) async fn delete(&self, key: &Key) -> Result<()> {
        self.store.delete(key).await.map_err(|e| self.failed(&e))
    }

    /// All keys under `prefix`.
    pub(super) async fn keys(&self, prefix: &Key) -> Result<Vec<Key>> {
        let (mut out, mut listed) = (Vec::new(), self.store.list(Some(prefix)));
        while let Some(one) = listed.next().await {
            out.push(one.map_err(|e| self.failed(&e))?.location);
        }
        Ok(out)
    }
}

/// The key of a place under a prefix.
pub(super) fn key(prefix: &str, place: &str) -> Result<Key> {
    let names = prefix.split('/').chain(place.split('/')).filter(|name| !name.is_empty());
    let text = names.collect::<Vec<_>>().join("/");
    Key::parse(text).map_err(|e| Error::invalid("place of a blob", e.to_string()))
}
