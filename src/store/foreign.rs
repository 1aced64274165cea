//! Files of the original program and files that other programs have added to.
use super::options::StoreOptions;
use super::state::State;
use crate::backend::{Backend, FileBackend};
use crate::error::{Error, Result};
use std::sync::Arc;

pub(super) fn load_original(_backend: &Arc<dyn Backend>, _options: &StoreOptions) -> Result<State> {
    Err(Error::NotAStore { why: "not ours" })
}

pub(super) fn copy_original(
    _state: &State,
    _copy: &Arc<FileBackend>,
    _options: &StoreOptions,
) -> Result<()> {
    Err(Error::NotAStore { why: "not ours" })
}

pub(super) fn adopt_if_extended(_backend: &Arc<dyn Backend>, state: State) -> Result<State> {
    Ok(state)
}
