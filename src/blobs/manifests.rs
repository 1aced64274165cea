//! Manifests beside the blobs that they name: JSON objects under names of their own.

use super::reading::each_record;
use super::records;
use super::storage::Storage;
use super::store::StoreStorage;
use super::tags::Tags;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::store::{Readable, Record};
use serde_json::Value;

/// What keys of manifests begin with; places of blobs do not begin with a dot.
const PREFIX: &str = ".manifest/";

fn key(id: &str) -> Key {
    Key::from(format!("{PREFIX}{id}").as_str())
}

impl StoreStorage {
    /// Keeps manifests under their ids: all of them, or none. Their member `tags`, if there is one, is what
    /// [`find_manifests`](Self::find_manifests) looks at.
    ///
    /// # Errors
    /// [`Error::Exists`] for an id that is taken; as [`Storage::write_data`].
    pub fn put_manifests(&self, manifests: &[(&str, &Value)]) -> Result<()> {
        if self.is_read_only() {
            return Err(Error::ReadOnly.at(self.path()));
        }
        let session = self.shared.enter()?;
        session.with(|w| {
            for (id, _) in manifests {
                if w.writer().find_key(&key(id))?.is_some() {
                    let what = format!("manifest {id}").into();
                    return Err(Error::Exists { what, instead: None });
                }
            }
            for (id, manifest) in manifests {
                records::put(w, key(id), manifest, None)?;
            }
            Ok(())
        })?;
        session.leave()
    }

    /// The manifest `id`.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none; as [`Storage::read_data`].
    pub fn manifest(&self, id: &str) -> Result<Value> {
        let record = self.reader.fresh(&self.shared, &key(id))?;
        let missing = || Error::NotFound { key: format!("of a manifest {id:?}").into() };
        Ok(records::view(&record.ok_or_else(missing)?)?.0)
    }

    /// The manifests with all of these tags, in the order in which they were put; for none, all.
    ///
    /// # Errors
    /// As [`Storage::read_data`].
    pub fn find_manifests(&self, tags: &Tags) -> Result<Vec<Value>> {
        let mut out = Vec::new();
        let mut add = |_: &str, record: &Record| {
            let manifest = records::view(record)?.0;
            let has = match manifest.get("tags") {
                Some(json) => Tags::from_json(json)?.have(tags),
                None => tags.is_empty(),
            };
            if has {
                out.push(manifest);
            }
            Ok(())
        };
        self.reader.newest_of(&self.shared, &mut |reader| {
            each_record(reader, |key| key.starts_with(PREFIX), &mut add)
        })?;
        Ok(out)
    }
}
