//! What a store says, and what of it is wrong without a word.

use std::sync::Arc;
use vlstore::Readable;
use vlstore::backend::{Backend, SliceBackend};
use vlstore::wire::Digest;
use vlstore::{ColumnData, ColumnValues, Key, Opened, Store, StoreOptions, WriteOptions};

/// Everything that a whole store says.
#[derive(Debug)]
pub struct Truth {
    pub generation: u64,
    pub records: Vec<(Option<Key>, Vec<u8>, u32)>,
    pub shared: Vec<(Digest, Vec<u8>)>,
    pub attributes: serde_json::Value,
    pub columns: Vec<ColumnData>,
}

pub fn open(image: &[u8]) -> vlstore::Result<Store> {
    let backend: Arc<dyn Backend> = Arc::new(SliceBackend::from_owner(image.to_vec()));
    let options = StoreOptions {
        write: WriteOptions { cache_bytes: 4096, threads: 1, ..WriteOptions::default() },
        ..StoreOptions::default()
    };
    Store::open_in(backend, &options.write.reading())
}

fn bits(data: &ColumnData) -> (Vec<u64>, &[u64]) {
    let values = match &data.values {
        ColumnValues::I64(v) => v.iter().map(|v| v.cast_unsigned()).collect(),
        ColumnValues::F64(v) => v.iter().map(|v| v.to_bits()).collect(),
    };
    (values, &data.unknown)
}

impl Truth {
    pub fn of(image: &[u8]) -> Self {
        let store = open(image).unwrap();
        assert_eq!(store.opened(), Opened::Intact);
        let record = |i| {
            let bytes = store.get_at(i).unwrap().to_vec();
            (store.key_at(i).unwrap(), bytes, store.location_at(i).unwrap().weight)
        };
        let names: Vec<_> = store.columns().iter().map(|c| c.name.clone()).collect();
        Self {
            generation: store.generation(),
            records: (0..store.len()).map(record).collect(),
            shared: store
                .list_shared()
                .unwrap()
                .iter()
                .map(|(digest, _)| (*digest, store.shared(digest).unwrap().to_vec()))
                .collect(),
            attributes: store.attributes(),
            columns: names.iter().map(|n| store.column(n, 0..u64::MAX).unwrap()).collect(),
        }
    }

    /// What the store says otherwise without an error; how many answers were errors.
    pub fn compare(&self, store: &Store) -> Result<u64, String> {
        let mut errors = 0;
        // An error is an answer; another value than the right one is not.
        macro_rules! ask {
            ($call:expr, $right:expr, $($what:tt)*) => {
                match $call {
                    Ok(found) if found == $right => {}
                    Ok(found) => return Err(format!("{}: {found:?}", format!($($what)*))),
                    Err(_) => errors += 1,
                }
            };
        }
        let n = self.records.len() as u64;
        if store.len() != n {
            return Err(format!("{} records, not {n}", store.len()));
        }
        if store.attributes() != self.attributes {
            return Err(format!("attributes {}", store.attributes()));
        }
        for (i, (key, bytes, sites)) in (0..).zip(&self.records) {
            ask!(store.get_at(i).map(|r| *r == **bytes), true, "bytes of record {i}");
            ask!(store.key_at(i), *key, "key of record {i}");
            ask!(store.location_at(i).map(|l| l.weight), *sites, "sites of record {i}");
            if let Some(key) = key {
                ask!(store.find(key), Some(i), "place of {key}");
                ask!(store.get(key).map(|r| *r == **bytes), true, "bytes of {key}");
            }
        }
        for absent in [Key::from("absent"), Key::from(-77), Key::from(&b"k1"[..])] {
            ask!(store.find(&absent), None, "place of {absent}, which is not there");
        }
        let mut listed = Vec::new();
        match store.for_each(|_, key, place| {
            listed.push((key, place.len()));
            Ok(())
        }) {
            Ok(()) => {
                let right = self.records.iter().map(|r| (r.0.clone(), r.1.len() as u64));
                if !right.eq(listed) {
                    return Err("the list of all records".into());
                }
            }
            Err(_) => errors += 1,
        }
        let mut scanned = 0;
        for (i, found) in store.scan(0..n).enumerate() {
            scanned += 1;
            ask!(found.map(|r| *r == *self.records[i].1), true, "record {i} of a scan");
        }
        if scanned < n && errors == 0 {
            return Err(format!("a scan of {scanned} records"));
        }
        let digests: Vec<_> = self.shared.iter().map(|s| s.0).collect();
        let list = store.list_shared().map(|l| l.iter().map(|s| s.0).collect::<Vec<_>>());
        ask!(list, digests, "shared records");
        for (digest, bytes) in &self.shared {
            ask!(store.shared(digest).map(|r| *r == **bytes), true, "shared {digest}");
        }
        for column in &self.columns {
            let name = column.column.name.as_ref();
            let found = store.column(name, 0..u64::MAX);
            ask!(found.map(|c| bits(&c) == bits(column)), true, "column {name}");
        }
        Ok(errors)
    }
}
