//! Checking a whole store: every page of the index, every block, every reference. A damage never
//! ends the check: what else can be looked at is looked at, and what follows from a damage is
//! told with it.

mod all_keys;
mod chunks;
mod index;
mod member;
mod records;
mod references;
mod report;

use crate::store::Readable;
pub use member::verify_member;
pub use report::{Affected, Damage, Effect, Verified};

pub(crate) use report::Causes;

use crate::error::Result;
use crate::store::foreign::frame::frame_is_readable;
use crate::store::index::slots::Slots;
use crate::store::read::newest_state::Opened;
use crate::store::read::snapshot::Snapshot;

impl Snapshot {
    /// Checks every byte that this state refers to: index pages, chunks, blocks, the place of
    /// every record and that every key leads to its record. Reads the whole file.
    ///
    /// `progress` is told the decoded bytes done and to do; its error ends the check.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) and what `progress` returns; damage is not an error here, it is in the result.
    pub fn verify(&self, mut progress: impl FnMut(u64, u64) -> Result<()>) -> Result<Verified> {
        let reader = &self.inner().reader;
        let mut out = Verified::default();
        let mut causes = Causes::default();
        if let Opened::OlderCommit { generation } | Opened::LastSeal { generation } = self.opened()
        {
            let why = format!("the newest commit cannot be read; commit {generation} is checked");
            let at = crate::frame::SLOT_OFFSETS[0];
            causes.cause(Damage::new("commit slot", Some(at), why));
        }
        if self.opened() != Opened::Unchecked {
            for offset in Slots::read(&**reader.io.backend(), Some(reader.io.file()))?.bad {
                let why = "one of its copies cannot be read";
                causes.cause(Damage::new("commit slot", Some(offset), why));
            }
        }
        let base = self.inner().base.as_ref();
        let bad = chunks::check_chunks(reader, base, &mut out, &mut causes, &mut progress)?;
        index::check(reader, &mut causes)?;
        let causes = self.check_records(reader, &bad, &mut out, causes)?;
        out.damages = causes.into_list();
        out.frame = frame_is_readable(&**reader.io.backend()).err().map(|e| e.to_string().into());
        Ok(out)
    }
}
