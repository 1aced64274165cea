//! An import that is stopped anywhere and given again is what an uninterrupted one is, frame for
//! frame, or is refused: imports of every kind, stopped at every frame by a kill and by a request,
//! inputs that grow byte by byte, and stores that something else has changed.

use flate2::{Compression, write::GzEncoder};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use vlstore::Readable;
use vlstore::codec::{MdFrame, Property, Real, Topology, Values};
use vlstore::formats::{self, FormatKind, InputOptions, OutputOptions};
use vlstore::trajectory::Sharing;
use vlstore::trajectory::{Begin, Duplicates, IMPORT, ImportOptions, Importer, Input, Target};
use vlstore::{Error, Key, Layout, StoreOptions, Trajectory, Unresumed, WriteOptions, Writer};

/// The frame that `seed` decides, at a step if there is one.
fn frame(seed: i64, sites: usize, step: Option<i64>) -> MdFrame {
    let n = |i: usize| i32::try_from((i * 7919 + usize::try_from(seed).unwrap() * 613) % 3001);
    let at = |i: usize| n(i).unwrap() as f32 * (1.0 / 1000.0);
    MdFrame {
        nsites: sites,
        positions: Some(Real::F32((0..3 * sites).map(at).collect())),
        step,
        time: step.map(|s| s as f64 * 0.5),
        cell: Some([3.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 3.0]),
        pbc: Some([true; 3]),
        precision: Some(1000.0),
        ..MdFrame::default()
    }
}

/// Frames with labels, in the width and units of extended XYZ.
fn labelled(seed: i64, sites: usize) -> MdFrame {
    let label = |name: &str, values| Property { name: name.into(), shape: vec![], values };
    let Some(Real::F32(p)) = frame(seed, sites, None).positions else { panic!() };
    MdFrame {
        nsites: sites,
        types: Some((0..sites).map(|i| [8, 1, 1][i % 3]).collect()),
        positions: Some(Real::F64(p.iter().map(|x| f64::from(*x) * 10.0 + 0.001).collect())),
        energy: Some(-1.5 * seed as f64),
        atom_properties: vec![label(
            "residue",
            Values::Str((0..sites).map(|i| format!("SOL{}", i / 3)).collect()),
        )],
        ..MdFrame::default()
    }
}

fn write(path: &Path, frames: &[MdFrame]) {
    let kind = FormatKind::from_path(path).unwrap();
    let mut writer =
        formats::create(path, kind, &OutputOptions::default(), vlstore::Existing::Replace).unwrap();
    for frame in frames {
        writer.write(frame).unwrap();
    }
    writer.finish().unwrap();
}

fn gzip(from: &Path, to: &Path) {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(&fs::read(from).unwrap()).unwrap();
    fs::write(to, out.finish().unwrap()).unwrap();
}

fn inputs(paths: &[PathBuf]) -> Vec<Input> {
    paths.iter().cloned().map(Input::from).collect()
}

/// Imports, and stops before frame `stop` of those that are added.
fn import(
    paths: &[PathBuf],
    store: &Path,
    options: &ImportOptions,
    stop: Option<u64>,
) -> Result<Vec<String>, Error> {
    let mut importer = Importer::open(inputs(paths), store, options)?;
    let result = importer
        .run(|done| if stop == Some(done.frames) { Err(Error::Interrupted) } else { Ok(()) });
    match result {
        Err(Error::File { source, .. }) if matches!(*source, Error::Interrupted) => {}
        other => other?,
    }
    Ok(importer.imported().notes)
}

/// Every key and frame, whole.
fn content(store: &Path) -> Vec<(Option<Key>, MdFrame)> {
    let depot = Trajectory::open(store).unwrap();
    let each = (0..depot.len()).map(|i| {
        let key = depot.snapshot().key_at(i).unwrap();
        (key, depot.joined(&depot.get_at(i).unwrap().view().unwrap()).unwrap())
    });
    each.collect()
}

fn reason(result: Result<Vec<String>, Error>) -> Unresumed {
    match result.unwrap_err().root() {
        Error::Resume { reason, .. } => *reason,
        other => panic!("{other}"),
    }
}

/// One way to import.
struct Kind {
    name: &'static str,
    inputs: Vec<PathBuf>,
    options: ImportOptions,
    /// A store that is there before.
    before: Option<PathBuf>,
}

fn options() -> ImportOptions {
    let store = StoreOptions {
        layout: Layout { chunk_size: 4096, ..Layout::default() },
        write: WriteOptions { threads: 1, ..WriteOptions::default() },
    };
    ImportOptions { store, commit_frames: Some(3), ..ImportOptions::default() }
}

fn with(options: &ImportOptions, duplicates: Duplicates) -> ImportOptions {
    ImportOptions { duplicates: Some(duplicates), ..options.clone() }
}

fn appending() -> ImportOptions {
    ImportOptions { target: Target::Append, ..options() }
}

