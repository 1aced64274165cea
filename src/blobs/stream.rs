//! Bytes that come piece by piece, and the digest that grows with them.

use super::digest::{ContentDigest, ContentKind, Hasher};
use crate::error::{Error, Result};
use crate::wire::memory;
use std::fmt;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes read at a time of a [`Reading`].
const PIECE: usize = 1 << 20;

/// Bytes that come piece by piece; how they are cut means nothing.
pub trait ByteStream: Send {
    /// Appends the next piece, which may be empty, to `out`; `false` when there is no more.
    ///
    /// # Errors
    /// What the source says; then `out` ends as it was.
    fn next_into(&mut self, out: &mut Vec<u8>) -> Result<bool>;

    /// Whether every byte that comes from here is counted in `digest`.
    fn counts_in(&self, _digest: &GetDigest) -> bool {
        false
    }
}

impl<S: ByteStream + ?Sized> ByteStream for Box<S> {
    fn next_into(&mut self, out: &mut Vec<u8>) -> Result<bool> {
        (**self).next_into(out)
    }

    fn counts_in(&self, digest: &GetDigest) -> bool {
        (**self).counts_in(digest)
    }
}

/// The pieces of an iterator as a stream.
#[derive(Debug)]
pub struct Pieces<I>(pub I);

impl<I, B> ByteStream for Pieces<I>
where
    I: Iterator<Item = Result<B>> + Send,
    B: AsRef<[u8]>,
{
    fn next_into(&mut self, out: &mut Vec<u8>) -> Result<bool> {
        match self.0.next().transpose()? {
            Some(piece) => {
                memory::append(out, piece.as_ref())?;
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

/// What a reader gives as a stream: a file, a socket, standard input.
#[derive(Debug)]
pub struct Reading<R>(pub R);

impl<R: Read + Send> ByteStream for Reading<R> {
    fn next_into(&mut self, out: &mut Vec<u8>) -> Result<bool> {
        let before = out.len();
        let mut part = Read::by_ref(&mut self.0).take(PIECE as u64);
        part.read_to_end(out).map(|n| n > 0).map_err(|e| {
            out.truncate(before);
            Error::io("read the stream", e)
        })
    }
}

/// The digest of a [`Digesting`] stream, at any moment.
#[derive(Clone)]
pub struct GetDigest {
    state: Arc<Mutex<State>>,
    kind: ContentKind,
}

/// What is known of a stream.
enum State {
    Growing(Hasher),
    Ended(Hasher),
}

impl State {
    fn count(&mut self, data: &[u8]) {
        match self {
            Self::Growing(hasher) | Self::Ended(hasher) => hasher.update(data),
        }
    }

    fn end(&mut self) {
        if let Self::Growing(hasher) = self {
            *self = Self::Ended(std::mem::take(hasher));
        }
    }
}

impl fmt::Debug for GetDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.so_far().fmt(f)
    }
}

impl GetDigest {
    /// The digest of a stream with contents of `kind`, of which nothing has come.
    #[must_use]
    pub fn new(kind: ContentKind) -> Self {
        Self { state: Arc::new(Mutex::new(State::Growing(Hasher::default()))), kind }
    }

    /// What the content is.
    #[must_use]
    pub const fn kind(&self) -> &ContentKind {
        &self.kind
    }

    /// Whether both are of one stream.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
    }

    /// The digest of the whole stream.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it has not been read to its end.
    pub fn get(&self) -> Result<ContentDigest> {
        let digest = self.so_far();
        if digest.is_complete() {
            return Ok(digest);
        }
        let why = "is not known before the stream was read to its end; ask for an incomplete one to \
                   see that of what was read so far";
        Err(Error::invalid("digest of a stream", why))
    }

    /// The digest of what has been read so far.
    #[must_use]
    pub fn so_far(&self) -> ContentDigest {
        match &*self.state() {
            State::Growing(hasher) => hasher.digest(self.kind.clone(), false),
            State::Ended(hasher) => hasher.digest(self.kind.clone(), true),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts `data` in; for streams that are not [`Digesting`] ones.
    pub fn count(&self, data: &[u8]) {
        self.state().count(data);
    }

    /// Notes that the stream has ended.
    pub fn end(&self) {
        self.state().end();
    }
}

/// A stream whose digest grows with what is read of it.
#[derive(Debug)]
pub struct Digesting<S> {
    inner: S,
    digest: GetDigest,
}

impl<S: ByteStream> Digesting<S> {
    /// `stream` with contents of `kind`, and its digest.
    ///
    /// ```
    /// use vlstore::blobs::{ByteStream, ContentKind, Digesting, Pieces};
    /// let pieces = Pieces([Ok("ab"), Ok("c")].into_iter());
    /// let (mut stream, digest) = Digesting::new(pieces, ContentKind::new("text/plain", None)?);
    /// let mut out = Vec::new();
    /// stream.next_into(&mut out)?;
    /// assert!(digest.get().is_err());
    /// assert_eq!(digest.so_far().size(), 2);
    /// while stream.next_into(&mut out)? {}
    /// assert_eq!(digest.get()?.size(), 3);
    /// # Ok::<(), vlstore::Error>(())
    /// ```
    pub fn new(stream: S, kind: ContentKind) -> (Self, GetDigest) {
        let digest = GetDigest::new(kind);
        (Self::into(stream, &digest), digest)
    }

    /// As [`Digesting::new`], into a digest that is there already.
    pub fn into(stream: S, digest: &GetDigest) -> Self {
        Self { inner: stream, digest: digest.clone() }
    }
}

impl<S: ByteStream> ByteStream for Digesting<S> {
    fn next_into(&mut self, out: &mut Vec<u8>) -> Result<bool> {
        let before = out.len();
        let more = self.inner.next_into(out)?;
        let mut state = self.digest.state();
        state.count(out.get(before..).unwrap_or_default());
        if !more {
            state.end();
        }
        drop(state);
        Ok(more)
    }

    fn counts_in(&self, digest: &GetDigest) -> bool {
        self.digest.is(digest)
    }
}

/// A stream on its way into a storage: sees to it that its digest is the one that was promised.
pub(super) struct Incoming<'a> {
    stream: &'a mut dyn ByteStream,
    digest: &'a GetDigest,
    /// Of a stream that does not count itself.
    own: Option<Hasher>,
    size: u64,
}

impl<'a> Incoming<'a> {
    /// With `check` the bytes are hashed here, unless the stream counts them itself.
    pub(super) fn new(stream: &'a mut dyn ByteStream, digest: &'a GetDigest, check: bool) -> Self {
        let own = (check && !stream.counts_in(digest)).then(Hasher::default);
        Self { stream, digest, own, size: 0 }
    }

    pub(super) fn next_into(&mut self, out: &mut Vec<u8>) -> Result<bool> {
        let before = out.len();
        let more = self.stream.next_into(out)?;
        let new = out.get(before..).unwrap_or_default();
        self.size += new.len() as u64;
        if let Some(own) = &mut self.own {
            own.update(new);
        }
        Ok(more)
    }

    /// Appends pieces until there are `least` bytes in `out`, or no more; whether there may be more.
    pub(super) fn fill(&mut self, out: &mut Vec<u8>, least: usize) -> Result<bool> {
        while out.len() < least {
            if !self.next_into(out)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The digest of the stream, which has ended.
    pub(super) fn digest(&self) -> Result<ContentDigest> {
        let digest = self.digest.get()?;
        let kind = || digest.kind().clone();
        if let Some(own) = &self.own {
            digest.must_be(&own.digest(kind(), true))?;
        } else if self.size != digest.size() {
            let why = format!("is of {} bytes, but {} came", digest.size(), self.size);
            return Err(Error::invalid("digest of a stream", why));
        }
        Ok(digest)
    }
}

/// A stream out of a storage: refuses to end otherwise than its digest says.
pub(super) struct Outgoing<S> {
    inner: S,
    digest: ContentDigest,
    called: String,
    hasher: Option<Hasher>,
    size: u64,
}

impl<S> Outgoing<S> {
    pub(super) fn new(inner: S, digest: &ContentDigest, called: String, check: bool) -> Self {
        let hasher = check.then(Hasher::default);
        Self { inner, digest: digest.clone(), called, hasher, size: 0 }
    }

    fn damaged(&self, why: &'static str) -> Error {
        Error::corrupt("content", 0, why).of_record(&self.called)
    }
}

impl<S: ByteStream> ByteStream for Outgoing<S> {
    /// The last piece is given only if the whole is right.
    fn next_into(&mut self, out: &mut Vec<u8>) -> Result<bool> {
        let before = out.len();
        let more = self.inner.next_into(out)?;
        let new = out.get(before..).unwrap_or_default();
        self.size += new.len() as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(new);
        }
        let whole = self.size == self.digest.size();
        let right = || self.hasher.as_ref().is_none_or(|h| h.now().0 == self.digest.hash());
        let wrong = if self.size > self.digest.size() || (!more && !whole) {
            Some("it has another length than when it was written")
        } else if whole && !(more && new.is_empty()) && !right() {
            Some("its SHA-256 is not that of what was written")
        } else {
            None
        };
        match wrong {
            Some(why) => {
                out.truncate(before);
                Err(self.damaged(why))
            }
            None => Ok(more),
        }
    }
}

/// Refuses `data` that is not what was written.
pub(super) fn must_match(
    data: &[u8],
    digest: &ContentDigest,
    called: &str,
    check: bool,
) -> Result<()> {
    let why = if data.len() as u64 != digest.size() {
        "it has another length than when it was written"
    } else if check && ContentDigest::of_kind(data, digest.kind().clone()).hash() != digest.hash() {
        "its SHA-256 is not that of what was written"
    } else {
        return Ok(());
    };
    Err(Error::corrupt("content", 0, why).of_record(&called))
}

impl From<ContentKind> for GetDigest {
    fn from(kind: ContentKind) -> Self {
        Self::new(kind)
    }
}

/// Appends `piece` to `out`, for implementations of [`ByteStream`].
///
/// # Errors
/// [`Error::OutOfMemory`].
pub fn append(out: &mut Vec<u8>, piece: &[u8]) -> Result<()> {
    memory::append(out, piece)
}

/// All that is left of a stream, in memory.
///
/// # Errors
/// What the stream says.
pub fn collect(stream: &mut dyn ByteStream) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    while stream.next_into(&mut out)? {}
    Ok(out)
}

impl<S: ByteStream> io::Read for IntoRead<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() && !self.ended {
            self.piece.clear();
            self.at = 0;
            self.ended = !self.stream.next_into(&mut self.piece).map_err(io::Error::other)?;
        }
        let mut rest = self.piece.get(self.at..).unwrap_or_default();
        let n = rest.read(buf)?;
        self.at += n;
        Ok(n)
    }
}

