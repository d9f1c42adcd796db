"""Drops the batches of steps that a restored training has done already."""

from collections.abc import Callable, Mapping
from typing import Any

from kd_keras.distill.step import batches, split_batch


class DroppedSteps:
    """In place of a model's `train_function`: drops batches, and logs what the last step logged.

    Args:
        model: the model that `fit` trains.
        num_steps: number of batches to drop.
        restore: called before the first batch is dropped, with its labels.
    """

    def __init__(self, model: Any, num_steps: int, restore: Callable[[Any], None]) -> None:
        self.step = model.train_function
        self._model, self._left, self._restore = model, num_steps, restore
        self._logs: Mapping[str, Any] | None = None

    def __call__(self, iterator: Any) -> dict[str, Any]:
        for _ in range(min(self._left, self._model.steps_per_execution)):
            batch = next(iterator)
            self._left -= 1
            if self._logs is None:
                replica_batch = split_batch.first_part(self._model.distribute_strategy, batch)
                self._restore(batches.unpack(replica_batch, needs_labels=()).labels)
                self._logs = self._model.get_metrics_result()
        return dict(self._logs or {})
