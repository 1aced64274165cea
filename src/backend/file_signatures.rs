//! What files of other programs look like, by their first bytes.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// What to do with what must be unpacked.
const UNPACK: &str = "unpack it first";
/// What to do with a frame of Blosc2.
const STORE: &str = "if it is a store, `vlstore copy` and `vlstore merge` read it";

/// What bytes that are not ours look like, to say more than "unknown", and what to do with such a
/// file, if that is the same for everybody.
#[must_use]
pub fn foreign(head: &[u8]) -> Option<(&'static str, &'static str)> {
    let begins = |at: usize, what: &[u8]| head.get(at..).is_some_and(|h| h.starts_with(what));
    let known: [(usize, &[u8], &str, &str); 12] = [
        (0, b"\x89HDF\r\n\x1a\n", "HDF5 (H5MD, MDTraj or PyTables)", ""),
        (0, b"CDF", "NetCDF (Amber)", ""),
        (0, b"SQLite format 3\0", "an SQLite database (ASE)", ""),
        (16, &[0xde, 0xc0, 0xef, 0xbe], "an LMDB database", ""),
        (0, b"- of Ulm", "an ASE .traj file", ""),
        (2, b"b2frame\0", "a Blosc2 frame", STORE),
        (0, &[0x93, b'N', b'U', b'M', b'P', b'Y'], "a NumPy array", ""),
        (0, b"PK\x03\x04", "a ZIP archive", UNPACK),
        (0, &[0x1f, 0x8b], "a gzip file", UNPACK),
        (0, b"BZh", "a bzip2 file", UNPACK),
        (0, &[0xfd, b'7', b'z', b'X', b'Z'], "an xz file", UNPACK),
        (0, &[0x28, 0xb5, 0x2f, 0xfd], "a Zstandard file", UNPACK),
    ];
    let found = known.iter().find(|(at, what, ..)| begins(*at, what));
    found.map(|(_, _, name, advice)| (*name, *advice))
}

/// What the file at `path` seems to be, as a person says it: `"a GROMACS XTC trajectory"`.
#[must_use]
pub fn describe(path: &Path) -> &'static str {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(4096).read_to_end(&mut head));
    if read.is_err() {
        return "a file that cannot be read";
    }
    match head.first_chunk::<4>().map(|b| i32::from_be_bytes(*b)) {
        Some(1995 | 2023) => return "a GROMACS XTC trajectory",
        Some(1993) => return "a GROMACS TRR trajectory",
        _ if head.get(4..).is_some_and(|h| h.starts_with(b"CORD")) => return "a DCD trajectory",
        None if head.is_empty() => return "an empty file",
        _ => {}
    }
    if let Some((name, _)) = foreign(&head) {
        return name;
    }
    // No control characters but those of text.
    if head.iter().any(|b| matches!(b, 0..=8 | 14..=31 | 127)) {
        return "a file of another kind";
    }
    let first = head.split(|&b| b == b'\n').next().unwrap_or_default().trim_ascii();
    if !first.is_empty() && first.iter().all(u8::is_ascii_digit) {
        return "an XYZ trajectory";
    }
    "a text file"
}
