//! Stores where files are not as usual: no locks, no writing, other files under the same name,
//! files that grow or shrink under a reader, names that are not text, clocks that are set back.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "a test that fails says where"
)]

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use vlstore::Readable;
use vlstore::backend::Access;
use vlstore::{Durability, Error, Layout, Store, StoreOptions, WriteOptions, Writer};

const PROGRAM: &str = env!("CARGO_BIN_EXE_vlstore");
/// What a copy of this program is to do.
const CHILD: &str = "VLSTORE_TEST_ODD_CHILD";

fn options(access: Access) -> StoreOptions {
    StoreOptions {
        layout: Layout { chunk_size: 4096, ..Layout::default() },
        write: WriteOptions {
            access,
            threads: 1,
            durability: Durability::Kernel,
            commit_interval: Duration::from_secs(1_000_000),
            ..WriteOptions::default()
        },
    }
}

fn record(i: u64) -> Vec<u8> {
    (0..300 + i % 50).map(|n| (n / 3 + i) as u8).collect()
}

fn fill(w: &mut Writer, ids: std::ops::Range<u64>) {
    for i in ids {
        w.insert(i, &record(i)).unwrap();
    }
    w.commit().unwrap();
}

fn make(path: &Path, n: u64) {
    let mut w = Writer::create(path, &options(Access::Auto)).unwrap();
    fill(&mut w, 0..n);
    w.close().unwrap();
}

fn right(store: &Store, n: u64) {
    assert_eq!(store.len(), n);
    (0..n).for_each(|i| assert_eq!(*store.get(i).unwrap(), *record(i)));
}

/// The calls of `tests/shim/system.c` as a library to load first; `None`, and said so, where
/// nothing can build it.
fn shim(folder: &Path) -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/shim/system.c");
    let library = folder.join("shim.so");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .status();
    if built.is_ok_and(|s| s.success()) {
        return Some(library);
    }
    eprintln!("SKIPPED: there is no C compiler `cc` to build {}", source.display());
    None
}

