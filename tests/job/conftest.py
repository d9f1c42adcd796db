import numpy as np
import pytest


@pytest.fixture(scope="session")
def recorder():
    """recorder() is a screen that keeps what it is told in `lines` and prints nothing."""
    from kd_keras.results.screen import Screen

    class Recorder(Screen):
        def __init__(self):
            self.lines = []

        def say(self, text):
            self.lines.append(text)

        warn = say

        def table(self, title, columns, rows):
            self.lines.append(title)

    return Recorder


@pytest.fixture
def images_of():
    """images_of(count, side) gives count random images, (count, side, side, 3) uint8."""

    def make(count, side=8):
        shape = (count, side, side, 3)
        return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)

    return make
