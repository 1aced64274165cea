//! Many records of one file or of several, looked up to be read together.

use crate::error::Result;
use crate::store::read::batch::Batch;
use crate::store::read::plan::{FilePlan, Looked, Positions};
use crate::store::read::reader::Reader;
use crate::store::read::record::Record;
use crate::store::read::share_out::{ended, share_out};
use crate::store::read::visit::Visit;
use crate::wire::{AlignedBuf, memory};
use std::fmt::Debug;
use std::sync::Arc;

/// Records that were looked up and are about to be read; made by
/// [`Readable::plan`](crate::Readable::plan) and [`Readable::plan_at`](crate::Readable::plan_at).
///
/// Has their lengths and weights without decoding anything, and fills what the caller wants: one
/// buffer ([`batch`](Self::batch)), or whatever is made of each record ([`each`](Self::each)).
/// The records may lie in several files; each is opened when its records are read.
#[derive(Debug)]
pub struct Plan<'a>(Parts<'a>);

#[derive(Debug)]
enum Parts<'a> {
    One(FilePlan<'a>),
    Many(Many),
}

/// Records of several files, of which none is kept open.
#[derive(Debug)]
struct Many {
    files: Arc<dyn Files>,
    parts: Vec<Part>,
    len: usize,
}

/// Files by their numbers, opened when they are asked for: with the same records each time.
pub(crate) trait Files: Debug + Send + Sync {
    /// Threads that read at most.
    fn threads(&self) -> usize;

    /// Files that are looked into side by side: more than one where each answer is waited for.
    fn at_once(&self) -> usize;

    /// Calls `f` with what reads the file with this number, and returns its error.
    fn with(&self, number: usize, f: &mut dyn FnMut(&Reader) -> Result<()>) -> Result<()>;
}

/// What `f` makes of a file.
fn made<T>(files: &dyn Files, number: usize, mut f: impl FnMut(&Reader) -> Result<T>) -> Result<T> {
    let mut out = None;
    files.with(number, &mut |reader| {
        out = Some(f(reader)?);
        Ok(())
    })?;
    out.ok_or_else(ended)
}

/// The records that are wanted of one file.
#[derive(Debug)]
struct Part {
    file: usize,
    /// Where they are among all that were asked for.
    positions: Vec<usize>,
    looked: Looked,
}

/// What is asked of one file: its number, positions among all records asked for, and ordinals.
pub(crate) type AskedOfFile = (usize, Vec<usize>, Vec<u64>);

impl<'a> From<FilePlan<'a>> for Plan<'a> {
    fn from(plan: FilePlan<'a>) -> Self {
        Self(Parts::One(plan))
    }
}

impl Many {
    /// Calls `f` for each file, with its plan; the results are in the order of the files.
    fn each<T: Send>(
        &self,
        f: impl Fn(&[usize], &FilePlan<'_>) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let work = |(): &mut (), Part { file, positions, looked }: &Part| {
            made(&*self.files, *file, |reader| f(positions, &FilePlan::of(reader, looked)))
        };
        share_out(self.files.at_once(), self.parts.iter().collect(), || (), work)
    }
}

