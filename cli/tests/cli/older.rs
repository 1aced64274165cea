//! A store whose newest commit cannot be read: who reads is told, who writes is refused.

use super::Folder;
use std::fs;

/// `bad.vls`: its newest commit, which added the record `b`, has lost its slot page; `a` is of the
/// commit before. Both are frames.
fn folder() -> Folder {
    let folder = Folder::new();
    folder.ok("get --output frame frames.vls 0");
    folder.ok("copy --range 0:20 frames.vls bad.vls");
    folder.ok("put bad.vls a frame");
    folder.ok("put bad.vls b frame");
    let info = folder.json("info --json bad.vls");
    let newest = info.get("generation").and_then(serde_json::Value::as_u64).unwrap();
    let page = if newest.is_multiple_of(2) { 4096 } else { 8192 };
    let mut bytes = fs::read(folder.path("bad.vls")).unwrap();
    bytes.iter_mut().skip(page).take(4096).for_each(|b| *b = 0);
    fs::write(folder.path("bad.vls"), &bytes).unwrap();
    folder
}

#[test]
fn every_verb_that_reads_says_that_it_shows_an_older_state_and_ends_with_status_3() {
    let folder = folder();
    for args in [
        "info bad.vls",
        "info --json bad.vls",
        "ls bad.vls",
        "ls --columns step bad.vls",
        "get bad.vls a",
        "get --as json bad.vls 0",
        "columns bad.vls",
        "columns bad.vls step",
        "stat bad.vls",
        "stat --json bad.vls",
        "stat --training bad.vls",
        "topology bad.vls",
        "follow --count 1 bad.vls",
        "export bad.vls out.xyz",
        "bench --seconds 0.01 bad.vls",
        "verify bad.vls",
    ] {
        let run = folder.run(args).code(3);
        let said = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
        assert!(said.contains("bad.vls") && said.contains("newest commit"), "{args}: {said}");
        let advice = said.contains("vlstore recover");
        assert!(advice || args.starts_with("verify"), "{args}: {said}");
    }
    // The same verbs on a store that is whole.
    for args in ["info frames.vls", "stat frames.vls", "follow --count 1 frames.vls"] {
        folder.ok(args);
    }
}

#[test]
fn every_verb_that_writes_refuses_an_older_state_until_it_is_accepted() {
    let folder = folder();
    let bad = fs::read(folder.path("bad.vls")).unwrap();
    let verbs = [
        "seal bad.vls",
        "put bad.vls c frame",
        "put --overwrite bad.vls a frame",
        "rm bad.vls a",
        "rm bad.vls not-there",
        "import --quiet --append run.xtc bad.vls",
        "stat --training --keep bad.vls",
        "compact bad.vls",
        "copy bad.vls new.vls",
        "merge bad.vls frames.vls new.vls",
        "split --records 10 bad.vls part.vls",
    ];
    let before = folder.made();
    for args in verbs {
        let said = folder.fails(3, args);
        assert!(said.contains("bad.vls: the newest commit cannot be read"), "{args}: {said}");
        assert!(said.contains("records") && said.contains("vlstore recover"), "{args}: {said}");
        assert!(said.contains("--accept-older"), "{args}: {said}");
        assert_eq!(fs::read(folder.path("bad.vls")).unwrap(), bad, "{args}");
        assert_eq!(folder.made(), before, "{args}");
    }
    // All is still there for who asks first.
    let saved = folder.run("recover bad.vls saved.vls");
    let output = saved.get_output();
    assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    assert_eq!(folder.json("info --json saved.vls")["records"], 22);
    // Who accepts it goes on, is told, and has a whole store then.
    for args in verbs.iter().filter(|a| !a.contains("not-there")) {
        fs::write(folder.path("bad.vls"), &bad).unwrap();
        let (verb, rest) = args.split_once(' ').unwrap();
        let args = format!("{verb} --accept-older {rest}");
        let args = match verb {
            "import" => args.replace("--append", "--append --keep-all"),
            "merge" => args.replace("--accept-older", "--accept-older --clash keep-first"),
            _ => args,
        };
        let run = folder.run(&args).success();
        let said = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
        assert!(said.contains("as --accept-older says"), "{args}: {said}");
        let made = if ["copy", "merge"].contains(&verb) { "new.vls" } else { "bad.vls" };
        if verb != "split" {
            folder.ok(&format!("info {made}"));
        }
        for name in ["new.vls", "part-000.vls", "part-001.vls", "part-002.vls"] {
            let _ = fs::remove_file(folder.path(name));
        }
    }
}

#[test]
fn a_store_is_never_taken_for_a_file_of_the_original_because_a_byte_changed() {
    let folder = folder();
    let mut bytes = fs::read(folder.path("frames.vls")).unwrap();
    if let Some(byte) = bytes.get_mut(1024) {
        *byte ^= 1;
    }
    fs::write(folder.path("bad.vls"), &bytes).unwrap();
    for args in
        ["info bad.vls", "ls bad.vls", "verify bad.vls", "put bad.vls c frame", "seal bad.vls"]
    {
        let said = folder.fails(3, args);
        assert!(said.contains("configuration"), "{args}: {said}");
        assert_eq!(fs::read(folder.path("bad.vls")).unwrap(), bytes, "{args}");
    }
}
