"""The loss of a step: the cross-entropy and every method's cost, each with its weight."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from keras import ops

from kd_keras import losses
from kd_keras.distill.step import gathered_batch, image_views, log_names, unknown_labels
from kd_keras.distill.step.batches import Examples
from kd_keras.methods.base import Batch, Costs, Method, Outputs, Tensor
from kd_keras.methods.parts import refusals, requirements

TASK, DISTILLATION, TARGET, NONTARGET = "task", "distillation", "target", "nontarget"
#: Parts of the loss whose gradients an optimizer may take separately: the weighted cross-entropy
#: with the regularisers; the weighted costs of the methods; and the two parts of these costs.
LOSS_PARTS = (TASK, DISTILLATION, TARGET, NONTARGET)

# (student, teacher, batch) to costs per example: (B,), or (2, B) in a `DecoupledObjective`
MethodCall = Callable[..., Costs]


class Loss(NamedTuple):
    """The terms of a batch by name, scalars; "ce" is the cross-entropy, the others are methods.

    With unknown labels, `terms["ce"]` is the mean over this replica's known ones, and
    `weighted["ce"]` this replica's part of the mean over all replicas' known ones.
    """

    terms: dict[str, Costs]  # without their weights; "ce" is a mean over the views of an image
    weighted: dict[str, Costs]  # with their weights; terms that are not minimised now are left out
    task: Tensor  # scalar: weighted cross-entropy and regularisers
    distillation: Tensor  # scalar: weighted costs of the methods
    parts: dict[str, Tensor]  # by names of `LOSS_PARTS`, scalars; without target and nontarget
    # where no optimizer takes their gradients


class Stage(NamedTuple):
    """What the steps in one stage of a run compute and minimise."""

    calls: dict[str, MethodCall]  # by method's name, what gives its cost
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
        self.views = requirements.views_per_image(methods)
        first_stages = {method.first_stage for method in methods if method.first_stage}
        #: Shares of the run at which what is minimised changes.
        self.stages = (0.0, *sorted(first_stages))
        self._id_users = [method.name for method in methods if method.needs_ids]
        self._stages = {start: self._stage(start) for start in self.stages}
        log_names.require_method_names([method.name for method in methods])

    def _stage(self, start: float) -> Stage:
        """The stage that begins there; before the last one, first stages alone are minimised."""
        is_last = start == self.stages[-1]
        minimised = [method for method in self.methods if is_last or method.first_stage]
        calls = {method.name: self._call_of(method, start) for method in self.methods}
        return Stage(calls, minimised, with_labels=is_last)

    def _call_of(self, method: Method, stage: float) -> MethodCall:
        """The function that computes the method's cost from a batch as the pipeline gives it.

        A method of whole batches gets the examples of all replicas, and a method of one view the
        inputs of the first view.
        """
        call = self._cost_of(method, stage)
        if method.whole_batch:
            call = gathered_batch.over_all_replicas(method, call)
        if method.views_per_image < self.views:
            call = image_views.with_first_view(call, self.views)
        return call

    def _cost_of(self, method: Method, stage: float) -> MethodCall:
        return method.first_stage_call if stage < method.first_stage else method

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
        lacks_ids = self._id_users and examples.ids is None
        if examples.mixed or examples.sample_weight is not None or lacks_ids:
            _require_usable(examples, self.methods)
        if self.views > 1:
            student = image_views.separate(student, self.views)
            teacher = image_views.separate(teacher, self.views)
        batch = Batch(
            labels=examples.labels,
            ids=examples.ids,
            inputs=examples.inputs,
            progress=progress,
            multi_label=self.multi_label,
        )
        current = self._stages[stage]
        means = {}  # of each method's cost over the batch
        for name, call in current.calls.items():
            costs = call(student=student, teacher=teacher, batch=batch)
            means[name] = mean_over_examples(costs, examples.sample_weight)
        weighted = {}
        for method in current.minimised:
            warmup = ops.minimum(progress / method.warmup, 1.0) if method.warmup else 1.0
            weighted[method.name] = method.weight * warmup * means[method.name]
        distillation = sum(weighted.values(), ops.zeros(()))
        ce, ce_in_loss = self._cross_entropy(student, examples)
        task = ops.zeros(())
        if current.with_labels:
            weighted["ce"] = self.ce_weight * ce_in_loss
            task = sum(regularisers, weighted["ce"])
        return Loss(
            {"ce": ce} | means,
            weighted,
            task,
            distillation,
            {TASK: task, DISTILLATION: distillation},
        )

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
            for name in image_views.LOGITS_BY_VIEW[: self.views]
        ]
        costs = sum(costs_by_view)  # (B,)
        if known is None:
            in_loss = mean_over_examples(costs, sample_weight)
            return in_loss / self.views, in_loss
        in_loss = unknown_labels.part_of_mean(costs, known, sample_weight)
        return unknown_labels.mean_of_known(costs / self.views, known, sample_weight), in_loss


class DecoupledObjective(Objective):
    """For an optimizer that takes the gradients of a cost's target and nontarget parts separately.

    Raises:
        ValueError: a method's cost has no such parts.
    """

    def __init__(self, methods: Sequence[Method], **options: Any):
        refusals.require_parts(methods)
        super().__init__(methods, **options)

    def _cost_of(self, method: Method, stage: float) -> MethodCall:
        return lambda **arguments: ops.stack(method.parts_call(**arguments))  # (2, B)

    def __call__(self, *args: Any, **kwargs: Any) -> Loss:
        """As `Objective`, with the target and the nontarget part of the costs in `parts`."""
        loss = super().__call__(*args, **kwargs)
        costs = ops.broadcast_to(loss.distillation, (2,))  # a scalar 0 without methods
        target, nontarget = ops.unstack(costs, 2)
        distillation = ops.sum(costs)
        parts = {DISTILLATION: distillation, TARGET: target, NONTARGET: nontarget}
        return loss._replace(
            # The mean of a cost in two parts is (2,).
            terms={name: ops.sum(value) for name, value in loss.terms.items()},
            weighted={name: ops.sum(value) for name, value in loss.weighted.items()},
            distillation=distillation,
            parts=loss.parts | parts,
        )


def kind_for(gradient_parts: Sequence[str]) -> type[Objective]:
    """The class of the objective for an optimizer that takes these parts' gradients separately."""
    return DecoupledObjective if {TARGET, NONTARGET} & {*gradient_parts} else Objective


def mean_over_examples(
    values: Tensor, sample_weight: Tensor | None, *, may_be_empty: bool = False
) -> Tensor:
    """Mean over the examples of the weighted values: Keras's "sum over batch size".

    Args:
        values: (..., B) float32.
        sample_weight: (B,), or None for 1 each.
        may_be_empty: whether B may be 0; the mean is then 0. A replica's part of a validation batch
            may have no example.

    Returns:
        (...) float32.
    """
    if sample_weight is not None:
        values = values * ops.cast(sample_weight, "float32")
    if may_be_empty:
        num_examples = ops.cast(ops.shape(values)[-1], "float32")
        return ops.sum(values, axis=-1) / ops.maximum(num_examples, 1.0)
    return ops.mean(values, axis=-1)


def _require_usable(examples: Examples, methods: Sequence[Method]) -> None:
    """Raises ValueError if a method cannot learn from such a batch."""
    if examples.mixed:
        refusals.require_mixable(methods)
    if examples.sample_weight is not None:
        refusals.require_weightable(methods)
    if examples.ids is None:
        refusals.require_no_ids(methods)
