//! Folders of `<id>.npy`, each of two rows or more, with a map of ids and lengths beside them: what
//! student storage managers of the course CS207 write.

use super::collection_write::store_in;
use super::manager::SeriesStore;
use super::npy::{self, Npy};
use super::points::Points;
use crate::error::{Error, Result};
use crate::existing::Existing;
use crate::key::Key;
use std::collections::BTreeSet;
use std::path::Path;

/// The name of the map in such a folder.
pub const MAP: &str = "id_length_map.json";

/// What is done with files that the map does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unlisted {
    /// They are named and left.
    #[default]
    Leave,
    /// They are named and imported.
    Import,
}

/// What an import found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FolderImport {
    /// The ids that were imported, in alphabetical order.
    pub ids: Vec<Key>,
    /// Ids of the map whose file is missing, damaged, or of another length, with the reason.
    pub broken: Vec<(String, String)>,
    /// Ids of files that the map does not name.
    pub unlisted: Vec<String>,
}

/// Imports all series of a folder in one commit, bit for bit: the first row of each file is times, the
/// others are channels. An entry of the map without its file, or whose file is damaged or of another
/// length, is named, and so is a file that the map does not name; the rest comes.
///
/// # Errors
/// [`Error::Io`] and [`Error::Format`] if the map cannot be read; as [`SeriesStore::store`].
pub fn import_folder(
    store: &mut SeriesStore,
    folder: &Path,
    existing: Existing,
    unlisted: Unlisted,
) -> Result<FolderImport> {
    let path = folder.join(MAP);
    let text = std::fs::read_to_string(&path).map_err(|e| Error::io("read", e).at(&path))?;
    let map: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&text).map_err(|e| {
            let why = format!("{e}; the map is an object of ids and their numbers of points");
            Error::format("JSON", format!("line {}", e.line()), why).at(&path)
        })?;
    store.writing(|writer, options| {
        let mut out = FolderImport::default();
        let mut put = |id: &str, npy: &Npy| {
            let mut rows = npy.rows();
            let times = rows.next();
            let points = Points::new(times, rows.collect())?;
            let key = Key::from(id);
            match store_in(writer, options, &key, &points, existing, |_| Ok(None)) {
                // Which one it is that times do not fit.
                Err(error @ Error::Invalid { .. }) => {
                    let key = format!("series {key}").into();
                    Err(Error::Record { key, source: Box::new(error) })
                }
                stored => stored.map(drop),
            }
        };
        for (id, length) in &map {
            match load(folder, id) {
                Ok(npy) if Some(npy.columns as u64) == length.as_u64() => {
                    put(id, &npy)?;
                    out.ids.push(Key::from(id.as_str()));
                }
                Ok(npy) => {
                    let why =
                        format!("the map says {length} points, and the file has {}", npy.columns);
                    out.broken.push((id.clone(), why));
                }
                Err(error) => out.broken.push((id.clone(), error.to_string())),
            }
        }
        let known: BTreeSet<&str> = map.keys().map(String::as_str).collect();
        for id in files(folder)? {
            if known.contains(id.as_str()) {
                continue;
            }
            if unlisted == Unlisted::Import {
                match load(folder, &id) {
                    Ok(npy) => {
                        put(&id, &npy)?;
                        out.ids.push(Key::from(id.as_str()));
                    }
                    Err(error) => out.broken.push((id.clone(), error.to_string())),
                }
            }
            out.unlisted.push(id);
        }
        Ok(out)
    })
}

fn load(folder: &Path, id: &str) -> Result<Npy> {
    // A name with a separator would lead out of the folder; no such file was ever written there.
    if id.contains(['/', '\\', '\0']) || id == ".." {
        return Err(Error::invalid("id", "is not the name of a file in this folder"));
    }
    let path = folder.join(format!("{id}.npy"));
    let bytes = std::fs::read(&path).map_err(|e| Error::io("read", e).at(&path))?;
    npy::parse(&bytes).map_err(|e| e.at(&path))
}

/// The names of all `.npy` files, without the ending, sorted.
fn files(folder: &Path) -> Result<Vec<String>> {
    let failed = |e| Error::io("list", e).at(folder);
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if let Some(id) = name.to_str().and_then(|n| n.strip_suffix(".npy")) {
            out.push(id.to_owned());
        }
    }
    out.sort();
    Ok(out)
}
