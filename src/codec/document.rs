//! One JSON text and any number of arrays. The layout is drawn in `docs/records.md`.

use super::array::write_values;
use super::json::Json;
use super::slices::{aligned, bounded};
use super::{AnyCodec, ArrayCodec, ArrayView, Codec, Encoded};
use crate::wire::{AlignedBuf, Cursor, memory, to_usize};
use crate::{Error, Result, limits};
use serde::de::IgnoredAny;
use std::io;

/// Records that are one JSON text each, the head, with arrays beside it.
///
/// For objects that are more than one array: a trial with its attributes, a cached result with the
/// arguments that it belongs to. What the head says of the arrays is a matter of who writes it; they
/// are counted from 0 in the order in which they were given.
///
/// ```
/// use vlstore::codec::{ArrayView, Codec, DocumentCodec, DocumentRef};
/// use vlstore::AlignedBuf;
///
/// let values = [0.5, 1.5, 2.5];
/// let arrays = [ArrayView::of(&[3], &values)?];
/// let mut out = Vec::new();
/// DocumentCodec.encode(&DocumentRef { head: r#"{"unit":"mV"}"#, arrays: &arrays }, &mut out)?;
///
/// let record = AlignedBuf::copy_of(&out)?;
/// let view = DocumentCodec.decode(&record)?;
/// assert_eq!(view.head(), r#"{"unit":"mV"}"#);
/// assert_eq!(view.arrays()[0].as_slice::<f64>()?, values);
/// # Ok::<(), vlstore::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct DocumentCodec;

const NAME: &str = "document";
const VERSION: u8 = 1;
const MAGIC: u8 = 0xd0;
/// Bytes before the lengths of the arrays.
const FIXED: usize = 16;

/// A document to encode.
#[derive(Debug, Clone, Copy)]
pub struct DocumentRef<'a> {
    /// Any JSON value as text.
    pub head: &'a str,
    /// At most [`limits::DOCUMENT_ARRAYS`].
    pub arrays: &'a [ArrayView<'a>],
}

/// A document in the bytes of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentView<'a> {
    head: &'a str,
    arrays: Vec<ArrayView<'a>>,
}

impl<'a> DocumentView<'a> {
    /// The JSON text, as it was given.
    #[must_use]
    pub const fn head(&self) -> &'a str {
        self.head
    }

    /// The arrays, in the order in which they were given.
    #[must_use]
    pub fn arrays(&self) -> &[ArrayView<'a>] {
        &self.arrays
    }
}

/// Zeros after `len` bytes up to the next multiple of 8.
const fn padding(len: usize) -> usize {
    len.next_multiple_of(8) - len
}

fn bad(why: &str) -> Error {
    Error::codec(NAME, format!("the record is not a document: {why}"))
}

fn json(head: &str) -> Result<()> {
    serde_json::from_str::<IgnoredAny>(head)
        .map(|_| ())
        .map_err(|e| Error::codec(NAME, format!("the head is not JSON: {e}")))
}

fn count(arrays: usize) -> Result<u32> {
    match u32::try_from(arrays) {
        Ok(n) if n <= limits::DOCUMENT_ARRAYS => Ok(n),
        _ => Err(Error::Limit {
            what: "number of arrays of a document",
            asked: arrays as u64,
            max: limits::DOCUMENT_ARRAYS.into(),
        }),
    }
}

impl DocumentCodec {
    fn append(document: &DocumentRef<'_>, out: &mut Vec<u8>) -> Result<()> {
        let n = count(document.arrays.len())?;
        let head = document.head.as_bytes();
        let lens = document.arrays.iter().map(ArrayView::record_len);
        let all = lens.clone().map(|len| 8 + len.next_multiple_of(8)).sum::<usize>();
        let all = FIXED + head.len().next_multiple_of(8) + all;
        bounded(all as u64)?;
        memory::reserve(out, all)?;
        out.extend_from_slice(&[MAGIC, VERSION, 0, 0]);
        out.extend_from_slice(&n.to_le_bytes());
        out.extend_from_slice(&(head.len() as u64).to_le_bytes());
        for len in lens {
            out.extend_from_slice(&(len as u64).to_le_bytes());
        }
        out.extend_from_slice(head);
        out.resize(out.len() + padding(head.len()), 0);
        for array in document.arrays {
            ArrayCodec.encode(array, out)?;
            out.resize(out.len() + padding(array.record_len()), 0);
        }
        Ok(())
    }
}

