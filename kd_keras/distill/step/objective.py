"""The loss of a step: the cross-entropy and every method's loss, each with its weight."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from keras import ops

from kd_keras import losses
from kd_keras.distill.step import gathered_batch, image_views, log_names, unknown_labels
from kd_keras.distill.step.batches import Examples
from kd_keras.methods.base import Batch, Method, Outputs, Tensor
from kd_keras.methods.parts import refusals, requirements

TASK, DISTILLATION, TARGET, NONTARGET = "task", "distillation", "target", "nontarget"
#: Parts of the loss whose gradients an optimizer may take separately: the weighted cross-entropy
#: with the regularisers; the weighted losses of the methods; and the two parts of these losses.
LOSS_PARTS = (TASK, DISTILLATION, TARGET, NONTARGET)

# (student, teacher, batch) to losses per example (B,); in a `DecoupledObjective`, to two of these
MethodCall = Callable[..., Any]


class Loss(NamedTuple):
    """The terms of a batch by name, scalars; "ce" is the cross-entropy, the others are methods.

    With unknown labels, `terms["ce"]` is the mean over this replica's known ones, and
    `weighted["ce"]` this replica's part of the mean over all replicas' known ones.
    """

    terms: dict[str, Tensor]  # without their weights; "ce" is a mean over the views of an image
    weighted: dict[str, Tensor]  # with their weights; terms that are not minimised now are left out
    task: Tensor  # weighted cross-entropy and regularisers
    distillation: Tensor  # weighted losses of the methods
    parts: dict[str, Tensor]  # by names of `LOSS_PARTS`; target and nontarget only where asked for

    @property
    def total(self) -> Tensor:
        """What is minimised, a scalar."""
        return self.task + self.distillation


class MethodLosses(NamedTuple):
    """What the methods contribute to a `Loss`, scalars."""

    means: dict[str, Tensor]  # by method, without its weight
    weighted: dict[str, Tensor]  # by method that is minimised now, with its weight
    parts: dict[str, Tensor]  # sums over the methods, by names of `LOSS_PARTS`


class Stage(NamedTuple):
    """What the steps in one stage of a run compute and minimise."""

    calls: dict[str, MethodCall]  # by method's name, what gives its loss
    minimised: list[Method]  # whose losses are in the loss
    with_labels: bool  # whether the cross-entropy and regularisers are in the loss


class Objective:
    """The minimised loss: the weighted sum of the cross-entropy and every method's loss.

    Args:
        methods: the losses beside the cross-entropy.
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
        """The function that computes the method's loss from a batch as the pipeline gives it.

        A method of whole batches gets the examples of all replicas, and a method of one view the
        inputs of the first view.
        """
        call = self._loss_of(method, stage)
        if method.needs_whole_batch:
            call = gathered_batch.over_all_replicas(method, call)
        if method.views_per_image < self.views:
            call = image_views.with_first_view(call, self.views)
        return call

    def _loss_of(self, method: Method, stage: float) -> MethodCall:
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
            regularisers: losses of the student's own layers, scalars. Those of the methods' layers
                are added too.
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
        weights = 1.0  # of the examples: a scalar, or (B,)
        if examples.sample_weight is not None:
            weights = ops.cast(examples.sample_weight, "float32")
        current, known, labels = self._stages[stage], examples.known, examples.labels
        means, weighted, parts = self._method_losses(
            current, weights, student=student, teacher=teacher, batch=batch
        )
        if known is not None:
            labels = unknown_labels.unknown_as_class_0(labels, known)
        losses_by_view = [
            self.cross_entropy(labels, student[name], label_smoothing=self.label_smoothing)
            for name in image_views.LOGITS_BY_VIEW[: self.views]
        ]
        example_losses = weights * sum(losses_by_view)  # (B,)
        ce = (
            ops.mean(example_losses)
            if known is None
            else unknown_labels.mean_of_known(example_losses, known)
        )
        task = ops.zeros(())
        if current.with_labels:
            ce_in_loss = (
                ce if known is None else unknown_labels.replica_part_of_mean(example_losses, known)
            )
            weighted["ce"] = self.ce_weight * ce_in_loss
            own = [loss for method in self.methods for loss in method.losses]  # such as of peers
            own = [ops.sum(ops.cast(loss, "float32")) for loss in own]
            task = sum([*regularisers, *own], weighted["ce"])
        terms = {"ce": ce / self.views} | means
        return Loss(terms, weighted, task, parts[DISTILLATION], {TASK: task} | parts)

    def _method_losses(self, current: Stage, weights: Any, **arguments: Any) -> MethodLosses:
        """The methods' losses.

        Args:
            current: the stage that the run is in.
            weights: factors of the examples, (B,) or a scalar.
            arguments: what the methods are called with: `student`, `teacher` and `batch`.
        """
        calls, progress = current.calls.items(), arguments["batch"].progress
        means = {name: ops.mean(weights * call(**arguments)) for name, call in calls}
        weighted = {}
        for method in current.minimised:
            warmup = ops.minimum(progress / method.warmup, 1.0) if method.warmup else 1.0
            weighted[method.name] = method.weight * warmup * means[method.name]
        return MethodLosses(means, weighted, {DISTILLATION: sum(weighted.values(), ops.zeros(()))})


class DecoupledObjective(Objective):
    """For an optimizer that takes the gradients of a loss's target and nontarget parts separately.

    Raises:
        ValueError: a method's loss has no such parts.
    """

    def __init__(self, methods: Sequence[Method], **options: Any):
        refusals.require_parts(methods)
        super().__init__(methods, **options)

    def _loss_of(self, method: Method, stage: float) -> MethodCall:
        return method.parts_call

    def _method_losses(self, current: Stage, weights: Any, **arguments: Any) -> MethodLosses:
        """As `Objective`, with the sums of the target and of the nontarget parts in `parts`."""
        calls, progress = current.calls.items(), arguments["batch"].progress
        example_losses = {name: call(**arguments) for name, call in calls}  # two (B,) each
        parts = {
            name: [ops.mean(weights * part) for part in two] for name, two in example_losses.items()
        }
        means = {name: sum(both) for name, both in parts.items()}
        weighted, target, nontarget = {}, ops.zeros(()), ops.zeros(())
        for method in current.minimised:
            warmup = ops.minimum(progress / method.warmup, 1.0) if method.warmup else 1.0
            both = [method.weight * warmup * mean for mean in parts[method.name]]
            weighted[method.name] = sum(both)
            target, nontarget = target + both[0], nontarget + both[1]
        distillation = target + nontarget
        sums = {DISTILLATION: distillation, TARGET: target, NONTARGET: nontarget}
        return MethodLosses(means, weighted, sums)


def objective_class(gradient_parts: Sequence[str]) -> type[Objective]:
    """The class of the objective for an optimizer that takes these parts' gradients separately."""
    return DecoupledObjective if {TARGET, NONTARGET} & {*gradient_parts} else Objective


def _require_usable(examples: Examples, methods: Sequence[Method]) -> None:
    """Raises ValueError if a method cannot learn from such a batch."""
    if examples.mixed:
        refusals.require_mixable(methods)
    if examples.sample_weight is not None:
        refusals.require_weightable(methods)
    if examples.ids is None:
        refusals.require_no_ids(methods)
