"""The loss of a step: the cross-entropy and every method's cost, each with its weight."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from kd_keras import losses, replicas
from kd_keras.distill import unknown_labels
from kd_keras.distill.batches import Examples
from kd_keras.methods import base
from kd_keras.methods.base import Batch, Costs, Method, Outputs, Tensor

SECOND_VIEW = "_view2"


class Loss(NamedTuple):
    """The terms of a batch by name, scalars; "ce" is the cross-entropy, the others are methods.

    With unknown labels, `terms["ce"]` is the mean over this replica's known ones, and
    `weighted["ce"]` this replica's part of the mean over all replicas' known ones.
    """

    terms: dict[str, Costs]  # without their weights; "ce" is a mean over the views of an image
    weighted: dict[str, Costs]  # with their weights; terms that are not minimised now are left out
    task: Tensor  # scalar: weighted cross-entropy and regularisers
    distillation: Tensor  # scalar: weighted costs of the methods
    gradients_of: tuple[Tensor, ...]  # scalars of which the optimizer takes separate gradients


class Objective:
    """The minimised loss: the weighted sum of the cross-entropy and every method's cost.

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
        self._in_parts = False
        names = [method.name for method in methods]
        if len({*names, "ce", "loss"}) < len(names) + 2:
            raise ValueError(
                f"methods are called {names}; expected names that differ from each other and from "
                "'ce' and 'loss'. Give each a name=."
            )

    def separate_parts(self, in_parts: bool) -> None:
        """Sets whether target and nontarget parts of the methods' costs get separate gradients.

        Raises:
            ValueError: a method's cost has no such parts.
        """
        if in_parts:
            require_parts(self.methods)
        self._in_parts = in_parts

    def __call__(
        self,
        student: Outputs,
        teacher: Outputs,
        examples: Examples,
        progress: Tensor,
        *,
        regularisers: Sequence[Tensor] = (),
        stage: float = 0.0,
    ) -> Loss:
        """The terms of a batch; each is a mean over its examples.

        The cross-entropies of several views are added in the loss; the term "ce" is their mean.

        Args:
            student: "logits" (B, C) and the taps that the methods read, float32; B counts views.
            teacher: the same of the teacher; empty where no method has one.
            examples: the batch.
            progress: share of the run that is done, scalar, 0 to 1.
            regularisers: losses of the student's own layers, scalars.
            stage: the one of `stages` that the run is in.

        Raises:
            ValueError: a method cannot work on such batches.
        """
        if examples.mixed:
            base.require_mixable(self.methods)
        if self.views > 1:
            student, teacher = self._by_view(student), self._by_view(teacher)
        views = [student[name] for name in _LOGITS_OF_VIEWS if name in student]
        labels, known, sample_weight = examples.labels, examples.known, examples.sample_weight
        if known is not None:
            labels = unknown_labels.with_any_class(labels, known)
        costs = [
            losses.cross_entropy(labels, v, label_smoothing=self.label_smoothing) for v in views
        ]
        cross_entropy = sum(costs[1:], costs[0])
        if known is None:
            in_loss = mean(cross_entropy, sample_weight)
            terms = {"ce": in_loss / len(views)}
        else:
            in_loss = unknown_labels.part_of_mean(cross_entropy, known, sample_weight)
            terms = {"ce": unknown_labels.mean(cross_entropy / len(views), known, sample_weight)}
        # While a method is in its first stage, nothing but the methods with a first stage counts.
        preparing = stage < self.stages[-1]
        weighted: dict[str, Costs] = {}
        task = distillation = target = nontarget = ops.zeros(())
        if not preparing:
            weighted["ce"] = self.ce_weight * in_loss
            task = sum(regularisers, weighted["ce"])
        for method in self.methods:
            if method.whole_batch or method.needs_ids:
                _check(method, examples)
            one_view = self.views > 1 and method.views_per_image == 1
            inputs = examples.inputs[:, 0] if one_view else examples.inputs
            batch = Batch(examples.labels, examples.ids, inputs, progress)
            arguments: dict[str, Any] = {"student": student, "teacher": teacher, "batch": batch}
            if method.whole_batch and replicas.count() > 1:
                arguments = _gathered(method, student, teacher, batch)
            if self._in_parts:
                parts = [mean(c, sample_weight) for c in method.parts_call(**arguments)]
                terms[method.name] = parts[0] + parts[1]
            else:
                cost = method.first_stage_call if stage < method.first_stage else method
                terms[method.name] = mean(cost(**arguments), sample_weight)
            if method.first_stage or not preparing:
                warm = ops.minimum(progress / method.warmup, 1.0) if method.warmup else 1.0
                weight = method.weight * warm
                weighted[method.name] = weight * terms[method.name]
                distillation += weighted[method.name]
                if self._in_parts:
                    target, nontarget = target + weight * parts[0], nontarget + weight * parts[1]
        separate = (target, nontarget) if self._in_parts else (distillation,)
        return Loss(terms, weighted, task, distillation, (task, *separate))

    def _by_view(self, outputs: Outputs) -> Outputs:
        first = {name: value[:: self.views] for name, value in outputs.items()}
        return first | {f"{n}{SECOND_VIEW}": v[1 :: self.views] for n, v in outputs.items()}


