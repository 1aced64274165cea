//! The attributes of a trial in a consolidated file: with the types that they were written with, and as other
//! programs changed them since.

use super::types::{attribute, complex, same, value};
use super::{ATTRIBUTES, OURS, hdf5_error};
use crate::error::Result;
use crate::experiments::head::{Attributes, attributes_from_text};
use hdf5_pure::{AttrValue, Datatype, Group};
use std::collections::HashMap;
use std::path::Path;

/// The attributes of a group of HDF5.
pub(super) struct Found {
    values: HashMap<String, AttrValue>,
    /// Of those without a value, too.
    kinds: HashMap<String, Datatype>,
}

impl Found {
    /// `at` names the group in the file at `path`.
    pub(super) fn of(path: &Path, at: &str, group: &Group) -> Result<Self> {
        let failed = |e| hdf5_error(path, at, e);
        let values = group.attrs().map_err(failed)?;
        Ok(Self { values, kinds: group.attr_datatypes().map_err(failed)? })
    }

    /// An attribute of ours.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.as_str()
    }

    /// The attributes, and name and reason of those that cannot be kept as they are.
    pub(super) fn attributes(&self) -> Result<(Attributes, Vec<(String, String)>)> {
        let noted = match self.text(ATTRIBUTES) {
            Some(text) => attributes_from_text(text)?,
            // A trial that another program added.
            None => Attributes::new(),
        };
        let (mut attributes, mut refused) = (Attributes::new(), Vec::new());
        for (name, noted) in &noted {
            let written = attribute(name, noted);
            let found = match (self.values.get(name), self.kinds.get(name), &written) {
                (Some(found), _, Some(written)) if same(found, written) => Ok(noted.clone()),
                // A missing value, and what other programs would not read.
                (_, None, None) => Ok(noted.clone()),
                (_, Some(_), None) if name.starts_with(OURS) => Ok(noted.clone()),
                // Removed by another program.
                (_, None, Some(_)) => continue,
                (found, Some(kind), _) => match found.and_then(|found| complex(noted, found)) {
                    Some(changed) => Ok(changed),
                    None => value(found, kind),
                },
            };
            match found {
                Ok(value) => attributes.push((name.clone(), value)),
                Err(why) => refused.push((name.clone(), why)),
            }
        }
        let mut added: Vec<(&String, &Datatype)> = self
            .kinds
            .iter()
            .filter(|(name, _)| !name.starts_with(OURS))
            .filter(|(name, _)| !noted.iter().any(|(other, _)| other == *name))
            .collect();
        added.sort_unstable_by_key(|(name, _)| *name);
        for (name, kind) in added {
            match value(self.values.get(name), kind) {
                Ok(value) => attributes.push((name.clone(), value)),
                Err(why) => refused.push((name.clone(), why)),
            }
        }
        Ok((attributes, refused))
    }
}
