//! Recovering brings back every record that is not damaged, as it was, and names every other.

use crate::common::recovered;
use crate::listed::{Listed, listed};
use proptest::collection::vec;
use proptest::prelude::*;
use std::fs;
use vlstore::Readable;
use vlstore::backend::Backend;
use vlstore::index::layout::{
    DEAD_MAGIC, LEAF_MAGIC, LOG_MAGIC, PAGE_MAGIC, ROOT_MAGIC, RUN_MAGIC,
};
use vlstore::maintain::{RecoverOptions, Recovered, RecoveryMethod, recover};
use vlstore::{
    Durability, Error, Key, Layout, OriginalTable, Store, StoreOptions, WriteOptions, Writer,
};

const SLOTS: [usize; 2] = [4096, 8192];

fn options() -> StoreOptions {
    StoreOptions {
        layout: Layout {
            chunk_size: 16 << 10,
            block_size: 2 << 10,
            file_id: Some(*b"recover's tests."),
            record_codec: ("test".into(), 3),
            ..Layout::default()
        },
        write: WriteOptions {
            durability: Durability::None,
            threads: 1,
            original_table: OriginalTable::Always,
            check: Some(|_, _, _, _| Ok(None)),
            ..WriteOptions::default()
        },
    }
}

/// Bytes that belong to record `i` of round `round`.
fn bytes(i: u64, round: u64) -> Vec<u8> {
    let len = usize::try_from(i * 7919 % 3000).unwrap();
    (0..len as u64)
        .map(|k| u8::try_from((k * (i + 3) * (k % 7 + 1) + round) % 251).unwrap())
        .collect()
}

fn image(writer: &Writer) -> Vec<u8> {
    let backend = writer.backend();
    let mut out = vec![0; usize::try_from(backend.len().unwrap()).unwrap()];
    backend.read_at(0, &mut out).unwrap();
    out
}

fn put(w: &mut Writer, ids: std::ops::Range<u64>) {
    for i in ids {
        let sites = u32::try_from(i).unwrap();
        w.put_sized(Some(&Key::from(i)), &bytes(i, 0), sites, vlstore::Existing::Refuse).unwrap();
        if i % 10 == 9 {
            w.commit().unwrap();
        }
    }
}

/// A store with leaves, runs, lists of deleted records, a log, and a seal in its middle.
fn grown(sealed_last: bool) -> Vec<u8> {
    let mut w = Writer::in_memory(&options()).unwrap();
    w.set_attributes(&serde_json::json!({"a": 1})).unwrap();
    for round in 0..3 {
        put(&mut w, round * 40..round * 40 + 40);
        w.put_sized(Some(&Key::from(round * 40)), &bytes(round, 1), 5, vlstore::Existing::Replace)
            .unwrap();
        w.delete(round * 40 + 7).unwrap();
        w.seal().unwrap();
    }
    put(&mut w, 120..150);
    w.delete(30_u64).unwrap();
    w.put_sized(Some(&Key::from(31)), b"replaced", 6, vlstore::Existing::Replace).unwrap();
    w.commit().unwrap();
    if sealed_last {
        w.seal().unwrap();
    }
    image(&w)
}

fn live(image: &[u8]) -> Vec<Listed> {
    listed(&Store::from_bytes(image.to_vec()).unwrap())
}

fn run(image: &[u8]) -> (Recovered, Store) {
    recovered(image, &RecoverOptions::default()).unwrap()
}

/// Offsets of everything that begins with this magic.
fn places(image: &[u8], magic: [u8; 8]) -> Vec<usize> {
    (12_288..image.len() - 8).step_by(8).filter(|at| image[*at..*at + 8] == magic).collect()
}

