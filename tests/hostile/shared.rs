//! Shared records that lie, and frames that refer to what is not a topology.

use super::Expect::{Error, Right};
use super::craft::{Entry, Image, of, options};
use super::{ask_store, attacks};
use std::sync::Arc;
use vlstore::backend::SliceBackend;
use vlstore::codec::{MdFrame, MdFrameCodec, Real, Topology, refers};
use vlstore::index::layout::LEAF_MAGIC;
use vlstore::wire::{Digest, U16, U32, U64};
use vlstore::{Layout, Store, StoreOptions, Trajectory, WriteOptions, Writer};

const SITES: usize = 5;

fn molecule(seed: i32) -> Topology {
    Topology {
        nsites: SITES,
        types: Some(vec![seed; SITES]),
        masses: Some(Real::F64(vec![1.5; SITES])),
        names: Some((0..SITES).map(|i| format!("A{i}")).collect()),
        bonds: Some(vec![[0, 1], [1, 2]]),
        ..Topology::default()
    }
}

fn topology(seed: i32) -> Vec<u8> {
    let mut out = Vec::new();
    molecule(seed).encode(&mut out).unwrap();
    out
}

fn frame(n: i64, topology: Option<Digest>) -> Vec<u8> {
    let frame = MdFrame {
        nsites: SITES,
        step: Some(n),
        positions: Some(Real::F32(vec![n as f32; 3 * SITES])),
        topology,
        ..MdFrame::default()
    };
    let mut out = Vec::new();
    MdFrameCodec.encode_ref(&frame.view(), &mut out).unwrap();
    out
}

fn store(fill: impl FnOnce(&mut Writer)) -> Image {
    let record_codec = ("md-frame".into(), 1);
    of(
        &StoreOptions {
            layout: Layout { record_codec, ..options().layout },
            write: WriteOptions { check: Some(|_, _, _, _| Ok(None)), ..options().write },
        },
        fill,
    )
}

/// Frames of two molecules: one in a leaf, one in the log.
pub fn frames() -> Image {
    store(|w| {
        for seed in 0..2 {
            // The first commit behind a seal may become a leaf.
            if seed == 1 {
                w.insert(100, &frame(0, None)).unwrap();
                w.commit().unwrap();
            }
            let digest = w.share(&topology(seed)).unwrap();
            for n in 0..6 {
                let n = 10 * i64::from(seed) + n;
                w.insert(n, &frame(n, (n % 3 != 2).then_some(digest))).unwrap();
            }
            if seed == 0 {
                w.seal().unwrap()
            } else {
                w.commit().unwrap()
            };
        }
    })
}

/// The entry of the log with records.
fn named(all: &mut [Entry]) -> &mut Entry {
    all.iter_mut().find(|e| !e.records.is_empty()).unwrap()
}

/// A store with one frame that refers to these bytes.
fn one(shared: &[u8]) -> Image {
    store(|w| {
        let digest = w.share(shared).unwrap();
        w.insert(0, &frame(0, Some(digest))).unwrap();
        w.seal().unwrap();
    })
}

fn referring_to(shared: &[u8]) -> Vec<u8> {
    one(shared).bytes
}

/// A topology with a number of 4 bytes changed, wherever it stands first.
fn changed(from: u32, to: u32) -> Vec<u8> {
    let mut bytes = topology(3);
    let at = (4..bytes.len()).step_by(4).find(|at| bytes[*at..at + 4] == from.to_le_bytes());
    let at = at.unwrap();
    bytes[at..at + 4].copy_from_slice(&to.to_le_bytes());
    referring_to(&bytes)
}

/// Asks a store what any store is asked, and its frames for what they refer to.
pub fn ask(bytes: &[u8]) -> Vec<String> {
    let mut told = ask_store(bytes);
    let options = StoreOptions {
        write: WriteOptions { threads: 1, ..WriteOptions::default() },
        ..StoreOptions::default()
    };
    let Ok(store) = Store::open_in(
        Arc::new(SliceBackend::from_owner(bytes.to_vec())),
        &options.write.reading(),
    ) else {
        return told;
    };
    match store.verify_references(refers, |_, _| Ok(())) {
        Ok(found) => told.extend(found.iter().map(ToString::to_string)),
        Err(e) => told.push(e.to_string()),
    }
    let depot = match Trajectory::new(store.snapshot()) {
        Ok(depot) => depot,
        Err(e) => {
            told.push(e.to_string());
            return told;
        }
    };
    for ordinal in 0..depot.len() {
        let whole = || depot.joined(&depot.get_at(ordinal)?.view()?);
        match whole() {
            Ok(frame) => assert!(frame.types.is_none_or(|t| t.len() == frame.nsites)),
            Err(e) => told.push(e.to_string()),
        }
    }
    for digest in depot.list_topologies().unwrap_or_default() {
        if let Err(e) = depot.topology(&digest) {
            told.push(e.to_string());
        }
    }
    for name in ["step", "energy", "cell"] {
        let _ = depot.column(name);
    }
    let _ = depot.statistics(|_, _| Ok(()));
    told.sort_by_key(|t| !t.starts_with("refused:"));
    told
}

