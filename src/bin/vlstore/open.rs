//! Opening a store for a verb that reads.

use crate::output::complain;
use std::path::Path;
use vlstore::{Opened, Result, Store};

/// Opens the store, and says so if it is less than what was written.
pub(crate) fn open(path: &Path) -> Result<Store> {
    let store = Store::open(path)?;
    match store.opened() {
        Opened::OlderCommit { generation } => complain(&format!(
            "warning: {}: the newest commit cannot be read; this is commit {generation}; \
             `vlstore verify` says more",
            path.display()
        )),
        Opened::LastSeal { generation } => complain(&format!(
            "warning: {}: only the state of the last seal can be read, commit {generation}; \
             `vlstore verify` says more",
            path.display()
        )),
        _ => {}
    }
    Ok(store)
}
