//! Uploading a store: in parts, as a whole or not at all.

use super::access::Access;
use super::address::local_path;
use super::object::{ObjectSource, TAG, is_missing};
use super::open::source;
use super::options::RemoteOptions;
use super::s3_upload::{self, all_sent, plan, same};
use crate::backend::{Access as How, Backend, FileBackend, PagedBackend, RangeSource};
use crate::error::{Error, Result};
use crate::frame::HEADER_LEN;
use crate::store::{Opened, ReadOptions, Readable, Store};
use crate::wire::{memory, to_usize};
use futures_util::{StreamExt, stream::FuturesUnordered};
use object_store::{MultipartUpload, PutMultipartOptions, PutPayload, UploadPart};
use std::path::Path;
use std::sync::Arc;

/// Bytes of a part, at least; S3 takes from 5 MiB, and 10 000 parts at most.
const PART: u64 = 8 << 20;
const PARTS: u64 = 9000;
/// Parts on their way at the same time.
const AT_ONCE: usize = 4;

/// How [`push`] goes about it.
#[derive(Debug, Clone, Default)]
pub struct PushOptions {
    /// Whether an object is replaced that is no older state of the same store.
    pub overwrite: bool,
    /// Requests, deadlines.
    pub remote: RemoteOptions,
}

/// What was uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pushed {
    /// Length of the store in bytes.
    pub bytes: u64,
    /// Bytes that were sent.
    pub sent: u64,
    /// Whether the object was up to date already; then nothing was sent.
    pub unchanged: bool,
}

