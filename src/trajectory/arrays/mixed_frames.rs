//! Frames of any kind, fetched whole: those that differ in more than their sizes, refer to
//! topologies, lack fields, or are read while a lock is held.

use super::column::{Column, Columns};
use super::field::Name;
use super::output::{ArrayInfo, Arrays, CLAIMED, ends};
use super::request::ArrayRequest;
use super::selection::Selection;
use crate::codec::{AnyCodec, Fields, MdFrame, MdFrameCodec, MdFrameRef, MdFrameView, Topology};
use crate::error::{Error, Result};
use crate::store::{Batch, Readable};
use crate::trajectory::Topologies;
use crate::trajectory::fields::Frames;
use crate::wire::{Digest, Row};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// Frames that were fetched, and the arrays that they will give: what is left to do needs the store
/// no more. Made by [`Collator::fetch`](super::Collator::fetch).
#[derive(Debug)]
pub struct Fetched {
    frames: Whole,
    columns: Vec<Column>,
    request: ArrayRequest,
}

#[derive(Debug)]
enum Whole {
    Records(Batch, HashMap<Digest, Arc<Topology>>),
    /// With the wanted fields alone.
    Parts(Vec<MdFrame>),
}

/// Blocks of the first record from which on the fields of a batch are read in parts.
const SPREAD: u64 = 4;

impl Whole {
    fn read(
        from: &dyn Readable,
        selection: Selection<'_>,
        fields: Option<&[String]>,
        topologies: &Topologies,
    ) -> Result<Self> {
        if let Some(parts) = parts(from, selection, fields)? {
            return Ok(Self::Parts(parts));
        }
        let batch = selection.plan(from)?.batch()?.replaced(|b| MdFrameCodec.expand(b))?;
        let mut shared = HashMap::new();
        for digest in batch.iter().filter_map(MdFrameCodec::topology_of) {
            if let Entry::Vacant(place) = shared.entry(digest) {
                place.insert(topologies.get(from, &digest)?);
            }
        }
        Ok(Self::Records(batch, shared))
    }

    fn with<R, E: From<Error>>(
        &self,
        f: impl FnOnce(&[MdFrameRef<'_>]) -> std::result::Result<R, E>,
        name: impl Fn(usize, Error) -> Error,
    ) -> std::result::Result<R, E> {
        let frames: Vec<MdFrameRef<'_>> = match self {
            Self::Parts(frames) => frames.iter().map(MdFrame::view).collect(),
            Self::Records(batch, shared) => {
                let frame = |bytes| {
                    let frame = MdFrameView::new(bytes)?;
                    match frame.topology().and_then(|digest| shared.get(&digest)) {
                        Some(topology) => frame.fields().joined(&topology.view()),
                        None => Ok(frame.into_fields()),
                    }
                };
                let named = |(i, bytes)| frame(bytes).map_err(|e| name(i, e));
                batch.iter().enumerate().map(named).collect::<Result<_>>()?
            }
        };
        f(&frames)
    }
}

/// The frames with the wanted fields alone, where they are so large that to read them in parts is
/// less work; `None` where it is not, or for what only whole frames have.
fn parts(
    from: &dyn Readable,
    selection: Selection<'_>,
    fields: Option<&[String]>,
) -> Result<Option<Vec<MdFrame>>> {
    let Some(Ok(fields)) = fields.map(Fields::named) else { return Ok(None) };
    let Some(first) = selection.ordinals(from, 1)?.first().copied() else { return Ok(None) };
    if from.blocks_at(first)? < SPREAD {
        return Ok(None);
    }
    from.frames_at(&selection.ordinals(from, usize::MAX)?, fields).map(Some)
}

/// Whether the frames are so large that [`parts`] of them are read.
pub(super) fn is_spread(
    from: &dyn Readable,
    selection: Selection<'_>,
    request: &ArrayRequest,
) -> Result<bool> {
    let Some(Ok(_)) = request.fields.as_deref().map(Fields::named) else { return Ok(false) };
    let first = selection.ordinals(from, 1)?;
    first.first().map_or(Ok(false), |first| Ok(from.blocks_at(*first)? >= SPREAD))
}

impl Fetched {
    pub(super) fn read(
        from: &dyn Readable,
        selection: Selection<'_>,
        request: &ArrayRequest,
        topologies: &Topologies,
    ) -> Result<Self> {
        let how = Columns { from, selection, request };
        let request = request.clone();
        if selection.is_empty() {
            return Ok(Self { frames: Whole::Parts(Vec::new()), columns: how.of_none()?, request });
        }
        let frames = Whole::read(from, selection, request.fields.as_deref(), topologies)?;
        let columns = frames.with(
            |frames| {
                let columns = how.of(frames)?;
                believable(frames, &columns, selection)?;
                Ok::<_, Error>(columns)
            },
            |i, e| selection.named(i, e),
        )?;
        Ok(Self { frames, columns, request })
    }

    /// The arrays, in memory for which `new` is asked.
    ///
    /// # Errors
    /// Those of `new`; [`Error::Invalid`] for memory of another length, and for the mask of a field
    /// where another field has its name.
    pub fn arrays<M: AsMut<[u8]>, E: From<Error>>(
        &self,
        mut new: impl FnMut(&ArrayInfo) -> std::result::Result<M, E>,
    ) -> std::result::Result<Arrays<M>, E> {
        let columns = &self.columns;
        self.frames.with(
            |frames| {
                let ends = ends(frames.iter().map(|f| f.nsites));
                let request = &self.request;
                let mut made = Arrays::new(columns, &ends, request, &mut new)?;
                let (mut rows, mut numbers) = made.rows(columns, &ends, request)?;
                numbers.fill();
                let mut all = rows.share(std::iter::once(0..frames.len()));
                for (i, frame) in frames.iter().enumerate() {
                    let put = |row: &mut Row<'_>| {
                        columns.iter().enumerate().all(|(c, column)| column.put(frame, row.part(c)))
                    };
                    let row = all.first_mut().and_then(|all| all.row(i));
                    if !row.is_some_and(|mut row| put(&mut row)) {
                        let why = "its frames changed while it was read";
                        return Err(Error::invalid("batch", why).into());
                    }
                }
                drop(all);
                drop(rows);
                let has = |i, column: &Column| {
                    frames.get(i).is_some_and(|frame| column.name.find(frame).is_some())
                };
                made.fill_masks(columns, request, has);
                Ok(made)
            },
            |_, e| e,
        )
    }
}

/// Refuses frames that claim sites without an array for them, of which a few bytes would take any
/// amount of memory.
fn believable(
    frames: &[MdFrameRef<'_>],
    columns: &[Column],
    selection: Selection<'_>,
) -> Result<()> {
    let filled = columns.iter().filter(|column| column.by_site && !column.fill.is_empty());
    let each = filled.map(Column::width).fold(8, usize::saturating_add);
    let mut claimed = 0_usize;
    for (i, frame) in frames.iter().enumerate() {
        if Name::any_by_site(frame) || !frame.atom_properties.is_empty() {
            continue;
        }
        claimed = claimed.saturating_add(frame.nsites.saturating_mul(each));
        if claimed > CLAIMED {
            let why = format!(
                "it claims {} sites and has no array of them: the batch would take more than \
                 {CLAIMED} bytes for such frames; ask for fewer of them",
                frame.nsites
            );
            return Err(selection.named(i, Error::codec("md-frame", why)));
        }
    }
    Ok(())
}
