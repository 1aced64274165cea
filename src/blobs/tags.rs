//! Texts that a user attaches to a blob.

use crate::error::{Error, Result};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Most bytes of all names and texts of one set of tags.
const MOST: usize = 64 << 10;

/// Names and texts, in any script. They travel with a blob and can be searched for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash, PartialOrd, Ord)]
pub struct Tags(BTreeMap<String, String>);

impl Tags {
    /// These tags; of two with one name the last stands.
    ///
    /// # Errors
    /// [`Error::Limit`] above 64 KiB in all.
    pub fn new<N, T>(tags: impl IntoIterator<Item = (N, T)>) -> Result<Self>
    where
        N: Into<String>,
        T: Into<String>,
    {
        let tags: BTreeMap<_, _> = tags.into_iter().map(|(n, t)| (n.into(), t.into())).collect();
        let size: usize = tags.iter().map(|(n, t)| n.len() + t.len()).sum();
        if size > MOST {
            return Err(Error::Limit { what: "tags", asked: size as u64, max: MOST as u64 });
        }
        Ok(Self(tags))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tags in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// The text of the tag `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Whether every tag of `wanted` is here, with the same text.
    #[must_use]
    pub fn have(&self, wanted: &Self) -> bool {
        wanted.iter().all(|(name, text)| self.get(name) == Some(text))
    }

    /// As a JSON object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        Value::Object(self.iter().map(|(n, t)| (n.to_owned(), t.into())).collect())
    }

    /// Of a JSON object of texts.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is anything else; as [`Tags::new`].
    pub fn from_json(json: &Value) -> Result<Self> {
        let wrong = || Error::invalid("tags", "are not an object whose values are strings");
        let members: &Map<String, Value> = json.as_object().ok_or_else(wrong)?;
        let pair = |(name, text): (&String, &Value)| {
            text.as_str().map(|text| (name.clone(), text.to_owned())).ok_or_else(wrong)
        };
        Self::new(members.iter().map(pair).collect::<Result<Vec<_>>>()?)
    }
}

/// The sets of tags under which one content was written: a content is stored once, its tags are all
/// kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct TagSets(pub(super) Vec<Tags>);

impl TagSets {
    /// Adds `tags`; whether they were not there yet. None is no set.
    pub(super) fn add(&mut self, tags: &Tags) -> bool {
        let new = !tags.is_empty() && !self.0.contains(tags);
        if new {
            self.0.push(tags.clone());
        }
        new
    }

    /// Whether one of the sets has all of `wanted`.
    pub(super) fn have(&self, wanted: &Tags) -> bool {
        wanted.is_empty() || self.0.iter().any(|tags| tags.have(wanted))
    }

    pub(super) fn to_json(&self) -> Value {
        Value::Array(self.0.iter().map(Tags::to_json).collect())
    }

    pub(super) fn from_json(json: &Value) -> Result<Self> {
        let sets = json.as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(Self(sets.iter().map(Tags::from_json).collect::<Result<_>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_kept_apart_and_found_by_any_of_their_tags() {
        let tags = |pairs: &[(&str, &str)]| Tags::new(pairs.iter().copied()).unwrap();
        let (first, second) =
            (tags(&[("run", "1"), ("\u{43a}", "\u{437}")]), tags(&[("run", "2")]));
        let mut sets = TagSets::default();
        assert!(sets.add(&first) && !sets.add(&first) && sets.add(&second));
        assert!(!sets.add(&Tags::default()));
        assert!(sets.have(&tags(&[("\u{43a}", "\u{437}")])) && sets.have(&second));
        assert!(!sets.have(&tags(&[("run", "2"), ("\u{43a}", "\u{437}")])));
        assert!(sets.have(&Tags::default()));
        assert_eq!(TagSets::from_json(&sets.to_json()).unwrap(), sets);
        assert!(Tags::from_json(&serde_json::json!({"a": 1})).is_err());
        assert!(Tags::new([("a", "x".repeat(MOST))]).is_err());
    }
}
