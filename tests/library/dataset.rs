//! Data sets of many stores: opened without their members, one numbering, published in one step.

use crate::common::only;
use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use vlstore::codec::{MdFrame, MdFrameCodec, Real};
use vlstore::dataset::{DataSet, Edit, MANIFEST, Manifest, Source, describe_member, publish};
use vlstore::depot::{Columns, Depot};
use vlstore::trajectory::arrays::{ArrayRequest, Collator, Selection};
use vlstore::{
    Durability, Error, Existing, Key, ReadOptions, Readable, StoreOptions, TrajectoryWriter,
    WriteOptions, Writer,
};

fn quiet(_: u64, _: u64) -> vlstore::Result<()> {
    Ok(())
}

fn options() -> StoreOptions {
    let write =
        WriteOptions { durability: Durability::None, threads: 1, ..WriteOptions::default() };
    StoreOptions { write, ..StoreOptions::default() }
}

/// A store with the records `from..to` under keys `k…`, the last one without a key.
fn store(path: &Path, from: u64, to: u64) {
    let mut w = Writer::create(path, &options()).unwrap();
    for i in from..to {
        let record = record(i);
        if i + 1 == to {
            w.push(&record).unwrap();
        } else {
            w.insert(format!("k{i:06}"), &record).unwrap();
        }
    }
    w.close().unwrap();
}

fn record(i: u64) -> Vec<u8> {
    (0..i % 97).flat_map(|j| (i * 7 + j).to_le_bytes()).collect()
}

/// Members of different sizes, one of them empty: names, and how many records there are in all.
fn members(folder: &Path) -> (Vec<String>, u64) {
    let sizes = [40_u64, 1, 0, 25, 3];
    let (mut names, mut first) = (Vec::new(), 0);
    for (i, size) in sizes.into_iter().enumerate() {
        names.push(format!("part-{i}.vls"));
        store(&folder.join(&names[i]), first, first + size);
        first += size;
    }
    (names, first)
}

fn set_of(folder: &Path) -> (DataSet, u64) {
    let (names, records) = members(folder);
    publish(folder, &names, quiet).unwrap();
    (DataSet::open_with(folder, &ReadOptions::default(), 2).unwrap(), records)
}

#[test]
fn a_data_set_reads_as_one_store_with_the_same_records_does() {
    let dir = tempfile::tempdir().unwrap();
    let (set, records) = set_of(dir.path());
    assert_eq!((set.len(), set.publication()), (records, 1));
    let all: Vec<u64> = (0..records).collect();
    let asked: Vec<u64> = (0..200).map(|i| i * 31 % records).chain(all.clone()).collect();
    let batch = set.get_batch_at(&asked).unwrap();
    for (i, ordinal) in asked.iter().enumerate() {
        assert_eq!(batch.get(i).unwrap(), record(*ordinal), "{ordinal}");
        assert_eq!(set.get_at(*ordinal).unwrap()[..], record(*ordinal)[..]);
        assert_eq!(set.location_at(*ordinal).unwrap().len(), record(*ordinal).len() as u64);
    }
    let plan = set.plan_at(&asked).unwrap();
    assert_eq!(plan.first().unwrap().unwrap()[..], record(asked[0])[..]);
    assert_eq!((plan.len(), plan.weights().unwrap().len()), (asked.len(), asked.len()));
    assert_eq!(plan.batch().unwrap().iter().collect::<Vec<_>>(), batch.iter().collect::<Vec<_>>());
    let seen: Vec<_> = asked.iter().map(|_| std::sync::Mutex::new(Vec::new())).collect();
    plan.each(|i, bytes| {
        seen[i].lock().unwrap().push(bytes.to_vec());
        Ok(())
    })
    .unwrap();
    for (ordinal, seen) in asked.iter().zip(seen) {
        assert_eq!(seen.into_inner().unwrap(), [record(*ordinal)]);
    }
    let parts: Vec<_> = asked.iter().map(|o| (*o, 0..(record(*o).len() / 2) as u64)).collect();
    let halves = set.get_parts_at(&parts).unwrap();
    for (i, ordinal) in asked.iter().enumerate() {
        let whole = record(*ordinal);
        assert_eq!(halves.get(i).unwrap(), &whole[..whole.len() / 2]);
    }
    let scanned: Vec<_> = set.scan(0..u64::MAX).map(|r| r.unwrap().to_vec()).collect();
    assert_eq!(scanned, all.iter().map(|o| record(*o)).collect::<Vec<_>>());
    assert_eq!(set.scan(39..42).map(|r| r.unwrap().to_vec()).collect::<Vec<_>>(), scanned[39..42]);
    let mut visited = Vec::new();
    set.for_each(|ordinal, key, _| {
        visited.push((ordinal, key));
        Ok(())
    })
    .unwrap();
    assert_eq!(visited.len() as u64, records);
    for (ordinal, key) in &visited {
        assert_eq!(set.key_at(*ordinal).unwrap(), *key);
        if let Some(key) = key {
            assert_eq!(set.find_key(key).unwrap(), Some(*ordinal));
            assert_eq!(set.get_key(key).unwrap()[..], record(*ordinal)[..]);
        }
    }
    let keys = set.keys().unwrap();
    let by_key = set.get_batch(keys.iter().rev()).unwrap();
    assert_eq!(by_key.len(), keys.len());
    assert_eq!(by_key.get(0).unwrap(), record(67));
    assert_eq!(set.find("k000039").unwrap(), None, "it was pushed without its key");
    assert!(matches!(set.get("none"), Err(Error::NotFound { .. })));
    assert!(matches!(set.get_at(records), Err(Error::NotFound { .. })));
    assert!(matches!(set.plan(["k000001", "none"]), Err(Error::NotFound { .. })));
    let bytes = set.column("bytes", 0..records).unwrap();
    let lengths: Vec<i64> = all.iter().map(|o| i64::try_from(record(*o).len()).unwrap()).collect();
    assert_eq!(bytes.values.as_i64().unwrap(), lengths);
    assert_eq!(set.column("bytes", 38..43).unwrap().values.as_i64().unwrap(), &lengths[38..43]);
    assert!(set.column("energy", 0..1).is_err());
    assert!(matches!(Source::open(dir.path()).unwrap(), Source::Set(s) if s.len() == records));
}

