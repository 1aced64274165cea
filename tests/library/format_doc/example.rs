//! `docs/format-example.md`: every byte of a store of two records, with the fields that the tables
//! of `docs/format.md` give them. Made anew with VLSTORE_BLESS=1; every checksum is computed here
//! by the formula that the page prints beside it.

use super::{Table, tables, written};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;
use vlstore::index::layout::{LeafHeader, LeafRef};
use vlstore::wire::{checksum, identify};
use vlstore::{Compression, Durability, Filter, Layout, StoreOptions, WriteOptions, Writer};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/format-example.md");

const HEAD: &str = "\
# A file, byte by byte: an example

The whole file of a store with two records, as [the specification](format.md) describes it: a reader that is
being written can be compared with it. It was made with a fixed file id, chunks of 128 bytes, LZ4
without a filter, and these records, and then closed:

| key | bytes |
| --- | --- |
| `ethanol` | `CCO CCO CCO CCO CCO CCO CCO CCO` |
| `water` | `O` |

A line is a place in the file, the bytes there in hexadecimal, the field (its table is in the
specification), and for numbers the value. `00 * n` are n bytes of zero. Bytes that are not listed are zeros
up to the next multiple of 64 at which something starts. `XXH3(a..b)` is the checksum of the bytes from a to
b, without b; `file` is the id of the file.
";

/// Fields that are structures themselves.
const NESTED: &[(&str, &str, &str)] = &[
    ("Slot", "root", "SegmentRef"),
    ("Slot", "seal", "Seal"),
    ("Seal", "root", "SegmentRef"),
    ("LeafRef", "segment", "SegmentRef"),
    ("RootTotals", "base", "ChunkEntry"),
];

/// Fields of up to eight bytes that are no numbers.
const BYTES: &[&str] = &["magic", "start", "rest", "filters", "spare", "gap", "reserved"];

struct Example {
    file: Vec<u8>,
    tables: BTreeMap<&'static str, Table>,
    out: String,
    told: Vec<bool>,
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b))
}

impl Example {
    fn title(&mut self, title: &str, text: &str) {
        if !self.out.ends_with(HEAD) {
            self.out += "```\n";
        }
        let text = if text.is_empty() { String::new() } else { format!("{text}\n\n") };
        write!(self.out, "\n## {title}\n\n{text}```text\n").unwrap();
    }

    /// A line, or several, for `len` bytes at `at`.
    fn row(&mut self, at: usize, len: usize, name: &str, note: &str) {
        let bytes = &self.file[at..at + len];
        let told = &mut self.told[at..at + len];
        assert!(told.iter().all(|told| !told), "{name} at {at} was told of before");
        told.fill(true);
        let note = [name, note].join("  ");
        if len > 8 && bytes.iter().all(|b| *b == 0) {
            let zeros = format!("00 * {len}");
            writeln!(self.out, "{at:>5}  {zeros:<24} {}", note.trim_end()).unwrap();
            return;
        }
        for (i, part) in bytes.chunks(8).enumerate() {
            let hex: Vec<String> = part.iter().map(|b| format!("{b:02x}")).collect();
            let said = if i == 0 { &*note } else { "" };
            let line = format!("{:>5}  {:<24} {said}", at + 8 * i, hex.join(" "));
            writeln!(self.out, "{}", line.trim_end()).unwrap();
        }
    }

    /// All fields of the structure `name` at `at`, with a note for some.
    fn structure(&mut self, name: &str, at: usize, prefix: &str, notes: &[(&str, String)]) {
        for (field, place, len) in self.tables[name].rows.clone() {
            let full = format!("{prefix}{field}");
            let nested = NESTED.iter().find(|n| (n.0, n.1) == (name, &*field));
            if let Some((_, _, inner)) = nested {
                self.structure(inner, at + place, &format!("{full}."), notes);
                continue;
            }
            let bytes = &self.file[at + place..at + place + len];
            let note = match notes.iter().find(|(f, _)| *f == full) {
                Some((_, note)) => note.clone(),
                None if name == "FrameHeader" && len > 2 && bytes[0] >= 0xcc => {
                    format!("= {}", bytes[1..].iter().fold(0, |n, b| n << 8 | u64::from(*b)))
                }
                None if len > 8 || BYTES.contains(&&*field) => String::new(),
                None => format!("= {}", number(bytes)),
            };
            self.row(at + place, len, &full, &note);
        }
    }

