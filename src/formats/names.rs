//! Which names of a file stand for which fields of a frame, where a person says so.

use crate::error::{Error, Result};

/// Names of keys and columns that fill a field of the frame, such as `REF_energy` for the energy.
///
/// A target is the name of a field (one of [`FIELDS`](Self::FIELDS)), or `property:NAME` to keep the values as a
/// property of another name. A name that is mapped onto a field must have the shape of that
/// field, or reading ends with an error.
///
/// ```
/// use vlstore::formats::NameMap;
/// # fn main() -> vlstore::Result<()> {
/// let map = NameMap::new([("REF_energy", "energy"), ("REF_forces", "forces")])?;
/// assert!(NameMap::new([("REF_energy", "enregy")]).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameMap {
    /// Sorted by the names.
    pairs: Vec<(String, Target)>,
}

/// What a name is read as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// A field of the frame, by its name.
    Frame(&'static str),
    /// A field of the sites, by its name.
    Sites(&'static str),
    /// A property of this name.
    Property(String),
}

const FRAME: [&str; 7] = ["energy", "stress", "cell", "pbc", "time", "step", "name"];
const SITES: [&str; 6] = ["positions", "velocities", "forces", "types", "masses", "charges"];

/// Names by which files call fields: no names for a property.
const TAKEN: [&str; 14] = [
    "Properties",
    "Lattice",
    "species",
    "symbols",
    "Z",
    "numbers",
    "pos",
    "velo",
    "vel",
    "force",
    "mass",
    "charge",
    "initial_charges",
    "time_unit",
];

impl NameMap {
    /// The fields that a name can be mapped onto.
    pub const FIELDS: [&str; 13] = [
        "energy",
        "stress",
        "cell",
        "pbc",
        "time",
        "step",
        "name",
        "positions",
        "velocities",
        "forces",
        "types",
        "masses",
        "charges",
    ];

    /// The names of a file, each with what it is read as.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a target that is not a field, and for a name that is empty or given
    /// twice.
    pub fn new<A, B>(pairs: impl IntoIterator<Item = (A, B)>) -> Result<Self>
    where
        A: Into<String>,
        B: AsRef<str>,
    {
        let mut map = Self::default();
        for (from, to) in pairs {
            map.add(from.into(), to.as_ref())?;
        }
        // Two of the same names are equal, in whatever order they were given.
        map.pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(map)
    }

    fn add(&mut self, from: String, to: &str) -> Result<()> {
        let of = |names: &[&'static str]| names.iter().find(|n| **n == to).copied();
        let target = match to.strip_prefix("property:") {
            Some(name) if !name.is_empty() => Some(Target::Property(name.into())),
            Some(_) => None,
            None => of(&FRAME).map(Target::Frame).or_else(|| of(&SITES).map(Target::Sites)),
        };
        let why = match target {
            _ if from.is_empty() => "the name before the `=` is empty".into(),
            _ if from == "Properties" => "`Properties` names the columns; map these".into(),
            _ if self.find(&from).is_some() => format!("{from:?} is mapped twice"),
            Some(Target::Property(name))
                if TAKEN.contains(&&*name) || Self::FIELDS.contains(&&*name) =>
            {
                format!("{name:?} is the name of a field; give the property another")
            }
            Some(target) => {
                self.pairs.push((from, target));
                return Ok(());
            }
            None => format!(
                "{from:?} is mapped onto {to:?}, which is not a field; fields are {}, and \
                 property:NAME keeps it under another name",
                Self::FIELDS.join(", ")
            ),
        };
        Err(Error::invalid("map", why))
    }

    /// Whether no name is mapped.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The names that are mapped, sorted, each with what it is read as: what
    /// [`new`](Self::new) takes.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, String)> {
        self.pairs.iter().map(|(from, target)| {
            let to = match target {
                Target::Frame(name) | Target::Sites(name) => (*name).into(),
                Target::Property(name) => format!("property:{name}"),
            };
            (&**from, to)
        })
    }

    /// The names that are mapped, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().map(|(from, _)| &**from)
    }

    /// What a name is read as, and its number in the list.
    pub(super) fn find(&self, name: &str) -> Option<(usize, &Target)> {
        self.pairs.iter().enumerate().find(|(_, (from, _))| from == name).map(|(i, (_, t))| (i, t))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_fields_or_properties_and_names_are_mapped_once() {
        assert_eq!([&FRAME[..], &SITES[..]].concat(), NameMap::FIELDS);
        let map = NameMap::new([("b", "forces"), ("energy", "property:old"), ("a", "energy")]);
        let map = map.unwrap();
        assert_eq!(map.names().collect::<Vec<_>>(), ["a", "b", "energy"]);
        assert_eq!(NameMap::new(map.pairs()).unwrap(), map);
        assert_eq!(map.find("b"), Some((1, &Target::Sites("forces"))));
        assert_eq!(map.find("energy"), Some((2, &Target::Property("old".into()))));
        assert!(map.find("x").is_none() && !map.is_empty());
        for (pairs, says) in [
            (vec![("a", "enregy")], "not a field; fields are energy, stress"),
            (vec![("a", "property:")], "not a field"),
            (vec![("a", "property:energy")], "is the name of a field"),
            (vec![("a", "property:pos")], "is the name of a field"),
            (vec![("a", "energy"), ("a", "forces")], "mapped twice"),
            (vec![("", "energy")], "empty"),
            (vec![("Properties", "energy")], "map these"),
        ] {
            let why = NameMap::new(pairs).unwrap_err().to_string();
            assert!(why.contains(says), "{why}");
        }
    }
}
