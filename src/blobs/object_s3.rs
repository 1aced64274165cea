//! How a bucket of S3 is reached.

use super::name::StorageName;
use super::object::{ObjectOptions, ObjectStorage};
use crate::error::Result;
use crate::remote::bucket;

impl ObjectStorage {
    /// Blobs under `prefix` in a bucket of S3. `settings` are those of the `object_store` crate by name, such as
    /// `endpoint`, `region`, `access_key_id`; what is not given comes from the environment (`AWS_…`), and the
    /// key, its secret and its token only together.
    ///
    /// # Errors
    /// As [`over`](Self::over); [`Error::Invalid`](crate::Error::Invalid) for unknown settings, and for what does
    /// not go together.
    pub fn s3<'a>(
        name: StorageName,
        bucket_name: &str,
        prefix: &str,
        settings: impl IntoIterator<Item = (&'a str, &'a str)>,
        options: ObjectOptions,
    ) -> Result<Self> {
        let (make, secrets) = bucket(bucket_name, settings)?;
        let at = format!("s3://{bucket_name}");
        Self::over(name, make()?, &at, prefix, secrets, options)
    }
}
