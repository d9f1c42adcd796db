"""Checks of `kdk cache` that need no data, which may take a long download."""

import os
from collections.abc import Sequence
from pathlib import Path

from kd_keras import check
from kd_keras.job import identity, output_paths
from kd_keras.job.cache import cache_command
from kd_keras.job.cache.cache_options import CacheOptions
from kd_keras.job.models import build
from kd_keras.job.recipe import recipe_files
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.methods import embed
from kd_keras.models import model_files
from kd_keras.teacher_cache import file_format, onnx_teacher


def check_options(recipe: Recipe, options: CacheOptions) -> None:
    """Checks the settings of a cache, and that its teacher and its folder can be there.

    Args:
        recipe: names the data, the views and the teacher.
        options: what the cache holds.

    Raises:
        ValueError: no views, a number out of range, a teacher that cannot be cached, or taps that
            it does not have.
        FileNotFoundError: there is no such file of a teacher, or of its classes.
        OSError: the folder cannot be written.
    """
    if not recipe.views:
        raise ValueError(
            "views is 0, a new view of each image every epoch; expected the number of views to "
            "cache. Give --views, such as --views 5, and train with the same number."
        )
    check.one_of("cache dtype", options.dtype, file_format.DTYPES)
    top_k, folder = options.top_k, options.folder
    if top_k is not None:
        check.whole_number("top_k", top_k, at_least=1)
    if top_k is not None and recipe.label_mode == "multi":
        raise ValueError(
            f"top_k is {top_k}, and images may have several classes (label_mode is 'multi'): the "
            "logits that are left out would follow from a softmax; expected all of them. Leave "
            "--top-k out."
        )
    _check_teacher(recipe, options.taps)
    build.require_teacher_class_names(recipe)
    if folder is not None and not os.path.isfile(folder / "header.json"):  # a cache may be complete
        output_paths.require_folder(folder, "--out")


def _check_teacher(recipe: Recipe, taps: Sequence[str]) -> None:
    if identity.cache_of(recipe):
        raise ValueError(
            f"the teacher is {recipe.teacher[0]!r}, a cache already; expected a model. Use the "
            "cache with kdk train, or give --teacher FILE."
        )
    onnx_file = cache_command.onnx_teacher(recipe)
    if onnx_file is not None:
        _check_onnx_taps(taps)
        onnx_teacher.require_file(Path(onnx_file).expanduser())
        return
    untrained_specs = [spec for spec in recipe.teacher if not identity.is_file(spec)]
    if untrained_specs:
        raise ValueError(
            f"the teacher is {untrained_specs[0]!r}, a model that is not trained yet; expected a "
            "file. Train it with kdk train and give --teacher runs/NAME/teacher.keras."
        )
    if embed.OUTPUT in taps and (len(taps) > 1 or len(recipe.teacher) > 1):
        raise ValueError(
            f"taps are {list(taps)} of the teachers {list(recipe.teacher)}; expected one "
            f"teacher, and {embed.OUTPUT} alone or other taps. Make a cache for each."
        )
    for spec in recipe.teacher:
        model_files.check_file(Path(recipe_files.parse_spec(spec)[0]).expanduser())


def _check_onnx_taps(taps: Sequence[str]) -> None:
    if taps and tuple(taps) != (embed.OUTPUT,):
        raise ValueError(
            f"taps are {list(taps)}; expected none: an ONNX file gives its first output alone. "
            f"Leave --taps out, or give --taps {embed.OUTPUT} for a teacher that gives an "
            "embedding."
        )
