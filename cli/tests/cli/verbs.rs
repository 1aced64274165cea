//! Every verb does what it says, on real trajectories.

use super::{FRAMES, Folder, PROGRAM, carried, frames, shared};
use assert_cmd::Command;
use predicates::prelude::*;
use serde_json::json;
use std::fs;

#[test]
fn a_verb_that_leaves_other_programs_behind_says_so() {
    let folder = Folder::new();
    let mut writer =
        vlstore::Writer::create(folder.path("many.vls"), &vlstore::StoreOptions::default())
            .unwrap();
    // Bytes that do not compress: the file is so large that a seal of each change would not pay.
    let mut x = 1_u64;
    for i in 0..20_000_u32 {
        let bytes = std::array::from_fn::<u8, 64, _>(|_| {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (x >> 56) as u8
        });
        writer.insert(i, &bytes).unwrap();
    }
    assert!(writer.close().unwrap().sealed);
    let mut behind = 0;
    for i in 0..8 {
        for verb in [format!("put many.vls more{i} notes.txt"), format!("rm many.vls {i}")] {
            let said = folder.run(&verb).success();
            let said = String::from_utf8_lossy(&said.get_output().stderr).into_owned();
            let sealed = folder.json("info --json many.vls")["sealed"] == true;
            assert_eq!(said.contains("note: other programs see"), !sealed, "{verb}: {said}");
            assert!(sealed || said.contains("`vlstore seal many.vls`"), "{said}");
            behind += usize::from(!sealed);
        }
    }
    assert!(behind > 0, "every verb sealed: nothing was tested");
    folder.ok("seal many.vls");
    assert_eq!(folder.json("info --json many.vls")["sealed"], true);
}

#[test]
fn the_table_of_the_original_program_is_written_when_asked_and_kept() {
    let folder = Folder::new();
    let has = || folder.json("info --json frames.vls")["original_table"] == true;
    folder.ok("seal frames.vls");
    assert!(!has());
    let told = predicate::str::contains("the original program cannot read it");
    folder.run("info frames.vls").success().stdout(told);
    // It would find frames that the original program does not read.
    let told = predicate::str::contains("vlstore copy --frames table");
    folder.run("seal --original frames.vls").failure().stderr(told);
    assert!(!has());
    folder.ok("copy --frames table frames.vls others.vls");
    std::fs::rename(folder.path("others.vls"), folder.path("frames.vls")).unwrap();
    folder.ok("seal --original frames.vls");
    assert!(has());
    let told = predicate::str::contains("the original program finds what is sealed");
    folder.run("info frames.vls").success().stdout(told);
    for verb in ["rm frames.vls 3", "seal frames.vls", "compact frames.vls"] {
        folder.ok(verb);
        assert!(has(), "{verb}");
    }
    // A record without a key has no place in it.
    let mut writer =
        vlstore::Writer::open(folder.path("frames.vls"), &vlstore::StoreOptions::default().write)
            .unwrap();
    writer.put_unchecked(None, &[], 0, vlstore::Existing::Refuse).unwrap();
    writer.close().unwrap();
    let told = predicate::str::contains("a record has no key");
    folder.run("seal --original frames.vls").success().stderr(told);
    assert!(!has());
}

#[test]
fn info_tells_what_is_there_to_people_and_programs() {
    let folder = Folder::new();
    let info = folder.json("info --json frames.vls");
    for name in
        ["records", "bytes", "ratio", "codec", "commits", "sealed", "dead_bytes", "attributes"]
    {
        assert!(!info[name].is_null(), "{name}");
    }
    assert_eq!(info["records"], FRAMES);
    assert_eq!(info["codec"], "md-frame");
    assert_eq!(info["bytes"], fs::metadata(folder.path("frames.vls")).unwrap().len());
    assert_eq!((&info["sealed"], &info["dead_bytes"]), (&json!(true), &json!(0)));
    assert_eq!(info["attributes"]["units"]["length"], "nm");
    folder.run("info frames.vls").success().stdout(
        predicate::str::contains("records     1001")
            .and(predicate::str::contains("codec       md-frame"))
            .and(predicate::str::contains("other programs see the whole store")),
    );
    // What is deleted is dead; a delete closes the store without a seal at most.
    folder.ok("rm frames.vls 3 5");
    let info = folder.json("info --json frames.vls");
    assert_eq!((&info["records"], &info["dead_bytes"]), (&json!(FRAMES - 2), &json!(616)));
    folder.ok("seal frames.vls");
    let info = folder.json("info --json frames.vls");
    assert_eq!((&info["sealed"], &info["sealed_records"]), (&json!(true), &json!(FRAMES - 2)));
    folder.fails(4, "get frames.vls 3");
}

