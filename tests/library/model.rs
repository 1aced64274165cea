//! Random work against a plain model (promise P2): put, overwrite, delete, commit, seal, reopen
//! and read in any order, for all placements, codecs, sizes of chunks and ways to keep bytes.
//! What a snapshot saw stays exactly that while the writer goes on and uses its log again. The
//! same from a store that is there already: a file of the original program, and a sealed file of
//! ours that another program has added to.

use crate::common::{Model, Rec, check, content, scaled_or_one_in};
use crate::{common, frame, other};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;
use vlstore::Readable;
use vlstore::backend::{Access, Backend, FileBackend, MemoryBackend};
use vlstore::chunk::{Algorithm, Filter, Params};
use vlstore::{
    Alignment, Compression, Durability, Error, Key, Layout, Opened, OriginalTable, Purpose,
    Snapshot, Store, StoreOptions, WriteOptions, Writer,
};

const CASES: u64 = 128;
const STEPS: usize = 100;
/// Bytes of live records above which a case only deletes, so that it ends in time.
const MOST: usize = 400 << 10;

#[derive(Debug, Clone)]
enum Step {
    Put { key: u8, seed: u64, len: u32, overwrite: bool },
    Push { seed: u64, len: u32 },
    Share { seed: u64, len: u32 },
    Delete { key: u8 },
    DeleteAt { at: u16 },
    Mark(u64),
    Commit,
    Seal,
    Close,
    Drop,
    Refresh,
    Keep,
    Read(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let len = prop_oneof![
        2 => 0..20_u32,
        4 => 20..400_u32,
        2 => 400..5000_u32,
        1 => 5000..40_000_u32,
    ];
    prop_oneof![
        14 => (0..24_u8, any::<u64>(), len.clone(), any::<bool>())
            .prop_map(|(key, seed, len, overwrite)| Step::Put { key, seed, len, overwrite }),
        8 => (any::<u64>(), len.clone()).prop_map(|(seed, len)| Step::Push { seed, len }),
        3 => (0..12_u64, len).prop_map(|(seed, len)| Step::Share { seed, len: len % 700 }),
        4 => (0..24_u8).prop_map(|key| Step::Delete { key }),
        3 => any::<u16>().prop_map(|at| Step::DeleteAt { at }),
        1 => (0..9_u64).prop_map(Step::Mark),
        12 => Just(Step::Commit),
        3 => Just(Step::Seal),
        2 => Just(Step::Close),
        2 => Just(Step::Drop),
        4 => Just(Step::Refresh),
        2 => Just(Step::Keep),
        3 => any::<u64>().prop_map(Step::Read),
    ]
}

#[derive(Debug, Clone)]
struct Setting {
    options: StoreOptions,
    on_file: bool,
    origin: Origin,
    /// The records that are there at first: number of the key, seed and length in fifths.
    first: Vec<(u8, u64, usize)>,
}

/// What a case begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// A new store.
    New,
    /// A file of the original program.
    Original,
    /// A sealed store of ours to which another program has added chunks and records.
    Extended,
}

