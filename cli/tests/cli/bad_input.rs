//! Each kind of bad input has its own clear error, and leaves nothing half-made.

use super::{Folder, PROGRAM};
use assert_cmd::Command;
use std::fs;
use vlstore::{WriteOptions, Writer};

#[test]
fn what_is_no_trajectory_is_refused_by_name_and_leaves_no_store() {
    let folder = Folder::new();
    fs::create_dir(folder.path("folder")).unwrap();
    fs::write(folder.path("empty.xtc"), b"").unwrap();
    fs::write(folder.path("text.xtc"), b"Dear diary,\n").unwrap();
    let whole = fs::read(folder.path("run.xtc")).unwrap();
    fs::write(folder.path("head.xtc"), &whole[..70]).unwrap();
    for (input, says) in [
        ("missing.xtc", "No such file"),
        ("folder", "folder"),
        ("empty.xtc", "empty"),
        ("text.xtc", "text"),
        ("head.xtc", "cut short"),
        ("frames.vls", "Blosc2 frame"),
    ] {
        let said = folder.fails(1, &format!("import {input} new.vls"));
        assert!(said.contains(input) && said.contains(says), "{input}: {said}");
        assert!(!folder.path("new.vls").exists(), "{input}");
        // Also as the second of two, before anything of the first is stored.
        if input != "head.xtc" {
            folder.fails(1, &format!("import run.xtc {input} new.vls"));
            assert!(!folder.path("new.vls").exists(), "{input}");
        }
    }
}

#[test]
fn a_trajectory_that_is_cut_short_gives_its_whole_frames_and_then_the_error() {
    let folder = Folder::new();
    let whole = fs::read(folder.path("run.xtc")).unwrap();
    fs::write(folder.path("cut.xtc"), &whole[..100_000]).unwrap();
    let said = folder.fails_with_note(1, "import cut.xtc new.vls");
    assert!(said.contains("cut.xtc") && said.contains("cut short"), "{said}");
    let stored = folder.json("info --json new.vls")["records"].as_u64().unwrap();
    assert!(
        stored > 500 && said.contains(&format!("stored {stored} frames, up to the error")),
        "{said}"
    );
    // With the whole file it goes on where the cut was.
    folder.ok("import -q --append run.xtc new.vls");
    folder.ok("export -q new.vls back.xtc");
    assert_eq!(fs::read(folder.path("back.xtc")).unwrap(), whole);
}

impl Folder {
    /// As `fails`, where a note comes before the error.
    pub(super) fn fails_with_note(&self, status: i32, args: &str) -> String {
        let assert = self.run(args).code(status);
        let said = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
        assert!(said.contains("error: ") && !said.contains("panicked"), "{said}");
        said
    }
}

#[test]
fn what_is_no_store_is_refused_by_name_by_every_verb_that_reads_one() {
    let folder = Folder::new();
    fs::create_dir(folder.path("folder")).unwrap();
    fs::write(folder.path("empty.vls"), b"").unwrap();
    fs::write(folder.path("text.vls"), b"Dear diary,\n".repeat(3000)).unwrap();
    for (store, says) in [
        ("missing.vls", "No such file"),
        ("folder", "folder"),
        ("empty.vls", "empty"),
        ("text.vls", "not a store"),
        ("run.xtc", "not a store"),
    ] {
        for verb in [
            "info {}",
            "ls {}",
            "get {} 1",
            "verify {}",
            "seal {}",
            "rm {} 1",
            "export {} x.xtc",
            "import --append run.xtc {}",
        ] {
            if matches!(store, "missing.vls" | "run.xtc") && verb.starts_with("import") {
                continue;
            }
            let said = folder.fails(1, &verb.replace("{}", store));
            assert!(said.contains(store) && said.contains(says), "{verb} {store}: {said}");
        }
        if store != "run.xtc" {
            folder.fails(1, &format!("bench {store}"));
        }
    }
    let mut made = folder.made();
    made.sort();
    assert_eq!(made, ["empty.vls", "folder", "text.vls"]);
}

#[test]
fn an_address_where_a_store_is_written_is_said_to_be_one() {
    let folder = Folder::new();
    for verb in [
        "put s3://bucket/a.vls x notes.txt",
        "rm s3://bucket/a.vls 1",
        "seal s3://bucket/a.vls",
        "compact s3://bucket/a.vls",
        "recover s3://bucket/a.vls new.vls",
        "import run.xtc s3://bucket/a.vls",
        "copy frames.vls gs://bucket/a.vls",
        "shard --parts 2 frames.vls s3://bucket/parts",
    ] {
        let said = folder.fails(1, verb);
        assert!(
            said.contains("://bucket/") && said.contains("vlstore push FILE ADDRESS"),
            "{verb}: {said}"
        );
    }
    assert!(folder.made().is_empty());
}

