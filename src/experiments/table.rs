//! The trials of a task as a table, and the table as text.

use super::head::{NUMBERS, Trial};
use super::value::Value;

/// The attributes of trials, column by column: in the order in which the names first appear,
/// `block` and `trial` last.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// Name and values of each column; a trial without the attribute has [`Value::Missing`].
    pub columns: Vec<(String, Vec<Value>)>,
    /// Number of trials.
    pub rows: usize,
}

impl Table {
    /// The table of these trials.
    #[must_use]
    pub fn of(trials: &[Trial]) -> Self {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in trials.iter().flat_map(|t| &t.attributes) {
            if !names.contains(&name.as_str()) && !NUMBERS.contains(&name.as_str()) {
                names.push(name);
            }
        }
        if !trials.is_empty() {
            names.extend(NUMBERS);
        }
        let cell = |trial: &Trial, name: &str| {
            let found = trial.attributes.iter().find(|(other, _)| other == name);
            found.map_or(Value::Missing, |(_, value)| value.clone())
        };
        let column = |name: &str| (name.into(), trials.iter().map(|t| cell(t, name)).collect());
        Self { columns: names.into_iter().map(column).collect(), rows: trials.len() }
    }

    /// The table as text: comma-separated, a row of names first. Missing values are empty cells,
    /// an empty text is `""`.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut out = String::new();
        for (i, (name, _)) in self.columns.iter().enumerate() {
            push(&mut out, i, &quoted(name));
        }
        if self.columns.is_empty() {
            return out;
        }
        out.push('\n');
        for row in 0..self.rows {
            for (i, (_, values)) in self.columns.iter().enumerate() {
                let cell = match values.get(row) {
                    None | Some(Value::Missing) => String::new(),
                    Some(Value::Text(text)) => quoted(text),
                    Some(value) => value.to_string(),
                };
                push(&mut out, i, &cell);
            }
            out.push('\n');
        }
        out
    }
}

fn push(out: &mut String, place: usize, cell: &str) {
    if place > 0 {
        out.push(',');
    }
    out.push_str(cell);
}

/// A text as a cell: in quotes where it would otherwise be read as something else.
fn quoted(text: &str) -> String {
    let special = text.is_empty() || text.trim() != text || text.contains([',', '"', '\n', '\r']);
    if special { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.into() }
}

/// The cells of a comma-separated text, row by row, and of each whether it was in quotes; `None` if quotes
/// have no end.
pub(super) fn rows(text: &str) -> Option<Vec<Vec<(String, bool)>>> {
    let mut rows = Vec::new();
    let (mut row, mut cell, mut quotes, mut inside) = (Vec::new(), String::new(), false, false);
    let mut chars = text.strip_prefix('\u{feff}').unwrap_or(text).chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if inside && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' if inside => inside = false,
            '"' if cell.is_empty() => (inside, quotes) = (true, true),
            c if inside => cell.push(c),
            ',' => row.push((std::mem::take(&mut cell), std::mem::take(&mut quotes))),
            '\r' if chars.peek() == Some(&'\n') => {}
            '\n' => {
                row.push((std::mem::take(&mut cell), std::mem::take(&mut quotes)));
                rows.push(std::mem::take(&mut row));
            }
            c => cell.push(c),
        }
    }
    if inside {
        return None;
    }
    if !cell.is_empty() || quotes || !row.is_empty() {
        row.push((cell, quotes));
        rows.push(row);
    }
    // Blank lines are no rows.
    rows.retain(|row| row.len() > 1 || row.first().is_some_and(|(cell, q)| !cell.is_empty() || *q));
    Some(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(attributes: &[(&str, Value)]) -> Trial {
        let attributes = attributes.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect();
        Trial { attributes, arrays: Vec::new(), token: 0 }
    }

    #[test]
    fn columns_may_differ_and_stand_in_the_order_of_appearance_with_the_numbers_last() {
        let trials = [
            trial(&[("block", Value::Int(0)), ("b", Value::Float(1.0)), ("trial", Value::Int(0))]),
            trial(&[
                ("a", Value::Text("x, \"y\"".into())),
                ("block", Value::Int(0)),
                ("trial", Value::Int(1)),
            ]),
            trial(&[
                ("b", Value::Missing),
                ("a", Value::Text(String::new())),
                ("trial", Value::Int(2)),
                ("block", Value::Int(0)),
            ]),
        ];
        let table = Table::of(&trials);
        let csv = table.csv();
        assert_eq!(csv, "b,a,block,trial\n1.0,,0,0\n,\"x, \"\"y\"\"\",0,1\n,\"\",0,2\n");
        let back = rows(&csv).unwrap();
        assert_eq!(back.len(), 4);
        assert_eq!(back[2][1], ("x, \"y\"".to_owned(), true));
        assert_eq!((back[3][0].1, back[3][1].1), (false, true));
        assert_eq!(Table::of(&[]).csv(), "");
    }

    #[test]
    fn text_of_other_programs_is_read() {
        let cells = rows("\u{feff}a,b\r\n1,\"two\nlines\"\r\n\r\n3,").unwrap();
        let plain: Vec<Vec<&str>> =
            cells.iter().map(|r| r.iter().map(|(c, _)| c.as_str()).collect()).collect();
        assert_eq!(plain, [["a", "b"], ["1", "two\nlines"], ["3", ""]]);
        assert_eq!(rows("a\n\"no end\n1\n"), None);
    }
}
