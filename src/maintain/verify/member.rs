//! A member of a data set checked: that it is there, is what was published, and is intact.

use super::report::{Damage, Verified};
use crate::dataset::{DataSet, MANIFEST, sha256_of};
use crate::error::{Error, Result};
use crate::maintain::shared_transfer::Refers;
use crate::store::Readable;

/// Checks the member of a data set with this number: every byte of it, as
/// [`Snapshot::verify`](crate::Snapshot::verify) and
/// [`verify_references`](crate::Snapshot::verify_references) do, and the file against its digest in the
/// manifest. A member that is missing or another one is damage, and so is one that cannot be opened for its
/// damage.
///
/// One that grew since it was published is not compared with its digest. `progress` is told the bytes done and
/// to do.
///
/// # Errors
/// [`Error::Io`] and what `progress` returns.
pub fn verify_member(
    set: &DataSet,
    member: usize,
    refers: Refers,
    mut progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<Verified> {
    let one = |damage| Verified { damages: vec![damage], ..Verified::default() };
    let snapshot = match set.snapshot(member) {
        Ok(snapshot) => snapshot,
        Err(error) => match error.root() {
            Error::DataSet { why, .. } => return Ok(one(Damage::new("member", None, &**why))),
            Error::Corrupt(found) => {
                let why = format!("{}; nothing more can be checked", found.why);
                return Ok(one(Damage::new(found.part, Some(found.offset), why)));
            }
            _ => return Err(error),
        },
    };
    let mut found = snapshot.verify(&mut progress)?;
    found.extend(snapshot.verify_references(refers, &mut progress)?);
    let Some(known) = set.members().get(member) else { return Ok(found) };
    if snapshot.generation() == known.commit {
        let (sha256, len) = sha256_of(&**snapshot.backend(), &mut progress)?;
        if sha256 != known.sha256 {
            let lengths = match len == known.file_bytes {
                true => String::new(),
                false => format!(": it has {len} bytes, not {}", known.file_bytes),
            };
            let why = format!("the file is not the one of the digest in {MANIFEST}{lengths}");
            found.extend(vec![Damage::new("member", None, why)]);
        }
    }
    Ok(found)
}
