"""What a method is: a Keras layer that turns two models' outputs into a cost per example."""

import dataclasses
import inspect
from collections.abc import Sequence
from typing import Any, TypedDict

import keras

from kd_keras import check

Tensor = Any
Outputs = dict[str, Tensor]
Shapes = dict[str, tuple[Any, ...]]  # of each tap, batch axis first (None)


@dataclasses.dataclass(frozen=True)
class Batch:
    """What is known of a batch beside the two models' outputs."""

    labels: Tensor  # (B,) int classes or (B, C) probabilities
    ids: Tensor | None = None  # (B,) int, each example's number in its data set
    inputs: Any = None  # what the models were given
    progress: Tensor | float = 1.0  # share of the run that is done, 0 to 1, scalar
    training: bool = True  # whether batch norms of trainable parts update their statistics


class Common(TypedDict, total=False):
    """The settings that every method has, see `Method`."""

    weight: float | None
    ce_weight: float | None
    warmup: float | None
    name: str | None


class Method(keras.Layer):
    """Base of every method; subclasses say what they read and what it costs.

    A subclass names the taps it reads (`student_taps`, `teacher_taps`), makes its own trainable
    parts in `build` from the taps' shapes, and returns a cost per example from `call`. Its knobs
    are the keyword-only arguments of its constructor, each kept under its own name. It hands the
    knobs that all methods share on: `def __init__(self, *, own=1.0, **common: Unpack[Common])`.

    Args:
        weight: factor of this method's cost in the loss, >= 0; None is `default_weight`.
        ce_weight: factor that the method's paper gives to the cross-entropy, >= 0; the
            Distiller uses the first method's unless it has its own; None is `default_ce_weight`.
        warmup: share of the run, 0 to 1, over which `weight` grows linearly from 0; None is
            `default_warmup`.
        name: what the cost is called in logs; None is the name of the method's file.
    """

    #: Values of the shared knobs in the authors' own training.
    default_weight = 1.0
    default_ce_weight = 1.0
    default_warmup = 0.0

    #: True where the cost needs no teacher.
    teacher_free = False
    #: Whether `attach` needs the teacher's own weights, so that its outputs alone will not do.
    needs_teacher_model = False
    #: True where the cost relates examples of a batch: gathered over replicas, no sample weights.
    whole_batch = False
    #: The fewest classes for which the cost is defined.
    min_classes = 2
    #: True where the cost needs each example's id in the data set.
    needs_ids = False
    #: Augmented views of each image that the pipeline must give. With 2, each output's second
    #: view is found under its name + "_view2".
    views_per_image = 1
    #: Share of the run, 0 to 1, in which `first_stage_call` alone is trained.
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
        super().__init__(name=name or type(self).__module__.rpartition(".")[2], dtype="float32")
        weight = self.default_weight if weight is None else weight
        ce_weight = self.default_ce_weight if ce_weight is None else ce_weight
        warmup = self.default_warmup if warmup is None else warmup
        self.weight = check.number(f"{self.name}: weight", weight, at_least=0)
        self.ce_weight = check.number(f"{self.name}: ce_weight", ce_weight, at_least=0)
        self.warmup = check.number(f"{self.name}: warmup", warmup, at_least=0, at_most=1)

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        keras.saving.register_keras_serializable(package="kd_keras")(cls)

    @property
    def needs_progress(self) -> bool:
        """Whether the cost changes over the run, so that the run's length must be known.

        A method whose `call` reads `batch.progress` must say so here.
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
        """Makes trainable parts from the taps' shapes, batch axis first (None)."""

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        """The method's cost, without its weight.

        Args:
            student: "logits" (B, C) and each tap of `student_taps`, float32.
            teacher: the same of the teacher, outside every gradient; empty if `teacher_free`.
            batch: labels and all else that is known of the examples.

        Returns:
            (B,) float32; a cost of the whole batch is broadcast.
        """
        raise TypeError(f"{type(self).__name__} defines no call(); a method must.")

    def first_stage_call(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        """(B,) float32: what is minimised, alone, over the run's first `first_stage` share.

        All that a stage's cost does not depend on rests in that stage.
        """
        return self.call(student, teacher, batch)

    def attach(self, student: keras.Model, teacher: keras.Model | None) -> None:
        """Reads what it needs of the models themselves, after `build`, such as a classifier."""

    def deployed(self, student: keras.Model) -> keras.Model:
        """What is evaluated, counted and exported in the student's place."""
        return student

    @classmethod
    def knobs(cls) -> dict[str, Any]:
        """Default of each setting that the constructor takes, by name, its own settings first.

        A setting without a default has `inspect.Parameter.empty`.
        """
        defaults: dict[str, Any] = {}
        for base in cls.__mro__[: cls.__mro__.index(Method) + 1]:
            parameters = inspect.signature(vars(base).get("__init__", lambda: None)).parameters
            for name, parameter in parameters.items():
                if parameter.kind is parameter.KEYWORD_ONLY:
                    own = getattr(cls, f"default_{name}", parameter.default)
                    defaults.setdefault(
                        name, own if parameter.default is None else parameter.default
                    )
        return defaults

    def get_config(self) -> dict[str, Any]:
        return {knob: getattr(self, knob) for knob in self.knobs()}

    def get_build_config(self) -> dict[str, Any]:
        return self._shapes or {}

    def build_for(self, student_shape: Shapes, teacher_shape: Shapes) -> None:
        """Builds the parts for these taps, once; a saved method rebuilds from the kept shapes.

        Raises ValueError if its trainable parts were built for other shapes.
        """
        shapes = {"student_shape": student_shape, "teacher_shape": teacher_shape}
        if self.variables and self._shapes != shapes:
            raise ValueError(
                f"{self.name} has parts built for taps of shapes {self._shapes}; got {shapes}. "
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


def require_no_model(methods: Sequence[Method]) -> None:
    """Raises ValueError where a method needs more of the teacher than its outputs."""
    needing = [method.name for method in methods if method.needs_teacher_model]
    if needing:
        raise ValueError(
            f"methods {needing} read the teacher's own weights, and the teacher is a cache of "
            "outputs; expected a model. Give one (--teacher FILE.keras), or choose other methods."
        )


def views_per_image(methods: Sequence[Method]) -> int:
    """Augmented views of each image that a batch must hold for all of the methods."""
    return max((method.views_per_image for method in methods), default=1)


def deploy_student(methods: Sequence[Method]) -> bool:
    """Whether the student itself is deployed, and no method makes another model of it."""
    return all(type(method).deployed is Method.deployed for method in methods)


def as_methods(given: Any) -> list[Method]:
    """A list of methods from one or several; raises ValueError for what is none."""
    listed: list[Any] = [given] if isinstance(given, (Method, str)) else list(given)
    for method in listed:
        if not isinstance(method, Method):
            raise ValueError(
                f"methods hold {method!r}; expected methods. Give kd_keras.methods.get('kd')."
            )
    return listed


def taps_of(side: str, methods: Sequence[Method]) -> tuple[str, ...]:
    """All taps that methods read of one side, "student" or "teacher", each once."""
    return tuple(dict.fromkeys(tap for m in methods for tap in getattr(m, f"{side}_taps")))
