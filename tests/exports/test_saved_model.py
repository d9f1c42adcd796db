import contextlib
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn import datasets

from kd_keras.exports import saved_model

pytestmark = pytest.mark.usefixtures("one_server")
NAMES = [f"digit {i}" for i in range(9)] + ["neuf é"]


def student(last_activation=None, shape=(8, 8, 1)):
    keras.utils.set_random_seed(7)
    inputs = keras.Input(shape)
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3, activation="relu")(x))
    x = keras.layers.Dropout(0.5)(keras.layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, keras.layers.Dense(10, activation=last_activation)(x))


def digits(count):
    images = datasets.load_digits().images[:count, :, :, None]
    return np.round(images * (255 / 16)).astype(np.uint8)


def logits_of(model, images):
    return model(images.astype("float32"), training=False).numpy()


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A student that was compiled and fitted, exported; with its folder and the difference."""
    model = student()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(digits(16), np.arange(16) % 10, verbose=0)
    folder = tmp_path_factory.mktemp("saved_models") / "tiny"
    difference = saved_model.saved_model(model, folder, class_names=NAMES, images=digits(100))
    return model, folder, difference


def test_serving_default_gives_the_students_logits_and_their_softmax(exported):
    model, folder, difference = exported
    serve = tf.saved_model.load(str(folder)).signatures["serving_default"]
    served = serve(images=tf.constant(digits(5)))
    expected = logits_of(model, digits(5))
    np.testing.assert_allclose(served["logits"], expected, atol=1e-6)
    np.testing.assert_allclose(served["probabilities"], tf.nn.softmax(expected), atol=1e-6)
    assert difference < 1e-5


def test_only_the_students_variables_and_the_class_names_are_in_it(exported):
    model, folder, _ = exported
    saved = [name for name, shape in tf.train.list_variables(str(folder / "variables/variables"))]
    assert len([name for name in saved if "VARIABLE_VALUE" in name]) == len(model.variables)
    names = (folder / "assets/class_names.txt").read_text(encoding="utf-8").splitlines()
    assert names == NAMES
    assert not list(folder.parent.glob(".*"))


def test_serve_bytes_decodes_png_and_jpeg_of_any_size_and_channels(exported):
    _, folder, _ = exported
    signatures = tf.saved_model.load(str(folder)).signatures
    image = digits(1)[0]
    # Grey levels in blocks of 2x2: halving them with an antialiased triangle blurs the edges only.
    large = np.repeat(np.full((40, 24, 3), 90, np.uint8), 2, axis=0)
    files = [tf.io.encode_png(image), tf.io.encode_jpeg(large, quality=100)]
    served = signatures["serve_bytes"](image_bytes=tf.stack(files))
    pixels = np.stack([image, np.full((8, 8, 1), 90, np.uint8)])
    expected = signatures["serving_default"](images=tf.constant(pixels))
    np.testing.assert_allclose(served["logits"], expected["logits"], atol=1e-6)
    np.testing.assert_allclose(served["probabilities"], expected["probabilities"], atol=1e-6)


def test_a_softmax_head_gives_its_probabilities_and_the_numbers_before_them(tmp_path):
    model = student("softmax")
    model.layers[-1].bias.assign(np.linspace(1, 3, len(NAMES)))
    saved_model.saved_model(model, tmp_path / "new", class_names=NAMES)
    serve = tf.saved_model.load(str(tmp_path / "new")).signatures["serving_default"]
    served = serve(images=tf.constant(digits(3)))
    expected = logits_of(model, digits(3))
    np.testing.assert_allclose(served["probabilities"], expected, atol=1e-6)
    features = keras.Model(model.input, model.layers[-1].input)(digits(3).astype("float32"))
    sums = features.numpy() @ model.layers[-1].kernel.numpy() + model.layers[-1].bias.numpy()
    np.testing.assert_allclose(served["logits"], sums, atol=1e-5)


def test_verify_measures_the_largest_difference(exported):
    model, folder, _ = exported
    images = digits(40)
    expected = logits_of(model, images)
    expected[37, 2] += 0.5
    assert saved_model.verify(folder, images, expected) == pytest.approx(0.5, abs=1e-5)


def test_verify_takes_the_dict_that_a_student_gives(monkeypatch):
    served = np.array([[1.0, 2.0], [3.0, 4.0]], "float32"), np.array([[1.0, 2.25]], "float32")
    process = contextlib.nullcontext(lambda folder, images: served)
    monkeypatch.setattr(saved_model, "fresh_process", lambda: process)
    expected = {"logits": served[0], "tap": np.zeros((2, 4))}
    # As pixels they are equal; what the first image gives as a file counts, too.
    assert saved_model.verify("model", np.zeros((2, 4, 4, 1), "uint8"), expected) == 0.25


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"class_names": ["a", "b"]}, r"class_names has 2 names; expected 10"),
        ({"class_names": ["a\nb", *NAMES[1:]]}, r"holds 'a\\nb'; expected names of one line"),
        ({"resize": "fill"}, r"resize is 'fill'; expected one of: crop, pad, squash"),
        ({"head": "logit"}, r"head is 'logit'.*Did you mean 'logits'\?"),
        ({"input_shape": (8, 8, 3)}, r"input_shape is \(8, 8, 3\) and the student takes"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        saved_model.saved_model(student(), tmp_path / "new", **{"class_names": NAMES, **arguments})
    assert not list(tmp_path.iterdir())


def test_a_student_of_open_size_needs_the_input_shape(tmp_path):
    with pytest.raises(ValueError, match=r"None, None, 1.*Pass input_shape=\(H, W, C\)"):
        saved_model.saved_model(student(shape=(None, None, 1)), tmp_path / "new", class_names=NAMES)


@pytest.mark.slow
def test_a_student_that_a_fresh_process_cannot_run_is_refused_and_the_earlier_stays(tmp_path):
    inputs = keras.Input((2, 2, 1))
    call_python = keras.layers.Lambda(
        lambda x: tf.ensure_shape(tf.numpy_function(np.square, [x], tf.float32), (None, 4)),
        output_shape=(4,),
    )
    model = keras.Model(inputs, call_python(keras.layers.Flatten()(inputs)))
    earlier = tmp_path / "out" / "earlier.txt"
    earlier.parent.mkdir()
    earlier.write_text("kept")
    with pytest.raises(ValueError, match=r"does not serve in a fresh process.*call Python"):
        saved_model.saved_model(model, earlier.parent, class_names=list("abcd"))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert earlier.read_text() == "kept"


FULL_DISK = """
import resource, signal, sys
import keras
from kd_keras.exports import saved_model
folder = sys.argv[1]
inputs = keras.Input((8, 8, 1))
model = keras.Model(inputs, keras.layers.Dense(400)(keras.layers.Flatten()(inputs)))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
names = [str(i) for i in range(400)]
for write, place, most in (
    (lambda to: saved_model.saved_model(model, to, class_names=names), "model", 50_000),
    (lambda to: saved_model.saved_model(model, to, class_names=names), "model", 100),
    (lambda to: saved_model.keras_file(model, to), "model.keras", 50_000),
):
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
    try:
        write(f"{folder}/{place}")
    except OSError as error:
        print(error, flush=True)
