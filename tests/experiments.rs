//! Experiments: a trial is there with all of its arrays or not at all, and what is archived or
//! consolidated comes back as it was.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test: it fails by panicking")]

use std::fs;
use std::path::Path;
use std::time::Duration;
use vlstore::codec::ArrayView;
use vlstore::experiments::{
    Acquired, Archive, ArchiveOptions, Attributes, ConsolidateOptions, Consolidated, Object,
    StackAxis, Storage, Subjects, Task, TaskOptions, Value, import_experiment, open_experiment,
    read_hdf5, storage_from_zip, storage_to_hdf5, storage_to_zip, write_hdf5,
};
use vlstore::{Error, Existing, Readable, Store};

const EACH: TaskOptions =
    TaskOptions { commit_interval: Duration::ZERO, durability: vlstore::Durability::Kernel };

fn numbers(block: i64, trial: i64) -> Attributes {
    vec![
        ("label".into(), Value::Text(format!("{block}-{trial}"))),
        ("block".into(), Value::Int(block)),
        ("trial".into(), Value::Int(trial)),
    ]
}

fn row(values: &[f64]) -> ArrayView<'_> {
    ArrayView::of(&[1, values.len() as u64], values).unwrap()
}

fn values(array: &vlstore::experiments::Array) -> Vec<f64> {
    array.data.chunks(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect()
}

/// Two subjects; arrays whole and in pieces; an object.
fn filled(root: &Path) -> Storage {
    let storage = Storage::create(root).unwrap();
    for subject in ["p2", "p10"] {
        let mut task = storage.append_task(subject, "reach", EACH).unwrap();
        for i in 0..4_i64 {
            let token = task.begin(&numbers(0, i)).unwrap();
            for k in 0..=i {
                let piece = [i as f64, k as f64];
                task.stack(token, "emg", StackAxis::Columns, &row(&piece)).unwrap();
            }
            let whole = [i as f64; 3];
            let whole = Acquired::Whole(row(&whole));
            let arrays =
                [("path", StackAxis::Rows, whole), ("emg", StackAxis::Columns, Acquired::Stacked)];
            let n = task.write(Some(token), &numbers(0, i), &arrays).unwrap();
            assert_eq!(n, u64::try_from(i).unwrap());
        }
        task.put_object("normaliser.pkl", &Object::Bytes(vec![1, 2, 3])).unwrap();
        task.close().unwrap();
    }
    storage
}

fn check(found: &dyn Subjects) {
    assert_eq!(found.subjects().unwrap(), ["p10", "p2"]);
    assert_eq!(found.tasks("p2").unwrap(), ["reach"]);
    let task = found.task("p2", "reach").unwrap();
    assert_eq!(task.table().csv(), "label,block,trial\n0-0,0,0\n0-1,0,1\n0-2,0,2\n0-3,0,3\n");
    assert_eq!(task.trials()[2].attributes, numbers(0, 2));
    let emg = task.array(2, "emg").unwrap();
    assert_eq!((emg.shape.as_slice(), values(&emg)), (&[1, 6][..], vec![2., 0., 2., 1., 2., 2.]));
    assert_eq!(task.trials()[2].arrays[0].name, "path");
    assert_eq!(task.array(3, "path").unwrap().shape, [1, 3]);
    assert_eq!(task.object("normaliser.pkl").unwrap(), Object::Bytes(vec![1, 2, 3]));
    let why = task.array(1, "none").unwrap_err().to_string();
    assert!(why.contains("trial 1 has no array \"none\"; its arrays: \"path\", \"emg\""), "{why}");
    assert!(found.task("p2", "other").is_err() && found.tasks("p9").is_err());
}

#[test]
fn what_is_acquired_archived_and_consolidated_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    check(&filled(&root));
    let archived = |out: &str| {
        let out = dir.path().join(out);
        storage_to_zip(&root, Some(&out), ArchiveOptions::default(), |_, _| Ok(())).unwrap()
    };
    let (one, two) = (archived("one.zip"), archived("two.zip"));
    assert_eq!(fs::read(&one).unwrap(), fs::read(&two).unwrap());
    check(&Archive::open(&one).unwrap());
    let back = storage_from_zip(&one, Some(&dir.path().join("back")), |_, _| Ok(())).unwrap();
    for file in ["p2/reach.vls", "p10/reach.vls"] {
        assert_eq!(fs::read(root.join(file)).unwrap(), fs::read(back.join(file)).unwrap());
    }
    let options = ConsolidateOptions::default();
    let from = open_experiment(&one).unwrap();
    let out = storage_to_hdf5(&*from, &root, None, options, |_, _| Ok(())).unwrap();
    assert_eq!(out, dir.path().join("data.hdf5"));
    check(&Consolidated::open(&out).unwrap());
    let again = Storage::create(dir.path().join("again")).unwrap();
    let done = import_experiment(&out, &again, |_, _| Ok(())).unwrap();
    assert_eq!((done.tasks, done.trials), (2, 8));
    check(&again);
    let refused = storage_to_hdf5(&*from, &root, None, options, |_, _| Ok(())).unwrap_err();
    assert!(matches!(refused.root(), Error::Exists { .. }), "{refused}");
}

