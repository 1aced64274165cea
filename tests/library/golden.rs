//! Golden files: stores that every release must read, and that the same input must write again,
//! byte by byte. `tests/golden/README.md` says what they are and how they are renewed; the
//! independent reader of the format page reads them, too (`tests/python/test_reader.py`).

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use vlstore::Readable;
use vlstore::backend::{Backend, MemoryBackend};
use vlstore::chunk::{Algorithm, Filter};
use vlstore::store::{CONFIG_AT, CONFIG_SPACE};
use vlstore::{
    Alignment, Column, ColumnKind, ColumnValues, Compression, Key, Layout, OriginalTable,
    ReadOptions, Row, Store, StoreOptions, WriteOptions, Writer,
};

/// Largest golden file, in bytes.
const LARGEST: usize = 64 << 10;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, b| {
        write!(out, "{b:02x}").unwrap();
        out
    })
}

fn sha(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn options(name: &str) -> StoreOptions {
    // An id that tells the files apart and is the same on every machine.
    let id = Sha256::digest(name.as_bytes());
    StoreOptions {
        layout: Layout {
            chunk_size: 4096,
            block_size: 2048,
            file_id: Some(id[..16].try_into().unwrap()),
            ..Layout::default()
        },
        write: WriteOptions {
            threads: 1,
            original_table: OriginalTable::Always,
            commit_bytes: u64::MAX,
            commit_interval: Duration::from_secs(1 << 30),
            ..WriteOptions::default()
        },
    }
}

/// Numbers that compress, like coordinates of a slow motion; other ones for each `seed`.
fn smooth(seed: u64, len: usize) -> Vec<u8> {
    (0..len as u64)
        .map(|i| {
            let (n, byte) = (i / 8, i % 8);
            ((n * (seed % 7 + 3) + seed) / 5 * 1000).to_le_bytes()[usize::try_from(byte).unwrap()]
        })
        .collect()
}

/// Numbers that do not compress.
fn rough(seed: u64, len: usize) -> Vec<u8> {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            x.to_le_bytes()[3]
        })
        .collect()
}

struct Making {
    writer: Writer,
    options: StoreOptions,
}

impl Making {
    fn new(options: StoreOptions) -> Self {
        Self { writer: Writer::in_memory(&options).unwrap(), options }
    }

    fn put(&mut self, key: impl Into<Key>, bytes: &[u8]) {
        self.writer.put(key, bytes).unwrap();
    }

    fn commit(&mut self) {
        self.writer.commit().unwrap();
    }

    fn seal(&mut self) {
        self.writer.seal().unwrap();
    }

    /// Closes the file and opens it again for writing.
    fn reopen(self) -> Self {
        let backend = self.writer.backend().clone();
        self.writer.close().unwrap();
        let writer = Writer::open_in(backend, &self.options.write).unwrap();
        Self { writer, options: self.options }
    }

    fn bytes(backend: &dyn Backend) -> Vec<u8> {
        let mut out = vec![0; usize::try_from(backend.len().unwrap()).unwrap()];
        backend.read_at(0, &mut out).unwrap();
        out
    }

    /// The file as a writer leaves it that never closed it.
    fn killed(self) -> Vec<u8> {
        let backend = self.writer.backend().clone();
        drop(self.writer);
        Self::bytes(&*backend)
    }

    fn closed(self) -> Vec<u8> {
        let backend = self.writer.backend().clone();
        self.writer.close().unwrap();
        Self::bytes(&*backend)
    }
}

/// {stored, lz4, zstd} × typesize {1, 4, 8} × {empty, one, many, spanning}.
fn grid(all: &mut Vec<(String, Vec<u8>)>) {
    let codecs = [("stored", None), ("lz4", Some(Algorithm::Lz4)), ("zstd", Some(Algorithm::Zstd))];
    for (codec_name, codec) in codecs {
        for typesize in [1, 4, 8] {
            let make = |shape: &str, fill: &dyn Fn(&mut Making)| {
                let name = format!("{codec_name}-t{typesize}-{shape}");
                let options = StoreOptions {
                    layout: Layout { compression: codec.into(), typesize, ..options(&name).layout },
                    ..options(&name)
                };
                let mut m = Making::new(options);
                fill(&mut m);
                (name, m.closed())
            };
            all.push(make("empty", &|_| {}));
            all.push(make("one", &|m| m.put("only", &smooth(1, 1000))));
            all.push(make("many", &|m| {
                for i in 0..40_u64 {
                    m.put(format!("frame_{i}"), &smooth(i, usize::try_from(i * 37 % 500).unwrap()));
                }
            }));
            all.push(make("spanning", &|m| {
                m.put("smooth", &smooth(2, 10_000));
                m.put("zeros", &[0; 9000]);
                m.put("rough", &rough(3, 5000));
                m.put("both", &[smooth(4, 3000), rough(5, 3000)].concat());
            }));
        }
    }
}

