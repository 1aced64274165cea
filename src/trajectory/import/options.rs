//! What an import is asked for, and what it tells.

use crate::error::{Error, Result};
use crate::formats::{InputOptions, ReadReport};
use crate::store::StoreOptions;
use crate::trajectory::positions::Positions;
use crate::trajectory::share_topologies::Sharing;

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

/// What becomes of frames that the inputs or the store have already, as a simulation writes them
/// that is started again from a checkpoint.
///
/// Two frames are the same if step, time and every other part of them are equal, bit for bit, as
/// they are stored. A frame with the step and time of an earlier one and other content is another
/// version of it, unless steps and times stand still there (files whose steps are all 0). Steps and times of DCD are counted from its header: there two frames are the same if all
/// else is, and there are no versions. The newest 1 048 576 frames are remembered; of frames that
/// were stored by earlier imports only the last one unless something else than
/// [`Keep`](Self::Keep) is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Duplicates {
    /// All are stored; the import says how many there are and where.
    #[default]
    Keep,
    /// The same frame is stored once; other versions of a frame are kept.
    Drop,
    /// The same frame is stored once; another version of a frame replaces it and all that was
    /// stored after it, so that the run as it went on is stored. If frames that were taken since the
    /// steps went back would be lost by that, both versions are kept.
    Latest,
    /// The first one ends the import with an error.
    Refuse,
}

impl Duplicates {
    /// Every variant.
    pub const ALL: [Self; 4] = [Self::Keep, Self::Drop, Self::Latest, Self::Refuse];

    /// The name on the command line and in Python.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Drop => "drop",
            Self::Latest => "latest",
            Self::Refuse => "refuse",
        }
    }

    /// The variant of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|b| b.name() == name)
    }
}

/// Where the masses of atoms come from that the input does not state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Masses {
    /// From nowhere: they are absent.
    #[default]
    AsGiven,
    /// From the types, which are atomic numbers; see
    /// [`standard_masses`](crate::formats::standard_masses). A frame without types is refused, as is a
    /// type that is no element.
    OfElements,
}

impl Masses {
    /// The name on the command line and in Python.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AsGiven => "given",
            Self::OfElements => "elements",
        }
    }

    /// The variant of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::AsGiven, Self::OfElements].into_iter().find(|m| m.name() == name)
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
    /// Where masses come from that the input does not state. An input that was begun so goes on so.
    pub masses: Masses,
    /// How positions are kept that are not rounded.
    pub positions: Positions,
    /// What becomes of what frames have in common.
    pub topologies: Sharing,
    /// Keys are this text and the number of the frame, instead of the number alone. A store that
    /// was filled so goes on so.
    pub key_prefix: Option<String>,
    /// Commit after so many frames, beside what [`StoreOptions`] say.
    pub commit_frames: Option<u64>,
    /// What becomes of frames that are there twice; `None` as the interrupted import said, else
    /// [`Duplicates::Keep`].
    pub duplicates: Option<Duplicates>,
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
            masses: Masses::default(),
            positions: Positions::Quantised,
            topologies: Sharing::Repeated,
            key_prefix: None,
            commit_frames: None,
            duplicates: None,
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
    /// Frames of the inputs that were there already, see [`Duplicates`]: kept or not.
    pub duplicates: u64,
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
