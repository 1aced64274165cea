//! Addresses: which service, which bucket, which object.

use super::access::Make;
use super::s3::{self, builder, hide, is_secret, must_be_url, retry, variables};
use crate::error::{Error, Result};
use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::http::HttpBuilder;
use object_store::path::Path as Key;
use object_store::{ClientConfigKey, ClientOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SCHEMES: [&str; 11] =
    ["s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "http", "https", "file", "hf"];

const KINDS: &str = "there are s3://bucket/key, gs://bucket/key, az://container/key, \
     http(s)://host/path and file:///path";

/// Whether this is an address, and not a path: whether it begins with `s3://` or another scheme that is
/// known here (`hf://` too, which only the Python package reads).
#[must_use]
pub fn is_url(path: &Path) -> bool {
    let text = path.to_str().and_then(|text| text.split_once("://"));
    text.is_some_and(|(scheme, _)| SCHEMES.contains(&scheme.to_ascii_lowercase().as_str()))
}

/// The path of a `file://` address; `None` for others.
#[must_use]
pub fn local_path(url: &str) -> Option<PathBuf> {
    let rest = url.strip_prefix("file://")?;
    let rest = rest.strip_prefix("localhost").unwrap_or(rest);
    let path = Key::from_url_path(rest).ok()?;
    rest.starts_with('/').then(|| Path::new("/").join(path.as_ref()))
}

/// An object, and the store that has it.
pub(super) struct Address {
    /// The service with the bucket: `s3://bucket`, without name and password.
    pub(super) at: String,
    pub(super) key: Key,
    pub(super) make: Make,
    pub(super) secrets: Vec<String>,
    /// What to look at where access is denied.
    pub(super) denied: &'static str,
    /// What makes a client of S3, if it is there.
    pub(super) s3: Option<AmazonS3Builder>,
}

impl Address {
    pub(super) fn parse(url: &str) -> Result<Self> {
        let wrong = |why: &str| Error::invalid("address", format!("{}: {why}", without_user(url)));
        let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong(KINDS))?;
        let scheme = scheme.to_ascii_lowercase();
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        if host.is_empty() {
            return Err(wrong(&format!("names no bucket or host; {KINDS}")));
        }
        if path.trim_matches('/').is_empty() {
            return Err(wrong("names no object: add its key behind the bucket or host"));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let is_name = match scheme.as_str() {
            "s3" | "s3a" | "gs" => host.chars().all(plain),
            "az" | "azure" | "abfs" | "abfss" => host.chars().all(|c| plain(c) || c == '@'),
            _ => true,
        };
        if !is_name {
            return Err(wrong("names no bucket: its name has letters, digits, '-', '.' and '_'"));
        }
        let bad = |e: object_store::path::Error| wrong(&e.to_string());
        match scheme.as_str() {
            "s3" | "s3a" => {
                let key = Key::parse(path).map_err(bad)?;
                let (builder, secrets) = builder(host, [])?;
                let make = s3::make(&builder, &secrets);
                let denied = "are AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and \
                    AWS_ENDPOINT_URL right, and may this key do it? (AWS_SKIP_SIGNATURE=true reads \
                    what is public)";
                Ok(Self {
                    at: format!("s3://{host}"),
                    key,
                    make,
                    secrets,
                    denied,
                    s3: Some(builder),
                })
            }
            "gs" => {
                let key = Key::parse(path).map_err(bad)?;
                let (make, secrets) = google(host);
                let denied = "does GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT name a \
                    file with the right key, and may it do this?";
                Ok(Self { at: format!("gs://{host}"), key, make, secrets, denied, s3: None })
            }
            "az" | "azure" | "abfs" | "abfss" => {
                let key = Key::parse(path).map_err(bad)?;
                let (make, secrets) = azure(&format!("{scheme}://{host}"))?;
                let denied = "are AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY (or \
                    AZURE_STORAGE_SAS_KEY) right, and may this key do it?";
                Ok(Self { at: format!("{scheme}://{host}"), key, make, secrets, denied, s3: None })
            }
            "http" | "https" => {
                if path.contains('?') {
                    return Err(wrong(
                        "a query (?...) is not passed on; name the object without it",
                    ));
                }
                let key = Key::from_url_path(path).map_err(bad)?;
                let shown = host.rsplit_once('@').map_or(host, |(_, host)| host);
                let user = host.rsplit_once('@').map(|(user, _)| user).unwrap_or_default();
                let secrets = user.split(':').skip(1).map(str::to_owned).collect();
                let make = web(&format!("{scheme}://{host}"), scheme == "http");
                let denied =
                    "does the server want a name and a password (https://name:password@host/...)?";
                Ok(Self { at: format!("{scheme}://{shown}"), key, make, secrets, denied, s3: None })
            }
            "hf" => Err(wrong("is read by the Python package with huggingface_hub installed")),
            "file" => Err(wrong("is a file of this machine: give its path")),
            _ => Err(wrong(KINDS)),
        }
    }
}

/// The address without a name and a password.
fn without_user(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}/{path}")
}

/// What keeps a client from being made, without what is secret.
fn made<S: ObjectStore>(
    what: &'static str,
    built: object_store::Result<S>,
    secrets: &[String],
) -> Result<Arc<dyn ObjectStore>> {
    let built = built.map_err(|e| Error::invalid(what, hide(e.to_string(), secrets)))?;
    Ok(Arc::new(built))
}

fn google(bucket: &str) -> (Make, Vec<String>) {
    let mut builder = GoogleCloudStorageBuilder::new().with_bucket_name(bucket).with_retry(retry());
    let mut secrets = Vec::new();
    // The variable that all programs of Google know.
    for (name, value) in variables("GOOGLE_").chain(variables("STORAGE_EMULATOR")) {
        if is_secret(&name) {
            secrets.push(value.clone());
        }
        if let Ok(key) = name.to_ascii_lowercase().parse::<GoogleConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    let hidden = secrets.clone();
    let make: Make = Box::new(move || {
        provider();
        made("settings of Google Cloud Storage", builder.clone().build(), &hidden)
    });
    (make, secrets)
}

fn azure(url: &str) -> Result<(Make, Vec<String>)> {
    let mut builder = MicrosoftAzureBuilder::new().with_url(url).with_retry(retry());
    let mut secrets = Vec::new();
    for (name, value) in variables("AZURE_") {
        if is_secret(&name) {
            secrets.push(value.clone());
        }
        if let Ok(key) = name.to_ascii_lowercase().parse::<AzureConfigKey>() {
            if key == AzureConfigKey::Endpoint {
                must_be_url("endpoint of Azure (AZURE_ENDPOINT)", &value)?;
            }
            builder = builder.with_config(key, value);
        }
    }
    let hidden = secrets.clone();
    let make: Make = Box::new(move || {
        provider();
        made("settings of Azure", builder.clone().build(), &hidden)
    });
    Ok((make, secrets))
}

fn web(url: &str, plain: bool) -> Make {
    let mut client = ClientOptions::new();
    if plain {
        client = client.with_config(ClientConfigKey::AllowHttp, "true");
    }
    let builder = HttpBuilder::new().with_url(url).with_client_options(client).with_retry(retry());
    Box::new(move || {
        provider();
        made("address", builder.clone().build(), &[])
    })
}

/// What encrypts connections, if the program has not chosen one.
fn provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_from_a_path_and_shows_no_password() {
        for (text, url) in
            [("s3://b/k", true), ("S3://b/k", true), ("a/s3:/b", false), ("x://y", false)]
        {
            assert_eq!(is_url(Path::new(text)), url, "{text}");
        }
        assert_eq!(local_path("file:///a/b%20c"), Some("/a/b c".into()));
        assert_eq!(local_path("file://host/a"), None);
        for (bad, why) in [
            ("s3:///key", "names no bucket"),
            ("s3://bucket", "names no object"),
            ("s3://bucket/", "names no object"),
            ("s3://bucket/a//b", "empty"),
            ("ftp://host/a", "there are s3://"),
            ("s3://a bucket/a", "names no bucket: its name has"),
            ("gs://büro/a", "names no bucket: its name has"),
            ("https://host/a?sig=secret", "a query"),
            ("hf://datasets/a/b", "huggingface_hub"),
        ] {
            let e = Address::parse(bad).err().unwrap().to_string();
            assert!(e.contains(why), "{bad}: {e}");
        }
        let e = Address::parse("http://me:hush@host/").err().unwrap().to_string();
        assert!(!e.contains("hush"), "{e}");
        let found = Address::parse("http://me:hush@host/a/b%20c").unwrap();
        assert_eq!((found.at.as_str(), found.key.as_ref()), ("http://host", "a/b c"));
        assert_eq!(found.secrets, ["hush"]);
    }
}
