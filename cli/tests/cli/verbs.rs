//! Every verb does what it says, on real trajectories.

use super::{FRAMES, Folder, PROGRAM, carried, frames, shared};
use assert_cmd::Command;
use predicates::prelude::*;
use serde_json::json;
use std::fs;
use std::path::Path;
use vlstore::codec::{MdFrame, Property, Real, Values};

#[test]
fn a_trajectory_comes_back_byte_for_byte() {
    let folder = Folder::new();
    folder.run("export frames.vls back.xtc").success().stdout("back.xtc: 1001 frames as xtc\n");
    assert_eq!(fs::read(folder.path("back.xtc")).unwrap(), fs::read(carried()).unwrap());
}

#[test]
fn a_verb_that_leaves_other_programs_behind_says_so() {
    let folder = Folder::new();
    let mut writer =
        vlstore::Writer::create(folder.path("many.vls"), &vlstore::StoreOptions::default())
            .unwrap();
    for i in 0..20_000_u32 {
        writer.insert(i, &[7; 64]).unwrap();
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
fn what_frames_share_is_stored_once_shown_with_each_and_dropped_with_the_last() {
    let folder = Folder::new();
    let line =
        |step: usize, i: usize| format!("{} {step}.5 {i} 0.25 label{i}\n", ["C", "H", "O"][i % 3]);
    let text: String = (0..6)
        .map(|step| {
            let sites = if step < 5 { 40 } else { 30 };
            let atoms: String = (0..sites).map(|i| line(step, i)).collect();
            format!("{sites}\nProperties=species:S:1:pos:R:3:label:S:1 step={step}\n{atoms}")
        })
        .collect();
    fs::write(folder.path("a.extxyz"), text).unwrap();
    for when in ["repeated", "never", "always"] {
        folder.ok(&format!("import --quiet --topologies {when} a.extxyz {when}.vls"));
        folder.ok(&format!("export --quiet {when}.vls {when}.extxyz"));
        let [one, all] = [when, "repeated"].map(|w| folder.path(&format!("{w}.extxyz")));
        assert_eq!(fs::read(one).unwrap(), fs::read(all).unwrap(), "{when}");
    }
    for (when, shared) in [("never", 0), ("repeated", 1), ("always", 2)] {
        assert_eq!(folder.json(&format!("info --json {when}.vls"))["shared"], shared);
        assert_eq!(folder.ok(&format!("topology {when}.vls")).lines().count(), shared + 1);
    }
    assert!(folder.ok("info repeated.vls").contains("topologies  1, to which records refer"));
    let line = folder.json("topology --json repeated.vls");
    let digest = line["digest"].as_str().unwrap();
    let frame = folder.json("get --as json repeated.vls 3");
    assert_eq!((&frame["topology"], &frame["types"]["data"][2]), (&json!(digest), &json!(8)));
    assert_eq!(frame["atom_properties"][0]["data"][7], "label7");
    let whole = folder.json("get --as json never.vls 3");
    assert_eq!((&whole["types"], &whole["topology"]), (&frame["types"], &json!(null)));
    let shown = folder.json(&format!("topology repeated.vls {}", &digest[..6]));
    assert_eq!((&shown["types"], &shown["nsites"]), (&frame["types"], &json!(40)));
    folder.fails(4, "topology repeated.vls x");
    folder.ok("verify repeated.vls");
    folder.ok("copy --range 5: always.vls last.vls");
    assert_eq!(folder.json("info --json last.vls")["shared"], 1);
    folder.ok("merge --clash keep-first repeated.vls always.vls both.vls");
    assert_eq!(folder.json("info --json both.vls")["shared"], 1);
    for n in 0..5 {
        folder.ok(&format!("rm repeated.vls {n}"));
    }
    folder.ok("compact repeated.vls");
    assert_eq!(folder.json("info --json repeated.vls")["shared"], 0);
    assert_eq!(folder.json("get --as json repeated.vls 5")["types"]["data"][0], 6);
}

#[test]
fn positions_are_those_that_another_reader_of_xtc_finds() {
    let folder = Folder::new();
    let mut reader = molly::XTCReader::open(carried()).unwrap();
    let mut frame = molly::Frame::default();
    for ordinal in 0..FRAMES {
        reader.read_frame(&mut frame).unwrap();
        if ordinal % 97 == 0 {
            let got = folder.json(&format!("get --as json frames.vls {ordinal}"));
            let floats = got["positions"]["data"].as_array().unwrap();
            #[expect(clippy::cast_possible_truncation, reason = "printed from a float32")]
            let got: Vec<f32> = floats.iter().map(|x| x.as_f64().unwrap() as f32).collect();
            assert_eq!(got, frame.positions, "frame {ordinal}");
        }
    }
}

#[test]
fn all_real_xtc_files_come_back_frame_by_frame() {
    let Some(md) = shared("md") else { return };
    let folder = Folder::new();
    let mut seen = 0;
    for entry in fs::read_dir(md).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "xtc") {
            continue;
        }
        let source = path.to_str().unwrap();
        folder.ok(&format!("import --quiet --overwrite {source} new.vls"));
        folder.ok("verify new.vls");
        folder.ok("export --quiet --overwrite new.vls back.xtc");
        let (there, back) = (frames(&path), frames(&folder.path("back.xtc")));
        assert!(there == back, "{source}: {} and {} frames", there.len(), back.len());
        seen += 1;
    }
    assert!(seen > 3);
}

