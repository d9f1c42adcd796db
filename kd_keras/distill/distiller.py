"""The Distiller: a Keras model that trains a student on labels and on a teacher's knowledge."""

import functools
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from kd_keras import check, replicas
from kd_keras.data import LABEL_MODES
from kd_keras.data.teacher_rows import TeacherRows
from kd_keras.distill.checks import model_checks, pair_warnings
from kd_keras.distill.keras_model.deploying_model import DeployingModel
from kd_keras.distill.step import (
    batches,
    gradients,
    log_names,
    objective,
    run_progress,
    validation,
)
from kd_keras.distill.step.objective import Loss
from kd_keras.distill.step.teacher import CachedTeacher, Teacher, wrap
from kd_keras.graph import heads, twins
from kd_keras.graph.precision import PRECISIONS, lowest_precision, precision_of_training
from kd_keras.methods import base
from kd_keras.methods.parts import refusals, requirements
from kd_keras.tensor_types import Logs, Outputs


@keras.saving.register_keras_serializable(package="kd_keras")
class Distiller(DeployingModel):
    """Trains `student` by `fit`, as any Keras model; calling it is calling the student.

    This class holds the training step. Its bases add what surrounds it: `ReplicaModel` steps over
    several replicas, `CheckedModel` the checks of the data of `fit` and `evaluate`, and
    `DeployingModel` validation, logs and export of the deployed model.

    The loss is ce_weight * cross-entropy + the sum of each method's weight * loss + the student's
    own regularisers. Losses are per example; sample weights multiply them. Validation reports the
    compiled metrics and, as `val_loss`, the cross-entropy of what is deployed: compare it with
    `ce`, not with `loss`. Where a method deploys another model than the student (simkd), training
    reports no accuracy and no agreement. Until the longest first stage of a method ends, only the
    methods that have one are minimised, and variables that these do not train stay. The teacher
    runs in inference mode, without a gradient.

    Warm-ups and first stages depend on the progress, 0 to 1. By default each `fit` is a run of its
    own, and progress is the finished steps / (epochs * steps); epochs before `initial_epoch` count
    as finished. Set `total_steps` if several fits, calls of `train_on_batch`, or the training that
    a loaded Distiller continues, are one run. Progress is then optimizer steps / `total_steps`.

    After construction, the teacher can be replaced, and nothing else of the arguments. Making one
    changes TensorFlow's bfloat16 gradient of BiasAdd in this process, see `graph.bias_gradient`.

    Args:
        student: classifier (B, ...) -> (B, C) logits, or a dict of "logits" and taps; is trained.
            One that ends in a softmax is trained and validated by the sums before it.
        teacher: classifier of the same C classes giving logits or a softmax, or any model if no
            method reads logits (embed); or a `teacher_cache.reader.Cache` whose rows come with the
            batches; None trains without one.
        methods: from `kd_keras.methods.get`; None is plain supervised training, the baseline.
        ce_weight: factor of the cross-entropy, >= 0; by default the first method's, else 1.
        label_mode: "single": an example has one class; "multi": several or none, in rows of 0 and
            1. The cross-entropy is then the mean of the classes' binary ones, of sigmoids.
        label_smoothing: share of the target spread over all classes, 0 to 1.
        precision: "float32", "mixed_bfloat16" or "mixed_float16": what the step computes in (see
            `graph.precision.precision_of_training`). Weights, and all that is saved, stay float32.
        validate_teacher: also run the teacher in validation for `val_agreement` and `val_<method>`,
            each method's loss without its weight; `validation.left_out` names those without one.

    Raises:
        TypeError: arguments by position after the student.
        ValueError: outputs that cannot be distilled, class counts, images or taps that do not fit.
    """

    def __init__(
        self,
        student: keras.Model,
        *positional: Any,
        teacher: keras.Model | TeacherRows | None = None,
        methods: Sequence[base.Method] | base.Method | None = None,
        ce_weight: float | None = None,
        label_mode: str = "single",
        label_smoothing: float = 0.0,
        precision: str = "float32",
        validate_teacher: bool = False,
        name: str = "distiller",
    ):
        model_checks.check_student(student, positional)
        methods = requirements.as_methods(methods)
        check.one_of("label_mode", label_mode, LABEL_MODES)
        check.one_of("precision", precision, PRECISIONS)
        super().__init__(
            student,
            methods,
            twin=_twin_of(student, methods, precision=precision, multi_label=label_mode == "multi"),
            ce_weight=ce_weight,
            label_mode=label_mode,
            label_smoothing=label_smoothing,
            validate_teacher=validate_teacher,
            name=name,
        )
        self.precision = precision
        self._needs_progress = any(method.needs_progress for method in self.methods)
        self._by_parts = False  # until compile knows the optimizer
        if teacher is not None:
            self.teacher = teacher
        elif not self._needs_teacher:
            self._build_methods(None, {})
        self.built = True

    @property
    def teacher(self) -> keras.Model | TeacherRows | None:
        """The classifier that the methods learn from; set it anew after loading a Distiller."""
        return self._untracked.teacher.model if self._untracked.teacher else None

    @teacher.setter
    def teacher(self, teacher: keras.Model | TeacherRows | None) -> None:
        wrapped: Teacher | CachedTeacher | None = None
        if teacher is not None:
            model_checks.check_teacher(self.student, teacher)
            model = teacher if isinstance(teacher, keras.Model) else None
            if self.validate_teacher:
                validation.require_model(teacher, is_model=model is not None)
            if model is None:
                refusals.require_no_model(self.methods)
            wrapped = wrap(
                teacher,
                requirements.taps_of("teacher", self.methods),
                precision=self.precision,
                classifies=self._reads_logits,
                multi_label=self.multi_label,
            )
            if self._reads_logits:
                readers = requirements.logit_users(self.methods)
                heads.check_same_classes(self._twin.shapes, wrapped.shapes, readers)
            self._build_methods(model, wrapped.shapes)
            pair_warnings.warn_of_pair(self.student, teacher)
        self._untracked.teacher = wrapped
        self._untracked.deployed = self._untracked.evaluated = None
        self.train_function = self.test_function = None  # traced with the teacher before

    def compile(  # Keras's defaults to RMSprop
        self,
        optimizer: Any = None,
        loss: Any = None,
        *,
        metrics: Any = None,
        weighted_metrics: Any = None,
        ignore_class: int | None = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
    ) -> None:
        """As `keras.Model.compile`, without a loss, which is refused; Adam at 0.001 by default.

        With `ignore_class`, such as -1, labels of that class are unknown: the cross-entropy is the
        mean over the batch's other examples, 0 if there is none, and metrics count these alone.
        Methods learn from all examples. Raises ValueError if a method needs every label, and for
        `jit_compile=True` over several replicas, which XLA cannot compile.
        """
        model_checks.require_no_loss(loss)
        log_names.require_metric_names([metrics, weighted_metrics], self._diagnostics.all_metrics())
        self._check_jit_compile(jit_compile)
        check.whole_number("steps_per_execution", steps_per_execution, at_least=1)
        self._set_ignore_class(ignore_class)
        lowest = lowest_precision([*self._twin.layers, *self.methods])
        optimizer = gradients.optimizer_for(optimizer, precision=lowest)
        self.run.start.assign(0)  # the optimizer counts from 0 again
        parts = gradients.gradient_parts(optimizer)
        self._by_parts = bool(parts)
        self._objective = self._make_objective(objective.objective_class(parts))
        super().compile(
            optimizer=optimizer,
            metrics=metrics,
            weighted_metrics=weighted_metrics,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
        )

    def make_train_function(self, force: bool = False) -> None:
        self.prepare_step()
        super().make_train_function(force)

    def prepare_step(self) -> None:
        """Makes variables and freezes layers, which a traced step cannot do."""
        self._twin.follow_trainable()
        pair_warnings.warn_of_frozen(self.student, self.methods)
        if not self.optimizer.built:
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)

    @replicas.after_data
    def train_step(self, data: Any) -> Logs:
        """One step on (x, y) or (x, y, sample_weight): one student pass, one teacher pass.

        In order: `batches.unpack` takes the batch apart, `teacher.Teacher` runs the teacher,
        `graph.twins.Twin` the student, `objective.Objective` makes the loss, and `gradients.step`
        changes the student.
        """
        examples = batches.unpack(
            data,
            ignore_class=self.ignore_class,
            needs_labels=self.needs_labels,
            views=self.views_per_image,
        )
        # Outputs of a cached teacher come with the batch. A model runs outside the tape.
        teacher_outputs = examples.teacher or self.teacher_outputs(examples.inputs)
        with tf.GradientTape(persistent=self._by_parts) as tape:
            loss, student_outputs = self.loss_of(examples, teacher_outputs)
        gradients.step(
            self.optimizer,
            tape,
            loss,
            self.trainable_variables,
            num_examples=examples.labels.shape[0] or tf.shape(examples.labels)[0],
        )
        self._update_metrics(examples, student_outputs, teacher_outputs, loss)
        return self.get_metrics_result()

    def loss_of(self, examples: batches.Examples, teacher_outputs: Outputs) -> tuple[Loss, Outputs]:
        """The loss of a batch, given the teacher's outputs, and the student's outputs."""
        progress = run_progress.fraction_done(self) if self._needs_progress else 1.0
        student_outputs, regularisers = self._twin(examples.inputs, training=True)
        loss = self._objective(
            student_outputs,
            teacher_outputs,
            examples,
            progress,
            regularisers=regularisers,
            stage=self.stage,
        )
        return loss, student_outputs

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            "student": serialize(self.student),
            "methods": [serialize(method) for method in self.methods],
            "ce_weight": self.ce_weight,
            "label_mode": self.label_mode,
            "label_smoothing": self.label_smoothing,
            "precision": self.precision,
            "validate_teacher": self.validate_teacher,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Distiller":
        deserialize = functools.partial(
            keras.saving.deserialize_keras_object, custom_objects=custom_objects
        )
        methods = [deserialize(part) for part in config["methods"]]
        models = {"student": deserialize(config["student"]), "methods": methods}
        # Files of an earlier version say `labels`, or nothing.
        label_mode = config.get("label_mode", config.get("labels", "single"))
        others = {name: value for name, value in config.items() if name != "labels"}
        return cls(**{**others, **models, "label_mode": label_mode})


def _twin_of(
    student: keras.Model, methods: Sequence[base.Method], *, precision: str, multi_label: bool
) -> twins.Twin:
    """What the step runs; raises ValueError for a student that cannot be trained."""
    replicas.require_made_here(student)
    heads.check_student(student, before_softmax=True, multi_label=multi_label)
    pair_warnings.warn_of_student(student, precision=precision)
    tap_names = requirements.taps_of("student", methods)
    in_training = precision_of_training(student, precision)
    return twins.Twin(student, tap_names, precision=in_training, before_softmax=True)
