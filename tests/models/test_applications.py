import keras
import numpy as np
import pytest

from kd_keras import models
from kd_keras.models import applications, preprocessing


def test_mobilenet_takes_pixels_and_gives_logits():
    model = models.get("app:mobilenetv2", num_classes=5, input_shape=(32, 32, 3))
    assert model.name == "MobileNetV2"
    assert model.get_layer("pooled").output.shape == (None, 1280)
    logits = model(np.full((2, 32, 32, 3), 200.0), training=False)
    assert (logits.shape, keras.backend.standardize_dtype(logits.dtype)) == ((2, 5), "float32")
    assert model.layers[-1].activation is keras.activations.linear


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("MobileNetV2", keras.applications.mobilenet_v2),  # -1..1
        ("DenseNet121", keras.applications.densenet),  # torch
        ("ResNet50", keras.applications.resnet),  # caffe
        ("EfficientNetB0", keras.applications.efficientnet),  # inside the model already
        ("MobileNetV3Small", keras.applications.mobilenet_v3),  # inside the model already
    ],
)
def test_preprocessing_equals_that_of_keras(name, module):
    constructor, preprocess_input = applications._constructors()[name]
    assert constructor is getattr(keras.applications, name)
    inputs = keras.Input((4, 4, 3))
    outputs = preprocessing.encode(inputs, applications.preprocessing_mode(name, preprocess_input))
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3)).astype("float32")
    expected = module.preprocess_input(images.copy())
    np.testing.assert_allclose(keras.Model(inputs, outputs)(images), expected, atol=1e-4)


def test_every_constructor_of_keras_is_known_and_its_preprocessing_too():
    constructors = applications._constructors()
    assert set(constructors) == {name for name in dir(keras.applications) if name[0].isupper()}
    modes = {applications.preprocessing_mode(name, each[1]) for name, each in constructors.items()}
    assert modes == {"0..255", "-1..1", "caffe", "torch"}


def fake(monkeypatch, constructor):
    constructors = {"Fake": (constructor, keras.applications.mobilenet.preprocess_input)}
    monkeypatch.setattr(applications, "_constructors", lambda: constructors)
    return lambda **knobs: models.get("app:fake", input_shape=(8, 8, 1), **knobs)


@pytest.mark.parametrize(
    ("num_classes", "weights", "own_head"),
    [(1000, "imagenet", True), (7, "imagenet", False), (1000, None, False)],
)
def test_the_own_head_stays_where_weights_and_classes_are_its_own(
    monkeypatch, num_classes, weights, own_head
):
    def constructor(*, weights, include_top, input_tensor, classifier_activation):
        assert classifier_activation is None
        outputs = keras.layers.Conv2D(4, 3)(input_tensor)
        if include_top:
            outputs = keras.layers.GlobalMaxPooling2D()(outputs)
            outputs = keras.layers.Dense(1000, name="predictions")(outputs)
        return keras.Model(keras.utils.get_source_inputs(input_tensor), outputs)

    model = fake(monkeypatch, constructor)(num_classes=num_classes, weights=weights)
    assert model.input.shape == (None, 8, 8, 1)
    assert model.output.shape == (None, num_classes)
    assert model.layers[-1].name == ("predictions" if own_head else "logits")


@pytest.mark.parametrize(
    ("raised", "weights", "kind", "message"),
    [
        (Exception("no route"), "imagenet", OSError, r"app:Fake .*no route.*--weights none"),
        (ValueError("at least 75x75"), None, ValueError, r"\(8, 8, 1\).*75x75.*--image-size"),
    ],
)
def test_what_keras_refuses_is_reported_with_a_message(monkeypatch, raised, weights, kind, message):
    def constructor(**_):
        raise raised

    with pytest.raises(kind, match=message):
        fake(monkeypatch, constructor)(num_classes=3, weights=weights)


def test_preprocessing_of_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="app:New has its own preprocessing of pixels; expected"):
        applications.preprocessing_mode("New", lambda images: images**2)


@pytest.mark.parametrize(
    ("name", "knobs", "message"),
    [
        ("app:MobileNetV4", {}, r"is 'MobileNetV4'; expected.*Did you mean 'MobileNetV.'"),
        ("app:MobileNetV2", {"depth": 2}, r"knob of app:MobileNetV2 is 'depth'.*: weights"),
    ],
)
def test_bad_arguments_are_refused_with_a_message(name, knobs, message):
    with pytest.raises(ValueError, match=message):
        models.get(name, num_classes=3, input_shape=(32, 32, 3), **knobs)
    assert models.describe("app:MobileNetV2") == "MobileNetV2 from keras.applications"
