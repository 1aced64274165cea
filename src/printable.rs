//! Text that a person reads: what a terminal would act on is shown instead.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

/// Displays text with every control character as its escape, as JSON has it: `\n`, `\u001b`. A
/// file name or a key can then neither change the colours of a terminal nor start a new line of a
/// report.
#[derive(Debug, Clone, Copy)]
pub struct Printable<'a>(&'a str);

/// `text` as it is shown to people.
#[must_use]
pub const fn printable(text: &str) -> Printable<'_> {
    Printable(text)
}

/// The name of a file as it is shown to people; bytes that are not text become `\u{fffd}`.
#[must_use]
pub fn printable_path(path: &Path) -> Cow<'_, str> {
    match path.to_string_lossy() {
        name if name.chars().any(is_unprintable) => printable(&name).to_string().into(),
        name => name,
    }
}

/// Whether a terminal acts on this character, or shows the text around it in another order.
#[must_use]
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escape(c: char, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match c {
        '\n' => f.write_str("\\n"),
        '\r' => f.write_str("\\r"),
        '\t' => f.write_str("\\t"),
        // All that are escaped are below 2^16.
        c => write!(f, "\\u{:04x}", u32::from(c)),
    }
}

/// Lines of a report: as [`printable`], but line ends and tabs, which it has of its own, stay.
#[must_use]
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    let kept = |c: char| matches!(c, '\n' | '\t');
    if !text.contains(|c| is_unprintable(c) && !kept(c)) {
        return text.into();
    }
    let parts = text.split_inclusive(kept).map(|part| {
        let end = part.len() - usize::from(part.ends_with(kept));
        let (text, end) = part.split_at(end);
        format!("{}{end}", printable(text))
    });
    parts.collect::<String>().into()
}

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(is_unprintable) {
            let (plain, tail) = rest.split_at(at);
            f.write_str(plain)?;
            let mut tail = tail.chars();
            if let Some(c) = tail.next() {
                escape(c, f)?;
            }
            rest = tail.as_str();
        }
        f.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_act_on_is_shown_and_all_else_stays() {
        for (text, shown) in [
            ("run-1.xtc", "run-1.xtc"),
            ("Größe \u{65e5}\u{672c} \\ ' \"", "Größe \u{65e5}\u{672c} \\ ' \""),
            ("\u{1b}[31mred", "\\u001b[31mred"),
            ("two\nlines\r\t", "two\\nlines\\r\\t"),
            ("\u{9b}2J\u{7f}", "\\u009b2J\\u007f"),
            ("a\u{202e}b", "a\\u202eb"),
            ("", ""),
        ] {
            assert_eq!(printable(text).to_string(), shown);
            assert_eq!(printable_path(Path::new(text)), shown);
        }
        assert_eq!(printable_lines("a\tb\n\u{1b}c\n\r"), "a\tb\n\\u001bc\n\\r");
        assert_eq!(printable_lines("plain\n"), "plain\n");
    }
}
