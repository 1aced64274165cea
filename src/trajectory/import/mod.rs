//! Trajectory files into a store, such that an import that was stopped anywhere, also by a kill,
//! can be given again and gives what an uninterrupted one gives, frame for frame.
//!
//! How this is known: a commit that holds frames of an import also holds, in the attribute
//! [`IMPORT`], which inputs they come from (`record`). What an input is called does not matter: it
//! is known by its content (`match_inputs`). The place in the record may lie some frames behind the
//! store, so that it need not be written with each commit: what lies between is compared frame by
//! frame (`resume`). What cannot be settled so is refused, never guessed.

mod duplicates;
mod importer;
mod inputs;
mod match_inputs;
mod options;
mod reading;
mod record;
mod resume;
mod session;
mod site_count;
mod weigh;

pub use importer::Importer;
pub use inputs::Input;
pub use options::{Begin, Duplicates, ImportOptions, Imported, Masses, Progress, Target};
pub use record::{IMPORT, describe_import};
