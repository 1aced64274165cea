//! Writing: one frame after the other, whatever the format.

use super::extxyz::ExtXyzEncoder;
use super::kind::FormatKind;
use super::staged::Staged;
use super::xtc::XtcEncoder;
use crate::codec::MdFrame;
use crate::error::{Error, Result};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

/// Bytes that are gathered before they are written.
const BATCH: usize = 1 << 20;

/// How to write, where a format leaves a choice.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct WriteOptions {
    /// XTC: positions become whole numbers of `1 / precision`. Without it, the precision of each
    /// frame is used, and a frame that has none is refused.
    pub precision: Option<f32>,
}

impl WriteOptions {
    /// With this precision; see [`precision`](Self::precision).
    #[must_use]
    pub const fn with_precision(mut self, precision: f32) -> Self {
        self.precision = Some(precision);
        self
    }
}

/// Writes the frames of one trajectory.
///
/// The file appears under its name when [`finish`](Self::finish) returns, whole, and not before;
/// a writer that is dropped leaves nothing.
pub trait FrameWriter: Send {
    /// Appends a frame.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the format cannot hold the frame; then nothing of it is written,
    /// and the writer goes on. [`Error::Io`] if the disk refuses, and [`Error::Poisoned`] ever
    /// after.
    fn write(&mut self, frame: &MdFrame) -> Result<()>;

    /// The fields that were in frames and have no place in the format, by name, for a note to
    /// the person who asked for the file.
    fn left_out(&self) -> Vec<String>;

    /// Makes the file durable and gives it its name.
    ///
    /// # Errors
    /// [`Error::Io`] if the disk refuses, [`Error::Exists`] if a file of that name came
    /// meanwhile, [`Error::Poisoned`] after an earlier failure. Then there is no file.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// Starts a trajectory file that will appear at `path`; `overwrite` allows a file to be there
/// already, which stays as it is until then.
///
/// # Errors
/// [`Error::Exists`], [`Error::Invalid`] for a folder or for options that cannot work,
/// [`Error::Io`] if the folder cannot be written to. All bear the path.
pub fn create(
    path: &Path,
    kind: FormatKind,
    options: &WriteOptions,
    overwrite: bool,
) -> Result<Box<dyn FrameWriter>> {
    let start = || {
        let encoder: Box<dyn FrameEncoder> = match kind {
            FormatKind::Xtc => Box::new(XtcEncoder::new(options)?),
            FormatKind::ExtXyz => Box::new(ExtXyzEncoder::default()),
        };
        Ok(FileWriter {
            encoder,
            file: Staged::create(path, overwrite)?,
            path: path.into(),
            waiting: Vec::new(),
            left_out: BTreeSet::new(),
            poisoned: false,
        })
    };
    start().map(|w| Box::new(w) as Box<dyn FrameWriter>).map_err(|e: Error| e.at(path))
}

/// A format: a frame in, bytes out.
pub(super) trait FrameEncoder: Send {
    /// Appends the bytes of `frame` to `out`; after an error `out` holds rubbish.
    fn encode(&mut self, frame: &MdFrame, out: &mut Vec<u8>) -> Result<()>;

    /// What of `frame` the format has no place for.
    fn left_out(&self, frame: &MdFrame) -> LeftOut;
}

/// Names of fields that a format has no place for.
#[derive(Default)]
pub(super) struct LeftOut(Vec<String>);

impl LeftOut {
    pub(super) fn note(&mut self, field: &str, present: bool) {
        if present {
            self.0.push(field.into());
        }
    }

    /// All extra properties.
    pub(super) fn properties(&mut self, frame: &MdFrame) {
        let all = frame.atom_properties.iter().chain(&frame.frame_properties);
        self.0.extend(all.map(|p| p.name.clone()));
    }
}

struct FileWriter {
    encoder: Box<dyn FrameEncoder>,
    file: Staged,
    path: Box<Path>,
    waiting: Vec<u8>,
    left_out: BTreeSet<String>,
    poisoned: bool,
}

impl FileWriter {
    fn push(&mut self) -> Result<()> {
        if let Err(e) = self.file.write_all(&self.waiting) {
            self.poisoned = true;
            return Err(Error::io("write", e));
        }
        self.waiting.clear();
        Ok(())
    }

    fn append(&mut self, frame: &MdFrame) -> Result<()> {
        if self.poisoned {
            return Err(Error::Poisoned);
        }
        let whole = self.waiting.len();
        if let Err(e) = self.encoder.encode(frame, &mut self.waiting) {
            self.waiting.truncate(whole);
            return Err(e);
        }
        self.left_out.extend(self.encoder.left_out(frame).0);
        if self.waiting.len() >= BATCH { self.push() } else { Ok(()) }
    }
}

impl FrameWriter for FileWriter {
    fn write(&mut self, frame: &MdFrame) -> Result<()> {
        self.append(frame).map_err(|e| e.at(&self.path))
    }

    fn left_out(&self) -> Vec<String> {
        self.left_out.iter().cloned().collect()
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        let path = self.path.clone();
        let end = if self.poisoned { Err(Error::Poisoned) } else { self.push() };
        end.and_then(|()| self.file.publish()).map_err(|e| e.at(&path))
    }
}
