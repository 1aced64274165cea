use super::*;
use crate::error::{Error, Result};
use crate::index::layout::{KEY_BYTES, KEY_I64, KEY_NONE, KEY_SHARED, KEY_STR, KEY_U64};
use crate::wire::mix;
use proptest::prelude::*;
use std::ops::Range;

struct Slice<'a>(&'a [u8]);

impl Source for Slice<'_> {
    fn with<R>(&self, range: Range<usize>, f: impl FnOnce(&[u8]) -> R) -> Result<R> {
        let bytes = self.0.get(range).ok_or_else(|| self.defect("outside"))?;
        Ok(f(bytes))
    }

    fn defect(&self, why: Defect) -> Error {
        Error::corrupt("index leaf", 0, why)
    }
}

type Record = (Place, u8, Vec<u8>);

fn packed(records: &[Record]) -> Records {
    pack(records.iter().map(|(place, kind, key)| (*place, *kind, key.as_slice()))).unwrap()
}

fn open<'a>(records: &Records, bytes: &'a [u8], count: usize) -> Packed<Slice<'a>> {
    Packed::new(Slice(bytes), count, bytes.len(), records.ordered)
}

/// All that can be read of packed records; nothing if some of it is an error.
fn content(leaf: &Packed<Slice<'_>>) -> Option<Vec<Record>> {
    let mut out = Vec::new();
    leaf.each(|_, place, kind, key| {
        out.push((*place, kind, key.to_vec()));
        Ok(())
    })
    .ok()?;
    Some(out)
}

fn check(records: &[Record]) -> Records {
    let packed = packed(records);
    assert!(packed.bytes.len().is_multiple_of(WORD));
    assert!((packed.bytes.len() / WORD) as u64 >= least_words(records.len() as u64));
    let leaf = open(&packed, &packed.bytes, records.len());
    assert_eq!(content(&leaf).as_deref(), Some(records));
    let mut key = vec![9];
    for (i, (place, kind, bytes)) in records.iter().enumerate() {
        assert_eq!(leaf.place(i).unwrap(), *place, "{i}");
        if let Some(kept) = leaf.kept_places(i / GROUP).unwrap() {
            assert_eq!(kept.get(i % GROUP), Some(*place), "{i}");
        }
        assert_eq!(leaf.key(i, &mut key).unwrap(), *kind, "{i}");
        assert_eq!(key, *bytes, "{i}");
        if *kind != KEY_NONE {
            assert!(leaf.key_is(i, *kind, bytes).unwrap(), "{i}");
            assert!(!leaf.key_is(i, *kind ^ 8, bytes).unwrap(), "{i}");
        }
        let mut other = bytes.clone();
        other.push(1);
        assert!(!leaf.key_is(i, *kind, &other).unwrap(), "{i}");
        other.pop();
        if let Some(last) = other.last_mut() {
            *last ^= 1;
            assert!(!leaf.key_is(i, *kind, &other).unwrap(), "{i}");
        }
    }
    let keyed = || records.iter().enumerate().filter(|(_, r)| Some(r.1) == leaf.ascending());
    if leaf.ascending().is_some() {
        // The same with the first keys at hand, where they are not too long for that.
        let firsts = leaf.firsts().unwrap();
        let search = |kind: u8, key: &[u8]| {
            let found = leaf.search(kind, key).unwrap();
            let kept: Vec<_> = (0..leaf.groups()).map(|g| leaf.kept_keys(g).unwrap()).collect();
            for kept in [&kept[..], &[]] {
                let kept = |g: usize| kept.get(g)?.as_ref();
                let again = firsts.as_ref().map(|f| leaf.search_from(f, kept, kind, key).unwrap());
                assert!(again.is_none_or(|again| again == found));
            }
            found
        };
        for (i, (_, kind, key)) in keyed() {
            assert_eq!(search(*kind, key), Some(i), "{i}");
            let mut absent = key.clone();
            absent.insert(0, 0);
            let found = keyed().find(|(_, r)| (r.1, &r.2) == (*kind, &absent)).map(|r| r.0);
            assert_eq!(search(*kind, &absent), found);
            if !matches!(*kind, KEY_I64 | KEY_U64) {
                absent = key.clone();
                absent.push(0);
                let found = keyed().find(|(_, r)| r.2 == absent).map(|r| r.0);
                assert_eq!(search(*kind, &absent), found);
            }
        }
    }
    let outer = |r: Option<(usize, &Record)>| r.map(|(_, r)| (r.1, r.2.clone()));
    assert_eq!(leaf.first_key().unwrap(), outer(keyed().next()));
    assert_eq!(leaf.last_key().unwrap(), outer(keyed().next_back()));
    packed
}

