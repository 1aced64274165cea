//! Trajectories in and out: what comes back, how an import goes on, options of the layout, units.

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
        "--compression lz4 --level 9 --block-size 4KiB --chunk-size 64KiB",
        "--compression stored --alignment contiguous",
        "--compression zlib --alignment no_cross --durability none",
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
    assert_eq!(first, json!({"ordinal": 3, "key": "frame-3", "bytes": 308, "weight": 22}));
    folder.ok("import -q --append --keep-all --name-prefix frame- run.xtc new.vls");
    folder.ok("get new.vls frame-2001");
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
fn a_layout_that_an_existing_store_does_not_have_is_refused_by_name() {
    let folder = Folder::new();
    let before = fs::read(folder.path("frames.vls")).unwrap();
    let run = "import --append --purpose random --level 1 run.xtc frames.vls";
    folder.run(run).code(1).stderr(predicate::str::contains(
        "--purpose: the store has balanced, not random, and keeps it; leave --purpose out, or make a \
         store that has it: vlstore copy --purpose random frames.vls NEW",
    ));
    assert_eq!(fs::read(folder.path("frames.vls")).unwrap(), before);
    // What it has is no contradiction: so the command that resumes an import may repeat it.
    folder.ok("import -q --append --purpose balanced --compression zstd run.xtc frames.vls");
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
        &vlstore::formats::OutputOptions::default(),
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
fn gro_names_the_atoms_of_its_frames_and_of_a_trajectory_without_names() {
    let folder = Folder::new();
    let waters = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/waters.gro");
    fs::copy(waters, folder.path("waters.gro")).unwrap();
    folder.ok("import -q waters.gro waters.vls");
    let frame = folder.json("get --as json waters.vls 2");
    assert_eq!((&frame["step"], &frame["nsites"]), (&json!(500), &json!(7)));
    assert!(folder.ok("topology waters.vls").lines().count() == 2);
    // A GRO of as many atoms as the trajectory has.
    let atoms: String = (1..=22)
        .map(|i| format!("    1ALA  {:>5}{i:5}   0.100   0.200   0.300\n", format!("A{i}")))
        .collect();
    fs::write(folder.path("named.gro"), format!("named\n22\n{atoms}   2.0 2.0 2.0\n")).unwrap();
    folder.ok("import -q --topology named.gro run.xtc named.vls");
    let digest = folder.ok("topology named.vls");
    let digest = digest.lines().nth(1).unwrap().split_whitespace().next().unwrap();
    assert!(folder.ok(&format!("topology named.vls {digest}")).contains("A22"));
    folder.ok("import -q --append --topology named.gro run.xtc named.vls");
    assert_eq!(folder.json("info --json named.vls")["records"], FRAMES);
    folder
        .run("import -q --topology waters.gro run.xtc no.vls")
        .code(1)
        .stderr(predicate::str::contains("has 22 atoms, but the topology that was given has 7"));
    assert!(!folder.path("no.vls").exists());
    folder.run("export waters.vls out.gro").code(1).stderr(predicate::str::contains(
        "gro can be read, but not written; supported are xtc, trr, dcd, extxyz",
    ));
    assert!(!folder.path("out.gro").exists());
}
