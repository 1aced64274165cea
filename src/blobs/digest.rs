//! What a content is: its digest, size, type and encoding.

use crate::error::{Error, Result};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// The one algorithm of this release.
const ALGORITHM: &str = "sha256";
/// Longest content type and encoding, in bytes.
const LONGEST: usize = 255;
/// Digits of a digest in hexadecimal.
const DIGITS: usize = 64;

/// What a content is: the SHA-256 of its bytes, their number, and what they mean.
///
/// ```
/// use vlstore::blobs::ContentDigest;
/// let digest = ContentDigest::of(b"abc", "text/plain", None)?;
/// assert!(digest.hash().starts_with("ba7816bf"));
/// assert_eq!((digest.size(), digest.algorithm()), (3, "sha256"));
/// # Ok::<(), vlstore::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContentDigest {
    hash: Box<str>,
    size: u64,
    kind: ContentKind,
    complete: bool,
}

/// What bytes mean: their content type, and the encoding that was applied to them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContentKind {
    content_type: Box<str>,
    encoding: Option<Box<str>>,
}

impl ContentKind {
    /// A content type (`text/csv`, `application/json; charset=utf-8`) and, if there is one, an encoding
    /// (`gzip`, `utf-8`).
    ///
    /// # Errors
    /// [`Error::Invalid`] unless the type is two names with a slash between, which parameters may follow.
    pub fn new(content_type: &str, encoding: Option<&str>) -> Result<Self> {
        let name = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_graphic() && !b"\"(),;/\\".contains(&b))
        };
        let (essence, _) = content_type.split_once(';').unwrap_or((content_type, ""));
        let two = essence.trim().split_once('/').is_some_and(|(a, b)| name(a) && name(b));
        let plain =
            |text: &str| text.len() <= LONGEST && !text.bytes().any(|b| b.is_ascii_control());
        if !two || !plain(content_type) {
            let why = format!(
                "{content_type:?} is not a content type, for example text/csv or application/json"
            );
            return Err(Error::invalid("content type", why));
        }
        if let Some(wrong) = encoding.filter(|e| e.is_empty() || !plain(e)) {
            return Err(Error::invalid("content encoding", format!("{wrong:?} is not a name")));
        }
        Ok(Self { content_type: content_type.into(), encoding: encoding.map(Into::into) })
    }

    /// The content type.
    #[must_use]
    pub const fn content_type(&self) -> &str {
        &self.content_type
    }

    /// The encoding, if there is one.
    #[must_use]
    pub fn encoding(&self) -> Option<&str> {
        self.encoding.as_deref()
    }

    /// The ending of a file with such a content: one for each known type, made of the type for others,
    /// so that contents of two types never share a name. Parameters are ignored.
    #[must_use]
    pub fn extension(&self) -> String {
        let essence = self.content_type.split(';').next().unwrap_or_default().trim();
        let essence = essence.to_ascii_lowercase();
        if let Some((_, known)) = EXTENSIONS.iter().find(|(name, _)| *name == essence) {
            return (*known).into();
        }
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let mut out: String = essence.chars().take(80).map(plain).collect();
        out.insert(0, '.');
        out
    }
}

/// Fixed, whatever the machine thinks of types: a name of a file must be found again elsewhere.
const EXTENSIONS: [(&str, &str); 15] = [
    ("application/gzip", ".gz"),
    ("application/json", ".json"),
    ("application/octet-stream", ".bin"),
    ("application/pdf", ".pdf"),
    ("application/x-hdf5", ".h5"),
    ("application/x-ndjson", ".ndjson"),
    ("application/x-npy", ".npy"),
    ("application/zip", ".zip"),
    ("image/jpeg", ".jpg"),
    ("image/png", ".png"),
    ("image/tiff", ".tif"),
    ("text/csv", ".csv"),
    ("text/html", ".html"),
    ("text/plain", ".txt"),
    ("text/xml", ".xml"),
];

impl ContentDigest {
    /// The digest of `data`.
    ///
    /// # Errors
    /// As [`ContentKind::new`].
    pub fn of(data: &[u8], content_type: &str, encoding: Option<&str>) -> Result<Self> {
        Ok(Self::of_kind(data, ContentKind::new(content_type, encoding)?))
    }

    /// The digest of `data`, which means `kind`.
    #[must_use]
    pub fn of_kind(data: &[u8], kind: ContentKind) -> Self {
        let mut hasher = Hasher::default();
        hasher.update(data);
        hasher.digest(kind, true)
    }

    /// A digest that was computed elsewhere.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another algorithm than SHA-256, or a `hash` that is not 64 lower-case
    /// hexadecimal digits.
    pub fn claimed(algorithm: &str, hash: &str, size: u64, kind: ContentKind) -> Result<Self> {
        if algorithm != ALGORITHM {
            let why = format!("{algorithm:?} is not known; this release has sha256");
            return Err(Error::invalid("digest algorithm", why));
        }
        if !is_hash(hash) {
            let why = format!("{hash:?} is not 64 lower-case hexadecimal digits");
            return Err(Error::invalid("digest", why));
        }
        Ok(Self { hash: hash.into(), size, kind, complete: true })
    }

