//! What the fuzz targets share: stores to start from, checksums that follow changed bytes, and
//! a model of a store.

pub mod records;
pub mod reseal;
pub mod world;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use vlstore::backend::{Backend, MemoryBackend, SliceBackend};
use vlstore::chunk::Algorithm;
use vlstore::maintain::{RecoverOptions, recover_into};
use vlstore::{
    Alignment, Column, ColumnKind, Compression, Durability, Key, Layout, Readable, Row, Store,
    StoreOptions, WriteOptions, Writer,
};

/// The id of every store here.
pub const FILE: [u8; 16] = [7; 16];

/// Options with the smallest blocks, one thread and no commit by itself.
pub fn options(stored: bool) -> StoreOptions {
    StoreOptions {
        layout: Layout {
            chunk_size: 4096,
            block_size: 2048,
            compression: Compression::from((!stored).then_some(Algorithm::Lz4)),
            alignment: Alignment::Contiguous,
            file_id: Some(FILE),
            ..Layout::default()
        },
        write: WriteOptions {
            threads: 1,
            durability: Durability::Sync,
            commit_bytes: u64::MAX,
            commit_interval: Duration::from_secs(1_000_000),
            cache_bytes: 4096,
            ..WriteOptions::default()
        },
    }
}

/// A store to start from, and where its structures lie.
pub struct Base {
    pub image: Vec<u8>,
    pub structures: Vec<Range<usize>>,
}

impl Base {
    /// The store, changed as `data` says.
    pub fn patched(&self, data: &[u8]) -> Vec<u8> {
        let mut image = self.image.clone();
        reseal::patch(&mut image, &self.structures, data);
        image
    }
}

/// The stores to start from. Whoever changes what is in a file has to change `reseal` too: these are
/// checked to be sealed by it as they were.
pub fn bases() -> &'static [Base; 4] {
    static BASES: OnceLock<[Base; 4]> = OnceLock::new();
    BASES.get_or_init(|| {
        [rows(), groups(Algorithm::Lz4), groups(Algorithm::Zstd), pages()].map(|image| {
            let mut broken = image.clone();
            let mut found = reseal::reseal(&mut broken);
            assert!(broken == image, "checksums of a whole store are what they were");
            for at in &found.sums {
                broken[*at..at + 8].copy_from_slice(&[0xa5; 8]);
            }
            reseal::reseal(&mut broken);
            assert!(broken == image, "every checksum is made again");
            let structures = &mut found.structures;
            structures.sort_by_key(|place| (place.start, place.end));
            structures.dedup();
            let store = open(image.clone()).expect("it opens");
            assert!(store.verify(|_, _| Ok(())).expect("it is read").is_intact());
            Base { image, structures: std::mem::take(structures) }
        })
    })
}

fn open(image: Vec<u8>) -> vlstore::Result<Store> {
    let backend: Arc<dyn Backend> = Arc::new(SliceBackend::from_owner(image));
    Store::open_in(backend, &options(false).write.reading())
}

fn filled(
    options: &StoreOptions,
    fill: impl FnOnce(&mut Writer) -> vlstore::Result<()>,
) -> Vec<u8> {
    let backend = Arc::new(MemoryBackend::new());
    let mut writer = Writer::create_in(backend.clone(), options).unwrap();
    fill(&mut writer).unwrap();
    drop(writer);
    backend.to_bytes()
}

/// A small store with leaves, runs, rows, shared and deleted records, and commits in the log.
fn rows() -> Vec<u8> {
    let columns =
        [Column::new("step", ColumnKind::I64, 1), Column::new("cell", ColumnKind::F64, 3)];
    let options = StoreOptions {
        layout: Layout { columns: Some(columns.to_vec()), ..options(false).layout },
        ..options(false)
    };
    filled(&options, |w| {
        for i in 0..24_u64 {
            let bytes: Vec<u8> = (0..40 + 30 * (i % 9)).map(|n| (n / 3 + i) as u8).collect();
            match i % 3 {
                0 => {
                    let mut row = Row::new(&columns);
                    row.set_i64("step", &[i as i64])?;
                    w.put_row(Some(&Key::from(i)), &bytes, 0, &row, vlstore::Existing::Refuse)?
                }
                1 => w.insert(format!("k{i}"), &bytes)?,
                _ => w.push(&bytes)?,
            };
            if i % 6 == 5 {
                w.share(&bytes[..i as usize])?;
            }
            if i == 7 || i == 15 {
                w.delete_at(i / 5)?;
                w.seal()?;
            }
            if i > 18 {
                w.commit()?;
            }
        }
        Ok(())
    })
}

