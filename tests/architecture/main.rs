//! The rooms of `src/` and who may enter which, read from the sources.
//!
//! Dependencies point one way; see the table below. A new room is entered in the table, an
//! exception in the list, with its reason: so the plan changes where everybody sees it.
//! Test modules may join what they like.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test: it fails by panicking")]

mod cycles;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use source::Source;

/// What every room may use.
const FLOOR: [&str; 7] = ["error", "limits", "wire", "key", "column", "printable", "existing"];

/// Each room and the others that it may use beside the floor. `backend`, `chunk`, `frame` and
/// `index` stand side by side and only `store` joins them; `codec` does not know the store.
const ROOMS: [(&str, &[&str]); 26] = [
    ("error", &[]),
    ("limits", &[]),
    ("wire", &[]),
    ("key", &[]),
    ("column", &[]),
    ("printable", &[]),
    ("existing", &[]),
    ("backend", &[]),
    ("chunk", &[]),
    ("frame", &[]),
    ("index", &[]),
    ("codec", &[]),
    ("store", BELOW_STORE),
    ("remote", BELOW_REMOTE),
    ("dataset", BELOW_DATASET),
    ("maintain", BELOW_MAINTAIN),
    ("depot", BELOW_DEPOT),
    ("formats", BELOW_DEPOT),
    ("series", BELOW_DEPOT),
    ("trajectory", BELOW_TRAJECTORY),
    ("blobs", BELOW_BLOBS),
    ("cache", BELOW_FORMATS),
    ("experiments", BELOW_FORMATS),
    ("loader", BELOW_LOADER),
    ("demo", BELOW_FACES),
    ("cookbook", BELOW_FACES),
];
const BELOW_STORE: &[&str] = &["backend", "chunk", "frame", "index"];
const BELOW_REMOTE: &[&str] = &["backend", "chunk", "frame", "index", "store"];
const BELOW_DATASET: &[&str] = &["backend", "chunk", "frame", "index", "store", "remote"];
const BELOW_MAINTAIN: &[&str] = &["backend", "chunk", "frame", "index", "store", "dataset"];
const BELOW_BLOBS: &[&str] = &[
    "backend", "chunk", "frame", "index", "codec", "store", "dataset", "maintain", "depot",
    "remote",
];
const BELOW_DEPOT: &[&str] =
    &["backend", "chunk", "frame", "index", "codec", "store", "dataset", "maintain"];
const BELOW_FORMATS: &[&str] =
    &["backend", "chunk", "frame", "index", "codec", "store", "dataset", "maintain", "depot"];
const BELOW_TRAJECTORY: &[&str] = &[
    "backend", "chunk", "frame", "index", "codec", "store", "dataset", "maintain", "depot",
    "formats",
];
const BELOW_LOADER: &[&str] = &[
    "backend",
    "chunk",
    "frame",
    "index",
    "codec",
    "store",
    "dataset",
    "maintain",
    "depot",
    "formats",
    "trajectory",
    "cache",
];
const BELOW_FACES: &[&str] = &[
    "backend",
    "chunk",
    "frame",
    "index",
    "codec",
    "store",
    "dataset",
    "maintain",
    "depot",
    "formats",
    "trajectory",
    "cache",
    "loader",
    "experiments",
];

/// An import against the arrows that is right all the same.
struct Exception {
    /// The files that may: a beginning of their path.
    files: &'static str,
    /// What they may name: a beginning of the path behind `crate::`.
    path: &'static str,
    reason: &'static str,
}

const EXCEPTIONS: [Exception; 2] = [
    Exception {
        files: "src/frame/",
        path: "chunk",
        reason: "the offsets and the trailer's content of a frame are Blosc2 chunks themselves",
    },
    Exception {
        files: "src/index/saved_lookup.rs",
        path: "frame::msgpack",
        reason: "the table of the original program is msgpack, as all metadata of a frame",
    },
];

/// The only files that may contain `unsafe`; each has its rows in `docs/safety.md`.
const UNSAFE: [&str; 12] = [
    "src/backend/fork.rs",
    "src/backend/map.rs",
    "src/backend/process.rs",
    "src/chunk/blosc.rs",
    "src/chunk/planes.rs",
    "src/chunk/zstd.rs",
    "src/codec/generated/",
    "src/store/read/helper_threads.rs",
    "src/wire/prefetch.rs",
    "src/wire/rows.rs",
    "python/src/array/buffer.rs",
    "python/src/array/numpy_c_api.rs",
];