#[test]
fn all_real_extxyz_files_come_back_frame_by_frame() {
    let Some(data) = shared("extxyz") else { return };
    let folder = Folder::new();
    for entry in fs::read_dir(data).unwrap() {
        let path = entry.unwrap().path();
        let source = path.to_str().unwrap();
        folder.ok(&format!("import --quiet --overwrite {source} new.vls"));
        folder.ok("export --quiet --overwrite new.vls back.extxyz");
        let (there, back) = (frames(&path), frames(&folder.path("back.extxyz")));
        assert!(there == back, "{source}: {} and {} frames", there.len(), back.len());
    }
}

#[test]
fn every_option_of_the_layout_gives_back_the_same_frames() {
    let folder = Folder::new();
    for options in [
        "--purpose dense",
        "--purpose random --durability sync",
        "--codec lz4 --level 9 --block-size 4KiB --chunk-size 64KiB",
        "--codec none --alignment contiguous",
        "--codec zlib --alignment no_cross --durability none",
        "--alignment start --chunk-size 4096 --threads 1",
        "--commit-every 100frames,1MiB,10s --name-prefix frame-",
    ] {
        folder.ok(&format!("import -q --overwrite {options} run.xtc new.vls"));
        folder.ok("verify new.vls");
        folder.ok("export -q --overwrite new.vls back.xtc");
        assert_eq!(
            fs::read(folder.path("back.xtc")).unwrap(),
            fs::read(carried()).unwrap(),
            "{options}"
        );
    }
    let first: serde_json::Value =
        serde_json::from_str(&folder.ok("ls --json --range 3 new.vls")).unwrap();
    assert_eq!(first, json!({"ordinal": 3, "key": "frame-3", "bytes": 308, "sites": 22}));
    folder.ok("import -q --append --keep-all --name-prefix frame- run.xtc new.vls");
    folder.ok("get new.vls frame-2001");
}

