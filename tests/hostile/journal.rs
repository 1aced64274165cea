//! Log entries that lie.

use super::Expect::{Error, Refused, Right};
use super::attacks;
use super::craft::{CHUNK, Entry, compressed, logged};
use vlstore::chunk::Filter;
use vlstore::index::layout::ChunkEntry;
use vlstore::index::log::DeadEntry;
use vlstore::wire::{U16, U32, U64};

fn last(f: impl FnOnce(&mut Entry)) -> Vec<u8> {
    logged().edit_log(|all| f(all.last_mut().unwrap())).bytes
}

/// Overwrites a number of 4 bytes in the header of the last entry.
fn count(at: usize, n: u32) -> Vec<u8> {
    logged().edit_log_bytes(|_| (), |e, _| e[at..at + 4].copy_from_slice(&n.to_le_bytes())).bytes
}

attacks! {
    an_entry_that_goes_back_in_time: Refused("does not follow the entry before it") =>
        last(|e| e.generation = 2);
    an_entry_of_a_commit_to_come: Refused("does not follow the entry before it") =>
        last(|e| e.generation += 1);
    an_entry_that_leaves_records_out: Refused("does not follow the entry before it") =>
        last(|e| e.first_record += 1);
    an_entry_that_starts_at_the_last_record_there_can_be: Refused("does not follow the entry before it") =>
        last(|e| e.first_record = u64::MAX);
    an_entry_that_leaves_chunks_out: Refused("does not follow the entry before it") =>
        last(|e| e.first_chunk += 1);
    the_same_entry_twice: Refused("does not follow the entry before it") =>
        logged().edit_log(|all| all.push(all.last().unwrap().clone())).bytes;
    an_entry_of_no_bytes: Refused("log entry") => logged().edit_log_bytes(|_| (), |e, _| e[16..24].fill(0)).bytes;
    an_entry_longer_than_the_log: Refused("log entry") =>
        logged().edit_log_bytes(|_| (), |e, _| e[16..24].fill(0xff)).bytes;
    four_billion_records_in_an_entry: Refused("log entry") => count(56, u32::MAX);
    four_billion_chunks_in_an_entry: Refused("log entry") => count(60, u32::MAX);
    four_billion_deletions_in_an_entry: Refused("log entry") => count(68, u32::MAX);
    four_billion_pieces_in_an_entry: Refused("log entry") => count(72, u32::MAX);
    keys_of_four_gigabytes_in_an_entry: Refused("log entry") => count(76, u32::MAX);
    attributes_of_four_gigabytes_in_an_entry: Refused("log entry") => count(80, u32::MAX);
    a_key_behind_the_keys_of_its_entry: Refused("contradicts itself") =>
        last(|e| e.records[0].key_at = U32::new(u32::MAX));
    a_key_longer_than_the_keys_of_its_entry: Refused("contradicts itself") =>
        last(|e| e.records[0].key_len = U16::new(u16::MAX));
    keys_of_an_entry_that_are_all_the_same_bytes: Refused("contradicts itself") => last(|e| {
        let len = U16::new(e.keys.len() as u16);
        e.records.iter_mut().for_each(|r| (r.key_at, r.key_len) = (U32::new(0), len));
    });
    a_deletion_of_a_record_that_never_was: Refused("contradicts itself") =>
        last(|e| e.dead[0].record = U64::new(1 << 40));
    a_deletion_of_the_last_record_there_can_be: Refused("contradicts itself") =>
        last(|e| e.dead[0].record = U64::new(u64::MAX));
    the_same_deletion_many_times: Refused("contradicts itself") => last(|e| {
        let again = e.dead[0];
        e.dead.extend(std::iter::repeat_n(again, 100));
    });
    a_deletion_with_the_hash_of_another_key: Right => last(|e| {
        e.dead = e.dead.iter().map(|d| DeadEntry { hash: U64::new(77), ..*d }).collect();
    });
    a_chunk_of_the_log_with_checksums_that_are_not_there: Refused("contradicts itself") => last(|e| {
        e.chunks.push(ChunkEntry { blocks: U32::new(u32::MAX), ..ChunkEntry::default() });
    });
    a_chunk_of_the_log_whose_checksums_wrap_around: Refused("contradicts itself") => last(|e| {
        e.chunks.push(ChunkEntry {
            first_sum: U32::new(u32::MAX),
            blocks: U32::new(1),
            ..ChunkEntry::default()
        });
    });
    records_that_end_as_far_as_numbers_go: Refused("its records end behind its chunks") =>
        last(|e| e.cursor = u64::MAX);
    an_open_chunk_that_nobody_filled: Refused("open chunk") => logged().edit_log(|all| {
        all.iter_mut().for_each(|e| e.pieces.clear());
    }).bytes;
    a_piece_that_starts_elsewhere: Refused("its pieces do not follow each other") =>
        last(|e| e.pieces[0].0 += 8);
    a_piece_longer_than_its_chunk: Refused("open chunk") => last(|e| e.pieces[0].1 = u32::MAX);
    a_piece_that_is_another_chunk: Refused("piece") => last(|e| {
        let n = e.pieces[0].1;
        e.pieces[0].2 = compressed(None, Filter::None, 1, &vec![1; n as usize + 300]);
    });
    a_piece_that_is_a_bomb: Refused("chunk header") => last(|e| {
        e.pieces[0].2[4..8].copy_from_slice(&(i32::MAX as u32).to_le_bytes());
    });
    a_piece_shorter_than_a_header: Refused("piece") => last(|e| e.pieces[0].2.truncate(20));
    a_piece_stored_behind_its_entry: Refused("log entry") => {
        let at = std::cell::Cell::new(0);
        logged().edit_log_bytes(
            |all| at.set(all.last().unwrap().pieces_at()),
            |e, _| e[at.get() + 8..at.get() + 12].fill(0xff),
        ).bytes
    };
    ten_thousand_pieces_of_nothing: Refused("piece") => last(|e| {
        let (start, len, _) = e.pieces[0].clone();
        e.pieces.extend((0..10_000).map(|_| (start + len, 0, Vec::new())));
    });
    an_open_chunk_with_a_block_of_four_gigabytes: Refused("its block size is above its chunk size") => last(|e| e.open_block = u32::MAX);
    a_log_that_names_a_chunk_far_away: Error("ends before this place") => last(|e| {
        e.chunks.push(ChunkEntry { offset: U64::new(u64::MAX - 7), cbytes: U32::new(CHUNK), ..ChunkEntry::default() });
        e.pieces.clear();
    });
    attributes_of_a_million_brackets_in_an_entry: Right => last(|e| e.attributes = Some(vec![b'['; 1 << 20]));
    attributes_above_their_limit_in_an_entry: Refused("contradicts itself") =>
        last(|e| e.attributes = Some(vec![b' '; (1 << 20) + 1]));
}