/// A stream as something that is [read](io::Read).
#[derive(Debug)]
pub struct IntoRead<S> {
    stream: S,
    piece: Vec<u8>,
    at: usize,
    ended: bool,
}

impl<S: ByteStream> IntoRead<S> {
    /// Reads `stream`.
    pub const fn new(stream: S) -> Self {
        Self { stream, piece: Vec::new(), at: 0, ended: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(data: &[u8], piece: usize) -> impl ByteStream {
        Pieces(data.chunks(piece).map(|p| Ok(p.to_vec())).collect::<Vec<_>>().into_iter())
    }

    fn kind() -> ContentKind {
        ContentKind::new("text/plain", None).unwrap()
    }

    #[test]
    fn a_digest_does_not_depend_on_the_cuts() {
        let data: Vec<u8> = (0..9000_u32).map(|i| (i % 251) as u8).collect();
        let whole = ContentDigest::of_kind(&data, kind());
        for piece in [1, 7, 64, 8999, 9000, 10_000] {
            let (mut stream, digest) = Digesting::new(cut(&data, piece), kind());
            assert_eq!(collect(&mut stream).unwrap(), data);
            assert_eq!(digest.get().unwrap(), whole);
            let mut read = Vec::new();
            IntoRead::new(Reading(data.as_slice())).read_to_end(&mut read).unwrap();
            assert_eq!(read, data);
        }
    }

    #[test]
    fn what_comes_out_otherwise_than_written_is_refused_before_its_last_piece() {
        let digest = ContentDigest::of_kind(b"abcdef", kind());
        let out =
            |data: &[u8]| collect(&mut Outgoing::new(cut(data, 4), &digest, "x".into(), true));
        assert_eq!(out(b"abcdef").unwrap(), b"abcdef");
        for bad in [&b"abcdeF"[..], b"abcde", b"abcdefg", b"", b"abcdefghi"] {
            let error = out(bad).unwrap_err().to_string();
            assert!(error.contains("damaged content"), "{error}");
        }
        let mut seen = Vec::new();
        let mut stream = Outgoing::new(cut(b"abcdeF", 4), &digest, "x".into(), true);
        while let Ok(true) = stream.next_into(&mut seen) {}
        assert_eq!(seen, b"abcd");
        let empty = ContentDigest::of_kind(b"", kind());
        assert!(collect(&mut Outgoing::new(cut(b"", 4), &empty, "x".into(), true)).is_ok());
    }

    #[test]
    fn a_digest_of_another_stream_is_refused() {
        let (_, other) = Digesting::new(cut(b"abc", 1), kind());
        other.count(b"abd");
        other.end();
        let mut stream = cut(b"abc", 1);
        let mut incoming = Incoming::new(&mut stream, &other, true);
        assert!(!incoming.fill(&mut Vec::new(), 100).unwrap());
        assert!(incoming.digest().unwrap_err().to_string().contains("not 3 bytes and"));
    }
}
