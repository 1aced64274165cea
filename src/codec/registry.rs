//! Codecs by name, so that a program can decode a store whose types it does not know.

use super::topology::may_begin;
use super::{
    AnyCodec, ArrayCodec, DocumentCodec, FlatF32Codec, MdFrameCodec, RawCodec, SeriesCodec,
};
use crate::column::{Content, SharedLookup};
use crate::wire::Digest;
use crate::{Error, Result};

/// Every codec of this release.
pub static CODECS: [&dyn AnyCodec; 6] =
    [&RawCodec, &ArrayCodec, &FlatF32Codec, &DocumentCodec, &MdFrameCodec, &SeriesCodec];

/// The codec that a store or a person names: `raw`, `array`, `flat-f32`, `document`, `md-frame` or
/// `series`.
///
/// # Errors
///
/// [`Error::Invalid`] with the known names if there is none of this name.
pub fn by_name(name: &str) -> Result<&'static dyn AnyCodec> {
    CODECS.into_iter().find(|c| c.name() == name).ok_or_else(|| {
        let known = CODECS.map(AnyCodec::name).join(", ");
        Error::invalid("codec", format!("{name:?} is not known; this release knows {known}"))
    })
}

/// How records of the codec of this name refer to shared ones: the shared record that a record
/// refers to, if it refers to one. `None` for a codec whose records may refer to some in a way
/// that is not known here, as the bytes of `raw` may.
#[must_use]
#[expect(clippy::type_complexity, reason = "what `Refers` is, which the store names")]
pub fn refers(name: &str) -> Option<fn(&[u8]) -> Option<Digest>> {
    (name == MdFrameCodec.name()).then_some(MdFrameCodec::topology_of)
}

/// What the bytes of records of this codec and version tell by themselves; `None` if this release
/// does not read them. For [`RecoverOptions`](crate::maintain::RecoverOptions).
#[must_use]
pub fn content(name: &str, version: u32) -> Option<Content> {
    let codec = by_name_and_version(name, version).ok()?;
    let weight: fn(&[u8]) -> Option<u32> = match name {
        "raw" => |bytes| RawCodec.weight(bytes).ok(),
        "array" => |bytes| ArrayCodec.weight(bytes).ok(),
        "flat-f32" => |bytes| FlatF32Codec.weight(bytes).ok(),
        "document" => |bytes| DocumentCodec.weight(bytes).ok(),
        "md-frame" => |bytes| MdFrameCodec.weight(bytes).ok(),
        "series" => |bytes| SeriesCodec.weight(bytes).ok(),
        _ => return None,
    };
    let reference = refers(name).unwrap_or(|_| None);
    Some(Content { reference, shared: may_begin, weight, rows: codec.rows() })
}

/// Checks that bytes are a record of the codec of this name and version, and tells its weight; a
/// [`RecordCheck`](crate::RecordCheck). What the record refers to must be there and fit it.
///
/// # Errors
///
/// [`Error::Codec`] if the bytes are not such a record; as [`by_name_and_version`] for a codec that
/// this release does not know; what `shared` returns.
pub fn check(
    name: &str,
    version: u32,
    bytes: &[u8],
    shared: &SharedLookup<'_>,
) -> Result<Option<u32>> {
    let codec = by_name_and_version(name, version)?;
    let weight = codec.weight(bytes)?;
    if codec.version_of(bytes) > version {
        let needed = codec.version_of(bytes);
        return Err(Error::codec(
            codec.name(),
            format!(
                "the record is of version {needed}, and the store keeps records of version {version}"
            ),
        ));
    }
    if let Some(digest) = codec.reference(bytes) {
        shared(&digest, &mut |found| codec.check_reference(bytes, found))?;
    }
    Ok(Some(weight))
}

/// The codec of this name, if it reads records of `version`.
///
/// # Errors
///
/// As [`by_name`], and [`Error::Unsupported`] if the records are newer than this release.
pub fn by_name_and_version(name: &str, version: u32) -> Result<&'static dyn AnyCodec> {
    let codec = by_name(name)?;
    if (1..=codec.version()).contains(&version) {
        return Ok(codec);
    }
    Err(Error::Unsupported {
        what: "codec version",
        found: version.into(),
        newest: codec.version().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_codec_is_found_by_its_name_and_no_other() {
        for name in ["raw", "array", "flat-f32", "document", "md-frame", "series"] {
            assert_eq!(by_name(name).unwrap().name(), name);
        }
        let error = by_name("pickle").err().unwrap().to_string();
        assert!(error.contains("\"pickle\"") && error.contains("flat-f32"), "{error}");
    }

    #[test]
    fn every_codec_shows_its_empty_or_refuses_it() {
        for codec in CODECS {
            assert_eq!(codec.weight(&[]).is_ok(), codec.describe(&[]).is_ok(), "{}", codec.name());
        }
    }

    #[test]
    fn what_every_codec_tells_of_its_records_is_known_by_its_name() {
        for codec in CODECS {
            let told = content(codec.name(), codec.version()).unwrap();
            assert_eq!((told.weight)(&[]), codec.weight(&[]).ok(), "{}", codec.name());
            assert_eq!(told.rows.is_some(), codec.rows().is_some());
            assert!(content(codec.name(), codec.version() + 1).is_none());
        }
        assert!(content("pickle", 1).is_none());
    }

    #[test]
    fn a_newer_version_is_refused_by_number() {
        assert!(by_name_and_version("md-frame", 1).is_ok());
        assert!(by_name_and_version("md-frame", 2).is_ok());
        for version in [0, 3] {
            let error = by_name_and_version("md-frame", version).err().unwrap();
            assert!(matches!(error, Error::Unsupported { newest: 2, .. }));
        }
    }
}
