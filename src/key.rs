//! What a record is called: a string, an integer or bytes; a record without a key has its ordinal alone.

use crate::error::{Error, Result};
use crate::limits::KEY_MAX;
use std::fmt;

/// The name of a record. The kinds never collide: `1`, `"1"` and `b"1"` are three records.
///
/// ```
/// use vlstore::Key;
/// assert_ne!(Key::from("1"), Key::from(1));
/// assert_eq!(Key::from(-3).to_string(), "-3");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// Text.
    Str(Box<str>),
    /// An integer from −2^63 to 2^64 − 1.
    Int(i128),
    /// Bytes.
    Bytes(Box<[u8]>),
}

impl Key {
    /// Refuses a key that could not be stored.
    ///
    /// # Errors
    /// [`Error::Limit`] if text or bytes are longer than [`KEY_MAX`], [`Error::Invalid`] if a
    /// number is outside −2^63 to 2^64 − 1.
    pub fn check(&self) -> Result<()> {
        let len = match self {
            Self::Str(s) => s.len(),
            Self::Bytes(b) => b.len(),
            Self::Int(i) if i64::try_from(*i).is_err() && u64::try_from(*i).is_err() => {
                return Err(Error::invalid(
                    "key",
                    format!("{i} is outside the range of integer keys, -2^63 to 2^64-1"),
                ));
            }
            Self::Int(_) => return Ok(()),
        };
        if len > KEY_MAX {
            return Err(Error::Limit { what: "key", asked: len as u64, max: KEY_MAX as u64 });
        }
        Ok(())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Str(s) => write!(f, "{s:?}"),
            Self::Int(i) => write!(f, "{i}"),
            Self::Bytes(b) => write!(f, "b\"{}\"", b.escape_ascii()),
        }
    }
}

impl From<&str> for Key {
    fn from(s: &str) -> Self {
        Self::Str(s.into())
    }
}
impl From<String> for Key {
    fn from(s: String) -> Self {
        Self::Str(s.into())
    }
}
impl From<&[u8]> for Key {
    fn from(b: &[u8]) -> Self {
        Self::Bytes(b.into())
    }
}
impl From<Vec<u8>> for Key {
    fn from(b: Vec<u8>) -> Self {
        Self::Bytes(b.into())
    }
}
impl From<&Key> for Key {
    fn from(k: &Key) -> Self {
        k.clone()
    }
}
macro_rules! whole {
    ($($t:ty),*) => {$(impl From<$t> for Key {
        fn from(i: $t) -> Self { Self::Int(i128::from(i)) }
    })*};
}
whole!(i8, i16, i32, i64, u8, u16, u32, u64);