#[test]
fn a_data_set_opens_without_its_members_and_needs_only_those_that_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let (_, records) = set_of(dir.path());
    for gone in ["part-0.vls", "part-3.vls"] {
        fs::remove_file(dir.path().join(gone)).unwrap();
    }
    let set = DataSet::open(dir.path()).unwrap();
    assert_eq!(set.len(), records);
    // Key ranges say which member is to be asked.
    assert_eq!(set.get("k000066").unwrap()[..], record(66)[..]);
    assert_eq!(set.find("k999999").unwrap(), None);
    let error = set.get_at(0).unwrap_err();
    assert!(matches!(error.root(), Error::DataSet { member, .. } if &**member == "part-0.vls"));
    assert!(error.to_string().contains("part-0.vls: is missing"), "{error}");
    let error = set.find("k000050").unwrap_err().to_string();
    assert!(error.contains("part-3.vls"), "{error}");
}

#[test]
fn a_member_that_is_not_what_was_published_is_named_and_one_that_grew_is_read_as_published() {
    let dir = tempfile::tempdir().unwrap();
    let (set, records) = set_of(dir.path());
    // It grew: its first records are the same, and the new ones are in nobody's numbering.
    let mut w = Writer::open(dir.path().join("part-3.vls"), &options().write).unwrap();
    w.insert("later", b"later").unwrap();
    w.close().unwrap();
    let fresh = DataSet::open(dir.path()).unwrap();
    for set in [&set, &fresh] {
        assert_eq!(set.len(), records);
        assert_eq!(set.get_at(66).unwrap()[..], record(66)[..]);
        assert_eq!(set.find("later").unwrap(), None);
        assert_eq!(set.keys().unwrap().len() as u64, records - 4);
    }
    // Published again, it has them.
    publish(dir.path(), &["part-3.vls"], quiet).unwrap();
    let mut set = set;
    assert!(set.refresh().unwrap() && !set.refresh().unwrap());
    assert_eq!((set.len(), set.find("later").unwrap()), (records + 1, Some(66)));
    assert_eq!(set.get_at(67).unwrap()[..], record(66)[..]);
    // Records were deleted, another file took the place, or no store at all.
    let part = dir.path().join("part-3.vls");
    let refused = |what: &str| {
        let set = DataSet::open(dir.path()).unwrap();
        let error = set.get_at(41).unwrap_err();
        assert!(matches!(error.root(), Error::DataSet { member, .. } if &**member == "part-3.vls"));
        assert!(error.to_string().contains(what), "{error}");
        assert_eq!(set.get_at(0).unwrap()[..], record(0)[..]);
    };
    let whole = fs::read(&part).unwrap();
    let mut w = Writer::open(&part, &options().write).unwrap();
    w.delete("k000050").unwrap();
    w.close().unwrap();
    refused("has lost records");
    fs::remove_file(&part).unwrap();
    store(&part, 41, 66);
    refused("is another file");
    fs::write(&part, b"something else").unwrap();
    refused("is not a store");
    fs::write(&part, whole).unwrap();
    assert_eq!(DataSet::open(dir.path()).unwrap().get_at(41).unwrap()[..], record(41)[..]);
}

