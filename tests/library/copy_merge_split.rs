//! Copying, merging and splitting keep every record as it is, harm no input, and are done whole
//! or not at all. Also what happens in odd places: a file that is replaced under its reader,
//! media that cannot be written, names that are no text.

use crate::listed::{Listed, listed};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use vlstore::Readable;
use vlstore::chunk::Algorithm;
use vlstore::maintain::{
    Clash, CompactOptions, CopyOptions, MergeOptions, Select, SplitBy, SplitOptions, compact, copy,
    merge, split,
};
use vlstore::{
    Compression, Durability, Error, Key, Layout, Store, StoreOptions, WriteOptions, Writer,
};

fn options() -> StoreOptions {
    StoreOptions {
        layout: Layout { chunk_size: 16 << 10, block_size: 2 << 10, ..Layout::default() },
        write: WriteOptions { durability: Durability::None, threads: 1, ..WriteOptions::default() },
    }
}

fn at(path: impl AsRef<Path>) -> Vec<Listed> {
    listed(&Store::open(path).unwrap())
}

fn bytes(i: u64) -> Vec<u8> {
    (0..i * 131 % 2000).map(|k| u8::try_from(k * i % 251).unwrap()).collect()
}

/// A store with the records `ids`, under `frame-n`, but for every tenth, which has no key.
fn make(path: &Path, ids: std::ops::Range<u64>, units: Option<&str>) {
    let mut w = Writer::create(path, &options()).unwrap();
    for i in ids {
        let key = (i % 10 != 3).then(|| Key::from(format!("frame-{i}")));
        w.put_sized(key.as_ref(), &bytes(i), u32::try_from(i).unwrap(), vlstore::Existing::Refuse)
            .unwrap();
    }
    if let Some(length) = units {
        w.set_attributes(&json!({"units": {"length": length}, "made": path.to_str()})).unwrap();
    }
    w.close().unwrap();
}

struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    fn count(&self) -> usize {
        fs::read_dir(self.0.path()).unwrap().count()
    }
}

fn quiet(_: u64, _: u64) -> Result<(), Error> {
    Ok(())
}

#[test]
fn a_copy_with_other_options_has_the_same_records() {
    let dir = Dir::new();
    let (a, b) = (dir.path("a"), dir.path("b"));
    make(&a, 0..200, Some("nm"));
    let before = fs::read(&a).unwrap();
    let source = Store::open(&a).unwrap();
    let other = Layout {
        compression: Compression::Lz4,
        level: 1,
        chunk_size: 64 << 10,
        block_size: 0,
        record_codec: ("ignored".into(), 9),
        ..source.layout().clone()
    };
    let wanted = CopyOptions { layout: Some(other), ..CopyOptions::default() };
    let done = copy(&a, &b, &wanted, quiet).unwrap();
    assert_eq!(at(&b), at(&a));
    let new = Store::open(&b).unwrap();
    assert_eq!((done.records, done.file_bytes), (200, fs::metadata(&b).unwrap().len()));
    assert_eq!(new.attributes(), source.attributes());
    assert_eq!(new.layout().chunk(), 64 << 10);
    assert_eq!(new.layout().params().algorithm, Some(Algorithm::Lz4));
    assert_eq!(new.layout().record_codec, source.layout().record_codec);
    assert_eq!(fs::read(&a).unwrap(), before);
    let error = copy(&a, &b, &wanted, quiet).unwrap_err();
    assert!(matches!(error.root(), Error::Exists { .. }));
    copy(&a, &b, &CopyOptions { overwrite: true, ..wanted }, quiet).unwrap();
    // Also onto itself: read to the end before it is replaced.
    let itself = CopyOptions { overwrite: true, ..CopyOptions::default() };
    let was = at(&a);
    copy(&a, &a, &itself, quiet).unwrap();
    assert_eq!(at(&a), was);
}

