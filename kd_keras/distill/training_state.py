"""The state of a training as arrays: weights, optimizer, metrics, random generators."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

# Arrays by variable; of several replicas one array each. Names are "<model>/<number>".
State = dict[str, list[np.ndarray]]


def read(models: Mapping[str, Any]) -> State:
    """The state of Distillers after a step.

    Args:
        models: Distillers by name, with an optimizer that is built.
    """
    return {
        name: [part.numpy() for part in _parts(variable)]
        for name, variable in _variables(models).items()
    }


def restore(models: Mapping[str, Any], state: Mapping[str, list[np.ndarray]]) -> None:
    """Assigns a state that `read` gave to Distillers that were made in the same way.

    Entries of other models are ignored, so models that were trained side by side can go on alone.

    Raises:
        ValueError: the state lacks a variable of the Distillers, or has it in another shape.
    """
    variables = _variables(models)
    for name, variable in variables.items():
        arrays, parts = state.get(name, []), _parts(variable)
        if [array.shape for array in arrays] != [tuple(part.shape) for part in parts]:
            got = [array.shape for array in arrays] or "missing"
            raise ValueError(
                f"variable {name!r} is {got} in the checkpoint; expected "
                f"{[tuple(part.shape) for part in parts]}. Remove the checkpoint, or continue with "
                "the models, the methods and the number of devices that wrote it."
            )
    for name, variable in variables.items():
        for part, array in zip(_parts(variable), state[name], strict=True):
            part.assign(array)


def _variables(models: Mapping[str, Any]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    known: set[int] = set()
    for model_name, model in models.items():
        metrics = [metric for metric in model.metrics if hasattr(metric, "variables")]
        everything = [
            *model.variables,  # with the states of random generators
            *model.optimizer.variables,
            *(variable for metric in metrics for variable in metric.variables),
            model.run.start,
            model.run.length,
        ]
        own = {id(variable): variable for variable in everything if id(variable) not in known}
        known |= set(own)
        for number, variable in enumerate(own.values()):
            # Not by its name: names that Keras gives to layers count up within a process.
            named[f"{model_name}/{number}"] = variable
    return named


def _parts(variable: Any) -> tuple[Any, ...]:
    """The TensorFlow variables that hold a Keras variable: one, or one for each replica."""
    value = variable.value
    return value.values if isinstance(value, tf.distribute.DistributedValues) else (value,)
