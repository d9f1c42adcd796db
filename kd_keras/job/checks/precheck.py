"""Checks of a recipe that need no data: names of models and methods, knobs, weights, ONNX files."""

import os
from pathlib import Path

from kd_keras import check, models
from kd_keras.job import identity, output_paths
from kd_keras.job.cache import cache_command
from kd_keras.job.checks import repeated_specs
from kd_keras.job.images import training_images
from kd_keras.job.models import build
from kd_keras.job.recipe import recipe_files
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.methods import embed
from kd_keras.methods.parts import refusals, requirements
from kd_keras.models import custom_objects, model_files
from kd_keras.models.weights import check_weights
from kd_keras.teacher_cache import file_format


def check_recipe(recipe: Recipe) -> None:
    """Checks all that can be checked before data are read, which may take minutes.

    Raises:
        ValueError: unknown model, method or knob, a knob out of range, or a damaged cache; a
            student, a method or a teacher's file that is named twice; an ONNX
            file, or assistants or generations without a method that learns from a teacher.
        FileNotFoundError: no cache in the teacher's folder, or no file of its classes.
    """
    custom_objects.register(recipe.imports)
    cache = identity.cache_of(recipe)
    if cache is not None:
        file_format.read_header(cache)
    for spec in (*(() if cache else recipe.teacher), *recipe.assistants, *recipe.student):
        name, knobs = recipe_files.parse_spec(spec)
        if identity.is_file(spec):
            if not spec.lower().endswith(".onnx"):  # `require_no_onnx` says what to do with one
                model_files.check_file(Path(name).expanduser())
                _require_trainable(spec, recipe)
            continue
        if not name.startswith("app:"):
            check.one_of("model", name, models.names(), remedy="Run `kdk list models`.")
        models.check_knobs(name, knobs)
    check_weights(recipe.weights)
    build.require_teacher_class_names(recipe)
    methods = build.make_methods(recipe.method)
    repeated_specs.check(recipe, methods)
    if recipe.mixup or recipe.cutmix:
        refusals.require_mixable(methods)
    if recipe.label_mode == "multi" and "method" in recipe.model_fields_set:  # else it is adjusted
        refusals.require_multi_label(methods)
    cache_command.require_no_onnx(
        recipe,
        views_per_image=requirements.views_per_image(methods),
        embedding=not requirements.logit_users(methods)
        and any(isinstance(method, embed.Embed) for method in methods),
    )
    training_images.require_no_labels_needed(recipe, methods)
    chain = [f"assistants ({', '.join(recipe.assistants)})"] if recipe.assistants else []
    chain += [f"{recipe.generations} generations"] if recipe.generations > 1 else []
    if chain and not build.has_teacher(methods):
        raise ValueError(
            f"the recipe has {' and '.join(chain)} and the method {' '.join(recipe.method)}; "
            "expected a method by which one model learns from another. Give one, such as "
            "--method kd, or leave them out."
        )


def check_output_folders(run: str | None, export_dir: Path) -> None:
    """Raises an error for a run folder without a name, or that cannot be written.

    A finished run may be on a disk that cannot be written, since it is only shown.

    Args:
        run: name or path of the run folder; None: a short name, known once data are read.
        export_dir: parent of the folder of the run's SavedModel.

    Raises:
        ValueError: the run folder has no name, so that its SavedModel would have none.
        OSError: a new run folder, or its SavedModel, cannot be written.
    """
    folder = recipe_files.run_folder(run) if run else None
    if run == "." or (folder is not None and folder.name in ("", "..")):
        raise ValueError(
            f"--run is {run!r}; expected the name of a run, or the path of a folder of its own. "
            "Give a name, such as --run first."
        )
    if folder is not None and os.path.exists(folder):  # Path's raises an error for a long name
        return
    if not os.path.exists(export_dir):
        output_paths.require_folder(export_dir / "run", "--export-dir")
    if folder is not None:
        output_paths.require_folder(folder, "--run")
        output_paths.require_folder(export_dir / folder.name, "--run")


def _require_trainable(spec: str, recipe: Recipe) -> None:
    """Raises ValueError for a SavedModel in a place of a model that is trained."""
    roles = {"student": recipe.student, "assistant": recipe.assistants}
    role = next((role for role, specs in roles.items() if spec in specs), None)
    folder, _ = recipe_files.parse_spec(spec)
    if role is not None and Path(folder).expanduser().is_dir():
        raise ValueError(
            f"the {role} {spec} is a SavedModel, which cannot be trained; expected a .keras or .h5 "
            "file, or the name of a model. Save the model that it was exported from "
            "(`model.save('NAME.keras')`) and give that file; a SavedModel may be the --teacher."
        )
