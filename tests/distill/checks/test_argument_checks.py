"""Arguments of fit, evaluate and their like that Keras takes without a word."""

import numpy as np
import pytest
import tensorflow as tf

from kd_keras import Distiller
from kd_keras.distill.checks import argument_checks


@pytest.fixture(scope="module")
def distiller(net):
    distiller = Distiller(net("student"))
    distiller.compile()
    return distiller


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (6, 5, "y has 5 labels and x 6 examples; expected a label for each example"),
        (6, 1, "y has 1 labels and x 6 examples;"),
        (0, 0, "x has no examples; expected one or more"),
        (None, 6, "x is None; expected arrays"),
        ("list", 6, r"x is a list of numbers; expected an array\. Give numpy\.asarray\(x\)"),
        (6, "list", r"y is a list of numbers; expected an array\. Give numpy\.asarray\(y\)"),
    ],
)
def test_data_without_a_label_for_each_example_are_refused(
    distiller, images, labels, x, y, message
):
    x = images[:6].tolist() if x == "list" else None if x is None else images[:x]
    y = labels[:6].tolist() if y == "list" else labels[:y]
    calls = [distiller.fit, distiller.evaluate, distiller.train_on_batch, distiller.test_on_batch]
    for call in calls:
        with pytest.raises(ValueError, match=message):
            call(x, y)
    with pytest.raises(ValueError, match=message):
        distiller.fit(images[:6], labels[:6], validation_data=(x, y), verbose=0)
    assert not distiller.optimizer.iterations.numpy()


def test_the_label_of_one_example_is_not_taken_for_all(distiller, images):
    with pytest.raises(ValueError, match="y has 1 labels and x 6 examples"):
        distiller.train_on_batch(images[:6], np.eye(5, dtype="float32")[:1])


def test_predict_needs_data(distiller, images):
    for x, message in ((None, "x is None"), (images[:0], "x has no examples")):
        with pytest.raises(ValueError, match=message):
            distiller.predict(x)
    with pytest.raises(ValueError, match="batch_size is 0; expected a whole number >= 1"):
        distiller.predict(images[:6], batch_size=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0; expected a whole number >= 1"),
        ({"batch_size": -1}, "batch_size is -1;"),
        ({"epochs": -1}, "epochs is -1; expected a whole number >= 0"),
        ({"epochs": 1.5}, "epochs is 1.5;"),
        ({"steps_per_epoch": 0}, "steps_per_epoch is 0;"),
        ({"validation_split": 2.0}, "validation_split is 2.0; expected a finite number >= 0 and"),
    ],
)
def test_counts_that_keras_passes_over_are_refused(distiller, images, labels, arguments, message):
    with pytest.raises(ValueError, match=message):
        distiller.fit(images[:6], labels[:6], verbose=0, **arguments)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("steps_per_execution", 0, "steps_per_execution is 0; expected a whole number >= 1"),
        ("jit_compile", "yes", "jit_compile is 'yes'; expected one of: False, True, auto"),
    ],
)
def test_options_of_compile_are_checked(net, option, value, message):
    with pytest.raises(ValueError, match=message):
        Distiller(net("student")).compile(**{option: value})


def test_what_is_right_is_taken():
    pair, x = {"a": np.zeros((6, 2)), "b": [np.zeros(6)]}, np.zeros((6, 2))
    for data in (pair, [x, x], x, tf.zeros((6, 2)), iter([(x, x)])):
        argument_checks.require_examples(data, np.zeros(6), None)
    argument_checks.require_examples(tf.data.Dataset.from_tensor_slices((x, x)))
    argument_checks.check_counts({"epochs": 0, "batch_size": None, "steps": np.int64(3)})
