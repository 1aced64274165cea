//! Opening: which format, and its reader.

use super::content::{self, Content};
use super::dcd::DcdReader;
use super::extxyz::ExtXyzReader;
use super::frame_format::Frames;
use super::gro::GroReader;
use super::kind::{FormatKind, of_head};
use super::names::NameMap;
use super::pdb::PdbReader;
use super::reader::{FramePlace, FrameReader, InputOptions, Reach};
use super::report::ReadReport;
use super::source::Source;
use super::sum::Sum;
use super::trr::TrrReader;
use super::units::Units;
use super::xtc::XtcReader;
use crate::codec::{MdFrame, Topology, TopologyRef};
use crate::error::{Error, Result};
use std::io::{Read, Seek};
use std::path::Path;
use std::sync::Arc;

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
    Ok(Box::new(AtPath::new(inner, path, options)))
}

/// What a file says of the atoms of its first frame: names, residues, bonds, and of a format
/// without these the types and masses of the frame.
///
/// # Errors
/// As [`open`] and [`FrameReader::next_frame`]; [`Error::Format`](crate::Error::Format) if there
/// is no frame, or if it says nothing of its atoms.
pub fn read_topology(path: &Path) -> Result<Topology> {
    let mut reader = open(path)?;
    let mut frame = MdFrame::default();
    let refused = |why: &str| Error::format("topology", "frame 0", why).at(path);
    if !reader.next_frame(&mut frame)? {
        return Err(refused("the file has no frames"));
    }
    if let Some(topology) = reader.topology() {
        return Ok(Topology::clone(topology));
    }
    TopologyRef::of_frame(&frame.view()).map(|topology| topology.to_owned()).ok_or_else(|| {
        refused(
            "the file does not say what its atoms are; give one that does, such as PDB, GRO or extended XYZ",
        )
    })
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
    Ok(Box::new(AtPath::new(inner, name, options)))
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
        FormatKind::Xtc => Box::new(Frames::new(XtcReader::default(), source)),
        FormatKind::Trr => Box::new(Frames::new(TrrReader::default(), source)),
        FormatKind::Dcd => Box::new(Frames::new(DcdReader::default(), source)),
        FormatKind::ExtXyz => Box::new(Frames::new(ExtXyzReader::new(map.clone()), source)),
        FormatKind::Pdb => Box::new(Frames::new(PdbReader::default(), source)),
        FormatKind::Gro => Box::new(Frames::new(GroReader::default(), source)),
    }
}

/// Adds the path to every error, and the topology that was given for the file.
struct AtPath {
    inner: Box<dyn FrameReader>,
    path: Box<Path>,
    /// The names of the map, which no format but one knows.
    names: ReadReport,
    topology: Option<Arc<Topology>>,
}

impl AtPath {
    fn new(inner: Box<dyn FrameReader>, path: &Path, options: &InputOptions) -> Self {
        let (names, topology) = (ReadReport::of(&options.map), options.topology.clone());
        Self { inner, path: path.into(), names, topology }
    }

    /// Refuses a frame that the topology does not fit.
    fn fits(&self, frame: &MdFrame) -> Result<()> {
        match self.topology() {
            Some(topology) if topology.nsites != frame.nsites => {
                let place = format!("frame {}", self.inner.place().frame.saturating_sub(1));
                let why = format!(
                    "it has {} atoms, but the topology that was given has {}",
                    frame.nsites, topology.nsites
                );
                Err(Error::format("trajectory", place, why))
            }
            _ => Ok(()),
        }
    }
}

impl FrameReader for AtPath {
    fn next_frame(&mut self, into: &mut MdFrame) -> Result<bool> {
        let next = self.inner.next_frame(into).and_then(|more| match more {
            true => self.fits(into).map(|()| true),
            false => Ok(false),
        });
        next.map_err(|e| e.at(&self.path))
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
    fn topology(&self) -> Option<&Arc<Topology>> {
        self.inner.topology().or(self.topology.as_ref())
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
