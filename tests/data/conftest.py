import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

DUMMY = Path(__file__).parents[2] / "kd_keras" / "data" / "tiny_imagenet" / "dummy_data"


@pytest.fixture
def dummy_folder(tmp_path):
    """A dummy Tiny ImageNet to spoil: 2 classes, 4 train, 2 validation and 1 test image."""
    folder = tmp_path / "given"
    shutil.copytree(DUMMY, folder)
    return folder / "tiny-imagenet-200"


@pytest.fixture
def zipped():
    """zipped(folder) writes folder.zip beside the folder, in the official archive's layout."""

    def zip_up(folder):
        path = folder.with_name("tiny-imagenet-200.zip")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(folder.rglob("*")):
                archive.write(file, file.relative_to(folder.parent))
        return path

    return zip_up


@pytest.fixture
def images_of():
    """images_of(count, side) gives count random images, (count, side, side, 3) uint8."""

    def make(count, side=8, channels=3, seed=0):
        shape = (count, side, side, channels)
        return np.random.default_rng(seed).integers(1, 256, shape, dtype=np.uint8)

    return make


@pytest.fixture
def put():
    """put(path, image) writes the image as PNG into a folder that it makes."""

    import tensorflow as tf

    def write(path, image):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tf.io.encode_png(image).numpy())

    return write


@pytest.fixture
def pets(put, tmp_path, images_of):
    """10 cats and 10 dogs of 8x8, a folder each."""
    for n, image in enumerate(images_of(20)):
        put(tmp_path / "pets" / ("cat", "dog")[n % 2] / f"{n:02}.png", image)
    return tmp_path / "pets"


@pytest.fixture
def load(tmp_path):
    """load(path) from a cache of its own; after an error nothing may be left in it."""
    from kd_keras import data

    cache = tmp_path / "cache"
    yield lambda path, **options: data.load(f"folder:{path}", cache_dir=cache, **options)
    assert not list(cache.glob(".*"))
