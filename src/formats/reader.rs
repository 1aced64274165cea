//! Reading: one frame after the other, whatever the format.

use super::extxyz::ExtXyzReader;
use super::kind::{FormatKind, detect};
use super::source::Source;
use super::xtc::XtcReader;
use crate::codec::MdFrame;
use crate::error::{Error, Result};
use std::fs::File;
use std::path::Path;

/// What the numbers of a format mean: the names of its units, fixed for all files of the format.
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
    /// [`Error::Format`] with the frame or line if what follows is damaged or cut short: whole
    /// frames come first, then this error, never a part of a frame. The error repeats when
    /// called again. [`Error::Io`] if the file cannot be read.
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

    /// What the numbers mean.
    fn units(&self) -> Units {
        self.kind().units()
    }

    /// Bytes that were read, and bytes in all.
    fn progress(&self) -> (u64, u64);
}

/// Opens a trajectory whose format [`detect`] tells.
///
/// # Errors
/// As [`detect`].
pub fn open(path: &Path) -> Result<Box<dyn FrameReader>> {
    open_as(path, detect(path)?)
}

/// Opens a trajectory of a known format.
///
/// # Errors
/// [`Error::Io`] if the file cannot be opened, [`Error::Invalid`] if it is a folder or a pipe
/// and [`Error::Format`] if it is empty, all with the path. Damage shows when a frame is read.
pub fn open_as(path: &Path, kind: FormatKind) -> Result<Box<dyn FrameReader>> {
    let inner = open_file(path).map_err(|e| e.at(path)).map(|(file, total)| {
        let source = Source::file(file, total);
        match kind {
            FormatKind::Xtc => Box::new(XtcReader::new(source)) as Box<dyn FrameReader>,
            FormatKind::ExtXyz => Box::new(ExtXyzReader::new(source)),
        }
    })?;
    Ok(Box::new(AtPath { inner, path: path.into() }))
}

/// Opens a regular file with something in it, and tells its length.
pub(super) fn open_file(path: &Path) -> Result<(File, u64)> {
    // Asked before opening: opening a pipe waits for someone to write to it.
    let about = std::fs::metadata(path).map_err(|e| Error::io("open", e))?;
    if about.is_dir() {
        return Err(Error::invalid("trajectory", "this is a folder; name a file in it"));
    }
    if !about.is_file() {
        return Err(Error::invalid(
            "trajectory",
            "not a regular file; copy what it gives to a file first",
        ));
    }
    if about.len() == 0 {
        return Err(Error::format("trajectory", "byte 0", "the file is empty"));
    }
    let file = File::open(path).map_err(|e| Error::io("open", e))?;
    Ok((file, about.len()))
}

/// Adds the path to every error.
struct AtPath {
    inner: Box<dyn FrameReader>,
    path: Box<Path>,
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
}