/// Inputs of every kind in a folder.
fn kinds(folder: &Path) -> Vec<Kind> {
    let path = |name: &str| folder.join(name);
    let run = |name: &str, frames: Vec<MdFrame>| {
        let path = path(name);
        write(&path, &frames);
        path
    };
    let rising =
        |seed: i64, n: i64| (0..n).map(|i| frame(seed + i, 20, Some(i * 10))).collect::<Vec<_>>();
    let a = run("a.xtc", rising(0, 9));
    let b = run("b.xtc", rising(100, 8));
    let same_start = run("same-start.xtc", [rising(0, 3), rising(40, 4)].concat());
    let zero = run("zero.xtc", (0..9).map(|i| frame(i, 20, Some(0))).collect());
    let wrap = run(
        "wrap.xtc",
        (0..8)
            .map(|i| {
                let wrapped = i64::from(i32::MAX) - 3 + i;
                frame(i, 20, Some(if i < 4 { wrapped } else { wrapped - (1 << 32) }))
            })
            .collect(),
    );
    let still = run("still.xtc", vec![frame(7, 20, Some(5)); 8]);
    let part = run("part2.xtc", [vec![frame(8, 20, Some(80))], rising(60, 5)].concat());
    // Started again from a checkpoint: two frames as they were, then another run from step 80 on.
    let again = [rising(6, 2), (8..12).map(|i| frame(i + 80, 20, Some(i * 10))).collect()].concat();
    let again = again.into_iter().zip(60..).map(|(f, n)| match n {
        60 | 61 => MdFrame { step: Some((n - 54) * 10), time: Some((n - 54) as f64 * 5.0), ..f },
        _ => f,
    });
    let again: Vec<MdFrame> = again.collect();
    let restart = run("restart.xtc", again.clone());
    let one_file = run("one-file.xtc", [rising(0, 9), again].concat());
    let unnumbered: Vec<_> = (0..8).map(|i| labelled(i, 30)).collect();
    let texts = run("twice.xyz", [&unnumbered[..6], &unnumbered[3..]].concat());
    let counted: Vec<_> = (0..8)
        .map(|i| MdFrame { step: None, time: None, precision: None, ..frame(i, 20, None) })
        .collect();
    let counted = run("counted.dcd", [&counted[..6], &counted[3..]].concat());
    let ones: Vec<PathBuf> =
        (0..9).map(|i| run(&format!("one-{i}.xtc"), vec![frame(i, 20, Some(0))])).collect();
    let xyz = run("labels.xyz", (0..8).map(|i| labelled(i, 30)).collect());
    let set = run("set.xyz", (0..8).map(|i| labelled(i, 3 + i as usize % 3)).collect());
    let text = fs::read(&set).unwrap();
    fs::write(path("no-end.xyz"), text.trim_ascii_end()).unwrap();
    gzip(&a, &path("a.xtc.gz"));
    gzip(&xyz, &path("labels.xyz.gz"));
    fs::write(path("cut.xtc"), &fs::read(&b).unwrap()[..1000]).unwrap();
    let gro = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/waters.gro");
    let three = fs::read_to_string(&gro).unwrap();
    fs::write(path("waters.gro"), [&*three, &three.replace("SOL", "HOH")].concat()).unwrap();
    let named = Topology {
        nsites: 20,
        names: Some((0..20).map(|i| format!("C{i}")).collect()),
        types: Some(vec![6; 20]),
        ..Topology::default()
    };
    let mut read = InputOptions::default();
    read.topology = Some(Arc::new(named));
    let old = path("old.vls");
    import(std::slice::from_ref(&a), &old, &options(), None).unwrap();
    let stated = path("stated.vls");
    import(&[a.clone(), b.clone()], &stated, &options(), None).unwrap();
    let kind = |name, inputs: &[&PathBuf], options: ImportOptions, before: Option<&PathBuf>| Kind {
        name,
        inputs: inputs.iter().map(|p| (*p).clone()).collect(),
        options,
        before: before.cloned(),
    };
    let new = options;
    let every = ImportOptions { mark_bytes: 1, commit_frames: Some(1), ..new() };
    vec![
        kind("one run", &[&a], new(), None),
        kind("one run, each frame", &[&a], every.clone(), None),
        kind("replicas", &[&a, &b], new(), None),
        kind("replicas, each frame", &[&a, &b], every.clone(), None),
        kind("replicas that begin alike", &[&a, &same_start], new(), None),
        kind("the same run twice", &[&a, &a, &b], new(), None),
        kind("all steps 0", &[&zero], new(), None),
        kind("steps that wrap", &[&wrap], new(), None),
        kind("frames that are all equal", &[&still, &still], new(), None),
        kind("no steps", &[&xyz, &set], new(), None),
        kind("no end of the last line", &[&set, &path("no-end.xyz")], new(), None),
        kind("compressed", &[&path("a.xtc.gz"), &b], every.clone(), None),
        kind("compressed text", &[&path("labels.xyz.gz")], new(), None),
        Kind {
            name: "inputs of one frame",
            inputs: ones,
            options: ImportOptions { commit_frames: Some(2), ..new() },
            before: None,
        },
        kind("parts that share a frame", &[&a, &part], new(), None),
        kind(
            "parts that share a frame, once",
            &[&a, &part],
            ImportOptions { duplicates: Some(Duplicates::Drop), ..every.clone() },
            None,
        ),
        kind("restarted", &[&a, &restart], every.clone(), None),
        kind("restarted, once", &[&a, &restart], with(&every, Duplicates::Drop), None),
        kind("restarted, the later", &[&a, &restart], with(&every, Duplicates::Latest), None),
        kind(
            "restarted, the later, seldom",
            &[&a, &restart],
            with(&new(), Duplicates::Latest),
            None,
        ),
        kind("restarted in one file", &[&one_file], with(&new(), Duplicates::Drop), None),
        kind("the later in one file", &[&one_file], with(&every, Duplicates::Latest), None),
        kind(
            "the later of a store",
            &[&restart],
            with(&appending(), Duplicates::Latest),
            Some(&old),
        ),
        kind("once in a store", &[&restart], with(&appending(), Duplicates::Drop), Some(&old)),
        kind("no steps, once", &[&texts, &xyz], with(&every, Duplicates::Drop), None),
        kind("counted steps, once", &[&counted], with(&every, Duplicates::Drop), None),
        kind(
            "rounded, once",
            &[&texts],
            ImportOptions { precision: Some(100.0), ..with(&new(), Duplicates::Drop) },
            None,
        ),
        kind(
            "named frames",
            &[&a, &b],
            ImportOptions { key_prefix: Some("frame-".into()), ..new() },
            None,
        ),
        kind("float32", &[&xyz], ImportOptions { float32: true, ..new() }, None),
        kind("rounded", &[&xyz], ImportOptions { precision: Some(100.0), ..every.clone() }, None),
        kind("a topology in the file", &[&path("waters.gro")], every.clone(), None),
        kind("a topology beside the file", &[&a, &b], ImportOptions { read, ..new() }, None),
        kind("topologies", &[&xyz], ImportOptions { topologies: Sharing::Always, ..new() }, None),
        kind(
            "from a frame",
            &[&a, &b],
            ImportOptions { begin: Some(Begin::Frame(4)), ..new() },
            None,
        ),
        kind(
            "from a frame of the second",
            &[&a, &b],
            ImportOptions { begin: Some(Begin::Frame(11)), ..new() },
            None,
        ),
        kind(
            "from a step",
            &[&a, &b],
            ImportOptions { begin: Some(Begin::Step(35)), ..new() },
            None,
        ),
        kind("more of a store", &[&a, &b], appending(), Some(&old)),
        kind("other inputs than before", &[&b, &zero], appending(), Some(&old)),
        kind("all of it again", &[&a], ImportOptions { keep_all: true, ..appending() }, Some(&old)),
        kind(
            "from a step, the rest deleted",
            &[&a],
            ImportOptions { begin: Some(Begin::Step(45)), drop_newer: true, ..appending() },
            Some(&old),
        ),
        kind(
            "from a frame, the rest deleted",
            &[&a, &b],
            ImportOptions { begin: Some(Begin::Frame(5)), drop_newer: true, ..appending() },
            Some(&stated),
        ),
    ]
}

