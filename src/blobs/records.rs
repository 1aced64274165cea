//! The records of blobs in a store: keys, heads and bytes. `docs/records.md` lists them.

use super::digest::ContentDigest;
use super::storage::TAGS_ENDING;
use super::tags::TagSets;
use crate::codec::{AnyCodec, ArrayView, Codec, DType, DocumentCodec, DocumentRef, DocumentView};
use crate::error::{Error, Result};
use crate::key::Key;
use crate::store::{Opened, Readable, Record, Writer};
use serde_json::{Value, json};
use std::ops::Range;

/// The name of this layer in the attributes of a store, and the version of its records.
pub(super) const LAYER: (&str, u64) = ("blobs", 1);
/// The attribute that says which layer a store belongs to.
pub(super) const ATTRIBUTE: &str = "vlstore:layer";
/// Streams that are being written; places do not begin with a dot.
pub(super) const UNFINISHED: &str = ".unfinished";
/// The head of a part: of one length, so that all parts but the last are.
pub(super) const PART_HEAD: &str = "part";
/// What the array head of a record of bytes takes: 8 bytes, and 8 for its length.
const ARRAY_HEAD: u64 = 16;

/// The key of part `n` of the stream that was written as `token`.
pub(super) fn part_key(token: &str, n: u64) -> Key {
    Key::from(format!(".part/{token}/{n}").as_str())
}

/// The key of the tags of the content at `place`.
pub(super) fn tags_key(place: &str) -> Key {
    Key::from(format!("{place}{TAGS_ENDING}").as_str())
}

/// The parts of a content that is more than one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) token: String,
    pub(super) count: u64,
    /// Bytes of each but the last.
    pub(super) size: u64,
}

/// The record of a content, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) digest: ContentDigest,
    /// None if the bytes are in the record itself.
    pub(super) parts: Option<Parts>,
}

impl Head {
    pub(super) fn to_json(&self) -> Value {
        let mut head = json!({"blob": self.digest.to_json()});
        if let (Some(parts), Some(members)) = (&self.parts, head.as_object_mut()) {
            let Parts { token, count, size } = parts;
            let parts = json!({"name": token, "count": count, "bytes": size});
            members.insert("parts".into(), parts);
        }
        head
    }

    fn from_json(head: &Value) -> Result<Self> {
        let wrong = || Error::codec("document", "the record is not one of a blob");
        let digest = ContentDigest::from_json(head.get("blob").ok_or_else(wrong)?)?;
        let parts = head.get("parts").map(|parts| {
            let number = |name: &str| parts.get(name).and_then(Value::as_u64);
            let token = parts.get("name").and_then(Value::as_str);
            let (token, count, size) = (token?.to_owned(), number("count")?, number("bytes")?);
            let whole = size > 0 && count == digest.size().div_ceil(size);
            whole.then_some(Parts { token, count, size })
        });
        match parts {
            None => Ok(Self { digest, parts: None }),
            Some(Some(parts)) => Ok(Self { digest, parts: Some(parts) }),
            Some(None) => Err(wrong()),
        }
    }
}

/// One array of bytes, or none.
pub(super) fn put(
    writer: &mut crate::DepotWriter<DocumentCodec>,
    key: Key,
    head: &Value,
    bytes: Option<&[u8]>,
) -> Result<u64> {
    let head = head.to_string();
    let array = bytes.map(|b| ArrayView::new(DType::U8, &[b.len() as u64], b)).transpose()?;
    writer.put(key, &DocumentRef { head: &head, arrays: array.as_slice() })
}

/// A record, as the codec sees it.
pub(super) fn view(record: &Record) -> Result<(Value, DocumentView<'_>)> {
    let view = DocumentCodec.decode(record)?;
    let head = serde_json::from_str(view.head())
        .map_err(|e| Error::codec("document", format!("the head is not JSON: {e}")))?;
    Ok((head, view))
}

/// The head of the record of a content.
pub(super) fn head(record: &Record) -> Result<Head> {
    Head::from_json(&view(record)?.0)
}