    /// The number in the field `name` of the structure at `at`.
    fn get(&self, structure: &str, name: &str, at: usize) -> usize {
        let place = self.tables[structure].place(name);
        usize::try_from(number(&self.file[at + place.start..at + place.end])).unwrap()
    }

    /// The formula of a checksum, after it was found right.
    fn sum(&self, sum_at: usize, of: Range<usize>, tied: Option<(u64, u64)>) -> String {
        let sum = checksum(&self.file[of.clone()]);
        let file: [u8; 16] = self.file[1040..1056].try_into().unwrap();
        let tie = tied.map_or(0, |(a, b)| identify(file, a, b));
        assert_eq!(number(&self.file[sum_at..sum_at + 8]), sum ^ tie, "the sum at {sum_at}");
        let right = format!("= XXH3({}..{})", of.start, of.end);
        match tied {
            None => right,
            Some((a, u64::MAX)) => format!("{right} ^ identify(file, {a}, 2^64 - 1)"),
            Some((a, b)) => format!("{right} ^ identify(file, {a}, {b})"),
        }
    }

    fn header(&mut self) {
        self.title("Frame header", "");
        self.structure("FrameHeader", 0, "", &[]);
        for (field, at, len) in self.tables["FrameMetalayers"].rows.clone() {
            if !["config", "even_slot", "odd_slot"].contains(&&*field) {
                self.row(at, len, &field, "");
            }
        }
        self.title("Configuration", "");
        let at = self.tables["FrameMetalayers"].place("config").start;
        let len = self.get("ConfigHeader", "len", at);
        // The checksum skips itself: header up to the sum, and the JSON behind it.
        let summed = [&self.file[at..at + 32], &self.file[at + 40..at + 40 + len]].concat();
        assert_eq!(number(&self.file[at + 32..at + 40]), checksum(&summed));
        let note = format!("= XXH3({at}..{} and {}..{})", at + 32, at + 40, at + 40 + len);
        self.structure("ConfigHeader", at, "", &[("sum", note)]);
        let json = String::from_utf8(self.file[at + 40..at + 40 + len].to_vec()).unwrap();
        self.told[at + 40..at + 40 + len].fill(true);
        writeln!(self.out, "{:>5}  the JSON, {len} bytes:", at + 40).unwrap();
        for part in json.split_inclusive(",\"") {
            let (head, quote) = part.strip_suffix('"').map_or((part, ""), |head| (head, "\""));
            let indent = if self.out.ends_with('"') { "" } else { "       " };
            write!(self.out, "{indent}{head}").unwrap();
            self.out.push('\n');
            if !quote.is_empty() {
                write!(self.out, "       {quote}").unwrap();
            }
        }
        self.out.push('\n');
    }

    /// A slot page.
    fn slot(&mut self, name: &str, text: &str) {
        self.title(&format!("Slot page of {name} commits"), text);
        let page = self.tables["FrameMetalayers"].place(&format!("{name}_slot")).start;
        let rows = self.tables["SlotPage"].rows.clone();
        let first = self.file[page..page + 272].to_vec();
        for (field, place, len) in rows {
            let at = page + place;
            match &*field {
                "slot" => {
                    let generation = self.get("Slot", "generation", at) as u64;
                    let sum = self.sum(at + 248, at..at + 248, Some((generation, 0)));
                    let mut notes = vec![("sum", sum)];
                    let seal = at + self.tables["Slot"].place("seal").start;
                    let frame_len = self.get("Seal", "frame_len", seal);
                    let from = 12_288 + self.get("Seal", "cbytes", seal);
                    let sum_at = seal + self.tables["Seal"].place("sum").start;
                    let tied = Some((0, frame_len as u64));
                    notes.push(("seal.sum", self.sum(sum_at, from..frame_len, tied)));
                    if self.get("Slot", "root", at) > 0 {
                        notes.push(("root.sum", "see the root".into()));
                        notes.push(("seal.root.sum", "see the root".into()));
                    }
                    self.structure("Slot", at, "", &notes);
                }
                "mark" => {
                    let generation = self.get("Mark", "generation", at) as u64;
                    let sum = self.sum(at + 8, at..at + 8, Some((generation, 1)));
                    self.structure("Mark", at, "mark.", &[("mark.sum", sum)]);
                }
                "copy" | "copy_mark" => {
                    let of = place - 2048;
                    assert_eq!(self.file[at..at + len], first[of..of + len]);
                    self.told[at..at + len].fill(true);
                    let same = format!("as {}..{}", page + of, page + of + len);
                    writeln!(self.out, "{at:>5}  {len} bytes                {field}  {same}")
                        .unwrap();
                }
                _ => self.row(at, len, &field, ""),
            }
        }
    }

