//! The command line on real data: every verb, every example of its help, every way to be asked
//! for the impossible, and writers that are stopped while they write.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod bad_input;
mod chosen;
mod datasets;
mod experiments;
mod extxyz;
mod help;
#[cfg(unix)]
mod inputs;
mod keep;
mod manners;
mod older;
#[cfg(unix)]
mod outputs;
mod plot;
#[cfg(unix)]
mod signals;
mod trajectories;
mod verbs;

use assert_cmd::Command;
use std::path::{Path, PathBuf};
use vlstore::codec::MdFrame;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_vlstore");
/// 22 atoms, 1001 frames; the trajectory that the project carries.
const FRAMES: usize = 1001;

/// A folder with `run.xtc`, `frames.vls` made of it, and `notes.txt`.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        std::fs::copy(carried(), folder.path("run.xtc")).unwrap();
        std::fs::write(folder.path("notes.txt"), "some notes\n").unwrap();
        folder.ok("import --quiet run.xtc frames.vls");
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The program with these arguments, parted at blanks, run in the folder.
    fn run(&self, args: &str) -> assert_cmd::assert::Assert {
        Command::new(PROGRAM).args(args.split(' ')).current_dir(self.0.path()).assert()
    }

    /// What the program writes, if all goes well.
    fn ok(&self, args: &str) -> String {
        let output = self.run(args).success();
        String::from_utf8_lossy(&output.get_output().stdout).into_owned()
    }

    fn json(&self, args: &str) -> serde_json::Value {
        serde_json::from_str(&self.ok(args)).unwrap()
    }

    /// What the program complains about; it must end with this status and not panic.
    fn fails(&self, status: i32, args: &str) -> String {
        let assert = self.run(args);
        let output = assert.get_output();
        let said = String::from_utf8(output.stderr.clone()).unwrap();
        assert_eq!(output.status.code(), Some(status), "{args}: {said}");
        assert!(said.starts_with("error: ") && !said.contains("panicked"), "{args}: {said}");
        said
    }

    /// Names in the folder beside those that were there from the start.
    fn made(&self) -> Vec<String> {
        let known = ["run.xtc", "frames.vls", "notes.txt"];
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
        names.filter(|n| !known.contains(&n.as_str())).collect()
    }
}

fn carried() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/ala2-npt-peptide.xtc")
}

/// A file of the real data beside the repository; where it is absent the test says so.
fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: there is no {}", path.display());
    None
}

/// All frames of a trajectory, by the library's own reader.
fn frames(path: &Path) -> Vec<MdFrame> {
    let mut reader = vlstore::formats::open(path).unwrap();
    let (mut all, mut frame) = (Vec::new(), MdFrame::default());
    while reader.next_frame(&mut frame).unwrap() {
        all.push(std::mem::take(&mut frame));
    }
    all
}