fn vlstore(shim: &Path, variable: &str, args: &[&OsStr]) -> Output {
    Command::new(PROGRAM)
        .args(args)
        .env("LD_PRELOAD", shim)
        .env(variable, "1")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Runs one test of this program again, as a child that does what `what` says.
fn child(test: &str, what: &str, path: &Path, shim: &Path, variable: &str) {
    let status = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(CHILD, what)
        .env("VLSTORE_TEST_ODD_PATH", path)
        .env("LD_PRELOAD", shim)
        .env(variable, "1")
        .status()
        .unwrap();
    assert!(status.success(), "{what}: {status}");
}

fn asked() -> Option<(String, PathBuf)> {
    let what = std::env::var(CHILD).ok()?;
    Some((what, std::env::var_os("VLSTORE_TEST_ODD_PATH")?.into()))
}

#[test]
fn where_no_locks_are_kept_a_writer_works_and_says_so() {
    if let Some((_, path)) = asked() {
        let mut w = Writer::create(&path, &options(Access::Auto)).unwrap();
        assert!(!w.is_locked());
        fill(&mut w, 0..5);
        // Nothing keeps the second one out: that is what the warning is about.
        let second = Writer::open(&path, &options(Access::Auto).write).unwrap();
        assert!(!second.is_locked());
        drop(second);
        w.close().unwrap();
        right(&Store::open(&path).unwrap(), 5);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let Some(shim) = shim(folder.path()) else { return };
    let test = "where_no_locks_are_kept_a_writer_works_and_says_so";
    child(test, "write", &folder.path().join("child.vls"), &shim, "SHIM_NO_LOCKS");
    // The same on the command line, with the program as it is shipped.
    let store = folder.path().join("kv.vls");
    let note = folder.path().join("note");
    std::fs::write(&note, b"some bytes").unwrap();
    let put = ["put".as_ref(), store.as_os_str(), "k".as_ref(), note.as_os_str()];
    let warned = |out: &Output| {
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "{said}");
        said.contains("warning: ") && said.contains("has no locks") && said.contains("kv.vls")
    };
    assert!(warned(&vlstore(&shim, "SHIM_NO_LOCKS", &put)));
    let seal = ["seal".as_ref(), store.as_os_str()];
    assert!(warned(&vlstore(&shim, "SHIM_NO_LOCKS", &seal)));
    let remove = ["rm".as_ref(), store.as_os_str(), "k".as_ref()];
    assert!(warned(&vlstore(&shim, "SHIM_NO_LOCKS", &remove)));
    // Readers have nothing to warn of, nor has a writer where there are locks.
    let info = ["info".as_ref(), store.as_os_str()];
    assert!(!warned(&vlstore(&shim, "SHIM_NO_LOCKS", &info)));
    assert!(!warned(&vlstore(&shim, "SHIM_NOTHING", &put)));
}

#[test]
fn calls_that_a_signal_interrupts_or_ends_half_way_are_gone_on_with() {
    use std::os::unix::fs::FileExt as _;

    if let Some((_, path)) = asked() {
        // They are interrupted indeed, and answer less than was asked for.
        let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
        let seen: Vec<_> = (0..6).map(|_| file.read_at(&mut [0; 100], 0)).collect();
        assert!(seen.iter().any(|r| matches!(r, Err(e) if e.kind() == ErrorKind::Interrupted)));
        assert!(seen.iter().any(|r| matches!(r, Ok(50))));
        for (n, access) in [(0, Access::Map), (1, Access::Pread)] {
            let path = path.with_extension(n.to_string());
            let options = StoreOptions {
                write: WriteOptions { durability: Durability::Sync, ..options(access).write },
                ..options(access)
            };
            let mut w = Writer::create(&path, &options).unwrap();
            for i in 0..20 {
                fill(&mut w, 10 * i..10 * i + 10);
            }
            w.seal().unwrap();
            drop(w);
            let mut w = Writer::open(&path, &options.write).unwrap();
            fill(&mut w, 200..230);
            w.close().unwrap();
            let store = Store::open_with(&path, &options.write.reading()).unwrap();
            right(&store, 230);
            assert!(store.verify(|_, _| Ok(())).unwrap().is_intact());
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let Some(shim) = shim(folder.path()) else { return };
    let test = "calls_that_a_signal_interrupts_or_ends_half_way_are_gone_on_with";
    child(test, "all", &folder.path().join("child.vls"), &shim, "SHIM_SIGNALS");
}

#[test]
fn a_clock_that_goes_backwards_delays_no_commit() {
    if let Some((_, path)) = asked() {
        let now = std::time::SystemTime::now;
        assert!(now() > now(), "the clock on the wall goes backwards");
        let short = StoreOptions {
            write: WriteOptions {
                commit_interval: Duration::from_millis(200),
                commit_bytes: u64::MAX,
                ..options(Access::Auto).write
            },
            ..options(Access::Auto)
        };
        let mut w = Writer::create(&path, &short).unwrap();
        for i in 0..3 {
            std::thread::sleep(Duration::from_millis(300));
            w.insert(i, &record(i)).unwrap();
            assert!(!w.is_dirty(), "committed by itself after its time");
            right(&Store::open(&path).unwrap(), i + 1);
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let Some(shim) = shim(folder.path()) else { return };
    let test = "a_clock_that_goes_backwards_delays_no_commit";
    child(test, "commit", &folder.path().join("child.vls"), &shim, "SHIM_CLOCK_BACK");
}

/// A file system that can be made read-only, gone when dropped.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn new() -> Option<Self> {
        let out = Self(tempfile::tempdir().unwrap());
        let mounted = out.mount(&["-t", "tmpfs", "-o", "size=8m", "tmpfs"]);
        if !mounted {
            eprintln!("SKIPPED: mounting a file system is not permitted here");
            std::mem::forget(out);
            return None;
        }
        Some(out)
    }

    fn mount(&self, args: &[&str]) -> bool {
        let mut mount = Command::new("mount");
        mount.args(args).arg(self.0.path()).stderr(Stdio::null());
        mount.status().is_ok_and(|s| s.success())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.0.path()).status());
    }
}

#[test]
fn from_a_read_only_medium_everything_is_read_and_nothing_written() {
    let Some(medium) = Mounted::new() else { return };
    let path = medium.0.path().join("store.vls");
    make(&path, 20);
    // A store that a killed writer left: opening it for reading writes nothing either.
    let mut w = Writer::open(&path, &options(Access::Auto).write).unwrap();
    fill(&mut w, 20..30);
    drop(w);
    assert!(medium.mount(&["-o", "remount,ro"]), "made read-only");
    for access in [Access::Auto, Access::Map, Access::Pread] {
        let mut store = Store::open_with(&path, &options(access).write.reading()).unwrap();
        right(&store, 30);
        assert!(store.verify(|_, _| Ok(())).unwrap().is_intact());
        assert!(!store.refresh().unwrap());
    }
    let refused = |e: Error| {
        let kind = match e.root() {
            Error::Io { source, .. } => source.kind(),
            other => panic!("{other}"),
        };
        assert_eq!(kind, std::io::ErrorKind::ReadOnlyFilesystem);
        // The file, or the folder in which one was to be made.
        let named = e.to_string().contains(medium.0.path().to_str().unwrap());
        assert!(named, "{e}");
    };
    refused(Writer::open(&path, &options(Access::Auto).write).unwrap_err());
    let new = medium.0.path().join("new.vls");
    refused(Writer::create(&new, &options(Access::Auto)).unwrap_err());
    refused(
        vlstore::maintain::compact(&path, &vlstore::maintain::CompactOptions::default(), |_, _| {
            Ok(())
        })
        .unwrap_err(),
    );
    // What is read from there is copied to where there is room.
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("copy.vls");
    vlstore::maintain::recover(
        &path,
        &copy,
        &vlstore::maintain::RecoverOptions::default(),
        |_, _| Ok(()),
    )
    .unwrap();
    right(&Store::open(&copy).unwrap(), 30);
}

#[test]
fn a_reader_sees_a_growing_file_as_it_was_and_follows_when_asked() {
    for access in [Access::Map, Access::Pread] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.vls");
        let mut w = Writer::create(&path, &options(access)).unwrap();
        fill(&mut w, 0..10);
        let mut store = Store::open_with(&path, &options(access).write.reading()).unwrap();
        let first = store.snapshot();
        // Through commits, checkpoints and seals, and far beyond what was mapped.
        for n in 1..40 {
            fill(&mut w, 10 * n..10 * n + 10);
            if n % 7 == 0 {
                w.seal().unwrap();
            }
            assert_eq!(first.len(), 10);
            (0..10).for_each(|i| assert_eq!(*first.get(i).unwrap(), *record(i)));
            if n % 5 == 0 {
                assert!(store.refresh().unwrap());
                right(&store, 10 * n + 10);
            }
        }
    }
}