    /// Header and page checksums of the segment to which the `SegmentRef` at `by` leads; its body
    /// is told of by `body`.
    fn segment(&mut self, title: &str, text: &str, by: usize, body: fn(&mut Self, usize)) {
        let at = self.get("SegmentRef", "offset", by);
        let len = self.get("SegmentRef", "len", by);
        self.title(title, text);
        self.structure("SegmentHeader", at, "", &[]);
        body(self, at);
        let end = at + len - 8;
        assert!(len <= 16_392, "more than one page");
        let rest = (at..end).find(|i| !self.told[*i]).unwrap_or(end);
        if rest < end {
            self.row(rest, end - rest, "padding", "");
        }
        let note = self.sum(end, at..end, None);
        self.row(end, 8, "checksum of the page", &note);
        let tied = Some((at as u64, len as u64));
        let sum = self.sum(by + 16, end..end + 8, tied);
        writeln!(self.out, "       the sum of the SegmentRef at {by} {sum}").unwrap();
    }

    fn leaf(&mut self, at: usize) {
        let head = at + 64;
        self.structure("LeafHeader", head, "", &[]);
        let chunks = self.get("LeafHeader", "chunks", head);
        assert_eq!((chunks, self.get("LeafHeader", "sums", head)), (0, 0));
        let packed = head + size_of::<LeafHeader>();
        for (i, name) in ["group 0", "the end"].into_iter().enumerate() {
            for (j, what) in ["places", "keys"].into_iter().enumerate() {
                let place = packed + 8 * i + 4 * j;
                let words = number(&self.file[place..place + 4]);
                let note = format!("= {words}: at {}", packed as u64 + 8 * words);
                self.row(place, 4, &format!("{what} of {name}"), &note);
            }
        }
        let word = |this: &Self, at: usize| {
            packed + 8 * usize::try_from(number(&this.file[at..at + 4])).unwrap()
        };
        let (places, keys, end) =
            (word(self, packed), word(self, packed + 4), word(self, packed + 12));
        self.structure("Places", places, "", &[]);
        let behind = places + 24;
        self.row(behind, keys - behind, "lengths and what follows them", "");
        self.row(keys, end - keys, "keys of the group", "");
    }

    fn root(&mut self, at: usize) {
        let totals = at + 64;
        let generation = self.get("SegmentHeader", "generation", at);
        assert!(generation > 0);
        let base = totals + self.tables["RootTotals"].place("base").start;
        let chunk = self.get("ChunkEntry", "offset", base);
        let first = 32 + 4 * self.get("ChunkEntry", "blocks", base);
        let prefix = self.sum(base + 8, chunk..chunk + first, Some((0, u64::MAX)));
        self.structure("RootTotals", totals, "", &[("base.prefix_sum", prefix)]);
        let count = |this: &Self, name: &str| this.get("RootTotals", name, totals);
        let mut next = totals + 128;
        assert_eq!((count(self, "base_sums"), count(self, "leaves")), (1, 1));
        let cbytes = self.get("ChunkEntry", "cbytes", base);
        let sum = self.sum(next, chunk + first..chunk + cbytes, Some((0, 0)));
        self.row(next, 8, "checksum of block 0", &sum);
        next += 8;
        self.structure("LeafRef", next, "leaf.", &[("leaf.segment.sum", "see the leaf".into())]);
        next += size_of::<LeafRef>();
        let fences = number(&self.file[next..next + 4]);
        let len = usize::try_from(number(&self.file[next + 4..next + 8])).unwrap();
        self.row(next, 4, "fences", &format!("= {fences}"));
        self.row(next + 4, 4, "bytes of fences", &format!("= {len}"));
        self.row(next + 8, len, "record 0, length 8, kind 1, ethanol", "");
        next += 8 + len;
        assert_eq!((count(self, "runs"), count(self, "dead_runs")), (0, 0));
        for i in 0..count(self, "extents") {
            self.structure("Extent", next, &format!("extent {i}."), &[]);
            next += 24;
        }
        self.row(next, count(self, "attributes"), "attributes", "");
    }

    /// The second copy of the leaf that the `LeafRef` at `by` names.
    fn copy(&mut self, by: usize) {
        let (first, len) =
            (self.get("SegmentRef", "offset", by), self.get("SegmentRef", "len", by));
        let at = self.get("LeafRef", "copy", by);
        assert_eq!(self.file[first..first + len], self.file[at..at + len]);
        self.told[at..at + len].fill(true);
        writeln!(self.out, "{at:>5}  {len} bytes  as {first}..{}", first + len).unwrap();
    }

