//! How an output is written: every verb that makes one, and everything that can be at its place.

use super::{Folder, PROGRAM};
use std::fs;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

/// Verbs that make a store, and the name that `OUT.vls` becomes.
const STORES: [(&str, &str); 5] = [
    ("import --quiet run.xtc OUT.vls", "OUT.vls"),
    ("copy frames.vls OUT.vls", "OUT.vls"),
    ("merge frames.vls OUT.vls", "OUT.vls"),
    ("recover frames.vls OUT.vls", "OUT.vls"),
    ("split --records 5000 frames.vls OUT.vls", "OUT-000.vls"),
];
/// Verbs that make another file.
const FILES: [(&str, &str); 3] = [
    ("export --quiet --to xtc frames.vls OUT.vls", "OUT.vls"),
    ("get --output OUT.vls frames.vls 7", "OUT.vls"),
    ("get --as json --output OUT.vls frames.vls 7", "OUT.vls"),
];

fn over(args: &str) -> String {
    args.replacen(' ', " --overwrite ", 1)
}

fn make_pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn is_pipe(path: &Path) -> bool {
    fs::symlink_metadata(path).unwrap().file_type().is_fifo()
}

/// What the program says, which must end with status 1 and advise nobody to overwrite.
fn refused(folder: &Folder, args: &str, says: &str) {
    let said = folder.fails(1, args);
    assert!(said.contains(says), "{args}: {said}");
    assert!(!said.contains("--overwrite"), "{args}: {said}");
}

#[test]
fn a_store_is_made_at_regular_files_only_and_nothing_waits_for_a_pipe() {
    for (args, name) in STORES {
        let folder = Folder::new();
        let out = folder.path(name);
        make_pipe(&out);
        fs::create_dir(folder.path("folder")).unwrap();
        for args in [args.to_owned(), over(args)] {
            refused(&folder, &args, "this is a pipe");
            assert!(is_pipe(&out), "{args}");
        }
        fs::remove_file(&out).unwrap();
        for (target, says) in
            [("/dev/null", "this is a device"), ("folder", "folder"), ("/dev/stdout", "this is ")]
        {
            symlink(target, &out).unwrap();
            for args in [args.to_owned(), over(args)] {
                refused(&folder, &args, says);
            }
            assert_eq!(fs::read_link(&out).unwrap(), Path::new(target));
            fs::remove_file(&out).unwrap();
        }
        let socket = std::os::unix::net::UnixListener::bind(&out).unwrap();
        refused(&folder, &over(args), "this is a socket");
        drop(socket);
    }
    // So do verbs that write into a store, and those that read one.
    let folder = Folder::new();
    make_pipe(&folder.path("pipe"));
    for args in [
        "put pipe key notes.txt",
        "import --append run.xtc pipe",
        "compact pipe",
        "seal pipe",
        "rm pipe 3",
        "info pipe",
    ] {
        refused(&folder, args, "pipe");
        assert!(is_pipe(&folder.path("pipe")), "{args}");
    }
}

#[test]
fn a_store_replaces_a_store_or_an_empty_file_when_told_to_and_nothing_else_ever() {
    for (args, name) in STORES {
        let folder = Folder::new();
        let out = folder.path(name);
        for (source, is) in [("run.xtc", "a GROMACS XTC trajectory"), ("notes.txt", "a text file")]
        {
            fs::copy(folder.path(source), &out).unwrap();
            let said = folder.fails(1, args);
            assert!(said.contains("exists already"), "{args}: {said}");
            let said = folder.fails(1, &over(args));
            assert!(said.contains(is) && said.contains("not a store"), "{args}: {said}");
            assert!(said.contains(name) && said.contains("delete the file first"), "{said}");
            assert_eq!(fs::read(&out).unwrap(), fs::read(folder.path(source)).unwrap());
        }
        fs::write(&out, b"").unwrap();
        folder.ok(&over(args));
        folder.ok(&format!("verify {name}"));
        // A store, whole or damaged, by its newest state or only by what is left of it.
        let whole = fs::read(&out).unwrap();
        for (from, to) in [(0, 0), (whole.len() / 2, whole.len()), (0, 900), (1024, 1600)] {
            let mut bytes = whole.clone();
            bytes[from..to].fill(0x5a);
            fs::write(&out, &bytes).unwrap();
            folder.ok(&over(args));
            folder.ok(&format!("verify {name}"));
        }
    }
}

#[test]
fn links_stay_and_what_they_lead_to_is_replaced_or_made() {
    for (args, name) in STORES.into_iter().chain(FILES) {
        let folder = Folder::new();
        fs::create_dir(folder.path("sub")).unwrap();
        let link = folder.path(name);
        symlink("sub/target", &link).unwrap();
        // Nothing is there yet.
        folder.ok(args);
        let made = fs::read(folder.path("sub/target")).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink(), "{args}");
        let names = fs::read_dir(folder.path("sub")).unwrap().count();
        assert!(names == 1 && !made.is_empty(), "{args}");
        assert!(folder.fails(1, args).contains("exists already"), "{args}");
        if args.starts_with("get") {
            continue;
        }
        folder.ok(&over(args));
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink(), "{args}");
        assert!(!fs::symlink_metadata(folder.path("sub/target")).unwrap().is_symlink(), "{args}");
        assert_eq!(fs::read_dir(folder.path("sub")).unwrap().count(), 1, "{args}");
    }
}

