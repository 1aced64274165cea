//! Writers that are stopped while they write, and readers of output that go away.

use super::{FRAMES, Folder, PROGRAM, carried};
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use vlstore::Readable;
use vlstore::Store;

/// An import that takes a second or two.
fn slow_import(folder: &Folder, more: &[&str]) -> Child {
    Command::new(PROGRAM)
        .args(["import", "--pace", "1000"])
        .args(more)
        .args(["run.xtc", "new.vls"])
        .current_dir(folder.0.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until a reader sees so many frames.
fn wait_for(store: &Path, frames: u64) -> u64 {
    let begun = Instant::now();
    loop {
        if let Ok(store) = Store::open(store)
            && store.len() >= frames
        {
            return store.len();
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "the writer does not get on");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn signal(child: &Child, name: &str) {
    let kill = format!("kill -{name} {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
}

fn goes_on(folder: &Folder) {
    folder.ok("import -q --append run.xtc new.vls");
    folder.ok("verify new.vls");
    folder.ok("export -q --overwrite new.vls back.xtc");
    assert_eq!(fs::read(folder.path("back.xtc")).unwrap(), fs::read(carried()).unwrap());
}

#[test]
fn ctrl_c_finishes_the_frame_commits_and_says_how_to_go_on() {
    for (name, status) in [("INT", 130), ("TERM", 143)] {
        let folder = Folder::new();
        let mut child = slow_import(&folder, &["--commit-every", "10frames"]);
        let seen = wait_for(&folder.path("new.vls"), 100);
        signal(&child, name);
        assert_eq!(child.wait().unwrap().code(), Some(status));
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(said.starts_with("interrupted: "), "{said}");
        let command = said.split("to resume: ").nth(1).unwrap().trim().to_owned();
        let stored = Store::open(folder.path("new.vls")).unwrap().len();
        assert!(stored >= seen && stored < FRAMES as u64, "{stored}");
        folder.ok("verify new.vls");
        // Exactly what is printed, by a shell.
        let mut shell = Command::new("sh");
        shell.args(["-c", &command.replace("--pace 1000", "")]).current_dir(folder.0.path());
        assert!(shell.output().unwrap().status.success(), "{command}");
        assert_eq!(Store::open(folder.path("new.vls")).unwrap().len(), FRAMES as u64);
        goes_on(&folder);
    }
}

#[test]
fn what_was_put_since_the_last_commit_is_kept_at_ctrl_c() {
    let folder = Folder::new();
    let mut child = slow_import(&folder, &["--durability", "none"]);
    wait_for(&folder.path("new.vls"), 0);
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(Store::open(folder.path("new.vls")).unwrap().len() > 10);
    goes_on(&folder);
}

#[test]
fn a_killed_writer_loses_no_committed_frame_and_another_goes_on() {
    let folder = Folder::new();
    let path = folder.path("new.vls");
    let mut before = 0;
    for round in 1..=8 {
        let mut child = slow_import(&folder, &["--append", "--commit-every", "7frames"]);
        let seen = wait_for(&path, (before + 60).min(900));
        // At another moment of a commit each time.
        std::thread::sleep(Duration::from_micros(700 * round));
        child.kill().unwrap();
        assert!(child.wait().unwrap().code().is_none());
        let stored = Store::open(&path).unwrap().len();
        assert!(stored >= seen && seen >= before, "round {round}: {before} {seen} {stored}");
        folder.ok("verify new.vls");
        before = stored;
    }
    goes_on(&folder);
}

/// Two runs whose steps are the same, killed anywhere and given again: each frame once, in order.
#[test]
fn a_killed_import_of_two_runs_with_the_same_steps_goes_on() {
    let folder = Folder::new();
    // The second run is the first one backwards in time, but its steps rise again.
    let mut run = super::frames(&carried());
    let steps: Vec<_> = run.iter().map(|f| f.step).collect();
    run.reverse();
    let options = vlstore::formats::OutputOptions::default();
    let kind = vlstore::formats::FormatKind::Xtc;
    let mut writer =
        vlstore::formats::create(&folder.path("b.xtc"), kind, &options, vlstore::Existing::Refuse)
            .unwrap();
    for (frame, step) in run.iter_mut().zip(steps) {
        frame.step = step;
        writer.write(frame).unwrap();
    }
    writer.finish().unwrap();
    let path = folder.path("new.vls");
    let mut before = 0;
    for round in 1..=6 {
        let mut child = Command::new(PROGRAM)
            .args(["import", "--append", "--pace", "700", "--commit-every", "13frames"])
            .args(["run.xtc", "b.xtc", "new.vls"])
            .current_dir(folder.0.path())
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        wait_for(&path, (before + 300).min(1950));
        std::thread::sleep(Duration::from_micros(900 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        before = Store::open(&path).unwrap().len();
    }
    folder.ok("import -q --append run.xtc b.xtc new.vls");
    folder.ok("export -q new.vls back.xtc");
    let both = [folder.path("run.xtc"), folder.path("b.xtc")].map(|p| fs::read(p).unwrap());
    assert_eq!(fs::read(folder.path("back.xtc")).unwrap(), both.concat());
}

#[test]
fn an_export_that_is_interrupted_leaves_no_file() {
    let folder = Folder::new();
    let whole = fs::read(folder.path("run.xtc")).unwrap();
    fs::write(folder.path("long.xtc"), whole.repeat(60)).unwrap();
    folder.ok("import -q long.xtc long.vls");
    let mut child = Command::new(PROGRAM)
        .args(["export", "long.vls", "out.xyz"])
        .current_dir(folder.0.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Once it writes, it watches for signals.
    let begun = Instant::now();
    while folder.made().iter().all(|n| !n.contains("out.xyz")) {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing is written");
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(20));
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(folder.made().iter().all(|n| !n.contains("out.xyz")), "{:?}", folder.made());
}

#[test]
fn nobody_is_told_when_the_reader_of_the_output_has_gone() {
    let folder = Folder::new();
    for verb in ["ls --json frames.vls", "get --as json frames.vls 7", "info frames.vls"] {
        let mut child = Command::new(PROGRAM)
            .args(verb.split(' '))
            .current_dir(folder.0.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{verb}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{verb}");
    }
}

#[test]
fn progress_is_silent_in_a_pipe() {
    let folder = Folder::new();
    let output = Command::new(PROGRAM)
        .args(["import", "run.xtc", "new.vls"])
        .current_dir(folder.0.path())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 1);
}
