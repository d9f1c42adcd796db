"""Checks a Distiller's student and teacher; messages say how to convert other objects."""

import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kd_keras.distill.step import batches
from kd_keras.graph import taps

_OPEN = "kd_keras.models.model_files.open_model"


def check_student(student: Any, other_arguments: tuple[Any, ...]) -> None:
    """Raises unless the student is a keras.Model and the only positional argument.

    Keras's own Distiller takes the teacher first: its order would train the teacher here.

    Raises:
        TypeError: `other_arguments`, the arguments by position after the first, holds any.
        ValueError: the student is not a keras.Model.
    """
    if other_arguments:
        names = ", ".join(_describe(argument) for argument in other_arguments)
        raise TypeError(
            f"Distiller got {names} by position after the first argument; expected the student "
            "alone by position. Write Distiller(student, teacher=teacher, methods=methods)."
        )
    _require_model(student, "student")


def check_teacher(student: keras.Model, teacher: Any) -> None:
    """Raises ValueError unless `teacher` is a keras.Model that takes the student's images, or rows.

    Rows are a cache of a teacher's outputs, a `data.teacher_rows.TeacherRows`.
    """
    if callable(teacher) and isinstance(getattr(teacher, "shapes", None), dict):
        return
    _require_model(teacher, "teacher")
    _require_same_images(student, teacher)


def require_some_teacher(teacher: Any, methods: Sequence[Any]) -> None:
    """Raises ValueError where `methods` learn from a teacher and there is none."""
    if teacher is None and not all(method.teacher_free for method in methods):
        raise ValueError(
            f"methods {[method.name for method in methods]} need a teacher and there is none (a "
            "loaded Distiller holds none). Set distiller.teacher = model before training."
        )


def require_no_loss(loss: Any) -> None:
    """Raises ValueError if `compile` is given a loss: the Distiller has its own."""
    if loss is not None:
        raise ValueError(
            f"loss is {_describe(loss)}; expected none: the loss is the cross-entropy plus those "
            "of the methods. Leave it out; ce_weight= of Distiller weights the cross-entropy."
        )


def _require_model(model: Any, role: str) -> None:
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"the {role} is {_describe(model)}; expected a keras.Model. {_remedy(model)}"
        )
    shapes = taps.input_shapes(model)
    tensors = getattr(model, "inputs", None) or ()
    x = dict.fromkeys(shapes if isinstance(shapes, dict) else [t.name for t in tensors])
    if batches.model_inputs(x) is not x:
        raise ValueError(
            f"the {role} {model.name!r} has inputs called {sorted(x)}; expected other names: a "
            "batch of such a dict is taken for one of kd_keras.data.pipeline, of which a model "
            "gets 'inputs' alone. Rename one of the inputs."
        )


def _require_same_images(student: keras.Model, teacher: keras.Model) -> None:
    student_shape, teacher_shape = _image_shape(student), _image_shape(teacher)
    if student_shape is None or teacher_shape is None or _agree(student_shape, teacher_shape):
        return
    if _takes(teacher, student_shape) or _takes(student, teacher_shape):
        return
    what, remedy = "inputs", "Make both models for the same inputs, such as texts of one length."
    if len(student_shape) == len(teacher_shape) == 3:
        size = "" if teacher_shape[0] is None else f", image_size={teacher_shape[0]}"
        adapt_call = f"adapt_teacher(teacher, input_shape={_text(student_shape)}{size})"
        what, remedy = "images", f"Give teacher=kd_keras.models.adapt.{adapt_call}."
    raise ValueError(
        f"the student {student.name!r} takes {what} of {_text(student_shape)} and the teacher "
        f"{teacher.name!r} of {_text(teacher_shape)}; expected the same {what} for both. {remedy}"
    )


def _describe(value: Any) -> str:
    if value is None or isinstance(value, (str, os.PathLike, bool, int, float)):
        return repr(value)
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = getattr(value, "name", None) or getattr(value, "__name__", None)
    type_text = f"a {type(value).__name__}"
    return f"{type_text} {name!r}" if isinstance(name, str) else type_text


def _remedy(value: Any) -> str:
    """How to make a keras.Model from `value`."""
    modules = {cls.__module__.partition(".")[0] for cls in type(value).__mro__}
    if isinstance(value, (str, os.PathLike)):
        return f"Open the file or SavedModel folder: {_OPEN}({os.fspath(value)!r})."
    if isinstance(value, keras.layers.TFSMLayer):
        return f"Open its folder as a model: {_OPEN}({str(value.filepath)!r})."
    if "torch" in modules:
        return (
            "Export it with torch.onnx.export, run `kdk cache --teacher FILE.onnx --out FOLDER`, "
            "and give kd_keras.teacher_cache.reader.Cache(FOLDER, views=...) as the teacher."
        )
    if "tf_keras" in modules:
        return f"Export it, model.export(FOLDER), and open that: {_OPEN}(FOLDER)."
    if hasattr(value, "signatures") or isinstance(value, tf.types.experimental.ConcreteFunction):
        return f"Open the SavedModel's folder as a model: {_OPEN}(FOLDER)."
    if isinstance(value, type):
        return f"Make an instance of it: {value.__name__}(...)."
    if isinstance(value, (list, tuple)):
        return "Give one; the mean of several is kd_keras.models.ensemble.mean_of_logits(teachers)."
    if isinstance(value, keras.Layer):
        return (
            "Make a model of the layer: images = keras.Input((height, width, channels)); "
            "keras.Model(images, layer(images))."
        )
    if callable(value):
        return (
            "Write a keras.Model whose call(images) returns what the function gives, and call it "
            "once on a batch."
        )
    return "Make one with keras.Model(images, logits), or open one with keras.models.load_model."


def _image_shape(model: keras.Model) -> tuple[Any, ...] | None:
    """Shape of one image that the model was made for; None where it takes no single batch."""
    shape = taps.input_shapes(model)
    is_single = isinstance(shape, (tuple, list)) and all(
        size is None or isinstance(size, int) for size in shape
    )
    return tuple(shape[1:]) if is_single else None


def _agree(one_shape: tuple[Any, ...], other_shape: tuple[Any, ...]) -> bool:
    pairs = zip(one_shape, other_shape, strict=False)
    return len(one_shape) == len(other_shape) and all(a == b or None in (a, b) for a, b in pairs)


def _takes(model: keras.Model, shape: tuple[Any, ...]) -> bool:
    """Whether a model without a known graph takes images of another shape than it was built for.

    One that pools over all places does.
    """
    if taps.is_graph(model):
        return False
    try:
        model(np.zeros((1, *(size or 1 for size in shape)), "float32"), training=False)
    except (ValueError, tf.errors.InvalidArgumentError):
        return False
    return True


def _text(shape: tuple[Any, ...]) -> str:
    return f"({', '.join(map(str, shape))})"
