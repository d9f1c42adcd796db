"""Warns of students and teachers that can be trained, but probably not as intended."""

import contextlib
import math
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import keras

from kd_keras.graph import heads, taps
from kd_keras.methods.base import Method
from kd_keras.methods.parts.requirements import deploy_student

# By name, since Keras does not publish its class, and KerasCV and KerasHub have their own.
_AUGMENTING = {"BaseImagePreprocessingLayer", "BaseImageAugmentationLayer"}
_RANDOM = {"SeedGenerator", "RandomGenerator"}
# Last activations, as functions and as names of layers in lower case, that no score needs.
_LIMITING = {
    *("relu", "relu6", "leaky_relu", "leakyrelu", "prelu", "elu", "selu", "celu", "gelu", "silu"),
    *("mish", "softplus", "softsign", "tanh", "hard_tanh", "exponential"),
}
_MAX_NAMED = 3
_INTERNAL = ("kd_keras", "keras", "click")  # not the lines that a warning is about


class ModelWarning(UserWarning):
    """A student or a teacher can be trained, but probably not as intended."""


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
    """No `ModelWarning` in the block, for callers that show these facts themselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModelWarning)
        yield


def warn_of_student(student: keras.Model, *, precision: str) -> None:
    """Warns if the training step gets its logits in half precision, or limited in value.

    Args:
        student: what is trained.
        precision: one of `graph.precision.PRECISIONS`; any but float32 keeps the logits in float32.
    """
    if dtype := half_precision(student, precision=precision):
        _warn(
            f"the student {student.name!r} gives its logits in {dtype}, probably since "
            "keras.config.set_dtype_policy was set when it was made: they are rounded to 3 digits, "
            "in training and in what is saved. Give its last layer dtype='float32'; or make it in "
            f"float32, and give Distiller precision='mixed_{dtype}'."
        )
    if activation := limiting_activation(student):
        _warn(
            f"the student {student.name!r} ends in {activation!r}, so that its logits cannot take "
            "every value; expected scores without an activation. Remove it (activation=None)."
        )


def warn_of_pair(student: keras.Model, teacher: Any) -> None:
    """Warns if a student is its own teacher, or larger than it, or augments images inside itself.

    Args:
        student: what is trained.
        teacher: a model, or a cache of a model's outputs.
    """
    if student is teacher:
        _warn(
            f"the student {student.name!r} is its own teacher, which changes with each step; "
            "expected two models. Train a copy: keras.models.clone_model(teacher)."
        )
    if sizes := sizes_of_larger_student(student, teacher):
        _warn(
            f"the student {student.name!r} has {sizes[0]:,} parameters, more than the teacher "
            f"{teacher.name!r} with {sizes[1]:,}. Check that the two are not exchanged: "
            "Distiller(student, teacher=teacher)."
        )
    if layers := augmenting_layers(student):
        _warn(
            f"the student {student.name!r} changes its images at random inside itself ({layers}), "
            "so that its teacher sees different images. Augment in the dataset instead: "
            "dataset.map(lambda x, y: (augment(x, training=True), y))."
        )


def warn_of_frozen(student: keras.Model, methods: Sequence[Method]) -> None:
    """Warns if no weight of the student is trained and the student itself is deployed.

    Args:
        student: what is trained, built.
        methods: what it learns by; parts of their own do not change the student.
    """
    if not student.trainable_variables and deploy_student(methods):
        _warn(
            f"the student {student.name!r} has no trainable weights, so that training does not "
            "change it; expected some. Set trainable = True on it and on the layers to train."
        )


def half_precision(student: keras.Model, *, precision: str) -> str | None:
    """The dtype of the logits in a training step if it has 16 bits, else None.

    Args:
        student: the model.
        precision: precision that it is trained in, one of `graph.precision.PRECISIONS`.
    """
    dtype = taps.logits_dtype(student)
    is_converted = taps.is_graph(student) and precision != "float32"
    return dtype if dtype in ("float16", "bfloat16") and not is_converted else None


def limiting_activation(student: keras.Model) -> str | None:
    """The last activation if it keeps logits from taking every value, else None.

    Args:
        student: the model, built.
    """
    name = heads.activation_name(student)
    return name if name in _LIMITING else None


def sizes_of_larger_student(student: keras.Model, teacher: Any) -> tuple[int, int] | None:
    """Parameters of student and teacher if the student has more; else, or if unknown, None.

    Args:
        student: the model.
        teacher: its teacher, or a cache of outputs, whose size is unknown.
    """
    student_size = _parameters(student)
    teacher_size = _parameters(teacher) if isinstance(teacher, keras.Model) else 0
    # 0: a cache, or a SavedModel, whose variables Keras does not count.
    return (student_size, teacher_size) if student_size > teacher_size > 0 else None


def augmenting_layers(student: keras.Model) -> str:
    """Names of the layers that change images at random, in words; empty without any."""
    names = [layer.name for layer in student._flatten_layers() if _augments(layer)]
    return ", ".join(names[:_MAX_NAMED]) + (", …" if len(names) > _MAX_NAMED else "")


def _augments(layer: Any) -> bool:
    """Whether the layer changes images by random numbers; one that resizes or scales does not."""
    is_preprocessing = any(base.__name__ in _AUGMENTING for base in type(layer).__mro__)
    type_names = {type(value).__name__ for value in vars(layer).values()}
    return is_preprocessing and bool(type_names & _RANDOM)


def _parameters(model: keras.Model) -> int:
    return sum(math.prod(weight.shape) for weight in model.weights)


def _warn(text: str) -> None:
    """Warns at the line outside this package that made the Distiller or set its teacher."""
    level, frame = 1, sys._getframe()
    while frame.f_back and str(frame.f_globals.get("__name__")).partition(".")[0] in _INTERNAL:
        level, frame = level + 1, frame.f_back
    warnings.warn(text, ModelWarning, stacklevel=level)
