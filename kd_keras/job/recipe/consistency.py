"""Checks of fields of a recipe that depend on each other."""

from typing import Any

from kd_keras.data.presets import PRESETS

# Fields that describe a teacher that runs, which a cache does not.
_MODEL_FIELDS = ("teacher_preprocess", "teacher_image_size", "teacher_class_names")


def check(recipe: Any) -> None:
    """Raises ValueError if fields of a `Recipe`, each valid by itself, contradict each other."""
    _check_weights_of_teachers(recipe)
    _check_cache(recipe)
    _check_several_students(recipe)
    _check_mirroring(recipe)
    _check_accumulation(recipe)
    _check_unlabelled(recipe)
    _check_multi_label(recipe)


def _check_weights_of_teachers(recipe: Any) -> None:
    weights = recipe.ensemble_weights
    if weights is not None and (len(weights) != len(recipe.teacher) or not sum(weights)):
        raise ValueError(
            f"ensemble_weights is {list(weights)} for {len(recipe.teacher)} teachers; expected a "
            "number for each, not all 0. Change them, or set --ensemble-weights none."
        )


def _check_cache(recipe: Any) -> None:
    caches = [spec for spec in recipe.teacher if spec.startswith("cache:")]
    fields = [name for name in _MODEL_FIELDS if getattr(recipe, name) is not None]
    if caches and (len(recipe.teacher) > 1 or fields):
        other_settings = " and ".join([*recipe.teacher[1:], *fields])
        raise ValueError(
            f"the teacher is {recipe.teacher[0]!r}, a cache, and there is also {other_settings}; "
            "expected the cache alone, since it contains the teacher's outputs. Remove "
            f"{other_settings}."
        )


def _check_several_students(recipe: Any) -> None:
    has_several = len(recipe.student) > 1 or (recipe.each_method and len(recipe.method) > 1)
    if has_several and recipe.generations > 1:
        raise ValueError(
            f"there are several students and {recipe.generations} generations; expected one "
            "student or one generation. Leave --generations out, or give one --student."
        )


def _check_mirroring(recipe: Any) -> None:
    if recipe.flip is not None and (recipe.augment == "none" or recipe.augment not in PRESETS):
        raise ValueError(
            f"flip is {str(recipe.flip).lower()}, and augment is {recipe.augment!r}, which says by "
            "itself whether images are mirrored; expected one of them. Leave --flip and --no-flip "
            "out; to mirror images, add the step flip."
        )


def _check_accumulation(recipe: Any) -> None:
    if recipe.batch_size % recipe.accumulate:
        raise ValueError(
            f"batch_size is {recipe.batch_size} and accumulate {recipe.accumulate}; expected a "
            "number of equal parts of a batch. Change --accumulate or --batch-size."
        )
    if recipe.accumulate > 1 and recipe.optimizer in ("dot", "deepkd"):
        raise ValueError(
            f"accumulate is {recipe.accumulate}; expected 1 with the optimizer {recipe.optimizer}, "
            "which takes the gradients of parts of the loss separately and cannot add them up over "
            "parts of a batch. Leave --accumulate out, or choose another --optimizer, such as sgd."
        )


def _check_unlabelled(recipe: Any) -> None:
    if recipe.hide_from_teacher and recipe.labels_per_class is None:
        raise ValueError(
            "hide_from_teacher is set, and labels_per_class is none; expected a number of labels, "
            "since no label is hidden without. Give --labels-per-class N, or leave "
            "--hide-from-teacher out."
        )
    if recipe.accumulate > 1 and (recipe.unlabelled or recipe.labels_per_class is not None):
        raise ValueError(
            f"accumulate is {recipe.accumulate}; expected 1 with images without a label: means "
            "over the labelled images of parts are not that of the batch. Leave --accumulate out."
        )
    repeated_names = [name for name in recipe.unlabelled if recipe.unlabelled.count(name) > 1]
    if repeated_names:
        raise ValueError(
            f"unlabelled names {repeated_names[0]!r} more than once; expected each source of "
            "images once. Remove one."
        )


def _check_multi_label(recipe: Any) -> None:
    if recipe.label_mode == "multi" and recipe.labels_per_class is not None:
        raise ValueError(
            "label_mode is 'multi', so an image may have several classes, and labels_per_class is "
            f"{recipe.labels_per_class}, which goes by the one class of each image; expected one "
            "of the two. Leave --labels-per-class out."
        )
