//! A bar on a terminal, and nothing anywhere else.

use crate::output::grouped;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::{Duration, Instant};

/// How far a verb has come, with rate and the time that is left.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    what: &'static str,
    begun: Instant,
    shown: Instant,
}

const EACH: Duration = Duration::from_millis(100);

impl Progress {
    /// Of `total` bytes (or whatever is counted), telling how many `what` there were.
    pub(crate) fn new(total: u64, what: &'static str, quiet: bool) -> Self {
        let target =
            if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        let style = "{percent:>3}% {bar:30.cyan/blue} {msg}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        let now = Instant::now();
        Self { bar, what, begun: now, shown: now }
    }

    /// Corrects the total.
    pub(crate) fn of(&self, total: u64) {
        self.bar.set_length(total);
    }

    /// At `at` of the total, `count` things done.
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as above")]
    pub(crate) fn at(&mut self, at: u64, count: u64) {
        if self.bar.is_hidden() || self.shown.elapsed() < EACH {
            return;
        }
        self.shown = Instant::now();
        let rate = count as f64 / self.begun.elapsed().as_secs_f64().max(1e-9);
        self.bar.set_message(format!(
            "{} {}, {}/s",
            grouped(count),
            self.what,
            grouped(rate as u64)
        ));
        self.bar.set_position(at);
    }

    /// Takes the bar away.
    pub(crate) fn end(self) {
        self.bar.finish_and_clear();
    }
}
