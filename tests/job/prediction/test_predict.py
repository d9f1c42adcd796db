"""`kd_keras.predict` as Python users call it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import kd_keras


@pytest.fixture(scope="module")
def model_file(net, tmp_path_factory):
    path = tmp_path_factory.mktemp("predict") / "student.keras"
    net("student").save(path)
    return path


def test_paths_arrays_and_pictures_of_the_same_pixels_give_the_same(
    model_file, images_of, tmp_path
):
    image = images_of(1, side=12)[0]
    Image.fromarray(image).save(tmp_path / "a.png")
    images = [tmp_path / "a.png", (tmp_path / "a.png").read_bytes(), image, Image.fromarray(image)]
    first, *others = kd_keras.predict(model_file, images, top=2)
    assert (first.file, len(first.classes)) == (str(tmp_path / "a.png"), 2)
    for other in others:
        assert other.file is None
        assert other.indices == first.indices
        assert other.probabilities == pytest.approx(first.probabilities, abs=1e-6)


def test_a_folder_leaves_out_files_of_other_kinds(model_file, mixed_folder):
    predictions = kd_keras.predict(model_file, mixed_folder, class_names=tuple("vwxyz"))
    assert len(predictions) == 24
    assert not any(one.error for one in predictions)
    assert set(predictions[0].classes) == set("vwxyz")


def test_no_image_and_a_wrong_array_are_refused(model_file):
    with pytest.raises(ValueError, match=r"images is \[\]; expected one image or more"):
        kd_keras.predict(model_file, [])
    with pytest.raises(ValueError, match="an image is float32 of shape"):
        kd_keras.predict(model_file, np.zeros((8, 8, 3), np.float32))


@pytest.mark.slow
def test_pixels_need_no_tensorflow_with_a_litert_model(model_file, tmp_path):
    pytest.importorskip("ai_edge_litert", reason="the extra 'litert' is not installed")
    import keras
    import tensorflow as tf

    model = keras.models.load_model(model_file)
    path = tmp_path / "student.tflite"
    path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    code = (
        "import sys, numpy as np, kd_keras\n"
        f"found = kd_keras.predict({str(path)!r}, np.full((2, 8, 8, 3), 9, np.uint8))\n"
        "assert len(found) == 2 and found[0].classes\n"
        "sys.exit(', '.join({'tensorflow', 'keras'} & set(sys.modules)) or None)"
    )
    root = Path(__file__).parents[2]
    result = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
