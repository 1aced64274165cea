//! The tables of `docs/format.md` and the code say the same: every offset, size, magic and limit.
//!
//! A table stands under a heading such as «### `Slot`, 256 bytes» and has the columns offset,
//! size, field and meaning. Whoever changes a layout changes the page, or this fails.

mod example;
mod records;

use std::collections::BTreeMap;
use std::mem::offset_of;
use vlstore::Readable;
use vlstore::backend::{Access, Backend};
use vlstore::chunk::{Algorithm, ChunkLayout, Compressor, Decoder, Filter, Params};
use vlstore::frame::{self, FrameHeader};
use vlstore::index::fence;
use vlstore::index::filter::Probe;
use vlstore::index::key_hash::key_hash;
use vlstore::index::layout::{self, *};
use vlstore::index::leaf::{Place, pack};
use vlstore::index::log::DeadEntry;
use vlstore::index::run::{Packer, RunEntry, Shape};
use vlstore::index::slot::{
    MARK_LEN, Mark, SLOT_COPIES, SLOT_LEN, SLOT_MAGIC, SLOT_PAGE, Seal, Slot,
};
use vlstore::store::{CONFIG_AT, CONFIG_MAGIC, CONFIG_SPACE, FORMAT_VERSION};
use vlstore::wire::{U32, U64, checksum, identify, mix};
use vlstore::{
    Column, ColumnKind, Compression, Key, Layout, ReadOptions, Store, StoreOptions, WriteOptions,
    Writer, limits,
};

const PAGE: &str = include_str!("../../../docs/format.md");

/// A row of a layout table: field, offset and size.
type Row = (String, usize, usize);

struct Table {
    len: usize,
    rows: Vec<Row>,
}

impl Table {
    /// Offset and size of `field`.
    fn place(&self, field: &str) -> std::ops::Range<usize> {
        let (_, at, size) = self.rows.iter().find(|r| r.0 == field).expect(field);
        *at..at + size
    }
}

fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split(" | ").map(str::trim).collect()
}

/// The lines of the table under the heading that starts with `heading`, without its two first.
fn table_lines(heading: &str) -> Vec<Vec<&'static str>> {
    let mut lines = PAGE.lines().skip_while(|l| !l.starts_with(heading));
    lines.next().unwrap_or_else(|| panic!("the page has no heading «{heading}»"));
    lines
        .skip_while(|l| !l.starts_with('|'))
        .take_while(|l| l.starts_with('|'))
        .skip(2)
        .map(cells)
        .collect()
}

/// All layout tables of the page by name.
fn tables() -> BTreeMap<&'static str, Table> {
    let headings = PAGE.lines().filter_map(|l| {
        let (name, len) = l.strip_prefix("### `")?.strip_suffix(" bytes")?.split_once("`, ")?;
        Some((name, len.parse().unwrap()))
    });
    headings
        .map(|(name, len)| {
            let rows = table_lines(&format!("### `{name}`"))
                .iter()
                .map(|c| (c[2].to_owned(), c[0].parse().unwrap(), c[1].parse().unwrap()))
                .collect();
            (name, Table { len, rows })
        })
        .collect()
}

/// Name, value and meaning of every row under a heading.
fn named(heading: &str) -> BTreeMap<&'static str, &'static str> {
    table_lines(heading).iter().map(|c| (c[0], c[1])).collect()
}

const fn field_size<T, F>(_: fn(&T) -> &F) -> usize {
    size_of::<F>()
}

macro_rules! layouts {
    ($($ty:ident { $($field:ident),* $(,)? })*) => {
        vec![$((stringify!($ty), size_of::<$ty>(), vec![$((
            stringify!($field).to_owned(),
            offset_of!($ty, $field),
            field_size::<$ty, _>(|s| &s.$field),
        )),*])),*]
    };
}

