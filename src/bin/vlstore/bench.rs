//! `vlstore bench`: the user's own file on the user's own machine.

use crate::{Exit, Outcome};
use std::path::PathBuf;

/// Measure reading a store
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The store
    file: PathBuf,
}

pub(crate) fn run(_args: &Args) -> Outcome {
    Ok(Exit::Done)
}
