"""A model as a frozen function: inference mode, outside every gradient, owned by no one."""

from collections.abc import Iterable
from typing import Any

import keras

from kd_keras import heads, taps, twins

Tensor = Any


class Teacher:
    """What a classifier says of a batch. No Keras layer, so a model that holds it does not own it.

    Args:
        model: the classifier; its weights are read at each call and never changed.
        names: taps to give beside the logits.
        precision: see `twins.PRECISIONS`.

    Raises:
        ValueError: the model's head is of no use to distillation (see `heads.kind`), or a tap is
            unknown.
    """

    def __init__(
        self, model: keras.Model, names: Iterable[str] = (), *, precision: str = "float32"
    ):
        self.model = model
        self._head = heads.kind(model)
        self._twin = twins.Twin(model, names, precision=precision, folded=True)

    def __call__(self, inputs: Any) -> dict[str, Tensor]:
        """ "logits" (B, C) and each tap, float32; of a softmax head, the log-probabilities."""
        outputs, _ = self._twin(inputs, training=False)
        outputs[taps.LOGITS] = heads.logits_of_teacher(outputs[taps.LOGITS], self._head)
        return {name: keras.ops.stop_gradient(value) for name, value in outputs.items()}

    @property
    def shapes(self) -> dict[str, tuple[Any, ...]]:
        """Shape of each output, batch axis as None."""
        return self._twin.shapes