#[test]
fn a_file_goes_into_a_pipe_to_a_device_and_to_standard_output_as_it_is() {
    for (args, name) in FILES {
        let folder = Folder::new();
        let out = folder.path(name);
        folder.ok(args);
        let right = fs::read(&out).unwrap();
        fs::remove_file(&out).unwrap();
        make_pipe(&out);
        for args in [args.to_owned(), over(args)] {
            if args.starts_with("get --overwrite") {
                continue;
            }
            let pipe = out.clone();
            let reader = std::thread::spawn(move || fs::read(pipe).unwrap());
            folder.ok(&args);
            assert_eq!(reader.join().unwrap(), right, "{args}");
            assert!(is_pipe(&out), "{args}");
        }
        assert_eq!(folder.made(), [name], "{args}");
        folder.ok(&args.replace("OUT.vls", "/dev/null"));
        for standard in ["-", "/dev/stdout", "/proc/self/fd/1"] {
            let run = |to: Stdio| {
                let args = args.replace("OUT.vls", standard);
                let mut command = Command::new(PROGRAM);
                command.args(args.split(' ')).current_dir(folder.0.path()).stdout(to);
                command.output().unwrap()
            };
            let output = run(Stdio::piped());
            assert!(output.status.success(), "{standard}: {output:?}");
            assert_eq!(output.stdout, right, "{standard}: {args}");
            // A file behind it is written to, and keeps what was before.
            let path = folder.path("redirected");
            fs::write(&path, b"before ").unwrap();
            let file = fs::OpenOptions::new().append(true).open(&path).unwrap();
            assert!(run(file.into()).status.success(), "{standard}");
            assert_eq!(fs::read(&path).unwrap(), [b"before ", &right[..]].concat(), "{standard}");
            fs::remove_file(path).unwrap();
        }
        assert_eq!(folder.made(), [name], "{args}");
    }
}

#[test]
fn an_export_to_standard_output_says_the_rest_on_standard_error() {
    let folder = Folder::new();
    folder.ok("export -q --to extxyz frames.vls file.xyz");
    let run = folder.run("export --to extxyz frames.vls -").success();
    let output = run.get_output();
    assert_eq!(output.stdout, fs::read(folder.path("file.xyz")).unwrap());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("1001 frames as extxyz"), "{said}");
    // Without a name there is no format to be told by it.
    let said = folder.fails(1, "export frames.vls -");
    assert!(said.contains("xtc or trr or dcd or extxyz") && said.contains("--to"), "{said}");
    let said = folder.fails(1, "export frames.vls run.h5md");
    assert!(
        said.contains("cannot write h5md") && said.contains("xtc or trr or dcd or extxyz"),
        "{said}"
    );
}

#[test]
fn an_export_replaces_a_file_when_told_to_and_a_store_never() {
    let folder = Folder::new();
    let store = fs::read(folder.path("frames.vls")).unwrap();
    fs::copy(folder.path("frames.vls"), folder.path("other.vls")).unwrap();
    refused(&folder, "export --overwrite --to xtc frames.vls other.vls", "this is a store");
    refused(&folder, "export --overwrite --to xtc frames.vls frames.vls", "this is a store");
    assert_eq!(fs::read(folder.path("frames.vls")).unwrap(), store);
    assert_eq!(fs::read(folder.path("other.vls")).unwrap(), store);
    let source = fs::read(folder.path("run.xtc")).unwrap();
    fs::write(folder.path("old.xtc"), b"old").unwrap();
    folder.ok("export --quiet --overwrite frames.vls old.xtc");
    assert_eq!(fs::read(folder.path("old.xtc")).unwrap(), source);
}

#[test]
fn an_export_that_waits_for_the_reader_of_a_pipe_can_be_interrupted() {
    let folder = Folder::new();
    make_pipe(&folder.path("pipe"));
    let child = Command::new(PROGRAM)
        .args(["export", "--to", "xtc", "frames.vls", "pipe"])
        .current_dir(folder.0.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    let kill = format!("kill -INT {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("interrupted"), "{said}");
}

#[test]
fn the_permissions_of_a_file_that_is_replaced_stay() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    folder.ok("copy frames.vls OUT.vls");
    fs::write(folder.path("OUT.xtc"), b"old").unwrap();
    for name in ["OUT.vls", "OUT.xtc"] {
        fs::set_permissions(folder.path(name), fs::Permissions::from_mode(0o640)).unwrap();
    }
    folder.ok("copy --overwrite frames.vls OUT.vls");
    folder.ok("export -q --overwrite frames.vls OUT.xtc");
    for name in ["OUT.vls", "OUT.xtc"] {
        let mode = fs::metadata(folder.path(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640, "{name}");
    }
}