    /// A chunk; returns its end.
    fn chunk(&mut self, at: usize) -> usize {
        self.structure("ChunkHeader", at, "", &[]);
        let end = at + self.get("ChunkHeader", "cbytes", at);
        if self.file[at + 2] & 2 != 0 {
            self.row(at + 32, end - at - 32, "block 0, stored", "");
            return end;
        }
        assert_eq!(self.file[at + 2] >> 4 & 1, 1, "the block is one stream");
        self.row(at + 32, 4, "start of block 0", "= 36");
        let len = number(&self.file[at + 36..at + 40]);
        self.row(at + 36, 4, "length of the stream", &format!("= {len}"));
        self.row(at + 40, end - at - 40, "the stream", "");
        end
    }

    /// A trailer from `at` to `end`.
    fn trailer(&mut self, at: usize, end: usize) {
        let tail = end - 23;
        let chunk = (at..tail).find(|i| self.file[*i..].starts_with(&[5, 1]));
        let head = chunk.unwrap_or(tail);
        self.row(at, head - at, "metalayers", "");
        if let Some(chunk) = chunk {
            self.row(chunk, tail - chunk, "the chunk of saved_lookup", "");
        }
        let len = self.file[tail + 1..tail + 5].iter().fold(0, |n, b| n << 8 | usize::from(*b));
        assert_eq!(len, end - at);
        self.row(tail, 5, "length of the trailer", &format!("= {len}"));
        self.row(tail + 5, 18, "end", "");
    }
}

fn example() -> String {
    let options = StoreOptions {
        layout: Layout {
            chunk_size: 128,
            compression: Compression::Lz4,
            filter: Filter::None,
            typesize: 1,
            file_id: Some(std::array::from_fn(|i| u8::try_from(i).unwrap())),
            ..Layout::default()
        },
        write: WriteOptions { threads: 1, durability: Durability::None, ..WriteOptions::default() },
    };
    let file = written(&options, |w: &mut Writer| {
        w.insert("ethanol", b"CCO CCO CCO CCO CCO CCO CCO CCO").unwrap();
        w.insert("water", b"O").unwrap();
    });
    let told = vec![false; file.len()];
    let mut all = Example { file, tables: tables(), out: HEAD.into(), told };
    all.header();
    all.slot("even", "");
    all.slot("odd", "");
    let even = all.tables["FrameMetalayers"].place("even_slot").start;
    let root_by = even + all.tables["Slot"].place("root").start;
    let root = all.get("SegmentRef", "offset", root_by);
    let base = root + 64 + all.tables["RootTotals"].place("base").start;
    let leaf_by = root + 64 + 128 + 8;
    all.title("Trailer of the new file", "The odd slot page still seals it.");
    all.trailer(12_288, 12_379);
    all.segment("Leaf", "", leaf_by, Example::leaf);
    all.segment("Root", "", root_by, Example::root);
    all.title("Base chunk", "The open chunk with both records, filled with zeros to 128 bytes.");
    all.chunk(all.get("ChunkEntry", "offset", base));
    all.title("Second copy of the leaf", "At least 4096 bytes behind the first; the gap is zeros.");
    all.copy(leaf_by);
    all.title("Offsets chunk", "The place of the one chunk, counted from the end of the header.");
    let seal = even + all.tables["Slot"].place("seal").start;
    let trailer = all.chunk(12_288 + all.get("Seal", "cbytes", seal));
    all.title("Trailer", "");
    all.trailer(trailer, all.get("Seal", "frame_len", seal));
    all.out += "```\n";
    let left =
        (0..all.file.len()).filter(|i| !all.told[*i] && all.file[*i] != 0).collect::<Vec<_>>();
    assert!(left.is_empty(), "nothing is told of the bytes at {left:?}");
    all.out
}

#[test]
fn every_byte_of_the_example_is_as_the_page_lists_it() {
    let made = example();
    if std::env::var_os("VLSTORE_BLESS").is_some_and(|v| v == "1") {
        std::fs::write(PAGE, &made).unwrap();
    }
    let page = std::fs::read_to_string(PAGE).unwrap();
    for (there, made) in page.lines().zip(made.lines()) {
        assert_eq!(there, made, "docs/format-example.md; VLSTORE_BLESS=1 writes it anew");
    }
    assert_eq!(page, made, "docs/format-example.md; VLSTORE_BLESS=1 writes it anew");
}
