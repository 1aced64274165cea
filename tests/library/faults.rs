//! The n-th call fails, for n = 0, 1, 2, … until none does (promise P7): with an error of the
//! medium, a full disk, a short write or read, a failed sync; once and for ever. The error
//! comes up, the writer is poisoned, and what opens afterwards is the last commit or the one in
//! flight. And a disk that is really full.

use crate::common;
use crate::common::{Model, Rec, check, content, scaled, thorough};
use std::sync::Arc;
use std::time::Duration;
use vlstore::Readable;
use vlstore::backend::fault::{FailingBackend, Fault, Seeded};
use vlstore::chunk::Algorithm;
use vlstore::{
    Compression, Durability, Error, Key, Layout, Opened, Result, Store, StoreOptions, WriteOptions,
    Writer,
};

/// Seeded pieces of work.
const WORKLOADS: u64 = 4;

fn options(seed: u64) -> StoreOptions {
    StoreOptions {
        layout: Layout {
            chunk_size: [512, 4096, 16_384][(seed % 3) as usize],
            compression: Compression::from([None, Some(Algorithm::Lz4)][(seed % 2) as usize]),
            ..Layout::default()
        },
        write: WriteOptions {
            threads: 1,
            durability: Durability::Sync,
            commit_bytes: u64::MAX,
            commit_interval: Duration::from_secs(1_000_000),
            cache_bytes: 0,
            ..WriteOptions::default()
        },
    }
}

/// What a run came to: what was committed for certain, and what may have been.
#[derive(Debug, Default)]
struct Run {
    done: Model,
    tried: Option<Model>,
    /// Whether an error was met, and by whom.
    failed: Option<String>,
}

/// Puts, deletes, commits, seals, closes and opens, until a call fails.
fn run(backend: &Arc<FailingBackend>, options: &StoreOptions, seed: u64) -> Run {
    let mut rng = Seeded::new(seed);
    let mut run = Run::default();
    let mut now = Model::default();
    let mut writer = None;
    for _ in 0..70 {
        let mut w: Writer = match writer.take() {
            Some(w) => w,
            None => match Writer::open_in(backend.clone(), &options.write) {
                Ok(w) => w,
                Err(e) => {
                    run.failed = Some(format!("open: {e}"));
                    return run;
                }
            },
        };
        let mut step = |w: &mut Writer| -> Result<bool> {
            match rng.below(20) {
                0..9 => {
                    let len = rng.below(900) as usize;
                    let rec = Rec {
                        key: Some(Key::from(rng.below(25))),
                        bytes: content(rng.next(), len).into(),
                        sites: 3,
                    };
                    w.put_sized(
                        rec.key.as_ref(),
                        &rec.bytes,
                        rec.sites,
                        vlstore::Existing::Replace,
                    )?;
                    now.put(rec);
                }
                9..11 => {
                    let bytes = content(rng.below(9), 120);
                    w.share(&bytes)?;
                    now.share(&bytes);
                }
                11 if !now.records.is_empty() => {
                    w.delete_at(0)?;
                    now.records.remove(0);
                }
                12 => {
                    run.tried = Some(now.clone());
                    w.seal()?;
                    run.done = now.clone();
                }
                13 => return Ok(true),
                14 => {
                    for i in 0..w.len().min(5) {
                        w.get_at(i)?;
                    }
                }
                _ => {
                    run.tried = Some(now.clone());
                    w.commit()?;
                    run.done = now.clone();
                }
            }
            Ok(false)
        };
        match step(&mut w) {
            Ok(false) => writer = Some(w),
            Ok(true) => {
                run.tried = Some(now.clone());
                if let Err(e) = w.close() {
                    run.failed = Some(format!("close: {e}"));
                    return run;
                }
                run.done = now.clone();
            }
            Err(e) => {
                run.failed = Some(format!("call: {e}"));
                // A failed read harms nothing; a failed write is final.
                let wrote = !matches!(e.root(), Error::Io { op: "read", .. } | Error::Corrupt(_));
                let again = w.commit();
                assert!(
                    !wrote || matches!(again, Err(Error::Poisoned)),
                    "after {e} a commit gave {again:?}"
                );
                if again.is_ok() {
                    // The step that failed may have left out its own part, but nothing else.
                    run.tried = None;
                    run.done = now.clone();
                }
                assert!(!wrote || w.put("x", b"y").is_err());
                return run;
            }
        }
    }
    run
}

