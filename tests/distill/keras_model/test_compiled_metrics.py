"""The variables of compiled metrics, which are made before the first step."""

import keras
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
