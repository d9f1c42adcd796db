"""What a method of whole batches is called with: the examples of all replicas."""

from collections.abc import Callable
from typing import Any

import keras

from kd_keras import replicas
from kd_keras.distill.step.image_views import SECOND_VIEW
from kd_keras.methods.base import Batch, ExampleLosses, Method, Outputs

_FIELDS_OF_EXAMPLES = ("labels", "ids", "inputs")  # fields of `Batch` with an entry for each


class GatheredBatch:
    """A `Batch` of all replicas' examples; only the fields that a method reads are gathered."""

    def __init__(self, own_batch: Batch):
        self._own_batch = own_batch  # of this replica

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._own_batch, name)
        if name in _FIELDS_OF_EXAMPLES and value is not None:
            value = keras.tree.map_structure(replicas.gathered, value)
        setattr(self, name, value)  # gathered once, however often it is read
        return value


def over_all_replicas(
    method: Method, call: Callable[..., ExampleLosses]
) -> Callable[..., ExampleLosses]:
    """A call of the method that is given the examples of all replicas that train together."""

    def call_with_all(**arguments: Any) -> ExampleLosses:
        if replicas.count() > 1:
            arguments = gathered_arguments(method, **arguments)
        return call(**arguments)

    return call_with_all


def gathered_outputs(outputs: Outputs, taps: tuple[str, ...]) -> Outputs:
    """The logits and these taps of all replicas' examples, in replica order; (B, …) each."""
    names = {"logits", *taps}
    names |= {f"{name}{SECOND_VIEW}" for name in names}
    return {n: replicas.gathered(value) for n, value in outputs.items() if n in names}


def gathered_arguments(
    method: Method, student: Outputs, teacher: Outputs, batch: Batch
) -> dict[str, Any]:
    """The arguments of the method's call, for all replicas' examples."""
    return {
        "student": gathered_outputs(student, method.student_taps),
        "teacher": gathered_outputs(teacher, method.teacher_taps),
        "batch": GatheredBatch(batch),
    }
