//! Contents of more than one record: parts under a name of their own, until the record that names them.

use super::data::StorageData;
use super::digest::ContentDigest;
use super::records::{self, Head, PART_HEAD, Parts, part_key};
use super::session::{Session, end_stream, forget_parts, no_longer};
use super::storage::place_of;
use super::store::StoreStorage;
use super::stream::Incoming;
use super::tags::Tags;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::wire::memory;
use serde_json::json;
use std::hash::{BuildHasher, RandomState};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

/// Parts that are written while as many are read.
const TOGETHER: usize = 4;
/// How long a stream keeps the lock of the store while nothing comes.
const PATIENCE: Duration = Duration::from_millis(20);
/// How long it keeps it, and then leaves it to others: longer than they pause before they try again.
const TURN: Duration = Duration::from_secs(2);
const REST: Duration = Duration::from_millis(60);
/// How often a stream says in the store that it goes on.
const SIGN_OF_LIFE: Duration = Duration::from_secs(60);

/// A content that is being written in parts.
struct Going {
    token: String,
    written: u64,
    /// When the store was told last.
    noted: Option<Instant>,
}

impl StoreStorage {
    /// Stores bytes whose digest is right, and of which there are none yet, for whoever holds the writer.
    pub(super) fn write_large(
        &self,
        session: &Session<'_>,
        data: &[u8],
        digest: &ContentDigest,
        tags: &Tags,
    ) -> Result<StorageData> {
        self.in_parts(tags, |going| {
            self.put_parts(session, going, data)?;
            session.commit_parts()?;
            Ok(digest.clone())
        })
    }

    /// Stores all of a stream that begins with `first`.
    pub(super) fn write_large_stream(
        &self,
        first: Vec<u8>,
        incoming: &mut Incoming<'_>,
        tags: &Tags,
    ) -> Result<StorageData> {
        self.in_parts(tags, |going| self.write_all_parts(going, first, incoming))
    }

    /// How many bytes of parts are written while as many are read.
    const fn together(&self) -> usize {
        TOGETHER * self.options.part
    }

    /// Puts these bytes as the next parts of a stream.
    fn put_parts(&self, session: &Session<'_>, going: &mut Going, bytes: &[u8]) -> Result<()> {
        if going.noted.is_none_or(|noted| noted.elapsed() > SIGN_OF_LIFE) {
            session.begin(&going.token)?;
            going.noted = Some(Instant::now());
        }
        for part in bytes.chunks(self.options.part) {
            session.with(|w| {
                let key = part_key(&going.token, going.written);
                records::put(w, key, &json!(PART_HEAD), Some(part)).map(drop)
            })?;
            going.written += 1;
        }
        Ok(())
    }

    /// Writes what comes until there is no more. Others write while nothing comes, and now and then.
    fn write_coming(
        &self,
        going: &mut Going,
        coming: &Receiver<Vec<u8>>,
        back: &Sender<Vec<u8>>,
    ) -> Result<()> {
        let mut turn: Option<(Session<'_>, Instant)> = None;
        loop {
            let next = match &turn {
                None => coming.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(_) => coming.recv_timeout(PATIENCE),
            };
            match next {
                Ok(bytes) => {
                    let (session, since) = match turn.take() {
                        Some(turn) => turn,
                        None => (self.shared.enter()?, Instant::now()),
                    };
                    self.put_parts(&session, going, &bytes)?;
                    // Nobody may be there to use it again.
                    let _ = back.send(bytes);
                    if since.elapsed() < TURN {
                        turn = Some((session, since));
                    } else {
                        session.leave_part()?;
                        thread::sleep(REST);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    turn.take().map_or(Ok(()), |(session, _)| session.leave_part())?;
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return turn.map_or(Ok(()), |(session, _)| session.leave_part());
                }
            }
        }
    }

    /// Writes all parts of a stream that begins with `first`: a thread writes while this one reads the source.
    fn write_all_parts(
        &self,
        going: &mut Going,
        first: Vec<u8>,
        incoming: &mut Incoming<'_>,
    ) -> Result<ContentDigest> {
        let (send, coming) = mpsc::sync_channel(0);
        let (back, spare) = mpsc::channel();
        thread::scope(|scope| {
            let writing = scope.spawn(move || self.write_coming(going, &coming, &back));
            let read = self.read_all_parts(first, incoming, send, &spare);
            match writing.join() {
                Ok(written) => written.and(read),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    fn read_all_parts(
        &self,
        mut piece: Vec<u8>,
        incoming: &mut Incoming<'_>,
        send: SyncSender<Vec<u8>>,
        spare: &Receiver<Vec<u8>>,
    ) -> Result<ContentDigest> {
        let mut more = true;
        while more {
            more = incoming.fill(&mut piece, self.together())?;
            // A source may give more at once; all parts but the last are of one size.
            let whole = if more {
                piece.len() / self.options.part * self.options.part
            } else {
                piece.len()
            };
            let mut next = spare.try_recv().unwrap_or_default();
            next.clear();
            memory::append(&mut next, piece.get(whole..).unwrap_or_default())?;
            piece.truncate(whole);
            let now = std::mem::replace(&mut piece, next);
            if !now.is_empty() && send.send(now).is_err() {
                // The error that matters is that of the writing.
                return Err(Error::Poisoned);
            }
        }
        incoming.digest()
    }

    /// Makes the parts of a stream a blob, or drops them if there is one already.
    fn finish(
        &self,
        token: &str,
        count: u64,
        digest: &ContentDigest,
        tags: &Tags,
    ) -> Result<StorageData> {
        let place = place_of(self.options.router.as_ref(), digest, tags)?;
        let at = self.at(&place, digest)?;
        let session = self.shared.enter()?;
        // In one go: of two that finish equal contents at once the second finds the first.
        session.with(|w| {
            end_stream(w, token)?;
            if Self::same(w, &place, digest)? {
                forget_parts(w, token, count)?;
            } else {
                let parts = Parts { token: token.into(), count, size: self.options.part as u64 };
                let head = Head { digest: digest.clone(), parts: Some(parts) };
                records::put(w, Key::from(place.as_str()), &head.to_json(), None)?;
            }
            Self::add_tags(w, &place, digest, tags)
        })?;
        session.leave()?;
        Ok(at)
    }

    /// Deletes what a failed stream left. What cannot be deleted now is deleted by the next writer.
    fn give_up(&self, token: &str, count: u64) {
        let done = self.shared.enter().and_then(|session| {
            session.forget(token, count)?;
            // Whoever gave it up before has noted that already.
            let _ = session.end(token);
            session.leave()
        });
        // The error that matters is that of the stream.
        drop(done);
    }

    /// Stores a content in parts, which `write` writes.
    fn in_parts(
        &self,
        tags: &Tags,
        write: impl FnOnce(&mut Going) -> Result<ContentDigest>,
    ) -> Result<StorageData> {
        let random = RandomState::new();
        let token = format!("{:016x}{:016x}", random.hash_one(0_u8), random.hash_one(1_u8));
        let mut going = Going { token, written: 0, noted: None };
        let done = write(&mut going)
            .and_then(|digest| self.finish(&going.token, going.written, &digest, tags));
        if done.is_err() && going.noted.is_some() {
            self.give_up(&going.token, going.written);
        }
        no_longer(&going.token);
        done
    }
}
