//! The JSON of the records of a task: trials, trials under way, pieces, objects.
//!
//! Specified in `docs/experiments.md`.

use super::array::StackAxis;
use super::value::Value;
use crate::codec::DType;
use crate::error::{Error, Result};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// The attributes that every trial has: its block, and its place in it.
pub(super) const NUMBERS: [&str; 2] = ["block", "trial"];

/// Longest name of an attribute, in bytes.
const ATTRIBUTE_MAX: usize = 1000;

/// Attributes of a trial, in the order in which they were given.
pub type Attributes = Vec<(String, Value)>;

/// A trial: what is known of it without reading its arrays.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Names and values, in the order in which they were given.
    pub attributes: Attributes,
    /// Its arrays, in the order in which they were declared.
    pub arrays: Vec<ArrayEntry>,
    /// By what its pieces are found.
    pub(super) token: u64,
}

/// An array of a trial, without its values.
#[derive(Debug, Clone, PartialEq)]
pub struct ArrayEntry {
    /// Its name.
    pub name: String,
    /// Type of the values.
    pub dtype: DType,
    /// Lengths along the axes.
    pub shape: Vec<u64>,
    /// How its pieces are joined.
    pub axis: StackAxis,
    /// Number of the first piece in the store, and of the one behind the last.
    pub(super) pieces: (u64, u64),
    /// Whether it is one piece that is kept as it was given, without axes that joining adds.
    pub(super) whole: bool,
}

impl Trial {
    /// The array `name`, and which arrays there are if it is not among them. `of` names the trial.
    pub(super) fn entry(&self, of: &str, name: &str) -> Result<&ArrayEntry> {
        self.arrays.iter().find(|a| a.name == name).ok_or_else(|| {
            let names: Vec<_> = self.arrays.iter().map(|a| format!("{:?}", a.name)).collect();
            let there = if names.is_empty() { "none".into() } else { names.join(", ") };
            Error::invalid("array", format!("{of} has no array {name:?}; its arrays: {there}"))
        })
    }
}

/// Refuses attributes that cannot be kept: without a name, or given twice.
pub(super) fn check_attributes(attributes: &[(String, Value)]) -> Result<()> {
    for (i, (name, _)) in attributes.iter().enumerate() {
        if name.is_empty() || name.len() > ATTRIBUTE_MAX {
            let why = format!("a name has 1 to {ATTRIBUTE_MAX} bytes, not {}", name.len());
            return Err(Error::invalid("attribute", why));
        }
        if attributes.iter().take(i).any(|(other, _)| other == name) {
            return Err(Error::invalid("attribute", format!("{name:?} is given twice")));
        }
    }
    Ok(())
}

/// Refuses a trial that does not say which one it is.
pub(super) fn check_numbers(attributes: &[(String, Value)]) -> Result<()> {
    for number in NUMBERS {
        let value = attributes.iter().find(|(name, _)| name == number).map(|(_, value)| value);
        let why = match value {
            Some(Value::Int(_)) => continue,
            Some(Value::Scalar(s)) if s.dtype().name().contains("int") => continue,
            None => format!(
                "it has no attribute {number:?}; make trials with `Block.add_trial`, or give the \
                 attributes \"block\" and \"trial\""
            ),
            Some(other) => {
                format!("its attribute {number:?} is an integer, not {}", other.type_name())
            }
        };
        return Err(Error::invalid("trial", why));
    }
    Ok(())
}

fn attributes_json(attributes: &[(String, Value)]) -> Json {
    attributes.iter().map(|(name, value)| json!([name, value.to_json()])).collect()
}

fn attributes_of(json: &Json) -> Option<Attributes> {
    let pair = |pair: &Json| {
        let [name, value] = pair.as_array()?.as_slice() else { return None };
        Some((name.as_str()?.to_owned(), Value::from_json(value).ok()?))
    };
    json.as_array()?.iter().map(pair).collect()
}

/// The head of a trial that is under way.
pub(super) fn begun_head(attributes: &[(String, Value)]) -> String {
    json!({ "kind": "begun", "attributes": attributes_json(attributes) }).to_string()
}

