//! What the tests of promises share: records that a seed decides, a model of a store, and the
//! comparison of the two.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::print_stderr,
    reason = "shared by several test programs, none of which uses all of it"
)]

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use vlstore::Readable;
use vlstore::backend::fault::Seeded;
use vlstore::backend::{Backend, MemoryBackend, SliceBackend};
use vlstore::maintain::{RecoverOptions, Recovered, recover_into};
use vlstore::wire::Digest;
use vlstore::{Column, ColumnKind, Error, Key, ReadOptions, RowMaker, Snapshot, Store};

/// How many times the usual figures a campaign wants: `VLSTORE_TEST_SCALE`, 1 if not set.
/// Fractions are understood, for a quick look.
pub fn scaled(figure: u64) -> u64 {
    let scale = std::env::var("VLSTORE_TEST_SCALE").ok().and_then(|s| s.parse::<f64>().ok());
    ((figure as f64 * scale.unwrap_or(1.0)) as u64).max(1)
}

/// Whether this is a campaign, which tries all that the usual run takes a part of.
pub fn thorough() -> bool {
    scaled(1) > 1
}

/// As [`scaled`], but one in `part` in the usual run, which has to end in minutes.
pub fn scaled_or_one_in(part: u64, figure: u64) -> u64 {
    let n = scaled(figure);
    if thorough() { n } else { (n / part).max(1) }
}

/// Arguments by which a copy of this program runs one test alone, of the module whose `module_path!()` is
/// given. With another name it would run none and end well: who starts it has to see that it did something.
pub fn only(module: &str, test: &str) -> [String; 3] {
    let name = match module.split_once("::") {
        Some((_, inside)) => format!("{inside}::{test}"),
        None => test.to_owned(),
    };
    ["--exact".to_owned(), name, "--nocapture".to_owned()]
}

/// A file or folder of the shared data, where that is at hand; else says that it is not.
pub fn shared(under: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(under);
    if path.exists() {
        return Some(path);
    }
    eprintln!("SKIPPED: {under} is not on this machine");
    None
}

/// What `recover` saves of the bytes of a store: its report, and the new store, which is intact.
pub fn recovered(image: &[u8], options: &RecoverOptions) -> Result<(Recovered, Store), Error> {
    let input: Arc<dyn Backend> = Arc::new(SliceBackend::new(image.to_vec().into()));
    let new: Arc<dyn Backend> = Arc::new(MemoryBackend::new());
    let report = recover_into(&input, &new, options, |_, _| Ok(()))?;
    let store = Store::open_in(new, &ReadOptions::default()).unwrap();
    assert!(store.verify(|_, _| Ok(())).unwrap().is_intact());
    assert_eq!(report.records, store.len());
    Ok((report, store))
}

/// `len` bytes that `seed` decides: noise, a smooth ramp of floats, one repeated byte or zeros.
pub fn content(seed: u64, len: usize) -> Vec<u8> {
    let mut rng = Seeded::new(seed);
    match seed % 4 {
        0 => (0..len).map(|_| rng.next() as u8).collect(),
        1 => {
            let start = rng.below(1000) as f32;
            let all = (0..len / 4 + 1).flat_map(|i| (start + i as f32 * 0.01).to_le_bytes());
            all.take(len).collect()
        }
        2 => vec![rng.next() as u8; len],
        _ => (0..len)
            .map(|i| ((i as u64).wrapping_mul(seed | 1) >> 5) as u8 ^ (seed as u8))
            .collect(),
    }
}

/// A record as it should be.
#[derive(Debug, Clone)]
pub struct Rec {
    pub key: Option<Key>,
    pub bytes: Arc<[u8]>,
    pub sites: u32,
}

/// A store as it should be: its live records in the order of insertion, and a number that the
/// attributes bear.
#[derive(Debug, Clone, Default)]
pub struct Model {
    pub records: Vec<Rec>,
    /// Contents that are shared, in the order in which they were put.
    pub shared: Vec<(Digest, Arc<[u8]>)>,
    pub mark: Option<u64>,
}

impl Model {
    pub fn find(&self, key: &Key) -> Option<usize> {
        self.records.iter().position(|r| r.key.as_ref() == Some(key))
    }

    /// Puts a record as the store does: what had the key before is gone, the new one is last.
    pub fn put(&mut self, rec: Rec) {
        if let Some(key) = &rec.key {
            self.records.retain(|r| r.key.as_ref() != Some(key));
        }
        self.records.push(rec);
    }

    /// Shares a content as the store does: once.
    pub fn share(&mut self, bytes: &[u8]) {
        let digest = Digest::of(bytes);
        if self.shared.iter().all(|s| s.0 != digest) {
            self.shared.push((digest, bytes.into()));
        }
    }

    pub fn attributes(&self) -> serde_json::Value {
        self.mark.map_or_else(|| serde_json::json!({}), |m| serde_json::json!({ "mark": m }))
    }
}

static COLUMNS: [Column; 2] =
    [Column::new("digest", ColumnKind::I64, 1), Column::new("ends", ColumnKind::F64, 2)];

/// Two columns that follow from the bytes of a record; some records have none.
pub fn rows() -> RowMaker {
    RowMaker {
        columns: &COLUMNS,
        fill: |bytes, row| {
            let end = |b: Option<&u8>| f64::from(b.copied().unwrap_or(0)).to_bits();
            row[0] = vlstore::wire::checksum(bytes);
            row[1] = end(bytes.first());
            row[2] = end(bytes.last());
            !bytes.len().is_multiple_of(5)
        },
    }
}

