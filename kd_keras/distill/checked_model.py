"""A model that checks its data before the first step."""

import inspect
from typing import Any

import keras
import tensorflow as tf

from kd_keras.distill import data_checks
from kd_keras.distill.replica_model import ReplicaModel
from kd_keras.graph import backend, taps, twins

backend.require_tensorflow()


class CheckedModel(ReplicaModel):
    """A classifier whose `fit`, `evaluate` and `predict` check their data first.

    Raises:
        ValueError: labels that are no classes or probabilities, or data that never end without a
            number of steps.
    """

    _twin: twins.Twin  # of the student

    @property
    def num_classes(self) -> int:
        """How many classes the labels tell apart."""
        classes: int = self._twin.shapes[taps.LOGITS][-1]
        return classes

    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """As `keras.Model.fit`."""
        arguments = _by_name(keras.Model.fit, args, kwargs)
        steps = arguments.get("steps_per_epoch")
        data_checks.require_end("the training data", arguments.get("x"), steps, "steps_per_epoch")
        self._check_labels(arguments)
        if isinstance(arguments.get("x"), (tf.data.Dataset, tf.distribute.DistributedDataset)):
            arguments.setdefault("shuffle", False)  # Keras warns that it would not shuffle
        if arguments.get("validation_data") is not None:
            arguments["validation_data"] = self._validation(arguments)
        with data_checks.translate_errors(self.num_classes):
            return super().fit(**arguments)

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.evaluate`."""
        if kwargs.get("_use_cached_eval_dataset"):  # within fit, which has checked them
            return super().evaluate(*args, **kwargs)
        arguments = _by_name(keras.Model.evaluate, args, kwargs)
        data_checks.require_end("the data", arguments.get("x"), arguments.get("steps"), "steps")
        self._check_labels(arguments)
        with data_checks.translate_errors(self.num_classes):
            return super().evaluate(**arguments)

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.predict`."""
        arguments = _by_name(keras.Model.predict, args, kwargs)
        data_checks.require_end("the data", arguments.get("x"), arguments.get("steps"), "steps")
        return super().predict(**arguments)

    def train_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.train_on_batch`."""
        arguments = _by_name(keras.Model.train_on_batch, args, kwargs)
        self._check_labels(arguments)
        return super().train_on_batch(**arguments)

    def test_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.test_on_batch`."""
        arguments = _by_name(keras.Model.test_on_batch, args, kwargs)
        self._check_labels(arguments)
        return super().test_on_batch(**arguments)

    def _check_labels(self, arguments: dict[str, Any]) -> None:
        x, y, sample_weight = (arguments.get(name) for name in ("x", "y", "sample_weight"))
        arguments["x"] = data_checks.checked(x, y, sample_weight, self.num_classes)

    def _validation(self, arguments: dict[str, Any]) -> Any:
        x, y, weight = keras.utils.unpack_x_y_sample_weight(arguments["validation_data"])
        steps = arguments.get("validation_steps")
        data_checks.require_end("the validation data", x, steps, "validation_steps")
        x = data_checks.checked(x, y, weight, self.num_classes)
        return x if y is None else keras.utils.pack_x_y_sample_weight(x, y, weight)


def _by_name(method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call of `method`, all by name."""
    bound = inspect.signature(method).bind(None, *args, **kwargs).arguments
    return {name: value for name, value in bound.items() if name not in ("self", "kwargs")} | (
        bound.get("kwargs") or {}
    )
