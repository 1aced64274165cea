//! Addresses where a path is wanted: said as such, and not as a folder `s3:` that is missing.

use crate::error::{Error, Result};
use std::path::Path;

/// Refuses what begins as an address does (`s3://`); for paths at which nothing is.
pub(crate) fn not_an_address(path: &Path) -> Result<()> {
    let scheme = path.to_str().and_then(|text| text.split_once("://"));
    let is_scheme = |scheme: &str| {
        scheme.len() > 1 && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+')
    };
    if scheme.is_some_and(|(scheme, _)| is_scheme(scheme)) {
        let why = "this is an address and not a path: a store there is read where it lies, and not written; \
             `vlstore pull ADDRESS FILE` fetches it, and `vlstore push FILE ADDRESS` uploads one";
        return Err(Error::invalid("path", why).at(path));
    }
    Ok(())
}
