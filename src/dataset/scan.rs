//! Records of a data set in order.

use super::set::DataSet;
use crate::error::Result;
use crate::store::{Readable, Record, Scan};
use std::ops::Range;

/// Records of a data set in order; see [`DataSet::scan`].
#[derive(Debug)]
pub struct SetScan {
    set: DataSet,
    /// What is left.
    range: Range<u64>,
    /// The rest of a member.
    scan: Option<Scan>,
}

impl DataSet {
    /// The records at the ordinals `range` in order, each block decoded once; a member is opened when
    /// its first record is read.
    #[must_use]
    pub fn scan(&self, range: Range<u64>) -> SetScan {
        SetScan::new(self.clone(), range.start..range.end.min(self.len()))
    }
}

impl SetScan {
    pub(super) const fn new(set: DataSet, range: Range<u64>) -> Self {
        Self { set, range, scan: None }
    }

    /// Goes on to the member of the next record.
    fn open(&mut self) -> Result<()> {
        let (member, first) = self.set.place(self.range.start)?;
        let end = self.set.first_of(member + 1).min(self.range.end) - self.set.first_of(member);
        self.scan = Some(self.set.snapshot(member)?.scan(first..end));
        Ok(())
    }
}

impl Iterator for SetScan {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.scan.as_mut().and_then(Iterator::next) {
                self.range.start += 1;
                return Some(record);
            }
            self.scan = None;
            if self.range.is_empty() {
                return None;
            }
            if let Err(error) = self.open() {
                self.range.start = self.range.end;
                return Some(Err(error));
            }
        }
    }
}
