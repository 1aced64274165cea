//! The record of an import that a store keeps: which inputs its frames come from, and how far.
//!
//! It lies in the attribute [`IMPORT`]; `docs/records.md` says what each member means.

use super::options::{Duplicates, Masses};
use crate::formats::{FormatKind, FramePlace, NameMap, Sum};
use crate::printable::printable;
use serde_json::{Map, Value, json};

/// The name of the attribute that holds the record.
pub const IMPORT: &str = "import";

const VERSION: u64 = 1;
/// Longest record, in bytes: half of what attributes may have. Beyond it the oldest inputs are
/// forgotten, and the record says that some were.
const LONGEST: usize = 512 << 10;

/// One input of which the store has frames.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct InputEntry {
    /// The last part of its name when it was read, for people.
    pub(super) file: String,
    /// XXH3 of its whole path; 0 for standard input.
    pub(super) path: u64,
    pub(super) format: String,
    /// Length of the file when it was read; 0 for standard input.
    pub(super) bytes: u64,
    /// Where reading goes on: behind the last frame that was taken or passed over.
    pub(super) next: FramePlace,
    /// Ordinal of its first frame in the store, and the one behind its last.
    pub(super) first: u64,
    pub(super) upto: u64,
    /// The beginning of its content, and the end of the frame before `next`.
    pub(super) head: Sum,
    pub(super) tail: Sum,
}

/// A frame in the store, and its place in its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At {
    /// Which of the rows.
    pub(super) row: usize,
    /// Where the frame begins.
    pub(super) place: FramePlace,
    /// Its ordinal in the store.
    pub(super) record: u64,
    /// The number in its key.
    pub(super) key: u64,
}

/// All that is kept.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct ImportRecord {
    /// In the order in which their frames lie in the store.
    pub(super) rows: Vec<InputEntry>,
    /// A frame of the last input that has any, from which the frames behind it can be found.
    pub(super) at: Option<At>,
    /// Records of the store when the import ended in order; `None` while one runs.
    pub(super) records: Option<u64>,
    /// Whether all its inputs were read to their end.
    pub(super) ended: bool,
    /// Whether a last frame that was not complete was waited for.
    pub(super) growing: bool,
    pub(super) key_prefix: Option<String>,
    pub(super) float32: bool,
    pub(super) precision: Option<f32>,
    pub(super) masses: Masses,
    pub(super) from_step: Option<i64>,
    pub(super) duplicates: Duplicates,
    /// Names of keys and columns that were read as fields.
    pub(super) map: NameMap,
    /// Whether its inputs may have any number of atoms.
    pub(super) mixed: bool,
    /// Inputs that are not listed any more, or frames of unknown source.
    pub(super) unknown: u64,
}

fn hex(sum: Sum) -> Value {
    json!([sum.len, format!("{:016x}", sum.sum)])
}

fn unhex(value: &Value) -> Option<Sum> {
    let [len, sum] = value.as_array()?.as_slice() else { return None };
    let len = u32::try_from(len.as_u64()?).ok()?;
    Some(Sum { len, sum: u64::from_str_radix(sum.as_str()?, 16).ok()? })
}

impl InputEntry {
    fn to_json(&self) -> Value {
        json!([
            self.file,
            format!("{:016x}", self.path),
            self.format,
            self.bytes,
            self.next.byte,
            self.next.frame,
            self.next.line,
            self.first,
            self.upto,
            hex(self.head),
            hex(self.tail),
        ])
    }

    fn of_json(value: &Value) -> Option<Self> {
        let [file, path, format, bytes, byte, frame, line, first, upto, head, tail] =
            value.as_array()?.as_slice()
        else {
            return None;
        };
        Some(Self {
            file: file.as_str()?.into(),
            path: u64::from_str_radix(path.as_str()?, 16).ok()?,
            format: format.as_str()?.into(),
            bytes: bytes.as_u64()?,
            next: FramePlace { byte: byte.as_u64()?, frame: frame.as_u64()?, line: line.as_u64()? },
            first: first.as_u64()?,
            upto: upto.as_u64()?,
            head: unhex(head)?,
            tail: unhex(tail)?,
        })
    }

    pub(super) fn kind(&self) -> Option<FormatKind> {
        FormatKind::from_name(&self.format).ok()
    }
}

