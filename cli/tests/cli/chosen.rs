//! Columns beside the list of records, and exports of chosen fields.

use super::{FRAMES, Folder, frames, shared};
use serde_json::json;
use std::fs;

#[test]
fn ls_lists_columns_beside_the_records() {
    let folder = Folder::new();
    let text = folder.ok("ls --columns time,step,energy --range 2:5 frames.vls");
    let lines: Vec<Vec<&str>> = text.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["ordinal", "bytes", "weight", "time", "step", "energy", "key"]);
    let columns = folder.ok("columns --range 2:5 frames.vls time step");
    for (line, row) in lines[1..].iter().zip(columns.lines().skip(1)) {
        assert_eq!(line[3..5], row.split(',').collect::<Vec<_>>()[..]);
        assert_eq!((line[0], line[5]), (line[6], "-"));
    }
    assert_eq!(lines.len(), 4);
    // All of them, in any order, as objects; a cell has nine numbers.
    for (range, first, count) in [("", 0, FRAMES), (" --range ::-250", 1000, 5)] {
        let text = folder.ok(&format!("ls --json --columns step,cell{range} frames.vls"));
        let all: Vec<serde_json::Value> =
            text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!((all.len(), &all[0]["ordinal"]), (count, &json!(first)));
        let steps = folder.json(&format!("get --as json --fields step frames.vls {first}"));
        assert_eq!(all[0]["step"], steps["step"]);
        assert_eq!(all[0]["cell"].as_array().unwrap().len(), 9);
    }
    let said = folder.fails(1, "ls --columns mass frames.vls");
    assert!(said.contains("\"mass\"") && said.contains("energy"), "{said}");
    let empty = folder.ok("ls --columns step --range 5:5 frames.vls");
    assert!(empty.lines().count() == 1 && empty.contains("step"), "{empty}");
    assert!(folder.fails(1, "ls --columns mass --range 5:5 frames.vls").contains("mass"));
    // A store without such columns, as of the original program, is decoded for them.
    if let Some(old) = shared("vlstore/ala2-npt-40x1324-contiguous.vlstore") {
        fs::copy(old, folder.path("old.vls")).unwrap();
        folder.run("ls --columns step --range 1:3 old.vls").code(1);
        assert!(folder.ok("ls --columns bytes old.vls").lines().count() > 2);
        let text = folder.ok("ls --columns energy --codec md-frame --range 1:3 old.vls");
        assert_eq!(text.lines().count(), 3);
    }
}

#[test]
fn exports_hold_the_fields_that_were_asked_for_and_no_others() {
    let folder = Folder::new();
    folder.ok("export --quiet --fields positions,step,time,cell frames.vls thin.xtc");
    assert!(frames(&folder.path("thin.xtc")) == frames(&folder.path("run.xtc")));
    folder.ok("export --quiet --fields positions --frames :3 frames.vls bare.xtc");
    let bare = frames(&folder.path("bare.xtc"));
    let whole = frames(&folder.path("run.xtc"));
    assert_eq!(bare.len(), 3);
    for (bare, whole) in bare.iter().zip(&whole) {
        assert_eq!(bare.positions, whole.positions);
    }
    let small = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/small.extxyz");
    folder.ok(&format!("import --quiet {small} small.vls"));
    folder.ok("export --quiet --fields positions,types,energy small.vls thin.extxyz");
    let (thin, all) = (frames(&folder.path("thin.extxyz")), frames(std::path::Path::new(small)));
    for (thin, all) in thin.iter().zip(&all) {
        assert_eq!((&thin.positions, thin.energy), (&all.positions, all.energy));
        assert_eq!(thin.types, all.types);
        assert!(thin.forces.is_none() && thin.cell.is_none() && thin.atom_properties.is_empty());
    }
    assert!(thin.len() == all.len() && all.iter().any(|f| f.forces.is_some() || f.cell.is_some()));
    let said = folder.fails(2, "export --fields positions,bonds frames.vls none.xtc");
    assert!(said.contains("'bonds'") && said.contains("positions"), "{said}");
    assert!(folder.fails(1, "export --fields step frames.vls none.xtc").contains("positions"));
    assert!(!folder.path("none.xtc").exists());
}
