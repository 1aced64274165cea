//! What is shown: numbers for programs, names that a terminal would act on, frames that a format
//! cannot hold, and what shells complete.

use super::{FRAMES, Folder, PROGRAM};
use std::fs;
use std::process::Command;
use vlstore::codec::{MdFrame, Real};
use vlstore::{StoreOptions, TrajectoryWriter, WriteOptions};

/// A store of twenty frames of twelve sites, of which those in `bad` have a coordinate that no
/// integer stands for.
fn with_bad_frames(folder: &Folder, name: &str, bad: &[(u64, f32)]) {
    let path = folder.path(name);
    let mut writer = TrajectoryWriter::create(&path, &StoreOptions::default()).unwrap();
    for n in 0..20_u64 {
        let mut positions = vec![0.25_f32; 36];
        if let Some((_, x)) = bad.iter().find(|(frame, _)| *frame == n) {
            positions.splice(22..23, [*x]);
        }
        let frame = MdFrame {
            nsites: 12,
            positions: Some(Real::F32(positions)),
            precision: Some(1000.0),
            step: Some(i64::try_from(n).unwrap()),
            ..MdFrame::default()
        };
        writer.insert(format!("frame-{n}"), &frame).unwrap();
    }
    writer.close().unwrap();
}

#[test]
fn a_frame_that_a_format_cannot_hold_is_named_with_its_field_site_value_and_remedy() {
    let folder = Folder::new();
    with_bad_frames(&folder, "nan.vls", &[(13, f32::NAN), (17, f32::INFINITY)]);
    let said = folder.fails_with_note(1, "export nan.vls out.xtc");
    for says in [
        "frame 13 (key \"frame-13\")",
        "XTC",
        "positions of site 7 (counted from 0)",
        "y is NaN",
        "--skip-unfit",
        "--to extxyz",
    ] {
        assert!(said.contains(says), "{says}: {said}");
    }
    // Nothing is left at the name, and what was there stays.
    assert!(!folder.path("out.xtc").exists());
    fs::write(folder.path("out.xtc"), b"old").unwrap();
    folder.fails_with_note(1, "export --overwrite nan.vls out.xtc");
    assert_eq!(fs::read(folder.path("out.xtc")).unwrap(), b"old");
    assert!(folder.made().iter().all(|n| !n.ends_with(".partial")));
    // The remedies.
    let run = folder.run("export --overwrite --skip-unfit nan.vls out.xtc").success();
    let said = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
    assert!(said.contains("left out 2 frames that xtc cannot hold: 13, 17"), "{said}");
    let steps: Vec<_> = super::frames(&folder.path("out.xtc")).iter().map(|f| f.step).collect();
    let right = (0..20).filter(|n| *n != 13 && *n != 17).map(Some).collect::<Vec<_>>();
    assert_eq!(steps, right);
    folder.ok("export --quiet --overwrite --frames :13 nan.vls out.xtc");
    folder.ok("export --quiet nan.vls out.xyz");

    with_bad_frames(&folder, "far.vls", &[(4, 3e6)]);
    let said = folder.fails_with_note(1, "export far.vls far.xtc");
    assert!(said.contains("frame 4 ") && said.contains("y is 3000000"), "{said}");
    assert!(said.contains("set a precision of 100 or less"), "{said}");
    folder.ok("export --quiet --precision 100 far.vls far.xtc");
}

/// Words of a text; a number with a blank in it would be two.
fn numbers(line: &str) -> Vec<f64> {
    line.split([' ', ',', ':', ';', '(', 'x']).filter_map(|w| w.parse().ok()).collect()
}

