//! Arrays under construction, in memory of the caller.

use super::column::Column;
use super::request::ArrayRequest;
use crate::codec::{DType, MdFrameRef};
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

impl<M: AsMut<[u8]>> Arrays<M> {
    /// Memory for the columns of frames of these numbers of sites.
    pub(super) fn new<E: From<Error>>(
        columns: &[Column],
        sizes: &[usize],
        new: &mut impl FnMut(&ArrayInfo) -> std::result::Result<M, E>,
    ) -> std::result::Result<Self, E> {
        let sites = sizes.iter().sum();
        let each = columns.iter().map(|column| {
            let info = ArrayInfo {
                name: column.name.text.clone(),
                dtype: column.kind,
                shape: column.shape(if column.by_site { sites } else { sizes.len() }),
                by_site: column.by_site,
            };
            let memory = memory(&info, new)?;
            Ok((info, memory))
        });
        Ok(Self { list: each.collect::<std::result::Result<_, E>>()? })
    }

    /// The part of each array of the first frame, of the second, and so on.
    pub(super) fn places(&mut self, columns: &[Column], sizes: &[usize]) -> Vec<&mut [u8]> {
        let widths: Vec<usize> = columns.iter().map(Column::width).collect();
        let mut rests: Vec<&mut [u8]> =
            self.list.iter_mut().map(|(_, memory)| memory.as_mut()).collect();
        let mut places = Vec::with_capacity(columns.len() * sizes.len());
        for sites in sizes {
            for ((column, width), rest) in columns.iter().zip(&widths).zip(&mut rests) {
                let len = if column.by_site { sites.saturating_mul(*width) } else { *width };
                let len = len.min(rest.len());
                let (now, later) = std::mem::take(rest).split_at_mut(len);
                places.push(now);
                *rest = later;
            }
        }
        places
    }

    /// Adds the arrays that say where there are values, if that is wanted, and those that say which
    /// sites belong to which frame. Of `frames` that are not given all have everything.
    pub(super) fn finish<E: From<Error>>(
        mut self,
        columns: &[Column],
        sizes: &[usize],
        request: &ArrayRequest,
        frames: &[MdFrameRef<'_>],
        new: &mut impl FnMut(&ArrayInfo) -> std::result::Result<M, E>,
    ) -> std::result::Result<Self, E> {
        for column in columns.iter().filter(|_| request.mask) {
            let name: Arc<str> = format!("{}_mask", column.name.text).into();
            if columns.iter().any(|other| other.name.text == name) {
                let why = format!("there is a field {name:?}: ask for it in a batch of its own");
                return Err(Error::invalid("mask", why).into());
            }
            self.add(name, DType::Bool, sizes.len(), new, |out| {
                for (i, place) in out.iter_mut().enumerate() {
                    *place = frames.get(i).is_none_or(|f| column.name.find(f).is_some()).into();
                }
            })?;
        }
        self.add("ptr".into(), DType::I64, sizes.len() + 1, new, |out| {
            let mut end = 0_i64;
            let (out, _) = out.as_chunks_mut::<8>();
            for (place, n) in out.iter_mut().zip(std::iter::once(&0).chain(sizes)) {
                end += i64::try_from(*n).unwrap_or(i64::MAX);
                *place = end.to_ne_bytes();
            }
        })?;
        if request.batch {
            self.add("batch".into(), DType::I64, sizes.iter().sum(), new, |out| {
                let (mut rest, _) = out.as_chunks_mut::<8>();
                for (frame, sites) in (0_i64..).zip(sizes) {
                    let len = rest.len().min(*sites);
                    let (now, later) = rest.split_at_mut(len);
                    now.fill(frame.to_ne_bytes());
                    rest = later;
                }
            })?;
        }
        Ok(self)
    }

    fn add<E: From<Error>>(
        &mut self,
        name: Arc<str>,
        dtype: DType,
        len: usize,
        new: &mut impl FnMut(&ArrayInfo) -> std::result::Result<M, E>,
        fill: impl FnOnce(&mut [u8]),
    ) -> std::result::Result<(), E> {
        let info = ArrayInfo { name, dtype, shape: vec![len], by_site: false };
        let mut memory = memory(&info, new)?;
        fill(memory.as_mut());
        self.list.push((info, memory));
        Ok(())
    }
}

/// Bytes of memory that frames may claim without bytes of their own.
pub(super) const CLAIMED: usize = 512 << 20;

/// Whether frames of these numbers of sites, of which nothing but the index has said so, may have
/// memory already.
pub(super) fn is_modest(sizes: &[usize]) -> bool {
    sizes.iter().fold(0_usize, |n, sites| n.saturating_add(*sites)).saturating_mul(8) <= CLAIMED
}