/// The crates that only the command line may need.
const FOR_A_COMMAND_LINE: [&str; 5] =
    ["clap", "clap_complete", "clap_mangen", "indicatif", "signal-hook"];

const LONG: usize = 500;

#[test]
fn imports_follow_the_arrows() {
    let sources = all();
    let exported = source::exports(&sources);
    let mut wrong = Vec::new();
    let mut used = [false; EXCEPTIONS.len()];
    for file in &sources {
        wrong.extend(against_the_arrows(file, &exported, &mut used));
    }
    for (exception, _) in EXCEPTIONS.iter().zip(used).filter(|(_, used)| !used) {
        println!("nobody uses the exception {} -> {}", exception.files, exception.path);
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn only_one_file_names_the_c_library() {
    none(
        |file| file.path != "src/chunk/blosc.rs",
        |name| name == "blosc2" || name.starts_with("blosc2_") || name.starts_with("blosc1_"),
    );
}

#[test]
fn only_the_codec_room_names_generated_code() {
    none(
        |file| !file.path.starts_with("src/codec/"),
        |name| name == "generated" || name == "flatbuffers",
    );
}

#[test]
fn only_the_command_line_names_what_a_command_line_needs() {
    none(
        |file| !file.path.starts_with("cli/src/"),
        |name| FOR_A_COMMAND_LINE.iter().any(|known| known.replace('-', "_") == name),
    );
}

/// Who uses the library compiles nothing of the command line.
#[test]
fn the_library_does_not_depend_on_what_a_command_line_needs() {
    let needed = |package: &str| -> BTreeSet<String> {
        let lines = tree(&["--edges", "normal", "--package", package]);
        lines.iter().filter_map(|line| line.split(' ').next()).map(String::from).collect()
    };
    let (library, program) = (needed("vlstore"), needed("vlstore-cli"));
    assert!(library.contains("blosc2-sys") && program.is_superset(&library));
    for name in FOR_A_COMMAND_LINE {
        assert!(program.contains(name) && !library.contains(name), "{name}: {library:?}");
    }
}

/// With other features a crate is compiled once more, which for all of them takes minutes.
#[test]
fn tests_and_the_wheel_share_one_build_of_all_other_crates() {
    let features = ["--format", "{p} {f}"];
    let tests = ["--workspace", "--features", "testing", "--edges", "normal,dev"];
    let wheel = ["--package", "vlstore-python", "--edges", "normal"];
    let (tests, wheel) =
        (tree(&[&tests[..], &features].concat()), tree(&[&wheel[..], &features].concat()));
    assert!(wheel.len() > 100 && tests.len() > wheel.len(), "{} {}", tests.len(), wheel.len());
    let ours = |line: &&String| line.starts_with("vlstore");
    let others: Vec<_> = wheel.difference(&tests).filter(|line| !ours(line)).collect();
    assert!(
        others.is_empty(),
        "name in Cargo.toml the features that these have in tests: {others:?}"
    );
}

#[test]
fn modules_of_one_folder_do_not_use_each_other_in_a_circle() {
    let sources = all();
    let mut wrong = Vec::new();
    for root in ["src/", "cli/src/", "python/src/"] {
        for circle in cycles::cycles(&sources, root) {
            wrong.push(format!("{}: {}", circle.folder, circle.edges.join(", ")));
        }
    }
    assert!(wrong.is_empty(), "modules use each other in a circle\n{}\n", wrong.join("\n"));
}

/// What they hold is as long as a file or a caller says, and there may be no memory for that.
#[test]
fn rooms_whose_sizes_a_file_decides_ask_for_memory_and_do_not_take_it() {
    none(
        |file| {
            let rooms = [
                "src/store/",
                "src/dataset/",
                "src/maintain/",
                "src/chunk/",
                "src/index/",
                "src/backend/",
                "src/codec/borrowed.rs",
                "src/formats/extxyz/columns.rs",
            ];
            rooms.iter().any(|room| file.path.starts_with(room))
        },
        |name| ["with_capacity", "reserve_exact", "try_reserve_exact"].contains(&name),
    );
}

#[test]
fn unsafe_code_stays_in_its_rooms() {
    none(|file| !UNSAFE.iter().any(|room| file.path.starts_with(room)), |name| name == "unsafe");
}

#[test]
fn every_room_with_unsafe_code_is_in_the_table_of_docs_safety() {
    let table = fs::read_to_string(root().join("docs/safety.md")).unwrap();
    let missing: Vec<_> = all()
        .into_iter()
        .filter(|file| file.names().any(|(_, name)| name == "unsafe"))
        .map(|file| file.path)
        .filter(|path| {
            let folder = UNSAFE.iter().find(|room| room.ends_with('/') && path.starts_with(*room));
            !table.contains(folder.copied().unwrap_or(path))
        })
        .collect();
    assert!(missing.is_empty(), "docs/safety.md says nothing of {missing:?}");
}

#[test]
fn the_table_of_docs_safety_counts_every_unsafe_and_names_every_foreign_function() {
    let page = fs::read_to_string(root().join("docs/safety.md")).unwrap();
    let table = page.split("| file | `unsafe` |").nth(1).unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let listed: BTreeMap<String, usize> = rows
        .map(|row| {
            let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
            (cells[0].trim_matches('`').to_string(), cells[1].parse().unwrap())
        })
        .collect();
    let mut found = BTreeMap::new();
    for file in all() {
        let count = file.names().filter(|(_, name)| *name == "unsafe").count();
        if count > 0 {
            found.insert(file.path.clone(), count);
        }
        let text = fs::read_to_string(root().join(&file.path)).unwrap();
        for call in text.split("ffi::").skip(1) {
            let name: String =
                call.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let called = call[name.len()..].starts_with('(');
            assert!(!called || page.contains(&format!("`{name}`")), "{name} in {}", file.path);
        }
    }
    assert_eq!(listed, found, "docs/safety.md (left) and the sources (right)");
}

#[test]
fn every_test_that_docs_correctness_names_is_there() {
    let page = fs::read_to_string(root().join("docs/correctness.md")).unwrap();
    let mut known = String::new();
    for folder in ["tests", "src", "cli/tests"] {
        let mut folders = vec![root().join(folder)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|e| e == "rs") {
                    known.push_str(&fs::read_to_string(path).unwrap());
                }
            }
        }
    }
    let mut named = 0;
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        let tests = row.trim_end_matches(" |").rsplit('|').next().unwrap_or_default();
        let plain = tests.split('`').step_by(2);
        for name in plain.flat_map(|t| t.split(|c: char| !(c.is_alphanumeric() || c == '_'))) {
            if name.contains('_') {
                let there = [format!("fn {name}"), format!("    {name}")];
                assert!(there.iter().any(|n| known.contains(n)), "there is no test {name}");
                named += 1;
            }
        }
    }
    assert!(named > 40, "{named}");
}

