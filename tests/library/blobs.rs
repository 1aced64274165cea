//! What every storage of blobs promises, and what a store of blobs survives.

use crate::common::only;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use vlstore::blobs::{
    BlobOptions, ByteStream, Checks, ContentDigest, ContentKind, Digesting, FolderOptions,
    FolderStorage, GetDigest, MemoryStorage, Pieces, Reading, Storage, StorageData, StorageName,
    StoreStorage, Tags, collect,
};
use vlstore::codec::{DocumentCodec, DocumentRef, RawCodec};
use vlstore::maintain::CompactOptions;
use vlstore::{
    Compression, Depot, DepotWriter, Error, Readable, Result, Store, StoreOptions, WriteOptions,
};

fn name() -> StorageName {
    StorageName::new("test.blobs@v1").unwrap()
}

fn kind() -> ContentKind {
    ContentKind::new("application/octet-stream", None).unwrap()
}

fn store(path: &Path, part: usize) -> StoreStorage {
    let options = BlobOptions { part, ..BlobOptions::default() };
    StoreStorage::create(name(), path, Compression::Stored, options).unwrap()
}

fn folder(path: &Path, piece: usize) -> FolderStorage {
    FolderStorage::create(name(), path, FolderOptions { piece, ..FolderOptions::default() })
        .unwrap()
}

/// Every kind of storage, with parts of 1000 bytes.
fn each(mut test: impl FnMut(&dyn Storage)) {
    let dir = tempfile::tempdir().unwrap();
    test(&MemoryStorage::new(name(), Checks::default()));
    test(&folder(&dir.path().join("folder"), 1000));
    test(&store(&dir.path().join("blobs.vlstore"), 1000));
    let held = store(&dir.path().join("held.vlstore"), 1000);
    held.hold().unwrap();
    test(&held);
    held.release().unwrap();
}

fn bytes(n: usize) -> Vec<u8> {
    (0..n as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) as u8).collect()
}

fn cut(data: &[u8], piece: usize) -> impl ByteStream {
    Pieces(data.chunks(piece.max(1)).map(|p| Ok(p.to_vec())).collect::<Vec<_>>().into_iter())
}

fn put_stream(
    storage: &dyn Storage,
    data: &[u8],
    piece: usize,
    tags: &Tags,
) -> Result<StorageData> {
    let (mut stream, digest) = Digesting::new(cut(data, piece), kind());
    storage.write_data_stream(&mut stream, &digest, tags)
}

#[test]
fn what_is_written_either_way_is_read_either_way() {
    each(|storage| {
        for n in [0, 1, 999, 1000, 1001, 2000, 12_345] {
            let data = bytes(n);
            let digest = ContentDigest::of_kind(&data, kind());
            let whole = storage.write_data(&data, &digest, &Tags::default()).unwrap();
            for piece in [1, 100, 1000, 20_000] {
                let streamed = put_stream(storage, &data, piece, &Tags::default()).unwrap();
                assert_eq!(whole, streamed, "{storage:?} {n} {piece}");
            }
            assert_eq!(storage.read_data(&whole).unwrap(), data);
            let mut stream = storage.read_data_stream(&whole).unwrap();
            assert_eq!(collect(&mut stream).unwrap(), data);
            assert_eq!(*whole.digest(), digest);
            let n = n as u64;
            for range in [0..n, 0..n / 2, n / 3..n, n..n, n / 2..n / 2 + n.min(1)] {
                let part = &data[range.start as usize..range.end as usize];
                assert_eq!(storage.read_range(&whole, range).unwrap(), part);
            }
            let error = storage.read_range(&whole, 0..n + 1).unwrap_err();
            assert!(matches!(error.root(), Error::Limit { .. }), "{error}");
        }
    });
}

#[test]
fn a_stream_comes_first_and_a_blob_afterwards() {
    each(|storage| {
        let data = bytes(5000);
        let at = put_stream(storage, &data, 700, &Tags::default()).unwrap();
        assert_eq!(storage.read_data(&at).unwrap(), data);
        assert_eq!(storage.put(&data, kind(), &Tags::default()).unwrap(), at);
    });
}

