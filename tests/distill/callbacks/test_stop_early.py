"""A training that no longer gets better ends with its best weights, also if it was interrupted."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kd_keras import Distiller, methods
from kd_keras.distill import side_by_side
from kd_keras.distill.callbacks import stop_early
from kd_keras.distill.callbacks.checkpoint import Checkpoint
from kd_keras.distill.step.metrics import TopAccuracy

BATCH, STEPS, EPOCHS = 8, 4, 12


class Crash(Exception):
    """Ends a training as a crash would."""


class CrashAt(keras.callbacks.Callback):
    def __init__(self, epoch, batch):
        super().__init__()
        self.at, self.epoch = (epoch, batch), 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            raise Crash


def test_an_epoch_is_better_by_accuracy_and_among_equals_by_loss():
    decide = stop_early.decide
    assert decide([0.5], [1.0], 2) == (0, None)
    assert decide([0.5, 0.6, 0.6, 0.6], [1.0, 0.9, 0.8, 0.8], 2) == (2, None)
    assert decide([0.5, 0.6, 0.6, 0.5, 0.6], [1.0, 0.9, 0.8, 0.7, 0.8], 2) == (2, 4)
    # What came after the end counts no more, as for a model that others train beside.
    assert decide([0.5, 0.4, 0.9], [1.0, 1.0, 0.1], 1) == (0, 1)


def test_facts_are_those_of_a_person_who_counts_from_one():
    history = {stop_early.TOP1: [0.5, 0.6, 0.5, 0.4], stop_early.LOSS: [1.0, 0.9, 1.0, 1.0]}
    expected = {"best_epoch": 2, "epochs": 3, "held_out_top1": 0.6}
    assert stop_early.stopping_record(history, 1) == expected
    assert stop_early.stopping_record(history, 9)["epochs"] == 4


@pytest.fixture
def train(net, teacher, images, labels, tmp_path):
    """train(folder) trains until it stops; with ema the averaged weights count."""

    def run(folder, crash=(), ema=False, make=None):
        keras.utils.set_random_seed(3)
        distiller = Distiller(net("student", dropout=0.2), teacher=teacher, methods=make or [])
        distiller.compile(
            keras.optimizers.SGD(0.7, use_ema=ema, ema_momentum=0.5), metrics=[TopAccuracy()]
        )
        rows = [np.random.default_rng(s).permutation(40)[:BATCH] for s in range(EPOCHS * STEPS)]
        with Checkpoint(tmp_path / folder, minutes=0) as checkpoint:
            first = checkpoint.first_epoch * STEPS
            data = tf.data.Dataset.from_tensor_slices(
                (images[np.stack(rows[first:])], labels[np.stack(rows[first:])])
            )
            history = keras.callbacks.History()
            distiller.fit(
                data,
                initial_epoch=checkpoint.first_epoch,
                epochs=EPOCHS,
                steps_per_epoch=STEPS,
                callbacks=[
                    *([keras.callbacks.SwapEMAWeights(swap_on_epoch=True)] if ema else []),
                    stop_early.StopEarly(
                        (images[30:], labels[30:]),
                        patience=2,
                        earlier=checkpoint.histories["model"],
                    ),
                    *([CrashAt(*crash)] if crash else []),
                    history,
                    checkpoint,
                ],
                verbose=0,
            )
        return distiller, checkpoint.histories["model"]

    return run


@pytest.mark.parametrize("ema", [True, pytest.param(False, marks=pytest.mark.extended)])
def test_it_ends_with_the_best_weights(train, images, labels, ema):
    distiller, history = train("whole", ema=ema)
    best, end = stop_early.decide(history[stop_early.TOP1], history[stop_early.LOSS], 2)
    assert end == len(history["loss"]) - 1 < EPOCHS - 1
    assert best == end - 2
    scores = distiller.evaluate(images[30:], labels[30:], verbose=0, return_dict=True)
    assert scores["loss"] == pytest.approx(history[stop_early.LOSS][best], rel=1e-6)
    assert scores["top1"] == history[stop_early.TOP1][best]
    assert not any("kept" in variable.path for variable in distiller.variables)


@pytest.mark.slow
def test_an_interrupted_training_ends_in_the_same_epoch_with_the_same_weights(train):
    uninterrupted, history = train("whole", ema=True)
    end = len(history["loss"]) - 1
    for crash in ((1, 1), (end, 0), (end, STEPS - 1)):
        with pytest.raises(Crash):
            train("parts", crash, ema=True)
    parts, again = train("parts", ema=True)
    assert again == history
    for a, b in zip(parts.variables, uninterrupted.variables, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)


@pytest.mark.slow
def test_side_by_side_each_student_keeps_the_weights_of_its_own_best_epoch(
    net, teacher, images, labels
):
    distillers = {
        n: Distiller(net(n), teacher=teacher, methods=methods.get("kd")) for n in ("a", "b")
    }
    for distiller, rate in zip(distillers.values(), (0.7, 0.05), strict=True):
        distiller.compile(keras.optimizers.SGD(rate), metrics=[TopAccuracy()])
    data = tf.data.Dataset.from_tensor_slices((images[:32], labels[:32])).batch(BATCH)
    held_out = images[30:], labels[30:]
    histories = {name: keras.callbacks.History() for name in distillers}
    callbacks_of_students = {
        name: (distillers[name], [stop_early.StopEarly(held_out, patience=1), histories[name]])
        for name in distillers
    }
    side_by_side.SideBySideModel(distillers).fit(
        data.map(lambda x, y: ({"inputs": x, "id": tf.range(BATCH, dtype=tf.int64)}, y)),
        epochs=EPOCHS,
        verbose=0,
        callbacks=[
            side_by_side.PerStudentCallbacks(callbacks_of_students),
            stop_early.StopTogether(list(distillers.values())),
        ],
    )
    for name, distiller in distillers.items():
        history = histories[name].history
        best, end = stop_early.decide(history[stop_early.TOP1], history[stop_early.LOSS], 1)
        scores = distiller.evaluate(*held_out, verbose=0, return_dict=True)
        assert scores["loss"] == pytest.approx(history[stop_early.LOSS][best], rel=1e-6)
        assert len(history["loss"]) == EPOCHS or end is not None


def test_a_metric_that_is_not_compiled_is_refused(net, images, labels):
    distiller = Distiller(net("student"))
    distiller.compile(run_eagerly=True)
    stop = stop_early.StopEarly((images[:8], labels[:8]), patience=1)
    with pytest.raises(ValueError, match="expected one called 'top1' to stop by"):
        distiller.fit(images[:8], labels[:8], callbacks=[stop], verbose=0)


def test_a_fit_that_begins_later_counts_from_its_own_first_epoch(net, images, labels):
    distiller = Distiller(net("student"))
    distiller.compile(keras.optimizers.SGD(0.1), metrics=[TopAccuracy()])
    held_out = images[30:], labels[30:]
    stop = stop_early.StopEarly(held_out, patience=9)
    settings = {"initial_epoch": 5, "epochs": 8, "callbacks": [stop], "verbose": 0}
    history = distiller.fit(images[:30], labels[:30], **settings).history
    best, _ = stop_early.decide(history[stop_early.TOP1], history[stop_early.LOSS], 9)
    scores = distiller.evaluate(*held_out, verbose=0, return_dict=True)
    assert scores["loss"] == pytest.approx(history[stop_early.LOSS][best], rel=1e-6)
