//! Stores taken apart, changed and put together again with every checksum right.
//!
//! What a changed part needs is written anew behind the end of the file, so that everything else
//! stays where it is; both slots then lead to it, and so does the root of the last seal. There is
//! no older state to fall back to: a reader meets the attack or nothing.

use bytemuck::{Pod, bytes_of, cast_slice, pod_read_unaligned};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use vlstore::backend::MemoryBackend;
use vlstore::chunk::{Algorithm, ChunkLayout, Compressor, Filter, Params};
use vlstore::frame::SLOT_OFFSETS;
use vlstore::index::layout::{
    ChunkEntry, Extent, LeafHeader, LeafRef, PieceEntry, RecordEntry, RootTotals, RunRef,
    SegmentHeader, SegmentRef,
};
use vlstore::index::leaf::{Defect, Packed, Records, Source, pack};
use vlstore::index::log::{self, DeadEntry, LogContent};
use vlstore::index::run::RunEntry;
use vlstore::index::segment::{body_len, finish, whole_len};
use vlstore::index::slot::{SLOT_COPIES, SLOT_LEN, Slot};
use vlstore::store::{CONFIG_AT, CONFIG_SPACE};
use vlstore::wire::{U32, U64, checksum, identify, mix};
use vlstore::{Alignment, Compression, Durability, Layout, StoreOptions, WriteOptions, Writer};

/// Decoded bytes of a chunk of the stores here.
pub const CHUNK: u32 = 4096;
/// Decoded bytes of a block.
pub const BLOCK: u32 = 2048;
/// The id of their file.
pub const FILE: [u8; 16] = [7; 16];

pub fn options() -> StoreOptions {
    StoreOptions {
        layout: Layout {
            chunk_size: CHUNK,
            block_size: BLOCK,
            compression: Compression::Lz4,
            alignment: Alignment::Contiguous,
            file_id: Some(FILE),
            ..Layout::default()
        },
        write: WriteOptions {
            threads: 1,
            durability: Durability::None,
            commit_bytes: u64::MAX,
            commit_interval: Duration::from_secs(1_000_000),
            cache_bytes: 4096,
            ..WriteOptions::default()
        },
    }
}

/// Bytes of record `i`: slow ramps that compress.
fn record(i: u64) -> Vec<u8> {
    (0..100 + 37 * (i as u32 % 11)).flat_map(|n| (n / 3 + i as u32).to_le_bytes()).collect()
}

fn grow(w: &mut Writer, ids: std::ops::Range<u64>) {
    for i in ids {
        match i % 4 {
            0 => w.insert(format!("key {i}"), &record(i)).unwrap(),
            1 => w.insert(i, &record(i)).unwrap(),
            2 => w.insert(&i.to_be_bytes()[..], &record(i)).unwrap(),
            _ => w.push(&record(i)).unwrap(),
        };
    }
}

/// A store as any writer leaves it: two leaves, two runs, a list of deleted records, a base.
pub fn sealed() -> Image {
    build(|_| ())
}

/// The same, and three commits in a log behind the seal.
pub fn logged() -> Image {
    build(|w| {
        for n in 0..3 {
            grow(w, 40 + 3 * n..43 + 3 * n);
            w.delete(format!("key {}", 8 * n + 8).as_str()).unwrap();
            if n == 1 {
                w.set_attributes(&serde_json::json!({ "n": n })).unwrap();
            }
            w.commit().unwrap();
        }
    })
}

/// A store of whatever `fill` puts there.
pub fn of(options: &StoreOptions, fill: impl FnOnce(&mut Writer)) -> Image {
    let backend = Arc::new(MemoryBackend::new());
    let mut w = Writer::create_in(backend.clone(), options).unwrap();
    fill(&mut w);
    drop(w);
    Image { bytes: backend.to_bytes() }
}

fn build(more: impl FnOnce(&mut Writer)) -> Image {
    of(&options(), |w| {
        grow(w, 0..20);
        w.seal().unwrap();
        grow(w, 20..40);
        w.delete("key 4").unwrap();
        w.delete_at(0).unwrap();
        w.delete(21_u64).unwrap();
        w.set_attributes(&serde_json::json!({ "of": "the test" })).unwrap();
        w.seal().unwrap();
        more(w);
    })
}