/// Compares what came back with what was there; answers the names of what did not.
fn missing(got: &[Listed], right: &[Listed], sites: bool) -> Vec<String> {
    let mut got = got.iter().peekable();
    let mut out = Vec::new();
    for (key, n, bytes) in right {
        match got.peek() {
            Some((k, m, b)) if k == key => {
                assert!(b == bytes, "record {key:?} came back changed");
                assert!(!sites || n == m);
                got.next();
            }
            _ => out.push(key.as_ref().unwrap().to_string()),
        }
    }
    let extra: Vec<_> = got.map(|r| &r.0).collect();
    assert!(extra.is_empty(), "out of nowhere or out of order: {extra:?}");
    out
}

fn names(report: &Recovered) -> Vec<String> {
    report.losses.iter().filter_map(|l| l.record.as_deref().map(str::to_owned)).collect()
}

#[test]
fn of_a_whole_store_everything_comes_back_and_nothing_else() {
    for sealed in [false, true] {
        let image = grown(sealed);
        let (report, new) = run(&image);
        assert!(report.is_complete(), "{report:?}");
        assert_eq!(listed(&new), live(&image));
        assert_eq!(new.attributes(), serde_json::json!({"a": 1}));
        assert_eq!(new.layout().record_codec, ("test".into(), 3));
        assert_eq!(new.layout().chunk(), 16 << 10);
        assert!(matches!(report.found[..], [f] if matches!(f.means, RecoveryMethod::Commit { .. })
            && f.unchecked == 0 && f.records == new.len()));
    }
}

#[test]
fn without_slots_the_newest_root_and_its_log_are_found_and_nothing_deleted_comes_back() {
    for sealed in [false, true] {
        let mut image = grown(sealed);
        let right = live(&image);
        for at in SLOTS {
            image[at..at + 4096].fill(0);
        }
        let (report, new) = run(&image);
        assert_eq!(listed(&new), right);
        assert_eq!((report.lost, report.losses.len()), (0, 0));
        assert!(matches!(report.found[0].means, RecoveryMethod::Root { .. }));
        assert!(report.notes.iter().any(|n| n.contains("may be back")), "{report:?}");
        assert_eq!(new.attributes(), serde_json::json!({"a": 1}));
    }
}

#[test]
fn one_damaged_slot_costs_nothing() {
    let good = grown(false);
    for at in SLOTS {
        let mut image = good.clone();
        image[at + 40] ^= 1;
        let (report, new) = run(&image);
        assert_eq!(listed(&new), live(&good), "{report:?}");
        assert_eq!(report.lost, 0);
    }
}

#[test]
fn a_damaged_configuration_costs_no_record_with_or_without_slots() {
    let good = grown(false);
    for with_slots in [true, false] {
        for damage in [1024, 1032, 1040, 1060, 1100] {
            let mut image = good.clone();
            image[damage..damage + 4].copy_from_slice(&[0xfe; 4]);
            if !with_slots {
                SLOTS.iter().for_each(|at| image[*at..*at + 4096].fill(0));
            }
            let (report, new) = run(&image);
            assert_eq!(listed(&new), live(&good), "byte {damage}");
            assert_eq!(report.lost, 0);
            assert!(!report.notes.is_empty());
        }
    }
    // Nor with the frame header gone as well: the chunks themselves tell their size.
    let mut image = good.clone();
    image[..12_288].fill(0);
    let (report, new) = run(&image);
    assert_eq!(listed(&new), live(&good), "{report:?}");
}

#[test]
fn a_flipped_bit_in_the_number_of_the_version_is_no_newer_format() {
    let good = grown(false);
    let mut image = good.clone();
    image[1024 + 10] ^= 4;
    let (report, new) = run(&image);
    assert_eq!(listed(&new), live(&good));
    assert!(report.notes[0].contains("version"), "{report:?}");
}

#[test]
fn a_damaged_root_is_replaced_by_an_older_one_and_the_leaves_behind_it() {
    for sealed in [false, true] {
        let good = grown(sealed);
        let roots = places(&good, ROOT_MAGIC);
        assert!(roots.len() >= 3);
        for count in 1..=roots.len() {
            let mut image = good.clone();
            for at in roots.iter().rev().take(count) {
                image[at + 70] ^= 1;
            }
            let (report, new) = run(&image);
            let right = live(&good);
            assert_eq!(missing(&listed(&new), &right, true), Vec::<String>::new(), "{report:?}");
        }
    }
}