#[test]
fn a_reader_of_a_file_that_was_replaced_keeps_what_it_has_and_is_told() {
    for access in [Access::Map, Access::Pread] {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("store.vls"), folder.path().join("other.vls"));
        make(&path, 60);
        make(&other, 7);
        let mut store = Store::open_with(&path, &options(access).write.reading()).unwrap();
        std::fs::rename(&other, &path).unwrap();
        right(&store, 60);
        let error = store.refresh().unwrap_err();
        assert!(matches!(error.root(), Error::Replaced), "{error}");
        assert!(error.to_string().contains("store.vls"), "{error}");
        right(&store, 60);
        right(&Store::open(&path).unwrap(), 7);
        // Removed altogether it is the same.
        let mut store = Store::open_with(&path, &options(access).write.reading()).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(store.refresh().unwrap_err().root(), Error::Replaced));
        right(&store, 7);
    }
}

/// What a writer says whose file was taken from it.
fn displaced(told: &Error) -> Option<std::path::PathBuf> {
    match told.root() {
        Error::Displaced { now } => now.as_ref().map(|path| path.to_path_buf()),
        other => panic!("{other}"),
    }
}

/// Accident: a job wrote for a day to a file that had been deleted, and nobody was told.
#[test]
fn a_writer_whose_file_is_deleted_or_replaced_is_told_at_its_next_commit_and_can_save_it() {
    for way in ["commit", "put", "seal", "close", "nothing new"] {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("store.vls"), folder.path().join("other.vls"));
        let saved = folder.path().join("saved.vls");
        let options = StoreOptions {
            write: WriteOptions { commit_bytes: 100_000, ..options(Access::Auto).write },
            ..options(Access::Auto)
        };
        let mut w = Writer::create(&path, &options).unwrap();
        fill(&mut w, 0..10);
        if way == "seal" {
            make(&other, 3);
            std::fs::rename(&other, &path).unwrap();
        } else {
            std::fs::remove_file(&path).unwrap();
        }
        if way != "nothing new" {
            w.insert(10, &record(10)).unwrap();
        }
        let told = match way {
            "put" => {
                (11..2000).find_map(|i| w.insert(i, &record(i)).err()).expect("a commit by itself")
            }
            "seal" => w.seal().unwrap_err(),
            "close" => {
                let told = w.close().unwrap_err();
                assert_eq!(displaced(&told), None);
                continue;
            }
            _ => w.commit().unwrap_err(),
        };
        assert_eq!(displaced(&told), None, "{way}");
        assert!(told.to_string().contains("store.vls"), "{told}");
        // It says so again, and takes nothing more.
        let records = w.committed_len();
        assert_eq!(displaced(&w.insert(9999, b"more").unwrap_err()), None);
        assert_eq!(displaced(&w.commit().unwrap_err()), None);
        w.save_as(&saved).unwrap();
        assert!(matches!(w.save_as(&saved).unwrap_err().root(), Error::Exists { .. }));
        drop(w);
        right(&Store::open(&saved).unwrap(), records);
        assert!(records >= if way == "nothing new" { 10 } else { 11 }, "{way}: {records}");
        if way == "seal" {
            right(&Store::open(&path).unwrap(), 3);
        }
        assert!(!path.exists() || way == "seal", "{way}");
    }
}

