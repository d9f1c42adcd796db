"""Shows a teacher's accuracy, and refuses a teacher that is no better than guessing."""

import keras

from kd_keras.data.stores.store import Dataset, Split
from kd_keras.job.images import training_images
from kd_keras.job.models import cached_teacher
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.results.metrics import chance, main_score
from kd_keras.results.phase_names import display_name
from kd_keras.results.terminal import paths
from kd_keras.results.terminal.screen import Screen
from kd_keras.teacher_cache.reader import Cache


def show_model(
    phase: str, teacher: keras.Model, value: float, recipe: Recipe, data: Dataset, screen: Screen
) -> None:
    """Shows the accuracy of a teacher that is a model.

    Args:
        phase: the teacher's phase, such as "teacher" or "teacher-1".
        teacher: the model.
        value: its top-1 accuracy on the validation images, 0 to 1; of multi-label data, its mAP.
        recipe: the run's recipe; `allow_weak_teacher` accepts any accuracy.
        data: the dataset that it was measured on.
        screen: where the line is shown.

    Raises:
        ValueError: the accuracy is no better than guessing, see `chance.require_better`.
    """
    images = f"{len(data.validation):,} validation images"
    screen.say(
        f"{display_name(phase)}: {value:.1%} {_name(data)} on {images} "
        f"({teacher.count_params():,} parameters)"
    )
    if not recipe.allow_weak_teacher:
        _require_better(display_name(phase), value, data.validation)


def show_cache(cache: Cache, recipe: Recipe, data: Dataset, screen: Screen) -> float | None:
    """Shows a cached teacher's accuracy or mAP and returns it, 0 to 1; None if it has no logits.

    It is measured on the first view of the training images: a cache has no validation images.

    Args:
        cache: the cached outputs.
        recipe: the run's recipe; its `allow_weak_teacher` counts.
        data: the dataset.
        screen: where the line is shown.

    Raises:
        ValueError: as `show_model`.
    """
    labelled_split = training_images.with_all_labels(data)
    value = cached_teacher.score(cache, labelled_split)
    score_text = (
        f"{' and '.join(cache.header.outputs)}, no logits and so no accuracy"
        if value is None
        else f"{value:.1%} {_name(data)} on the first view of the training images"
    )
    screen.say(
        f"teacher: the cache {paths.short_path_with_size(cache.folder)}, {cache.header.views} "
        f"views; {score_text}"
    )
    if value is not None and not recipe.allow_weak_teacher:
        _require_better("teacher", value, labelled_split)
    return value


def _name(data: Dataset) -> str:
    return main_score.score_of_data(data).name


def _require_better(what: str, value: float, split: Split) -> None:
    """Raises ValueError if the teacher is hardly better than guessing.

    Args:
        what: the teacher, as the message names it.
        value: its top-1 accuracy or mAP, 0 to 1.
        split: the validation images.
    """
    require = chance.require_better_map if split.multi_label else chance.require_better
    require(what, value, split.labels)