#[test]
fn a_copy_of_a_member_that_went_on_by_itself_is_not_the_member() {
    let dir = tempfile::tempdir().unwrap();
    let (part, copy) = (dir.path().join("part.vls"), dir.path().join("copy"));
    let grow = |path: &Path, record: &[u8]| {
        let mut w = Writer::open(path, &options().write).unwrap();
        w.insert("last", record).unwrap();
        w.close().unwrap();
    };
    store(&part, 0, 5);
    fs::copy(&part, &copy).unwrap();
    grow(&part, b"one");
    grow(&copy, b"two");
    publish(dir.path(), &["part.vls"], quiet).unwrap();
    let state = |path: &Path| {
        let snapshot = vlstore::Store::open(path).unwrap().snapshot();
        (
            snapshot.file_id(),
            snapshot.generation(),
            snapshot.len(),
            snapshot.info().unwrap().file_bytes,
        )
    };
    assert_eq!(state(&part), state(&copy));
    assert_eq!(DataSet::open(dir.path()).unwrap().get_at(5).unwrap()[..], *b"one");
    fs::rename(&copy, &part).unwrap();
    let error = DataSet::open(dir.path()).unwrap().get_at(0).unwrap_err();
    assert!(matches!(error.root(), Error::DataSet { .. }), "{error}");
    assert!(error.to_string().contains("has another content at commit"), "{error}");
    // A manifest that does not have the number is read as before.
    let manifest = dir.path().join(MANIFEST);
    let text = fs::read_to_string(&manifest).unwrap();
    let (before, rest) = text.split_once("\"state\":\"").unwrap();
    let older = format!("{before}\"state\":null{}", &rest[17..]);
    fs::write(&manifest, summed(&older)).unwrap();
    assert_eq!(DataSet::open(dir.path()).unwrap().get_at(5).unwrap()[..], *b"two");
}

#[test]
fn what_writers_describe_is_published_as_if_it_had_been_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let (names, records) = members(dir.path());
    publish(dir.path(), &names, quiet).unwrap();
    let read = DataSet::open(dir.path()).unwrap();
    let described: Vec<_> = names
        .iter()
        .map(|name| describe_member(dir.path(), name, quiet).unwrap().to_text())
        .map(|text| Manifest::from_text(text.as_bytes()).unwrap())
        .collect();
    fs::remove_file(dir.path().join(MANIFEST)).unwrap();
    let mut edit = Edit::begin(dir.path()).unwrap();
    for one in &described {
        edit.put_described(one).unwrap();
    }
    edit.publish().unwrap();
    let set = DataSet::open(dir.path()).unwrap();
    assert_eq!((set.manifest(), set.len()), (read.manifest(), records));
    let last = dir.path().join(&names[0]);
    fs::write(&last, b"cut").unwrap();
    let error = edit.put_described(&described[0]).unwrap_err();
    assert!(error.to_string().contains("is not there as it was described"), "{error}");
    fs::remove_file(&last).unwrap();
    assert!(edit.put_described(&described[0]).is_err());
}

#[cfg(unix)]
#[test]
fn a_link_in_the_folder_is_a_member_under_its_name_by_whatever_path_it_is_given() {
    use vlstore::dataset::member_name;
    let dir = tempfile::tempdir().unwrap();
    let (folder, away) = (dir.path().join("set"), dir.path().join("away"));
    fs::create_dir(&folder).unwrap();
    fs::create_dir(&away).unwrap();
    store(&away.join("real.vls"), 0, 4);
    std::os::unix::fs::symlink(away.join("real.vls"), folder.join("a.vls")).unwrap();
    std::os::unix::fs::symlink(&folder, dir.path().join("other")).unwrap();
    for path in ["set/a.vls", "other/a.vls", "set/../set/a.vls"] {
        assert_eq!(member_name(&folder, &dir.path().join(path)).unwrap(), "a.vls", "{path}");
    }
    assert_eq!(member_name(&folder, Path::new("a.vls")).unwrap(), "a.vls");
    for path in ["away/real.vls", "set/.."] {
        let error = member_name(&folder, &dir.path().join(path)).unwrap_err();
        assert!(error.to_string().contains("is not in the folder"), "{path}: {error}");
    }
    for path in ["set/b.vls", "set"] {
        assert!(member_name(&folder, &dir.path().join(path)).is_err(), "{path}");
    }
    publish(&folder, &["a.vls"], quiet).unwrap();
    assert_eq!(DataSet::open(dir.path().join("other")).unwrap().len(), 4);
}

