//! Frames that are all made alike, as those of a trajectory are: each is copied from the block that
//! it was decoded in to its places in the arrays.

use super::column::{Column, Columns};
use super::field::{Found, standard};
use super::mixed_frames::{Fetched, is_spread};
use super::output::{ArrayInfo, Arrays, Numbers, ends, is_modest};
use super::recipe::Recipe;
use super::request::ArrayRequest;
use super::selection::Selection;
use crate::codec::{AnyCodec, KnownForm, MdFrameCodec, MdFrameView, PlainFrame};
use crate::error::{Error, Result};
use crate::store::{Plan, Readable, Visit};
use crate::trajectory::Topologies;
use crate::wire::{Row, Share};
use once_cell::race::OnceBox;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Batches that are read as frames that differ after one in which they did.
const DIFFER: u32 = 16;

/// Makes flat arrays of many frames; see [`arrays`](crate::trajectory::arrays).
///
/// Remembers how the frames of the last batch looked, so that the next one needs no look ahead, and
/// topologies that were read. Use one for all batches of the same fields, from any number of threads.
#[derive(Debug, Default)]
pub struct Collator {
    request: ArrayRequest,
    known: Mutex<Known>,
    topologies: Topologies,
}

/// What is known of frames from the batches before. A guess: it is compared with each frame.
#[derive(Debug, Clone, Default)]
enum Known {
    #[default]
    Nothing,
    /// They are alike and give these arrays.
    Alike(Arc<Alike>),
    /// They differ, and are taken to do so for some batches more.
    Differ(u32),
}

/// What frames give that are alike.
#[derive(Debug)]
struct Alike {
    columns: Vec<Column>,
    /// How those of the most frequent table are copied, once one of them was seen. Set without waiting: who forked
    /// meanwhile would wait for ever.
    recipe: OnceBox<Kept>,
}

/// A recipe, and how many standard fields the frames have that it is for.
#[derive(Debug)]
struct Kept {
    recipe: Recipe,
    fields: usize,
}

impl Collator {
    /// A collator for this request.
    #[must_use]
    pub fn new(request: ArrayRequest) -> Self {
        Self { request, ..Self::default() }
    }

    /// What is wanted of the frames.
    #[must_use]
    pub const fn request(&self) -> &ArrayRequest {
        &self.request
    }

    /// The arrays of the frames of `selection`. `new` gives the memory for each: exactly
    /// [`ArrayInfo::bytes`] bytes, all of which are written, or an error, which ends this. It is
    /// called in the thread of the caller; where the frames turn out to differ, it is called a
    /// second time for the arrays of other shapes, and the first ones are dropped.
    ///
    /// A field that is missing in a frame, shapes that differ and names that do not exist are errors
    /// that name frame and field. An array is float64 if it is in one of the frames. The arrays of
    /// no frame have their types and shapes all the same.
    ///
    /// # Errors
    /// As [`Readable::get_key`] and [`Readable::get_at`] for the first frame that fails; those above
    /// as [`Error::Invalid`]; [`Error::Codec`] in an [`Error::Record`] for a record that is no
    /// frame; what `new` returns.
    pub fn arrays<M: AsMut<[u8]>, E: From<Error>>(
        &self,
        from: &dyn Readable,
        selection: Selection<'_>,
        mut new: impl FnMut(&ArrayInfo) -> std::result::Result<M, E>,
    ) -> std::result::Result<Arrays<M>, E> {
        if let Some(made) = self.alike(from, selection, None, &mut new)? {
            return Ok(made);
        }
        self.fetch(from, selection)?.arrays(new)
    }

    /// As [`arrays`](Self::arrays), of frames that were looked up: `plan` has those of `selection`.
    ///
    /// # Errors
    /// As there; [`Error::Invalid`] for a plan of another number of records.
    pub fn arrays_of<M: AsMut<[u8]>, E: From<Error>>(
        &self,
        from: &dyn Readable,
        selection: Selection<'_>,
        plan: Plan<'_>,
        mut new: impl FnMut(&ArrayInfo) -> std::result::Result<M, E>,
    ) -> std::result::Result<Arrays<M>, E> {
        if plan.len() != selection.len() {
            return Err(Error::invalid("plan", "is not of the frames that are asked for").into());
        }
        if let Some(made) = self.alike(from, selection, Some(plan), &mut new)? {
            return Ok(made);
        }
        self.fetch(from, selection)?.arrays(new)
    }