#[test]
fn the_table_of_the_original_program_is_written_when_asked_and_kept() {
    let folder = Folder::new();
    let has = || folder.json("info --json frames.vls")["lookup"] == true;
    folder.ok("seal frames.vls");
    assert!(!has());
    let told = predicate::str::contains("the original program cannot read it");
    folder.run("info frames.vls").success().stdout(told);
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
        vlstore::Writer::open(folder.path("frames.vls"), &vlstore::StoreOptions::default())
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
    assert_eq!(last[1], json!({"ordinal": 1000, "key": 1000, "bytes": 308, "sites": 22}));
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
fn an_append_goes_on_where_the_store_ends_or_where_it_is_told_to() {
    let folder = Folder::new();
    let records = |name: &str| folder.json(&format!("info --json {name}"))["records"].clone();
    let same = |name: &str| {
        folder.ok(&format!("export -q --overwrite {name} back.xtc"));
        assert_eq!(fs::read(folder.path("back.xtc")).unwrap(), fs::read(carried()).unwrap());
    };
    // The same trajectory again adds nothing.
    let said = folder.ok("import --append run.xtc frames.vls");
    assert!(said.contains("skipped 1001 frames") && said.contains("0 frames imported"), "{said}");
    same("frames.vls");
    // A part, then all: what is there is skipped.
    folder.ok("export -q --frames :400 frames.vls part.xtc");
    folder.ok("import -q part.xtc a.vls");
    folder.ok("import -q --append run.xtc a.vls");
    same("a.vls");
    // Newer frames of the store are dropped, by step and by number.
    let said = folder.ok("import --append --from-step 30000 --drop-newer run.xtc a.vls");
    assert!(said.contains("dropped 401 frames") && said.contains("skipped 600 frames"), "{said}");
    same("a.vls");
    let said = folder.ok("import --append --from-frame 10 --drop-newer run.xtc a.vls");
    assert!(said.contains("dropped 991 frames"), "{said}");
    same("a.vls");
    assert_eq!(folder.json("get --as json a.vls 1000")["step"], 50_000);
    // A selection of the source in a new store.
    folder.ok("import -q --from-frame 900 run.xtc tail.vls");
    assert_eq!(records("tail.vls"), 101);
    folder.ok("import -q --from-step 49000 run.xtc steps.vls");
    assert_eq!(records("steps.vls"), 21);
    // Everything, whatever the steps, under new numbers.
    folder.ok("import -q --append --keep-all run.xtc steps.vls");
    assert_eq!(records("steps.vls"), 21 + FRAMES);
    assert_eq!(folder.json("get --as json steps.vls 21")["step"], 0);
}

/// Runs whose steps start again, steps all 0: what is stored is known by its content.
#[test]
fn a_resumed_import_neither_loses_nor_doubles_a_frame() {
    let folder = Folder::new();
    for name in ["replica-a", "replica-b", "replica-b-first5", "steps-zero", "steps-zero-first5"] {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data");
        let name = format!("{name}.xtc");
        fs::copy(data.join(&name), folder.path(&name)).unwrap();
    }
    for (n, (first, then)) in [
        ("replica-a.xtc", "replica-a.xtc replica-b.xtc"),
        ("replica-a.xtc replica-b-first5.xtc", "replica-a.xtc replica-b.xtc"),
        ("steps-zero-first5.xtc", "steps-zero.xtc"),
    ]
    .into_iter()
    .enumerate()
    {
        folder.ok(&format!("import -q {first} {n}.vls"));
        folder.ok(&format!("import -q --append {then} {n}.vls"));
        folder.ok(&format!("export -q {n}.vls {n}.xtc"));
        let source: Vec<u8> =
            then.split(' ').flat_map(|name| fs::read(folder.path(name)).unwrap()).collect();
        assert_eq!(fs::read(folder.path(&format!("{n}.xtc"))).unwrap(), source, "{first}");
    }
    // A copy of a run has another name, and is known.
    let said = folder.ok("import --append replica-b.xtc 1.vls");
    assert!(said.contains("0 frames imported") && said.contains("skipped 10 frames"), "{said}");
}

#[cfg(unix)]
#[test]
fn standard_input_and_compressed_files_are_read() {
    let folder = Folder::new();
    let shell = |line: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", line, PROGRAM]).current_dir(folder.0.path()).assert()
    };
    shell("\"$0\" import -q - in.vls < run.xtc").success();
    shell("gzip -c run.xtc > packed.xtc.gz && cat packed.xtc.gz | \"$0\" import -q - in2.vls")
        .success();
    folder.ok("import -q packed.xtc.gz in3.vls");
    for name in ["in.vls", "in2.vls", "in3.vls"] {
        folder.ok(&format!("export -q --overwrite {name} back.xtc"));
        assert_eq!(fs::read(folder.path("back.xtc")).unwrap(), fs::read(carried()).unwrap());
    }
    let said = shell("\"$0\" import --append - in.vls < run.xtc").code(1);
    said.stderr(predicate::str::contains("--append --keep-all - in.vls"));
    shell("\"$0\" import -q --append --keep-all - in.vls < run.xtc").success();
    assert_eq!(folder.json("info --json in.vls")["records"], 2 * FRAMES);
}

#[test]
fn layout_that_an_existing_store_does_not_have_is_said_to_change_nothing() {
    let folder = Folder::new();
    folder.run("import --append --purpose random --level 1 run.xtc frames.vls").success().stderr(
        concat!(
            "note: a store keeps the options that it was created with; ",
            "--purpose has no effect here\n"
        ),
    );
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
    assert_eq!((&info["opened"], &info["records"]), (&json!("whole"), &json!(30 + FRAMES)));
    assert_eq!(info["codec"], "md-frame");
    assert_eq!(folder.json("get --as json --at 0 old.vls")["nsites"], 200);
    assert_eq!(folder.json("get --as json --at -1 old.vls")["step"], 50_000);
}

#[test]
fn several_inputs_are_one_row_of_frames() {
    let folder = Folder::new();
    folder.ok("export -q --frames :300 frames.vls a.xtc");
    folder.ok("export -q --frames 300:301 frames.vls b.xtc");
    folder.ok("export -q --frames 301: frames.vls c.xtc");
    folder.ok("import -q --from-frame 0 a.xtc b.xtc c.xtc all.vls");
    folder.ok("export -q all.vls back.xtc");
    assert_eq!(fs::read(folder.path("back.xtc")).unwrap(), fs::read(carried()).unwrap());
    folder.ok("import -q --from-frame 305 a.xtc b.xtc c.xtc tail.vls");
    assert_eq!(folder.json("info --json tail.vls")["records"], FRAMES - 305);
}

