//! The contract of a codec, and what every codec can do without knowing its types.

use super::json::write_bytes;
use crate::Result;
use crate::column::RowMaker;
use crate::wire::{AlignedBuf, Digest};
use std::io;

/// What the index keeps of a record beside its place and length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Encoded {
    /// The weight of the record: what the size of a batch is capped by. Of a frame its number of
    /// sites, of an array its entries along the first axis; 0 where nothing is counted.
    pub weight: u32,
}

/// What can be done with a record when its codec is known by name only.
///
/// Other than [`Codec::decode`], this accepts bytes at any address: it copies if it must.
pub trait AnyCodec: Send + Sync {
    /// The name that a store keeps and [`by_name`](super::by_name) knows.
    fn name(&self) -> &'static str;

    /// The newest version of the record layout: new stores have it unless another one is asked for, and all
    /// up to it are read. A store of a version may hold records of all earlier ones.
    fn version(&self) -> u32;

    /// The newest version whose records the original program reads, if it reads any of this codec.
    fn original_version(&self) -> u32 {
        self.version()
    }

    /// The first version whose records may be as `bytes`.
    fn version_of(&self, bytes: &[u8]) -> u32 {
        let _ = bytes;
        1
    }

    /// Checks the record and tells its weight, as [`Encoded::weight`] did when it was written.
    ///
    /// # Errors
    ///
    /// [`Error::Codec`](crate::Error::Codec) if the bytes are not such a record.
    fn weight(&self, bytes: &[u8]) -> Result<u32>;

    /// What a store keeps of every record beside its bytes, and how that follows from them;
    /// nothing unless a codec knows better.
    fn rows(&self) -> Option<RowMaker> {
        None
    }

    /// The record to view in the place of `bytes`, if the codec keeps it smaller than it is
    /// viewed; `None` if `bytes` are what is viewed.
    ///
    /// # Errors
    ///
    /// [`Error::Codec`](crate::Error::Codec) if the bytes are not such a record.
    fn expand(&self, bytes: &[u8]) -> Result<Option<AlignedBuf>> {
        let _ = bytes;
        Ok(None)
    }

    /// Appends to `out` the record that a store of this version of the codec keeps in the place of
    /// `record`, and returns true; false, and nothing appended, if it keeps it as it is.
    ///
    /// # Errors
    ///
    /// [`Error::Codec`](crate::Error::Codec) for a record that is none; [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    fn for_version(&self, version: u32, record: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let _ = (version, record, out);
        Ok(false)
    }

    /// The shared record that this record refers to, if it refers to one: a frame to its
    /// topology.
    fn reference(&self, bytes: &[u8]) -> Option<Digest> {
        let _ = bytes;
        None
    }

    /// Refuses a record that does not fit the shared record that it refers to.
    ///
    /// # Errors
    ///
    /// [`Error::Codec`](crate::Error::Codec) with what contradicts.
    fn check_reference(&self, bytes: &[u8], shared: &[u8]) -> Result<()> {
        let _ = (bytes, shared);
        Ok(())
    }

    /// Writes the record as one JSON object on one line, without a line end; unless a codec
    /// knows better, that shows the bytes as they are.
    ///
    /// Numbers keep every digit; NaN and the infinities become the strings `"NaN"`,
    /// `"Infinity"` and `"-Infinity"`. The text is never whole in memory.
    ///
    /// # Errors
    ///
    /// [`Error::Codec`](crate::Error::Codec) if the bytes are not such a record (nothing is
    /// written then), [`Error::Io`](crate::Error::Io) if `out` fails.
    fn write_json(&self, bytes: &[u8], out: &mut dyn io::Write) -> Result<()> {
        self.weight(bytes)?;
        write_bytes(self.name(), bytes, out)
    }

    /// As [`write_json`](Self::write_json), with what the record has from the shared record that
    /// it refers to.
    ///
    /// # Errors
    ///
    /// As [`write_json`](Self::write_json), and as [`check_reference`](Self::check_reference).
    fn write_json_with(&self, bytes: &[u8], shared: &[u8], out: &mut dyn io::Write) -> Result<()> {
        self.check_reference(bytes, shared)?;
        self.write_json(bytes, out)
    }

    /// The text that [`write_json`](Self::write_json) writes.
    ///
    /// # Errors
    ///
    /// [`Error::Codec`](crate::Error::Codec) if the bytes are not such a record.
    fn describe(&self, bytes: &[u8]) -> Result<String> {
        let mut text = Vec::new();
        self.write_json(bytes, &mut text)?;
        String::from_utf8(text).map_err(|_| crate::Error::codec(self.name(), "JSON is not UTF-8"))
    }
}

/// A named, versioned translation between an object and record bytes.
///
/// A codec has no state that one record leaves to the next, so one value serves all threads.
pub trait Codec: AnyCodec {
    /// What is encoded. It may borrow, so that nothing has to be copied together first.
    type Input<'a>: ?Sized;
    /// What decoding gives: a view that borrows from the record.
    type View<'a>;

    /// Appends the record for `item` to `out`; what `out` held before stays.
    ///
    /// Arrays in the record are aligned relative to its first byte, so the record should be
    /// stored at a multiple of 8.
    ///
    /// # Errors
    ///
    /// [`Error::Codec`](crate::Error::Codec) if the parts of `item` contradict each other,
    /// [`Error::Limit`](crate::Error::Limit) if the record would be too long. `out` is then as
    /// it was.
    fn encode(&self, item: &Self::Input<'_>, out: &mut Vec<u8>) -> Result<Encoded>;

    /// Views the object in the bytes of one record, without a copy.
    ///
    /// `bytes` are checked once, here, whatever they are; a view never fails later. They must
    /// start at a multiple of 8 in memory if the record holds wide numbers; records of a store
    /// do, and [`aligned`](super::aligned) moves others.
    ///
    /// # Errors
    ///
    /// [`Error::Codec`](crate::Error::Codec) if the bytes are not such a record, contradict
    /// themselves, or are not aligned in memory.
    fn decode<'a>(&self, bytes: &'a [u8]) -> Result<Self::View<'a>>;
}