#[test]
fn two_who_publish_at_once_lose_nothing_and_the_later_one_is_told() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a.vls", "b.vls", "c.vls"] {
        store(&dir.path().join(name), 0, 3);
    }
    let mut first = Edit::begin(dir.path()).unwrap();
    let mut second = Edit::begin(dir.path()).unwrap();
    first.put("a.vls", quiet).unwrap();
    second.put("b.vls", quiet).unwrap();
    assert_eq!(first.publish().unwrap(), 1);
    let told = second.publish().unwrap_err();
    assert!(matches!(told.root(), Error::Conflict { known: 0, newest: 1 }), "{told}");
    assert_eq!(DataSet::open(dir.path()).unwrap().members().len(), 1);
    second.rebase().unwrap();
    assert_eq!(second.publish().unwrap(), 2);
    // Nothing left to publish is no new publication.
    assert_eq!(second.publish().unwrap(), 2);
    first.put("c.vls", quiet).unwrap();
    first.remove("a.vls").unwrap();
    assert!(matches!(first.publish().unwrap_err().root(), Error::Conflict { known: 1, newest: 2 }));
    first.rebase().unwrap();
    assert_eq!(first.publish().unwrap(), 3);
    let set = DataSet::open(dir.path()).unwrap();
    let names: Vec<_> = set.members().iter().map(|m| &*m.name).collect();
    assert_eq!(names, ["b.vls", "c.vls"]);
    // A key of both is that of the first.
    assert_eq!(set.find("k000001").unwrap(), Some(1));
    assert!(matches!(
        Edit::begin(dir.path()).unwrap().remove("a.vls"),
        Err(Error::NotFound { .. })
    ));
}

/// A process of its own for the tests below: writes and publishes members until it is ended.
#[test]
fn helper_publishes() {
    let Ok(folder) = std::env::var("VLSTORE_TEST_PUBLISH") else { return };
    let (folder, who) = folder.split_once('|').unwrap();
    for i in 0..std::env::var("VLSTORE_TEST_TIMES").unwrap().parse().unwrap() {
        let name = format!("{who}-{i:03}.vls");
        store(&Path::new(folder).join(&name), i, i + 2);
        publish(folder, &[&name], quiet).unwrap();
        println!("published {name}");
    }
}

fn helper(folder: &Path, who: &str, times: usize) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(only(module_path!(), "helper_publishes"))
        .env("VLSTORE_TEST_PUBLISH", format!("{}|{who}", folder.display()))
        .env("VLSTORE_TEST_TIMES", times.to_string());
    command
}

#[test]
fn processes_that_publish_side_by_side_publish_every_member_once() {
    let dir = tempfile::tempdir().unwrap();
    let running: Vec<_> = ["a", "b", "c"]
        .map(|who| helper(dir.path(), who, 8).spawn().unwrap())
        .into_iter()
        .collect();
    for mut child in running {
        assert!(child.wait().unwrap().success());
    }
    let set = DataSet::open(dir.path()).unwrap();
    assert_eq!((set.publication(), set.members().len(), set.len()), (24, 24, 48));
    let names: HashSet<_> = set.members().iter().map(|m| m.name.clone()).collect();
    assert_eq!(names.len(), 24);
    assert_eq!(set.scan(0..48).map(Result::unwrap).count(), 48);
}

