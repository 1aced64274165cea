//! The verbs that keep a store in order: what they say, what they leave, how they end.

use super::{FRAMES, Folder, PROGRAM};
use serde_json::json;
use std::fs;
use vlstore::{StoreOptions, Writer};

#[test]
fn compact_gives_dead_space_back_and_says_how_much() {
    let folder = Folder::new();
    folder.ok("rm frames.vls 1 2");
    folder.ok("get --output old frames.vls 4");
    folder.ok("put --overwrite frames.vls 3 old");
    let stat = folder.json("stat --json frames.vls");
    assert_eq!((&stat["dead_records"], &stat["dead_bytes"]), (&3.into(), &(3 * 308).into()));
    assert!(folder.ok("stat frames.vls").contains("dead: 3 records, 924 B"));
    folder.ok("rm frames.vls 3");
    fs::remove_file(folder.path("old")).unwrap();
    let done = folder.json("compact --json frames.vls");
    assert_eq!((done["records"].as_u64(), done["dead_records"].as_u64()), (Some(998), Some(4)));
    assert!(done["bytes_after"].as_u64() < done["bytes_before"].as_u64());
    let info = folder.json("info --json frames.vls");
    assert_eq!((info["dead_bytes"].as_u64(), info["records"].as_u64()), (Some(0), Some(998)));
    assert!(folder.ok("compact frames.vls").contains("998 records"));
    folder.ok("verify frames.vls");
    assert!(folder.made().is_empty());
}

#[test]
fn recover_ends_with_status_3_if_something_is_lost_and_names_it() {
    let folder = Folder::new();
    let whole = folder.ok("recover frames.vls same.vls");
    assert!(whole.contains("0 records lost"), "{whole}");
    assert!(folder.fails(1, "recover frames.vls same.vls").contains("--overwrite"));
    let mut bytes = fs::read(folder.path("frames.vls")).unwrap();
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    fs::write(folder.path("bad.vls"), &bytes).unwrap();
    let run = folder.run("recover --json bad.vls saved.vls").code(3);
    let report: serde_json::Value = serde_json::from_slice(&run.get_output().stdout).unwrap();
    let lost = report["lost"].as_u64().unwrap();
    assert!(lost > 0 && lost < 200);
    assert_eq!(report["records"].as_u64().unwrap() + lost, FRAMES as u64);
    let named = report["losses"].as_array().unwrap().iter().filter(|l| !l["record"].is_null());
    assert_eq!(named.count() as u64, lost);
    folder.ok("verify saved.vls");
    let text = folder.run("recover --overwrite bad.vls saved.vls").code(3);
    let text = String::from_utf8_lossy(&text.get_output().stdout).into_owned();
    assert!(text.contains("lost: ") && text.contains(" byte "), "{text}");
    assert_eq!(fs::read(folder.path("bad.vls")).unwrap(), bytes);
}

#[test]
fn a_store_that_no_longer_says_what_its_records_are_is_told_so() {
    let folder = Folder::new();
    let mut bytes = fs::read(folder.path("frames.vls")).unwrap();
    bytes.iter_mut().skip(1024).take(100).for_each(|b| *b = 0x5a);
    fs::write(folder.path("bad.vls"), &bytes).unwrap();
    let out = folder.run("recover --codec md-frame bad.vls saved.vls").code(3);
    let text = String::from_utf8_lossy(&out.get_output().stdout).into_owned();
    assert!(text.contains("configuration is lost") && text.contains("0 records lost"), "{text}");
    folder.ok("export --quiet saved.vls saved.xtc");
    assert_eq!(
        fs::read(folder.path("saved.xtc")).unwrap(),
        fs::read(folder.path("run.xtc")).unwrap()
    );
    // Columns, which the configuration lists, are made anew.
    let listed = folder.ok("columns saved.vls");
    assert!(listed.lines().any(|l| l.starts_with("step") && l.ends_with("  kept")), "{listed}");
    let steps = |store: &str| folder.ok(&format!("columns {store} step time"));
    assert_eq!(steps("saved.vls"), steps("frames.vls"));
    assert!(folder.fails(2, "recover --codec pickle bad.vls other.vls").contains("pickle"));
}

