import subprocess

import keras
import numpy as np
import pytest
import tensorflow as tf

from kd_keras.exports import process, signatures

SHAPE = (4, 4, 1)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """SavedModels of one student, by what they track; with images and their logits."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input(SHAPE)
    student = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(inputs)))
    answer = signatures.answer(student, head="logits")
    folder = tmp_path_factory.mktemp("models")
    for tracked in ("right", "hidden"):
        root = signatures.module(student, answer, SHAPE, resize="crop")
        if tracked == "hidden":  # Keras's objects: tf.saved_model.load finds the variables in them
            root.student_variables = student.variables
        served = {"serving_default": root.serve, "serve_bytes": root.serve_bytes}
        tf.saved_model.save(root, str(folder / tracked), signatures=served)
    images = np.random.default_rng(0).integers(0, 256, (70, *SHAPE), dtype=np.uint8)
    return folder, images, student(images.astype("float32"), training=False).numpy()


@pytest.mark.slow
def test_one_process_serves_several_models_and_another_follows_one_that_ended(folders, monkeypatch):
    folder, images, expected = folders
    started = []

    class Recorded(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    with process.fresh_process() as serve:
        for count in (70, 2):
            by_pixels, by_files = serve(folder / "right", images[:count])
            np.testing.assert_allclose(by_pixels, expected[:count], rtol=1e-5, atol=1e-4)
            np.testing.assert_allclose(by_files, expected[: min(count, 4)], rtol=1e-5, atol=1e-4)
        assert len(started) == 1

        loaded = tf.saved_model.load(str(folder / "hidden")).signatures["serving_default"]
        served = loaded(images=tf.constant(images))["logits"]
        np.testing.assert_allclose(served, expected, rtol=1e-5, atol=1e-4)
        with pytest.raises(ValueError, match=r"does not serve in a fresh process: .*find variable"):
            serve(folder / "hidden", images)

        np.testing.assert_array_equal(serve(folder / "right", images[:2])[0], by_pixels)
        assert len(started) == 2
    assert all(running.poll() is not None for running in started)