/// The bytes of a store, to be changed.
pub struct Image {
    pub bytes: Vec<u8>,
}

fn take<T: Pod>(bytes: &[u8], at: &mut usize, count: u32) -> Vec<T> {
    let len = count as usize * size_of::<T>();
    *at += len;
    bytes[*at - len..*at].chunks_exact(size_of::<T>()).map(pod_read_unaligned).collect()
}

impl Image {
    /// The newest slot.
    pub fn slot(&self) -> Slot {
        let slots = SLOT_OFFSETS.map(|at| Slot::parse(&self.bytes[at as usize..], FILE).unwrap());
        slots.into_iter().max_by_key(|s| s.generation.get()).unwrap()
    }

    /// Writes this slot to both places, the one of the older commit one generation behind.
    pub fn set_slot(&mut self, slot: Slot) {
        let newest = slot.generation.get();
        for generation in [newest, newest.wrapping_sub(1)] {
            let at = SLOT_OFFSETS[(generation % 2) as usize] as usize;
            let slot = Slot { generation: U64::new(generation), ..slot };
            for copy in SLOT_COPIES {
                self.bytes[at + copy..at + copy + SLOT_LEN].copy_from_slice(&slot.encode());
            }
        }
    }

    pub fn edit_slot(mut self, f: impl FnOnce(&mut Slot)) -> Self {
        let mut slot = self.slot();
        f(&mut slot);
        self.set_slot(slot);
        self
    }

    /// Adds bytes behind the end at a multiple of 64; their place.
    pub fn append(&mut self, bytes: &[u8]) -> u64 {
        let at = self.bytes.len().next_multiple_of(64);
        self.bytes.resize(at, 0);
        self.bytes.extend_from_slice(bytes);
        let mut slot = self.slot();
        slot.end = U64::new(self.bytes.len() as u64);
        self.set_slot(slot);
        at as u64
    }

    pub fn body(&self, at: &SegmentRef) -> Vec<u8> {
        let from = at.offset.get() as usize;
        self.bytes[from..from + body_len(at.len.get()).unwrap() as usize].to_vec()
    }

    /// Adds a segment with this body; its header gets the right length.
    pub fn add_segment(&mut self, mut body: Vec<u8>) -> SegmentRef {
        body.resize(body.len().next_multiple_of(8), 0);
        let len = whole_len(body.len() as u64);
        body[32..40].copy_from_slice(&len.to_le_bytes());
        let offset = self.bytes.len().next_multiple_of(64) as u64;
        let at = finish(&mut body, FILE, offset);
        assert_eq!(self.append(&body), offset);
        at
    }

    pub fn root(&self) -> Root {
        Root::decode(&self.body(&self.slot().root))
    }

    pub fn set_root(&mut self, root: &Root) {
        let at = self.add_segment(root.encode());
        self.lead_to(at);
    }

    /// Lets both slots and their seal lead to this root.
    pub fn lead_to(&mut self, at: SegmentRef) {
        let mut slot = self.slot();
        slot.root = at;
        slot.seal.root = at;
        self.set_slot(slot);
    }

    pub fn edit_root(mut self, f: impl FnOnce(&mut Root)) -> Self {
        let mut root = self.root();
        f(&mut root);
        self.set_root(&root);
        self
    }

    pub fn edit_leaf(mut self, n: usize, f: impl FnOnce(&mut Leaf)) -> Self {
        let mut root = self.root();
        let mut leaf = Leaf::decode(&self.body(&root.leaves[n].segment), &root.leaves[n]);
        f(&mut leaf);
        let segment = self.add_segment(leaf.encode());
        root.leaves[n] = LeafRef { segment, ..leaf.at() };
        self.set_root(&root);
        self
    }

