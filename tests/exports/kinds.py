"""Kinds of students that every export must take: each function makes one from the fixture `net`."""

import keras
import numpy as np
from keras import layers

from kd_keras import Distiller, methods


def with_logits(net):
    return net("student", dropout=0.5)


def with_softmax(net):
    return net("student", activation="softmax")


def with_dict(net):
    student = net("student")
    taps = {name: student.get_layer(name).output for name in ("logits", "stage1")}
    return keras.Model(student.input, taps)


class Subclassed(keras.Model):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, inputs, training=None):
        return self.inner(inputs, training=training)


def subclassed_with_dict(net):
    student = Subclassed(with_dict(net))
    student(np.zeros((1, 8, 8, 3), "float32"))
    return student


def nested_with_preprocessing(net):
    """A teacher's usual form: layers for pixels and augmentation, then a model within the model."""
    keras.utils.set_random_seed(2)
    statistics = layers.Normalization()
    statistics.adapt(np.random.default_rng(1).uniform(0, 255, (64, 8, 8, 3)).astype("float32"))
    augmentation = keras.Sequential([layers.RandomFlip(seed=1), layers.RandomRotation(0.1, seed=1)])
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, net("inner", dropout=0.5)(statistics(augmentation(inputs))))


def deployed_by_simkd(net):
    method = methods.get("simkd", tap="stage2")
    teacher = net("teacher", width=6, seed=1)
    return Distiller(net("student"), teacher=teacher, methods=method).deployed


STUDENTS = [
    with_logits,
    with_softmax,
    with_dict,
    subclassed_with_dict,
    nested_with_preprocessing,
    deployed_by_simkd,
]
IN_THE_SUITE = [with_softmax, nested_with_preprocessing]
