//! Object stores that are late, cut answers short, fail once or for ever, or lose a part of an upload.

use super::object::ObjectSource;
use super::open::open_source;
use super::options::RemoteOptions;
use super::pull::{PullOptions, Pulled, pull_from};
use super::push::{PushOptions, Pushed, push_to};
use crate::error::{Error, Result};
use crate::store::{
    Compression, Durability, Layout, ReadOptions, StoreOptions, WriteOptions, Writer,
};
use crate::{Readable, Store};
use async_trait::async_trait;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, stream};
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    UploadPart,
};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Late,
    /// The next so many answers.
    Short(usize),
    Fails(usize),
    /// The second part of an upload.
    Part,
    Completion,
    /// Somebody else puts an object between the last question and the next `put`.
    Overtaken,
    /// The service takes no conditions.
    NoConditions,
}

#[derive(Debug, Default)]
struct Counts {
    gets: AtomicUsize,
    puts: AtomicUsize,
    aborts: AtomicUsize,
}

#[derive(Debug)]
struct Flaky {
    inner: InMemory,
    fault: Arc<Mutex<Fault>>,
    counts: Arc<Counts>,
}

impl std::fmt::Display for Flaky {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("flaky")
    }
}

fn away() -> object_store::Error {
    object_store::Error::Generic { store: "flaky", source: "the connection was reset".into() }
}

#[async_trait]
impl ObjectStore for Flaky {
    async fn put_opts(
        &self,
        location: &Key,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.counts.puts.fetch_add(1, Ordering::Relaxed);
        let fault = *self.fault.lock().unwrap();
        if fault == Fault::NoConditions && options.mode != PutMode::Overwrite {
            let (operation, implementer) = ("a condition".into(), "flaky".into());
            return Err(object_store::Error::NotImplemented { operation, implementer });
        }
        if fault == Fault::Overtaken {
            self.inner.put(location, PutPayload::from_static(b"theirs")).await?;
        }
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Key,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        let inner = self.inner.put_multipart_opts(location, options).await?;
        let (fault, counts) = (self.fault.clone(), self.counts.clone());
        Ok(Box::new(Upload { inner, fault, counts, parts: 0 }))
    }

    async fn get_opts(
        &self,
        location: &Key,
        options: GetOptions,
    ) -> object_store::Result<GetResult> {
        self.counts.gets.fetch_add(1, Ordering::Relaxed);
        let fault = {
            let mut fault = self.fault.lock().unwrap();
            let now = *fault;
            match &mut *fault {
                Fault::Short(n) | Fault::Fails(n) if *n > 0 => *n -= 1,
                Fault::Short(_) | Fault::Fails(_) => *fault = Fault::None,
                _ => {}
            }
            if matches!(*fault, Fault::None) { Fault::None } else { now }
        };
        match fault {
            Fault::Fails(_) => return Err(away()),
            Fault::Late => tokio::time::sleep(Duration::from_millis(20)).await,
            _ => {}
        }
        let got = self.inner.get_opts(location, options).await?;
        if !matches!(fault, Fault::Short(_)) {
            return Ok(got);
        }
        let (meta, range) = (got.meta.clone(), got.range.clone());
        let (attributes, extensions) = (got.attributes.clone(), got.extensions.clone());
        let bytes = got.bytes().await?;
        let half = bytes.slice(..bytes.len() / 2);
        let payload = GetResultPayload::Stream(stream::iter([Ok(half)]).boxed());
        Ok(GetResult { payload, meta, range, attributes, extensions })
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Key>>,
    ) -> BoxStream<'static, object_store::Result<Key>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Key>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Key>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &Key,
        to: &Key,
        options: CopyOptions,
    ) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct Upload {
    inner: Box<dyn MultipartUpload>,
    fault: Arc<Mutex<Fault>>,
    counts: Arc<Counts>,
    parts: usize,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.counts.puts.fetch_add(1, Ordering::Relaxed);
        self.parts += 1;
        if self.parts == 2 && *self.fault.lock().unwrap() == Fault::Part {
            return async { Err(away()) }.boxed();
        }
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> object_store::Result<PutResult> {
        let fault = *self.fault.lock().unwrap();
        if fault == Fault::Completion { Err(away()) } else { self.inner.complete().await }
    }

    async fn abort(&mut self) -> object_store::Result<()> {
        self.counts.aborts.fetch_add(1, Ordering::Relaxed);
        self.inner.abort().await
    }
}

