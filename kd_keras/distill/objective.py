"""The loss of a step: cross-entropy and every method's cost, with the weights of the moment."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kd_keras import losses, replicas
from kd_keras.distill.batches import Examples
from kd_keras.methods import base
from kd_keras.methods.base import Batch, Method, Outputs

Tensor = Any
SECOND_VIEW = "_view2"


class Objective:
    """What is minimised, as named terms; "ce" is the cross-entropy on the labels.

    Args:
        methods: the costs beside the cross-entropy.
        ce_weight: its factor.
        label_smoothing: share of its target that is spread over all classes.
    """

    def __init__(self, methods: Sequence[Method], *, ce_weight: float, label_smoothing: float):
        self.methods = methods
        self.ce_weight = ce_weight
        self.label_smoothing = label_smoothing
        self.views = base.views_per_image(methods)
        first_stages = {method.first_stage for method in methods if method.first_stage}
        #: Shares of the run at which what is minimised changes.
        self.stages = (0.0, *sorted(first_stages))
        names = [method.name for method in methods]
        if len({*names, "ce", "loss"}) < len(names) + 2:
            raise ValueError(
                f"methods are called {names}; expected names that differ from each other and from "
                "'ce' and 'loss'. Give each a name=."
            )

    def check(self, examples: Examples) -> None:
        """Raises ValueError where a method cannot work on such batches; runs when traced."""
        for method in self.methods:
            if method.needs_ids and examples.ids is None:
                raise ValueError(
                    f"{method.name} needs each example's id; expected batches ({{'inputs': …, "
                    "'id': …}, labels). kd_keras.data.pipeline gives them."
                )
            if method.whole_batch and examples.sample_weight is not None:
                raise ValueError(
                    f"{method.name} relates the examples of a batch to each other, so sample and "
                    "class weights have no meaning for it. Leave them out or choose another method."
                )
        shape = tuple(examples.inputs.shape) if self.views > 1 else ()
        if self.views > 1 and (len(shape) != 5 or shape[1] != self.views):
            raise ValueError(
                f"inputs have shape {shape}; expected (B, {self.views}, H, W, C), {self.views} "
                "views of each image. Set views_per_image in the pipeline."
            )

    def terms(
        self,
        student: Outputs,
        teacher: Outputs,
        examples: Examples,
        progress: Tensor,
        *,
        stage: float = 0.0,
    ) -> dict[str, Tensor]:
        """Each term's mean over the batch, without its weight, by name; scalars.

        `stage` is the one of `stages` that the run is in.
        """
        student, teacher = self._by_view(student), self._by_view(teacher)
        terms = {"ce": mean(self.cross_entropy(student, examples.labels), examples.sample_weight)}
        for method in self.methods:
            one_view = self.views > 1 and method.views_per_image == 1
            inputs = examples.inputs[:, 0] if one_view else examples.inputs
            batch = Batch(examples.labels, examples.ids, inputs, progress)
            seen = student, teacher, batch
            if method.whole_batch and replicas.count() > 1:
                seen = _gathered(method, *seen)
            cost = method.first_stage_call if stage < method.first_stage else method
            values = cost(student=seen[0], teacher=seen[1], batch=seen[2])
            terms[method.name] = mean(values, examples.sample_weight)
        return terms

    def weights(self, progress: Tensor, *, stage: float = 0.0) -> dict[str, Tensor]:
        """Each term's factor at this point of the run; terms left out are not minimised."""
        preparing = stage < self.stages[-1]
        weights: dict[str, Tensor] = {} if preparing else {"ce": self.ce_weight}
        for method in self.methods:
            if method.first_stage or not preparing:
                warm = ops.minimum(progress / method.warmup, 1.0) if method.warmup else 1.0
                weights[method.name] = method.weight * warm
        return weights

    def cross_entropy(self, student: Outputs, labels: Tensor) -> Tensor:
        """(B,) nats; with several views of an image, summed over them."""
        views = [value for name, value in student.items() if name in _LOGITS_OF_VIEWS]
        smoothing = self.label_smoothing
        return sum(losses.cross_entropy(labels, v, label_smoothing=smoothing) for v in views)

    def _by_view(self, outputs: Outputs) -> Outputs:
        if self.views == 1:
            return outputs
        first = {name: value[:: self.views] for name, value in outputs.items()}
        return first | {f"{n}{SECOND_VIEW}": v[1 :: self.views] for n, v in outputs.items()}


_LOGITS_OF_VIEWS = ("logits", f"logits{SECOND_VIEW}")


def mean(values: Tensor, sample_weight: Tensor | None) -> Tensor:
    """Mean over the examples of the weighted values: Keras's "sum over batch size"."""
    if sample_weight is not None:
        values = values * ops.cast(sample_weight, "float32")
    if replicas.count() > 1:  # a replica's part of a validation batch may be empty
        return ops.sum(values) / ops.maximum(ops.cast(ops.size(values), "float32"), 1.0)
    return ops.mean(values)


class _WholeBatch:
    """A `Batch` of all replicas' examples; what a method reads of it is gathered, nothing else."""

    def __init__(self, own: Batch):
        self._own = own

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._own, name)
        if name in _OF_EXAMPLES and value is not None:
            value = keras.tree.map_structure(replicas.gathered, value)
        setattr(self, name, value)  # gathered once, however often it is read
        return value


_OF_EXAMPLES = ("labels", "ids", "inputs")  # parts of a `Batch` with an entry for each example


def _gathered(
    method: Method, student: Outputs, teacher: Outputs, batch: Batch
) -> tuple[Outputs, Outputs, Any]:
    """What the method reads of the same for all replicas' examples, in replica order."""

    def whole(outputs: Outputs, names: tuple[str, ...]) -> Outputs:
        read = {"logits", *names}
        read |= {f"{name}{SECOND_VIEW}" for name in read}
        return {n: replicas.gathered(value) for n, value in outputs.items() if n in read}

    return (
        whole(student, method.student_taps),
        whole(teacher, method.teacher_taps),
        _WholeBatch(batch),
    )
