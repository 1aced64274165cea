//! How a store says that series lie in it.

use crate::codec::{AnyCodec, SeriesCodec};
use crate::error::{Error, Result};
use crate::store::{Opened, Readable};

/// The attribute by which a store says what lies in it.
pub const LAYER: &str = "vlstore:layer";
/// Its value for series, and the version of how they are laid out.
pub const SERIES: &str = "series";
pub(super) const VERSION: u64 = 1;

/// Refuses a store of something else.
pub(super) fn is_of_series(store: &dyn Readable) -> Result<()> {
    let attributes = store.attributes();
    let layer = attributes.get(LAYER).and_then(|l| l.as_str()).unwrap_or(SERIES);
    let (codec, version) = &store.layout().record_codec;
    if codec != SERIES || layer != SERIES {
        let what = if layer == SERIES { codec } else { layer };
        let why = format!(
            "this is a store of {what}, not of time series; name another file, or make a new one"
        );
        return Err(Error::invalid("store", why));
    }
    let newest = SeriesCodec.version();
    let laid_out = attributes.get("vlstore:version").and_then(|v| v.as_u64()).unwrap_or(VERSION);
    for (what, found, newest) in [
        ("codec version", u64::from(*version), u64::from(newest)),
        ("version of a store of series", laid_out, VERSION),
    ] {
        if found > newest {
            return Err(Error::Unsupported { what, found, newest });
        }
    }
    Ok(())
}

/// What is missing of a store whose newest commit cannot be read, and what to do.
pub(super) fn lost(store: &dyn Readable) -> Option<String> {
    let (what, commit) = match store.opened() {
        Opened::OlderCommit { generation } => ("commit", generation),
        Opened::LastSeal { generation } => ("the last seal, commit", generation),
        _ => return None,
    };
    Some(format!(
        "the newest commit cannot be read, and this is {what} {commit}: what was stored, appended or removed \
         after it is missing; `vlstore verify STORE` says more, and `vlstore recover STORE NEW` saves all that \
         is left"
    ))
}