fn layouts() -> Vec<(&'static str, usize, Vec<Row>)> {
    layouts! {
        SegmentHeader { magic, file, generation, len, first_record, first_chunk, count }
        RecordEntry { start, len, weight, key_at, key_len, key_kind, row }
        ChunkEntry { offset, prefix_sum, cbytes, first_sum, blocks, reserved }
        SegmentRef { offset, len, sum }
        LeafHeader { records, chunks, sums, packed, ordered, reserved, numbers }
        LeafRef { segment, first_record, first_chunk, records, chunks, sums, packed, copy }
        RunRef { segment, count, filter_blocks, reserved }
        Extent { offset, capacity, retired }
        RootTotals {
            records, chunks, dead_records, dead_bytes, cursor, record_bytes, garbage, base_fill,
            base_sums, base, pages, leaves, runs, dead_runs, extents, attributes, open_block,
            shared,
        }
        LogHeader {
            magic, sum, len, generation, first_record, first_chunk, cursor, records, chunks, sums,
            dead, pieces, keys_len, attributes, open_block,
        }
        DeadEntry { hash, record, len, shared }
        PieceEntry { start, len, stored, reserved }
        Seal { frame_len, nbytes, cbytes, sum, generation, records, lookup, root }
        Slot {
            magic, file, generation, end, root, log, log_len, records, seal, seal_garbage, before,
            total, key_bound, spare, closed, reserved, sum,
        }
    }
}

fn written(options: &StoreOptions, fill: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::in_memory(options).unwrap();
    fill(&mut writer);
    let backend: std::sync::Arc<dyn Backend> = writer.backend().clone();
    writer.close().unwrap();
    let mut out = vec![0; usize::try_from(backend.len().unwrap()).unwrap()];
    backend.read_at(0, &mut out).unwrap();
    out
}

fn at(n: u64) -> usize {
    usize::try_from(n).unwrap()
}

fn newest_slot(file: &[u8]) -> Slot {
    let id = file[at(CONFIG_AT) + 16..at(CONFIG_AT) + 32].try_into().unwrap();
    let slots = frame::SLOT_OFFSETS.map(|o| Slot::parse(&file[at(o)..], id));
    slots.into_iter().flatten().max_by_key(|s| s.generation.get()).unwrap()
}

#[test]
fn every_structure_has_its_table_and_every_table_its_structure() {
    let tables = tables();
    let mut known: Vec<&str> = vec![
        "FrameHeader",
        "FrameMetalayers",
        "ConfigHeader",
        "ChunkHeader",
        "PageRef",
        "SlotPage",
        "Mark",
        "Places",
    ];
    for (name, len, rows) in layouts() {
        let table = tables.get(name).unwrap_or_else(|| panic!("the page has no table of {name}"));
        assert_eq!(table.len, len, "size of {name}");
        assert_eq!(table.rows, rows, "fields of {name}");
        known.push(name);
    }
    for name in tables.keys() {
        assert!(known.contains(name), "no test knows the table of {name}");
    }
    assert_eq!(tables["Slot"].len, SLOT_LEN);
    assert_eq!(tables["Mark"].len, MARK_LEN);
    assert_eq!(tables["SlotPage"].place("copy_mark").end, SLOT_PAGE);
    let copies = ["slot", "copy"].map(|name| tables["SlotPage"].place(name).start);
    assert_eq!(copies, SLOT_COPIES);
}

#[test]
fn tables_have_neither_holes_nor_overlaps() {
    for (name, table) in tables() {
        let mut next = if name == "FrameMetalayers" { 87 } else { 0 };
        let end = next + table.len;
        for (field, at, size) in table.rows {
            assert_eq!(at, next, "{name}.{field}");
            next += size;
        }
        assert_eq!(next, end, "length of {name}");
    }
}

