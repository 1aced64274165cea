//! Reading: one frame after the other, whatever the format.

use super::kind::FormatKind;
use super::names::NameMap;
use super::report::ReadReport;
use super::sum::Sum;
use super::units::Units;
use crate::codec::{MdFrame, Topology};
use crate::error::Result;
use std::sync::Arc;

/// A place between two frames of a trajectory, to which [`FrameReader::go_to`] leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FramePlace {
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
pub struct InputOptions {
    /// The format; `None` tells it by the content, then by the name.
    pub format: Option<FormatKind>,
    /// Whether a file without a byte may be opened: one that somebody has just begun to write. Its
    /// format must be told by its name then.
    pub empty: bool,
    /// Names of keys and columns that are read as fields; see [`NameMap`].
    pub map: NameMap,
    /// What the frames have in common, for a format that does not say it itself; see
    /// [`read_topology`](super::read_topology). Frames of another number of atoms are refused.
    pub topology: Option<Arc<Topology>>,
}

impl InputOptions {
    /// Those of the format that is given; `None` tells it by the content.
    #[must_use]
    pub fn of(format: Option<FormatKind>) -> Self {
        Self { format, ..Self::default() }
    }
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
    /// Puts the next frame into `into`, whose memory is used again, and returns `true`; or
    /// `false` at a clean end of the file. What `into` held before is gone in every case.
    ///
    /// # Errors
    /// [`Error::Format`](crate::Error::Format) with the frame or line if what follows is damaged or cut short: whole
    /// frames come first, then this error, never a part of a frame. The error repeats when
    /// called again. [`Error::Io`](crate::Error::Io) if the file cannot be read.
    fn next_frame(&mut self, into: &mut MdFrame) -> Result<bool>;

    /// Passes over up to `frames` frames and returns how many there were. Costs a seek per frame
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

    /// What the file says of the atoms of the frame that was read last and that frames do not hold:
    /// names, residues, bonds. The same `Arc` as long as it stays the same; `None` before the first
    /// frame, and of a format that says nothing of the kind.
    fn topology(&self) -> Option<&Arc<Topology>> {
        None
    }

    /// Bytes that were read, and bytes in all, as the file counts them; 0 if nobody knows how many
    /// there are, as of standard input.
    fn progress(&self) -> (u64, u64);

    /// Where the next frame begins.
    fn place(&self) -> FramePlace;

    /// Goes to a place that [`place`](Self::place) or [`places`](Self::places) gave, from where
    /// reading continues, also after an error; `false` if the trajectory ends before it, or if it
    /// is not within [`reach`](Self::reach). Costs a seek, or where that cannot be done
    /// (compressed files) the reading of what lies between.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) if the file cannot be read.
    fn go_to(&mut self, place: FramePlace) -> Result<bool>;

    /// Where [`go_to`](Self::go_to) can lead.
    fn reach(&self) -> Reach;

    /// The places of all frames from here to the end of the file, an index by which any of them
    /// can be read at once. Costs as much as [`skip`](Self::skip); the reader is at the end then.
    ///
    /// # Errors
    /// As [`next_frame`](Self::next_frame).
    fn places(&mut self) -> Result<Vec<FramePlace>> {
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
