//! Opening: which format, and its reader.

use super::content::{self, Content};
use super::extxyz::ExtXyzReader;
use super::kind::{FormatKind, of_head};
use super::names::NameMap;
use super::reader::{FramePlace, FrameReader, InputOptions, Reach};
use super::report::ReadReport;
use super::source::Source;
use super::sum::Sum;
use super::units::Units;
use super::xtc::XtcReader;
use crate::codec::MdFrame;
use crate::error::Result;
use std::io::{Read, Seek};
use std::path::Path;

/// Opens a trajectory whose format its content tells, compressed with gzip or not.
///
/// # Errors
/// As [`detect`](super::detect).
pub fn open(path: &Path) -> Result<Box<dyn FrameReader>> {
    open_with(path, &InputOptions::default())
}

/// Opens a trajectory of a known format.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) if the file cannot be opened,
/// [`Error::Invalid`](crate::Error::Invalid) if it is a folder or a pipe and
/// [`Error::Format`](crate::Error::Format) if it is empty, all with the path. Damage shows when a
/// frame is read.
pub fn open_as(path: &Path, kind: FormatKind) -> Result<Box<dyn FrameReader>> {
    open_with(path, &InputOptions::of(Some(kind)))
}

/// Opens a trajectory as `options` say.
///
/// # Errors
/// As [`open_as`]; if the format is to be told, as [`detect`](super::detect).
pub fn open_with(path: &Path, options: &InputOptions) -> Result<Box<dyn FrameReader>> {
    let open = || {
        let (head, content) = content::open(path, options.empty)?;
        reader(&head, content, FormatKind::from_path(path), options)
    };
    let inner = open().map_err(|e| e.at(path))?;
    Ok(Box::new(AtPath { inner, path: path.into(), names: ReadReport::of(&options.map) }))
}

/// Reads a trajectory from a stream, such as standard input, compressed with gzip or not. `name` is
/// what errors call it.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) if it cannot be read; [`Error::Format`](crate::Error::Format)
/// if it is empty, or if its format is to be told and its first bytes are of none; both with `name`.
pub fn read_from(
    stream: impl Read + Send + 'static,
    name: &Path,
    options: &InputOptions,
) -> Result<Box<dyn FrameReader>> {
    let open = || {
        let (head, content) = content::stream(stream, 0)?;
        reader(&head, content, None, options)
    };
    let inner = open().map_err(|e| e.at(name))?;
    Ok(Box::new(AtPath { inner, path: name.into(), names: ReadReport::of(&options.map) }))
}

fn reader(
    head: &[u8],
    content: Content,
    named: Option<FormatKind>,
    options: &InputOptions,
) -> Result<Box<dyn FrameReader>> {
    let kind = match (options.format, named) {
        (Some(kind), _) => kind,
        (None, Some(kind)) if head.is_empty() && options.empty => kind,
        _ => of_head(head, named)?,
    };
    Ok(match content {
        Content::Plain(file, total) => of_kind(kind, Source::file(file, total), &options.map),
        Content::Stream(stream, raw) => of_kind(kind, Source::stream(stream, raw), &options.map),
    })
}

fn of_kind<R: Read + Seek + Send + 'static>(
    kind: FormatKind,
    source: Source<R>,
    map: &NameMap,
) -> Box<dyn FrameReader> {
    match kind {
        FormatKind::Xtc => Box::new(XtcReader::new(source)),
        FormatKind::ExtXyz => Box::new(ExtXyzReader::new(source, map.clone())),
    }
}

/// Adds the path to every error.
struct AtPath {
    inner: Box<dyn FrameReader>,
    path: Box<Path>,
    /// The names of the map, which no format but one knows.
    names: ReadReport,
}

impl FrameReader for AtPath {
    fn next_frame(&mut self, into: &mut MdFrame) -> Result<bool> {
        self.inner.next_frame(into).map_err(|e| e.at(&self.path))
    }
    fn skip(&mut self, frames: u64) -> Result<u64> {
        self.inner.skip(frames).map_err(|e| e.at(&self.path))
    }
    fn kind(&self) -> FormatKind {
        self.inner.kind()
    }
    fn progress(&self) -> (u64, u64) {
        self.inner.progress()
    }
    fn place(&self) -> FramePlace {
        self.inner.place()
    }
    fn go_to(&mut self, place: FramePlace) -> Result<bool> {
        self.inner.go_to(place).map_err(|e| e.at(&self.path))
    }
    fn reach(&self) -> Reach {
        self.inner.reach()
    }
    fn units(&self) -> Units {
        self.inner.units()
    }
    fn places(&mut self) -> Result<Vec<FramePlace>> {
        self.inner.places().map_err(|e| e.at(&self.path))
    }
    fn unfinished(&self) -> bool {
        self.inner.unfinished()
    }
    fn tail(&self) -> Sum {
        self.inner.tail()
    }
    fn report(&self) -> ReadReport {
        let mut all = self.names.clone();
        all.add(&self.inner.report().at(&self.path));
        all
    }
}
