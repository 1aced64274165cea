//! Experiments: packed, restored, consolidated; bad input is refused and changes nothing.

use super::Folder;
use std::fs;
use vlstore::codec::ArrayView;
use vlstore::experiments::{Acquired, StackAxis, Storage, TaskOptions, Value};

/// A folder with the experiment `data`.
fn filled() -> Folder {
    let folder = Folder::new();
    let storage = Storage::create(folder.path("data")).unwrap();
    let mut task = storage.append_task("p01", "reach", TaskOptions::default()).unwrap();
    let values: Vec<f64> = (0..1000).map(f64::from).collect();
    let array = Acquired::Whole(ArrayView::of(&[10, 100], &values).unwrap());
    let numbers = ["block", "trial"].map(|name| (name.to_owned(), Value::Int(0)));
    task.write(None, &numbers, &[("emg", StackAxis::Columns, array)]).unwrap();
    task.close().unwrap();
    fs::create_dir(folder.path("data/empty")).unwrap();
    fs::write(folder.path("data/notes.txt"), "by hand").unwrap();
    folder
}

#[test]
fn an_experiment_is_packed_restored_and_consolidated() {
    let folder = filled();
    let said = folder.ok("archive data");
    assert!(said.starts_with("data.zip: "), "{said}");
    let first = fs::read(folder.path("data.zip")).unwrap();
    let said = folder.fails(1, "archive data");
    assert!(said.contains("data.zip exists already") && said.contains("--overwrite"), "{said}");
    folder.ok("archive --overwrite data/");
    assert_eq!(fs::read(folder.path("data.zip")).unwrap(), first);
    assert_eq!(folder.json("archive --json --no-views data small.zip")["path"], "small.zip");
    assert!(fs::metadata(folder.path("small.zip")).unwrap().len() < first.len() as u64);
    for archive in ["data.zip", "small.zip"] {
        folder.ok(&format!("archive --restore {archive} back-{archive}"));
        for file in ["p01/reach.vls", "notes.txt"] {
            let back = fs::read(folder.path(&format!("back-{archive}/data/{file}"))).unwrap();
            assert_eq!(back, fs::read(folder.path(&format!("data/{file}"))).unwrap());
        }
        assert!(folder.path(&format!("back-{archive}/data/empty")).is_dir());
    }
    folder.fails(1, "archive --restore data.zip");
    folder.ok("consolidate data");
    let said = folder.json("consolidate --json --level 0 data.zip two.hdf5");
    assert_eq!(said["left_out"], serde_json::json!(["notes.txt"]));
    let emg =
        |file| vlstore::experiments::read_hdf5(&folder.path(file), "p01/reach/0/emg").unwrap();
    assert_eq!(emg("data.hdf5"), emg("two.hdf5"));
    assert_eq!(emg("data.hdf5").shape, [10, 100]);
    assert!(folder.fails(1, "consolidate data").contains("--overwrite"));
}

#[test]
fn what_is_no_experiment_is_refused_and_nothing_is_made() {
    let folder = Folder::new();
    for (args, says) in [
        ("archive missing", "missing"),
        ("archive notes.txt", "not the folder"),
        ("archive --restore notes.txt", "zip"),
        ("archive --restore run.xtc", "zip"),
        ("consolidate missing", "missing"),
        ("consolidate notes.txt", "no experiment"),
        ("consolidate frames.vls", "no experiment"),
    ] {
        let said = folder.fails(1, args);
        assert!(said.contains(says), "{args}: {said}");
    }
    assert!(folder.made().is_empty());
    if let Some(flat) = super::shared("seed-formats/axopy-upstream-flattened.zip") {
        let said = folder.fails(1, &format!("archive --restore {}", flat.display()));
        assert!(said.contains("folders of this experiment are lost"), "{said}");
    }
    assert!(folder.made().is_empty());
}

#[test]
fn a_task_under_acquisition_is_not_packed() {
    let folder = filled();
    let storage = Storage::open(folder.path("data")).unwrap();
    let task = storage.append_task("p01", "reach", TaskOptions::default()).unwrap();
    assert!(folder.fails(1, "archive data").contains("another writer"));
    drop(task);
    folder.ok("archive data");
}
