//! Arrays under construction, in memory of the caller.

use super::column::Column;
use super::request::ArrayRequest;
use crate::codec::DType;
use crate::error::Error;
use crate::wire::{Cut, Rows};
use std::sync::Arc;

/// What an array is, before there is memory for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArrayInfo {
    /// The field; `<field>_mask`, `ptr` or `batch`.
    pub name: Arc<str>,
    /// Type of its values.
    pub dtype: DType,
    /// Its shape, in C order.
    pub shape: Vec<usize>,
    /// Whether it has an entry for each site, not for each frame; of fields only.
    pub by_site: bool,
}

impl ArrayInfo {
    /// Bytes of memory that it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.shape.iter().fold(self.dtype.size(), |n, axis| n.saturating_mul(*axis))
    }
}

/// The arrays of a batch in memory `M`: the fields, in the order asked for, their masks, `ptr`
/// `(frames + 1,)` and `batch` `(sites,)`, both int64. The numbers are in the byte order of the
/// machine.
#[derive(Debug)]
pub struct Arrays<M> {
    /// Each array with its memory, all of which is filled.
    pub list: Vec<(ArrayInfo, M)>,
}

/// Memory from the caller for one array, as long as it has to be.
fn memory<M: AsMut<[u8]>, E: From<Error>>(
    info: &ArrayInfo,
    new: &mut impl FnMut(&ArrayInfo) -> std::result::Result<M, E>,
) -> std::result::Result<M, E> {
    let mut memory = new(info)?;
    if memory.as_mut().len() == info.bytes() {
        return Ok(memory);
    }
    let why = format!(
        "of {:?} there are {} bytes of memory, not {}",
        info.name,
        memory.as_mut().len(),
        info.bytes()
    );
    Err(Error::invalid("arrays", why).into())
}

/// Where the sites of each frame begin, and behind the last where they end.
pub(super) fn ends(sizes: impl ExactSizeIterator<Item = usize>) -> Vec<usize> {
    let mut ends = Vec::with_capacity(sizes.len() + 1);
    let mut end = 0_usize;
    ends.push(end);
    for n in sizes {
        end = end.saturating_add(n);
        ends.push(end);
    }
    ends
}

/// The array `batch`, or a part of it: the number of its frame for each site. Filled from end to end, and not with
/// the frames, which come in any order: lines of memory between two of them would go from thread to thread.
#[derive(Debug, Default)]
pub(super) struct Numbers<'m> {
    memory: &'m mut [u8],
    /// The number of the first frame.
    first: usize,
    /// Where the sites of these frames begin, and behind the last where they end.
    ends: &'m [usize],
}

impl<'m> Numbers<'m> {
    /// As many parts, with about as many frames each.
    pub(super) fn split(self, parts: usize) -> Vec<Self> {
        let each = self.ends.len().saturating_sub(1).div_ceil(parts.max(1));
        let mut rest = self;
        let mut part = || {
            let frames = each.min(rest.ends.len().saturating_sub(1));
            let (Some(ends), Some(later)) = (rest.ends.get(..=frames), rest.ends.get(frames..))
            else {
                return Self::default();
            };
            let sites = ends.last().zip(ends.first()).map_or(0, |(last, first)| last - first);
            let memory = std::mem::take(&mut rest.memory);
            let (now, behind) = memory.split_at_mut(memory.len().min(sites.saturating_mul(8)));
            let first = rest.first;
            rest = Self { memory: behind, first: first + frames, ends: later };
            Self { memory: now, first, ends }
        };
        (0..parts).map(|_| part()).collect()
    }

    pub(super) fn fill(&mut self) {
        let mut rest = self.memory.as_chunks_mut::<8>().0.iter_mut();
        let starts = self.ends.iter().zip(self.ends.iter().skip(1));
        for (frame, (start, end)) in (self.first..).zip(starts) {
            let frame = i64::try_from(frame).unwrap_or(i64::MAX).to_ne_bytes();
            rest.by_ref().take(end - start).for_each(|place| *place = frame);
        }
    }
}

