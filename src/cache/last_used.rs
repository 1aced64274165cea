//! When results were used last: what decides who has to go.
//!
//! A hit is noted in memory. What was noted is written to one record of the cache together with a
//! result, at most once in [`PAUSE`] or after [`MANY`] uses, when something has to be deleted, and when
//! the cache is [flushed](super::Cache::flush): so a hit writes nothing. A result without a note counts
//! as used when it was stored. A process that is killed loses what it noted since; the order is then a
//! little older, no result is wrong.

use crate::codec::{ArrayView, Codec as _, DocumentCodec, DocumentRef};
use crate::error::{Error, Result};
use crate::key::Key;
use crate::store::{Readable, Snapshot};
use crate::wire::Digest;
use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The key of the record.
const KEY: &str = "vlstore:uses";
/// Between two writes of the record by one process, unless it has [`MANY`] to say.
const PAUSE: Duration = Duration::from_secs(60);
const MANY: usize = 4096;

/// Seconds since 1970 (UTC).
pub(super) fn seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Uses that are not written yet, by the digest of the text of the call.
#[derive(Debug, Default)]
pub(super) struct Uses {
    noted: HashMap<Digest, f64>,
    written: Option<Instant>,
}

impl Uses {
    pub(super) fn note(&mut self, text: &str, time: f64) {
        self.noted.insert(digest(text), time);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.noted.is_empty()
    }

    /// Whether it is time to write them.
    pub(super) fn are_due(&self) -> bool {
        !self.is_empty()
            && (self.noted.len() >= MANY || self.written.is_none_or(|at| at.elapsed() >= PAUSE))
    }

    pub(super) fn noted(&self) -> HashMap<Digest, f64> {
        self.noted.clone()
    }

    /// Forgets those that were written, unless they were noted anew meanwhile.
    pub(super) fn forget(&mut self, written: &HashMap<Digest, f64>) {
        self.noted.retain(|key, time| written.get(key) != Some(time));
        self.written = Some(Instant::now());
    }
}

/// What a use is noted under: the digest of the key of the record.
pub(super) fn digest(text: &str) -> Digest {
    match super::call_key::record_key(text) {
        Key::Str(key) => Digest::of(key.as_bytes()),
        _ => Digest::of(text.as_bytes()),
    }
}

/// The key of the record.
pub(super) fn key() -> Key {
    Key::from(KEY)
}

/// 1 if the record is there, else 0.
pub(super) fn records(snapshot: &Snapshot) -> Result<u64> {
    snapshot.find_key(&key()).map(|found| u64::from(found.is_some()))
}

/// Bytes of the record; 0 if there is none.
pub(super) fn bytes(source: &impl Readable) -> Result<u64> {
    bytes_of(source, &key())
}

/// Bytes of the record with this key; 0 if there is none.
pub(super) fn bytes_of(source: &impl Readable, key: &Key) -> Result<u64> {
    match source.location_of(key) {
        Err(e) if matches!(e.root(), Error::NotFound { .. }) => Ok(0),
        found => found.map(|place| place.len()),
    }
}

/// What the record says. One that is damaged says nothing: it is only an order.
pub(super) fn read(source: &impl Readable) -> Result<HashMap<Digest, f64>> {
    let record = match source.get_key(&key()) {
        Err(e) if matches!(e.root(), Error::NotFound { .. }) || e.is_damage() => {
            return Ok(HashMap::new());
        }
        record => record?,
    };
    let Ok(view) = DocumentCodec.decode(&record) else { return Ok(HashMap::new()) };
    let [digests, times] = view.arrays() else { return Ok(HashMap::new()) };
    let times = times.as_slice::<f64>().unwrap_or_default();
    let digests = digests.data().chunks_exact(Digest::LEN).filter_map(Digest::from_bytes);
    Ok(digests.zip(times.iter().copied()).collect())
}

/// The bytes of the record that says this, in the order of time.
pub(super) fn encode(uses: &HashMap<Digest, f64>) -> Result<Vec<u8>> {
    let mut sorted: Vec<(&Digest, f64)> =
        uses.iter().map(|(digest, time)| (digest, *time)).collect();
    sorted.sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| a.0.cmp(b.0)));
    let digests: Vec<u8> = sorted.iter().flat_map(|(digest, _)| *digest.as_bytes()).collect();
    let times: Vec<f64> = sorted.iter().map(|(_, time)| *time).collect();
    let n = times.len() as u64;
    let arrays = [ArrayView::of(&[n, Digest::LEN as u64], &digests)?, ArrayView::of(&[n], &times)?];
    let mut out = Vec::new();
    DocumentCodec
        .encode(&DocumentRef { head: r#"{"uses":"cache"}"#, arrays: &arrays }, &mut out)?;
    Ok(out)
}

/// The later of two times for each key.
pub(super) fn later(into: &mut HashMap<Digest, f64>, more: &HashMap<Digest, f64>) {
    for (key, time) in more {
        let known = into.entry(*key).or_insert(*time);
        *known = known.max(*time);
    }
}
