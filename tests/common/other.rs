//! Files as other programs leave them: those of the original program, and sealed files of ours
//! that a program which knows the Blosc2 frame alone has added to.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "shared by several test programs, none of which uses all of it"
)]

use vlstore::chunk::{Algorithm, Compressor, Filter, Params};
use vlstore::frame::{
    FrameHeader, MAGIC, build_header, build_trailer, decode_offsets, encode_offsets, patch_totals,
    trailer_len,
};
use vlstore::index::saved_lookup;
use vlstore::{Alignment, Key};

/// A record of a table: its key, its first byte and the byte behind its last.
pub type Entry = (Key, u64, u64);

fn compressed(params: Params, bytes: &[u8]) -> Vec<u8> {
    let typesize = usize::from(params.typesize);
    let block = bytes.len().min((32 << 10) / typesize * typesize).max(typesize);
    let mut out = Vec::new();
    Compressor::new(params, block as u32).unwrap().compress(bytes, &mut out).unwrap();
    out
}

fn table(entries: &[Entry]) -> Vec<u8> {
    let named = entries.iter().map(|(key, start, end)| (key, *start, *end));
    let bytes = saved_lookup::encode(entries.len(), named).unwrap();
    let params =
        Params { algorithm: Some(Algorithm::Zstd), level: 1, filter: Filter::None, typesize: 1 };
    compressed(params, &bytes)
}

/// The file that the original program leaves of these records. A key that is put again is last in
/// the order, as in its dictionary.
pub fn original(
    records: &[(Key, Vec<u8>)],
    chunk: u32,
    params: Params,
    alignment: Alignment,
) -> Vec<u8> {
    let size = u64::from(chunk);
    let mut data: Vec<u8> = Vec::new();
    let mut entries: Vec<Entry> = Vec::new();
    for (key, bytes) in records {
        let (end, len) = (data.len() as u64, bytes.len() as u64);
        let next = end.next_multiple_of(size);
        let start = match alignment {
            Alignment::Contiguous => end,
            Alignment::NoCross if next - end > len => end,
            _ => next,
        };
        data.resize(start as usize, 0);
        data.extend(bytes);
        entries.retain(|e| e.0 != *key);
        entries.push((key.clone(), start, start + len));
    }
    data.resize(data.len().next_multiple_of(chunk as usize), 0);
    // The fixed fields as every frame has them, and one metalayer.
    let mut file = build_header(&params, chunk, chunk.min(1 << 20)).unwrap()[..87].to_vec();
    file.extend([0x93, 0xcd, 0, 18, 0xde, 0, 1, 0xa5]);
    file.extend(b"magic");
    file.push(0xd2);
    let content = file.len() as u32 + 4 + 3;
    file.extend(content.to_be_bytes());
    file.extend([0xdc, 0, 1, 0xc6, 0, 0, 0, 18, 0xc4, 16]);
    file.extend(MAGIC);
    let header = file.len();
    file[11..15].copy_from_slice(&(header as u32).to_be_bytes());
    let mut offsets = Vec::new();
    for part in data.chunks(chunk as usize) {
        offsets.push((file.len() - header) as u64);
        file.extend(compressed(params, part));
    }
    let nbytes = data.len() as u64;
    finish(file, header, &offsets, &entries, nbytes)
}

/// Adds chunks to a frame, and records to its table, which is made if there is none. The
/// entries may name what is in older chunks, too. What lay behind the frame is written over, as
/// another program does.
pub fn extended(image: &[u8], chunks: &[Vec<u8>], more: &[Entry]) -> Vec<u8> {
    let header = FrameHeader::parse(image).unwrap();
    let frame = &image[..header.frame_len as usize];
    let trailer_at = header.trailer_at(trailer_len(frame).unwrap().into()).unwrap() as usize;
    let mut entries = super::frame::read(frame).unwrap().records.unwrap_or_default();
    for entry in more {
        entries.retain(|e| e.0 != entry.0);
        entries.push(entry.clone());
    }
    let at = header.offsets_at() as usize;
    let head = header.header_len as usize;
    let mut offsets = Vec::new();
    if header.nbytes > 0 {
        let places = decode_offsets(&frame[at..trailer_at], &header).unwrap();
        offsets.extend(places.iter().map(|p| p.to_raw()));
    }
    let mut file = frame[..at].to_vec();
    for chunk in chunks {
        offsets.push((file.len() - head) as u64);
        file.extend(compressed(header.params().unwrap(), chunk));
    }
    let nbytes = offsets.len() as u64 * u64::from(header.chunk_size);
    let mut file = finish(file, head, &offsets, &entries, nbytes);
    if let Some(behind) = image.get(file.len()..) {
        file.extend(behind);
    }
    file
}

fn finish(
    mut file: Vec<u8>,
    header: usize,
    offsets: &[u64],
    entries: &[Entry],
    nbytes: u64,
) -> Vec<u8> {
    let cbytes = (file.len() - header) as u64;
    if !offsets.is_empty() {
        file.extend(encode_offsets(offsets).unwrap());
    }
    let layer = table(entries);
    file.extend(build_trailer(&[(saved_lookup::NAME, &layer)]).unwrap());
    let totals = patch_totals(&file, file.len() as u64, nbytes, cbytes).unwrap();
    file[16..47].copy_from_slice(&totals);
    file
}
