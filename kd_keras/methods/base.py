"""What a method is: a Keras layer that computes a loss per example from two models' outputs."""

import dataclasses
import inspect
from typing import Any, TypedDict

import keras

from kd_keras import check
from kd_keras.tensor_types import ExampleLosses, Images, Labels, Outputs, Shapes, Tensor


@dataclasses.dataclass(frozen=True)
class Batch:
    """What a method may read of a batch, beside the two models' outputs."""

    labels: Labels  # (B,) int classes or (B, C) probabilities; multi-label: (B, C), 0 to 1
    ids: Tensor | None = None  # (B,) int, each example's number in its dataset
    inputs: Images | None = None  # of the student; (B * views, …), an image's views in a row
    progress: Tensor | float = 1.0  # scalar, share of the run's steps that are done, 0 to 1
    training: bool = True  # whether batch norms of trainable parts update their statistics
    multi_label: bool = False  # whether an example may have several classes, by sigmoids


class CommonKnobs(TypedDict, total=False):
    """Knobs that every method has, see `Method`."""

    weight: float | None
    ce_weight: float | None
    warmup: float | None
    name: str | None


# Under its old name, an attribute of a method of your own would have no effect.
_OLD_ATTRIBUTES = {"whole_batch": "needs_whole_batch", "takes_multi_label": "supports_multi_label"}


