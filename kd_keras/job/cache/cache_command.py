"""The options of `kdk cache` as text, and the command that caches an ONNX teacher."""

import shlex
from pathlib import Path
from typing import Any

from kd_keras.job.recipe import recipe_files
from kd_keras.job.recipe.recipe_files import Recipe

#: Fields of a recipe that describe a cache.
FIELDS = (
    *(
        "dataset",
        "label_mode",
        "data_dir",
        "image_size",
        "resize",
        "flip",
        "val_fraction",
        "validate_on_holdout",
    ),
    *("augment", "mixup", "cutmix", "store_size", "unlabelled", "labels_per_class"),
    *("views", "view_seed"),
    *("teacher", "ensemble_weights", "weights", "teacher_preprocess", "teacher_image_size"),
    *("teacher_class_names", "imports", "precision"),
)
_ALWAYS_SHOWN = ("dataset", "views", "teacher")
_NOT_OF_ONNX = ("ensemble_weights", "weights", "imports", "precision")
_FEW_VIEWS = 5  # for a recipe with a new view every epoch, which no cache can hold


def require_no_onnx(recipe: Recipe, *, views_per_image: int, embedding: bool = False) -> None:
    """Raises ValueError, with the command to type, if a model of the recipe is an ONNX file.

    Args:
        recipe: the recipe.
        views_per_image: number of views per image in a batch.
        embedding: whether students learn the teacher's embedding and no logits.
    """
    onnx_students = [spec for spec in (*recipe.assistants, *recipe.student) if _is_onnx(spec)]
    if onnx_students:
        raise ValueError(
            f"{onnx_students[0]} is an ONNX file, which cannot be trained; expected the name of a "
            "model or a .keras or .h5 file. Give one of those."
        )
    file = onnx_teacher(recipe)
    if file is not None:
        views = recipe.views or min(recipe.epochs, _FEW_VIEWS)
        folder = f"{Path(file).stem}-cache"
        taps = " --taps output" if embedding else ""
        replaced_options = (
            "--teacher, --views and teacher_tap" if embedding else "--teacher and --views"
        )
        from kd_keras.data import (
            pipeline,
        )  # imports TensorFlow, which `kdk cache --help` does without

        total_views = pipeline.total_views(views, views_per_image)
        raise ValueError(
            f"the teacher {file} is an ONNX file; expected a cache of its outputs, made once "
            f"by this command:\n    {_command(recipe, total_views, folder)}{taps}\n"
            f"Then run the same kdk train with this in place of its {replaced_options}:\n"
            f"    --teacher {shlex.quote(f'cache:{folder}')} --views {views}"
        )


def onnx_teacher(recipe: Recipe) -> str | None:
    """The recipe's ONNX file, with its suffix in any case; None if it has no ONNX teacher.

    Raises:
        ValueError: there are other teachers beside the ONNX file.
    """
    files = [spec for spec in recipe.teacher if _is_onnx(spec)]
    if files and len(recipe.teacher) > 1:
        raise ValueError(
            f"the teachers are {list(recipe.teacher)}; expected an ONNX file alone, or models of "
            "Keras. Give one --teacher."
        )
    return files[0] if files else None


def _is_onnx(spec: str) -> bool:
    return spec.lower().endswith(".onnx")


def _command(recipe: Recipe, views: int, folder: str) -> str:
    """The `kdk cache` command of the recipe's data and teacher, quoted for a shell.

    Args:
        recipe: the recipe.
        views: number of views of each image.
        folder: folder of the cache.
    """
    default = recipe_files.load(recipe_files.DEFAULT)
    words = ["kdk", "cache"]
    for name in FIELDS:
        value = views if name == "views" else getattr(recipe, name)
        is_default = name in _NOT_OF_ONNX or value == getattr(default, name)
        if name in _ALWAYS_SHOWN or not is_default:
            words += _option(name, value)
    return shlex.join([*words, "--out", folder])


def _option(name: str, value: Any) -> list[str]:
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{flag}" if value else f"--no-{flag}"]
    if isinstance(value, tuple):
        return [word for item in value for word in (f"--{flag}", str(item))]
    return [f"--{flag}", "none" if value is None else str(value)]
