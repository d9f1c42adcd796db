"""A loss that is no number stops the training and says where and what to try."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from kd_keras.distill import stop_on_nan
from kd_keras.results import tensorboard_logs

STEPS, BATCH = 5, 4


def two_classes(learning_rate=0.1):
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile(
        keras.optimizers.SGD(learning_rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model


def batches():
    generator = np.random.default_rng(0)
    images = generator.normal(size=(STEPS * BATCH, 3)).astype("float32")
    labels = (images[:, 0] > 0).astype("int32")
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(BATCH)


def fit(model, watchers, **knobs):
    knobs = {"epochs": 2, "verbose": 0, "shuffle": False, **knobs}
    return model.fit(batches(), callbacks=watchers, **knobs).history


def spoil(model, epoch, batch, value=np.nan):
    """A callback that spoils the weights just before one step."""
    now = {}

    def before(index, logs):
        if now["epoch"] == epoch and index == batch:
            model.weights[0].assign(np.full((3, 2), value))

    return keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda index, logs: now.update(epoch=index), on_train_batch_begin=before
    )


@pytest.mark.parametrize("batch", [0, 2, STEPS - 1])
def test_a_loss_that_becomes_nan_stops_the_run_and_names_the_step(batch):
    model = two_classes()
    watchers = [spoil(model, 1, batch), stop_on_nan.StopOnNaN("student-2")]
    message = (
        rf"^student-2: the loss became nan at step {batch + 1} of epoch 2; expected a finite "
        r"number\. Lower --learning-rate or the weights of the methods, "
    )
    with pytest.raises(stop_on_nan.NotFinite, match=message):
        fit(model, watchers)


def test_a_nan_at_the_last_step_stops_before_validation_and_keeps_the_logs(tmp_path):
    model = two_classes()
    validations = []
    watchers = [
        tensorboard_logs.callback(tmp_path),
        spoil(model, 1, STEPS - 1),
        stop_on_nan.StopOnNaN(),
        keras.callbacks.LambdaCallback(on_test_begin=lambda logs: validations.append(logs)),
    ]
    advice = r"fix labels outside 0 to C - 1 for C classes\.$"
    with pytest.raises(ValueError, match=advice) as caught:
        fit(model, watchers, validation_data=batches())
    assert caught.type is stop_on_nan.NotFinite
    assert len(validations) == 1
    written = EventAccumulator(str(tmp_path / "train")).Reload()
    assert len(written.Tensors("loss/total")) == 1


def test_several_steps_a_call_name_the_range_of_steps():
    model = two_classes()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, steps_per_execution=STEPS)
    watchers = [spoil(model, 0, 0, np.inf), stop_on_nan.StopOnNaN()]
    with pytest.raises(stop_on_nan.NotFinite, match=r"step 5 of epoch 1 or up to 4 steps be"):
        fit(model, watchers)


def test_finite_losses_pass():
    assert len(fit(two_classes(), [stop_on_nan.StopOnNaN()])["loss"]) == 2
