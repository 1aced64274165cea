//! `plot`: series become pictures, on a machine without fonts too, and nothing else is touched.

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
        (1, "plot frames.vls a.png", "not of time series"),
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
