//! A check of a store names each damage once, with what follows from it, and looks at everything
//! that can be looked at, whatever is damaged.

use std::sync::Arc;
use vlstore::backend::{Backend, MemoryBackend};
use vlstore::codec::{MdFrame, Real, Topology, refers};
use vlstore::index::layout::{DEAD_MAGIC, LEAF_MAGIC, PAGE_MAGIC, RUN_MAGIC};
use vlstore::maintain::Verified;
use vlstore::{Durability, Layout, Store, StoreOptions, TrajectoryWriter, WriteOptions, Writer};

const FRAMES: u64 = 400;
const SITES: usize = 6;

fn options() -> StoreOptions {
    StoreOptions {
        layout: Layout { chunk_size: 16 << 10, block_size: 2 << 10, ..Layout::default() },
        write: WriteOptions { durability: Durability::None, threads: 1, ..WriteOptions::default() },
    }
}

/// Frames that refer to one of two topologies, some of them replaced and deleted.
fn frames() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("frames.vls");
    let mut w = TrajectoryWriter::create(&path, &options()).unwrap();
    let molecules: Vec<Topology> = ["A", "B"]
        .map(|name| Topology {
            nsites: SITES,
            names: Some((0..SITES).map(|i| format!("{name}{i}")).collect()),
            ..Topology::default()
        })
        .into();
    for n in 0..FRAMES {
        let topology = w.share_topology(&molecules[n as usize % 2]).unwrap();
        let frame = MdFrame {
            nsites: SITES,
            step: Some(n.cast_signed()),
            positions: Some(Real::F32((0..18_u16).map(|i| f32::from(i * n as u16)).collect())),
            topology: Some(topology),
            ..MdFrame::default()
        };
        w.insert(format!("frame-{n}"), &frame).unwrap();
        if n % 100 == 99 {
            w.commit().unwrap();
        }
    }
    w.close().unwrap();
    let mut w = Writer::open(&path, &options().write).unwrap();
    (0..4).for_each(|n| w.delete(format!("frame-{}", 50 + 100 * n)).unwrap());
    w.seal().unwrap();
    w.close().unwrap();
    std::fs::read(&path).unwrap()
}

fn verify(image: &[u8]) -> Option<Verified> {
    let store = Store::from_bytes(image.to_vec()).ok()?;
    let mut found = store.verify(|_, _| Ok(())).unwrap();
    found.extend(store.verify_references(refers, |_, _| Ok(())).unwrap());
    Some(found)
}

fn places(image: &[u8], magic: [u8; 8]) -> Vec<usize> {
    (12_288..image.len() - 8).step_by(64).filter(|at| image[*at..*at + 8] == magic).collect()
}

#[test]
fn one_flipped_byte_in_a_run_is_one_damage_with_all_that_follows() {
    let good = frames();
    assert!(verify(&good).unwrap().is_intact());
    // The newest run leads to all records: the older ones were merged into it.
    let mut worst = 0;
    for at in places(&good, RUN_MAGIC) {
        let mut image = good.clone();
        image[at + 70] ^= 1;
        let found = verify(&image).unwrap();
        if found.is_intact() {
            continue; // one that was merged into another
        }
        assert_eq!(found.damages.len(), 1, "{:?}", found.damages);
        let damage = &found.damages[0];
        assert_eq!((&*damage.part, damage.offset), ("run of keys", Some(at as u64)));
        let lost = damage.effects.iter().find(|e| &*e.what == "cannot be found by key");
        let lost = lost.unwrap();
        assert_eq!(lost.count, lost.records.len() as u64);
        worst = worst.max(lost.count);
        let text = damage.to_string();
        assert!(text.len() < 1000 && !text.contains("verify"), "{text}");
        // Every record was read all the same.
        assert_eq!(found.records, FRAMES - 4);
    }
    assert!(worst > FRAMES / 2, "{worst}");
}

#[test]
fn no_damage_ends_the_check_and_none_is_told_twice() {
    let good = frames();
    let parts: Vec<usize> = [RUN_MAGIC, LEAF_MAGIC, DEAD_MAGIC, PAGE_MAGIC]
        .into_iter()
        .flat_map(|magic| places(&good, magic))
        .flat_map(|at| [at + 3, at + 40, at + 66])
        .collect();
    let mut damaged = 0;
    for at in parts.into_iter().chain((1024..good.len()).step_by(good.len() / 150)) {
        let mut image = good.clone();
        image[at] ^= 0x20;
        let Some(found) = verify(&image) else { continue };
        damaged += u64::from(!found.is_intact());
        // A leaf has chunks and records, a block its records: one line for each at most.
        assert!(found.damages.len() <= 3, "byte {at}: {:?}", found.damages);
        for damage in &found.damages {
            assert!(!damage.to_string().contains("vlstore verify"), "{damage}");
        }
    }
    assert!(damaged > 30, "{damaged}");
}

#[test]
fn a_damaged_page_of_the_directory_costs_what_its_leaves_hold_and_the_rest_is_checked() {
    let mut w = Writer::in_memory(&options()).unwrap();
    for i in 0..2000_u64 {
        w.insert(i, &i.to_le_bytes().repeat(4)).unwrap();
        if i % 10 == 9 {
            w.seal().unwrap();
        }
    }
    let backend: Arc<dyn Backend> = w.backend().clone();
    w.close().unwrap();
    let mut image = vec![0; backend.len().unwrap() as usize];
    backend.read_at(0, &mut image).unwrap();
    let at = places(&image, PAGE_MAGIC)[0];
    image[at + 100] ^= 1;
    let memory: Arc<dyn Backend> = Arc::new(MemoryBackend::from_bytes(image));
    let store = Store::open_in(memory, &options().write.reading()).unwrap();
    let found = store.verify(|_, _| Ok(())).unwrap();
    let page = found.damages.iter().find(|d| &*d.part == "directory page").unwrap();
    assert_eq!(page.offset, Some(at as u64));
    let unseen = page.effects.iter().find(|e| e.what.contains("could not be checked")).unwrap();
    assert!(unseen.count > 500, "{page}");
    assert_eq!(found.records, 2000 - unseen.count, "{:?}", found.damages);
}