impl<M: AsMut<[u8]>> Arrays<M> {
    /// Memory for all arrays of frames whose sites end there. `ptr` is filled.
    pub(super) fn new<E: From<Error>>(
        columns: &[Column],
        ends: &[usize],
        request: &ArrayRequest,
        new: &mut impl FnMut(&ArrayInfo) -> std::result::Result<M, E>,
    ) -> std::result::Result<Self, E> {
        let (frames, sites) = (ends.len().saturating_sub(1), ends.last().copied().unwrap_or(0));
        let mut out = Self { list: Vec::with_capacity(2 * columns.len() + 2) };
        let mut add = |name: Arc<str>, dtype, shape, by_site| {
            let info = ArrayInfo { name, dtype, shape, by_site };
            let memory = memory(&info, new)?;
            out.list.push((info, memory));
            Ok::<_, E>(())
        };
        for column in columns {
            let shape = column.shape(if column.by_site { sites } else { frames });
            add(column.name.text.clone(), column.kind, shape, column.by_site)?;
        }
        for column in columns.iter().filter(|_| request.mask) {
            let name: Arc<str> = format!("{}_mask", column.name.text).into();
            if columns.iter().any(|other| other.name.text == name) {
                let why = format!("there is a field {name:?}: ask for it in a batch of its own");
                return Err(Error::invalid("mask", why).into());
            }
            add(name, DType::Bool, vec![frames], false)?;
        }
        add("ptr".into(), DType::I64, vec![ends.len()], false)?;
        if request.batch {
            add("batch".into(), DType::I64, vec![sites], false)?;
        }
        let at = out.list.len() - 1 - usize::from(request.batch);
        if let Some((_, memory)) = out.list.get_mut(at) {
            let (places, _) = memory.as_mut().as_chunks_mut::<8>();
            for (place, end) in places.iter_mut().zip(ends) {
                *place = i64::try_from(*end).unwrap_or(i64::MAX).to_ne_bytes();
            }
        }
        Ok(out)
    }

    /// The arrays of the fields, in their order, in rows, one for each frame; and `batch`, nothing if it is not
    /// asked for.
    pub(super) fn rows<'m>(
        &'m mut self,
        columns: &[Column],
        ends: &'m [usize],
        request: &ArrayRequest,
    ) -> Result<(Rows<'m>, Numbers<'m>), Error> {
        let mut list = self.list.iter_mut().map(|(_, memory)| memory.as_mut());
        let mut arrays = Vec::with_capacity(columns.len());
        for (column, memory) in columns.iter().zip(list.by_ref()) {
            let width = column.width();
            arrays.push((
                memory,
                if column.by_site { Cut::Items(width, ends) } else { Cut::Even(width) },
            ));
        }
        let batch = list.last().filter(|_| request.batch);
        let numbers = batch.map(|memory| Numbers { memory, first: 0, ends }).unwrap_or_default();
        let why = "the arrays are longer than memory can be";
        let rows = Rows::new(ends.len().saturating_sub(1), arrays);
        Ok((rows.ok_or_else(|| Error::invalid("batch", why))?, numbers))
    }

    /// Fills the masks: which of the frames have the field, as `has` says of frame and column.
    pub(super) fn fill_masks(
        &mut self,
        columns: &[Column],
        request: &ArrayRequest,
        has: impl Fn(usize, &Column) -> bool,
    ) {
        let masks = self.list.iter_mut().skip(columns.len());
        for (column, (_, mask)) in columns.iter().filter(|_| request.mask).zip(masks) {
            let mask = mask.as_mut().iter_mut().enumerate();
            mask.for_each(|(i, place)| *place = has(i, column).into());
        }
    }
}

/// Bytes of memory that frames may claim without bytes of their own.
pub(super) const CLAIMED: usize = 512 << 20;

/// Whether frames whose sites end there, of which nothing but the index has said so, may have
/// memory already.
pub(super) fn is_modest(ends: &[usize]) -> bool {
    ends.last().is_none_or(|sites| sites.saturating_mul(8) <= CLAIMED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_batch_are_filled_as_all_of_it_whatever_their_number() {
        let sizes = [3, 0, 5, 1, 0, 0, 7, 2];
        let ends = ends(sizes.into_iter());
        let right: Vec<i64> = (0_i64..).zip(sizes).flat_map(|(i, n)| vec![i; n]).collect();
        for parts in [1, 2, 3, 7, 8, 20] {
            let mut memory = vec![0xff; 8 * right.len()];
            let all = Numbers { memory: &mut memory, first: 0, ends: &ends };
            let mut list = all.split(parts);
            assert_eq!(list.len(), parts);
            list.iter_mut().rev().for_each(Numbers::fill);
            drop(list);
            let numbers = memory.as_chunks::<8>().0.iter().map(|n| i64::from_ne_bytes(*n));
            assert_eq!(numbers.collect::<Vec<_>>(), right);
        }
        assert!(Numbers::default().split(2).iter().all(|part| part.memory.is_empty()));
    }
}