/// What the grid does not show: states between commits, deletions, keys, other options.
fn special(all: &mut Vec<(String, Vec<u8>)>) {
    let mut add = |name: &str,
                   change: &dyn Fn(StoreOptions) -> StoreOptions,
                   fill: &dyn Fn(Making) -> Vec<u8>| {
        all.push((name.into(), fill(Making::new(change(options(name))))));
    };
    let plain = |o| o;

    add("newborn", &plain, &Making::killed);
    add("log-only", &plain, &|mut m| {
        for i in 0..5_u64 {
            m.put(i, &smooth(i, 700));
            m.commit();
        }
        m.killed()
    });
    add("log-behind-a-seal", &plain, &|mut m| {
        for i in 0..20_u64 {
            m.put(format!("r{i}"), &smooth(i, 333));
        }
        m.seal();
        for i in 20..23_u64 {
            m.put(format!("r{i}"), &smooth(i, 333));
            m.commit();
        }
        m.put("r3", &smooth(99, 99));
        m.writer.delete("r4").unwrap();
        m.commit();
        m.killed()
    });
    add("log-used-again", &plain, &|mut m| {
        // Each seal retires the log; from the third round on an old one is written again.
        for i in 0..20_u64 {
            m.put(i % 7, &rough(i, 100));
            m.commit();
            if i % 4 == 2 {
                m.seal();
            }
        }
        m.killed()
    });
    add("checkpoints", &plain, &|mut m| {
        // More runs than are kept apart where keys do not ascend, with deletions in each, so that
        // some are merged.
        for round in 0..10_u64 {
            for i in 0..6 {
                m.put(round * 6 + 5 - i, &smooth(i, 50));
            }
            if round > 0 {
                m.writer.delete(round * 6 - 1).unwrap();
                m.writer.delete_at(round).unwrap();
            }
            m.seal();
        }
        m.killed()
    });
    add("reopened", &plain, &|mut m| {
        for round in 0..4_u64 {
            for i in 0..10 {
                m.put(format!("{round}/{i}"), &smooth(round * 10 + i, 250));
            }
            m = m.reopen();
        }
        m.closed()
    });
    add("overwritten-and-deleted", &plain, &|mut m| {
        for i in 0..30_u64 {
            m.put(i, &smooth(i, 120));
        }
        m.commit();
        for i in (0..30_u64).step_by(3) {
            m.put(i, &smooth(i + 100, 60));
        }
        for i in (1..30_u64).step_by(3) {
            m.writer.delete(i).unwrap();
        }
        m.put(1, b"back again");
        m.closed()
    });
    add("all-deleted", &plain, &|mut m| {
        m.put("a", b"1");
        m.put("b", b"2");
        m.commit();
        m.writer.delete("a").unwrap();
        m.writer.delete("b").unwrap();
        m.closed()
    });
    add("keys", &plain, &|mut m| {
        for key in ["", "1", "Übergang", "日本", "a\0b"] {
            m.put(key, key.as_bytes());
        }
        for key in [i64::MIN, -129, -1, 0, 1, 127, 128, 1 << 32, i64::MAX] {
            m.put(key, &key.to_le_bytes());
        }
        for key in [1_u64 << 63, u64::MAX] {
            m.put(key, &key.to_le_bytes());
        }
        for key in [&b""[..], b"1", b"\x00\xff", &[7; 300]] {
            m.put(key, key);
        }
        m.closed()
    });
    add("without-keys", &plain, &|mut m| {
        for i in 0..12_u64 {
            m.writer.push(&smooth(i, 100)).unwrap();
        }
        m.put("named", b"one with a name");
        m.writer.delete_at(3).unwrap();
        m.closed()
    });
    add("shared", &plain, &|mut m| {
        // Through a log entry, a leaf and runs that are merged; among deleted records.
        for round in 0..10_u64 {
            let digest = m.writer.share(&smooth(round / 2, 200)).unwrap();
            m.put(round, digest.as_bytes());
            if round % 3 == 2 {
                m.writer.delete(round - 1).unwrap();
            }
            if round < 9 {
                m.seal();
            } else {
                m.commit();
            }
        }
        m.killed()
    });
    add("empty-records", &plain, &|mut m| {
        m.put("first", b"");
        m.put("second", b"");
        m.closed()
    });
    add("attributes", &plain, &|mut m| {
        m.writer.set_attributes(&json!({"title": "water", "dt": 0.5})).unwrap();
        m.put("a", b"a");
        m.commit();
        m.writer.set_attributes(&json!({"title": "ice"})).unwrap();
        m.commit();
        m.killed()
    });
    let columns =
        vec![Column::new("step", ColumnKind::I64, 1), Column::new("cell", ColumnKind::F64, 3)];
    let with_rows = |o: StoreOptions| StoreOptions {
        layout: Layout { columns: Some(columns.clone()), ..o.layout },
        ..o
    };
    add("rows", &with_rows, &|mut m| {
        for i in 0..60_i32 {
            let mut row = Row::new(&columns);
            row.set_i64("step", &[i.into()]).unwrap();
            row.set_f64("cell", &[0.5, f64::from(i) / 3.0, f64::NAN]).unwrap();
            let (key, bytes) = (Key::from(i), smooth(u64::from(i.unsigned_abs()), 70));
            if i % 7 == 3 {
                m.put(key, &bytes);
            } else {
                m.writer.put_row(Some(&key), &bytes, 1, &row, vlstore::Existing::Refuse).unwrap();
            }
            match i {
                30 | 40 => m.seal(),
                55 => m.writer.delete(4).unwrap(),
                50.. => m.commit(),
                _ => {}
            }
        }
        m.killed()
    });
    for alignment in [Alignment::Contiguous, Alignment::Start, Alignment::NoCross] {
        let name = format!("aligned-{}", alignment.name());
        add(
            &name,
            &|o: StoreOptions| StoreOptions { layout: Layout { alignment, ..o.layout }, ..o },
            &|mut m| {
                for (i, len) in [3000, 1096, 1, 4096, 4095, 1, 5000, 0, 17].into_iter().enumerate()
                {
                    m.put(i as u64, &smooth(i as u64, len));
                }
                m.closed()
            },
        );
    }
    for codec in [Algorithm::BloscLz, Algorithm::Lz4hc, Algorithm::Zlib] {
        let change = |o: StoreOptions| StoreOptions {
            layout: Layout {
                compression: Compression::from(Some(codec)),
                filter: Filter::BitShuffle,
                ..o.layout
            },
            ..o
        };
        add(&format!("bitshuffle-{}", codec.name()), &change, &|mut m| {
            m.put("a", &smooth(1, 5000));
            m.put("b", &rough(1, 700));
            m.commit();
            m.put("c", &smooth(2, 900));
            m.closed()
        });
    }
}

