//! Experiments: a trial is there with all of its arrays or not at all, and what is archived or
//! consolidated comes back as it was.

use std::fs;
use std::path::Path;
use std::time::Duration;
use vlstore::codec::ArrayView;
use vlstore::experiments::{
    Acquired, Archive, ArchiveOptions, Attributes, ConsolidateOptions, Consolidated, Object,
    StackAxis, Storage, Subjects, Task, TaskOptions, Value, import_experiment, open_experiment,
    read_hdf5, storage_from_zip, storage_to_hdf5, storage_to_zip, unfinished_trials, write_hdf5,
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

/// What is read is never replaced, by whatever name; an earlier archive in the folder is.
#[test]
fn an_output_that_is_an_input_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    filled(&root);
    let store = root.join("p2/reach.vls");
    let zip = ArchiveOptions { existing: Existing::Replace, views: false };
    let hdf5 = ConsolidateOptions { existing: Existing::Replace, ..ConsolidateOptions::default() };
    let pack = |out: &Path| storage_to_zip(&root, Some(out), zip, |_, _| Ok(()));
    let consolidate = |from: &Path, out: &Path| {
        let source = open_experiment(from)?;
        storage_to_hdf5(&*source, from, Some(out), hdf5, |_, _| Ok(()))
    };
    let mut outputs = vec![store.clone(), root.join("p10/../p2/reach.vls")];
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&store, dir.path().join("link")).unwrap();
        outputs.push(dir.path().join("link"));
        std::os::unix::fs::symlink(&root, dir.path().join("folder")).unwrap();
        outputs.push(dir.path().join("folder/p2/reach.vls"));
    }
    for out in &outputs {
        for refused in [pack(out).unwrap_err(), consolidate(&root, out).unwrap_err()] {
            assert!(matches!(refused.root(), Error::Invalid { .. }), "{refused}");
            assert!(refused.to_string().contains("reach.vls"), "{refused}");
        }
    }
    check(&Storage::open(&root).unwrap());
    let archive = pack(&dir.path().join("out.zip")).unwrap();
    let refused = consolidate(&archive, &archive).unwrap_err();
    assert!(matches!(refused.root(), Error::Invalid { .. }), "{refused}");
    check(&Archive::open(&archive).unwrap());
    for _ in 0..2 {
        check(&Archive::open(pack(&root.join("in.zip")).unwrap()).unwrap());
        let out = consolidate(&root, &root.join("in.hdf5")).unwrap();
        check(&Consolidated::open(out).unwrap());
    }
}

/// A damaged task is in the archive of bytes, is listed, and is an error to who opens it.
#[test]
fn a_damaged_task_does_not_vanish_in_an_archive() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    filled(&root);
    let whole = fs::read(root.join("p2/reach.vls")).unwrap();
    for len in [0, 10, whole.len() / 2] {
        fs::write(root.join("p2/bad.vls"), &whole[..len]).unwrap();
        let pack = |views| {
            let options = ArchiveOptions { existing: Existing::Replace, views };
            storage_to_zip(&root, None, options, |_, _| Ok(()))
        };
        let why = pack(true).unwrap_err().to_string();
        assert!(why.contains("bad.vls"), "{why}");
        let archive = Archive::open(pack(false).unwrap()).unwrap();
        assert_eq!(archive.tasks("p2").unwrap(), ["bad", "reach"]);
        let why = archive.task("p2", "bad").unwrap_err().to_string();
        assert!(why.contains("bad.vls"), "{why}");
        assert_eq!(archive.task("p2", "reach").unwrap().trials().len(), 4);
    }
}

/// An archive of a folder of the original program is not an experiment without tasks.
#[test]
fn an_archive_of_a_folder_of_the_original_program_is_read_imported_and_restored() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("theirs");
    fs::create_dir_all(root.join("p1/reach")).unwrap();
    fs::write(root.join("p1/reach/trials.csv"), "block,trial\n0,0\n").unwrap();
    fs::write(root.join("notes.txt"), "by hand").unwrap();
    let zip = storage_to_zip(&root, None, ArchiveOptions::default(), |_, _| Ok(())).unwrap();
    assert_eq!(open_experiment(&zip).unwrap().task("p1", "reach").unwrap().trials().len(), 1);
    let to = Storage::create(dir.path().join("ours")).unwrap();
    let done = import_experiment(&zip, &to, |_, _| Ok(())).unwrap();
    assert_eq!((done.trials, done.left_out), (1, vec!["notes.txt".to_owned()]));
    let back = storage_from_zip(&zip, Some(&dir.path().join("back")), |_, _| Ok(())).unwrap();
    assert_eq!(open_experiment(back).unwrap().task("p1", "reach").unwrap().trials().len(), 1);
}

#[cfg(unix)]
#[test]
fn a_name_with_a_backslash_is_refused_before_it_is_packed() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    filled(&root);
    fs::write(root.join("p2/a\\b"), "x").unwrap();
    let e = storage_to_zip(&root, None, ArchiveOptions::default(), |_, _| Ok(())).unwrap_err();
    assert!(e.to_string().contains("a\\\\b") && e.to_string().contains("rename"), "{e}");
    assert!(!dir.path().join("data.zip").exists());
}

#[test]
fn unfinished_trials_are_seen_in_a_folder_and_in_an_archive_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    let storage = Storage::create(&root).unwrap();
    let mut task = storage.append_task("p1", "reach", EACH).unwrap();
    let token = task.begin(&numbers(0, 0)).unwrap();
    task.stack(token, "emg", StackAxis::Columns, &row(&[1.0, 2.0])).unwrap();
    drop(task);
    let zip = storage_to_zip(&root, None, ArchiveOptions::default(), |_, _| Ok(())).unwrap();
    for path in [&root, &zip] {
        let from = open_experiment(path).unwrap();
        assert_eq!(unfinished_trials(&*from).unwrap(), 1);
        let task = from.task("p1", "reach").unwrap();
        let array = task.unfinished_array(&task.unfinished()[0], "emg").unwrap();
        assert_eq!(values(&array), [1.0, 2.0]);
    }
    let to = Storage::create(dir.path().join("new")).unwrap();
    let done = import_experiment(&zip, &to, |_, _| Ok(())).unwrap();
    assert_eq!((done.tasks, done.trials, done.unfinished), (1, 0, 1));
}
