//! Runs of neighbours dealt to lanes so that all of them cost about the same.

use super::mixture::Neighbours;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

/// How far the costs of lanes in a round may lie apart: one part in so many of the greatest. Less would divide more
/// groups, and a rank may have 5 % less than another in an epoch.
const APART: u64 = 25;

/// What a lane has of a round.
#[derive(Debug, Clone)]
pub(super) struct Dealt {
    cost: u64,
    /// With their place in the epoch.
    pub(super) runs: Vec<(u64, Range<u64>)>,
}

/// To how many lanes records of this cost are dealt.
pub(super) struct Dealing<F> {
    pub(super) cost: F,
    pub(super) lanes: u64,
    /// Whether each lane shall have as many runs of each part.
    pub(super) mixed: bool,
}

impl<F: Fn(u64) -> u64> Dealing<F> {
    /// The runs of a round for each lane, so that all lanes cost about the same; `None` if there are fewer records than
    /// lanes. In whole runs where these are many; where they are too few, or too unlike, the cheapest ones are
    /// divided, as few as will do: a block at the edge of a piece is decoded in two lanes.
    pub(super) fn evenly(&self, mut runs: Vec<Neighbours>) -> Option<Vec<Dealt>> {
        loop {
            let dealt = (runs.len() as u64 >= self.lanes).then(|| self.whole(&runs)).flatten();
            if dealt.as_deref().is_some_and(is_even) || !self.halve(&mut runs) {
                return dealt;
            }
        }
    }

    fn cost_of(&self, records: &Range<u64>) -> u64 {
        records.clone().map(&self.cost).sum()
    }

    /// Whole runs for each lane: the dearest first, each to the lane that has least so far; of a mixture part by
    /// part, each to those that have fewest runs of the part.
    fn whole(&self, runs: &[Neighbours]) -> Option<Vec<Dealt>> {
        let mut runs: Vec<_> =
            runs.iter().map(|run| (run.part, self.cost_of(&run.records), run)).collect();
        runs.sort_by_key(|(part, cost, run)| (*part, Reverse(*cost), run.place, run.records.start));
        let mut out: Vec<Dealt> =
            (0..self.lanes).map(|_| Dealt { cost: 0, runs: Vec::new() }).collect();
        for own in runs.chunk_by(|a, b| a.0 == b.0) {
            // The lane that is next on top, so that ten thousand lanes are not looked at for each run: by the
            // runs of this part, the cost, all runs, and its number.
            let state = |(number, lane): (usize, &Dealt)| {
                Reverse((0_u64, lane.cost, lane.runs.len(), number))
            };
            let mut next: BinaryHeap<_> = out.iter().enumerate().map(state).collect();
            for (_, cost, run) in own {
                let mut top = next.peek_mut()?;
                let (number_of, _, _, number) = top.0;
                let lane = out.get_mut(number)?;
                lane.cost += cost;
                lane.runs.push((run.place, run.records.clone()));
                let number_of = number_of + u64::from(self.mixed);
                top.0 = (number_of, lane.cost, lane.runs.len(), number);
            }
        }
        Some(out)
    }

    /// Divides the runs that cost least, twice as many as lanes, in two; if these have one record each, all that have
    /// more. Whether there was one.
    fn halve(&self, runs: &mut Vec<Neighbours>) -> bool {
        runs.sort_by_cached_key(|run| {
            (Reverse(self.cost_of(&run.records)), run.place, run.records.start)
        });
        let few = usize::try_from(self.lanes.saturating_mul(2)).unwrap_or(usize::MAX);
        let long = |run: &Neighbours| run.records.end - run.records.start > 1;
        let mut from = runs.len().saturating_sub(few);
        if !runs.iter().skip(from).any(long) {
            from = 0;
        }
        let cheap = runs.split_off(from);
        let found = cheap.iter().any(long);
        for run in cheap {
            let Range { start, end } = run.records;
            let middle = start + (end - start) / 2;
            for records in [start..middle, middle..end].into_iter().filter(|half| !half.is_empty())
            {
                runs.push(Neighbours { records, ..run });
            }
        }
        found
    }
}

/// Whether the lanes cost about the same.
fn is_even(lanes: &[Dealt]) -> bool {
    let costs = lanes.iter().map(|lane| lane.cost);
    let (most, least) = (costs.clone().max().unwrap_or(0), costs.min().unwrap_or(0));
    most - least <= most / APART
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// No record is lost or dealt twice, and where each lane has many the lanes cost the same.
        #[test]
        fn every_record_is_dealt_once_and_lanes_cost_about_the_same(
            lengths in prop::collection::vec(1_u64..400, 1..40), lanes in 1_u64..9,
            seed in any::<u64>(), mixed in any::<bool>(),
        ) {
            let mut first = 0;
            let runs: Vec<Neighbours> = (0..).zip(&lengths).map(|(place, length)| {
                let records = first..first + length;
                first += length;
                Neighbours { part: usize::from(place % 3 == 1), place, records }
            }).collect();
            let cost = |record: u64| 1 + (record ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) % 200;
            let dealt = Dealing { cost, lanes, mixed }.evenly(runs);
            prop_assert_eq!(dealt.is_some(), first >= lanes);
            let dealt = dealt.unwrap_or_default();
            let mut had: Vec<u64> =
                dealt.iter().flat_map(|lane| lane.runs.iter().flat_map(|run| run.1.clone())).collect();
            had.sort_unstable();
            prop_assert!(dealt.is_empty() || had.into_iter().eq(0..first));
            prop_assert!(first < 300 * lanes || is_even(&dealt), "{:?}", dealt);
        }
    }

    /// Groups that are alike are not divided.
    #[test]
    fn many_groups_that_are_alike_stay_whole() {
        let runs =
            (0..64).map(|i| Neighbours { part: 0, place: i, records: 100 * i..100 * i + 100 });
        let dealt = Dealing { cost: |r| 20 + r % 7, lanes: 2, mixed: false }.evenly(runs.collect());
        for lane in dealt.unwrap() {
            assert_eq!(lane.runs.len(), 32);
        }
    }
}
