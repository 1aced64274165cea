//! The pages in which an object is fetched and kept.

use std::sync::Arc;

/// Bytes of a page: what is fetched and kept is a multiple of this, but for the end of the object.
pub(super) const PAGE: u64 = 16 << 10;

/// Bytes of one page.
pub(super) type Page = Arc<[u8]>;