/// The bytes in a record.
pub(super) fn bytes(record: &Record) -> Result<&[u8]> {
    let view = DocumentCodec.decode(record)?;
    let array = view.arrays().first().filter(|array| array.dtype() == DType::U8);
    array
        .map(ArrayView::data)
        .ok_or_else(|| Error::codec("document", "the record has no bytes of a blob"))
}

/// Where the bytes `range` of the `size` in a record of `len` bytes lie in it.
pub(super) fn place_in(len: u64, size: u64, range: &Range<u64>) -> Result<Range<u64>> {
    let array = (ARRAY_HEAD + size).next_multiple_of(8);
    let start = len.checked_sub(array).map(|at| at + ARRAY_HEAD);
    let start = start.ok_or_else(|| Error::codec("document", "the record has fewer bytes"))?;
    Ok(start + range.start..start + range.end)
}

/// The tags in a record of tags.
pub(super) fn tag_sets(record: &Record) -> Result<TagSets> {
    let (head, _) = view(record)?;
    TagSets::from_json(head.get("tags").unwrap_or(&Value::Null))
}

/// Refuses a store that is not one of blobs; marks an empty one.
pub(super) fn claim(writer: &mut Writer) -> Result<()> {
    check(writer)?;
    let mut attributes = writer.attributes();
    let (name, version) = LAYER;
    if attributes.get(ATTRIBUTE).is_some() {
        return Ok(());
    }
    if let Some(members) = attributes.as_object_mut() {
        members.insert(ATTRIBUTE.into(), json!({"name": name, "version": version}));
    }
    writer.set_attributes(&attributes)
}

/// Refuses a store that is not one of blobs, or of a newer release.
///
/// One without a mark is taken if it is empty: as it is for a moment while another process makes it, or left so if
/// that one was killed then. So is one of records of blobs: what `recover` saves of a file may lack the mark.
pub(super) fn check(store: &impl Readable) -> Result<()> {
    let attributes = store.attributes();
    let (codec, _) = &store.layout().record_codec;
    if attributes.get(ATTRIBUTE).is_none() && codec == DocumentCodec.name() {
        let young = store.is_empty() && store.opened() == Opened::Intact;
        if young || is_of_blobs(store) {
            return Ok(());
        }
        if store.is_empty() {
            let why = "has lost its newest commits, and with them all records; `vlstore recover STORE NEW` saves \
                       what is left";
            return Err(Error::invalid("store", why));
        }
    }
    check_layer(&attributes)
}

/// Whether the first record is one of this layer.
fn is_of_blobs(store: &impl Readable) -> bool {
    let Ok(first) = store.get_at(0) else { return false };
    let Ok((head, _)) = view(&first) else { return false };
    let has = |member: &str| head.get(member).is_some();
    let blob = head.get("blob").is_some_and(|blob| ContentDigest::from_json(blob).is_ok());
    let manifest = has("class_id") && has("unpacker") && has("contents");
    blob || manifest || has("unfinished") || head == PART_HEAD
}

/// Refuses attributes of another layer, or of none.
fn check_layer(attributes: &Value) -> Result<()> {
    let layer = attributes.get(ATTRIBUTE);
    let found = |part: &str| layer.and_then(|layer| layer.get(part));
    let (name, newest) = LAYER;
    match found("name").and_then(Value::as_str) {
        Some(other) if other != name => {
            let why = format!("is one of {other}, not of blobs; open it with vlstore.{other}");
            return Err(Error::invalid("store", why));
        }
        Some(_) => {}
        None => {
            let why = "has records of its own, and is not one of blobs; open it with vlstore.open";
            return Err(Error::invalid("store", why));
        }
    }
    match found("version").and_then(Value::as_u64) {
        Some(version) if version <= newest => Ok(()),
        version => Err(Error::Unsupported {
            what: "version of blobs",
            found: version.unwrap_or(u64::MAX),
            newest,
        }),
    }
}