"""


@pytest.mark.slow
def test_a_full_disk_is_reported_and_leaves_the_earlier_exports_alone(tmp_path):
    earlier = [tmp_path / "model" / "saved_model.pb", tmp_path / "model.keras"]
    earlier[0].parent.mkdir()
    for path in earlier:
        path.write_text("earlier")
    result = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    places = ["model", "model", "model.keras"]
    assert result.stdout.splitlines() == [
        f"Could not write {tmp_path / place}: File too large. The earlier {place} stays as it "
        "was. Free space on that disk, or choose a folder elsewhere, and run it again."
        for place in places
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "model.keras"]
    assert [path.read_text() for path in earlier] == ["earlier", "earlier"]


LOAD_KERAS = """
import sys
sys.modules["kd_keras"] = None  # importing it fails, as where it is not installed
import keras, numpy as np
model = keras.models.load_model(sys.argv[1])
np.save(sys.argv[2], model(np.load(sys.argv[2]), training=False))
"""


@pytest.mark.slow
def test_a_keras_file_loads_where_the_package_is_not_installed(tmp_path):
    model, path, exchange = student(), tmp_path / "student.keras", tmp_path / "exchange.npy"
    path.write_text("an earlier one")
    saved_model.keras_file(model, path)
    np.save(exchange, digits(4).astype("float32"))
    code = [sys.executable, "-c", LOAD_KERAS, str(path), str(exchange)]
    subprocess.run(code, check=True, capture_output=True)
    np.testing.assert_allclose(np.load(exchange), logits_of(model, digits(4)), atol=1e-6)
    assert zipfile.is_zipfile(path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["exchange.npy", "student.keras"]


def test_keras_file_refuses_classes_of_this_package_and_other_suffixes(tmp_path):
    @keras.saving.register_keras_serializable(package="kd_keras")
    class Own(keras.layers.Layer):
        def call(self, x):
            return x

    inputs = keras.Input((4,))
    model = keras.Model(inputs, Own()(inputs), name="mine")
    with pytest.raises(
        ValueError, match=r"mine holds a class of kd_keras>Own; expected classes of plain"
    ):
        saved_model.keras_file(model, tmp_path / "m.keras")
    with pytest.raises(ValueError, match=r"m\.h5'; expected a path that ends in \.keras"):
        saved_model.keras_file(model, tmp_path / "m.h5")
    assert not list(tmp_path.iterdir())


def test_megabytes_counts_files_in_all_folders_in_millions_of_bytes(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one").write_bytes(bytes(1_000_000))
    (tmp_path / "two").write_bytes(bytes(500_000))
    assert saved_model.megabytes(tmp_path) == 1.5
    assert saved_model.megabytes(str(tmp_path / "two")) == 0.5


def test_weights_that_are_no_numbers_are_not_saved(tmp_path):
    model = student()
    model.layers[-1].bias.assign(np.full(10, np.inf))
    message = r"has weights that are NaN or infinite: 10 of 10 values of .*bias; expected finite"
    with pytest.raises(ValueError, match=message):
        saved_model.keras_file(model, tmp_path / "student.keras")
    with pytest.raises(ValueError, match=message):
        saved_model.saved_model(model, tmp_path / "student", class_names=NAMES)
    assert list(tmp_path.iterdir()) == []


def test_files_that_give_nan_or_another_shape_are_no_match():
    expected = np.zeros((4, 10), "float32")
    broken = np.full((2, 10), np.nan, "float32")
    assert np.isnan(saved_model._difference((expected + 0.1, broken), expected))
    with pytest.raises(ValueError, match=r"logits of shape \(2, 1\); expected \(2, 10\)"):
        saved_model._difference((expected, broken[:, :1]), expected)