/// A frame in the units of extended XYZ, in float64.
fn wide() -> MdFrame {
    MdFrame {
        nsites: 2,
        types: Some(vec![8, 1]),
        positions: Some(Real::F64(vec![0.1, 0.2, 0.3, 1.0 / 3.0, 0.5, 0.6])),
        energy: Some(-1.5),
        frame_properties: vec![Property {
            name: "label".into(),
            shape: vec![],
            values: Values::Str(vec!["two words".into()]),
        }],
        ..MdFrame::default()
    }
}

#[test]
fn nothing_is_narrowed_unless_asked_for() {
    let folder = Folder::new();
    let kind = vlstore::formats::FormatKind::ExtXyz;
    let mut writer = vlstore::formats::create(
        &folder.path("wide.xyz"),
        kind,
        &vlstore::formats::WriteOptions::default(),
        vlstore::Existing::Refuse,
    )
    .unwrap();
    writer.write(&wide()).unwrap();
    writer.finish().unwrap();
    folder.ok("import -q wide.xyz wide.vls");
    let wide = folder.json("get --as json wide.vls 0");
    assert_eq!(wide["positions"]["dtype"], "float64");
    assert_eq!(wide["positions"]["data"][3], 1.0 / 3.0);
    folder.ok("import -q --float32 wide.xyz narrow.vls");
    let narrow = folder.json("get --as json narrow.vls 0");
    assert_eq!(narrow["positions"]["dtype"], "float32");
    assert_eq!(narrow["energy"], -1.5);
}

#[test]
fn units_are_stated_never_mixed_and_converted_at_export() {
    let folder = Folder::new();
    folder.ok("export -q --frames :3 frames.vls three.xyz");
    let there = frames(&folder.path("three.xyz"));
    let source = frames(&carried());
    let (Some(Real::F64(a)), Some(Real::F32(nm))) = (&there[2].positions, &source[2].positions)
    else {
        panic!("positions in other widths than before");
    };
    for (a, nm) in a.iter().zip(nm) {
        assert!((a - f64::from(*nm) * 10.0).abs() < 1e-5, "{a} angstrom and {nm} nm");
    }
    let said = folder.fails(1, "import --append --keep-all three.xyz frames.vls");
    assert!(said.contains("length in nm") && said.contains("frames.vls"), "{said}");
    assert!(folder.fails(1, "import run.xtc three.xyz new.vls").contains("units"));
    assert!(!folder.path("new.vls").exists());
    // Back to XTC: in nanometres again, at the precision that is asked for.
    folder.ok("import -q three.xyz angstrom.vls");
    let said = folder.fails(1, "export angstrom.vls back.xtc");
    assert!(said.contains("--precision"), "{said}");
    folder.ok("export -q --precision 1000 angstrom.vls back.xtc");
    for (back, source) in frames(&folder.path("back.xtc")).iter().zip(&source) {
        assert_eq!(back.positions, source.positions);
        assert_eq!(back.step, source.step);
    }
}

#[test]
fn verify_finds_nothing_in_a_whole_store_and_names_damage_by_record_and_place() {
    let folder = Folder::new();
    folder.ok("import -q --chunk-size 64KiB run.xtc chunks.vls");
    let found = folder.json("verify --json chunks.vls");
    assert_eq!((&found["whole"], &found["records"]), (&json!(true), &json!(FRAMES)));
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
    assert!(damage["part"].is_string() && found["whole"] == json!(false), "{found}");
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
    for name in ["step", "time", "energy", "cell", "sites", "bytes"] {
        let line = listed.lines().find(|l| l.starts_with(name)).unwrap();
        assert!(line.ends_with("  kept"), "{line}");
    }
    let text = folder.ok("columns frames.vls step time energy cell sites");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.len(), lines[0].split(',').count()), (FRAMES + 1, 13));
    assert!(lines[0].starts_with("step,time,energy,cell_0,") && lines[0].ends_with(",sites"));
    for (line, frame) in lines[1..].iter().zip(frames(&carried())) {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells[0].parse().ok(), frame.step);
        assert_eq!(cells[1].parse().ok(), frame.time);
        assert_eq!((cells[2], cells[12]), ("", "22"));
        assert_eq!(cells[3].parse().ok(), frame.cell.map(|c| c[0]));
    }
    let last = folder.json("columns --json --range -1 frames.vls sites cell energy");
    assert_eq!((&last["sites"], &last["energy"]), (&json!(22), &json!(null)));
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