    pub fn edit_run(mut self, f: impl FnOnce(&mut Run)) -> Self {
        let mut root = self.root();
        let last = root.runs.len() - 1;
        let mut run = Run::decode(&self.body(&root.runs[last].segment));
        run.blocks = root.runs[last].filter_blocks.get();
        if let Some(at) = root.runs[last].filter_at() {
            let at = usize::try_from(at).unwrap();
            run.filter = self.bytes[at..at + 64 * run.blocks as usize].to_vec();
        }
        f(&mut run);
        let segment = self.add_segment(run.encode());
        let offset = self.bytes.len().next_multiple_of(64);
        for (i, block) in run.filter.chunks_mut(64).enumerate() {
            let sum = checksum(&block[8..]) ^ mix(segment.sum.get() ^ (offset + 64 * i) as u64);
            block[..8].copy_from_slice(&sum.to_le_bytes());
        }
        if !run.filter.is_empty() {
            assert_eq!(self.append(&run.filter), offset as u64);
        }
        root.runs[last] = RunRef {
            segment,
            count: run.header.count,
            filter_blocks: U32::new(run.blocks),
            reserved: U32::new(0),
        };
        self.set_root(&root);
        self
    }

    pub fn edit_dead(mut self, f: impl FnOnce(&mut Vec<u64>)) -> Self {
        let mut root = self.root();
        let body = self.body(&root.dead_runs[0].segment);
        let mut at = 64;
        let mut list: Vec<u64> = take::<U64>(&body, &mut at, root.dead_runs[0].count.get() as u32)
            .into_iter()
            .map(U64::get)
            .collect();
        f(&mut list);
        let mut header: SegmentHeader = pod_read_unaligned(&body[..64]);
        header.count = U64::new(list.len() as u64);
        let mut body = bytes_of(&header).to_vec();
        list.iter().for_each(|id| body.extend(id.to_le_bytes()));
        let segment = self.add_segment(body);
        root.dead_runs[0] = RunRef { segment, count: header.count, ..RunRef::default() };
        self.set_root(&root);
        self
    }

    /// Changes the entries of the log; there is no seal to fall back to.
    pub fn edit_log(self, f: impl FnOnce(&mut Vec<Entry>)) -> Self {
        self.edit_log_bytes(f, |_, _| ())
    }

    /// As [`Image::edit_log`], then the bytes of the last entry, whose checksum follows.
    pub fn edit_log_bytes(
        mut self,
        f: impl FnOnce(&mut Vec<Entry>),
        raw: impl FnOnce(&mut Vec<u8>, u64),
    ) -> Self {
        let slot = self.slot();
        let mut entries = Vec::new();
        let mut at = slot.log.get();
        while at < slot.log.get() + slot.log_len.get() {
            let (entry, len) = log::decode(&self.bytes[at as usize..], FILE, at).unwrap();
            entries.push(Entry::of(&entry));
            at += len as u64;
        }
        f(&mut entries);
        let start = self.bytes.len().next_multiple_of(64) as u64;
        let mut all: Vec<u8> = Vec::new();
        let mut last = 0;
        for e in &entries {
            last = all.len();
            all.extend(e.encode(start + last as u64));
        }
        let mut entry = all.split_off(last);
        raw(&mut entry, start + last as u64);
        let place = identify(FILE, u64_at(&entry, 24), start + last as u64);
        let sum = checksum(&entry[16..]) ^ place;
        entry[8..16].copy_from_slice(&sum.to_le_bytes());
        all.extend(entry);
        self.append(&all);
        self.edit_slot(|s| {
            s.log = U64::new(start);
            s.log_len = U64::new(all.len() as u64);
        })
        .without_seal()
    }

    /// Takes the way back to the last seal away.
    pub fn without_seal(self) -> Self {
        self.edit_slot(|s| s.seal.root.len = U64::new(3))
    }