/// The next `len` bytes, and the zeros after them.
fn padded<'a>(from: &mut Cursor<'a>, len: usize, what: &str) -> Result<&'a [u8]> {
    let bytes = from.take(len).ok_or_else(|| bad(&format!("{what} is cut off")))?;
    match from.take(padding(len)) {
        Some(zeros) if zeros.iter().all(|&b| b == 0) => Ok(bytes),
        Some(_) => Err(bad("its padding is not zero")),
        None => Err(bad(&format!("{what} is cut off"))),
    }
}

impl Codec for DocumentCodec {
    type Input<'a> = DocumentRef<'a>;
    type View<'a> = DocumentView<'a>;

    fn encode(&self, item: &DocumentRef<'_>, out: &mut Vec<u8>) -> Result<Encoded> {
        json(item.head)?;
        let before = out.len();
        Self::append(item, out).inspect_err(|_| out.truncate(before))?;
        Ok(Encoded { weight: 0 })
    }

    fn decode<'a>(&self, bytes: &'a [u8]) -> Result<DocumentView<'a>> {
        let mut from = Cursor::new(bytes);
        let fixed: [u8; 4] = from.array().ok_or_else(|| bad("its header is incomplete"))?;
        let [magic, version, zeros @ ..] = fixed;
        if magic != MAGIC {
            return Err(bad("it does not begin with the right bytes"));
        }
        if version != VERSION {
            return Err(Error::Unsupported {
                what: "document record version",
                found: version.into(),
                newest: VERSION.into(),
            });
        }
        if zeros != [0; 2] {
            return Err(bad("its padding is not zero"));
        }
        let n = from.u32_le().ok_or_else(|| bad("its header is incomplete"))?;
        let n = count(n as usize)? as usize;
        let length = |from: &mut Cursor<'_>| from.u64_le().and_then(to_usize);
        let head = length(&mut from).ok_or_else(|| bad("its header is incomplete"))?;
        let mut lens = from.clone();
        from.take(8 * n).ok_or_else(|| bad("the lengths of its arrays are cut off"))?;
        let head = str::from_utf8(padded(&mut from, head, "its head")?)
            .map_err(|_| bad("its head is not UTF-8"))?;
        json(head)?;
        let mut arrays = memory::with_room(n)?;
        for i in 0..n {
            let what = || format!("array {i}");
            let len = length(&mut lens).ok_or_else(|| bad(&what()))?;
            arrays.push(ArrayCodec.decode(padded(&mut from, len, &what())?)?);
        }
        match from.remaining() {
            0 => Ok(DocumentView { head, arrays }),
            more => Err(bad(&format!("{more} bytes after its last array"))),
        }
    }
}

