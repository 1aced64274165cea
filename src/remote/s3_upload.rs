//! Uploads to S3 in parts, some of which are copied from the object that is there, and which replace only what was
//! seen: what the crate `object_store` does not offer.

use super::object::{ObjectSource, TAG};
use crate::backend::{Backend, FileBackend, RangeSource};
use crate::error::Result;
use crate::store::Store;
use crate::store::read::parts::common;
use crate::wire::{memory, to_usize};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path as Key;
use object_store::signer::{SignedUrlOptions, Signer};
use object_store::{HeaderValue, MultipartId, PutMode, PutPayload, UpdateVersion};
use reqwest::Method;
use std::ops::Range;
use std::time::Duration;
use tokio::time::sleep;

/// Bytes of a part, at least, but for the last one.
const LEAST: u64 = 5 << 20;
/// Bytes that are copied by one request; S3 takes 5 GiB.
const COPIED: u64 = 1 << 30;
/// Parts of an upload, at most; S3 takes 10 000.
const PARTS: usize = 9000;
/// Parts on their way at the same time.
const AT_ONCE: usize = 4;
/// What lies between two equal parts of the file is compared, up to this length, so that both are one.
const BETWEEN: u64 = 64 << 10;
/// Bytes that are fetched to be compared, at most.
const COMPARED: u64 = 32 << 20;
/// How long the address of a request is good for.
const GOOD_FOR: Duration = Duration::from_secs(900);
/// How often an upload is completed whose answer does not come, and after what time again.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(300);
/// Most characters of an answer that are shown.
const SHOWN: usize = 300;

/// A part of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    range: Range<u64>,
    /// Whether the object has these bytes.
    there: bool,
}

/// What of the file the object has, by the checksums in both indexes: ranges that ascend.
///
/// # Errors
/// As reading them; [`Error::Replaced`](crate::Error::Replaced).
pub(super) fn same(
    source: &ObjectSource,
    version: Option<&str>,
    file: &FileBackend,
    here: &Store,
    there: &Store,
) -> Result<Vec<Range<u64>>> {
    let end = file.len()?.min(there.snapshot().backend().len()?);
    let mut all: Vec<Range<u64>> = Vec::new();
    common(&here.snapshot(), &there.snapshot(), |part| {
        if part.range.end <= end {
            all.push(part.range);
        }
        Ok(())
    })?;
    all.sort_unstable_by_key(|range| range.start);
    let (mut gaps, mut sum): (Vec<Range<u64>>, u64) = (Vec::new(), 0);
    let mut at = None;
    for range in &all {
        if let Some(at) = at.filter(|at| range.start > *at && range.start - *at <= BETWEEN)
            && sum < COMPARED
        {
            gaps.push(at..range.start);
            sum += range.start - at;
        }
        at = Some(at.unwrap_or(0).max(range.end));
    }
    let found = if gaps.is_empty() { Vec::new() } else { source.read(&gaps, version)? };
    for (gap, found) in gaps.into_iter().zip(found) {
        let mut own = memory::zeroed(found.len())?;
        file.read_at(gap.start, &mut own)?;
        if own == found {
            all.push(gap);
        }
    }
    all.sort_unstable_by_key(|range| range.start);
    let mut out: Vec<Range<u64>> = Vec::new();
    for range in all {
        match out.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => out.push(range),
        }
    }
    Ok(out)
}

/// How a file of `bytes` is uploaded of which the object has `same`, with about `each` bytes sent in a part;
/// `None` if nothing is to be copied.
pub(super) fn plan(same: &[Range<u64>], bytes: u64, each: u64) -> Option<Vec<Piece>> {
    let mut out = Vec::new();
    let mut add = |range: Range<u64>, each: u64, there: bool| {
        let len = range.end - range.start;
        let count = (len / each).max(1);
        let cut = |i: u64| range.start + len / count * i + (len % count).min(i);
        out.extend((0..count).map(|i| Piece { range: cut(i)..cut(i + 1), there }));
    };
    let mut at = 0;
    for range in same {
        let mut start = range.start.max(at);
        if start > at && start - at < LEAST {
            // What is sent before it is no shorter than a part may be.
            start = at + LEAST;
        }
        if range.end.saturating_sub(start) < LEAST || range.end > bytes {
            continue;
        }
        if start > at {
            add(at..start, each, false);
        }
        add(start..range.end, COPIED, true);
        at = range.end;
    }
    if at < bytes {
        add(at..bytes, each, false);
    }
    (out.len() <= PARTS && out.iter().any(|piece| piece.there)).then_some(out)
}

/// How `bytes` are uploaded, all of which are sent, in parts of about `each`.
pub(super) fn all_sent(bytes: u64, each: u64) -> Vec<Piece> {
    let starts = (0..bytes.div_ceil(each)).map(|i| i * each);
    starts.map(|at| Piece { range: at..(at + each).min(bytes), there: false }).collect()
}

/// How an upload came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Done,
    /// Somebody else was faster.
    Overtaken,
    /// The service takes no conditions.
    NotOffered,
}

