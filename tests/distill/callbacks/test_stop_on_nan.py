"""A loss that is not a number stops the training and says where and what to try."""

import keras
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from kd_keras import Distiller, methods
from kd_keras.distill.callbacks import checkpoint_files, stop_on_nan
from kd_keras.distill.callbacks.checkpoint import Checkpoint
from kd_keras.results.loggers import tensorboard_logs


def spoil(model, epoch, batch, value=np.nan):
    """A callback that spoils the weights just before one step."""
    now = {}

    def before(index, logs):
        if now["epoch"] == epoch and index == batch:
            model.weights[0].assign(np.full((3, 2), value))

    return keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda index, logs: now.update(epoch=index), on_train_batch_begin=before
    )


@pytest.mark.parametrize("batch", [0, 2, 4])
def test_a_loss_that_becomes_nan_stops_the_run_and_names_the_step(two_classes, batch):
    model = two_classes.model()
    watchers = [spoil(model, 1, batch), stop_on_nan.StopOnNaN("student-2")]
    message = (
        rf"^student-2: the loss became nan at step {batch + 1} of epoch 2; expected a finite "
        r"number\. Lower the learning rate \(--learning-rate\) or the weights of the methods, "
    )
    with pytest.raises(stop_on_nan.NonFiniteError, match=message):
        two_classes.fit(model, watchers)


def test_a_nan_at_the_last_step_stops_before_validation_and_keeps_the_logs(two_classes, tmp_path):
    model = two_classes.model()
    validations = []
    watchers = [
        tensorboard_logs.callback(tmp_path),
        spoil(model, 1, two_classes.STEPS - 1),
        stop_on_nan.StopOnNaN(),
        keras.callbacks.LambdaCallback(on_test_begin=lambda logs: validations.append(logs)),
    ]
    advice = r"fix labels outside 0 to C - 1 for C classes\.$"
    with pytest.raises(ValueError, match=advice) as caught:
        two_classes.fit(model, watchers, validation_data=two_classes.batches())
    assert caught.type is stop_on_nan.NonFiniteError
    assert len(validations) == 1
    events = EventAccumulator(str(tmp_path / "train")).Reload()
    assert len(events.Tensors("loss/total")) == 1


def test_several_steps_a_call_name_the_range_of_steps(two_classes):
    model = two_classes.model()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, steps_per_execution=two_classes.STEPS)
    watchers = [spoil(model, 0, 0, np.inf), stop_on_nan.StopOnNaN()]
    with pytest.raises(stop_on_nan.NonFiniteError, match=r"step 5 of epoch 1 or up to 4 steps be"):
        two_classes.fit(model, watchers)


def test_finite_losses_pass(two_classes):
    assert len(two_classes.fit(two_classes.model(), [stop_on_nan.StopOnNaN()])["loss"]) == 2


class Constant(methods.base.Method):
    """Costs a number for each example, which no weight changes."""

    def __init__(self, value, **common):
        super().__init__(**common)
        self.value = value

    def call(self, student, teacher, batch):
        return 0 * student["logits"][:, 0] + self.value


def distil(student, teacher, images, labels, *chosen_methods, learning_rate=0.1, **how):
    distiller = Distiller(student, teacher=teacher, methods=list(chosen_methods))
    distiller.compile(keras.optimizers.SGD(learning_rate), run_eagerly=True)
    watching = [stop_on_nan.StopOnNaN("student")]
    return distiller.fit(images, labels, batch_size=20, verbose=0, callbacks=watching, **how)


def test_a_method_whose_loss_is_nan_is_named(student, teacher, images, labels):
    message = (
        r"^student: the loss became nan at step 1 of epoch 1; expected a finite number\. The loss "
        r"of bad is not finite, the cross-entropy with the labels is\. Lower .*bad:warmup"
    )
    chosen_methods = methods.get("kd"), Constant(np.nan, name="bad")
    with pytest.raises(stop_on_nan.NonFiniteError, match=message):
        distil(student, teacher, images, labels, *chosen_methods)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("reads_logits", [True, False])
def test_a_teacher_whose_outputs_are_nan_is_named(
    net, student, images, labels, value, reads_logits
):
    teacher = net("teacher", norm=False)
    teacher.layers[-1].bias.assign([value, 0, 0, 0, 0])
    method = methods.get("kd") if reads_logits else methods.get("fitnet", tap="stage2")
    message = r"teacher's outputs became NaN or infinite at step 1 of epoch 1.*--teacher-preprocess"
    with pytest.raises(stop_on_nan.NonFiniteError, match=message):
        distil(student, teacher, images, labels, method)


def test_labels_out_of_range_and_broken_students_are_distinguished_from_methods(
    student, teacher, images, labels
):
    student.layers[-1].bias.assign(np.full(5, np.nan))
    message = r"The cross-entropy with the labels is not finite\. Lower .* fix labels outside 0 to"
    with pytest.raises(stop_on_nan.NonFiniteError, match=message):
        distil(student, teacher, images, labels, methods.get("kd"))


def test_weights_that_a_last_step_spoils_are_noticed_before_anything_is_saved(
    student, teacher, images, labels
):
    saved = []
    save = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: saved.append(epoch))
    distiller = Distiller(student, teacher=teacher, methods=methods.get("kd"))
    distiller.compile(keras.optimizers.SGD(1e38, momentum=0.9), run_eagerly=True)
    message = (
        r"^The weights became NaN or infinite in epoch 1, while the loss stayed finite: \d+ of "
        r"[\d,]+ values of \w+/\w+.*\. Lower the learning rate.* clip the gradients"
    )
    with pytest.raises(stop_on_nan.NonFiniteError, match=message):
        distiller.fit(
            1e3 * images,
            labels,
            batch_size=40,
            verbose=0,
            callbacks=[stop_on_nan.StopOnNaN(), save],
        )
    assert saved == []


def test_validation_that_is_no_number_stops_at_the_end_of_its_epoch(two_classes):
    model = two_classes.model()
    callback = stop_on_nan.StopOnNaN("student")
    callback.set_model(model)
    callback.on_epoch_end(0, {"val_loss": 1.0, "my_metric": np.nan})  # what users measure is theirs
    with pytest.raises(
        stop_on_nan.NonFiniteError, match=r"student: the val_loss became nan in epoch 2"
    ):
        callback.on_epoch_end(1, {"val_loss": np.nan})


def test_a_checkpoint_of_weights_that_are_not_finite_is_not_written(
    student, teacher, images, labels, tmp_path
):
    distiller = Distiller(student, teacher=teacher, methods=methods.get("kd"))
    distiller.compile(keras.optimizers.SGD(0.1), run_eagerly=True)

    def explode(batch, logs):
        distiller.optimizer.learning_rate.assign(1e38 if batch == 1 else 0.1)

    watching = [keras.callbacks.LambdaCallback(on_train_batch_begin=explode)]
    message = r"^The weights became NaN or infinite at step 2 of epoch 1, while the loss stayed fin"
    with pytest.raises(stop_on_nan.NonFiniteError, match=message):
        distiller.fit(
            1e3 * images,
            labels,
            batch_size=20,
            verbose=0,
            callbacks=[*watching, Checkpoint(tmp_path, minutes=0)],
        )
    position, state = checkpoint_files.newest(tmp_path)
    assert position.step == 1
    assert all(np.isfinite(array).all() for arrays in state.values() for array in arrays)
