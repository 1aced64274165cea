//! What a file keeps of how it was made.

use super::named_values::{Alignment, Compression, Purpose};
use crate::chunk::{Algorithm, Filter, Params};
use crate::column::{Column, ColumnKind};
use crate::error::{Error, Result};
use crate::limits::{BLOCK_MAX, BLOCK_MIN, BLOCKS_PER_CHUNK, CHUNK_MAX, CHUNK_MIN};
use serde_json::{Value, json};

/// What is chosen when a store is made and kept by its file: how records are placed and
/// compressed, and what they are.
///
/// ```
/// use vlstore::{Layout, Purpose, StoreOptions};
/// let layout = Layout { purpose: Purpose::Random, ..Layout::default() };
/// let options = StoreOptions { layout, ..StoreOptions::default() };
/// assert!(options.check().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// What the store is for.
    pub purpose: Purpose,
    /// Bytes of a chunk, decoded; 0 chooses: 2 MiB for a dense store and for one without compression,
    /// else 512 KiB.
    pub chunk_size: u32,
    /// Bytes of a block, decoded; 0 chooses chunk by chunk from the records.
    pub block_size: u32,
    /// How blocks are compressed. Zstd unless `purpose` is random, then LZ4.
    pub compression: Compression,
    /// Effort of the compression, 1 to 9; 0 chooses 1 (Zstd) or 5 (others).
    pub level: u8,
    /// Filter before compression.
    pub filter: Filter,
    /// Bytes of one number, for the filter: 4 or 8 for arrays of numbers, 1 for text.
    pub typesize: u8,
    /// Placement of records.
    pub alignment: Alignment,
    /// Name and version of the codec of the records.
    pub record_codec: (String, u32),
    /// Numbers that are kept of every record beside its bytes; `None` takes those of
    /// [`WriteOptions::rows`](crate::WriteOptions::rows).
    pub columns: Option<Vec<Column>>,
    /// Id of a new file; `None` draws one. Given only where the same input is to make the same
    /// bytes: two files with one id are taken for one.
    pub file_id: Option<[u8; 16]>,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            purpose: Purpose::default(),
            chunk_size: 0,
            block_size: 0,
            compression: Compression::default(),
            level: 0,
            filter: Filter::Shuffle,
            typesize: 4,
            alignment: Alignment::default(),
            record_codec: ("raw".into(), 1),
            columns: None,
            file_id: None,
        }
    }
}

impl Layout {
    /// The compression that this layout asks for.
    #[must_use]
    pub fn params(&self) -> Params {
        let algorithm = self.compression.algorithm(self.purpose);
        let level = match (self.level, algorithm) {
            (0, Some(Algorithm::Zstd)) => 1,
            (0, _) => 5,
            (level, _) => level,
        };
        let filter = if algorithm.is_none() { Filter::None } else { self.filter };
        Params { algorithm, level, filter, typesize: self.typesize }
    }

    /// Bytes of a chunk: those that were asked for, or else about what the purpose wants, in
    /// integers and in eights.
    #[must_use]
    pub fn chunk(&self) -> u32 {
        let about = match (self.chunk_size, self.purpose, self.compression) {
            // Stored records are not read chunk by chunk, and each chunk ends with a gap.
            (0, Purpose::Dense, _) | (0, _, Compression::Stored) => 2 << 20,
            (0, _, _) => 512 << 10,
            (n, _, _) => return n,
        };
        let step = 8 * u32::from(self.typesize).max(1);
        about / step * step
    }

    /// The columns of a store with this layout, beside those that every store has.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        self.columns.as_deref().unwrap_or_default()
    }

    /// The compression of rows: that of the records, but for the width of a number. Where records
    /// are stored as they are, rows are compressed all the same: most columns are the same number
    /// again and again.
    pub(crate) fn row_params(&self) -> Params {
        match self.params() {
            Params { algorithm: None, .. } => {
                let algorithm = Some(Algorithm::Zstd);
                Params { algorithm, level: 1, filter: Filter::Shuffle, typesize: 8 }
            }
            params => Params { typesize: 8, ..params },
        }
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
                format!("{chunk} bytes is not a multiple of the type size {ts}"),
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
                    format!("{block} bytes is not a multiple of the type size {ts}"),
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
                format!("{chunk} bytes is not a multiple of 8, which block alignment needs"),
            ));
        }
        if self.record_codec.0.len() > 255 {
            return Err(Error::invalid("record codec", "its name is longer than 255 bytes"));
        }
        Column::check(self.columns())
    }

    /// The layout as a file keeps it, in JSON.
    pub(crate) fn to_config(&self) -> Value {
        let params = self.params();
        let mut config = json!({
            "chunk_size": self.chunk(),
            "block_size": self.block_size,
            "purpose": self.purpose.name(),
            "compression": Compression::from(params.algorithm).name(),
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

    /// The layout of an existing file.
    pub(crate) fn from_config(config: &Value) -> Result<Self> {
        let bad = |what| Error::corrupt("configuration", crate::store::config::CONFIG_AT, what);
        let text = |name: &str| config.get(name).and_then(Value::as_str);
        let number = |name: &str| config.get(name).and_then(Value::as_u64);
        let small = |name: &str| number(name).and_then(|n| u8::try_from(n).ok());
        let size = |name: &str| number(name).and_then(|n| u32::try_from(n).ok());
        let compression = text("compression").ok_or_else(|| bad("names no compression"))?;
        let out = Self {
            purpose: text("purpose").and_then(Purpose::from_name).ok_or_else(|| bad("purpose"))?,
            chunk_size: size("chunk_size").filter(|n| *n > 0).ok_or_else(|| bad("chunk size"))?,
            block_size: size("block_size").ok_or_else(|| bad("block size"))?,
            compression: Compression::from_name(compression)
                .filter(|c| *c != Compression::Auto)
                .ok_or_else(|| bad("names an unknown compression"))?,
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
            file_id: None,
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
