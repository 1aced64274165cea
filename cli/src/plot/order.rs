//! In which order the training loader serves the records of a store, and how far that is from a uniform
//! shuffle.

use super::chart::{Line, Style};
use crate::output::{grouped, plural};
use vlstore::loader::{Batching, Cursor, Loader, LoaderOptions, Order, Shuffle};
use vlstore::{Result, Snapshot};

/// Points that are drawn, at most: more are one blot.
const POINTS: u64 = 6000;
/// Batches by which an order is judged, at least, if that is not too many epochs.
const BATCHES: u64 = 2000;
/// How much the advised window may add to the design effect.
const EXCESS: f64 = 0.2;

/// What order is asked for.
#[derive(Debug, clap::Args)]
pub(super) struct OrderArgs {
    /// Records that are shuffled together [default: what the loader takes, 64 groups as memory allows]
    #[arg(long, value_name = "N", help_heading = "Order")]
    window: Option<u64>,
    /// Neighbours that are read together [default: what the loader takes, about 512 KiB]
    #[arg(long, value_name = "N", help_heading = "Order")]
    group: Option<u64>,
    /// How records are shuffled [default: windows]
    #[arg(long, value_parser = crate::choices::shuffle(), help_heading = "Order")]
    shuffle: Option<Shuffle>,
    /// The seed [default: 0]
    #[arg(long, value_name = "N", help_heading = "Order")]
    seed: Option<u64>,
    /// The epoch [default: 0]
    #[arg(long, value_name = "N", help_heading = "Order")]
    epoch: Option<u64>,
    /// Records of a batch, by which the shuffle is judged [default: 32]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Order")]
    batch: Option<u64>,
    /// A column by which the shuffle is judged, as energy [default: the place in the store, the worst case]
    #[arg(long, value_name = "COLUMN", help_heading = "Order")]
    by: Option<String>,
}

impl OrderArgs {
    /// Whether one of the options was given.
    pub(super) const fn given(&self) -> bool {
        self.window.is_some()
            || self.group.is_some()
            || self.shuffle.is_some()
            || self.seed.is_some()
            || self.epoch.is_some()
            || self.batch.is_some()
            || self.by.is_some()
    }
}

/// Points, and what is to be said of them.
pub(super) struct Found {
    pub(super) line: Line,
    pub(super) title: String,
    pub(super) summary: String,
    pub(super) notes: Vec<String>,
}

#[expect(clippy::cast_precision_loss, reason = "numbers of records below 2^53 are exact")]
const fn float(n: u64) -> f64 {
    n as f64
}

/// The order of an epoch, measured.
pub(super) fn order(store: &Snapshot, args: &OrderArgs) -> Result<Found> {
    let batch = args.batch.unwrap_or(32);
    let options = LoaderOptions {
        shuffle: args.shuffle.unwrap_or(Shuffle::Windows),
        seed: args.seed.unwrap_or(0),
        window: args.window,
        group: args.group,
        batching: Batching { records: Some(batch), ..Batching::default() },
        ..LoaderOptions::default()
    };
    let loader = Loader::new(store.clone(), options)?;
    let epoch = args.epoch.unwrap_or(0);
    let records = loader.view().len();
    let values = match &args.by {
        Some(name) => loader.values(name)?,
        None => (0..records).map(float).collect(),
    };
    // The mean of a few epochs, where one has too few batches to say much.
    let epochs = (BATCHES / loader.steps(epoch).max(1)).clamp(1, 16);
    let mut effect = 0.0;
    for more in 0..epochs {
        effect += loader.effect(&values, epoch.saturating_add(more))? / float(epochs);
    }
    let window = loader.window_for(&values, batch, EXCESS);

    let every = records.div_ceil(POINTS).max(1);
    let mut points = Vec::new();
    let mut place = 0;
    for step in loader.walk(Cursor { epoch, ..Cursor::default() })? {
        for record in step.records {
            if place % every == 0 {
                points.push((float(place), float(record)));
            }
            place += 1;
        }
    }
    let order = loader.schedule().order();
    Ok(Found {
        line: Line { name: String::new(), style: Style::Points, parts: vec![points] },
        title: format!("order, {}, design effect {effect:.2}", how(order, records)),
        summary: plural(records, "record"),
        notes: advice(order, args.by.as_deref(), (records, batch), effect, window),
    })
}

/// How the records are shuffled, in a few words.
fn how(order: &Order, records: u64) -> String {
    let few = |n: u64| grouped(n.min(records.max(1)));
    match order.shuffle {
        Shuffle::Windows => format!("windows of {}", few(order.window)),
        Shuffle::Global => "every record by itself".into(),
        Shuffle::Sequential => "not shuffled".into(),
    }
}

/// What the measure means, and which window is wide enough.
fn advice(
    order: &Order,
    by: Option<&str>,
    (records, batch): (u64, u64),
    effect: f64,
    window: u64,
) -> Vec<String> {
    let measured = by.map_or_else(|| "the place in the store".to_owned(), |by| format!("{by:?}"));
    let worth = float(batch) / effect.max(1.0);
    let mut out = vec![format!(
        "judged by {measured}, a batch of {batch} says as much about the data as {worth:.1} records that are \
         drawn evenly (design effect {effect:.2}; 1 is that of a uniform shuffle)"
    )];
    let wide = |n: u64| n.min(records);
    if order.shuffle == Shuffle::Global || records == 0 {
        return out;
    }
    let limit = 1.0 + EXCESS;
    if order.shuffle == Shuffle::Windows && wide(order.window) >= wide(window) {
        let all = if wide(order.window) == records { ", which holds the whole store," } else { "" };
        out.push(format!(
            "the window of {}{all} is wide enough for an effect below {limit}; {} records would be",
            grouped(wide(order.window)),
            grouped(wide(window))
        ));
    } else {
        out.push(format!(
            "for an effect below {limit} take windows of {n} records: --window {window}, in Python \
             Loader(..., window={window})",
            n = grouped(wide(window)),
            window = wide(window)
        ));
    }
    out
}
