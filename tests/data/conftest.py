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
