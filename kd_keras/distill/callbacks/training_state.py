"""The state of a training as arrays: weights, optimizer, metrics, random generators."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kd_keras.distill import machines
from kd_keras.distill.callbacks.checkpoint_files import State


def read(models: Mapping[str, Any]) -> State:
    """The state of Distillers after a step; of several processes, all read it at the same step.

    Args:
        models: Distillers by name, with an optimizer that is built.
    """
    variables, strategy = _variables(models), _strategy(models)
    state = {name: [value.numpy() for value in _replica_values(v)] for name, v in variables.items()}
    if machines.num_processes(strategy) == 1:
        return state
    own_names = [name for name, variable in variables.items() if _differs(variable)]
    rows = zip(*(state[name] for name in own_names), strict=True)
    vectors = machines.gather_rows(strategy, np.array([_join(row) for row in rows]))
    by_replica = [_split(vector, [state[name][0] for name in own_names]) for vector in vectors]
    all_values = dict(zip(own_names, map(list, zip(*by_replica, strict=True)), strict=True))
    return {name: all_values.get(name, values[:1]) for name, values in state.items()}


def restore(models: Mapping[str, Any], state: Mapping[str, list[np.ndarray]]) -> None:
    """Assigns a state that `read` gave to Distillers that were made in the same way.

    Entries of other models are ignored, so models that were trained side by side can go on alone.

    Args:
        models: Distillers by name, with an optimizer that is built.
        state: arrays of each variable by name; one array, or one for each replica.

    Raises:
        ValueError: the state lacks a variable of the Distillers, or has it in another shape.
    """
    variables, strategy = _variables(models), _strategy(models)
    for name, variable in variables.items():
        arrays = _own_values(state.get(name, []), variable, strategy)
        replica_values = _replica_values(variable)
        if [array.shape for array in arrays] != [tuple(value.shape) for value in replica_values]:
            shapes = [array.shape for array in arrays] or "missing"
            raise ValueError(
                f"variable {name!r} is {shapes} in the checkpoint; expected "
                f"{[tuple(value.shape) for value in replica_values]}. Remove the checkpoint, or "
                "continue with the models, the methods and the number of devices that wrote it."
            )
    for name, variable in variables.items():
        for replica_value, array in zip(
            _replica_values(variable), _own_values(state[name], variable, strategy), strict=True
        ):
            replica_value.assign(array)


def _variables(models: Mapping[str, Any]) -> dict[str, Any]:
    variables_by_name: dict[str, Any] = {}
    known_ids: set[int] = set()
    for model_name, model in models.items():
        metrics = [metric for metric in model.metrics if hasattr(metric, "variables")]
        all_variables = [
            *model.variables,  # with the states of random generators
            *model.optimizer.variables,
            *(variable for metric in metrics for variable in metric.variables),
            model.run.start,  # its length is that of the fit, which may have more epochs now
            *model.kept_weights,
        ]
        own_variables = {
            id(variable): variable for variable in all_variables if id(variable) not in known_ids
        }
        known_ids |= set(own_variables)
        for number, variable in enumerate(own_variables.values()):
            # Not by its name: names that Keras gives to layers count up within a process.
            variables_by_name[f"{model_name}/{number}"] = variable
    return variables_by_name


def _replica_values(variable: Any) -> tuple[Any, ...]:
    """The TensorFlow variables that hold a Keras variable: one, or one for each replica."""
    value = variable.value
    return value.values if isinstance(value, tf.distribute.DistributedValues) else (value,)


def _strategy(models: Mapping[str, Any]) -> tf.distribute.Strategy:
    return next(iter(models.values())).distribute_strategy


def _differs(variable: Any) -> bool:
    """Whether each replica has a value of its own, such as a metric's sum."""
    synchronization = getattr(variable.value, "synchronization", None)
    return bool(synchronization == tf.VariableSynchronization.ON_READ)


def _own_values(
    arrays: list[np.ndarray], variable: Any, strategy: tf.distribute.Strategy
) -> list[np.ndarray]:
    """A variable's arrays in a checkpoint that belong to this process's replicas."""
    replicas = machines.own_replicas(strategy)
    if len(arrays) == 1 and not _differs(variable):
        return arrays * len(replicas)
    is_whole = len(arrays) == strategy.num_replicas_in_sync
    return [arrays[replica] for replica in replicas] if is_whole else arrays


def _join(arrays: Iterable[np.ndarray]) -> np.ndarray:
    """One float64 vector, which holds every number of a metric exactly."""
    return np.concatenate([np.ravel(array).astype(np.float64) for array in arrays])


def _split(vector: np.ndarray, like: Sequence[np.ndarray]) -> list[np.ndarray]:
    """What `_join` joined, with the shapes and dtypes of `like`."""
    ends = np.cumsum([array.size for array in like])[:-1]
    pieces = zip(np.split(vector, ends), like, strict=True)
    return [piece.reshape(array.shape).astype(array.dtype) for piece, array in pieces]