fn setting() -> impl Strategy<Value = Setting> {
    let alignment = prop_oneof![
        Just(Alignment::Block),
        Just(Alignment::NoCross),
        Just(Alignment::Contiguous),
        Just(Alignment::Start),
    ];
    let codec = prop_oneof![
        Just(Some(None)),
        Just(Some(Some(Algorithm::Lz4))),
        Just(Some(Some(Algorithm::Zstd))),
        Just(Some(Some(Algorithm::Lz4hc))),
    ];
    let filter = prop_oneof![Just(Filter::None), Just(Filter::Shuffle), Just(Filter::BitShuffle)];
    let typesize = prop_oneof![Just(1_u8), Just(4), Just(8)];
    let purpose = prop_oneof![Just(Purpose::Dense), Just(Purpose::Balanced), Just(Purpose::Random)];
    let chunk =
        prop_oneof![Just(128_u32), Just(1000), Just(4096), Just(16_384), Just(65_536), Just(0)];
    // Syncs of a real file prove nothing here and cost most of the time.
    let durability =
        prop_oneof![Just(Durability::None), Just(Durability::Kernel), Just(Durability::Sync)];
    let access = prop_oneof![Just(Access::Map), Just(Access::Pread)];
    let lookup = prop_oneof![Just(OriginalTable::Auto), Just(OriginalTable::Never)];
    let on_file = prop_oneof![2 => Just(false), 1 => Just(true)];
    let origin = prop_oneof![
        3 => Just(Origin::New),
        2 => Just(Origin::Original),
        1 => Just(Origin::Extended)
    ];
    let first = prop::collection::vec((0..24_u8, any::<u64>(), 1..400_usize), 0..40);
    let more = (durability, access, lookup, on_file, 0..3_usize, (0..3_u64, origin, first));
    (alignment, codec, filter, typesize, purpose, chunk, any::<bool>(), more).prop_map(
        |(alignment, codec, filter, typesize, purpose, chunk_size, blocks, more)| {
            let (durability, access, lookup, on_file, threads, (commits, origin, first)) = more;
            // Only a file can be replaced by its copy.
            let on_file = on_file || origin == Origin::Original;
            let block_size = if blocks && chunk_size >= 4096 { 2048 } else { 0 };
            let options = StoreOptions {
                layout: Layout {
                    purpose,
                    chunk_size,
                    block_size,
                    compression: codec.map_or(Compression::Auto, Compression::from),
                    filter,
                    typesize,
                    alignment,
                    ..Layout::default()
                },
                write: WriteOptions {
                    threads,
                    durability: if on_file {
                        durability.min(Durability::Kernel)
                    } else {
                        durability
                    },
                    // Every put, often, or only when asked.
                    commit_bytes: [1, 20_000, u64::MAX][commits as usize],
                    commit_interval: Duration::from_secs(1_000_000),
                    cache_bytes: if blocks { 0 } else { 1 << 20 },
                    rows: (typesize != 1).then(common::rows),
                    original_table: lookup,
                    access,
                    ..WriteOptions::default()
                },
            };
            Setting { options, on_file, origin, first }
        },
    )
}

fn key(n: u8) -> Key {
    match n % 3 {
        0 => Key::from(i64::from(n) - 5),
        1 => Key::from(format!("key {n}")),
        _ => Key::from(vec![n; usize::from(n) * 4]),
    }
}

/// The records that a case begins with: lengths that are multiples of five, so that what has no row
/// in a file of others would have none in ours either (see [`common::rows`]).
fn first(setting: &Setting) -> Vec<(Key, Vec<u8>)> {
    setting.first.iter().map(|(k, seed, len)| (key(*k), content(*seed, len * 5))).collect()
}

/// A file of the original program with these records, and what it holds.
fn original(setting: &Setting) -> (Vec<u8>, Model) {
    let o = &setting.options;
    let algorithm = o.layout.params().algorithm;
    let (level, filter) =
        if algorithm.is_some() { (1, o.layout.filter) } else { (0, Filter::None) };
    let params = Params { algorithm, level, filter, typesize: o.layout.typesize };
    let chunk = if o.layout.chunk_size == 0 { 8192 } else { o.layout.chunk_size };
    let records = first(setting);
    let mut model = Model::default();
    for (key, bytes) in &records {
        model.put(Rec { key: Some(key.clone()), bytes: bytes.as_slice().into(), sites: 0 });
    }
    (other::original(&records, chunk, params, o.layout.alignment), model)
}

/// A store of ours, sealed, to which another program has added a chunk and, of the records, the
/// second half; and what it holds.
fn extended(setting: &Setting) -> (Vec<u8>, Model) {
    let options = StoreOptions {
        write: WriteOptions {
            original_table: OriginalTable::Always,
            ..setting.options.clone().write
        },
        ..setting.options.clone()
    };
    let memory: Arc<dyn Backend> = Arc::new(MemoryBackend::new());
    let mut writer = Writer::create_in(memory.clone(), &options).unwrap();
    let mut model = Model::default();
    let records = first(setting);
    let (ours, theirs) = records.split_at(records.len() / 2);
    for (key, bytes) in ours {
        writer.put_sized(Some(key), bytes, 0, vlstore::Existing::Replace).unwrap();
        model.put(Rec { key: Some(key.clone()), bytes: bytes.as_slice().into(), sites: 0 });
    }
    writer.seal().unwrap();
    drop(writer);
    let mut image = vec![0; memory.len().unwrap() as usize];
    memory.read_at(0, &mut image).unwrap();
    let chunk = vlstore::frame::FrameHeader::parse(&image).unwrap().chunk_size as usize;
    let mut at = frame::read(&image).unwrap().bytes.len();
    let (mut data, mut entries) = (Vec::new(), Vec::new());
    for (key, bytes) in theirs {
        entries.push((key.clone(), at as u64, (at + bytes.len()) as u64));
        data.extend_from_slice(bytes);
        at += bytes.len();
    }
    data.resize(data.len().next_multiple_of(chunk).max(chunk), 7);
    let chunks: Vec<Vec<u8>> = data.chunks(chunk).map(<[u8]>::to_vec).collect();
    for (key, bytes) in theirs {
        model.put(Rec { key: Some(key.clone()), bytes: bytes.as_slice().into(), sites: 0 });
    }
    (other::extended(&image, &chunks, &entries), model)
}

