//! A shuffled epoch of the training loader against reading the same store in order, turn by turn in
//! one run: the records as bytes against a scan, and the arrays of frames against the arrays of
//! frames in order. Real frames of 64 atoms, and mixed ones, with Zstandard and LZ4. WINDOW, FRAMES and
//! ROUNDS in the environment change the records of a window, those of a store, and the turns.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    reason = "a bench may panic, and prints"
)]

mod support;

use support::data::{self, Data};
use support::measure::{Pair, interleave, median, seconds, setting, wanted};
use vlstore::chunk::Algorithm;
use vlstore::loader::{Batching, Loader, LoaderOptions, Shuffle};
use vlstore::trajectory::arrays::{ArrayInfo, ArrayRequest, Collator, Selection};
use vlstore::{
    Error, Existing, Layout, Purpose, Readable, Snapshot, Store, StoreOptions, WriteOptions, Writer,
};

fn loader(snapshot: &Snapshot, shuffle: Shuffle) -> Loader {
    let batching = Batching { records: Some(32), ..Batching::default() };
    let window = u64::try_from(setting("WINDOW", 0)).ok().filter(|window| *window > 0);
    let options = LoaderOptions { batching, shuffle, window, ..LoaderOptions::default() };
    Loader::new(snapshot.clone(), options).unwrap()
}

fn bytes(loader: &Loader) -> usize {
    loader.records().unwrap().map(|b| b.unwrap().records().map(<[u8]>::len).sum::<usize>()).sum()
}

/// Arrays of whole windows, from which a face cuts its batches.
fn arrays(loader: &Loader) -> usize {
    let collator = Collator::new(ArrayRequest { batch: false, ..ArrayRequest::default() });
    let run = loader.start(move |asked| {
        let new = |array: &ArrayInfo| Ok::<_, Error>(vec![0_u8; array.bytes()]);
        let chosen = Selection::Ordinals(asked.ordinals());
        collator.arrays_of(asked.snapshot(), chosen, asked.plan()?, new)
    });
    run.unwrap().map(|batch| batch.unwrap().places().len()).sum()
}

fn report(name: &str, raw: usize, pair: &Pair) {
    let rate = |s: &[f64]| raw as f64 / median(s) / 1e6;
    println!(
        "  {name:<34} {:>7.0} MB/s shuffled, {:>7.0} MB/s in order: {:.2}",
        rate(&pair.ours),
        rate(&pair.reference),
        1.0 / pair.ratio()
    );
}

fn measure(set: &Data, name: &str, compression: Algorithm, purpose: Purpose) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("loader.vls");
    let layout = Layout { purpose, compression: Some(compression).into(), ..Layout::default() };
    let options = StoreOptions { layout, write: WriteOptions::default() };
    let mut w = Writer::create(&path, &options).unwrap();
    for record in &set.records {
        w.put_sized(None, record, data::SMALL as u32, Existing::Refuse).unwrap();
    }
    w.close().unwrap();
    let snapshot = Store::open(&path).unwrap().snapshot();
    let (n, raw, rounds) = (snapshot.len(), set.bytes(), setting("ROUNDS", 5));
    let (shuffled, ordered) =
        (loader(&snapshot, Shuffle::Windows), loader(&snapshot, Shuffle::Sequential));
    let order = shuffled.schedule().order();
    println!("{name}, {}: windows of {} in groups of {}", set.what, order.window, order.group);
    let scan = || {
        seconds(|| {
            let found: usize = snapshot.scan(0..n).map(|r| r.unwrap().len()).sum();
            assert_eq!(found, raw);
        })
    };
    let epoch = || seconds(|| assert_eq!(bytes(&shuffled), raw));
    report("records, against a scan", raw, &interleave(rounds, epoch, scan));
    let epoch = || seconds(|| assert_eq!(bytes(&shuffled), raw));
    let in_order = || seconds(|| assert_eq!(bytes(&ordered), raw));
    report("records, against the loader", raw, &interleave(rounds, epoch, in_order));
    let epoch = || seconds(|| assert_eq!(arrays(&shuffled) as u64, n));
    let in_order = || seconds(|| assert_eq!(arrays(&ordered) as u64, n));
    report("arrays, against the loader", raw, &interleave(rounds, epoch, in_order));
}

fn main() {
    if !wanted() {
        return;
    }
    let n = setting("FRAMES", 40_000);
    let sets = [Some(data::small(n)), data::mixed(n / 5_000)];
    for set in sets.iter().flatten() {
        measure(set, "zstd dense", Algorithm::Zstd, Purpose::Dense);
        measure(set, "zstd balanced", Algorithm::Zstd, Purpose::Balanced);
        measure(set, "lz4 balanced", Algorithm::Lz4, Purpose::Balanced);
    }
}