    /// The SHA-256, in 64 lower-case hexadecimal digits.
    #[must_use]
    pub const fn hash(&self) -> &str {
        &self.hash
    }

    /// The name of the algorithm: `sha256`.
    #[must_use]
    pub const fn algorithm(&self) -> &'static str {
        ALGORITHM
    }

    /// Number of bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// What the bytes mean.
    #[must_use]
    pub const fn kind(&self) -> &ContentKind {
        &self.kind
    }

    /// Whether it is of the whole content. That of a stream is of what was read so far.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.complete
    }

    /// The name of the content: its hash, with the [ending](ContentKind::extension) of its type.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}{}", self.hash, self.kind.extension())
    }

    /// Refuses bytes that are not those of this digest, whatever they mean.
    ///
    /// # Errors
    /// [`Error::Invalid`] that shows both.
    pub fn must_be(&self, found: &Self) -> Result<()> {
        if (self.size, &self.hash) == (found.size, &found.hash) {
            return Ok(());
        }
        let why = format!(
            "the content has {} bytes and the SHA-256 {}, not {} bytes and {}; nothing was written",
            found.size, found.hash, self.size, self.hash
        );
        Err(Error::invalid("digest", why))
    }

    /// As a JSON object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "content_type": self.kind.content_type,
            "content_encoding": self.kind.encoding,
            "content_hash_algorithm": ALGORITHM,
            "content_hash": self.hash,
            "content_size": self.size,
        })
    }

    /// Of the object that [`to_json`](Self::to_json) makes; other members are ignored.
    ///
    /// # Errors
    /// [`Error::Invalid`] for anything else; as [`ContentDigest::claimed`].
    pub fn from_json(json: &Value) -> Result<Self> {
        let wrong = |name: &str| Error::invalid("digest", format!("has no valid {name:?}"));
        let text = |name: &str| json.get(name).and_then(Value::as_str).ok_or_else(|| wrong(name));
        let encoding = json.get("content_encoding").and_then(Value::as_str);
        let kind = ContentKind::new(text("content_type")?, encoding)?;
        let size = json.get("content_size").and_then(Value::as_u64);
        let size = size.ok_or_else(|| wrong("content_size"))?;
        Self::claimed(text("content_hash_algorithm")?, text("content_hash")?, size, kind)
    }
}

/// Whether `text` is a SHA-256 as it is written here.
pub(super) fn is_hash(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// A digest that grows.
#[derive(Debug, Clone, Default)]
pub(super) struct Hasher {
    inner: Sha256,
    size: u64,
}

impl Hasher {
    pub(super) fn update(&mut self, data: &[u8]) {
        self.inner.update(data);
        self.size += data.len() as u64;
    }

    /// The hash and the size of what came so far.
    pub(super) fn now(&self) -> (String, u64) {
        let mut hash = String::with_capacity(DIGITS);
        for byte in self.inner.clone().finalize() {
            // Writing to a string does not fail.
            let _ = write!(hash, "{byte:02x}");
        }
        (hash, self.size)
    }

    pub(super) fn digest(&self, kind: ContentKind, complete: bool) -> ContentDigest {
        let (hash, size) = self.now();
        ContentDigest { hash: hash.into(), size, kind, complete }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digests_are_those_of_the_standard() {
        let of = |data: &[u8]| ContentDigest::of(data, "text/plain", None).unwrap();
        assert_eq!(
            of(b"").hash(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(
            of(b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq").hash(),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        );
        let back = ContentDigest::from_json(&of(b"x").to_json()).unwrap();
        assert_eq!(back, of(b"x"));
    }

    #[test]
    fn a_name_has_the_ending_of_its_type_and_no_two_types_share_one() {
        let name = |kind: &str| ContentKind::new(kind, None).unwrap().extension();
        assert_eq!(name("application/json; charset=utf-8"), ".json");
        assert_eq!(name("Text/CSV"), ".csv");
        assert_eq!(name("application/vnd.lab+json"), ".application-vnd-lab-json");
        let mut all: Vec<&str> = EXTENSIONS.iter().map(|(_, e)| *e).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), EXTENSIONS.len());
    }

    #[test]
    fn what_is_no_type_or_digest_is_refused() {
        for bad in ["", "text", "/", "a/", "a/b/c", "a b/c", "a/b\n", "text/ plain"] {
            assert!(ContentKind::new(bad, None).is_err(), "{bad:?}");
        }
        assert!(ContentKind::new("a/b", Some("")).is_err());
        let kind = || ContentKind::new("a/b", None).unwrap();
        assert!(ContentDigest::claimed("md5", &"0".repeat(64), 0, kind()).is_err());
        assert!(ContentDigest::claimed("sha256", &"A".repeat(64), 0, kind()).is_err());
        assert!(ContentDigest::claimed("sha256", "0", 0, kind()).is_err());
    }
}
