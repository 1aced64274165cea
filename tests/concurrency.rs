//! One writer and many readers in threads and processes (promise P5), a second writer, and what
//! a fork leaves of an open store.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that fails says where"
)]

mod common;

use common::{Model, Rec, check, content, only, scaled};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use vlstore::Readable;
use vlstore::backend::fault::Seeded;
use vlstore::backend::{Access, Backend, Mapping, MemoryBackend};
use vlstore::frame::SLOT_OFFSETS;
use vlstore::loader::{Batching, Loader, LoaderOptions};
use vlstore::{
    Compression, Durability, Error, Key, Layout, Opened, ReadOptions, Result, Store, StoreOptions,
    WriteOptions, Writer,
};

/// Commits under the eyes of readers, for each way to keep the bytes.
const COMMITS: u64 = 1500;
const READERS: u64 = 8;
/// The name by which a reading process knows that it is one, and what its file is.
const READER: &str = "VLSTORE_TEST_READER";

fn options() -> StoreOptions {
    StoreOptions {
        layout: Layout { chunk_size: 16_384, compression: Compression::Lz4, ..Layout::default() },
        write: WriteOptions {
            durability: Durability::Kernel,
            commit_bytes: u64::MAX,
            commit_interval: Duration::from_secs(1_000_000),
            threads: 2,
            ..WriteOptions::default()
        },
    }
}

fn record(i: u64) -> Vec<u8> {
    content(i, [0, 30, 200, 700, 4000][(i % 5) as usize])
}

/// Follows a growing store until it holds `until` records; everything seen must be whole.
fn follow(mut store: Store, until: u64, seed: u64) -> u64 {
    let mut rng = Seeded::new(seed);
    let mut refreshed = 0;
    let mut kept = Vec::new();
    loop {
        let n = store.len();
        // Commit g holds g - 1 records and nothing was sealed, so they tell each other.
        assert_eq!(store.opened(), Opened::Intact);
        assert_eq!(store.attributes()["records"].as_u64().unwrap_or(0), n);
        for _ in 0..4 {
            let i = if rng.chance(4) { n.saturating_sub(1) } else { rng.below(n) };
            if i < n {
                assert_eq!(*store.get_at(i).unwrap(), record(i)[..], "record {i} of {n}");
                assert_eq!(store.find(i).unwrap(), Some(i));
            }
        }
        assert!(!store.contains(n).unwrap(), "a record that is not there yet");
        if refreshed % 100 == 0 {
            kept.push(store.snapshot());
        }
        if n >= until {
            break;
        }
        let before = (store.generation(), n);
        let newer = store.refresh().unwrap();
        refreshed += u64::from(newer);
        assert!(store.generation() >= before.0 && store.len() >= before.1, "went back");
    }
    for old in &kept {
        let n = old.len();
        for (i, r) in old.scan(0..n).enumerate() {
            assert_eq!(*r.unwrap(), record(i as u64)[..], "record {i} of an old snapshot");
        }
        assert!(!old.contains(n).unwrap());
    }
    refreshed
}

/// Writes `commits` commits of one or more records, with a seal now and then.
fn write(w: &mut Writer, commits: u64) {
    for c in 0..commits {
        for _ in 0..=c % 3 {
            let i = w.len();
            w.insert(i, &record(i)).unwrap();
        }
        w.set_attributes(&serde_json::json!({ "records": w.len() })).unwrap();
        if c % 200 == 150 {
            w.seal().unwrap()
        } else {
            w.commit().unwrap()
        };
    }
}

fn records(commits: u64) -> u64 {
    (0..commits).map(|c| c % 3 + 1).sum()
}

#[test]
fn threads_that_read_a_store_in_memory_see_whole_commits_that_never_go_back() {
    let commits = scaled(COMMITS);
    let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::new());
    let mut w = Writer::create_in(backend.clone(), &options()).unwrap();
    std::thread::scope(|scope| {
        for seed in 0..READERS {
            let store = Store::open_in(backend.clone(), &options().write.reading()).unwrap();
            scope.spawn(move || follow(store, records(commits), seed));
        }
        write(&mut w, commits);
    });
}

