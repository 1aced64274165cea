//! Records are what the store names them: whoever puts bytes has them checked, or vouches for them.

use crate::error::{Error, Result};
use crate::existing::Existing;
use crate::key::Key;
use crate::store::read::readable::Readable;
use crate::store::write::writer::Writer;

/// The codec of records that are any bytes.
const ANY: &str = "raw";

impl Writer {
    /// As [`Writer::put_sized`] for bytes that the caller vouches for: no codec looks at them. For
    /// programs that have the codec themselves; bytes that are not such a record are refused by every
    /// reader later.
    ///
    /// # Errors
    /// As [`Writer::put`], but for the codec.
    pub fn put_unchecked(
        &mut self,
        key: Option<&Key>,
        bytes: &[u8],
        weight: u32,
        existing: Existing,
    ) -> Result<u64> {
        self.put_with_row(key, bytes, weight, None, existing)
    }

    /// The weight of a record that is to be put, which the codec of the store has checked; `given`
    /// is what the caller says.
    pub(crate) fn checked(&self, bytes: &[u8], given: Option<u32>) -> Result<u32> {
        let (name, version) = &self.layout.record_codec;
        if name == ANY {
            return Ok(given.unwrap_or(0));
        }
        let Some(check) = self.write.check else {
            let why = format!(
                "the records of this store are {name}: put them through a DepotWriter of that \
                 codec, open the writer with `check: Some(codec::check)` among its options, or \
                 vouch for the bytes with Writer::put_unchecked"
            );
            return Err(Error::invalid("record codec", why));
        };
        let found = check(name, *version, bytes, &|digest, use_it| match self.shared(digest) {
            Ok(record) => use_it(&record),
            Err(Error::NotFound { .. }) => {
                let why =
                    format!("{digest} is not in the store; share it before what refers to it");
                Err(Error::invalid("topology", why))
            }
            Err(other) => Err(other),
        })?;
        match (given, found) {
            (Some(given), Some(found)) if given != found => {
                let why = format!("{given} were given, but the record has {found}");
                Err(Error::invalid("number of sites", why))
            }
            _ => Ok(found.or(given).unwrap_or(0)),
        }
    }
}