#[test]
fn a_process_that_is_killed_while_it_publishes_leaves_a_data_set_that_is_whole() {
    use std::io::{BufRead as _, BufReader};
    let dir = tempfile::tempdir().unwrap();
    for round in 0..4 {
        let mut child = helper(dir.path(), &format!("r{round}"), 1000)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut told = 0;
        while told < 3 + round {
            told += usize::from(lines.next().unwrap().unwrap().starts_with("published"));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // Whatever was told is there, and the next one can publish.
        let set = DataSet::open(dir.path()).unwrap();
        let own = format!("r{round}-");
        let there = set.members().iter().filter(|m| m.name.starts_with(&own)).count();
        assert!(there >= told, "{there} of {told}");
        assert_eq!(set.scan(0..u64::MAX).map(Result::unwrap).count() as u64, set.len());
    }
}

#[test]
fn a_thousand_members_open_at_once_as_quickly_as_few_and_few_files_are_open() {
    let dir = tempfile::tempdir().unwrap();
    let template = dir.path().join("m-0000.vls");
    store(&template, 0, 2);
    let mut names = vec!["m-0000.vls".to_owned()];
    for i in 1..1000 {
        names.push(format!("m-{i:04}.vls"));
        fs::copy(&template, dir.path().join(&names[i])).unwrap();
    }
    publish(dir.path(), &names, quiet).unwrap();
    let set = DataSet::open_with(dir.path(), &ReadOptions::default(), 4).unwrap();
    assert_eq!((set.members().len(), set.len()), (1000, 2000));
    // Other tests of this process have files open, too.
    let of_ours = |link: std::io::Result<fs::DirEntry>| {
        fs::read_link(link.unwrap().path()).is_ok_and(|to| to.starts_with(dir.path()))
    };
    let open =
        || fs::read_dir("/proc/self/fd").map_or(0, |all| all.map(of_ours).filter(|o| *o).count());
    let all: Vec<u64> = (0..2000).rev().collect();
    let plan = set.plan_at(&all).unwrap();
    assert_eq!(plan.batch().unwrap().len(), 2000);
    let batch = set.get_batch_at(&all).unwrap();
    assert!(batch.iter().zip(&all).all(|(bytes, o)| bytes == record(o % 2)));
    assert_eq!(set.scan(0..2000).map(Result::unwrap).count(), 2000);
    assert_eq!(set.find("k000000").unwrap(), Some(0));
    assert!(open() < 100, "{} files are open", open());
}

#[test]
fn frames_of_members_have_their_topologies_columns_and_arrays() {
    let dir = tempfile::tempdir().unwrap();
    let topologies = [[1, 8, 1], [6, 6, 6]];
    let frame = |run: usize, i: i64| MdFrame {
        nsites: 3,
        step: Some(i),
        energy: Some(i as f64),
        types: Some(topologies[run].to_vec()),
        positions: Some(Real::F64((0..9).map(|n| n as f64 + i as f64).collect())),
        ..MdFrame::default()
    };
    for run in 0..2 {
        let path = dir.path().join(format!("run-{run}.vls"));
        let mut w = TrajectoryWriter::create(&path, &options()).unwrap();
        for i in 0..10 {
            w.put(i, &frame(run, i)).unwrap();
        }
        w.close().unwrap();
    }
    publish(dir.path(), &["run-0.vls", "run-1.vls"], quiet).unwrap();
    let set = DataSet::open(dir.path()).unwrap();
    assert_eq!(set.manifest().weight(), 60);
    assert_eq!(set.manifest().shared.len(), set.list_shared().unwrap().len());
    for digest in &set.manifest().shared {
        assert!(set.contains_shared(digest).unwrap());
        set.shared(digest).unwrap();
    }
    let depot = Depot::new(set.clone(), MdFrameCodec).unwrap();
    assert_eq!(depot.get_at(13).unwrap().view().unwrap().step(), Some(3));
    let energy = set.column_by(&MdFrameCodec, "energy", 5..15).unwrap();
    let expected: Vec<f64> = (5..10).chain(0..5).map(f64::from).collect();
    assert_eq!((energy.values.as_f64().unwrap(), energy.unknown.len()), (&expected[..], 0));
    let fields = Some(vec!["types".into(), "positions".into()]);
    let collator = Collator::new(ArrayRequest { fields, ..ArrayRequest::default() });
    let made = collator
        .arrays(&set, Selection::Ordinals(&[12, 3]), |info| {
            Ok::<_, Error>(vec![0_u8; info.bytes()])
        })
        .unwrap();
    let types = made.list.iter().find(|(info, _)| &*info.name == "types").unwrap();
    let types: Vec<i32> =
        types.1.chunks(4).map(|b| i32::from_ne_bytes(b.try_into().unwrap())).collect();
    assert_eq!(types, [6, 6, 6, 1, 8, 1]);
}

#[test]
fn what_is_no_manifest_is_refused_with_words() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |what: &str| {
        let error = DataSet::open(dir.path()).unwrap_err();
        assert!(error.to_string().contains(what), "{what}: {error}");
        error
    };
    let error = refused("this folder has no manifest");
    assert!(matches!(error.root(), Error::NotAStore { .. }));
    assert!(matches!(DataSet::open(dir.path().join("none")).unwrap_err().root(), Error::Io { .. }));
    members(dir.path());
    publish(dir.path(), &["part-0.vls", "part-1.vls"], quiet).unwrap();
    let path = dir.path().join(MANIFEST);
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, whole.replace("\"version\": 1", "\"version\": 2")).unwrap();
    let error = refused("version of the data set 2 is not supported");
    assert!(matches!(error.root(), Error::Unsupported { .. }));
    for (from, to) in [("\"records\":40", "\"records\":41"), ("part-1", "part-2"), ("}\n", "}\n\n")]
    {
        assert!(whole.contains(from), "{from}");
        fs::write(&path, whole.replacen(from, to, 1)).unwrap();
        assert!(matches!(refused("does not have the checksum").root(), Error::DataSet { .. }));
    }
    for cut in [whole.len() / 2, whole.len() - 1, 30] {
        fs::write(&path, &whole[..cut]).unwrap();
        refused("");
    }
    for other in ["", "{}", "[1]", "{\"format\": \"something\"}"] {
        fs::write(&path, other).unwrap();
        assert!(matches!(refused("not the manifest").root(), Error::NotAStore { .. }));
    }
    // Nothing is published over what cannot be read.
    assert!(publish(dir.path(), &["part-3.vls"], quiet).is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\"format\": \"something\"}");
}

