//! What finds a blob again.

use super::digest::ContentDigest;
use crate::error::{Error, Result};
use serde_json::{Map, Value, json};

/// Most bytes of it as JSON.
const MOST: usize = 8 << 10;

/// What a storage returns for a blob: its place there and what it is. Small, and JSON, so that it fits
/// into a manifest; enough for a storage in another process, with another root, to find the blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageData {
    place: Map<String, Value>,
    digest: ContentDigest,
}

impl StorageData {
    /// The content `digest` at a place, in the words of a storage.
    ///
    /// # Errors
    /// [`Error::Limit`] if a place is long.
    pub fn new<const N: usize>(place: [(&str, &str); N], digest: ContentDigest) -> Result<Self> {
        let texts = place.into_iter().map(|(name, text)| (name.to_owned(), text.into()));
        Self { place: texts.collect(), digest }.small()
    }

    fn small(self) -> Result<Self> {
        let asked = self.to_json().to_string().len();
        if asked > MOST {
            let (asked, max) = (asked as u64, MOST as u64);
            return Err(Error::Limit { what: "storage data", asked, max });
        }
        Ok(self)
    }

    /// What the content is, with its digest.
    #[must_use]
    pub const fn digest(&self) -> &ContentDigest {
        &self.digest
    }

    /// The part `name` of the place.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none: the data is of another kind of storage.
    pub fn part(&self, name: &str) -> Result<&str> {
        self.place.get(name).and_then(Value::as_str).ok_or_else(|| {
            Error::invalid(
                "storage data",
                format!("has no {name:?}: it is not of this kind of storage"),
            )
        })
    }

    /// As a JSON object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({"place": self.place, "digest": self.digest.to_json()})
    }

    /// Of the object that [`to_json`](Self::to_json) makes.
    ///
    /// # Errors
    /// [`Error::Invalid`] for anything else, [`Error::Limit`] for more than 8 KiB.
    pub fn from_json(json: &Value) -> Result<Self> {
        let wrong = || Error::invalid("storage data", "is not an object with place and digest");
        let place = json.get("place").and_then(Value::as_object).ok_or_else(wrong)?.clone();
        let digest = ContentDigest::from_json(json.get("digest").ok_or_else(wrong)?)?;
        Self { place, digest }.small()
    }
}