/// A store with leaves of several groups, keys packed in every way there is, fences, and a run
/// with a filter.
fn groups(algorithm: Algorithm) -> Vec<u8> {
    let layout =
        Layout { compression: Compression::from(Some(algorithm)), ..options(false).layout };
    let image = filled(&StoreOptions { layout, ..options(false) }, |w| {
        let bytes = |i: u64| (0..i % 7).map(|n| (i >> n) as u8).collect::<Vec<_>>();
        let random = vlstore::wire::mix;
        // In no order, so in the run.
        for i in 0..1100 {
            w.put(random(i) as i64, &bytes(i))?;
        }
        w.seal()?;
        for i in 0..300 {
            w.put(format!("m{i:06}"), &bytes(i))?;
        }
        w.seal()?;
        for i in 0..300 {
            w.put(format!("n{:03}/{:x}", i, random(i) % 4096), &bytes(i))?;
        }
        w.seal()?;
        for i in 0..140_u64 {
            w.put(Key::from(random(i).to_le_bytes()[..i as usize % 8 + 1].to_vec()), &bytes(i))?;
            w.put(u64::MAX - i * i, &bytes(i))?;
            w.push(&bytes(i))?;
            if i % 40 == 3 {
                w.share(&bytes(i))?;
                w.delete_at(i)?;
            }
        }
        w.seal().map(drop)
    });
    let filters = image.windows(8).any(|w| w == vlstore::index::layout::RUN_MAGIC);
    assert!(filters, "there is a run");
    image
}

/// A store with directory pages, fences in them, and copies of leaves.
fn pages() -> Vec<u8> {
    let image = filled(&options(true), |w| {
        for i in 0..140_i64 {
            w.put(i, &i.to_le_bytes()[..i as usize % 8])?;
            w.seal()?;
        }
        Ok(())
    });
    let pages = image.windows(8).any(|w| w == vlstore::index::layout::PAGE_MAGIC);
    assert!(pages, "there is a directory page");
    image
}

/// Reads everything there is to read, whatever comes of it.
pub fn read_all(image: Vec<u8>) {
    let Ok(store) = open(image) else { return };
    let n = store.len();
    let _ = (store.info(), store.attributes());
    let mut keys = vec![Key::from("absent"), Key::from(-5), Key::from(vec![3])];
    let mut out = vec![0; 5000];
    for i in (0..n.min(30)).chain(n.saturating_sub(6)..n) {
        let _ = (store.get_at(i), store.location_at(i));
        keys.extend(store.key_at(i).ok().flatten());
    }
    for key in keys {
        if let Ok(Some(at)) = store.find(key.clone()) {
            assert!(at < n, "an ordinal that is none");
        }
        let _ = store.get_into(key.clone(), &mut out);
    }
    let some: Vec<u64> = (0..n.min(20)).rev().collect();
    let _ = store.get_batch_at(&some);
    let _ = store.for_each(|_, _, _| Ok(()));
    for name in ["step", "cell"] {
        let _ = store.column(name, 0..n.min(1000));
    }
    for (digest, _) in store.list_shared().unwrap_or_default().iter().take(20) {
        let _ = store.shared(digest);
    }
    let _ = store.scan(0..n).take(100).find(Result::is_err);
    let _ = store.verify(|_, _| Ok(()));
    let _ = store.stat(|_, _| Ok(()));
}

/// Goes on writing where that is possible; what was written is there.
pub fn write_on(image: &[u8]) {
    let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::from_bytes(image.to_vec()));
    let options = options(false).write;
    let go_on = || -> vlstore::Result<()> {
        let mut w = Writer::open_in(backend.clone(), &options)?;
        let first = w.put("new 0", b"bytes of it")?;
        w.commit()?;
        w.put("new 1", &[5; 3000])?;
        w.delete_at(first.min(1))?;
        w.seal()?;
        w.close().map(drop)
    };
    if go_on().is_ok()
        && let Ok(store) = Store::open_in(backend, &options.reading())
        && let Ok(record) = store.get("new 1")
    {
        assert_eq!(*record, [5; 3000]);
    }
}

/// Recovers what there is; what was recovered is whole.
pub fn recover(image: Vec<u8>) {
    let damaged: Arc<dyn Backend> = Arc::new(SliceBackend::from_owner(image));
    let new: Arc<dyn Backend> = Arc::new(MemoryBackend::new());
    let options = RecoverOptions {
        chunks: true,
        contents: Some(vlstore::codec::content),
        store: options(false),
        ..RecoverOptions::default()
    };
    if recover_into(&damaged, &new, &options, |_, _| Ok(())).is_ok() {
        let store = Store::open_in(new, &options.store.write.reading()).expect("it opens");
        assert!(store.verify(|_, _| Ok(())).expect("it is read").is_intact());
    }
}

/// A folder of this process for files, in memory where the system has such a place; nothing is left in it
/// from run to run.
pub struct Folder(PathBuf);

impl Folder {
    pub fn here() -> Self {
        let memory = Path::new("/dev/shm");
        let root = if memory.is_dir() { memory.into() } else { std::env::temp_dir() };
        let folder = root.join(format!("vlstore-fuzz-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a folder for files");
        Self(folder)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("room for a file");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
