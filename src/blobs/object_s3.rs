//! How a bucket of S3 is reached.

use super::name::StorageName;
use super::object::{ObjectOptions, ObjectStorage};
use crate::error::{Error, Result};
use object_store::RetryConfig;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use std::collections::HashMap;
use std::env;
use std::sync::Arc;
use std::time::Duration;

/// How often and how long a request is tried that the server does not answer.
const TRIES: usize = 4;
const PATIENCE: Duration = Duration::from_secs(60);

/// What nobody is to see, by what its setting is called.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["key", "secret", "token", "password"].iter().any(|part| name.contains(part))
}

fn setting(name: &str) -> Result<AmazonS3ConfigKey> {
    name.to_ascii_lowercase().parse().map_err(|_| {
        let why = format!(
            "{name:?} is not known; there are endpoint, region, access_key_id, secret_access_key, token, \
             allow_http, virtual_hosted_style_request and the others of the crate object_store"
        );
        Error::invalid("settings of S3", why)
    })
}

impl ObjectStorage {
    /// Blobs under `prefix` in a bucket of S3. `settings` are those of the `object_store` crate by name, such as
    /// `endpoint`, `region`, `access_key_id`; what is not given comes from the environment (`AWS_…`), and the
    /// key, its secret and its token only together.
    ///
    /// # Errors
    /// As [`over`](Self::over); [`Error::Invalid`] for unknown settings, and for what does not go together.
    pub fn s3<'a>(
        name: StorageName,
        bucket: &str,
        prefix: &str,
        settings: impl IntoIterator<Item = (&'a str, &'a str)>,
        options: ObjectOptions,
    ) -> Result<Self> {
        // Only if the program has not chosen one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut given = HashMap::new();
        let mut secrets = Vec::new();
        for (name, value) in settings {
            if is_secret(name) {
                secrets.push(value.to_owned());
            }
            given.insert(setting(name)?, value.to_owned());
        }
        let own_key = given.contains_key(&AmazonS3ConfigKey::AccessKeyId);
        let of_key = |key: &AmazonS3ConfigKey| {
            use AmazonS3ConfigKey::{AccessKeyId, SecretAccessKey, Token};
            matches!(key, AccessKeyId | SecretAccessKey | Token)
        };
        let from_env = env::vars_os().filter_map(|(n, v)| Some((n.to_str()?.to_owned(), v)));
        for (name, value) in from_env.filter(|(name, _)| name.starts_with("AWS_")) {
            let (Ok(key), Some(value)) = (setting(&name), value.to_str()) else { continue };
            if is_secret(&name) {
                secrets.push(value.to_owned());
            }
            if !(own_key && of_key(&key)) {
                given.entry(key).or_insert_with(|| value.to_owned());
            }
        }
        let hidden = |text: String| {
            let whole = secrets.iter().filter(|secret| !secret.is_empty());
            whole.fold(text, |text, secret| text.replace(secret, "***"))
        };
        let mut builder = AmazonS3Builder::new();
        for (key, value) in &given {
            builder = builder.with_config(*key, value);
        }
        let retry =
            RetryConfig { max_retries: TRIES, retry_timeout: PATIENCE, ..RetryConfig::default() };
        let built = builder.with_bucket_name(bucket).with_retry(retry).build();
        let store = built.map_err(|e| Error::invalid("settings of S3", hidden(e.to_string())))?;
        Self::over(name, Arc::new(store), &format!("s3://{bucket}"), prefix, secrets, options)
    }
}
