//! Every verb explains itself, and every example in its help works as it stands.

use super::{Folder, PROGRAM};
use assert_cmd::Command;

pub(super) const VERBS: [&str; 29] = [
    "import",
    "export",
    "info",
    "ls",
    "columns",
    "get",
    "put",
    "rm",
    "verify",
    "seal",
    "stat",
    "topology",
    "follow",
    "plot",
    "compact",
    "recover",
    "copy",
    "merge",
    "split",
    "shard",
    "publish",
    "push",
    "pull",
    "archive",
    "consolidate",
    "bench",
    "demo",
    "completions",
    "man",
];

fn help(verb: &str) -> String {
    let output = Command::new(PROGRAM).args([verb, "--help"]).assert().success();
    String::from_utf8(output.get_output().stdout.clone()).unwrap()
}

#[test]
fn the_front_page_lists_every_verb_and_every_exit_status() {
    let output = Command::new(PROGRAM).arg("--help").assert().success();
    let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    for verb in VERBS {
        assert!(text.lines().any(|l| l.trim_start().starts_with(verb)), "{verb}");
    }
    let page = include_str!("../../../docs/cli.md");
    for verb in VERBS {
        let named = page.lines().any(|l| l.starts_with("| ") && l.contains(&format!("`{verb}`")));
        assert!(named, "docs/cli.md does not list {verb}");
    }
    for status in ["  0  ", "  1  ", "  2  ", "  3  ", "  4  ", "130  "] {
        assert!(text.contains(status), "{status}");
    }
}

/// Frames whose topology names residues, in the place of those that have none.
fn add_residues(folder: &Folder) {
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/three-models.pdb");
    std::fs::copy(models, folder.path("models.pdb")).unwrap();
    folder.ok("import --quiet --overwrite models.pdb frames.vls");
}

#[test]
fn every_example_of_every_verb_works_in_a_folder_with_a_trajectory_and_its_store() {
    let bin = std::path::Path::new(PROGRAM).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    for verb in VERBS {
        let text = help(verb);
        let examples: Vec<&str> =
            text.lines().filter_map(|l| l.trim_start().strip_prefix("$ ")).collect();
        assert!(!examples.is_empty(), "{verb} shows no example");
        assert!(examples.iter().all(|e| e.contains(&format!("vlstore {verb}"))), "{verb}");
        if cfg!(not(unix)) {
            continue;
        }
        for example in examples {
            let folder = Folder::new();
            // An experiment without a task.
            std::fs::create_dir_all(folder.path("data/p01")).unwrap();
            if verb == "plot" {
                super::plot::add_curves(&folder);
            }
            if example.contains("--atoms-of") {
                add_residues(&folder);
            }
            let mut run = Command::new("sh");
            run.args(["-ec", example]).env("PATH", &path).current_dir(folder.0.path());
            if example.contains("s3://") {
                // There is no server here: only the arguments are checked.
                run.env("AWS_ENDPOINT_URL", "http://127.0.0.1:9").env("AWS_ALLOW_HTTP", "true");
                run.env("AWS_ACCESS_KEY_ID", "a").env("AWS_SECRET_ACCESS_KEY", "b");
                run.env("AWS_REGION", "us-east-1").env("VLSTORE_REMOTE_DEADLINE", "1");
                run.assert().code(1);
                continue;
            }
            run.assert().success();
        }
    }
}

#[test]
fn arguments_that_cannot_be_understood_end_with_status_2_and_name_what_would_work() {
    for (args, says) in [
        ("", "Usage"),
        ("fetch x", "unrecognized subcommand"),
        ("get x", "required"),
        ("columns", "required"),
        ("stat --keep x", "--training"),
        ("import --compression rar a b", "auto, stored, zstd, lz4, lz4hc, zlib, blosclz"),
        ("import --purpose fast a b", "dense, balanced, random"),
        ("import --level 12 a b", "1..=9"),
        ("import --block-size 3furlongs a b", "KiB"),
        ("import --commit-every 0 a b", "1 or more"),
        ("import --drop-newer a b", "--append"),
        ("import --append --overwrite a b", "cannot be used with"),
        ("ls --range 1:2:0 a", "step 0"),
        ("get a int:x", "integer"),
        ("get a hex:abc", "hexadecimal"),
        ("export --to h5md a b", "xtc, trr, dcd, extxyz"),
        ("put --codec pickle a b", "md-frame"),
    ] {
        let args = args.split(' ').filter(|a| !a.is_empty());
        let assert = Command::new(PROGRAM).args(args).assert().code(2);
        let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(said.contains(says), "{says}: {said}");
    }
}