#[test]
fn records_are_chosen_by_name_pattern_and_place() {
    let dir = Dir::new();
    let (a, b) = (dir.path("a"), dir.path("b"));
    make(&a, 0..50, None);
    let all = at(&a);
    let take = |select: Select| {
        let wanted = CopyOptions { select, overwrite: true, ..CopyOptions::default() };
        copy(&a, &b, &wanted, quiet).map(|done| {
            let got = at(&b);
            assert_eq!(done.records, got.len() as u64);
            got
        })
    };
    let places = |of: &[usize]| of.iter().map(|i| all[*i].clone()).collect::<Vec<_>>();
    let range = |range, step| Select::Range { range, step };
    assert_eq!(take(range(2..10, 3)).unwrap(), places(&[2, 5, 8]));
    assert_eq!(take(range(48..1000, 1)).unwrap(), places(&[48, 49]));
    assert_eq!(take(Select::Pattern("frame-4[0-2]".into())).unwrap(), places(&[40, 41, 42]));
    assert_eq!(take(Select::Pattern("*".into())).unwrap().len(), 45, "none without a key");
    let keys = ["frame-9", "frame-2", "frame-9"].map(Key::from).to_vec();
    assert_eq!(take(Select::Keys(keys)).unwrap(), places(&[2, 9]));
    let before = fs::read(&b).unwrap();
    let error = take(Select::Keys(vec![Key::from("frame-3")])).unwrap_err();
    assert!(matches!(error.root(), Error::NotFound { .. }), "{error}");
    assert!(matches!(take(range(0..5, 0)).unwrap_err().root(), Error::Invalid { .. }));
    assert_eq!(fs::read(&b).unwrap(), before);
    assert_eq!(dir.count(), 2);
}

#[test]
fn an_interrupted_copy_merge_or_split_leaves_nothing() {
    let dir = Dir::new();
    let (a, b) = (dir.path("a"), dir.path("b"));
    make(&a, 0..60, None);
    make(&b, 60..90, None);
    for stop in [0, 1, 40] {
        let stopping = || {
            let mut left = stop;
            move |_, _| {
                left -= 1;
                if left < 0 { Err(Error::Interrupted) } else { Ok(()) }
            }
        };
        let c = dir.path("c");
        if stop < 2 {
            assert!(copy(&a, &c, &CopyOptions::default(), stopping()).is_err());
        }
        assert!(merge(&[&a, &b], &c, &MergeOptions::default(), stopping()).is_err());
        let by = SplitBy::Records(7);
        assert!(split(&a, &c, &by, &SplitOptions::default(), stopping()).is_err());
        assert_eq!(dir.count(), 2);
    }
}

#[test]
fn merged_stores_follow_each_other() {
    let dir = Dir::new();
    let (a, b, c) = (dir.path("a"), dir.path("b"), dir.path("c"));
    make(&a, 0..30, Some("nm"));
    make(&b, 30..50, Some("nm"));
    let done = merge(&[&a, &b], &c, &MergeOptions::default(), quiet).unwrap();
    let right: Vec<Listed> = at(&a).into_iter().chain(at(&b)).collect();
    assert_eq!(at(&c), right);
    assert_eq!((done.copied.records, done.left_out), (50, 0));
    assert_eq!(done.differing, ["made"]);
    let attributes = Store::open(&c).unwrap().attributes();
    assert_eq!(attributes["units"]["length"], "nm");
    assert_eq!(attributes["made"], a.to_str().unwrap());
}

