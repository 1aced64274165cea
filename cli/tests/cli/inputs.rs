//! No verb damages what it is given: not when it ends well, not when it is refused, not when it is
//! interrupted, killed, or has no room left to write to.

use super::{Folder, PROGRAM};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use vlstore::Digest;
use vlstore::Readable;
use vlstore::Store;

/// What each verb is asked for, but for those that write to the store that they are given, which is
/// what they are for: `put`, `rm`, `seal`, `import --append`, `stat --keep`. NEW is a new file.
const READERS: [&str; 32] = [
    "import long.xtc NEW",
    "export long.vls NEW.xtc",
    "export --fields positions long.vls NEW.xyz",
    "info long.vls",
    "ls --json --columns step long.vls",
    "columns long.vls step time cell",
    "get --as json long.vls 7",
    "get --output NEW long.vls 7",
    "put --key-from-nowhere long.vls",
    "rm long.vls 5000000",
    "verify long.vls",
    "seal notes.txt",
    "stat long.vls",
    "stat --training long.vls",
    "topology long.vls",
    "follow --count 1 long.vls",
    "plot long.vls NEW.png",
    "archive notes.txt NEW",
    "consolidate notes.txt NEW",
    "recover long.vls NEW",
    "recover --chunks bad.vls NEW",
    "copy --compression lz4 --purpose random long.vls NEW",
    "copy --match 1* bad.vls NEW",
    "merge --clash prefix long.vls frames.vls bad.vls NEW",
    "merge long.vls frames.vls NEW",
    "split --records 5000 long.vls NEW",
    "shard --parts 3 --balance weight long.vls NEW",
    "publish notes.txt",
    "bench long.xtc",
    "demo --keep NEW run.xtc",
    "completions bash",
    "man .",
];

/// Name, digest and time of the last change of every file but new ones.
fn state(folder: &Folder) -> BTreeMap<String, (Digest, std::time::SystemTime)> {
    let mut out = BTreeMap::new();
    for entry in fs::read_dir(folder.0.path()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        // A folder that a killed `shard` leaves says by its name that it is nothing.
        let is_left = name.starts_with('.') && name.ends_with(".partial") && entry.path().is_dir();
        if name.starts_with("NEW") || name.ends_with(".1") || is_left {
            continue;
        }
        let changed = entry.metadata().unwrap().modified().unwrap();
        out.insert(name, (Digest::of(&fs::read(entry.path()).unwrap()), changed));
    }
    out
}

/// A folder with a store that takes some work, and a damaged one.
fn filled() -> Folder {
    let folder = Folder::new();
    let whole = fs::read(folder.path("run.xtc")).unwrap();
    fs::write(folder.path("long.xtc"), whole.repeat(20)).unwrap();
    folder.ok("import --quiet long.xtc long.vls");
    let mut bytes = fs::read(folder.path("long.vls")).unwrap();
    let third = bytes.len() / 3;
    bytes.iter_mut().skip(third).take(third).for_each(|b| *b = 0x5a);
    fs::write(folder.path("bad.vls"), bytes).unwrap();
    folder
}

fn clear(folder: &Folder) {
    for entry in fs::read_dir(folder.0.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("NEW") || name.contains(".partial") || name.ends_with(".1") {
            let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
        }
    }
}