/// The store in `bytes` is one of the two states, and can be written on.
fn judge(bytes: &[u8], run: &Run, options: &StoreOptions, what: &str) {
    let store = Store::from_bytes(bytes).unwrap_or_else(|e| panic!("{what}: {e}"));
    let states = [Some(&run.done), run.tried.as_ref()];
    let answers: Vec<_> = states.into_iter().flatten().map(|m| check(&store, m, 3)).collect();
    assert!(answers.iter().any(|a| a.is_ok()), "{what}: {run:?}: {answers:?}");
    // Half of a slot looks like damage to one; it is said, and harms nothing.
    let torn = what.contains("ShortWrite");
    assert!(torn || store.opened() == Opened::Intact, "{what}: {:?}", store.opened());
    let whole = Arc::new(FailingBackend::new(bytes.to_vec(), Fault::Medium, u64::MAX, false, 0));
    let mut w = Writer::open_in(whole.clone(), &options.write).unwrap();
    let before = w.len();
    w.put("one more", b"record").unwrap();
    w.close().unwrap();
    let store = Store::from_bytes(whole.to_bytes()).unwrap();
    assert_eq!(store.len(), before + 1, "{what}");
    assert_eq!(*store.get("one more").unwrap(), *b"record", "{what}");
}

#[test]
fn whichever_call_fails_the_error_comes_up_and_no_commit_is_lost() {
    let runs = std::thread::scope(|scope| {
        let parts: Vec<_> = (0..2)
            .map(|part| {
                scope.spawn(move || {
                    (part..scaled(WORKLOADS)).step_by(2).map(every_call_fails).sum::<u64>()
                })
            })
            .collect();
        parts
            .into_iter()
            .map(|p| p.join().unwrap_or_else(|e| std::panic::resume_unwind(e)))
            .sum::<u64>()
    });
    println!("{runs} runs");
}

/// Lets each call of a workload fail in turn, in each way; how many runs that were.
fn every_call_fails(seed: u64) -> u64 {
    let mut runs = 0;
    let options = options(seed);
    let born = Arc::new(FailingBackend::new(Vec::new(), Fault::Medium, u64::MAX, false, 0));
    drop(Writer::create_in(born.clone(), &options).unwrap());
    for (i, fault) in (0..).zip(Fault::ALL) {
        for for_ever in [false, true] {
            // Each call fails in each way, once in two workloads and for ever in the two others; in a
            // campaign both in all.
            if !thorough() && for_ever != (seed / 2 + i).is_multiple_of(2) {
                continue;
            }
            let mut call = 0;
            loop {
                let what = format!("seed {seed}, {fault:?}, call {call}, for ever {for_ever}");
                let backend = FailingBackend::new(born.to_bytes(), fault, call, for_ever, call);
                let backend = Arc::new(backend);
                let run = run(&backend, &options, seed);
                runs += 1;
                // While the machine stays up, and after it lost its power.
                judge(&backend.to_bytes(), &run, &options, &what);
                if !backend.fired() {
                    assert!(run.failed.is_none(), "{what}: {run:?}");
                    break;
                }
                judge(&backend.to_durable_bytes(), &run, &options, &what);
                // A read that fails while a file is opened may be answered by the other
                // slot; everything else must come up.
                let reads = matches!(fault, Fault::ShortRead | Fault::Medium);
                assert!(reads || run.failed.is_some(), "{what}: nobody was told");
                call += 1;
            }
        }
    }
    runs
}