#[test]
fn storage_data_is_json_and_finds_the_blob_again() {
    each(|storage| {
        let at = storage.put(b"abc", kind(), &Tags::default()).unwrap();
        let text = at.to_json().to_string();
        assert!(text.len() < 1000, "{text}");
        let back = StorageData::from_json(&serde_json::from_str(&text).unwrap()).unwrap();
        assert_eq!(storage.read_data(&back).unwrap(), b"abc");
    });
}

#[test]
fn a_blob_is_found_from_a_storage_with_another_root_and_after_its_root_has_moved() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let large = bytes(5000);
    let at = folder(&path("one"), 1000).put(&large, kind(), &Tags::default()).unwrap();
    assert_eq!(folder(&path("two"), 1000).read_data(&at).unwrap(), large);
    fs::rename(path("one"), path("three")).unwrap();
    assert_eq!(folder(&path("three"), 1000).read_data(&at).unwrap(), large);

    let at = store(&path("one.vls"), 1000).put(&large, kind(), &Tags::default()).unwrap();
    assert_eq!(store(&path("two.vls"), 1000).read_data(&at).unwrap(), large);
    fs::rename(path("one.vls"), path("three.vls")).unwrap();
    assert_eq!(store(&path("three.vls"), 1000).read_data(&at).unwrap(), large);
}

#[test]
fn what_is_missing_is_one_kind_of_error() {
    each(|storage| {
        let mut at = storage.put(b"abc", kind(), &Tags::default()).unwrap().to_json();
        let other = "0".repeat(64);
        for part in at["place"].as_object_mut().unwrap().values_mut() {
            let text = part.as_str().unwrap();
            *part = text.replace(&text[text.len().saturating_sub(68)..], &other).into();
        }
        at["digest"]["content_hash"] = other.into();
        let at = StorageData::from_json(&at).unwrap();
        let errors = [
            storage.read_data(&at).unwrap_err(),
            storage.read_data_stream(&at).err().unwrap(),
            storage.read_range(&at, 0..1).unwrap_err(),
            storage.entry(&at).unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error.root(), Error::NotFound { .. }), "{storage:?}: {error}");
        }
    });
}

#[test]
fn equal_contents_are_stored_once_and_tags_are_all_kept() {
    each(|storage| {
        let data = bytes(3000);
        let tags = |pairs: &[(&str, &str)]| Tags::new(pairs.iter().copied()).unwrap();
        let (one, two) =
            (tags(&[("run", "1"), ("\u{43a}\u{43b}", "\u{437}")]), tags(&[("run", "2")]));
        let at = storage.put(&data, kind(), &one).unwrap();
        assert_eq!(put_stream(storage, &data, 999, &two).unwrap(), at);
        storage.put(b"other", kind(), &tags(&[("run", "2"), ("x", "y")])).unwrap();
        storage.put(b"untagged", kind(), &Tags::default()).unwrap();
        let mut found = storage.entry(&at).unwrap().tags;
        found.sort();
        let mut both = vec![one.clone(), two.clone()];
        both.sort();
        assert_eq!(found, both);
        let found = |tags: &Tags| storage.search(tags).unwrap().len();
        assert_eq!((found(&one), found(&two), found(&Tags::default())), (1, 2, 2));
        assert_eq!(found(&tags(&[("run", "2"), ("\u{43a}\u{43b}", "\u{437}")])), 0);
        let text = ContentKind::new("text/plain", None).unwrap();
        assert_ne!(storage.put(&data, text, &Tags::default()).unwrap(), at);
    });
}

