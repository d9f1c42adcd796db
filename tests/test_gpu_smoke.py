"""A step on a GPU in each precision, where the machine has one; skipped elsewhere."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kd_keras import Distiller, methods

GPU = bool(tf.config.list_physical_devices("GPU"))


@pytest.mark.skipif(not GPU, reason="this machine has no GPU")
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_a_distiller_trains_on_a_gpu(precision, net, teacher, images, labels):
    student = net("student")
    before = student.get_weights()
    distiller = Distiller(student, teacher=teacher, methods=methods.get("kd"), precision=precision)
    distiller.compile(keras.optimizers.SGD(0.1))
    history = distiller.fit(images, labels, batch_size=16, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert all("GPU" in variable.value.device for variable in student.trainable_variables)
    after = student.get_weights()
    assert any(np.any(new != old) for new, old in zip(after, before, strict=True))
