//! Where a run is, as a small JSON object, and whether it belongs to this loader.

use super::cursor::Cursor;
use super::random::key_of;
use super::schedule::{Buckets, Last, Schedule};
use crate::error::{Error, Result};
use serde_json::{Map, Value, json};

/// The version of the object, under its name.
const NAME: &str = "vlstore-loader";
const VERSION: u64 = 3;

/// What must be the same in the loader that continues, and what a person calls it.
const SAME: [(&str, &str); 13] = [
    ("records", "number of records"),
    ("data", "data (store or selection)"),
    ("mixture", "mixture (what an epoch has of each store)"),
    ("buckets", "buckets"),
    ("shuffle", "shuffle"),
    ("seed", "seed"),
    ("group", "group"),
    ("window", "window"),
    ("blocks", "division into groups by the blocks of the file"),
    ("batch_size", "batch size"),
    ("batch_cost", "cap on the cost of a batch"),
    ("cost", "cost"),
    ("drop_last", "drop_last"),
];

/// The state of a run: its place, and what the meaning of that place depends on.
///
/// `data` names the records, and `cost` what a cap counts. A place is two numbers whatever the
/// number of records, so that a state is as small and as quick at the end of an epoch as at its
/// beginning.
#[must_use]
pub fn state(schedule: &Schedule, data: &str, cost: &str, at: Cursor) -> Value {
    let (order, batching) = (schedule.order(), schedule.batching());
    let mut state = json!({
        NAME: VERSION,
        "epoch": at.epoch,
        "round": at.round,
        "batch": at.batch,
        "data": data,
        "records": schedule.records(),
        "shuffle": order.shuffle.name(),
        "seed": order.seed,
        "group": order.group,
        "window": order.window,
        "lanes": schedule.lanes(),
        "batch_size": batching.records,
        "batch_cost": batching.cost,
        "cost": cost,
        "drop_last": batching.last == Last::Drop,
    });
    // Named only where there are any.
    let mixture = schedule.mixture().map(|mixture| Value::from(mixture.name()));
    let buckets = batching.buckets.as_ref().map(|buckets| match buckets {
        Buckets::Near => Value::from("near"),
        Buckets::Edges(edges) => Value::from(edges.clone()),
    });
    let blocks = schedule.groups().map(|groups| Value::from(groups.name()));
    if let Value::Object(state) = &mut state {
        state.extend(blocks.map(|blocks| ("blocks".to_owned(), blocks)));
        state.extend(mixture.map(|mixture| ("mixture".to_owned(), mixture)));
        state.extend(buckets.map(|buckets| ("buckets".to_owned(), buckets)));
    }
    state
}

/// A short name for the batches of all epochs: that of no others. `view` names the records among all of the data.
///
/// It does not say which files these are, so that a copy with the same records and the same order has it, too.
pub(super) fn order_id(schedule: &Schedule, view: &str, cost: &str) -> String {
    let state = state(schedule, view, cost, Cursor::default());
    let fields = SAME.iter().map(|(field, _)| *field).chain(["lanes"]);
    let text: String = fields.map(|field| format!("{field} {:?}\n", state.get(field))).collect();
    format!("{:016x}", key_of(&text.into_bytes().into_iter().map(u64::from).collect::<Vec<_>>()))
}

/// The schedule with which a run continues, and its place, from a [`state`] of it.
///
/// The number of lanes is that of the state, whatever this loader has: it is part of the order, and
/// a run keeps it when its number of ranks changes.
///
/// # Errors
/// [`Error::Invalid`] that says what differs, for a state of other data or another order, and for one of an
/// earlier release whose orders were others; [`Error::Unsupported`] for one of a newer release.
pub fn resumed(
    schedule: &Schedule,
    data: &str,
    cost: &str,
    given: &Value,
) -> Result<(Schedule, Cursor)> {
    let bad = |why: String| Error::invalid("state", why);
    let given: &Map<String, Value> = given
        .as_object()
        .ok_or_else(|| bad("is not an object, as state_dict() returns it".into()))?;
    match given.get(NAME).and_then(Value::as_u64) {
        Some(VERSION) => {}
        Some(found) if found < VERSION => {
            return Err(bad(format!(
                "is of version {found}, whose orders are not those of version {VERSION}: go on with the release \
                 that made it, or begin an epoch anew"
            )));
        }
        Some(found) => {
            return Err(Error::Unsupported { what: "state version", found, newest: VERSION });
        }
        None => return Err(bad("is not that of a vlstore loader".into())),
    }
    let here = state(schedule, data, cost, Cursor::default());
    for (field, name) in SAME {
        let (here, there) = (here.get(field), given.get(field));
        if here != there {
            let shown = |v: Option<&Value>| v.map_or("nothing".into(), Value::to_string);
            let (here, there) = (shown(here), shown(there));
            let advice = if field == "records" {
                "; records that were added since are left out by a selection of the first ones"
            } else {
                ""
            };
            return Err(bad(format!(
                "its {name} is {there}, that of this loader {here}: a run continues only with what \
                 it began with{advice}"
            )));
        }
    }
    let whole = |field: &str| {
        let found = given.get(field).and_then(Value::as_u64);
        found.ok_or_else(|| bad(format!("has no number {field:?}")))
    };
    let at = Cursor { epoch: whole("epoch")?, round: whole("round")?, batch: whole("batch")? };
    if at.epoch > i64::MAX.cast_unsigned() {
        return Err(bad(format!("epoch {} is above 2^63 - 1", at.epoch)));
    }
    let schedule = schedule.with_lanes(whole("lanes")?)?;
    let there = schedule.lazy_round(at.epoch, at.round).len();
    if at.round > schedule.rounds() || at.batch > there {
        return Err(bad(format!("there is no batch {} in round {}", at.batch, at.round)));
    }
    Ok((schedule, at))
}