/// The models are compiled by `scripts/campaign` alone. That they still can be is seen here as far as names
/// tell: what the files that they take use is in `models/src/lib.rs`, or taken out by `models/build.rs`.
#[test]
fn the_models_have_what_the_files_that_they_take_use() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let (stand_ins, build) = (read("models/src/lib.rs"), read("models/build.rs"));
    let taken = ["src/store/read/cache.rs", "src/store/write/pool.rs"];
    for file in all().iter().filter(|file| taken.contains(&&*file.path)) {
        assert!(build.contains(file.path.rsplit('/').next().unwrap()), "they take {}", file.path);
        let imports = file.imports();
        assert!(!imports.is_empty(), "{}", file.path);
        for (line, path) in imports {
            let has = |kind: &str, name: &str| stand_ins.contains(&format!("pub {kind} {name}"));
            let (name, modules) = path.split_last().unwrap();
            let kinds = ["fn", "struct", "enum", "type", "const", "mod"];
            let stands = kinds.iter().any(|kind| has(kind, name))
                && modules.iter().all(|module| has("mod", module));
            let path = path.join("::");
            let replaced = build.contains(&format!("use crate::{path};"));
            assert!(stands || replaced, "{}:{line}: {path} is not in models/src/lib.rs", file.path);
        }
    }
}

/// A file that no module names is not compiled, and its tests are not missed.
#[test]
fn every_file_of_tests_library_is_a_module_of_the_program() {
    let folder = root().join("tests/library");
    let program = fs::read_to_string(folder.join("main.rs")).unwrap();
    let modules: BTreeSet<_> =
        program.lines().filter_map(|line| line.strip_prefix("mod ")).collect();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let named = name == "main" || modules.contains(format!("{name};").as_str());
        assert!(named, "tests/library/main.rs does not name {name}");
    }
}

