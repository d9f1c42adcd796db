"""A tiny student, its teacher and one batch, on which every method is tried."""

import ast
from pathlib import Path

import keras
import numpy as np
from keras import layers

import kd_keras
from kd_keras import methods

CLASSES, BATCH = 5, 8


def student(*, norm=True):
    return _net("student", (4, 6, 8), norm=norm, seed=0)


def teacher():
    return _net("teacher", (5, 7, 9), norm=True, seed=1)


def _net(name, widths, *, norm, seed):
    """A classifier of 8x8 images with taps stageN_preact, stageN, pooled and logits."""
    keras.utils.set_random_seed(seed)
    x = inputs = keras.Input((8, 8, 3))
    for i, width in enumerate(widths, 1):
        strides = 1 if i == 1 else 2
        x = layers.Conv2D(width, 3, strides=strides, padding="same", name=f"conv{i}")(x)
        preact = layers.BatchNormalization if norm else layers.Identity
        x = preact(name=f"stage{i}_preact")(x)
        x = layers.ReLU(name=f"stage{i}")(x)
    x = layers.GlobalAveragePooling2D(name="pooled")(x)
    # Wide, so that the teacher has something to say.
    initializer = keras.initializers.RandomNormal(stddev=2.0)
    outputs = layers.Dense(CLASSES, kernel_initializer=initializer, name="logits")(x)
    return keras.Model(inputs, outputs, name=name)


def method(name, **knobs):
    """The method with what it needs on this pair: CONTRACT = {knob: value} in its own test file."""
    needed = {}
    for node in ast.parse(Path(__file__).with_name(f"test_{name}.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "CONTRACT":
            needed = ast.literal_eval(node.value)
    keras.utils.set_random_seed(2)
    return methods.get(name, **{**needed, **knobs})


def distiller(names, steps, *, norm=True, **how):
    """A Distiller for a run of so many steps in each stage; all its first numbers are fixed.

    Its methods, of one name or several, and a teacher unless they are free of one, are those of the
    pair.
    """
    chosen_methods = [method(name) for name in ([names] if isinstance(names, str) else names)]
    staged = [each for each in chosen_methods if each.first_stage]
    for each in staged:
        each.first_stage = 0.5
    free = all(each.teacher_free for each in chosen_methods)
    model = kd_keras.Distiller(  # resolved here: other backends of Keras have none
        student(norm=norm), teacher=None if free else teacher(), methods=chosen_methods, **how
    )
    model.total_steps = steps * (2 if staged else 1)
    return model


def batch(distiller, size=BATCH):
    """One batch, with ids, as our pipeline gives it."""
    rng, views = np.random.default_rng(3), distiller.views_per_image
    shape = (size, views, 8, 8, 3) if views > 1 else (size, 8, 8, 3)
    images = rng.normal(size=shape).astype("float32")
    labels = rng.integers(0, CLASSES, size=size).astype("int32")
    return {"inputs": images, "id": np.arange(size, dtype="int32")}, labels
