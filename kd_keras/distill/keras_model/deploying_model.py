"""A model in training whose calls, exports and validation use the deployed model."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from kd_keras import check, replicas
from kd_keras.distill.checks import model_checks
from kd_keras.distill.keras_model.checked_model import CheckedModel
from kd_keras.distill.step import (
    batches,
    metrics,
    objective,
    split_batch,
    unknown_labels,
    validation,
)
from kd_keras.graph import taps, twins
from kd_keras.graph.untracked import Untracked
from kd_keras.methods.base import Method
from kd_keras.methods.parts import requirements
from kd_keras.tensor_types import Logits, Logs, Outputs, Tensor


class DeployingModel(CheckedModel):
    """Calls, exports and validates the deployed model: the student, or what a method makes of it.

    Args:
        student, methods, twin, label_mode, name: see `CheckedModel`.
        ce_weight, label_smoothing, validate_teacher: see `Distiller`.
    """

    def __init__(
        self,
        student: keras.Model,
        methods: Sequence[Method],
        *,
        ce_weight: float | None,
        label_smoothing: float,
        validate_teacher: bool,
        **options: Any,
    ):
        super().__init__(student, methods, **options)
        if ce_weight is None:
            ce_weight = methods[0].ce_weight if methods else 1.0
        self.ce_weight = check.number("ce_weight", ce_weight, at_least=0)
        self.label_smoothing = check.number(
            "label_smoothing", label_smoothing, at_least=0, at_most=1
        )
        self.validate_teacher = check.one_of("validate_teacher", validate_teacher, (True, False))
        self._needs_teacher = not all(method.teacher_free for method in methods)
        self._reads_logits = bool(requirements.logit_users(methods)) or not self._needs_teacher
        self._objective = self._make_objective(objective.Objective)
        #: Progress values, rising from 0, at which the minimised loss changes.
        self.stages = self._objective.stages
        #: Augmented views of each image that a batch must hold.
        self.views_per_image = self._objective.views
        self._diagnostics = metrics.Diagnostics(
            ["ce", *(method.name for method in methods)],
            teacher=self._needs_teacher and self._reads_logits and not self.multi_label,
            trains_deployed=requirements.deploy_student(methods),
        )
        self._untracked = Untracked(teacher=None, deployed=None, evaluated=None, kept_weights=[])

    def _make_objective(self, kind: type[objective.Objective]) -> objective.Objective:
        return kind(
            self.methods,
            ce_weight=self.ce_weight,
            label_smoothing=self.label_smoothing,
            multi_label=self.multi_label,
        )

    def teacher_outputs(self, inputs: Any) -> Outputs:
        """What the methods read of the teacher, for inputs (B, ...); empty if none reads it.

        Raises ValueError if there is no teacher model.
        """
        if not self._needs_teacher:
            return {}
        if self._untracked.teacher is None:
            model_checks.require_some_teacher(None, self.methods)
        outputs: Outputs = self._untracked.teacher(inputs)
        return outputs

    @property
    def deployed(self) -> keras.Model:
        """The model that is evaluated and exported: the student, or what a method makes of it."""
        if self._untracked.deployed is None:
            models = [method.deployed(self.student) for method in self.methods]
            new_models = [model for model in models if model is not self.student]
            self._untracked.deployed = new_models[0] if new_models else self.student
        return self._untracked.deployed

    def _build_methods(self, teacher: keras.Model | None, teacher_shapes: dict[str, Any]) -> None:
        for method in self.methods:
            method.build_for(self._twin.shapes, teacher_shapes)
            method.attach(self.student, teacher)
            replicas.synchronize(method)

    @property
    def kept_weights(self) -> Sequence[keras.Variable]:
        """What `keep_weights` kept, which a checkpoint saves too; empty before."""
        copy: list[keras.Variable] = self._untracked.kept_weights
        return copy

    def keep_weights(self) -> None:
        """Keeps a copy of all weights as they are, of methods too, for `restore_weights`."""
        if self.kept_weights:
            for copy, weight in zip(self.kept_weights, self.weights, strict=True):
                copy.assign(weight)
            return
        with self.distribute_strategy.scope():
            self._untracked.kept_weights = [
                keras.Variable(keras.ops.convert_to_numpy(weight), dtype=weight.dtype, name="kept")
                for weight in self.weights
            ]

    def restore_weights(self) -> None:
        """Gives all weights the values that `keep_weights` kept."""
        for copy, weight in zip(self.kept_weights, self.weights, strict=True):
            weight.assign(copy)
        optimizer: Any = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        if optimizer.use_ema:  # or the averages of the last step would take their place
            averages = optimizer._model_variables_moving_average
            for average, weight in zip(averages, optimizer._trainable_variables, strict=True):
                average.assign(weight)

    def call(self, inputs: Any, training: bool | None = None) -> Tensor:
        return taps.logits_of(self.deployed(batches.model_inputs(inputs), training=training))

    def export(self, *args: Any, **kwargs: Any) -> None:
        """As `keras.Model.export`, for the deployed model."""
        self.deployed.export(*args, **kwargs)

    def make_test_function(self, force: bool = False) -> None:
        self._evaluated_twin()  # replicas could not, within a step
        super().make_test_function(force)

    @replicas.after_data
    def test_step(self, data: Any) -> Logs:
        """Cross-entropy and metrics of the deployed model; more with `validate_teacher`."""
        examples = batches.unpack(data, ignore_class=self.ignore_class)
        logits = split_batch.run_on_any(self._evaluated_outputs, examples.inputs)[taps.LOGITS]
        loss, counts = self._cross_entropy(examples, logits)
        terms = {"ce": loss}
        if self._validates_methods:
            teacher = examples.teacher
            teacher = teacher or split_batch.run_on_any(self.teacher_outputs, examples.inputs)
            student = split_batch.run_on_any(self._student_outputs, examples.inputs)
            terms |= validation.losses(
                self.methods, student, teacher, examples, multi_label=self.multi_label
            )
            if taps.LOGITS in teacher:
                self._diagnostics.update_agreement(logits, teacher[taps.LOGITS])
        count = tf.shape(examples.labels)[0]
        self._diagnostics.update(loss, terms, {}, count=count, counts=counts)
        self._update_compiled_metrics(examples, logits)
        return self.get_metrics_result()

    def _update_metrics(
        self, examples: batches.Examples, student: Outputs, teacher: Outputs, loss: objective.Loss
    ) -> None:
        """Adds a batch of the training."""
        counts = (
            {} if examples.known is None else {"ce": unknown_labels.count_known(examples.known)}
        )
        count = tf.shape(examples.labels)[0]
        self._diagnostics.update(loss.total, loss.terms, loss.weighted, count=count, counts=counts)
        if not self._diagnostics.trains_deployed:  # accuracy would be that of another model
            return
        logits = student[taps.LOGITS][:: self._objective.views]
        if taps.LOGITS in teacher:
            teacher_logits = teacher[taps.LOGITS][:: self._objective.views]
            self._diagnostics.update_agreement(logits, teacher_logits)
        self._update_compiled_metrics(examples, logits)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        others = [metric for metric in super().metrics if metric is not self._loss_tracker]
        return [*self._diagnostics.all_metrics(), *others]

    def get_metrics_result(self) -> Logs:
        """The results of the metrics that this phase updates; Keras logs them.

        Those that need labels are NaN while all labels so far are unknown.
        """
        diagnostics, compiled = self._diagnostics, self._compile_metrics
        if self.evaluating:
            with_loss = validation.reported(self.methods) if self._validates_methods else []
            logged = diagnostics.in_evaluation(
                teacher=self._validates_methods, methods=[method.name for method in with_loss]
            )
        else:
            logged = diagnostics.in_training(labels=self.trained_with_labels)
        of_others = self.metrics[len(diagnostics.all_metrics()) :]  # compiled, or of layers
        if not self.evaluating and not (diagnostics.trains_deployed and self.trained_with_labels):
            of_others = [metric for metric in of_others if metric is not compiled]
        logs = metrics.results([*logged, *of_others])
        if self.ignore_class is None:
            return logs
        any_known = self._diagnostics.terms["ce"].count > 0
        return unknown_labels.nan_unless(any_known, logs, self._names_of_labels())

    @property
    def no_label_known(self) -> bool:
        """Whether all labels of the epoch or evaluation so far are unknown."""
        if self.ignore_class is None:
            return False
        return float(keras.ops.convert_to_numpy(self._diagnostics.terms["ce"].count)) == 0

    def _names_of_labels(self) -> set[str]:
        """Names of the logs of this phase that need labels."""
        names = {"ce", "loss"} if self.evaluating else {"ce", "ce_share"}
        compiled = self._compile_metrics
        return names if compiled is None else names | set(metrics.results([compiled]))

    def _get_metrics_result_or_logs(self, logs: Logs) -> Logs:
        """The logs of an epoch or evaluation; see `leave_out_unknown`."""
        return self.leave_out_unknown(super()._get_metrics_result_or_logs(logs))

    def leave_out_unknown(self, logs: Logs) -> Logs:
        """The logs, without those that need labels if all labels were unknown.

        Only the end shows whether a label is known: a generator or dataset is read once. A warning
        says what an evaluation leaves out.
        """
        if not self.no_label_known or not (self.evaluating or self.trained_with_labels):
            return logs
        names = self._names_of_labels()
        if self.evaluating:
            unknown_labels.warn_of_evaluation(names)
        return {name: value for name, value in logs.items() if name not in names}

    def _flatten_metrics_in_order(self, logs: Logs) -> Any:
        """As Keras's, a list; with NaN in the place of what `leave_out_unknown` left out."""
        if self.evaluating and self.no_label_known:
            logs = dict.fromkeys(self._names_of_labels(), math.nan) | logs
        return super()._flatten_metrics_in_order(logs)

    @property
    def _validates_methods(self) -> bool:
        lacks_teacher = self._needs_teacher and self._untracked.teacher is None
        return self.validate_teacher and not lacks_teacher

    def _evaluated_twin(self) -> twins.Twin:
        """The deployed model with folded batch norms."""
        if self._untracked.evaluated is None:
            with tf.init_scope():
                self._untracked.evaluated = twins.Twin(
                    self.deployed, folded=True, before_softmax=True
                )
        twin: twins.Twin = self._untracked.evaluated
        return twin

    def _evaluated_outputs(self, inputs: Any) -> dict[str, Tensor]:
        return self._evaluated_twin()(inputs, training=False)[0]

    def _student_outputs(self, inputs: Any) -> dict[str, Tensor]:
        return self._twin(inputs, training=False)[0]

    def _cross_entropy(
        self, examples: batches.Examples, logits: Logits
    ) -> tuple[Tensor, dict[str, Tensor] | None]:
        """The mean over the examples with a known label; with unknown ones, also their numbers."""
        labels, known = examples.labels, examples.known
        if known is not None:
            labels = unknown_labels.unknown_as_class_0(labels, known)
        losses = validation.weighted(self._objective.cross_entropy(labels, logits), examples)
        if known is None:
            return validation.mean_over_examples(losses), None
        count = unknown_labels.count_known(known)
        return unknown_labels.mean_of_known(losses, known), {"ce": count, "loss": count}