/// The text of a manifest with a checksum that is right.
fn summed(text: &str) -> String {
    let at = text.find(" \"checksum\"").unwrap();
    let sum = vlstore::wire::checksum(&text.as_bytes()[..at]);
    format!("{} \"checksum\": \"{sum:016x}\"\n}}\n", &text[..at])
}

#[test]
fn a_manifest_that_lies_under_a_right_checksum_leads_out_of_no_folder_and_to_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    members(dir.path());
    publish(dir.path(), &["part-0.vls", "part-1.vls"], quiet).unwrap();
    let path = dir.path().join(MANIFEST);
    let whole = fs::read_to_string(&path).unwrap();
    assert_eq!(summed(&whole), whole);
    for name in ["../part-0.vls", "/etc/passwd", "", ".", "a//b", "part-1.vls", "a\\\\b"] {
        fs::write(&path, summed(&whole.replacen("part-0.vls", name, 1))).unwrap();
        assert!(DataSet::open(dir.path()).is_err(), "{name}");
    }
    let lies = [
        ("\"records\":40", "\"records\":18446744073709551615"),
        ("\"records\": 41", "\"records\": 42"),
        ("\"records\":40", "\"records\":-1"),
        ("\"shared\":[]", "\"shared\":[7]"),
        ("\"keys\":{", "\"keys\":{\"integers\":[],"),
        ("\"sha256\":\"", "\"sha256\":\"x"),
        ("\"members\": [", "\"members\": [3,"),
    ];
    for (from, to) in lies {
        assert!(whole.contains(from), "{from} {whole}");
        fs::write(&path, summed(&whole.replacen(from, to, 1))).unwrap();
        assert!(DataSet::open(dir.path()).is_err(), "{from}");
    }
    // More records than the member has: it is not what was published.
    let lie = whole.replacen("\"records\":40", "\"records\":50", 1).replacen("41,", "51,", 1);
    fs::write(&path, summed(&lie)).unwrap();
    let set = DataSet::open(dir.path()).unwrap();
    assert!(matches!(set.get_at(45).unwrap_err().root(), Error::DataSet { .. }));
}

#[test]
fn members_that_do_not_go_together_are_not_published() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    let make = |name: &str, codec: &str, units: Option<&str>| {
        let mut how = options();
        how.layout.record_codec = (codec.into(), 1);
        let mut w = Writer::create(folder.join(name), &how).unwrap();
        w.put_unchecked(None, b"x", 0, Existing::Refuse).unwrap();
        let units = units.map_or(
            serde_json::json!({"n": 1}),
            |u| serde_json::json!({"units": {"length": u}, "n": 1, "of": name}),
        );
        w.set_attributes(&units).unwrap();
        w.close().unwrap();
    };
    make("a.vls", "raw", Some("nm"));
    make("b.vls", "array", Some("nm"));
    make("c.vls", "raw", Some("pm"));
    make("d.vls", "raw", Some("nm"));
    make("e.vls", "raw", None);
    publish(folder, &["a.vls"], quiet).unwrap();
    for (name, what) in
        [("b.vls", "of one codec"), ("c.vls", "the units of c.vls"), ("e.vls", "not stated")]
    {
        let error = publish(folder, &[name], quiet).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
    }
    assert!(publish(folder, &["../a.vls"], quiet).is_err());
    assert!(publish(folder, &["none.vls"], quiet).is_err());
    fs::write(folder.join("text.vls"), "text").unwrap();
    assert!(publish(folder, &["text.vls"], quiet).is_err());
    let writer = Writer::open(folder.join("d.vls"), &options().write).unwrap();
    let error = publish(folder, &["d.vls"], quiet).unwrap_err();
    assert!(matches!(error.root(), Error::Locked), "{error}");
    drop(writer);
    assert_eq!(DataSet::open(folder).unwrap().publication(), 1);
    publish(folder, &["d.vls"], quiet).unwrap();
    let set = DataSet::open(folder).unwrap();
    assert_eq!(set.attributes(), serde_json::json!({"units": {"length": "nm"}, "n": 1}));
    assert_eq!(set.find_key(&Key::from(1)).unwrap(), None);
    // An interrupted one publishes nothing.
    let stopped = publish(folder, &["a.vls"], |_, _| Err(Error::Interrupted));
    assert!(matches!(stopped.unwrap_err().root(), Error::Interrupted));
    assert_eq!(DataSet::open(folder).unwrap().publication(), 2);
}