#[test]
fn copies_splits_and_merges_hold_the_frames_that_were_asked_for() {
    let folder = Folder::new();
    let of =
        |store: &str| folder.json(&format!("info --json {store}"))["records"].as_u64().unwrap();
    folder.ok("copy --range ::10 --compression lz4 frames.vls tenth.vls");
    assert_eq!(of("tenth.vls"), 101);
    assert_eq!(folder.json("info --json tenth.vls")["compression"], "lz4");
    folder.ok("copy --match 99? frames.vls nines.vls");
    assert_eq!(of("nines.vls"), 10);
    folder.ok("copy --keys 5 7 --overwrite -- frames.vls nines.vls");
    assert_eq!(of("nines.vls"), 2);
    assert!(folder.fails(4, "copy --overwrite --keys=5000 frames.vls nines.vls").contains("5000"));
    assert!(folder.fails(1, "copy --range ::-1 frames.vls x.vls").contains("above 0"));
    folder.ok("split --records 400 frames.vls part.vls");
    assert_eq!(["part-000.vls", "part-001.vls", "part-002.vls"].map(of), [400, 400, 201]);
    folder.ok("merge part-000.vls part-001.vls part-002.vls whole.vls");
    folder.ok("export --quiet whole.vls whole.xtc");
    assert_eq!(
        fs::read(folder.path("whole.xtc")).unwrap(),
        fs::read(folder.path("run.xtc")).unwrap()
    );
    let said = folder.fails(1, "merge frames.vls tenth.vls both.vls");
    assert!(said.contains("record 0 of tenth.vls in frames.vls") && said.contains("--clash"));
    assert!(!folder.path("both.vls").exists());
}

#[test]
fn stat_shows_a_picture_and_the_same_as_json() {
    let folder = Folder::new();
    let picture = folder.ok("stat frames.vls");
    assert!(picture.contains("1001 records") && picture.contains("####"), "{picture}");
    let stat = folder.json("stat --json frames.vls");
    let counted: u64 =
        stat["sizes"].as_array().unwrap().iter().map(|s| s["records"].as_u64().unwrap()).sum();
    assert_eq!(counted, FRAMES as u64);
}

#[test]
fn follow_tells_of_the_state_and_ends_when_asked_to() {
    let folder = Folder::new();
    let line = folder.json("follow --json --until-closed frames.vls");
    assert_eq!((line["records"].as_u64(), line["last_key"].as_u64()), (Some(1001), Some(1000)));
    assert_eq!(line["closed"], true);
    // A second line comes with the next commit.
    let child = std::process::Command::new(PROGRAM)
        .args(["follow", "--count", "3", "--interval", "50ms", "--json", "frames.vls"])
        .current_dir(folder.0.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(400));
    folder.ok("rm frames.vls 3");
    std::thread::sleep(std::time::Duration::from_millis(400));
    // Another file in its place is followed.
    folder.ok("compact frames.vls");
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let records: Vec<_> = lines.iter().map(|l| l["records"].as_u64().unwrap()).collect();
    assert!(output.status.success());
    assert_eq!((lines.len(), records.first(), records.last()), (3, Some(&1001), Some(&1000)));
}

#[test]
fn shells_and_man_get_their_files() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(folder.ok(&format!("completions {shell}")).contains("recover"), "{shell}");
    }
    folder.ok("man .");
    let page = fs::read_to_string(folder.path("vlstore-recover.1")).unwrap();
    assert!(page.contains("damaged"));
    assert!(folder.fails(1, "man missing").contains("missing"));
}

#[test]
fn positions_of_an_xtc_file_are_integers_unless_they_are_wanted_as_given_or_rounded() {
    let folder = Folder::new();
    let import = |how: &str, store: &str| {
        folder.ok(&format!("import {how} run.xtc {store}").replace("  ", " "))
    };
    let size =
        |store: &str| folder.json(&format!("info --json {store}"))["bytes"].as_u64().unwrap();
    let frame = |store: &str| folder.json(&format!("get --as json --at 500 {store}"));
    let source = fs::read(folder.path("run.xtc")).unwrap();
    let exported = |store: &str| {
        folder.ok(&format!("export -q --overwrite {store} back.xtc"));
        fs::read(folder.path("back.xtc")).unwrap()
    };
    let said = import("", "quantised.vls");
    assert!(said.contains("as integers, equal to the last bit"), "{said}");
    assert!(!import("--positions given", "given.vls").contains("positions"));
    assert!(3 * size("quantised.vls") < 2 * size("given.vls"));
    assert_eq!(frame("quantised.vls"), frame("given.vls"));
    // Each becomes the other by a copy, and all give back the file.
    folder.ok("copy --positions given quantised.vls to-given.vls");
    folder.ok("copy --positions quantised --topologies always given.vls to-quantised.vls");
    for store in ["quantised.vls", "given.vls", "to-quantised.vls", "to-given.vls"] {
        assert_eq!(exported(store), source, "{store}");
        folder.ok(&format!("verify {store}"));
    }
    let bytes = |store: &str| {
        folder.ok(&format!("get --output {store}.bin --at 500 {store}"));
        fs::read(folder.path(&format!("{store}.bin"))).unwrap()
    };
    assert_eq!(bytes("to-given.vls"), bytes("given.vls"));
    assert_eq!(bytes("to-quantised.vls"), bytes("quantised.vls"));
    // What is lost is found in integers, too.
    folder.ok("recover quantised.vls saved.vls");
    assert_eq!(exported("saved.vls"), source);

    let said = import("--precision 100", "rounded.vls");
    assert!(said.contains("rounded to integers of 1/100 nm"), "{said}");
    assert!(size("rounded.vls") < size("quantised.vls"));
    let (rounded, given) = (frame("rounded.vls"), frame("given.vls"));
    assert_eq!(rounded["precision"], 100.0);
    let numbers = |frame: &serde_json::Value| -> Vec<f64> {
        let list = frame["positions"]["data"].as_array().unwrap();
        list.iter().map(|x| x.as_f64().unwrap()).collect()
    };
    let (a, b) = (numbers(&rounded), numbers(&given));
    let most = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!((0.004..0.005_01).contains(&most), "{most}");
    folder.fails(1, "import --precision 0 run.xtc no.vls");
    folder.fails(2, "import --precision 10 --positions quantised run.xtc no.vls");
    folder.fails(2, "import --positions half run.xtc no.vls");
    assert!(!folder.path("no.vls").exists());
}

