"""Which of the training images, and which of their labels, each model of a run learns from."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from kd_keras.data import pipeline
from kd_keras.data.stores.store import Dataset, Split
from kd_keras.distill.distiller import Distiller
from kd_keras.job import identity
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.methods.base import Method
from kd_keras.results.phase_names import TEACHER

#: What gives a student images without labels, in words.
_REASONS = {"labels_per_class": "--labels-per-class", "unlabelled": "--unlabelled"}


def teacher_images(recipe: Recipe, data: Dataset) -> Split:
    """The labelled images of a teacher that the run trains.

    It learns from all labels of the dataset, as a teacher that somebody made before would have;
    with `hide_from_teacher`, from the labels that its students see.

    Args:
        recipe: the run's recipe; its `hide_from_teacher` counts.
        data: the dataset.
    """
    if recipe.hide_from_teacher:
        return data.train.labelled()
    return with_all_labels(data)


def with_all_labels(data: Dataset) -> Split:
    """The training images that have a label in the dataset, also if students do not see it."""
    all_labelled = data.train_with_all_labels
    return data.train if all_labelled is None else all_labelled


def phase_images(
    recipe: Recipe, data: Dataset, distillers: Mapping[str, Distiller]
) -> tuple[Split, int]:
    """The images that models, by phase, learn from side by side, and the steps of their epoch.

    A model without a method, such as a student alone, learns from images with a label. It takes as
    many steps as the distilled student: where it has fewer images, it sees each more often.

    Args:
        recipe: the run's recipe.
        data: the dataset.
        distillers: Distillers by phase, which are trained side by side.
    """
    if all(phase.partition("-")[0] == TEACHER for phase in distillers):
        return teacher_images(recipe, data), steps_per_epoch(recipe, data, teacher=True)
    has_methods = any(distiller.methods for distiller in distillers.values())
    images = data.train if has_methods else data.train.labelled()
    return images, steps_per_epoch(recipe, data, teacher=False)


def steps_per_epoch(recipe: Recipe, data: Dataset, *, teacher: bool) -> int:
    """Steps of an epoch of a teacher, or of any other model.

    Args:
        recipe: the run's recipe.
        data: the dataset.
        teacher: whether the model is a teacher that the run trains.
    """
    images = with_all_labels(data) if teacher else data.train
    batch = min(recipe.images_per_step, len(images))
    return pipeline.steps_per_epoch(images, batch, recipe.accumulate)


def label_record(data: Dataset) -> dict[str, Any]:
    """Numbers of images with and without a label, and a hash of which; {} if all have one."""
    is_known = data.train.known
    if is_known.all():
        return {}
    what = [data.train.fingerprint.encode(), data.train.ids.tobytes(), data.train.labels.tobytes()]
    return {
        "labelled": int(is_known.sum()),
        "unlabelled": int(np.sum(~is_known)),
        "sha256": hashlib.sha256(b"".join(what)).hexdigest()[:16],
    }


def num_images_by_use(recipe: Recipe, data: Dataset) -> dict[str, int]:
    """Entries of results.json under "data"; {} if all training images have a label.

    `labelled_images` and `unlabelled_images` are those of the student; `teacher_labels` is the
    number of labels that a teacher learns from which the run trains.
    """
    num_known = int(data.train.known.sum())
    if num_known == len(data.train):
        return {}
    return {
        "labelled_images": num_known,
        "unlabelled_images": len(data.train) - num_known,
        "teacher_labels": len(teacher_images(recipe, data)),
    }


def require_no_labels_needed(recipe: Recipe, methods: Iterable[Method]) -> None:
    """Raises ValueError if a method needs labels of all images, and some will have none.

    Args:
        recipe: the run's recipe; its fields that hide or add images count.
        methods: methods of all models.
    """
    reasons = [option for name, option in _REASONS.items() if getattr(recipe, name)]
    names = [method.name for method in methods if method.needs_labels]
    if reasons and names:
        raise ValueError(
            f"with {' and '.join(reasons)} there are images without a label, and the methods "
            f"{names} need the label of every image; expected methods that need none, such as kd. "
            "`kdk list methods NAME` says what a method needs."
        )


def sentences(recipe: Recipe, data: Dataset) -> list[str]:
    """What each model learns from, in words; empty if all learn from all labels."""
    if not (numbers := num_images_by_use(recipe, data)):
        return []
    num_known, num_teacher_labels = numbers["labelled_images"], numbers["teacher_labels"]
    lines = [
        f"the student learns from its teacher on {len(data.train):,} images, and from the labels "
        f"of {num_known:,} of them"
    ]
    if recipe.baseline:
        lines.append(f"the student alone learns from these {num_known:,} only, in as many steps")
    trained_specs = [spec for spec in recipe.teacher if not identity.is_file(spec)]
    if trained_specs and identity.cache_of(recipe) is None and recipe.method != ("none",):
        hiding_text = "as its students do" if recipe.hide_from_teacher else "none is hidden from it"
        lines.append(f"the teacher learns from {num_teacher_labels:,} labels: {hiding_text}")
    return lines