/// Readers that start threads of their own meet in one block cache that holds a part of the
/// store, while a writer with workers adds to it.
#[test]
fn threads_that_batch_visit_and_scan_one_store_get_every_record_whole() {
    let n: u64 = 900;
    let options = StoreOptions {
        write: WriteOptions { threads: 3, cache_bytes: 256 << 10, ..options().write },
        ..options()
    };
    let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::new());
    let mut w = Writer::create_in(backend.clone(), &options).unwrap();
    for i in 0..n {
        w.insert(i, &record(i)).unwrap();
    }
    w.commit().unwrap();
    let snapshot = Store::open_in(backend, &options.write.reading()).unwrap().snapshot();
    std::thread::scope(|scope| {
        for seed in 0..2 {
            let snapshot = snapshot.clone();
            scope.spawn(move || {
                let mut rng = Seeded::new(seed);
                for _ in 0..2 {
                    let asked: Vec<u64> = (0..n).map(|_| rng.below(n)).collect();
                    let batch = snapshot.get_batch_at(&asked).unwrap();
                    assert!(asked.iter().zip(batch.iter()).all(|(i, b)| *b == *record(*i)));
                    let seen = AtomicU64::new(0);
                    let visit = snapshot.plan_at(&asked).unwrap();
                    let each = visit.each(|i, bytes| {
                        seen.fetch_add(1, Ordering::Relaxed);
                        assert_eq!(*bytes, record(asked[i])[..]);
                        Ok(())
                    });
                    each.unwrap();
                    assert_eq!(seen.into_inner(), n);
                    for (i, r) in snapshot.scan(0..n).enumerate() {
                        assert_eq!(*r.unwrap(), record(i as u64)[..]);
                    }
                }
            });
        }
        for i in n..2 * n {
            w.insert(i, &record(i)).unwrap();
            if i % 100 == 0 {
                w.commit().unwrap();
            }
        }
        w.close().unwrap();
    });
}

/// The body of a reading process; does nothing in the test run itself.
#[test]
fn reading_process() {
    let Ok(what) = std::env::var(READER) else { return };
    let (until, path) = what.split_once(' ').unwrap();
    let until: u64 = until.parse().unwrap();
    let access = if until.is_multiple_of(2) { Access::Map } else { Access::Pread };
    let store =
        Store::open_with(path, &ReadOptions { access, ..options().write.reading() }).unwrap();
    println!("refreshed {} times", follow(store, until, std::process::id().into()));
}