/// What the record in the attributes of a store says, for people: which was its last
/// input, and how far it was read. `None` if there is none.
#[must_use]
pub fn describe_import(attributes: &Value) -> Option<String> {
    let record = ImportRecord::of(attributes)?;
    let last = record.rows.get(record.at?.row)?;
    let inputs = match record.rows.len() as u64 + record.unknown {
        1 => "1 input".to_owned(),
        n => format!("{n} inputs"),
    };
    let (file, frames) = (printable(&last.file), last.next.frame);
    if record.records.is_none() {
        // The place is written down now and then only.
        return Some(format!(
            "{inputs} or more; an import is running or did not end; last noted: {file}, frame {}",
            frames.saturating_sub(1)
        ));
    }
    let frames =
        if frames == 1 { "1 frame was read".into() } else { format!("{frames} frames were read") };
    let stopped = if record.ended { "" } else { ", where the import was stopped" };
    Some(format!("{inputs}; of the last, {file}, {frames}{stopped}"))
}

impl ImportRecord {
    /// The record in the attributes of a store; `None` if there is none that can be understood.
    pub(super) fn of(attributes: &Value) -> Option<Self> {
        let all = attributes.get(IMPORT)?;
        if all.get("version")?.as_u64()? != VERSION {
            return None;
        }
        let some = |name: &str| all.get(name).filter(|v| !v.is_null());
        let rows = all.get("inputs")?.as_array()?;
        let rows = rows.iter().map(InputEntry::of_json).collect::<Option<Vec<_>>>()?;
        let at = match some("at") {
            None => None,
            Some(at) => {
                let number = |name: &str| at.get(name).and_then(Value::as_u64);
                let place = FramePlace {
                    byte: number("byte")?,
                    frame: number("frame")?,
                    line: number("line")?,
                };
                let row = usize::try_from(number("input")?).ok()?;
                rows.get(row)?;
                Some(At { row, place, record: number("record")?, key: number("key")? })
            }
        };
        let map = match some("map") {
            None => NameMap::default(),
            Some(map) => {
                let pair = |v: &Value| {
                    Some((v.get(0)?.as_str()?.to_owned(), v.get(1)?.as_str()?.to_owned()))
                };
                let pairs = map.as_array()?.iter().map(pair).collect::<Option<Vec<_>>>()?;
                NameMap::new(pairs).ok()?
            }
        };
        #[expect(clippy::cast_possible_truncation, reason = "it was widened from f32")]
        let precision = some("precision").and_then(Value::as_f64).map(|p| p as f32);
        Some(Self {
            rows,
            at,
            records: some("records").and_then(Value::as_u64),
            ended: all.get("ended")?.as_bool()?,
            growing: all.get("growing")?.as_bool()?,
            key_prefix: some("key_prefix").and_then(Value::as_str).map(Into::into),
            float32: all.get("float32")?.as_bool()?,
            precision,
            masses: some("masses")
                .and_then(Value::as_str)
                .and_then(Masses::from_name)
                .unwrap_or_default(),
            from_step: some("from_step").and_then(Value::as_i64),
            // Earlier versions knew of the frames that two inputs share alone.
            duplicates: some("duplicates")
                .or_else(|| some("boundary"))
                .and_then(Value::as_str)
                .and_then(Duplicates::from_name)?,
            map,
            mixed: all.get("mixed")?.as_bool()?,
            unknown: all.get("unknown")?.as_u64()?,
        })
    }

    fn to_json(&self) -> Value {
        let at = self.at.map(|at| {
            json!({
                "input": at.row, "record": at.record, "key": at.key,
                "byte": at.place.byte, "frame": at.place.frame, "line": at.place.line,
            })
        });
        json!({
            "version": VERSION,
            "inputs": self.rows.iter().map(InputEntry::to_json).collect::<Vec<_>>(),
            "at": at,
            "records": self.records,
            "ended": self.ended,
            "growing": self.growing,
            "key_prefix": self.key_prefix,
            "float32": self.float32,
            "precision": self.precision,
            "masses": self.masses.name(),
            "from_step": self.from_step,
            "duplicates": self.duplicates.name(),
            "map": self.map.pairs().collect::<Vec<_>>(),
            "mixed": self.mixed,
            "unknown": self.unknown,
        })
    }

    /// The attributes with this record in them, shortened if it has become too long.
    pub(super) fn attributes(&mut self, attributes: Value) -> Value {
        let mut all = match attributes {
            Value::Object(all) => all,
            _ => Map::new(),
        };
        let mut value = self.to_json();
        while value.to_string().len() > LONGEST && self.forget() {
            value = self.to_json();
        }
        all.insert(IMPORT.into(), value);
        all.into()
    }