#[test]
fn records_of_a_damaged_leaf_come_back_by_the_table_of_the_seal_or_are_counted() {
    for sealed in [false, true] {
        let good = grown(sealed);
        let right = live(&good);
        let leaves = places(&good, LEAF_MAGIC);
        assert!(leaves.len() >= 3);
        let mut unchecked = 0;
        for at in &leaves {
            // Once, and then in its copy too, if it has one.
            let mut image = good.clone();
            let head = |at: usize| &good[at..at + 64];
            let copies: Vec<_> = leaves.iter().filter(|n| head(**n) == head(*at)).collect();
            if copies.len() == 2 {
                image[at + 100] ^= 1;
                assert_eq!(run(&image).0.lost, 0);
                assert_eq!(missing(&listed(&run(&image).1), &right, false), Vec::<String>::new());
                image[at + 100] ^= 1;
            }
            copies.into_iter().for_each(|at| image[at + 100] ^= 1);
            let (report, new) = run(&image);
            let gone = missing(&listed(&new), &right, false);
            assert_eq!(gone.len() as u64, report.lost, "{report:?}");
            let by_table = report.found.iter().find(|f| f.means == RecoveryMethod::OriginalTable);
            // A leaf that is newer than the seal is in no table.
            assert!(!sealed || by_table.is_some_and(|f| f.records > 0), "{report:?}");
            unchecked += report.found.iter().map(|f| f.unchecked).sum::<u64>();
            if sealed {
                assert_eq!(gone, Vec::<String>::new());
            } else {
                // A record that was deleted or replaced after the seal is not taken from it.
                let got = listed(&new);
                assert!(got.iter().all(|r| r.0 != Some(Key::from(30))));
                assert!(got.iter().all(|r| r.0 != Some(Key::from(31)) || r.2 == b"replaced"));
            }
        }
        // The checksums of the chunks went with their leaf, and the report counts that.
        assert!(unchecked > 0);
    }
}

#[test]
fn damaged_runs_and_lists_of_deleted_records_cost_no_record() {
    let good = grown(true);
    for magic in [RUN_MAGIC, DEAD_MAGIC, PAGE_MAGIC] {
        for at in places(&good, magic) {
            let mut image = good.clone();
            image[at + 65] ^= 1;
            let (report, new) = run(&image);
            assert_eq!(listed(&new), live(&good), "{report:?}");
        }
    }
    // With both, what was deleted can come back, and the report says so; what was replaced
    // cannot.
    let mut image = good.clone();
    for at in places(&good, RUN_MAGIC).into_iter().chain(places(&good, DEAD_MAGIC)) {
        image[at + 65] ^= 1;
    }
    let (report, new) = run(&image);
    assert!(report.notes.iter().any(|n| n.contains("may be back")));
    for (key, _, bytes) in live(&good) {
        assert_eq!(new.get(key.unwrap()).unwrap(), bytes[..]);
    }
}

#[test]
fn a_damaged_log_entry_costs_its_own_records_only() {
    let good = grown(false);
    let right = live(&good);
    let newest = Store::from_bytes(good.clone()).unwrap().generation();
    let mut touched = 0;
    for at in places(&good, LOG_MAGIC) {
        let mut image = good.clone();
        image[at + 90] ^= 1;
        let (report, new) = run(&image);
        let got = listed(&new);
        let notes = &report.notes;
        if got == right {
            continue;
        }
        touched += 1;
        assert!(!notes.is_empty() && report.lost <= 12, "commit {newest} at {at}: {report:?}");
        for (key, _, bytes) in &got {
            let key = key.clone().unwrap();
            let now = right.iter().find(|r| r.0.as_ref() == Some(&key));
            // The entry that replaced or deleted is the damaged one.
            assert!(now.is_some_and(|r| r.2 == *bytes) || [30, 31].map(Key::from).contains(&key));
        }
    }
    assert!(touched > 0);
}

