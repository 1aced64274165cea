//! Opening a store for a verb: what is less than what was written is said, and shows in the exit
//! status.

use crate::output::{complain, grouped, shown};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use vlstore::Readable;
use vlstore::dataset::Source;
use vlstore::remote::{self, RemoteOptions};
use vlstore::{Opened, Result, Store, StoreOptions};

/// Whether a verb of this run was shown an older state than the newest.
static OLDER: AtomicBool = AtomicBool::new(false);

/// For verbs that write or copy.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct AcceptOlder {
    /// Continue with an older commit if the newest cannot be read; everything after it is lost
    #[arg(long)]
    pub(crate) accept_older: bool,
}

/// As [`open`], of a store or of the folder of a data set.
pub(crate) fn open_source(path: &Path) -> Result<Source> {
    let source = Source::open(path)?;
    tell(path, source.opened());
    Ok(source)
}

/// Opens the store for a verb that reads, and says so if it is less than what was written.
pub(crate) fn open(path: &Path) -> Result<Store> {
    open_with(path, &StoreOptions::default())
}

/// As [`open`], with options.
pub(crate) fn open_with(path: &Path, options: &StoreOptions) -> Result<Store> {
    let store = reach(path, options)?;
    tell(path, store.opened());
    Ok(store)
}

/// Opens a file, or an object at an address.
pub(crate) fn reach(path: &Path, options: &StoreOptions) -> Result<Store> {
    let read = options.write.reading();
    match path.to_str().filter(|_| remote::is_url(path)) {
        Some(url) => remote::open(url, &read, &RemoteOptions::from_env()?),
        None => Store::open_with(path, &read),
    }
}

/// Says it if what was opened for reading is less than what was written.
pub(crate) fn tell(path: &Path, opened: Opened) {
    let what = match opened {
        Opened::OlderCommit { generation } => {
            format!("the newest commit cannot be read; this is commit {generation}")
        }
        Opened::LastSeal { generation } => {
            format!("the newest data cannot be read; this is the last seal, commit {generation}")
        }
        _ => return,
    };
    OLDER.store(true, Ordering::Relaxed);
    complain(&format!(
        "warning: {}: {what}; `vlstore verify` shows details, `vlstore recover` saves what is left",
        shown(path)
    ));
}

/// Says it if a verb that changes or copies goes on with less than what was written.
pub(crate) fn tell_accepted(path: &Path, opened: Opened) {
    if let Opened::OlderCommit { generation } | Opened::LastSeal { generation } = opened {
        complain(&format!(
            "warning: {}: the newest commit cannot be read; continuing with commit {generation}, \
             as --accept-older says",
            shown(path)
        ));
    }
}

/// Forgets what an earlier run in this process was shown.
pub(crate) fn begin() {
    OLDER.store(false, Ordering::Relaxed);
}

/// Whether this run was shown an older state than the newest.
pub(crate) fn saw_older() -> bool {
    OLDER.load(Ordering::Relaxed)
}

/// Says so if other programs do not see the newest records of a store that was written to. It is
/// there and closed; where it cannot be read any more another verb will say it.
pub(crate) fn tell_unsealed(path: &Path) {
    let Ok(info) = Store::open(path).and_then(|store| store.info()) else { return };
    if !info.sealed && info.opened == Opened::Intact {
        complain(&format!(
            "note: other programs see this store as it was at its last seal, with {} of {} records; \
             `vlstore seal {}` shows them all",
            grouped(info.sealed_records),
            grouped(info.records),
            shown(path)
        ));
    }
}
