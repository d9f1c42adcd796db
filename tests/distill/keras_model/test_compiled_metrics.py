"""The variables of compiled metrics, which are made before the first step."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kd_keras import Distiller
from kd_keras.distill.keras_model import compiled_metrics


class Traced(Distiller):
    """Counts how often Keras traces its steps."""

    def train_step(self, data):
        self.traces = [*getattr(self, "traces", []), "train"]
        return super().train_step(data)

    def test_step(self, data):
        self.traces = [*getattr(self, "traces", []), "test"]
        return super().test_step(data)


@pytest.mark.parametrize("rows", [False, True])
def test_a_step_with_metrics_is_traced_once(net, images, labels, rows):
    y = keras.utils.to_categorical(labels) if rows else labels
    distiller = Traced(net("student"))
    distiller.compile(metrics=["accuracy"])
    distiller.fit(images[:8], y[:8], validation_data=(images[8:16], y[8:16]), verbose=0)
    assert distiller.traces == ["train", "test"]


@pytest.mark.parametrize(
    ("spec", "form"),
    [
        (tf.TensorSpec((None,), "int64"), ((None,), "int32")),
        (tf.TensorSpec((None, 1), "uint8"), ((None,), "int32")),
        (tf.TensorSpec((8, 5), "float64"), ((None, 5), "float32")),
        (tf.TensorSpec((None, None), "float32"), None),
        (tf.TensorSpec(None, "int32"), None),
        ({"a": tf.TensorSpec((None,), "int32")}, None),
    ],
)
def test_the_form_of_labels_is_that_of_the_examples(spec, form):
    label_form = compiled_metrics.label_form((tf.TensorSpec((None, 8)), spec))
    assert form == (None if label_form is None else (tuple(label_form.shape), label_form.dtype))
    assert compiled_metrics.label_form(tf.TensorSpec((None, 8))) is None


def accuracies(distiller, images, y):
    """Accuracy by `evaluate` and by `test_on_batch`."""
    logs = distiller.evaluate(images, y, verbose=0, return_dict=True)
    batch_logs = distiller.test_on_batch(images, y, return_dict=True)
    return [logs["accuracy"], batch_logs["accuracy"]]


@pytest.mark.parametrize(
    ("rows_first", "ignore_class"),
    [
        (False, None),
        (True, -1),
        pytest.param(False, -1, marks=pytest.mark.extended),
        pytest.param(True, None, marks=pytest.mark.extended),
    ],
)
def test_labels_may_change_from_indices_to_rows_and_back(
    net, images, labels, rows_first, ignore_class
):
    images, indices = images[:8], labels[:8]
    rows = keras.utils.to_categorical(indices, 5)
    student = net("student")
    expected = pytest.approx(np.mean(student.predict(images, verbose=0).argmax(-1) == indices))
    distiller = Distiller(student)
    distiller.compile(keras.optimizers.SGD(0.0), metrics=["accuracy"], ignore_class=ignore_class)
    first, second = (rows, indices) if rows_first else (indices, rows)
    logs = distiller.fit(images, first, validation_data=(images, second), verbose=0).history
    assert logs["val_accuracy"][-1] == expected
    for y in (first, second, first):
        assert accuracies(distiller, images, y) == [expected, expected]
        distiller.train_on_batch(images, y)