#[test]
fn verify_takes_several_stores_and_ends_with_the_worst_status() {
    let folder = Folder::new();
    // Keys in no order have a run: there one byte costs much.
    let mut w = Writer::create(folder.path("keys.vls"), &StoreOptions::default()).unwrap();
    for i in 0..500_u64 {
        w.insert(i * 7919 % 500, b"a record").unwrap();
    }
    w.close().unwrap();
    let mut bad = fs::read(folder.path("keys.vls")).unwrap();
    let run = (12_288..bad.len()).step_by(64).rfind(|at| bad[*at..].starts_with(b"VLrun")).unwrap();
    bad[run + 70] ^= 1;
    fs::write(folder.path("bad.vls"), &bad).unwrap();
    let out = folder.run("verify frames.vls bad.vls frames.vls").code(3);
    let text = String::from_utf8_lossy(&out.get_output().stdout).into_owned();
    let verdicts = text.lines().filter(|l| l.contains(".vls: ")).count();
    assert_eq!(verdicts, 3, "{text}");
    assert!(text.contains("records cannot be found by key: "), "{text}");
    assert!(text.lines().count() < 10 && !text.contains("vlstore verify"), "{text}");
    // As JSON, an object for each; quietly, nothing.
    let out = folder.run("verify --json frames.vls bad.vls").code(3);
    let lines = String::from_utf8_lossy(&out.get_output().stdout).into_owned();
    let whole: Vec<bool> = lines
        .lines()
        .map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap()["intact"].as_bool().unwrap())
        .collect();
    assert_eq!(whole, [true, false]);
    folder.run("verify -q frames.vls").code(0).stdout("").stderr("");
    folder.run("verify -q frames.vls bad.vls").code(3).stdout("").stderr("");
    // One that cannot be checked keeps no other from it.
    let out = folder.run("verify missing.vls frames.vls").code(1);
    let text = String::from_utf8_lossy(&out.get_output().stdout).into_owned();
    assert!(text.starts_with("frames.vls: intact"), "{text}");
    folder.run("verify missing.vls bad.vls").code(3);
}

#[test]
fn a_store_that_was_cut_short_is_recovered_and_the_status_says_that_it_is_damaged() {
    let folder = Folder::new();
    folder.ok("import -q --chunk-size 64KiB run.xtc whole.vls");
    let good = fs::read(folder.path("whole.vls")).unwrap();
    fs::write(folder.path("cut.vls"), &good[..good.len() / 2]).unwrap();
    let out = folder.run("recover cut.vls saved.vls").code(3);
    let text = String::from_utf8_lossy(&out.get_output().stdout).into_owned();
    assert!(text.lines().count() < 12 && text.contains(" lost"), "{text}");
    let saved = folder.json("info --json saved.vls")["records"].as_u64().unwrap();
    assert!(saved > 0);
    folder.ok("verify -q saved.vls");
    // What came back is what was there, under its key.
    let first = folder.ok("get --as json saved.vls 0");
    assert_eq!(first, folder.ok("get --as json whole.vls 0"));
    let last = saved - 1;
    let (saved, whole) =
        (format!("get --as json saved.vls {last}"), format!("get --as json whole.vls {last}"));
    assert_eq!(folder.ok(&saved), folder.ok(&whole));
    // Slots that are gone cost nothing here; that they are, the status says.
    let mut slot = good;
    slot[4096..12_288].fill(0);
    fs::write(folder.path("slots.vls"), &slot).unwrap();
    let report: serde_json::Value = serde_json::from_slice(
        &folder.run("recover --json slots.vls new.vls").code(3).get_output().stdout,
    )
    .unwrap();
    assert_eq!((&report["lost"], &report["damaged"]), (&json!(0), &json!(true)), "{report}");
}