/// Uploads the store in a file to the address `url`. If the object there is the same state of the same store,
/// nothing is sent. Of a newer state S3 takes what differs: parts that both have, by the checksums in their
/// indexes, are copied there. Other services get all of it. The object appears, or is replaced, when all parts
/// have arrived; until then, and after an error, it stays as it was. It replaces only what was there when the upload
/// began: by a condition of the last request, and where a service takes none for uploads in parts (Google, Azure), by
/// a question immediately before it.
///
/// `progress` is told the bytes done and to do; its error ends the work.
///
/// # Errors
/// [`Error::Exists`] if the object is another store or no store, or has commits that the file does not have;
/// [`Error::Overtaken`] if somebody else uploaded to this address meanwhile: of two that push at once one wins;
/// [`Error::Older`] if the newest commit of the file cannot be read; [`Error::Invalid`] if somebody wrote to
/// the file meanwhile; [`Error::Io`], also if there is no access, no such bucket, or no answer.
pub fn push(
    file: impl AsRef<Path>,
    url: &str,
    options: &PushOptions,
    mut progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<Pushed> {
    if local_path(url).is_some() {
        return Err(Error::invalid("address", "is a file of this machine: copy the store to it"));
    }
    let source = Arc::new(source(url, &options.remote)?);
    push_to(&source, file.as_ref(), options, &mut progress)
}

pub(super) fn push_to(
    source: &Arc<ObjectSource>,
    path: &Path,
    options: &PushOptions,
    progress: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Result<Pushed> {
    let local = || -> Result<(Arc<FileBackend>, Vec<u8>, Store)> {
        let file = Arc::new(FileBackend::open_read(path, How::Pread)?);
        let head = head(&*file)?;
        let store = Store::open_in(file.clone(), &ReadOptions::default())?;
        if let Opened::OlderCommit { generation } | Opened::LastSeal { generation } = store.opened()
        {
            return Err(Error::Older { generation, records: store.len() });
        }
        Ok((file, head, store))
    };
    let (file, before, store) = local().map_err(|e| e.at(path))?;
    let bytes = file.len()?;
    let Seen { there, version } = look(source, &before, bytes, &store, options)?;
    let older = match there {
        There::Same => return Ok(Pushed { bytes, sent: 0, unchanged: true }),
        There::Older(older) => Some(older),
        There::Other => None,
    };
    progress(0, bytes)?;
    let still = || -> Result<()> {
        if head(&*file)? == before && file.len()? == bytes {
            return Ok(());
        }
        let why = "was written to while it was uploaded; nothing has changed there: run it again";
        Err(Error::invalid("store", why).at(path))
    };
    let seen = version.as_deref();
    let sent = match older {
        Some(older) => only_new(source, &file, (&store, &older), seen, &still, progress)?,
        None => None,
    };
    let sent = match sent {
        Some(sent) => sent,
        None if bytes <= PART => {
            let mut all = memory::zeroed(to_usize(bytes).unwrap_or(usize::MAX))?;
            file.read_at(0, &mut all)?;
            still()?;
            source.put_in_place(all, seen)?.then_some(bytes)
        }
        None => match &source.s3 {
            Some(builder) => {
                let pieces = all_sent(bytes, part_size(bytes));
                s3_upload::upload(source, builder, seen, &pieces, &file, bytes, &still, progress)?
            }
            None => upload(source, &file, seen, bytes, &still, progress)?.then_some(bytes),
        },
    };
    let Some(sent) = sent else {
        // The same state may have been put by somebody else, or by a request whose answer was lost.
        let far = PagedBackend::open(source.clone(), options.remote.memory, None);
        return match far {
            Ok(far) if is_same(&far, &before, bytes)? => {
                Ok(Pushed { bytes, sent: 0, unchanged: true })
            }
            _ => Err(Error::Overtaken.at(source.name().as_ref())),
        };
    };
    progress(bytes, bytes)?;
    Ok(Pushed { bytes, sent, unchanged: false })
}

fn is_same(far: &PagedBackend, before: &[u8], bytes: u64) -> Result<bool> {
    Ok(far.len()? == bytes && head(far)? == before)
}

/// Sends what the older state lacks, if the service copies the other parts: the bytes that were sent, or `None` if
/// somebody else was faster; nothing if all is to be sent.
fn only_new(
    source: &ObjectSource,
    file: &FileBackend,
    (store, older): (&Store, &Store),
    seen: Option<&str>,
    still: &dyn Fn() -> Result<()>,
    progress: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Result<Option<Option<u64>>> {
    let Some(builder) = source.s3.as_ref().filter(|_| seen.is_some_and(|v| v.starts_with(TAG)))
    else {
        return Ok(None);
    };
    let bytes = file.len()?;
    let same = same(source, seen, file, store, older)?;
    let Some(pieces) = plan(&same, bytes, part_size(bytes)) else { return Ok(None) };
    match s3_upload::upload(source, builder, seen, &pieces, file, bytes, still, progress) {
        // Some services do not copy parts: then all of it is sent, which tells if it was for another reason.
        Err(Error::Io { op: "use the object store", .. }) => Ok(None),
        done => done.map(Some),
    }
}

fn part_size(bytes: u64) -> u64 {
    PART.max(bytes.div_ceil(PARTS).next_multiple_of(1 << 20))
}

/// What is at the address.
enum There {
    Same,
    /// An older state of the same store.
    Older(Store),
    /// Nothing, or what is to be replaced.
    Other,
}

/// What is at the address, and its version, if anything is.
struct Seen {
    there: There,
    version: Option<Box<str>>,
}

fn head(backend: &dyn Backend) -> Result<Vec<u8>> {
    let mut head = memory::zeroed(HEADER_LEN.min(to_usize(backend.len()?).unwrap_or(0)))?;
    backend.read_at(0, &mut head)?;
    Ok(head)
}

/// What the object is to this state; an error if it is not to be replaced.
fn look(
    source: &Arc<ObjectSource>,
    before: &[u8],
    bytes: u64,
    store: &Store,
    options: &PushOptions,
) -> Result<Seen> {
    let remote = &options.remote;
    let far = match PagedBackend::open(source.clone(), remote.memory, remote.disk.as_ref()) {
        Ok(far) => far,
        Err(e) if is_missing(&e) => return Ok(Seen { there: There::Other, version: None }),
        Err(e) => return Err(e),
    };
    let other = |what: &str| {
        Error::Exists { what: what.into(), instead: Some("`overwrite` (--overwrite)") }
            .at(source.name().as_ref())
    };
    let version = far.version().map(Box::from);
    if is_same(&far, before, bytes)? {
        return Ok(Seen { there: There::Same, version });
    }
    if options.overwrite {
        return Ok(Seen { there: There::Other, version });
    }
    let older = match Store::open_in(Arc::new(far), &ReadOptions::default()) {
        Ok(older) => older,
        Err(e) if e.is_damage() => return Err(other("an object that is not a whole store")),
        Err(e) => return Err(e),
    };
    if older.file_id() != store.file_id() {
        return Err(other("another store"));
    }
    if older.generation() > store.generation() {
        return Err(other("a newer state of this store"));
    }
    let intact = !matches!(older.opened(), Opened::OlderCommit { .. } | Opened::LastSeal { .. });
    Ok(Seen { there: if intact { There::Older(older) } else { There::Other }, version })
}

/// Uploads in parts to a service other than S3, whether what was seen was still there at the end: asked immediately
/// before, since these uploads take no conditions.
fn upload(
    source: &ObjectSource,
    file: &FileBackend,
    seen: Option<&str>,
    bytes: u64,
    still: &dyn Fn() -> Result<()>,
    progress: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Result<bool> {
    let access = &source.access;
    let mut upload = access.wait(async {
        let begun = access.store().put_multipart_opts(&source.key, PutMultipartOptions::default());
        begun.await.map_err(|e| access.failed(&e))
    })?;
    let done = parts(access, &mut *upload, file, bytes, progress).and_then(|()| {
        // The parts are one state only if nothing was written while they were read.
        still()?;
        access.wait(async {
            if source.place(seen).await?.is_none() {
                return Ok(false);
            }
            upload.complete().await.map(|_| true).map_err(|e| access.failed(&e))
        })
    });
    if !matches!(done, Ok(true)) {
        // The error that matters is the first one.
        let _ = access.finish(async { upload.abort().await.map_err(|e| access.failed(&e)) });
    }
    done
}

fn parts(
    access: &Access,
    upload: &mut dyn MultipartUpload,
    file: &FileBackend,
    bytes: u64,
    progress: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Result<()> {
    let size = part_size(bytes);
    let (mut read, mut sent) = (0, 0);
    let mut running = FuturesUnordered::new();
    while sent < bytes {
        while read < bytes && running.len() < AT_ONCE {
            let len = size.min(bytes - read);
            let mut part = memory::zeroed(to_usize(len).unwrap_or(usize::MAX))?;
            file.read_at(read, &mut part)?;
            read += len;
            let one: UploadPart = upload.put_part(PutPayload::from(part));
            running.push(async move { one.await.map(|()| len) });
        }
        let next = access.wait(async {
            let next = running.next().await;
            next.transpose().map_err(|e| access.failed(&e))
        })?;
        sent += next.unwrap_or(bytes);
        progress(sent.min(bytes), bytes)?;
    }
    Ok(())
}