    /// Puts `chunk` in the place of the first chunk of the last leaf, its checksums right as far
    /// as it has blocks at all.
    pub fn with_chunk(mut self, chunk: &[u8]) -> Self {
        let number = self.root().leaves.last().unwrap().first_chunk.get();
        let offset = self.append(chunk);
        let most = u32::MAX;
        let prefix = ChunkLayout::prefix_len(chunk, most).unwrap_or(32).min(chunk.len());
        let sum = |bytes: &[u8], part| checksum(bytes) ^ identify(FILE, number, part);
        let prefix_sum = U64::new(sum(&chunk[..prefix], u64::MAX));
        let layout = ChunkLayout::parse(chunk, most).ok();
        let sums: Vec<U64> = (0..layout.as_ref().map_or(0, |l| l.blocks().min(100_000)))
            .map(|i| {
                let range = layout.as_ref().unwrap().block_range(i);
                let bytes = chunk.get(range.start as usize..range.end as usize);
                U64::new(sum(bytes.unwrap_or_default(), u64::from(i)))
            })
            .collect();
        let last = self.root().leaves.len() - 1;
        self.edit_leaf(last, |leaf| {
            let entry = &mut leaf.chunks[0];
            entry.offset = U64::new(offset);
            entry.prefix_sum = prefix_sum;
            entry.cbytes = U32::new(u32_at(chunk, 12));
            entry.first_sum = U32::new(leaf.sums.len() as u32);
            entry.blocks = U32::new(sums.len() as u32);
            leaf.sums.extend(sums);
        })
    }

    /// Replaces the JSON of the configuration.
    pub fn with_config(self, json: &[u8]) -> Self {
        self.edit_config(|head| {
            head.truncate(40);
            head.extend_from_slice(json);
            head[12..16].copy_from_slice(&(json.len() as u32).to_le_bytes());
        })
    }

    /// Changes header and JSON of the configuration, whose checksum follows.
    pub fn edit_config(mut self, f: impl FnOnce(&mut Vec<u8>)) -> Self {
        let at = CONFIG_AT as usize;
        let len = 40 + u32_at(&self.bytes, at + 12) as usize;
        let mut config = self.bytes[at..at + len].to_vec();
        f(&mut config);
        let mut summed = config[..32].to_vec();
        summed.extend_from_slice(&config[40..]);
        config[32..40].copy_from_slice(&checksum(&summed).to_le_bytes());
        config.resize(CONFIG_SPACE.max(config.len()), 0);
        self.bytes[at..at + CONFIG_SPACE].copy_from_slice(&config[..CONFIG_SPACE]);
        self
    }

    /// The configuration as JSON with one member changed.
    pub fn with_member(self, name: &str, value: serde_json::Value) -> Self {
        let at = CONFIG_AT as usize;
        let len = u32_at(&self.bytes, at + 12) as usize;
        let mut json: serde_json::Value =
            serde_json::from_slice(&self.bytes[at + 40..at + 40 + len]).unwrap();
        json[name] = value;
        self.with_config(json.to_string().as_bytes())
    }
}

pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// A directory page as the root names it.
#[derive(Clone, Copy, Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct PageRef {
    pub segment: SegmentRef,
    pub first_record: U64,
    pub first_chunk: U64,
}

/// A root, taken apart.
pub struct Root {
    pub header: SegmentHeader,
    pub totals: RootTotals,
    pub base_sums: Vec<U64>,
    pub pages: Vec<PageRef>,
    pub leaves: Vec<LeafRef>,
    /// The list of fences as it lies there.
    pub fences: Vec<u8>,
    pub runs: Vec<RunRef>,
    pub dead_runs: Vec<RunRef>,
    pub extents: Vec<Extent>,
    pub attributes: Vec<u8>,
    /// Whether the counts are left as they are.
    pub counts_lie: bool,
}

impl Root {
    fn decode(body: &[u8]) -> Self {
        let totals: RootTotals = pod_read_unaligned(&body[64..192]);
        let at = &mut 192;
        Self {
            header: pod_read_unaligned(&body[..64]),
            totals,
            base_sums: take(body, at, totals.base_sums.get()),
            pages: take(body, at, totals.pages.get()),
            leaves: take(body, at, totals.leaves.get()),
            fences: {
                let len: U32 = pod_read_unaligned(&body[*at + 4..*at + 8]);
                take(body, at, 8 + len.get())
            },
            runs: take(body, at, totals.runs.get()),
            dead_runs: take(body, at, totals.dead_runs.get()),
            extents: take(body, at, totals.extents.get()),
            attributes: take(body, at, totals.attributes.get()),
            counts_lie: false,
        }
    }

