//! What a record costs in the file beside its compressed bytes; `benches/sizes.rs` prints more of it.

use std::sync::Arc;
use vlstore::backend::Backend;
use vlstore::backend::fault::Seeded;
use vlstore::codec::{MdFrame, Real};
use vlstore::{
    Compression, Durability, Key, Layout, Purpose, ReadOptions, Readable, Store, StoreOptions,
    Trajectory, TrajectoryWriter, WriteOptions, Writer,
};

fn options(purpose: Purpose) -> StoreOptions {
    StoreOptions {
        layout: Layout { purpose, ..Layout::default() },
        write: WriteOptions { durability: Durability::None, ..WriteOptions::default() },
    }
}

/// Bytes of a file and of its finished chunks.
fn sizes(backend: Arc<dyn Backend>) -> (u64, u64) {
    let len = backend.len().unwrap();
    let store = Store::open_in(backend, &ReadOptions::default()).unwrap();
    let kinds = store.stat(|_, _| Ok(())).unwrap().kinds;
    (len, kinds.iter().map(|k| k.file_bytes).sum())
}

fn noise(rng: &mut Seeded, len: usize) -> Vec<u8> {
    (0..len.div_ceil(8)).flat_map(|_| rng.next().to_le_bytes()).take(len).collect()
}

#[test]
fn an_index_and_its_copy_cost_a_few_bytes_a_record() {
    type Name = fn(u64) -> Option<Key>;
    let keys: [(Name, f64); 3] = [
        (|_| None, 4.0),
        (|i| Some(Key::from(7 * i)), 4.0),
        (|i| Some(Key::from(format!("mol_{i:07}"))), 8.0),
    ];
    for (key, most) in keys {
        let mut w = Writer::in_memory(&options(Purpose::Dense)).unwrap();
        let count = 100_000;
        for i in 0..count {
            let record = [5; 400];
            let record = &record[..200 + (i * i % 199) as usize];
            match key(i) {
                Some(key) => w.insert(key, record).unwrap(),
                None => w.push(record).unwrap(),
            };
        }
        let backend = w.backend().clone();
        w.close().unwrap();
        let (len, chunks) = sizes(backend);
        let each = (len - chunks) as f64 / count as f64;
        assert!(each <= most, "{each} bytes a record");
    }
}

/// A frame of noise: nothing of it compresses but its step.
fn frame(rng: &mut Seeded, i: i64, sites: usize) -> MdFrame {
    let mut number = || (rng.next() >> 11) as f64 / (1_u64 << 53) as f64;
    MdFrame {
        nsites: sites,
        positions: Some(Real::F32((0..3 * sites).map(|_| number() as f32).collect())),
        energy: Some(number()),
        cell: Some(std::array::from_fn(|_| number())),
        step: Some(i * 100),
        ..MdFrame::default()
    }
}

#[test]
fn columns_are_kept_only_where_they_are_cheap() {
    for (sites, count, kept) in [(20, 20_000_u64, false), (4000, 150, true)] {
        let made = |columns: Option<Vec<vlstore::Column>>| {
            let mut options = options(Purpose::Balanced);
            options.layout.columns = columns;
            let mut w = TrajectoryWriter::in_memory(&options).unwrap();
            let mut rng = Seeded::new(3);
            for i in 0..count {
                w.insert(i, &frame(&mut rng, i.cast_signed(), sites)).unwrap();
            }
            let backend = w.writer().backend().clone();
            w.close().unwrap();
            backend
        };
        let (with, without) = (made(None), made(Some(Vec::new())));
        let more = sizes(with.clone()).0 as f64 / sizes(without).0 as f64 - 1.0;
        assert!(more < 0.01, "columns take {more} of the file");

        let store = Store::open_in(with.clone(), &ReadOptions::default()).unwrap();
        let unknown = |name: &str| store.column(name, 0..count).unwrap().unknown.len() as u64;
        assert_eq!(unknown("step"), 0);
        for name in ["energy", "cell"] {
            assert_eq!(unknown(name), if kept { 0 } else { count }, "{name}, {sites} sites");
        }
        // Whoever knows the codec gets all of them, wherever they stand.
        let mut rng = Seeded::new(3);
        let right: Vec<MdFrame> =
            (0..count).map(|i| frame(&mut rng, i.cast_signed(), sites)).collect();
        let store = Trajectory::new(store.snapshot()).unwrap();
        let energies = store.column("energy").unwrap();
        assert!(energies.unknown.is_empty());
        let right_energies: Vec<f64> = right.iter().map(|f| f.energy.unwrap()).collect();
        assert_eq!(energies.values.as_f64(), Some(&right_energies[..]));
        let cells = store.column("cell").unwrap();
        let right_cells: Vec<f64> = right.iter().flat_map(|f| f.cell.unwrap()).collect();
        assert_eq!(cells.values.as_f64(), Some(&right_cells[..]));
    }
}

#[test]
fn what_is_not_compressed_takes_what_it_is_long() {
    let mut rng = Seeded::new(8);
    for purpose in [Purpose::Dense, Purpose::Balanced, Purpose::Random] {
        let mut options = options(purpose);
        options.layout.compression = Compression::Stored;
        let mut w = Writer::in_memory(&options).unwrap();
        let mut bytes = 0;
        for i in 0..1000_u64 {
            let len = 2000 + (rng.next() % 40_000) as usize;
            let record = noise(&mut rng, len);
            w.insert(format!("frame {i}"), &record).unwrap();
            bytes += record.len() as u64;
        }
        let backend = w.backend().clone();
        w.close().unwrap();
        let ratio = sizes(backend).0 as f64 / bytes as f64;
        assert!(ratio < 1.03, "{ratio} with {purpose:?}");
    }
}

#[test]
fn records_of_nine_bytes_take_less_than_twice_as_much() {
    for compression in [Compression::Auto, Compression::Stored] {
        let mut options = options(Purpose::Balanced);
        options.layout.compression = compression;
        let mut w = Writer::in_memory(&options).unwrap();
        let mut rng = Seeded::new(9);
        let count = 300_000_u64;
        for _ in 0..count {
            w.push(&noise(&mut rng, 9)).unwrap();
        }
        let backend = w.backend().clone();
        w.close().unwrap();
        let ratio = sizes(backend).0 as f64 / (9 * count) as f64;
        assert!(ratio < 1.6, "{ratio}");
    }
}
