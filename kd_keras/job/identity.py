"""Tells model files from model names, and hashes model files."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from kd_keras import files, models
from kd_keras.job.recipe import recipe_files
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.models import model_files
from kd_keras.teacher_cache import file_format


def cache_of(recipe: Recipe) -> Path | None:
    """The folder of a teacher that is a cache of outputs, "cache:FOLDER"; None for any other."""
    prefix, _, folder = recipe.teacher[0].partition(":")
    return Path(folder).expanduser() if prefix == "cache" else None


def is_file(spec: str) -> bool:
    """Whether a model spec is the path of a file or SavedModel and not the name of a model."""
    name, _ = recipe_files.parse_spec(spec)
    if name in models.names() or name.startswith(("app:", "cache:")):
        return False  # even if the working directory has a folder of that name
    return name.endswith((*model_files.SUFFIXES, ".onnx")) or "/" in name or Path(name).exists()


def program_warning(spec: str) -> str:
    """A line about a teacher whose file is a program; "" for any other."""
    is_onnx = spec.lower().endswith(".onnx")
    if not is_onnx and not (is_file(spec) and Path(spec).expanduser().is_dir()):
        return ""
    file = "an ONNX file" if is_onnx else "a SavedModel"
    return f"the teacher {spec} is {file}: a program that runs here. Use it only if you trust it"


def identity(spec: str) -> str:
    """The hash of a model file's content; the spec itself for models that are made by name."""
    if not is_file(spec):
        return spec
    path = Path(recipe_files.parse_spec(spec)[0]).expanduser()
    return files.sha256(path) if path.exists() else spec


def identities(recipe: Recipe) -> dict[str, Any]:
    """The `identity` of every model in the recipe, and hashes of the files that settings name.

    A text where a field names one model, else a list.
    """
    cache = cache_of(recipe)
    if cache is not None:
        teachers = [_identity_of_cache(file_format.read_header(cache))]
    else:
        teachers = list(map(identity, recipe.teacher))
    students = list(map(identity, recipe.student))
    hashes: dict[str, Any] = {
        "teacher": teachers[0] if len(teachers) == 1 else teachers,
        "student": students[0] if len(students) == 1 else students,
    }
    if recipe.assistants:
        hashes["assistants"] = list(map(identity, recipe.assistants))
    if recipe.weights not in (None, "imagenet") and recipe_files.has_applications(recipe):
        hashes["weights"] = files.sha256(Path(recipe.weights).expanduser())
    if recipe.teacher_class_names is not None:
        hashes["teacher_class_names"] = _hash_if_file(recipe.teacher_class_names)
    knobs = [value for text in recipe.method for value in recipe_files.parse_spec(text)[1].values()]
    if method_files := [content for value in knobs if (content := _hash_if_file(value))]:
        hashes["method_files"] = method_files
    return hashes


def _hash_if_file(value: Any) -> str | None:
    """The hash of the file that a setting names; None for any other value."""
    path = Path(value).expanduser() if isinstance(value, str) else None
    return files.sha256(path) if path is not None and path.is_file() else None


def _identity_of_cache(header: file_format.Header) -> str:
    """A hash that is equal for caches of the same rows, however many views each has."""
    facts = {k: v for k, v in dataclasses.asdict(header).items() if k not in ("views", "about")}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