fn all() -> Vec<(String, Vec<u8>)> {
    let mut out = Vec::new();
    grid(&mut out);
    special(&mut out);
    out
}

fn key_to_json(key: Option<Key>) -> Value {
    match key {
        None => Value::Null,
        Some(Key::Str(s)) => json!({"str": &*s}),
        // As text: not every reader of JSON keeps 64 bits.
        Some(Key::Int(i)) => json!({"int": i.to_string()}),
        Some(Key::Bytes(b)) => json!({"bytes": hex(&b)}),
    }
}

fn describe(name: &str, bytes: &[u8]) -> Value {
    let store = Store::from_bytes(bytes.to_vec()).unwrap_or_else(|e| panic!("{name}: {e}"));
    let records: Vec<Value> = (0..store.len())
        .map(|i| {
            let data = store.get_at(i).unwrap_or_else(|e| panic!("{name}, record {i}: {e}"));
            let key = store.key_at(i).unwrap();
            if let Some(key) = &key {
                assert_eq!(store.find(key).unwrap(), Some(i), "{name}: {key}");
                assert_eq!(*store.get(key).unwrap(), *data, "{name}: {key}");
            }
            json!({"key": key_to_json(key), "len": data.len(), "sha256": sha(&data)})
        })
        .collect();
    let columns: Map<String, Value> = store
        .columns()
        .iter()
        .map(|c| {
            let bits = match store.column(&c.name, 0..u64::MAX).unwrap().values {
                ColumnValues::I64(v) => bytemuck::cast_slice(&v).to_vec(),
                ColumnValues::F64(v) => bytemuck::cast_slice(&v).to_vec(),
            };
            (c.name.to_string(), sha(&bits).into())
        })
        .collect();
    let shared: Vec<Value> = store
        .list_shared()
        .unwrap()
        .iter()
        .map(|(digest, at)| {
            assert_eq!(store.shared(digest).unwrap().len() as u64, at.len(), "{name}");
            json!({"digest": digest.to_string(), "len": at.len()})
        })
        .collect();
    let mut out = json!({
        "file": format!("{name}.vlstore"),
        "sha256": sha(bytes),
        "generation": store.generation(),
        "opened": format!("{:?}", store.opened()),
        "attributes": store.attributes(),
        "records": records,
    });
    if !columns.is_empty() {
        out["columns"] = columns.into();
    }
    if !shared.is_empty() {
        out["shared"] = Value::Array(shared);
    }
    out
}

