//! Contents of any size with their digests: blobs and streams, and the places where they are kept.
//!
//! A content is known by the SHA-256 of its bytes and by its type; equal contents are stored once. A
//! [`Storage`] takes it whole or piece by piece and returns [`StorageData`], a small JSON value that finds
//! it again, also in another process. There are storages in a store file ([`StoreStorage`]), in a folder
//! ([`FolderStorage`]), in memory ([`MemoryStorage`]) and, with the feature `object-store`, in S3; whoever implements
//! the trait has another.
//! Stands on [`Depot`](crate::Depot); knows nothing of what a content means.
//!
//! ```
//! use vlstore::blobs::*;
//! use vlstore::Compression;
//!
//! # let dir = tempfile::tempdir().unwrap();
//! # let path = dir.path().join("blobs.vlstore");
//! let name = StorageName::new("lab.blobs@v1")?;
//! let storage = StoreStorage::create(name, &path, Compression::Stored, BlobOptions::default())?;
//! let kind = ContentKind::new("text/plain", None)?;
//! let tags = Tags::new([("run", "7")])?;
//! let at = storage.put(b"some text", kind.clone(), &tags)?;
//! assert_eq!(storage.read_data(&at)?, b"some text");
//! assert_eq!(storage.search(&tags)?[0].data, at);
//!
//! // A stream of any length; its digest is known at its end.
//! let pieces = Pieces((0..1000).map(|i| Ok(format!("{i}\n"))));
//! let (mut stream, digest) = Digesting::new(pieces, kind);
//! let at = storage.write_data_stream(&mut stream, &digest, &Tags::default())?;
//! assert_eq!(at.digest(), &digest.get()?);
//! assert_eq!(storage.read_range(&at, 0..4)?, b"0\n1\n");
//! # Ok::<(), vlstore::Error>(())
//! ```

#[cfg(feature = "tokio")]
mod asynchronous;
mod data;
mod digest;
mod folder;
mod large;
mod manifests;
mod memory;
mod name;
#[cfg(feature = "object-store")]
mod object;
#[cfg(feature = "object-store")]
mod object_access;
#[cfg(feature = "object-store")]
mod object_s3;
#[cfg(feature = "object-store")]
mod object_tags;
mod reading;
mod records;
mod session;
mod sidecar;
mod storage;
mod store;
mod stream;
mod tags;

#[cfg(feature = "tokio")]
pub use asynchronous::AsyncStorage;
pub use data::StorageData;
pub use digest::{ContentDigest, ContentKind};
pub use folder::{FolderOptions, FolderStorage};
pub use memory::MemoryStorage;
pub use name::StorageName;
#[cfg(feature = "object-store")]
pub use object::{ObjectOptions, ObjectStorage};
pub use storage::{Checks, Entry, Router, Storage};
pub use store::{BlobOptions, StoreStorage};
pub use stream::{ByteStream, Digesting, GetDigest, IntoRead, Pieces, Reading, append, collect};
pub use tags::Tags;
