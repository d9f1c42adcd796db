"""Weights of `keras.applications`: from Keras's download, pointed at this machine, or a file."""

import socket

import keras
import numpy as np
import pytest
from keras.src.applications import mobilenet_v2

from kd_keras import models
from kd_keras.models import imagenet

SHAPE = (32, 32, 3)


@pytest.fixture
def download(tmp_path, monkeypatch):
    """download(url) makes `url` what Keras downloads MobileNetV2 from, into an empty cache."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setattr(keras.src.backend.config, "_KERAS_DIR", str(home))
    return lambda url: monkeypatch.setattr(mobilenet_v2, "BASE_WEIGHT_PATH", f"{url}/")


def mobilenet(**knobs):
    return models.get("app:MobileNetV2", input_shape=SHAPE, **knobs)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Files of one MobileNetV2 without its head, by name of the format; and its weights."""
    body = keras.applications.MobileNetV2(weights=None, include_top=False, input_shape=SHAPE)
    folder = tmp_path_factory.mktemp("weights")
    body.save_weights(folder / "body.weights.h5")
    return folder / "body.weights.h5", body.get_weights()


def assert_starts_from(model, weights):
    for weight, expected in zip(model.get_weights()[: len(weights)], weights, strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_the_body_starts_from_the_file_and_the_head_is_new(saved):
    path, weights = saved
    model = mobilenet(num_classes=5, weights=str(path))
    assert_starts_from(model, weights)
    assert model.output.shape == (None, 5)
    assert model.layers[-1].name == "logits"


def test_downloaded_weights_are_used_and_kept(saved, download, tmp_path):
    path, weights = saved
    # Keras's own name ends in .h5, which it reads in its older format alone.
    from keras.src.legacy.saving import legacy_h5_format

    h5py = pytest.importorskip("h5py")
    body = keras.applications.MobileNetV2(weights=None, include_top=False, input_shape=SHAPE)
    body.load_weights(path)
    name = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
    with h5py.File(tmp_path / name, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, body)
    download(tmp_path.as_uri())
    assert_starts_from(mobilenet(num_classes=5, weights="imagenet"), weights)
    assert (tmp_path / "home" / "models" / name).is_file()


def test_without_network_the_message_says_what_to_do(download, tmp_path):
    download((tmp_path / "nowhere").as_uri())
    with pytest.raises(
        OSError,
        match=r"weights of app:MobileNetV2 are not on this machine.*no_top\.h5.*"
        r"Download the file on another machine.*--weights FILE.*--weights none",
    ):
        mobilenet(num_classes=5, weights="imagenet")


def test_a_server_that_does_not_answer_ends_in_an_error(download, monkeypatch):
    monkeypatch.setattr(imagenet, "PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        download(f"http://127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(OSError, match=r"the download failed \(.*timed out"):
            mobilenet(num_classes=5, weights="imagenet")
    assert socket.getdefaulttimeout() is None


def fake(num_classes):
    """A constructor as those of keras.applications, tiny."""

    def constructor(*, weights, include_top, input_tensor=None, classifier_activation):
        images = keras.Input((8, 8, 3)) if input_tensor is None else input_tensor
        outputs = keras.layers.Conv2D(4, 3)(images)
        if include_top:
            outputs = keras.layers.GlobalMaxPooling2D()(outputs)
            outputs = keras.layers.Dense(num_classes)(outputs)
        model = keras.Model(keras.utils.get_source_inputs(images), outputs)
        if weights is not None:
            model.load_weights(weights)
        return model

    return constructor


def test_a_file_with_the_head_gives_the_body_its_weights(tmp_path):
    constructor = fake(7)
    full_model = constructor(weights=None, include_top=True, classifier_activation=None)
    full_model.save_weights(tmp_path / "whole.weights.h5")
    images = keras.Input((16, 16, 3))
    file = str(tmp_path / "whole.weights.h5")
    body = imagenet.body(constructor, images, weights=file, own_head=False)
    assert body.output.shape == (None, 14, 14, 4)
    assert_starts_from(body, full_model.get_weights()[:2])


def test_a_file_that_does_not_fit_is_refused_with_a_message(tmp_path):
    file = tmp_path / "other.weights.h5"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save_weights(file)
    with pytest.raises(ValueError, match=r"other\.weights\.h5 does not fit .*--weights none"):
        imagenet.body(fake(7), keras.Input((16, 16, 3)), weights=str(file), own_head=False)
    (tmp_path / "text.h5").write_text("no weights")
    with pytest.raises(ValueError, match=r"text\.h5 does not fit"):
        imagenet.body(
            fake(7), keras.Input((16, 16, 3)), weights=str(tmp_path / "text.h5"), own_head=True
        )


def test_a_word_that_is_no_file_is_refused():
    with pytest.raises(FileNotFoundError, match=r"weights is 'cifar'.*imagenet, none or a file"):
        mobilenet(num_classes=3, weights="cifar")