#[test]
fn magics_limits_and_kinds_of_keys_are_those_of_the_code() {
    let magics = named("### Magics");
    for (name, bytes) in [
        ("MAGIC", &frame::MAGIC[..]),
        ("CONFIG_MAGIC", &CONFIG_MAGIC),
        ("SLOT_MAGIC", &SLOT_MAGIC),
        ("LEAF_MAGIC", &LEAF_MAGIC),
        ("RUN_MAGIC", &RUN_MAGIC),
        ("DEAD_MAGIC", &DEAD_MAGIC),
        ("PAGE_MAGIC", &PAGE_MAGIC),
        ("ROOT_MAGIC", &ROOT_MAGIC),
        ("LOG_MAGIC", &LOG_MAGIC),
    ] {
        let hex: Vec<String> = bytes.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(magics.get(name), Some(&&*format!("`{}`", hex.join(" "))), "{name}");
    }
    assert_eq!(magics.len(), 9);

    let stated = named("## Limits");
    let real = [
        ("CHUNK_MIN", u64::from(limits::CHUNK_MIN)),
        ("CHUNK_MAX", limits::CHUNK_MAX.into()),
        ("CHUNK_MAX_FOREIGN", limits::CHUNK_MAX_FOREIGN.into()),
        ("BLOCK_MIN", limits::BLOCK_MIN.into()),
        ("BLOCK_MAX", limits::BLOCK_MAX.into()),
        ("STREAM_MAX", limits::STREAM_MAX.into()),
        ("BLOCKS_PER_CHUNK", limits::BLOCKS_PER_CHUNK.into()),
        ("RECORD_MAX", limits::RECORD_MAX),
        ("RECORDS_MAX", layout::RECORDS_MAX),
        ("KEY_MAX", limits::KEY_MAX as u64),
        ("COLUMNS", limits::COLUMNS as u64),
        ("ROW_MAX", limits::ROW_MAX as u64),
        ("ATTRIBUTES_MAX", limits::ATTRIBUTES_MAX as u64),
        ("INDEX_PAGE", limits::INDEX_PAGE as u64),
        ("LOOKUP_MAX", limits::LOOKUP_MAX as u64),
        ("HEADER_LEN", frame::HEADER_LEN as u64),
        ("CONFIG_AT", CONFIG_AT),
        ("CONFIG_SPACE", CONFIG_SPACE as u64),
        ("TOTALS_OFFSET", frame::TOTALS_OFFSET),
        ("FORMAT_VERSION", FORMAT_VERSION.into()),
    ];
    for (name, value) in real {
        assert_eq!(stated.get(name), Some(&&*value.to_string()), "{name}");
    }
    assert_eq!(stated.len(), real.len());

    let kinds = named("### Key kinds");
    for (name, value) in [
        ("KEY_NONE", KEY_NONE),
        ("KEY_STR", KEY_STR),
        ("KEY_I64", KEY_I64),
        ("KEY_U64", KEY_U64),
        ("KEY_BYTES", KEY_BYTES),
        ("KEY_SHARED", KEY_SHARED),
    ] {
        assert_eq!(kinds.get(name), Some(&&*value.to_string()), "{name}");
    }
    assert_eq!(kinds.len(), 6);
}

#[test]
fn the_worked_checksums_are_right() {
    let file: [u8; 16] = std::array::from_fn(|i| u8::try_from(i).unwrap());
    assert!(PAGE.contains(&format!("`0x{:016x}`", identify(file, 3, 4))));
    assert!(PAGE.contains(&format!("`0x{:016x}`", checksum(b""))));
}