#[test]
fn a_file_of_the_original_program_is_read_and_called_unchecked() {
    let Some(path) = shared("vlstore/readme-30x200-nocross.vlstore") else { return };
    let folder = Folder::new();
    fs::copy(path, folder.path("old.vlstore")).unwrap();
    let info = folder.json("info --json old.vlstore");
    assert_eq!((&info["opened"], &info["records"]), (&json!("unchecked"), &json!(30)));
    folder.run("info old.vlstore").success().stdout(predicate::str::contains("unchecked"));
    folder.run("verify old.vlstore").success().stdout(predicate::str::contains("no checksum"));
    let frame = folder.json("get --codec md-frame --as json --at 0 old.vlstore");
    assert_eq!(frame["nsites"], 200);
}

#[test]
fn ls_lists_ranges_for_people_and_programs() {
    let folder = Folder::new();
    assert_eq!(folder.ok("ls frames.vls").lines().count(), FRAMES + 1);
    let lines = folder.ok("ls --json --range -2: frames.vls");
    let last: Vec<serde_json::Value> =
        lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(last.len(), 2);
    assert_eq!(last[1], json!({"ordinal": 1000, "key": 1000, "bytes": 308, "weight": 22}));
    let text = folder.ok("ls --range ::-500 frames.vls");
    let keys: Vec<&str> = text.lines().skip(1).map(|l| l.rsplit(' ').next().unwrap()).collect();
    assert_eq!(keys, ["1000", "500", "0"]);
}

#[test]
fn keys_of_all_kinds_are_put_listed_fetched_and_removed() {
    let folder = Folder::new();
    let put = |key: &str, bytes: &'static [u8]| {
        let mut run = Command::new(PROGRAM);
        run.current_dir(folder.0.path()).args(["put", "kv.vls", key]).write_stdin(bytes).assert()
    };
    for (key, bytes) in [
        ("7", &b"number"[..]),
        ("str:7", b"text"),
        ("hex:37", b"bytes"),
        ("-1", b"minus"),
        ("empty", b""),
        ("18446744073709551615", b"largest"),
    ] {
        put(key, bytes).success();
        assert_eq!(folder.ok(&format!("get kv.vls {key}")).as_bytes(), bytes, "{key}");
    }
    let said = put("7", b"again").code(1);
    said.stderr(predicate::str::contains("7 exists").and(predicate::str::contains("--overwrite")));
    folder.ok("put --overwrite kv.vls 7 notes.txt");
    assert_eq!(folder.ok("get kv.vls 7"), "some notes\n");
    assert_eq!(
        folder.json("get --as json kv.vls str:7"),
        json!({"codec": "raw", "bytes": 4, "encoding": "utf-8", "data": "text"})
    );
    // The keys as they are listed can be given back.
    let list = folder.ok("ls kv.vls");
    let keys: Vec<&str> = list.lines().skip(1).map(|l| l.rsplit(' ').next().unwrap()).collect();
    assert_eq!(keys, ["str:7", "hex:37", "-1", "empty", "18446744073709551615", "7"]);
    // One that is missing: none is removed.
    folder.fails(4, "rm kv.vls 7 nobody");
    folder.ok(&format!("rm kv.vls {}", keys.join(" ")));
    assert_eq!(folder.json("info --json kv.vls")["records"], 0);
}

#[test]
fn get_writes_a_new_file_whole_or_none() {
    let folder = Folder::new();
    folder.ok("get --output one.bin frames.vls 7");
    let bytes = fs::read(folder.path("one.bin")).unwrap();
    assert_eq!(bytes.len(), 308);
    assert!(folder.fails(1, "get --output one.bin frames.vls 8").contains("one.bin exists"));
    assert_eq!(fs::read(folder.path("one.bin")).unwrap(), bytes);
    folder.ok("get --output last.json --as json --at -1 frames.vls");
    let text = fs::read_to_string(folder.path("last.json")).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap()["step"], 50_000);
    assert!(folder.fails(4, "get --at 1001 frames.vls").contains("has 1001 records"));
}