#[test]
fn reads_that_fail_are_errors_and_the_same_store_answers_when_they_work_again() {
    let options = options(1);
    let backend = Arc::new(FailingBackend::new(Vec::new(), Fault::Medium, u64::MAX, false, 0));
    let mut w = Writer::create_in(backend.clone(), &options).unwrap();
    let mut model = Model::default();
    for i in 0..60_u64 {
        let rec = Rec { key: Some(Key::from(i)), bytes: content(i, 300).into(), sites: 0 };
        w.insert(rec.key.as_ref().unwrap(), &rec.bytes).unwrap();
        model.put(rec);
    }
    w.seal().unwrap();
    drop(w);
    for fault in [Fault::Medium, Fault::ShortRead] {
        for call in 0.. {
            let failing = FailingBackend::new(backend.to_bytes(), fault, call, false, 0);
            let failing = Arc::new(failing);
            match Store::open_in(failing.clone(), &options.write.reading()) {
                Err(_) => assert!(failing.fired()),
                Ok(store) => {
                    assert_eq!(store.opened(), Opened::Intact, "{fault:?} {call}");
                    let answers = (0..3).map(|seed| common::compare(&store, &model, seed).unwrap());
                    let failed = answers.filter(Result::is_err).count();
                    assert!(failed <= usize::from(failing.fired()), "{failed} errors");
                }
            }
            if !failing.fired() {
                break;
            }
        }
    }
}

/// A file system of 8 MiB, gone when dropped.
#[cfg(target_os = "linux")]
struct Small {
    dir: tempfile::TempDir,
}

#[cfg(target_os = "linux")]
impl Small {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
            .arg(dir.path())
            .stderr(std::process::Stdio::null())
            .status();
        mounted.is_ok_and(|s| s.success()).then_some(Self { dir })
    }
}

#[cfg(target_os = "linux")]
impl Drop for Small {
    fn drop(&mut self) {
        drop(std::process::Command::new("umount").arg(self.dir.path()).status());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_that_says_so_and_loses_no_commit() {
    let Some(small) = Small::mount() else {
        eprintln!("skipped: mounting a small file system is not permitted here");
        return;
    };
    let path = small.dir.path().join("store");
    let options = StoreOptions {
        layout: Layout { chunk_size: 65_536, ..options(0).layout },
        write: WriteOptions { commit_bytes: 200_000, ..options(0).write },
    };
    let mut w = Writer::create(&path, &options).unwrap();
    let mut model = Model::default();
    let mut done = 0;
    let error = (0..).find_map(|i: u64| {
        let rec = Rec { key: Some(Key::from(i)), bytes: content(i * 4, 9000).into(), sites: 0 };
        let out = w.insert(i, &rec.bytes);
        model.put(rec);
        if out.is_ok() && !w.is_dirty() {
            done = i + 1;
        }
        out.err()
    });
    let error = error.unwrap();
    assert!(
        matches!(error.root(), Error::Io { source, .. }
            if source.kind() == std::io::ErrorKind::StorageFull),
        "{error}"
    );
    assert!(matches!(w.commit(), Err(Error::Poisoned)));
    drop(w);
    let store = Store::open(&path).unwrap();
    assert!(store.len() >= done && done > 300, "{} of {done}", store.len());
    model.records.truncate(store.len() as usize);
    check(&store, &model, 1).unwrap();
    // Opening for writing may need room to seal; it is refused or works, and loses nothing.
    for _ in 0..3 {
        match Writer::open(&path, &options.write) {
            Ok(w) => drop(w),
            Err(e) => assert!(matches!(e.root(), Error::Io { .. }), "{e}"),
        }
        check(&Store::open(&path).unwrap(), &model, 1).unwrap();
    }
    // No room for a second store either, and nothing half-made under its name.
    let second = small.dir.path().join("second");
    std::fs::write(small.dir.path().join("filler"), vec![1; 8 << 20]).unwrap_err();
    assert!(Writer::create(&second, &options).is_err());
    let left: Vec<_> = std::fs::read_dir(small.dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|n| n != "store" && n != "filler")
        .collect();
    assert!(left.is_empty(), "{left:?}");
    // With room again, work goes on.
    std::fs::remove_file(small.dir.path().join("filler")).unwrap();
    drop(store);
    let short = StoreOptions { ..options };
    match Writer::open(&path, &short.write) {
        Ok(mut w) => {
            let last = model.records.len() as u64 - 1;
            w.delete(last).unwrap();
            drop(w.commit());
        }
        Err(e) => assert!(matches!(e.root(), Error::Io { .. }), "{e}"),
    }
}