#[test]
fn a_new_file_has_its_header_where_the_page_says() {
    let options = StoreOptions {
        layout: Layout {
            file_id: Some([9; 16]),
            chunk_size: 8192,
            compression: Compression::Zstd,
            level: 3,
            columns: Some(vec![Column::new("energy", ColumnKind::F64, 1)]),
            ..Layout::default()
        },
        ..StoreOptions::default()
    };
    let file = written(&options, |_| {});
    let tables = tables();
    let field = |name: &str| &file[tables["FrameHeader"].place(name)];
    let number = |name: &str| field(name)[1..].iter().fold(0_u64, |n, b| n << 8 | u64::from(*b));
    assert_eq!(field("start"), [0x9e, 0xa8]);
    assert_eq!(field("magic"), b"b2frame\0");
    assert_eq!(number("header_len"), frame::HEADER_LEN as u64);
    assert_eq!(number("frame_len"), file.len() as u64);
    assert_eq!(
        (field("version"), field("frame_type"), field("split")),
        (&[0x12][..], &[0][..], &[0][..])
    );
    assert_eq!(field("codec"), [Algorithm::Zstd.id() | 3 << 4]);
    assert_eq!((number("nbytes"), number("cbytes"), number("typesize")), (0, 0, 4));
    assert_eq!(number("chunk_size"), 8192);
    assert_eq!((number("compress_threads"), number("decompress_threads")), (1, 1));
    assert_eq!((field("has_vlmetalayers"), field("filters_kind")), (&[0xc3][..], &[0xd8, 6][..]));
    assert_eq!(field("filters"), [0, 0, 0, 0, 0, 1]);
    assert_eq!((field("codec_id"), field("rest")), (&[Algorithm::Zstd.id()][..], &[0; 9][..]));

    let header = FrameHeader::parse(&file).unwrap();
    let metalayers = &tables["FrameMetalayers"];
    assert_eq!(header.metalayer("magic"), Some(metalayers.place("magic")));
    assert_eq!(header.metalayer("vlstore"), Some(149..frame::HEADER_LEN));
    assert_eq!(&file[metalayers.place("vlstore")], [0xc6, 0, 0, 0x2f, 0x66]);
    assert_eq!(&file[metalayers.place("vlstore_head")], [0xc6, 0, 0, 0x2f, 0x6b]);
    assert_eq!(&file[metalayers.place("magic_head")], [0xc6, 0, 0, 0, 18]);
    assert!(file[metalayers.place("gap")].iter().all(|b| *b == 0));
    assert_eq!(metalayers.place("config").start, at(CONFIG_AT));
    assert_eq!(metalayers.place("even_slot").start, at(frame::SLOT_OFFSETS[0]));
    assert_eq!(metalayers.place("odd_slot").start, at(frame::SLOT_OFFSETS[1]));
    assert_eq!(metalayers.place("even_slot").len(), frame::SLOT_LEN);
    for (generation, place) in (0..).zip(frame::SLOT_OFFSETS) {
        let page = &file[at(place)..at(place) + frame::SLOT_LEN];
        for copy in SLOT_COPIES {
            let slot = Slot::parse(&page[copy..], [9; 16]).unwrap();
            assert_eq!(slot.generation.get(), generation);
            assert_eq!(Mark::parse(&page[copy + SLOT_LEN..], [9; 16]), Some(1));
        }
        for gap in ["gap", "gap2"] {
            assert!(page[tables["SlotPage"].place(gap)].iter().all(|b| *b == 0));
        }
    }

    let totals = frame::patch_totals(&file, 1, 2, 3).unwrap();
    let mut patched = file.clone();
    patched[at(frame::TOTALS_OFFSET)..][..totals.len()].copy_from_slice(&totals);
    for (name, value) in [("frame_len", 1), ("nbytes", 2), ("cbytes", 3)] {
        assert_eq!(patched[tables["FrameHeader"].place(name).end - 1], value, "{name}");
    }

    let config = &file[at(CONFIG_AT)..at(CONFIG_AT) + CONFIG_SPACE];
    let table = &tables["ConfigHeader"];
    let field = |name: &str| &config[table.place(name)];
    assert_eq!(field("magic"), CONFIG_MAGIC);
    assert_eq!(field("version"), FORMAT_VERSION.to_le_bytes());
    assert_eq!(field("file"), [9; 16]);
    let len = u32::from_le_bytes(field("len").try_into().unwrap()) as usize;
    let json = &config[table.len..table.len + len];
    let summed = [&config[..table.place("sum").start], json].concat();
    assert_eq!(field("sum"), checksum(&summed).to_le_bytes());
    let members: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(json).unwrap();
    let listed: Vec<String> =
        table_lines("### `ConfigHeader`").iter().map(|c| c[2].to_owned()).collect();
    assert_eq!(listed.len(), 5);
    let section = &PAGE[PAGE.find("\n## Configuration").unwrap()..PAGE.find("\n## Slots").unwrap()];
    for name in members.keys() {
        assert!(section.contains(&format!("| `{name}` |")), "the page does not list {name}");
    }
    let rows = section.lines().filter(|l| l.starts_with("| `")).count();
    assert_eq!(rows, members.len(), "the page lists members that the file does not have");
}

#[test]
fn a_chunk_has_its_header_where_the_page_says() {
    let params = Params {
        algorithm: Some(Algorithm::Lz4hc),
        level: 5,
        filter: Filter::Shuffle,
        typesize: 4,
    };
    let src: Vec<u8> = (0..10_000_u32).flat_map(u32::to_le_bytes).collect();
    let mut chunk = Vec::new();
    Compressor::new(params, 4096).unwrap().compress(&src, &mut chunk).unwrap();
    let tables = tables();
    let field = |name: &str| &chunk[tables["ChunkHeader"].place(name)];
    assert_eq!((field("version"), field("codec_version")), (&[5][..], &[1][..]));
    // LZ4HC is not split, its stream format is that of LZ4.
    assert_eq!((field("flags"), field("typesize")), (&[0b0011_0101][..], &[4][..]));
    assert_eq!(field("nbytes"), 40_000_u32.to_le_bytes());
    assert_eq!(field("block_size"), 4096_u32.to_le_bytes());
    assert_eq!(field("cbytes"), u32::try_from(chunk.len()).unwrap().to_le_bytes());
    assert_eq!((field("filters"), field("codec")), (&[0, 0, 0, 0, 0, 1][..], &[2][..]));
    assert_eq!((field("codec_meta"), field("filters_meta")), (&[0][..], &[0; 6][..]));
    assert_eq!((field("reserved"), field("blosc2_flags")), (&[0][..], &[0][..]));
    // Ten blocks, the first right behind the block starts.
    assert_eq!(chunk[32..36], (32_u32 + 4 * 10).to_le_bytes());
    let mut zeros = Vec::new();
    Compressor::new(params, 1024).unwrap().compress(&[0; 4096], &mut zeros).unwrap();
    assert_eq!(zeros[tables["ChunkHeader"].place("blosc2_flags")], [1 << 4]);
}

