import keras
import numpy as np
import pytest

from kd_keras.graph import heads
from kd_keras.models import adapt, preprocessing


def teacher(shape=(4, 4, 3), num_classes=3):
    """Its logits are the image's first values in reading order, untouched."""
    inputs = keras.Input(shape)
    x = keras.layers.Flatten()(inputs)
    return keras.Model(inputs, x[:, :num_classes], name="foreign")


def images(shape):
    return np.random.default_rng(0).integers(0, 256, shape).astype("float32")


@pytest.mark.parametrize("mode", preprocessing.MODES)
def test_our_pixels_reach_the_teacher_in_its_range(mode):
    x = images((2, 4, 4, 3))
    result = adapt.adapt_teacher(teacher(), preprocess=mode)(x)
    np.testing.assert_allclose(result, preprocessing.encode_array(x, mode)[:, 0, 0], atol=1e-4)


def test_images_are_resized_bilinearly():
    model = adapt.adapt_teacher(teacher(), image_size=4)
    x = np.repeat(np.repeat(images((2, 4, 4, 3)), 3, axis=1), 3, axis=2)  # (2, 12, 12, 3)
    np.testing.assert_allclose(model(x), x[:, 0, 0], atol=1e-3)
    halves = np.zeros((1, 2, 2, 3), "float32")
    halves[:, :, 1] = 100.0  # from 2 to 4 columns: 0, 25, 75, 100
    np.testing.assert_allclose(
        adapt.adapt_teacher(teacher(num_classes=6), image_size=4)(halves), [[0] * 3 + [25] * 3]
    )


def test_grey_images_reach_a_teacher_of_colour_images():
    x = images((2, 4, 4, 1))
    result = adapt.adapt_teacher(teacher(), input_shape=(4, 4, 1), preprocess="caffe")(x)
    expected = preprocessing.encode_array(np.repeat(x, 3, axis=-1), "caffe")[:, 0, 0]
    np.testing.assert_allclose(result, expected, atol=1e-4)


def test_classes_come_in_our_order_and_the_rest_is_dropped(tmp_path):
    x = images((2, 4, 4, 3))
    classes = (["ant", "bee", "cat"], ["cat", "ant"])
    model = adapt.adapt_teacher(teacher(), classes=classes)
    np.testing.assert_array_equal(model(x), x[:, 0, 0][:, [2, 0]])
    model.save(tmp_path / "adapted.keras")
    again = keras.models.load_model(tmp_path / "adapted.keras")
    np.testing.assert_array_equal(again(x), x[:, 0, 0][:, [2, 0]])


def test_a_softmax_over_more_classes_is_renormalised_over_ours():
    inputs = keras.Input((4, 4, 3))
    x = keras.layers.Flatten()(inputs)[:, :3] / 50.0
    model = keras.Model(inputs, keras.layers.Softmax()(x), name="foreign")
    classes = (["ant", "bee", "cat"], ["cat", "ant"])
    x = images((2, 4, 4, 3))
    adapted = adapt.adapt_teacher(model, classes=classes)
    assert heads.output_type(adapted) == "logits"
    chosen = np.asarray(model(x))[:, [2, 0]]
    expected = chosen / chosen.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(keras.ops.softmax(adapted(x)), expected, rtol=1e-5)


def test_a_softmax_that_gives_our_classes_nothing_stays_finite():
    inputs = keras.Input((4, 4, 3))
    x = keras.layers.Flatten()(inputs)[:, :3] * np.array([[0.0, 0.0, 1e6]], "float32")
    model = keras.Model(inputs, keras.layers.Softmax()(x), name="foreign")
    classes = (["ant", "bee", "cat"], ["bee", "ant"])
    adapted = adapt.adapt_teacher(model, classes=classes)
    ones = np.ones((1, 4, 4, 3), "float32")
    np.testing.assert_allclose(model(ones), [[0.0, 0.0, 1.0]])
    np.testing.assert_allclose(keras.ops.softmax(adapted(ones)), [[0.5, 0.5]])


def test_nothing_asked_gives_the_model_itself():
    model = teacher()
    assert adapt.adapt_teacher(model) is model


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"preprocess": "0.1"}, r"preprocessing is '0.1'; expected one of: .*Did you mean '0..1'"),
        ({"image_size": 0}, r"image_size of the teacher is 0; expected a whole number >= 1"),
        ({"image_size": 8}, r"takes images of 4x4; got 8x8 for its image_size\."),
        ({"input_shape": (8, 8, 3)}, r"4x4; got 8x8 for its images\. Give --teacher-image-size 4"),
        ({"input_shape": (4, 4, 2)}, r"takes images of 3 channel\(s\); got 2"),
        (
            {"classes": (["ant", "bee"], ["ant"])},
            r"teacher's classes are 2 names; expected 3 different names",
        ),
        (
            {"classes": (["ant", "ant", "bee"], ["ant"])},
            r"3 names, 'ant' more than once; expected 3 different names",
        ),
        (
            {"classes": (["ant", "bee", "cat"], ["bee", "cats"])},
            r"lack 1 of our 2, such as 'cats' \(nearest: 'cat'\); expected all of ours",
        ),
    ],
)
def test_what_does_not_fit_is_reported_with_a_message(knobs, message):
    with pytest.raises(ValueError, match=message):
        adapt.adapt_teacher(teacher(), **knobs)
