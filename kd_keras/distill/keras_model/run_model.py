"""A model whose training steps belong to a run, of which they know the progress and the stage."""

from collections.abc import Sequence
from typing import Any

import keras

from kd_keras.distill.keras_model import call_arguments
from kd_keras.distill.keras_model.checked_model import CheckedModel
from kd_keras.distill.step import run_progress


class RunModel(CheckedModel):
    """A classifier whose `fit` and `train_on_batch` follow the progress of a run.

    A subclass sets the attribute below in its constructor.
    """

    stages: Sequence[float]  # progress values, rising from 0, at which the loss changes

    def __init__(self, **options: Any):
        super().__init__(**options)
        self._total_steps: int | None = None
        self.run_steps: int | None = None  # of the last fit, None where unknown
        self.run = run_progress.Run()
        self.stage = 0.0  # the one of `stages` that the run is in, see `run_progress.enter_stage`

    @property
    def total_steps(self) -> int | None:
        """Steps of all fits together; None: each fit is a run of its own."""
        return self._total_steps

    @total_steps.setter
    def total_steps(self, total_steps: int | None) -> None:
        self._total_steps = total_steps
        self.train_function = None  # traced with the number before

    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """As `keras.Model.fit`."""
        arguments = call_arguments.by_name(keras.Model.fit, args, kwargs)
        arguments["callbacks"] = run_progress.with_progress(arguments.get("callbacks"))
        return super().fit(**arguments)

    def train_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.train_on_batch`."""
        run_progress.enter_stage(self, [self])
        return super().train_on_batch(*args, **kwargs)
