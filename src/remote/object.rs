//! One object of an object store, read by ranges; what fails for a moment is tried again.

use super::access::{Access, NO_BUCKET, is_denied};
use super::address::Address;
use crate::backend::{Begun, RangeSource};
use crate::error::{Error, Result};
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::aws::AmazonS3Builder;
use object_store::path::Path as Key;
use object_store::{GetOptions, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt};
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// How long is waited before the second try; each time twice as long, up to the longest.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// An object of an object store. All reads are of one version: the one that was there at first.
pub struct ObjectSource {
    pub(super) access: Arc<Access>,
    pub(super) key: Key,
    name: String,
    pub(super) deadline: Duration,
    at_once: usize,
    /// What makes a client of S3, if it is there.
    pub(super) s3: Option<Box<AmazonS3Builder>>,
}

/// Why one try failed.
pub(super) enum Failed {
    Store(object_store::Error),
    /// The answer ended too early.
    Short(u64, u64),
    Replaced,
}

impl From<object_store::Error> for Failed {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::Precondition { .. } => Self::Replaced,
            other => Self::Store(other),
        }
    }
}

impl ObjectSource {
    pub(super) fn at(address: Address, deadline: Duration, at_once: usize) -> Result<Self> {
        let Address { at, key, make, secrets, denied, s3 } = address;
        let access = Access::made(make, &at, secrets, denied)?;
        Ok(Self::below(access, key, deadline, at_once, s3))
    }

    fn new(access: Arc<Access>, key: Key, deadline: Duration, at_once: usize) -> Self {
        let name = format!("{}/{key}", access.at);
        Self { access, key, name, deadline, at_once: at_once.max(1), s3: None }
    }

    /// One of several objects that are reached by the same connections.
    pub(super) fn below(
        access: Arc<Access>,
        key: Key,
        deadline: Duration,
        at_once: usize,
        s3: Option<AmazonS3Builder>,
    ) -> Self {
        Self { s3: s3.map(Box::new), ..Self::new(access, key, deadline, at_once) }
    }

    /// The object `key` of `store`, which is called `at` in messages: `s3://bucket`. Each request, with all
    /// that is tried again, must have an answer within `deadline`; `at_once` run side by side. A forked child
    /// cannot use it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no key; [`Error::Io`] if the system starts no threads.
    pub fn over(
        store: Arc<dyn ObjectStore>,
        at: &str,
        key: &str,
        deadline: Duration,
        at_once: usize,
    ) -> Result<Self> {
        let key = Key::parse(key).map_err(|e| Error::invalid("key of an object", e.to_string()))?;
        Ok(Self::new(Access::new(store, at, Vec::new())?, key, deadline, at_once))
    }

    /// The error of a request that is not tried again.
    fn failed(&self, failed: &Failed) -> Error {
        let io = |kind, why: String| {
            Error::io("read", io::Error::new(kind, format!("{}: {why}", self.name)))
        };
        match failed {
            Failed::Replaced => Error::Replaced.at(self.name.as_ref()),
            Failed::Short(got, asked) => io(
                io::ErrorKind::UnexpectedEof,
                format!("the answer was cut short: {got} of {asked} bytes came"),
            ),
            Failed::Store(object_store::Error::NotFound { source, .. })
                if !source.to_string().contains(NO_BUCKET) =>
            {
                let missing = NoObject(self.name.clone());
                Error::io("read", io::Error::new(io::ErrorKind::NotFound, missing))
            }
            Failed::Store(e) => self.access.failed_at(&self.name, e),
        }
    }

    /// Tries until it succeeds, until trying again is no use, or until the deadline.
    pub(super) async fn persist<T, F: Future<Output = std::result::Result<T, Failed>>>(
        &self,
        one: impl Fn() -> F,
    ) -> Result<T> {
        let until = Instant::now() + self.deadline;
        let mut pause = PAUSE;
        let mut last = None;
        loop {
            match timeout_at(until, one()).await {
                Ok(Ok(done)) => return Ok(done),
                Ok(Err(failed)) if is_passing(&failed) && Instant::now() + pause < until => {
                    last = Some(failed);
                    sleep(pause).await;
                    pause = (2 * pause).min(LONGEST);
                }
                Ok(Err(failed)) => return Err(self.failed(&failed)),
                Err(_) => {
                    let seconds = self.deadline.as_secs_f64();
                    let before = last.map_or_else(String::new, |failed| {
                        format!("; before that: {}", self.failed(&failed))
                    });
                    let why = format!(
                        "{}: no answer within {seconds} s (VLSTORE_REMOTE_DEADLINE sets the seconds){before}",
                        self.name
                    );
                    return Err(Error::io("read", io::Error::new(io::ErrorKind::TimedOut, why)));
                }
            }
        }
    }

