//! Stores written and read back at the request of `tests/python/test_foreign.py`, which lets
//! other programs open and extend them in between.
//!
//! `VLSTORE_PROBE` names a folder with `todo.json`: a list of `{"file": name, "do": [step, …]}`.
//! The answer is `done.json`: for each step `records` what the file holds. Steps:
//! `["create", {"codec": …}]`, `["open"]`, `["put", key, length, seed]`, `["zeros", key, length]`,
//! `["delete", key]`, `["commit"]`, `["seal"]`, `["close"]`, `["drop"]` (as if killed),
//! `["copy", name]`, `["records"]`. Without the variable there is nothing to do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test may panic and print"
)]

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;
use vlstore::Readable;
use vlstore::{
    Compression, Error, Key, Layout, OriginalTable, Store, StoreOptions, WriteOptions, Writer,
};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, b| {
        write!(out, "{b:02x}").unwrap();
        out
    })
}

/// The content that the Python test computes, too.
fn content(len: u64, seed: u64) -> Vec<u8> {
    (0..len).map(|i| u8::try_from(i * (seed + 1) % 251).unwrap()).collect()
}

fn options(asked: &Value) -> StoreOptions {
    let asked = asked.get("codec").and_then(Value::as_str);
    let compression = Compression::from_name(asked.unwrap_or("auto")).unwrap();
    StoreOptions {
        layout: Layout { compression, chunk_size: 8192, block_size: 2048, ..Layout::default() },
        write: WriteOptions {
            commit_bytes: u64::MAX,
            commit_interval: Duration::from_secs(1 << 30),
            // The other programs look for records in it.
            original_table: OriginalTable::Always,
            ..WriteOptions::default()
        },
    }
}

fn records(path: &Path) -> Value {
    let store = match Store::open(path) {
        Ok(store) => store,
        Err(e) => return json!({"error": e.to_string()}),
    };
    let records: Vec<Value> = (0..store.len())
        .map(|i| {
            let key = match store.key_at(i).unwrap() {
                None => Value::Null,
                Some(Key::Str(s)) => json!(&*s),
                Some(Key::Int(i)) => json!(i64::try_from(i).unwrap()),
                Some(Key::Bytes(b)) => json!({"bytes": hex(&b)}),
            };
            let data = match store.get_at(i) {
                Ok(data) => hex(&Sha256::digest(&*data)),
                Err(e) => format!("error: {e}"),
            };
            json!([key, data])
        })
        .collect();
    json!({
        "opened": format!("{:?}", store.opened()),
        "generation": store.generation(),
        "records": records,
    })
}

fn key(step: &Value) -> Key {
    match &step[1] {
        Value::String(s) => Key::from(s.as_str()),
        other => Key::from(other.as_i64().unwrap()),
    }
}

fn run(folder: &Path, task: &Value) -> Vec<Value> {
    let path = folder.join(task["file"].as_str().unwrap());
    let mut writer: Option<Writer> = None;
    let mut out = Vec::new();
    for step in task["do"].as_array().unwrap() {
        let number = |i: usize| step[i].as_u64().unwrap();
        match step[0].as_str().unwrap() {
            "create" => writer = Some(Writer::create(&path, &options(&step[1])).unwrap()),
            "open" => writer = Some(Writer::open(&path, &options(&Value::Null).write).unwrap()),
            "open older" => {
                let refused =
                    Writer::open(&path, &options(&Value::Null).write).map(drop).unwrap_err();
                assert!(matches!(refused.root(), Error::Older { .. }), "{refused}");
                let accepted = StoreOptions {
                    write: WriteOptions { accept_older: true, ..options(&Value::Null).write },
                    ..options(&Value::Null)
                };
                writer = Some(Writer::open(&path, &accepted.write).unwrap());
            }
            "put" => {
                let bytes = content(number(2), number(3));
                writer.as_mut().unwrap().put(key(step), &bytes).unwrap();
            }
            "zeros" => {
                let bytes = vec![0; usize::try_from(number(2)).unwrap()];
                writer.as_mut().unwrap().put(key(step), &bytes).unwrap();
            }
            "delete" => writer.as_mut().unwrap().delete(key(step)).unwrap(),
            "commit" => drop(writer.as_mut().unwrap().commit().unwrap()),
            "seal" => drop(writer.as_mut().unwrap().seal().unwrap()),
            "close" => assert!(writer.take().unwrap().close().is_ok()),
            "drop" => drop(writer.take()),
            "copy" => drop(fs::copy(&path, folder.join(step[1].as_str().unwrap())).unwrap()),
            "records" => out.push(records(&path)),
            other => panic!("unknown step {other}"),
        }
    }
    out
}

#[test]
fn what_other_programs_left_is_read_back() {
    let Some(folder) = std::env::var_os("VLSTORE_PROBE") else {
        eprintln!("skipped: VLSTORE_PROBE names no folder; tests/python/test_foreign.py sets it");
        return;
    };
    let folder = Path::new(&folder);
    let todo: Vec<Value> =
        serde_json::from_slice(&fs::read(folder.join("todo.json")).unwrap()).unwrap();
    let done: Vec<Vec<Value>> = todo.iter().map(|task| run(folder, task)).collect();
    fs::write(folder.join("done.json"), json!(done).to_string()).unwrap();
}
