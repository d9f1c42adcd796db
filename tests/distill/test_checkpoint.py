"""A training that is interrupted and goes on ends equal to the bit to one without interruption."""

import json
import os
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf

from kd_keras import Distiller, methods
from kd_keras.distill import checkpoint_files
from kd_keras.distill.checkpoint import Checkpoint
from kd_keras.distill.metrics import TopAccuracy

EPOCHS, STEPS, BATCH = 3, 4, 8


class Stop(Exception):
    """Ends a training as a crash would."""


class StopAt(keras.callbacks.Callback):
    """Calls `act` when so many steps of this and earlier epochs are done."""

    def __init__(self, step, act):
        super().__init__()
        self.step, self.act, self.epoch = step, act, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch * STEPS + batch + 1 == self.step:
            self.act()


def crash():
    raise Stop


def batches(images, labels, first):
    """Batches that depend on nothing but the step, from this one on."""

    def batch(step):
        rows = tf.random.experimental.stateless_shuffle(tf.range(len(labels)), seed=[7, step])
        rows = rows[:BATCH]
        x = {"inputs": tf.gather(images, rows), "id": tf.cast(rows, tf.int64)}
        return x, tf.gather(labels, rows)

    return tf.data.Dataset.range(first, EPOCHS * STEPS).map(batch)


@pytest.fixture
def train(net, teacher, images, labels, tmp_path):
    """train(step, act) does `act` after that step; gives the Distiller and its history."""

    def run(step=None, act=crash, *, method="kd", ema=False, folder=tmp_path / "saved", **knobs):
        keras.utils.set_random_seed(3)
        distiller = Distiller(
            net("student", dropout=0.3), teacher=teacher, methods=methods.get(method, **knobs)
        )
        rate = keras.optimizers.schedules.CosineDecay(0.01, EPOCHS * STEPS)
        optimizer = keras.optimizers.AdamW(rate, use_ema=ema, ema_momentum=0.5)
        distiller.compile(optimizer, metrics=[TopAccuracy()])
        swap = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)] if ema else []
        stop = [StopAt(step, act)] if step else []
        with Checkpoint(folder, minutes=0) as checkpoint:
            distiller.fit(
                batches(images, labels, checkpoint.first_epoch * STEPS),
                initial_epoch=checkpoint.first_epoch,
                epochs=EPOCHS,
                steps_per_epoch=STEPS,
                validation_data=(images, labels),
                callbacks=[*swap, checkpoint, *stop],
                verbose=0,
            )
        return distiller, checkpoint

    return run


def assert_equal(one, other):
    for a, b in zip(one[0].variables, other[0].variables, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)
    for a, b in zip(one[0].optimizer.variables, other[0].optimizer.variables, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)
    assert one[1].histories == other[1].histories


@pytest.mark.slow
@pytest.mark.parametrize(
    ("steps", "method", "options"),
    [
        ((1, 6, 8), "kd", {}),  # after the first step, within an epoch, after an epoch's last step
        ((6,), "kd", {"ema": True}),
        ((6,), "crd", {"num_examples": 40, "negatives": 8}),  # a memory and random negatives
        ((2, 6), "ft", {"tap": "stage2"}),
    ],
    ids=["dropout and schedule", "averaged weights", "crd", "two stages"],
)
def test_an_interrupted_training_ends_equal_to_the_bit(train, tmp_path, steps, method, options):
    whole = train(method=method, folder=tmp_path / "whole", **options)
    for step in steps:
        with pytest.raises(Stop):
            train(step, method=method, **options)
    assert_equal(train(method=method, **options), whole)


def test_it_says_where_it_goes_on(train, tmp_path):
    assert Checkpoint(tmp_path / "saved").describe(EPOCHS) == ""
    with pytest.raises(Stop):
        train(6)
    checkpoint = Checkpoint(tmp_path / "saved")
    assert (checkpoint.first_epoch, checkpoint.skipped) == (1, 2)
    assert len(checkpoint.histories["model"]["val_top1"]) == 1
    expected = "continuing at epoch 2 of 3 (checkpoint of less than a minute ago)"
    assert checkpoint.describe(EPOCHS) == expected
    checkpoint.remove()
    assert not (tmp_path / "saved").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_the_step_and_then_does_what_it_did(train, tmp_path, number):
    received = []
    before = signal.signal(number, lambda *_: (received.append(number), crash()))
    try:
        with pytest.raises(Stop):
            train(6, lambda: os.kill(os.getpid(), number))
    finally:
        assert signal.signal(number, before) is not before
    assert received == [number]
    position, _ = checkpoint_files.newest(tmp_path / "saved")
    assert position.step == 7  # the step after the signal is the one that is saved


def test_two_are_kept_and_a_damaged_one_is_passed_over(train, tmp_path):
    folder = tmp_path / "saved"
    with pytest.raises(Stop):
        train(6)
    names = [file.name for file in sorted(folder.glob("*.npz"))]
    assert names == ["step-000000005.npz", "step-000000006.npz"]
    whole = (folder / names[1]).read_bytes()
    for damaged in (whole[:-100], whole[:500] + b"x" + whole[501:]):
        (folder / names[1]).write_bytes(damaged)
        lines = []
        position, _ = checkpoint_files.newest(folder, tell=lines.append)
        assert position.step == 5
        assert len(lines) == 1
        assert "step-000000006.npz is damaged (its checksum differs)" in lines[0]
    (folder / "step-000000006.json").write_text("")  # what a power cut can leave
    assert checkpoint_files.newest(folder)[0].step == 5


def test_a_checkpoint_of_other_models(train, tmp_path):
    with pytest.raises(Stop):
        train(6)
    with pytest.raises(ValueError, match=r"in the checkpoint; expected.*Remove the checkpoint"):
        train(method="fitnet", tap="stage2")
    assert Checkpoint(tmp_path / "saved", models={"student": None}).first_epoch == 0


def test_the_file_holds_plain_arrays(train, tmp_path):
    with pytest.raises(Stop):
        train(1)
    header = json.loads((tmp_path / "saved" / "step-000000001.json").read_text())
    with np.load(tmp_path / "saved" / "step-000000001.npz", allow_pickle=False) as arrays:
        assert len(arrays.files) == len(header["names"])


def test_data_of_unknown_length(net, images, labels, tmp_path):
    distiller = Distiller(net("student"))
    distiller.compile()
    data = tf.data.Dataset.from_generator(
        lambda: iter([(images[:8], labels[:8])]),
        output_signature=(tf.TensorSpec((8, 8, 8, 3)), tf.TensorSpec((8,), tf.int32)),
    )
    with pytest.raises(ValueError, match="steps in an epoch is unknown"):
        distiller.fit(data, callbacks=[Checkpoint(tmp_path)], verbose=0)
