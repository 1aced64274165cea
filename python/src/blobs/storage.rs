//! The storages of the crate, as one class: Python's classes are in `vlstore.blobs`.
//!
//! Digests and storage data cross as JSON texts: that is how they travel anyway.

use crate::array::buffer::{Bytes, copied_bytes, fresh_bytes};
use crate::blobs::digest::GrowingDigest;
use crate::blobs::source::{Source, outcome, router};
use crate::blobs::stream::BlobStream;
use crate::convert::options::{Role, from_dict};
use crate::error::invalid;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use vlstore::blobs::{
    BlobOptions, Checks, ContentDigest, ContentKind, Digesting, Entry, FolderOptions,
    FolderStorage, MemoryStorage, ObjectOptions, ObjectStorage, Storage, StorageData, StorageName,
    StoreStorage, Tags,
};
use vlstore::{Error, Result};

type Texts = BTreeMap<String, String>;

/// A storage of the crate; used by :mod:`vlstore.blobs`.
#[pyclass(frozen, module = "vlstore", name = "_BlobStorage")]
pub(crate) struct BlobStorage {
    inner: Kind,
}

enum Kind {
    Memory(MemoryStorage),
    Folder(FolderStorage),
    Store(Box<StoreStorage>),
    Object(Box<ObjectStorage>),
}

/// What every class of storages takes.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Common {
    name: String,
    check_written: bool,
    check_read: bool,
    read_only: bool,
    router: Option<Py<PyAny>>,
}

impl Common {
    fn name(&self, py: Python<'_>) -> PyResult<StorageName> {
        outcome(py, StorageName::new(&self.name))
    }

    const fn checks(&self) -> Checks {
        Checks { written: self.check_written, read: self.check_read }
    }
}

fn data(json: &str) -> Result<StorageData> {
    StorageData::from_json(&parsed("storage data", json)?)
}

fn parsed(what: &'static str, json: &str) -> Result<serde_json::Value> {
    serde_json::from_str(json).map_err(|e| Error::invalid(what, format!("is not JSON: {e}")))
}

/// Storage data, and the sets of tags, as JSON texts.
fn shown(entry: &Entry) -> (String, Vec<Texts>) {
    let texts = |tags: &Tags| tags.iter().map(|(n, t)| (n.to_owned(), t.to_owned())).collect();
    (entry.data.to_json().to_string(), entry.tags.iter().map(texts).collect())
}

impl BlobStorage {
    fn any(&self) -> &dyn Storage {
        match &self.inner {
            Kind::Memory(storage) => storage,
            Kind::Folder(storage) => storage,
            Kind::Store(storage) => &**storage,
            Kind::Object(storage) => &**storage,
        }
    }

    fn records(&self) -> Result<&StoreStorage> {
        match &self.inner {
            Kind::Store(storage) => Ok(storage),
            _ => Err(Error::invalid("manifests", "are kept in a store file alone")),
        }
    }

    fn call<T: Send>(
        &self,
        py: Python<'_>,
        f: impl FnOnce(&dyn Storage) -> Result<T> + Send,
    ) -> PyResult<T> {
        let done = py.detach(|| f(self.any()));
        outcome(py, done)
    }
}

#[pymethods]
impl BlobStorage {
    /// In the memory of this process.
    #[staticmethod]
    fn memory(py: Python<'_>, common: Common) -> PyResult<Self> {
        let storage = MemoryStorage::new(common.name(py)?, common.checks());
        Ok(Self { inner: Kind::Memory(storage) })
    }

    /// In a folder, which is made if that is asked for.
    #[staticmethod]
    fn folder(
        py: Python<'_>,
        root: PathBuf,
        make: bool,
        piece: usize,
        common: Common,
    ) -> PyResult<Self> {
        let (name, checks) = (common.name(py)?, common.checks());
        let (router, read_only) = (common.router.map(router), common.read_only);
        let options = FolderOptions { checks, piece, router, read_only };
        let open = if make { FolderStorage::create } else { FolderStorage::open };
        let storage = outcome(py, py.detach(|| open(name, root, options)))?;
        Ok(Self { inner: Kind::Folder(storage) })
    }

    /// In a store file, which is made if that is asked for.
    #[staticmethod]
    fn store(
        py: Python<'_>,
        path: PathBuf,
        make: bool,
        part: Option<usize>,
        wait: f64,
        options: &Bound<'_, PyDict>,
        common: Common,
    ) -> PyResult<Self> {
        let (name, checks) = (common.name(py)?, common.checks());
        let wait = Duration::try_from_secs_f64(wait)
            .map_err(|_| invalid(py, "wait: must be a number of seconds, 0 or more"))?;
        let given = from_dict(Some(options), Role::Make)?;
        let made = BlobOptions {
            checks,
            part: part.unwrap_or(BlobOptions::default().part),
            router: common.router.map(router),
            read_only: common.read_only,
            wait,
            write: given.write,
        };
        let compression = given.layout.compression;
        let storage = py.detach(|| {
            if make {
                StoreStorage::create(name, path, compression, made)
            } else {
                StoreStorage::open(name, path, made)
            }
        });
        Ok(Self { inner: Kind::Store(Box::new(outcome(py, storage)?)) })
    }

    /// In a bucket of S3.
    #[staticmethod]
    fn s3(
        py: Python<'_>,
        bucket: &str,
        prefix: &str,
        settings: Texts,
        part: Option<usize>,
        common: Common,
    ) -> PyResult<Self> {
        let (name, checks) = (common.name(py)?, common.checks());
        let made = ObjectOptions {
            checks,
            part: part.unwrap_or(ObjectOptions::default().part),
            router: common.router.map(router),
            read_only: common.read_only,
        };
        let settings = settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let storage = outcome(py, ObjectStorage::s3(name, bucket, prefix, settings, made))?;
        Ok(Self { inner: Kind::Object(Box::new(storage)) })
    }

