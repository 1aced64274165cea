//! Records that are looked up now and read later: by those who ask for their sizes first.

use crate::error::Result;
use crate::store::read::any_plan::Plan;
use crate::store::read::plan::{FilePlan, Looked};
use crate::store::read::snapshot::Snapshot;

impl Snapshot {
    /// Looks up the records at these ordinals, for [`plan_of`](Self::plan_of).
    pub(crate) fn look_up(&self, ordinals: &[u64]) -> Result<Looked> {
        FilePlan::at(&self.inner().reader, ordinals).map(FilePlan::looked)
    }

    /// Goes on with what was looked up in this snapshot.
    pub(crate) fn plan_of<'a>(&'a self, looked: &'a Looked) -> Plan<'a> {
        FilePlan::of(&self.inner().reader, looked).into()
    }
}
