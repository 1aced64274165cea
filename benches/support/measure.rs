//! Two things timed turn by turn, so that whatever else the machine does meets both.

use std::time::Instant;

/// Seconds of both sides, round by round.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) ours: Vec<f64>,
    pub(crate) reference: Vec<f64>,
}

/// The middle value.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut v = values.to_vec();
    v.sort_by(f64::total_cmp);
    v.get(v.len() / 2).copied().unwrap_or(f64::NAN)
}

impl Pair {
    /// Median over the rounds of our time through that of the reference in the same round.
    pub(crate) fn ratio(&self) -> f64 {
        let each: Vec<f64> = self.ours.iter().zip(&self.reference).map(|(a, b)| a / b).collect();
        median(&each)
    }
}

/// Seconds that `f` takes.
pub(crate) fn seconds(f: impl FnOnce()) -> f64 {
    let start = Instant::now();
    f();
    start.elapsed().as_secs_f64()
}

/// Runs A B A B …, after one round that does not count. Each answers the seconds that count.
pub(crate) fn interleave(
    rounds: usize,
    mut ours: impl FnMut() -> f64,
    mut reference: impl FnMut() -> f64,
) -> Pair {
    ours();
    reference();
    let mut pair = Pair { ours: Vec::new(), reference: Vec::new() };
    for _ in 0..rounds {
        pair.ours.push(ours());
        pair.reference.push(reference());
    }
    pair
}

/// Whether this is `cargo bench` and not a build of all targets for tests.
pub(crate) fn wanted() -> bool {
    std::env::args().any(|a| a == "--bench")
}

/// A number from the environment.
pub(crate) fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

/// Peak resident memory of this process so far, in bytes; 0 where the system does not tell.
pub(crate) fn peak_memory() -> u64 {
    status("VmHWM:")
}

/// Memory of this process now, in bytes, without the pages of files that it maps; 0 where the
/// system does not tell.
#[allow(dead_code, reason = "not every bench asks")]
pub(crate) fn own_memory() -> u64 {
    status("RssAnon:")
}

fn status(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with(what)).unwrap_or_default();
    let kib = line.split_ascii_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
