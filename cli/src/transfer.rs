//! What `push` and `pull` have in common: progress, an interruption, and one line of what was done.

use crate::outcome::{Exit, Outcome};
use crate::output::{Out, shown};
use crate::work::Work;
use serde_json::Value;
use std::path::Path;
use vlstore::Result;

/// How it is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Told {
    /// As one JSON object
    #[arg(long)]
    json: bool,
    /// Print no progress
    #[arg(short, long)]
    quiet: bool,
}

impl Told {
    /// Lets `transfer` run, which is given whom to tell how far it is, and prints what it did to `target`: as JSON, or
    /// in words.
    pub(crate) fn run<T>(
        &self,
        target: &Path,
        transfer: impl FnOnce(&mut dyn FnMut(u64, u64) -> Result<()>) -> Result<T>,
        json: impl FnOnce(&T) -> Value,
        words: impl FnOnce(&T) -> String,
    ) -> Outcome {
        let mut work = Work::begin("bytes", self.quiet || self.json)?;
        let done = transfer(&mut |done, total| work.step(done, total));
        let done = work.end(done)?;
        let mut out = Out::new();
        if self.json {
            out.line(json(&done))?;
        } else if !self.quiet {
            out.line(format!("{}: {}", shown(target), words(&done)))?;
        }
        out.end()?;
        Ok(Exit::Done)
    }
}
