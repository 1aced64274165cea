//! What `split` and `shard` have in common: a store becomes several files, each of which is reported.

use crate::layout::LayoutArgs;
use crate::open::{AcceptOlder, tell_accepted};
use crate::outcome::{Exit, Outcome};
use crate::output::{Out, human, plural, shown};
use crate::work::Work;
use serde_json::json;
use std::path::{Path, PathBuf};
use vlstore::dataset::Source;
use vlstore::maintain::{Copied, SplitOptions};
use vlstore::{Result, codec};

/// What both were told.
pub(crate) struct Parts<'a> {
    pub(crate) store: &'a Path,
    pub(crate) layout: &'a LayoutArgs,
    pub(crate) older: &'a AcceptOlder,
    pub(crate) overwrite: bool,
    pub(crate) json: bool,
    /// What the name of a part is called in JSON.
    pub(crate) field: &'static str,
}

impl Parts<'_> {
    /// Lets `write` make the parts, told its options and whom to tell how far it is; prints each one's name,
    /// and the path of it that `path` returns.
    pub(crate) fn run<N: AsRef<Path>>(
        &self,
        write: impl FnOnce(
            &SplitOptions,
            &mut dyn FnMut(u64, u64) -> Result<()>,
        ) -> Result<Vec<(N, Copied)>>,
        path: impl Fn(&Path) -> PathBuf,
    ) -> Outcome {
        let source = Source::open(self.store)?;
        if self.older.accept_older {
            tell_accepted(self.store, source.opened());
        }
        let options = SplitOptions {
            layout: Some(self.layout.of(source.layout())),
            write: self.layout.write(),
            overwrite: self.overwrite,
            accept_older: self.older.accept_older,
            refers: Some(codec::refers),
        };
        let mut work = Work::begin("bytes", self.json)?;
        let done = write(&options, &mut |at, of| work.step(at, of));
        let done = work.end(done)?;
        let mut out = Out::new();
        for (name, part) in done {
            let name = name.as_ref();
            if self.json {
                let line = json!({
                    (self.field): name.to_string_lossy(), "records": part.records,
                    "record_bytes": part.record_bytes, "bytes": part.file_bytes,
                });
                out.line(line)?;
            } else {
                let (path, records) = (path(name), plural(part.records, "record"));
                out.line(format!("{}: {records}, {}", shown(&path), human(part.file_bytes)))?;
            }
        }
        out.end()?;
        Ok(Exit::Done)
    }
}
