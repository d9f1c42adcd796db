"""A teacher from a file that gives an embedding of an image: a model without a classifier."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kd_keras.data.stores.store import Dataset
from kd_keras.graph import heads, taps, twins
from kd_keras.job import identity
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.methods import embed
from kd_keras.methods.base import Method
from kd_keras.methods.parts import requirements
from kd_keras.teacher_cache import fingerprint, keras_teacher
from kd_keras.teacher_cache.onnx_teacher import OnnxTeacher
from kd_keras.teacher_cache.writer import TeacherFunction
from kd_keras.tensor_types import Shapes

#: Why results.json has no agreement for a student of such a teacher.
NO_AGREEMENT = "the teacher gives an embedding and no classes"
#: Name of an embedding in a cache, which `embed` reads by default.
ROWS = "pooled"


def is_allowed(recipe: Recipe, methods: Sequence[Method]) -> bool:
    """Whether the recipe's teacher need not be a classifier.

    It comes from a file, methods learn from it, and none of them reads its logits.

    Args:
        recipe: the run's recipe.
        methods: methods of all models.
    """
    one_file = len(recipe.teacher) == 1 and identity.is_file(recipe.teacher[0])
    learn = not all(method.teacher_free for method in methods)
    return one_file and learn and not requirements.logit_users(methods)


def gives_embedding(teacher: keras.Model, data: Dataset) -> bool:
    """Whether a model's output cannot be scores of the data's classes.

    An embedding with as many numbers as there are classes is taken for their logits.

    Args:
        teacher: the model.
        data: the dataset; its number of classes counts.
    """
    if taps.output_shapes(teacher)[taps.LOGITS] != (None, len(data.class_names)):
        return True
    try:
        heads.output_type(teacher, multi_label=data.multi_label)
    except ValueError:
        return True
    return False


def require_taps(teacher: keras.Model, methods: Sequence[Method]) -> None:
    """Raises ValueError if a teacher of an embedding lacks a feature that the methods read."""
    try:
        twins.Twin(teacher, requirements.taps_of("teacher", methods))
    except ValueError as error:
        raise ValueError(
            f"the teacher gives an embedding, and the methods read another feature of it: {error} "
            "For the embedding itself, give --method embed:teacher_tap=output."
        ) from error


def rows(
    recipe: Recipe, data: Dataset, model: keras.Model, *, precision: str
) -> tuple[str, TeacherFunction, Shapes]:
    """The rows of a cache that holds a teacher's embedding alone, under the name `ROWS`.

    Args:
        recipe: the run's recipe.
        data: the dataset, whose number of classes counts.
        model: the teacher.
        precision: precision that it computes in, one of `graph.precision.PRECISIONS`.

    Returns:
        The teacher's fingerprint, the function that computes the rows, and their shape by name.

    Raises:
        ValueError: the model may be a classifier of the data.
    """
    if not gives_embedding(model, data):
        raise _gives_logits(recipe, data)
    run = keras_teacher.teacher_function(model, (), precision=precision, classifies=False)
    size = taps.output_shapes(model)[taps.LOGITS][1:]
    # Another name than a cache of the model's own feature "pooled" would have.
    name = f"{fingerprint.fingerprint(model)}.{embed.OUTPUT}"
    return name, lambda images: {ROWS: run(images)[taps.LOGITS]}, {ROWS: tuple(size)}


def onnx_rows(
    recipe: Recipe, data: Dataset, teacher: OnnxTeacher
) -> tuple[str, TeacherFunction, Shapes]:
    """As `rows`, for an ONNX file; its number of outputs comes from a run on a blank image.

    Args:
        recipe: the recipe.
        data: the dataset.
        teacher: the ONNX file.

    Raises:
        ValueError: the file may be a classifier of the data.
    """
    blank = np.zeros((1, *data.train.image_shape), np.uint8)
    size = teacher.outputs(blank).shape[1]
    if size == len(data.class_names):
        raise _gives_logits(recipe, data)
    name = f"{teacher.fingerprint}.{embed.OUTPUT}"
    return name, lambda images: {ROWS: teacher.outputs(images)}, {ROWS: (size,)}


def _gives_logits(recipe: Recipe, data: Dataset) -> ValueError:
    return ValueError(
        f"--taps is {embed.OUTPUT}, and {recipe.teacher[0]} gives {len(data.class_names)} "
        "numbers, the logits of so many classes; expected a teacher that gives an embedding. "
        "Leave --taps out."
    )


def result(recipe: Recipe, teacher: keras.Model) -> dict[str, Any]:
    """The entries of results.json about a teacher of an embedding, which has no accuracy."""
    size = taps.output_shapes(teacher)[taps.LOGITS][-1]
    facts = {"model": recipe.teacher[0], "size": size, "parameters": teacher.count_params()}
    return {"teacher": None, "teacher_embedding": facts}


def sentence(recipe: Recipe, teacher: keras.Model) -> str:
    """A sentence for the screen about a teacher of an embedding."""
    size = taps.output_shapes(teacher)[taps.LOGITS][-1]
    return (
        f"teacher: {recipe.teacher[0]} gives an embedding of {size:,} numbers and no classes, so "
        f"it has no accuracy ({teacher.count_params():,} parameters)"
    )