#[test]
fn an_import_stopped_anywhere_and_given_again_is_what_an_uninterrupted_one_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for kind in kinds(folder.path()) {
        let (whole, now) = (path("whole.vls"), path("now.vls"));
        let start = |store: &Path| match &kind.before {
            Some(before) => drop(fs::copy(before, store).unwrap()),
            None => drop(fs::remove_file(store)),
        };
        let before = kind.before.as_ref().map_or(Vec::new(), |p| content(p));
        start(&whole);
        import(&kind.inputs, &whole, &kind.options, None).unwrap();
        let right = content(&whole);
        assert!(right.len() > before.len().min(8), "{}", kind.name);
        // What is given to go on: all that was asked for, but what holds once.
        let again = ImportOptions {
            target: Target::Append,
            keep_all: false,
            drop_newer: false,
            commit_frames: Some(2),
            ..kind.options.clone()
        };
        let goes_on = |store: &Path, at: &str| {
            // Nothing was committed: then it is the first time again.
            let untouched = kind.before.is_some() && content(store) == before;
            let options = if untouched { &kind.options } else { &again };
            import(&kind.inputs, store, options, None)
                .unwrap_or_else(|e| panic!("{}, {at}: {e}", kind.name));
            let found = content(store);
            assert!(found == right, "{}, {at}: {} of {}", kind.name, found.len(), right.len());
            let twice = import(&kind.inputs, store, &again, None).unwrap();
            assert!(content(store) == right, "{}, {at}, again: {twice:?}", kind.name);
        };
        // Killed: the file as it is before each frame, whatever a later commit would hold.
        start(&now);
        let mut copies = Vec::new();
        let mut importer = Importer::open(inputs(&kind.inputs), &now, &kind.options).unwrap();
        importer
            .run(|done| {
                let copy = path(&format!("{}.copy", done.frames));
                fs::copy(&now, &copy).unwrap();
                copies.push(copy);
                Ok(())
            })
            .unwrap();
        for copy in &copies {
            goes_on(copy, &format!("killed at {}", copy.display()));
        }
        // Asked to stop, twice.
        let frames = copies.len() as u64 - 1;
        for stop in 0..=frames {
            start(&now);
            import(&kind.inputs, &now, &kind.options, Some(stop)).unwrap();
            if stop % 2 == 1 {
                let at = Some((frames - stop) / 2);
                import(&kind.inputs, &now, &again, at).unwrap();
            }
            goes_on(&now, &format!("stopped at {stop}"));
        }
    }
}

