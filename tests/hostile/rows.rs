//! Columns and rows that lie: in the configuration, in leaves and in the log.

use super::Expect::{Error, Refused, Right};
use super::attacks;
use super::craft::{Entry, Image, Leaf, compressed, header, of, options};
use serde_json::json;
use vlstore::chunk::{Algorithm, Filter};
use vlstore::wire::U64;
use vlstore::{Column, ColumnKind, Key, Layout, Row, StoreOptions, Writer};

static COLUMNS: [Column; 2] =
    [Column::new("step", ColumnKind::I64, 1), Column::new("cell", ColumnKind::F64, 3)];
/// Numbers in a row.
const WORDS: usize = 4;
/// Records of the leaf.
const RECORDS: usize = 30;

fn put(w: &mut Writer, n: i64) {
    if n % 3 == 2 {
        w.insert(n, b"without a row").unwrap();
        return;
    }
    let mut row = Row::new(&COLUMNS);
    row.set_i64("step", &[n]).unwrap();
    row.set_f64("cell", &[1.0, 2.0, n as f64]).unwrap();
    w.put_row(Some(&Key::from(n)), b"with a row", 0, &row, vlstore::Existing::Refuse).unwrap();
}

/// A store with rows in a leaf and in two entries of the log.
pub fn wide() -> Image {
    let options = StoreOptions {
        layout: Layout { columns: Some(COLUMNS.to_vec()), ..options().layout },
        ..options()
    };
    of(&options, |w| {
        (0..RECORDS as i64).for_each(|n| put(w, n));
        w.seal().unwrap();
        for n in 1..3 {
            (30 * n..30 * n + 7).for_each(|n| put(w, n));
            w.commit().unwrap();
        }
    })
}

/// The numbers of a leaf's rows, as many as that.
fn numbers(n: usize) -> Vec<u8> {
    (0..n as u64).flat_map(u64::to_le_bytes).collect()
}

fn stored(n: usize) -> Vec<u8> {
    compressed(None, Filter::None, 8, &numbers(n))
}

fn leaf(f: impl FnOnce(&mut Leaf)) -> Vec<u8> {
    wide().edit_leaf(0, f).bytes
}

fn with(rows: Vec<u8>) -> Vec<u8> {
    leaf(|l| l.rows = rows)
}

/// A special chunk of rows.
fn special(kind: u8, nbytes: u32) -> Vec<u8> {
    let mut chunk = header(5, 8, nbytes, nbytes.min(4096), 32);
    chunk[31] = kind << 4;
    with(chunk)
}

/// A good chunk of streams with one byte changed.
fn changed(at: usize, value: u8) -> Vec<u8> {
    let mut chunk = compressed(Some(Algorithm::Lz4), Filter::Shuffle, 8, &numbers(RECORDS * WORDS));
    chunk[at] = value;
    with(chunk)
}

fn last(f: impl FnOnce(&mut Entry)) -> Vec<u8> {
    wide().edit_log(|all| f(all.last_mut().unwrap())).bytes
}

fn columns(value: serde_json::Value) -> Vec<u8> {
    wide().with_member("columns", value).without_seal().bytes
}