#[test]
fn a_store_that_is_cut_anywhere_is_an_error_or_an_older_whole_state() {
    let folder = Folder::new();
    let whole = fs::read(folder.path("frames.vls")).unwrap();
    for part in 0..24 {
        let cut = whole.len() * part / 24;
        fs::write(folder.path("cut.vls"), &whole[..cut]).unwrap();
        for verb in ["info cut.vls", "verify cut.vls", "get cut.vls 1000", "seal cut.vls"] {
            let assert = folder.run(verb);
            let output = assert.get_output();
            let said = String::from_utf8_lossy(&output.stderr);
            let code = output.status.code();
            assert!(matches!(code, Some(0 | 1 | 3 | 4)), "{verb} at {cut}: {code:?} {said}");
            assert!(!said.contains("panicked"), "{verb} at {cut}: {said}");
            if verb.starts_with("get") {
                assert!(code != Some(0), "{verb} at {cut}: a record that was cut away came back");
            }
        }
    }
}

#[test]
fn a_newer_format_is_refused_by_its_number() {
    let folder = Folder::new();
    let mut bytes = fs::read(folder.path("frames.vls")).unwrap();
    let at = usize::try_from(vlstore::store::CONFIG_AT).unwrap() + 8;
    bytes[at..at + 4].copy_from_slice(&9_u32.to_le_bytes());
    fs::write(folder.path("newer.vls"), &bytes).unwrap();
    for verb in ["info newer.vls", "seal newer.vls", "import --append run.xtc newer.vls"] {
        let said = folder.fails(1, verb);
        assert!(said.contains("newer.vls: format version 9"), "{said}");
        assert!(said.contains("a newer release"), "{said}");
    }
    assert_eq!(fs::read(folder.path("newer.vls")).unwrap(), bytes);
}

