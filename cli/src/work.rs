//! Long work that Ctrl-C may end: a bar, and a look at the signal between two steps.

use crate::interrupt::Interrupt;
use crate::progress::Progress;
use vlstore::Result;

/// Work under way.
#[derive(Debug)]
pub(crate) struct Work {
    interrupt: Interrupt,
    progress: Progress,
}

impl Work {
    /// Begins; `what` is counted.
    pub(crate) fn begin(what: &'static str, quiet: bool) -> Result<Self> {
        let interrupt = Interrupt::watch()?;
        Ok(Self { interrupt, progress: Progress::new(0, what, quiet) })
    }

    /// As far as this; an error if a signal came.
    pub(crate) fn step(&mut self, done: u64, total: u64) -> Result<()> {
        self.progress.of(total);
        self.progress.at(done, done);
        self.interrupt.check()
    }

    /// Takes the bar away. Work that went through is done, also if a signal came after its last step; where it
    /// failed and a signal came, the signal was the reason: [`vlstore::Error::Interrupted`].
    pub(crate) fn end<T>(self, done: Result<T>) -> Result<T> {
        self.progress.end();
        done.or_else(|error| self.interrupt.check().and(Err(error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vlstore::Error;

    #[test]
    fn what_went_through_is_done_though_a_signal_came_behind_it() {
        // Both begun before the signal: of two signals, the second ends the process.
        let (through, failed) =
            (Work::begin("steps", true).unwrap(), Work::begin("steps", true).unwrap());
        signal_hook::low_level::raise(signal_hook::consts::SIGINT).unwrap();
        assert_eq!(through.end(Ok(7)).unwrap(), 7);
        let error = failed.end::<()>(Err(Error::invalid("argument", "of no matter"))).unwrap_err();
        assert!(matches!(error, Error::Interrupted), "{error}");
        assert_eq!(crate::interrupt::status(), 130);
    }
}