#[test]
fn a_file_of_the_original_program_is_extended() {
    let Some(path) = shared("vlstore/readme-30x200-nocross.vlstore") else { return };
    let folder = Folder::new();
    fs::copy(&path, folder.path("old.vls")).unwrap();
    let said = folder.run("import --append --keep-all run.xtc old.vls").code(1);
    said.stderr(predicate::str::contains("--same-units"));
    assert_eq!(fs::read(folder.path("old.vls")).unwrap(), fs::read(&path).unwrap());
    folder.ok(
        "import -q --append --keep-all --same-units --mixed --name-prefix new- run.xtc old.vls",
    );
    let info = folder.json("info --json old.vls");
    assert_eq!((&info["opened"], &info["records"]), (&json!("intact"), &json!(30 + FRAMES)));
    assert_eq!(info["codec"], "md-frame");
    assert_eq!(folder.json("get --as json --at 0 old.vls")["nsites"], 200);
    assert_eq!(folder.json("get --as json --at -1 old.vls")["step"], 50_000);
}

#[test]
fn verify_finds_nothing_in_a_whole_store_and_names_damage_by_record_and_place() {
    let folder = Folder::new();
    folder.ok("import -q --chunk-size 64KiB run.xtc chunks.vls");
    let found = folder.json("verify --json chunks.vls");
    assert_eq!((&found["intact"], &found["records"]), (&json!(true), &json!(FRAMES)));
    // One bit after the other, until it is one of a record: files have parts that are dead.
    let whole = fs::read(folder.path("chunks.vls")).unwrap();
    let hit = (15_000..whole.len()).step_by(7919).find_map(|at| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(folder.path("chunks.vls"), &bytes).unwrap();
        let assert = folder.run("verify --json chunks.vls");
        let found: serde_json::Value =
            serde_json::from_slice(&assert.get_output().stdout).unwrap_or_default();
        let damages = found["damages"].as_array().cloned().unwrap_or_default();
        let costs = |d: &serde_json::Value| {
            let effects = d["effects"].as_array().cloned().unwrap_or_default();
            effects.into_iter().find_map(|e| e["records"][0]["ordinal"].as_u64())
        };
        let damage = damages.into_iter().find(|d| costs(d).is_some())?;
        assert.code(3);
        let ordinal = costs(&damage)?;
        Some((at, found, damage, ordinal))
    });
    let (at, found, damage, ordinal) = hit.expect("no bit that belongs to a record");
    let assert = folder.run("verify chunks.vls").code(3);
    let text = String::from_utf8_lossy(&assert.get_output().stdout).into_owned();
    assert!(text.contains("cannot be read") && text.contains("at byte "), "{text}");
    assert!(damage["part"].is_string() && found["intact"] == json!(false), "{found}");
    let offset = usize::try_from(damage["offset"].as_u64().unwrap()).unwrap();
    assert!(offset <= at && at < offset + 100_000, "{at}: {found}");
    // A record in the damaged block cannot be had, with the status for damage; others can.
    let said = folder.fails(3, &format!("get --at {ordinal} chunks.vls"));
    assert!(said.contains("checksum differs"), "{said}");
    folder.ok("get --at 1000 chunks.vls");
}

