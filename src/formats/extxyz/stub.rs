use super::super::{
    kind::FormatKind,
    reader::FrameReader,
    source::Source,
    writer::{FrameEncoder, LeftOut},
};
use crate::{codec::MdFrame, error::Result};
pub(in crate::formats) struct ExtXyzReader<R>(Source<R>);
impl<R> ExtXyzReader<R> {
    pub(in crate::formats) fn new(s: Source<R>) -> Self {
        Self(s)
    }
}
impl<R: Send + std::io::Read + std::io::Seek> FrameReader for ExtXyzReader<R> {
    fn next_frame(&mut self, _: &mut MdFrame) -> Result<bool> {
        Ok(false)
    }
    fn kind(&self) -> FormatKind {
        FormatKind::ExtXyz
    }
    fn progress(&self) -> (u64, u64) {
        (self.0.at(), self.0.total())
    }
}
#[derive(Default)]
pub(in crate::formats) struct ExtXyzEncoder;
impl FrameEncoder for ExtXyzEncoder {
    fn encode(&mut self, _: &MdFrame, _: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }
    fn left_out(&self, _: &MdFrame) -> LeftOut {
        LeftOut::default()
    }
}
