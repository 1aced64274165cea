//! A store and its model, step by step.

use arbitrary::Arbitrary;
use std::sync::Arc;
use vlstore::backend::Backend;
use vlstore::{Key, Readable, Snapshot, StoreOptions, Writer};

/// One thing that somebody does to a store.
#[derive(Debug, Arbitrary)]
pub enum Step {
    Put {
        key: u8,
        seed: u8,
        len: u16,
        overwrite: bool,
    },
    Push {
        seed: u8,
        len: u16,
    },
    /// Many small records, whose keys ascend.
    Many {
        n: u8,
        shape: u8,
    },
    Share {
        seed: u8,
        len: u16,
    },
    Delete {
        key: u8,
    },
    DeleteAt {
        at: u8,
    },
    Attributes {
        n: u8,
    },
    Commit,
    Seal,
    Close,
    Abandon,
}

/// The live records in order, and a number in the attributes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Model {
    pub records: Vec<(Option<Key>, Vec<u8>)>,
    pub mark: Option<u8>,
    /// Contents of shared records.
    pub shared: Vec<Vec<u8>>,
}

/// Bytes that a seed decides.
pub fn content(seed: u8, len: u16) -> Vec<u8> {
    let len = usize::from(len) % 5000;
    (0..len)
        .map(|i| if seed % 3 == 0 { seed } else { (i * usize::from(seed) >> 3) as u8 })
        .collect()
}

fn key(n: u8) -> Key {
    match n % 4 {
        0 => Key::from(format!("k{}", n / 8)),
        1 => Key::from(i64::from(n / 8) - 9),
        2 => Key::from(u64::MAX - u64::from(n / 8)),
        _ => Key::from(vec![n / 8; 3]),
    }
}

impl Model {
    fn find(&self, key: &Key) -> Option<usize> {
        self.records.iter().position(|r| r.0.as_ref() == Some(key))
    }

    /// Panics where a snapshot says something else.
    pub fn compare(&self, snapshot: &Snapshot) {
        assert_eq!(snapshot.len(), self.records.len() as u64);
        let mark = snapshot.attributes().get("mark").and_then(serde::as_u8);
        assert_eq!(mark, self.mark);
        for (i, (key, bytes)) in self.records.iter().enumerate() {
            assert_eq!(*snapshot.get_at(i as u64).unwrap(), **bytes, "record {i}");
            assert_eq!(snapshot.key_at(i as u64).unwrap(), *key);
            if let Some(key) = key {
                assert_eq!(snapshot.find(key.clone()).unwrap(), Some(i as u64));
            }
        }
        for bytes in &self.shared {
            let digest = vlstore::Digest::of(bytes);
            assert_eq!(*snapshot.shared(&digest).unwrap(), **bytes);
        }
        let all: Vec<u64> = (0..snapshot.len()).rev().collect();
        let batch = snapshot.get_batch_at(&all).unwrap();
        assert!(batch.iter().zip(self.records.iter().rev()).all(|(a, b)| a == b.1));
    }
}

mod serde {
    /// The number in a JSON value, without naming the crate that holds it.
    pub fn as_u8(value: &impl ToString) -> Option<u8> {
        value.to_string().parse().ok()
    }
}

/// A writer, what it should hold, and what it held at each commit.
pub struct World {
    pub backend: Arc<dyn Backend>,
    pub options: StoreOptions,
    pub writer: Option<Writer>,
    pub now: Model,
    /// Generation and state of each commit, and how many calls had been made before and after.
    pub commits: Vec<(u64, Model, usize, usize)>,
    /// Number of the next of many records.
    pub serial: u64,
    /// Calls to the backend so far.
    pub calls: Box<dyn Fn() -> usize>,
}

impl World {
    pub fn new(
        backend: Arc<dyn Backend>,
        options: StoreOptions,
        calls: Box<dyn Fn() -> usize>,
    ) -> Self {
        let writer = Writer::create_in(backend.clone(), &options).unwrap();
        let at = calls();
        let commits = vec![(writer.generation(), Model::default(), 0, at)];
        let (writer, now, serial) = (Some(writer), Model::default(), 0);
        Self { backend, options, writer, now, commits, serial, calls }
    }

    /// A commit, or what ends with one, and which state it makes.
    fn commits(&mut self, f: impl FnOnce(&mut Option<Writer>)) {
        let before = (self.calls)();
        f(&mut self.writer);
        if self.writer.is_none() {
            self.reopen();
        }
        let generation = self.writer.as_ref().map_or(0, Writer::generation);
        let after = (self.calls)();
        self.commits.push((generation, self.now.clone(), before, after));
    }

    fn reopen(&mut self) {
        let before = (self.calls)();
        let writer = Writer::open_in(self.backend.clone(), &self.options.write).unwrap();
        let now = self.now.clone();
        self.commits.push((writer.generation(), now, before, (self.calls)()));
        self.writer = Some(writer);
    }

    pub fn step(&mut self, step: &Step) {
        let Some(w) = self.writer.as_mut() else { return };
        match step {
            Step::Put { key: k, seed, len, overwrite } => {
                let (k, bytes) = (key(*k), content(*seed, *len));
                let there = self.now.find(&k);
                let put =
                    if *overwrite { w.put(k.clone(), &bytes) } else { w.insert(k.clone(), &bytes) };
                assert_eq!(put.is_ok(), there.is_none() || *overwrite);
                if put.is_ok() {
                    if let Some(at) = there {
                        self.now.records.remove(at);
                    }
                    self.now.records.push((Some(k), bytes));
                }
            }
            Step::Push { seed, len } => {
                let bytes = content(*seed, *len);
                w.push(&bytes).unwrap();
                self.now.records.push((None, bytes));
            }
            Step::Many { n, shape } => {
                for _ in 0..*n {
                    self.serial += 1;
                    let (i, kind) = (self.serial, shape % 4);
                    let key = match kind {
                        0 => Key::from(format!("m{i:08}")),
                        1 => Key::from(i * 1000),
                        2 => Key::from((1 << 63) + i),
                        _ => Key::from([vec![9], i.to_be_bytes().to_vec()].concat()),
                    };
                    let bytes = content(*shape, (i % 9) as u16 + u16::from(shape / 16));
                    w.insert(key.clone(), &bytes).unwrap();
                    self.now.records.push((Some(key), bytes));
                }
            }
            Step::Share { seed, len } => {
                let bytes = content(*seed, *len);
                w.share(&bytes).unwrap();
                if !self.now.shared.contains(&bytes) {
                    self.now.shared.push(bytes);
                }
            }
            Step::Delete { key: k } => {
                let k = key(*k);
                let there = self.now.find(&k);
                let _ = w.delete(k);
                there.map(|at| self.now.records.remove(at));
            }
            Step::DeleteAt { at } => {
                let at = usize::from(*at);
                if at < self.now.records.len() {
                    w.delete_at(at as u64).unwrap();
                    self.now.records.remove(at);
                }
            }
            Step::Attributes { n } => {
                let json = format!("{{\"mark\": {n}}}");
                w.set_attributes(&json.parse().unwrap()).unwrap();
                self.now.mark = Some(*n);
            }
            Step::Commit => self.commits(|w| {
                let _ = w.as_mut().unwrap().commit().unwrap();
            }),
            Step::Seal => self.commits(|w| {
                let _ = w.as_mut().unwrap().seal().unwrap();
            }),
            Step::Close => self.commits(|w| w.take().unwrap().close().map(drop).unwrap()),
            Step::Abandon => {
                self.writer = None;
                self.now = self.commits.last().unwrap().1.clone();
                self.reopen();
            }
        }
    }
}