#[test]
fn bench_measures_a_store_and_a_trajectory_and_checks_what_it_reads() {
    let folder = Folder::new();
    let rows = |file: &str| {
        let figures =
            folder.json(&format!("bench --json --seconds 0.02 {file}"))["figures"].clone();
        let rows = figures.as_array().unwrap().clone();
        assert!(rows.iter().all(|r| r["records_per_second"].as_f64().unwrap() > 0.0));
        rows.iter().map(|r| r["what"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(rows("frames.vls"), ["in order", "at random", "batches of 256"]);
    // A trajectory is measured in the store that `import` makes of it.
    let bench = folder.json("bench --json --seconds 0.02 run.xtc");
    let info = folder.json("info --json frames.vls");
    assert_eq!((&bench["records"], &bench["raw_bytes"]), (&info["records"], &info["raw_bytes"]));
    let [bench, info] = [&bench, &info].map(|v| v["bytes"].as_f64().unwrap());
    // Names and times differ by some bytes.
    assert!((bench - info).abs() < 200.0, "{bench} and {info}");
    assert_eq!(rows("run.xtc"), ["import", "in order", "at random", "batches of 256"]);
    folder
        .run("bench --seconds 0.02 --batch 16 frames.vls")
        .success()
        .stdout(predicate::str::contains("batches of 16").and(predicate::str::contains("MB/s")));
    assert!(folder.made().is_empty());
}

#[test]
fn demo_kills_a_writer_goes_on_and_finds_every_frame() {
    let folder = Folder::new();
    let text = folder.ok("demo --keep kept");
    for says in
        ["every checksum of the file is right", "random frame", "size", "sequential scan", "append"]
    {
        assert!(text.contains(says), "{says}: {text}");
    }
    if cfg!(unix) {
        assert!(text.contains("SIGKILL"), "{text}");
    }
    let mut kept = fs::read_dir(folder.path("kept")).unwrap().map(|e| e.unwrap().path());
    let carried = kept.find(|p| p.extension().is_some_and(|e| e == "xtc")).unwrap();
    let count = frames(&carried).len();
    assert!(text.contains(&format!("all {count} frames equal")), "{text}");
    assert_eq!(folder.json("info --json kept/demo.vls")["records"], count);
    // Again in the same folder, with a trajectory of one's own.
    folder.ok("demo --keep kept run.xtc");
}

#[test]
fn columns_are_listed_and_written_as_text_and_as_json() {
    let folder = Folder::new();
    let listed = folder.ok("columns frames.vls");
    for name in ["step", "time", "energy", "cell", "weight", "bytes"] {
        let line = listed.lines().find(|l| l.starts_with(name)).unwrap();
        assert!(line.ends_with("  kept"), "{line}");
    }
    let text = folder.ok("columns frames.vls step time energy cell weight");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.len(), lines[0].split(',').count()), (FRAMES + 1, 13));
    assert!(lines[0].starts_with("step,time,energy,cell_0,") && lines[0].ends_with(",weight"));
    for (line, frame) in lines[1..].iter().zip(frames(&carried())) {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells[0].parse().ok(), frame.step);
        assert_eq!(cells[1].parse().ok(), frame.time);
        assert_eq!((cells[2], cells[12]), ("", "22"));
        assert_eq!(cells[3].parse().ok(), frame.cell.map(|c| c[0]));
    }
    let last = folder.json("columns --json --range -1 frames.vls weight cell energy");
    assert_eq!((&last["weight"], &last["energy"]), (&json!(22), &json!(null)));
    assert_eq!(last["cell"].as_array().unwrap().len(), 9);
    let said = folder.fails(1, "columns frames.vls tmie");
    assert!(said.contains("\"tmie\"") && said.contains("time") && said.contains("hint"), "{said}");
    let Some(old) = shared("vlstore/readme-30x200-nocross.vlstore") else { return };
    let old = old.to_str().unwrap();
    assert!(folder.ok(&format!("columns --codec md-frame {old}")).contains("computed by decoding"));
}

#[test]
fn chosen_fields_of_a_frame_are_shown_and_no_other() {
    let folder = Folder::new();
    let whole = folder.json("get --as json frames.vls 7");
    let some = folder.json("get --as json --fields positions,time frames.vls 7");
    assert_eq!((&some["positions"], &some["time"]), (&whole["positions"], &whole["time"]));
    assert!(whole.get("cell").is_some() && some.get("cell").is_none());
    assert_eq!(folder.json("get --as json --fields time --at 7 frames.vls")["time"], whole["time"]);
    assert!(folder.fails(2, "get --fields speed frames.vls 7").contains("velocities"));
    assert!(folder.fails(4, "get --fields time frames.vls 7777").contains("7777"));
}

#[test]
fn statistics_for_training_are_computed_and_kept() {
    let folder = Folder::new();
    let computed = folder.json("stat --training --json frames.vls");
    assert_eq!((&computed["frames"], &computed["sites"]), (&json!(FRAMES), &json!(FRAMES * 22)));
    assert_eq!(folder.json("stat --training --keep --json frames.vls"), computed);
    let kept = &folder.json("info --json frames.vls")["attributes"]["statistics"];
    assert_eq!((&kept["frames"], &kept["total"]), (&json!(FRAMES), &json!(FRAMES)));
    assert_eq!(folder.json("stat --training --json frames.vls"), computed);
    assert!(folder.ok("stat --training frames.vls").contains("from 22 to 22 each"));
}