/// Entry `i` of slot `t` as the function `entry` of the page reads it.
fn entry(body: &[u8], i: usize, t: u64, bits: u32, width: u32, least: u64) -> RunEntry {
    let w = (40 - bits + width + 1) as usize;
    let number = body[64 + i * w / 8..].iter().take(12).rev();
    let number = number.fold(0_u128, |n, b| n << 8 | u128::from(*b)) >> (i * w % 8);
    let part =
        |from: u32, bits: u32| u64::try_from(number >> from & ((1_u128 << bits) - 1)).unwrap();
    let record = least + part(1, width);
    let kept = t << (40 - bits) | part(width + 1, 40 - bits);
    RunEntry::new(kept << 24, record, number & 1 == 1)
}

/// Entries and table of a run as the page says.
fn run_of(body: &[u8]) -> (Vec<RunEntry>, &[U32], u32) {
    let head: SegmentHeader = bytemuck::pod_read_unaligned(&body[..64]);
    let [bits, width, rest @ ..] = head.first_chunk.get().to_le_bytes();
    assert_eq!(rest, [0; 6]);
    let (bits, width, count) = (u32::from(bits), u32::from(width), at(head.count.get()));
    let w = (40 - bits + width + 1) as usize;
    let from = (64 + (count * w).div_ceil(8)).next_multiple_of(4);
    let table: &[U32] = bytemuck::cast_slice(&body[from..from + ((1 << bits) + 1) * 4]);
    let least = head.first_record.get();
    let all = (0..1_u32 << bits).flat_map(|t| {
        let (first, end) = (table[t as usize].get(), table[t as usize + 1].get());
        (first..end).map(move |i| entry(body, i as usize, t.into(), bits, width, least))
    });
    (all.collect(), table, bits)
}

#[test]
fn entries_of_a_run_are_packed_as_the_page_says() {
    let entries = [
        RunEntry::new(0x0123_4567_89ab_cdef, 1_234_567, false),
        RunEntry::new(0x0123_4567_89ab_cdef, 1_234_567, true),
        RunEntry::new(u64::MAX, 1_200_000, true),
    ];
    // A slot for eight: four slots.
    let mut packer = Packer::new(Shape::new(32, 1_200_000..=1_234_567));
    let mut body = vec![0; 64];
    entries.iter().for_each(|e| packer.push(*e, &mut body).unwrap());
    let shape = packer.finish(&mut body).unwrap();
    let mut head: SegmentHeader = bytemuck::Zeroable::zeroed();
    shape.write(&mut head);
    body[..64].copy_from_slice(bytemuck::bytes_of(&head));
    let words = [head.first_record, head.first_chunk, head.count].map(U64::get);
    assert_eq!(words, [1_200_000, 2 | 16 << 8, 3]);
    let (found, table, _) = run_of(&body);
    assert_eq!(found, entries);
    assert_eq!(table.iter().map(|n| n.get()).collect::<Vec<_>>(), [0, 2, 2, 2, 3]);
    // 3 entries of 40 - 2 + 16 + 1 bits, the table, and nothing else.
    let table = (64_usize + (3_usize * 55).div_ceil(8)).next_multiple_of(4);
    assert_eq!(body.len(), (table + 5 * 4).next_multiple_of(8));
}

#[test]
fn the_test_values_of_key_and_filter_are_those_of_the_page() {
    let hash = key_hash(KEY_STR, b"mol_0000123");
    let h = hash >> 24;
    let block = ((h >> 8) * 24) >> 32;
    let bits: Vec<u64> = (0..6).map(|i| ((mix(h) >> (9 * i)) & 511) * 7 / 8).collect();
    let bits: Vec<String> = bits.iter().map(u64::to_string).collect();
    for value in [
        format!("mix(1) is `{:#x}`", mix(1)),
        format!("`{hash:#x}`, so *k* is `{h:#x}`"),
        format!("block {block},\nbits {}.", bits.join(", ")),
    ] {
        assert!(PAGE.contains(&value), "the page does not say: {value}");
    }
    assert_eq!(Probe::new(hash).block(24), block);
}

