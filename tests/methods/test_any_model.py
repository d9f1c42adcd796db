"""Every method that reads taps does so in models of any form and of odd sizes, in one pass."""

import collections
import math
from typing import ClassVar

import keras
import numpy as np
import pytest
from keras import layers

from kd_keras import Distiller, methods

READ_TAPS = [name for name in methods.names() if methods.get(name).student_taps]
IMAGES = np.random.default_rng(0).normal(size=(6, 9, 9, 3)).astype("float32")
LARGE, SMALL = ((3, 1), (3, 1)), ((3, 2), (2, 1))  # kernels, strides: maps 7x7, 5x5; 4x4, 3x3


@keras.saving.register_keras_serializable(package="test_any_model")
class Counted(layers.Conv2D):
    """A convolution that counts its calls by its name."""

    calls: ClassVar = collections.Counter()

    def call(self, inputs):
        self.calls[self.name] += 1
        return super().call(inputs)


class Subclassed(keras.Model):
    """Gives its logits and what each of its layers gives, in a dict."""

    def __init__(self, parts):
        super().__init__()
        self.parts = parts

    def call(self, x, training=None):
        outputs = {}
        for part in self.parts:
            is_norm = isinstance(part, layers.BatchNormalization)
            x = outputs[part.name] = part(x, training=training) if is_norm else part(x)
        return outputs


def parts(name, sizes, width):
    """Layers that give shallow_preact, shallow, deep_preact, deep, average and logits."""
    layer_list = []
    for (kernel, strides), depth in zip(sizes, ("shallow", "deep"), strict=True):
        layer_list += [
            Counted(width, kernel, strides=strides, name=f"{name}_{depth}"),
            layers.BatchNormalization(name=f"{depth}_preact"),
            layers.ReLU(name=depth),
        ]
    return [
        *layer_list,
        layers.GlobalAveragePooling2D(name="average"),
        layers.Dense(5, name="logits"),
    ]


def nested(parts):
    backbone = keras.Sequential([keras.Input((9, 9, 3)), *parts[:-2]], name="backbone")
    inner = keras.Model(backbone.inputs, backbone(backbone.inputs[0]), name="inner")
    inputs = keras.Input((9, 9, 3))
    return keras.Model(inputs, parts[-1](parts[-2](inner(inputs))))


def sequential(parts):
    return keras.Sequential([keras.Input((9, 9, 3)), *parts])


def subclassed(parts):
    model = Subclassed(parts)
    model(IMAGES)
    return model


def taps_here(zoo_names, path):
    """What stands in these models for the taps that a method reads of the zoo's by default."""
    ending = "_preact" if any(name.endswith("_preact") for name in zoo_names) else ""
    stages = [name for name in zoo_names if name.startswith("stage")]
    maps = [f"{path}shallow{ending}", f"{path}deep{ending}"]
    maps = maps if len(stages) > 1 else maps[-1:] * len(stages)
    return (*maps, *(["average"] if "pooled" in zoo_names else []))


def reading(pair, name, student_path, teacher_path):
    """The method with taps of these models."""
    default = methods.get(name)
    student = taps_here(default.student_taps, student_path)
    teacher = taps_here(default.teacher_taps, teacher_path)
    knobs = {"student_taps": student, "teacher_taps": teacher}
    if "student_taps" not in methods.knobs(name):
        knobs = {"tap": student[0], "student_tap": student[0], "teacher_tap": "".join(teacher[:1])}
    knobs = {knob: tap for knob, tap in knobs.items() if knob in methods.knobs(name)}
    return pair.method(name, warmup=0.0, **knobs)  # a warm-up starts from a weight of 0


def check_one_step(student, teacher, method):
    distiller = Distiller(student, teacher=teacher, methods=method, ce_weight=0.0)
    distiller.total_steps = 2
    distiller.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    before = [variable.numpy() for variable in distiller.trainable_variables]
    Counted.calls.clear()
    x = {"inputs": IMAGES, "id": np.arange(6)}
    logs = distiller.train_on_batch(x, np.arange(6) % 5, return_dict=True)
    assert math.isfinite(logs["loss"])
    after = [variable.numpy() for variable in distiller.trainable_variables]
    assert any(np.any(a != b) for a, b in zip(after, before, strict=True))
    whose = ["student"] if method.teacher_free else ["student", "teacher"]
    assert Counted.calls == {f"{w}_{depth}": 1 for w in whose for depth in ("shallow", "deep")}


@pytest.mark.parametrize("name", READ_TAPS)
def test_taps_inside_nested_models_of_a_larger_student(name, pair):
    student, teacher = nested(parts("student", LARGE, 4)), nested(parts("teacher", SMALL, 6))
    path = "inner/backbone/"
    check_one_step(student, teacher, reading(pair, name, path, path))


# simkd and sdd read the layers of the student, which must be known.
@pytest.mark.parametrize("name", sorted({*READ_TAPS} - {"simkd", "sdd"}))
def test_taps_of_a_smaller_subclassed_student(name, pair):
    student, teacher = (
        subclassed(parts("student", SMALL, 4)),
        sequential(parts("teacher", LARGE, 6)),
    )
    check_one_step(student, teacher, reading(pair, name, "", ""))