#[cfg(test)]
mod tests {
    use super::super::{Batching, Groups, Mixture, Order, Shuffle, Weights};
    use super::*;

    fn schedule(seed: u64, records: u64, batch: u64, lanes: u64) -> Schedule {
        let order = Order { shuffle: Shuffle::Windows, seed, group: 8, window: 32 };
        let batching = Batching { records: Some(batch), ..Batching::default() };
        Schedule::new(records, order, batching, lanes, None).unwrap()
    }

    fn mixed(weights: &[f64]) -> Schedule {
        let weights = Weights::Stated(weights.to_vec());
        let mixture = Mixture::new(&[("a", 900), ("b", 100)], &weights, 1000).unwrap();
        schedule(1, 1000, 4, 1).mixed(mixture).unwrap()
    }

    #[test]
    fn a_state_survives_text_and_brings_its_lanes() {
        let old = schedule(u64::MAX, 1000, 4, 4);
        let at = Cursor { epoch: 3, round: 2, batch: 5 };
        let text = state(&old, "abc", "", at).to_string();
        assert!(text.len() < 300, "{text}");
        let read: Value = serde_json::from_str(&text).unwrap();
        let (new, cursor) = resumed(&schedule(u64::MAX, 1000, 4, 1), "abc", "", &read).unwrap();
        assert_eq!((new.lanes(), cursor), (4, at));
    }

    #[test]
    fn the_id_of_an_order_is_that_of_no_other() {
        let mut ids: Vec<_> = [
            (schedule(1, 1000, 4, 1), "0..1000", ""),
            (schedule(1, 1000, 4, 1), "10..1010", ""),
            (schedule(1, 1000, 4, 1), "0..1000", "bytes"),
            (schedule(2, 1000, 4, 1), "0..1000", ""),
            (schedule(1, 1000, 8, 1), "0..1000", ""),
            (schedule(1, 1000, 4, 2), "0..1000", ""),
            (schedule(1, 1000, 4, 1).grouped(Groups::new(1000, [8, 16])).unwrap(), "0..1000", ""),
            (schedule(1, 1000, 4, 1).grouped(Groups::new(1000, [8, 17])).unwrap(), "0..1000", ""),
            (mixed(&[3.0, 1.0]), "0..1000", ""),
        ]
        .iter()
        .map(|(schedule, view, cost)| order_id(schedule, view, cost))
        .collect();
        assert_eq!(ids[0], order_id(&schedule(1, 1000, 4, 1), "0..1000", ""));
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 9);
    }

    #[test]
    fn a_state_from_elsewhere_is_refused_with_the_reason() {
        let old = schedule(1, 1000, 4, 1);
        let good = state(&old, "abc", "weight", Cursor::default());
        let refused = |schedule: &Schedule, data, cost, given: &Value| {
            resumed(schedule, data, cost, given).unwrap_err().to_string()
        };
        for (schedule, data, cost, why) in [
            (schedule(2, 1000, 4, 1), "abc", "weight", "seed is 1, that of this loader 2"),
            (schedule(1, 1001, 4, 1), "abc", "weight", "number of records is 1000"),
            (schedule(1, 1000, 8, 1), "abc", "weight", "batch size is 4"),
            (old.clone(), "abd", "weight", "data (store or selection) is \"abc\""),
            (old.clone(), "abc", "bytes", "cost is \"weight\""),
            (
                mixed(&[3.0, 1.0]),
                "abc",
                "weight",
                "mixture (what an epoch has of each store) is nothing",
            ),
        ] {
            let text = refused(&schedule, data, cost, &good);
            assert!(text.contains(why), "{text}");
        }
        for (field, value, why) in [
            (NAME, json!(4), "state version 4"),
            (NAME, json!(2), "is of version 2, whose orders are not those of version 3"),
            (NAME, json!("x"), "not that of a vlstore loader"),
            ("round", json!(-1), "no number \"round\""),
            ("round", json!(40), "no batch 0 in round 40"),
            ("batch", json!(9), "no batch 9 in round 0"),
            ("lanes", json!(0), "lanes: is 0"),
            ("drop_last", json!(true), "drop_last"),
        ] {
            let mut bad = good.clone();
            bad[field] = value;
            let text = refused(&old, "abc", "weight", &bad);
            assert!(text.contains(why), "{field}: {text}");
        }
        assert!(refused(&old, "abc", "weight", &json!([1])).contains("not an object"));

        let of_mixture = state(&mixed(&[3.0, 1.0]), "abc", "weight", Cursor::default());
        assert!(resumed(&mixed(&[6.0, 2.0]), "abc", "weight", &of_mixture).is_ok());
        let text = refused(&mixed(&[1.0, 1.0]), "abc", "weight", &of_mixture);
        assert!(text.contains("is \"750+250 "), "{text}");
        assert!(text.contains("that of this loader \"500+500 "), "{text}");
    }
}