    fn encode(&self) -> Vec<u8> {
        let count = |n: usize| U32::new(n as u32);
        let mut totals = self.totals;
        if !self.counts_lie {
            totals.base_sums = count(self.base_sums.len());
            totals.pages = count(self.pages.len());
            totals.leaves = count(self.leaves.len());
            totals.runs = count(self.runs.len());
            totals.dead_runs = count(self.dead_runs.len());
            totals.extents = count(self.extents.len());
            totals.attributes = count(self.attributes.len());
        }
        let mut out = bytes_of(&self.header).to_vec();
        out.extend(bytes_of(&totals));
        out.extend::<&[u8]>(cast_slice(&self.base_sums));
        out.extend::<&[u8]>(cast_slice(&self.pages));
        out.extend::<&[u8]>(cast_slice(&self.leaves));
        out.extend(&self.fences);
        out.extend::<&[u8]>(cast_slice(&self.runs));
        out.extend::<&[u8]>(cast_slice(&self.dead_runs));
        out.extend::<&[u8]>(cast_slice(&self.extents));
        out.extend(&self.attributes);
        out
    }
}

/// A leaf, taken apart.
pub struct Leaf {
    pub header: SegmentHeader,
    /// With the places of their keys among `keys`.
    pub records: Vec<RecordEntry>,
    pub chunks: Vec<ChunkEntry>,
    pub sums: Vec<U64>,
    pub keys: Vec<u8>,
    /// The chunk of rows, and the zeros behind it.
    pub rows: Vec<u8>,
    /// The numbers of a row that `rows` have, as bits.
    pub numbers: u128,
    /// What happens to the packed records before they are written.
    pub lie: fn(&mut Vec<u8>),
}

/// The bytes of packed records.
struct Slice<'a>(&'a [u8]);

impl Source for Slice<'_> {
    fn with<R>(&self, range: Range<usize>, f: impl FnOnce(&[u8]) -> R) -> vlstore::Result<R> {
        Ok(f(&self.0[range]))
    }

    fn defect(&self, why: Defect) -> vlstore::Error {
        panic!("{why}")
    }
}

impl Leaf {
    fn decode(body: &[u8], leaf: &LeafRef) -> Self {
        let at = &mut leaf.chunk_at(0);
        let (chunks, sums) = (take(body, at, leaf.chunks.get()), take(body, at, leaf.sums.get()));
        let packed = &body[leaf.packed_at()..leaf.rows_at()];
        let (mut records, mut keys) = (Vec::new(), Vec::new());
        Packed::new(Slice(packed), leaf.records.get() as usize, packed.len(), 0)
            .each(|_, place, kind, key| {
                let (key_len, row) = RecordEntry::key_fields(key.len(), place.has_row).unwrap();
                records.push(RecordEntry {
                    start: U64::new(place.start),
                    len: U32::new(place.len),
                    weight: U32::new(place.weight),
                    key_at: U32::new(keys.len() as u32),
                    key_len,
                    key_kind: kind,
                    row,
                });
                keys.extend_from_slice(key);
                Ok(())
            })
            .unwrap();
        let rows = body[leaf.rows_at()..].to_vec();
        let header = pod_read_unaligned(&body[..64]);
        let own: LeafHeader = pod_read_unaligned(&body[64..64 + size_of::<LeafHeader>()]);
        Self { header, records, chunks, sums, keys, rows, numbers: own.numbers(), lie: |_| () }
    }

    fn packed(&self) -> Records {
        let key = |e: &RecordEntry| {
            let at = e.key_at.get() as usize;
            &self.keys[at..at + e.key_len()]
        };
        let records = self.records.iter().map(|e| (e.into(), e.key_kind, key(e)));
        let mut packed = pack(records).unwrap();
        (self.lie)(&mut packed.bytes);
        packed
    }

