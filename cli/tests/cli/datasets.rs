//! Data sets: verbs that take a folder where they take a store, `publish` and `shard`.

use super::{FRAMES, Folder};

/// A folder with a data set of two stores, `set`, and one store with the same records, `frames.vls`.
fn sharded() -> Folder {
    let folder = Folder::new();
    folder.ok("shard --parts 2 --balance bytes frames.vls set");
    folder
}

#[test]
fn a_folder_is_read_as_the_store_that_it_was_made_of() {
    let folder = sharded();
    for args in ["ls --json", "ls --json --range -3:", "columns", "get --at 5 --as json"] {
        let names = if args == "columns" { "step time weight bytes" } else { "" };
        let of = |path: &str| folder.ok(format!("{args} {path} {names}").trim());
        assert_eq!(of("set"), of("frames.vls"), "{args}");
    }
    let info = folder.ok("info set");
    assert!(info.contains("part-00001.vls: "), "{info}");
    let info = folder.json("info --json set");
    assert_eq!(info["records"], FRAMES);
    assert_eq!(info["members"].as_array().unwrap().len(), 2);
    let verified = folder.ok("verify set frames.vls");
    assert_eq!(verified.matches("intact; ").count(), 3, "{verified}");
    folder.ok("copy set copy.vls");
    folder.ok("merge set merged.vls");
    folder.ok("split --records 300 set part.vls");
    folder.ok("shard --records 300 set again");
    for one in ["copy.vls", "merged.vls", "again"] {
        let ls = |path: &str| folder.ok(&format!("ls --json {path}"));
        assert_eq!(ls(one), ls("frames.vls"), "{one}");
    }
    let error = folder.fails(1, "shard --records 300 set again");
    assert!(
        error.contains("again exists already") && error.contains("name another folder"),
        "{error}"
    );
    folder.fails(1, "shard --parts 0 set none");
    folder.run("shard --balance bytes set none").code(2);
    folder.fails(1, "rm set 1");
}

#[test]
fn members_are_published_and_taken_out_and_damage_of_one_is_named() {
    let folder = sharded();
    std::fs::copy(folder.path("frames.vls"), folder.path("set/more.vls")).unwrap();
    let said = folder.ok("publish set");
    assert!(said.contains("publication 2, 3 members"), "{said}");
    let said = folder.json("publish --json --remove part-00000.vls set");
    assert_eq!((said["publication"].as_u64(), said["members"].as_u64()), (Some(3), Some(2)));
    folder.ok("publish set set/part-00000.vls");
    std::fs::remove_file(folder.path("set/more.vls")).unwrap();
    let verified = folder.run("verify set").code(3);
    let verified = String::from_utf8_lossy(&verified.get_output().stdout).into_owned();
    assert!(verified.contains("is missing"), "{verified}");
    assert_eq!(verified.matches("intact; ").count(), 2, "{verified}");
    let error = folder.fails(3, "copy set copy.vls");
    assert!(error.contains("member more.vls: is missing"), "{error}");
    assert!(!folder.path("copy.vls").exists());
    let error = folder.fails(1, "info .");
    assert!(error.contains("vlstore publish"), "{error}");
    folder.fails(1, "publish set frames.vls");
    folder.fails(4, "publish --remove none set");
}
