"""A training that is interrupted and goes on ends equal to the bit to one without interruption."""

import functools
import json
import os
import shutil
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf

from kd_keras import Distiller, methods
from kd_keras.distill.callbacks import checkpoint_files
from kd_keras.distill.callbacks.checkpoint import Checkpoint
from kd_keras.distill.callbacks.checkpoint_files import Position
from kd_keras.distill.step.metrics import TopAccuracy
from kd_keras.optimizers import dot

EPOCHS, STEPS, BATCH = 3, 4, 8


KD = {"kd": {}}
# A memory and random negatives, variances, a learned temperature, another model that learns.
WITH_STATE = {
    "crd": {"num_examples": 40, "negatives": 8},
    "vid": {"taps": ["stage2"]},
    "ctkd": {},
    "dml": {},
}
# Batches are gathered, two for each update, and step 5 is within two of them.
AVERAGED = {"use_ema": True, "ema_momentum": 0.5, "gradient_accumulation_steps": 2}


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


@pytest.fixture(scope="module")
def train_in(net, teacher, images, labels):
    """train_in(folder, step, act) does `act` after that step; gives (Distiller, Checkpoint)."""

    def run(
        folder,
        step=None,
        act=crash,
        *,
        specs=KD,
        make=keras.optimizers.AdamW,
        precision="float32",
        **settings,
    ):
        keras.utils.set_random_seed(3)
        distiller = Distiller(
            net("student", dropout=0.3),
            teacher=teacher,
            methods=[methods.get(name, **knobs) for name, knobs in specs.items()],
            precision=precision,
        )
        rate = keras.optimizers.schedules.CosineDecay(0.01, EPOCHS * STEPS)
        distiller.compile(make(rate, **settings), metrics=[TopAccuracy()])
        ema = settings.get("use_ema", False)
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


@pytest.fixture
def train(train_in, tmp_path):
    """train(step, act): `train_in` with its checkpoints in the folder "saved" of this test."""
    return functools.partial(train_in, tmp_path / "saved")


@pytest.fixture(scope="module")
def crashed(train_in, tmp_path_factory):
    folder = tmp_path_factory.mktemp("crashed") / "saved"
    with pytest.raises(Stop):
        train_in(folder, 6)
    return folder


@pytest.fixture
def saved(crashed, tmp_path):
    """The folder "saved" of this test: the checkpoints of a training that crashed at step 6."""
    return shutil.copytree(crashed, tmp_path / "saved")


def assert_equal(one, other):
    for a, b in zip(one[0].variables, other[0].variables, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)
    for a, b in zip(one[0].optimizer.variables, other[0].optimizer.variables, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)
    assert one[1].histories == other[1].histories


@pytest.mark.slow
@pytest.mark.parametrize(
    ("steps", "specs", "options"),
    [
        ((1, 6, 8), KD, {}),  # after the first step, within an epoch, after an epoch's last step
        ((5,), KD, AVERAGED | {"precision": "mixed_bfloat16"}),
        ((6,), WITH_STATE, {"make": dot.DOT}),
        ((2, 6), {"ft": {"tap": "stage2"}}, {"precision": "mixed_float16"}),
    ],
    ids=["kd", "averaged weights", "methods with state and dot", "two stages and loss scaling"],
)
def test_an_interrupted_training_ends_equal_to_the_bit(
    train, train_in, tmp_path, steps, specs, options
):
    uninterrupted = train_in(tmp_path / "whole", specs=specs, **options)
    for step in steps:
        with pytest.raises(Stop):
            train(step, specs=specs, **options)
    assert_equal(train(specs=specs, **options), uninterrupted)


def test_it_says_where_it_goes_on(saved, tmp_path):
    assert Checkpoint(tmp_path / "none").describe(EPOCHS) == ""
    checkpoint = Checkpoint(saved)
    assert (checkpoint.first_epoch, checkpoint.skipped) == (1, 2)
    assert len(checkpoint.histories["model"]["val_top1"]) == 1
    expected = "continuing at epoch 2 of 3 (checkpoint of less than a minute ago)"
    assert checkpoint.describe(EPOCHS) == expected
    checkpoint.remove()
    assert not saved.exists()


def test_a_checkpoint_of_another_number_of_steps_is_refused(saved, net, images, labels):
    distiller = Distiller(net("student"))
    distiller.compile()
    checkpoint = Checkpoint(saved)
    with pytest.raises(ValueError, match=r"with \d+ steps in an epoch, and this one has 1;"):
        distiller.fit(images, labels, batch_size=len(images), callbacks=[checkpoint], verbose=0)


