//! Several stores into one.

use crate::dataset::Source;
use crate::error::{Error, Result};
use crate::existing::Existing;
use crate::key::Key;
use crate::maintain::copy::{Copied, Target, new_options, open_source};
use crate::maintain::shared_transfer::{Refers, SharedTransfer};
use crate::maintain::transfer::{RecordTransfer, stream};
use crate::printable::printable_path;
use crate::store::Readable;
use crate::store::options::{Layout, WriteOptions};
use serde_json::{Map, Value};
use std::path::Path;

/// The attribute that says in which units the numbers of the records are.
const UNITS: &str = "units";

/// What happens to records of different sources under the same key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Clash {
    /// The merge is refused, before anything is written.
    #[default]
    Refuse,
    /// The record of the first source stays.
    KeepFirst,
    /// The record of the last source stays, at its place in that source.
    KeepLast,
    /// Every key gets the name of its source and a slash in front, so that none clash: one name
    /// for each source, all different. A whole-number key becomes text.
    Prefix(Vec<Box<str>>),
}

/// How [`merge`] goes about it.
#[derive(Debug, Clone, Default)]
pub struct MergeOptions {
    /// What happens to clashing keys.
    pub clash: Clash,
    /// What the new store is made with; `None` makes it as the first source is.
    pub layout: Option<Layout>,
    /// How the new store is written, and the old one read.
    pub write: WriteOptions,
    /// Whether a store that is there is replaced; a file that is not a store never is.
    pub overwrite: bool,
    /// Whether a source whose newest commit cannot be read is taken as of an older one.
    pub accept_older: bool,
    /// How records refer to shared ones (`Some(codec::refers)`): only those are taken that a
    /// taken record refers to. `None` takes all. Either way each content is stored once.
    pub refers: Option<Refers>,
}

/// What [`merge`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Merged {
    /// The new store.
    pub copied: Copied,
    /// Records that were left out, because another source has one under the same key.
    pub left_out: u64,
    /// Attributes that sources state differently: the value of the first that states them
    /// stays.
    pub differing: Vec<String>,
}