/// Records as a writer places them: at multiples of 8, none over the end of a block.
fn placed(n: usize, key: impl Fn(u64) -> (u8, Vec<u8>)) -> Vec<Record> {
    let (mut at, block) = (40, 64 << 10);
    let record = |i| {
        let weight = u32::try_from(9 + mix(i) % 21).unwrap();
        let len = 250 + 20 * weight + u32::try_from(mix(i + 7) % 20).unwrap();
        let mut start = u64::next_multiple_of(at, 8);
        if start / block != (start + u64::from(len) - 1) / block {
            start = start.next_multiple_of(block);
        }
        at = start + u64::from(len);
        let (kind, key) = key(i);
        (Place { start, len, weight, has_row: true }, kind, key)
    };
    (0..n as u64).map(record).collect()
}

fn text(i: u64) -> (u8, Vec<u8>) {
    (KEY_STR, format!("mol_{i:07}").into_bytes())
}

fn int(i: u64) -> (u8, Vec<u8>) {
    (KEY_I64, i.to_le_bytes().to_vec())
}

fn random(i: u64) -> (u8, Vec<u8>) {
    (KEY_STR, format!("{:016x}", mix(i)).into_bytes())
}

/// Bytes of a record, with what its keys have in common counted.
fn cost(key: impl Fn(u64) -> (u8, Vec<u8>)) -> f64 {
    let records = placed(20_000, key);
    packed(&records).bytes.len() as f64 / records.len() as f64
}

#[test]
fn a_record_costs_little() {
    let growing = |i: u64| (i * 37 + mix(i) % 30).to_be_bytes().to_vec();
    let name = |i: u64| {
        let n = u64::from_be_bytes(growing(i).try_into().unwrap());
        (KEY_STR, format!("frag{n:08x}").into_bytes())
    };
    let sparse = |i: u64| {
        let n = u64::from_be_bytes(growing(i).try_into().unwrap());
        (KEY_STR, format!("mol_{n:07}").into_bytes())
    };
    for (what, cost, most) in [
        ("no key", cost(|_| (KEY_NONE, Vec::new())), 2.5),
        ("integers one by one", cost(int), 2.7),
        ("integers with holes", cost(|i| int(i * 37 + mix(i) % 30)), 3.7),
        ("mol_0000123 one by one", cost(text), 2.8),
        ("mol_0000123 with holes", cost(sparse), 3.8),
        ("hexadecimals that ascend", cost(name), 6.2),
        ("mol_123", cost(|i| (KEY_STR, format!("mol_{i}").into_bytes())), 2.8),
        ("16 random letters", cost(random), 18.7),
        ("16 random bytes", cost(|i| (KEY_BYTES, random(i).1)), 18.7),
    ] {
        println!("{what}: {cost:.2} bytes");
        assert!(cost <= most, "{what}: {cost}");
    }
}

#[test]
fn records_of_every_kind_of_key_come_back() {
    for n in [0, 1, 2, 31, 32, 33, 127, 128, 129, 300, 1000] {
        check(&placed(n, |_| (KEY_NONE, Vec::new())));
        assert_eq!(check(&placed(n, int)).ordered, if n == 0 { KEY_NONE } else { KEY_I64 });
        assert_eq!(check(&placed(n, text)).ordered, if n == 0 { KEY_NONE } else { KEY_STR });
        check(&placed(n, random));
        check(&placed(n, |i| int(mix(i))));
        check(&placed(n, |i| (KEY_U64, (mix(i) | 1 << 63).to_le_bytes().to_vec())));
        check(&placed(n, |i| (KEY_STR, format!("x{}", i * i).into_bytes())));
        check(&placed(n, |i| (KEY_STR, format!("{:018}", mix(i) % 999).into_bytes())));
        check(&placed(n, |i| (KEY_STR, format!("{}{i:020}", "p".repeat(300)).into_bytes())));
        check(&placed(n, |i| (KEY_BYTES, vec![7; usize::try_from(mix(i) % 90).unwrap()])));
        check(&placed(n, |i| (KEY_BYTES, vec![7; usize::try_from(i).unwrap() * 9])));
        // Shared records and such without a key among others break no order.
        let mixed = check(&placed(n, |i| match i % 7 {
            2 => (KEY_SHARED, mix(i).to_le_bytes().repeat(2)),
            5 => (KEY_NONE, Vec::new()),
            _ => text(i),
        }));
        assert!(n == 0 || mixed.ordered == KEY_STR);
        check(&placed(n, |i| match i % 5 {
            0 => int(i),
            1 => random(i),
            2 => (KEY_BYTES, vec![1, 2]),
            3 => (KEY_U64, u64::MAX.to_le_bytes().to_vec()),
            _ => (77, vec![0]),
        }));
    }
    // A long stretch without such keys in the middle.
    check(&placed(1000, |i| if (100..900).contains(&i) { (KEY_NONE, Vec::new()) } else { int(i) }));
    check(&[(Place::default(), KEY_STR, Vec::new()), (Place::default(), KEY_STR, vec![b'a'])]);
    // What stands for no number is kept as it is.
    assert_eq!(check(&[(Place::default(), KEY_I64, vec![1; 5])]).ordered, KEY_NONE);
}

