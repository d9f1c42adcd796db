"""The Keras models of a run: made by name, read from files, and wrapped in Distillers."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from kd_keras import files, methods, models
from kd_keras.data.stores.store import Dataset
from kd_keras.distill.checks import pair_warnings
from kd_keras.distill.distiller import Distiller
from kd_keras.graph import freezing
from kd_keras.job import plan
from kd_keras.job.identity import cache_of, is_file
from kd_keras.job.models import cached_teacher, embedding_teacher
from kd_keras.job.plan import PlannedModel
from kd_keras.job.recipe import recipe_files
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.methods.parts import requirements
from kd_keras.models import adapt, class_matching, ensemble, model_files
from kd_keras.teacher_cache.reader import Cache

FREEZABLE = ("baseline", "generation", "student")  # roles of models whose layers --freeze freezes


@dataclasses.dataclass(frozen=True)
class Models:
    """The models of a run that learn from a teacher, and their teachers.

    Attributes:
        teachers: every teacher that is a model, by phase; empty if no model learns from one.
        teacher: what the first round learns from: a model (of several teachers, their mean) or a
            cache of a teacher's outputs; None if no model learns from a teacher.
        rounds: Distillers by phase for each of `plan.rounds`.
        embedding: whether the teacher is a model that gives an embedding and no classes.
    """

    teachers: Mapping[str, keras.Model]
    teacher: keras.Model | Cache | None
    rounds: Sequence[Mapping[str, Distiller]]
    embedding: bool = False


def make_models(recipe: Recipe, data: Dataset, *, precision: str) -> Models:
    """The models of a run, in the current strategy's scope, before any training.

    Args:
        recipe: the run's recipe.
        data: the dataset that the models are trained on.
        precision: precision of every training.

    Raises:
        ValueError, FileNotFoundError: a model, method or cache that does not fit the others.
    """
    keras.utils.set_random_seed(recipe.seed)  # for methods that draw random numbers
    planned_rounds, num_examples = plan.rounds(recipe), len(data.train.images)
    by_phase = {
        model.phase: make_methods(model.methods, num_examples=num_examples)
        for planned_models in planned_rounds
        for model in planned_models
    }
    all_methods = [method for group in by_phase.values() for method in group]
    teachers: dict[str, keras.Model] = {}
    teacher: keras.Model | Cache | None = None
    any_model = embedding_teacher.is_allowed(recipe, all_methods)
    if has_teacher(all_methods) and cache_of(recipe):
        views = requirements.views_per_image(all_methods)
        reads_logits = bool(requirements.logit_users(all_methods))
        teacher = cached_teacher.from_cache(
            recipe, data, views_per_image=views, reads_logits=reads_logits
        )
    elif has_teacher(all_methods):
        teachers = {
            model.phase: _make_seeded(
                model.seed, make_one_teacher, model.spec, recipe, data, any_model
            )
            for model in plan.teachers(recipe)
        }
        teacher = as_one(list(teachers.values()), recipe)
    embedding = any_model and embedding_teacher.gives_embedding(teacher, data)
    if embedding:
        embedding_teacher.require_taps(teacher, all_methods)
    rounds, current_teacher = [], teacher
    for planned_models in planned_rounds:
        distillers = {
            model.phase: _distiller(
                model,
                recipe,
                data,
                by_phase[model.phase],
                teacher=current_teacher,
                precision=precision,
            )
            for model in planned_models
        }
        current_teacher = distillers[planned_models[0].phase].deployed
        rounds.append(distillers)
    return Models(teachers, teacher, rounds, embedding)


def make_baselines(recipe: Recipe, data: Dataset, *, precision: str) -> dict[str, Distiller]:
    """The students alone, by phase, with the initial weights of the distilled ones.

    Args:
        recipe: the run's recipe.
        data: the dataset that the models are trained on.
        precision: precision of the training, one of `graph.precision.PRECISIONS`.
    """
    return {
        model.phase: _distiller(model, recipe, data, [], teacher=None, precision=precision)
        for model in plan.baselines(recipe)
    }


def _distiller(
    model: PlannedModel,
    recipe: Recipe,
    data: Dataset,
    chosen_methods: list[Any],
    *,
    teacher: keras.Model | Cache | None,
    precision: str,
) -> Distiller:
    student = _make_seeded(model.seed, make, model.spec, data, recipe.weights)
    try:
        if recipe.freeze and model.role in FREEZABLE:
            freezing.freeze(student, recipe.freeze)
        with pair_warnings.without_warnings():  # `model_notes` shows them
            return Distiller(
                student,
                teacher=teacher if has_teacher(chosen_methods) else None,
                methods=chosen_methods,
                ce_weight=recipe.ce_weight if chosen_methods else None,
                label_mode=recipe.label_mode,
                label_smoothing=recipe.label_smoothing,
                precision=precision,
                validate_teacher=recipe.validate_teacher and bool(chosen_methods),
            )
    except ValueError as error:
        raise ValueError(f"{model.phase} ({model.spec}): {error}") from error


def make(spec: str, data: Dataset, weights: str | None = None) -> keras.Model:
    """The model that a spec names, for the data's classes and image size.

    A model of keras.applications starts from `weights`: "imagenet", a file, or None for random.

    Args:
        spec: NAME or NAME:knob=value, or a path of a model file.
        data: the dataset; its classes and image size count.
        weights: initial weights of a model of keras.applications.

    Raises:
        ValueError: unknown name or knob (with the nearest), or a file whose model does not fit.
        FileNotFoundError: no such file.
    """
    name, knobs = recipe_files.parse_spec(spec)
    if is_file(spec):
        return model_files.open_model(name, num_classes=len(data.class_names))
    models.check_knobs(name, knobs)  # or a spec could name the data's classes and shape
    options: dict[str, Any] = dict(knobs)
    if name.startswith("app:"):
        options = {"weights": weights or "none", **options}  # the spec's own win
    return models.get(
        name, num_classes=len(data.class_names), input_shape=data.image_shape, **options
    )


def make_teacher(recipe: Recipe, data: Dataset) -> keras.Model:
    """The recipe's teacher as one model; of several teachers, their mean."""
    return as_one([make_one_teacher(spec, recipe, data) for spec in recipe.teacher], recipe)


