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
    ("spec", "knobs", "millions"),
    [("resnet18", {"width": 0.5}, 139), ("resnet8", {}, 12.5)],
)
def test_macs_that_the_tiny_imagenet_recipe_tells(spec, knobs, millions):
    settings = {"num_classes": 200, "input_shape": (64, 64, 3), "stem_stride": 2}
    count = cost.macs(models.get(spec, **settings, **knobs)) / 1e6
    assert count == pytest.approx(millions, abs=0.5 if millions > 100 else 0.05)


L = keras.layers


@pytest.mark.parametrize(
    ("layer", "shape", "by_hand"),
    [
        (L.Dense(5), (7, 3), 7 * 3 * 5),
        (L.Dense(5), (4, 6, 3), 4 * 6 * 3 * 5),
        (L.EinsumDense("abc,cd->abd", (7, 5)), (7, 3), 7 * 3 * 5),
        (L.EinsumDense("...x,xy->...y", (5,)), (7, 2, 3), 7 * 2 * 3 * 5),
        (L.EinsumDense("abc,bde->acde", (3, 2, 4)), (7, 3), 7 * 3 * 2 * 4),
        (L.Conv1D(4, 3), (8, 2), 6 * 3 * 2 * 4),
        (L.Conv3D(4, 3), (5, 5, 5, 2), 27 * 27 * 2 * 4),
        (L.Conv2D(4, 3, groups=2), (6, 6, 4), 16 * 9 * 2 * 4),
        (L.Conv2D(4, 3, dilation_rate=2), (7, 7, 2), 9 * 9 * 2 * 4),
        (L.Conv2D(4, 3, strides=2, padding="same"), (7, 7, 2), 16 * 9 * 2 * 4),
        (L.DepthwiseConv1D(3, depth_multiplier=2), (6, 2), 4 * 3 * 2 * 2),
        (L.DepthwiseConv2D(3, depth_multiplier=2), (5, 5, 2), 9 * 9 * 2 * 2),
        (L.SeparableConv2D(4, 3), (5, 5, 2), 9 * (9 * 2 + 2 * 4)),
        (L.Conv1DTranspose(4, 3, strides=2), (6, 2), 6 * 3 * 4 * 2),
        (L.Conv2DTranspose(4, 3, strides=2, padding="same"), (5, 5, 2), 25 * 9 * 4 * 2),
        (L.Embedding(10, 4), (6,), 0),
        (L.TimeDistributed(L.Dense(5)), (7, 3), 7 * 3 * 5),
        (L.TimeDistributed(L.Conv2D(4, 1)), (7, 2, 2, 3), 7 * 4 * 3 * 4),
        (L.TimeDistributed(keras.Sequential([keras.Input((3,)), L.Dense(5)])), (7, 3), 7 * 3 * 5),
        (L.BatchNormalization(), (4, 4, 3), 0),
        (L.LayerNormalization(), (4,), 0),
        (L.MaxPooling2D(), (4, 4, 3), 0),
        (L.PReLU(), (4,), 0),
        (L.Rescaling(0.5), (4,), 0),
        (L.ZeroPadding2D(), (4, 4, 3), 0),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_each_kind_of_layer_equals_the_formula_by_hand(layer, shape, by_hand):
    inputs = keras.Input(shape)
    assert cost.macs(keras.Model(inputs, layer(inputs))) == by_hand


def test_attention_counts_projections_scores_and_the_mean_of_the_values():
    query, value = keras.Input((6, 8)), keras.Input((4, 10))
    layer = L.MultiHeadAttention(num_heads=2, key_dim=3, value_dim=5)
    projected = 2 * (6 * 8 * 3 + 4 * 10 * 3 + 4 * 10 * 5 + 6 * 5 * 8)
    expected = projected + 2 * 6 * 4 * (3 + 5)
    assert cost.macs(keras.Model([query, value], layer(query, value))) == expected
    by_name = layer(value=value, key=value, query=query)
    assert cost.macs(keras.Model([query, value], by_name)) == expected
    one, other = keras.Input((6, 8)), keras.Input((4, 8))
    dot = keras.Model([one, other], L.Attention()([one, other]))
    assert cost.macs(dot) == 6 * 4 * (8 + 8)


def test_a_layer_shared_over_two_sizes_costs_what_each_call_costs():
    inputs = keras.Input((8, 8, 3))
    shared = L.Conv2D(3, 3, padding="same")
    outputs = shared(L.MaxPooling2D()(shared(inputs)))
    assert cost.macs(keras.Model(inputs, outputs)) == (64 + 16) * 9 * 3 * 3


def test_a_nested_model_of_open_size_costs_what_its_calls_cost():
    open_inputs = keras.Input((None, None, 3))
    open_size = keras.Model(open_inputs, L.Conv2D(3, 3, padding="same")(open_inputs))
    inputs = keras.Input((8, 8, 3))
    outputs = open_size(L.MaxPooling2D()(open_size(inputs)))
    assert cost.macs(keras.Model(inputs, outputs)) == (64 + 16) * 9 * 3 * 3


def test_matrix_products_of_operations_count():
    one, other = keras.Input((6, 8)), keras.Input((8, 4))
    assert cost.macs(keras.Model([one, other], keras.ops.matmul(one, other))) == 6 * 8 * 4


def test_macs_of_the_benchmark_s_teacher_are_those_of_its_stages():
    # Stem 3x3, stride 2, at 32x32; then 2 blocks of two 3x3 convolutions a stage, each later stage
    # with half the side, twice the channels and a 1x1 shortcut; a dense layer of 200 classes.
    stem = 32 * 32 * 27 * 64
    first = 32 * 32 * 4 * 9 * 64 * 64
    later = sum(
        side * side * (9 * c // 2 * c + 3 * 9 * c * c + c // 2 * c)
        for side, c in ((16, 128), (8, 256), (4, 512))
    )
    model = models.get("resnet18", num_classes=200, input_shape=(64, 64, 3), stem_stride=2)
    assert cost.macs(model) == stem + first + later + 512 * 200 == 555_520_000


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (L.LSTM(2), (4, 3), r"is a LSTM; expected convolutions"),
        (L.AdditiveAttention(), (4, 3), r"is a AdditiveAttention; expected convolutions"),
        (L.Dot(axes=2), (4, 3), r"is a Dot; expected convolutions"),
        (L.Lambda(lambda x: x @ x), (3, 3), r"is a Lambda; expected convolutions"),
        (L.Conv1D(2, 1), (None, 3), r"output of shape \(None, None, 2\); expected a known size"),
    ],
    ids=["rnn", "additive", "dot", "lambda", "open"],
)
def test_what_cannot_be_counted_is_named(layer, shape, message):
    inputs = keras.Input(shape)
    takes_separate_gradients = isinstance(layer, (L.AdditiveAttention, L.Dot))
    outputs = layer([inputs, inputs]) if takes_separate_gradients else layer(inputs)
    with pytest.raises(ValueError, match=message):
        cost.macs(keras.Model(inputs, outputs))


def test_a_subclassed_model_is_refused():
    class Own(keras.Model):
        pass

    with pytest.raises(ValueError, match="is a Own; expected a functional or Sequential model"):
        cost.macs(Own())