attacks! {
    rows_of_one_record_too_few: Error("are not as long as the configuration says") =>
        with(stored((RECORDS - 1) * WORDS));
    rows_of_one_record_too_many: Error("are not as long as the configuration says") =>
        with(stored((RECORDS + 1) * WORDS));
    rows_one_number_wider_than_their_columns: Error("are not as long as the configuration says") =>
        with(stored(RECORDS * (WORDS + 1)));
    rows_one_number_narrower_than_their_columns: Error("are not as long as the configuration says") =>
        with(stored(RECORDS * (WORDS - 1)));
    rows_of_sixteen_megabytes_in_32_bytes: Error("are not as long as the configuration says") =>
        special(1, 16 << 20);
    rows_of_two_gigabytes_in_32_bytes: Error("disagrees with the directory") => special(1, i32::MAX as u32);
    rows_that_are_all_zero: Right => special(1, (RECORDS * WORDS * 8) as u32);
    rows_that_are_no_number_at_all: Right => special(2, (RECORDS * WORDS * 8) as u32);
    rows_of_uninitialised_memory: Error("disagrees with the directory") =>
        special(4, (RECORDS * WORDS * 8) as u32);
    rows_in_elements_of_four_bytes: Right => with(compressed(
        Some(Algorithm::Lz4), Filter::Shuffle, 4, &numbers(RECORDS * WORDS),
    ));
    rows_in_elements_of_no_bytes: Error("disagrees with the directory") => changed(3, 0);
    rows_of_a_codec_of_the_user: Error("disagrees with the directory") => {
        let mut chunk = stored(RECORDS * WORDS);
        (chunk[2], chunk[22]) = (5 | 6 << 5, 160);
        with(chunk)
    };
    rows_in_blocks_of_no_bytes: Error("disagrees with the directory") => {
        let mut chunk = stored(RECORDS * WORDS);
        chunk[8..12].fill(0);
        with(chunk)
    };
    rows_whose_stream_is_longer_than_they_are: Error("stream") => changed(36 + 3, 0x7f);
    rows_that_end_behind_their_leaf: Error("disagrees with the directory") => {
        let mut chunk = stored(RECORDS * WORDS);
        let len = chunk.len() as u32 + 64;
        chunk[12..16].copy_from_slice(&len.to_le_bytes());
        with(chunk)
    };
    rows_that_end_before_their_leaf: Error("disagrees with the directory") =>
        with([stored(RECORDS * WORDS), vec![0; 64]].concat());
    rows_shorter_than_the_header_of_a_chunk: Error("disagrees with the directory") => with(vec![5; 16]);
    numbers_of_rows_in_a_leaf_without_rows: Error("disagrees with the directory") => with(Vec::new());
    rows_in_a_leaf_that_has_no_number_of_them: Error("disagrees with the directory") =>
        leaf(|l| l.numbers = 0);
    rows_with_a_number_behind_their_columns: Error("are not as long as the configuration says") =>
        leaf(|l| l.numbers |= 1 << WORDS);
    rows_with_all_numbers_that_there_are: Error("are not as long as the configuration says") =>
        leaf(|l| l.numbers = u128::MAX);
    rows_with_fewer_numbers_than_they_are_long: Error("are not as long as the configuration says") =>
        leaf(|l| l.numbers = 0b1011);
    rows_with_another_number_than_those_of_their_columns: Error("are not as long as the configuration says") =>
        leaf(|l| l.numbers = 0b10111);
    records_with_a_row_in_a_leaf_without_rows: Right => leaf(|l| {
        l.rows.clear();
        l.numbers = 0;
    });
    rows_without_their_first_column: Right => leaf(|l| {
        l.rows = stored(RECORDS * 3);
        l.numbers = 0b1110;
    });
    records_that_say_in_two_ways_who_has_a_row: Error("a group of places") =>
        leaf(|l| l.lie = |b| b[16] |= 8 | 16);
    rows_of_records_that_have_none: Right => leaf(|l| l.records.iter_mut().for_each(|e| e.row = 0));

    log_rows_of_one_record_too_few: Refused("log entry") => last(|e| {
        e.rows.pop();
    });
    log_rows_one_number_wider_than_their_columns: Refused("contradicts itself") =>
        last(|e| e.rows.resize(e.records.len() * (WORDS + 1), U64::new(1)));
    log_rows_of_records_that_have_none: Refused("contradicts itself") =>
        last(|e| e.records.iter_mut().for_each(|r| r.row = 0));
    log_records_with_a_row_without_rows: Refused("contradicts itself") => last(|e| e.rows.clear());
    log_rows_without_records: Refused("log entry") => last(|e| e.records.clear());

    // 24 bytes in the file, a kilobyte in memory each, if somebody kept what is absent.
    many_records_without_rows_of_a_kilobyte: Right => {
        let most = Column::new("cell", ColumnKind::F64, 128);
        let options = StoreOptions { layout: Layout { columns: Some(vec![most.clone()]), ..options().layout }, ..options() };
        of(&options, |w| {
            w.seal().unwrap();
            let columns = [most];
            w.put_row(None, b"one", 0, &Row::new(&columns), vlstore::Existing::Refuse).unwrap();
            w.commit().unwrap();
            w.push(b"two").unwrap();
            w.commit().unwrap();
        }).edit_log(|all| {
            let e = all.last_mut().unwrap();
            let one = e.records[0];
            e.records = vec![one; 200_000];
        }).edit_slot(|s| {
            s.records = U64::new(200_001);
            s.total = U64::new(200_001);
        }).bytes
    };

    a_column_of_four_billion_numbers: Refused("numbers in all columns together") =>
        columns(json!([["step", "i64", u32::MAX]]));
    columns_of_more_numbers_than_numbers_go: Refused("configuration") =>
        columns(json!([["step", "i64", u64::MAX]]));
    many_columns_of_four_billion_numbers: Refused("numbers in all columns together") => columns(
        (0..60).map(|i| json!([format!("c{i}"), "f64", u32::MAX])).collect(),
    );
    a_column_of_no_number: Refused("has no number at all") => columns(json!([["step", "i64", 0]]));
    a_column_of_less_than_no_number: Refused("configuration") => columns(json!([["step", "i64", -1]]));
    two_columns_of_one_name: Refused("is given twice") =>
        columns(json!([["step", "i64", 1], ["step", "f64", 3]]));
    a_column_with_the_name_of_one_that_is_always_there: Refused("is a column that every store has") =>
        columns(json!([["weight", "i64", 1], ["cell", "f64", 3]]));
    a_column_without_a_name: Refused("is not a name") => columns(json!([["", "i64", 4]]));
    a_column_with_a_name_of_65_bytes: Refused("is not a name") => columns(json!([["n".repeat(65), "i64", 4]]));
    a_column_of_an_unknown_kind: Refused("configuration") => columns(json!([["step", "i128", 1]]));
    a_column_of_two_members: Refused("configuration") => columns(json!([["step", "i64"]]));
    columns_that_are_an_object: Refused("configuration") => columns(json!({ "step": "i64" }));
    columns_by_the_hundred: Refused("number of columns") =>
        columns((0..150).map(|i| json!([i.to_string(), "i64", 1])).collect());
    columns_by_the_thousand: Refused("configuration at byte 1024: length") =>
        columns((0..5000).map(|i| json!([i.to_string(), "i64", 1])).collect());
    columns_other_than_those_of_the_rows: Refused("contradicts itself") =>
        columns(json!([["step", "i64", 5], ["cell", "f64", 9]]));
    columns_of_other_names_and_as_many_numbers: Right => columns(json!([["step", "f64", 3], ["cell", "i64", 1]]));
    rows_without_columns: Refused("contradicts itself") => columns(json!([]));
    rows_in_a_leaf_without_columns: Error("are not as long as the configuration says") => wide()
        .edit_log(|all| all.iter_mut().for_each(|e| {
            e.rows.clear();
            e.records.iter_mut().for_each(|r| r.row = 0);
        }))
        .with_member("columns", json!([])).bytes;
    rows_that_start_behind_zeros: Error("disagrees with the directory") =>
        leaf(|l| l.rows = [&[0; 8][..], &l.rows].concat());
}
