//! Long work that Ctrl-C may end: a bar, and a look at the signal between two steps.

use crate::interrupt::Interrupt;
use crate::progress::Progress;
use vlstore::{Error, Result};

/// Work under way.
#[derive(Debug)]
pub(crate) struct Work {
    interrupt: Interrupt,
    progress: Progress,
    signal: Option<u8>,
}

impl Work {
    /// Begins; `what` is counted.
    pub(crate) fn begin(what: &'static str, quiet: bool) -> Result<Self> {
        let interrupt = Interrupt::watch()?;
        Ok(Self { interrupt, progress: Progress::new(0, what, quiet), signal: None })
    }

    /// As far as this; an error if a signal came.
    pub(crate) fn step(&mut self, done: u64, total: u64) -> Result<()> {
        self.progress.of(total);
        self.progress.at(done, done);
        self.signal = self.interrupt.signal();
        if self.signal.is_some() { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// Takes the bar away; the signal that ended the work, if one did.
    pub(crate) fn end(self) -> Option<u8> {
        self.progress.end();
        // It may have ended a wait between two steps.
        self.signal.or_else(|| self.interrupt.signal())
    }
}