struct Case {
    setting: Setting,
    _dir: tempfile::TempDir,
    path: std::path::PathBuf,
    memory: Arc<dyn Backend>,
    writer: Option<Writer>,
    now: Model,
    /// The last commit.
    done: Model,
    reader: Store,
    reader_saw: Model,
    kept: Vec<(Snapshot, Model)>,
}

impl Case {
    fn new(setting: Setting) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let memory: Arc<dyn Backend> = Arc::new(MemoryBackend::new());
        let (image, model) = match setting.origin {
            Origin::New => (Vec::new(), Model::default()),
            Origin::Original => original(&setting),
            Origin::Extended => extended(&setting),
        };
        let options = &setting.options;
        let writer = if setting.origin == Origin::New {
            if setting.on_file {
                Writer::create(&path, options).unwrap()
            } else {
                Writer::create_in(memory.clone(), options).unwrap()
            }
        } else {
            let store = Store::from_bytes(image.clone()).unwrap();
            assert!(matches!(store.opened(), Opened::Unchecked | Opened::Extended));
            check(&store, &model, 4).unwrap();
            if setting.on_file {
                std::fs::write(&path, &image).unwrap();
                Writer::open(&path, &options.write).unwrap()
            } else {
                memory.write_at(0, &image).unwrap();
                Writer::open_in(memory.clone(), &options.write).unwrap()
            }
        };
        let reader = Self::open(&setting, &path, &memory);
        check(&reader, &model, 3).unwrap();
        Self {
            setting,
            _dir: dir,
            path,
            memory,
            writer: Some(writer),
            now: model.clone(),
            done: model.clone(),
            reader,
            reader_saw: model,
            kept: Vec::new(),
        }
    }

    fn open(setting: &Setting, path: &std::path::Path, memory: &Arc<dyn Backend>) -> Store {
        let backend: Arc<dyn Backend> = if setting.on_file {
            Arc::new(FileBackend::open_read(path, setting.options.write.access).unwrap())
        } else {
            memory.clone()
        };
        let store = Store::open_in(backend, &setting.options.write.reading()).unwrap();
        assert_eq!(store.opened(), Opened::Intact);
        store
    }

    fn writer(&mut self) -> &mut Writer {
        if self.writer.is_none() {
            let options = &self.setting.options;
            let w = if self.setting.on_file {
                Writer::open(&self.path, &options.write).unwrap()
            } else {
                Writer::open_in(self.memory.clone(), &options.write).unwrap()
            };
            assert_eq!(w.opened(), Opened::Intact);
            self.writer = Some(w);
        }
        self.writer.as_mut().unwrap()
    }

    /// Did the last call commit by itself? `before` is the commit before it.
    fn settle(&mut self, before: u64) {
        let (now, committed) = (self.writer().generation(), self.writer().committed_len());
        if now != before {
            self.done = self.now.clone();
            // All, or all but the newest records.
            self.done.records.truncate(usize::try_from(committed).unwrap());
        }
    }

    fn add(&mut self, key: Option<Key>, seed: u64, len: u32, overwrite: bool) {
        let sites = seed as u32 % 100;
        let bytes: Arc<[u8]> = content(seed, len as usize).into();
        let exists = key.as_ref().is_some_and(|k| self.now.find(k).is_some());
        let before = self.writer().generation();
        let out =
            self.writer().put_sized(key.as_ref(), &bytes, sites, vlstore::Existing::of(overwrite));
        if exists && !overwrite {
            assert!(matches!(out, Err(Error::Exists { .. })), "{out:?}");
            return;
        }
        self.now.put(Rec { key, bytes, sites });
        assert_eq!(out.unwrap(), self.now.records.len() as u64 - 1);
        self.settle(before);
    }

    fn step(&mut self, step: &Step) {
        let held: usize = self.now.records.iter().map(|r| r.bytes.len()).sum();
        match *step {
            Step::Put { .. } | Step::Push { .. } if held > MOST => {
                self.step(&Step::DeleteAt { at: 0 });
            }
            Step::Put { key: k, seed, len, overwrite } => {
                self.add(Some(key(k)), seed, len, overwrite);
            }
            Step::Push { seed, len } => self.add(None, seed, len, false),
            Step::Share { seed, len } => {
                // One content again and again, and a record that refers to it.
                let bytes = content(seed, if seed < 8 { 300 } else { len as usize });
                let digest = self.writer().share(&bytes).unwrap();
                self.now.share(&bytes);
                assert_eq!(*self.writer().shared(&digest).unwrap(), *bytes);
                self.add(None, seed, 30, false);
            }
            Step::Delete { key: k } => {
                let key = key(k);
                let found = self.now.find(&key);
                let before = self.writer().generation();
                let out = self.writer().delete(&key);
                match found {
                    Some(at) => {
                        out.unwrap();
                        self.now.records.remove(at);
                    }
                    None => assert!(matches!(out, Err(Error::NotFound { .. })), "{out:?}"),
                }
                self.settle(before);
            }
            Step::DeleteAt { at } => {
                let n = self.now.records.len();
                if n > 0 {
                    let at = usize::from(at) % n;
                    let before = self.writer().generation();
                    self.writer().delete_at(at as u64).unwrap();
                    self.now.records.remove(at);
                    self.settle(before);
                } else {
                    assert!(self.writer().delete_at(0).is_err());
                }
            }
            Step::Mark(mark) => {
                self.now.mark = Some(mark);
                let attributes = self.now.attributes();
                self.writer().set_attributes(&attributes).unwrap();
            }
            Step::Commit => {
                let before = self.writer().generation();
                let dirty = self.writer().is_dirty();
                let after = self.writer().commit().unwrap();
                // Two numbers are left out behind what an earlier writer never committed.
                let next = [before + 1, before + 3].contains(&after);
                assert!(if dirty { next } else { after == before }, "{before} to {after}");
                self.done = self.now.clone();
            }
            Step::Seal => {
                self.writer().seal().unwrap();
                self.done = self.now.clone();
            }
            Step::Close => {
                self.writer();
                self.writer.take().unwrap().close().unwrap();
                self.done = self.now.clone();
            }
            Step::Drop => {
                self.writer = None;
                self.now = self.done.clone();
            }
            Step::Refresh => {
                let before = self.reader.generation();
                let newer = self.reader.refresh().unwrap();
                assert!(self.reader.generation() >= before);
                assert_eq!(newer, self.reader.generation() > before);
                self.reader_saw = self.done.clone();
                check(&self.reader, &self.reader_saw, 1).unwrap();
            }
            Step::Keep => self.kept.push((self.reader.snapshot(), self.reader_saw.clone())),
            Step::Read(seed) => self.read(seed),
        }
        assert_eq!(self.writer().len(), self.now.records.len() as u64);
    }

    /// Reads through the writer, and a fresh reader.
    fn read(&mut self, seed: u64) {
        let now = self.now.clone();
        let w = self.writer();
        assert_eq!(w.attributes(), now.attributes());
        for (i, r) in now.records.iter().enumerate() {
            assert_eq!(*w.get_at(i as u64).unwrap(), *r.bytes, "record {i} of the writer");
            if let Some(key) = &r.key {
                assert_eq!(*w.get(key).unwrap(), *r.bytes, "record {key} of the writer");
            }
        }
        for k in 0..24 {
            assert_eq!(w.contains(key(k)).unwrap(), now.find(&key(k)).is_some());
        }
        let fresh = Self::open(&self.setting, &self.path, &self.memory);
        check(&fresh, &self.done, seed).unwrap();
        check(&self.reader, &self.reader_saw, seed).unwrap();
    }
}

fn run(setting: Setting, steps: &[Step]) {
    let mut case = Case::new(setting);
    for step in steps {
        case.step(step);
    }
    case.read(5);
    // Let every log extent be used again under the snapshots that were kept.
    for i in 0..20 {
        case.step(&Step::Push { seed: i, len: 300 });
        case.step(if i % 3 == 0 { &Step::Seal } else { &Step::Commit });
    }
    case.read(6);
    for (snapshot, model) in &case.kept {
        check(snapshot, model, 7).unwrap();
    }
    case.step(&Step::Close);
    case.read(8);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: u32::try_from(scaled_or_one_in(2, CASES)).unwrap(),
        max_shrink_iters: 4000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_store_is_what_a_map_and_a_list_say(
        setting in setting(),
        steps in prop::collection::vec(step(), STEPS / 2..STEPS * 3 / 2),
    ) {
        run(setting, &steps);
    }
}
