//! Writing to standard output and error.

use serde_json::{Value, json};
use std::borrow::Cow;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::path::Path;
use std::sync::OnceLock;
use vlstore::printable::{printable, printable_lines, printable_path};
use vlstore::{Error, Key, Result};

/// Standard output, buffered; flushed by [`Out::end`].
pub(crate) struct Out(BufWriter<StdoutLock<'static>>);

impl Out {
    pub(crate) fn new() -> Self {
        Self(BufWriter::with_capacity(64 << 10, io::stdout().lock()))
    }

    /// A line for people, or JSON: what a terminal would act on is escaped, in the way of JSON.
    pub(crate) fn line(&mut self, text: impl std::fmt::Display) -> Result<()> {
        writeln!(self.0, "{}", printable_lines(&text.to_string())).map_err(failed)
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.write_all(bytes).map_err(failed)
    }

    /// The stream itself, for whoever writes piece by piece.
    pub(crate) fn stream(&mut self) -> &mut dyn Write {
        &mut self.0
    }

    /// What was written so far reaches the reader.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.0.flush().map_err(failed)
    }

    pub(crate) fn end(mut self) -> Result<()> {
        self.flush()
    }
}

/// Says that trials which were begun and never written are not in what was made of an experiment.
pub(crate) fn warn_of_unfinished(experiment: &Path, trials: u64) {
    if trials > 0 {
        complain(&format!(
            "warning: {}: {trials} unfinished trials are left out: they were begun and never written; \
             `TaskReader.unfinished` of the Python package reads them",
            shown(experiment)
        ));
    }
}

/// How many names are shown of those that are left out.
const SHOWN: usize = 20;

/// Says what of an experiment is not in what was made of it.
pub(crate) fn warn_of_left_out(experiment: &Path, names: &[String]) {
    if names.is_empty() {
        return;
    }
    let count = plural(names.len() as u64, "entry").replace("entrys", "entries");
    let is = if names.len() == 1 { "is" } else { "are" };
    complain(&format!(
        "warning: {}: {count} that {is} in no task {is} left out:",
        shown(experiment)
    ));
    for name in names.iter().take(SHOWN) {
        complain(&format!("    {}", printable(name)));
    }
    if let Some(more) = names.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        complain(&format!("    and {more} more, which --json lists"));
    }
}

/// Says on standard error that nothing keeps a second writer out, where that is so.
pub(crate) fn warn_without_lock(store: &Path, locked: bool) {
    if !locked {
        complain(&format!(
            "warning: {}: this file system has no locks; make sure that no other process writes to the store",
            shown(store)
        ));
    }
}

fn failed(source: io::Error) -> Error {
    Error::io("write to standard output", source)
}

/// The name of a file in a line for people.
pub(crate) fn shown(path: &Path) -> Cow<'_, str> {
    printable_path(path)
}

/// A line on standard error; nothing can be done if that is closed.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", printable_lines(text));
}

/// A key as JSON: text, a number, or an object with hexadecimal digits.
pub(crate) fn key_json(key: Option<&Key>) -> Value {
    match key {
        None => Value::Null,
        Some(Key::Str(s)) => json!(s),
        Some(Key::Int(i)) => {
            i64::try_from(*i).map_or_else(|_| json!(u64::try_from(*i).ok()), |i| json!(i))
        }
        Some(Key::Bytes(b)) => json!({ "hex": crate::keys::hex(b) }),
    }
}

/// Bytes in the largest decimal unit, for people: `4.60 MB`.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(crate) fn human(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut unit = "B";
    for larger in ["kB", "MB", "GB", "TB"] {
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        unit = larger;
    }
    match (unit, value) {
        ("B", _) => format!("{bytes} B"),
        (_, v) if v < 9.995 => format!("{v:.2} {unit}"),
        (_, v) if v < 99.95 => format!("{v:.1} {unit}"),
        (_, v) => format!("{v:.0} {unit}"),
    }
}

/// A count: with its digits in groups of three on a terminal, `1 324 000`, and without blanks for
/// programs, `1324000`.
pub(crate) fn grouped(n: u64) -> String {
    static PEOPLE: OnceLock<bool> = OnceLock::new();
    let people = PEOPLE.get_or_init(|| io::stdout().is_terminal() && io::stderr().is_terminal());
    if *people { in_groups(n) } else { n.to_string() }
}

fn in_groups(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// `1 frame`, `2 frames`.
pub(crate) fn plural(n: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(n), if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_counts_are_short() {
        let sizes = [0, 999, 1000, 999_500, 4_596_084, 12_345_678_901];
        let shown = ["0 B", "999 B", "1.00 kB", "1.00 MB", "4.60 MB", "12.3 GB"];
        assert_eq!(sizes.map(human), shown);
        assert_eq!([7, 1324, 1_000_000].map(in_groups), ["7", "1 324", "1 000 000"]);
        assert_eq!((plural(1, "frame"), plural(0, "frame")), ("1 frame".into(), "0 frames".into()));
    }
}
