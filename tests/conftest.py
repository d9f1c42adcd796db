"""A tiny teacher and student, and images for them, that the core's tests share."""

import contextlib
import gc
import importlib.util
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from kd_keras import files

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # tests also run in subprocesses

CLASSES = 5


def pytest_collection_finish():
    """Leaves what imports made out of garbage collections, each of which takes half a second."""
    gc.freeze()


@pytest.fixture
def interruptible():
    """SIGINT interrupts, here and in programs that are started, also where a shell ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def net():
    """net("student") makes a classifier of 8x8 images with taps stage1, stage2, pooled, logits."""

    def make(
        name, *, width=4, classes=CLASSES, norm=True, dropout=0.0, l2=0.0, activation=None, seed=0
    ):
        import keras
        from keras import layers

        keras.utils.set_random_seed(seed)
        penalty = keras.regularizers.L2(l2) if l2 else None
        inputs = keras.Input((8, 8, 3))
        x = layers.Conv2D(width, 3, padding="same", kernel_regularizer=penalty, name="conv")(inputs)
        if norm:
            x = layers.BatchNormalization(name="norm")(x)
        x = layers.ReLU(name="stage1")(x)
        x = layers.Conv2D(2 * width, 3, strides=2, activation="relu", name="stage2")(x)
        x = layers.GlobalAveragePooling2D(name="pooled")(x)
        if dropout:
            x = layers.Dropout(dropout, name="dropout")(x)
        logits = layers.Dense(classes, activation=activation, name="logits")(x)
        return keras.Model(inputs, logits, name=name)

    return make


@pytest.fixture
def student(net):
    return net("student", norm=False)


@pytest.fixture(scope="session")
def teacher(net):
    return net("teacher", width=6, seed=1)


@pytest.fixture(scope="session")
def images():
    """(40, 8, 8, 3) float32: with a batch of 16, the last one is smaller."""
    return np.random.default_rng(0).normal(size=(40, 8, 8, 3)).astype("float32")


@pytest.fixture(scope="session")
def labels():
    """(40,) int32."""
    return np.random.default_rng(1).integers(0, CLASSES, size=40).astype("int32")


@pytest.fixture(scope="session")
def by_hand():
    """Mathematics of the tests' own: by_hand.cross_entropy(labels, logits) and so on, (B,)."""

    class ByHand:
        @staticmethod
        def log_softmax(logits):
            shifted = logits - logits.max(axis=-1, keepdims=True)
            return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))

        @classmethod
        def cross_entropy(cls, labels, logits):
            return -cls.log_softmax(logits)[np.arange(len(labels)), labels]

        @classmethod
        def kl(cls, teacher, student, temperature):
            log_p = cls.log_softmax(teacher / temperature)
            log_q = cls.log_softmax(student / temperature)
            return temperature**2 * (np.exp(log_p) * (log_p - log_q)).sum(axis=-1)

    return ByHand


@pytest.fixture(scope="session")
def one_step():
    """one_step(distiller, x, y) gives the logs of a step of SGD; nothing is compiled to a graph."""
    import keras

    def run(distiller, *batch, optimizer=None, **kwargs):
        distiller.compile(optimizer or keras.optimizers.SGD(0.1), run_eagerly=True)
        return distiller.train_on_batch(*batch, return_dict=True, **kwargs)

    return run


@pytest.fixture(scope="session")
def server():
    """Serves SavedModels for all tests from one fresh process, which imports TensorFlow for 8 s."""
    from kd_keras.exports import process

    with process.fresh_process() as serve:
        yield serve


@pytest.fixture(scope="module")
def one_server(server):
    """Exports of this file's tests are checked by the one process of `server`."""
    with pytest.MonkeyPatch.context() as patch:
        _check_exports_in(server, patch)
        yield


def _check_exports_in(server, patch):
    from kd_keras.exports import saved_model
    from kd_keras.job import train

    for module in (saved_model, train):
        patch.setattr(module, "fresh_process", lambda: contextlib.nullcontext(server))


@pytest.fixture(scope="module")
def no_report():
    """Runs of this file's tests write no report.html, whose plots take seconds."""
    with pytest.MonkeyPatch.context() as patch:
        _write_no_report(patch)
        yield


def _write_no_report(patch):
    from kd_keras.job import finish_run

    patch.setattr(finish_run, "write_report", lambda folder, data, screen: None)


@pytest.fixture
def no_timing(monkeypatch):
    """Times of every image are 1 ms, and nothing is measured."""
    _measure_no_time(monkeypatch)


def _measure_no_time(patch):
    from kd_keras.results.metrics import timing

    patch.setattr(timing, "latency", lambda *arguments: {"batch1": 1.0, "batch128": 1.0})


@pytest.fixture(scope="session")
def two_classes():
    """The module two_classes: a model of two classes that trains within a second."""
    return _module("two_classes")


@pytest.fixture(scope="session")
def consumers():
    """The module consumers: the programs that a SavedModel is written for."""
    return _module("consumers")


@pytest.fixture(params=["Deflate64", "encrypted", "of a later version", "damaged"])
def spoil_zip(request):
    """spoil_zip(path, name) changes a member of a zip file so that zipfile cannot read it."""

    def spoil(path, name):
        content = bytearray(path.read_bytes())
        local, central = content.index(name.encode()) - 30, content.rindex(name.encode()) - 46
        if request.param == "damaged":
            start = local + 30 + content[local + 26] + content[local + 28]  # of the packed bytes
            content[start : start + 6] = b"\xff" * 6
        else:
            fields = {"of a later version": (4, 90), "encrypted": (6, 1), "Deflate64": (8, 9)}
            offset, value = fields[request.param]
            content[local + offset] = content[central + 2 + offset] = value
        path.write_bytes(content)

    return spoil


@pytest.fixture(scope="session")
def mixed_folder(tmp_path_factory):
    """A folder of 12 cats and 12 dogs in files of all kinds, see mixed_images.py."""
    folder = tmp_path_factory.mktemp("mixed") / "pets"
    _module("mixed_images").write(folder)
    return folder


def _module(name):
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory, request):
    """The folder of a finished run on digits of one epoch: teacher, student alone, student.

    It has no report.html, and its times are not measured. All tests, also those of other workers,
    read this one: copy it before you change a file in it.
    """
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "tiny_run"
    run = shared / "runs" / "tiny"
    with files.locked(shared):  # the first worker trains
        if not (run / "results.json").is_file():
            _train_tiny(run, request.getfixturevalue("server"))
    return run


def _train_tiny(run, server):
    from kd_keras.job import train
    from kd_keras.job.recipe.recipe_files import Recipe
    from kd_keras.results.terminal.screen import Screen

    recipe = Recipe(
        dataset="digits",
        teacher="plain_cnn4",
        student="plain_cnn4:width=0.5",
        method=["kd:temperature=4"],
        baseline=True,
        epochs=1,
        teacher_epochs=1,
        batch_size=256,
        learning_rate=0.01,
        precision="float32",
        allow_weak_teacher=True,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KD_KERAS_CACHE", str(run.parents[1] / "cache"))
        _check_exports_in(server, patch)
        _write_no_report(patch)
        _measure_no_time(patch)
        exports = str(run.parents[1] / "saved_models")
        train.run(recipe, run=str(run), export_dir=exports, screen=Screen(quiet=True))