def make_one_teacher(
    spec: str, recipe: Recipe, data: Dataset, any_model: bool = False
) -> keras.Model:
    """One teacher, wrapped if its pixels, image size or classes differ from the data's.

    With `any_model`, one that is not a classifier is taken too.

    Args:
        spec: as for `make`.
        recipe: the run's recipe; its fields about the teacher's images and classes count.
        data: the dataset.
        any_model: whether the model need not be a classifier.
    """
    if not is_file(spec):
        return make(spec, data, recipe.weights)
    has_own_classes = recipe.teacher_class_names is not None
    model = model_files.open_model(
        recipe_files.parse_spec(spec)[0],
        num_classes=None if has_own_classes or any_model else len(data.class_names),
        two_logits=not (any_model or data.multi_label),
    )
    order = order_of_classes(recipe, data)
    same_images = tuple(model.inputs[0].shape[1:]) == data.image_shape
    if same_images and not (
        recipe.teacher_preprocess or recipe.teacher_image_size or has_own_classes
    ):
        return model  # unwrapped, so that its taps keep their names
    return adapt.adapt_teacher(
        model,
        input_shape=data.image_shape,
        preprocess=recipe.teacher_preprocess,
        image_size=recipe.teacher_image_size,
        classes=order,
        multi_label=data.multi_label,
    )


def order_of_classes(recipe: Recipe, data: Dataset) -> tuple[list[str], list[str]] | None:
    """Class names in the teacher's order and in ours; None if the recipe names no file of them."""
    if recipe.teacher_class_names is None:
        return None
    require_teacher_class_names(recipe)
    text = Path(recipe.teacher_class_names).expanduser().read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip()], list(data.class_names)


def require_teacher_class_names(recipe: Recipe) -> None:
    """Raises FileNotFoundError, or OSError, if the file of the teacher's class names is none."""
    if recipe.teacher_class_names is None:
        return
    path = Path(recipe.teacher_class_names).expanduser()
    files.require_regular(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"teacher_class_names is {path}, which is not a file; expected a text file with one "
            "class name a line, in the teacher's order. Check the path."
        )


def describe_classes(recipe: Recipe, data: Dataset) -> list[str]:
    """Sentences on how the teacher's class names become ours; none where it has our classes.

    Args:
        recipe: the run's recipe; its `teacher` and `teacher_class_names` count.
        data: the dataset.
    """
    is_foreign = any(is_file(spec) for spec in recipe.teacher)
    names = order_of_classes(recipe, data) if is_foreign else None
    return [] if names is None else class_matching.describe(*names)


def as_one(teachers: list[keras.Model], recipe: Recipe) -> keras.Model:
    """The teachers as one model, which shares their weights.

    Args:
        teachers: the teachers, one or more.
        recipe: the run's recipe; its `ensemble_weights` and `label_mode` count.
    """
    if len(teachers) == 1:
        return teachers[0]
    multi_label = recipe.label_mode == "multi"
    return ensemble.mean_of_logits(teachers, recipe.ensemble_weights, multi_label=multi_label)


def make_methods(specs: Sequence[str], *, num_examples: int | None = None) -> list[Any]:
    """The methods of these specs; none for "none" alone.

    Args:
        specs: specs of methods.
        num_examples: number of training images, for methods that store a value for each; None
            only checks.

    Raises:
        ValueError: unknown method or knob (with the nearest), or a value out of range.
    """
    names_and_knobs = [recipe_files.parse_spec(text) for text in specs]
    if [name for name, _ in names_and_knobs] == ["none"]:
        return []
    example_knobs = {} if num_examples is None else {"num_examples": num_examples}
    return [
        methods.get(
            name, **{**(example_knobs if "num_examples" in methods.knobs(name) else {}), **knobs}
        )
        for name, knobs in names_and_knobs
    ]


def has_teacher(chosen_methods: Sequence[Any]) -> bool:
    """Whether any of the methods learns from a teacher."""
    return not all(method.teacher_free for method in chosen_methods)


def _make_seeded(seed: int, make_model: Callable[..., keras.Model], *arguments: Any) -> keras.Model:
    """The model with the initial weights of this seed."""
    keras.utils.set_random_seed(seed)
    return make_model(*arguments)
