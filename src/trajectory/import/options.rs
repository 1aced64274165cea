//! What an import is asked for, and what it tells.

use crate::error::{Error, Result};
use crate::formats::{InputOptions, ReadReport};
use crate::store::StoreOptions;
use crate::trajectory::positions::Positions;
use crate::trajectory::sharing::Sharing;

/// What becomes of a store that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Target {
    /// It is left alone, and the import is refused: there must be none.
    #[default]
    Create,
    /// Frames are added to it. If there is none, one is made.
    Append,
    /// It is replaced.
    Replace,
}

/// Where in the inputs an import begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// Frames with a smaller simulation step are passed over.
    Step(i64),
    /// At this frame of the inputs, counted from 0 across all of them.
    Frame(u64),
}

/// What becomes of the first frame of an input that equals, bit for bit, the last frame of the one
/// before it, as GROMACS writes it into the parts of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Boundary {
    /// It is stored like any other; the import says so.
    #[default]
    Keep,
    /// It is passed over; the import says so.
    Drop,
}

impl Boundary {
    /// Every variant.
    pub const ALL: [Self; 2] = [Self::Keep, Self::Drop];

    /// The name on the command line and in Python.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Drop => "drop",
        }
    }

    /// The variant of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|b| b.name() == name)
    }
}

/// How [`Importer::open`](super::Importer::open) goes about it.
///
/// With [`Target::Append`] and none of `begin`, `drop_newer` and `keep_all`, the frames that the
/// store does not have yet are added, as its own record of its inputs says.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// What a new store is made with, and what the writer does.
    pub store: StoreOptions,
    /// What becomes of a store that is there.
    pub target: Target,
    /// Where the inputs begin. Frames before it are passed over. Of a store that does not know
    /// where its frames come from, all from here on are added.
    pub begin: Option<Begin>,
    /// Delete what the store has at and past `begin`, and add all from there on.
    pub drop_newer: bool,
    /// Add all frames, also those that the store has already.
    pub keep_all: bool,
    /// The store holds numbers in the units of the inputs, though it does not say so.
    pub same_units: bool,
    /// How the inputs are read.
    pub read: InputOptions,
    /// Store float64 arrays as float32. An input that was begun so goes on so.
    pub float32: bool,
    /// Round positions to integers of one part in so many of the unit of length. An input that
    /// was begun so goes on so.
    pub precision: Option<f32>,
    /// How positions are kept that are not rounded.
    pub positions: Positions,
    /// What becomes of what frames have in common.
    pub topologies: Sharing,
    /// Keys are this text and the number of the frame, instead of the number alone. A store that
    /// was filled so goes on so.
    pub key_prefix: Option<String>,
    /// Commit after so many frames, beside what [`StoreOptions`] say.
    pub commit_frames: Option<u64>,
    /// What becomes of a frame that two inputs share; `None` as the interrupted import said, else
    /// [`Boundary::Keep`].
    pub boundary: Option<Boundary>,
    /// Whether the inputs may still be written to: then a last frame that is not complete is left
    /// for the next time. `None` as the interrupted import said, else so with [`Target::Append`].
    pub growing: Option<bool>,
    /// Take frames of another number of atoms than those of the store.
    pub mixed: bool,
    /// Let new frames of an input come behind those of inputs that were stored after it.
    pub out_of_order: bool,
    /// Bytes of the inputs after which the place is written down anew: what a resumed import
    /// compares, at most, after a kill.
    pub mark_bytes: u64,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            store: StoreOptions::default(),
            target: Target::default(),
            begin: None,
            drop_newer: false,
            keep_all: false,
            same_units: false,
            read: InputOptions::default(),
            float32: false,
            precision: None,
            positions: Positions::Quantised,
            topologies: Sharing::Repeated,
            key_prefix: None,
            commit_frames: None,
            boundary: None,
            growing: None,
            mixed: false,
            out_of_order: false,
            mark_bytes: 64 << 20,
        }
    }
}

impl ImportOptions {
    /// Refuses what cannot work.
    ///
    /// # Errors
    /// [`Error::Invalid`] that names the option.
    pub fn check(&self) -> Result<()> {
        self.store.check()?;
        if self.drop_newer && self.begin.is_none() {
            return Err(Error::invalid(
                "--drop-newer",
                "wants --from-step or --from-frame with it",
            ));
        }
        if self.drop_newer && self.keep_all {
            return Err(Error::invalid("--drop-newer", "cannot be used with --keep-all"));
        }
        if self.precision.is_some_and(|p| !(p.is_finite() && p > 0.0)) {
            return Err(Error::invalid("--precision", "it must be a number above zero"));
        }
        Ok(())
    }
}

/// How far an import has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Progress {
    /// Frames that were added; of an import that could not write those that were committed.
    pub frames: u64,
    /// Bytes of the inputs that were read.
    pub bytes: u64,
    /// Bytes of the inputs in all; 0 if nobody knows.
    pub total: u64,
}

/// What an import did.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Imported {
    /// Frames that were added.
    pub frames: u64,
    /// Frames of the inputs that were passed over: the store had them, or they were not asked for.
    pub skipped: u64,
    /// Stored frames that were deleted.
    pub dropped: u64,
    /// Frames that were added with their positions as integers.
    pub quantised: u64,
    /// Records of the store when the import ended.
    pub records: u64,
    /// Bytes of the inputs.
    pub bytes: u64,
    /// What its user should know.
    pub notes: Vec<String>,
    /// What the readers met, in numbers; it is also among the notes.
    pub read: ReadReport,
}
