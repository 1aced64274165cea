//! Reading: one frame after the other, whatever the format.

use super::content::{self, Content};
use super::extxyz::ExtXyzReader;
use super::kind::{FormatKind, of_head};
use super::names::NameMap;
use super::report::ReadReport;
use super::source::{Source, Sum};
use super::xtc::XtcReader;
use crate::codec::MdFrame;
use crate::error::Result;
use std::io::{Read, Seek};
use std::path::Path;

/// A place between two frames of a trajectory, to which [`FrameReader::go_to`] leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Bytes of the content before it.
    pub byte: u64,
    /// Frames before it.
    pub frame: u64,
    /// Lines before it, in a format that has lines; else 0.
    pub line: u64,
}

/// Where [`FrameReader::go_to`] can lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Only on: what has been read cannot be read again (standard input, compressed files).
    Forward,
    /// To every place, also back: any frame can be read at once if its place is known.
    Anywhere,
}

/// How a trajectory is read.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ReadOptions {
    /// The format; `None` tells it by the content, then by the name.
    pub format: Option<FormatKind>,
    /// Whether a file without a byte may be opened: one that somebody has just begun to write. Its
    /// format must be told by its name then.
    pub empty: bool,
    /// Names of keys and columns that are read as fields; see [`NameMap`].
    pub map: NameMap,
}

impl ReadOptions {
    /// Those of the format that is given; `None` tells it by the content.
    #[must_use]
    pub fn of(format: Option<FormatKind>) -> Self {
        Self { format, ..Self::default() }
    }
}

/// What the numbers of a file mean: the names of its units. Most formats fix them for all their
/// files ([`FormatKind::units`]); [`FrameReader::units`] says what holds for the one that is read.
///
/// Readers never scale; whoever stores the frames states the units once per store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Units {
    /// Positions and cell.
    pub length: &'static str,
    /// The frame's time.
    pub time: &'static str,
    /// Velocities.
    pub velocity: &'static str,
    /// Energies.
    pub energy: &'static str,
    /// Forces.
    pub force: &'static str,
    /// Masses.
    pub mass: &'static str,
    /// Charges.
    pub charge: &'static str,
}

/// Frames of one trajectory, in the order of the file.
///
/// ```no_run
/// use vlstore::{codec::MdFrame, formats};
/// # fn main() -> vlstore::Result<()> {
/// let mut reader = formats::open("run.xtc".as_ref())?;
/// let mut frame = MdFrame::default();
/// while reader.next_frame(&mut frame)? {
///     println!("{:?} {}", frame.time, frame.nsites);
/// }
/// # Ok(())
/// # }
/// ```
pub trait FrameReader: Send {
    /// Puts the next frame into `into`, whose memory is used again, and answers `true`; or
    /// `false` at a clean end of the file. What `into` held before is gone in every case.
    ///
    /// # Errors
    /// [`Error::Format`](crate::Error::Format) with the frame or line if what follows is damaged or cut short: whole
    /// frames come first, then this error, never a part of a frame. The error repeats when
    /// called again. [`Error::Io`](crate::Error::Io) if the file cannot be read.
    fn next_frame(&mut self, into: &mut MdFrame) -> Result<bool>;

    /// Passes over up to `frames` frames and answers how many there were. Costs a seek per frame
    /// where the format says how long a frame is, else as much as reading them.
    ///
    /// # Errors
    /// As [`next_frame`](Self::next_frame).
    fn skip(&mut self, frames: u64) -> Result<u64> {
        let mut frame = MdFrame::default();
        for done in 0..frames {
            if !self.next_frame(&mut frame)? {
                return Ok(done);
            }
        }
        Ok(frames)
    }

    /// What is being read.
    fn kind(&self) -> FormatKind;

    /// What the numbers of this file mean: what the file says, else what its format fixes.
    fn units(&self) -> Units {
        self.kind().units()
    }

    /// Bytes that were read, and bytes in all, as the file counts them; 0 if nobody knows how many
    /// there are, as of standard input.
    fn progress(&self) -> (u64, u64);

    /// Where the next frame begins.
    fn place(&self) -> Place;

    /// Goes to a place that [`place`](Self::place) or [`places`](Self::places) gave, from where
    /// reading continues, also after an error; `false` if the trajectory ends before it, or if it
    /// is not within [`reach`](Self::reach). Costs a seek, or where that cannot be done
    /// (compressed files) the reading of what lies between.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) if the file cannot be read.
    fn go_to(&mut self, place: Place) -> Result<bool>;

    /// Where [`go_to`](Self::go_to) can lead.
    fn reach(&self) -> Reach;

    /// The places of all frames from here to the end of the file, an index by which any of them
    /// can be read at once. Costs as much as [`skip`](Self::skip); the reader is at the end then.
    ///
    /// # Errors
    /// As [`next_frame`](Self::next_frame).
    fn places(&mut self) -> Result<Vec<Place>> {
        let mut places = Vec::new();
        loop {
            let place = self.place();
            if self.skip(1)? == 0 {
                return Ok(places);
            }
            places.push(place);
        }
    }

    /// After an error: whether the file ends where more of the frame was to come. After a frame:
    /// whether its last line has no end, so that more of it may come. Both are so while another
    /// program writes to the file.
    fn unfinished(&self) -> bool;

    /// The checksum of the last bytes (at most 4 096) of the frame that was read last: those
    /// before [`place`](Self::place).
    fn tail(&self) -> Sum;

    /// What there is to say about the frames that were read so far.
    fn report(&self) -> ReadReport {
        ReadReport::default()
    }
}

/// Opens a trajectory whose format its content tells, compressed with gzip or not.
///
/// # Errors
/// As [`detect`](super::detect).
pub fn open(path: &Path) -> Result<Box<dyn FrameReader>> {
    open_with(path, &ReadOptions::default())
}

/// Opens a trajectory of a known format.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) if the file cannot be opened,
/// [`Error::Invalid`](crate::Error::Invalid) if it is a folder or a pipe and
/// [`Error::Format`](crate::Error::Format) if it is empty, all with the path. Damage shows when a
/// frame is read.
pub fn open_as(path: &Path, kind: FormatKind) -> Result<Box<dyn FrameReader>> {
    open_with(path, &ReadOptions::of(Some(kind)))
}

/// Opens a trajectory as `options` say.
///
/// # Errors
/// As [`open_as`]; if the format is to be told, as [`detect`](super::detect).
pub fn open_with(path: &Path, options: &ReadOptions) -> Result<Box<dyn FrameReader>> {
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
    options: &ReadOptions,
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
    options: &ReadOptions,
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
    fn place(&self) -> Place {
        self.inner.place()
    }
    fn go_to(&mut self, place: Place) -> Result<bool> {
        self.inner.go_to(place).map_err(|e| e.at(&self.path))
    }
    fn reach(&self) -> Reach {
        self.inner.reach()
    }
    fn units(&self) -> Units {
        self.inner.units()
    }
    fn places(&mut self) -> Result<Vec<Place>> {
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
