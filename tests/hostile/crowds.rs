//! Runs and logs made slow: many entries of one hash, tables and filters that do not help.

use super::Expect::{Error, Right};
use super::attacks;
use super::craft::{Image, Run, of, options};
use vlstore::index::filter::Filter;
use vlstore::index::key_hash::key_hash;
use vlstore::index::layout::{RecordEntry, SegmentRef};
use vlstore::index::run::RunEntry;
use vlstore::wire::{U32, U64};

/// Records of the store, enough for a filter.
const RECORDS: u64 = 20_000;

/// A store of many records with a key each and one run: keys that ascended would need none.
pub fn long() -> Image {
    of(&options(), |w| {
        for i in 0..RECORDS {
            w.insert(i ^ 1, b"").unwrap();
        }
        w.seal().unwrap();
    })
}

/// All keys become the first one.
fn of_one_key(image: Image) -> Image {
    image.edit_leaf(0, |l| {
        let first = l.records[0];
        l.records.iter_mut().for_each(|e| (e.key_at, e.key_len) = (first.key_at, first.key_len));
    })
}

fn hash_of(i: u64) -> u64 {
    key_hash(2, &i.to_le_bytes())
}

/// Fills the run with entries of one hash.
fn run_of(image: Image, entries: impl Iterator<Item = RunEntry>) -> Image {
    image.edit_run(|r| {
        r.entries = entries.collect();
        r.entries.sort();
        r.without_table();
        r.blocks = 0;
    })
}

/// The blocks of a filter; their checksums are made later.
fn bits(filter: Filter) -> Vec<u8> {
    filter.finish(0, &SegmentRef::default())
}

/// The run with another filter.
fn filter(blocks: u64, f: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    long()
        .edit_run(|r| {
            let mut filter = Filter::of_blocks(blocks).unwrap();
            r.entries.iter().for_each(|e| filter.insert(e.hash()));
            r.filter = bits(filter);
            f(&mut r.filter);
            r.blocks = blocks as u32;
        })
        .bytes
}

attacks! {
    // A lookup passes over all tombstones; there are as many lookups as records.
    records_of_one_key_behind_tombstones_of_its_hash: Error("does not lead from the key to the record") =>
        run_of(of_one_key(long()), (0..60_000).map(|i| RunEntry::new(hash_of(1), i % RECORDS, true))).bytes;
    records_of_one_key_behind_records_that_never_were: Error("does not lead from the key to the record") =>
        run_of(of_one_key(long()), (0..60_000).map(|i| RunEntry::new(hash_of(1), RECORDS + i, false))).bytes;
    records_of_one_key_that_a_run_leads_to: Error("does not lead from the key to the record") =>
        run_of(of_one_key(long()), (0..RECORDS).map(|i| RunEntry::new(hash_of(1), i, false))).bytes;
    a_run_without_a_table: Right => long().edit_run(Run::without_table).bytes;
    a_run_whose_table_leads_everywhere: Error("table out of order") => long().edit_run(|r| {
        let count = r.table.last().unwrap().get();
        for (i, n) in r.table.iter_mut().enumerate() {
            *n = U32::new(if i % 2 == 0 { 0 } else { count });
        }
    }).bytes;
    a_log_full_of_one_key: Error("does not lead from the key to the record") => of(&options(), |w| {
        w.seal().unwrap();
        // The first commit behind a seal may become a leaf.
        for n in 0..2_u64 {
            w.insert(n, b"").unwrap();
            w.commit().unwrap();
        }
    }).edit_log(|all| {
        let e = all.last_mut().unwrap();
        let one = e.records[0];
        let at = |i: u32| RecordEntry { key_at: U32::new(i * 8), ..one };
        e.records = (0..100_000).map(at).collect();
        e.keys = e.keys[..8].repeat(100_000);
    }).edit_slot(|s| {
        s.records = U64::new(100_001);
        s.total = U64::new(100_001);
    }).bytes;

    a_filter_of_a_hundred_times_its_blocks: Right => filter(40_000, |_| ());
    a_filter_of_one_block: Right => filter(1, |_| ());
    a_filter_that_hides_one_key: Error("cannot be found by key: 7") => filter(455, |bytes| {
        let mut one = Filter::of_blocks(455).unwrap();
        one.insert(hash_of(7));
        bytes.iter_mut().zip(bits(one)).for_each(|(b, hidden)| *b &= !hidden);
    });
    a_filter_of_noise: Error("its filter is damaged or does not fit its entries") => filter(455, |bytes| {
        bytes.iter_mut().enumerate().for_each(|(i, b)| *b = (i * 31 % 251) as u8);
    });
    a_filter_that_is_missing: Right => long().edit_run(|r| {
        r.blocks = 0;
        r.filter.clear();
    }).bytes;
    a_filter_of_a_run_without_entries: Error("does not lead from the key to the record") => long().edit_run(|r| {
        r.entries.clear();
        r.header.count = U64::new(0);
        r.table.fill(U32::new(0));
        r.filter.fill(0);
    }).bytes;
    // What follows it in the file is no part of it, and is not taken for one.
    a_filter_shorter_than_it_says: Error("its filter is damaged or does not fit its entries") =>
        long().edit_run(|r| r.filter.truncate(r.filter.len() - 64)).bytes;
}