impl Plan<'_> {
    /// Looks up the records at ordinals of several files, `len` in all.
    pub(crate) fn of_files(
        files: Arc<dyn Files>,
        asked: Vec<AskedOfFile>,
        len: usize,
    ) -> Result<Plan<'static>> {
        let work = |(): &mut (), (file, positions, ordinals): AskedOfFile| {
            let look = |reader: &Reader| Ok(FilePlan::at(reader, &ordinals)?.looked());
            let looked = made(&*files, file, look)?;
            Ok(Part { file, positions, looked })
        };
        let parts = share_out(files.at_once(), asked, || (), work)?;
        Ok(Plan(Parts::Many(Many { files, parts, len })))
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Parts::One(plan) => plan.len(),
            Parts::Many(many) => many.len,
        }
    }

    /// Whether there are no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the records together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match &self.0 {
            Parts::One(plan) => plan.bytes(),
            Parts::Many(many) => many.parts.iter().map(|part| part.looked.bytes()).sum(),
        }
    }

    /// The records in one buffer, in the order asked for. Each block in which one of them lies is
    /// decoded once, and no other, by as many threads as the store was given.
    ///
    /// # Errors
    /// As [`Readable::get_at`](crate::Readable::get_at), for the first record that fails.
    pub fn batch(&self) -> Result<Batch> {
        match &self.0 {
            Parts::One(plan) => plan.batch(),
            Parts::Many(many) => {
                let batches =
                    many.each(|positions, plan| Ok((positions.to_vec(), plan.batch()?)))?;
                Batch::joined(&batches, many.len)
            }
        }
    }

    /// What the codec counted in each record when it was put (for a frame its sites), in the
    /// order asked for; decodes nothing.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn weights(&self) -> Result<Vec<u32>> {
        let many = match &self.0 {
            Parts::One(plan) => return plan.weights(),
            Parts::Many(many) => many,
        };
        let mut out = memory::filled(many.len, 0)?;
        for Part { positions, looked, .. } in &many.parts {
            for (i, weight) in looked.weights() {
                if let Some(to) = positions.get(i).and_then(|position| out.get_mut(*position)) {
                    *to = weight;
                }
            }
        }
        Ok(out)
    }

    /// The first of the records; `None` if none was asked for.
    ///
    /// # Errors
    /// As [`Readable::get_at`](crate::Readable::get_at).
    pub fn first(&self) -> Result<Option<Record>> {
        match &self.0 {
            Parts::One(plan) => plan.first(),
            Parts::Many(many) => {
                let has_first = |part: &&Part| part.positions.first() == Some(&0);
                let Some(part) = many.parts.iter().find(has_first) else { return Ok(None) };
                let first = |reader: &Reader| FilePlan::of(reader, &part.looked).first();
                made(&*many.files, part.file, first)
            }
        }
    }

    /// Calls `f` for each record with its position among those that were asked for and with its bytes,
    /// which start at a multiple of 8 in memory and are gone when `f` returns.
    ///
    /// Each block in which one of them lies is decoded once. `f` is called once for each position, in no
    /// particular order, from as many threads as the store was given; they end before this returns.
    ///
    /// # Errors
    /// As [`Readable::get_at`](crate::Readable::get_at), or what `f` returns; some of the records may have been visited.
    pub fn each(&self, f: impl Fn(usize, &[u8]) -> Result<()> + Sync) -> Result<()> {
        self.visit(|parts| parts.map(|_| Each(&f)).collect())
    }

    /// As [`each`](Self::each), with a visitor for each part of the records, made by `visitors` of their
    /// positions: what one part needs stays with it.
    pub(crate) fn visit<V: Visit>(
        &self,
        visitors: impl FnOnce(&mut dyn ExactSizeIterator<Item = Positions<'_>>) -> Vec<V>,
    ) -> Result<()> {
        let Many { files, parts, .. } = match &self.0 {
            Parts::One(plan) => return plan.visit(visitors),
            Parts::Many(many) => many,
        };
        if let [Part { file, looked, .. }] = &parts[..] {
            // The positions are those of all records.
            let mut visitors = Some(visitors);
            return files.with(*file, &mut |reader| match visitors.take() {
                Some(visitors) => FilePlan::of(reader, looked).visit(visitors),
                None => Ok(()),
            });
        }
        // One file is visited by one thread, several files side by side.
        let visitors =
            visitors(&mut parts.iter().map(|part| part.looked.positions(&part.positions)));
        let work = |space: &mut AlignedBuf, (part, visitor): (&Part, V)| {
            let mut visitor = Among { visitor, positions: &part.positions };
            let visit = &mut |reader: &Reader| {
                FilePlan::of(reader, &part.looked).visit_all(space, &mut visitor)
            };
            files.with(part.file, visit)
        };
        let work_of = parts.iter().zip(visitors).collect();
        share_out(files.threads().max(files.at_once()), work_of, AlignedBuf::default, work)?;
        Ok(())
    }
}

/// A visitor that has nothing of its own.
struct Each<'f, F>(&'f F);

impl<F: Fn(usize, &[u8]) -> Result<()> + Sync> Visit for Each<'_, F> {
    fn record(&mut self, position: usize, bytes: &[u8]) -> Result<()> {
        (self.0)(position, bytes)
    }
}

/// A visitor of the records of one file of several, who is told of their positions among all.
struct Among<'p, V> {
    visitor: V,
    positions: &'p [usize],
}

impl<V: Visit> Visit for Among<'_, V> {
    fn record(&mut self, position: usize, bytes: &[u8]) -> Result<()> {
        self.positions.get(position).map_or(Ok(()), |at| self.visitor.record(*at, bytes))
    }

    fn soon(&mut self, position: usize) {
        if let Some(at) = self.positions.get(position) {
            self.visitor.soon(*at);
        }
    }
}