/// What a simulation has written so far, at every length: the store has the frames that are
/// complete, and in the end all.
#[test]
fn an_input_that_grows_byte_by_byte_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let run: Vec<MdFrame> = (0..5).map(|i| frame(i, 12, Some(0))).collect();
    write(&path("all.xtc"), &run);
    let mut few = run.clone();
    few.iter_mut()
        .for_each(|f| *f = MdFrame { precision: None, ..frame(f.nsites as i64, 3, Some(1)) });
    write(&path("few.xtc"), &few);
    write(&path("all.xyz"), &(0..4).map(|i| labelled(i, 3)).collect::<Vec<_>>());
    for name in ["all.xtc", "few.xtc", "all.xyz"] {
        let all = fs::read(path(name)).unwrap();
        let (now, store) = (path(&format!("now-{name}")), path(&format!("{name}.vls")));
        let _ = fs::remove_file(&store);
        let (mut seen, mut waited) = (0, 0);
        let mut file = fs::File::create(&now).unwrap();
        let mut written = 0;
        for len in (0..all.len()).step_by(5).chain([all.len()]) {
            file.write_all(&all[written..len]).unwrap();
            written = len;
            let notes = import(std::slice::from_ref(&now), &store, &appending(), None)
                .unwrap_or_else(|e| panic!("{name} at {len}: {e}"));
            waited += notes.iter().filter(|n| n.contains("not complete yet")).count();
            let stored = content(&store).len();
            assert!(stored >= seen, "{name} at {len}");
            seen = stored;
        }
        assert!(waited > 20, "{name}: {waited}");
        let whole = path("whole.vls");
        let replacing = ImportOptions { target: Target::Replace, ..options() };
        import(&[path(name)], &whole, &replacing, None).unwrap();
        assert!(content(&store) == content(&whole), "{name}");
    }
}

#[test]
fn an_input_that_is_cut_short_is_an_error_where_it_is_said_to_be_complete() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let run: Vec<MdFrame> = (0..5).map(|i| frame(i, 12, Some(0))).collect();
    write(&path("a.xtc"), &run);
    let all = fs::read(path("a.xtc")).unwrap();
    fs::write(path("cut.xtc"), &all[..all.len() - 7]).unwrap();
    for options in [options(), ImportOptions { growing: Some(false), ..appending() }] {
        let store = path("cut.vls");
        let _ = fs::remove_file(&store);
        let why = import(&[path("cut.xtc")], &store, &options, None).unwrap_err().to_string();
        assert!(why.contains("frame 4") && why.contains("cut short"), "{why}");
        assert_eq!(content(&store).len(), 4);
        // It was complete after all: the rest comes.
        import(&[path("a.xtc")], &store, &appending(), None).unwrap();
        assert_eq!(content(&store).len(), 5);
    }
}

#[test]
fn an_input_without_a_frame_is_an_error_and_makes_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    write(&path("a.xyz"), &[labelled(0, 3)]);
    for text in ["", "\n", "\n\n\r\n   \n"] {
        fs::write(path("none.xyz"), text).unwrap();
        for list in [&["none.xyz"][..], &["a.xyz", "none.xyz"], &["none.xyz", "a.xyz"]] {
            let list: Vec<_> = list.iter().map(|n| path(n)).collect();
            let why = import(&list, &path("x.vls"), &options(), None).unwrap_err().to_string();
            assert!(why.contains("none.xyz"), "{why}");
            assert!(why.contains("it has no frames") || why.contains("is empty"), "{why}");
            assert!(!path("x.vls").exists());
        }
        // Of a run that has just begun it is said.
        let _ = fs::remove_file(path("y.vls"));
        let notes = import(&[path("none.xyz")], &path("y.vls"), &appending(), None).unwrap();
        assert!(notes[0].contains("it has no frames yet"), "{notes:?}");
    }
}

#[test]
fn an_input_is_known_by_its_content_wherever_it_lies() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let run = |seed: i64| (0..6).map(|i| frame(seed + i, 20, Some(i))).collect::<Vec<_>>();
    write(&path("a.xtc"), &run(0));
    write(&path("b.xtc"), &run(50));
    let store = path("s.vls");
    import(&[path("a.xtc"), path("b.xtc")], &store, &options(), None).unwrap();
    let right = content(&store);
    fs::rename(path("b.xtc"), path("moved.xtc")).unwrap();
    gzip(&path("a.xtc"), &path("packed.gz"));
    for list in [&["a.xtc", "moved.xtc"][..], &["moved.xtc"], &["packed.gz", "moved.xtc"]] {
        let list: Vec<_> = list.iter().map(|n| path(n)).collect();
        import(&list, &store, &appending(), None).unwrap();
        assert!(content(&store) == right, "{list:?}");
    }
    // Another run under the name of one that is stored, one that has become shorter, one that was
    // written anew from some frame on.
    let (a, moved) = (fs::read(path("a.xtc")).unwrap(), fs::read(path("moved.xtc")).unwrap());
    write(&path("other.xtc"), &run(90));
    let mut half = run(50);
    half[5] = frame(77, 20, Some(5));
    write(&path("half.xtc"), &half);
    for bytes in [
        fs::read(path("other.xtc")).unwrap(),
        moved[..moved.len() / 2].to_vec(),
        fs::read(path("half.xtc")).unwrap(),
    ] {
        fs::write(path("moved.xtc"), &bytes).unwrap();
        // It was imported under its first name.
        fs::rename(path("moved.xtc"), path("b.xtc")).unwrap();
        let refused = import(&[path("b.xtc")], &store, &appending(), None);
        assert_eq!(reason(refused), Unresumed::Replaced);
        assert!(content(&store) == right);
    }
    // Added all the same, and known from then on.
    let all = ImportOptions { keep_all: true, ..appending() };
    import(&[path("b.xtc")], &store, &all, None).unwrap();
    assert_eq!(content(&store).len(), 18);
    import(&[path("b.xtc")], &store, &appending(), None).unwrap();
    assert_eq!(content(&store).len(), 18);
    assert_eq!(a, fs::read(path("a.xtc")).unwrap());
}

