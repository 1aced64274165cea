//! Whatever a store is in: a file of ours, one that another program added to, one of the original.

use super::{extended, original};
use crate::backend::Backend;
use crate::error::Result;
use crate::store::options::ReadOptions;
use crate::store::read::newest_state::{State, load, read_config};
use std::sync::Arc;

pub(crate) fn load_any(backend: &Arc<dyn Backend>, options: &ReadOptions) -> Result<State> {
    match read_config(&**backend)? {
        Some(config) => {
            let state = load(backend, &config, options)?;
            extended::adopt_if_extended(backend, state, options)
        }
        None => original::load_original(backend, options),
    }
}
