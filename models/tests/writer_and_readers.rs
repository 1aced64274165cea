//! A whole writer and whole readers of one file, the library as it is, under shuttle: before each
//! call to the file, and between the sectors of each write, another thread may go on.
//!
//! `VLSTORE_TEST_SCALE` multiplies the 2 000 schedules.

use shuttle::sync::Mutex;
use shuttle::{scheduler::PctScheduler, thread};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use vlstore::Readable;
use vlstore::backend::{Backend, Mapping};
use vlstore::{
    Alignment, Compression, Durability, Error, Layout, Opened, Result, Store, StoreOptions,
    WriteOptions, Writer,
};

const SCHEDULES: usize = 2_000;
const SECTOR: usize = 512;

/// A file of which every read and every sector of a write is a step of its own.
#[derive(Debug)]
struct Stepped(Mutex<Vec<u8>>);

impl Backend for Stepped {
    fn len(&self) -> Result<u64> {
        thread::yield_now();
        Ok(self.0.lock().unwrap().len() as u64)
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        // A read of much is not one step either.
        for (n, part) in buf.chunks_mut(SECTOR).enumerate() {
            thread::yield_now();
            let at = offset as usize + n * SECTOR;
            let bytes = self.0.lock().unwrap();
            let from = bytes.get(at..at + part.len());
            part.copy_from_slice(from.ok_or(Error::corrupt("file", at as u64, "ends before"))?);
        }
        Ok(())
    }
    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        for (n, part) in data.chunks(SECTOR).enumerate() {
            thread::yield_now();
            let at = offset as usize + n * SECTOR;
            let mut bytes = self.0.lock().unwrap();
            if bytes.len() < at + part.len() {
                bytes.resize(at + part.len(), 0);
            }
            bytes[at..at + part.len()].copy_from_slice(part);
        }
        Ok(())
    }
    fn set_len(&self, len: u64) -> Result<()> {
        thread::yield_now();
        self.0.lock().unwrap().resize(len as usize, 0);
        Ok(())
    }
    fn sync(&self) -> Result<()> {
        thread::yield_now();
        Ok(())
    }
    fn map(&self, _: u64) -> Result<Option<Mapping>> {
        Ok(None)
    }
    fn writable(&self) -> bool {
        true
    }
}

fn options() -> StoreOptions {
    StoreOptions {
        layout: Layout {
            chunk_size: 128,
            alignment: Alignment::Contiguous,
            compression: Compression::Stored,
            typesize: 1,
            ..Layout::default()
        },
        write: WriteOptions {
            threads: 1,
            durability: Durability::Sync,
            commit_bytes: u64::MAX,
            commit_interval: Duration::from_secs(1_000_000),
            ..WriteOptions::default()
        },
    }
}

fn record(i: u64) -> Vec<u8> {
    vec![i as u8; 20 + i as usize]
}

/// Commits of two records each; every other one a seal.
fn write(mut w: Writer) {
    for n in 0..4 {
        for i in 2 * n..2 * n + 2 {
            w.insert(i, &record(i)).unwrap();
        }
        if n % 2 == 1 {
            w.seal().unwrap()
        } else {
            w.commit().unwrap()
        };
    }
    w.close().unwrap();
}

fn follow(file: Arc<dyn Backend>, fallbacks: &AtomicU64) {
    let mut store = Store::open_in(file, &options().write.reading()).unwrap();
    let mut seen = 0;
    for _ in 0..3 {
        let generation = store.generation();
        // A writer that stands still in the middle of a slot, for longer than a reader waits,
        // is told from a crash by nobody: that the commit before it was opened is said.
        let told = matches!(store.opened(), Opened::OlderCommit { .. });
        fallbacks.fetch_add(u64::from(told), Ordering::Relaxed);
        assert!(generation >= seen || told, "{generation} after {seen}");
        seen = seen.max(generation);
        assert_eq!(store.len() % 2, 0, "whole commits alone");
        for i in 0..store.len() {
            assert_eq!(*store.get(i).unwrap(), *record(i));
            assert_eq!(*store.get_at(i).unwrap(), *record(i));
        }
        store.refresh().unwrap();
    }
}

#[test]
fn readers_see_whole_commits_that_never_go_back_while_a_writer_is_at_work() {
    let scale = std::env::var("VLSTORE_TEST_SCALE").ok().and_then(|s| s.parse::<f64>().ok());
    let schedules = (SCHEDULES as f64 * scale.unwrap_or(1.0)) as usize;
    let fallbacks = Arc::new(AtomicU64::new(0));
    let counted = fallbacks.clone();
    let mut config = shuttle::Config::new();
    config.max_steps = shuttle::MaxSteps::FailAfter(10_000_000);
    config.stack_size = 1 << 20;
    let scheduler = PctScheduler::new(4, schedules.max(1));
    shuttle::Runner::new(scheduler, config).run(move || {
        let file: Arc<dyn Backend> = Arc::new(Stepped(Mutex::new(Vec::new())));
        let writer = Writer::create_in(file.clone(), &options()).unwrap();
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let (file, counted) = (file.clone(), counted.clone());
                thread::spawn(move || follow(file, &counted))
            })
            .collect();
        write(writer);
        readers.into_iter().for_each(|r| r.join().unwrap());
        let store = Store::open_in(file, &options().write.reading()).unwrap();
        assert_eq!((store.len(), store.opened()), (8, Opened::Intact));
    });
    println!("{schedules} schedules; a slot was half-written for too long {fallbacks:?} times");
}
