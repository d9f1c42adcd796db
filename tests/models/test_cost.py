import keras
import pytest

from kd_keras import models
from kd_keras.models import cost


def tiny():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same")(inputs)  # 4*4 places, 3*3*3*4 each
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.DepthwiseConv2D(3, padding="same")(x)  # 4*4 places, 3*3*4
    x = keras.layers.SeparableConv2D(2, 3, padding="valid")(x)  # 2*2 places, 3*3*4 + 4*2
    x = keras.layers.Conv2D(4, 1, groups=2)(x)  # 2*2 places, 1*4
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(5)(x))  # 4*5


def test_macs_equal_the_sum_by_hand():
    assert cost.macs(tiny()) == 16 * 108 + 16 * 36 + 4 * 44 + 4 * 4 + 20


def test_macs_count_nested_models_and_a_layer_used_twice():
    inputs = keras.Input((8, 8, 3))
    dense = keras.layers.Dense(5)
    outputs = dense(dense(tiny()(inputs)))
    assert cost.macs(keras.Model(inputs, outputs)) == cost.macs(tiny()) + 2 * 25
    assert cost.macs(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])) == 12


def test_macs_are_not_changed_by_calling_the_model_inside_another():
    model = tiny()
    before = cost.macs(model)
    model(keras.Input((8, 8, 3)))
    assert cost.macs(model) == before


def test_macs_of_resnet8x4_equal_the_sum_by_hand():
    # Stem 27 * 32 at 1024 places; stage 1 32 -> 64 at 1024, stage 2 64 -> 128 at 256, stage 3
    # 128 -> 256 at 64 places: two 3x3 convolutions and a 1x1 shortcut each; dense 256 * 100.
    stem, dense = 27 * 32 * 1024, 256 * 100
    stage = 1024 * (9 * 32 * 64 + 9 * 64 * 64 + 32 * 64)  # half the places, four times the weights
    model = models.get("resnet8x4", num_classes=100, input_shape=(32, 32, 3))
    assert cost.macs(model) == stem + 3 * stage + dense == 177_071_104


def test_macs_of_resnet20_equal_the_published_ones():
    model = models.get("resnet20", num_classes=100, input_shape=(32, 32, 3))
    assert cost.macs(model) / 1e6 == pytest.approx(40.8, abs=0.05)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (keras.layers.MultiHeadAttention(1, 2), r"is a MultiHeadAttention; expected convolutions"),
        (keras.layers.Conv1D(2, 1), r"gives \(None, None, 2\); expected a known size"),
    ],
)
def test_what_cannot_be_counted_is_named(layer, message):
    inputs = keras.Input((None, 3))
    outputs = layer(inputs, inputs) if "Attention" in message else layer(inputs)
    with pytest.raises(ValueError, match=message):
        cost.macs(keras.Model(inputs, outputs))


def test_a_subclassed_model_is_refused():
    class Own(keras.Model):
        pass

    with pytest.raises(ValueError, match="is a Own; expected a functional or Sequential model"):
        cost.macs(Own())
