"""A teacher from a file that gives an embedding of an image: a model without a classifier."""

from collections.abc import Sequence
from typing import Any

import keras

from kd_keras.data.store import Dataset
from kd_keras.graph import heads, taps
from kd_keras.job import identity
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.methods import base
from kd_keras.methods.base import Method

#: Why results.json has no agreement for a student of such a teacher.
NO_AGREEMENT = "the teacher gives an embedding and no classes"


def is_allowed(recipe: Recipe, methods: Sequence[Method]) -> bool:
    """Whether the recipe's teacher need not be a classifier.

    It comes from a file, and no method reads its logits.
    """
    one_file = len(recipe.teacher) == 1 and identity.is_file(recipe.teacher[0])
    return one_file and bool(methods) and not base.logit_users(methods)


def gives_embedding(teacher: keras.Model, data: Dataset) -> bool:
    """Whether a model's output cannot be scores of the data's classes.

    An embedding with as many numbers as there are classes is taken for their logits.
    """
    if taps.output_shapes(teacher)[taps.LOGITS] != (None, len(data.class_names)):
        return True
    try:
        heads.kind(teacher)
    except ValueError:
        return True
    return False


def result(recipe: Recipe, teacher: keras.Model) -> dict[str, Any]:
    """The entries of results.json about such a teacher, which has no accuracy."""
    size = taps.output_shapes(teacher)[taps.LOGITS][-1]
    about = {"model": recipe.teacher[0], "size": size, "parameters": teacher.count_params()}
    return {"teacher": None, "teacher_embedding": about}


def sentence(recipe: Recipe, teacher: keras.Model) -> str:
    """What the screen says about such a teacher."""
    size = taps.output_shapes(teacher)[taps.LOGITS][-1]
    return (
        f"teacher: {recipe.teacher[0]} gives an embedding of {size:,} numbers and no classes, so "
        f"it has no accuracy ({teacher.count_params():,} parameters)"
    )
