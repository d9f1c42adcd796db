"""Data that a Distiller refuses before its first step."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kd_keras import Distiller, methods

ROWS = np.eye(5, dtype="float32")


@pytest.fixture
def distiller(student, teacher):
    distiller = Distiller(student, teacher=teacher, methods=methods.get("kd"))
    distiller.compile(run_eagerly=True)
    return distiller


def batched(*parts):
    return tf.data.Dataset.from_tensor_slices(parts).batch(8)


WRONG = {
    "labels hold -1": lambda y: y - 1,
    "labels hold 5": lambda y: y + 1,
    "labels have rows of 4 values": lambda y: np.eye(4)[y % 4],
    "labels have a row that sums to 2": lambda y: ROWS[y] + ROWS[(y + 1) % 5],
    "labels are strings": lambda y: y.astype("str"),
}


@pytest.mark.parametrize("message", WRONG)
def test_labels_that_cannot_be_trained_on_are_refused(distiller, images, labels, message):
    wrong = WRONG[message](np.arange(40) % 5)
    right = images, labels
    for data in ((images, wrong), (batched(images, wrong),)):
        validation = data if len(data) == 2 else data[0]
        for call in (
            lambda data=data: distiller.fit(*data, verbose=0),
            lambda v=validation: distiller.fit(*right, validation_data=v, verbose=0),
            lambda data=data: distiller.evaluate(*data, verbose=0),
        ):
            with pytest.raises(ValueError, match=f"^{message}"):
                call()
    for call in (distiller.train_on_batch, distiller.test_on_batch):
        with pytest.raises(ValueError, match=f"^{message}"):
            call(images, wrong)


def test_labels_are_checked_where_batches_come_from_python(distiller, images, labels):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 1

        def __getitem__(self, place):
            return images[:8], labels[:8] + 5

    for data in (Batches(), (batch for batch in [(images[:8], labels[:8] + 5)])):
        with pytest.raises(ValueError, match="labels hold"):
            distiller.fit(data, shuffle=False, verbose=0)


def test_one_hot_labels_train_as_their_classes_do(net, teacher, images, labels):
    losses = []
    for y in (labels, labels[:, None], labels.astype("float32"), ROWS[labels].astype("bool")):
        distiller = Distiller(net("student"), teacher=teacher, methods=methods.get("kd"))
        distiller.compile(run_eagerly=True)
        losses.append(distiller.fit(batched(images, y), verbose=0).history["loss"][0])
    np.testing.assert_allclose(losses, losses[0], rtol=1e-6)


def test_endless_data_are_refused_at_once(distiller, images, labels):
    once = batched(images, labels)
    with pytest.raises(ValueError, match=r"training data never end .* Give steps_per_epoch"):
        distiller.fit(once.repeat(), verbose=0)
    with pytest.raises(ValueError, match=r"validation data never end .* Give validation_steps"):
        distiller.fit(once, validation_data=once.repeat(), verbose=0)
    for call in (distiller.evaluate, distiller.predict):
        with pytest.raises(ValueError, match=r"the data never end .* Give steps"):
            call(once.repeat(), verbose=0)
    history = distiller.fit(
        *(once.repeat(), None),
        steps_per_epoch=2,
        validation_data=once.repeat(),
        validation_steps=1,
        verbose=0,
    )
    assert np.isfinite(history.history["val_loss"]).all()
    assert int(distiller.optimizer.iterations.numpy()) == 2
