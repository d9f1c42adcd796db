"""Each kind of student, exported, gives Keras's numbers in each program that serves it."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from kd_keras import data
from kd_keras.cli import kdk
from kd_keras.exports import process, saved_model
from kd_keras.graph import taps

NAMES = list("abcde")
BATCH = 33


@pytest.fixture(scope="module")
def serve():
    """One process serves them all in turn, as in a run."""
    with saved_model.fresh_process() as serve:
        yield serve


@pytest.fixture(scope="module")
def pixels():
    """(33, 8, 8, 3) uint8."""
    return np.random.default_rng(0).integers(0, 256, (BATCH, 8, 8, 3), dtype=np.uint8)


def test_every_program_gives_the_numbers_of_keras(make, net, pixels, serve, consumers, tmp_path):
    student = make(net)
    shape = (8, 8, 3)
    difference = saved_model.saved_model(
        student, tmp_path / "model", class_names=NAMES, input_shape=shape, serve=serve
    )
    assert difference < 1e-4
    expected = np.asarray(taps.logits_of(student(pixels.astype("float32"), training=False)))
    if make.__name__ == "with_softmax":
        expected = np.log(np.maximum(expected, np.finfo("float32").tiny))  # some are 0
    consumers.check(tmp_path / "model", pixels, expected)


REPLICAS = """
import sys
import keras, numpy as np, tensorflow as tf
from keras import layers
from kd_keras.exports import saved_model
from kd_keras.job import devices
folder = sys.argv[1]
pixels = np.load(f"{folder}/pixels.npy")
with devices.get("cpu:2").scope():
    keras.utils.set_random_seed(0)
    student = keras.Sequential([
        keras.Input((8, 8, 3)), layers.Rescaling(1 / 255), layers.Conv2D(4, 3),
        layers.BatchNormalization(), layers.Flatten(), layers.Dropout(0.5), layers.Dense(5),
    ])
    student.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
assert isinstance(student.variables[0].value, tf.distribute.DistributedValues)
student.fit(pixels[:32].astype("float32"), np.arange(32) % 5, batch_size=8, verbose=0)
saved_model.saved_model(student, f"{folder}/model", class_names=list("abcde"), images=pixels)
np.save(f"{folder}/expected.npy", student(pixels.astype("float32"), training=False))
"""


def test_a_student_of_two_replicas_is_served_as_one_of_one_device(pixels, consumers, tmp_path):
    np.save(tmp_path / "pixels.npy", pixels)
    code = [sys.executable, "-c", REPLICAS, str(tmp_path)]
    done = subprocess.run(code, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    consumers.check(tmp_path / "model", pixels, np.load(tmp_path / "expected.npy"))


def test_what_kdk_train_exports_is_served_alike_everywhere(tmp_path, monkeypatch, consumers):
    monkeypatch.setenv("KD_KERAS_CACHE", str(tmp_path / "cache"))
    words = ["--dataset", "digits", "--teacher", "resnet8:width=0.5", "--allow-weak-teacher"]
    words += ["--student", "resnet8:width=0.25", "--epochs", "1", "--teacher-epochs", "1"]
    words += ["--batch-size", "256", "--run", f"{tmp_path}/run", "--export-dir", f"{tmp_path}/out"]
    processes = []
    start = process._Process._start
    monkeypatch.setattr(
        process._Process, "_start", lambda self: processes.append(self) or start(self)
    )
    done = CliRunner().invoke(kdk, ["train", *words])
    assert done.exit_code == 0, done.output
    assert len(processes) == 1  # for the teacher's export and the student's
    student = keras.models.load_model(tmp_path / "run" / "student.keras")
    digits = data.load("digits").validation.images_at(np.arange(BATCH))
    expected = student.predict(digits.astype("float32"), verbose=0)
    consumers.check(tmp_path / "out" / "run", digits, expected, command=True)
