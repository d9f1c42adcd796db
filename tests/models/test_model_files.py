"""Files as other people write them: by a process that never imports kd_keras."""

import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest

from kd_keras.models import model_files

WRITER = """
import keras, numpy, sys, tensorflow as tf
keras.utils.set_random_seed(0)
images = keras.Input((8, 8, 3), name="pixels")
x = keras.layers.Conv2D(4, 3, activation="relu")(images)
model = keras.Model(images, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x)))
model.save("model.keras")
model.export("exported", verbose=False)
model.save("model.h5")
model.save_weights("only.weights.h5")
x = keras.layers.Flatten()(x)
keras.Model(images, keras.layers.Dense(1, activation="sigmoid")(x)).save("one.keras")
keras.Model(images, keras.layers.Dense(1)(x)).save("one_logit.keras")

class Own(keras.layers.Layer):
    def call(self, x):
        return x

keras.Sequential([images, Own(), model]).save("own_layer.keras")
inputs = keras.Input((4,))
keras.Model(inputs, keras.layers.Dense(2)(inputs)).save("no_images.keras")

class Serve(tf.Module):
    def __init__(self):
        super().__init__()
        self.model = model

    @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 3), tf.uint8, name="images")])
    def named(self, images):
        logits = self.model(tf.cast(images, tf.float32), training=False)
        return {"probabilities": tf.nn.softmax(logits), "logits": logits}

    @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 3), tf.float32, name="images")])
    def ambiguous(self, images):
        return {"one": self.model(images), "other": self.model(images)}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="image_bytes")])
    def jpegs(self, image_bytes):
        return tf.strings.length(image_bytes)

serve = Serve()
for name in ("named", "ambiguous", "jpegs"):
    tf.saved_model.save(serve, name, signatures={"serving_default": getattr(serve, name)})
tf.saved_model.save(serve, "unsigned")
x = numpy.random.default_rng(0).integers(0, 256, (5, 8, 8, 3)).astype("float32")
numpy.savez("io.npz", images=x, logits=model(x, training=False))
assert not any(name.startswith("kd_keras") for name in sys.modules)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("foreign")
    result = subprocess.run(
        [sys.executable, "-c", WRITER], cwd=folder, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", ["model.keras", "model.h5", "exported", "named"])
def test_a_foreign_model_gives_the_logits_it_gave(folder, name):
    io = np.load(folder / "io.npz")
    model = model_files.open_model(folder / name, num_classes=3)
    np.testing.assert_allclose(model(io["images"]), io["logits"], rtol=1e-5, atol=1e-4)
    assert model.input.dtype == "float32"
    assert bool(model.trainable_weights) == name.startswith("model.")


def test_pixels_are_rounded_for_a_model_of_whole_numbers(folder):
    io = np.load(folder / "io.npz")
    model = model_files.open_model(folder / "named")
    logits = model(np.maximum(io["images"] - 0.01, 0))
    np.testing.assert_allclose(logits, io["logits"], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "own_layer.keras",
            r"not a \.keras file that Keras can open \(Could not locate class 'Own'.*--import MOD",
        ),
        ("no_images.keras", r"from \(None, 4\) to \(None, 2\); expected an image classifier"),
        ("ambiguous", r"gives one, other; expected an output called logits or probabilities"),
        ("jpegs", r"serving_default takes \(image_bytes \(None,\)\); expected one batch of images"),
        (
            "unsigned",
            r"cannot be opened as a SavedModel \(The endpoint .*a signature named serving_default",
        ),
        (".", r"is a folder without saved_model\.pb; expected a SavedModel\. Give the folder"),
        ("only.weights.h5", r"holds weights alone; .* `model\.load_weights\(FILE\)`"),
        ("one.keras", r"gives one output; expected a logit for each class\. .* Dense\(2\)"),
        ("io.npz", r"not a \.keras file that Keras can open"),
    ],
)
def test_what_is_no_classifier_is_refused_with_a_message(folder, name, message):
    with pytest.raises(ValueError, match=message):
        model_files.open_model(folder / name)


def test_another_number_of_classes_is_refused(folder):
    with pytest.raises(ValueError, match=r"has 3 classes; expected 200\. Use a model"):
        model_files.open_model(folder / "model.keras", num_classes=200)


def test_a_missing_path_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no model at .*none\.keras; expected a \.keras"):
        model_files.open_model(tmp_path / "none.keras")


def test_a_truncated_file_is_refused(folder, tmp_path):
    content = (folder / "model.keras").read_bytes()
    (tmp_path / "half.keras").write_bytes(content[: len(content) // 2])
    with pytest.raises(
        ValueError, match=r"half\.keras \([\d,]+ bytes\) is not a \.keras file, or is tr"
    ):
        model_files.open_model(tmp_path / "half.keras")


@pytest.mark.parametrize("part", ["saved_model.pb", "variables/variables.data-00000-of-00001"])
def test_a_truncated_saved_model_is_refused(folder, tmp_path, part):
    shutil.copytree(folder / "exported", tmp_path / "half")
    content = (tmp_path / "half" / part).read_bytes()
    (tmp_path / "half" / part).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"half cannot be opened as a SavedModel \(.*export it"):
        model_files.open_model(tmp_path / "half")


def test_a_model_without_known_shapes_is_refused(tmp_path):
    with pytest.warns(UserWarning, match="has not yet been built"):
        keras.Sequential([keras.layers.Dense(2)]).save(tmp_path / "open.keras")
    with pytest.raises(ValueError, match=r"is a Sequential from \? to \?; expected an image class"):
        model_files.open_model(tmp_path / "open.keras")


def test_one_sigmoid_output_is_two_logits_for_a_teacher(folder):
    images = np.load(folder / "io.npz")["images"] / 255
    p = np.asarray(keras.models.load_model(folder / "one.keras")(images))
    model = model_files.open_model(folder / "one.keras", num_classes=2, two_logits=True)
    result = keras.ops.softmax(model(images))
    np.testing.assert_allclose(result, np.concatenate([1 - p, p], axis=1), atol=1e-6)
    with pytest.raises(ValueError, match=r"one output without a sigmoid.* add the sigmoid"):
        model_files.open_model(folder / "one_logit.keras", two_logits=True)


def test_a_file_that_is_no_hdf5_is_refused(tmp_path):
    (tmp_path / "half.h5").write_bytes(b"half")
    with pytest.raises(ValueError, match=r"half\.h5 \(4 bytes\) is not an HDF5 file, or is trunc"):
        model_files.open_model(tmp_path / "half.h5")