#[test]
fn a_wrong_digest_is_refused_and_leaves_nothing() {
    each(|storage| {
        let (data, other) = (bytes(2500), bytes(2501));
        let wrong = ContentDigest::of_kind(&other[1..], kind());
        let error = storage.write_data(&data, &wrong, &Tags::default()).unwrap_err();
        assert!(error.to_string().contains("nothing was written"), "{error}");
        let claimed = GetDigest::new(kind());
        claimed.count(&other[1..]);
        claimed.end();
        let error =
            storage.write_data_stream(&mut cut(&data, 10), &claimed, &Tags::default()).unwrap_err();
        assert!(matches!(error.root(), Error::Invalid { .. }), "{error}");
        let digest = ContentDigest::of_kind(&data, kind());
        let unread = GetDigest::new(kind());
        assert!(storage.write_data_stream(&mut cut(&data, 10), &unread, &Tags::default()).is_err());
        for digest in [wrong, digest] {
            let at = storage.put(b"probe", kind(), &Tags::default()).unwrap().to_json();
            let name = ContentDigest::of_kind(b"probe", kind()).file_name();
            let text = at.to_string().replace(&name, &digest.file_name());
            let mut at: serde_json::Value = serde_json::from_str(&text).unwrap();
            at["digest"] = digest.to_json();
            let at = StorageData::from_json(&at).unwrap();
            let error = storage.read_data(&at).unwrap_err();
            assert!(matches!(error.root(), Error::NotFound { .. }), "{error}");
        }
    });
}

/// Gives some bytes, and then fails.
struct Failing(usize);

impl ByteStream for Failing {
    fn next_into(&mut self, out: &mut Vec<u8>) -> Result<bool> {
        if self.0 == 0 {
            return Err(Error::invalid("source", "is gone"));
        }
        self.0 -= 1;
        out.extend(bytes(1500));
        Ok(true)
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_stream_that_fails_half_way_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("blobs.vls");
    let (files, records) = (folder(&dir.path().join("files"), 1000), store(&path, 1000));
    for storage in [&files as &dyn Storage, &records] {
        let (mut stream, digest) = Digesting::new(Failing(5), kind());
        let tags = Tags::new([("a", "b")]).unwrap();
        let error = storage.write_data_stream(&mut stream, &digest, &tags).unwrap_err();
        assert!(error.to_string().contains("is gone"), "{error}");
        assert!(digest.get().is_err());
        assert_eq!(digest.so_far().size(), 7500);
        assert!(storage.search(&Tags::default()).unwrap().is_empty());
    }
    assert!(names(files.root()).is_empty());
    assert_eq!(Store::open(&path).unwrap().len(), 0);
}

#[test]
fn a_full_disk_fails_the_write_and_deletes_nothing() {
    // The limit of a file stands for the end of a disk: the command runs this test again under one.
    let inner = std::env::var_os("VLSTORE_BLOBS_FULL");
    let Some(root) = inner else {
        let dir = tempfile::tempdir().unwrap();
        let me = std::env::current_exe().unwrap();
        let done = std::process::Command::new("bash")
            .args(["-c", "trap '' XFSZ; ulimit -f 8000; exec \"$0\" \"$@\""])
            .arg(me)
            .args(only(module_path!(), "a_full_disk_fails_the_write_and_deletes_nothing"))
            .env("VLSTORE_BLOBS_FULL", dir.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success() && said.contains("1 passed"), "{done:?}");
        return;
    };
    let root = Path::new(&root);
    let (files, records) = (folder(&root.join("files"), 1000), store(&root.join("b.vls"), 100_000));
    for storage in [&files as &dyn Storage, &records] {
        let first = storage.put(&bytes(1_000_000), kind(), &Tags::default()).unwrap();
        let (mut stream, digest) = Digesting::new(Reading(std::io::repeat(7)), kind());
        let error = storage.write_data_stream(&mut stream, &digest, &Tags::default()).unwrap_err();
        assert!(matches!(error.root(), Error::Io { .. }), "{error}");
        assert_eq!(storage.read_data(&first).unwrap(), bytes(1_000_000));
    }
    assert_eq!(names(files.root()).len(), 1);
    let again = store(&root.join("b.vls"), 100_000);
    assert_eq!(again.search(&Tags::default()).unwrap().len(), 0);
}

#[test]
fn damage_is_found_when_a_blob_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let files = folder(dir.path(), 1000);
    let at = files.put(&bytes(5000), kind(), &Tags::default()).unwrap();
    let path = dir.path().join(at.digest().file_name());
    let mut data = fs::read(&path).unwrap();
    data[4321] ^= 1;
    fs::write(&path, &data).unwrap();
    for error in [
        files.read_data(&at).unwrap_err(),
        collect(&mut files.read_data_stream(&at).unwrap()).unwrap_err(),
    ] {
        assert!(matches!(error.root(), Error::Corrupt(_)), "{error}");
    }
    let unchecked = FolderOptions {
        checks: Checks { read: false, ..Checks::default() },
        ..FolderOptions::default()
    };
    let unchecked = FolderStorage::open(name(), dir.path(), unchecked).unwrap();
    assert_eq!(unchecked.read_data(&at).unwrap(), data);
    fs::write(&path, &data[..4000]).unwrap();
    assert!(matches!(unchecked.read_data(&at).unwrap_err().root(), Error::Corrupt(_)));
    // Writing it again makes it whole.
    assert_eq!(files.put(&bytes(5000), kind(), &Tags::default()).unwrap(), at);
    assert_eq!(files.read_data(&at).unwrap(), bytes(5000));
}