/// The attributes that a trial had when it was begun.
pub(super) fn begun_of(head: &str) -> Result<Attributes> {
    let json = parsed(head)?;
    json.get("attributes").and_then(attributes_of).ok_or_else(|| bad("begun"))
}

/// The head of a trial.
pub(super) fn trial_head(trial: &Trial) -> String {
    let array = |a: &ArrayEntry| {
        json!({
            "name": a.name, "dtype": a.dtype.name(), "shape": a.shape,
            "axis": a.axis.number(), "pieces": [a.pieces.0, a.pieces.1], "whole": a.whole,
        })
    };
    let arrays: Vec<Json> = trial.arrays.iter().map(array).collect();
    let attributes = attributes_json(&trial.attributes);
    json!({ "kind": "trial", "attributes": attributes, "arrays": arrays, "token": trial.token })
        .to_string()
}

pub(super) fn trial_of(head: &str) -> Result<Trial> {
    let json = parsed(head)?;
    let array = |a: &Json| {
        let number = |json: &Json, i: usize| json.as_array()?.get(i)?.as_u64();
        let pieces = a.get("pieces")?;
        let shape = a.get("shape")?.as_array()?.iter().map(Json::as_u64);
        Some(ArrayEntry {
            name: a.get("name")?.as_str()?.to_owned(),
            dtype: DType::from_name(a.get("dtype")?.as_str()?)?,
            shape: shape.collect::<Option<_>>()?,
            axis: StackAxis::from_number(a.get("axis")?.as_u64()?).ok()?,
            pieces: (number(pieces, 0)?, number(pieces, 1)?),
            whole: a.get("whole")?.as_bool()?,
        })
    };
    let trial = || {
        let kind = json.get("kind")?.as_str()?;
        let arrays = json.get("arrays")?.as_array()?.iter().map(array);
        (kind == "trial").then_some(Trial {
            attributes: attributes_of(json.get("attributes")?)?,
            arrays: arrays.collect::<Option<_>>()?,
            token: json.get("token")?.as_u64()?,
        })
    };
    trial().ok_or_else(|| bad("trial"))
}

/// The attributes alone as text, for places that have no types of their own.
pub(super) fn attributes_text(attributes: &[(String, Value)]) -> String {
    attributes_json(attributes).to_string()
}

pub(super) fn attributes_from_text(text: &str) -> Result<Attributes> {
    attributes_of(&parsed(text)?).ok_or_else(|| bad("attributes"))
}

/// The head of a piece.
pub(super) fn piece_head(axis: StackAxis) -> String {
    json!({ "kind": "piece", "axis": axis.number() }).to_string()
}

pub(super) fn piece_axis(head: &str) -> Result<StackAxis> {
    let axis = parsed(head)?.get("axis").and_then(Json::as_u64);
    StackAxis::from_number(axis.ok_or_else(|| bad("piece"))?)
}

pub(super) fn parsed(head: &str) -> Result<Json> {
    serde_json::from_str(head)
        .map_err(|e| Error::codec("document", format!("the head of a record is not JSON: {e}")))
}

pub(super) fn bad(what: &str) -> Error {
    Error::codec("document", format!("a record of a task is not a {what}"))
}

/// A trial that was begun and never written: what a stopped acquisition left, or one that goes on
/// just now. It is in no table, and no array of it is among those of the trials.
#[derive(Debug, Clone, PartialEq)]
pub struct Unfinished {
    /// The attributes that it had when it was begun.
    pub attributes: Attributes,
    /// Names of its arrays, how their pieces are joined, and which of those are committed.
    pub(super) arrays: BTreeMap<String, (StackAxis, Vec<u64>)>,
    pub(super) token: u64,
}

impl Unfinished {
    /// Names of the arrays of which pieces are committed, sorted.
    pub fn arrays(&self) -> impl Iterator<Item = &str> {
        self.arrays.keys().map(String::as_str)
    }

    /// How the pieces of an array are joined; `None` if no piece of it is committed.
    #[must_use]
    pub fn axis(&self, name: &str) -> Option<StackAxis> {
        self.arrays.get(name).map(|(axis, _)| *axis)
    }
}
