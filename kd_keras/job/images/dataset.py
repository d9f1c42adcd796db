"""Loads the recipe's dataset and shows what is in it."""

from pathlib import Path
from typing import Any

from kd_keras import data
from kd_keras.data import holdout
from kd_keras.data.stores.store import Dataset
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.results.terminal import paths
from kd_keras.results.terminal.screen import Screen

TRAIN_HOLDOUT = 0.1  # share of train that validate_on_holdout holds out
STOP_FRACTION = 0.1  # share of what is left, held out to end trainings by


def load(recipe: Recipe, screen: Screen, *, verify: bool = False) -> Dataset:
    """The dataset that the recipe names; shows its size, notes and augmentation.

    Args:
        recipe: the recipe.
        screen: where lines are shown.
        verify: whether the contents of a store are compared.

    Raises:
        ValueError, FileNotFoundError, OSError: see `data.load`.
    """
    notes: list[str] = []
    dataset = data.load(
        recipe.dataset,
        label_mode=recipe.label_mode,
        data_dir=recipe.data_dir,
        image_size=recipe.image_size,
        store_size=recipe.store_size,
        eval_crop=recipe.eval_crop,
        resize=recipe.resize,
        flip=recipe.flip,
        augment=recipe.augment,
        mixup=recipe.mixup,
        cutmix=recipe.cutmix,
        val_fraction=recipe.val_fraction,
        max_pixels=recipe.max_pixels,
        train_holdout=TRAIN_HOLDOUT if recipe.validate_on_holdout else None,
        labels_per_class=recipe.labels_per_class,
        labels_seed=recipe.seed,
        unlabelled=recipe.unlabelled,
        progress=screen.progress,
        verify=verify,
        tell=notes.append,
    )
    if recipe.stop_early:
        dataset = holdout.for_stopping(dataset, STOP_FRACTION)
        notes.append(dataset.notes[-1])
    screen.say(f"{recipe.dataset}: {dataset.summary()}")
    for note in [*notes, f"augmentation: {dataset.augment.describe()}"]:
        screen.say(f"  {note}")
    screen.say(f"decoded images: {paths.short_path_with_size(_store(dataset))}")
    return dataset


def _store(dataset: Dataset) -> Path:
    """The folder with the memory-mapped images."""
    images: Any = dataset.validation.images  # those of train may be several files
    return Path(images.filename).parent