#[test]
fn fences_are_listed_as_the_page_says() {
    let minus_two = (-2_i64).to_le_bytes();
    let keys = [(KEY_STR, &b"mol"[..]), (KEY_I64, &minus_two)];
    let ranks = keys.map(|(kind, bytes)| fence::Rank::new(kind, bytes).unwrap());
    let fences: Vec<_> = ranks.iter().zip([7, 300]).map(|(r, n)| fence::Fence::new(r, n)).collect();
    let list = fence::encode(&fences.into_iter().map(Option::unwrap).collect::<Vec<_>>());
    let mut expected = vec![2, 0, 0, 0, 32, 0, 0, 0];
    expected.extend([7, 0, 0, 0, 0, 0, 0, 0, 4, 1, b'm', b'o', b'l']);
    expected.extend([44, 1, 0, 0, 0, 0, 0, 0, 9, 2, 0x7f]);
    expected.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0]);
    assert_eq!(list, expected);
}

#[test]
fn rows_lie_where_the_page_says() {
    let columns =
        [Column::new("step", ColumnKind::I64, 1), Column::new("origin", ColumnKind::F64, 2)];
    let options = StoreOptions {
        layout: Layout {
            compression: Compression::Stored,
            columns: Some(columns.to_vec()),
            ..Layout::default()
        },
        write: WriteOptions { commit_bytes: u64::MAX, ..WriteOptions::default() },
    };
    let number =
        |n: u64, at: u64| if at == 0 { n + 7 } else { (n as f64 + at as f64 / 4.0).to_bits() };
    let fill = |w: &mut Writer| {
        for n in 0..5_u64 {
            let mut row = vlstore::Row::new(&columns);
            row.set_i64("step", &[n.cast_signed() + 7]).unwrap();
            row.set_f64("origin", &[1, 2].map(|at| f64::from_bits(number(n, at)))).unwrap();
            w.put_row(Some(&Key::from(n)), b"four", 0, &row, vlstore::Existing::Refuse).unwrap();
        }
    };
    // In a leaf: number by number, behind its packed records.
    let file = written(&options, |w| {
        fill(w);
        w.seal().unwrap();
    });
    let root = &file[at(newest_slot(&file).root.offset.get())..];
    let totals: RootTotals = bytemuck::pod_read_unaligned(&root[64..192]);
    let leaves = 192 + 8 * totals.base_sums.get() as usize;
    let leaf: LeafRef = bytemuck::pod_read_unaligned(&root[leaves..][..size_of::<LeafRef>()]);
    let bytes = &file[at(leaf.segment.offset.get())..][..at(leaf.segment.len.get())];
    let counts = [leaf.chunks, leaf.sums, leaf.packed].map(|n| n.get() as usize);
    let chunk =
        &bytes[64 + size_of::<LeafHeader>() + 32 * counts[0] + 8 * counts[1] + 8 * counts[2]..];
    let table = &tables()["ChunkHeader"];
    assert_eq!(chunk[table.place("nbytes")], 120_u32.to_le_bytes());
    assert_eq!(chunk[table.place("typesize")], [8]);
    // One page checksum, and no rest.
    let cbytes = u32::from_le_bytes(chunk[table.place("cbytes")].try_into().unwrap()) as usize;
    assert_eq!(chunk.len(), cbytes.next_multiple_of(8) + 8);
    let planes: Vec<u64> = (0..3).flat_map(|at| (0..5).map(move |n| number(n, at))).collect();
    let layout = ChunkLayout::parse(chunk, 120).unwrap();
    let (stream, mut decoded) = (layout.block_range(0), [0; 120]);
    let stream = &chunk[stream.start as usize..stream.end as usize];
    Decoder::new().unwrap().decode(&layout, 0, stream, &mut decoded).unwrap();
    let steps: Vec<u64> = planes
        .chunks(5)
        .flat_map(|p| (0..5).map(|n| if n == 0 { p[0] } else { p[n].wrapping_sub(p[n - 1]) }))
        .collect();
    assert_eq!(decoded, bytemuck::cast_slice::<u64, u8>(&steps));
    let own = tables()["LeafHeader"].place("numbers");
    assert_eq!(bytes[64 + own.start..64 + own.end], 0b111_u128.to_le_bytes());
    // In a log entry: record by record, at its end.
    let mut w = Writer::in_memory(&options).unwrap();
    w.insert("an entry of the log follows a root", b"x").unwrap();
    w.commit().unwrap();
    fill(&mut w);
    w.commit().unwrap();
    let mut file = vec![0; at(w.backend().len().unwrap())];
    w.backend().read_at(0, &mut file).unwrap();
    let slot = newest_slot(&file);
    let end = at(slot.log.get() + slot.log_len.get());
    let rows: Vec<u64> = (0..5).flat_map(|n| (0..3).map(move |at| number(n, at))).collect();
    assert_eq!(&file[end - 120..end], bytemuck::cast_slice::<u64, u8>(&rows));
}