#[test]
fn a_writer_whose_file_was_renamed_is_told_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (path, old) = (folder.path().join("store.vls"), folder.path().join("old.vls"));
    let mut w = Writer::create(&path, &options(Access::Auto)).unwrap();
    fill(&mut w, 0..10);
    std::fs::rename(&path, &old).unwrap();
    w.insert(10, &record(10)).unwrap();
    let told = w.commit().unwrap_err();
    if cfg!(target_os = "linux") {
        assert_eq!(displaced(&told), Some(old.canonicalize().unwrap()));
        assert!(told.to_string().contains("old.vls"), "{told}");
    }
    drop(w);
    let mut w = Writer::open(&old, &options(Access::Auto).write).unwrap();
    fill(&mut w, 11..20);
    right(&Store::open(&old).unwrap(), 20);
}

/// Accident: who opened a store for writing while it was being compacted was told of an argument
/// that cannot work.
#[test]
fn opening_for_writing_while_the_store_is_compacted_waits_for_nothing_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.vls");
    make(&path, 5);
    let done = std::sync::atomic::AtomicBool::new(false);
    let put = std::thread::scope(|scope| {
        scope.spawn(|| {
            let options = vlstore::maintain::CompactOptions { verify: false, ..Default::default() };
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                if let Err(e) = vlstore::maintain::compact(&path, &options, |_, _| Ok(())) {
                    assert!(matches!(e.root(), Error::Locked), "{e}");
                }
            }
        });
        let mut put = 5;
        for _ in 0..300 {
            match Writer::open(&path, &options(Access::Auto).write) {
                Ok(mut w) => {
                    w.insert(put, &record(put)).unwrap();
                    w.close().unwrap();
                    put += 1;
                }
                Err(e) => {
                    if !matches!(e.root(), Error::Locked) {
                        done.store(true, std::sync::atomic::Ordering::Relaxed);
                        panic!("{e}");
                    }
                }
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        put
    });
    right(&Store::open(&path).unwrap(), put);
}

#[test]
fn a_file_that_is_cut_under_a_reader_is_by_default_an_error_and_no_fault() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.vls");
    make(&path, 200);
    let whole = std::fs::metadata(&path).unwrap().len();
    let store = Store::open_with(&path, &options(Access::default()).write.reading()).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    for len in (0..whole / 4099).rev() {
        let len = len * 4099;
        file.set_len(len).unwrap();
        let lost = (0..200).filter(|i| match store.get(*i) {
            Ok(found) => *found != *record(*i),
            Err(e) => {
                assert!(matches!(e.root(), Error::Corrupt(_) | Error::Io { .. }), "{e}");
                false
            }
        });
        assert_eq!(lost.count(), 0, "a wrong record at {len}");
    }
}

#[test]
fn a_store_is_mapped_by_who_asks_for_it_and_by_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.vls");
    make(&path, 10);
    let maps = |path: &Path| {
        let lists = std::fs::read_to_string("/proc/self/maps").unwrap();
        lists.contains(path.to_str().unwrap())
    };
    for access in [Access::default(), Access::Auto, Access::Pread] {
        let by_calls = Store::open_with(&path, &options(access).write.reading()).unwrap();
        right(&by_calls, 10);
        let mut w = Writer::open(&path, &options(access).write).unwrap();
        w.put("one more", b"").unwrap();
        w.delete("one more").unwrap();
        w.close().unwrap();
        assert!(!maps(&path), "{access:?}");
    }
    let mapped = Store::open_with(&path, &options(Access::Map).write.reading()).unwrap();
    right(&mapped, 10);
    assert!(maps(&path));
}