impl AnyCodec for DocumentCodec {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        VERSION.into()
    }

    fn weight(&self, bytes: &[u8]) -> Result<u32> {
        self.decode(aligned(bytes, &mut AlignedBuf::default())?)?;
        Ok(0)
    }

    fn write_json(&self, bytes: &[u8], out: &mut dyn io::Write) -> Result<()> {
        let mut space = AlignedBuf::default();
        let view = self.decode(aligned(bytes, &mut space)?)?;
        let mut json = Json::new(out);
        json.open('{')?;
        json.key("codec")?.text(NAME)?;
        json.key("head")?.raw(view.head)?;
        json.key("arrays")?.open('[')?;
        for array in &view.arrays {
            json.open('{')?;
            json.key("dtype")?.text(array.dtype().name())?;
            json.key("shape")?.list(array.shape())?;
            write_values(json.key("data")?, array)?;
            json.close('}')?;
        }
        json.close(']')?;
        json.close('}')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(head: &str, arrays: &[ArrayView<'_>]) -> AlignedBuf {
        let mut out = Vec::new();
        DocumentCodec.encode(&DocumentRef { head, arrays }, &mut out).unwrap();
        AlignedBuf::copy_of(&out).unwrap()
    }

    fn refused(bytes: &[u8]) -> String {
        let bytes = AlignedBuf::copy_of(bytes).unwrap();
        DocumentCodec.decode(&bytes).unwrap_err().to_string()
    }

    #[test]
    fn the_layout_is_as_documented() {
        let bytes = encoded("[1]", &[ArrayView::of(&[1], &[7u16]).unwrap()]);
        let mut expected = vec![0xd0, 1, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0];
        expected.extend([18, 0, 0, 0, 0, 0, 0, 0]);
        expected.extend(b"[1]\0\0\0\0\0");
        expected.extend([0xa7, 1, 7, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0]);
        expected.extend([0; 6]);
        assert_eq!(*bytes, *expected);
    }

    #[test]
    fn head_and_arrays_come_back_and_what_was_there_before_stays() {
        let floats = [[1.5f64, -1.0], [f64::NAN, 2.0]];
        let arrays = [
            ArrayView::of(&[2], &floats).unwrap(),
            ArrayView::of(&[], &[7u8]).unwrap(),
            ArrayView::of::<f32>(&[0, 3], &[]).unwrap(),
        ];
        let head = "{\"a\": \"\u{e4}\",\n \"b\": 1e-400}";
        let bytes = encoded(head, &arrays);
        let view = DocumentCodec.decode(&bytes).unwrap();
        assert_eq!(view.head(), head);
        assert_eq!(view.arrays().len(), 3);
        for (found, given) in view.arrays().iter().zip(&arrays) {
            assert_eq!((found.dtype(), found.shape()), (given.dtype(), given.shape()));
            assert_eq!(found.data(), given.data());
        }
        let mut out = vec![9];
        DocumentCodec.encode(&DocumentRef { head: "null", arrays: &[] }, &mut out).unwrap();
        assert_eq!((out[0], out.len()), (9, 1 + 16 + 8));
        assert!(DocumentCodec.encode(&DocumentRef { head: "{", arrays: &[] }, &mut out).is_err());
        assert_eq!(out.len(), 25);
    }

    #[test]
    fn a_document_is_shown_on_one_line() {
        let bytes = encoded("{\"a\":\n1}", &[ArrayView::of(&[2], &[1i8, -2]).unwrap()]);
        assert_eq!(
            DocumentCodec.describe(&bytes).unwrap(),
            r#"{"codec":"document","head":{"a": 1},"arrays":[{"dtype":"int8","shape":[2],"data":[1,-2]}]}"#
        );
    }

    #[test]
    fn each_rule_of_the_layout_is_refused_by_name() {
        let good = encoded("[1]", &[ArrayView::of(&[1], &[7u16]).unwrap()]);
        let with = |at: usize, byte: u8| {
            let mut bytes = good.to_vec();
            bytes[at] = byte;
            refused(&bytes)
        };
        assert!(with(0, 0xa7).contains("does not begin with"));
        assert!(with(1, 2).contains("version"));
        assert!(with(2, 1).contains("padding"));
        assert!(with(7, 0xff).contains("number of arrays"));
        assert!(with(4, 200).contains("lengths of its arrays are cut off"));
        assert!(with(15, 1).contains("head is cut off"));
        assert!(with(16, 255).contains("array 0 is cut off"));
        assert!(with(24, b'{').contains("not JSON"));
        assert!(with(25, 0xff).contains("UTF-8"));
        assert!(with(28, 1).contains("padding"));
        assert!(with(32, 0).contains("not an array"));
        assert!(with(52, 1).contains("padding"));
        assert!(refused(&good[..good.len() - 1]).contains("cut off"));
        assert!(refused(&[&good[..], &[0; 8]].concat()).contains("8 bytes after its last array"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_document_or_an_error(mut bytes: Vec<u8>, begins: bool, n in 0..3u8) {
            if begins {
                let start = [0xd0, 1, 0, 0, n, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0];
                bytes.splice(..0, start);
            }
            let bytes = AlignedBuf::copy_of(&bytes).unwrap();
            assert_eq!(
                DocumentCodec.decode(&bytes).is_ok(),
                DocumentCodec.describe(&bytes).is_ok()
            );
        }
    }
}
