//! The fixed part of a store's header: who it is and how it was made (see `docs/format.md`,
//! «Configuration»). Written at creation, never changed.

use crate::error::{Error, Result};
use crate::wire::{U32, U64, checksum};
use bytemuck::{Pod, Zeroable};
use serde_json::Value;

/// Where the configuration lies in the file.
pub const CONFIG_AT: u64 = 1024;
/// Bytes reserved for it: up to the first slot.
pub const CONFIG_SPACE: usize = 3072;
/// Start of the configuration.
pub const CONFIG_MAGIC: [u8; 8] = *b"VLstore\x01";
/// The version of the format that this release writes; it reads this one and all before it.
pub const FORMAT_VERSION: u32 = 1;

#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    version: U32,
    len: U32,
    file: [u8; 16],
    sum: U64,
}

const HEADER: usize = size_of::<Header>();
const SUM_AT: usize = HEADER - 8;

/// What the fixed part says.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) file: [u8; 16],
    pub(crate) json: Value,
}

impl Config {
    /// The bytes from [`CONFIG_AT`].
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let json = self.json.to_string().into_bytes();
        let len = json.len();
        if HEADER + len > CONFIG_SPACE {
            return Err(Error::Limit {
                what: "configuration",
                asked: len as u64,
                max: (CONFIG_SPACE - HEADER) as u64,
            });
        }
        let mut header = Header {
            magic: CONFIG_MAGIC,
            version: FORMAT_VERSION.into(),
            len: U32::new(u32::try_from(len).unwrap_or(0)),
            file: self.file,
            sum: U64::new(0),
        };
        header.sum = U64::new(sum(&header, &json));
        let mut out = bytemuck::bytes_of(&header).to_vec();
        out.extend_from_slice(&json);
        Ok(out)
    }

    /// The configuration in the `CONFIG_SPACE` bytes from [`CONFIG_AT`]; `None` if there is
    /// none, so that the file is not of ours.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a newer version, [`Error::Corrupt`] for a damaged one.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Self>> {
        let bad = |why| Error::corrupt("configuration", CONFIG_AT, why);
        let Some(Ok(header)) = bytes.get(..HEADER).map(bytemuck::try_pod_read_unaligned::<Header>)
        else {
            return Ok(None);
        };
        if header.magic != CONFIG_MAGIC {
            return Ok(None);
        }
        let version = header.version.get();
        if version > FORMAT_VERSION {
            return Err(Error::Unsupported {
                what: "format version",
                found: u64::from(version),
                newest: u64::from(FORMAT_VERSION),
            });
        }
        let len = header.len.get() as usize;
        let json = bytes.get(HEADER..).and_then(|b| b.get(..len)).ok_or_else(|| bad("length"))?;
        if header.sum.get() != sum(&header, json) {
            return Err(bad("checksum differs"));
        }
        let json = serde_json::from_slice(json).map_err(|_| bad("is not JSON"))?;
        Ok(Some(Self { file: header.file, json }))
    }
}

fn sum(header: &Header, json: &[u8]) -> u64 {
    let mut all = bytemuck::bytes_of(header).get(..SUM_AT).unwrap_or_default().to_vec();
    all.extend_from_slice(json);
    checksum(&all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_bit_of_a_configuration_is_noticed_or_makes_it_another_kind_of_file() {
        let good = Config { file: [7; 16], json: serde_json::json!({"a": 1}) }.encode().unwrap();
        assert_eq!(Config::parse(&good).unwrap().unwrap().file, [7; 16]);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(Config::parse(&bad), Ok(Some(_))), "bit {bit}");
        }
    }
}