#[test]
fn names_that_are_not_text_are_as_good_as_others() {
    let folder = tempfile::tempdir().unwrap();
    for name in [&b"caf\xe9 \xff\xfe.vls"[..], b"line\nbreak.vls", b"-- \"quoted\" 'too'.vls"] {
        let path = folder.path().join(OsStr::from_bytes(name));
        make(&path, 5);
        right(&Store::open(&path).unwrap(), 5);
        assert!(
            Writer::create(&path, &options(Access::Auto))
                .is_err_and(|e| { matches!(e.root(), Error::Exists { .. }) })
        );
        let run = |verb: &str, more: &[&str]| {
            let out = Command::new(PROGRAM).arg(verb).arg(&path).args(more).output().unwrap();
            let said = String::from_utf8_lossy(&out.stderr).into_owned();
            assert!(out.status.success(), "{verb}: {said}");
            out.stdout
        };
        for verb in ["info", "ls", "verify", "seal", "compact"] {
            run(verb, &[]);
        }
        assert_eq!(run("get", &["3"]), record(3));
        run("rm", &["3"]);
        // Where a path is shown, what is no text is shown as something else, and nothing fails.
        let missing = folder.path().join(OsStr::from_bytes(b"not there \xff.vls"));
        let out = Command::new(PROGRAM).arg("info").arg(&missing).output().unwrap();
        assert!(!out.status.success());
        assert!(String::from_utf8_lossy(&out.stderr).contains("not there"));
    }
    let path = folder.path().join(OsStr::from_bytes(b"caf\xe9 \xff\xfe.vls"));
    let copy = folder.path().join(OsStr::from_bytes(b"\x80\x81.vls"));
    let out = Command::new(PROGRAM).arg("copy").args([&path, &copy]).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(Store::open(&copy).unwrap().len(), 4);
    // Nothing is left beside them.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4);
}

#[test]
fn members_are_synced_before_the_manifest_that_names_them() {
    let folder = tempfile::tempdir().unwrap();
    let Some(shim) = shim(folder.path()) else { return };
    // As the system names what is open.
    let folder = folder.path().canonicalize().unwrap();
    let runs = folder.join("runs");
    std::fs::create_dir_all(runs.join("deep")).unwrap();
    let names = ["a.vls", "b.vls", "deep/c.vls"];
    for name in names {
        let mut w = Writer::create(runs.join(name), &options(Access::Auto)).unwrap();
        fill(&mut w, 0..3);
        w.close().unwrap();
    }
    let list = folder.join("list");
    let publish = |variable: &str, value: &OsStr| {
        let out = Command::new(PROGRAM)
            .arg("publish")
            .arg(&runs)
            .args(names.map(|name| runs.join(name)))
            .env("LD_PRELOAD", &shim)
            .env("SHIM_SYNCS", &list)
            .env(variable, value)
            .output()
            .unwrap();
        (out.status.success(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    // What cannot be synced is not published.
    for fails in ["b.vls", "deep"] {
        let (done, said) = publish("SHIM_SYNC_FAILS", fails.as_ref());
        assert!(!done && said.contains("sync"), "{said}");
        assert!(!runs.join("vlstore-dataset.json").exists());
    }
    std::fs::remove_file(&list).unwrap();
    let (done, said) = publish("SHIM_NOTHING", "1".as_ref());
    assert!(done, "{said}");
    let synced = std::fs::read_to_string(&list).unwrap();
    let synced: Vec<&Path> = synced.lines().map(Path::new).collect();
    let manifest =
        synced.iter().position(|path| path.to_str().unwrap().contains("vlstore-dataset.json"));
    let (before, after) = synced.split_at(manifest.expect("the manifest is synced"));
    let folders = [runs.clone(), runs.join("deep")];
    for path in names.map(|name| runs.join(name)).iter().chain(&folders) {
        assert!(before.contains(&&**path), "{} before the manifest: {synced:?}", path.display());
    }
    assert!(after.contains(&&*runs), "the name of the manifest: {synced:?}");
}