    /// Stores a content, whose digest is computed here unless it is given.
    fn write(
        &self,
        py: Python<'_>,
        content: &Bound<'_, PyAny>,
        digest: Option<&str>,
        kind: (&str, Option<&str>),
        tags: Texts,
    ) -> PyResult<String> {
        let content = Bytes::get(content, "a blob")?;
        self.call(py, |storage| {
            let tags = Tags::new(tags)?;
            let at = match digest {
                Some(json) => {
                    let digest = ContentDigest::from_json(&parsed("digest", json)?)?;
                    storage.write_data(&content, &digest, &tags)?
                }
                None => storage.put(&content, ContentKind::new(kind.0, kind.1)?, &tags)?,
            };
            Ok(at.to_json().to_string())
        })
    }

    /// Stores all pieces of an iterator. With `counting` they are counted in `digest` here; else the iterator
    /// does so itself, or somebody did before.
    fn write_stream(
        &self,
        py: Python<'_>,
        pieces: &Bound<'_, PyAny>,
        digest: &Bound<'_, GrowingDigest>,
        counting: bool,
        tags: Texts,
    ) -> PyResult<String> {
        let source = Source(pieces.try_iter()?.unbind());
        let get = &digest.get().inner;
        self.call(py, move |storage| {
            let tags = Tags::new(tags)?;
            let at = if counting {
                let mut stream = Digesting::into(source, get);
                storage.write_data_stream(&mut stream, get, &tags)?
            } else {
                let mut source = source;
                storage.write_data_stream(&mut source, get, &tags)?
            };
            Ok(at.to_json().to_string())
        })
    }

    /// A content.
    fn read<'py>(&self, py: Python<'py>, at: &str) -> PyResult<Bound<'py, PyBytes>> {
        // It is there and as long as its data says: only then as much memory is taken.
        let (at, size) = self.call(py, |storage| {
            let at = data(at)?;
            storage.read_range(&at, 0..0)?;
            let size = usize::try_from(at.digest().size()).unwrap_or(usize::MAX);
            Ok((at, size))
        })?;
        let mut read = Ok(());
        let content = fresh_bytes(py, size, |out| {
            read = py.detach(|| self.any().read_into(&at, out));
        })?;
        outcome(py, read)?;
        Ok(content)
    }

    /// A content, piece by piece.
    fn read_stream(&self, py: Python<'_>, at: &str) -> PyResult<BlobStream> {
        self.call(py, |storage| storage.read_data_stream(&data(at)?)).map(BlobStream::new)
    }

    /// Some bytes of a content.
    fn read_range<'py>(
        &self,
        py: Python<'py>,
        at: &str,
        start: u64,
        stop: u64,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let content = self.call(py, |storage| storage.read_range(&data(at)?, start..stop))?;
        copied_bytes(py, &content)
    }

    /// The sets of tags of a content.
    fn tags(&self, py: Python<'_>, at: &str) -> PyResult<Vec<Texts>> {
        self.call(py, |storage| Ok(shown(&storage.entry(&data(at)?)?).1))
    }

    /// The contents with all of these tags.
    fn search(&self, py: Python<'_>, tags: Texts) -> PyResult<Vec<(String, Vec<Texts>)>> {
        self.call(py, |storage| Ok(storage.search(&Tags::new(tags)?)?.iter().map(shown).collect()))
    }

    /// Keeps a store open for writing.
    fn hold(&self, py: Python<'_>) -> PyResult<()> {
        match &self.inner {
            Kind::Store(storage) => outcome(py, py.detach(|| storage.hold())),
            _ => Ok(()),
        }
    }

    /// Ends that, and commits.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        match &self.inner {
            Kind::Store(storage) => outcome(py, py.detach(|| storage.release())),
            _ => Ok(()),
        }
    }

    /// Deletes what killed writers left.
    fn sweep(&self, py: Python<'_>) -> PyResult<u64> {
        let swept = py.detach(|| match &self.inner {
            Kind::Store(storage) => storage.sweep(),
            Kind::Folder(storage) => storage.sweep(),
            Kind::Memory(_) => Ok(0),
            Kind::Object(storage) => storage.sweep(),
        });
        outcome(py, swept)
    }

    /// Keeps manifests, JSON texts with their ids.
    fn put_manifests(&self, py: Python<'_>, manifests: Vec<(String, String)>) -> PyResult<()> {
        let done = py.detach(|| {
            let parsed = manifests.iter().map(|(_, json)| parsed("manifest", json));
            let parsed = parsed.collect::<Result<Vec<_>>>()?;
            let ids = manifests.iter().map(|(id, _)| id.as_str());
            let pairs: Vec<_> = ids.zip(&parsed).collect();
            self.records()?.put_manifests(&pairs)
        });
        outcome(py, done)
    }

    /// A manifest as JSON.
    fn manifest(&self, py: Python<'_>, id: &str) -> PyResult<String> {
        let found = py.detach(|| self.records()?.manifest(id));
        outcome(py, found).map(|json| json.to_string())
    }

    /// The manifests with all of these tags as JSON.
    fn find_manifests(&self, py: Python<'_>, tags: Texts) -> PyResult<Vec<String>> {
        let found = py.detach(|| self.records()?.find_manifests(&Tags::new(tags)?));
        outcome(py, found).map(|found| found.iter().map(ToString::to_string).collect())
    }

    /// Where the storage is; nothing for one in memory.
    fn place(&self) -> Option<PathBuf> {
        match &self.inner {
            Kind::Store(storage) => Some(storage.path().to_path_buf()),
            Kind::Folder(storage) => Some(storage.root().to_path_buf()),
            _ => None,
        }
    }
}