#[test]
fn clashing_keys_are_refused_before_anything_is_written_or_settled_as_asked() {
    let dir = Dir::new();
    let (a, b, c) = (dir.path("a"), dir.path("b"), dir.path("c"));
    make(&a, 0..10, None);
    let mut w = Writer::create(&b, &options()).unwrap();
    w.insert("frame-4", b"other").unwrap();
    w.insert("new", b"n").unwrap();
    w.insert(7, b"seven").unwrap();
    w.push(b"nameless").unwrap();
    w.close().unwrap();
    let with = |clash| {
        let wanted = MergeOptions { clash, overwrite: true, ..MergeOptions::default() };
        merge(&[&a, &b], &c, &wanted, quiet)
    };
    let error = with(Clash::Refuse).unwrap_err();
    assert!(matches!(error, Error::Exists { .. }), "{error}");
    assert!(error.to_string().contains("frame-4"), "{error}");
    assert_eq!(dir.count(), 2);

    let done = with(Clash::KeepFirst).unwrap();
    assert_eq!((done.copied.records, done.left_out), (13, 1));
    let store = Store::open(&c).unwrap();
    assert_eq!(store.get("frame-4").unwrap(), bytes(4)[..]);
    assert_eq!(store.info().unwrap().dead_bytes, 0);

    with(Clash::KeepLast).unwrap();
    let store = Store::open(&c).unwrap();
    assert_eq!(store.get("frame-4").unwrap(), b"other"[..]);
    assert_eq!((store.len(), store.find("frame-4").unwrap()), (13, Some(9)));
    assert_eq!(store.info().unwrap().dead_records, 0);

    with(Clash::Prefix(vec!["run1".into(), "run2".into()])).unwrap();
    let store = Store::open(&c).unwrap();
    assert_eq!(store.len(), 14);
    assert_eq!(store.get("run1/frame-4").unwrap(), bytes(4)[..]);
    assert_eq!(store.get("run2/frame-4").unwrap(), b"other"[..]);
    assert_eq!(store.get("run2/7").unwrap(), b"seven"[..]);
    for names in [vec!["one".into()], vec!["same".into(), "same".into()]] {
        assert!(matches!(with(Clash::Prefix(names)).unwrap_err(), Error::Invalid { .. }));
    }
}

#[test]
fn stores_that_do_not_belong_together_are_not_merged() {
    let dir = Dir::new();
    let (a, b, c) = (dir.path("a"), dir.path("b"), dir.path("c"));
    make(&a, 0..5, Some("nm"));
    make(&b, 5..9, Some("angstrom"));
    let refused = |with: &Path, word: &str| {
        let error = merge(&[a.as_path(), with], &c, &MergeOptions::default(), quiet).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(word) && text.contains(with.to_str().unwrap()), "{text}");
        assert!(!c.exists());
    };
    refused(&b, "units");
    let unitless = dir.path("unitless");
    make(&unitless, 5..9, None);
    refused(&unitless, "not stated");
    let coded = dir.path("coded");
    let other = StoreOptions {
        layout: Layout { record_codec: ("other".into(), 1), ..options().layout },
        ..options()
    };
    let mut w = Writer::create(&coded, &other).unwrap();
    w.put_unchecked(Some(&"x".into()), b"x", 0, vlstore::Existing::Refuse).unwrap();
    w.close().unwrap();
    refused(&coded, "record codec");
    let none: [&Path; 0] = [];
    assert!(merge(&none, &c, &MergeOptions::default(), quiet).is_err());
    // An empty store has nothing in other units.
    let empty = dir.path("empty");
    make(&empty, 0..0, None);
    merge(&[&empty, &a, &empty], &c, &MergeOptions::default(), quiet).unwrap();
    assert_eq!(at(&c), at(&a));
}