#[test]
fn a_held_lock_keeps_writers_out_and_readers_in() {
    let folder = Folder::new();
    let held = Writer::open(folder.path("frames.vls"), &WriteOptions::default()).unwrap();
    for verb in [
        "import --append run.xtc frames.vls",
        "import --overwrite run.xtc frames.vls",
        "put frames.vls x notes.txt",
        "rm frames.vls 1",
        "seal frames.vls",
    ] {
        let said = folder.fails(1, verb);
        assert!(said.contains("frames.vls: another writer"), "{verb}: {said}");
    }
    folder.ok("verify frames.vls");
    folder.ok("get frames.vls 7");
    drop(held);
    folder.ok("seal frames.vls");
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_an_error_and_what_was_committed_stays() {
    let folder = Folder::new();
    // A file may not grow past 300 blocks of 512 bytes: to the program, a disk that is full.
    let script = "trap '' XFSZ; ulimit -f 300; \
                  exec \"$0\" import --commit-every 20frames run.xtc new.vls";
    let assert = Command::new("sh")
        .args(["-c", script, PROGRAM])
        .current_dir(folder.0.path())
        .assert()
        .code(1);
    let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(said.contains("error: new.vls: cannot write"), "{said}");
    assert!(
        said.contains("free some space, then resume: ") && said.contains("import --append"),
        "{said}"
    );
    assert!(!said.contains("panicked"), "{said}");
    let stored = folder.json("info --json new.vls")["records"].as_u64().unwrap();
    assert!(stored >= 20 && stored.is_multiple_of(20), "{stored}");
    // What was put since the last commit is gone, and not among what is said to be stored.
    assert!(said.contains(&format!("new.vls: stored {stored} frames, up to the error")), "{said}");
    folder.ok("verify new.vls");
    folder.ok("import -q --append run.xtc new.vls");
    folder.ok("export -q new.vls back.xtc");
    let (back, source) = (folder.path("back.xtc"), folder.path("run.xtc"));
    assert_eq!(fs::read(back).unwrap(), fs::read(source).unwrap());
}

#[test]
fn what_is_there_is_not_replaced_unless_asked_for() {
    let folder = Folder::new();
    let before = fs::read(folder.path("frames.vls")).unwrap();
    let said = folder.fails(1, "import run.xtc frames.vls");
    assert!(said.starts_with("error: frames.vls exists already\n"), "{said}");
    assert!(said.contains("--append") && said.contains("--overwrite"), "{said}");
    folder.ok("export -q --frames :10 frames.vls ten.xtc");
    assert!(folder.fails(1, "export frames.vls ten.xtc").contains("--overwrite"));
    folder.ok("export -q --overwrite --frames :20 frames.vls ten.xtc");
    assert_eq!(super::frames(&folder.path("ten.xtc")).len(), 20);
    // The arguments swapped, and an input as output: what is not a store is not replaced.
    let said = folder.fails(1, "import --overwrite run.xtc notes.txt");
    assert!(said.contains("a text file, not a store"), "{said}");
    let said = folder.fails(1, "import --overwrite run.xtc run.xtc");
    assert!(said.contains("also an input"), "{said}");
    assert_eq!(fs::read(folder.path("frames.vls")).unwrap(), before);
}

#[test]
fn a_place_that_cannot_be_written_to_is_an_error_that_names_it() {
    let folder = Folder::new();
    for verb in [
        "import run.xtc missing/new.vls",
        "export frames.vls missing/new.xtc",
        "get -o missing/one.bin frames.vls 1",
        "put missing/new.vls k notes.txt",
    ] {
        let said = folder.fails(1, verb);
        assert!(said.contains("missing") && said.contains("No such file"), "{verb}: {said}");
    }
    fs::create_dir(folder.path("there")).unwrap();
    let said = folder.fails(1, "import run.xtc there");
    assert!(said.contains("there"), "{said}");
    assert!(folder.fails(1, "export --to xtc frames.vls there").contains("folder"));
}

#[cfg(unix)]
#[test]
fn a_read_only_folder_is_an_error_that_names_it() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let folder = Folder::new();
    let mode = |path: &str, mode| {
        fs::set_permissions(folder.path(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("", 0o555);
    mode("run.xtc", 0o444);
    mode("frames.vls", 0o444);
    // The system lets its administrator write anywhere: somebody else has to try.
    let may = fs::write(folder.path("probe"), b"").is_ok();
    let command = |verb: &str| {
        let mut command = std::process::Command::new(PROGRAM);
        command.args(verb.split(' ')).current_dir(folder.0.path());
        if may {
            command.uid(65_534).gid(65_534);
        }
        command
    };
    if !command("info frames.vls").output().is_ok_and(|o| o.status.success()) {
        eprintln!("skipped: nobody else on this machine may run the program");
        return;
    }
    for (verb, says) in [
        ("import run.xtc new.vls", "create a file in this folder"),
        ("export frames.vls new.xtc", "ermission"),
        ("put new.vls k run.xtc", "create a file in this folder"),
        ("import --append run.xtc frames.vls", "ermission"),
    ] {
        let assert = Command::from_std(command(verb)).assert().code(1);
        let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(said.contains(says) && !said.contains("panicked"), "{verb}: {said}");
    }
    mode("", 0o755);
    assert!(folder.made().iter().all(|n| n == "probe"), "{:?}", folder.made());
}

#[test]
fn a_codec_that_does_not_fit_is_refused_naming_both() {
    let folder = Folder::new();
    folder.ok("put notes.vls k notes.txt");
    let said = folder.fails(1, "export notes.vls x.xtc");
    assert!(said.contains("raw") && said.contains("md-frame"), "{said}");
    let said = folder.fails(1, "import --append run.xtc notes.vls");
    assert!(said.contains("raw") && said.contains("md-frame"), "{said}");
    // Bytes that are no frame do not come into a store of frames, nor make one.
    assert!(folder.fails(1, "put frames.vls k notes.txt").contains("md-frame"));
    assert!(folder.fails(1, "put --codec md-frame new.vls k notes.txt").contains("md-frame"));
    assert!(!folder.path("new.vls").exists() && !folder.path("x.xtc").exists());
}

#[test]
fn options_that_cannot_work_together_are_refused_by_name_before_anything_is_made() {
    let folder = Folder::new();
    for (options, says) in [
        ("--block-size 8MiB", "block size"),
        ("--chunk-size 100", "chunk size"),
        ("--chunk-size 1GiB", "chunk size"),
        ("--append --drop-newer", "--from-step or --from-frame"),
    ] {
        let said = folder.fails(1, &format!("import {options} run.xtc new.vls"));
        assert!(said.contains(says), "{options}: {said}");
        assert!(!folder.path("new.vls").exists(), "{options}");
    }
}

#[test]
fn frames_without_steps_are_known_by_their_content_or_refused_with_what_to_do() {
    let folder = Folder::new();
    fs::write(folder.path("two.xyz"), "1\n\nH 0 0 0\n1\n\nH 0 0 1\n").unwrap();
    folder.ok("import -q two.xyz two.vls");
    let said = folder.ok("import --append two.xyz two.vls");
    assert!(said.contains("0 frames imported") && said.contains("skipped 2"), "{said}");
    folder.ok("rm two.vls 0");
    let said = folder.fails(1, "import --append two.xyz two.vls");
    assert!(said.contains("--from-frame") && said.contains("--keep-all"), "{said}");
    let said = folder.ok("import --append --from-frame 1 two.xyz two.vls");
    assert!(said.contains("1 frame imported") && said.contains("skipped 1"), "{said}");
    folder.ok("import -q --append --keep-all two.xyz two.vls");
    assert_eq!(folder.json("info --json two.vls")["records"], 4);
}
