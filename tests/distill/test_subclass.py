"""`fit` calls the train_step of a subclass of Distiller, on one device and on two."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow
PROGRAM = """
import json
import keras, numpy as np, tensorflow as tf
from kd_keras import Distiller
from kd_keras.job import devices

class Counting(Distiller):
    def __init__(self, student):
        super().__init__(student)
        self.calls = self.add_weight(
            shape=(), initializer="zeros", trainable=False, aggregation="mean", name="calls"
        )

    def train_step(self, data):
        self.calls.assign_add(1.0)
        x, y = data
        return super().train_step((x, 2 - y))

def trained(strategy):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        distiller = Counting(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]))
        distiller.compile(keras.optimizers.SGD(1.0))
    x, y = np.ones((24, 4), "float32"), np.zeros(24, "int32")
    distiller.fit(x, y, batch_size=8, epochs=2, verbose=0)
    return float(distiller.calls.numpy()), distiller.student(x[:1]).numpy()[0].tolist()

two = devices.get("cpu:2")  # first: CPUs are split before TensorFlow starts
print(json.dumps([trained(tf.distribute.get_strategy()), trained(two)]))
"""


@pytest.fixture(scope="module")
def results():
    command = [sys.executable, "-c", PROGRAM]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr[-5000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("devices", [1, 2])
def test_fit_calls_a_subclass_s_train_step_in_each_step(results, devices):
    calls, logits = results[devices - 1]
    assert calls == 6
    assert np.argmax(logits) == 2  # the labels that the subclass made of 0


def test_a_subclass_trains_on_two_devices_as_on_one(results):
    np.testing.assert_allclose(results[1][1], results[0][1], atol=1e-6)
