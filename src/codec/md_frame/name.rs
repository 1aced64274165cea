//! The name of the codec, which a store keeps and errors say.

pub(in crate::codec) const NAME: &str = "md-frame";