/// Sends the requests for such uploads to S3.
struct Bucket {
    s3: AmazonS3,
    name: String,
    web: reqwest::Client,
}

fn generic(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> object_store::Error {
    object_store::Error::Generic { store: "S3", source: source.into() }
}

impl Bucket {
    fn new(builder: &AmazonS3Builder) -> object_store::Result<Self> {
        let name = builder.get_config_value(&AmazonS3ConfigKey::Bucket).unwrap_or_default();
        let web = reqwest::Client::builder().build().map_err(generic)?;
        Ok(Self { s3: builder.clone().build()?, name, web })
    }

    /// Copies bytes of the object with this `ETag` into a part of the upload.
    async fn copy(
        &self,
        key: &Key,
        id: &MultipartId,
        number: usize,
        range: &Range<u64>,
        tag: &str,
    ) -> object_store::Result<PartId> {
        let plain = self.s3.signed_url(Method::PUT, key, GOOD_FOR).await?;
        let host = plain.host_str().and_then(|host| host.strip_prefix(&*self.name));
        let from = match host {
            Some(rest) if rest.starts_with('.') => format!("/{}{}", self.name, plain.path()),
            _ => plain.path().to_owned(),
        };
        let query = [("partNumber", (number + 1).to_string()), ("uploadId", id.clone())];
        let mut options = SignedUrlOptions::default().with_query(query);
        for (name, value) in [
            ("x-amz-copy-source", from),
            ("x-amz-copy-source-if-match", tag.to_owned()),
            ("x-amz-copy-source-range", format!("bytes={}-{}", range.start, range.end - 1)),
        ] {
            options.signed_headers.insert(name, HeaderValue::from_str(&value).map_err(generic)?);
        }
        let url = self.s3.signed_url_opts(Method::PUT, key, GOOD_FOR, &options).await?;
        // The address is as good as the key: no error shows it.
        let failed = |e: reqwest::Error| generic(e.without_url());
        let asked = self.web.put(url).headers(options.signed_headers);
        let answer = asked.send().await.map_err(failed)?;
        let status = answer.status();
        let text = answer.text().await.map_err(failed)?;
        let tag = text.split_once("<ETag>").and_then(|(_, rest)| rest.split_once("</ETag>"));
        match tag {
            Some((tag, _)) if status.is_success() => {
                Ok(PartId { content_id: tag.replace("&quot;", "\"") })
            }
            _ => Err(generic(format!("copying a part: {status}: {}", shown(&text)))),
        }
    }
}

impl Bucket {
    /// Makes the parts an object, if the condition holds.
    async fn complete(
        &self,
        key: &Key,
        id: &MultipartId,
        parts: &[PartId],
        mode: &PutMode,
    ) -> object_store::Result<End> {
        let (name, value) = match mode {
            PutMode::Create => ("if-none-match", "*"),
            PutMode::Update(UpdateVersion { e_tag: Some(tag), .. }) => ("if-match", tag.as_str()),
            _ => return Ok(End::NotOffered),
        };
        // With checksums of its own the crate keeps more than the tag.
        if parts.iter().any(|part| part.content_id.contains(['<', '&'])) {
            return Ok(End::NotOffered);
        }
        let each = parts.iter().zip(1..).map(|(part, number)| {
            let tag = &part.content_id;
            format!("<Part><ETag>{tag}</ETag><PartNumber>{number}</PartNumber></Part>")
        });
        let each: String = each.collect();
        let body = format!(
            "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{each}</CompleteMultipartUpload>"
        );
        let mut options = SignedUrlOptions::default().with_query([("uploadId", id.clone())]);
        options.signed_headers.insert(name, HeaderValue::from_str(value).map_err(generic)?);
        let mut last = String::new();
        for again in 0..TRIES {
            if again > 0 {
                sleep(PAUSE * again).await;
            }
            let url = self.s3.signed_url_opts(Method::POST, key, GOOD_FOR, &options).await?;
            let asked = self.web.post(url).headers(options.signed_headers.clone());
            // The address is as good as the key: no error shows it.
            let (status, text) = match asked.body(body.clone()).send().await {
                Ok(answer) => (answer.status(), answer.text().await.unwrap_or_default()),
                Err(e) => {
                    last = e.without_url().to_string();
                    continue;
                }
            };
            match status.as_u16() {
                // An answer may begin before the work is done, and then tell of an error.
                200 if text.contains("<CompleteMultipartUploadResult") => return Ok(End::Done),
                409 | 412 => return Ok(End::Overtaken),
                404 if text.contains("NoSuchKey") => return Ok(End::Overtaken),
                // It was completed, and the answer was lost; whose object is there is looked at.
                404 if again > 0 => return Ok(End::Overtaken),
                501 => return Ok(End::NotOffered),
                200 | 500..=599 => {}
                _ if text.contains("<Code>NotImplemented") => return Ok(End::NotOffered),
                _ => {
                    return Err(generic(format!(
                        "completing an upload: {status}: {}",
                        shown(&text)
                    )));
                }
            }
            last = format!("{status}: {}", shown(&text));
        }
        Err(generic(format!("completing an upload: {last}")))
    }
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

/// Uploads `file` as planned, in the place of the version `seen`, or where nothing was; how many bytes were sent,
/// or `None` if somebody else was faster. `still` says at the end
/// whether what was read is one state of the file. If it comes to nothing, the upload is aborted.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io), also if this service copies no parts; what `still` and `progress` return.
#[expect(clippy::too_many_arguments, reason = "each is a thing of its own")]
pub(super) fn upload(
    source: &ObjectSource,
    builder: &AmazonS3Builder,
    seen: Option<&str>,
    pieces: &[Piece],
    file: &FileBackend,
    bytes: u64,
    still: &dyn Fn() -> Result<()>,
    progress: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Result<Option<u64>> {
    let tag = seen.and_then(|seen| seen.strip_prefix(TAG)).unwrap_or_default();
    let (access, key) = (&source.access, &source.key);
    let bucket = Bucket::new(builder).map_err(|e| access.failed(&e))?;
    let failed = |e: object_store::Error| access.failed(&e);
    let id = access.wait(async { bucket.s3.create_multipart(key).await.map_err(failed) })?;
    let mut run = || -> Result<Option<u64>> {
        let mut parts: Vec<Option<PartId>> = pieces.iter().map(|_| None).collect();
        let (mut next, mut done, mut sent) = (0, 0, 0);
        let mut running = FuturesUnordered::new();
        while done < bytes {
            while let Some(piece) = pieces.get(next).filter(|_| running.len() < AT_ONCE) {
                let (number, len) = (next, piece.range.end - piece.range.start);
                let one: BoxFuture<'_, object_store::Result<PartId>> = if piece.there {
                    bucket.copy(key, &id, number, &piece.range, tag).boxed()
                } else {
                    let mut part = memory::zeroed(to_usize(len).unwrap_or(usize::MAX))?;
                    file.read_at(piece.range.start, &mut part)?;
                    sent += len;
                    bucket.s3.put_part(key, &id, number, PutPayload::from(part))
                };
                running.push(async move { one.await.map(|part| (number, len, part)) });
                next += 1;
            }
            let came = access.wait(async { running.next().await.transpose().map_err(failed) })?;
            let Some((number, len, part)) = came else { break };
            if let Some(place) = parts.get_mut(number) {
                *place = Some(part);
            }
            done += len;
            progress(done.min(bytes), bytes)?;
        }
        still()?;
        let parts: Vec<PartId> = parts.into_iter().flatten().collect();
        access.wait(async {
            let Some(mode) = source.place(seen).await? else { return Ok(None) };
            match bucket.complete(key, &id, &parts, &mode).await.map_err(failed)? {
                End::Done => Ok(Some(sent)),
                End::Overtaken => Ok(None),
                End::NotOffered => {
                    let end = bucket.s3.complete_multipart(key, &id, parts).await;
                    end.map(|_| Some(sent)).map_err(failed)
                }
            }
        })
    };
    let done = run();
    if !matches!(done, Ok(Some(_))) {
        // The error that matters is the first one.
        let _ = access.finish(async { bucket.s3.abort_multipart(key, &id).await.map_err(failed) });
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn one(range: Range<u64>) -> Vec<Range<u64>> {
        vec![range]
    }

    fn shown(same: &[Range<u64>], bytes: u64) -> Option<Vec<(u64, u64, bool)>> {
        let all = plan(same, bytes, 8 * MIB)?;
        assert_eq!(all.first().unwrap().range.start, 0);
        assert_eq!(all.last().unwrap().range.end, bytes);
        assert!(all.is_sorted_by(|a, b| a.range.end == b.range.start));
        let (_, but_last) = all.split_last().unwrap();
        assert!(but_last.iter().all(|p| p.range.end - p.range.start >= LEAST));
        Some(all.iter().map(|p| (p.range.start / MIB, p.range.end / MIB, p.there)).collect())
    }

    #[test]
    fn parts_are_copied_where_they_are_long_enough_and_sent_elsewhere() {
        assert_eq!(shown(&[], 100 * MIB), None);
        // Too short to be copied.
        assert_eq!(shown(&one(MIB..5 * MIB), 100 * MIB), None);
        // A new beginning and a new end.
        let same = one(4096..90 * MIB);
        assert_eq!(
            shown(&same, 92 * MIB).unwrap(),
            [(0, 5, false), (5, 90, true), (90, 92, false)]
        );
        // A hole that is shorter than a part takes from what follows.
        let same = [0..20 * MIB, 21 * MIB..40 * MIB, 41 * MIB..44 * MIB];
        let found = shown(&same, 44 * MIB).unwrap();
        assert_eq!(found, [(0, 20, true), (20, 25, false), (25, 40, true), (40, 44, false)]);
        // What is long is cut.
        let found = shown(&one(0..3000 * MIB), 3020 * MIB).unwrap();
        assert_eq!(found[..2], [(0, 1500, true), (1500, 3000, true)]);
        assert_eq!(found.len(), 4);
    }
}