const KEY: &str = "runs/one.vls";

struct World {
    dir: tempfile::TempDir,
    store: Arc<Flaky>,
    source: Arc<ObjectSource>,
}

impl World {
    fn new() -> Self {
        let store = Arc::new(Flaky {
            inner: InMemory::new(),
            fault: Arc::new(Mutex::new(Fault::None)),
            counts: Arc::default(),
        });
        let deadline = Duration::from_secs(2);
        let source = ObjectSource::over(store.clone(), "test://bucket", KEY, deadline, 8).unwrap();
        Self { dir: tempfile::tempdir().unwrap(), store, source: Arc::new(source) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn set(&self, fault: Fault) {
        *self.store.fault.lock().unwrap() = fault;
    }

    fn count(&self, which: impl Fn(&Counts) -> &AtomicUsize) -> usize {
        which(&self.store.counts).swap(0, Ordering::Relaxed)
    }

    fn open(&self) -> Result<Store> {
        let source = self.source.clone();
        open_source(source, &ReadOptions::default(), &RemoteOptions::default())
    }

    fn push(&self, path: &Path) -> Result<Pushed> {
        push_to(&self.source, path, &PushOptions::default(), &mut |_, _| Ok(()))
    }

    fn pull(&self, path: &Path) -> Result<Pulled> {
        pull_from(&self.source, path, &PullOptions::default(), &mut |_, _| Ok(()))
    }

    fn object(&self) -> Vec<u8> {
        let get = async {
            let got = self.store.inner.get(&Key::from(KEY)).await.unwrap();
            Ok(got.bytes().await.unwrap().to_vec())
        };
        self.source.access.wait(get).unwrap()
    }

    fn put(&self, bytes: Vec<u8>) {
        let put = async {
            self.store.inner.put(&Key::from(KEY), PutPayload::from(bytes)).await.unwrap();
            Ok(())
        };
        self.source.access.wait(put).unwrap();
    }
}

fn record(i: u64) -> Vec<u8> {
    let mut x = i + 1;
    let word = |_| {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x.to_le_bytes()
    };
    (0..8192).flat_map(word).collect()
}

/// A store of records of 64 KiB that do not compress.
fn write(path: &Path, records: std::ops::Range<u64>) {
    let write = WriteOptions { durability: Durability::None, ..WriteOptions::default() };
    let layout = Layout { compression: Compression::Stored, ..Layout::default() };
    let mut w = Writer::open_or_create(path, &StoreOptions { layout, write }).unwrap();
    for i in records {
        w.insert(i, &record(i)).unwrap();
    }
    w.close().unwrap();
}

fn check(store: &Store, records: u64) {
    assert_eq!(store.len(), records);
    for i in 0..records {
        assert_eq!(&*store.get(i).unwrap(), record(i), "{i}");
    }
}

#[test]
fn late_and_short_answers_and_errors_that_pass_are_got_over() {
    let world = World::new();
    write(&world.path("a"), 0..40);
    world.push(&world.path("a")).unwrap();
    for fault in [Fault::Late, Fault::Short(3), Fault::Fails(3)] {
        world.set(fault);
        let store = world.open().unwrap();
        check(&store, 40);
        world.set(fault);
        assert!(world.open().unwrap().get_batch_at(&[3, 39, 17]).is_ok());
        world.set(Fault::None);
    }
}

#[test]
fn errors_for_ever_are_told_at_the_deadline_and_nothing_wrong_is_returned() {
    let world = World::new();
    write(&world.path("a"), 0..40);
    world.push(&world.path("a")).unwrap();
    let store = world.open().unwrap();
    for fault in [Fault::Fails(usize::MAX), Fault::Short(usize::MAX)] {
        world.set(fault);
        let begun = Instant::now();
        let e = store.get(39).unwrap_err();
        assert!(matches!(e.root(), Error::Io { .. }) && e.to_string().contains(KEY), "{e}");
        assert!(begun.elapsed() >= Duration::from_secs(1), "it was tried again");
        assert!(world.count(|c| &c.gets) > 3);
    }
    world.set(Fault::None);
    check(&store, 40);
    let missing =
        ObjectSource::over(world.store.clone(), "test://b", "no", Duration::from_secs(1), 1);
    let e =
        open_source(Arc::new(missing.unwrap()), &ReadOptions::default(), &RemoteOptions::default());
    assert!(e.unwrap_err().to_string().contains("there is no such object"));
}

#[test]
fn a_replaced_object_is_noticed_by_who_reads_it() {
    let world = World::new();
    write(&world.path("a"), 0..60);
    world.push(&world.path("a")).unwrap();
    let mut store = world.open().unwrap();
    write(&world.path("a"), 60..70);
    world.push(&world.path("a")).unwrap();
    assert!(matches!(store.get(30).unwrap_err().root(), Error::Replaced));
    assert!(matches!(store.refresh().unwrap_err().root(), Error::Replaced));
    check(&world.open().unwrap(), 70);
}

#[test]
fn what_is_the_same_is_not_sent_and_what_would_be_lost_is_not_replaced() {
    let world = World::new();
    let (a, b) = (world.path("a"), world.path("b"));
    write(&a, 0..200);
    let bytes = a.metadata().unwrap().len();
    let sent = world.push(&a).unwrap();
    assert_eq!(sent, Pushed { bytes, sent: bytes, unchanged: false });
    assert!(world.object() == std::fs::read(&a).unwrap());
    world.count(|c| &c.puts);
    assert_eq!(world.push(&a).unwrap(), Pushed { bytes, sent: 0, unchanged: true });
    assert_eq!(world.count(|c| &c.puts), 0);
    // An older state goes up, a newer one is not replaced by it.
    std::fs::copy(&a, &b).unwrap();
    write(&a, 200..210);
    assert!(!world.push(&a).unwrap().unchanged);
    let e = world.push(&b).unwrap_err();
    assert!(
        matches!(e.root(), Error::Exists { .. }) && e.to_string().contains("newer state"),
        "{e}"
    );
    // Another store, and an object that is not a store.
    std::fs::remove_file(&b).unwrap();
    write(&b, 0..3);
    assert!(world.push(&b).unwrap_err().to_string().contains("another store"));
    world.put(b"not a store, but somebody's work".repeat(1000));
    let e = world.push(&b).unwrap_err();
    assert!(e.to_string().contains("not a whole store"), "{e}");
    let overwrite = PushOptions { overwrite: true, ..PushOptions::default() };
    push_to(&world.source, &b, &overwrite, &mut |_, _| Ok(())).unwrap();
    check(&world.open().unwrap(), 3);
    // No store at all.
    std::fs::write(world.path("c"), b"text").unwrap();
    assert!(matches!(world.push(&world.path("c")).unwrap_err().root(), Error::NotAStore { .. }));
}

#[test]
fn an_upload_that_fails_or_is_stopped_is_aborted_and_the_object_stays() {
    let world = World::new();
    let a = world.path("a");
    write(&a, 0..300);
    world.push(&a).unwrap();
    let before = world.object();
    write(&a, 300..310);
    for fault in [Fault::Part, Fault::Completion] {
        world.set(fault);
        let e = world.push(&a).unwrap_err();
        assert!(matches!(e.root(), Error::Io { .. }), "{e}");
        assert_eq!(world.count(|c| &c.aborts), 1, "{fault:?}");
        assert!(world.object() == before);
    }
    world.set(Fault::None);
    let stop = &mut |done, _| if done > 0 { Err(Error::Interrupted) } else { Ok(()) };
    let e = push_to(&world.source, &a, &PushOptions::default(), stop).unwrap_err();
    assert!(matches!(e, Error::Interrupted));
    assert_eq!(world.count(|c| &c.aborts), 1);
    assert!(world.object() == before);
    // Somebody writes while it is read.
    let mut n = 310;
    let writes = &mut |done, _| {
        if done > 0 && n == 310 {
            write(&a, 310..311);
            n += 1;
        }
        Ok(())
    };
    let e = push_to(&world.source, &a, &PushOptions::default(), writes).unwrap_err();
    assert!(e.to_string().contains("was written to"), "{e}");
    assert_eq!(world.count(|c| &c.aborts), 1);
    assert!(world.object() == before);
    world.push(&a).unwrap();
    check(&world.open().unwrap(), 311);
}

#[test]
fn of_two_that_push_at_once_one_wins_and_the_other_is_told() {
    // A request for all of it, and parts; nothing there before, an older state, and another store.
    for records in [3, 200] {
        for (before, overwrite) in [(false, false), (true, false), (true, true)] {
            let world = World::new();
            let (first, one, two) = (world.path("first"), world.path("one"), world.path("two"));
            write(&first, 0..records);
            if before {
                world.push(&first).unwrap();
            }
            for (path, n) in [(&one, 1), (&two, 2)] {
                if overwrite {
                    write(path, 0..records);
                } else {
                    std::fs::copy(&first, path).unwrap();
                }
                write(path, records..records + n);
            }
            let options = PushOptions { overwrite, ..PushOptions::default() };
            let mut faster = false;
            let meanwhile = &mut |_, _| {
                if !std::mem::replace(&mut faster, true) {
                    push_to(&world.source, &two, &options, &mut |_, _| Ok(())).unwrap();
                }
                Ok(())
            };
            let mine = std::fs::read(&one).unwrap();
            let e = push_to(&world.source, &one, &options, meanwhile).unwrap_err();
            assert!(matches!(e.root(), Error::Overtaken), "{e}");
            assert!(e.to_string().contains(KEY) && e.to_string().contains("push again"), "{e}");
            assert!(world.object() == std::fs::read(&two).unwrap());
            assert!(std::fs::read(&one).unwrap() == mine);
            assert_eq!(world.count(|c| &c.aborts), usize::from(records == 200));
            // The same state by two is the same object.
            let mut faster = false;
            let meanwhile = &mut |_, _| {
                if !std::mem::replace(&mut faster, true) {
                    world.put(std::fs::read(&one).unwrap());
                }
                Ok(())
            };
            let overwrite = PushOptions { overwrite: true, ..PushOptions::default() };
            let done = push_to(&world.source, &one, &overwrite, meanwhile).unwrap();
            assert!(done.unchanged && done.sent == 0);
        }
    }
}

#[test]
fn the_last_request_of_a_push_has_the_condition_where_the_service_takes_it() {
    let world = World::new();
    let (a, b) = (world.path("a"), world.path("b"));
    write(&a, 0..3);
    // The question before it comes too early.
    world.set(Fault::Overtaken);
    assert!(matches!(world.push(&a).unwrap_err().root(), Error::Overtaken));
    assert_eq!(world.object(), b"theirs");
    world.set(Fault::None);
    let overwrite = PushOptions { overwrite: true, ..PushOptions::default() };
    push_to(&world.source, &a, &overwrite, &mut |_, _| Ok(())).unwrap();
    write(&a, 3..4);
    world.set(Fault::Overtaken);
    assert!(matches!(world.push(&a).unwrap_err().root(), Error::Overtaken));
    assert_eq!(world.object(), b"theirs");
    // Where it does not, the question is asked.
    world.set(Fault::NoConditions);
    push_to(&world.source, &a, &overwrite, &mut |_, _| Ok(())).unwrap();
    check(&world.open().unwrap(), 4);
    std::fs::copy(&a, &b).unwrap();
    write(&b, 4..5);
    let meanwhile = &mut |_, _| {
        world.put(b"theirs".to_vec());
        Ok(())
    };
    let e = push_to(&world.source, &b, &PushOptions::default(), meanwhile).unwrap_err();
    assert!(matches!(e.root(), Error::Overtaken), "{e}");
}

#[test]
fn only_what_an_older_copy_lacks_is_fetched_and_it_is_compared() {
    let world = World::new();
    let (a, copy) = (world.path("a"), world.path("copy"));
    write(&a, 0..300);
    world.push(&a).unwrap();
    let first = world.pull(&copy).unwrap();
    assert_eq!((first.fetched, first.kept, first.unchanged), (first.bytes, 0, false));
    assert!(std::fs::read(&copy).unwrap() == std::fs::read(&a).unwrap());
    world.count(|c| &c.gets);
    assert!(world.pull(&copy).unwrap().unchanged);
    assert!(world.count(|c| &c.gets) <= 4);
    write(&a, 300..310);
    world.push(&a).unwrap();
    let second = world.pull(&copy).unwrap();
    assert!(second.fetched < second.bytes / 4 && second.kept > 0, "{second:?}");
    assert!(std::fs::read(&copy).unwrap() == std::fs::read(&a).unwrap());
    // What is damaged in the older copy is fetched.
    let mut damaged = std::fs::read(&copy).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(&copy, &damaged).unwrap();
    write(&a, 310..312);
    world.push(&a).unwrap();
    let third = world.pull(&copy).unwrap();
    assert!(third.fetched < third.bytes / 2 && third.kept > 0, "{third:?}");
    assert!(std::fs::read(&copy).unwrap() == std::fs::read(&a).unwrap());
    // A copy that went its own way stays.
    write(&copy, 900..902);
    let mine = std::fs::read(&copy).unwrap();
    assert!(matches!(world.pull(&copy).unwrap_err().root(), Error::Exists { .. }));
    std::fs::write(world.path("text"), b"mine").unwrap();
    assert!(world.pull(&world.path("text")).is_err());
    assert!(std::fs::read(&copy).unwrap() == mine);
    assert_eq!(std::fs::read(world.path("text")).unwrap(), b"mine");
}

#[test]
fn a_fetch_that_fails_or_is_stopped_or_damaged_leaves_no_file() {
    let world = World::new();
    let (a, copy) = (world.path("a"), world.path("copy"));
    write(&a, 0..300);
    world.push(&a).unwrap();
    let stop = &mut |done, _| if done > 0 { Err(Error::Interrupted) } else { Ok(()) };
    let e = pull_from(&world.source, &copy, &PullOptions::default(), stop).unwrap_err();
    assert!(matches!(e, Error::Interrupted));
    let whole = world.object();
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    world.put(damaged);
    assert!(matches!(world.pull(&copy).unwrap_err().root(), Error::Corrupt(_)));
    // An upload that was cut, by whatever program.
    world.put(whole[..whole.len() / 2].to_vec());
    let e = world.pull(&copy).unwrap_err();
    assert!(matches!(e.root(), Error::Corrupt(_) | Error::Older { .. }), "{e}");
    world.put(whole);
    world.set(Fault::Fails(usize::MAX));
    assert!(matches!(world.pull(&copy).unwrap_err().root(), Error::Io { .. }));
    world.set(Fault::None);
    let names: Vec<_> = std::fs::read_dir(world.dir.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "only the store itself: {names:?}");
    // What was left by who was killed goes, that of who may still be at work stays.
    let [old, new] = ["00000000000000aa", "00000000000000bb"]
        .map(|number| world.path(&format!(".copy.{number}.partial")));
    for (path, hours) in [(&old, 2), (&new, 0)] {
        let file = std::fs::File::create(path).unwrap();
        let then = std::time::SystemTime::now() - Duration::from_secs(3600 * hours);
        file.set_modified(then).unwrap();
    }
    world.pull(&copy).unwrap();
    check(&Store::open(&copy).unwrap(), 300);
    assert!(!old.exists() && new.exists());
}

#[test]
fn nothing_shows_a_secret() {
    let address = super::address::Address::parse("http://me:hush@host/one.vls").unwrap();
    let source = ObjectSource::at(address, Duration::from_secs(1), 1).unwrap();
    let told = object_store::Error::Generic { store: "test", source: "me:hush is wrong".into() };
    let told = source.access.failed(&told);
    for text in [format!("{source:?}"), told.to_string(), format!("{told:?}")] {
        assert!(!text.contains("hush"), "{text}");
    }
    assert!(told.to_string().contains("me:*** is wrong"), "{told}");
    let options = RemoteOptions::default();
    let prefix = super::Prefix::new("http://me:hush@host/runs", &options).unwrap();
    assert!(!format!("{prefix:?}").contains("hush"));
}