#[test]
fn a_refused_trial_leaves_nothing_and_a_writer_is_alone() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::create(dir.path()).unwrap();
    let mut task = storage.create_task("p", "t", Existing::Refuse, EACH).unwrap();
    let again = storage.create_task("p", "t", Existing::Refuse, EACH).unwrap_err();
    assert!(matches!(again.root(), Error::Exists { .. }), "{again}");
    for second in [
        storage.append_task("p", "t", EACH).unwrap_err(),
        storage.create_task("p", "t", Existing::Replace, EACH).unwrap_err(),
    ] {
        assert!(matches!(second.root(), Error::Locked), "{second}");
    }
    let whole = row(&[1.0]);
    let nameless: Attributes = vec![("block".into(), Value::Int(0))];
    let twice = [("x", StackAxis::Rows, Acquired::Whole(whole)); 2];
    let token = task.begin(&numbers(0, 0)).unwrap();
    task.stack(token, "x", StackAxis::Columns, &whole).unwrap();
    let unfilled = [
        ("x", StackAxis::Columns, Acquired::Stacked),
        ("y", StackAxis::Columns, Acquired::Stacked),
    ];
    assert!(task.write(Some(token), &numbers(0, 0), &unfilled).is_err());
    assert!(task.write(Some(token), &numbers(0, 0), &[]).is_err(), "it is given up");
    assert!(task.stack(token, "x", StackAxis::Columns, &whole).is_err());
    assert!(task.write(None, &nameless, &twice[..1]).is_err());
    assert!(task.write(None, &numbers(0, 0), &twice).is_err());
    assert!(task.write(None, &numbers(0, 0), &[("a/b", StackAxis::Rows, twice[0].2)]).is_err());
    let path = storage.task_path("p", "t").unwrap();
    assert_eq!(Store::open(&path).unwrap().len(), 0);
    assert_eq!(task.write(None, &numbers(0, 0), &twice[..1]).unwrap(), 0);
    drop(task);
    let task = storage.require_task("p", "t").unwrap();
    assert_eq!((task.trials().len(), task.unfinished().len()), (1, 0));
}