    /// Fetches the frames of `selection`, for [`Fetched::arrays`]: for a store that is locked while
    /// it is read, by a caller who must not ask for memory meanwhile. Else
    /// [`arrays`](Self::arrays) is several times faster.
    ///
    /// # Errors
    /// As [`arrays`](Self::arrays).
    pub fn fetch(&self, from: &dyn Readable, selection: Selection<'_>) -> Result<Fetched> {
        Fetched::read(from, selection, &self.request, &self.topologies)
    }

    /// What is known of the frames. Never waited for: who forked while another thread held the lock
    /// would wait for ever.
    fn known(&self) -> Known {
        let Ok(mut known) = self.known.try_lock() else { return Known::Nothing };
        match &mut *known {
            Known::Differ(0) => *known = Known::Nothing,
            Known::Differ(left) => *left -= 1,
            Known::Nothing | Known::Alike(_) => {}
        }
        known.clone()
    }

    fn learn(&self, new: Known) {
        if let Ok(mut known) = self.known.try_lock() {
            *known = new;
        }
    }

    /// The arrays of frames that are alike; `None` if they are not.
    fn alike<M: AsMut<[u8]>, E: From<Error>>(
        &self,
        from: &dyn Readable,
        selection: Selection<'_>,
        plan: Option<Plan<'_>>,
        new: &mut impl FnMut(&ArrayInfo) -> std::result::Result<M, E>,
    ) -> std::result::Result<Option<Arrays<M>>, E> {
        let known = self.known();
        if selection.is_empty()
            || matches!(known, Known::Differ(_))
            || is_spread(from, selection, &self.request)?
        {
            return Ok(None);
        }
        let plan = plan.map_or_else(|| selection.plan(from), Ok)?;
        let alike = match known {
            Known::Alike(alike) => Some(alike),
            _ => self.first(from, selection, &plan)?,
        };
        let made = alike.as_deref().map(|alike| self.filled(&plan, alike, new));
        match made.transpose()?.flatten() {
            Some(made) => {
                self.learn(alike.map_or(Known::Nothing, Known::Alike));
                Ok(Some(made))
            }
            None => {
                self.learn(Known::Differ(DIFFER));
                Ok(None)
            }
        }
    }

    /// The arrays that the first frame gives.
    fn first(
        &self,
        from: &dyn Readable,
        selection: Selection<'_>,
        plan: &Plan<'_>,
    ) -> Result<Option<Arc<Alike>>> {
        let Some(first) = plan.first()? else { return Ok(None) };
        let expanded = MdFrameCodec.expand(&first)?;
        let Ok(first) = MdFrameView::new(expanded.as_deref().unwrap_or(&first)) else {
            return Ok(None);
        };
        let request = ArrayRequest { fill: None, mask: false, ..self.request.clone() };
        let columns = Columns { from, selection, request: &request }.of(&[first.into_fields()]);
        Ok(columns.ok().map(|columns| Arc::new(Alike { columns, recipe: OnceBox::new() })))
    }

    fn filled<M: AsMut<[u8]>, E: From<Error>>(
        &self,
        plan: &Plan<'_>,
        alike: &Alike,
        new: &mut impl FnMut(&ArrayInfo) -> std::result::Result<M, E>,
    ) -> std::result::Result<Option<Arrays<M>>, E> {
        let columns = &*alike.columns;
        let ends = ends(plan.weights()?.into_iter().map(|n| n as usize));
        // What the index says is not believed before the records say it, too.
        if !is_modest(&ends) {
            return Ok(None);
        }
        let mut made = Arrays::new(columns, &ends, &self.request, new)?;
        // Without names there must be a frame that has no standard field but these, else they are
        // not all that the frames have; where what is missing is filled, no frame may have others.
        let how = How {
            alike,
            ends: &ends,
            named: self.request.fields.is_some(),
            fills: self.request.fill.is_some(),
            exact: AtomicBool::new(self.request.fields.is_some()),
            differs: AtomicBool::new(false),
        };
        let (mut rows, numbers) = made.rows(columns, &ends, &self.request)?;
        let done = plan.visit(|parts| {
            let numbers = numbers.split(parts.len());
            let shares = rows.share(parts).into_iter().zip(numbers);
            shares
                .map(|(rows, numbers)| Filler { how: &how, rows, numbers, next: usize::MAX })
                .collect()
        });
        drop(rows);
        let (differs, exact) = (how.differs.into_inner(), how.exact.into_inner());
        match done {
            // The general way names the record that is not a frame.
            Err(Error::Codec { .. }) => return Ok(None),
            _ if differs || !exact => return Ok(None),
            done => done?,
        }
        made.fill_masks(columns, &self.request, |_, _| true);
        Ok(Some(made))
    }
}

