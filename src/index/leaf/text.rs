//! Keys of text and bytes: numbers in decimals behind a common prefix, and front coding.

use super::Defect;
use std::cmp::Ordering;

/// Longest prefix of numbered keys.
pub(super) const PREFIX_MAX: usize = 255;
/// Most digits of a number at the end of a key.
pub(super) const DIGITS_MAX: usize = 18;
/// Keys between two that stand whole in front coding.
pub(super) const RESTART: usize = 16;
/// Longest key that is front coded, so that what is read for one of them stays short.
pub(super) const FRONT_MAX: usize = 4096;

/// A common prefix and the numbers behind it.
#[derive(Debug)]
pub(super) struct Numbered<'a> {
    /// What every key begins with.
    pub(super) prefix: &'a [u8],
    /// Digits of every number; 0 if they are written without zeros in front.
    pub(super) digits: u8,
    /// The numbers.
    pub(super) values: Vec<i128>,
}

/// The number that these digits are, if they are digits and not too many.
pub(super) fn decimal(digits: &[u8]) -> Option<i128> {
    if digits.is_empty() || digits.len() > DIGITS_MAX {
        return None;
    }
    let number = digits.iter().try_fold(0, |n: u64, d| {
        d.is_ascii_digit().then(|| n * 10 + u64::from(d.wrapping_sub(b'0')))
    });
    number.map(i128::from)
}

/// Keys as numbers behind a prefix, if all of them are.
pub(super) fn numbered<'a>(keys: &[(u8, &'a [u8])]) -> Option<Numbered<'a>> {
    let (_, first) = keys.first()?;
    let digits = first.iter().rev().take(DIGITS_MAX).take_while(|b| b.is_ascii_digit()).count();
    let prefix = first.get(..first.len() - digits).filter(|p| p.len() <= PREFIX_MAX)?;
    let values = |fixed: bool| {
        let value = |(_, key): &(u8, &'a [u8])| {
            let number = key.strip_prefix(prefix)?;
            let right = if fixed {
                number.len() == digits
            } else {
                number.first() != Some(&b'0') || number.len() == 1
            };
            right.then(|| decimal(number)).flatten()
        };
        keys.iter().map(value).collect::<Option<Vec<_>>>()
    };
    if let Some(values) = values(true) {
        return Some(Numbered { prefix, digits: u8::try_from(digits).ok()?, values });
    }
    Some(Numbered { prefix, digits: 0, values: values(false)? })
}

/// Calls `f` with the decimals of `n` as a key has them; nothing if a key could not.
pub(super) fn with_decimals<R>(n: i128, digits: u8, f: impl FnOnce(&[u8]) -> R) -> Option<R> {
    let mut buf = [b'0'; DIGITS_MAX];
    let mut n = u64::try_from(n).ok()?;
    let mut used = 0;
    for place in buf.iter_mut().rev() {
        if n == 0 && used > 0 {
            break;
        }
        *place = b'0' + u8::try_from(n % 10).ok()?;
        n /= 10;
        used += 1;
    }
    let shown = if digits == 0 { used } else { usize::from(digits) };
    (n == 0 && used <= shown.max(1)).then_some(())?;
    Some(f(buf.get(buf.len().checked_sub(shown)?..)?))
}

fn put_count(out: &mut Vec<u8>, n: usize) {
    let mut n = n;
    while n >= 0x80 {
        let [low, ..] = (n & 0x7f).to_le_bytes();
        out.push(low | 0x80);
        n >>= 7;
    }
    let [low, ..] = n.to_le_bytes();
    out.push(low);
}

/// A number of up to two bytes; longer ones stand for no key that is front coded.
fn count(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match *bytes {
        [low, ref rest @ ..] if low < 0x80 => Some((low.into(), rest)),
        [low, high, ref rest @ ..] if high < 0x80 => {
            Some((usize::from(low & 0x7f) | usize::from(high) << 7, rest))
        }
        _ => None,
    }
}

/// Appends one key behind `before`: what it shares with it and the rest.
pub(super) fn put_front(before: &[u8], key: &[u8], out: &mut Vec<u8>) {
    let shared = before.iter().zip(key).take_while(|(a, b)| a == b).count();
    let rest = key.get(shared..).unwrap_or_default();
    let nibble = |n: usize| u8::try_from(n.min(15)).unwrap_or(15);
    out.push(nibble(shared) << 4 | nibble(rest.len()));
    for n in [shared, rest.len()] {
        if let Some(more) = n.checked_sub(15) {
            put_count(out, more);
        }
    }
    out.extend_from_slice(rest);
}

/// A key of front coding.
struct Front<'a> {
    /// Bytes that it shares with the one before.
    shared: usize,
    rest: &'a [u8],
}

/// Takes one key, `before` being the length of the one in front of it.
fn take_front<'a>(bytes: &mut &'a [u8], before: usize) -> Result<Front<'a>, Defect> {
    let mut take = || {
        let (token, mut left) = bytes.split_first()?;
        let mut number = |nibble: u8| {
            if nibble < 15 {
                return Some(usize::from(nibble));
            }
            let (more, rest) = count(left)?;
            left = rest;
            Some(more + 15)
        };
        let shared = number(token >> 4)?;
        let len = number(token & 15)?;
        let (rest, left) = left.split_at_checked(len)?;
        *bytes = left;
        (shared <= before && shared + len <= FRONT_MAX).then_some(Front { shared, rest })
    };
    take().ok_or("a key shares more than there is, or is too long")
}

/// Puts the key at position `i` behind a restart into `out`.
pub(super) fn front(mut bytes: &[u8], i: usize, out: &mut Vec<u8>) -> Result<(), Defect> {
    out.clear();
    for _ in 0..=i {
        let key = take_front(&mut bytes, out.len())?;
        out.truncate(key.shared);
        out.extend_from_slice(key.rest);
    }
    Ok(())
}

/// Calls `f` with `n` keys behind a restart.
pub(super) fn fronts(mut bytes: &[u8], n: usize, mut f: impl FnMut(&[u8])) -> Result<(), Defect> {
    let mut key = Vec::new();
    for _ in 0..n {
        let next = take_front(&mut bytes, key.len())?;
        key.truncate(next.shared);
        key.extend_from_slice(next.rest);
        f(&key);
    }
    Ok(())
}

/// How each of `n` keys behind a restart compares with `wanted`, in order, until `f` returns something;
/// no key is put together for that.
pub(super) fn compare_fronts<R>(
    mut bytes: &[u8],
    n: usize,
    wanted: &[u8],
    mut f: impl FnMut(usize, Ordering) -> Option<R>,
) -> Result<Option<R>, Defect> {
    // Length of the key, and how many bytes of it are those of `wanted`.
    let (mut len, mut same) = (0, 0);
    let mut order = Ordering::Less;
    for i in 0..n {
        let key = take_front(&mut bytes, len)?;
        len = key.shared + key.rest.len();
        if key.shared <= same {
            let left = wanted.get(key.shared..).unwrap_or_default();
            let more = key.rest.iter().zip(left).take_while(|(a, b)| a == b).count();
            same = key.shared + more;
            order = key.rest.get(more..).cmp(&left.get(more..));
        }
        // Else it differs from `wanted` where the one before did.
        if let Some(r) = f(i, order) {
            return Ok(Some(r));
        }
    }
    Ok(None)
}
