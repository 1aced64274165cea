//! Links in files of the old format, which the library that edits files does not carry over.

use crate::error::{Error, Result};
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Bytes that are looked at together.
const STEP: usize = 1 << 20;
/// The longest message of a header.
const OVERLAP: usize = 1 << 16;
const SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";

/// Whether a file of the old format (superblock 0 or 1, which h5py writes by default) has links in
/// messages of headers, as it does where there is an external link: adding to such a group would
/// drop its soft and external links. All of the file is looked through, since a group may lie
/// anywhere. (Soft links in symbol tables need no care: the library refuses such a group.)
///
/// # Errors
/// [`Error::Io`].
pub(super) fn has_old_links(path: &Path) -> Result<bool> {
    let failed = |e| Error::io("read", e).at(path);
    let mut file = fs::File::open(path).map_err(failed)?;
    let mut start = Vec::new();
    file.by_ref().take(STEP as u64).read_to_end(&mut start).map_err(failed)?;
    // The first block may be of another program: the format begins at 0, 512, 1024, ...
    let places = std::iter::once(0).chain((9..20).map(|n| 1_usize << n));
    let begins = |at: &usize| start.get(*at..).is_some_and(|b| b.starts_with(SIGNATURE));
    let Some(begin) = places.into_iter().find(begins) else { return Ok(false) };
    if start.get(begin + SIGNATURE.len()).is_none_or(|version| *version > 1) {
        return Ok(false);
    }
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    let mut bytes = Vec::new();
    loop {
        let kept = bytes.len();
        let n = file.by_ref().take(STEP as u64).read_to_end(&mut bytes).map_err(failed)?;
        if links_in(&bytes) {
            return Ok(true);
        }
        if n == 0 {
            return Ok(false);
        }
        // Structures begin at multiples of 8, and so do the steps.
        let keep = (kept + n).saturating_sub(OVERLAP).next_multiple_of(8);
        bytes.drain(..keep.min(kept + n));
    }
}

fn links_in(bytes: &[u8]) -> bool {
    (0..bytes.len()).step_by(8).filter_map(|at| bytes.get(at..)).any(|b| link(b).is_some())
}

/// A message of type 6 and version 1 whose kind is not that of a hard link, and whose lengths are
/// right, which other bytes next to never are.
fn link(b: &[u8]) -> Option<()> {
    let [6, 0, low, high, _, 0, 0, 0, 1, flags, kind, ..] = b else { return None };
    let soft_or_foreign = flags & 0xe8 == 8 && (*kind == 1 || *kind >= 64);
    let order = if flags & 4 == 0 { 0 } else { 8 };
    let charset = if flags & 16 == 0 { 0 } else { 1 };
    let at = 11 + order + charset;
    let wide = 1_usize << (flags & 3);
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0_usize, |n, b| n << 8 | usize::from(*b));
    let name = number(b.get(at..at + wide)?);
    let after = at.checked_add(wide)?.checked_add(name)?;
    let value = number(b.get(after..after.checked_add(2)?)?);
    let len = (after + 2 + value - 8).next_multiple_of(8);
    (soft_or_foreign && len == usize::from(u16::from_le_bytes([*low, *high]))).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_across_steps_and_only_in_the_old_format() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.h5");
        // "s" to "/a", and "e" with 6 bytes of an external link.
        let soft = [6, 0, 16, 0, 0, 0, 0, 0, 1, 8, 1, 1, b's', 2, 0, b'/', b'a', 0, 0, 0];
        let mut foreign = vec![6, 0, 16, 0, 0, 0, 0, 0, 1, 0x18, 64, 0, 1, b'e', 6, 0];
        foreign.extend(b"\0a\0/b\0");
        for what in [&soft[..], &foreign[..]] {
            for at in [512, STEP - 8, STEP - 16, STEP, 3 * STEP + 8] {
                let mut bytes = vec![0; at];
                bytes.extend_from_slice(what);
                bytes.extend([0; 100]);
                bytes[..8].copy_from_slice(SIGNATURE);
                std::fs::write(&path, &bytes).unwrap();
                assert!(has_old_links(&path).unwrap(), "{at}");
                bytes[8] = 2;
                std::fs::write(&path, &bytes).unwrap();
                assert!(!has_old_links(&path).unwrap());
            }
        }
        let numbers: Vec<u8> = (0..5000_u64).flat_map(u64::to_le_bytes).collect();
        std::fs::write(&path, [SIGNATURE, &numbers].concat()).unwrap();
        assert!(!has_old_links(&path).unwrap());
        std::fs::write(&path, b"x").unwrap();
        assert!(!has_old_links(&path).unwrap());
    }
}
