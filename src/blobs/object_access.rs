//! What storages of blobs ask an object store for.

use super::storage::missing;
use crate::error::{Error, Result};
pub(super) use crate::remote::access::Access;
use crate::remote::access::NO_BUCKET;
use futures_util::StreamExt;
use object_store::path::Path as Key;
use object_store::{GetOptions, GetResult, ObjectStoreExt};
use std::ops::Range;

impl Access {
    /// An error of reading `key`: a content that is not there is missing.
    pub(super) async fn lost(&self, error: object_store::Error, key: &Key) -> Error {
        match &error {
            object_store::Error::NotFound { .. } if !error.to_string().contains(NO_BUCKET) => {
                self.nothing_at(key).await
            }
            _ => self.failed(&error),
        }
    }

    /// Why there is nothing under `key`: the question for an object does not tell whether there is a bucket.
    pub(super) async fn nothing_at(&self, key: &Key) -> Error {
        match self.store().list(Some(key)).next().await {
            Some(Err(e)) if e.to_string().contains(NO_BUCKET) => self.failed(&e),
            _ => missing(key.as_ref()),
        }
    }

    /// Size of the object under `key`, if there is one.
    pub(super) async fn size(&self, key: &Key) -> Result<Option<u64>> {
        match self.store().head(key).await {
            Ok(found) => Ok(Some(found.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.failed(&e)),
        }
    }

    /// The object under `key`, or a part of it.
    pub(super) async fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<GetResult> {
        let options = GetOptions { range: range.map(Into::into), ..GetOptions::default() };
        match self.store().get_opts(key, options).await {
            Ok(got) => Ok(got),
            Err(e) => Err(self.lost(e, key).await),
        }
    }

    pub(super) async fn delete(&self, key: &Key) -> Result<()> {
        self.store().delete(key).await.map_err(|e| self.failed(&e))
    }

    /// All keys under `prefix`.
    pub(super) async fn keys(&self, prefix: &Key) -> Result<Vec<Key>> {
        let (mut out, mut listed) = (Vec::new(), self.store().list(Some(prefix)));
        while let Some(one) = listed.next().await {
            out.push(one.map_err(|e| self.failed(&e))?.location);
        }
        Ok(out)
    }
}

/// The key of a place under a prefix.
pub(super) fn key(prefix: &str, place: &str) -> Result<Key> {
    let names = prefix.split('/').chain(place.split('/')).filter(|name| !name.is_empty());
    let text = names.collect::<Vec<_>>().join("/");
    Key::parse(text).map_err(|e| Error::invalid("place of a blob", e.to_string()))
}
