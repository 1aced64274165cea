//! How a store is made and opened: plain builders, checked once when used.

use crate::backend::Access;
use crate::chunk::{Codec, Filter, Params};
use crate::column::{Column, ColumnKind, RecordCheck, RowMaker};
use crate::error::{Error, Result};
use crate::limits::{BLOCK_MAX, BLOCK_MIN, BLOCKS_PER_CHUNK, CHUNK_MAX, CHUNK_MIN};
use serde_json::{Value, json};
use std::time::Duration;

/// What the store is for: decides block sizes, and by that the point on the curve between file
/// size and the cost of one random record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Purpose {
    /// Smallest file; records are read in order or in large windows. Blocks of 256 KiB.
    Dense,
    /// A small file that is also read at random. Blocks of about 32 KiB, made to fit records.
    #[default]
    Balanced,
    /// Records are fetched one by one in random order. A large record has a block of its own,
    /// small ones share blocks of about 8 KiB, 4 KiB with LZ4.
    Random,
}

/// Where a record is placed in the logical byte space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Alignment {
    /// At a multiple of 8, and across a block boundary only if it is longer than a block.
    #[default]
    Block,
    /// Directly behind its predecessor, unless it would cross a chunk boundary (the original's
    /// `no_cross`).
    NoCross,
    /// Directly behind its predecessor (the original's `contiguous`).
    Contiguous,
    /// At the start of a chunk (the original's `start`).
    Start,
}

/// What a commit waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Durability {
    /// Commits happen only when asked for and at close, and go to the operating system. A
    /// killed job loses everything since the last one.
    None,
    /// A commit is handed to the operating system: it survives a killed job, and a power cut
    /// once the system has written it out. Costs about three writes.
    #[default]
    Kernel,
    /// A commit is on the medium when it returns: it survives a power cut. Costs two syncs,
    /// milliseconds on most disks.
    Sync,
}

/// Whether a seal writes `saved_lookup`, the table by which the original program finds records.
/// It takes about 20 bytes a record; every other Blosc2 program reads the chunks without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lookup {
    /// As the last seal of the file has it: a new store gets none, a file of the original program
    /// and one that was sealed with the table keep it.
    #[default]
    Auto,
    /// Yes, up to what one Blosc2 buffer holds.
    Always,
    /// No: the original program refuses the file by name.
    Never,
}

/// Everything that can be chosen when a store is made, and what a writer does with it.
///
/// ```
/// use vlstore::{Purpose, StoreOptions};
/// let options = StoreOptions { purpose: Purpose::Random, ..StoreOptions::default() };
/// assert!(options.check().is_ok());
/// ```
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// What the store is for.
    pub purpose: Purpose,
    /// Bytes of a chunk, decoded; 0 chooses by purpose (512 KiB, dense 2 MiB).
    pub chunk_size: u32,
    /// Bytes of a block, decoded; 0 chooses chunk by chunk from the records.
    pub block_size: u32,
    /// Compressor; `None` stores as it is. Zstd unless `purpose` is random, then LZ4.
    pub codec: Option<Option<Codec>>,
    /// Effort of the compressor, 1 to 9; 0 chooses 1 (Zstd) or 5 (LZ4).
    pub level: u8,
    /// Filter before compression.
    pub filter: Filter,
    /// Bytes of one number, for the filter: 4 or 8 for arrays of numbers, 1 for text.
    pub typesize: u8,
    /// Placement of records.
    pub alignment: Alignment,
    /// Threads that compress behind the writer; 0 takes as many as there are cores.
    pub threads: usize,
    /// What commits wait for.
    pub durability: Durability,
    /// A `put` commits when this many bytes were added since the last commit.
    pub commit_bytes: u64,
    /// A `put` commits when this much time has passed since the last commit.
    pub commit_interval: Duration,
    /// Bytes of decoded blocks that are kept for later reads.
    pub cache_bytes: usize,
    /// Whether a seal writes the table of the original program.
    pub lookup: Lookup,
    /// How the file is read: mapped or by calls.
    pub access: Access,
    /// Whether a store whose newest commit cannot be read is opened for writing all the same, as
    /// of an older state: what came after that is lost then. Without it such a store is refused
    /// with [`Error::Older`] and stays as it is. Readers are told by [`Opened`](crate::Opened).
    pub accept_older: bool,
    /// Id of a new file; `None` draws one. Given only where the same input is to make the same
    /// bytes: two files with one id are taken for one.
    pub file_id: Option<[u8; 16]>,
    /// Name and version of the codec of the records.
    pub record_codec: (String, u32),
    /// Numbers that are kept of every record beside its bytes; `None` takes those of `rows`.
    /// Chosen when the store is made, kept by the file.
    pub columns: Option<Vec<Column>>,
    /// How the row of a record follows from its bytes, for records that are put without one.
    pub rows: Option<RowMaker>,
    /// How bytes that are put are checked, where the store names a codec other than `raw`:
    /// `Some(codec::check)` for those of this release. Without it such a store takes records from
    /// a [`DepotWriter`](crate::DepotWriter) alone, and bytes by
    /// [`Writer::put_unchecked`](crate::Writer::put_unchecked).
    pub check: Option<RecordCheck>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            purpose: Purpose::default(),
            chunk_size: 0,
            block_size: 0,
            codec: None,
            level: 0,
            filter: Filter::Shuffle,
            typesize: 4,
            alignment: Alignment::default(),
            threads: 0,
            durability: Durability::default(),
            commit_bytes: 8 << 20,
            commit_interval: Duration::from_secs(5),
            cache_bytes: 32 << 20,
            lookup: Lookup::default(),
            access: Access::Auto,
            accept_older: false,
            file_id: None,
            record_codec: ("raw".into(), 1),
            columns: None,
            rows: None,
            check: None,
        }
    }
}

