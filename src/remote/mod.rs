//! Stores in object stores: S3 and what speaks its protocol, Google Cloud Storage, Azure, web servers.
//!
//! A store is read where it lies, by ranges ([`open`]), and written on a disk of this machine first:
//! [`push`] uploads it, [`pull`] fetches it and takes what is the same from an older copy. Credentials come
//! from the usual variables and are shown nowhere.
//!
//! Knows addresses, requests and their repetition; what is in a store is up to the rooms below.

pub(crate) mod access;
mod address;
mod in_place;
mod object;
mod open;
mod options;
mod prefix;
mod pull;
mod push;
mod s3;
mod s3_upload;
#[cfg(test)]
mod tests;

pub use access::on_wait;
pub use address::{is_url, local_path};
pub use object::{ObjectSource, is_missing};
pub use open::{open, open_source, source};
pub use options::RemoteOptions;
pub(crate) use prefix::Prefix;
pub use pull::{PullOptions, Pulled, pull};
pub use push::{PushOptions, Pushed, push};
pub(crate) use s3::bucket;