    fn own(&self) -> (LeafHeader, Vec<u8>) {
        let count = |n: usize| U32::new(n as u32);
        let packed = self.packed();
        let own = LeafHeader {
            records: count(self.records.len()),
            chunks: count(self.chunks.len()),
            sums: count(self.sums.len()),
            packed: count(packed.bytes.len() / 8),
            ordered: packed.ordered,
            numbers: self.numbers.to_le_bytes(),
            ..LeafHeader::default()
        };
        (own, packed.bytes)
    }

    fn at(&self) -> LeafRef {
        LeafRef::of(&self.header, &self.own().0, SegmentRef::default())
    }

    fn encode(&self) -> Vec<u8> {
        let (own, packed) = self.own();
        let mut out = bytes_of(&self.header).to_vec();
        out.extend(bytes_of(&own));
        out.extend::<&[u8]>(cast_slice(&self.chunks));
        out.extend::<&[u8]>(cast_slice(&self.sums));
        out.extend(packed);
        out.extend(&self.rows);
        out
    }
}

/// A run, taken apart.
pub struct Run {
    /// What it says of itself, also where that is not how its entries are packed.
    pub header: SegmentHeader,
    pub entries: Vec<RunEntry>,
    pub table: Vec<U32>,
    /// Bits of its table, bits of a record number, least record: how its entries are packed.
    shape: (u32, u32, u64),
    /// Blocks of its filter, as the root says; short runs have none.
    pub blocks: u32,
    /// They themselves; their checksums are made when they are put back.
    pub filter: Vec<u8>,
}

impl Run {
    fn decode(body: &[u8]) -> Self {
        let header: SegmentHeader = pod_read_unaligned(&body[..64]);
        let [bits, width, ..] = header.first_chunk.get().to_le_bytes().map(u32::from);
        let least = header.first_record.get();
        let (count, w) = (header.count.get() as usize, (41 - bits + width) as usize);
        let at = &mut (64 + (count * w).div_ceil(8)).next_multiple_of(4);
        let table: Vec<U32> = take(body, at, (1 << bits) + 1);
        let bit = |i: usize| u128::from(body[64 + i / 8] >> (i % 8) & 1);
        let entry = |i: usize| {
            let word = (0..w).map(|j| bit(i * w + j) << j).sum::<u128>();
            let slot = table.partition_point(|first| first.get() as usize <= i) as u64 - 1;
            let kept = slot << (40 - bits) | (word >> (width + 1)) as u64;
            let record = least + ((word >> 1) as u64 & ((1 << width) - 1));
            RunEntry::new(kept << 24, record, word & 1 == 1)
        };
        let entries = (0..count).map(entry).collect();
        Self { header, entries, table, shape: (bits, width, least), blocks: 0, filter: Vec::new() }
    }

    /// Packs its entries with a table of so many bits, and record numbers of any size.
    pub fn reshape(&mut self, bits: u32) {
        self.shape = (bits, 47, 0);
        self.header.first_record = U64::new(0);
        self.header.first_chunk = U64::new(u64::from(bits) | 47 << 8);
    }

    /// As many entries as there are, in a table of one slot.
    pub fn without_table(&mut self) {
        self.reshape(0);
        let count = self.entries.len() as u32;
        self.header.count = U64::new(count.into());
        self.table = vec![U32::new(0), U32::new(count)];
    }

    fn encode(&self) -> Vec<u8> {
        let (bits, width, least) = self.shape;
        let w = (41 - bits + width) as usize;
        let mut packed = vec![0; (self.entries.len() * w).div_ceil(8)];
        for (i, e) in self.entries.iter().enumerate() {
            let kept = u128::from(e.hash() >> 24 & ((1 << (40 - bits)) - 1));
            let word =
                kept << (width + 1) | u128::from(e.record() - least) << 1 | u128::from(e.is_dead());
            for j in (0..w).filter(|j| word >> j & 1 == 1) {
                packed[(i * w + j) / 8] |= 1 << ((i * w + j) % 8);
            }
        }
        let mut out = bytes_of(&self.header).to_vec();
        out.extend(&packed);
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend::<&[u8]>(cast_slice(&self.table));
        out
    }
}