attacks! {
    a_shared_record_of_another_digest: Error("has another content than its key says") =>
        frames().edit_leaf(0, |l| l.keys[0] ^= 1).bytes;
    a_shared_record_of_another_digest_in_the_log: Error("has another content than its key says") =>
        frames().edit_log(|all| named(all).keys[3] ^= 1).bytes;
    a_shared_record_with_a_key_of_15_bytes: Error("has another content than its key says") =>
        frames().edit_leaf(0, |l| l.records[0].key_len = U16::new(15)).bytes;
    a_shared_record_without_a_key: Error("has another content than its key says") =>
        frames().edit_leaf(0, |l| l.records[0].key_len = U16::new(0)).bytes;
    a_shared_record_with_a_key_of_64_kilobytes: Error("has another content than its key says") =>
        frames().edit_leaf(0, |l| {
            l.records[0].key_len = U16::new(u16::MAX);
            l.keys.resize(1 << 17, 0);
        }).bytes;
    a_shared_record_outside_the_data: Error("lies outside the data") =>
        frames().edit_leaf(0, |l| l.records[0].start = U64::new(1 << 40)).bytes;
    a_shared_record_that_is_counted: Error("is counted among the records") => frames()
        .edit_log(|all| {
            named(all).dead.clear();
        })
        .edit_slot(|s| s.records = U64::new(s.records.get() + 1)).bytes;
    a_frame_that_says_it_is_shared: Error("is counted among the records") =>
        frames().edit_leaf(0, |l| {
            let digest = l.records[0];
            l.records[1].key_kind = 5;
            l.records[1].key_at = digest.key_at;
            l.records[1].key_len = digest.key_len;
            l.records[1].start = digest.start;
            l.records[1].len = digest.len;
        }).bytes;
    a_shared_record_that_is_in_no_run: Error("no run of keys leads to it") => one(&topology(1)).edit_run(|r| {
        r.entries.retain(|e| e.record() != 0);
        r.without_table();
    }).bytes;
    more_shared_records_in_the_root_than_deleted_ones: Error("shared records; there are") =>
        frames().edit_root(|r| r.totals.shared = U32::new(u32::MAX)).bytes;
    no_shared_records_in_the_root: Error("counts 1 shared records; there are 2") =>
        frames().edit_root(|r| r.totals.shared = U32::new(0)).bytes;

    a_frame_that_refers_to_nothing: Error("to which records refer, is gone") => store(|w| {
        w.insert(0, &frame(0, Some(Digest::of(b"nothing")))).unwrap();
        w.seal().unwrap();
    }).bytes;
    a_frame_that_refers_to_a_frame: Error("topology") => referring_to(&frame(0, None));
    // What a digest names cannot hold it; only a wrong key can make it look so.
    a_frame_that_refers_to_itself: Error("has another content than its key says") => {
        let digest = Digest::of(b"of itself");
        store(|w| {
            w.share(&frame(0, Some(digest))).unwrap();
            w.insert(0, &frame(0, Some(digest))).unwrap();
            w.seal().unwrap();
        }).edit_leaf(0, |l| l.keys[..16].copy_from_slice(digest.as_bytes())).bytes
    };
    frames_that_refer_to_each_other_in_a_row: Error("topology") => {
        let mut digest = None;
        store(|w| {
            for n in 0..50 {
                digest = Some(w.share(&frame(n, digest)).unwrap());
            }
            w.insert(0, &frame(99, digest)).unwrap();
            w.seal().unwrap();
        }).bytes
    };
    a_frame_that_refers_to_no_bytes: Error("topology") => referring_to(b"");
    a_frame_that_refers_to_noise: Error("topology") => referring_to(&[0xa5; 200]);
    a_frame_that_refers_to_half_a_topology: Error("topology") => {
        let bytes = topology(3);
        referring_to(&bytes[..bytes.len() / 2])
    };
    a_topology_of_more_sites_than_its_lists: Error("topology") => changed(SITES as u32, SITES as u32 + 1);
    a_topology_of_four_billion_sites: Error("topology") => changed(SITES as u32, u32::MAX);
    a_topology_of_other_sites_than_its_frame: Error("sites") => {
        let mut bytes = Vec::new();
        Topology { nsites: 3, types: Some(vec![1; 3]), ..Topology::default() }.encode(&mut bytes).unwrap();
        referring_to(&bytes)
    };
    bonds_with_sites_that_are_not_there: Error("topology") => {
        let bytes = topology(3);
        let pair = [0_u32, 1, 1, 2].map(u32::to_le_bytes).concat();
        let at = bytes.windows(16).position(|w| w == pair).unwrap();
        let mut bytes = bytes;
        bytes[at + 12..at + 16].fill(0xff);
        referring_to(&bytes)
    };
    frames_that_refer_to_as_many_topologies_that_are_not_there: Error("index leaf") => {
        // Recovery looks for each of them between the frames, and must not look for ever.
        let mut image = store(|w| {
            for n in 0..300_i64 {
                w.share(&topology(n as i32).repeat(20)).unwrap();
                w.insert(n, &frame(n, Some(Digest::of(&n.to_le_bytes())))).unwrap();
            }
            w.seal().unwrap();
        });
        for at in (12_288..image.bytes.len() - 8).step_by(64) {
            if image.bytes[at..].starts_with(&LEAF_MAGIC) {
                image.bytes[at + 70] ^= 1;
            }
        }
        image.bytes
    };
    a_topology_nobody_refers_to: Right => store(|w| {
        w.share(&topology(1)).unwrap();
        w.insert(0, &frame(0, None)).unwrap();
        w.seal().unwrap();
    }).bytes;
}