#[test]
fn a_damaged_block_costs_the_records_in_it_and_each_is_named() {
    let good = grown(true);
    let right = live(&good);
    let mut damaged = 0;
    for at in (12_288..good.len()).step_by(1013) {
        let mut image = good.clone();
        image[at] ^= 0x10;
        let Ok(store) = Store::from_bytes(image.clone()) else { continue };
        let verified = store.verify(|_, _| Ok(())).unwrap();
        let found = &verified.damages;
        let blocks = |part: &str| ["block", "chunk", "chunk header"].contains(&part);
        if found.is_empty() || !found.iter().all(|d| blocks(&d.part)) {
            continue;
        }
        damaged += 1;
        let mut wrong: Vec<String> = verified.affected().map(|r| r.record.to_string()).collect();
        let (report, new) = run(&image);
        let mut gone = missing(&listed(&new), &right, true);
        let mut named = names(&report);
        assert!(report.losses.iter().all(|l| l.offset.is_some() && l.ordinal.is_some()));
        for list in [&mut wrong, &mut gone, &mut named] {
            list.sort();
        }
        assert_eq!(gone, named);
        assert_eq!(gone, wrong);
        assert_eq!(gone.len() as u64, report.lost);
    }
    assert!(damaged >= 10, "{damaged}");
}

#[test]
fn without_any_index_of_ours_the_table_of_the_seal_gives_everything_back() {
    let good = grown(true);
    let mut image = good.clone();
    for magic in [LEAF_MAGIC, ROOT_MAGIC, RUN_MAGIC, DEAD_MAGIC, LOG_MAGIC] {
        for at in places(&good, magic) {
            image[at..at + 8].fill(0);
        }
    }
    let (report, new) = run(&image);
    assert_eq!(missing(&listed(&new), &live(&good), false), Vec::<String>::new(), "{report:?}");
    assert!(
        report.found.iter().all(|f| f.means == RecoveryMethod::OriginalTable && f.unchecked > 0)
    );
    assert!(report.notes.iter().any(|n| n.contains("table of the last seal")));
}

#[test]
fn chunks_that_nothing_names_are_reported_and_written_on_request() {
    let mut w = Writer::in_memory(&options()).unwrap();
    for i in 0..60_u64 {
        w.push(&bytes(i, 0)).unwrap();
    }
    w.seal().unwrap();
    let good = image(&w);
    let mut image = good.clone();
    for at in places(&good, LEAF_MAGIC) {
        image[at + 70] ^= 1;
    }
    let (report, new) = run(&image);
    // Records without a key are in no table.
    assert_eq!((report.lost, new.len()), (60, 0));
    assert!(report.chunks_without_index >= 4, "{report:?}");
    let wanted = RecoverOptions { chunks: true, ..RecoverOptions::default() };
    let (again, new) = recovered(&image, &wanted).unwrap();
    assert_eq!(new.len(), report.chunks_without_index);
    assert_eq!(again.found[0].means, RecoveryMethod::Chunks);
    let chunk = new.get("chunk-0").unwrap();
    let old = Store::from_bytes(good).unwrap();
    let place = old.location_at(5).unwrap();
    let range = usize::try_from(place.start).unwrap()..usize::try_from(place.end).unwrap();
    assert_eq!(chunk[range], *old.get_at(5).unwrap());
}