#[test]
fn frames_that_would_come_in_another_order_are_refused_unless_that_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let run = |seed: i64, n: i64| (0..n).map(|i| frame(seed + i, 20, Some(i))).collect::<Vec<_>>();
    let (a, b, c) = (path("a.xtc"), path("b.xtc"), path("c.xtc"));
    write(&a, &run(0, 3));
    write(&b, &run(50, 3));
    write(&c, &run(90, 3));
    let store = path("s.vls");
    import(&[a.clone(), b.clone()], &store, &options(), None).unwrap();
    write(&a, &run(0, 6));
    for list in [&[&a, &b][..], &[&a], &[&c, &a], &[&c, &b], &[&b, &a]] {
        let list: Vec<PathBuf> = list.iter().map(|p| (*p).clone()).collect();
        assert_eq!(reason(import(&list, &store, &appending(), None)), Unresumed::OutOfOrder);
        assert_eq!(content(&store).len(), 6);
    }
    let any = ImportOptions { out_of_order: true, ..appending() };
    let list = [a.clone(), b.clone()];
    // Stopped in the middle, by a kill and by a request.
    for stop in 0..3 {
        let copy = path("copy.vls");
        fs::copy(&store, &copy).unwrap();
        import(&list, &copy, &any, Some(stop)).unwrap();
        import(&list, &copy, &any, None).unwrap();
        let steps: Vec<_> = content(&copy).iter().map(|(_, f)| f.step.unwrap()).collect();
        assert_eq!(steps, [0, 1, 2, 0, 1, 2, 3, 4, 5], "{stop}");
    }
    import(&list, &store, &any, None).unwrap();
    // Both have grown, night after night.
    for n in 7..10 {
        write(&a, &run(0, n));
        write(&b, &run(50, n));
        import(&list, &store, &any, None).unwrap();
        import(&list, &store, &any, None).unwrap();
    }
    let stored = content(&store);
    for seed in [0, 50] {
        for f in run(seed, 9) {
            assert_eq!(stored.iter().filter(|(_, there)| *there == f).count(), 1);
        }
    }
    assert_eq!(stored.len(), 18);
}

#[test]
fn a_store_that_something_else_has_changed_is_not_guessed_about() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let run: Vec<_> = (0..6).map(|i| frame(i, 20, Some(0))).collect();
    write(&path("a.xtc"), &run);
    write(&path("grown.xtc"), &[run, vec![frame(9, 20, Some(0))]].concat());
    let list = [path("grown.xtc")];
    let change = |how: &str, stop: Option<u64>, act: &dyn Fn(&mut Writer)| {
        let store = path(&format!("{how}.vls"));
        import(&[path("a.xtc")], &store, &options(), stop).unwrap();
        let mut w = Writer::open(&store, &WriteOptions::default()).unwrap();
        act(&mut w);
        w.close().unwrap();
        store
    };
    let put = |w: &mut Writer, key: &str| {
        let bytes = w.get_at(0).unwrap().to_vec();
        w.put_unchecked(Some(&Key::from(key)), &bytes, 20, vlstore::Existing::Refuse).unwrap();
    };
    let changed = [
        change("deleted", None, &|w| w.delete(2).unwrap()),
        change("deleted-last", None, &|w| w.delete(5).unwrap()),
        change("added", None, &|w| put(w, "x")),
        change("exchanged", None, &|w| {
            w.delete(1).unwrap();
            put(w, "x");
        }),
        change("interrupted-and-added", Some(4), &|w| put(w, "x")),
    ];
    for store in changed {
        let before = content(&store).len();
        assert_eq!(reason(import(&list, &store, &appending(), None)), Unresumed::Changed);
        assert_eq!(content(&store).len(), before);
        // Told where to go on, it does.
        let told = ImportOptions { begin: Some(Begin::Frame(6)), ..appending() };
        import(&list, &store, &told, None).unwrap();
        assert_eq!(content(&store).len(), before + 1, "{}", store.display());
        import(&list, &store, &appending(), None).unwrap();
        assert_eq!(content(&store).len(), before + 1);
    }
    // A store that was filled by a program, or whose record is gone.
    let store = path("forgotten.vls");
    import(&[path("a.xtc")], &store, &options(), None).unwrap();
    let mut w = Writer::open(&store, &WriteOptions::default()).unwrap();
    let mut attributes = w.attributes();
    attributes.as_object_mut().unwrap().remove(IMPORT).unwrap();
    w.set_attributes(&attributes).unwrap();
    w.close().unwrap();
    assert_eq!(reason(import(&list, &store, &appending(), None)), Unresumed::Unknown);
    let all = ImportOptions { keep_all: true, ..appending() };
    write(&path("new.xtc"), &[frame(70, 20, Some(0))]);
    import(&[path("new.xtc")], &store, &all, None).unwrap();
    // Whether an input that is not listed is among the first six nobody knows.
    assert_eq!(reason(import(&list, &store, &appending(), None)), Unresumed::Unknown);
    import(&[path("new.xtc")], &store, &appending(), None).unwrap();
    assert_eq!(content(&store).len(), 7);
}

