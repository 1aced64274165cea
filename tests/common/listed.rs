//! What a store holds, record by record, to be compared with what it should hold.

#![allow(clippy::unwrap_used, reason = "for tests")]

use vlstore::{Key, Readable, Snapshot};

/// Key, weight and bytes of a record.
pub(crate) type Listed = (Option<Key>, u32, Vec<u8>);

/// All records, in their order.
pub(crate) fn listed(snapshot: &Snapshot) -> Vec<Listed> {
    let mut out = Vec::new();
    snapshot
        .for_each(|ordinal, key, place| {
            out.push((key, place.weight, snapshot.get_at(ordinal)?.to_vec()));
            Ok(())
        })
        .unwrap();
    out
}
