//! Sizes and intervals as a person writes them.

use std::time::Duration;

/// When a commit is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interval {
    /// After this many frames.
    Frames(u64),
    /// After this many bytes of records.
    Bytes(u64),
    /// After this much time.
    Time(Duration),
}

/// `4096`, `256K`, `4MiB`, `1MB`: K, M and G alone count in powers of 1024, as KiB does.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text)?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return Err(format!("{unit:?} is not a unit of size; use KiB, MiB, kB or MB")),
    };
    number.checked_mul(factor).ok_or_else(|| format!("{text} is too large"))
}

/// As [`bytes`], for options of 32 bits.
pub(crate) fn small(text: &str) -> Result<u32, String> {
    u32::try_from(bytes(text)?).map_err(|_| format!("{text} is too large"))
}

/// `100` or `100frames`, `8MiB`, `5s`, `500ms`, `2min`.
pub(crate) fn interval(text: &str) -> Result<Interval, String> {
    let (number, unit) = split(text)?;
    if number == 0 {
        return Err("the number must be 1 or more".into());
    }
    Ok(match unit.to_ascii_lowercase().as_str() {
        "" | "f" | "frame" | "frames" => Interval::Frames(number),
        "ms" => Interval::Time(Duration::from_millis(number)),
        "s" | "sec" => Interval::Time(Duration::from_secs(number)),
        "min" => Interval::Time(Duration::from_secs(number.saturating_mul(60))),
        _ => Interval::Bytes(bytes(text).map_err(|_| {
            format!(
                "{unit:?} is not a unit; use frames, KiB, MiB, ms, s or min, for example 100frames"
            )
        })?),
    })
}

fn split(text: &str) -> Result<(u64, &str), String> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number = number.parse().map_err(|_| format!("{text:?} does not begin with an integer"))?;
    Ok((number, unit.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_intervals_are_read_with_their_units() {
        assert_eq!(bytes("4096"), Ok(4096));
        assert_eq!(bytes("4MiB"), Ok(4 << 20));
        assert_eq!(bytes("1 kB"), Ok(1000));
        assert_eq!(small("64k"), Ok(65_536));
        assert_eq!(interval("100"), Ok(Interval::Frames(100)));
        assert_eq!(interval("8MiB"), Ok(Interval::Bytes(8 << 20)));
        assert_eq!(interval("500ms"), Ok(Interval::Time(Duration::from_millis(500))));
        for bad in ["", "MiB", "1.5M", "-1", "4 furlongs", "99999999999G"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
        assert!(interval("0").is_err() && interval("3 apples").is_err() && small("4G").is_err());
    }
}