/// Writes the records of all `sources`, stores and data sets, one source after the other, to a new
/// store at `to`. Of a data set each member counts as a source where keys are equal. Records stream in bounded memory; the sources are only read.
///
/// Attributes are joined; see [`Merged::differing`]. `progress` is told the bytes done and to
/// do; its error ends the work, and no file appears.
///
/// # Errors
/// [`Error::Exists`] with the key and both files for clashing keys (under [`Clash::Refuse`]), or
/// if there is a file at `to`; [`Error::Invalid`] for sources with different record codecs or
/// units, or names that do not fit the sources; [`Error::Corrupt`] with the record for damage;
/// [`Error::Io`].
pub fn merge<P: AsRef<Path>>(
    sources: &[P],
    to: impl AsRef<Path>,
    options: &MergeOptions,
    mut progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<Merged> {
    let paths: Vec<&Path> = sources.iter().map(AsRef::as_ref).collect();
    let opened = paths
        .iter()
        .map(|path| open_source(path, &options.write.reading(), options.accept_older))
        .collect::<Result<Vec<_>>>()?;
    let Some(first) = opened.first() else {
        return Err(Error::invalid("sources", "none was given; name at least one store"));
    };
    let mut out = Merged::default();
    let attributes = check(&paths, &opened, &options.clash, &mut out)?;
    if options.clash == Clash::Refuse {
        refuse_clashes(&paths, &opened, &mut progress)?;
    }
    let new = new_options(options.layout.as_ref(), &options.write, first);
    // A store of a version may hold records of all earlier ones.
    let version = opened.iter().map(|source| source.layout().record_codec.1).max();
    let existing = Existing::of(options.overwrite);
    let mut target = Target::with_version(to.as_ref(), first, &new, existing, version)?;
    let total = opened.iter().map(Source::record_bytes).sum();
    let mut done = 0;
    for (i, (source, path)) in opened.iter().zip(&paths).enumerate() {
        let rivals = match options.clash {
            Clash::KeepFirst => opened.get(..i),
            Clash::KeepLast => opened.get(i + 1..),
            _ => None,
        }
        .unwrap_or_default();
        let name = match &options.clash {
            Clash::Prefix(names) => names.get(i),
            _ => None,
        };
        let writer = &mut target.writer;
        let mut left_out = 0;
        for part in source.parts() {
            let part = part.map_err(|e| e.at(path))?;
            let mut carry = SharedTransfer::new(&part.snapshot, options.refers, writer)
                .map_err(|e| part.named(e).at(path))?;
            let mut carrier = RecordTransfer::new(&part.snapshot, writer);
            let merged = stream(
                &part.snapshot,
                |ordinal, key, _| {
                    if ordinal >= part.records {
                        return Ok(false);
                    }
                    let Some(key) = key else { return Ok(true) };
                    let own = part.first + ordinal;
                    let mut lost = is_rivalled(source, key, own, &options.clash)?;
                    for rival in rivals {
                        lost = lost || rival.find_key(key)?.is_some();
                    }
                    left_out += u64::from(lost);
                    Ok(!lost)
                },
                |item| {
                    let named = match (name, item.key) {
                        (Some(name), Some(key)) => Some(prefixed(name, key)),
                        (_, key) => key.cloned(),
                    };
                    carry.before(item.key, item.bytes, writer)?;
                    carrier.put(writer, named.as_ref(), &item)?;
                    done += item.bytes.len() as u64;
                    progress(done.min(total), total)
                },
            );
            merged.map_err(|e| part.named(e).at(path))?;
        }
        out.left_out += left_out;
    }
    target.writer.set_attributes(&Value::Object(attributes))?;
    out.copied = target.finish()?.publish()?;
    Ok(out)
}

/// Whether another member of the same data set has the key, and its record is the one that stays.
fn is_rivalled(source: &Source, key: &Key, own: u64, clash: &Clash) -> Result<bool> {
    if source.set().is_none() {
        return Ok(false);
    }
    Ok(match clash {
        Clash::KeepFirst => source.find_key(key)?.is_some_and(|first| first < own),
        Clash::KeepLast => source.ordinals_of(key)?.last().is_some_and(|last| *last > own),
        Clash::Refuse | Clash::Prefix(_) => false,
    })
}

fn prefixed(name: &str, key: &Key) -> Key {
    match key {
        Key::Str(text) => Key::from(format!("{name}/{text}")),
        Key::Int(n) => Key::from(format!("{name}/{n}")),
        Key::Bytes(bytes) => Key::from([name.as_bytes(), b"/", bytes].concat()),
    }
}

/// Refuses what cannot be one store; joins the attributes.
fn check(
    paths: &[&Path],
    sources: &[Source],
    clash: &Clash,
    out: &mut Merged,
) -> Result<Map<String, Value>> {
    if let Clash::Prefix(names) = clash {
        let mut sorted: Vec<_> = names.iter().collect();
        sorted.sort();
        sorted.dedup();
        if sorted.len() != sources.len() || names.len() != sources.len() {
            return Err(Error::invalid(
                "names",
                format!("give {} different names, one for each source", sources.len()),
            ));
        }
    }
    let mut joined = Map::new();
    let mut first: Option<(&Path, &Source)> = None;
    for (path, source) in paths.iter().zip(sources) {
        let attributes = match source.attributes() {
            Value::Object(attributes) => attributes,
            _ => Map::new(),
        };
        if let Some((other, earlier)) = first {
            let (a, b) = (&earlier.layout().record_codec, &source.layout().record_codec);
            if a.0 != b.0 {
                return Err(Error::invalid(
                    "record codec",
                    format!(
                        "{}, version {}, is not {}, version {}, of {}",
                        b.0,
                        b.1,
                        a.0,
                        a.1,
                        printable_path(other)
                    ),
                )
                .at(path));
            }
            // A source without a record has nothing that could be in other units.
            if !source.is_empty() && attributes.get(UNITS) != joined.get(UNITS) {
                let show =
                    |v: Option<&Value>| v.map_or_else(|| "not stated".into(), Value::to_string);
                return Err(Error::invalid(
                    "units",
                    format!(
                        "they are {}, those of {} are {}; bring both to the same units first",
                        show(attributes.get(UNITS)),
                        printable_path(other),
                        show(joined.get(UNITS))
                    ),
                )
                .at(path));
            }
        }
        for (name, value) in attributes {
            match joined.get(&name) {
                None => {
                    joined.insert(name, value);
                }
                Some(kept) if *kept != value && !out.differing.contains(&name) => {
                    out.differing.push(name);
                }
                Some(_) => {}
            }
        }
        if first.is_none() && (!source.is_empty() || sources.len() == 1) {
            first = Some((path, source));
        }
    }
    Ok(joined)
}

/// Asks, for every key, whether an earlier source has it: by the index, in bounded memory.
fn refuse_clashes(
    paths: &[&Path],
    sources: &[Source],
    progress: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Result<()> {
    for (i, (source, path)) in sources.iter().zip(paths).enumerate() {
        if i == 0 && source.set().is_none() {
            continue;
        }
        source.visit_index(&mut |ordinal, key, _| {
            if ordinal.is_multiple_of(4096) {
                progress(0, 0)?;
            }
            let Some(key) = key else { return Ok(()) };
            // An earlier member of the same data set.
            if let Some(set) = source.set()
                && let Some(first) = set.find_key(&key)?.filter(|first| *first < ordinal)
            {
                let (own, other) = (set.place(ordinal)?.0, set.place(first)?.0);
                return Err(equal_keys(&key, &set.path(own)?, &set.path(other)?));
            }
            for (earlier, other) in sources.iter().zip(paths).take(i) {
                if earlier.find_key(&key)?.is_some() {
                    return Err(equal_keys(&key, path, other));
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn equal_keys(key: &Key, path: &Path, other: &Path) -> Error {
    let what =
        format!("record {key} of {} in {}", printable_path(path), printable_path(other)).into();
    Error::Exists { what, instead: None }
}
