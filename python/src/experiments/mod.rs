//! Storage of experiments: conversion of attributes and arrays; what they mean is in the crate.

mod archive;
mod reader;
mod storage;
mod values;
mod writer;

pub(crate) use archive::{
    _from_zip, _import_experiment, _read_hdf5, _to_hdf5, _to_zip, _write_hdf5,
};
pub(crate) use reader::Task;
pub(crate) use storage::{Experiment, Storage};
pub(crate) use writer::TaskWriter;
