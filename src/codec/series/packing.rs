//! Arrays of floating-point numbers as `pco` packs them.

use super::magic::{NAME, bad};
use crate::wire::memory;
use crate::{Error, Result};
use pco::ChunkConfig;
use pco::standalone::{simple_compress, simple_decompress_into};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How the arrays of a record are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// As they are: a record is viewed where it lies.
    Plain,
    /// Packed by `pco` with an effort of 0 to 12, where that is smaller.
    Pco(u8),
}

impl Packing {
    /// The names on the command line and in Python.
    pub const NAMES: [&str; 2] = ["pco", "plain"];

    /// The packing of that name, with the usual effort.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "pco" => Some(Self::default()),
            "plain" => Some(Self::Plain),
            _ => None,
        }
    }

    /// The packed arrays; `None` if they are to stay as they are.
    pub(super) fn pack<'a>(
        self,
        arrays: impl Iterator<Item = &'a [f64]>,
    ) -> Result<Option<Vec<Vec<u8>>>> {
        let Self::Pco(effort) = self else { return Ok(None) };
        let config = ChunkConfig::default().with_compression_level(effort.min(12).into());
        arrays.map(|array| one(array, &config)).collect::<Result<Vec<_>>>().map(Some)
    }
}

impl Default for Packing {
    /// `pco` with effort 4: within 2 % of the smallest, at twice the speed of its own default.
    fn default() -> Self {
        Self::Pco(4)
    }
}

/// One array, packed if that makes it smaller.
fn one(array: &[f64], config: &ChunkConfig) -> Result<Vec<u8>> {
    let plain: &[u8] = bytemuck::cast_slice(array);
    let packed = simple_compress(array, config)
        .map_err(|e| Error::codec(NAME, format!("the numbers cannot be packed: {e}")))?;
    if packed.len() < plain.len() { Ok(packed) } else { memory::copied(plain) }
}

/// Unpacks `arrays` arrays of `points` numbers each from `body` into `out`, which is as long as they
/// are together.
pub(super) fn unpack(body: &[u8], out: &mut [u8], arrays: usize, points: usize) -> Result<()> {
    let cut = || bad("the lengths of its packed arrays are cut off");
    let table = arrays.checked_mul(8).and_then(|n| body.get(..n)).ok_or_else(cut)?;
    let mut rest = body.get(table.len()..).unwrap_or_default();
    let (lens, _) = table.as_chunks::<8>();
    if points == 0 {
        return if rest.is_empty() { Ok(()) } else { Err(bad("bytes without a point")) };
    }
    for (len, place) in lens.iter().zip(out.chunks_exact_mut(8 * points)) {
        let len = usize::try_from(u64::from_le_bytes(*len)).unwrap_or(usize::MAX);
        let packed = rest.get(..len).ok_or_else(|| bad("a packed array is cut off"))?;
        rest = rest.get(len..).unwrap_or_default();
        if len == place.len() {
            place.copy_from_slice(packed);
            continue;
        }
        let numbers: &mut [f64] =
            bytemuck::try_cast_slice_mut(place).map_err(|_| bad("is not aligned"))?;
        // Bytes that somebody made up must not end the program, whatever `pco` does with them.
        let done = catch_unwind(AssertUnwindSafe(|| simple_decompress_into(packed, numbers)))
            .map_err(|_| bad("a packed array is damaged"))?
            .map_err(|e| bad(&format!("a packed array is damaged: {e}")))?;
        if done.n_processed != points || !done.finished {
            return Err(bad("a packed array has another length"));
        }
    }
    if rest.is_empty() { Ok(()) } else { Err(bad("there are bytes behind its last array")) }
}
