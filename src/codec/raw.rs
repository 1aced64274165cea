//! Bytes as they are.

use super::slices::bounded;
use super::{AnyCodec, Codec, Encoded};
use crate::Result;
use crate::wire::memory;

/// Records that are whatever bytes the caller gave.
#[derive(Debug, Clone, Copy, Default)]
pub struct RawCodec;

const NAME: &str = "raw";

impl Codec for RawCodec {
    type Input<'a> = [u8];
    type View<'a> = &'a [u8];

    fn encode(&self, item: &[u8], out: &mut Vec<u8>) -> Result<Encoded> {
        bounded(item.len() as u64)?;
        memory::append(out, item)?;
        Ok(Encoded { weight: 0 })
    }

    fn decode<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8]> {
        Ok(bytes)
    }
}

impl AnyCodec for RawCodec {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn weight(&self, _bytes: &[u8]) -> Result<u32> {
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_and_earlier_ones_stay() {
        let mut out = vec![1];
        assert_eq!(RawCodec.encode(&[2, 3], &mut out).unwrap().weight, 0);
        assert_eq!(RawCodec.decode(&out).unwrap(), [1, 2, 3]);
    }

    #[test]
    fn text_is_shown_as_text_and_other_bytes_as_digits() {
        assert_eq!(
            RawCodec.describe("a\"ä\n".as_bytes()).unwrap(),
            r#"{"codec":"raw","bytes":5,"encoding":"utf-8","data":"a\"ä\n"}"#
        );
        assert_eq!(
            RawCodec.describe(&[0xff, 0x0a]).unwrap(),
            r#"{"codec":"raw","bytes":2,"encoding":"hex","data":"ff0a"}"#
        );
    }
}