#[test]
fn threads_and_streams_write_one_store_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("blobs.vls");
    let storage = Arc::new(store(&path, 1000));
    let other = Arc::new(store(&path, 1000));
    let threads: Vec<_> = (0..8_usize)
        .map(|i| {
            let storage = Arc::clone(if i % 2 == 0 { &storage } else { &other });
            std::thread::spawn(move || {
                (0..10)
                    .map(|n| {
                        let data = bytes(4001 + n);
                        let tags = Tags::new([("thread", i.to_string())]).unwrap();
                        if (i + n) % 3 == 0 {
                            storage.put(&data, kind(), &tags).unwrap()
                        } else {
                            put_stream(&*storage, &data, 512, &tags).unwrap()
                        }
                    })
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let all: Vec<Vec<StorageData>> = threads.into_iter().map(|t| t.join().unwrap()).collect();
    for (n, at) in all[0].iter().enumerate() {
        assert_eq!(other.read_data(at).unwrap(), bytes(4001 + n));
        assert_eq!(other.entry(at).unwrap().tags.len(), 8);
    }
    assert!(all.iter().all(|one| *one == all[0]));
    // Ten blobs of five parts each, and their tags: nothing else is left.
    assert_eq!(Store::open(&path).unwrap().len(), 10 * (1 + 5 + 1));
    let found = Store::open(&path).unwrap().verify(|_, _| Ok(())).unwrap();
    assert!(found.damages.is_empty(), "{:?}", found.damages);
}

#[test]
fn parts_of_a_stream_that_was_given_up_are_deleted_and_it_says_so() {
    struct Slow<'a>(usize, &'a Path);
    impl ByteStream for Slow<'_> {
        fn next_into(&mut self, out: &mut Vec<u8>) -> Result<bool> {
            self.0 += 1;
            if self.0 == 6 {
                // What a process on another machine does with a stream of which it hears nothing for a day.
                // The thread that writes has the lock until it has waited a moment for us.
                let given_up = || {
                    let mut w = DepotWriter::open(self.1, DocumentCodec, &WriteOptions::default())?;
                    w.writer_mut().delete(".unfinished")?;
                    w.close()
                };
                let mut done = given_up();
                while let Err(e) = &done
                    && matches!(e.root(), Error::Locked | Error::NotFound { .. })
                {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                    done = given_up();
                }
                done?;
            }
            out.extend(bytes(1000 + self.0));
            Ok(self.0 < 9)
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("blobs.vls");
    let (storage, sweeping) = (store(&path, 1000), store(&path, 1000));
    let (mut stream, digest) = Digesting::new(Slow(0, &path), kind());
    let error = storage.write_data_stream(&mut stream, &digest, &Tags::default()).unwrap_err();
    assert!(error.to_string().contains("abandoned"), "{error}");
    assert_eq!(sweeping.sweep().unwrap(), 0);
    assert_eq!(Store::open(&path).unwrap().len(), 0);
}

#[test]
fn other_stores_are_refused_by_name_and_this_one_by_others() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let open = |name: &str| StoreStorage::open(self::name(), path(name), BlobOptions::default());
    assert!(open("missing").unwrap_err().to_string().contains("missing"));
    fs::write(path("text"), "no store").unwrap();
    assert!(matches!(open("text").unwrap_err().root(), Error::NotAStore { .. }));
    DepotWriter::create(path("raw"), RawCodec, &StoreOptions::default()).unwrap().close().unwrap();
    assert!(open("raw").unwrap_err().to_string().contains("not one of blobs"));
    let mut w =
        DepotWriter::create(path("cache"), DocumentCodec, &StoreOptions::default()).unwrap();
    let layer = serde_json::json!({"vlstore:layer": {"name": "cache", "version": 1}});
    w.writer_mut().set_attributes(&layer).unwrap();
    w.close().unwrap();
    assert!(open("cache").unwrap_err().to_string().contains("one of cache"));
    store(&path("blobs"), 1000);
    assert!(Depot::open(path("blobs"), RawCodec).is_err());
}

#[test]
fn many_may_make_one_store_at_once() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let path = dir.path().join(round.to_string());
        let barrier = Barrier::new(4);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    barrier.wait();
                    let storage = store(&path, 1000);
                    let at = storage.put(b"abc", kind(), &Tags::default()).unwrap();
                    assert_eq!(storage.read_data(&at).unwrap(), b"abc");
                });
            }
        });
    }
}

