//! The inputs that an import is given.

use crate::error::{Error, Result};
use crate::formats::{self, FormatKind, FramePlace, FrameReader, InputOptions, Units};
use crate::wire::checksum;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Where frames come from.
pub enum Input {
    /// A file, compressed with gzip or not.
    Path(PathBuf),
    /// A stream, compressed with gzip or not, and what errors call it. It cannot be resumed.
    Stream(PathBuf, Box<dyn Read + Send>),
}

impl Input {
    /// Standard input.
    #[must_use]
    pub fn standard() -> Self {
        Self::Stream("standard input".into(), Box::new(std::io::stdin()))
    }

    /// Its path, or what errors call it.
    #[must_use]
    pub fn name(&self) -> &Path {
        match self {
            Self::Path(path) | Self::Stream(path, _) => path,
        }
    }
}

impl From<PathBuf> for Input {
    fn from(path: PathBuf) -> Self {
        Self::Path(path)
    }
}

impl From<&Path> for Input {
    fn from(path: &Path) -> Self {
        Self::Path(path.into())
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Input({:?})", self.name())
    }
}

/// An input as it was found.
pub(super) struct Given {
    pub(super) name: PathBuf,
    pub(super) kind: FormatKind,
    /// What its numbers mean.
    pub(super) units: Units,
    /// XXH3 of its whole path; `None` for a stream.
    pub(super) path: Option<u64>,
    /// Its length as the file counts it; 0 if nobody knows.
    pub(super) bytes: u64,
    /// A stream that is open already: it cannot be opened again.
    stream: Option<Box<dyn FrameReader>>,
    /// Which row of the record it is, if the store has frames of it.
    pub(super) row: Option<usize>,
    /// Where reading begins.
    pub(super) begin: FramePlace,
    /// Whether there is nothing to read that is not stored.
    pub(super) done: bool,
}

impl Given {
    /// Looks at an input; nothing of a file is kept open.
    pub(super) fn look(input: Input, options: &InputOptions) -> Result<Self> {
        let (name, path, reader) = match input {
            Input::Path(path) => {
                let reader = formats::open_with(&path, options)?;
                (path.clone(), Some(path_sum(&path)), reader)
            }
            Input::Stream(name, stream) => {
                let reader = formats::read_from(stream, &name, options)?;
                (name, None, reader)
            }
        };
        let (kind, units, bytes) = (reader.kind(), reader.units(), reader.progress().1);
        let stream = path.is_none().then_some(reader);
        Ok(Self {
            name,
            kind,
            units,
            path,
            bytes,
            stream,
            row: None,
            begin: FramePlace::default(),
            done: false,
        })
    }

    /// Opens it, where reading begins.
    pub(super) fn open(&mut self, options: &InputOptions) -> Result<Box<dyn FrameReader>> {
        if self.path.is_none() {
            let again = || Error::invalid("input", "a stream cannot be read twice").at(&self.name);
            return self.stream.take().ok_or_else(again);
        }
        let options = InputOptions { format: Some(self.kind), ..options.clone() };
        formats::open_with(&self.name, &options)
    }

    /// The last part of its name.
    pub(super) fn file(&self) -> String {
        let name = self.name.file_name().unwrap_or(self.name.as_os_str());
        name.to_string_lossy().into_owned()
    }
}

/// What stands for a path, so that a store does not tell where its user keeps files.
fn path_sum(path: &Path) -> u64 {
    let whole = path.canonicalize().unwrap_or_else(|_| path.into());
    checksum(whole.as_os_str().as_encoded_bytes())
}

/// Whether two paths lead to one file.
pub(super) fn same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}
