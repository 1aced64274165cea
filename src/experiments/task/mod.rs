//! One task of one subject: the store that holds its trials.
//!
//! | key | record |
//! | --- | --- |
//! | integer `n` | the trial that was written as the `n`-th |
//! | `begun/T` | the attributes of trial `T` under way, removed when it is written |
//! | `piece/T/ARRAY/N` | piece `N` of an array of trial `T` |
//! | `object/NAME` | a single object |

mod reader;
mod writer;

pub use reader::StoredTask;
pub(super) use reader::{no_object, no_trial};
pub use writer::{Acquired, TaskOptions, TaskWriter};

use crate::error::{Error, Result};
use crate::key::Key;
use serde_json::{Value as Json, json};

/// The attribute of a store that says which layer wrote it.
const LAYER: &str = "vlstore:layer";
const NAME: &str = "experiment-task";
const VERSION: u64 = 1;

/// What a new store of a task is marked with.
fn mark() -> Json {
    json!({ LAYER: NAME, "version": VERSION })
}

/// Refuses a store that is not one of a task, or of a newer release.
fn check_mark(attributes: &Json) -> Result<()> {
    let layer = attributes.get(LAYER).and_then(Json::as_str);
    if layer != Some(NAME) {
        let found = layer.map_or("a plain store".into(), |l| format!("a store of the layer {l:?}"));
        return Err(Error::invalid(
            "task",
            format!("this is {found}, not a task of an experiment"),
        ));
    }
    match attributes.get("version").and_then(Json::as_u64) {
        Some(VERSION) => Ok(()),
        found => Err(Error::Unsupported {
            what: "version of a task",
            found: found.unwrap_or_default(),
            newest: VERSION,
        }),
    }
}

/// What a key of a task names.
#[derive(Debug, PartialEq)]
enum Named<'a> {
    Trial(u64),
    Begun(u64),
    Piece { token: u64, array: &'a str, number: u64 },
    Object(&'a str),
    Other,
}

fn named(key: &Key) -> Named<'_> {
    match key {
        Key::Int(n) => u64::try_from(*n).map_or(Named::Other, Named::Trial),
        Key::Str(text) => {
            let parts: Vec<&str> = text.split('/').collect();
            let number = |part: &str| part.parse::<u64>().ok();
            match parts.as_slice() {
                ["begun", token] => number(token).map_or(Named::Other, Named::Begun),
                ["piece", token, array, n] => match (number(token), number(n)) {
                    (Some(token), Some(number)) => Named::Piece { token, array, number },
                    _ => Named::Other,
                },
                ["object", name] => Named::Object(name),
                _ => Named::Other,
            }
        }
        Key::Bytes(_) => Named::Other,
    }
}

fn trial_key(number: u64) -> Key {
    Key::Int(number.into())
}

fn begun_key(token: u64) -> Key {
    Key::from(format!("begun/{token}"))
}

fn piece_key(token: u64, array: &str, number: u64) -> Key {
    Key::from(format!("piece/{token}/{array}/{number}"))
}

fn object_key(name: &str) -> Key {
    Key::from(format!("object/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_name_what_they_were_made_for() {
        assert_eq!(named(&trial_key(7)), Named::Trial(7));
        assert_eq!(named(&begun_key(7)), Named::Begun(7));
        let piece = Named::Piece { token: 1, array: "emg ü", number: 2 };
        assert_eq!(named(&piece_key(1, "emg ü", 2)), piece);
        assert_eq!(named(&object_key("x")), Named::Object("x"));
        for other in ["", "piece/1/a", "piece/x/a/1", "begun/", "begun/-1", "other"] {
            assert_eq!(named(&Key::from(other.to_owned())), Named::Other, "{other}");
        }
        assert_eq!(named(&Key::Int(-1)), Named::Other);
    }
}
