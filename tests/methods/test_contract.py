"""What every method must do in `Distiller.fit`; no method is named here.

A method's own test file may set the knobs it needs on the tiny pair: CONTRACT = {knob: value}.
"""

import dataclasses
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from kd_keras import methods
from kd_keras.distill.callbacks import gradient_norms

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="a Distiller trains on TensorFlow"
)
STEPS = 20  # in each stage
LEARNING_RATE = 0.01


@dataclasses.dataclass
class Trained:
    """A method's runs on one batch, all from the same weights, and their results."""

    distiller: Any  # after the last run
    losses: np.ndarray  # (stages, STEPS), the method's loss before each step
    control: np.ndarray  # the same in a run in which its weight is 0
    eager: np.ndarray  # (2,), the first losses of an eager run
    at_rest: list[str]  # paths of the method's trainable variables that did not change
    teacher_moved: bool


@pytest.fixture(scope="module", params=methods.names())
def trained(request, pair):
    distiller = pair.distiller(request.param, STEPS)
    (method,) = distiller.methods
    distiller.compile(keras.optimizers.Adam(LEARNING_RATE))
    distiller.optimizer.build(distiller.trainable_variables)
    everything = [*distiller.variables, *distiller.optimizer.variables]
    start, teacher = values(everything), values(weights_of(distiller.teacher))
    parts = values(method.trainable_variables)
    batch = pair.batch(distiller)

    weight, method.weight = method.weight, tf.Variable(method.weight)  # one trace for both runs
    losses = fit(distiller, batch, distiller.total_steps)
    pairs = zip(method.trainable_variables, parts, strict=True)
    at_rest = [v.path for v, before in pairs if np.array_equal(v.numpy(), before)]
    assign(everything, start)
    method.weight.assign(0.0)
    control = fit(distiller, batch, distiller.total_steps)
    assign(everything, start)
    method.weight, distiller.run_eagerly, distiller.train_function = weight, True, None
    eager = fit(distiller, batch, 2)
    losses, control = losses.reshape(-1, STEPS), control.reshape(-1, STEPS)
    teacher_moved = not same(values(weights_of(distiller.teacher)), teacher)
    return Trained(distiller, losses, control, eager, at_rest, teacher_moved)


class Losses(keras.callbacks.Callback):
    """The method's loss before each step: its metric, which starts anew with every batch."""

    def __init__(self, name):
        super().__init__()
        self.name, self.losses = name, []

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(logs[self.name])
        self.model.reset_metrics()


def fit(distiller, batch, steps):
    """The method's loss before each step, all in one epoch: every epoch takes time of its own."""
    (method,) = distiller.methods
    losses = Losses(method.name)
    data = tf.data.Dataset.from_tensors(batch).repeat(steps)
    distiller.fit(data, epochs=1, verbose=0, callbacks=[losses])
    return np.array(losses.losses)


def assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def weights_of(model):
    return model.variables if model else []


def values(variables):
    return [v.numpy() for v in variables]


def same(some, others):
    return all(np.array_equal(*pair) for pair in zip(some, others, strict=True))


def test_its_loss_falls_and_falls_less_where_its_weight_is_0(trained):
    has_loss = np.any(trained.losses, axis=1)  # a stage may cost nothing
    assert np.any(has_loss)
    falls = trained.losses[has_loss, 0] - trained.losses[has_loss, -1]
    in_control = trained.control[has_loss, 0] - trained.control[has_loss, -1]
    assert np.all(np.isfinite(trained.losses))
    assert np.all(falls > 0)
    assert np.all(in_control < 0.8 * falls)


def test_its_parts_are_trained_and_the_teacher_is_not(trained):
    assert trained.at_rest == []
    assert not trained.teacher_moved


def test_traced_equals_eager(trained):
    np.testing.assert_allclose(trained.losses[0, :2], trained.eager, rtol=1e-4)


def test_measuring_its_gradient_changes_nothing(trained, pair):
    distiller = trained.distiller
    everything = [*distiller.variables, *distiller.optimizer.variables]
    everything += weights_of(distiller.teacher)
    before = values(everything)
    norms = gradient_norms.norms(distiller, pair.batch(distiller))
    assert same(before, values(everything))
    assert list(norms) == ["ce", distiller.methods[0].name]
    assert np.all(np.isfinite(list(norms.values())))


def test_a_loaded_distiller_trains_on_as_the_saved_one(trained, pair, tmp_path):
    trained.distiller.save(tmp_path / "distiller.keras")
    loaded = keras.saving.load_model(tmp_path / "distiller.keras")
    assert same(values(loaded.variables), values(trained.distiller.variables))
    loaded.teacher, loaded.total_steps = trained.distiller.teacher, trained.distiller.total_steps
    for distiller in (loaded, trained.distiller):
        distiller.run_eagerly = True
        fit(distiller, pair.batch(distiller), 1)
    for kind in (lambda d: d.variables, lambda d: d.optimizer.variables):
        assert same(values(kind(loaded)), values(kind(trained.distiller)))


@pytest.mark.parametrize("name", methods.names())
def test_gradients_are_finite_under_mixed_float16(name, pair):
    distiller = pair.distiller(name, 1, precision="mixed_float16")
    optimizer = keras.optimizers.SGD(1e-4)
    # A step whose gradients are not finite is skipped and not counted.
    distiller.compile(
        keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=1), run_eagerly=True
    )
    losses = fit(distiller, pair.batch(distiller), distiller.total_steps)
    assert np.all(np.isfinite(losses))
    assert int(optimizer.iterations.numpy()) == distiller.total_steps
    assert all(np.all(np.isfinite(value)) for value in values(distiller.trainable_variables))