    async fn get(
        &self,
        range: Range<u64>,
        version: Option<&str>,
    ) -> std::result::Result<Vec<u8>, Failed> {
        let options = GetOptions {
            range: Some(range.clone().into()),
            if_match: version.and_then(|v| v.strip_prefix(TAG)).map(str::to_owned),
            ..GetOptions::default()
        };
        let got = self.access.store().get_opts(&self.key, options).await?;
        if version.is_some() && self::version(&got.meta).as_deref() != version {
            return Err(Failed::Replaced);
        }
        bytes(got, range.end - range.start).await
    }
}

/// What a version begins with that the store can be asked to compare.
pub(super) const TAG: &str = "etag ";

/// What changes when the object does.
pub(super) fn version(meta: &ObjectMeta) -> Option<Box<str>> {
    match &meta.e_tag {
        Some(tag) if !tag.starts_with("W/") => Some(format!("{TAG}{tag}").into()),
        Some(weak) => Some(weak.as_str().into()),
        None => Some(format!("{} {}", meta.last_modified.to_rfc3339(), meta.size).into()),
    }
}

/// The whole answer, if it is as long as was asked.
async fn bytes(got: GetResult, asked: u64) -> std::result::Result<Vec<u8>, Failed> {
    let bytes = got.bytes().await?;
    if bytes.len() as u64 != asked {
        return Err(Failed::Short(bytes.len() as u64, asked));
    }
    Ok(Vec::from(bytes))
}

/// Whether the same request may succeed the next time.
fn is_passing(failed: &Failed) -> bool {
    match failed {
        Failed::Short(..) => true,
        Failed::Store(error @ object_store::Error::Generic { .. }) => {
            let answer = error.to_string();
            !is_denied(error, &answer) && !answer.contains("status code: 4")
        }
        _ => false,
    }
}

impl RangeSource for ObjectSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn begin(&self, most: u64) -> Result<Begun> {
        let first = || async {
            let options =
                GetOptions { range: Some((0..most.max(1)).into()), ..GetOptions::default() };
            match self.access.store().get_opts(&self.key, options).await {
                Ok(got) => {
                    let (len, version) = (got.meta.size, version(&got.meta));
                    let asked = got.range.end - got.range.start;
                    Ok(Begun { len, version, bytes: bytes(got, asked).await? })
                }
                Err(error @ object_store::Error::Generic { .. })
                    if error.to_string().contains("416") =>
                {
                    // No range lies in what is empty.
                    let meta = self.access.store().head(&self.key).await?;
                    if meta.size > 0 {
                        return Err(Failed::Store(error));
                    }
                    Ok(Begun { len: 0, version: version(&meta), bytes: Vec::new() })
                }
                Err(error) => Err(error.into()),
            }
        };
        let begun = self.access.wait(async {
            match self.persist(first).await {
                Err(e) if is_missing(&e) => Err(self.no_bucket().await.unwrap_or(e)),
                other => other,
            }
        })?;
        Ok(begun)
    }

    fn read(&self, ranges: &[Range<u64>], version: Option<&str>) -> Result<Vec<Vec<u8>>> {
        self.access.wait(async {
            let each = ranges.iter().map(|range| {
                let range = range.clone();
                async move { self.persist(|| self.get(range.clone(), version)).await }
            });
            stream::iter(each).buffered(self.at_once).try_collect().await
        })
    }
}

impl ObjectSource {
    /// That there is no bucket, if so: the question for an object does not tell.
    async fn no_bucket(&self) -> Option<Error> {
        let mut listed = self.access.store().list(Some(&self.key));
        match listed.next().await {
            Some(Err(e)) if e.to_string().contains(NO_BUCKET) => Some(self.access.failed(&e)),
            _ => None,
        }
    }
}

/// The bucket is there, and has no such object.
#[derive(Debug)]
struct NoObject(String);

impl fmt::Display for NoObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: there is no such object", self.0)
    }
}

impl std::error::Error for NoObject {}

/// Whether an error says that the bucket exists and the object does not.
#[must_use]
pub fn is_missing(error: &Error) -> bool {
    let inner = match error.root() {
        Error::Io { source, .. } => source.get_ref(),
        _ => None,
    };
    inner.is_some_and(|inner| inner.is::<NoObject>())
}

impl fmt::Debug for ObjectSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing of the access: it has secrets.
        f.debug_struct("ObjectSource").field("name", &self.name).finish_non_exhaustive()
    }
}
