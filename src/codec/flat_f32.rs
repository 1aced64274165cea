//! The original's codec for arrays: float32 values and nothing else, not even their shape.

use super::json::Json;
use super::slices::{aligned, bounded, bytes_of, numbers_in};
use super::{AnyCodec, Codec, Encoded};
use crate::wire::{AlignedBuf, memory};
use crate::{Error, Result};
use std::io;

/// Records of float32 values in C order; the reader has to know the shape.
#[derive(Debug, Clone, Copy, Default)]
pub struct FlatF32Codec;

const NAME: &str = "flat-f32";

impl Codec for FlatF32Codec {
    type Input<'a> = [f32];
    type View<'a> = &'a [f32];

    fn encode(&self, item: &[f32], out: &mut Vec<u8>) -> Result<Encoded> {
        let bytes = bytes_of(NAME, item)?;
        bounded(bytes.len() as u64)?;
        let weight = count(item)?;
        memory::append(out, bytes)?;
        Ok(Encoded { weight })
    }

    fn decode<'a>(&self, bytes: &'a [u8]) -> Result<&'a [f32]> {
        numbers_in(NAME, "the record", bytes)
    }
}

fn count(values: &[f32]) -> Result<u32> {
    u32::try_from(values.len()).map_err(|_| Error::codec(NAME, "more than 2^32 values"))
}

impl AnyCodec for FlatF32Codec {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn weight(&self, bytes: &[u8]) -> Result<u32> {
        count(self.decode(aligned(bytes, &mut AlignedBuf::default())?)?)
    }

    fn write_json(&self, bytes: &[u8], out: &mut dyn io::Write) -> Result<()> {
        let mut space = AlignedBuf::default();
        let values = self.decode(aligned(bytes, &mut space)?)?;
        let mut json = Json::new(out);
        json.open('{')?;
        json.key("codec")?.text(NAME)?;
        json.key("dtype")?.text("float32")?;
        json.key("shape")?.list(&[values.len()])?;
        json.key("data")?.list(values)?;
        json.close('}')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_stored_alone_and_come_back_from_any_address() {
        let mut out = vec![7];
        let encoded = FlatF32Codec.encode(&[1.0, -2.5], &mut out).unwrap();
        assert_eq!((encoded.weight, out.len()), (2, 9));
        assert_eq!(FlatF32Codec.weight(&out[1..]).unwrap(), 2);
        let mut space = AlignedBuf::default();
        let view = FlatF32Codec.decode(aligned(&out[1..], &mut space).unwrap()).unwrap();
        assert_eq!(view, [1.0, -2.5]);
        assert!(FlatF32Codec.weight(&out).unwrap_err().to_string().contains("multiple of 4"));
    }

    #[test]
    fn numbers_without_a_json_form_become_words() {
        let mut out = Vec::new();
        FlatF32Codec.encode(&[0.1, f32::NAN, f32::NEG_INFINITY, 1e30], &mut out).unwrap();
        assert_eq!(
            FlatF32Codec.describe(&out).unwrap(),
            r#"{"codec":"flat-f32","dtype":"float32","shape":[4],"data":[0.1,"NaN","-Infinity",1e30]}"#
        );
    }
}
