"""Warns of students and teachers that can be trained, but probably not as intended."""

import math
import sys
import warnings
from typing import Any

import keras

from kd_keras.graph import taps

# By name, since Keras does not publish its class, and KerasCV and KerasHub have their own.
_AUGMENTING = {"BaseImagePreprocessingLayer", "BaseImageAugmentationLayer"}
_RANDOM = {"SeedGenerator", "RandomGenerator"}
_MOST_NAMED = 3
_INTERNAL = ("kd_keras", "keras", "click")  # not the lines that a warning is about


def warn_of_student(student: keras.Model, *, precision: str) -> None:
    """Warns if the training step gets its logits in half precision.

    Args:
        student: what is trained.
        precision: of `graph.precision.PRECISIONS`; any but float32 keeps the logits in float32.
    """
    dtype = taps.logits_dtype(student)
    is_converted = taps.is_graph(student) and precision != "float32"
    if dtype in ("float16", "bfloat16") and not is_converted:
        _warn(
            f"the student {student.name!r} gives its logits in {dtype}, probably since "
            "keras.config.set_dtype_policy was set when it was made: they are rounded to 3 digits, "
            "in training and in what is saved. Give its last layer dtype='float32'; or make it in "
            f"float32, and give Distiller precision='mixed_{dtype}'."
        )


def warn_of_pair(student: keras.Model, teacher: Any) -> None:
    """Warns if a student is larger than its teacher, or augments images inside itself.

    Args:
        student: what is trained.
        teacher: a model, or a cache of a model's outputs.
    """
    student_size = _parameters(student)
    teacher_size = _parameters(teacher) if isinstance(teacher, keras.Model) else 0
    if (
        student_size > teacher_size > 0
    ):  # 0: a cache, or a SavedModel, whose variables Keras does not count
        _warn(
            f"the student {student.name!r} has {student_size:,} parameters, more than the teacher "
            f"{teacher.name!r} with {teacher_size:,}. Check that the two are not exchanged: "
            "Distiller(student, teacher=teacher)."
        )
    layers = [layer.name for layer in student._flatten_layers() if _augments(layer)]
    if layers:
        named = ", ".join(layers[:_MOST_NAMED]) + (", …" if len(layers) > _MOST_NAMED else "")
        _warn(
            f"the student {student.name!r} changes its images at random inside itself ({named}), "
            "so that its teacher sees different images. Augment in the dataset instead: "
            "dataset.map(lambda x, y: (augment(x, training=True), y))."
        )


def _augments(layer: Any) -> bool:
    """Whether the layer changes images by random numbers; one that resizes or scales does not."""
    is_preprocessing = any(base.__name__ in _AUGMENTING for base in type(layer).__mro__)
    kinds = {type(part).__name__ for part in vars(layer).values()}
    return is_preprocessing and bool(kinds & _RANDOM)


def _parameters(model: keras.Model) -> int:
    return sum(math.prod(weight.shape) for weight in model.weights)


def _warn(text: str) -> None:
    """Warns at the line outside this package that made the Distiller or set its teacher."""
    level, frame = 1, sys._getframe()
    while frame.f_back and str(frame.f_globals.get("__name__")).partition(".")[0] in _INTERNAL:
        level, frame = level + 1, frame.f_back
    warnings.warn(text, UserWarning, stacklevel=level)