#[test]
fn the_parts_of_a_split_hold_everything_in_order_and_merge_to_the_whole() {
    let dir = Dir::new();
    let a = dir.path("a.vls");
    make(&a, 0..40, Some("nm"));
    let all = at(&a);
    let lens = |parts: &[(PathBuf, vlstore::maintain::Copied)]| -> Vec<u64> {
        parts.iter().map(|p| p.1.records).collect()
    };
    let by = |by: SplitBy| {
        let wanted = SplitOptions { overwrite: true, ..SplitOptions::default() };
        let parts = split(&a, dir.path("part.vls"), &by, &wanted, quiet)?;
        let joined: Vec<Listed> = parts.iter().flat_map(|p| at(&p.0)).collect();
        assert_eq!(joined, all);
        Ok::<_, Error>(parts)
    };
    let parts = by(SplitBy::Records(15)).unwrap();
    assert_eq!(lens(&parts), [15, 15, 10]);
    let names: Vec<_> = parts.iter().map(|p| p.0.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["part-000.vls", "part-001.vls", "part-002.vls"]);
    assert_eq!(Store::open(&parts[2].0).unwrap().attributes()["units"]["length"], "nm");
    for part in by(SplitBy::Bytes(6000)).unwrap() {
        assert!(part.1.record_bytes <= 6000 && part.1.records > 0);
    }
    assert_eq!(by(SplitBy::Bytes(1)).unwrap().len(), 40, "no empty file before a large record");
    let keys = ["frame-20", "frame-0", "frame-25"].map(Key::from).to_vec();
    assert_eq!(lens(&by(SplitBy::Keys(keys)).unwrap()), [20, 5, 15]);
    let error = by(SplitBy::Keys(vec![Key::from("no")])).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    assert!(matches!(by(SplitBy::Records(0)).unwrap_err(), Error::Invalid { .. }));
    let again =
        split(&a, dir.path("part.vls"), &SplitBy::Records(9), &SplitOptions::default(), quiet);
    assert!(matches!(again.unwrap_err().root(), Error::Exists { .. }));
    let empty = dir.path("empty");
    make(&empty, 0..0, None);
    let parts = split(&empty, dir.path("e"), &SplitBy::Records(5), &SplitOptions::default(), quiet)
        .unwrap();
    assert_eq!(lens(&parts), [0]);
}

#[test]
fn too_many_parts_are_refused_before_the_first() {
    let dir = Dir::new();
    let a = dir.path("a");
    let mut w = Writer::create(&a, &options()).unwrap();
    for _ in 0..600 {
        w.push(b"r").unwrap();
    }
    w.close().unwrap();
    let by = SplitBy::Records(1);
    let error = split(&a, dir.path("b"), &by, &SplitOptions::default(), quiet).unwrap_err();
    assert!(matches!(error, Error::Limit { max: 512, .. }), "{error}");
    assert_eq!(dir.count(), 1);
}

#[test]
fn statistics_add_up_to_the_store() {
    let dir = Dir::new();
    let a = dir.path("a");
    make(&a, 0..100, None);
    let store = Store::open(&a).unwrap();
    let stat = store.stat(quiet).unwrap();
    let info = store.info().unwrap();
    assert_eq!(stat.sizes.iter().map(|s| s.records).sum::<u64>(), 100);
    assert_eq!(stat.sizes.iter().map(|s| s.bytes).sum::<u64>(), info.raw_bytes);
    assert_eq!(
        (stat.shortest, stat.longest),
        (0, at(&a).iter().map(|r| r.2.len() as u64).max().unwrap())
    );
    assert!(stat.sizes.windows(2).all(|w| w[0].to == w[1].from));
    assert_eq!(stat.kinds.iter().map(|k| k.chunks).sum::<u64>(), stat.chunks);
    assert_eq!(stat.ratios.iter().map(|r| r.chunks).sum::<u64>(), stat.chunks);
    assert!(
        stat.kinds.iter().all(|k| k.block_size == 2 << 10 && k.raw_bytes == k.chunks * (16 << 10))
    );
    assert_eq!(stat.unreadable, 0);
    assert!(store.is_closed());
}