def require_parts(methods: Sequence[Method]) -> None:
    """Raises ValueError if a method's cost has no target and nontarget parts."""
    whole = [method.name for method in methods if type(method).parts_call is Method.parts_call]
    if whole:
        raise ValueError(
            "the optimizer takes separate gradients of target and nontarget parts, and methods "
            f"{whole} have none; expected dkd alone. Use it, or a different optimizer."
        )


_LOGITS_OF_VIEWS = ("logits", f"logits{SECOND_VIEW}")


def mean(values: Tensor, sample_weight: Tensor | None) -> Tensor:
    """Mean over the examples of the weighted values: Keras's "sum over batch size"."""
    if sample_weight is not None:
        values = values * ops.cast(sample_weight, "float32")
    if replicas.count() > 1:  # a replica's part of a validation batch may be empty
        return ops.sum(values) / ops.maximum(ops.cast(ops.size(values), "float32"), 1.0)
    return ops.mean(values)


def _check(method: Method, examples: Examples) -> None:
    """Raises ValueError if a method cannot use such batches."""
    if method.needs_ids and examples.ids is None:
        raise ValueError(
            f"{method.name} needs each example's id; expected batches ({{'inputs': …, 'id': …}}, "
            "labels). kd_keras.data.pipeline gives them."
        )
    if method.whole_batch and examples.sample_weight is not None:
        raise ValueError(
            f"{method.name} relates the examples of a batch to each other, so sample and class "
            "weights have no meaning for it. Leave them out or choose another method."
        )


class _GatheredBatch:
    """A `Batch` of all replicas' examples; only the fields that a method reads are gathered."""

    def __init__(self, own: Batch):
        self._own = own

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._own, name)
        if name in _OF_EXAMPLES and value is not None:
            value = keras.tree.map_structure(replicas.gathered, value)
        setattr(self, name, value)  # gathered once, however often it is read
        return value


_OF_EXAMPLES = ("labels", "ids", "inputs")  # parts of a `Batch` with an entry for each example


def _gathered(method: Method, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Any]:
    """The arguments of the method, for all replicas' examples in replica order."""

    def whole(outputs: Outputs, names: tuple[str, ...]) -> Outputs:
        read = {"logits", *names}
        read |= {f"{name}{SECOND_VIEW}" for name in read}
        return {n: replicas.gathered(value) for n, value in outputs.items() if n in read}

    return {
        "student": whole(student, method.student_taps),
        "teacher": whole(teacher, method.teacher_taps),
        "batch": _GatheredBatch(batch),
    }
