//! What a kind of storage is called, for ever.

use crate::error::{Error, Result};
use std::fmt;

/// Longest name, in bytes.
const LONGEST: usize = 200;

/// The permanent name of a kind of storage, with the version of what it writes: `vlstore.file@v1`.
///
/// It is kept beside every blob, and finds the storage again that reads it: a name never changes its
/// meaning, and what is written another way has another version.
///
/// ```
/// use vlstore::blobs::StorageName;
/// let name = StorageName::new("lab.tape@v2")?;
/// assert_eq!((name.stem(), name.version()), ("lab.tape", 2));
/// assert!(StorageName::new("lab.tape").is_err());
/// # Ok::<(), vlstore::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StorageName {
    text: Box<str>,
    stem: usize,
    version: u32,
}

impl StorageName {
    /// The name `text`.
    ///
    /// # Errors
    /// [`Error::Invalid`] unless it is a name without spaces and `@`, then `@v` and a number
    /// without a leading zero, from 0 up.
    pub fn new(text: &str) -> Result<Self> {
        let refused = || {
            let wanted = "is not a name with its version, such as lab.files@v1";
            Error::invalid("storage name", format!("{text:?} {wanted}"))
        };
        let (stem, digits) = text.rsplit_once("@v").ok_or_else(refused)?;
        let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '@';
        let numeral = digits == "0" || !digits.starts_with('0');
        let digits_only = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let version = digits.parse().ok().filter(|_| digits_only && numeral);
        let named = !stem.is_empty() && stem.chars().all(plain) && text.len() <= LONGEST;
        match version {
            Some(version) if named => Ok(Self { text: text.into(), stem: stem.len(), version }),
            _ => Err(refused()),
        }
    }

    /// The whole name.
    #[must_use]
    pub const fn as_str(&self) -> &str {
        &self.text
    }

    /// The name without its version.
    #[must_use]
    pub fn stem(&self) -> &str {
        self.text.get(..self.stem).unwrap_or_default()
    }

    /// The version.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }
}

impl fmt::Display for StorageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::StorageName;

    #[test]
    fn a_name_without_its_version_is_refused() {
        for good in ["a@v1", "lab.files@v0", "vlstore.file@v12", "\u{444}@v3"] {
            assert_eq!(StorageName::new(good).unwrap().as_str(), good);
        }
        for bad in
            ["", "a", "a@1", "a@v", "@v1", "a@v01", "a@v-1", "a@v1x", "a b@v1", "a@v1@v2", "a@v+1"]
        {
            assert!(StorageName::new(bad).is_err(), "{bad}");
        }
        assert!(StorageName::new(&format!("{}@v1", "n".repeat(300))).is_err());
    }
}
