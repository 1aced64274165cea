//! Trajectories of other programs into stores and out of them.
//!
//! Knows stores of frames ([`depot`](crate::depot)) and files of other programs
//! ([`formats`](crate::formats)), and what has to happen between the two: units, resuming,
//! selections, reports. The command line and the Python package call what is here and add nothing
//! but how a person asks.

mod choice;
mod export;
mod import;
mod units;

pub use choice::Choice;
pub use export::{ExportOptions, Exported, Skipped, export, export_to};
pub use import::{
    Begin, Boundary, IMPORT, ImportOptions, Imported, Importer, Input, Progress, Target,
    describe_import,
};
pub use units::{Conversion, UNITS, state_units};