impl StoreOptions {
    /// The compression that these options ask for.
    #[must_use]
    pub fn params(&self) -> Params {
        let codec = self.codec.unwrap_or(Some(match self.purpose {
            Purpose::Dense | Purpose::Balanced => Codec::Zstd,
            Purpose::Random => Codec::Lz4,
        }));
        let level = match (self.level, codec) {
            (0, Some(Codec::Zstd)) => 1,
            (0, _) => 5,
            (level, _) => level,
        };
        let filter = if codec.is_none() { Filter::None } else { self.filter };
        Params { codec, level, filter, typesize: self.typesize }
    }

    /// Bytes of a chunk: those that were asked for, or else about what the purpose wants, in
    /// integers and in eights.
    #[must_use]
    pub fn chunk(&self) -> u32 {
        let about = match (self.chunk_size, self.purpose) {
            (0, Purpose::Dense) => 2 << 20,
            (0, _) => 512 << 10,
            (n, _) => return n,
        };
        let step = 8 * u32::from(self.typesize).max(1);
        about / step * step
    }

    /// The columns of a store with these options, beside those that every store has.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        let own = self.columns.as_deref();
        own.or(self.rows.map(|maker| maker.columns)).unwrap_or_default()
    }

    /// The compression of rows: that of the records, but for the width of a number.
    pub(crate) fn row_params(&self) -> Params {
        Params { typesize: 8, ..self.params() }
    }

    /// Refuses combinations that cannot work.
    ///
    /// # Errors
    /// [`Error::Invalid`] that names the option and what would work.
    pub fn check(&self) -> Result<()> {
        let params = self.params();
        params.check()?;
        let chunk = self.chunk();
        let ts = u32::from(params.typesize);
        if !(CHUNK_MIN..=CHUNK_MAX).contains(&chunk) {
            return Err(Error::invalid(
                "chunk size",
                format!("{chunk} bytes is outside {CHUNK_MIN} to {CHUNK_MAX}"),
            ));
        }
        if !chunk.is_multiple_of(ts) {
            return Err(Error::invalid(
                "chunk size",
                format!("{chunk} bytes is no multiple of the type size {ts}"),
            ));
        }
        let block = self.block_size;
        if block != 0 {
            let least = BLOCK_MIN.min(chunk);
            let most = BLOCK_MAX.min(chunk);
            if !(least..=most).contains(&block) {
                return Err(Error::invalid(
                    "block size",
                    format!("{block} bytes is outside {least} to {most}"),
                ));
            }
            if !block.is_multiple_of(ts) {
                return Err(Error::invalid(
                    "block size",
                    format!("{block} bytes is no multiple of the type size {ts}"),
                ));
            }
            if chunk.div_ceil(block) > BLOCKS_PER_CHUNK {
                return Err(Error::invalid(
                    "block size",
                    format!("{block} bytes cuts a chunk into more than {BLOCKS_PER_CHUNK} blocks"),
                ));
            }
        }
        if self.alignment == Alignment::Block && !chunk.is_multiple_of(8) {
            return Err(Error::invalid(
                "chunk size",
                format!("{chunk} bytes is no multiple of 8, which block alignment needs"),
            ));
        }
        if self.record_codec.0.len() > 255 {
            return Err(Error::invalid("record codec", "its name is longer than 255 bytes"));
        }
        Column::check(self.columns())
    }

    /// What of the options a file keeps, as JSON.
    pub(crate) fn to_config(&self) -> Value {
        let params = self.params();
        let mut config = json!({
            "chunk_size": self.chunk(),
            "block_size": self.block_size,
            "purpose": self.purpose.name(),
            "codec": params.codec.map_or("stored", |c| c.name()),
            "level": params.level,
            "filter": params.filter.name(),
            "typesize": params.typesize,
            "alignment": self.alignment.name(),
            "record_codec": self.record_codec.0,
            "record_codec_version": self.record_codec.1,
            "writer": concat!("vlstore ", env!("CARGO_PKG_VERSION")),
        });
        let columns = self.columns();
        if let Some(members) = config.as_object_mut().filter(|_| !columns.is_empty()) {
            let each = |c: &Column| json!([c.name, c.kind.name(), c.count]);
            members.insert("columns".into(), columns.iter().map(each).collect());
        }
        config
    }

    /// The options of an existing file, with what it does not keep taken from `self`.
    pub(crate) fn with_config(&self, config: &Value) -> Result<Self> {
        let bad = |what| Error::corrupt("configuration", crate::store::config::CONFIG_AT, what);
        let text = |name: &str| config.get(name).and_then(Value::as_str);
        let number = |name: &str| config.get(name).and_then(Value::as_u64);
        let small = |name: &str| number(name).and_then(|n| u8::try_from(n).ok());
        let size = |name: &str| number(name).and_then(|n| u32::try_from(n).ok());
        let codec = match text("codec").ok_or_else(|| bad("names no codec"))? {
            "stored" => None,
            name => Some(Codec::from_name(name).ok_or_else(|| bad("names an unknown codec"))?),
        };
        let out = Self {
            purpose: text("purpose").and_then(Purpose::from_name).ok_or_else(|| bad("purpose"))?,
            chunk_size: size("chunk_size").filter(|n| *n > 0).ok_or_else(|| bad("chunk size"))?,
            block_size: size("block_size").ok_or_else(|| bad("block size"))?,
            codec: Some(codec),
            level: small("level").ok_or_else(|| bad("level"))?,
            filter: text("filter").and_then(Filter::from_name).ok_or_else(|| bad("filter"))?,
            typesize: small("typesize").ok_or_else(|| bad("type size"))?,
            alignment: text("alignment")
                .and_then(Alignment::from_name)
                .ok_or_else(|| bad("alignment"))?,
            record_codec: (
                text("record_codec").ok_or_else(|| bad("record codec"))?.into(),
                size("record_codec_version").ok_or_else(|| bad("record codec"))?,
            ),
            columns: Some(columns_of(config.get("columns")).ok_or_else(|| bad("columns"))?),
            ..self.clone()
        };
        out.check()?;
        Ok(out)
    }
}

/// The columns that a configuration names; none if it has no such member.
fn columns_of(member: Option<&Value>) -> Option<Vec<Column>> {
    let Some(member) = member else { return Some(Vec::new()) };
    let column = |value: &Value| {
        let [name, kind, count] = value.as_array()?.as_slice() else { return None };
        Some(Column {
            name: name.as_str()?.to_owned().into(),
            kind: ColumnKind::from_name(kind.as_str()?)?,
            count: u32::try_from(count.as_u64()?).ok()?,
        })
    };
    member.as_array()?.iter().map(column).collect()
}

macro_rules! named {
    ($ty:ident { $($variant:ident $name:literal),* $(,)? }) => {
        impl $ty {
            /// Every variant.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// The name on the command line and in a file.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
            /// The variant of that name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}
named!(Purpose { Dense "dense", Balanced "balanced", Random "random" });
named!(Alignment {
    Block "block", NoCross "no_cross", Contiguous "contiguous", Start "start",
});
named!(Durability { None "none", Kernel "kernel", Sync "sync" });
named!(Lookup { Auto "auto", Always "always", Never "never" });
