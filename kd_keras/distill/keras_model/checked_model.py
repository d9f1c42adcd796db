"""A model that checks its data and its options, and whose training steps belong to a run."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from kd_keras import check
from kd_keras.data.teacher_rows import TeacherRows
from kd_keras.distill.checks import argument_checks, data_checks, model_checks, weight_checks
from kd_keras.distill.keras_model import call_arguments
from kd_keras.distill.keras_model.replica_model import ReplicaModel
from kd_keras.distill.step import run_progress, split_batch, unknown_labels
from kd_keras.graph import backend, taps, twins
from kd_keras.methods.base import Method
from kd_keras.methods.parts import requirements

backend.require_tensorflow()


class CheckedModel(ReplicaModel):
    """A classifier whose `fit`, `evaluate` and `predict` check their data first.

    `fit` and `train_on_batch` also follow the progress of a run, see `run_progress`.

    Args:
        student: the model that is trained.
        methods: what it learns from beside labels.
        twin: the twin of the student that runs in training.
        label_mode: how many classes an example has: "single" or "multi", see `Distiller`.
        name: name of the model.

    Raises:
        ValueError: labels that are not classes or probabilities, data without an example or whose
            parts differ in length, counts that are not whole numbers, data that never end without a
            number of steps, or methods without the teacher that they need.
    """

    #: Names of attributes that stay as they are after the constructor.
    fixed_options = (
        *("student", "methods", "label_mode", "precision"),
        *("ce_weight", "label_smoothing", "validate_teacher"),
    )
    #: Class index of an unknown label, of `compile`; None: every label is known.
    ignore_class: int | None = None
    #: Whether the last training batches came with labels; if not, no accuracy is logged.
    trained_with_labels = True

    def __init__(
        self,
        student: keras.Model,
        methods: Sequence[Method],
        *,
        twin: twins.Twin,
        label_mode: str,
        name: str,
    ):
        super().__init__(name=name, dtype="float32")
        self.student = student
        self.methods = methods
        self.label_mode = label_mode
        #: Names of what needs the label of every example; if there are any, a batch has labels.
        self.needs_labels = requirements.label_users(methods, multi_label=self.multi_label)
        self._twin = twin
        self._total_steps: int | None = None
        self.run_steps: int | None = None  # of the last fit, None where unknown
        self.run = run_progress.Run()
        self.stage = 0.0  # the one that the run is in, see `run_progress.enter_stage`

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "teacher":  # Keras would track the model before the setter is called
            object.__setattr__(self, name, value)
            return
        if name in self.fixed_options and self.built:
            raise AttributeError(
                f"{name} is set on a {type(self).__name__} that exists; expected it in the "
                "constructor alone, since the loss is made from it there. Make a new "
                f"{type(self).__name__} with this {name}."
            )
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        # Keras saves each model that it finds under these names; they are not this model's own.
        return [name for name in super().__dir__() if name not in ("teacher", "deployed")]

    @property
    def teacher(self) -> keras.Model | TeacherRows | None:
        """What the methods learn from; None without one."""
        return None

    @property
    def total_steps(self) -> int | None:
        """Steps of all fits together; None: each fit is a run of its own."""
        return self._total_steps

    @total_steps.setter
    def total_steps(self, total_steps: int | None) -> None:
        if total_steps is not None:
            check.whole_number("total_steps", total_steps, at_least=1)
        self._total_steps = total_steps
        self.train_function = None  # traced with the number before

    @property
    def num_classes(self) -> int:
        """How many classes the labels tell apart."""
        classes: int = self._twin.shapes[taps.LOGITS][-1]
        return classes

    @property
    def multi_label(self) -> bool:
        """Whether an example may have several classes, or none."""
        return self.label_mode == "multi"

    def get_compile_config(self) -> dict[str, Any]:
        config = super().get_compile_config()
        return {**config, "ignore_class": self.ignore_class} if config else config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        config = keras.saving.deserialize_keras_object(config)
        names = ["optimizer", "metrics", "weighted_metrics", "ignore_class"]
        names += ["run_eagerly", "steps_per_execution"]
        if self.distribute_strategy.num_replicas_in_sync == 1:  # several cannot be compiled by XLA
            names.append("jit_compile")
        self.compile(**{name: config[name] for name in names if name in config})
        self.optimizer.build(self.trainable_variables)

    def _set_ignore_class(self, ignore_class: int | None) -> None:
        """Sets the class index of unknown labels; raises ValueError where a method needs labels."""
        self.ignore_class = unknown_labels.check_ignore_class(
            ignore_class,
            num_classes=self.num_classes,
            needs_labels=[method.name for method in self.methods if method.needs_labels],
        )

    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """As `keras.Model.fit`; `fit(x)` too, where methods need no labels.

        Raises ValueError where a method needs a teacher or labels and has none, and for labels that
        are not classes. Several replicas need an example each in every batch.
        """
        model_checks.require_some_teacher(self.teacher, self.methods)
        arguments = call_arguments.by_name(keras.Model.fit, args, kwargs)
        if arguments.get("class_weight") and self.ignore_class is not None:
            raise ValueError(
                "class_weight is given, and labels may be unknown (ignore_class="
                f"{self.ignore_class}); expected one of these. Give sample_weight in its place."
            )
        weight_checks.check_class_weight(arguments.get("class_weight"), self.num_classes)
        steps = arguments.get("steps_per_epoch")
        data_checks.require_end("the training data", arguments.get("x"), steps, "steps_per_epoch")
        self._check_labels(arguments)
        self.trained_with_labels = data_checks.have_labels(arguments["x"], arguments.get("y"))
        if isinstance(arguments.get("x"), (tf.data.Dataset, tf.distribute.DistributedDataset)):
            arguments.setdefault("shuffle", False)  # Keras warns that it would not shuffle
        if arguments.get("validation_data") is not None:
            arguments["validation_data"] = self._validation(arguments)
        arguments["callbacks"] = run_progress.with_progress(arguments.get("callbacks"))
        with split_batch.translate_errors(), data_checks.translate_errors(self.num_classes):
            return super().fit(**arguments)

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.evaluate`."""
        if kwargs.get("_use_cached_eval_dataset"):  # within fit, which has checked them
            return super().evaluate(*args, **kwargs)
        arguments = call_arguments.by_name(keras.Model.evaluate, args, kwargs)
        data_checks.require_end("the data", arguments.get("x"), arguments.get("steps"), "steps")
        self._check_labels(arguments)
        with data_checks.translate_errors(self.num_classes):
            return super().evaluate(**arguments)

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.predict`."""
        arguments = call_arguments.by_name(keras.Model.predict, args, kwargs)
        argument_checks.check_arguments(arguments)
        data_checks.require_end("the data", arguments.get("x"), arguments.get("steps"), "steps")
        return super().predict(**arguments)

    def train_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.train_on_batch`; raises as `fit`."""
        model_checks.require_some_teacher(self.teacher, self.methods)
        arguments = call_arguments.by_name(keras.Model.train_on_batch, args, kwargs)
        weight_checks.check_class_weight(arguments.get("class_weight"), self.num_classes)
        self._check_labels(arguments)
        self.trained_with_labels = arguments.get("y") is not None
        run_progress.enter_stage(self, [self])
        return super().train_on_batch(**arguments)

    def test_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.test_on_batch`."""
        arguments = call_arguments.by_name(keras.Model.test_on_batch, args, kwargs)
        self._check_labels(arguments)
        return super().test_on_batch(**arguments)

    def _check_labels(self, arguments: dict[str, Any]) -> None:
        argument_checks.check_arguments(arguments)
        x, y, sample_weight = (arguments.get(name) for name in ("x", "y", "sample_weight"))
        arguments["x"] = self._checked(x, y, sample_weight)

    def _checked(self, x: Any, y: Any, sample_weight: Any) -> Any:
        return data_checks.checked(
            *(x, y, sample_weight, self.num_classes, self.ignore_class),
            multi_label=self.multi_label,
        )

    def _validation(self, arguments: dict[str, Any]) -> Any:
        x, y, weight = keras.utils.unpack_x_y_sample_weight(arguments["validation_data"])
        steps = arguments.get("validation_steps")
        data_checks.require_end("the validation data", x, steps, "validation_steps")
        argument_checks.require_examples(x, y, weight)
        x = self._checked(x, y, weight)
        return x if y is None else keras.utils.pack_x_y_sample_weight(x, y, weight)
