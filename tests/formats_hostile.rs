//! Damaged trajectories under an allocator with a ceiling: an error or whole frames, and never
//! more memory than the bytes of the file can account for.
//!
//! One test only: the ceiling is for the whole process.

#![allow(clippy::unwrap_used, reason = "a test ends where something does not work")]

mod common;

use cap::Cap;
use common::thorough;
use std::alloc::System;
use std::path::Path;
use vlstore::codec::{MdFrame, Real};
use vlstore::formats::{self, FormatKind};

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// Buffers of the reader, and what the test itself needs.
const BASE: usize = 1 << 20;
/// A species of one letter and its space become a `String`: 24 bytes and what it points to.
const PER_BYTE: usize = 64;

fn drain(path: &Path, kind: FormatKind, bytes: &[u8]) -> (usize, bool) {
    // Some file systems write out a file at once that is cut to nothing and written again.
    let _ = std::fs::remove_file(path);
    std::fs::write(path, bytes).unwrap();
    MEMORY.set_limit(MEMORY.allocated() + BASE + PER_BYTE * bytes.len()).unwrap();
    let mut whole = 0;
    let mut failed = bytes.is_empty();
    if let Ok(mut reader) = formats::open_as(path, kind) {
        let mut f = MdFrame::default();
        loop {
            match reader.next_frame(&mut f) {
                Ok(true) => whole += 1,
                Ok(false) => break,
                Err(_) => {
                    failed = true;
                    break;
                }
            }
            assert_eq!(f.positions.as_ref().map_or(0, Real::len) % 3, 0);
            assert!(whole <= bytes.len(), "frames out of nothing");
        }
    }
    let _ = formats::detect(path);
    let _ = formats::open_as(path, kind).and_then(|mut r| r.skip(u64::MAX));
    MEMORY.set_limit(usize::MAX).unwrap();
    (whole, failed)
}

#[test]
fn damaged_files_cost_no_more_than_their_bytes_can_account_for() {
    let folder = tempfile::tempdir().unwrap();
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let xtc = std::fs::read(here.join("ala2-npt-peptide.xtc")).unwrap();
    let xyz = std::fs::read(here.join("small.extxyz")).unwrap();
    let gro = std::fs::read(here.join("waters.gro")).unwrap();
    let trr = std::fs::read(here.join("cell_shapes.trr")).unwrap();
    let fixed = std::fs::read(here.join("fixed-atoms.dcd")).unwrap();
    let wide = std::fs::read(here.join("mrmd_h2so4-64bit-be.dcd")).unwrap();
    let pdb = std::fs::read(here.join("three-models.pdb")).unwrap();
    let all: [(_, &[u8]); 7] = [
        (FormatKind::Xtc, &xtc[..528]),
        (FormatKind::Trr, &trr),
        (FormatKind::Dcd, &fixed[..900]),
        (FormatKind::Dcd, &wide[..900]),
        (FormatKind::ExtXyz, &xyz),
        (FormatKind::Gro, &gro),
        (FormatKind::Pdb, &pdb),
    ];
    for (kind, bytes) in all {
        let path = folder.path().join("file");
        let (all, _) = drain(&path, kind, bytes);
        assert!(all >= 3, "{all}");
        for cut in 0..bytes.len() {
            let (whole, failed) = drain(&path, kind, &bytes[..cut]);
            // A DCD or PDB file of a header alone has no frame, and that is no error.
            let header = matches!(kind, FormatKind::Dcd | FormatKind::Pdb);
            assert!(whole <= all && (failed || whole > 0 || header));
        }
        // Every bit is the business of the unit tests, without the ceiling.
        for bit in (0..bytes.len() * 8).step_by(if thorough() { 7 } else { 21 }) {
            let mut bad = bytes.to_vec();
            bad[bit / 8] ^= 1 << (bit % 8);
            drain(&path, kind, &bad);
        }
        // Numbers as large as they go, at every place; in the usual run one or two of them at each.
        let words = [[0xff; 4], [0x7f, 0xff, 0xff, 0xff], [0; 4], *b"9999", *b" 9e9"];
        for at in (0..bytes.len().saturating_sub(4)).step_by(2) {
            for (i, word) in words.into_iter().enumerate() {
                if !thorough() && !(at / 2 + i).is_multiple_of(3) {
                    continue;
                }
                let mut bad = bytes.to_vec();
                bad[at..at + 4].copy_from_slice(&word);
                drain(&path, kind, &bad);
            }
        }
    }
}
