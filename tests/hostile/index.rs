//! Roots, directory pages, leaves, runs and lists of deleted records that lie.

use super::Expect::{Error, Refused, Right};
use super::attacks;
use super::craft::{CHUNK, PageRef, logged, sealed};
use vlstore::index::key_hash::key_hash;
use vlstore::index::layout::{Extent, LeafRef, RECORDS_MAX, SegmentRef};
use vlstore::index::run::RunEntry;
use vlstore::wire::{U16, U32, U64};

const FAR: u64 = u64::MAX - 7;

fn page(segment: SegmentRef) -> PageRef {
    PageRef { segment, first_record: U64::new(0), first_chunk: U64::new(0) }
}

/// A root that lists none of its leaves itself: the first lookup goes to its page.
fn behind_a_page(make: impl FnOnce(&mut super::craft::Image) -> SegmentRef) -> Vec<u8> {
    let mut image = sealed();
    let segment = make(&mut image);
    image
        .edit_root(|r| {
            r.pages = vec![page(segment)];
            r.leaves.remove(0);
        })
        .bytes
}

/// A directory page of 64 leaves, `leaf` in all its places.
fn page_of(image: &mut super::craft::Image, leaf: LeafRef) -> SegmentRef {
    let mut body = b"VLpage\0\x01".to_vec();
    body.extend([7; 16]);
    body.resize(64, 0);
    (0..64).for_each(|_| body.extend(bytemuck::bytes_of(&leaf)));
    image.add_segment(body)
}

/// Where the places of the only group of a leaf begin, behind two entries of the directory.
const PLACES: usize = 16;

/// The second leaf with its packed records changed.
fn packed(lie: fn(&mut Vec<u8>)) -> Vec<u8> {
    sealed().edit_leaf(1, |l| l.lie = lie).bytes
}

/// The second leaf with its keys changed.
fn keys(lie: fn(&mut [u8])) -> Vec<u8> {
    let mut image = sealed();
    let leaf = image.root().leaves[1];
    let mut body = image.body(&leaf.segment);
    let at = leaf.packed_at();
    let keys = at + 8 * u32::from_le_bytes(body[at + 4..at + 8].try_into().unwrap()) as usize;
    lie(&mut body[keys..leaf.rows_at()]);
    let segment = image.add_segment(body);
    image.edit_root(|r| r.leaves[1].segment = segment).bytes
}

