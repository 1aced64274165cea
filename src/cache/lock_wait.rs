//! Waiting for the lock of a file that others write to as well.

use crate::error::{Error, Result};
use crate::store::Writer;
use std::time::{Duration, Instant};

/// The first and the longest pause of a writer that waits for its turn.
const PAUSES: (Duration, Duration) = (Duration::from_micros(200), Duration::from_millis(20));

/// Tries `open` again and again while somebody else writes, at most for as long as `wait`.
pub(super) fn open_with_retries(
    wait: Duration,
    open: impl Fn() -> Result<Writer>,
) -> Result<Writer> {
    let begun = Instant::now();
    let (mut pause, longest) = PAUSES;
    loop {
        match open() {
            // One whose file was replaced at each of its tries has bad luck, and tries again too.
            Err(e) if matches!(e.root(), Error::Locked | Error::Replaced) => {
                let waited = begun.elapsed();
                if waited >= wait {
                    return Err(e);
                }
                // Not all that wait come back at the same moment.
                let jitter = pause.mul_f64(f64::from(waited.subsec_nanos() % 1000) / 1000.0);
                std::thread::sleep((pause / 2 + jitter).min(wait.saturating_sub(waited)));
                pause = (pause * 2).min(longest);
            }
            opened => return opened,
        }
    }
}