@check.naming_errors
class Method(keras.Layer):
    """Base class of every method. A subclass says which features it reads and computes the loss.

    A subclass names the taps it reads (`student_taps`, `teacher_taps`), makes its trainable parts
    in `build` from the taps' shapes, and returns a loss per example from `call`. Its knobs are the
    keyword-only arguments of its constructor, each an attribute of that name. The constructor
    passes shared knobs on: `def __init__(self, *, own=1.0, **common: Unpack[CommonKnobs])`.

    Args:
        weight: factor of this method's loss in the whole one, >= 0; None: `default_weight`.
        ce_weight: factor that the method's paper gives to the cross-entropy, >= 0; None:
            `default_ce_weight`. A Distiller without its own uses that of its first method.
        warmup: share of the run, 0 to 1, over which `weight` grows linearly from 0; None:
            `default_warmup`.
        name: name of the loss in logs; None: the name of the method's file.

    Raises:
        ValueError: a knob is out of range; the message begins with the name.
    """

    #: What the student matches, one of `kd_keras.methods.FAMILIES`; by it `kdk list` sorts.
    family = "logits"
    #: Values of the shared knobs in the authors' own training.
    default_weight = 1.0
    default_ce_weight = 1.0
    default_warmup = 0.0
    #: How this code differs from the paper, in full sentences; empty if no difference is known.
    departures = ""
    #: Pairs of the name that a knob had, which saved files hold, and its present one.
    old_knobs: tuple[tuple[str, str], ...] = ()
    #: Whether the loss needs no teacher.
    teacher_free = False
    #: Whether `attach` reads the teacher's weights. Cached outputs of the teacher are not enough.
    needs_teacher_model = False
    #: Whether the loss depends on the teacher's logits; if not, any model with its taps can teach.
    reads_teacher_logits = True
    #: Whether the loss relates examples of a batch to each other. Batches are then gathered over
    #: replicas, and sample weights are refused.
    needs_whole_batch = False
    #: Smallest number of classes for which the loss is defined.
    min_classes = 2
    #: Whether the loss depends on the labels. Such a method is refused where labels are unknown.
    needs_labels = False
    #: Whether the loss has one target class for each example: of labels that are probabilities, the
    #: largest. Mixed images (mixup, CutMix), which have two classes, are then refused.
    needs_one_class = False
    #: Whether the loss is defined for examples of several classes, of whose logits each class has a
    #: sigmoid: it reads features alone, or `Batch.multi_label`.
    supports_multi_label = False
    #: Whether the loss needs each example's id in the dataset.
    needs_ids = False
    #: Number of augmented views of each image in a batch, 1 or 2. With 2, the outputs of an
    #: image's second view have the suffix "_view2" in their names.
    views_per_image = 1
    #: Share of the run, 0 to 1, in which `first_stage_call` gives the loss. Until the longest first
    #: stage of the run's methods ends, only the methods that have one are minimised.
    first_stage = 0.0

    built: bool
    _shapes: dict[str, Shapes] | None = None

    def __init__(
        self,
        *,
        weight: float | None = None,
        ce_weight: float | None = None,
        warmup: float | None = None,
        name: str | None = None,
    ):
        name = check.text("name", type(self).__module__.split(".")[-1] if name is None else name)
        super().__init__(name=name, dtype="float32")
        weight = self.default_weight if weight is None else weight
        ce_weight = self.default_ce_weight if ce_weight is None else ce_weight
        warmup = self.default_warmup if warmup is None else warmup
        self.weight = check.number("weight", weight, at_least=0)
        self.ce_weight = check.number("ce_weight", ce_weight, at_least=0)
        self.warmup = check.number("warmup", warmup, at_least=0, at_most=1)

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        for old, new in _OLD_ATTRIBUTES.items():
            if old in vars(cls):
                raise TypeError(
                    f"{cls.__name__} has the attribute {old}, the old name of {new}; expected "
                    f"{new}. Rename it."
                )
        check.naming_errors(cls)
        keras.saving.register_keras_serializable(package="kd_keras")(cls)

    @property
    def needs_progress(self) -> bool:
        """Whether the loss changes over the run, so that the length of the run must be known.

        A method whose `call` reads `batch.progress` must return True here.
        """
        return self.warmup > 0 or self.first_stage > 0

    @property
    def student_taps(self) -> tuple[str, ...]:
        """Names of the student's features that `call` reads, beside "logits"."""
        return ()

    @property
    def teacher_taps(self) -> tuple[str, ...]:
        """Names of the teacher's features that `call` reads, beside "logits"."""
        return ()

    def build(self, student_shape: Shapes, teacher_shape: Shapes) -> None:
        """Makes the trainable parts from the taps' shapes, batch axis first (None).

        Raises:
            ValueError: the taps' shapes, or knobs, do not fit the method.
        """

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        """The method's loss, without its weight.

        Args:
            student: "logits" (B, C) and each tap of `student_taps`, float32.
            teacher: "logits" (B, C) and each tap of `teacher_taps`, float32; no gradient flows
                back. Empty if `teacher_free`.
            batch: labels, ids and progress.

        Returns:
            (B,) float32; a loss of the whole batch is repeated for each example.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no call(); expected a method that returns a loss per "
            "example. Define call(self, student, teacher, batch)."
        )

    def parts_call(
        self, student: Outputs, teacher: Outputs, batch: Batch
    ) -> tuple[ExampleLosses, ExampleLosses]:
        """The loss in two parts, of the target class and of the others; `call` is their sum.

        Only for optimizers that take these apart, such as `kd_keras.optimizers.deepkd`. A method
        without such parts leaves it out.

        Returns:
            Two (B,) float32.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no parts_call(); expected a loss in a target and a "
            "nontarget part. Use the method dkd, or an optimizer that takes one gradient."
        )

    def first_stage_call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        """(B,) float32: the loss in the first `first_stage` of the run, without its weight.

        A variable on which no minimised loss depends is not updated, see `first_stage`.
        """
        return self.call(student, teacher, batch)

    def attach(self, student: keras.Model, teacher: keras.Model | None) -> None:
        """Reads parts of the models, such as a classifier; called after `build`."""

    def deployed(self, student: keras.Model) -> keras.Model:
        """The model that is evaluated, counted and exported in the student's place."""
        return student

    @classmethod
    def knobs(cls) -> dict[str, Any]:
        """Each knob's name and default value, the method's own knobs first.

        The default of a knob that has none is `inspect.Parameter.empty`.
        """
        defaults: dict[str, Any] = {}
        for base in cls.__mro__[: cls.__mro__.index(Method) + 1]:
            parameters = inspect.signature(vars(base).get("__init__", lambda: None)).parameters
            for name, parameter in parameters.items():
                if parameter.kind is parameter.KEYWORD_ONLY:
                    default = parameter.default
                    if default is None:
                        default = getattr(cls, f"default_{name}", None)
                    defaults.setdefault(name, default)
        return defaults

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Method":
        present_names = dict(cls.old_knobs)
        return cls(**{present_names.get(name, name): value for name, value in config.items()})

    def get_config(self) -> dict[str, Any]:
        return {knob: getattr(self, knob) for knob in self.knobs()}

    def get_build_config(self) -> dict[str, Any]:
        return self._shapes or {}

    def build_for(self, student_shape: Shapes, teacher_shape: Shapes) -> None:
        """Builds the parts for taps of these shapes, once. A saved method keeps the shapes.

        Raises:
            ValueError: its trainable parts were built for other shapes, or there are fewer classes
                than `min_classes`.
        """
        if self.min_classes > 2 and student_shape["logits"][-1] < self.min_classes:
            raise ValueError(
                f"{self.name}: the student has {student_shape['logits'][-1]} classes; expected "
                f"{self.min_classes} or more. Use the method kd."
            )
        shapes = {"student_shape": student_shape, "teacher_shape": teacher_shape}
        if self.variables and self._shapes != shapes:
            raise ValueError(
                f"{self.name} was built for taps of shapes {self._shapes}; got {shapes}. "
                "Make a new method for other models."
            )
        self._shapes = shapes
        if not self.built:
            with keras.name_scope(self.name):
                self.build(student_shape, teacher_shape)
            self.built = True

    def build_from_config(self, config: dict[str, Any]) -> None:
        if config:
            as_tuples = {k: {t: tuple(s) for t, s in v.items()} for k, v in config.items()}
            self.build_for(**as_tuples)
