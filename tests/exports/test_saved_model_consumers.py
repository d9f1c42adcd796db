"""Each kind of student, exported, gives Keras's numbers in each program that serves it."""

import numpy as np
import pytest

from kd_keras.exports import saved_model
from kd_keras.graph import taps

NAMES = list("abcde")
BATCH = 33


@pytest.fixture(scope="module")
def pixels():
    """(33, 8, 8, 3) uint8."""
    return np.random.default_rng(0).integers(0, 256, (BATCH, 8, 8, 3), dtype=np.uint8)


@pytest.mark.slow
def test_every_program_gives_the_numbers_of_keras(make, net, pixels, server, consumers, tmp_path):
    student = make(net)
    shape = (8, 8, 3)
    difference = saved_model.saved_model(
        student, tmp_path / "model", class_names=NAMES, input_shape=shape, serve=server
    )
    assert difference < 1e-4
    expected = np.asarray(taps.logits_of(student(pixels.astype("float32"), training=False)))
    if make.__name__ == "with_softmax":
        expected = np.log(np.maximum(expected, np.finfo("float32").tiny))  # some are 0
    consumers.check(tmp_path / "model", pixels, expected)
