//! How a bucket of S3 is reached: settings by name and from the environment.

use super::access::Make;
use crate::error::{Error, Result};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::{ClientConfigKey, RetryConfig};
use std::collections::HashMap;
use std::env;
use std::sync::Arc;
use std::time::Duration;

/// How often and how long a request is tried that the server does not answer.
const TRIES: usize = 4;
const PATIENCE: Duration = Duration::from_secs(60);

/// How the clients of object stores try again.
pub(super) fn retry() -> RetryConfig {
    RetryConfig { max_retries: TRIES, retry_timeout: PATIENCE, ..RetryConfig::default() }
}

/// Values that must not be shown, by the names of their settings.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["key", "secret", "token", "password", "credential"].iter().any(|part| name.contains(part))
}

/// The variables of the environment that begin so.
pub(super) fn variables(prefix: &str) -> impl Iterator<Item = (String, String)> {
    env::vars_os().filter_map(move |(name, value)| {
        let name = name.to_str().filter(|name| name.starts_with(prefix))?.to_owned();
        Some((name, value.to_str()?.to_owned()))
    })
}

/// The text without what is secret.
pub(super) fn hide(text: String, secrets: &[String]) -> String {
    let whole = secrets.iter().filter(|secret| !secret.is_empty());
    whole.fold(text, |text, secret| text.replace(secret, "***"))
}

/// Refuses a text that is not the address of a server: the clients rely on that.
pub(super) fn must_be_url(what: &'static str, value: &str) -> Result<()> {
    let parsed = reqwest::Url::parse(value).ok();
    if parsed.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
        return Ok(());
    }
    Err(Error::invalid(what, "is no address of a server: it begins with https:// or http://"))
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

/// What makes a client of a bucket, and what of its settings is secret. What is not given comes from the
/// environment (`AWS_…`); the key, its secret and its token only together.
///
/// # Errors
/// [`Error::Invalid`] for unknown settings; what is made says what does not go together.
pub(crate) fn bucket<'a>(
    bucket: &str,
    settings: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<(Make, Vec<String>)> {
    let (builder, secrets) = builder(bucket, settings)?;
    Ok((make(&builder, &secrets), secrets))
}

/// What makes a client again and again.
pub(super) fn make(builder: &AmazonS3Builder, secrets: &[String]) -> Make {
    let (builder, hidden) = (builder.clone(), secrets.to_vec());
    Box::new(move || {
        let built = builder.clone().build();
        let built =
            built.map_err(|e| Error::invalid("settings of S3", hide(e.to_string(), &hidden)))?;
        Ok(Arc::new(built))
    })
}

/// As [`bucket`], before the client is made.
pub(super) fn builder<'a>(
    bucket: &str,
    settings: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<(AmazonS3Builder, Vec<String>)> {
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
    for (name, value) in variables("AWS_") {
        let Ok(key) = setting(&name) else { continue };
        if is_secret(&name) {
            secrets.push(value.clone());
        }
        if !(own_key && of_key(&key)) {
            given.entry(key).or_insert(value);
        }
    }
    if let Some(endpoint) = given.get(&AmazonS3ConfigKey::Endpoint) {
        let what = "endpoint of S3 (AWS_ENDPOINT_URL)";
        must_be_url(what, endpoint)?;
        let allowed = given.get(&AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp));
        let allowed = allowed
            .is_some_and(|v| matches!(&*v.to_ascii_lowercase(), "true" | "1" | "yes" | "on" | "y"));
        if endpoint.starts_with("http:") && !allowed {
            let why = "begins with http://, which is not encrypted: AWS_ALLOW_HTTP=true (allow_http) permits that";
            return Err(Error::invalid(what, why));
        }
    }
    let mut builder = AmazonS3Builder::new();
    for (key, value) in &given {
        builder = builder.with_config(*key, value);
    }
    Ok((builder.with_bucket_name(bucket).with_retry(retry()), secrets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_an_address_and_encrypted_unless_told_otherwise() {
        let told = |settings: &[(&str, &str)]| {
            let own = settings.iter().copied().chain([("access_key_id", "a")]);
            builder("bucket", own).err().map(|e| e.to_string()).unwrap_or_default()
        };
        assert!(told(&[("endpoint", "nonsense")]).contains("begins with https://"));
        assert!(told(&[("endpoint", "http://host:9000")]).contains("AWS_ALLOW_HTTP=true"));
        for good in [
            &[("endpoint", "http://host:9000"), ("allow_http", "true")][..],
            &[("endpoint", "https://host")],
            &[],
        ] {
            assert_eq!(told(good), "", "{good:?}");
        }
    }
}
