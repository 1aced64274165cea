//! `plot`: stores become pictures, on a machine without fonts too, and nothing else is touched.

use super::Folder;
use std::fs;
use vlstore::series::{Points, SeriesOptions, SeriesStore};
use vlstore::{Existing, Key};

/// Puts a store of series into the folder: `lc`, one with two channels, and a long one.
pub(super) fn add_curves(folder: &Folder) {
    let mut store = SeriesStore::open(folder.path("curves.vls"), SeriesOptions::default()).unwrap();
    let times: Vec<f64> = (0..1000).map(|i| f64::from(i) * 0.7).collect();
    let values: Vec<f64> = times.iter().map(|t| (t / 9.0).sin() - 8.0).collect();
    let mut put = |id: &str, times: Option<&[f64]>, channels: Vec<&[f64]>| {
        let points = Points::new(times, channels).unwrap();
        store.store(&Key::from(id), &points, Existing::Refuse).unwrap();
    };
    put("lc", Some(&times), vec![&values]);
    put("wide", None, vec![&[1.0, f64::NAN, 2.0], &[f64::INFINITY, 0.0, -1.0]]);
    let long: Vec<f64> = (0..100_000).map(|i| f64::from(i % 977)).collect();
    put("long", None, vec![&long]);
    put("none", None, vec![&[]]);
}

#[test]
fn pictures_of_both_kinds_are_made_and_say_what_is_in_them() {
    let folder = Folder::new();
    add_curves(&folder);
    folder.ok("plot curves.vls a.png");
    assert!(fs::read(folder.path("a.png")).unwrap().starts_with(b"\x89PNG\r\n\x1a\n"));
    folder.ok("plot --series wide --series long --title T --x-label X curves.vls b.SVG");
    let svg = fs::read_to_string(folder.path("b.SVG")).unwrap();
    for text in
        ["<svg width=\"1000\" height=\"600\"", "T\n", "X\n", "wide [0]\n", "wide [1]\n", "long\n"]
    {
        assert!(svg.contains(text), "{text}");
    }
    // However long a series is, the picture is not.
    assert!(svg.len() < 150_000, "{}", svg.len());
    folder.ok("plot --series none --points --invert --size 200x100 curves.vls c.png");
    folder.ok("plot --series lc --range -5: curves.vls d.svg");
    assert_eq!(folder.made().len(), 5);
}

#[test]
fn what_cannot_be_drawn_is_refused_and_no_file_is_made_or_replaced() {
    let folder = Folder::new();
    add_curves(&folder);
    let before = fs::read(folder.path("curves.vls")).unwrap();
    for (status, args, says) in [
        (1, "plot curves.vls a.jpg", "NAME.png or NAME.svg"),
        (1, "plot --series lc frames.vls a.png", "not of time series"),
        (1, "plot --overwrite curves.vls curves.vls", ".png"),
        (4, "plot --series no curves.vls a.png", "\"no\""),
        (1, "plot --series lc --range ::2 curves.vls a.png", "step"),
        (1, "plot nothing.vls a.png", "nothing.vls"),
    ] {
        let said = folder.fails(status, args);
        assert!(said.contains(says), "{args}: {said}");
    }
    folder.run("plot --size 1x1 curves.vls a.png").code(2);
    fs::copy(folder.path("curves.vls"), folder.path("store.png")).unwrap();
    let said = folder.fails(1, "plot --overwrite curves.vls store.png");
    assert!(said.contains("this is a store"), "{said}");
    assert_eq!(fs::read(folder.path("store.png")).unwrap(), before);
    fs::remove_file(folder.path("store.png")).unwrap();
    folder.ok("plot curves.vls a.png");
    let said = folder.fails(1, "plot curves.vls a.png");
    assert!(said.contains("--overwrite replaces it"), "{said}");
    folder.ok("plot --overwrite curves.vls a.png");
    assert_eq!(folder.made().len(), 2);
    assert_eq!(fs::read(folder.path("curves.vls")).unwrap(), before);
}

/// Frames with energies, velocities, masses and properties, of which one lacks its energy.
fn add_made(folder: &Folder) {
    let mut text = String::new();
    for i in 0..20 {
        let energy =
            if i == 7 { String::new() } else { format!("energy={} ", -5.0 - f64::from(i)) };
        text += &format!(
            "2\nProperties=species:S:1:pos:R:3:masses:R:1:velo:R:3 {energy}pressure={i}.5 dipole=\"1 2 {i}\" time={i}\n"
        );
        text += "Ar 0 0 0 39.948 0.02 0.01 0\nAr 1 0 0 39.948 0 0.02 0.01\n";
    }
    fs::write(folder.path("made.extxyz"), text).unwrap();
    folder.ok("import --quiet made.extxyz made.vls");
}

