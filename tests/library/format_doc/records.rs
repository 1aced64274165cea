//! The tables of fields in `docs/records.md` and the schema say the same.

const PAGE: &str = include_str!("../../../docs/records.md");
const SCHEMA: &str = include_str!("../../../schemas/md_frame.fbs");

/// Slot, name and type of each field of a table of the schema.
fn fields(table: &str) -> Vec<(usize, String, String)> {
    let body = SCHEMA.split_once(&format!("table {table} {{")).unwrap().1;
    let body = body.split_once("\n}").unwrap().0;
    let fields = body.lines().filter_map(|line| {
        let (name, rest) = line.trim().split_once(": ")?;
        let (kind, id) = rest.split_once(" (id: ")?;
        let id = id.split([',', ')']).next()?.parse().ok()?;
        let kind = kind.replace(" = null", "").replace(" = 3", ", default 3");
        Some((id, name.to_owned(), kind))
    });
    fields.collect()
}

#[test]
fn fields_are_listed_with_their_slots() {
    for table in ["MdFrame", "Property", "Topology"] {
        let after = PAGE.split_once(&format!("\n`{table}`:\n")).expect(table).1;
        let rows = after.lines().skip_while(|l| !l.starts_with('|')).skip(2);
        let listed: Vec<&str> = rows.take_while(|l| l.starts_with('|')).collect();
        let made: Vec<String> = fields(table)
            .into_iter()
            .map(|(id, name, kind)| format!("| {id} | {} | `{name}` | {kind} |", 4 + 2 * id))
            .collect();
        assert!(made.len() > 7);
        assert_eq!(listed, made, "{table}");
    }
}

#[test]
fn the_test_values_of_positions_are_on_the_page() {
    // `words_are_as_the_page_says` beside the code has the same values.
    for value in ["`0x00000302`, `0x02005606`, `0x00000504`", "2, 0, 140000"] {
        assert!(PAGE.contains(value), "{value}");
    }
}