#[test]
fn numbers_that_a_program_reads_have_no_blanks_in_them() {
    let folder = Folder::new();
    let line = |text: &str, begins: &str| {
        let found = text.lines().find(|l| l.contains(begins));
        found.unwrap_or_else(|| panic!("no line with {begins}: {text}")).to_owned()
    };
    let many = FRAMES as f64;
    let json = folder.json("info --json frames.vls");
    let info = folder.ok("info frames.vls");
    assert_eq!(numbers(&line(&info, "records")), [many]);
    assert_eq!(numbers(&line(&info, "commits")), [json["commits"].as_f64().unwrap()]);
    assert_eq!(numbers(&line(&info, "size")).len(), 3);
    let verify = folder.ok("verify frames.vls");
    assert!(numbers(line(&verify, "records").as_str()).contains(&many), "{verify}");
    let stat = folder.ok("stat frames.vls");
    assert_eq!(numbers(&line(&stat, "records"))[0], many);
    let training = folder.ok("stat --training frames.vls");
    assert_eq!(numbers(&training)[..2], [many, many * 22.0]);
    let ls = folder.ok("ls --range 1000 frames.vls");
    assert_eq!(numbers(ls.lines().last().unwrap()), [1000.0, 308.0, 22.0, 1000.0]);
    let columns = folder.ok("columns --range 1000 frames.vls step bytes");
    assert_eq!(numbers(columns.lines().last().unwrap()), [50_000.0, 308.0]);
    let follow = folder.ok("follow --count 1 frames.vls");
    assert_eq!(numbers(&follow)[0], many);
    let export = folder.ok("export frames.vls out.xtc");
    assert_eq!(export, "out.xtc: 1001 frames as xtc\n");
}

#[test]
fn several_stores_are_told_of_one_after_the_other() {
    let folder = Folder::new();
    folder.ok("copy --range :10 frames.vls ten.vls");
    let text = folder.ok("info --json frames.vls ten.vls");
    let all: Vec<serde_json::Value> =
        text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let of = |n: usize| (all[n]["store"].as_str().unwrap(), all[n]["records"].as_u64().unwrap());
    assert_eq!((of(0), of(1)), (("frames.vls", 1001), ("ten.vls", 10)));
    let text = folder.ok("info frames.vls ten.vls");
    assert_eq!(text.matches("\nrecords ").count(), 2);
    // One that cannot be read hides no other.
    let run = folder.run("info --json missing.vls frames.vls notes.txt ten.vls").code(1);
    let output = run.get_output();
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 2);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("missing.vls") && said.contains("notes.txt"), "{said}");
}

#[cfg(unix)]
#[test]
fn what_a_terminal_would_act_on_is_shown_and_never_sent() {
    use std::ffi::OsStr;
    let folder = Folder::new();
    let odd = "a\u{1b}[31m\u{9b}2J\u{7}b.vls";
    let key = "k\u{1b}]0;title\u{7}\n\u{202e}y";
    fs::copy(folder.path("frames.vls"), folder.path(odd)).unwrap();
    let run = |args: &[&str]| {
        let args = args.iter().map(OsStr::new);
        Command::new(PROGRAM).args(args).current_dir(folder.0.path()).output().unwrap()
    };
    let put = run(&["put", "kv.vls", &format!("str:{key}"), "notes.txt"]);
    assert!(put.status.success(), "{put:?}");
    let attributes = serde_json::json!({"note": key});
    let mut writer =
        vlstore::Writer::open(folder.path("kv.vls"), &WriteOptions::default()).unwrap();
    writer.set_attributes(&attributes).unwrap();
    writer.close().unwrap();
    let missing = format!("missing{odd}");
    for args in [
        &["info", odd][..],
        &["info", &missing],
        &["verify", odd],
        &["stat", odd],
        &["ls", "kv.vls"],
        &["ls", "--json", "kv.vls"],
        &["info", "kv.vls"],
        &["info", "--json", "kv.vls"],
        &["follow", "--count", "1", "kv.vls"],
        &["get", "kv.vls", odd],
        &["rm", "kv.vls", odd],
        &["put", "kv.vls", &format!("str:{key}"), "notes.txt"],
        &["export", odd, &missing],
        &["copy", odd, odd],
        &["copy", odd, &missing],
        &["compact", &missing],
        &["recover", odd, &format!("new{odd}")],
        &["split", "--records", "600", odd, &format!("part{odd}")],
        &["merge", odd, &format!("merged{odd}")],
        &["bench", "--seconds", "0.01", odd],
        &["import", odd, "new.vls"],
        &["import", "run.xtc", &format!("imported{odd}")],
        &["columns", odd, odd],
        &["ls", odd, "--range", odd],
        &["import", "--codec", odd, "a", "b"],
        &[odd],
        &["completions", odd],
    ] {
        let output = run(args);
        for text in [&output.stdout, &output.stderr] {
            let text = std::str::from_utf8(text).unwrap();
            let bad = text.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
            assert_eq!(bad, None, "{args:?}: {text}");
        }
    }
    // JSON stays JSON, and a key as it is listed can be given back.
    let listed = run(&["ls", "--json", "kv.vls"]).stdout;
    let listed: serde_json::Value = serde_json::from_slice(&listed).unwrap();
    assert_eq!(listed["key"], key);
    let info = run(&["info", "--json", "kv.vls"]).stdout;
    let info: serde_json::Value = serde_json::from_slice(&info).unwrap();
    assert_eq!(info["attributes"]["note"], key);
    let text = String::from_utf8(run(&["ls", "kv.vls"]).stdout).unwrap();
    let shown = text.lines().last().unwrap().split_once("json:").unwrap().1;
    let got = run(&["get", "kv.vls", &format!("json:{shown}")]);
    assert_eq!(got.stdout, b"some notes\n");
}

