"""The place in the data in the checkpoints of Lightning.

Needs ``lightning`` (``pip install ".[lightning]"`` in a clone of the repository)::

    import lightning, vlstore.lightning, vlstore.torch
    from torch.utils.data import DataLoader
    from vlstore.loader import Loader

    stream = vlstore.torch.Stream(Loader("train.vls", max_atoms=1000, seed=7))
    trainer = lightning.Trainer(callbacks=[vlstore.lightning.LoaderState(stream)])
    trainer.fit(model, DataLoader(stream, batch_size=None), ckpt_path="last")
"""

from __future__ import annotations

from typing import Any

from vlstore.errors import InvalidError, WrongTypeError

try:
    import torch

    try:
        import lightning.pytorch as lightning
    except ImportError:
        import pytorch_lightning as lightning
except ImportError as error:
    raise ImportError("vlstore.lightning needs Lightning: pip install lightning") from error

from vlstore.torch import Stream

__all__ = ["LoaderState"]


class LoaderState(lightning.Callback):
    """Saves the place of a stream in each checkpoint, and continues there.

    Parameters
    ----------
    stream : vlstore.torch.Stream
        What is trained with; the trainer gets ``DataLoader(stream, batch_size=None)``, with any number of
        workers, as its only data loader.

    Lightning fetches a batch ahead, and worker processes several: the place that is saved is behind the last
    batch that was trained with. A run that is continued has exactly the others, also with another number of
    processes. The batches are the :class:`vlstore.torch.TensorBatch` of the stream: a loader with a
    ``transform`` returns the batch that it was given.
    """

    def __init__(self, stream: Stream) -> None:
        if not isinstance(stream, Stream):
            raise WrongTypeError(f"stream must be a vlstore.torch.Stream, not {type(stream).__name__}")
        self.stream = stream
        self._state = stream.state_dict()

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        given = trainer.train_dataloader
        if not isinstance(given, torch.utils.data.DataLoader) or given.dataset is not self.stream:
            raise InvalidError(
                "LoaderState: the trainer gets DataLoader(stream, batch_size=None) of the same stream, not "
                f"{type(given).__name__}"
            )

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not hasattr(batch, "at"):
            raise InvalidError(
                "LoaderState: the batch does not say where it is of; a transform of the loader returns the "
                "batch that it was given"
            )
        self._state = self.stream.state_dict(batch)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        # The stream fetched ahead, or is a copy in a worker.
        self._go_to(self._state)

    def state_dict(self) -> dict[str, Any]:
        return self._state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._go_to(state_dict)

    def _go_to(self, state: dict[str, Any]) -> None:
        self.stream.load_state_dict(state)
        if self.stream.loader.progress >= 1.0:
            self.stream.set_epoch(state["epoch"] + 1)
        self._state = self.stream.state_dict()