#[test]
fn a_reader_is_told_when_another_file_takes_the_place_of_its_own() {
    let dir = Dir::new();
    let a = dir.path("a");
    make(&a, 0..30, None);
    let mut w = Writer::open(&a, &options().write).unwrap();
    let mut reader = Store::open(&a).unwrap();
    assert!(!reader.refresh().unwrap());
    w.delete("frame-1").unwrap();
    w.close().unwrap();
    compact(&a, &CompactOptions::default(), quiet).unwrap();
    // First what was still written to the old file, then the news that there is another.
    assert!(reader.refresh().unwrap());
    let seen = listed(&reader);
    let error = reader.refresh().unwrap_err();
    assert!(matches!(error.root(), Error::Replaced), "{error}");
    assert!(error.to_string().contains("open the path again"), "{error}");
    assert_eq!(listed(&reader), seen, "the old one is as good as before");
    assert_eq!(at(&a), seen);
    fs::remove_file(&a).unwrap();
    assert!(matches!(reader.refresh().unwrap_err().root(), Error::Replaced));
    assert_eq!(listed(&reader), seen);
}

#[test]
fn a_file_and_a_folder_that_cannot_be_written_are_read_and_refused_to_writers() {
    let dir = Dir::new();
    let folder = dir.path("medium");
    fs::create_dir(&folder).unwrap();
    let a = folder.join("a");
    make(&a, 0..20, None);
    let before = at(&a);
    let locked = |yes: bool| {
        for path in [&a, &folder] {
            let mut mode = fs::metadata(path).unwrap().permissions();
            mode.set_readonly(yes);
            if !yes {
                #[cfg(unix)]
                std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o755);
            }
            fs::set_permissions(path, mode).unwrap();
        }
    };
    locked(true);
    assert_eq!(at(&a), before);
    assert!(Store::open(&a).unwrap().verify(quiet).unwrap().is_intact());
    if fs::OpenOptions::new().write(true).open(&a).is_ok() {
        eprintln!("skipped in part: this user may write to read-only files");
    } else {
        let error = Writer::open(&a, &options().write).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("cannot open the file for writing"), "{text}");
        assert!(compact(&a, &CompactOptions::default(), quiet).is_err());
        let error = copy(&a, folder.join("b"), &CopyOptions::default(), quiet).unwrap_err();
        assert!(error.to_string().contains("create a file in this folder"), "{error}");
    }
    copy(&a, dir.path("b"), &CopyOptions::default(), quiet).unwrap();
    assert_eq!(at(dir.path("b")), before);
    locked(false);
}

#[cfg(unix)]
#[test]
fn names_that_are_no_text_are_names() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let dir = Dir::new();
    let name = |bytes: &[u8]| dir.0.path().join(OsStr::from_bytes(bytes));
    let a = name(b"st\xff\xfe \n*re.vls");
    if fs::write(&a, b"").is_err() {
        eprintln!("skipped: this file system wants names that are text");
        return;
    }
    fs::remove_file(&a).unwrap();
    make(&a, 0..20, None);
    let before = at(&a);
    compact(&a, &CompactOptions::default(), quiet).unwrap();
    assert_eq!(at(&a), before);
    let b = name(b"\xc3\x28");
    copy(&a, &b, &CopyOptions::default(), quiet).unwrap();
    assert_eq!(at(&b), before);
    let parts = split(&a, &a, &SplitBy::Records(10), &SplitOptions::default(), quiet).unwrap();
    assert_eq!(parts[1].0, name(b"st\xff\xfe \n*re-001.vls"));
    assert_eq!(at(&parts[1].0), before[10..]);
    vlstore::maintain::recover(
        &a,
        name(b"\x80"),
        &vlstore::maintain::RecoverOptions::default(),
        quiet,
    )
    .unwrap();
    assert_eq!(at(name(b"\x80")), before);
    let mut w = Writer::open(&a, &options().write).unwrap();
    w.insert("more", b"m").unwrap();
    w.close().unwrap();
    assert!(Store::open(&a).unwrap().contains("more").unwrap());
    // No temporary file is left over beside such names.
    assert_eq!(dir.count(), 5);
}
