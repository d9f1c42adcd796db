"""The share of the run that a step sees, over one fit, several, none, and a loaded Distiller."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from kd_keras import Distiller, methods
from kd_keras.distill import side_by_side
from kd_keras.distill.step import run_progress
from kd_keras.methods.base import Method

STEPS = 4
FIRST, NEXT, LAST = [0, 1 / 8, 2 / 8, 3 / 8], [4 / 8, 5 / 8, 6 / 8, 7 / 8], [1, 1, 1, 1]


@keras.saving.register_keras_serializable(package="test")
class Watch(Method):
    """A loss that is the share of the run that the step is told."""

    def __init__(self, *, warmup=0.0, weight=1.0, ce_weight=0.0, name="watch"):
        super().__init__(weight=weight, ce_weight=ce_weight, warmup=warmup, name=name)

    @property
    def needs_progress(self):
        return True

    def call(self, student, teacher, batch):
        return batch.progress * keras.ops.ones_like(student["logits"][:, 0])


class Shares(keras.callbacks.Callback):
    """Keeps what each step was told: logs are the epoch's means, so one step of each is undone."""

    def __init__(self, name="watch"):
        super().__init__()
        self.name, self.shares, self._sum = name, [], 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self._sum, self._batch = 0.0, 0

    def on_train_batch_end(self, batch, logs=None):
        total = logs[self.name] * (batch + 1)
        steps = batch + 1 - self._batch
        self.shares += [(total - self._sum) / steps] * steps
        self._sum, self._batch = total, batch + 1


@pytest.fixture
def batches(images, labels):
    data = tf.data.Dataset.from_tensor_slices((images[:32], labels[:32]))
    return data.batch(8, drop_remainder=True)


@pytest.fixture
def watched(student, teacher):
    def make(optimizer=None, **compiled):
        distiller = Distiller(student, teacher=teacher, methods=Watch())
        distiller.compile(optimizer or keras.optimizers.SGD(0.0), **compiled)
        return distiller

    return make


def shares(distiller, batches, **options):
    watcher = Shares()
    distiller.fit(batches, callbacks=[watcher], verbose=0, **options)
    return watcher.shares


def test_each_fit_is_a_run_of_its_own(watched, batches):
    distiller = watched()
    quarters = [0, 0.25, 0.5, 0.75]
    for _ in range(3):
        np.testing.assert_allclose(shares(distiller, batches), quarters, atol=1e-5)
    np.testing.assert_allclose(shares(distiller, batches, epochs=2), FIRST + NEXT, atol=1e-5)


def test_a_fit_that_goes_on_counts_the_epochs_before_as_done(watched, batches):
    distiller = watched()
    np.testing.assert_allclose(shares(distiller, batches), [0, 0.25, 0.5, 0.75], atol=1e-5)
    second = shares(distiller, batches, epochs=2, initial_epoch=1)
    np.testing.assert_allclose(second, NEXT, atol=1e-5)


@pytest.mark.parametrize("steps", [0, -1, 2.5, "many"])
def test_total_steps_is_a_number_of_steps(watched, steps):
    distiller = watched()
    with pytest.raises(ValueError, match="total_steps"):
        distiller.total_steps = steps


def test_total_steps_make_one_run_of_several_fits(watched, batches):
    distiller = watched()
    distiller.total_steps = 8
    for expected in (FIRST, NEXT, LAST):
        np.testing.assert_allclose(shares(distiller, batches), expected, atol=1e-5)
    distiller.total_steps = 24  # a traced step takes it over
    np.testing.assert_allclose(shares(distiller, batches)[0], 0.5, atol=1e-5)


def test_steps_outside_fit_go_on_with_the_run(watched, batches, images, labels):
    def on_batch():
        return distiller.train_on_batch(images[:8], labels[:8], return_dict=True)["watch"]

    distiller = watched()
    with pytest.raises(ValueError, match=r"\['watch'\] depend on the progress of the run, whose"):
        on_batch()
    distiller = watched()
    distiller.total_steps = 4
    np.testing.assert_allclose([on_batch() for _ in range(3)], [0, 0.25, 0.5], atol=1e-6)
    distiller.total_steps = 6
    assert on_batch() == pytest.approx(0.5)
    distiller.total_steps = None
    assert shares(distiller, batches)[1] == pytest.approx(0.25)
    assert on_batch() == pytest.approx(1)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.SGD(0.0, gradient_accumulation_steps=3),
        lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.0)),
    ],
)
def test_a_step_is_a_batch_whatever_the_optimizer_gathers(watched, batches, optimizer):
    distiller = watched(optimizer())
    for _ in range(2):
        np.testing.assert_allclose(shares(distiller, batches), [0, 0.25, 0.5, 0.75], atol=1e-5)


def test_several_steps_an_execution_see_their_own_shares(watched, batches):
    distiller = watched(steps_per_execution=2)
    for _ in range(2):  # the means of two steps each
        means = [0.125, 0.125, 0.625, 0.625]
        np.testing.assert_allclose(shares(distiller, batches), means, atol=1e-5)


