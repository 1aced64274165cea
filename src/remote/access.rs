//! An object store for code that is not asynchronous, with errors that say what to do.

use crate::backend::process_id;
use crate::error::{Error, Result};
use object_store::ObjectStore;
use once_cell::race::OnceBox;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

/// What S3 answers if the bucket does not exist.
pub(crate) const NO_BUCKET: &str = "NoSuchBucket";
/// Most characters of an answer that are shown.
const SHOWN: usize = 500;
/// Between two looks whether to stop.
const EACH: Duration = Duration::from_millis(50);
/// How long what is put in order after an error may take.
const SHORT: Duration = Duration::from_secs(10);

type Check = fn() -> Result<()>;

static CHECK: Mutex<Option<Check>> = Mutex::new(None);

/// Sets what is asked some times a second by a thread that waits for an object store, so that Ctrl-C ends the
/// wait: its error does. The last call counts.
pub fn on_wait(check: fn() -> Result<()>) {
    *CHECK.lock().unwrap_or_else(PoisonError::into_inner) = Some(check);
}

fn go_on() -> Result<()> {
    // One that a parent held at a fork is not waited for.
    let check = CHECK.try_lock().ok().and_then(|check| *check);
    check.map_or(Ok(()), |check| check())
}

/// The threads on which requests run, of one process.
#[derive(Debug)]
struct Threads {
    runtime: Option<Runtime>,
    process: u32,
}

impl Threads {
    fn start() -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = Some(runtime.map_err(|e| Error::io("start threads", e))?);
        Ok(Self { runtime, process: process_id() })
    }
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

/// Makes the store again, for a forked child: connections belong to the process that opened them.
pub(crate) type Make = Box<dyn Fn() -> Result<Arc<dyn ObjectStore>> + Send + Sync>;

/// The store as one process uses it.
struct Live {
    store: Arc<dyn ObjectStore>,
    threads: Threads,
    next: OnceBox<Live>,
}

/// An object store, and who may reach it.
pub(crate) struct Access {
    /// What tells this store from others: `s3://bucket`.
    pub(crate) at: String,
    /// Texts that no message shows.
    secrets: Vec<String>,
    /// What to look at where access is denied.
    denied: &'static str,
    live: Live,
    make: Option<Make>,
}

impl Access {
    pub(crate) fn new(
        store: Arc<dyn ObjectStore>,
        at: &str,
        secrets: Vec<String>,
    ) -> Result<Arc<Self>> {
        let live = Live { store, threads: Threads::start()?, next: OnceBox::new() };
        let secrets = secrets.into_iter().filter(|s| !s.is_empty()).collect();
        let denied =
            "check access_key_id, secret_access_key and region, and what this key is allowed to do";
        Ok(Arc::new(Self { at: at.into(), secrets, denied, live, make: None }))
    }

    /// As [`new`](Self::new), of a store that every process makes for itself; `denied` says what to look at
    /// where access is denied.
    pub(crate) fn made(
        make: Make,
        at: &str,
        secrets: Vec<String>,
        denied: &'static str,
    ) -> Result<Arc<Self>> {
        let live = Live { store: make()?, threads: Threads::start()?, next: OnceBox::new() };
        let secrets = secrets.into_iter().filter(|s| !s.is_empty()).collect();
        Ok(Arc::new(Self { at: at.into(), secrets, denied, live, make: Some(make) }))
    }

    /// What this process uses.
    fn live(&self) -> Result<&Live> {
        let (process, mut live) = (process_id(), &self.live);
        while live.threads.process != process {
            let Some(make) = &self.make else {
                let why = "was made before a fork: make another one in this process";
                return Err(Error::invalid("object storage", why));
            };
            if live.next.get().is_none() {
                let made =
                    Live { store: make()?, threads: Threads::start()?, next: OnceBox::new() };
                let _ = live.next.set(Box::new(made));
            }
            match live.next.get() {
                Some(next) => live = next,
                None => return Err(Error::Poisoned),
            }
        }
        Ok(live)
    }

    /// The store, within what [`wait`](Self::wait) waits for.
    pub(crate) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.live().unwrap_or(&self.live).store
    }

    /// Waits for `future`, also within asynchronous code, where tokio itself would panic.
    pub(crate) fn wait<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        self.drive(future, go_on)
    }

    /// As [`wait`](Self::wait), for what has to be put in order after an error, Ctrl-C included: not for long.
    pub(crate) fn finish<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        let until = Instant::now() + SHORT;
        self.drive(future, || if Instant::now() < until { Ok(()) } else { Err(Error::Interrupted) })
    }

    fn drive<T>(
        &self,
        future: impl Future<Output = Result<T>>,
        go_on: impl Fn() -> Result<()>,
    ) -> Result<T> {
        let Some(runtime) = self.live()?.threads.runtime.as_ref() else {
            return Err(Error::Poisoned);
        };
        let _within = runtime.enter();
        let waker = Waker::from(Arc::new(Wakes(thread::current())));
        let (mut future, mut context) = (pin!(future), Context::from_waker(&waker));
        loop {
            match future.as_mut().poll(&mut context) {
                Poll::Ready(done) => return done,
                Poll::Pending => thread::park_timeout(EACH),
            }
            go_on()?;
        }
    }

    /// A text of the store without what is secret, and not too long.
    pub(crate) fn hidden(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            text = text.replace(secret, "***");
        }
        text.chars().take(SHOWN).collect()
    }

    /// An error of the store, without what is secret.
    pub(crate) fn failed(&self, error: &object_store::Error) -> Error {
        self.failed_at(&self.at, error)
    }

    /// As [`failed`](Self::failed), of what is called `at`.
    pub(crate) fn failed_at(&self, at: &str, error: &object_store::Error) -> Error {
        let answer = error.to_string();
        let no_bucket = answer.contains(NO_BUCKET);
        let (kind, why) = match error {
            _ if no_bucket => (
                io::ErrorKind::NotFound,
                "this bucket does not exist: create it, or correct its name".to_owned(),
            ),
            _ if is_denied(error, &answer) => {
                (io::ErrorKind::PermissionDenied, format!("access denied: {}", self.denied))
            }
            _ => (io::ErrorKind::Other, "the object store returned an error".to_owned()),
        };
        let told = match no_bucket {
            // That is all that the answer says.
            true => format!("{at}: {why}"),
            false => format!("{at}: {why} ({})", self.hidden(&answer)),
        };
        Error::io("use the object store", io::Error::new(kind, told))
    }
}

/// Whether an error says that access is denied with these credentials.
pub(crate) fn is_denied(error: &object_store::Error, answer: &str) -> bool {
    use object_store::Error::{PermissionDenied, Unauthenticated};
    matches!(error, PermissionDenied { .. } | Unauthenticated { .. })
        || answer.contains("403 Forbidden")
        || answer.contains("401 Unauthorized")
}
