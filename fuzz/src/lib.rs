//! What the fuzz targets share: a store to start from, checksums that follow changed bytes, and
//! a model of a store.

pub mod reseal;
pub mod world;

use std::sync::{Arc, OnceLock};
use std::time::Duration;
use vlstore::backend::{Backend, SliceBackend};
use vlstore::chunk::Algorithm;
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

/// A small store with leaves, runs, rows, shared and deleted records, and commits in the log.
pub fn base() -> &'static [u8] {
    static BASE: OnceLock<Vec<u8>> = OnceLock::new();
    BASE.get_or_init(|| {
        let backend = Arc::new(vlstore::backend::MemoryBackend::new());
        let columns =
            [Column::new("step", ColumnKind::I64, 1), Column::new("cell", ColumnKind::F64, 3)];
        let options = StoreOptions {
            layout: Layout { columns: Some(columns.to_vec()), ..options(false).layout },
            ..options(false)
        };
        let mut w = Writer::create_in(backend.clone(), &options).unwrap();
        for i in 0..24_u64 {
            let bytes: Vec<u8> = (0..40 + 30 * (i % 9)).map(|n| (n / 3 + i) as u8).collect();
            match i % 3 {
                0 => {
                    let mut row = Row::new(&columns);
                    row.set_i64("step", &[i as i64]).unwrap();
                    w.put_row(Some(&Key::from(i)), &bytes, 0, &row, vlstore::Existing::Refuse)
                        .unwrap()
                }
                1 => w.insert(format!("k{i}"), &bytes).unwrap(),
                _ => w.push(&bytes).unwrap(),
            };
            if i % 6 == 5 {
                w.share(&bytes[..i as usize]).unwrap();
            }
            if i == 7 || i == 15 {
                w.delete_at(i / 5).unwrap();
                w.seal().unwrap();
            }
            if i > 18 {
                w.commit().unwrap();
            }
        }
        drop(w);
        backend.to_bytes()
    })
}

/// Reads everything there is to read, whatever comes of it.
pub fn read_all(image: Vec<u8>) {
    let backend: Arc<dyn Backend> = Arc::new(SliceBackend::from_owner(image));
    let Ok(store) = Store::open_in(backend, &options(false).write.reading()) else { return };
    let n = store.len();
    for i in 0..n.min(40) {
        let _ = store.get_at(i);
        if let Ok(Some(key)) = store.key_at(i) {
            let _ = store.get(key);
        }
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