/// Runs the program on a terminal; what it shows, and its status. `None` without `script`.
#[cfg(target_os = "linux")]
fn on_terminal(folder: &Folder, args: &str) -> Option<(String, Option<i32>)> {
    let line = format!("{PROGRAM} {args}");
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).current_dir(folder.0.path());
    let Ok(output) = script.stdin(std::process::Stdio::null()).output() else {
        eprintln!("SKIPPED: there is no `script` to make a terminal with");
        return None;
    };
    Some((String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code()))
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_gets_no_binary_and_grouped_numbers() {
    let folder = Folder::new();
    folder.ok("put notes.vls k notes.txt");
    let Some((said, status)) = on_terminal(&folder, "get frames.vls 7") else { return };
    assert_eq!(status, Some(1), "{said}");
    for says in ["terminal", "--output", "--as json", "--as hex"] {
        assert!(said.contains(says), "{says}: {said}");
    }
    assert!(!said.contains('\0'), "{said}");
    let hex = on_terminal(&folder, "get --as hex frames.vls 7").unwrap();
    assert_eq!((hex.0.trim().len(), hex.1), (2 * 308, Some(0)));
    assert_eq!(hex.0.trim(), folder.ok("get --as hex frames.vls 7").trim());
    let json = on_terminal(&folder, "get --as json frames.vls 7").unwrap();
    assert!(json.0.contains("\"step\":350") && json.1 == Some(0), "{}", json.0);
    // Text is shown; into a pipe go all bytes.
    assert_eq!(on_terminal(&folder, "get notes.vls k").unwrap().0.trim(), "some notes");
    assert_eq!(folder.run("get frames.vls 7").success().get_output().stdout.len(), 308);
    for output in ["-", "/dev/stdout", "/dev/tty"] {
        let (said, status) =
            on_terminal(&folder, &format!("export --to xtc frames.vls {output}")).unwrap();
        assert!(status == Some(1) && said.contains("XTC is binary"), "{output}: {said}");
    }
    let (said, status) =
        on_terminal(&folder, "export -q --to extxyz --frames 0 frames.vls -").unwrap();
    assert!(status == Some(0) && said.contains("Properties=species"), "{said}");
    assert!(on_terminal(&folder, "info frames.vls").unwrap().0.contains("records     1 001"));
}

#[test]
fn shells_complete_the_values_of_options() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = folder.ok(&format!("completions {shell}"));
        for values in [
            &["dense", "balanced", "random"][..],
            &["zstd", "lz4hc", "blosclz", "stored"],
            &["block", "no_cross", "contiguous", "start"],
            &["none", "kernel", "sync"],
            &["never", "repeated", "always"],
            &["quantised", "given"],
            &["xtc", "extxyz", "gro"],
            &["raw", "array", "flat-f32", "document", "md-frame", "series"],
            &["bytes", "json", "hex"],
            &["refuse", "keep-first", "keep-last", "prefix"],
            &["positions", "velocities", "stress"],
        ] {
            let line = script.lines().find(|line| values.iter().all(|v| line.contains(v)));
            let found = line.is_some() || {
                // Fish and zsh may give a value its own line.
                shell != "bash" && values.iter().all(|v| script.contains(v))
            };
            assert!(found, "{shell} does not know {values:?}");
        }
    }
}