fn start(folder: &Folder, args: &str) -> Child {
    Command::new(PROGRAM)
        .args(args.split(' '))
        .current_dir(folder.0.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn left(folder: &Folder) -> Vec<String> {
    let names = fs::read_dir(folder.0.path()).unwrap();
    let names = names.map(|e| e.unwrap().file_name().into_string().unwrap());
    names.filter(|n| n.contains("NEW") || n.starts_with('.')).collect()
}

#[test]
fn no_verb_changes_what_it_is_given_to_read() {
    let folder = filled();
    let before = state(&folder);
    for verb in super::help::VERBS {
        // `compact` replaces what it is given, `push` and `pull` want an address; see below.
        let here = ["compact", "push", "pull"].contains(&verb)
            || READERS.iter().any(|r| r.split(' ').next() == Some(verb));
        assert!(here, "{verb} is not tried");
    }
    let here = folder.0.path().display();
    // Both are refused here: with a server they are tried in `python/tests/test_remote.py`.
    let far =
        [format!("push long.vls file://{here}/NEW"), format!("pull file://{here}/long.vls NEW")];
    for args in READERS.into_iter().chain(far.iter().map(String::as_str)) {
        let status = start(&folder, args).wait().unwrap();
        assert!(status.code().is_some_and(|s| s < 5), "{args}: {status}");
        assert!(state(&folder) == before, "{args} has changed what it was given");
        clear(&folder);
    }
    // The one verb that replaces its input keeps it as it was if it cannot go through.
    for args in ["compact bad.vls", "compact notes.txt", "compact run.xtc"] {
        folder.run(args).failure();
        assert!(state(&folder) == before, "{args}");
    }
    assert_eq!(left(&folder), [""; 0]);
}

#[test]
fn an_interrupted_verb_leaves_its_input_whole_and_nothing_beside_it() {
    let folder = filled();
    let before = state(&folder);
    let records = Store::open(folder.path("long.vls")).unwrap().len();
    let mut stopped = 0;
    let slow = READERS.iter().filter(|r| !r.contains("follow") && !r.starts_with("demo"));
    // Last of all what may have replaced its input before it is stopped.
    for args in slow.chain([&"follow long.vls", &"compact long.vls"]) {
        for delay in [4, 15, 40, 90] {
            for signal in ["INT", "KILL"] {
                let mut child = start(&folder, args);
                std::thread::sleep(Duration::from_millis(delay));
                let kill = format!("kill -{signal} {} 2> /dev/null", child.id());
                let _ = Command::new("sh").args(["-c", &kill]).status().unwrap();
                let status = child.wait().unwrap();
                stopped += u32::from(status.code().is_none_or(|s| s == 130));
                let (here, done) = (left(&folder), status.code() == Some(0));
                if signal == "INT" && !done {
                    // An import keeps what it committed; else there is nothing.
                    let kept = |n: &String| args.starts_with("import") && n == "NEW";
                    let other = |n: &&String| !kept(n) && status.code() == Some(130);
                    assert_eq!(here.iter().find(other), None, "{args}: {status}");
                }
                // What a killed process leaves says by its name that it is nothing.
                let odd = here.iter().find(|n| n.starts_with('.') && !n.ends_with(".partial"));
                assert_eq!(odd, None, "{args}");
                if args.starts_with("compact") {
                    // Either file, whole.
                    let store = Store::open(folder.path("long.vls")).unwrap();
                    assert_eq!(store.len(), records);
                    assert!(store.verify(|_, _| Ok(())).unwrap().is_intact());
                } else {
                    assert!(state_but_compacted(&folder) == but_compacted(&before), "{args}");
                }
                clear(&folder);
            }
        }
    }
    assert!(stopped > 40, "{stopped} were stopped half-way");
}

type State = BTreeMap<String, (Digest, std::time::SystemTime)>;

fn but_compacted(state: &State) -> State {
    state.iter().filter(|(n, _)| !n.starts_with('.')).map(|(n, s)| (n.clone(), *s)).collect()
}

fn state_but_compacted(folder: &Folder) -> State {
    but_compacted(&state(folder))
}

/// Runs a verb where no file can become longer than `blocks` times 512 bytes.
fn confined(folder: &Path, blocks: u32, args: &str) -> (i32, String) {
    let line = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" {args}");
    let output = Command::new("sh")
        .args(["-c", &line, PROGRAM])
        .current_dir(folder)
        .stdout(Stdio::null())
        .output()
        .unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_verb_that_runs_out_of_room_says_so_and_leaves_all_as_it_was() {
    let folder = filled();
    // What `put` takes: a record of the store.
    let frame = Store::open(folder.path("long.vls")).unwrap().get_at(0).unwrap().to_vec();
    fs::write(folder.path("frame.bin"), frame).unwrap();
    let before = state(&folder);
    for args in [
        "compact long.vls",
        "copy long.vls NEW",
        "merge --clash prefix long.vls frames.vls NEW",
        "split --records 10000 long.vls NEW",
        "recover long.vls NEW",
        "export --quiet long.vls NEW.xyz",
        "import --quiet long.xtc NEW",
        "put long.vls more frame.bin",
        "rm long.vls 3",
        "seal long.vls",
    ] {
        for blocks in [0, 8, 40, 1000] {
            let (status, said) = confined(folder.0.path(), blocks, args);
            let may_go_on = ["seal", "import"].iter().any(|v| args.starts_with(v));
            assert!(status == 1 || (may_go_on && status == 0), "{args} {blocks}: {status} {said}");
            assert!(status == 0 || said.contains("error: "), "{args}: {said}");
            assert!(!said.contains("panicked"), "{args}: {said}");
            // What is full is named, and what to do.
            let new = args.split(' ').find(|arg| arg.starts_with("NEW"));
            let full = new.unwrap_or("long.vls").trim_end_matches(".xyz");
            let error = said.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
            assert!(status == 0 || error.contains(full), "{args}: {said}");
            assert!(status == 0 || said.contains("free some space"), "{args}: {said}");
            let rest = left(&folder);
            assert!(args.starts_with("import") || rest.is_empty(), "{args} left {rest:?}");
            if ["put", "rm", "seal"].iter().any(|v| args.starts_with(v)) {
                // They write behind what is there; the state is as it was.
                let store = Store::open(folder.path("long.vls")).unwrap();
                assert_eq!(store.len(), 20_020, "{args}");
                assert!(store.verify(|_, _| Ok(())).unwrap().is_intact(), "{args}");
            } else {
                assert!(state(&folder) == before, "{args}");
            }
            clear(&folder);
        }
    }
}

#[test]
fn every_verb_takes_paths_that_are_not_text() {
    let folder = filled();
    let odd = |name: &str| {
        let (stem, end) = name.split_once('.').unwrap_or((name, ""));
        let dot = if end.is_empty() { "" } else { "." };
        let bytes = [&b"\xff"[..], stem.as_bytes(), b"\xe9 \n", dot.as_bytes(), end.as_bytes()];
        OsString::from_vec(bytes.concat())
    };
    let files = ["long.xtc", "long.vls", "bad.vls", "frames.vls", "run.xtc", "notes.txt"];
    for name in files {
        fs::rename(folder.path(name), folder.0.path().join(odd(name))).unwrap();
    }
    fs::create_dir(folder.0.path().join(odd("pages"))).unwrap();
    let writers = [
        "import --append --keep-all run.xtc long.vls",
        "put long.vls more notes.txt",
        "rm long.vls 3",
        "seal long.vls",
        "stat --training --keep frames.vls",
        "compact long.vls",
        "compact frames.vls",
    ];
    let readers = READERS.map(|r| if r == "man ." { "man pages" } else { r });
    for args in readers.iter().chain(&writers) {
        let is_path = |a: &&str| files.contains(a) || a.starts_with("NEW") || *a == "pages";
        let words = args.split(' ');
        let words = words.map(|a| if is_path(&a) { odd(a) } else { OsString::from(a) });
        let output =
            Command::new(PROGRAM).args(words).current_dir(folder.0.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // Those that are refused are refused for what they ask, as with any other name.
        let right: &[i32] = match args {
            a if a.contains("bad.vls") => &[3],
            a if a.starts_with("rm long.vls 5000000") => &[4],
            a if a.contains("nowhere") => &[2],
            // No experiment.
            a if ["archive", "consolidate"].iter().any(|v| a.starts_with(v)) => &[1],
            a if a.contains("seal notes") || a.starts_with("merge long") => &[1],
            // No folder.
            a if a.starts_with("publish") => &[1],
            // Frames and raw bytes do not mix.
            a if a.starts_with("put") => &[0, 1],
            _ => &[0],
        };
        let status = output.status.code().unwrap_or(-1);
        assert!(right.contains(&status), "{args}: {status} {said}");
        assert!(!said.contains("panicked"), "{args}: {said}");
        let new = [odd("NEW"), odd("NEW.xtc"), odd("NEW.xyz")].map(|n| folder.0.path().join(n));
        for path in new {
            let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
        }
    }
}