#[test]
fn what_keeps_a_store_in_order_keeps_the_record_of_its_inputs() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let run: Vec<_> = (0..6).map(|i| labelled(i, 30)).collect();
    write(&path("a.xyz"), &run[..4]);
    let (store, copy) = (path("s.vls"), path("copy.vls"));
    import(&[path("a.xyz")], &store, &options(), Some(3)).unwrap();
    vlstore::maintain::copy(&store, &copy, &vlstore::maintain::CopyOptions::default(), |_, _| {
        Ok(())
    })
    .unwrap();
    vlstore::maintain::compact(
        &store,
        &vlstore::maintain::CompactOptions::default(),
        |_, _| Ok(()),
    )
    .unwrap();
    let lifted = path("lifted.vls");
    let options = vlstore::maintain::CopyOptions::default();
    vlstore::trajectory::copy_frames(&store, &lifted, &options, Sharing::Always.into(), |_, _| {
        Ok(())
    })
    .unwrap();
    write(&path("a.xyz"), &run);
    for store in [store, copy, lifted] {
        import(&[path("a.xyz")], &store, &appending(), None).unwrap();
        let frames: Vec<_> = content(&store).into_iter().map(|(_, f)| f).collect();
        assert!(frames == run);
    }
}

#[test]
fn another_number_of_atoms_is_refused_naming_both() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    write(&path("a.xtc"), &[frame(0, 20, Some(0)), frame(1, 20, Some(1))]);
    write(&path("b.xtc"), &[frame(0, 12, Some(7))]);
    write(&path("c.xyz"), &[labelled(0, 3), labelled(1, 4)]);
    write(&path("d.xyz"), &[labelled(0, 9)]);
    let (store, mixed) = (path("s.vls"), path("m.vls"));
    let both = [path("a.xtc"), path("b.xtc")];
    let why = import(&both, &store, &options(), None).unwrap_err().to_string();
    assert!(why.contains("12 atoms") && why.contains("20") && !store.exists(), "{why}");
    import(&both[..1], &store, &options(), None).unwrap();
    for options in [appending(), ImportOptions { keep_all: true, ..appending() }] {
        let refused = import(&both[1..], &store, &options, None).unwrap_err().to_string();
        assert!(refused.contains("12 atoms") && refused.contains("have 20"), "{refused}");
    }
    let any = ImportOptions { mixed: true, ..appending() };
    import(&both, &store, &any, None).unwrap();
    assert_eq!(content(&store).len(), 3);
    // A store of many sizes takes any.
    import(&[path("c.xyz")], &mixed, &options(), None).unwrap();
    import(&[path("c.xyz"), path("d.xyz")], &mixed, &appending(), None).unwrap();
    assert_eq!(content(&mixed).len(), 3);
}

#[test]
fn a_frame_that_two_parts_share_is_said_and_kept_or_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let run = |from: i64, to: i64| (from..=to).map(|i| frame(i, 20, Some(i))).collect::<Vec<_>>();
    let (one, two) = (path("part1.xtc"), path("part2.xtc"));
    write(&one, &run(0, 4));
    write(&two, &run(4, 8));
    let list = [one.clone(), two.clone()];
    for (duplicates, count) in
        [(None, 10), (Some(Duplicates::Keep), 10), (Some(Duplicates::Drop), 9)]
    {
        let apart = [&list[..1], &list[..]];
        for steps in [&apart[..], &[&list[..]]] {
            let store = path("s.vls");
            let _ = fs::remove_file(&store);
            let mut notes = Vec::new();
            for inputs in steps {
                let options = ImportOptions { duplicates, ..appending() };
                notes.extend(import(inputs, &store, &options, None).unwrap());
            }
            assert_eq!(content(&store).len(), count);
            assert_eq!(notes.len(), 1, "{notes:?}");
            let said = "part2.xtc: frame 0 (step 4) repeats a frame of ";
            assert!(notes[0].contains(said) && notes[0].contains("part1.xtc; "), "{notes:?}");
        }
        // Another frame of the same step is another version.
        write(&path("other.xtc"), &[frame(70, 20, Some(4))]);
        let options = ImportOptions { duplicates, target: Target::Replace, ..options() };
        let other = [one.clone(), path("other.xtc")];
        let notes = import(&other, &path("o.vls"), &options, None).unwrap();
        assert!(notes[0].contains("frame 0 (step 4) has the step of a frame of"), "{notes:?}");
        assert_eq!(content(&path("o.vls")).len(), 6);
    }
}

/// The steps of the frames of a store.
fn steps(store: &Path) -> Vec<i64> {
    content(store).into_iter().map(|(_, f)| f.step.unwrap()).collect()
}

