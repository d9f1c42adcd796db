"""The recipe's data set, loaded and told of."""

from kd_keras import data
from kd_keras.data.store import Dataset
from kd_keras.recipe import Recipe
from kd_keras.screen import Screen

SELECT_FRACTION = 0.1  # of train, held out to choose settings by


def load(asked: Recipe, screen: Screen, *, verify: bool = False) -> Dataset:
    """The data that the recipe names, with what it holds out; says what there is, and its notes.

    Raises:
        ValueError, FileNotFoundError, OSError: see `data.load`.
    """
    notes: list[str] = []
    loaded = data.load(
        asked.dataset,
        data_dir=asked.data_dir,
        image_size=asked.image_size,
        resize=asked.resize,
        flip=asked.flip,
        val_fraction=asked.val_fraction,
        select=SELECT_FRACTION if asked.select else None,
        progress=screen.progress,
        verify=verify,
        tell=notes.append,
    )
    screen.say(f"{asked.dataset}: {loaded.summary()}")
    for note in [*notes, f"augmentation: {loaded.augment.describe()}"]:
        screen.say(f"  {note}")
    return loaded