#[test]
fn a_store_without_its_mark_is_taken_if_it_is_empty_or_has_blobs() {
    let dir = tempfile::tempdir().unwrap();
    let open = |path: &Path| StoreStorage::open(name(), path, BlobOptions::default());
    let mark = |path: &Path| Store::open(path).unwrap().attributes().get("vlstore:layer").is_some();

    // Left by a process that was killed when it had made the file.
    let empty = dir.path().join("empty");
    DepotWriter::create(&empty, DocumentCodec, &StoreOptions::default()).unwrap().close().unwrap();
    let storage = open(&empty).unwrap();
    assert!(storage.search(&Tags::default()).unwrap().is_empty() && !mark(&empty));
    let at = storage.put(b"abc", kind(), &Tags::default()).unwrap();
    assert!(storage.read_data(&at).unwrap() == b"abc" && mark(&empty));

    // What was recovered of a file whose newest commits were cut off.
    let mut writer = DepotWriter::open(&empty, DocumentCodec, &WriteOptions::default()).unwrap();
    writer.writer_mut().set_attributes(&serde_json::json!({})).unwrap();
    writer.close().unwrap();
    let storage = open(&empty).unwrap();
    assert_eq!(storage.read_data(&at).unwrap(), b"abc");
    storage.put(b"abcd", kind(), &Tags::default()).unwrap();
    assert!(mark(&empty));

    let other = dir.path().join("other");
    let mut writer = DepotWriter::create(&other, DocumentCodec, &StoreOptions::default()).unwrap();
    writer.put("a", &DocumentRef { head: "{}", arrays: &[] }).unwrap();
    writer.close().unwrap();
    assert!(open(&other).unwrap_err().to_string().contains("not one of blobs"));
}

