//! Records of a leaf. Records that were packed are read back unchanged, by every function that reads them.
//! Arbitrary bytes, and packed records with changed bytes, give errors, or the same values from all functions.
#![no_main]
use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use std::ops::Range;
use vlstore::Error;
use vlstore::index::layout::{KEY_NONE, KEY_SHARED};
use vlstore::index::leaf::{Defect, GROUP, GroupKeys, Packed, Place, Source, pack};
use vlstore::wire::mix;

/// Some records with keys of one kind.
#[derive(Debug, Arbitrary)]
struct Part {
    many: u8,
    kind: u8,
    shape: u8,
    seed: u8,
    step: i8,
    prefix: u8,
    len: u16,
}

#[derive(Debug, Arbitrary)]
enum Input {
    Packed { parts: Vec<Part>, patches: Vec<(u16, u8)> },
    Bytes { records: u16, ordered: u8, bytes: Vec<u8> },
}

struct Slice<'a>(&'a [u8]);

impl Source for Slice<'_> {
    fn with<R>(&self, range: Range<usize>, f: impl FnOnce(&[u8]) -> R) -> vlstore::Result<R> {
        let bytes = self.0.get(range).ok_or_else(|| self.defect("outside"))?;
        Ok(f(bytes))
    }

    fn defect(&self, why: Defect) -> Error {
        Error::corrupt("index leaf", 0, why)
    }
}

type Record = (Place, u8, Vec<u8>);

impl Part {
    fn record(&self, i: u64, start: &mut u64) -> Record {
        let number = i64::from(self.seed).wrapping_add(i64::from(self.step) * i as i64);
        let random = mix(u64::from(self.seed) << 32 | i);
        let prefix = "p".repeat(usize::from(self.prefix));
        let kind = self.kind % 6;
        let key = match kind {
            KEY_NONE => Vec::new(),
            2 => number.wrapping_mul(1 << (self.shape % 64)).to_le_bytes().to_vec(),
            3 => (u64::MAX ^ number.unsigned_abs()).to_le_bytes().to_vec(),
            KEY_SHARED => [random.to_le_bytes(); 2].concat(),
            _ => match self.shape % 4 {
                0 => format!("{prefix}{number:07}").into_bytes(),
                1 => format!("{prefix}{number}").into_bytes(),
                2 => format!("{prefix}{i:03}{:x}", random >> self.prefix % 64).into_bytes(),
                _ => format!("{random:x}{prefix}").into_bytes(),
            },
        };
        let len = u32::from(self.len >> (random % 8));
        match self.shape >> 4 {
            0 => *start = start.next_multiple_of(8),
            1 => *start += random % 3 * u64::from(self.seed),
            2 => *start ^= random >> 20,
            _ => {}
        }
        let place = Place {
            start: *start & (1 << 50) - 1,
            len,
            weight: (random as u32) >> (self.shape % 32),
            has_row: self.shape & 64 != 0 && random & 1 != 0,
        };
        *start = place.start + u64::from(len);
        (place, kind, key)
    }
}

/// All that can be read, asked in every way: nothing if there is a defect. Ways that both answer
/// agree.
fn content(leaf: &Packed<Slice<'_>>) -> Option<Vec<Record>> {
    let mut all = Vec::new();
    let whole = leaf.each(|_, place, kind, key| {
        all.push((*place, kind, key.to_vec()));
        Ok(())
    });
    let (mut key, mut places, mut keys) = (Vec::new(), Vec::new(), GroupKeys::default());
    for group in 0..leaf.groups().min(8) {
        let kept = leaf.kept_places(group).ok().flatten();
        let placed = leaf.places(group, &mut places).is_ok();
        let keyed = leaf.keys(group, &mut keys).is_ok();
        for (n, i) in leaf.group_at(group).enumerate() {
            let place = leaf.place(i).ok();
            let kept = kept.as_ref().map(|kept| kept.get(n));
            if placed {
                assert_eq!(place, Some(places[n]));
                assert!(kept.is_none_or(|kept| kept == place));
            }
            let kind = leaf.key(i, &mut key).ok();
            if keyed {
                assert_eq!((kind.expect("a key"), &key[..]), keys.get(n));
            }
            if let Some(kind) = kind.filter(|kind| *kind != KEY_NONE)
                && let Ok(is) = leaf.key_is(i, kind, &key)
            {
                assert!(is || !keyed);
            }
        }
    }
    whole.ok().map(|()| all)
}

/// Searches every key, with and without what is kept of groups; with `known`, each is found.
fn search(leaf: &Packed<Slice<'_>>, records: &[Record], known: bool) {
    let Some(wanted) = leaf.ascending() else { return };
    let firsts = leaf.firsts().ok().flatten();
    let kept: Vec<_> =
        (0..leaf.groups().min(8)).map(|g| leaf.kept_keys(g).ok().flatten()).collect();
    let mut other = Vec::new();
    for (i, (_, kind, key)) in records.iter().enumerate().filter(|(_, r)| r.1 == wanted) {
        other.clone_from(key);
        other.iter_mut().last().into_iter().for_each(|b| *b ^= 1);
        for key in [key, &other] {
            let found = leaf.search(*kind, key);
            let again = firsts
                .as_ref()
                .map(|firsts| leaf.search_from(firsts, |g| kept.get(g)?.as_ref(), *kind, key));
            if known {
                let again = again.map(Result::unwrap);
                let found = found.unwrap();
                assert!(again.is_none_or(|again| again == found));
                assert!(found == Some(i) || *key == other);
                assert!(found.is_none_or(|at| records[at].2 == *key));
            }
        }
    }
    let _ = (leaf.first_key(), leaf.last_key());
}

fuzz_target!(|input: Input| {
    match input {
        Input::Packed { parts, patches } => {
            let (mut start, mut records) = (40, Vec::new());
            for (n, part) in parts.iter().take(12).enumerate() {
                let from = if part.shape & 128 == 0 { 0 } else { 1000 * n as u64 };
                let many = u64::from(part.many);
                records.extend((from..from + many).map(|i| part.record(i, &mut start)));
            }
            let each = records.iter().map(|(place, kind, key)| (*place, *kind, key.as_slice()));
            let mut packed = pack(each).expect("it is packed");
            let (len, count) = (packed.bytes.len(), records.len());
            let leaf = Packed::new(Slice(&packed.bytes), count, len, packed.ordered);
            if count <= 8 * GROUP {
                assert!(content(&leaf).expect("it is read") == records);
            }
            search(&leaf, &records, true);
            if len == 0 || patches.is_empty() {
                return;
            }
            for (at, byte) in patches {
                packed.bytes[usize::from(at) % len] ^= byte;
            }
            let leaf = Packed::new(Slice(&packed.bytes), count, len, packed.ordered);
            content(&leaf);
            search(&leaf, &records, false);
        }
        Input::Bytes { records, ordered, bytes } => {
            let leaf = Packed::new(Slice(&bytes), records.into(), bytes.len(), ordered % 6);
            let records = content(&leaf).unwrap_or_default();
            search(&leaf, &records, false);
        }
    }
});
