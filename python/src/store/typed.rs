//! A store and what its values are.

use crate::array::buffer::{Bytes, copied_bytes};
use crate::error::{Outcome, invalid, of_record, raise};
use crate::store::codec::RecordCodec;
use crate::store::encoded::Encoded;
use crate::store::handle::Handle;
use pyo3::prelude::*;
use std::sync::Arc;

/// A store and the codec of its records, if it has one.
#[derive(Clone)]
pub(crate) struct Typed {
    pub(crate) handle: Arc<Handle>,
    /// `None` where values are bytes.
    pub(crate) codec: Option<Arc<RecordCodec>>,
    /// Whether bytes were asked for by name: then also those of a codec that nobody here knows.
    pub(crate) vouched: bool,
    /// Whether the mapping is of the records with a key alone, as the original's face has it.
    pub(crate) keyed: bool,
}

impl Typed {
    /// The record of a value, and its weight.
    pub(crate) fn encode(&self, value: &Bound<'_, PyAny>) -> PyResult<(Encoded, u32)> {
        match &self.codec {
            Some(codec) => codec.encode(value),
            None => Ok((Encoded::Unread(Bytes::get(value, "a value")?, self.vouched), 0)),
        }
    }

    /// The value of a record.
    pub(crate) fn decode(&self, py: Python<'_>, record: vlstore::Record) -> PyResult<Py<PyAny>> {
        match &self.codec {
            Some(codec) => codec.decode(py, &self.handle, record),
            None => Ok(copied_bytes(py, &record)?.into_any().unbind()),
        }
    }

    /// As [`Typed::decode`]; an error names the record.
    pub(crate) fn decode_as(
        &self,
        py: Python<'_>,
        record: vlstore::Record,
        name: impl FnOnce() -> String,
    ) -> PyResult<Py<PyAny>> {
        self.decode(py, record).map_err(|error| of_record(py, error, &name()))
    }

    /// The values of a batch, in its order; an error names the record.
    pub(crate) fn decode_all(
        &self,
        py: Python<'_>,
        batch: &vlstore::Batch,
        name: impl Fn(usize) -> String,
    ) -> PyResult<Vec<Py<PyAny>>> {
        (0..batch.len())
            .map(|i| match (&self.codec, batch.get(i)) {
                (None, Some(bytes)) => Ok(copied_bytes(py, bytes)?.into_any().unbind()),
                _ => self.decode_as(py, part(py, batch, i)?, || name(i)),
            })
            .collect()
    }

    /// Refuses a codec that is not the one of the store's records.
    pub(crate) fn check(&self, py: Python<'_>) -> Outcome<()> {
        let Some(codec) = &self.codec else { return Ok(()) };
        let (name, version) = self.handle.read(py, |v| Ok(v.layout().record_codec.clone()))?;
        // What was put without a codec says nothing about itself.
        if name == "raw" || (name == codec.name() && version <= codec.version()) {
            return Ok(());
        }
        let why = if name == codec.name() {
            format!(
                "the records were written by version {version} of codec {name}, and this is version {}",
                codec.version()
            )
        } else {
            format!("the records of this store are {name:?}, not {:?}", codec.name())
        };
        Err(raise(py, "CodecError", &why).into())
    }
}

/// The record at position `i` of a batch.
pub(crate) fn part(py: Python<'_>, batch: &vlstore::Batch, i: usize) -> PyResult<vlstore::Record> {
    batch.record(i).ok_or_else(|| invalid(py, "the batch has no such record"))
}