#[test]
fn frames_that_a_restarted_simulation_wrote_again_are_said_and_kept_dropped_replaced_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let store = path("s.vls");
    let run = |from: i64, to: i64, of: i64| {
        (from..=to).map(|i| frame(i + of, 20, Some(i))).collect::<Vec<_>>()
    };
    let at = |how| ImportOptions { target: Target::Replace, ..with(&options(), how) };
    for end in ["xtc", "trr"] {
        // Steps 6 and 7 as they were; another run from 8 on.
        let (one, two) = (path(&format!("a.{end}")), path(&format!("b.{end}")));
        let both = path(&format!("both.{end}"));
        write(&one, &run(0, 9, 0));
        write(&two, &[run(6, 7, 0), run(8, 11, 50)].concat());
        fs::write(&both, [fs::read(&one).unwrap(), fs::read(&two).unwrap()].concat()).unwrap();
        let expected = [
            (Duplicates::Keep, [(0..=9).collect::<Vec<_>>(), (6..=11).collect()].concat()),
            (Duplicates::Drop, [(0..=9).collect::<Vec<_>>(), (8..=11).collect()].concat()),
            (Duplicates::Latest, (0..=11).collect()),
        ];
        for (how, right) in expected {
            for inputs in [vec![one.clone(), two.clone()], vec![both.clone()]] {
                let mut importer = Importer::open(self::inputs(&inputs), &store, &at(how)).unwrap();
                importer.run(|_| Ok(())).unwrap();
                let done = importer.imported();
                assert_eq!(steps(&store), right, "{how:?} {inputs:?}");
                let keys = content(&store).into_iter().map(|(key, _)| key);
                assert!(keys.eq((0..right.len() as u64).map(|n| Some(Key::from(n)))));
                // The run of step 8 that is there last is the later one, but for `Drop`.
                let last = content(&store).pop().unwrap().1;
                assert_eq!(last.positions, frame(61, 20, Some(11)).positions);
                assert_eq!(done.duplicates, if how == Duplicates::Latest { 3 } else { 4 });
                assert_eq!(done.dropped, if how == Duplicates::Latest { 2 } else { 0 });
                let (first, of) = match inputs.len() {
                    1 => (10, "the same file"),
                    _ => (0, &*format!("a.{end}")),
                };
                let same = format!(
                    "frames {first} to {} (steps 6 to 7) repeat frames of {of}; ",
                    first + 1
                );
                assert!(done.notes[0].contains(&same), "{:?}", done.notes);
                let other = match how {
                    Duplicates::Latest => format!("frame {} (step 8) has the step of", first + 2),
                    _ => format!("frames {} to {} (steps 8 to 9) have", first + 2, first + 3),
                };
                assert!(done.notes[1].contains(&other), "{:?}", done.notes);
                assert_eq!(done.notes.len(), 2);
            }
        }
        let refused =
            import(std::slice::from_ref(&both), &store, &at(Duplicates::Refuse), None).unwrap_err();
        let said = refused.to_string();
        assert!(said.contains("frame 10 (step 6) repeats a frame of the same file"), "{said}");
        assert!(said.contains("--duplicates keep") && said.contains(&format!("both.{end}")));
        assert_eq!(steps(&store), (0..=9).collect::<Vec<_>>(), "what came before is stored");
        import(&[both], &store, &with(&appending(), Duplicates::Latest), None).unwrap();
        assert_eq!(steps(&store), (0..=11).collect::<Vec<_>>());
    }
    // A replica has the same steps and other content: kept, and said once.
    let many = path("many.xtc");
    write(&many, &run(0, 99, 0));
    write(&path("replica.xtc"), &run(0, 99, 200));
    let list = [many, path("replica.xtc")];
    for how in [Duplicates::Keep, Duplicates::Drop] {
        let notes = import(&list, &store, &at(how), None).unwrap();
        assert_eq!((steps(&store).len(), notes.len()), (200, 1), "{notes:?}");
        assert!(notes[0].contains("frames 0 to 99 (steps 0 to 99) have the steps"), "{notes:?}");
        assert_eq!(notes[0].contains("the first 16 were"), how == Duplicates::Keep, "{notes:?}");
    }
    // Frames of another output interval lie between: nothing is deleted.
    write(&path("odd.xtc"), &[frame(300, 20, Some(7)), frame(301, 20, Some(8))]);
    write(&path("even.xtc"), &[0, 6, 8, 10].map(|i| frame(i, 20, Some(i))));
    let notes = import(&[path("even.xtc"), path("odd.xtc")], &store, &at(Duplicates::Latest), None)
        .unwrap();
    assert_eq!(steps(&store), [0, 6, 8, 10, 7, 8]);
    assert!(notes[0].contains("both are kept"), "{notes:?}");
    // Without steps, and with steps that are counted, content alone tells.
    let bare = |i: i64| MdFrame { step: None, time: None, precision: None, ..frame(i, 20, None) };
    let twice: Vec<_> = [0, 1, 2, 3, 2, 3, 4].map(bare).into();
    for name in ["twice.xyz", "twice.dcd"] {
        write(&path(name), &twice);
        let notes = import(&[path(name)], &store, &at(Duplicates::Drop), None).unwrap();
        assert_eq!(content(&store).len(), 5, "{name}");
        assert!(notes[0].contains("frames 4 to 5"), "{notes:?}");
    }
}