/// The file with the one part that names the release taken out: `writer` in the configuration,
/// and the checksum over it.
fn without_release(bytes: &[u8]) -> (Vec<u8>, Map<String, Value>) {
    let at = usize::try_from(CONFIG_AT).unwrap();
    let config = &bytes[at..at + CONFIG_SPACE];
    let len = u32::from_le_bytes(config[12..16].try_into().unwrap()) as usize;
    let mut json: Map<String, Value> = serde_json::from_slice(&config[40..40 + len]).unwrap();
    assert!(json.remove("writer").is_some_and(|w| w.is_string()));
    let mut rest = bytes.to_vec();
    rest[at + 12..at + 16].fill(0);
    rest[at + 32..at + CONFIG_SPACE].fill(0);
    (rest, json)
}

fn first_difference(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).position(|(a, b)| a != b).unwrap_or(a.len().min(b.len()))
}

fn bless(made: &[(String, Vec<u8>)]) {
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "vlstore") {
            fs::remove_file(path).unwrap();
        }
    }
    let mut manifest = String::from("[\n");
    for (i, (name, bytes)) in made.iter().enumerate() {
        fs::write(folder().join(format!("{name}.vlstore")), bytes).unwrap();
        // One line for the file and one for each record, so that a difference can be read.
        let mut entry = describe(name, bytes);
        let records = entry["records"].take();
        entry.as_object_mut().unwrap().remove("records");
        let head = entry.to_string();
        let lines: Vec<String> =
            records.as_array().unwrap().iter().map(|r| format!("\n  {r}")).collect();
        let comma = if i + 1 == made.len() { "" } else { "," };
        let head = &head[..head.len() - 1];
        writeln!(manifest, "{head},\"records\":[{}]}}{comma}", lines.join(",")).unwrap();
    }
    manifest.push_str("]\n");
    fs::write(folder().join("MANIFEST.json"), manifest).unwrap();
}

#[test]
fn the_same_input_writes_the_golden_files_and_each_opens_with_its_records() {
    let made = all();
    assert_eq!(made, all(), "two runs of one program differ");
    for (name, bytes) in &made {
        assert!(bytes.len() <= LARGEST, "{name} has {} bytes", bytes.len());
    }
    if std::env::var_os("VLSTORE_BLESS").is_some_and(|v| v == "1") {
        bless(&made);
        eprintln!("tests/golden/ was written anew: look at the difference before it is committed");
    }
    let manifest: Vec<Value> =
        serde_json::from_slice(&fs::read(folder().join("MANIFEST.json")).unwrap()).unwrap();
    let names: Vec<String> = made.iter().map(|(name, _)| format!("{name}.vlstore")).collect();
    let listed: Vec<&str> = manifest.iter().map(|m| m["file"].as_str().unwrap()).collect();
    assert_eq!(names, listed, "the manifest lists other files than are made");
    for ((name, now), entry) in made.iter().zip(&manifest) {
        let golden = fs::read(folder().join(format!("{name}.vlstore"))).unwrap();
        assert_eq!(&describe(name, &golden), entry, "{name} does not open as it was written");
        let ((was, was_config), (is, is_config)) = (without_release(&golden), without_release(now));
        assert_eq!(was_config, is_config, "{name}: the configuration differs");
        assert!(
            was == is,
            "{name}: the same input writes other bytes, the first at {}; if that is meant, see tests/golden/README.md",
            first_difference(&was, &is)
        );
    }
}

#[test]
fn a_golden_file_can_be_written_on() {
    for (name, bytes) in all() {
        let before = Store::from_bytes(bytes.clone()).unwrap();
        let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::from_bytes(bytes));
        let mut writer = Writer::open_in(backend.clone(), &WriteOptions::default()).unwrap();
        writer.put("one more", b"record").unwrap();
        writer.close().unwrap();
        let after = Store::open_in(backend, &ReadOptions::default()).unwrap();
        assert_eq!(after.len(), before.len() + 1, "{name}");
        for i in 0..before.len() {
            assert_eq!(*before.get_at(i).unwrap(), *after.get_at(i).unwrap(), "{name}, {i}");
        }
        assert_eq!(&*after.get("one more").unwrap(), b"record", "{name}");
    }
}