/// A log entry, taken apart.
#[derive(Clone)]
pub struct Entry {
    pub generation: u64,
    pub first_record: u64,
    pub first_chunk: u64,
    pub cursor: u64,
    pub open_block: u32,
    pub records: Vec<RecordEntry>,
    pub chunks: Vec<ChunkEntry>,
    pub sums: Vec<U64>,
    pub dead: Vec<DeadEntry>,
    pub keys: Vec<u8>,
    pub attributes: Option<Vec<u8>>,
    pub pieces: Vec<(u32, u32, Vec<u8>)>,
    pub rows: Vec<U64>,
}

impl Entry {
    fn of(e: &LogContent<'_>) -> Self {
        Self {
            generation: e.generation,
            first_record: e.first_record,
            first_chunk: e.first_chunk,
            cursor: e.cursor,
            open_block: e.open_block,
            records: e.records.to_vec(),
            chunks: e.chunks.to_vec(),
            sums: e.sums.to_vec(),
            dead: e.dead.to_vec(),
            keys: e.keys.to_vec(),
            attributes: e.attributes.map(<[u8]>::to_vec),
            pieces: e.pieces.iter().map(|p| (p.0, p.1, p.2.to_vec())).collect(),
            rows: e.rows.to_vec(),
        }
    }

    /// Bytes of this entry in front of its pieces' table.
    pub fn pieces_at(&self) -> usize {
        88 + 24 * self.records.len()
            + 32 * self.chunks.len()
            + 8 * self.sums.len()
            + size_of::<DeadEntry>() * self.dead.len()
    }

    fn encode(&self, offset: u64) -> Vec<u8> {
        assert_eq!(size_of::<PieceEntry>(), 16);
        LogContent {
            generation: self.generation,
            first_record: self.first_record,
            first_chunk: self.first_chunk,
            cursor: self.cursor,
            open_block: self.open_block,
            records: &self.records,
            chunks: &self.chunks,
            sums: &self.sums,
            dead: &self.dead,
            rows: &self.rows,
            keys: &self.keys,
            attributes: self.attributes.as_deref(),
            pieces: self.pieces.iter().map(|p| (p.0, p.1, &p.2[..])).collect(),
        }
        .encode(FILE, offset)
        .unwrap()
    }
}

/// A chunk as this crate makes it.
pub fn compressed(codec: Option<Algorithm>, filter: Filter, typesize: u8, bytes: &[u8]) -> Vec<u8> {
    let level = if codec.is_some() { 5 } else { 0 };
    let block = BLOCK.min(bytes.len() as u32) / u32::from(typesize) * u32::from(typesize);
    let mut out = Vec::new();
    let params = Params { algorithm: codec, level, filter, typesize };
    Compressor::new(params, block).unwrap().compress(bytes, &mut out).unwrap();
    out
}

/// A 32-byte chunk header for `nbytes` decoded bytes in `cbytes`.
pub fn header(flags: u8, typesize: u8, nbytes: u32, block: u32, cbytes: u32) -> Vec<u8> {
    let mut out = vec![5, 1, flags, typesize];
    out.extend(nbytes.to_le_bytes());
    out.extend(block.to_le_bytes());
    out.extend(cbytes.to_le_bytes());
    out.resize(32, 0);
    out
}

/// A chunk of one block per element of `streams`, each the bytes of one block as they lie in the
/// file.
pub fn of_streams(flags: u8, codec: u8, filter: u8, typesize: u8, blocks: &[Vec<u8>]) -> Vec<u8> {
    let mut at = 32 + 4 * blocks.len() as u32;
    let total = at + blocks.iter().map(|b| b.len() as u32).sum::<u32>();
    let mut out = header(flags, typesize, CHUNK, CHUNK / blocks.len() as u32, total);
    out[21] = filter;
    out[22] = codec;
    for b in blocks {
        out.extend(at.to_le_bytes());
        at += b.len() as u32;
    }
    blocks.iter().for_each(|b| out.extend(b));
    out
}

/// A stream: its length, and its bytes.
pub fn stream(len: i32, bytes: &[u8]) -> Vec<u8> {
    [&len.to_le_bytes(), bytes].concat()
}