#[test]
fn a_file_that_was_cut_gives_what_is_left_and_never_a_wrong_byte() {
    for sealed in [false, true] {
        let good = grown(sealed);
        let right = live(&good);
        let ever = |key: &Key, bytes_: &[u8]| {
            let Key::Int(i) = key else { return false };
            let i = u64::try_from(*i).unwrap();
            bytes_ == bytes(i, 0) || bytes_ == bytes(i / 40, 1) || bytes_ == b"replaced"
        };
        let mut last = 0;
        for len in (12_288..good.len()).step_by(good.len() / 60).chain([good.len() - 1]) {
            let (report, new) = match recovered(&good[..len], &RecoverOptions::default()) {
                Ok(out) => out,
                Err(e) => {
                    assert!(len < 16_000, "{len}: {e}");
                    continue;
                }
            };
            assert!(!report.is_complete());
            let got = listed(&new);
            assert!(got.iter().all(|(key, _, b)| ever(key.as_ref().unwrap(), b)), "cut at {len}");
            // Deleted or replaced records can be back, for what says so is cut off.
            let back = got.iter().filter(|r| !right.contains(r)).count();
            assert!(back <= 12, "{back} at {len}");
            last = got.len();
        }
        assert!(last + 12 >= right.len(), "{last} of {}", right.len());
    }
}

#[test]
fn a_flip_anywhere_loses_little_says_what_and_changes_nothing_else() {
    let good = grown(true);
    let right = live(&good);
    for at in (0..good.len()).step_by(good.len() / 150) {
        let mut image = good.clone();
        image[at] ^= 0x40;
        let (report, new) = run(&image);
        let gone = missing(&listed(&new), &right, false);
        assert_eq!(gone.len() as u64, report.lost, "byte {at}: {report:?}");
        assert_eq!(gone.is_empty(), report.losses.is_empty());
        assert!(gone.len() < right.len() / 3, "byte {at}: {report:?}");
    }
}

#[test]
fn the_damaged_file_is_never_touched_and_an_interrupted_recovery_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (bad, new) = (dir.path().join("bad"), dir.path().join("new"));
    let mut image = grown(false);
    image[SLOTS[0]..SLOTS[0] + 10].fill(0);
    fs::write(&bad, &image).unwrap();
    let options = RecoverOptions::default();
    let mut calls = 0;
    recover(&bad, &new, &options, |_, _| {
        calls += 1;
        Ok(())
    })
    .unwrap();
    assert!(!Store::open(&new).unwrap().is_empty());
    let error = recover(&bad, &new, &options, |_, _| Ok(())).unwrap_err();
    assert!(matches!(error.root(), Error::Exists { .. }), "{error}");
    let over = RecoverOptions { overwrite: true, ..RecoverOptions::default() };
    let error = recover(&bad, &bad, &over, |_, _| Ok(())).unwrap_err();
    assert!(error.to_string().contains("damaged file itself"), "{error}");
    fs::remove_file(&new).unwrap();
    for stop in 0..calls {
        let mut left = stop;
        let error = recover(&bad, &new, &options, |_, _| {
            left -= 1;
            if left < 0 { Err(Error::Interrupted) } else { Ok(()) }
        })
        .unwrap_err();
        assert!(matches!(error.root(), Error::Interrupted), "{error}");
    }
    assert_eq!(fs::read(&bad).unwrap(), image);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn what_never_was_a_store_is_refused() {
    for bytes in [vec![], vec![7; 5000], vec![0; 20_000]] {
        let error = recovered(&bytes, &RecoverOptions::default()).unwrap_err();
        let kind = error.root();
        assert!(matches!(kind, Error::NotAStore { .. } | Error::Corrupt(_)), "{error}");
    }
}

#[test]
fn files_of_the_original_come_back_whole_or_chunk_by_chunk_if_their_end_is_cut_off() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/vlstore");
    let path = std::path::Path::new(path).join("ala2-npt-40x1324-contiguous.vlstore");
    let Ok(good) = fs::read(path) else {
        eprintln!("skipped: the files of the original are not on this machine");
        return;
    };
    let (report, new) = run(&good);
    let old = Store::from_bytes(good.clone()).unwrap();
    assert_eq!(listed(&new), listed(&old));
    assert!(report.found.iter().all(|f| f.unchecked == f.records));
    let cut = &good[..good.len() * 3 / 4];
    let (report, new) = run(cut);
    assert!(report.chunks_without_index > 0 && new.is_empty(), "{report:?}");
    assert!(report.notes.iter().any(|n| n.contains("index is lost")), "{report:?}");
    let wanted = RecoverOptions { chunks: true, ..RecoverOptions::default() };
    let (report, new) = recovered(cut, &wanted).unwrap();
    assert_eq!(new.len(), report.chunks_without_index);
    // The first record begins the first chunk.
    let first = old.get_at(0).unwrap();
    assert!(new.get("chunk-0").unwrap().starts_with(&first));
}

