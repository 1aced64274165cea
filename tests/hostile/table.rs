//! The table of hazards in `docs/safety.md`: every row has tests, every test that it names is
//! there, and what the table says of versions is so.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// All attacks of this program.
fn attacks() -> Vec<&'static str> {
    [
        super::chunks::ATTACKS,
        super::frames::ATTACKS,
        super::head::ATTACKS,
        super::index::ATTACKS,
        super::journal::ATTACKS,
        super::lookup::ATTACKS,
        super::records::ATTACKS,
        super::rows::ATTACKS,
        super::crowds::ATTACKS,
        super::fences::ATTACKS,
        super::shared::ATTACKS,
    ]
    .iter()
    .flat_map(|list| list.iter().map(|attack| attack.name))
    .collect()
}

/// All functions under `#[test]`, and all attacks.
fn known() -> BTreeSet<String> {
    let mut files = Vec::new();
    rust_files(&root().join("tests"), &mut files);
    rust_files(&root().join("src"), &mut files);
    let mut out: BTreeSet<String> = attacks().into_iter().map(str::to_owned).collect();
    for file in files {
        let text = fs::read_to_string(file).unwrap();
        for after in text.split("#[test]").skip(1) {
            let name = after.split("fn ").nth(1).unwrap_or_default();
            out.extend(name.split('(').next().map(str::to_owned));
        }
    }
    out
}

#[test]
fn every_hazard_has_tests_and_every_test_that_the_table_names_is_there() {
    let page = fs::read_to_string(root().join("docs/safety.md")).unwrap();
    let table = page.split("| hazard | guard | tests |").nth(1).expect("the table of hazards");
    let known = known();
    let mut rows = 0;
    for row in table.lines().skip(2).take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let [hazard, _, tests] = cells[..] else { panic!("not three cells: {row}") };
        let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "no test: {hazard}");
        for test in named {
            assert!(known.contains(test), "there is no test {test} for: {hazard}");
        }
        rows += 1;
    }
    assert!(rows >= 25, "only {rows} rows were found");
}

#[test]
fn there_are_at_least_sixty_attacks_and_no_two_have_one_name() {
    let names = attacks();
    let different: BTreeSet<_> = names.iter().collect();
    println!("{} attacks", names.len());
    assert_eq!(different.len(), names.len());
    assert!(names.len() >= 60);
}

#[test]
fn the_c_library_is_the_bundled_one_and_flatbuffers_is_new_enough() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    for name in ["blosc2-rs", "blosc2-sys"] {
        let line = manifest.lines().find(|l| l.starts_with(name)).expect(name);
        assert!(
            line.contains("default-features = false") && line.contains("[\"static\"]"),
            "{line}"
        );
    }
    assert!(!manifest.contains("use-system-blosc2"));
    let line = manifest.lines().find(|l| l.starts_with("flatbuffers = ")).expect("flatbuffers");
    let version: Vec<u32> =
        line.split('"').nth(1).expect("a version").split('.').map(|n| n.parse().unwrap()).collect();
    assert!(version >= vec![25, 12], "{line}");
}
