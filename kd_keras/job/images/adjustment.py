"""Adjusts unset fields of a recipe to the data; built-in recipes fit their own dataset.

A field counts as chosen if the command line, a `.toml` file, a `recipe.json` or the caller in
Python sets it (`Recipe.model_fields_set`). Chosen fields do not change.
"""

import math
from collections.abc import Collection
from typing import Any

from kd_keras import methods
from kd_keras.data.stores.store import Dataset
from kd_keras.job import identity
from kd_keras.job.images import dataset
from kd_keras.job.recipe import method_options, recipe_files, spec
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.results.terminal.screen import Screen

STEPS_PER_EPOCH = 30  # a network learns more from more, smaller steps in the same time
MIN_BATCH = 8  # with fewer images, the statistics of batch norms are noise
MIN_STEPS = {"epochs": 900, "teacher_epochs": 900}  # with fewer, a new network learns little
MAX_EPOCHS = 50  # limit for added epochs: each is validated and logged
FALLBACK = "kd"  # works with any number of classes
# Learning rates follow the batch size, and views follow the epochs.
FIELDS = {"method", "teacher", "student", "batch_size", "epochs", "teacher_epochs"}
_LIKE_ADAM = ("adam", "adamw", "lamb", "muon")
_RATES = ("learning_rate", "teacher_learning_rate", "baseline_learning_rate")


def load_and_adjust(
    recipe: Recipe,
    screen: Screen,
    *,
    verify: bool = False,
    shown_fields: Collection[str] | None = None,
) -> tuple[Recipe, Dataset | None]:
    """Loads the data, adjusts the recipe to them and shows what changed.

    Returns the recipe unchanged and None if there is nothing to adjust: the dataset is the
    recipe's own, or all of `FIELDS` are chosen.

    Args:
        recipe: the recipe; its `model_fields_set` are the chosen fields.
        screen: where the changes are shown.
        verify: whether to compare the data's contents with their hashes.
        shown_fields: fields whose changes are shown; None shows all.

    Raises:
        ValueError, FileNotFoundError, OSError: see `dataset.load`.
    """
    if "dataset" not in recipe.model_fields_set:
        return recipe, None
    typed_recipe, recipe = recipe, with_all_labels(recipe)
    if recipe.model_fields_set >= FIELDS:
        return recipe, None
    data = dataset.load(recipe, screen, verify=verify)
    sizes = {"num_images": len(data.train), "num_classes": len(data.class_names)}
    side = max(data.image_shape[:2])
    adjusted_recipe = adjust_recipe(recipe, side=side, **sizes)
    shown_recipe = adjusted_recipe
    if shown_fields is not None:
        hidden_fields = set(Recipe.model_fields) - set(shown_fields)
        shown_recipe = adjusted_recipe.model_copy(
            update={name: getattr(typed_recipe, name) for name in hidden_fields}
        )
    for line in describe_changes(typed_recipe, shown_recipe, **sizes):
        screen.say(line)
    return adjusted_recipe, data


def with_all_labels(recipe: Recipe) -> Recipe:
    """The recipe, which hides no label of a chosen dataset unless `labels_per_class` is chosen."""
    if recipe.labels_per_class is None or "labels_per_class" in recipe.model_fields_set:
        return recipe
    return recipe.model_copy(update={"labels_per_class": None, "hide_from_teacher": False})