/// One step of a store's life.
#[derive(Debug, Clone)]
enum Step {
    Put(Option<u8>, u16),
    Delete(u8),
    DeleteAt(u8),
    Commit,
    Seal,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (any::<Option<u8>>(), 0..4000_u16).prop_map(|(k, n)| Step::Put(k, n)),
        2 => any::<u8>().prop_map(Step::Delete),
        1 => any::<u8>().prop_map(Step::DeleteAt),
        3 => Just(Step::Commit),
        1 => Just(Step::Seal),
        1 => Just(Step::Reopen),
    ]
}

/// Lives through `steps` and commits; the bytes of record n are decided by n.
fn lived(steps: &[Step]) -> Vec<u8> {
    let mut w = Writer::in_memory(&options()).unwrap();
    for (n, step) in (0_u32..).zip(steps) {
        match step {
            Step::Put(key, len) => {
                let mut bytes: Vec<u8> = n.to_le_bytes().repeat(usize::from(*len) / 4 + 1);
                bytes.truncate(usize::from(*len).max(4));
                w.put_sized(key.map(Key::from).as_ref(), &bytes, n, vlstore::Existing::Replace)
                    .unwrap();
            }
            Step::Delete(key) => drop(w.delete(*key)),
            Step::DeleteAt(at) => drop(w.delete_at(u64::from(*at))),
            Step::Commit => drop(w.commit().unwrap()),
            Step::Seal => drop(w.seal().unwrap()),
            Step::Reopen => {
                w.commit().unwrap();
                w = Writer::open_in(w.backend().clone(), &options().write).unwrap();
            }
        }
    }
    w.commit().unwrap();
    image(&w)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_a_store_lived_through_it_is_recovered_as_it_is(steps in vec(step(), 1..120)) {
        let mut image = lived(&steps);
        let right = live(&image);
        let (report, new) = run(&image);
        prop_assert!(report.is_complete(), "{:?}", report);
        prop_assert!(listed(&new) == right);
        // Nor do the slots have to be there.
        SLOTS.iter().for_each(|at| image[*at..*at + 4096].fill(0));
        let (report, new) = run(&image);
        prop_assert!(listed(&new) == right, "{:?}", report);
        prop_assert_eq!(report.lost, 0);
    }

    #[test]
    fn no_damage_makes_a_record_that_never_was(
        steps in vec(step(), 1..120),
        damage in vec((any::<prop::sample::Index>(), 1..200_usize, any::<u8>()), 1..12),
        cut in any::<Option<prop::sample::Index>>(),
    ) {
        let mut image = lived(&steps);
        for (at, len, value) in damage {
            let at = at.index(image.len());
            let end = (at + len).min(image.len());
            image[at..end].fill(value);
        }
        if let Some(cut) = cut {
            image.truncate(cut.index(image.len()).max(1));
        }
        let options = RecoverOptions::default();
        // Refused only if there is nothing to recover from.
        if let Ok((report, new)) = recovered(&image, &options) {
            let unchecked: u64 = report.found.iter().map(|f| f.unchecked).sum();
            let mut wrong = 0;
            for (_, sites, bytes) in listed(&new) {
                let n: [u8; 4] = bytes[..4].try_into().unwrap();
                let whole = bytes.chunks(4).all(|c| n.starts_with(c));
                let known = (u32::from_le_bytes(n) as usize) < steps.len();
                let told = sites == 0 || sites == u32::from_le_bytes(n);
                wrong += u64::from(!(whole && known && told));
            }
            prop_assert!(wrong <= unchecked, "{} wrong: {:?}", wrong, report);
        }
    }
}
