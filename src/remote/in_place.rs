//! Objects that take the place of what was seen at their address, and of nothing else.

use super::object::{ObjectSource, TAG, version};
use crate::error::Result;
use object_store::{ObjectStoreExt, PutMode, PutPayload, UpdateVersion};

/// Whether an error says that the service has no such request.
fn is_not_offered(error: &object_store::Error) -> bool {
    use object_store::Error::{NotImplemented, NotSupported};
    matches!(error, NotImplemented { .. } | NotSupported { .. })
        || error.to_string().contains("501 Not Implemented")
}

impl ObjectSource {
    /// How a new object has to be put so that it replaces only the version `seen`, or nothing where nothing was
    /// seen; `None` if that is not what is there any more.
    pub(super) async fn place(&self, seen: Option<&str>) -> Result<Option<PutMode>> {
        let look = || async {
            match self.access.store().head(&self.key).await {
                Ok(meta) => Ok(Some(meta)),
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(e) => Err(e.into()),
            }
        };
        Ok(match (self.persist(look).await?, seen) {
            (None, None) => Some(PutMode::Create),
            (Some(meta), Some(seen)) if version(&meta).as_deref() == Some(seen) => {
                // What else tells versions apart cannot be a condition.
                let update = UpdateVersion { e_tag: meta.e_tag, version: meta.version };
                let mode = PutMode::Update(update);
                Some(if seen.starts_with(TAG) { mode } else { PutMode::Overwrite })
            }
            _ => None,
        })
    }

    /// Puts an object in the place of the version `seen`, or where nothing was; whether it was still so. Where the
    /// service takes no conditions that was asked immediately before.
    pub(super) fn put_in_place(&self, bytes: Vec<u8>, seen: Option<&str>) -> Result<bool> {
        use object_store::Error::{AlreadyExists, NotFound, Precondition};
        let (access, payload) = (&self.access, PutPayload::from(bytes));
        access.wait(async {
            let Some(mode) = self.place(seen).await? else { return Ok(false) };
            let put = access.store().put_opts(&self.key, payload.clone(), mode.into());
            match put.await {
                Ok(_) => Ok(true),
                Err(Precondition { .. } | AlreadyExists { .. }) => Ok(false),
                // It was deleted.
                Err(NotFound { .. }) if seen.is_some() => Ok(false),
                Err(e) if is_not_offered(&e) => {
                    let put = access.store().put(&self.key, payload).await;
                    put.map(|_| true).map_err(|e| access.failed(&e))
                }
                Err(e) => Err(access.failed(&e)),
            }
        })
    }
}
