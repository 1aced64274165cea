//! The root table of a record, verified, and what every way to read one needs.

use super::name::NAME;
use crate::codec::slices::bounded;
use crate::{Error, Result, limits};
use flatbuffers::{Follow, Verifiable, VerifierOptions, root_with_opts};

/// Where the matrices of a frame begin in its record: nine float64 each, not always aligned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Matrices {
    /// The three cell vectors as rows.
    pub cell: Option<usize>,
    /// The stress tensor.
    pub stress: Option<usize>,
}

pub(in crate::codec) fn bad(why: impl Into<Box<str>>) -> Error {
    Error::codec(NAME, why)
}

/// The root table of a record, verified; `what` says what the record should be.
pub(in crate::codec) fn root<'a, T>(what: &str, bytes: &'a [u8]) -> Result<T::Inner>
where
    T: Follow<'a> + Verifiable + 'a,
{
    bounded(bytes.len() as u64)?;
    rooted(bytes).map_err(|why| bad(format!("the record is not a {what}: {why}")))?;
    // A tree of tables that share parts may look larger than its bytes, but not without end;
    // legitimate writers share vtables and equal strings.
    let options = VerifierOptions {
        max_depth: 8,
        max_tables: 64 + limits::PROPERTIES_MAX,
        max_apparent_size: bytes.len().saturating_mul(4).saturating_add(1024),
        ignore_missing_null_terminator: false,
    };
    root_with_opts::<T>(&options, bytes).map_err(|why| {
        let why = why.to_string();
        let why = why.trim().lines().map(str::trim).collect::<Vec<_>>().join("; ");
        bad(format!("the record is not a {what}: {why}"))
    })
}

/// Refuses bytes that name no root table. The verifier takes a table without a field for one
/// wherever it may lie, and so a run of zeros for a frame in which nothing is.
pub(super) fn rooted(bytes: &[u8]) -> std::result::Result<(), &'static str> {
    let word = |at: usize| {
        bytes.get(at..).and_then(<[u8]>::first_chunk).map(|word| u32::from_le_bytes(*word))
    };
    // The first four bytes say where the table is, and the table where its list of fields is; both
    // lie behind what names them, and a list begins with its own length.
    let at = word(0).ok_or("it has no root table")? as usize;
    let back = word(at).filter(|_| at >= 4).ok_or("it has no root table")?.cast_signed();
    let fields = i64::try_from(at).ok().map(|at| at - i64::from(back));
    let fields = fields.and_then(|f| usize::try_from(f).ok()).filter(|f| *f >= 4 && back != 0);
    let len = fields.and_then(|f| bytes.get(f..)?.first_chunk().copied()).map(u16::from_le_bytes);
    len.filter(|len| *len >= 4).map(drop).ok_or("its root table has no list of fields")
}
