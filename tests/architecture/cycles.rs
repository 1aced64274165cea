//! Modules of one folder that use each other in a circle.
//!
//! At each folder the modules in it are looked at, and `mod.rs` (or `lib.rs`) as one more: a file uses
//! a sibling if it names a path into it. A name that `mod.rs` takes from somewhere (`use`) stands
//! for where it comes from. So `mod.rs` may list its modules, re-export from them and use them; but
//! what it defines itself is for its modules only where it does not need them.

use crate::source::Source;
use std::collections::{BTreeMap, BTreeSet};

/// `mod.rs` among the modules of its folder.
const ITSELF: &str = "mod.rs";

/// Modules of one folder of which each is reached from each.
pub(crate) struct Circle {
    pub(crate) folder: String,
    pub(crate) modules: Vec<String>,
    /// Which of them uses which.
    pub(crate) edges: Vec<String>,
}

/// Every circle in the crate below `root` (such as `src/`).
pub(crate) fn cycles(sources: &[Source], root: &str) -> Vec<Circle> {
    let modules = modules(sources, root);
    let mut folders: BTreeMap<Vec<String>, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for (module, file) in &modules {
        let mut used: Vec<_> = file.imports().into_iter().map(|(_, path)| path).collect();
        used.extend(file.uses_of_children());
        for path in used {
            if let Some((folder, from, to)) = edge(&modules, module, path) {
                folders.entry(folder).or_default().entry(from).or_default().insert(to);
            }
        }
    }
    let mut found = Vec::new();
    for (folder, all) in folders {
        for modules in circles(&all) {
            let mut edges = Vec::new();
            for from in &modules {
                let to = all[from].iter().filter(|to| modules.contains(to));
                edges.extend(to.map(|to| format!("{from} uses {to}")));
            }
            let folder = format!("{root}{}", folder.join("/"));
            found.push(Circle { folder: folder.trim_end_matches('/').into(), modules, edges });
        }
    }
    found
}

/// The modules that are more than tests, by their paths.
fn modules<'a>(sources: &'a [Source], root: &str) -> BTreeMap<Vec<String>, &'a Source> {
    let inside =
        |file: &&Source| file.path.starts_with(root) && file.path != format!("{root}main.rs");
    let all: BTreeMap<_, _> =
        sources.iter().filter(inside).map(|file| (file.module(), file)).collect();
    let declared = |module: &[String]| {
        (1..=module.len()).all(|n| {
            let parent = all.get(&module[..n - 1]);
            parent.is_some_and(|parent| parent.children().contains(&module[n - 1]))
        })
    };
    all.iter().filter(|(module, _)| declared(module)).map(|(m, file)| (m.clone(), *file)).collect()
}

/// The folder at which `module` and what it names at `path` part, and the two modules there.
fn edge(
    modules: &BTreeMap<Vec<String>, &Source>,
    module: &[String],
    mut path: Vec<String>,
) -> Option<(Vec<String>, String, String)> {
    // A name may be passed on from module to module, but not without an end.
    for _ in 0..8 {
        let shared = module.iter().zip(&path).take_while(|(a, b)| a == b).count();
        let folder = &module[..shared];
        let from = module.get(shared).map_or(ITSELF, String::as_str);
        let home = modules.get(folder)?;
        let to = match path.get(shared) {
            Some(name) if home.children().contains(name) => name.as_str(),
            Some(name) => match home.taken().get(name) {
                Some(origin) if *origin != path => {
                    path = [origin.as_slice(), &path[shared + 1..]].concat();
                    continue;
                }
                _ => ITSELF,
            },
            None => ITSELF,
        };
        return (from != to).then(|| (folder.to_vec(), from.to_string(), to.to_string()));
    }
    None
}

/// The groups of names of which each is reached from each.
fn circles(edges: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    let reached = |from: &str| {
        let mut found = BTreeSet::new();
        let mut waiting = vec![from];
        while let Some(at) = waiting.pop() {
            for next in edges.get(at).into_iter().flatten() {
                if found.insert(next.as_str()) {
                    waiting.push(next);
                }
            }
        }
        found
    };
    let reached: BTreeMap<_, _> = edges.keys().map(|name| (name.as_str(), reached(name))).collect();
    let mut groups = BTreeSet::new();
    for (name, all) in &reached {
        if all.contains(name) {
            let back = |other: &&&str| reached.get(**other).is_some_and(|b| b.contains(name));
            groups.insert(all.iter().filter(back).map(ToString::to_string).collect::<Vec<_>>());
        }
    }
    groups.into_iter().collect()
}

#[test]
fn a_circle_is_found_however_it_is_written() {
    let found = |files: &[(&str, &str)]| {
        let sources: Vec<_> =
            files.iter().map(|(path, text)| Source::parse((*path).to_string(), text)).collect();
        let circles = cycles(&sources, "src/").into_iter();
        circles.map(|circle| (circle.folder, circle.modules)).collect::<Vec<_>>()
    };
    let root = ("src/lib.rs", "mod a; mod b;");
    let circle = vec![("src".to_string(), vec!["a".to_string(), "b".to_string()])];
    for (a, b) in [
        ("use crate::b::B;", "use crate::a::A;"),
        ("use super::b;", "fn f() { super::a::g() }"),
        ("use crate::{b::B, c};", "use crate::a;"),
    ] {
        assert_eq!(found(&[root, ("src/a.rs", a), ("src/b.rs", b)]), circle, "{a} {b}");
    }
    for (a, b) in [
        ("use crate::b::B;", ""),
        ("use crate::b::B;", "#[cfg(test)] mod tests { use crate::a::A; }"),
        ("// crate::b", "use super::a::A; const X: &str = \"super::b\";"),
    ] {
        assert!(found(&[root, ("src/a.rs", a), ("src/b.rs", b)]).is_empty(), "{a} {b}");
    }
    // Through a name that the root passes on; through a folder.
    let root = ("src/lib.rs", "mod a; mod b; pub use b::inner::{B as C};");
    let files = [root, ("src/a.rs", "use crate::C;"), ("src/b/mod.rs", "mod inner;")];
    let inner = ("src/b/inner.rs", "use super::super::a::A;");
    assert_eq!(found(&[files.as_slice(), &[inner]].concat()), circle);
    let inner = ("src/b/inner.rs", "");
    assert!(found(&[files.as_slice(), &[inner]].concat()).is_empty());
    // What `mod.rs` defines, with and without need of its modules.
    let child = ("src/a.rs", "use super::Thing;");
    assert!(found(&[("src/lib.rs", "mod a; pub use a::f; struct Thing;"), child]).is_empty());
    for text in [
        "mod a; use a::f; struct Thing;",
        "mod a; struct Thing; fn g() { a::f() }",
        "mod a; struct Thing; fn g() { self::a::f() }",
        "mod a; pub use a::f; struct Thing; fn g() { f() }",
    ] {
        let itself = vec![("src".to_string(), vec!["a".to_string(), ITSELF.to_string()])];
        assert_eq!(found(&[("src/lib.rs", text), child]), itself, "{text}");
    }
    // A file that only tests have.
    let files = [("src/lib.rs", "#[cfg(test)] mod a; mod b;"), ("src/a.rs", "use crate::b::B;")];
    assert!(found(&[files[0], files[1], ("src/b.rs", "use crate::a::A;")]).is_empty());
}
