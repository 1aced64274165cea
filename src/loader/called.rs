//! What a record is called in messages.

use crate::store::{Readable, Snapshot};

/// What a record is called in messages.
pub(super) fn called(snapshot: &Snapshot, ordinal: u64) -> String {
    match snapshot.key_at(ordinal) {
        Ok(Some(key)) => format!("record {key} (ordinal {ordinal})"),
        _ => format!("the record at ordinal {ordinal}"),
    }
}
