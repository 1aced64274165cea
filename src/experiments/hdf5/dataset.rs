//! How an array becomes a data set: its type, and the pieces in which it is compressed.

use crate::experiments::array::Array;
use hdf5_pure::{DatasetBuilder, Datatype};

/// Values are compressed in pieces of at most about so many bytes.
const CHUNK: u64 = 1 << 20;
/// The longest axis of a piece. Longer ones are written with 4 bytes where 3 are enough, which HDF5 since
/// version 2 refuses to read.
const AXIS: u64 = 0xffff;

/// Sets up a data set of an array.
pub(super) fn dataset(builder: &mut DatasetBuilder, array: Array, kind: Datatype, level: u32) {
    let Array { dtype, shape, data } = array;
    let size = dtype.size() as u64;
    let count = (data.len() / dtype.size()) as u64;
    if count == 0 {
        builder.with_dtype(kind).with_shape(&shape);
        return;
    }
    builder.with_raw_data(kind, data, count).with_shape(&shape);
    // A single value has no axis to be cut along.
    if shape.is_empty() {
        return;
    }
    builder.with_chunks(&chunk_shape(&shape, size));
    // Either way with a checksum: that of the compressed pieces, or one of their own.
    if level == 0 {
        builder.with_fletcher32();
    } else {
        builder.with_shuffle().with_deflate(level);
    }
}

/// Lengths of the pieces in which an array is cut: the longest axis first.
fn chunk_shape(shape: &[u64], size: u64) -> Vec<u64> {
    let mut chunk = shape.to_vec();
    loop {
        let bytes = chunk.iter().product::<u64>().saturating_mul(size);
        if bytes <= CHUNK && chunk.iter().all(|n| *n <= AXIS) {
            return chunk;
        }
        match chunk.iter_mut().max() {
            Some(longest) if *longest > 1 => *longest = longest.div_ceil(2),
            _ => return chunk,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_small_and_cover_small_arrays_whole() {
        assert_eq!(chunk_shape(&[64, 1000], 8), [64, 1000]);
        assert_eq!(chunk_shape(&[1 << 21], 4), [1 << 15]);
        assert_eq!(chunk_shape(&[AXIS], 1), [AXIS]);
        assert_eq!(chunk_shape(&[AXIS + 1, 2], 1), [1 << 15, 2]);
        let chunk = chunk_shape(&[64, 100_000], 8);
        assert!(chunk[0] == 64 && chunk.iter().product::<u64>() * 8 <= CHUNK, "{chunk:?}");
    }
}