/// Reported, not refused: a long file with one idea may stay.
#[test]
fn long_files_are_reported() {
    for file in all().iter().filter(|file| !file.path.contains("/generated/")) {
        if file.lines > LONG {
            println!("{} has {} lines: one idea, or two?", file.path, file.lines);
        }
    }
}

#[test]
fn an_import_against_the_arrows_is_found_however_it_is_written() {
    let exported = BTreeMap::from([("Store".to_string(), "store".to_string())]);
    let check = |path: &str, text: &str| {
        let file = Source::parse(path.to_string(), text);
        against_the_arrows(&file, &exported, &mut [false; EXCEPTIONS.len()])
    };
    for text in [
        "use crate::store::Store;",
        "use crate::{error::Error, store::{Store, Writer}};",
        "use crate::Store;",
        "use super::super::store;",
        "fn f() { let x = crate::store::open::<u8>(); }",
        "use crate::unheard_of::Thing;",
        "#[cfg(any(test, feature = \"testing\"))] use crate::store;",
        "const QUOTE: char = '\"'; use crate::store; const OTHER: char = '\"';",
    ] {
        assert!(!check("src/index/build.rs", text).is_empty(), "{text}");
    }
    for text in [
        "use crate::error::{Error, Result}; use super::layout; use crate::index::layout;",
        "// use crate::store;\n/* use crate::store; /* */ crate::store */",
        "const TEXT: &str = \"crate::store\"; const RAW: &str = r#\"crate::store\"#;",
        "pub(super) fn f<'a>(x: &'a u8) -> &'a u8 { x }",
        "#[cfg(test)] mod tests { use crate::store::Store; fn f() { if true {} } }",
        "#[cfg(test)] #[path = \"x.rs\"] mod tests; fn f() {}",
    ] {
        assert_eq!(check("src/index/build.rs", text), [""; 0], "{text}");
    }
    assert!(check("src/store/open.rs", "use crate::index::Index; use super::Store;").is_empty());
    assert!(check("src/frame/offsets.rs", "use crate::chunk::Header;").is_empty());
    assert_eq!(check("src/frame.rs", "use super::store;").len(), 1);
    assert_eq!(check("src/index/saved_lookup.rs", "use crate::frame::Header;").len(), 1);
    assert!(check("src/index/saved_lookup.rs", "use crate::frame::{msgpack::Value};").is_empty());
    assert_eq!(check("src/attic/mod.rs", "").len(), 1, "a room that the table does not know");
    assert!(check("cli/src/lib.rs", "use crate::store;").is_empty());
}

/// The crates that `cargo tree` lists.
fn tree(args: &[&str]) -> BTreeSet<String> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--prefix", "none"])
        .args(args)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let lines = String::from_utf8(tree.stdout).unwrap();
    lines.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file of the library, the command line and the Python face.
fn all() -> Vec<Source> {
    let sources = source::under(root(), &["src", "cli/src", "python/src"]);
    assert!(sources.iter().any(|file| file.path == "src/lib.rs"), "the sources are found");
    sources
}

fn against_the_arrows(
    file: &Source,
    exported: &BTreeMap<String, String>,
    used: &mut [bool; EXCEPTIONS.len()],
) -> Vec<String> {
    let Some(room) = file.room() else {
        return Vec::new();
    };
    let Some((_, below)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        return vec![format!("{}: `{room}` is not in the table of rooms", file.path)];
    };
    let mut wrong = Vec::new();
    for (line, mut path) in file.imports() {
        if let Some(home) = exported.get(&path[0]) {
            path.insert(0, home.clone());
        }
        let target = path[0].as_str();
        if target == room || FLOOR.contains(&target) || below.contains(&target) {
            continue;
        }
        let path = path.join("::");
        let excused = EXCEPTIONS.iter().position(|exception| {
            let rest = path.strip_prefix(exception.path);
            assert!(exception.reason.len() > 20, "an exception says why");
            file.path.starts_with(exception.files)
                && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        });
        match excused {
            Some(n) => used[n] = true,
            None => wrong.push(format!("{}:{line}: `{room}` may not use `{path}`", file.path)),
        }
    }
    wrong
}

/// Fails with every place in the `watched` files where a name is `forbidden`.
fn none(watched: impl Fn(&Source) -> bool, forbidden: impl Fn(&str) -> bool) {
    let mut wrong = Vec::new();
    for file in all().iter().filter(|file| watched(file)) {
        for (line, name) in file.names().filter(|(_, name)| forbidden(name)) {
            wrong.push(format!("{}:{line}: `{name}` does not belong here", file.path));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}
