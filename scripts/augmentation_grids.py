"""Draws what each step of an augmentation does: images above, four views of each below.

On: parts of scikit-learn's two sample photographs, at 64 and 224 pixels, or a folder of images.
Takes: a quarter of a minute.

    python scripts/augmentation_grids.py grids
    python scripts/augmentation_grids.py grids --dataset folder:pets
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from kd_keras import data
from kd_keras.data.augmentation import grammar, policy_of
from kd_keras.data.presets import PRESETS
from kd_keras.data.stores.store import Dataset, Split
from kd_keras.results.plots import augmented_images

SIZES = (64, 224)
PARTS = 4  # of each photograph
CLASSES = ("palace", "flower")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder for the pictures")
    parser.add_argument("--dataset", help="as of kdk train; without it, two photographs")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for size in SIZES:
        images = (
            data.load(options.dataset, image_size=size) if options.dataset else photographs(size)
        )
        padding = images.image_shape[0] // 8
        for name, text, mixing in policies():
            policy = policy_of(text, crop_padding=padding, flip=True, **mixing)
            picture = augmented_images.picture(replace(images, augment=policy), view_seed=0)
            path = options.folder / f"{name}-{size}.png"
            Image.fromarray(picture).save(path)
            print(f"{path}: {policy.describe()}")


def policies():
    """Name, text and mixing of every policy that is drawn."""
    yield from ((name, name, {}) for name in PRESETS)
    yield from ((f"step-{name}", name, {}) for name in grammar.STEPS)
    yield "step-rand_augment-30", "rand_augment:magnitude=30", {}
    yield "step-erase-black", "erase:probability=1,fill=black", {}
    yield "mixup", "light", {"mixup": 1.0}
    yield "cutmix", "light", {"cutmix": 1.0}
    yield "strong-mixed", "strong", {"mixup": 0.2, "cutmix": 1.0}


def photographs(size: int) -> Dataset:
    """Square parts of two photographs as a dataset of two classes."""
    parts, labels = [], []
    for label, photograph in enumerate(load_sample_images().images):
        height, width = photograph.shape[:2]
        for left_edge in np.linspace(0, width - height, PARTS).astype(int):
            square = Image.fromarray(photograph[:, left_edge : left_edge + height])
            parts.append(np.asarray(square.resize((size, size), Image.Resampling.LANCZOS)))
            labels.append(label)
    split = Split(np.stack(parts), np.array(labels, np.int32), np.arange(len(parts)))
    policy = policy_of("none", crop_padding=0, flip=False)
    return Dataset(
        "photographs", split, split, None, CLASSES, split.images.shape[1:], policy, "photographs"
    )


if __name__ == "__main__":
    main()
