//! Configurations and slots that lie.

use super::Expect::{Error, Refused, Right};
use super::attacks;
use super::craft::{logged, sealed};
use serde_json::json;
use vlstore::wire::{U32, U64};

const FAR: u64 = u64::MAX - 7;

attacks! {
    a_configuration_of_a_newer_version: Refused("format version 2") =>
        sealed().edit_config(|c| c[8] = 2).bytes;
    a_configuration_of_the_newest_version_of_all: Refused("format version 4294967295") =>
        sealed().edit_config(|c| c[8..12].fill(0xff)).bytes;
    a_configuration_longer_than_its_room: Refused("configuration at byte 1024: length") =>
        sealed().edit_config(|c| c[12..16].fill(0xff)).bytes;
    a_configuration_that_is_no_json: Refused("is not JSON") => sealed().with_config(b"{\"a\": ").bytes;
    a_configuration_that_is_a_number: Refused("names no compression") => sealed().with_config(b"12").bytes;
    a_configuration_nested_a_thousand_deep: Refused("is not JSON") =>
        sealed().with_config(&[b'['; 1000]).bytes;
    a_configuration_of_objects_in_objects: Refused("is not JSON") =>
        sealed().with_config("{\"a\":".repeat(500).as_bytes()).bytes;
    a_configuration_that_is_not_utf_8: Refused("is not JSON") =>
        sealed().with_config(b"{\"codec\": \"\xff\xfe\"}").bytes;
    a_configuration_with_a_number_beyond_all: Refused("is not JSON") =>
        sealed().with_config(format!("{{\"chunk_size\": 1{}}}", "0".repeat(900)).as_bytes()).bytes;
    a_chunk_size_of_nothing: Refused("chunk size") => sealed().with_member("chunk_size", json!(0)).bytes;
    a_chunk_size_below_the_least: Refused("chunk size") => sealed().with_member("chunk_size", json!(127)).bytes;
    a_chunk_size_of_four_gigabytes: Refused("chunk size") =>
        logged().with_member("chunk_size", json!(u32::MAX)).bytes;
    a_chunk_size_beyond_32_bits: Refused("chunk size") =>
        logged().with_member("chunk_size", json!(u64::MAX)).bytes;
    a_chunk_size_that_is_negative: Refused("chunk size") =>
        logged().with_member("chunk_size", json!(-4096)).bytes;
    a_chunk_size_of_another_store: Refused("do not reach the last record") =>
        logged().with_member("chunk_size", json!(8192)).without_seal().bytes;
    a_block_size_beyond_the_chunk: Refused("block size") =>
        sealed().with_member("block_size", json!(1_u64 << 31)).bytes;
    a_type_size_of_nothing: Refused("typesize") => sealed().with_member("typesize", json!(0)).bytes;
    a_type_size_beyond_a_byte: Refused("type size") => sealed().with_member("typesize", json!(256)).bytes;
    a_compression_nobody_knows: Refused("names an unknown compression") =>
        sealed().with_member("compression", json!("openzl")).bytes;
    a_level_beyond_nine: Refused("level") => sealed().with_member("level", json!(99)).bytes;
    an_alignment_nobody_knows: Refused("alignment") =>
        sealed().with_member("alignment", json!("diagonal")).bytes;
    a_slot_of_the_last_generation_there_is: Refused("neither of the two can be read") =>
        logged().edit_slot(|s| s.generation = U64::new(u64::MAX)).bytes;
    a_slot_that_jumps_ahead_by_billions: Right =>
        logged().edit_slot(|s| s.generation = U64::new(1 << 40)).bytes;
    a_slot_that_hides_greater_keys: Error("says that no key is so great") =>
        logged().edit_slot(|s| s.key_bound = U64::new(1)).bytes;
    a_slot_that_goes_back_before_its_log: Refused("does not follow the entry before it") =>
        logged().edit_slot(|s| s.generation = U64::new(4)).without_seal().bytes;
    a_state_that_ends_behind_the_file: Refused("it was cut short") =>
        sealed().without_seal().edit_slot(|s| s.end = U64::new(1 << 40)).bytes;
    a_root_behind_the_end_of_the_file: Refused("reaches past the end of the file") =>
        sealed().without_seal().edit_slot(|s| s.root.offset = U64::new(1 << 30)).bytes;
    a_root_beyond_2_to_the_63: Refused("root at byte") =>
        sealed().without_seal().edit_slot(|s| s.root.offset = U64::new(FAR)).bytes;
    a_root_as_long_as_numbers_go: Refused("root at byte") =>
        sealed().without_seal().edit_slot(|s| s.root.len = U64::new(FAR)).bytes;
    a_root_of_another_file: Refused("is not of the expected kind") => {
        let mut image = sealed();
        let mut body = image.body(&image.slot().root);
        body[8] ^= 1;
        let at = image.add_segment(body);
        image.lead_to(at);
        image.bytes
    };
    a_root_that_is_a_leaf: Refused("is not of the expected kind") => {
        let mut image = sealed();
        let leaf = image.root().leaves[0].segment;
        image.lead_to(leaf);
        image.bytes
    };
    a_log_behind_the_end_of_the_file: Refused("log at byte") =>
        logged().without_seal().edit_slot(|s| s.log = U64::new(1 << 40)).bytes;
    a_log_that_wraps_around: Refused("log at byte") =>
        logged().without_seal().edit_slot(|s| { s.log = U64::new(FAR); s.log_len = U64::new(64); }).bytes;
    a_log_as_long_as_numbers_go: Refused("log at byte") =>
        logged().without_seal().edit_slot(|s| s.log_len = U64::new(FAR)).bytes;
    a_log_that_is_the_header_of_the_file: Refused("log entry at byte 0") =>
        logged().without_seal().edit_slot(|s| s.log = U64::new(0)).bytes;
    a_log_of_one_byte_too_much: Refused("log entry") =>
        logged().without_seal().edit_slot(|s| s.log_len = U64::new(s.log_len.get() + 1)).bytes;
    a_seal_that_overflows_its_place: Right =>
        sealed().edit_slot(|s| { s.seal.cbytes = U64::new(FAR); s.seal.frame_len = U64::new(FAR); }).bytes;
    a_seal_that_ends_before_it_starts: Right =>
        sealed().edit_slot(|s| s.seal.cbytes = U64::new(1 << 40)).bytes;
    a_seal_of_more_bytes_than_there_can_be: Right =>
        sealed().edit_slot(|s| { s.seal.nbytes = U64::new(FAR); s.seal.sum = U64::new(1); }).bytes;
    garbage_as_large_as_numbers_go: Right =>
        logged().edit_slot(|s| s.seal_garbage = U64::new(u64::MAX)).bytes;
    a_slot_that_counts_more_records_than_there_are: Refused("counts other records than its root and log") =>
        logged().without_seal().edit_slot(|s| { s.records = U64::new(1 << 50); s.total = U64::new(1 << 50); }).bytes;
    a_state_that_ends_before_its_root: Refused("ends before what it refers to") =>
        sealed().without_seal().edit_slot(|s| s.end = U64::new(64)).bytes;
    a_slot_that_was_never_closed_by_anybody: Right =>
        logged().edit_slot(|s| s.closed = U32::new(u32::MAX)).bytes;
}