#[test]
fn records_are_packed_as_the_example_of_the_page_says() {
    let section = &PAGE[PAGE.find("\n## Packed records").unwrap()..];
    let lines = section.lines().skip_while(|l| *l != "```text").skip(1);
    let hex: String = lines
        .take_while(|l| *l != "```")
        .flat_map(|l| {
            let digits = |word: &&str| {
                word.len().is_multiple_of(2) && word.bytes().all(|b| b.is_ascii_hexdigit())
            };
            l.split_whitespace().take_while(digits).collect::<Vec<_>>()
        })
        .collect();
    let start = |i: usize| [4096, 4136, 4184, 4288, 4336][i];
    let place = |i: usize| Place {
        start: start(i),
        len: [40, 45, 33, 42, 40][i],
        weight: 0,
        has_row: false,
    };
    let keys: Vec<String> = (7..12).map(|n| format!("m{n:08}")).collect();
    let packed = pack((0..5).map(|i| (place(i), KEY_STR, keys[i].as_bytes()))).unwrap();
    let bytes: String = packed.bytes.iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, bytes);
    assert_eq!(packed.ordered, KEY_STR);
    assert_eq!(tables()["Places"].place("base"), 8..16);
}

#[test]
fn a_directory_page_is_listed_as_the_page_says() {
    // 192 leaves: 128 of them in two directory pages.
    let options = StoreOptions {
        layout: Layout { chunk_size: 4096, ..Layout::default() },
        write: WriteOptions {
            commit_bytes: u64::MAX,
            original_table: vlstore::OriginalTable::Never,
            ..WriteOptions::default()
        },
    };
    let file = written(&options, |w| {
        for i in 0..192_u64 {
            w.insert(i, b"x").unwrap();
            w.seal().unwrap();
        }
    });
    let slot = newest_slot(&file);
    let root = &file[at(slot.root.offset.get())..];
    let totals: RootTotals = bytemuck::pod_read_unaligned(&root[64..192]);
    assert_eq!((totals.pages.get(), totals.leaves.get()), (2, 64));
    let table = &tables()["PageRef"];
    let pages = 192 + 8 * totals.base_sums.get() as usize;
    let second = &root[pages + table.len..pages + 2 * table.len];
    let segment: SegmentRef = bytemuck::pod_read_unaligned(&second[table.place("segment")]);
    assert_eq!(second[table.place("first_record")], 64_u64.to_le_bytes());
    let page = &file[at(segment.offset.get())..][..at(segment.len.get())];
    let head: SegmentHeader = bytemuck::pod_read_unaligned(&page[..64]);
    assert_eq!((head.magic, head.count.get(), head.first_record.get()), (PAGE_MAGIC, 64, 64));
    assert_eq!(second[table.place("first_chunk")], head.first_chunk.get().to_le_bytes());
    // Behind the leaves their fences: keys that ascend need no run.
    let (count, len) = fence::head(*page[64 + 64 * size_of::<LeafRef>()..].first_chunk().unwrap());
    assert_eq!((count, len, totals.runs.get()), (64, 64 * 18, 0));
    let fences = &page[64 + 64 * size_of::<LeafRef>() + 8..][..at(len.into())];
    assert_eq!(
        fences[..18],
        [&64_u64.to_le_bytes()[..], &[9, 2, 0x80, 0, 0, 0, 0, 0, 0, 64]].concat()
    );
    // And the leaves of the root follow the pages at once.
    let leaf: LeafRef =
        bytemuck::pod_read_unaligned(&root[pages + 2 * table.len..][..size_of::<LeafRef>()]);
    assert_eq!(leaf.first_record.get(), 128);
    assert_eq!(file[at(leaf.segment.offset.get())..][..8], LEAF_MAGIC);
}

