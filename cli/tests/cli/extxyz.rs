//! Extended XYZ in and out: what is mapped, what is said, and what a time is.

use super::{Folder, PROGRAM};
use assert_cmd::Command;
use std::fs;
use std::path::Path;
use vlstore::codec::MdFrame;
use vlstore::formats;

fn frames(path: &Path) -> Vec<MdFrame> {
    let mut reader = formats::open(path).unwrap();
    let (mut all, mut f) = (Vec::new(), MdFrame::default());
    while reader.next_frame(&mut f).unwrap() {
        all.push(f.clone());
    }
    all
}

/// What the program says beside its output, if all goes well.
fn said(folder: &Folder, args: &str) -> String {
    let output = folder.run(args).success();
    String::from_utf8_lossy(&output.get_output().stderr).into_owned()
}

const FIT: &str = "1\nProperties=species:S:1:pos:R:3:REF_forces:R:3 REF_energy=-1.5\nH 0 0 0 1 2 3\n\
                   1\nProperties=species:S:1:pos:R:3:REF_forces:R:3 REF_energy=-2.5\nQ1 0 0 0 4 5 6\n";

#[test]
fn names_are_mapped_onto_fields_and_what_matched_nothing_is_said() {
    let folder = Folder::new();
    fs::write(folder.path("fit.xyz"), FIT).unwrap();
    let told = said(
        &folder,
        "import --map REF_energy=energy --map REF_forces=forces --map x=property:y fit.xyz a.vls",
    );
    assert!(told.contains("x is mapped, but no frame has a key or column x"), "{told}");
    assert!(told.contains("1 site of type 0: the label is not an element"), "{told}");
    assert!(told.contains("fit.xyz, line 6 (frame 1): `Q1`"), "{told}");
    folder.ok("export a.vls out.xyz");
    let out = frames(&folder.path("out.xyz"));
    assert_eq!(out.iter().map(|f| f.energy).collect::<Vec<_>>(), [Some(-1.5), Some(-2.5)]);
    assert!(out.iter().all(|f| f.forces.is_some() && f.frame_properties.is_empty()));
    assert_eq!(out[1].types, Some(vec![0]));
    // A file that grew is read with the names that it was read with, whatever is asked for.
    fs::write(folder.path("fit.xyz"), [FIT, FIT].concat()).unwrap();
    folder.ok("import --append fit.xyz a.vls");
    folder.ok("export --overwrite a.vls out.xyz");
    let out = frames(&folder.path("out.xyz"));
    assert_eq!(out.len(), 4);
    assert!(out.iter().all(|f| f.energy.is_some() && f.forces.is_some()));
    let why = folder.fails(1, "import --append --map REF_energy=energy fit.xyz a.vls");
    assert!(why.contains("REF_energy=energy, REF_forces=forces"), "{why}");
    // A clash, a name that is not a field, and one of another shape.
    fs::write(folder.path("both.xyz"), "1\nenergy=1 REF_energy=2\nH 0 0 0\n").unwrap();
    let why = folder.fails(1, "import --map REF_energy=energy both.xyz b.vls");
    assert!(why.contains("line 2 (frame 0)") && why.contains("energy=property:NAME"), "{why}");
    folder.ok("import --map REF_energy=energy --map energy=property:old both.xyz b.vls");
    let why = folder.fails(2, "import --map REF_energy=enregy both.xyz c.vls");
    assert!(why.contains("fields are energy"), "{why}");
    let why = folder.fails(1, "import --map REF_energy=stress both.xyz c.vls");
    assert!(why.contains("mapped onto stress, but is an integer"), "{why}");
}

#[test]
fn a_time_comes_back_as_it_was_whatever_format_it_passes_through() {
    let folder = Folder::new();
    folder.ok("export --frames 1:4 frames.vls out.xyz");
    let text = fs::read_to_string(folder.path("out.xyz")).unwrap();
    assert!(text.contains(" time_unit=fs "), "{text:.300}");
    folder.ok("import out.xyz again.vls");
    folder.ok("export --precision 1000 again.vls again.xtc");
    let times = |name: &str| frames(&folder.path(name)).iter().map(|f| f.time).collect::<Vec<_>>();
    assert_eq!(times("again.xtc"), times("run.xtc")[1..4]);
    // CP2K writes femtoseconds, and others do not say what they write.
    let cp2k = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/cp2k-pos-1.xyz");
    for (input, times_ps) in [
        (cp2k.to_string(), [Some(0.0025), Some(0.005)]),
        (folder.path("plain.xyz").display().to_string(), [None, None]),
    ] {
        let plain = "1\nenergy=1 time=2.5\nC 0 0 0\n".repeat(2);
        fs::write(folder.path("plain.xyz"), plain).unwrap();
        Command::new(PROGRAM)
            .args(["import", "--overwrite", "--quiet", &input])
            .arg(folder.path("time.vls"))
            .assert()
            .success();
        folder.ok("export --overwrite --precision 1000 time.vls time.xtc");
        let read = times("time.xtc");
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
        for (read, expected) in read.iter().zip(times_ps) {
            assert!(
                close(read.unwrap_or_default(), expected.unwrap_or_default()),
                "{input}: {read:?}"
            );
        }
    }
}

#[test]
fn what_would_lose_values_ends_the_import_with_line_frame_and_key() {
    let folder = Folder::new();
    let keys: Vec<_> = (0..5000).map(|i| format!("k{i}={i}")).collect();
    for (line, says) in [
        ("a=1e400".to_string(), "line 5 (frame 1): key `a`: `1e400`"),
        ("a=[[1,2],[3]]".into(), "line 5 (frame 1): key `a`: lists of 2 and of 1"),
        (keys.join(" "), "line 5 (frame 1): there are more than 4128 keys"),
    ] {
        fs::write(folder.path("bad.xyz"), format!("1\n\nH 0 0 0\n1\n{line}\nH 0 0 0\n")).unwrap();
        let why = folder.run("import --overwrite bad.xyz bad.vls").code(1);
        let why = String::from_utf8_lossy(&why.get_output().stderr).into_owned();
        assert!(why.contains("bad.xyz") && why.contains(says), "{why}");
    }
    fs::write(folder.path("many.xyz"), format!("1\n{}\nH 0 0 0\n", keys[..300].join(" "))).unwrap();
    folder.ok("import many.xyz many.vls");
}
