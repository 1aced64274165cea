//! Single objects beside the trials of a task: what does not fit a table or an array kind.

use super::array::Array;
use super::head::{bad, parsed};
use crate::codec::{ArrayView, DType};
use crate::error::Result;
use serde_json::{Value as Json, json};

/// An object that a task keeps under a name.
#[derive(Debug, Clone, PartialEq)]
pub enum Object {
    /// Bytes that only their owner understands, such as a pickle: never looked into.
    Bytes(Vec<u8>),
    /// One array.
    Array(Array),
    /// Anything that JSON can say.
    Json(Json),
}

impl Object {
    /// The head of the record and what array it has.
    pub(super) fn head(&self) -> String {
        match self {
            Self::Bytes(_) => json!({ "kind": "object", "form": "bytes" }),
            Self::Array(_) => json!({ "kind": "object", "form": "array" }),
            Self::Json(value) => json!({ "kind": "object", "form": "json", "value": value }),
        }
        .to_string()
    }

    pub(super) fn array(&self) -> Result<Option<ArrayView<'_>>> {
        Ok(match self {
            Self::Bytes(bytes) => Some(ArrayView::new(DType::U8, &[bytes.len() as u64], bytes)?),
            Self::Array(array) => Some(array.view()?),
            Self::Json(_) => None,
        })
    }

    pub(super) fn of(head: &str, array: Option<&ArrayView<'_>>) -> Result<Self> {
        let json = parsed(head)?;
        match (json.get("form").and_then(Json::as_str), array) {
            (Some("bytes"), Some(array)) => Ok(Self::Bytes(Array::of(array)?.data)),
            (Some("array"), Some(array)) => Ok(Self::Array(Array::of(array)?)),
            (Some("json"), _) => Ok(Self::Json(json.get("value").cloned().unwrap_or_default())),
            _ => Err(bad("object")),
        }
    }
}
