//! Ids of series: those that a caller gives, new ones, and the keys of what belongs to a series.
//!
//! The record under the id itself is the start of the series. All other records have keys of bytes,
//! which no id can have, so that no name of a series clashes with anything of ours.

use crate::error::{Error, Result};
use crate::key::Key;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Longest id that is text, in bytes: every record behind the start repeats it in its key.
pub const ID_MAX: usize = 4096;

/// Refuses what is no id: ids are integers and texts.
///
/// # Errors
/// [`Error::Invalid`] for bytes, [`Error::Limit`] above [`ID_MAX`] bytes; as [`Key::check`].
pub fn check_id(id: &Key) -> Result<()> {
    match id {
        Key::Bytes(_) => Err(Error::invalid("id", "must be an integer or a string, not bytes")),
        Key::Str(text) if text.len() > ID_MAX => {
            Err(Error::Limit { what: "id", asked: text.len() as u64, max: ID_MAX as u64 })
        }
        _ => id.check(),
    }
}

/// What a record of a series is by its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Role {
    Start,
    Growth,
    Block(u64),
    Piece(u64),
}

/// The key of a record of the series `id`.
pub(super) fn key(id: &Key, role: Role) -> Key {
    let (letter, number) = match role {
        Role::Start => return id.clone(),
        Role::Growth => (b'g', None),
        Role::Block(n) => (b'b', Some(n)),
        Role::Piece(n) => (b'p', Some(n)),
    };
    let mut out = vec![letter];
    out.extend(number.map(u64::to_be_bytes).into_iter().flatten());
    match id {
        Key::Str(text) => {
            out.push(b's');
            out.extend_from_slice(text.as_bytes());
        }
        Key::Int(n) => {
            out.push(b'i');
            out.extend_from_slice(&n.to_be_bytes());
        }
        // No id has them: see `check_id`.
        Key::Bytes(bytes) => out.extend_from_slice(bytes),
    }
    Key::from(out)
}

/// The id and the role that a key stands for; `None` for a key of somebody else.
pub(super) fn parse(key: &Key) -> Option<(Key, Role)> {
    let Key::Bytes(bytes) = key else { return Some((key.clone(), Role::Start)) };
    let (letter, rest) = bytes.split_first()?;
    let (role, rest) = if *letter == b'g' {
        (Role::Growth, rest)
    } else {
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let number = u64::from_be_bytes(*number);
        match letter {
            b'b' => (Role::Block(number), rest),
            b'p' => (Role::Piece(number), rest),
            _ => return None,
        }
    };
    let id = match rest.split_first()? {
        (b's', text) => Key::from(str::from_utf8(text).ok()?),
        (b'i', number) => Key::Int(i128::from_be_bytes(number.try_into().ok()?)),
        _ => return None,
    };
    Some((id, role))
}

/// The digits of an id that was made: in the order of their codes, without look-alikes.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The time since 1970, and 64 bits of chance that no other process has.
fn chance() -> (Duration, u64) {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // The keys of a RandomState come from the system's source of random numbers, once a thread; a
    // forked child has those of its parent, but another number, and another time.
    let mut chance = RandomState::new().build_hasher();
    chance.write_u32(crate::backend::process_id());
    chance.write_u128(now.as_nanos());
    chance.write_u64(COUNT.fetch_add(1, Ordering::Relaxed));
    (now, chance.finish())
}

/// A mark of a series that grows, which no other series has; not 0.
pub(super) fn new_mark() -> u64 {
    chance().1.max(1)
}

/// An id that no process has made before: `ts-`, the time in milliseconds, and 60 bits of chance, in
/// 22 digits. Asks nobody, so that it costs the same however many series there are.
#[must_use]
pub fn new_id() -> Key {
    let (now, chance) = chance();
    let millis = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let digit = |value: u64, place: u32| {
        let index = usize::try_from((value >> (5 * place)) & 31).unwrap_or(0);
        char::from(DIGITS.get(index).copied().unwrap_or(b'0'))
    };
    let time = (0..10).rev().map(|place| digit(millis, place));
    let rest = (0..12).rev().map(|place| digit(chance, place));
    Key::from("ts-".chars().chain(time).chain(rest).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn keys_lead_back_and_never_meet() {
        let ids =
            ["", "1", "a/b", "../x", "g", "id_length_map", "🙂", &"x".repeat(300)].map(Key::from);
        let ids = ids.into_iter().chain([Key::from(1), Key::from(-1), Key::from(u64::MAX)]);
        let roles = [Role::Start, Role::Growth, Role::Block(0), Role::Block(1), Role::Piece(0)];
        let mut seen = HashSet::new();
        for id in ids {
            check_id(&id).unwrap();
            for role in roles {
                let key = key(&id, role);
                assert_eq!(parse(&key), Some((id.clone(), role)));
                assert!(seen.insert(key));
            }
        }
        assert!(check_id(&Key::from(&b"x"[..])).is_err());
        assert!(check_id(&Key::from("x".repeat(ID_MAX + 1))).is_err());
        for other in [&b""[..], b"g", b"bs", b"x00000000sa", b"gi1", b"gs\xff"] {
            assert_eq!(parse(&Key::from(other)), None);
        }
    }

    #[test]
    fn new_ids_differ_and_rise_with_time() {
        let made: Vec<Key> = (0..10_000).map(|_| new_id()).collect();
        assert_eq!(made.iter().collect::<HashSet<_>>().len(), made.len());
        let Key::Str(text) = &made[0] else { panic!("text") };
        assert!(text.len() == 25 && text.starts_with("ts-"), "{text}");
    }
}
