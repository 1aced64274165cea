//! A writing process is killed at any moment (promises P1 and P5): nothing that it said it had
//! committed is missing, every record is right, and the next process goes on with the file.

use crate::common::{content, only, scaled};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use vlstore::Readable;
use vlstore::backend::fault::Seeded;
use vlstore::{Durability, Layout, Opened, Store, StoreOptions, WriteOptions, Writer};

/// Kills, each of another process, over all ways to write.
const KILLS: u64 = 50;
/// The name by which the child knows that it is one, and what its store is.
const CHILD: &str = "VLSTORE_TEST_KILL_CHILD";

fn record(i: u64) -> Vec<u8> {
    let len = [0, 40, 900, 3000, 20_000][(i % 5) as usize];
    content(i, len)
}

fn options(way: u64) -> StoreOptions {
    StoreOptions {
        layout: Layout { chunk_size: [65_536, 0, 32_768][(way % 3) as usize], ..Layout::default() },
        write: WriteOptions {
            durability: [Durability::Kernel, Durability::Sync][(way / 3 % 2) as usize],
            commit_bytes: [5000, u64::MAX, 200_000][(way % 3) as usize],
            commit_interval: Duration::from_secs(1_000_000),
            threads: 2,
            ..WriteOptions::default()
        },
    }
}

/// Writes for ever: records by number, commits of all kinds, and tells each on its output.
#[test]
fn child() {
    let Ok(what) = std::env::var(CHILD) else { return };
    let (way, path) = what.split_once(' ').unwrap();
    let way: u64 = way.parse().unwrap();
    let options = options(way);
    let mut w = Writer::open_or_create(path, &options).unwrap();
    let mut out = std::io::stdout().lock();
    let mut tell = |n: u64| {
        writeln!(out, "committed {n}").unwrap();
        out.flush().unwrap();
    };
    let mut rng = Seeded::new(std::process::id().into());
    tell(w.len());
    loop {
        for _ in 0..rng.below(30) {
            let i = w.len();
            w.insert(format!("r{i}"), &record(i)).unwrap();
            tell(w.committed_len());
        }
        // A store that commits by itself is left to it for a while.
        match rng.below(if way % 3 == 2 { 100 } else { 12 }) {
            0 => drop(w.seal().unwrap()),
            1 => {
                w.close().unwrap();
                w = Writer::open(path, &options.write).unwrap();
            }
            2..12 => drop(w.commit().unwrap()),
            _ => {}
        }
        tell(w.committed_len());
    }
}

/// Starts a child on `path`, kills it after `wait`, and gives what it said last.
fn killed(way: u64, path: &Path, wait: Duration) -> Option<u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(only(module_path!(), "child"))
        .arg("--test-threads=1")
        .env(CHILD, format!("{way} {}", path.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The clock starts when the store is open, or the kill would hit the start of the process.
    let number = |line: &str| line.rsplit_once("committed ").and_then(|(_, n)| n.parse().ok());
    let mut last = None;
    for line in lines.by_ref() {
        last = number(&line.unwrap());
        if last.is_some() {
            break;
        }
    }
    std::thread::sleep(wait);
    child.kill().unwrap();
    let status = child.wait().unwrap();
    use std::os::unix::process::ExitStatusExt;
    assert_eq!(status.signal(), Some(libc::SIGKILL), "the child ended by itself: {status}");
    for line in lines {
        // The last line may be cut; then it was not said.
        last = line.ok().as_deref().and_then(number).or(last);
    }
    last
}

#[test]
fn nothing_that_was_committed_is_missing_after_a_kill() {
    const WAYS: u64 = 6;
    let dir = tempfile::tempdir().unwrap();
    let mut rng = Seeded::new(11);
    let mut checked = [0; WAYS as usize];
    for n in 0..scaled(KILLS) {
        let way = n % WAYS;
        let path = dir.path().join(format!("store {way}"));
        if n / WAYS % 8 == 7 {
            // Start anew, so that a long campaign also sees young files.
            std::fs::remove_file(&path).unwrap();
            checked[way as usize] = 0;
        }
        let wait = Duration::from_micros(rng.below(60_000));
        let said = killed(way, &path, wait).unwrap_or(0);
        let store = Store::open(&path).unwrap();
        assert_eq!(store.opened(), Opened::Intact, "kill {n}");
        assert!(store.len() >= said, "kill {n}: {} records, {said} were committed", store.len());
        // All that is new, and some of the old.
        let new = checked[way as usize];
        for i in (new..store.len()).chain((0..50).map(|_| rng.below(store.len()))) {
            if i < store.len() {
                assert_eq!(*store.get_at(i).unwrap(), record(i)[..], "kill {n}: record {i}");
                assert_eq!(store.find(format!("r{i}")).unwrap(), Some(i), "kill {n}");
            }
        }
        checked[way as usize] = store.len();
    }
    for way in 0..WAYS {
        let path = dir.path().join(format!("store {way}"));
        let store = Store::open(&path).unwrap();
        for (i, r) in store.scan(0..store.len()).enumerate() {
            assert_eq!(*r.unwrap(), record(i as u64)[..]);
        }
        println!("way {way}: {} records, commit {}", store.len(), store.generation());
        Writer::open(&path, &options(way).write).unwrap().close().unwrap();
    }
}