/// Compares the columns of a snapshot, if it has those of [`rows`], with the model.
fn compare_columns(snapshot: &Snapshot, model: &Model) -> vlstore::Result<bool> {
    if snapshot.columns().is_empty() {
        return Ok(true);
    }
    let (mut words, mut unknown) = (Vec::new(), Vec::new());
    for (i, r) in model.records.iter().enumerate() {
        let mut row = Column::absent(&COLUMNS);
        if !(rows().fill)(&r.bytes, &mut row) {
            row = Column::absent(&COLUMNS);
            unknown.push(i as u64);
        }
        words.push(row);
    }
    // Of other records, too, a column may be left to their bytes; what it has must be right.
    let agrees = |name: &str, numbers: std::ops::Range<usize>| -> vlstore::Result<bool> {
        let column = snapshot.column(name, 0..u64::MAX)?;
        let left: HashSet<u64> = column.unknown.into_iter().collect();
        let absent = Column::absent(&COLUMNS);
        let right = words.iter().zip(0..).flat_map(|(row, i)| {
            if left.contains(&i) { &absent[numbers.clone()] } else { &row[numbers.clone()] }
        });
        let bits = column.values.into_words();
        Ok(unknown.iter().all(|i| left.contains(i)) && right.eq(&bits))
    };
    Ok(agrees("digest", 0..1)? && agrees("ends", 1..3)?)
}

macro_rules! ensure {
    ($cond:expr, $($why:tt)*) => {
        if !$cond { return Err(format!($($why)*)); }
    };
}

/// Compares everything that a snapshot says with the model. An error of the store is an answer
/// of its own, told apart from wrong bytes by the `Err` inside.
pub fn compare(
    snapshot: &Snapshot,
    model: &Model,
    seed: u64,
) -> Result<vlstore::Result<()>, String> {
    macro_rules! ask {
        ($call:expr) => {
            match $call {
                Ok(v) => v,
                Err(e) => return Ok(Err(e)),
            }
        };
    }
    let n = model.records.len();
    ensure!(snapshot.len() == n as u64, "{} records, not {n}", snapshot.len());
    ensure!(snapshot.attributes() == model.attributes(), "attributes {}", snapshot.attributes());
    let listed = ask!(snapshot.list_shared());
    let wanted = model.shared.iter().map(|s| s.0);
    ensure!(listed.iter().map(|l| l.0).eq(wanted), "shared records {listed:?}");
    ensure!(ask!(snapshot.info()).shared == listed.len() as u64, "number of shared records");
    for (digest, bytes) in &model.shared {
        ensure!(*ask!(snapshot.shared(digest)) == **bytes, "shared {digest}");
    }
    let mut at = 0;
    let mut wrong = None;
    ask!(snapshot.for_each(|ordinal, key, place| {
        let expected = model.records.get(at);
        let same = expected.is_some_and(|r| {
            ordinal == at as u64
                && r.key == key
                && r.bytes.len() as u64 == place.len()
                && r.sites == place.weight
        });
        if !same && wrong.is_none() {
            wrong = Some(format!("record {at} is {ordinal} {key:?} {place:?}, not {expected:?}"));
        }
        at += 1;
        Ok(())
    }));
    ensure!(wrong.is_none(), "{}", wrong.unwrap_or_default());
    ensure!(at == n, "{at} records were listed, not {n}");
    ensure!(ask!(compare_columns(snapshot, model)), "columns");
    let mut seen = 0;
    for (i, found) in snapshot.scan(0..n as u64).enumerate() {
        ensure!(*ask!(found) == *model.records[i].bytes, "record {i} of the scan");
        seen += 1;
    }
    ensure!(seen == n, "the scan ended at {seen} of {n}");
    let mut rng = Seeded::new(seed);
    let asked: Vec<u64> = (0..n + n / 3).map(|_| rng.below(n as u64)).collect();
    let batch = ask!(snapshot.get_batch_at(&asked));
    ensure!(batch.len() == asked.len(), "a batch of {}", batch.len());
    for (i, found) in asked.iter().zip(batch.iter()) {
        ensure!(*found == *model.records[*i as usize].bytes, "record {i} of a batch");
    }
    for (i, r) in model.records.iter().enumerate() {
        let i = i as u64;
        ensure!(*ask!(snapshot.get_at(i)) == *r.bytes, "record {i} by ordinal");
        ensure!(ask!(snapshot.key_at(i)) == r.key, "key of {i}");
        if let Some(key) = &r.key {
            ensure!(ask!(snapshot.find(key)) == Some(i), "{key} is not at {i}");
            let mut out = vec![0; r.bytes.len()];
            let len = ask!(snapshot.get_into(key, &mut out));
            ensure!(len == out.len() && *out == *r.bytes, "record {key}");
        }
    }
    for absent in [Key::from("absent"), Key::from(-77), Key::from(&b"k1"[..])] {
        ensure!(ask!(snapshot.find(&absent)).is_none(), "{absent} is there");
    }
    ensure!(snapshot.get_at(n as u64).is_err(), "a record beyond the last");
    Ok(Ok(()))
}

/// As [`compare`], where no error is expected.
pub fn check(snapshot: &Snapshot, model: &Model, seed: u64) -> Result<(), String> {
    compare(snapshot, model, seed)?.map_err(|e| e.to_string())
}
