"""The recipe's teacher and student as Keras models: from the zoo, or from a file."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from kd_keras import check, files, methods, models
from kd_keras.data.store import Dataset
from kd_keras.job import cache_command, recipe_files
from kd_keras.job.recipe_files import Recipe
from kd_keras.methods import base
from kd_keras.models import adapt, custom_objects, ensemble, model_files
from kd_keras.teacher_cache import file_format


def cache_of(asked: Recipe) -> Path | None:
    """The folder of a teacher that is a cache of outputs, "cache:FOLDER"; None of any other."""
    prefix, _, folder = asked.teacher[0].partition(":")
    return Path(folder).expanduser() if prefix == "cache" else None


def is_file(spec: str) -> bool:
    """Whether a model spec is a path (of a `.keras` file or a SavedModel) and not a zoo's name."""
    name, _ = recipe_files.parse_spec(spec)
    if name in models.names() or name.startswith(("app:", "cache:")):
        return False  # also where a folder of that name happens to lie here
    return name.endswith((*model_files.SUFFIXES, ".onnx")) or "/" in name or Path(name).exists()


def identity(spec: str) -> str:
    """What tells two models of one spec apart: a file's content hash; of the zoo, the spec."""
    if not is_file(spec):
        return spec
    path = Path(recipe_files.parse_spec(spec)[0]).expanduser()
    return files.sha256(path) if path.exists() else spec


def identities(asked: Recipe) -> dict[str, Any]:
    """The `identity` of every model that the recipe names; of a single one, a text."""
    cache = cache_of(asked)
    teachers, students = ([identity(s) for s in specs] for specs in (asked.teacher, asked.student))
    if cache is not None:
        teachers = [_identity_of_rows(file_format.read_header(cache))]
    found: dict[str, Any] = {
        "teacher": teachers[0] if len(teachers) == 1 else teachers,
        "student": students[0] if len(students) == 1 else students,
    }
    if asked.assistants:
        found["assistants"] = list(map(identity, asked.assistants))
    if asked.weights not in (None, "imagenet") and recipe_files.has_applications(asked):
        found["weights"] = files.sha256(Path(asked.weights).expanduser())
    return found


def _identity_of_rows(header: file_format.Header) -> str:
    """What tells the rows of two caches apart, but for how many views there are."""
    facts = {k: v for k, v in dataclasses.asdict(header).items() if k not in ("views", "about")}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def check_names(asked: Recipe) -> None:
    """Raises ValueError for unknown models, methods and knobs, before any data is read."""
    custom_objects.register(asked.imports)
    cache = cache_of(asked)
    if cache is not None:
        file_format.read_header(cache)
    for spec in (*(() if cache else asked.teacher), *asked.assistants, *asked.student):
        name, _ = recipe_files.parse_spec(spec)
        if not (is_file(spec) or name.startswith("app:")):
            check.one_of("model", name, models.names(), remedy="Run `kdk list models`.")
    models.check_weights(asked.weights)
    made = make_methods(asked, num_examples=2)  # the fewest that any method takes
    cache_command.require_no_onnx(asked, views_per_image=base.views_per_image(made))
    chained = [f"assistants ({', '.join(asked.assistants)})"] if asked.assistants else []
    chained += [f"{asked.generations} generations"] if asked.generations > 1 else []
    if chained and not has_teacher(made):
        raise ValueError(
            f"the recipe has {' and '.join(chained)} and the method {' '.join(asked.method)}; "
            "expected a method by which one model learns from another. Give one, such as "
            "--method kd, or leave them out."
        )


def has_teacher(made: list[Any]) -> bool:
    """Whether any of the methods learns from a teacher."""
    return not all(method.teacher_free for method in made)