#[test]
fn a_writer_that_vanishes_leaves_its_committed_pieces_beside_the_trials() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::create(dir.path()).unwrap();
    let mut task = storage.create_task("p", "t", Existing::Refuse, EACH).unwrap();
    task.write(None, &numbers(0, 0), &[]).unwrap();
    let token = task.begin(&numbers(0, 1)).unwrap();
    task.stack(token, "x", StackAxis::Columns, &row(&[1.0, 2.0])).unwrap();
    task.clear(token, "x").unwrap();
    for i in 0..5 {
        task.stack(token, "x", StackAxis::Columns, &row(&[f64::from(i)])).unwrap();
    }
    // As if it were killed: no close.
    drop(task);
    let found = storage.require_task("p", "t").unwrap();
    assert_eq!(found.trials().len(), 1);
    let left = &found.unfinished()[0];
    assert_eq!((&left.attributes, left.arrays().collect::<Vec<_>>()), (&numbers(0, 1), vec!["x"]));
    assert_eq!(values(&found.unfinished_array(left, "x").unwrap()), [0., 1., 2., 3., 4.]);
    assert!(found.unfinished_array(left, "y").is_err());
    let mut task = storage.append_task("p", "t", EACH).unwrap();
    assert_eq!(task.write(None, &numbers(0, 1), &[]).unwrap(), 1);
    assert_eq!(task.discard_unfinished().unwrap(), 1);
    task.close().unwrap();
    let found = storage.require_task("p", "t").unwrap();
    assert_eq!((found.trials().len(), found.unfinished().len()), (2, 0));
    assert_eq!(Store::open(storage.task_path("p", "t").unwrap()).unwrap().len(), 2);
}

#[test]
fn single_arrays_are_kept_and_what_is_there_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.hdf5");
    let array = |x: f64| vlstore::experiments::Array::of(&row(&[x, 2.0])).unwrap();
    write_hdf5(&path, array(1.0), "data").unwrap();
    write_hdf5(&path, array(3.0), "group/data").unwrap();
    assert!(matches!(
        write_hdf5(&path, array(9.0), "data").unwrap_err().root(),
        Error::Exists { .. }
    ));
    assert_eq!(read_hdf5(&path, "data").unwrap(), array(1.0));
    assert_eq!(read_hdf5(&path, "group/data").unwrap(), array(3.0));
    assert!(matches!(read_hdf5(&path, "none").unwrap_err().root(), Error::NotFound { .. }));
}

/// A file that lost its end has an older state, which is no answer to who asks for the trials.
#[test]
fn damage_is_an_error_and_never_fewer_trials() {
    let dir = tempfile::tempdir().unwrap();
    let storage = filled(dir.path());
    let path = storage.task_path("p2", "reach").unwrap();
    let whole = fs::read(&path).unwrap();
    let csv = storage.require_task("p2", "reach").unwrap().table().csv();
    let read = || -> vlstore::Result<String> {
        let task = storage.require_task("p2", "reach")?;
        for (i, trial) in task.trials().iter().enumerate() {
            for array in &trial.arrays {
                task.array(i, &array.name)?;
            }
        }
        Ok(task.table().csv())
    };
    let mut found = 0;
    for step in 0..150 {
        let at = whole.len() * step / 150;
        fs::write(&path, &whole[..at]).unwrap();
        let cut = read();
        let mut bytes = whole.clone();
        bytes[at] ^= 0x41;
        fs::write(&path, &bytes).unwrap();
        for result in [cut, read()] {
            match result {
                Ok(table) => assert_eq!(table, csv, "byte {at}"),
                Err(error) => {
                    assert!(!matches!(error.root(), Error::Invalid { .. }), "byte {at}: {error}");
                    found += 1;
                }
            }
        }
    }
    assert!(found > 50, "{found}");
    // A damaged task is packed as it is, for whoever will recover it; but not without a word.
    let mut bytes = whole.clone();
    bytes.truncate(whole.len() / 2);
    fs::write(&path, &bytes).unwrap();
    let out = dir.path().with_extension("zip");
    let pack = |views| {
        let options = ArchiveOptions { existing: Existing::Replace, views };
        storage_to_zip(dir.path(), Some(&out), options, |_, _| Ok(()))
    };
    assert!(pack(true).is_err() || open_experiment(&out).unwrap().task("p2", "reach").is_err());
    let back = tempfile::tempdir().unwrap();
    let back = storage_from_zip(&pack(false).unwrap(), Some(back.path()), |_, _| Ok(())).unwrap();
    assert_eq!(fs::read(back.join("p2/reach.vls")).unwrap(), bytes);
    fs::remove_file(&out).unwrap();
    fs::write(&path, &whole).unwrap();
    assert_eq!(read().unwrap(), csv);
}
