import keras
import pytest

from kd_keras import models
from kd_keras.models import architecture


def resnet(**knobs):
    return models.get("resnet8", num_classes=3, input_shape=(8, 8, 1), **{"width": 0.25, **knobs})


def test_a_network_made_twice_with_other_weights_and_names_is_one():
    assert architecture.fingerprint(resnet()) == architecture.fingerprint(resnet())
    nested = [keras.Sequential([keras.Input((8, 8, 1)), resnet()]) for _ in range(2)]
    assert architecture.fingerprint(nested[0]) == architecture.fingerprint(nested[1])


@pytest.mark.parametrize("knobs", [{"width": 0.5}, {"stem_stride": 2}])
def test_other_widths_and_strides_are_other_networks(knobs):
    assert architecture.fingerprint(resnet(**knobs)) != architecture.fingerprint(resnet())


def test_of_a_subclass_nothing_is_known():
    class Own(keras.Model):
        def call(self, x):
            return x

    assert architecture.fingerprint(Own()) is None