def origins(asked: Recipe) -> list[str]:
    """A line on each app: model of the recipe: which weights it starts from."""
    specs = dict.fromkeys((*asked.teacher, *asked.assistants, *asked.student))
    lines = []
    for name, knobs in map(recipe_files.parse_spec, specs):
        if name.startswith("app:"):
            weights = knobs.get("weights", asked.weights) or "none"
            words = {"imagenet": "ImageNet's weights", "none": "random weights"}
            lines.append(f"{name} starts from {words.get(str(weights), f'the weights {weights}')}")
    return lines


def make(spec: str, data: Dataset, weights: str | None = None) -> keras.Model:
    """The model that a spec names, for the data's classes and image size.

    A model of keras.applications starts from `weights`: "imagenet", a file, or None for random.

    Raises:
        ValueError: unknown name or knob (with the nearest), or a file that is no fitting model.
        FileNotFoundError: no such file.
    """
    name, knobs = recipe_files.parse_spec(spec)
    if is_file(spec):
        return model_files.open_model(name, num_classes=len(data.class_names))
    if name.startswith("app:"):
        knobs = {"weights": weights or "none", **knobs}  # the spec's own are the more particular
    settings: dict[str, Any] = {
        "num_classes": len(data.class_names),
        "input_shape": data.image_shape,
        **knobs,
    }
    return models.get(name, **settings)


def make_teacher(asked: Recipe, data: Dataset) -> keras.Model:
    """The recipe's teacher: the one that it names, or the mean of several."""
    return as_one([make_one_teacher(spec, asked, data) for spec in asked.teacher], asked)


def make_one_teacher(spec: str, asked: Recipe, data: Dataset) -> keras.Model:
    """One of the recipe's teachers; a file's takes our pixels, image size and order of classes."""
    if not is_file(spec):
        return make(spec, data, asked.weights)
    foreign = asked.teacher_classes is not None
    model = model_files.open_model(
        recipe_files.parse_spec(spec)[0],
        num_classes=None if foreign else len(data.class_names),
        two_logits=True,
    )
    order = order_of_classes(asked, data)
    same_images = tuple(model.inputs[0].shape[1:]) == data.image_shape
    if same_images and not (asked.teacher_preprocess or asked.teacher_image_size or foreign):
        return model  # unwrapped, so that its taps keep their names
    return adapt.adapt_teacher(
        model,
        input_shape=data.image_shape,
        preprocess=asked.teacher_preprocess,
        image_size=asked.teacher_image_size,
        classes=order,
    )


def order_of_classes(asked: Recipe, data: Dataset) -> tuple[list[str], list[str]] | None:
    """The foreign teacher's class names in its order, and ours in ours; None if they are one."""
    if asked.teacher_classes is None:
        return None
    return _lines(asked.teacher_classes), list(data.class_names)


def as_one(teachers: list[keras.Model], asked: Recipe) -> keras.Model:
    """The teachers as one model, which shares their weights."""
    if len(teachers) == 1:
        return teachers[0]
    return ensemble.mean_of_logits(teachers, asked.teacher_weights)


def make_methods(
    asked: Recipe, specs: Sequence[str] | None = None, *, num_examples: int
) -> list[Any]:
    """Methods with the recipe's temperature and weights where their specs have none.

    Args:
        asked: the recipe.
        specs: of the methods; None takes the recipe's.
        num_examples: how many ids the training images have, for methods that remember each.

    Raises:
        ValueError: unknown method or knob (with the nearest), or a value out of range.
    """
    parsed = [recipe_files.parse_spec(text) for text in (asked.method if specs is None else specs)]
    if [name for name, _ in parsed] == ["none"]:
        return []
    made = []
    for place, (name, knobs) in enumerate(parsed):
        taken = methods.knobs(name)
        shared = {
            "temperature": asked.temperature,
            "weight": asked.kd_weight if place == 0 else None,
            "num_examples": num_examples,
        }
        given = {k: v for k, v in shared.items() if v is not None and k in taken}
        made.append(methods.get(name, **{**given, **knobs}))
    return made


def _lines(path: str) -> list[str]:
    text = Path(path).expanduser().read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip()]
