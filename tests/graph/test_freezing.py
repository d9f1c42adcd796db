import keras
import numpy as np
import pytest

from kd_keras import Distiller
from kd_keras.graph import freezing


@pytest.fixture
def nested(net):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Dense(5, name="head")(net("backbone")(inputs))
    return keras.Model(inputs, x, name="nested")


def test_names_paths_and_wildcards_name_layers(net, nested):
    student = net("student")
    assert freezing.freeze(student, ["conv", "n*"]) == ["conv", "norm"]
    assert not any(v.path.startswith(("conv", "norm")) for v in student.trainable_variables)
    assert freezing.freeze(nested, ["backbone/stage*"]) == ["backbone/stage2"]
    freezing.thaw(nested, ["backbone/stage*"])
    assert freezing.freeze(nested, ["backbone", "conv"]) == ["backbone"]
    assert len(nested.trainable_variables) == 2
    freezing.thaw(nested, ["backbone", "conv"])
    assert len(nested.trainable_variables) == 10


def test_a_pattern_that_names_nothing_is_refused_with_the_nearest(net):
    with pytest.raises(ValueError, match=r"freeze is 'cnov\*'.*nearest: 'conv'"):
        freezing.freeze(net("student"), ["conv", "cnov*"])
    with pytest.raises(ValueError, match="has no layer with weights of such a name"):
        freezing.freeze(net("student"), ["stage1"])  # a ReLU


def test_a_model_without_anything_to_train_is_refused(net):
    with pytest.raises(ValueError, match=r"freeze is \['\*'\], and no weight.*left to train"):
        freezing.freeze(net("student"), ["*"])


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_frozen_layers_keep_weights_and_statistics_in_a_step(
    net, images, labels, one_step, precision
):
    student = net("student")
    freezing.freeze(student, ["conv", "norm"])
    before = {v.path: v.numpy() for v in student.variables}
    distiller = Distiller(student, precision=precision)
    one_step(distiller, images, labels, optimizer=keras.optimizers.SGD(0.1))
    for variable in student.variables:
        is_frozen = variable.path.startswith(("conv/", "norm/"))
        assert np.array_equal(variable.numpy(), before[variable.path]) == is_frozen, variable.path
