"""The recipe's data set, loaded and told of."""

from pathlib import Path
from typing import Any

from kd_keras import data
from kd_keras.data.store import Dataset
from kd_keras.job.recipe_files import Recipe
from kd_keras.results import paths
from kd_keras.results.screen import Screen

SELECT_FRACTION = 0.1  # of train, held out to choose settings by


def load(recipe: Recipe, screen: Screen, *, verify: bool = False) -> Dataset:
    """The data that the recipe names, with what it holds out; says what there is, and its notes.

    Raises:
        ValueError, FileNotFoundError, OSError: see `data.load`.
    """
    notes: list[str] = []
    loaded = data.load(
        recipe.dataset,
        data_dir=recipe.data_dir,
        image_size=recipe.image_size,
        resize=recipe.resize,
        flip=recipe.flip,
        val_fraction=recipe.val_fraction,
        select=SELECT_FRACTION if recipe.select else None,
        progress=screen.progress,
        verify=verify,
        tell=notes.append,
    )
    screen.say(f"{recipe.dataset}: {loaded.summary()}")
    for note in [*notes, f"augmentation: {loaded.augment.describe()}"]:
        screen.say(f"  {note}")
    screen.say(f"decoded images: {paths.shown_with_size(_store(loaded))}")
    return loaded


def _store(loaded: Dataset) -> Path:
    """The folder of the store that the images are mapped from."""
    images: Any = loaded.train.images
    return Path(images.filename).parent
