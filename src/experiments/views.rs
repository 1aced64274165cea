//! The list at the end of an archive: which entries are views, made for other programs.
//!
//! It lies beside the subjects where an archive was unpacked by another program, and says there, too,
//! which folders are no data of the experiment.

use super::files::below;
use crate::error::{Error, Result};
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::path::Path;
use std::{fs, io};

/// The name of the list, below the root.
pub(super) const LIST: &str = "vlstore.json";
pub(super) const LAYER: &str = "experiment-archive";
pub(super) const VERSION: u64 = 1;
/// Bytes of a list, at most.
pub(super) const LIST_MAX: u64 = 1 << 28;

/// The folders of views, below the root.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Views(BTreeSet<String>);

impl Views {
    /// What a list says; `None` for a file of somebody else that has its name.
    pub(super) fn of(text: &str) -> Result<Option<Self>> {
        let bad = |why: String| Error::format("zip", LIST, why);
        let Ok(list) = serde_json::from_str::<Json>(text) else { return Ok(None) };
        if list.get("layer").and_then(Json::as_str) != Some(LAYER) {
            return Ok(None);
        }
        match list.get("version").and_then(Json::as_u64) {
            Some(VERSION) => {}
            found => {
                return Err(Error::Unsupported {
                    what: "version of an archive",
                    found: found.unwrap_or_default(),
                    newest: VERSION,
                });
            }
        }
        let root = list.get("root").and_then(Json::as_str);
        let views = list.get("views").and_then(Json::as_object);
        let (Some(root), Some(views)) = (root, views) else {
            return Err(bad("it names no root and no views".into()));
        };
        // The folder may have got another name since.
        let inner = |view: &Json| {
            let view = view.as_str()?.strip_prefix(root)?.strip_prefix('/')?;
            Some(view.to_owned())
        };
        Ok(Some(Self(views.values().filter_map(inner).collect())))
    }

    /// Those of a folder that another program unpacked; `None` for every other folder.
    pub(super) fn at(root: &Path) -> Result<Option<Self>> {
        let path = root.join(LIST);
        match fs::metadata(&path) {
            Ok(about) if about.is_file() && about.len() <= LIST_MAX => {}
            _ => return Ok(None),
        }
        match fs::read_to_string(&path) {
            Ok(text) => Self::of(&text).map_err(|e| e.at(&path)),
            Err(e) if e.kind() == io::ErrorKind::InvalidData => Ok(None),
            Err(e) => Err(Error::io("read", e).at(&path)),
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a name below the root is one of them or lies in one.
    pub(super) fn has(&self, name: &str) -> bool {
        let name = name.trim_end_matches('/');
        let inside = |(at, _)| name.get(..at).is_some_and(|folder| self.0.contains(folder));
        self.0.contains(name) || name.match_indices('/').any(inside)
    }

    /// Whether `name` in the folder `at` is one of them, or the list itself.
    pub(super) fn has_in(&self, at: &str, name: &str) -> bool {
        (at.is_empty() && name == LIST) || self.has(&below(at, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_are_found_below_whatever_root_and_other_files_are_no_list() {
        let text = r#"{"layer": "experiment-archive", "version": 1, "root": "a",
                       "views": {"a/p/t.vls": "a/p/t", "a/p/x.vls": "a/p/x.1"}}"#;
        let views = Views::of(text).unwrap().unwrap();
        assert!(views.has("p/t/") && views.has("p/t/emg/0.npy") && views.has_in("p", "x.1"));
        assert!(!views.has("p/t.vls") && !views.has("p") && !views.has("p/tt/a"));
        assert!(views.has_in("", LIST) && !views.has_in("p", LIST));
        for other in ["no JSON", "{}", "[1]", r#"{"layer": "mine"}"#] {
            assert_eq!(Views::of(other).unwrap(), None);
        }
        assert!(Views::of(&text.replace("\"version\": 1", "\"version\": 2")).is_err());
        assert!(Views::of(r#"{"layer": "experiment-archive", "version": 1}"#).is_err());
    }
}
