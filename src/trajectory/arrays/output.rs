//! Arrays under construction, in memory of the caller.

use super::column::Column;
use super::request::ArrayRequest;
use crate::codec::DType;
use crate::error::Error;
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

/// Parts of a row that lie in it and need no memory of their own.
const FEW: usize = 4;

/// What one frame fills: its part of each field, and of `batch`.
#[derive(Debug, Default)]
pub(super) struct OutputRow<'m> {
    /// Its position in the batch.
    frame: i64,
    pub(super) sites: usize,
    few: [&'m mut [u8]; FEW],
    more: Vec<&'m mut [u8]>,
    batch: &'m mut [u8],
}

impl<'m> OutputRow<'m> {
    /// The parts of the fields, in their order; behind them there may be empty ones.
    pub(super) fn parts(&mut self) -> impl Iterator<Item = &mut &'m mut [u8]> {
        self.few.iter_mut().chain(&mut self.more)
    }

    /// Fills its part of `batch`.
    pub(super) fn number(&mut self) {
        self.batch.as_chunks_mut::<8>().0.fill(self.frame.to_ne_bytes());
    }
}

impl<M: AsMut<[u8]>> Arrays<M> {
    /// Memory for all arrays of frames of these numbers of sites. `ptr` is filled.
    pub(super) fn new<E: From<Error>>(
        columns: &[Column],
        sizes: &[usize],
        request: &ArrayRequest,
        new: &mut impl FnMut(&ArrayInfo) -> std::result::Result<M, E>,
    ) -> std::result::Result<Self, E> {
        let sites = sizes.iter().sum();
        let mut out = Self { list: Vec::with_capacity(2 * columns.len() + 2) };
        let mut add = |name: Arc<str>, dtype, shape, by_site| {
            let info = ArrayInfo { name, dtype, shape, by_site };
            let memory = memory(&info, new)?;
            out.list.push((info, memory));
            Ok::<_, E>(())
        };
        for column in columns {
            let shape = column.shape(if column.by_site { sites } else { sizes.len() });
            add(column.name.text.clone(), column.kind, shape, column.by_site)?;
        }
        for column in columns.iter().filter(|_| request.mask) {
            let name: Arc<str> = format!("{}_mask", column.name.text).into();
            if columns.iter().any(|other| other.name.text == name) {
                let why = format!("there is a field {name:?}: ask for it in a batch of its own");
                return Err(Error::invalid("mask", why).into());
            }
            add(name, DType::Bool, vec![sizes.len()], false)?;
        }
        add("ptr".into(), DType::I64, vec![sizes.len() + 1], false)?;
        if request.batch {
            add("batch".into(), DType::I64, vec![sites], false)?;
        }
        let at = out.list.len() - 1 - usize::from(request.batch);
        if let Some((_, memory)) = out.list.get_mut(at) {
            let mut end = 0_i64;
            let (ends, _) = memory.as_mut().as_chunks_mut::<8>();
            for (place, n) in ends.iter_mut().zip(std::iter::once(&0).chain(sizes)) {
                end += i64::try_from(*n).unwrap_or(i64::MAX);
                *place = end.to_ne_bytes();
            }
        }
        Ok(out)
    }

    /// What the first frame fills, the second, and so on.
    pub(super) fn rows(
        &mut self,
        columns: &[Column],
        sizes: &[usize],
        request: &ArrayRequest,
    ) -> Vec<OutputRow<'_>> {
        let each = |c: &Column| (c.width(), c.by_site);
        let mut list = self.list.iter_mut().map(|(_, memory)| memory.as_mut());
        let mut rests: Vec<(&mut [u8], usize, bool)> = Vec::with_capacity(columns.len());
        for (width, by_site) in columns.iter().map(each) {
            rests.push((list.next().unwrap_or_default(), width, by_site));
        }
        let mut batch = list.last().filter(|_| request.batch).unwrap_or_default();
        let mut rows = Vec::with_capacity(sizes.len());
        for (frame, sites) in (0..).zip(sizes) {
            let mut row = OutputRow { frame, sites: *sites, ..OutputRow::default() };
            for (i, (rest, width, by_site)) in rests.iter_mut().enumerate() {
                let len = if *by_site { sites.saturating_mul(*width) } else { *width };
                let part = cut(rest, len);
                match row.few.get_mut(i) {
                    Some(place) => *place = part,
                    None => row.more.push(part),
                }
            }
            row.batch = cut(&mut batch, sites.saturating_mul(8));
            rows.push(row);
        }
        rows
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

/// Cuts `len` bytes off the front of `rest`, or what there is of them.
fn cut<'m>(rest: &mut &'m mut [u8], len: usize) -> &'m mut [u8] {
    let len = len.min(rest.len());
    let (now, later) = std::mem::take(rest).split_at_mut(len);
    *rest = later;
    now
}

/// Bytes of memory that frames may claim without bytes of their own.
pub(super) const CLAIMED: usize = 512 << 20;

/// Whether frames of these numbers of sites, of which nothing but the index has said so, may have
/// memory already.
pub(super) fn is_modest(sizes: &[usize]) -> bool {
    sizes.iter().fold(0_usize, |n, sites| n.saturating_add(*sites)).saturating_mul(8) <= CLAIMED
}