#[test]
fn whole_store_verbs_take_a_data_set_where_they_take_a_store() {
    use vlstore::maintain::{
        Balance, Clash, CopyOptions, MergeOptions, Select, SplitBy, SplitOptions, copy, merge,
        shard, split,
    };
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("set");
    fs::create_dir(&folder).unwrap();
    let (_, records) = set_of(&folder);
    let at = |name: &str| dir.path().join(name);
    let content = |path: &Path| {
        let source = Source::open(path).unwrap();
        let all: Vec<u64> = (0..source.len()).collect();
        let batch = source.get_batch_at(&all).unwrap();
        let one = |i: usize| (source.key_at(i as u64).unwrap(), batch.get(i).unwrap().to_vec());
        (0..all.len()).map(one).collect::<Vec<_>>()
    };
    let all = content(&folder);
    assert_eq!(all.len() as u64, records);

    copy(&folder, at("copy.vls"), &CopyOptions::default(), quiet).unwrap();
    assert_eq!(content(&at("copy.vls")), all);
    let select = Select::Range { range: 30..records, step: 7 };
    copy(&folder, at("some.vls"), &CopyOptions { select, ..CopyOptions::default() }, quiet)
        .unwrap();
    let some: Vec<_> = all.iter().skip(30).step_by(7).cloned().collect();
    assert_eq!(content(&at("some.vls")), some);

    // A member that has keys of another one, and a store that has some of both.
    store(&folder.join("again.vls"), 30, 45);
    publish(&folder, &["again.vls"], quiet).unwrap();
    let both = [folder.clone(), at("copy.vls")];
    for sources in [&both[..1], &both[..]] {
        let error = merge(sources, at("merged.vls"), &MergeOptions::default(), quiet).unwrap_err();
        assert!(matches!(error.root(), Error::Exists { .. }), "{error}");
        assert!(error.to_string().contains("again.vls"), "{error}");
    }
    for (clash, last) in [(Clash::KeepFirst, false), (Clash::KeepLast, true)] {
        let new = at(&format!("merged-{last}.vls"));
        let done =
            merge(&both[..1], &new, &MergeOptions { clash, ..MergeOptions::default() }, quiet)
                .unwrap();
        // k000030 to k000038 and k000041 to k000043: k000039, k000040 and k000044 are without keys in one.
        assert_eq!(done.left_out, 12);
        let source = Source::open(&new).unwrap();
        let place = source.find_key(&Key::from("k000031")).unwrap().unwrap();
        assert_eq!(place > 50, last, "{place}");
    }
    publish(&folder, &["part-0.vls"], quiet).unwrap();
    let mut edit = Edit::begin(&folder).unwrap();
    edit.remove("again.vls").unwrap();
    edit.publish().unwrap();

    let parts =
        split(&folder, at("part.vls"), &SplitBy::Records(20), &SplitOptions::default(), quiet)
            .unwrap();
    assert_eq!(parts.iter().map(|(_, c)| c.records).collect::<Vec<_>>(), [20, 20, 20, 9]);
    let joined: Vec<_> = parts.iter().flat_map(|(path, _)| content(path)).collect();
    assert_eq!(joined, all);

    for (i, by) in [
        SplitBy::Bytes(4000),
        SplitBy::Parts { count: 7, balance: Balance::Records },
        SplitBy::Parts { count: 7, balance: Balance::Bytes },
        SplitBy::Parts { count: 1000, balance: Balance::Weight },
        SplitBy::Keys(vec!["k000041".into()]),
    ]
    .iter()
    .enumerate()
    {
        let to = at(&format!("sharded-{i}"));
        let made = shard(&folder, &to, by, &SplitOptions::default(), quiet).unwrap();
        assert_eq!(content(&to), all, "{by:?}");
        let set = DataSet::open(&to).unwrap();
        assert_eq!(set.members().len(), made.len());
        let most = set.members().iter().map(|m| m.record_bytes).max().unwrap();
        match i {
            0 => assert!(most <= 4000),
            1 => assert!(set.members().iter().all(|m| m.records == 9 || m.records == 10)),
            2 => assert!(made.len() == 7 && most <= set.manifest().record_bytes() / 7 + 96 * 8),
            3 => assert_eq!(made.len() as u64, records, "one record each, none is empty"),
            _ => assert_eq!(made.len(), 2),
        }
        let again = shard(&folder, &to, by, &SplitOptions::default(), quiet).unwrap_err();
        assert!(matches!(again.root(), Error::Exists { .. }), "{again}");
    }
    // Stopped half way, nothing is left; nor does a place in the way lose anything.
    let before = fs::read_dir(dir.path()).unwrap().count();
    let mut told = 0;
    let stopped =
        shard(&folder, at("stopped"), &SplitBy::Records(9), &SplitOptions::default(), |_, _| {
            told += 1;
            if told == 40 { Err(Error::Interrupted) } else { Ok(()) }
        });
    assert!(matches!(stopped.unwrap_err().root(), Error::Interrupted));
    assert!(
        shard(&folder, at("copy.vls"), &SplitBy::Records(9), &SplitOptions::default(), quiet)
            .is_err()
    );
    assert!(
        shard(&folder, at("no"), &SplitBy::Records(0), &SplitOptions::default(), quiet).is_err()
    );
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), before);
}