def adjust_recipe(recipe: Recipe, *, num_images: int, side: int, num_classes: int) -> Recipe:
    """The recipe with its unset fields adjusted to the data; adjusting again changes nothing.

    - `method`: `FALLBACK` in place of a method that needs more classes, or one class an image.
    - `teacher`, `student`: the knob `stem_stride` of their spec, if any, fits the image size.
    - `batch_size`: smaller, so that an epoch has `STEPS_PER_EPOCH`.
    - learning rates, with an optimizer of `_LIKE_ADAM`: times the square root of the change of the
      batch size.
    - `epochs`, `teacher_epochs`: more, up to `MAX_EPOCHS`, so that there are `MIN_STEPS`; `views`
      grow by the same factor as `epochs`.

    Args:
        recipe: the recipe; its `model_fields_set` are the chosen fields.
        num_images: number of training images.
        side: longer side of the images in pixels.
        num_classes: number of classes.
    """
    fields: dict[str, Any] = {"method": _methods(recipe, num_classes)}
    for name in ("teacher", "student"):
        fields[name] = tuple(_with_stem(text, stem_stride(side)) for text in getattr(recipe, name))
    batch = recipe.batch_size
    if "batch_size" not in recipe.model_fields_set:
        batch = fields["batch_size"] = batch_size(
            batch, num_images, min_size=MIN_BATCH * recipe.accumulate
        )
    if recipe.optimizer in _LIKE_ADAM:
        fields |= _rates(recipe, math.sqrt(batch / recipe.batch_size))
    for name, steps in MIN_STEPS.items():
        fields[name] = epochs(getattr(recipe, name), steps, max(1, num_images // batch))
    if "epochs" not in recipe.model_fields_set:
        fields["views"] = round(recipe.views * fields["epochs"] / recipe.epochs)
    unset_fields = {
        name: value for name, value in fields.items() if name not in recipe.model_fields_set
    }
    # they count as chosen now, so nothing is adjusted twice
    return recipe.model_copy(update=unset_fields)


def describe_changes(
    recipe: Recipe, adjusted_recipe: Recipe, *, num_images: int, num_classes: int
) -> list[str]:
    """Lines that describe the changes of `adjust_recipe`.

    Args:
        recipe: the recipe before.
        adjusted_recipe: what `adjust_recipe` made of it.
        num_images: number of training images.
        num_classes: number of classes.
    """
    lines = []
    if adjusted_recipe.method != recipe.method:
        requirement = f"more classes than these {num_classes}"
        if recipe.label_mode == "multi":
            requirement = "one class for each image"
        lines.append(
            f"method: {' '.join(adjusted_recipe.method)} instead of the recipe's "
            f"{' '.join(recipe.method)}, which needs {requirement}"
        )
    hidden_fields = ["method"]  # has its line
    if all(text.startswith("cache:") or identity.is_file(text) for text in recipe.teacher):
        hidden_fields += ["teacher_epochs", "teacher_learning_rate"]  # no teacher is trained
    changes = [
        line.replace("->", "to")
        for line in recipe_files.difference(recipe, adjusted_recipe)
        if line.partition(":")[0] not in hidden_fields
    ]
    if changes:
        lines.append(
            f"adjusted to {num_images:,} training images: {'; '.join(changes)}. An option that you "
            "give is not adjusted."
        )
    return lines


def batch_size(default: int, num_images: int, *, min_size: int = MIN_BATCH) -> int:
    """`default`, or the largest power of two with which an epoch has `STEPS_PER_EPOCH`.

    It is at least `min_size`, unless there are fewer images.

    Args:
        default: the recipe's batch size.
        num_images: number of training images.
        min_size: smallest batch size.
    """
    max_size = min(num_images, max(min_size, num_images // STEPS_PER_EPOCH))
    return default if default <= max_size else 2 ** int(math.log2(max_size))


def epochs(default: int, least_steps: int, steps_per_epoch: int) -> int:
    """`default`, or the number of epochs, up to `MAX_EPOCHS`, that gives `least_steps`.

    Args:
        default: the recipe's number of epochs.
        least_steps: smallest number of steps of a training.
        steps_per_epoch: number of batches in an epoch, >= 1.
    """
    return max(default, min(MAX_EPOCHS, math.ceil(least_steps / steps_per_epoch)))


def stem_stride(side: int) -> int:
    """Extra stride of the first convolution: feature maps have up to 56 places per side."""
    return 1 if side < 48 else 2 if side < 112 else 4


def _methods(recipe: Recipe, num_classes: int) -> tuple[str, ...]:
    """The specs, with `FALLBACK` for methods that cannot be used; chosen knobs are kept."""
    chosen_knobs = {
        knob for option, knob in method_options.KNOBS.items() if option in recipe.model_fields_set
    }

    def fits(name: str) -> bool:
        takes_labels = recipe.label_mode == "single" or methods.supports_multi_label(name)
        return takes_labels and methods.min_classes(name) <= num_classes

    def fitting(text: str) -> str:
        name, knobs = spec.parse(text)
        if name == "none" or fits(name):
            return text
        return spec.with_knobs(FALLBACK, {k: v for k, v in knobs.items() if k in chosen_knobs})

    return tuple(dict.fromkeys(map(fitting, recipe.method)))


def _with_stem(text: str, stride: int) -> str:
    has_stem = "stem_stride" in spec.parse(text)[1]
    return spec.with_knobs(text, {"stem_stride": stride}) if has_stem else text


def _rates(recipe: Recipe, factor: float) -> dict[str, float]:
    """The recipe's learning rates times `factor`, to two digits; none if the factor is 1."""
    rates = {name: getattr(recipe, name) for name in _RATES}
    if factor == 1:
        return {}
    return {name: float(f"{rate * factor:.2g}") for name, rate in rates.items() if rate is not None}
