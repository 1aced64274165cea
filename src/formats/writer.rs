//! Writing: one frame after the other, whatever the format.

use crate::codec::MdFrame;
use crate::error::Result;

/// How to write, where a format leaves a choice.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct OutputOptions {
    /// XTC: positions become integers of `1 / precision`. Without it, the precision of each
    /// frame is used, and a frame that has none is refused.
    pub precision: Option<f32>,
}

impl OutputOptions {
    /// With this precision; see [`precision`](Self::precision).
    #[must_use]
    pub const fn with_precision(mut self, precision: f32) -> Self {
        self.precision = Some(precision);
        self
    }
}

/// Writes the frames of one trajectory.
///
/// A file appears under its name when [`finish`](Self::finish) returns, whole, and not before;
/// a writer that is dropped leaves nothing. A pipe or a device has what was written so far.
pub trait FrameWriter: Send {
    /// Appends a frame.
    ///
    /// # Errors
    /// [`Error::Unfit`](crate::Error::Unfit) with the field and the site if the format cannot hold the frame; then
    /// nothing of it is written, and the writer goes on. [`Error::Io`](crate::Error::Io) if the disk refuses, and [`Error::Poisoned`](crate::Error::Poisoned) ever
    /// after.
    fn write(&mut self, frame: &MdFrame) -> Result<()>;

    /// The fields that were in frames and have no place in the format, by name, for a note to
    /// the person who asked for the file.
    fn left_out(&self) -> Vec<String>;

    /// Makes the file durable and gives it its name.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) if the disk refuses, [`Error::Exists`](crate::Error::Exists) if a file of that name came
    /// meanwhile, [`Error::Poisoned`](crate::Error::Poisoned) after an earlier failure. Then there is no file.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// A format: a frame in, bytes out.
pub(super) trait FrameEncoder: Send {
    /// Appends the bytes of `frame` to `out`; after an error the content of `out` is unspecified.
    fn encode(&mut self, frame: &MdFrame, out: &mut Vec<u8>) -> Result<()>;

    /// After the last frame: appends what the file ends with, and returns what is to be changed in what was
    /// written. Pipes cannot be changed and stay as they are.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<Vec<Patch>> {
        let _ = out;
        Ok(Vec::new())
    }

    /// What of `frame` the format has no place for.
    fn left_out(&self, frame: &MdFrame) -> LeftOut;
}

/// Bytes that take the place of others.
pub(super) struct Patch {
    pub(super) at: u64,
    pub(super) bytes: Vec<u8>,
}

/// Names of fields that a format has no place for.
#[derive(Default)]
pub(super) struct LeftOut(pub(super) Vec<String>);

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