def test_a_loaded_distiller_begins_a_run_or_continues_one(watched, batches, teacher, tmp_path):
    distiller = watched()
    shares(distiller, batches)
    distiller.save(tmp_path / "distiller.keras")
    for expected, options in (
        ([0, 0.25, 0.5, 0.75], {}),
        (NEXT, {"epochs": 2, "initial_epoch": 1}),
    ):
        loaded = keras.saving.load_model(tmp_path / "distiller.keras")
        loaded.teacher = teacher
        np.testing.assert_allclose(shares(loaded, batches, **options), expected, atol=1e-5)
    loaded = keras.saving.load_model(tmp_path / "distiller.keras")
    loaded.teacher, loaded.total_steps = teacher, 8
    np.testing.assert_allclose(shares(loaded, batches), NEXT, atol=1e-5)


def test_side_by_side_each_fit_is_a_run_too(net, teacher, batches):
    pair = {
        name: Distiller(net("student"), teacher=teacher, methods=Watch())
        for name in ("one", "other")
    }
    for distiller in pair.values():
        distiller.compile(keras.optimizers.SGD(0.0))
    model = side_by_side.SideBySideModel(pair)
    data = batches.map(lambda x, y: ({"inputs": x, "id": tf.range(8, dtype=tf.int64)}, y))
    for _ in range(2):
        watcher = Shares("other/watch")
        model.fit(data, callbacks=[watcher], verbose=0)
        np.testing.assert_allclose(watcher.shares, [0, 0.25, 0.5, 0.75], atol=1e-5)


def test_a_warmup_and_a_first_stage_begin_anew_with_each_fit(net, teacher, batches):
    warm = Distiller(
        net("student"), teacher=teacher, methods=methods.get("kd", weight=2.0, warmup=0.5)
    )
    warm.compile(keras.optimizers.SGD(0.0))
    for _ in range(2):
        history = warm.fit(batches, epochs=2, verbose=0).history
        weighted = np.array(history["loss"]) - 0.1 * np.array(history["ce"])
        # Shares 0, 1/4, 2/4, 3/4 of the weight in the first half of the run, all of it afterwards.
        assert weighted[1] == pytest.approx(2 * history["kd"][1], rel=1e-4)
        assert 0.2 < weighted[0] / (2 * history["kd"][0]) < 0.55
    staged = Distiller(
        net("student"), teacher=teacher, methods=methods.get("ft", tap="stage2", first_stage=0.5)
    )
    staged.compile(keras.optimizers.SGD(0.0))
    for _ in range(2):
        history = staged.fit(batches, epochs=2, verbose=0).history
        assert history["ce_share"][0] == 0 < history["ce_share"][1]


def test_an_unknown_length_matters_only_to_methods_that_change(student, teacher, batches):
    model = types.SimpleNamespace(total_steps=None, run_steps=None, methods=[])
    assert float(run_progress.fraction_done(model)) == 1
    unknown = batches.filter(lambda x, y: True)
    plain = Distiller(student, teacher=teacher, methods=methods.get("kd"))
    plain.compile(keras.optimizers.SGD(0.0))
    plain.fit(batches, verbose=0)
    plain.fit(unknown, verbose=0)
    assert plain.run_steps is None
    changing = Distiller(student, teacher=teacher, methods=methods.get("ctkd"))
    changing.compile(keras.optimizers.SGD(0.0))
    changing.fit(batches, verbose=0)
    with pytest.raises(ValueError, match=r"\['ctkd'\] depend on the progress of the run, whose"):
        changing.fit(unknown, verbose=0)


def test_fit_takes_its_arguments_by_position_as_keras_does(watched, images, labels):
    distiller, watcher = watched(), Shares()
    distiller.fit(images[:32], labels[:32], 8, 2, 0, [watcher])
    np.testing.assert_allclose(watcher.shares, FIRST + NEXT, atol=1e-5)


def test_a_callback_list_has_a_run_too(watched, batches):
    distiller, watcher = watched(), Shares()
    callback_list = keras.callbacks.CallbackList([watcher], add_history=True, model=distiller)
    for _ in range(2):
        history = distiller.fit(batches, callbacks=callback_list, verbose=0)
    assert history in callback_list.callbacks
    np.testing.assert_allclose(watcher.shares, 2 * [0, 0.25, 0.5, 0.75], atol=1e-5)


@pytest.mark.parametrize("as_list", [list, keras.callbacks.CallbackList])
def test_side_by_side_takes_the_callbacks_that_keras_takes(net, teacher, batches, as_list):
    distiller = Distiller(net("student"), teacher=teacher, methods=Watch())
    distiller.compile(keras.optimizers.SGD(0.0))
    data = batches.map(lambda x, y: ({"inputs": x, "id": tf.range(8, dtype=tf.int64)}, y))
    watcher = Shares("one/watch")
    side_by_side.SideBySideModel({"one": distiller}).fit(data, None, None, 1, 0, as_list([watcher]))
    np.testing.assert_allclose(watcher.shares, [0, 0.25, 0.5, 0.75], atol=1e-5)


def test_a_run_begins_anew_when_the_model_is_compiled_again(watched, batches, images, labels):
    distiller = watched()
    for _ in range(2):
        distiller.fit(batches, verbose=0)
    distiller.compile(keras.optimizers.SGD(0.0))
    logs = [distiller.train_on_batch(images[:8], labels[:8], return_dict=True) for _ in range(3)]
    assert [float(each["watch"]) for each in logs] == pytest.approx([0, 1 / 4, 2 / 4])