#[test]
fn places_that_do_not_ascend_and_the_greatest_ones_come_back() {
    let mut records = placed(200, int);
    records.reverse();
    check(&records);
    for (i, record) in records.iter_mut().enumerate() {
        record.0.start = mix(i as u64);
        record.0.len = u32::try_from(mix(i as u64) >> 32).unwrap();
        record.0.weight = u32::MAX - u32::try_from(i).unwrap();
        record.0.has_row = i % 3 == 0;
    }
    check(&records);
    records[0].0.start = u64::MAX;
    records[0].0.len = u32::MAX;
    check(&records[..1]);
    check(&records);
}

/// A word that is flipped, cut off or put in: either an error, or the same as before, or other
/// content that fits together; never a panic, and never much memory.
#[test]
fn what_is_damaged_is_an_error_or_reads_as_something() {
    let sets = [
        placed(140, text),
        placed(70, random),
        placed(40, |i| (KEY_STR, format!("frag{:x}", i * 9).into_bytes())),
        placed(140, |i| if i % 3 == 0 { int(i) } else { (KEY_NONE, Vec::new()) }),
    ];
    for records in sets {
        let whole = packed(&records);
        let mut key = Vec::new();
        let mut try_all = |bytes: &[u8], count: usize| {
            let leaf = Packed::new(Slice(bytes), count, bytes.len(), whole.ordered);
            let found = content(&leaf);
            for i in 0..count {
                let place = leaf.place(i);
                let kind = leaf.key(i, &mut key);
                if let (Some(found), Ok(place), Ok(kind)) = (&found, place, kind) {
                    assert_eq!((place, kind, key.clone()), found[i]);
                }
            }
            let (_, kind, key) = &records[count / 2];
            let _ = (leaf.search(*kind, key), leaf.key_is(0, *kind, key));
            let kept: Vec<_> = (0..leaf.groups()).filter_map(|g| leaf.kept_keys(g).ok()?).collect();
            let search = |f| leaf.search_from(&f, |g| kept.get(g), *kind, key);
            let _ = leaf.firsts().map(|f| f.map(search));
            for g in 0..leaf.groups() {
                let mut list = Vec::new();
                let whole = leaf.places(g, &mut list).is_ok();
                if let Ok(Some(kept)) = leaf.kept_places(g) {
                    assert!(whole);
                    assert!(list.iter().enumerate().all(|(i, p)| kept.get(i) == Some(*p)));
                    assert_eq!(kept.get(list.len()), None);
                }
            }
            let _ = (leaf.first_key(), leaf.last_key());
            found
        };
        for len in 0..whole.bytes.len() {
            assert!(try_all(&whole.bytes[..len], records.len()).is_none(), "{len}");
        }
        let mut longer = whole.bytes.clone();
        longer.extend([0; 8]);
        assert!(try_all(&longer, records.len()).is_none());
        assert!(try_all(&whole.bytes, records.len() - 130.min(records.len() - 1)).is_none());
        let mut bytes = whole.bytes.clone();
        // Two or three bits of each byte, all eight in turn.
        for bit in (0..bytes.len() * 8).step_by(3) {
            bytes[bit / 8] ^= 1 << (bit % 8);
            try_all(&bytes, records.len());
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn groups_that_lie_are_errors() {
    let records = placed(5, text);
    let whole = packed(&records);
    let at = 2 * DIRECTORY;
    let defect = |change: &dyn Fn(&mut [u8])| {
        let mut bytes = whole.bytes.clone();
        change(&mut bytes);
        open(&whole, &bytes, 5).place(4).is_err()
    };
    assert!(!defect(&|_| ()));
    // Unknown flags, both kinds of starts, widths of no number, what means nothing.
    assert!(defect(&|b| b[at] |= 32) && defect(&|b| b[at] = 3) && defect(&|b| b[at] = 5));
    assert!(
        defect(&|b| b[at + 1] = 33) && defect(&|b| b[at + 2] = 33) && defect(&|b| b[at + 3] = 1)
    );
    assert!(defect(&|b| b[at + 4] = 65) || defect(&|b| b[at + 4] = 64));
    assert!(defect(&|b| b[at + 5] = 1) && defect(&|b| b[at + 7] = 1));
    // Sums that overflow.
    assert!(defect(&|b| b[at + 8..at + 16].fill(0xff)));
    assert!(
        defect(&|b| b[at + 16..at + 20].fill(0xff)) && defect(&|b| b[at + 20..at + 24].fill(0xff))
    );
    // A directory that leads elsewhere.
    for byte in 0..16 {
        assert!(defect(&|b| b[byte] ^= 0x80), "{byte}");
    }
}

fn keys() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    let free = || prop::collection::vec(any::<u8>(), 0..20);
    let one = prop_oneof![
        2 => (Just(KEY_BYTES), free()),
        2 => ("[ab]{0,9}[0-9]{0,4}").prop_map(|s| (KEY_STR, s.into_bytes())),
        2 => any::<i64>().prop_map(|n| (KEY_I64, n.to_le_bytes().to_vec())),
        1 => (-9..9_i64).prop_map(|n| (KEY_I64, n.to_le_bytes().to_vec())),
        1 => any::<u64>().prop_map(|n| (KEY_U64, n.to_le_bytes().to_vec())),
        1 => Just((KEY_NONE, Vec::new())),
        1 => any::<[u8; 16]>().prop_map(|d| (KEY_SHARED, d.to_vec())),
        1 => (6..=255_u8, free()),
    ];
    let kinds = prop::collection::vec(one, 0..200);
    // All of one kind in half of the cases, sorted in half of these.
    (kinds, any::<bool>(), any::<bool>()).prop_map(|(mut keys, same, sorted)| {
        if same && let Some((kind, _)) = keys.first().cloned() {
            keys.retain(|k| k.0 == kind);
        }
        if same && sorted {
            keys.sort_by(|a, b| super::keys::order(a.0, &a.1, &b.1));
            keys.dedup();
        }
        keys
    })
}

proptest! {
    #[test]
    fn any_records_come_back(
        keys in keys(),
        places in prop::collection::vec((0..60_u64, 0..9_u32, any::<u32>(), any::<bool>()), 200),
        wild in prop::collection::vec((any::<u64>(), any::<u32>()), 0..3),
    ) {
        let mut at = 0;
        let mut records: Vec<Record> = keys.into_iter().zip(places).map(|((kind, key), p)| {
            let start = at + p.0.saturating_sub(50);
            at = start + u64::from(p.1);
            (Place { start, len: p.1, weight: p.2, has_row: p.3 }, kind, key)
        }).collect();
        for (i, (start, len)) in wild.into_iter().enumerate() {
            if let Some(record) = records.get_mut(i * 40) {
                record.0.start = start;
                record.0.len = len;
            }
        }
        check(&records);
    }

    #[test]
    fn any_bytes_are_an_error_or_read_as_something(
        mut bytes in prop::collection::vec(any::<u8>(), 0..600),
        count in 0..300_usize,
        sound in any::<bool>(),
    ) {
        // A directory that is sound lets more through to the groups.
        if sound && count > 0 {
            let groups = u32::try_from(count.div_ceil(GROUP)).unwrap();
            bytes.resize(bytes.len().next_multiple_of(8).max(8 * (groups as usize + 5)), 0);
            let words = u32::try_from(bytes.len() / 8).unwrap();
            let middle = (groups + 4).min(words);
            for g in 0..=groups {
                let at = g as usize * 8;
                let places = if g == 0 { groups + 1 } else { middle };
                let keys = if g == groups { words } else { middle };
                bytes[at..at + 4].copy_from_slice(&places.to_le_bytes());
                bytes[at + 4..at + 8].copy_from_slice(&keys.to_le_bytes());
            }
        }
        for kind in [KEY_NONE, KEY_STR, KEY_I64] {
            let leaf = Packed::new(Slice(&bytes), count, bytes.len(), kind);
            content(&leaf);
            let mut key = Vec::new();
            for i in 0..count {
                let _ = (leaf.place(i), leaf.key(i, &mut key), leaf.key_is(i, kind, b"mol_0000"));
            }
            let _ = (leaf.search(kind, &[1; 8]), leaf.first_key(), leaf.last_key());
        }
    }
}
