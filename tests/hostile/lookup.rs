//! Tables `saved_lookup` of the original program that lie.

use super::Expect::{Error, Refused, Right};
use super::attacks;
use super::craft::header;
use super::frames::{Original, table};
use vlstore::limits::KEY_MAX;

/// A file of the original with this table.
fn with(table_bytes: &[u8]) -> Vec<u8> {
    Original { lookup: table(table_bytes), ..Original::default() }.build()
}

/// One entry: mark, a key as msgpack, start and end as msgpack.
fn entry(key: &[u8], start: &[u8], end: &[u8]) -> Vec<u8> {
    [&[0x94, 0xa9][..], b"__tuple__", key, start, end].concat()
}

/// A table of these entries.
fn list(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![0xdd];
    out.extend((entries.len() as u32).to_be_bytes());
    out.extend(entries.concat());
    out
}

fn one(key: &[u8], start: &[u8], end: &[u8]) -> Vec<u8> {
    with(&list(&[entry(key, start, end)]))
}

fn far(n: u64) -> Vec<u8> {
    [&[0xcf][..], &n.to_be_bytes()].concat()
}

attacks! {
    a_table_that_is_no_list: Refused("is not a list") => with(&[0x05]);
    a_table_of_no_bytes_at_all: Refused("chunk") =>
        Original { lookup: Vec::new(), ..Original::default() }.build();
    a_table_of_four_billion_entries: Refused("claims more entries than it has") =>
        with(&[0xdd, 0xff, 0xff, 0xff, 0xff, 0x94]);
    a_table_with_lists_in_lists: Refused("is not a tuple of key, start and end") =>
        with(&[&[0xdd, 0, 0, 0, 20][..], &[0x91; 400]].concat());
    a_table_with_a_bomb_of_maps: Refused("neither text, integer nor bytes") =>
        one(&[0xdf, 0xff, 0xff, 0xff, 0xff], &[0], &[1]);
    a_table_with_maps_in_the_place_of_places: Refused("has a place that is not an integer") =>
        one(&[1], &[0xdf, 0xff, 0xff, 0xff, 0xff], &[1]);
    a_key_of_four_gigabytes: Refused("msgpack") => one(&[0xdb, 0xff, 0xff, 0xff, 0xff, b'a'], &[0], &[1]);
    a_text_that_is_not_utf_8: Refused("msgpack") => one(&[0xa2, 0xff, 0xfe], &[0], &[1]);
    a_key_that_is_a_float: Refused("neither text, integer nor bytes") =>
        one(&[0xcb, 0, 0, 0, 0, 0, 0, 0, 0], &[0], &[1]);
    a_key_that_is_nothing: Refused("neither text, integer nor bytes") => one(&[0xc0], &[0], &[1]);
    a_key_one_byte_above_the_limit: Refused("1048577") =>
        one(&[&[0xc6, 0, 0x10, 0, 1][..], &[7; KEY_MAX + 1]].concat(), &[0], &[1]);
    a_key_at_the_limit: Right => one(&[&[0xc6, 0, 0x10, 0, 0][..], &[7; KEY_MAX]].concat(), &[0], &[1]);
    a_place_that_is_negative: Refused("has a negative place") => one(&[1], &[0xff], &[1]);
    a_place_that_ends_before_it_starts: Refused("ends before it starts") => one(&[1], &[9], &[8]);
    a_place_beyond_the_data: Error("lies outside the data") => one(&[1], &far(9000), &far(9001));
    a_place_beyond_2_to_the_63: Error("lies outside the data") => one(&[1], &far(u64::MAX - 9), &far(u64::MAX));
    a_record_of_an_exabyte: Refused("record") => one(&[1], &[0], &far(u64::MAX));
    a_record_of_four_gigabytes_of_zeros: Error("is above the limit of 1073741824") => {
        let size = 256 << 20;
        Original {
            chunks: vec![None; 17],
            chunk_size: size,
            lookup: table(&list(&[entry(&[1], &[0], &far(u64::from(u32::MAX)))])),
            ..Original::default()
        }.build()
    };
    the_same_key_a_thousand_times: Right => with(&list(&vec![entry(&[1], &[0], &[9]); 1000]));
    records_of_the_original_that_overlap: Right =>
        with(&list(&[entry(&[1], &[0], &[99]), entry(&[2], &[1], &[98])]));
    a_table_that_goes_on_behind_its_end: Refused("goes on after its last entry") =>
        with(&[list(&[entry(&[1], &[0], &[1])]), vec![0]].concat());
    a_table_of_a_hundred_gigabytes_in_its_header: Refused("is above the limit") => {
        let mut chunk = header(5, 1, i32::MAX as u32, 1 << 20, 33);
        chunk[31] = 3 << 4;
        chunk.push(0x94);
        Original { lookup: chunk, ..Original::default() }.build()
    };
    a_table_of_one_repeated_value: Refused("claims more than it can hold") => {
        let mut chunk = header(5, 1, 1 << 30, 1 << 20, 33);
        chunk[31] = 3 << 4;
        chunk.push(0x94);
        Original { lookup: chunk, ..Original::default() }.build()
    };
    a_table_of_sixty_megabytes_of_zeros_in_32_bytes: Refused("claims more than it can hold") => {
        let mut chunk = header(5, 1, 60 << 20, 1 << 20, 32);
        chunk[31] = 1 << 4;
        Original { lookup: chunk, ..Original::default() }.build()
    };
    a_table_of_a_million_equal_entries: Refused("claims more than it can hold") =>
        with(&list(&vec![entry(&[1], &[0], &[9]); 1_000_000]));
}
