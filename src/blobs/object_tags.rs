//! What an object store keeps of a content beside its bytes: its own metadata, and small objects with the
//! tags, since it offers no search by them.

use super::digest::{ContentDigest, ContentKind};
use super::object_access::Access;
use super::storage::TAGS_ENDING;
use super::tags::Tags;
use crate::error::{Error, Result};
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::path::Path as Key;
use object_store::{Attribute, Attributes, ObjectStoreExt, PutPayload, TagSet};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Digits of the digest of a set of tags in the name of its object.
const DIGITS: usize = 16;
/// Objects with tags that are read at the same time.
const AT_ONCE: usize = 16;
/// What S3 takes of tags of its own.
const OWN_TAGS: usize = 10;
const OWN_NAME: usize = 128;
const OWN_TEXT: usize = 256;

/// Content type and encoding as those of an object.
pub(super) fn attributes(kind: &ContentKind) -> Attributes {
    let mut out = Attributes::new();
    out.insert(Attribute::ContentType, kind.content_type().to_owned().into());
    if let Some(encoding) = kind.encoding() {
        out.insert(Attribute::ContentEncoding, encoding.to_owned().into());
    }
    out
}

/// Tags as those of an object: all of them, or none if S3 does not take them.
pub(super) fn own_tags(tags: &Tags) -> TagSet {
    let mut out = TagSet::default();
    let plain = |text: &str| text.chars().all(|c| c.is_alphanumeric() || " +-=._:/@".contains(c));
    let fits = |(name, text): (&str, &str)| {
        let short = name.chars().count() <= OWN_NAME && text.chars().count() <= OWN_TEXT;
        short && !name.is_empty() && !name.starts_with("aws:") && plain(name) && plain(text)
    };
    if tags.iter().count() <= OWN_TAGS && tags.iter().all(fits) {
        for (name, text) in tags.iter() {
            out.push(name, text);
        }
    }
    out
}

/// Under which the tags of the object `key` lie.
fn beside(key: &Key) -> Result<Key> {
    super::object_access::key(&format!("{key}{TAGS_ENDING}"), "")
}

/// Keeps `tags` beside the object `key`, and returns where.
pub(super) async fn add(
    access: &Access,
    key: &Key,
    digest: &ContentDigest,
    tags: &Tags,
) -> Result<Option<Key>> {
    if tags.is_empty() {
        return Ok(None);
    }
    let json = tags.to_json();
    let name = ContentDigest::of(json.to_string().as_bytes(), "application/json", None)?;
    let short = name.hash().get(..DIGITS).unwrap_or_default();
    let at = beside(key)?.join(short);
    let text = json!({"digest": digest.to_json(), "tags": json}).to_string();
    let put = access.store().put(&at, PutPayload::from(text)).await;
    put.map_err(|e| access.failed(&e))?;
    Ok(Some(at))
}

/// The key of the object to which an object of tags belongs.
fn content_of(key: &str) -> Option<&str> {
    let (folder, short) = key.rsplit_once('/')?;
    let ours = short.len() == DIGITS && short.bytes().all(|b| b.is_ascii_hexdigit());
    folder.strip_suffix(TAGS_ENDING).filter(|_| ours)
}

async fn read(access: &Access, key: &Key) -> Result<(ContentDigest, Tags)> {
    let text = access.get(key, None).await?.bytes().await.map_err(|e| access.failed(&e))?;
    let json: Value = serde_json::from_slice(&text)
        .map_err(|e| Error::codec("json", format!("the tags at {key} are damaged: {e}")))?;
    let part = |name: &str| json.get(name).unwrap_or(&Value::Null);
    Ok((ContentDigest::from_json(part("digest"))?, Tags::from_json(part("tags"))?))
}

/// Contents that have tags, by key.
pub(super) type Tagged = BTreeMap<String, (ContentDigest, Vec<Tags>)>;

/// Those under `root`.
pub(super) async fn tagged(access: &Access, root: &Key) -> Result<Tagged> {
    let keys = access.keys(root).await?;
    let there: BTreeSet<&str> = keys.iter().map(AsRef::as_ref).collect();
    let mut wanted = Vec::new();
    for key in &keys {
        // Tags come before their content, and may be left of one that failed.
        if let Some(content) = content_of(key.as_ref()).filter(|content| there.contains(content)) {
            wanted.push((content.to_owned(), key.clone()));
        }
    }
    read_all(access, wanted).await
}

async fn read_all(access: &Access, wanted: Vec<(String, Key)>) -> Result<Tagged> {
    let reads = wanted.into_iter().map(|(content, key)| async move {
        let (digest, tags) = read(access, &key).await?;
        Ok::<_, Error>((content, digest, tags))
    });
    let read: Vec<_> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
    let mut out = Tagged::new();
    for (content, digest, tags) in read {
        out.entry(content).or_insert_with(|| (digest, Vec::new())).1.push(tags);
    }
    Ok(out)
}

/// The sets of tags of the object `key`.
pub(super) async fn of(access: &Access, key: &Key) -> Result<Vec<Tags>> {
    let keys = access.keys(&beside(key)?).await?;
    let wanted = keys.into_iter().map(|at| (String::new(), at)).collect();
    let found = read_all(access, wanted).await?.remove("");
    Ok(found.map(|(_, tags)| tags).unwrap_or_default())
}