#[test]
fn verification_names_members_that_are_damaged_missing_or_not_those_of_the_digest() {
    use vlstore::{codec, maintain::verify_member};
    let dir = tempfile::tempdir().unwrap();
    let (_, records) = set_of(dir.path());
    let check = || {
        let set = DataSet::open(dir.path()).unwrap();
        let one = |member| verify_member(&set, member, codec::refers, quiet).unwrap();
        (0..set.members().len()).map(one).collect::<Vec<_>>()
    };
    let found = check();
    assert!(found.iter().all(|found| found.is_intact()));
    assert_eq!(found.iter().map(|found| found.records).sum::<u64>(), records);
    // A byte that no record needs: only the digest sees it.
    let part = dir.path().join("part-3.vls");
    let whole = fs::read(&part).unwrap();
    fs::write(&part, [&whole[..], b"x"].concat()).unwrap();
    fs::remove_file(dir.path().join("part-1.vls")).unwrap();
    let found = check();
    let intact: Vec<bool> = found.iter().map(|found| found.is_intact()).collect();
    assert_eq!(intact, [true, false, true, false, true]);
    assert!(found[1].damages[0].to_string().contains("is missing"));
    assert!(
        found[3].damages[0].to_string().contains("not the one of the digest"),
        "{}",
        found[3].damages[0]
    );
}

#[test]
fn the_manifest_of_the_page_of_the_format_is_read_and_written_as_it_stands_there() {
    use vlstore::dataset::{Manifest, VERSION};
    let page = include_str!("../../docs/format.md");
    let section = page.split("\n## Data sets\n").nth(1).unwrap();
    assert!(section.contains(MANIFEST) && section.contains(&format!("| `version` | {VERSION}. ")));
    let text = section.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    let manifest = Manifest::from_text(text.as_bytes()).unwrap();
    assert_eq!(manifest.to_text(), text);
    assert_eq!(manifest.members.len(), 2);
    // Every name in it is in a table of the page, and every name of the tables in it.
    let json: serde_json::Value = serde_json::from_str(text).unwrap();
    let names =
        |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let rows: Vec<&str> = section
        .split("\n## ")
        .next()
        .unwrap()
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.split('|').nth(1).unwrap())
        .collect();
    for name in
        names(&json).into_iter().chain(names(&json["members"][0])).filter(|n| n != "checksum")
    {
        assert!(rows.iter().any(|row| row.contains(&format!("`{name}`"))), "{name}");
    }
    for name in rows.iter().flat_map(|row| row.split('`').skip(1).step_by(2)) {
        assert!(json.get(name).is_some() || json["members"][0].get(name).is_some(), "{name}");
    }
    // Members that a reader does not know are ignored.
    let more = summed(&text.replacen("{\n", "{\n \"later\": [1],\n", 1));
    assert_eq!(Manifest::from_text(more.as_bytes()).unwrap(), manifest);
}
