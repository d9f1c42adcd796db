"""Settings that nobody chose, adjusted to the data: a built-in recipe is made for its own.

A field counts as chosen where the command line, a `.toml` file, a `recipe.json` or the caller in
Python names it (`Recipe.model_fields_set`); chosen fields stay as they are.
"""

import math
from typing import Any

from kd_keras import methods
from kd_keras.data.store import Dataset
from kd_keras.job import dataset, method_options, recipe_files, spec
from kd_keras.job.recipe_files import Recipe
from kd_keras.results.screen import Screen

STEPS_PER_EPOCH = 30  # of more, smaller steps a network learns more in the same time
MIN_BATCH = 8  # a batch norm's statistics of fewer images are noise
MIN_STEPS = {"epochs": 200, "teacher_epochs": 300}  # a network from scratch learns little in fewer
MAX_EPOCHS = 50  # of those that are added: each has its validation and its logs
FALLBACK = "kd"  # defined for any number of classes
# The learning rates follow the batch and the views the epochs.
FIELDS = {"method", "teacher", "student", "batch_size", "epochs", "teacher_epochs"}
_RATES = ("learning_rate", "teacher_learning_rate", "baseline_learning_rate")


def loaded(
    recipe: Recipe, screen: Screen, *, verify: bool = False
) -> tuple[Recipe, Dataset | None]:
    """The recipe adjusted to its data, and these; says what changed.

    The recipe as it is, and None, where there is nothing to adjust: the data set is the recipe's
    own, for which its settings were made, or all of `FIELDS` are chosen.

    Raises:
        ValueError, FileNotFoundError, OSError: see `dataset.load`.
    """
    if "dataset" not in recipe.model_fields_set or recipe.model_fields_set >= FIELDS:
        return recipe, None
    data = dataset.load(recipe, screen, verify=verify)
    adjusted = to_data(
        recipe,
        images=len(data.train),
        side=max(data.image_shape[:2]),
        classes=len(data.class_names),
    )
    if adjusted.method != recipe.method:
        screen.say(
            f"method: {' '.join(adjusted.method)}, since {' '.join(recipe.method)} needs more "
            f"classes than these {len(data.class_names)}"
        )
    changes = [
        line.replace("->", "to")
        for line in recipe_files.difference(recipe, adjusted)
        if not line.startswith("method:")
    ]
    if changes:
        screen.say(
            f"adjusted to {len(data.train):,} training images: {'; '.join(changes)}. An option "
            "that you give is taken as it is."
        )
    return adjusted, data


def to_data(recipe: Recipe, *, images: int, side: int, classes: int) -> Recipe:
    """The recipe with every field that nobody chose adjusted; adjusting twice changes no more.

    - `method`: `FALLBACK` in the place of one that needs more classes.
    - `teacher`, `student`: `stem_stride`, where their spec has one, for the size of the images.
    - `batch_size`: smaller, so that an epoch has `STEPS_PER_EPOCH`.
    - learning rates, of Adam and AdamW: by the root of what the batch changed by.
    - `epochs`, `teacher_epochs`: more, up to `MAX_EPOCHS`, so that there are `MIN_STEPS`; `views`
      as many times more as `epochs`.

    Args:
        recipe: the recipe; its `model_fields_set` are the chosen fields.
        images: training images.
        side: their longer side in pixels.
        classes: how many.
    """
    fields: dict[str, Any] = {"method": _methods(recipe, classes)}
    for name in ("teacher", "student"):
        fields[name] = tuple(_with_stem(text, stem_stride(side)) for text in getattr(recipe, name))
    batch = recipe.batch_size
    if "batch_size" not in recipe.model_fields_set:
        batch = fields["batch_size"] = batch_size(batch, images)
    if recipe.optimizer in ("adam", "adamw"):
        fields |= _rates(recipe, math.sqrt(batch / recipe.batch_size))
    for name, steps in MIN_STEPS.items():
        fields[name] = epochs(getattr(recipe, name), steps, max(1, images // batch))
    if "epochs" not in recipe.model_fields_set:
        fields["views"] = round(recipe.views * fields["epochs"] / recipe.epochs)
    free = {name: new for name, new in fields.items() if name not in recipe.model_fields_set}
    return recipe.model_copy(update=free)  # which counts them as chosen: nothing is left to adjust


def batch_size(default: int, images: int) -> int:
    """`default`, or the largest power of two with which an epoch has `STEPS_PER_EPOCH`.

    Not under `MIN_BATCH` for that, but never more than there are images.
    """
    most = min(images, max(MIN_BATCH, images // STEPS_PER_EPOCH))
    return default if default <= most else 2 ** int(math.log2(most))


def epochs(default: int, least_steps: int, steps_per_epoch: int) -> int:
    """`default`, or as many more, up to `MAX_EPOCHS`, as give `least_steps`."""
    return max(default, min(MAX_EPOCHS, math.ceil(least_steps / steps_per_epoch)))


def stem_stride(side: int) -> int:
    """Further stride of the first convolution that leaves 56 places a side of up to 224 pixels."""
    return 1 if side < 48 else 2 if side < 112 else 4


def _methods(recipe: Recipe, classes: int) -> tuple[str, ...]:
    """The specs, with `FALLBACK` for methods that need more classes; chosen knobs are kept."""
    chosen = {
        knob for option, knob in method_options.KNOBS.items() if option in recipe.model_fields_set
    }

    def fitting(text: str) -> str:
        name, knobs = spec.parse(text)
        if name == "none" or methods.min_classes(name) <= classes:
            return text
        return spec.edited(FALLBACK, {k: v for k, v in knobs.items() if k in chosen})

    return tuple(dict.fromkeys(map(fitting, recipe.method)))


def _with_stem(text: str, stride: int) -> str:
    has_stem = "stem_stride" in spec.parse(text)[1]
    return spec.edited(text, {"stem_stride": stride}) if has_stem else text


def _rates(recipe: Recipe, factor: float) -> dict[str, float]:
    """The learning rates that are there times `factor`, to two digits; as they are for 1."""
    rates = {name: getattr(recipe, name) for name in _RATES}
    if factor == 1:
        return {}
    return {name: float(f"{rate * factor:.2g}") for name, rate in rates.items() if rate is not None}
