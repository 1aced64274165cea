"""Storage of experiments: data as it is acquired, then archived and consolidated.

An experiment has subjects, a subject has tasks, a task has trials; a trial has attributes and
arrays. :class:`Storage` is the folder, :class:`StorageWriter` the run of one subject,
:class:`Design` the plan. The chapter «Experiments» of the guide shows all of it.
"""

from vlstore.experiments._design import Array, Block, Design, Trial
from vlstore.experiments._storage import Experiment, Storage, StorageWriter
from vlstore.experiments._table import Trials
from vlstore.experiments._task import TaskReader, TaskWriter, Unfinished
from vlstore.experiments._archive import (
    ImportedExperiment,
    import_experiment,
    read_hdf5,
    storage_from_zip,
    storage_to_hdf5,
    storage_to_zip,
    write_hdf5,
)

__all__ = [
    "Array",
    "Block",
    "Design",
    "Experiment",
    "ImportedExperiment",
    "Storage",
    "StorageWriter",
    "TaskReader",
    "TaskWriter",
    "Trial",
    "Trials",
    "Unfinished",
    "import_experiment",
    "read_hdf5",
    "storage_from_zip",
    "storage_to_hdf5",
    "storage_to_zip",
    "write_hdf5",
]
