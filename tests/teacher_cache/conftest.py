"""A few images in a store's form, a small teacher of them, and a cache's header."""

import types

import keras
import numpy as np
import pytest
from keras import layers

from kd_keras.data.augmentation import light
from kd_keras.data.stores.store import Split
from kd_keras.teacher_cache import file_format, keras_teacher

CLASSES, IMAGES = 5, 40


@pytest.fixture(scope="session")
def example():
    """The split, its augmentation, the teacher and how it is asked."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (IMAGES, 8, 8, 3)).astype(np.uint8)
    ids = rng.permutation(IMAGES)[:36]  # a part of the store, in no order
    split = Split(images, rng.integers(0, CLASSES, len(ids)).astype(np.int32), ids)
    teacher = model("teacher", 6, seed=1)
    return types.SimpleNamespace(
        split=split,
        policy=light(crop_padding=1, flip=True),
        teacher=teacher,
        ask=keras_teacher.teacher_function(teacher, ["pooled"], precision="float32"),
    )


def model(name, width, *, seed, shape=(8, 8, 3)):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input(shape)
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.Conv2D(width, 3, strides=2, activation="relu", name="stage1")(x)
    x = layers.BatchNormalization()(x)
    x = layers.GlobalAveragePooling2D(name="pooled")(x)
    return keras.Model(inputs, layers.Dense(CLASSES, name="logits")(x), name=name)


@pytest.fixture(scope="session")
def student():
    """Makes the same small student each time."""
    return lambda: model("student", 4, seed=2)


@pytest.fixture
def header_of(example):
    def make(**changes):
        return file_format.Header(
            **{
                "teacher": "t",
                "data": "d",
                "augment": {"crop_padding": 1, "flip": True},
                "view_seed": 0,
                "views": 2,
                "examples": len(example.split),
                "outputs": {"logits": (CLASSES,), "pooled": (6,)},
                "dtype": "float32",
                "rows_per_part": 16,
                **changes,
            }
        )

    return make
