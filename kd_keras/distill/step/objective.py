"""The loss of a step: the cross-entropy and every method's cost, each with its weight."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from keras import ops

from kd_keras import losses, replicas
from kd_keras.distill.step import gathered_batch, image_views, unknown_labels
from kd_keras.distill.step.batches import Examples
from kd_keras.methods import base
from kd_keras.methods.base import Batch, Costs, Method, Outputs, Tensor
from kd_keras.methods.parts import refusals

MethodCall = Callable[..., Any]  # (student, teacher, batch) to costs per example


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


class Stage(NamedTuple):
    """What a step computes and minimises in one stage of a run."""

    calls: dict[str, MethodCall]  # by method's name, what gives its cost, or the parts of it
    minimised: list[Method]  # whose costs are in the loss
    with_labels: bool  # whether the cross-entropy and regularisers are in the loss


class Objective:
    """The minimised loss: the weighted sum of the cross-entropy and every method's cost.

    Args:
        methods: the costs beside the cross-entropy.
        ce_weight: its factor.
        label_smoothing: share of its target that is spread over all classes.
        multi_label: whether an example may have several classes: the cross-entropy is then that of
            each class's sigmoid, and methods that need one class raise ValueError.
    """

    def __init__(
        self,
        methods: Sequence[Method],
        *,
        ce_weight: float,
        label_smoothing: float,
        multi_label: bool = False,
    ):
        if multi_label:
            refusals.require_multi_label(methods)
        self.methods = methods
        self.multi_label = multi_label
        self.cross_entropy = losses.binary_cross_entropy if multi_label else losses.cross_entropy
        self.ce_weight = ce_weight
        self.label_smoothing = label_smoothing
        self.views = base.views_per_image(methods)
        first_stages = {method.first_stage for method in methods if method.first_stage}
        #: Shares of the run at which what is minimised changes.
        self.stages = (0.0, *sorted(first_stages))
        self._in_parts = False
        self._plans = {start: self._plan(start) for start in self.stages}
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
        self._plans = {start: self._plan(start) for start in self.stages}

    def _plan(self, stage: float) -> Stage:
        """Until the last stage, methods with a first stage alone are minimised."""
        is_last = stage == self.stages[-1]
        calls: dict[str, MethodCall] = {}
        for method in self.methods:
            calls[method.name] = method
            if self._in_parts:
                calls[method.name] = method.parts_call
            elif stage < method.first_stage:
                calls[method.name] = method.first_stage_call
        minimised = [method for method in self.methods if is_last or method.first_stage]
        return Stage(calls, minimised, with_labels=is_last)

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
            refusals.require_mixable(self.methods)
        if self.views > 1:
            student = image_views.separate(student, self.views)
            teacher = image_views.separate(teacher, self.views)
        plan = self._plans[stage]
        # The mean of each term over the batch; with parts, of the target and the nontarget part.
        ce, ce_in_loss = self._cross_entropy(student, examples)
        means: dict[str, list[Tensor]] = {"ce": [ce]}
        batch = Batch(
            *(examples.labels, examples.ids, examples.inputs, progress),
            multi_label=self.multi_label,
        )
        for method in self.methods:
            arguments: dict[str, Any] = {"student": student, "teacher": teacher, "batch": batch}
            if self.views > 1 or method.needs_ids or method.whole_batch:
                arguments = self._special_arguments(method, examples, arguments)
            costs = plan.calls[method.name](**arguments)
            parts = costs if self._in_parts else (costs,)
            means[method.name] = [mean(part, examples.sample_weight) for part in parts]
        terms = {name: sum(parts_of_term) for name, parts_of_term in means.items()}
        weights = {
            m.name: m.weight * (ops.minimum(progress / m.warmup, 1.0) if m.warmup else 1.0)
            for m in plan.minimised
        }
        weighted = {name: weight * terms[name] for name, weight in weights.items()}
        task, distillation = ops.zeros(()), sum(weighted.values(), ops.zeros(()))
        if plan.with_labels:
            weighted["ce"] = self.ce_weight * ce_in_loss
            task = sum(regularisers, weighted["ce"])
        separate = _sums_of_parts(means, weights) if self._in_parts else (distillation,)
        return Loss(terms, weighted, task, distillation, (task, *separate))

    def _cross_entropy(self, student: Outputs, examples: Examples) -> tuple[Tensor, Tensor]:
        """The cross-entropy with the known labels: the term "ce", and what is minimised; scalars.

        The term is a mean over the views of an image and over this replica's examples. What is
        minimised is a sum over the views, and this replica's part of the mean over all examples.
        """
        labels, known, sample_weight = examples.labels, examples.known, examples.sample_weight
        if known is not None:
            labels = unknown_labels.unknown_as_class_0(labels, known)
        costs_by_view = [
            self.cross_entropy(labels, student[name], label_smoothing=self.label_smoothing)
            for name in image_views.LOGITS[: self.views]
        ]
        costs = sum(costs_by_view)  # (B,)
        if known is None:
            in_loss = mean(costs, sample_weight)
            return in_loss / self.views, in_loss
        in_loss = unknown_labels.part_of_mean(costs, known, sample_weight)
        return unknown_labels.mean(costs / self.views, known, sample_weight), in_loss

    def _special_arguments(
        self, method: Method, examples: Examples, arguments: dict[str, Any]
    ) -> dict[str, Any]:
        """The arguments of a method that needs ids, the whole batch, or one view of several.

        Raises ValueError if the batch lacks what it needs.
        """
        _require_usable(examples, method)
        if self.views > 1 and method.views_per_image == 1:
            first_view = dataclasses.replace(
                arguments["batch"], inputs=examples.inputs[:: self.views]
            )
            arguments = arguments | {"batch": first_view}
        if method.whole_batch and replicas.count() > 1:
            arguments = gathered_batch.gathered_arguments(method, **arguments)
        return arguments


def _sums_of_parts(parts: dict[str, list[Tensor]], weights: dict[str, Any]) -> list[Tensor]:
    """The weighted sum of the methods' target parts, and that of their nontarget parts."""
    return [
        sum((weight * parts[name][place] for name, weight in weights.items()), ops.zeros(()))
        for place in (0, 1)
    ]


def require_parts(methods: Sequence[Method]) -> None:
    """Raises ValueError if a method's cost has no target and nontarget parts."""
    without_parts = [m.name for m in methods if type(m).parts_call is Method.parts_call]
    if without_parts:
        raise ValueError(
            "the optimizer takes separate gradients of target and nontarget parts, and methods "
            f"{without_parts} have none; expected dkd alone. Use it, or a different optimizer."
        )


def mean(values: Tensor, sample_weight: Tensor | None, *, may_be_empty: bool = False) -> Tensor:
    """Mean over the examples of the weighted values: Keras's "sum over batch size".

    Args:
        values: (B,) float32.
        sample_weight: (B,), or None for 1 each.
        may_be_empty: whether B may be 0, as of a replica's part of a validation batch; then 0.
    """
    if sample_weight is not None:
        values = values * ops.cast(sample_weight, "float32")
    if may_be_empty:
        return ops.sum(values) / ops.maximum(ops.cast(ops.size(values), "float32"), 1.0)
    return ops.mean(values)


def _require_usable(examples: Examples, method: Method) -> None:
    """Raises ValueError if the method cannot learn from such a batch."""
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