#[test]
fn quantities_of_frames_are_drawn_with_their_units() {
    let folder = Folder::new();
    add_made(&folder);
    for (args, says) in [
        (
            "--quantity rmsd frames.vls",
            &["frames: RMSD from frame 0", "RMSD (nm)", "time (ps)"][..],
        ),
        ("--reference -1 --atoms 4:10 frames.vls", &["frames: RMSD from frame 1000, atoms 4:10"]),
        ("--quantity radius-of-gyration frames.vls", &["every atom with the same weight", "(nm)"]),
        ("--quantity radius-of-gyration made.vls", &["mass-weighted", "radius of gyration (Å)"]),
        ("--quantity volume --over step frames.vls", &["volume (nm³)", "step\n"]),
        ("made.vls", &["made: energy", "energy (eV)"]),
        ("--quantity property:pressure --over frame made.vls", &["made: pressure", "frame\n"]),
        ("--quantity property:dipole made.vls", &["[0]\n", "[2]\n"]),
        ("--quantity bytes frames.vls", &["1001 records", "size of a record (bytes)", "records\n"]),
        ("--quantity weight made.vls", &["weight of a record"]),
        ("frames.vls", &["RMSD from frame 0"]),
    ] {
        folder.ok(&format!("plot --quiet --overwrite --output a.svg {args}"));
        let svg = fs::read_to_string(folder.path("a.svg")).unwrap();
        for text in says {
            assert!(svg.contains(text), "{args}: {text}\n{svg}");
        }
        assert!(svg.len() < 150_000, "{args}: {}", svg.len());
    }
    let assert = folder.run("plot made.vls b.png").success();
    let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(said.contains("1 of 20 frames do not have this quantity"), "{said}");
    assert!(said.contains("b.png: 1 line with 19 points"), "{said}");
}

#[test]
fn the_order_of_the_loader_is_drawn_with_what_it_is_worth() {
    let folder = Folder::new();
    let said = |args: &str| {
        let assert = folder.run(&format!("plot --overwrite {args} frames.vls order.svg")).success();
        String::from_utf8_lossy(&assert.get_output().stderr).into_owned()
    };
    let narrow = said("--quantity order --window 64 --group 16 --seed 3");
    assert!(narrow.contains("take windows of ") && narrow.contains("--window "), "{narrow}");
    let effect = |said: &str| {
        let (_, rest) = said.split_once("design effect ").unwrap();
        rest.split(';').next().unwrap().parse::<f64>().unwrap()
    };
    let advised = narrow.split("--window ").nth(1).unwrap().split(',').next().unwrap();
    let wide = said(&format!("--window {advised} --group 16 --seed 3"));
    assert!(wide.contains("is wide enough for an effect below 1.2"), "{wide}");
    assert!(effect(&narrow) > 2.0 && effect(&wide) < 1.6, "{narrow}{wide}");
    let svg = fs::read_to_string(folder.path("order.svg")).unwrap();
    for text in ["frames: order, windows of", "place in the epoch", "place in the store"] {
        assert!(svg.contains(text), "{text}");
    }
    assert!(
        said("--shuffle sequential --batch 16 --by step")
            .contains("judged by \"step\", a batch of 16")
    );
    assert!(said("--shuffle global").contains("1001 records"));
    assert!(
        folder.fails(1, "plot --quantity bytes --window 8 frames.vls").contains("--quantity order")
    );
    assert!(folder.fails(1, "plot --window 0 frames.vls").contains("window: is 0"));
    assert!(folder.ok("plot --quantity order frames.vls").contains("design effect"));
}

#[test]
fn without_an_output_the_terminal_shows_it() {
    let folder = Folder::new();
    add_curves(&folder);
    let drawn = folder.ok("plot --quantity rmsd frames.vls");
    for text in ["frames: RMSD from frame 0", "RMSD (nm)", "time (ps)", "┤", "└"] {
        assert!(drawn.contains(text), "{text}\n{drawn}");
    }
    assert!(drawn.lines().all(|line| line.chars().count() <= 80) && drawn.lines().count() < 24);
    assert!(drawn.chars().any(|c| (0x2801..=0x28ff).contains(&u32::from(c))));
    assert_eq!(folder.made(), ["curves.vls"]);
    // Of several lines each has a panel with its name.
    let drawn = folder.ok("plot curves.vls");
    for text in ["lc", "long", "wide [0]", "wide [1]"] {
        assert!(drawn.lines().any(|line| line.trim() == text), "{text}\n{drawn}");
    }
    assert!(folder.ok("plot --terminal frames.vls both.png").contains("RMSD (nm)"));
    assert!(folder.path("both.png").exists());
}

#[test]
fn what_frames_do_not_have_is_refused_with_what_they_have() {
    let folder = Folder::new();
    add_curves(&folder);
    for (args, says) in [
        ("plot --quantity energy frames.vls a.png", "available: rmsd, radius-of-gyration, volume"),
        ("plot --quantity temperature frames.vls a.png", "no velocities"),
        ("plot --quantity property:x frames.vls a.png", "--quantity bytes draws"),
        ("plot --quantity rmsd --reference 1001 frames.vls a.png", "frame 1001 does not exist"),
        ("plot --quantity volume --reference 1 frames.vls a.png", "--quantity rmsd"),
        ("plot --quantity volume --atoms 1:2 frames.vls a.png", "rmsd, radius-of-gyration"),
        ("plot --quantity rmsd --dof 3 frames.vls a.png", "--quantity temperature"),
        ("plot --quantity rmsd --atoms 22: frames.vls a.png", "none is in the range"),
        ("plot --quantity rmsd --range 5:5 frames.vls a.png", "no frame"),
        ("plot --quantity energy curves.vls a.png", "curves.vls"),
    ] {
        let said = folder.fails(1, args);
        assert!(said.contains(says), "{args}: {said}");
    }
    folder.run("plot --quantity speed frames.vls a.png").code(2);
    folder.run("plot --quantity rmsd --series lc curves.vls a.png").code(2);
    assert_eq!(folder.made(), ["curves.vls"]);
}
