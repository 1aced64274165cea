//! The bytes of a record on their way into a store, after what they refer to.

use crate::array::buffer::{Bytes, Memory};
use crate::error::{Failure, Outcome};
use crate::frame::topology::Topology;
use crate::store::handle::Handle;
use pyo3::prelude::*;
use std::ops::Deref;
use vlstore::Digest;
use vlstore::codec::{AnyCodec as _, MdFrameCodec, MdFrameView};
use vlstore::{Error, Existing, Key, Readable};

/// The bytes of a record to store: those of a Python object, or a buffer of ours.
pub(crate) enum Encoded {
    Given(Bytes),
    Bytes(Vec<u8>),
    Frame(Memory),
    /// A frame that refers to a topology, which is stored before it.
    Refers(Memory, Py<Topology>),
    /// A frame that may refer to what the store does not have: the writer checks it.
    Unproved(Box<Self>, Option<Digest>),
    /// Bytes that no codec has looked at: the writer has them checked by that of the store. `true`
    /// if the caller vouches for those of a codec that is known to nobody here.
    Unread(Bytes, bool),
}

impl Encoded {
    /// Puts the record, after what it refers to, and returns its ordinal.
    pub(crate) fn put(
        &self,
        writer: &mut vlstore::Writer,
        handle: &Handle,
        key: Option<&Key>,
        weight: u32,
        existing: Existing,
    ) -> Outcome<u64> {
        match self {
            Self::Unread(_, vouched) => {
                let name = &writer.layout().record_codec.0;
                if vlstore::codec::by_name(name).is_ok() {
                    return Ok(match key {
                        Some(key) if existing.is_replaced() => writer.put(key, self)?,
                        Some(key) => writer.insert(key, self)?,
                        None => writer.push(self)?,
                    });
                }
                if !vouched {
                    return Err(unknown_codec(name));
                }
            }
            Self::Unproved(_, digest) => {
                if let Some(digest) = digest
                    && !writer.contains_shared(digest)?
                {
                    let why = "is not in the store, and the frame does not contain it";
                    return Err(Error::invalid("topology", format!("{digest} {why}")).into());
                }
                return Ok(writer.put_sized(key, self, weight, existing)?);
            }
            Self::Refers(_, topology) => bring(topology.get(), writer, handle)?,
            Self::Given(_) | Self::Bytes(_) | Self::Frame(_) => {}
        }
        let integers = if handle.quantises() { self.quantised()? } else { None };
        let bytes: &[u8] = integers.as_deref().unwrap_or(self);
        let mut kept = Vec::new();
        let is_other = match self {
            Self::Frame(_) => {
                MdFrameCodec.for_version(writer.layout().record_codec.1, bytes, &mut kept)?
            }
            _ => false,
        };
        let bytes = if is_other { &kept } else { bytes };
        Ok(writer.put_unchecked(key, bytes, weight, existing)?)
    }

    /// The record with its positions as integers, if they are such to the last bit.
    fn quantised(&self) -> Outcome<Option<Vec<u8>>> {
        let (Self::Frame(memory) | Self::Refers(memory, _)) = self else { return Ok(None) };
        let expanded = MdFrameCodec.expand(memory)?;
        let view = MdFrameView::new(expanded.as_deref().unwrap_or(memory))?;
        if view.fields().precision.is_none() {
            return Ok(None);
        }
        let mut out = Vec::new();
        let (_, exact) = MdFrameCodec.encode_quantised(view.fields(), &mut out)?;
        Ok(exact.then_some(out))
    }
}

fn unknown_codec(name: &str) -> Failure {
    let why = format!(
        "the records of this store are of the codec {name:?}, which only your program knows: open \
         it with records=<that codec>, or with records=\"bytes\" to vouch for the bytes yourself"
    );
    Error::invalid("records", why).into()
}

/// Stores a topology, unless the writer is known to have it.
pub(crate) fn bring(
    topology: &Topology,
    writer: &mut vlstore::Writer,
    handle: &Handle,
) -> Outcome<()> {
    let digest = topology.digest();
    if !handle.has_shared(digest) {
        let weight = u32::try_from(topology.nsites()).unwrap_or(u32::MAX);
        writer.share_sized(topology.record().get(), weight)?;
        handle.note_shared(digest);
    }
    Ok(())
}

impl Deref for Encoded {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Given(bytes) | Self::Unread(bytes, _) => bytes,
            Self::Bytes(bytes) => bytes,
            Self::Frame(memory) | Self::Refers(memory, ..) => memory,
            Self::Unproved(encoded, _) => encoded,
        }
    }
}