    /// Forgets the older half of the inputs, but not the one in which the place is.
    fn forget(&mut self) -> bool {
        let keep = self.at.map_or(self.rows.len(), |at| at.row);
        let many = (self.rows.len() / 2).min(keep);
        self.rows.drain(..many);
        self.unknown = self.unknown.saturating_add(many as u64);
        if let Some(at) = &mut self.at {
            at.row = at.row.saturating_sub(many);
        }
        many > 0
    }

    /// Takes a row out, and says where the place is now.
    pub(super) fn remove(&mut self, row: usize) -> InputEntry {
        if let Some(at) = &mut self.at {
            match row.cmp(&at.row) {
                std::cmp::Ordering::Less => at.row -= 1,
                std::cmp::Ordering::Equal => self.at = None,
                std::cmp::Ordering::Greater => {}
            }
        }
        self.rows.remove(row)
    }

    /// Notes that the frames from ordinal `kept` on were deleted, which later ones replace.
    pub(super) fn replace_from(&mut self, kept: u64) {
        for row in &mut self.rows {
            (row.first, row.upto) = (row.first.min(kept), row.upto.min(kept));
        }
    }

    /// Forgets the inputs whose frames were deleted from ordinal `kept` on. Those that lost only
    /// a part are `unknown` from then on.
    pub(super) fn cut(&mut self, kept: u64) {
        let before = self.rows.len();
        self.rows.retain(|row| row.upto <= kept || row.first >= kept);
        self.unknown = self.unknown.saturating_add((before - self.rows.len()) as u64);
        self.rows.retain(|row| row.upto <= kept);
        self.at = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(n: u64) -> InputEntry {
        InputEntry {
            file: format!("run-{n}.xtc"),
            path: u64::MAX - n,
            format: "xtc".into(),
            bytes: 1000 * n,
            next: FramePlace { byte: 900 * n, frame: n, line: 0 },
            first: 10 * n,
            upto: 10 * n + 10,
            head: Sum { len: 200, sum: n },
            tail: Sum { len: 4096, sum: u64::MAX / (n + 1) },
        }
    }

    #[test]
    fn a_record_comes_back_from_attributes_beside_others() {
        let mut record = ImportRecord {
            rows: vec![row(1), row(2)],
            at: Some(At { row: 1, place: row(2).next, record: 29, key: 29 }),
            key_prefix: Some("frame-".into()),
            precision: Some(0.1),
            from_step: Some(-5),
            duplicates: Duplicates::Drop,
            masses: Masses::OfElements,
            map: NameMap::new([("REF_energy", "energy")]).unwrap(),
            ..ImportRecord::default()
        };
        let all = record.attributes(json!({"units": {"length": "nm"}}));
        assert_eq!(all["units"]["length"], "nm");
        assert_eq!(ImportRecord::of(&all), Some(record.clone()));
        record.records = Some(30);
        assert_eq!(ImportRecord::of(&record.attributes(all.clone())), Some(record));
        for broken in [json!({}), json!({"import": 1}), json!({"import": {"version": 2}})] {
            assert_eq!(ImportRecord::of(&broken), None);
        }
    }

    #[test]
    fn a_thousand_inputs_take_less_than_150_kb_and_more_are_forgotten_in_words() {
        let mut record =
            ImportRecord { rows: (0..1000).map(row).collect(), ..ImportRecord::default() };
        assert!(record.attributes(json!({})).to_string().len() < 150_000);
        record.rows = (0..20_000).map(row).collect();
        record.at = Some(At { row: 19_999, place: FramePlace::default(), record: 1, key: 1 });
        let all = record.attributes(json!({}));
        assert!(all.to_string().len() < LONGEST + 100);
        assert_eq!(record.unknown + record.rows.len() as u64, 20_000);
        assert_eq!(record.rows[record.at.unwrap().row], row(19_999));
        assert_eq!(ImportRecord::of(&all), Some(record));
    }

    #[test]
    fn inputs_whose_frames_were_deleted_are_not_known_any_more() {
        let mut record =
            ImportRecord { rows: (0..4).map(row).collect(), ..ImportRecord::default() };
        record.cut(25);
        assert_eq!((record.rows, record.unknown), ((0..2).map(row).collect(), 1));
    }
}