#[test]
fn processes_and_threads_that_read_a_file_see_whole_commits_that_never_go_back() {
    let commits = scaled(COMMITS);
    let until = records(commits);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let mut w = Writer::create(&path, &options()).unwrap();
    let children: Vec<_> = (0..READERS)
        .map(|_| {
            Command::new(std::env::current_exe().unwrap())
                .args(only(module_path!(), "reading_process"))
                .arg("--test-threads=1")
                .env(READER, format!("{until} {}", path.display()))
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    std::thread::scope(|scope| {
        for (seed, access) in [(1, Access::Map), (2, Access::Pread)] {
            let store =
                Store::open_with(&path, &ReadOptions { access, ..options().write.reading() })
                    .unwrap();
            scope.spawn(move || follow(store, until, seed));
        }
        write(&mut w, commits);
    });
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn a_second_writer_is_refused_at_once_and_the_lock_ends_with_its_holder() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let mut w = Writer::create(&path, &options()).unwrap();
    w.insert("a", b"b").unwrap();
    w.commit().unwrap();
    let start = std::time::Instant::now();
    for _ in 0..3 {
        let refused = Writer::open(&path, &options().write).unwrap_err();
        assert!(matches!(refused.root(), Error::Locked), "{refused}");
        assert!(refused.to_string().contains(&path.display().to_string()), "{refused}");
    }
    // Nor is the file replaced under its writer, by whatever verb.
    let other = dir.path().join("other");
    Writer::create(&other, &options()).unwrap().close().unwrap();
    let memory = MemoryBackend::from_bytes(std::fs::read(&other).unwrap());
    let copy = vlstore::maintain::CopyOptions {
        overwrite: true,
        ..vlstore::maintain::CopyOptions::default()
    };
    let recover = vlstore::maintain::RecoverOptions {
        overwrite: true,
        ..vlstore::maintain::RecoverOptions::default()
    };
    let refused = [
        Writer::replace(&path, &options()).map(drop),
        memory.save(&path, vlstore::Existing::Replace),
        vlstore::maintain::copy(&other, &path, &copy, |_, _| Ok(())).map(drop),
        vlstore::maintain::recover(&other, &path, &recover, |_, _| Ok(())).map(drop),
    ];
    for refused in refused {
        assert!(matches!(refused.as_ref().unwrap_err().root(), Error::Locked), "{refused:?}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "something was left behind");
    w.insert("e", b"f").unwrap();
    w.commit().unwrap();
    assert_eq!(Store::open(&path).unwrap().len(), 2);
    assert!(start.elapsed() < Duration::from_secs(2), "it waited");
    // Readers come and go beside the lock and do not take it away.
    drop(Store::open(&path).unwrap());
    assert!(Writer::open(&path, &options().write).is_err());
    w.insert("c", b"d").unwrap();
    w.close().unwrap();
    let w = Writer::open(&path, &options().write).unwrap();
    assert_eq!(w.len(), 3);
}

/// Accident: a reader that met a slot while it was being written took it for damage, and said
/// that it had opened an older commit when nothing was wrong.
#[test]
fn a_slot_that_is_being_written_is_not_taken_for_damage() {
    #[derive(Debug)]
    struct Busy {
        inner: Arc<MemoryBackend>,
        torn: AtomicU64,
    }
    impl Backend for Busy {
        fn len(&self) -> Result<u64> {
            self.inner.len()
        }
        fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
            self.inner.read_at(offset, buf)?;
            let now = SLOT_OFFSETS.contains(&offset)
                && self
                    .torn
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
                    .is_ok();
            if now {
                buf[100..].fill(0x55);
            }
            Ok(())
        }
        fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
            self.inner.write_at(offset, data)
        }
        fn set_len(&self, len: u64) -> Result<()> {
            self.inner.set_len(len)
        }
        fn sync(&self) -> Result<()> {
            self.inner.sync()
        }
        fn map(&self, _len: u64) -> Result<Option<Mapping>> {
            Ok(None)
        }
        fn writable(&self) -> bool {
            true
        }
    }
    let inner = Arc::new(MemoryBackend::new());
    let mut w = Writer::create_in(inner.clone(), &options()).unwrap();
    write(&mut w, 7);
    for torn in 0..3 {
        let busy = Arc::new(Busy { inner: inner.clone(), torn: AtomicU64::new(torn) });
        let store = Store::open_in(busy, &options().write.reading()).unwrap();
        assert_eq!(store.opened(), Opened::Intact, "{torn} torn reads");
        assert_eq!(store.generation(), w.generation());
    }
}

/// Accident: after the newest commit could not be read, the next writer wrote its slot over
/// that of the commit that it had opened; a crash inside that write left no slot at all.
#[test]
fn the_slot_of_the_commit_that_was_opened_is_not_the_next_to_be_written() {
    use vlstore::backend::fault::{Op, RecordingBackend};
    let born = Arc::new(RecordingBackend::new());
    let mut w = Writer::create_in(born.clone(), &options()).unwrap();
    let mut model = Model::default();
    for i in 0..3_u64 {
        let rec = Rec { key: Some(Key::from(i)), bytes: record(i + 1).into(), sites: 0 };
        w.insert(i, &rec.bytes).unwrap();
        if i < 2 {
            model.put(rec);
        }
        w.commit().unwrap();
    }
    // The power went before the system had written out what the last commit added.
    let mut image = born.to_bytes();
    let ops = born.to_ops();
    let last = ops.iter().rev().filter_map(|op| match op {
        Op::Write { offset, data } if *offset >= 12_288 => Some((*offset, data)),
        _ => None,
    });
    let (offset, data) = last.into_iter().find(|(_, data)| data.len() > 1).unwrap();
    let at = usize::try_from(offset).unwrap();
    image[at..at + data.len()].fill(0);
    let store = Store::from_bytes(image.clone()).unwrap();
    assert!(matches!(store.opened(), Opened::OlderCommit { .. }));
    check(&store, &model, 1).unwrap();

    let backend = Arc::new(RecordingBackend::from_bytes(image));
    let refused = Writer::open_in(backend.clone(), &options().write).unwrap_err();
    assert!(matches!(refused, Error::Older { .. }), "{refused}");
    let accepted =
        StoreOptions { write: WriteOptions { accept_older: true, ..options().write }, ..options() };
    let mut w = Writer::open_in(backend.clone(), &accepted.write).unwrap();
    assert!(matches!(w.opened(), Opened::OlderCommit { .. }));
    w.insert("new", b"record").unwrap();
    w.commit().unwrap();
    w.insert("newer", b"record").unwrap();
    w.commit().unwrap();
    drop(w);
    let mut went_on = model.clone();
    for key in ["new", "newer"] {
        let bytes: Arc<[u8]> = b"record"[..].into();
        went_on.put(Rec { key: Some(key.into()), bytes, sites: 0 });
    }
    for op in 0..=backend.ops() {
        for part in [0, 100] {
            let store = Store::from_bytes(backend.kill_image(op, part)).unwrap();
            let mut now = went_on.clone();
            let n = usize::try_from(store.len()).unwrap();
            assert!(n >= 2, "killed in call {op} after {part}: {:?}", store.opened());
            now.records.truncate(n);
            check(&store, &now, 2).unwrap();
        }
    }
}

#[cfg(unix)]
mod fork {
    #![allow(unsafe_code, reason = "fork(2) is what is tested here")]

    use super::*;

    /// Runs `child` in a forked process and says how that ended; ends it after 20 seconds.
    fn in_fork(child: impl FnOnce() -> bool) -> std::result::Result<(), String> {
        // SAFETY: the child runs on a copy of this thread alone and leaves by _exit. What it
        // calls takes no lock that another thread of the parent may hold: this test is run in a
        // process of its own, which has no other threads at this moment that touch the store.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            let good = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child));
            let code = match good {
                Ok(true) => 0,
                Ok(false) => 1,
                Err(_) => 2,
            };
            // SAFETY: ends the process at once, as a forked child of a test program should.
            unsafe { libc::_exit(code) }
        }
        assert!(pid > 0, "fork failed");
        for _ in 0..2000 {
            let mut status = 0;
            // SAFETY: `status` lives through the call, and the child is ours and not yet waited
            // for.
            let ended = unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG) };
            if ended == pid {
                return if status == 0 { Ok(()) } else { Err(format!("status {status}")) };
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // SAFETY: a plain call on our own child, which was not waited for.
        unsafe { libc::kill(pid, libc::SIGKILL) };
        let mut status = 0;
        // SAFETY: as above.
        unsafe { libc::waitpid(pid, &raw mut status, 0) };
        Err("hung".into())
    }

    fn right(store: &Store, n: u64) -> bool {
        let mut rng = Seeded::new(n);
        let asked: Vec<u64> = (0..2 * n).map(|_| rng.below(n)).collect();
        let batch = store.get_batch_at(&asked).unwrap();
        asked.iter().zip(batch.iter()).all(|(i, b)| *b == *record(*i))
            && (0..n).all(|i| *store.get_at(i).unwrap() == record(i)[..])
            && store.scan(0..n).enumerate().all(|(i, r)| *r.unwrap() == record(i as u64)[..])
    }

    #[test]
    fn an_open_store_works_on_in_a_forked_child() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        // Cached blocks, open contexts, threads that have come and gone, in all ways to read.
        for (access, cache_bytes) in
            [(Access::Map, 1 << 20), (Access::Pread, 1 << 20), (Access::Pread, 0)]
        {
            drop(std::fs::remove_file(&path));
            let options = StoreOptions {
                write: WriteOptions { access, cache_bytes, threads: 3, ..options().write },
                ..options()
            };
            let mut w = Writer::create(&path, &options).unwrap();
            let n = 600;
            for i in 0..n {
                w.insert(i, &record(i)).unwrap();
            }
            w.commit().unwrap();
            let mut store = Store::open_with(&path, &options.write.reading()).unwrap();
            assert!(right(&store, n));
            let end = in_fork(|| right(&store, n) && Store::open(&path).is_ok());
            assert_eq!(end, Ok(()), "{access:?} {cache_bytes}");
            // The writer belongs to its process: refused in the child, and the lock stays held.
            let end = in_fork(|| {
                let refused = matches!(w.put("x", b"y"), Err(Error::Invalid { .. }))
                    && w.commit().is_err()
                    && w.seal().is_err()
                    && Writer::open(&path, &options.write).is_err();
                drop(w);
                refused
            });
            assert_eq!(end, Ok(()), "{access:?} {cache_bytes}");
            assert!(right(&store, n));
            assert!(!store.refresh().unwrap());
        }
    }

    #[test]
    fn a_child_that_drops_the_writer_leaves_the_lock_with_the_parent() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let w = Writer::create(&path, &options()).unwrap();
        let mut held = Some(w);
        assert_eq!(in_fork(|| held.take().is_some()), Ok(()));
        let refused = Writer::open(&path, &options().write).unwrap_err();
        assert!(matches!(refused.root(), Error::Locked), "{refused}");
        let mut w = held.take().unwrap();
        w.insert("still", b"mine").unwrap();
        w.close().unwrap();
        assert_eq!(*Store::open(&path).unwrap().get("still").unwrap(), *b"mine");
    }

    /// Accident: the lock belonged to an open file that a forked child shared, so a worker that
    /// idled kept every next writer out when its parent had been killed.
    #[test]
    fn a_child_that_outlives_a_killed_writer_keeps_nobody_out() {
        let dir = tempfile::tempdir().unwrap();
        let (path, told) = (dir.path().join("store"), dir.path().join("child"));
        // SAFETY: as in `in_fork`; the process is ended by a signal, and so is its child.
        let parent = unsafe { libc::fork() };
        if parent == 0 {
            let written = std::panic::catch_unwind(|| {
                let mut w = Writer::create(&path, &options()).unwrap();
                w.insert("first", b"one").unwrap();
                w.commit().unwrap();
                // SAFETY: as above; the child only waits.
                let child = unsafe { libc::fork() };
                if child > 0 {
                    std::fs::write(dir.path().join("part"), child.to_string()).unwrap();
                    std::fs::rename(dir.path().join("part"), &told).unwrap();
                }
                loop {
                    std::thread::sleep(Duration::from_secs(1));
                }
            });
            // SAFETY: ends the process at once.
            unsafe { libc::_exit(i32::from(written.is_err())) }
        }
        let found = (0..2000).find_map(|_| {
            std::thread::sleep(Duration::from_millis(10));
            std::fs::read_to_string(&told).ok()
        });
        let refused = Writer::open(&path, &options().write);
        // SAFETY: plain calls on our own child.
        unsafe { libc::kill(parent, libc::SIGKILL) };
        let mut status = 0;
        // SAFETY: as above; `status` lives through the call.
        unsafe { libc::waitpid(parent, &raw mut status, 0) };
        let child: i32 = found.unwrap().parse().unwrap();
        let opened = Writer::open(&path, &options().write);
        // SAFETY: asks whether the process is there, and ends it.
        let idles = unsafe { libc::kill(child, 0) };
        // SAFETY: as above.
        unsafe { libc::kill(child, libc::SIGKILL) };
        assert!(matches!(refused.unwrap_err().root(), Error::Locked));
        assert_eq!(idles, 0, "the child was to outlive its parent");
        let mut w = opened.unwrap();
        w.insert("second", b"two").unwrap();
        w.close().unwrap();
        assert_eq!(Store::open(&path).unwrap().len(), 2);
    }

    /// A child that was forked while a run was under way says so, and begins one of its own.
    #[test]
    fn a_child_of_a_fork_begins_a_run_of_its_own() {
        let mut w = Writer::in_memory(&options()).unwrap();
        for i in 0..400 {
            w.insert(i, &record(i)).unwrap();
        }
        w.commit().unwrap();
        let batching = Batching { records: Some(10), ..Batching::default() };
        let loader = LoaderOptions { batching, seed: 3, ..LoaderOptions::default() };
        let loader = Loader::new(w.snapshot().unwrap(), loader).unwrap();
        let read = || {
            let mut all = Vec::new();
            for batch in loader.records().unwrap() {
                let batch = batch.unwrap();
                let asked = &batch.step().records;
                assert!(batch.records().zip(asked).all(|(bytes, i)| *bytes == *record(*i)));
                assert_eq!(batch.records().count(), asked.len());
                all.extend_from_slice(asked);
            }
            all.sort_unstable();
            all.into_iter().eq(0..400)
        };
        let mut run = loader.records().unwrap();
        run.next().unwrap().unwrap();
        let mut begun = Some(run);
        let end = in_fork(|| {
            // What is at hand is still there; behind it there is no thread.
            let stale = begun.take().unwrap().find_map(Result::err);
            stale.is_some_and(|e| e.to_string().contains("belongs to the process")) && read()
        });
        assert_eq!(end, Ok(()));
        assert_eq!(begun.unwrap().count(), 39);
        assert!(read());
    }

    /// A store of 300 records under their numbers, not yet committed.
    fn filled(options: &StoreOptions) -> (tempfile::TempDir, std::path::PathBuf, Writer) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let mut w = Writer::create(&path, options).unwrap();
        for i in 0..300 {
            w.insert(i, &record(i)).unwrap();
        }
        (dir, path, w)
    }

    #[test]
    fn a_fork_beside_busy_threads_never_hangs() {
        let options = StoreOptions {
            write: WriteOptions { access: Access::Map, ..options().write },
            ..options()
        };
        let (_dir, path, mut w) = filled(&options);
        let n = w.len();
        w.commit().unwrap();
        let store = Store::open_with(&path, &options.write.reading()).unwrap();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for seed in 0..2 {
                let (store, stop) = (store.clone(), &stop);
                scope.spawn(move || {
                    let mut rng = Seeded::new(seed);
                    while !stop.load(Ordering::Relaxed) {
                        assert!(store.get_at(rng.below(n)).is_ok());
                    }
                });
            }
            for round in 0..scaled(60) {
                let end = in_fork(|| (0..n).all(|i| *store.get_at(i).unwrap() == record(i)[..]));
                if end != Ok(()) {
                    stop.store(true, Ordering::Relaxed);
                }
                assert_eq!(end, Ok(()), "round {round}");
            }
            stop.store(true, Ordering::Relaxed);
        });
    }

    /// Accident: what a store makes when it is first needed was made under a lock that others wait
    /// for; a child that was forked meanwhile waited for ever.
    #[test]
    fn a_fork_beside_the_first_reads_of_a_store_never_hangs() {
        let options = StoreOptions {
            write: WriteOptions { access: Access::Map, ..options().write },
            ..options()
        };
        let (_dir, path, mut w) = filled(&options);
        w.delete(7).unwrap();
        let n = w.len();
        w.close().unwrap();
        for round in 0..scaled(100) {
            let store = Store::open_with(&path, &options.write.reading()).unwrap();
            let begin = std::sync::Barrier::new(3);
            std::thread::scope(|scope| {
                for seed in 0..2 {
                    let (store, begin) = (store.clone(), &begin);
                    scope.spawn(move || {
                        begin.wait();
                        let mut rng = Seeded::new(round * 2 + seed);
                        for _ in 0..200 {
                            assert!(store.get_at(rng.below(n)).is_ok());
                        }
                    });
                }
                begin.wait();
                for _ in 0..round * 300 % 20_000 {
                    std::hint::spin_loop();
                }
                let end = in_fork(|| (0..n).all(|i| store.get_at(i).is_ok()));
                assert_eq!(end, Ok(()), "round {round}");
            });
        }
    }
}
