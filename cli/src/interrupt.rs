//! Ctrl-C and requests to end: noticed between two records, so that what is begun is finished.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use vlstore::remote;
use vlstore::{Error, Result};

/// Whether a signal came. A second Ctrl-C ends the process at once.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt(Arc<AtomicUsize>);

/// What a wait for an object store looks at.
static WATCHED: Mutex<Option<Interrupt>> = Mutex::new(None);

fn current() -> Option<Interrupt> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// What the process ends with after [`Error::Interrupted`]: 128 and the number of the signal.
pub(crate) fn status() -> u8 {
    let signal = current().and_then(|interrupt| interrupt.signal());
    128_u8.saturating_add(signal.unwrap_or(2))
}

impl Interrupt {
    /// Watches from now on.
    pub(crate) fn watch() -> Result<Self> {
        let came = Arc::new(AtomicUsize::new(0));
        let failed = |e| Error::io("watch for Ctrl-C", e);
        for signal in [SIGINT, SIGTERM] {
            let number = usize::try_from(signal).unwrap_or(0);
            // In this order: the first signal finds its own flag down, the second one up.
            let again = Arc::new(AtomicBool::new(false));
            flag::register_conditional_shutdown(signal, 128 + signal, again.clone())
                .map_err(failed)?;
            flag::register(signal, again).map_err(failed)?;
            flag::register_usize(signal, came.clone(), number).map_err(failed)?;
        }
        let watched = Self(came);
        *WATCHED.lock().unwrap_or_else(PoisonError::into_inner) = Some(watched.clone());
        remote::on_wait(|| current().map_or(Ok(()), |interrupt| interrupt.check()));
        Ok(watched)
    }

    /// [`Error::Interrupted`] if a signal came.
    pub(crate) fn check(&self) -> Result<()> {
        self.signal().map_or(Ok(()), |_| Err(Error::Interrupted))
    }

    fn signal(&self) -> Option<u8> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            n => Some(u8::try_from(n).unwrap_or(2)),
        }
    }
}
