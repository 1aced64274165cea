//! What a notebook shows.

/// Text between tags.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A small table for a notebook.
pub(crate) fn table(title: &str, rows: &[(&str, String)]) -> String {
    let rows: String = rows
        .iter()
        .map(|(name, value)| {
            format!(
                "<tr><th style=\"text-align:left\">{}</th><td style=\"text-align:left\">{}</td></tr>",
                escaped(name),
                escaped(value)
            )
        })
        .collect();
    format!("<table><caption>{}</caption>{rows}</table>", escaped(title))
}
