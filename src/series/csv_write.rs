//! Series as comma-separated values: the time first, then the channels.

use super::series_view::Series;
use crate::backend::{ExistingOutput, Output, OutputPlace};
use crate::error::{Error, Result};
use crate::existing::Existing;
use std::fmt::Write as _;
use std::path::Path;

/// Bytes that are gathered before they are written.
const GATHERED: usize = 1 << 20;

/// Writes points as they come: the time and the value of each channel, with as few digits as lead back to
/// the same number. The file appears when it is whole. `next` gives pieces until there are no more.
///
/// # Errors
/// [`Error::Exists`] if there is a file and `existing` keeps it, [`Error::Io`]; what `next` returns.
pub fn write_csv(
    path: &Path,
    existing: Existing,
    names: &[String],
    mut next: impl FnMut() -> Result<Option<Series>>,
) -> Result<u64> {
    let mut write = || {
        if existing.is_replaced()
            && let ExistingOutput::File(_) = OutputPlace::of(path)?.there()
            && crate::store::is_store(path)?
        {
            let why = "this is a store, so it is not replaced by a table; name another file";
            return Err(Error::invalid("file to write", why));
        }
        let mut out = Output::create(path, existing, &mut || Ok(()))?;
        let mut text = String::from("time");
        for name in names {
            text.push(',');
            let plain = !name.contains([',', '"', '\n', '\r']);
            if plain {
                text.push_str(name);
            } else {
                let _ = write!(text, "\"{}\"", name.replace(['"', '\n', '\r'], " "));
            }
        }
        text.push('\n');
        let mut count = 0;
        while let Some(series) = next()? {
            for i in 0..series.len() {
                let _ = write!(text, "{:?}", series.time(i));
                for channel in 0..series.channels() {
                    let value = series.channel(channel).get(i).copied().unwrap_or(f64::NAN);
                    let _ = write!(text, ",{value:?}");
                }
                text.push('\n');
                if text.len() >= GATHERED {
                    out.write(text.as_bytes())?;
                    text.clear();
                }
            }
            count += series.len() as u64;
        }
        out.write(text.as_bytes())?;
        out.publish()?;
        Ok(count)
    };
    write().map_err(|e: Error| e.at(path))
}