attacks! {
    a_root_that_is_its_own_directory_page: Error("directory page") =>
        behind_a_page(|image| image.slot().root);
    a_directory_page_that_leads_to_itself: Error("directory page") => behind_a_page(|image| {
        let mut leaf = image.root().leaves[0];
        let first = page_of(image, leaf);
        // Not the same page, for a checksum cannot hold itself, but one of its kind.
        leaf.segment = first;
        page_of(image, leaf)
    });
    a_directory_page_of_one_leaf_64_times: Error("directory page") => behind_a_page(|image| {
        let leaf = image.root().leaves[0];
        page_of(image, leaf)
    });
    a_directory_page_shorter_than_its_leaves: Error("directory page") => behind_a_page(|image| {
        let mut body = b"VLpage\0\x01".to_vec();
        body.extend([7; 16]);
        body.resize(128, 0);
        image.add_segment(body)
    });
    a_leaf_that_is_the_root: Refused("root at byte") => {
        let image = sealed();
        let root = image.slot().root;
        image.edit_root(|r| r.leaves[1].segment = root).bytes
    };
    a_leaf_beyond_2_to_the_63: Refused("root at byte") =>
        sealed().edit_root(|r| r.leaves[1].segment.offset = U64::new(FAR)).bytes;
    the_same_leaf_twice: Refused("root at byte") => sealed().edit_root(|r| r.leaves[1] = r.leaves[0]).bytes;
    leaves_in_the_wrong_order: Refused("root at byte") => sealed().edit_root(|r| r.leaves.swap(0, 1)).bytes;
    a_leaf_is_missing: Refused("root at byte") => sealed().edit_root(|r| r.leaves.truncate(1)).bytes;
    a_leaf_that_starts_at_the_last_record_there_can_be: Refused("root at byte") =>
        sealed().edit_root(|r| r.leaves[1].first_record = U64::new(FAR)).bytes;
    a_leaf_of_four_billion_records: Refused("root at byte") => sealed().edit_root(|r| {
        r.leaves[1].records = U32::new(u32::MAX);
        r.totals.records = U64::new(r.leaves[1].first_record.get() + u64::from(u32::MAX));
    }).bytes;
    four_billion_leaves: Refused("a list is longer than its segment") =>
        sealed().edit_root(|r| { r.counts_lie = true; r.totals.leaves = U32::new(u32::MAX); }).bytes;
    four_billion_pages: Refused("a list is longer than its segment") =>
        sealed().edit_root(|r| { r.counts_lie = true; r.totals.pages = U32::new(u32::MAX); }).bytes;
    four_billion_runs: Refused("a list is longer than its segment") =>
        sealed().edit_root(|r| { r.counts_lie = true; r.totals.runs = U32::new(u32::MAX); }).bytes;
    four_billion_block_checksums: Refused("a list is longer than its segment") =>
        sealed().edit_root(|r| { r.counts_lie = true; r.totals.base_sums = U32::new(u32::MAX); }).bytes;
    four_billion_extents: Refused("a list is longer than its segment") =>
        sealed().edit_root(|r| { r.counts_lie = true; r.totals.extents = U32::new(u32::MAX); }).bytes;
    attributes_of_four_gigabytes: Refused("attributes above their limit") =>
        sealed().edit_root(|r| { r.counts_lie = true; r.totals.attributes = U32::new(u32::MAX); }).bytes;
    attributes_one_byte_above_their_limit: Refused("attributes above their limit") =>
        sealed().edit_root(|r| r.attributes = vec![b' '; (1 << 20) + 1]).bytes;
    attributes_of_a_million_brackets: Right => sealed().edit_root(|r| r.attributes = vec![b'['; 1 << 20]).bytes;
    attributes_of_half_a_million_numbers: Right => sealed().edit_root(|r| {
        r.attributes = [b"[", &b"0,".repeat((1 << 19) - 2)[..], b"0]"].concat();
    }).bytes;
    attributes_that_are_no_json: Right => sealed().edit_root(|r| r.attributes = vec![0xff; 100]).bytes;
    more_records_than_the_file_has_room_for: Refused("claims more records or chunks than the file has room for") =>
        sealed().edit_root(|r| r.totals.records = U64::new(1 << 46)).bytes;
    more_records_than_numbers_go: Refused("claims more records or chunks") =>
        logged().without_seal().edit_root(|r| r.totals.records = U64::new(u64::MAX)).bytes;
    more_chunks_than_the_file_has_room_for: Refused("claims more records or chunks") =>
        sealed().edit_root(|r| { r.totals.chunks = U64::new(1 << 50); }).bytes;
    more_chunks_than_numbers_go: Refused("claims more records or chunks") =>
        logged().edit_root(|r| r.totals.chunks = U64::new(u64::MAX)).bytes;
    records_that_end_behind_their_chunks: Refused("its records end behind its chunks") =>
        sealed().edit_root(|r| r.totals.cursor = U64::new(u64::MAX)).bytes;
    more_deleted_records_than_records: Refused("root at byte") =>
        sealed().edit_root(|r| r.totals.dead_records = U64::new(u64::MAX)).bytes;
    more_deleted_bytes_than_bytes: Refused("root at byte") =>
        logged().edit_root(|r| r.totals.dead_bytes = U64::new(u64::MAX)).bytes;
    more_bytes_of_records_than_numbers_go: Refused("root at byte") =>
        logged().edit_root(|r| r.totals.record_bytes = U64::new(u64::MAX)).bytes;
    more_garbage_than_file: Right => sealed().edit_root(|r| r.totals.garbage = U64::new(u64::MAX)).bytes;
    a_log_extent_beyond_2_to_the_63: Right => sealed().edit_root(|r| r.extents = vec![
        Extent { offset: U64::new(FAR), capacity: U64::new(FAR), retired: U64::new(1) },
    ]).bytes;
    log_extents_that_overlap_each_other_and_the_data: Right => sealed().edit_root(|r| r.extents = vec![
        Extent { offset: U64::new(12_288), capacity: U64::new(1 << 20), retired: U64::new(1) },
        Extent { offset: U64::new(12_352), capacity: U64::new(1 << 20), retired: U64::new(1) },
    ]).bytes;
    a_log_extent_that_lies_over_the_header: Right => sealed().edit_root(|r| r.extents = vec![
        Extent { offset: U64::new(0), capacity: U64::new(1 << 20), retired: U64::new(1) },
    ]).bytes;
    a_base_chunk_that_is_filled_beyond_its_end: Refused("do not reach the last record") =>
        sealed().edit_root(|r| r.totals.base_fill = U32::new(u32::MAX)).bytes;
    a_base_chunk_with_a_block_of_four_gigabytes: Refused("its block size is above its chunk size") =>
        sealed().edit_root(|r| r.totals.open_block = U32::new(u32::MAX)).bytes;
    a_base_chunk_beyond_2_to_the_63: Refused("file at byte") =>
        sealed().edit_root(|r| r.totals.base.offset = U64::new(FAR)).bytes;
    a_base_chunk_that_is_the_header_of_the_file: Error("chunk header") =>
        sealed().edit_root(|r| r.totals.base.offset = U64::new(0)).bytes;

    a_record_outside_the_data: Error("lies outside the data") =>
        sealed().edit_leaf(1, |l| l.records[3].start = U64::new(1 << 40)).bytes;
    a_record_that_wraps_around: Error("lies outside the data") =>
        sealed().edit_leaf(1, |l| l.records[3].start = U64::new(FAR)).bytes;
    a_record_of_four_gigabytes: Error("lies outside the data") =>
        sealed().edit_leaf(1, |l| l.records[3].len = U32::new(u32::MAX)).bytes;
    a_record_of_two_gigabytes_in_chunks_that_are_not_there: Refused("root at byte") => sealed()
        .edit_root(|r| {
            let chunks = r.totals.chunks.get() + 300;
            r.totals.chunks = U64::new(chunks);
            r.totals.cursor = U64::new(chunks * u64::from(CHUNK));
        })
        .edit_leaf(1, |l| l.records[3].len = U32::new(i32::MAX as u32)).bytes;
    records_that_overlap: Error("bytes of all records; there are") => sealed().edit_leaf(1, |l| {
        let first = l.records[0];
        l.records[3].start = first.start;
        l.records[3].len = first.len;
    }).bytes;
    a_group_of_records_behind_the_end_of_its_leaf: Error("groups of its records") =>
        packed(|b| b[8..12].copy_from_slice(&[0xff; 4]));
    a_group_of_keys_behind_the_end_of_its_leaf: Error("groups of its records") =>
        packed(|b| b[12..16].copy_from_slice(&[0xff; 4]));
    a_group_of_records_before_its_leaf: Error("groups of its records") => packed(|b| b[0] = 0);
    lengths_of_64_bits: Error("a group of places") => packed(|b| b[PLACES + 1] = 64);
    weights_of_33_bits: Error("a group of places") => packed(|b| b[PLACES + 2] = 33);
    gaps_of_255_bits: Error("a group of places") => packed(|b| b[PLACES + 3] = 255);
    starts_of_255_bits: Error("a group of places") => packed(|b| b[PLACES + 4] = 255);
    lengths_that_overflow: Error("a place or a length overflows") =>
        packed(|b| b[PLACES + 16..PLACES + 20].fill(0xff));
    weights_that_overflow: Error("a place or a length overflows") => sealed().edit_leaf(1, |l| {
        l.records[0].weight = U32::new(9);
        l.lie = |b| b[PLACES + 20..PLACES + 24].fill(0xff);
    }).bytes;
    places_that_overflow: Error("a place or a length overflows") =>
        packed(|b| b[PLACES + 8..PLACES + 16].fill(0xff));
    gaps_that_no_record_has: Error("a group of places") => packed(|b| b[PLACES] |= 4);
    keys_packed_in_an_unknown_way: Error("keys of a group") => keys(|b| b[0] = 9);
    keys_of_more_kinds_than_there_are: Error("keys of a group") => keys(|b| b[1] = 200);
    keys_of_the_same_kind_twice: Error("keys of a group") => keys(|b| b[5] = b[4]);
    keys_of_one_kind_that_are_longer_than_all: Error("keys of a group") =>
        keys(|b| b[8..12].fill(0xff));
    a_key_that_is_not_utf_8: Error("its key is of no known kind") => sealed().edit_leaf(1, |l| {
        let at = l.records[4].key_at.get() as usize;
        l.keys[at] = 0xff;
    }).bytes;
    a_key_of_an_unknown_kind: Error("its key is of no known kind") =>
        sealed().edit_leaf(1, |l| l.records[4].key_kind = 200).bytes;
    a_number_of_three_bytes_as_a_key: Error("its key is of no known kind") =>
        sealed().edit_leaf(1, |l| l.records[5].key_len = U16::new(3)).bytes;
    keys_in_the_heap_of_another_record: Error("does not lead from the key to the record") =>
        sealed().edit_leaf(1, |l| {
            (l.records[8].key_at, l.records[8].key_len) = (l.records[4].key_at, l.records[4].key_len);
        }).bytes;
    a_leaf_that_says_it_is_another: Error("disagrees with the directory") => {
        let mut image = sealed();
        let mut root = image.root();
        let mut body = image.body(&root.leaves[1].segment);
        body[40..48].copy_from_slice(&3_u64.to_le_bytes());
        root.leaves[1].segment = image.add_segment(body);
        image.set_root(&root);
        image.bytes
    };
    a_chunk_beyond_2_to_the_63: Error("ends before this place") =>
        sealed().edit_leaf(1, |l| l.chunks[0].offset = U64::new(FAR)).bytes;
    a_chunk_that_is_the_header_of_the_file: Error("chunk") =>
        sealed().edit_leaf(1, |l| l.chunks[0].offset = U64::new(0)).bytes;
    a_chunk_in_the_place_of_another: Error("checksum differs") =>
        sealed().edit_leaf(1, |l| l.chunks[0].offset = l.chunks[1].offset).bytes;
    a_chunk_with_the_checksums_of_four_billion_blocks: Error("block checksums out of range") =>
        sealed().edit_leaf(1, |l| l.chunks[0].blocks = U32::new(u32::MAX)).bytes;
    a_chunk_with_checksums_behind_the_leaf: Error("block checksums out of range") =>
        sealed().edit_leaf(1, |l| l.chunks[0].first_sum = U32::new(u32::MAX)).bytes;
    a_chunk_with_fewer_blocks_in_the_index: Error("disagrees with the index") =>
        sealed().edit_leaf(1, |l| l.chunks[0].blocks = U32::new(1)).bytes;
    a_chunk_with_another_length_in_the_index: Error("disagrees with the index") =>
        sealed().edit_leaf(1, |l| l.chunks[0].cbytes = U32::new(l.chunks[0].cbytes.get() + 8)).bytes;

    a_run_that_is_not_sorted: Error("is out of order") => sealed().edit_run(|r| r.entries.reverse()).bytes;
    a_run_whose_table_goes_backwards: Error("table out of order") => sealed().edit_run(|r| {
        r.table.reverse();
    }).bytes;
    a_run_whose_table_points_behind_its_entries: Error("table out of order") =>
        sealed().edit_run(|r| r.table.fill(U32::new(u32::MAX))).bytes;
    a_run_whose_table_leads_to_other_entries: Error("does not lead from the key to the record") =>
        sealed().edit_run(|r| {
            let count = *r.table.last().unwrap();
            r.table.fill(U32::new(0));
            *r.table.last_mut().unwrap() = count;
        }).bytes;
    a_run_with_a_table_of_2_to_the_32_entries: Error("disagrees with the root") =>
        sealed().edit_run(|r| r.header.first_chunk = U64::new(32)).bytes;
    a_run_with_a_table_of_2_to_the_255_entries: Error("disagrees with the root") =>
        sealed().edit_run(|r| r.header.first_chunk = U64::new(255)).bytes;
    a_run_of_numbers_of_255_bits: Error("disagrees with the root") =>
        sealed().edit_run(|r| r.header.first_chunk = U64::new(255 << 8)).bytes;
    a_run_of_numbers_of_no_bits: Error("disagrees with the root") =>
        sealed().edit_run(|r| r.header.first_chunk = U64::new(r.header.first_chunk.get() & 255)).bytes;
    a_run_that_begins_behind_all_records: Error("disagrees with the root") =>
        sealed().edit_run(|r| r.header.first_record = U64::new(FAR)).bytes;
    a_run_that_begins_at_another_record: Error("does not lead from the key to the record") =>
        sealed().edit_run(|r| r.header.first_record = U64::new(7)).bytes;
    a_run_of_more_entries_than_numbers_go: Error("disagrees with the root") => sealed()
        .edit_run(|r| r.header.count = U64::new(FAR)).bytes;
    a_run_of_records_that_are_not_there: Error("does not lead from the key to the record") =>
        sealed().edit_run(|r| {
            r.without_table();
            for e in &mut r.entries {
                *e = RunEntry::new(e.hash(), RECORDS_MAX, false);
            }
        }).bytes;
    a_run_of_tombstones: Error("does not lead from the key to the record") =>
        sealed().edit_run(|r| for e in &mut r.entries {
            *e = RunEntry::new(e.hash(), e.record(), true);
        }).bytes;
    a_run_full_of_one_hash: Error("does not lead from the key to the record") => sealed().edit_run(|r| {
        let hash = key_hash(1, b"key 24");
        r.entries = (0..50_000).map(|i| RunEntry::new(hash, i % 40, false)).collect();
        r.entries.sort();
        r.without_table();
    }).bytes;
    a_filter_that_is_not_there: Error("its filter is damaged or does not fit its entries") =>
        sealed().edit_run(|r| r.blocks = 1).bytes;
    a_filter_as_long_as_numbers_go: Error("its filter reaches past the end of the file") =>
        sealed().edit_run(|r| r.blocks = u32::MAX).bytes;
    a_filter_behind_the_end_of_all_files: Error("run of keys") => sealed().edit_run(|r| {
        r.blocks = 2;
        r.filter = vec![0xff; 128];
    }).edit_root(|r| r.runs.last_mut().unwrap().segment.offset = U64::new(u64::MAX - 63)).bytes;
    a_filter_that_hides_every_key: Error("run of keys") => sealed().edit_run(|r| {
        r.blocks = 2;
        r.filter = vec![0; 128];
    }).bytes;
    a_filter_that_lets_every_key_pass: Error("its filter is damaged or does not fit its entries") => sealed().edit_run(|r| {
        r.blocks = 2;
        r.filter = vec![0xff; 128];
    }).bytes;
    a_run_that_is_a_leaf: Error("is not of the expected kind") => {
        let image = sealed();
        let leaf = image.root().leaves[0].segment;
        image.edit_root(|r| r.runs[0].segment = leaf).bytes
    };

    a_record_that_was_deleted_twice: Error("list of deleted records") =>
        sealed().edit_dead(|d| d.fill(0)).bytes;
    deleted_records_out_of_order: Right => sealed().edit_dead(|d| d.reverse()).bytes;
    a_deleted_record_that_never_was: Error("list of deleted records") =>
        sealed().edit_dead(|d| *d.last_mut().unwrap() = FAR).bytes;
    more_deleted_records_in_the_list_than_in_the_root: Error("list of deleted records") =>
        sealed().edit_dead(|d| { d.clear(); d.extend(1..39); }).bytes;
    a_list_of_deleted_records_as_long_as_numbers_go: Error("a list is longer than its segment") =>
        sealed().edit_root(|r| r.dead_runs[0].count = U64::new(FAR)).bytes;
}