/// What all fillers of a batch know, and what they find out.
struct How<'a> {
    alike: &'a Alike,
    ends: &'a [usize],
    named: bool,
    fills: bool,
    /// Whether there is a frame that has no standard field but these.
    exact: AtomicBool,
    differs: AtomicBool,
}

impl How<'_> {
    /// Whether a frame with so many standard fields may be one of the batch.
    fn fits(&self, fields: usize) -> bool {
        let same = fields == self.alike.columns.len();
        if same && !self.exact.load(Ordering::Relaxed) {
            self.exact.store(true, Ordering::Relaxed);
        }
        self.named || same || !self.fills
    }
}

/// Copies frames to their rows.
struct Filler<'a> {
    how: &'a How<'a>,
    rows: Share<'a>,
    /// A part of `batch`, which belongs to whatever frames.
    numbers: Numbers<'a>,
    /// The row behind the one that was asked for last.
    next: usize,
}

impl Drop for Filler<'_> {
    fn drop(&mut self) {
        self.numbers.fill();
    }
}

impl Visit for Filler<'_> {
    fn record(&mut self, i: usize, bytes: &[u8]) -> Result<()> {
        let How { alike: Alike { columns, recipe }, ends, named, .. } = *self.how;
        let sites = ends.get(i + 1).zip(ends.get(i)).map_or(0, |(end, start)| end - start);
        if let Some(mut row) = self.rows.row(i) {
            let known = |kept: &Kept| {
                kept.recipe.copied(bytes, sites, &mut row) && (named || self.how.fits(kept.fields))
            };
            if recipe.get().is_some_and(known) {
                return Ok(());
            }
            // If another thread was faster, its one is as good.
            let keep = |new: Option<Recipe>, fields| {
                new.map(|recipe_of| recipe.set(Box::new(Kept { recipe: recipe_of, fields })))
            };
            let alike = if let Some(form) = KnownForm::of(bytes) {
                let new = Recipe::lean(columns, form);
                let alike = (named || self.how.fits(form.fields()))
                    && new.as_ref().is_some_and(|new| new.copied(bytes, sites, &mut row));
                if alike && recipe.get().is_none() {
                    keep(new, form.fields());
                }
                alike
            } else if let Some(frame) = PlainFrame::new(bytes) {
                let alike = frame.nsites() == sites
                    && (named || self.how.fits(frame.fields()))
                    && copied(columns, &mut row, |column| column.name.read(&frame));
                if alike && recipe.get().is_none() {
                    keep(Recipe::new(columns, &frame), frame.fields());
                }
                alike
            } else {
                false
            };
            let fits = |fields| named || self.how.fits(fields);
            if alike || from_view(columns, &mut row, sites, bytes, fits)? {
                return Ok(());
            }
        }
        self.how.differs.store(true, Ordering::Relaxed);
        Err(Error::invalid("batch", "its frames differ"))
    }

    fn soon(&mut self, i: usize) {
        // Rows that follow each other the processor asks for by itself.
        if i != self.next {
            self.rows.prefetch(i);
        }
        self.next = i.saturating_add(1);
    }
}

/// Copies what `find` finds of each column to its place in the row; whether all of it is there, and
/// as the column says.
fn copied<'a>(
    columns: &[Column],
    row: &mut Row<'_>,
    find: impl Fn(&Column) -> Option<Found<'a>>,
) -> bool {
    columns.iter().enumerate().all(|(i, column)| {
        find(column).is_some_and(|found| {
            let place = row.part(i);
            found.piece.kind() == column.kind
                && found.by_site == column.by_site
                // The shape of what every frame has by itself is fixed.
                && (column.name.number.is_some() || found.item_shape == column.item_shape)
                && found.piece.put(column.kind, place) == Some(place.len())
        })
    })
}

/// The same from a view of the whole record, which has its extra properties, too, and positions that
/// are kept as integers. `same` is told how many standard fields it has.
fn from_view(
    columns: &[Column],
    row: &mut Row<'_>,
    sites: usize,
    bytes: &[u8],
    same: impl Fn(usize) -> bool,
) -> Result<bool> {
    let expanded = MdFrameCodec.expand(bytes)?;
    let frame = MdFrameView::new(expanded.as_deref().unwrap_or(bytes))?;
    // What a frame has from its topology is not in its bytes.
    Ok(frame.topology().is_none()
        && frame.nsites() == sites
        && same(standard(frame.fields()))
        && copied(columns, row, |column| column.name.find(frame.fields())))
}
