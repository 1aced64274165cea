//! What Python gives while the crate works: pieces of a stream, and places.
//!
//! An exception of the user's code must come out as it is, through a crate that knows none: it waits here,
//! in the thread that made the call.

use crate::array::buffer::Bytes;
use crate::error::from_error;
use pyo3::prelude::*;
use pyo3::types::PyIterator;
use std::cell::RefCell;
use std::sync::Arc;
use vlstore::blobs::{ByteStream, ContentDigest, Router, Tags};
use vlstore::{Error, Result};

thread_local! {
    static RAISED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// Ends a call of the crate with what Python raised.
fn interrupted(error: PyErr) -> Error {
    RAISED.with(|raised| *raised.borrow_mut() = Some(error));
    Error::Interrupted
}

/// What a call of the crate made, or the exception that belongs to its error.
pub(super) fn outcome<T>(py: Python<'_>, done: Result<T>) -> PyResult<T> {
    let raised = RAISED.with(|raised| raised.borrow_mut().take());
    done.map_err(|e| raised.unwrap_or_else(|| from_error(py, &e)))
}

/// The pieces of a Python iterator.
pub(super) struct Source(pub(super) Py<PyIterator>);

impl ByteStream for Source {
    fn next_into(&mut self, out: &mut Vec<u8>) -> Result<bool> {
        let next = || {
            Python::attach(|py| {
                let Some(piece) = self.0.bind(py).clone().next().transpose()? else {
                    return Ok(None);
                };
                Bytes::get(&piece, "a piece of the stream").map(Some)
            })
        };
        match next().map_err(interrupted)? {
            Some(piece) => {
                vlstore::blobs::append(out, &piece)?;
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

/// Places that a Python function chooses: it is given digest and tags as JSON texts.
pub(super) fn router(function: Py<PyAny>) -> Router {
    Arc::new(move |digest: &ContentDigest, tags: &Tags| {
        let (digest, tags) = (digest.to_json().to_string(), tags.to_json().to_string());
        Python::attach(|py| function.call1(py, (digest, tags))?.extract(py)).map_err(interrupted)
    })
}
