//! How evenly the cost is divided between ranks, and how much of padded batches is padding.

use super::ranks::Rest;
use super::schedule::Schedule;
use crate::error::Result;
use crate::wire::memory;

/// What the ranks have in an epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct Balance {
    /// The cost of all batches of each rank.
    pub sums: Vec<u64>,
    /// How many batches each rank has.
    pub steps: u64,
    /// The median over the steps of the greatest cost of a rank divided by the mean of all ranks: how
    /// long a step takes, compared with one in which all are busy equally long.
    pub median: f64,
    /// The same of the worst step.
    pub worst: f64,
}

#[expect(clippy::cast_precision_loss, reason = "costs of batches are far below 2^53")]
const fn float(n: u64) -> f64 {
    n as f64
}

impl Balance {
    /// Of an epoch of `world` ranks, in which a record costs what `cost` says.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory) for more ranks than there is memory for.
    pub fn of(
        schedule: &Schedule,
        epoch: u64,
        world: u64,
        rest: Rest,
        cost: impl Fn(u64) -> u64,
    ) -> Result<Self> {
        let world = usize::try_from(world.max(1)).unwrap_or(usize::MAX);
        let costs: Vec<u64> =
            schedule.all(epoch).map(|batch| batch.iter().map(|r| cost(*r)).sum()).collect();
        let sums = memory::filled(world, 0)?;
        let mut out = Self { sums, steps: 0, median: 1.0, worst: 1.0 };
        let mut ratios = Vec::new();
        for step in costs.chunks(world) {
            if step.len() < world && rest == Rest::Drop {
                break;
            }
            // As a walk repeats them.
            let of = |rank: usize| step.get(rank % step.len()).copied().unwrap_or(0);
            let own: Vec<u64> = (0..world).map(of).collect();
            let (sum, most) = (own.iter().sum::<u64>(), own.iter().max().copied().unwrap_or(0));
            let ranks = float(u64::try_from(world).unwrap_or(u64::MAX));
            ratios.push(if sum == 0 { 1.0 } else { float(most) * ranks / float(sum) });
            out.sums.iter_mut().zip(own).for_each(|(sum, more)| *sum += more);
            out.steps += 1;
        }
        ratios.sort_by(f64::total_cmp);
        out.median = ratios.get(ratios.len() / 2).copied().unwrap_or(1.0);
        out.worst = ratios.last().copied().unwrap_or(1.0);
        Ok(out)
    }

    /// How far the sums of the ranks lie apart, as a part of the greatest: 0.05 is 5 %.
    #[must_use]
    pub fn apart(&self) -> f64 {
        let most = self.sums.iter().max().copied().unwrap_or(0);
        let least = self.sums.iter().min().copied().unwrap_or(0);
        if most == 0 { 0.0 } else { float(most - least) / float(most) }
    }
}

/// The shape of padded batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Padded {
    /// How wide each batch is; by default as its largest record, or its bucket.
    pub width: Option<u64>,
    /// How many rows it has.
    pub rows: Rows,
}

/// How many rows a padded batch has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rows {
    /// One for each of its records.
    #[default]
    Own,
    /// As many as a batch of its bucket can have, so that all of them have one shape; see
    /// [`Batching::rows`](super::Batching::rows).
    Full,
}

/// The share of padding in the padded batches of an epoch, 0 to 1: what of rows by width no record
/// fills. `cost` is the size of a record.
#[must_use]
pub fn padding(schedule: &Schedule, epoch: u64, shape: Padded, cost: impl Fn(u64) -> u64) -> f64 {
    let (mut filled, mut all) = (0.0, 0.0);
    for batch in schedule.all(epoch) {
        let sizes = batch.iter().map(|r| cost(*r));
        let largest = sizes.clone().max().unwrap_or(0);
        let bucket = schedule.batching().buckets.as_ref().and_then(|b| b.width(largest));
        let width = shape.width.or(bucket).unwrap_or(largest);
        let full = schedule.batching().rows(largest).filter(|_| shape.rows == Rows::Full);
        filled += float(sizes.sum());
        all += float(width) * float(full.unwrap_or(batch.len() as u64));
    }
    if all > 0.0 { 1.0 - filled / all } else { 0.0 }
}
