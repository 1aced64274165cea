//! The options of a loader, as the Python half gives them: by name, all there.

use crate::error::invalid;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use vlstore::loader::{
    Batching, Buckets, Damaged, Last, LoaderOptions, Mixing, Rest, Share, Shuffle, View, Weights,
};

/// The option `name`.
fn get<'py, T>(given: &Bound<'py, PyDict>, name: &str) -> PyResult<T>
where
    T: for<'a> FromPyObject<'a, 'py>,
{
    let py = given.py();
    let value = given.get_item(name)?.unwrap_or_else(|| py.None().into_bound(py));
    value.extract::<T>().map_err(|_| {
        let shown = value.repr().map_or_else(|_| String::new(), |r| r.to_string());
        invalid(py, &format!("{name}: {shown} is not a valid value"))
    })
}

/// One of the two words that an option can be: whether it is the second.
fn second(given: &Bound<'_, PyDict>, name: &str, words: [&str; 2]) -> PyResult<bool> {
    let word: String = get(given, name)?;
    match words.iter().position(|known| **known == word) {
        Some(at) => Ok(at == 1),
        None => {
            let why = format!("{name}: {word:?} is neither {:?} nor {:?}", words[0], words[1]);
            Err(invalid(given.py(), &why))
        }
    }
}

/// Buckets with these edges; without any, neighbours in cost.
fn buckets(edges: Vec<u64>) -> Buckets {
    if edges.is_empty() { Buckets::Near } else { Buckets::Edges(edges) }
}

/// The shares of several stores, if there are any.
fn mixing(given: &Bound<'_, PyDict>) -> PyResult<Option<Mixing>> {
    let stated: Option<Vec<f64>> = get(given, "weights")?;
    let temperature: Option<f64> = get(given, "temperature")?;
    let weights = match (stated, temperature) {
        (Some(weights), _) => Weights::Stated(weights),
        (None, Some(t)) => Weights::Temperature(t),
        (None, None) => return Ok(None),
    };
    let parts: Option<Vec<(String, usize)>> = get(given, "parts")?;
    let parts = parts.map(|parts| parts.into_iter().map(|(name, n)| (name.into(), n)).collect());
    Ok(Some(Mixing { weights, parts, records: get(given, "epoch_records")? }))
}

/// Options of the crate from those in `given`; `view` is which records.
pub(crate) fn options(given: &Bound<'_, PyDict>, view: Option<View>) -> PyResult<LoaderOptions> {
    let shuffle: String = get(given, "shuffle")?;
    let shuffle = Shuffle::from_name(&shuffle).ok_or_else(|| {
        let why = "is not one of \"windows\", \"global\", \"sequential\"";
        invalid(given.py(), &format!("shuffle: {shuffle:?} {why}"))
    })?;
    let last = if get(given, "drop_last")? { Last::Drop } else { Last::Keep };
    let batching = Batching {
        records: get(given, "batch_size")?,
        cost: get(given, "max_cost")?,
        buckets: get::<Option<Vec<u64>>>(given, "buckets")?.map(buckets),
        last,
    };
    let share = Share {
        rank: get(given, "rank")?,
        world: get(given, "world")?,
        worker: get(given, "worker")?,
        workers: get(given, "workers")?,
    };
    let repeat = second(given, "rest", ["drop", "repeat"])?;
    let skip = second(given, "damaged", ["raise", "skip"])?;
    Ok(LoaderOptions {
        view,
        mixing: mixing(given)?,
        shuffle,
        seed: get(given, "seed")?,
        group: get(given, "group")?,
        window: get(given, "window")?,
        batching,
        cost: get::<String>(given, "cost")?.into(),
        costs: None,
        share,
        lanes: get(given, "lanes")?,
        rest: if repeat { Rest::Repeat } else { Rest::Drop },
        memory: get(given, "memory")?,
        damaged: if skip { Damaged::Skip } else { Damaged::Refuse },
    })
}
