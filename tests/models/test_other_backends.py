"""Every model builds and predicts on the other backends of Keras; `.ci/nightly` runs it on JAX."""

import keras
import numpy as np
import pytest

from kd_keras import models

pytestmark = pytest.mark.skipif(
    keras.backend.backend() == "tensorflow", reason="test_models.py asks for more on TensorFlow"
)


@pytest.mark.parametrize("name", models.names())
def test_a_model_gives_finite_logits(name):
    model = models.get(name, num_classes=7, input_shape=(32, 32, 3))
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype("float32")
    logits = np.asarray(model(images, training=False))
    assert logits.shape == (2, 7)
    assert np.all(np.isfinite(logits))