/// The oldest run of a store that has no directory pages.
fn first_run(file: &[u8]) -> RunRef {
    let root = &file[at(newest_slot(file).root.offset.get())..];
    let totals: RootTotals = bytemuck::pod_read_unaligned(&root[64..192]);
    let runs = 192
        + 8 * totals.base_sums.get() as usize
        + size_of::<LeafRef>() * totals.leaves.get() as usize;
    let runs = runs + 8 + fence::head(*root[runs..].first_chunk().unwrap()).1 as usize;
    bytemuck::pod_read_unaligned(&root[runs..runs + size_of::<RunRef>()])
}

#[test]
fn a_run_ends_with_its_table() {
    let options = StoreOptions {
        write: WriteOptions { commit_bytes: u64::MAX, ..WriteOptions::default() },
        ..StoreOptions::default()
    };
    let file = written(&options, |w| {
        for i in (0..1000_u64).rev() {
            w.insert(i, b"").unwrap();
        }
    });
    let run = first_run(&file);
    assert_eq!(run.count.get(), 1000);
    let bytes = &file[at(run.segment.offset.get())..];
    let (entries, table, bits) = run_of(bytes);
    assert!(bits > 0 && bits <= 32 && entries.is_sorted_by(|a, b| a < b));
    let mut records: Vec<u64> = entries.iter().map(|e| e.record()).collect();
    records.sort_unstable();
    assert!(records.into_iter().eq(0..1000));
    for (t, first) in table.iter().enumerate() {
        let want = entries.partition_point(|e| e.hash() >> (64 - bits) < t as u64);
        assert_eq!(first.get() as usize, want, "entry {t}");
    }
}

#[test]
fn a_filter_lies_behind_its_run_and_a_damaged_block_of_it_hides_no_key() {
    let options = StoreOptions {
        write: WriteOptions { commit_bytes: u64::MAX, ..WriteOptions::default() },
        ..StoreOptions::default()
    };
    let mut file = written(&options, |w| {
        for i in (0..3000_u64).rev() {
            w.insert(i, &i.to_le_bytes()).unwrap();
        }
    });
    let run = first_run(&file);
    let segment = at(run.segment.offset.get());
    let entries = run_of(&file[segment..]).0;
    assert_eq!(entries.len(), 3000);
    let blocks = u64::from(run.filter_blocks.get());
    assert_eq!(blocks, 3000_u64.div_ceil(44), "ten bits to an entry");

    let first = (segment + at(run.segment.len.get())).next_multiple_of(64);
    let mut expected = vec![0; at(blocks) * 64];
    for e in &entries {
        let k = e.hash() >> 24;
        let block = ((k >> 8) * blocks) >> 32;
        for i in 0..6 {
            let b = at(((mix(k) >> (9 * i)) & 511) * 7 / 8);
            expected[at(block) * 64 + 8 + b / 8] |= 1 << (b % 8);
        }
    }
    for (i, block) in expected.chunks_mut(64).enumerate() {
        let sum = checksum(&block[8..]) ^ mix(run.segment.sum.get() ^ (first + 64 * i) as u64);
        block[..8].copy_from_slice(&sum.to_le_bytes());
    }
    assert!(file[first..first + expected.len()] == expected[..], "the filter is another one");

    // All bits gone: where the checksum were not asked, no key would be found.
    file[first..first + expected.len()].fill(0);
    for map in [true, false] {
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(path.path(), &file).unwrap();
        let reads = if map { Access::Map } else { Access::Pread };
        let store = Store::open_with(
            path.path(),
            &ReadOptions { access: reads, ..options.write.reading() },
        )
        .unwrap();
        for i in 0..3000_u64 {
            assert_eq!(*store.get(i).unwrap(), i.to_le_bytes());
        }
        assert!(!store.contains(3000).unwrap());
        let verified = store.verify(|_, _| Ok(())).unwrap();
        let said: Vec<String> = verified.damages.iter().map(|d| format!("{d:?}")).collect();
        assert!(said.len() == 1 && said[0].contains("filter"), "{said:?}");
    }
}