#[test]
fn a_stream_is_read_and_its_rest_is_asked_for_by_number() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let run: Vec<_> = (0..9).map(|i| frame(i, 20, Some(0))).collect();
    write(&path("a.xtc"), &run);
    gzip(&path("a.xtc"), &path("a.gz"));
    for name in ["a.xtc", "a.gz"] {
        let stream = || {
            let bytes = std::io::Cursor::new(fs::read(path(name)).unwrap());
            vec![Input::Stream("standard input".into(), Box::new(bytes))]
        };
        let store = path(&format!("{name}.vls"));
        let mut first = Importer::open(stream(), &store, &options()).unwrap();
        let stop = first.run(|p| if p.frames == 4 { Err(Error::Interrupted) } else { Ok(()) });
        assert!(stop.is_err());
        let Err(refused) = Importer::open(stream(), &store, &appending()) else { panic!() };
        assert!(matches!(refused.root(), Error::Resume { reason: Unresumed::Stream, .. }));
        let begin = Some(Begin::Frame(4));
        let rest = ImportOptions { keep_all: true, begin, ..appending() };
        Importer::open(stream(), &store, &rest).unwrap().run(|_| Ok(())).unwrap();
        let frames: Vec<_> = content(&store).into_iter().map(|(_, f)| f).collect();
        assert!(frames == run);
    }
}

#[test]
fn keys_keep_the_form_of_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let run: Vec<_> = (0..6).map(|i| frame(i, 20, Some(0))).collect();
    write(&path("a.xtc"), &run[..3]);
    let named = |prefix: &str| ImportOptions { key_prefix: Some(prefix.into()), ..appending() };
    let store = path("s.vls");
    import(&[path("a.xtc")], &store, &named("frame-"), None).unwrap();
    write(&path("a.xtc"), &run);
    import(&[path("a.xtc")], &store, &appending(), None).unwrap();
    assert_eq!(content(&store)[5].0, Some(Key::from("frame-5")));
    assert_eq!(reason(import(&[path("a.xtc")], &store, &named("x"), None)), Unresumed::Options);
    let numbered = path("n.vls");
    import(&[path("a.xtc")], &numbered, &options(), None).unwrap();
    assert_eq!(reason(import(&[path("a.xtc")], &numbered, &named("x"), None)), Unresumed::Options);
}

#[test]
fn what_a_file_says_of_its_atoms_is_stored_once_and_frames_refer_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let gro = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/waters.gro");
    import(std::slice::from_ref(&gro), &path("gro.vls"), &options(), None).unwrap();
    let store = Trajectory::open(path("gro.vls")).unwrap();
    assert_eq!((store.len(), store.snapshot().list_shared().unwrap().len()), (3, 1));
    let item = store.get_at(2).unwrap();
    let digest = item.view().unwrap().topology().unwrap();
    let topology = store.topology(&digest).unwrap();
    assert_eq!(topology.names.as_ref().unwrap()[6], "NA");
    assert_eq!(topology.residue_names.as_deref().unwrap(), ["SOL", "SOL", "NA"]);
    assert_eq!(item.view().unwrap().step(), Some(500));

    // The same atoms for a trajectory that does not name them.
    let sites = |n: usize| (0..4).map(move |i| frame(i, n, Some(i * 10))).collect::<Vec<_>>();
    write(&path("run.xtc"), &sites(7));
    write(&path("other.xtc"), &sites(8));
    let topology = formats::read_topology(&gro).unwrap();
    let mut read = InputOptions::default();
    read.topology = Some(Arc::new(topology));
    let with = ImportOptions { read, ..options() };
    import(&[path("run.xtc")], &path("xtc.vls"), &with, None).unwrap();
    let named = Trajectory::open(path("xtc.vls")).unwrap();
    assert_eq!(named.get_at(3).unwrap().view().unwrap().topology(), Some(digest));
    let why = import(&[path("other.xtc")], &path("no.vls"), &with, None).unwrap_err().to_string();
    assert!(why.contains("has 8 atoms, but the topology that was given has 7"), "{why}");
    assert!(why.contains("other.xtc") && !path("no.vls").exists(), "{why}");

    let why = formats::read_topology(&path("run.xtc")).unwrap_err().to_string();
    assert!(why.contains("does not say what its atoms are"), "{why}");
    let why = formats::create(
        &path("out.gro"),
        FormatKind::Gro,
        &OutputOptions::default(),
        vlstore::Existing::Refuse,
    );
    assert!(
        why.err()
            .unwrap()
            .to_string()
            .contains("gro can be read, but not written; supported are xtc, trr, dcd, extxyz")
    );
}

#[test]
fn what_the_first_frame_says_of_its_atoms_holds_where_an_import_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    // The title of the file stands before its first model; other factors stand in the last one.
    let pdb = std::fs::read_to_string(data.join("three-models.pdb")).unwrap();
    let (models, last) = pdb.split_once("MODEL        3").unwrap();
    let last = last.replace("0.60  1.50", "0.60  2.50");
    std::fs::write(path("run.pdb"), format!("{models}MODEL        3{last}")).unwrap();
    let gro = std::fs::read_to_string(data.join("waters.gro")).unwrap();
    std::fs::write(path("run.gro"), format!("Another title\n{}", gro.split_once('\n').unwrap().1))
        .unwrap();
    for name in ["run.pdb", "run.gro"] {
        let (input, once) = ([path(name)], path(&format!("{name}-once.vls")));
        import(&input, &once, &options(), None).unwrap();
        assert_eq!(Trajectory::open(&once).unwrap().snapshot().list_shared().unwrap().len(), 1);
        for stop in 1..4 {
            let store = path(&format!("{name}-{stop}.vls"));
            let each = ImportOptions { commit_frames: Some(1), ..appending() };
            import(&input, &store, &each, Some(stop)).unwrap();
            for _ in 0..2 {
                import(&input, &store, &each, None).unwrap();
                assert_eq!(content(&store), content(&once), "{name} after {stop} frames");
            }
        }
    }
}
