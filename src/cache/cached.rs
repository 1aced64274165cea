//! A closure that runs once for the same arguments.

use super::argument::Arguments;
use super::call_key::Call;
use super::file::Cache;
use super::last_used::seconds;
use super::object::Object;
use super::single_flight::Flights;
use crate::error::{Error, Result};
use serde_json::Value;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A closure whose results are kept in a [`Cache`].
///
/// Its name and version stand for what it computes: raise the version when that changes. What a closure
/// captures is not part of the key: pass it as an argument if the result depends on it.
/// The result of the closure is stored before it is returned; an error is not. Threads that call it with
/// the same arguments at the same time wait for one of them; processes do not.
///
/// ```
/// use vlstore::cache::{Cache, CacheOptions, Cached};
/// # let dir = tempfile::tempdir().unwrap();
/// let cache = Cache::open(dir.path().join("results.vls"), &CacheOptions::default())?;
/// let power = Cached::new(&cache, "example.power", 1, |(x, e): (f64, i32)| Ok(x.powi(e)));
/// assert_eq!(power.call((3.0, 2))?, 9.0);
/// assert_eq!(power.call((3.0, 2))?, 9.0);
/// assert_eq!((power.hits(), power.misses()), (1, 1));
/// # Ok::<(), vlstore::Error>(())
/// ```
#[derive(Debug)]
pub struct Cached<'a, F, A, T> {
    cache: &'a Cache,
    name: String,
    version: u64,
    run: F,
    lives: Option<Duration>,
    damaged: bool,
    report: Option<fn(&str, &Error)>,
    hits: AtomicU64,
    misses: AtomicU64,
    flights: Flights,
    result: PhantomData<fn(A) -> T>,
}

impl<'a, F, A, T> Cached<'a, F, A, T>
where
    F: Fn(A) -> Result<T>,
    A: Arguments,
    T: Object,
{
    /// The closure `run` as the function of this name and version. It takes its arguments as one
    /// tuple.
    #[must_use]
    pub fn new(cache: &'a Cache, name: impl Into<String>, version: u64, run: F) -> Self {
        Self {
            cache,
            name: name.into(),
            version,
            run,
            lives: None,
            damaged: false,
            report: None,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            flights: Flights::default(),
            result: PhantomData,
        }
    }

    /// The same, whose results are computed again when they are older than `lives`.
    #[must_use]
    pub const fn living(mut self, lives: Duration) -> Self {
        self.lives = Some(lives);
        self
    }

    /// The same, that returns the error of a damaged entry instead of computing it again.
    #[must_use]
    pub const fn refusing_damage(mut self) -> Self {
        self.damaged = true;
        self
    }

    /// The same, that tells `report` of a damaged entry that is computed again, and of a result that is returned
    /// but could not be stored: the text of the call, and the error. Without, nobody is told.
    #[must_use]
    pub const fn reporting(mut self, report: fn(&str, &Error)) -> Self {
        self.report = Some(report);
        self
    }

    fn tell(&self, text: &str, error: &Error) {
        if let Some(report) = self.report {
            report(text, error);
        }
    }

    /// Calls that were answered from the cache.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// Calls that were computed.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }

    /// The result for these arguments: the stored one, or that of the closure.
    ///
    /// # Errors
    /// [`Error::ReadOnly`] if it would have to be computed and could not be stored: before it is. What
    /// the closure returns. Errors of the cache while looking for the result; those of storing it are
    /// not: the result is returned all the same.
    pub fn call(&self, arguments: A) -> Result<T> {
        let call = Call::new(&*self.name, self.version);
        let text = arguments.list().into_iter().fold(call, Call::with).text();
        loop {
            if let Some(found) = self.find(&text, false)? {
                self.hits.fetch_add(1, Ordering::Relaxed);
                return Ok(found);
            }
            self.cache.writable()?;
            let Some(_flight) = self.flights.begin(&text) else { continue };
            // It may have been stored between looking and boarding.
            if let Some(found) = self.find(&text, true)? {
                self.hits.fetch_add(1, Ordering::Relaxed);
                return Ok(found);
            }
            self.misses.fetch_add(1, Ordering::Relaxed);
            let result = (self.run)(arguments)?;
            // What was computed is worth more than its place in the cache.
            if let Err(error) = self.store(&text, &result) {
                self.tell(&text, &error);
            }
            return Ok(result);
        }
    }

    /// The stored result; `tells` whether damage is reported, which is once a call.
    fn find(&self, text: &str, tells: bool) -> Result<Option<T>> {
        let snapshot = self.cache.snapshot()?;
        let entry = match self.cache.find(&snapshot, text) {
            Err(e) if self.forgives(text, &e, tells) => return Ok(None),
            entry => entry?,
        };
        let Some(entry) = entry else { return Ok(None) };
        let view = match entry.view() {
            Err(e) if self.forgives(text, &e, tells) => return Ok(None),
            view => view?,
        };
        let stored = view.stored().unwrap_or(0.0);
        if self.lives.is_some_and(|lives| seconds() - stored > lives.as_secs_f64()) {
            return Ok(None);
        }
        match T::storage_retrieve(view.result().unwrap_or(&Value::Null), view.arrays()) {
            // Other errors are those of the type itself.
            Err(e @ Error::Codec { .. }) if self.forgives(text, &e, tells) => Ok(None),
            value => {
                let value = value?;
                self.cache.note_use(text);
                Ok(Some(value))
            }
        }
    }

    /// Whether this is damage, for which the result is computed again; says so if `tells`.
    fn forgives(&self, text: &str, error: &Error, tells: bool) -> bool {
        let forgiven = !self.damaged && error.is_damage();
        if forgiven && tells {
            self.tell(text, error);
        }
        forgiven
    }

    fn store(&self, text: &str, result: &T) -> Result<()> {
        let prepared = result.storage_prepare()?;
        let arrays = prepared.views()?;
        self.cache.put(text, seconds(), &prepared.result, &Value::Null, &arrays).map(drop)
    }
}