#[test]
fn a_store_is_read_after_it_was_compacted_under_the_reader() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("blobs.vls");
    let (reading, writing) = (store(&path, 1000), store(&path, 1000));
    let at = writing.put(&bytes(9000), kind(), &Tags::default()).unwrap();
    assert_eq!(reading.read_data(&at).unwrap(), bytes(9000));
    let before = fs::metadata(&path).unwrap().len();
    let (mut stream, digest) = Digesting::new(Failing(300), kind());
    assert!(writing.write_data_stream(&mut stream, &digest, &Tags::default()).is_err());
    assert!(fs::metadata(&path).unwrap().len() > before + 100_000);
    vlstore::maintain::compact(&path, &CompactOptions::default(), |_, _| Ok(())).unwrap();
    assert!(fs::metadata(&path).unwrap().len() < before + 100_000);
    let second = writing.put(&bytes(9001), kind(), &Tags::default()).unwrap();
    assert_eq!(reading.read_data(&second).unwrap(), bytes(9001));
    assert_eq!(reading.read_data(&at).unwrap(), bytes(9000));
}

#[test]
fn a_place_that_the_user_chooses_holds_one_content() {
    let dir = tempfile::tempdir().unwrap();
    let router: vlstore::blobs::Router =
        Arc::new(|_, tags| Ok(format!("runs/{}", tags.get("run").unwrap_or("none"))));
    let files = FolderOptions { router: Some(router.clone()), ..FolderOptions::default() };
    let files = FolderStorage::create(name(), dir.path().join("files"), files).unwrap();
    let records = BlobOptions { router: Some(router), ..BlobOptions::default() };
    let path = dir.path().join("b.vls");
    let records = StoreStorage::create(name(), &path, Compression::Lz4, records).unwrap();
    for storage in [&files as &dyn Storage, &records] {
        let put =
            |run: &str, data: &[u8]| storage.put(data, kind(), &Tags::new([("run", run)]).unwrap());
        let at = put("1", b"one").unwrap();
        assert!(at.to_json().to_string().contains("runs/1"), "{at:?}");
        assert_eq!(put("1", b"one").unwrap(), at);
        let error = put("1", b"two").unwrap_err();
        assert!(matches!(error.root(), Error::Exists { .. }), "{error}");
        assert_eq!(storage.read_data(&at).unwrap(), b"one");
        assert_eq!(storage.search(&Tags::new([("run", "1")]).unwrap()).unwrap()[0].data, at);
        for bad in ["../x", "", "/abs", "a//b", ".part", "x.tags"] {
            assert!(put(bad, b"x").is_err() == (bad != ".."), "{bad}");
        }
    }
}

#[test]
fn a_read_only_storage_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (path, root) = (dir.path().join("b.vls"), dir.path().join("files"));
    store(&path, 1000);
    folder(&root, 1000);
    let records = BlobOptions { read_only: true, ..BlobOptions::default() };
    let records = StoreStorage::open(name(), &path, records).unwrap();
    let files = FolderOptions { read_only: true, ..FolderOptions::default() };
    let files = FolderStorage::open(name(), &root, files).unwrap();
    for storage in [&files as &dyn Storage, &records] {
        assert!(storage.is_read_only());
        let error = storage.put(b"x", kind(), &Tags::default()).unwrap_err();
        assert!(matches!(error.root(), Error::ReadOnly), "{error}");
        assert!(put_stream(storage, b"x", 1, &Tags::default()).is_err());
    }
    assert!(FolderStorage::open(name(), dir.path().join("no"), FolderOptions::default()).is_err());
}

#[test]
fn who_waits_too_long_for_the_lock_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("b.vls");
    let holding = store(&path, 1000);
    holding.hold().unwrap();
    let options = BlobOptions { wait: Duration::from_millis(30), ..BlobOptions::default() };
    let waiting = StoreStorage::open(name(), &path, options).unwrap();
    let error = waiting.put(b"x", kind(), &Tags::default()).unwrap_err();
    assert!(matches!(error.root(), Error::Locked), "{error}");
    let at = holding.put(b"x", kind(), &Tags::default()).unwrap();
    assert!(waiting.read_data(&at).is_err());
    assert_eq!(holding.read_data(&at).unwrap(), b"x");
    holding.release().unwrap();
    assert_eq!(waiting.read_data(&at).unwrap(), b"x");
    waiting.put(b"y", kind(), &Tags::default()).unwrap();
}
