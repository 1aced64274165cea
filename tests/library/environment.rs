//! `BLOSC_*` variables override the parameters of the C library behind the caller's back: level,
//! codec, typesize and threads of a file were not what its header said. Now they are refused.

use crate::common::only;
use std::process::Command;
use vlstore::chunk::{Algorithm, Compressor, Decoder, Filter, Params};

/// What the child process does: 0 if both directions work, 10 more if writing and 20 more if reading is refused.
fn try_both() -> i32 {
    let refused = |level| {
        let (algorithm, filter) = (Some(Algorithm::Zstd), Filter::Shuffle);
        Compressor::new(Params { algorithm, level, filter, typesize: 4 }, 4096).is_err()
    };
    // At level 1, too, of which the library makes the last block of a chunk alone; a variable may ask for this very level.
    let alike = refused(1) == refused(5) || std::env::var_os("BLOSC_CLEVEL").is_some();
    assert!(alike, "level 1 is not refused as level 5 is");
    let compress = i32::from(refused(5));
    let decode = i32::from(Decoder::new().is_err());
    10 * compress + 20 * decode
}

fn child(variable: Option<(&str, &str)>) -> i32 {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(only(module_path!(), "a_variable_that_overrides_parameters_is_refused"));
    command.env("VLSTORE_TEST_CHILD", "1").envs(variable);
    command.status().unwrap().code().unwrap()
}

#[test]
fn a_variable_that_overrides_parameters_is_refused() {
    if std::env::var_os("VLSTORE_TEST_CHILD").is_some() {
        std::process::exit(try_both());
    }
    assert_eq!(child(None), 0);
    for (name, value) in [
        ("BLOSC_CLEVEL", "1"),
        ("BLOSC_COMPRESSOR", "lz4"),
        ("BLOSC_COMPRESSOR", "nonsense"),
        ("BLOSC_SHUFFLE", "BITSHUFFLE"),
        ("BLOSC_SHUFFLE", "NOSHUFFLE"),
        ("BLOSC_DELTA", "1"),
        ("BLOSC_TYPESIZE", "8"),
        ("BLOSC_BLOCKSIZE", "512"),
        ("BLOSC_SPLITMODE", "NEVER"),
    ] {
        assert_eq!(child(Some((name, value))), 10, "{name}={value}");
    }
    // Neither direction may start threads of C: they do not survive a fork.
    assert_eq!(child(Some(("BLOSC_NTHREADS", "4"))), 30);
    assert_eq!(child(Some(("BLOSC_CLEVEL", "5"))), 0, "what was asked for anyway is harmless");
}