@pytest.mark.usefixtures("interruptible")
def test_a_signal_between_epochs_saves_the_end_of_the_one_before(net, images, labels, tmp_path):
    class Kill(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            os.kill(os.getpid(), signal.SIGINT)

    distiller = Distiller(net("student"))
    distiller.compile()
    with Checkpoint(tmp_path, minutes=9) as checkpoint:
        checkpoint._cost = 9.0  # so that the end of an epoch of milliseconds is not written
        with pytest.raises(KeyboardInterrupt):
            distiller.fit(images, labels, epochs=2, callbacks=[Kill(), checkpoint], verbose=0)
    position, _ = checkpoint_files.newest(tmp_path)
    assert (position.epoch, position.batch) == (0, position.steps_per_epoch)
    assert position.histories == {"model": {}}  # the epoch's validation comes again


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


def test_checkpoints_at_the_ends_of_short_epochs_take_a_fiftieth_of_the_time(tmp_path, monkeypatch):
    now, saved_epochs = [0.0], []
    monkeypatch.setattr("kd_keras.distill.callbacks.checkpoint.time.monotonic", lambda: now[0])

    def read(models):
        now[0] += 0.1
        return {}

    def write(folder, position, state):
        saved_epochs.append(position.epoch)
        now[0] += 0.4

    monkeypatch.setattr("kd_keras.distill.callbacks.checkpoint.training_state.read", read)
    monkeypatch.setattr(checkpoint_files, "write", write)
    checkpoint = Checkpoint(tmp_path, minutes=2.5, models={"student": keras.Sequential()})
    checkpoint.set_params({"steps": 1, "epochs": 100})
    checkpoint.set_model(keras.Sequential())
    checkpoint.on_train_begin()
    for epoch in range(50):
        now[0] += 10.0
        checkpoint.on_epoch_begin(epoch)
        checkpoint.on_train_batch_end(0)
    # 50 times 0.1 s of reading, and 0.4 s for each that is written, of about 500 s.
    assert saved_epochs[0] == 0
    assert 0.9 < (0.1 * 50 + 0.4 * len(saved_epochs)) / (0.02 * now[0]) <= 1


def test_two_are_kept_and_a_damaged_one_is_skipped(saved, train):
    folder = saved
    names = [file.name for file in sorted(folder.glob("*.npz"))]
    assert names == ["step-000000005.npz", "step-000000006.npz"]
    content = (folder / names[1]).read_bytes()
    for damaged in (content[:-100], content[:500] + b"x" + content[501:]):
        (folder / names[1]).write_bytes(damaged)
        lines = []
        position, _ = checkpoint_files.newest(folder, tell=lines.append)
        assert position.step == 5
        assert len(lines) == 1
        assert "step-000000006.npz is damaged (its checksum differs)" in lines[0]
    header = folder / "step-000000006.json"
    for text in (header.read_text().replace('"epoch": 1', '"epoch": 2'), ""):  # of a power cut
        header.write_text(text)
        assert checkpoint_files.newest(folder)[0].step == 5
    (folder / "step-000000007.npz").write_bytes(b"half")  # of a kill
    with pytest.raises(Stop):
        train(7)
    assert sorted(file.stem for file in folder.glob("*.npz")) == [
        "step-000000006",
        "step-000000007",
    ]


def test_a_training_is_not_disturbed_by_checkpoints_of_one_before(tmp_path):
    for step in (90, 91):
        position = Position(9, step, 10, {"teacher": {}}, 0.0, 0.0, ["teacher"])
        checkpoint_files.write(tmp_path, position, {})
    checkpoint = Checkpoint(tmp_path, models={"student": None})
    assert checkpoint.skipped == 0
    checkpoint_files.keep_only(tmp_path, None)
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_of_other_models(saved, train):
    with pytest.raises(ValueError, match=r"in the checkpoint; expected.*Remove the checkpoint"):
        train(specs={"fitnet": {"tap": "stage2"}})
    assert Checkpoint(saved, models={"student": None}).first_epoch == 0


def test_the_file_holds_plain_arrays(saved):
    header = json.loads((saved / "step-000000006.json").read_text())
    with np.load(saved / "step-000000006.npz", allow_pickle=False) as arrays:
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
