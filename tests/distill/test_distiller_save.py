"""What is saved, and what a process without this package makes of it."""

import io
import json
import subprocess
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest

from kd_keras import Distiller, methods


def batches(images, labels):
    return {"x": images, "y": labels, "batch_size": 16, "shuffle": False, "verbose": 0}


@pytest.fixture(scope="module")
def trained(net, teacher, images, labels):
    distiller = Distiller(
        net("student"),
        teacher=teacher,
        methods=[methods.get("kd", temperature=2.0), methods.get("fitnet", weight=1.0)],
        ce_weight=0.7,
        label_smoothing=0.1,
    )
    distiller.compile(keras.optimizers.Adam(0.01), metrics=["accuracy"])
    distiller.fit(**batches(images, labels))
    return distiller


@pytest.fixture(scope="module")
def saved(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "distiller.keras"
    trained.save(path)
    return path


def test_a_loaded_distiller_is_the_saved_one_and_trains_on(trained, saved, teacher, images, labels):
    loaded = keras.saving.load_model(saved)
    assert type(loaded) is Distiller
    assert loaded.compiled
    for one, other in zip(loaded.variables, trained.variables, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=one.path)
    for one, other in zip(loaded.optimizer.variables, trained.optimizer.variables, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=one.path)
    configuration = ("ce_weight", "label_smoothing", "precision", "validate_teacher", "name")
    for field in configuration:
        assert getattr(loaded, field) == getattr(trained, field)
    assert [m.get_config() for m in loaded.methods] == [m.get_config() for m in trained.methods]
    np.testing.assert_array_equal(loaded(images), trained(images))

    options = {name: v for name, v in batches(images, labels).items() if name != "shuffle"}
    expected = trained.evaluate(**options, return_dict=True)
    assert loaded.evaluate(**options, return_dict=True) == pytest.approx(expected, rel=1e-6)

    for train in (
        lambda: loaded.fit(**batches(images, labels)),
        lambda: loaded.train_on_batch(images, labels),
        lambda: loaded.train_step((images, labels)),
    ):
        with pytest.raises(ValueError, match=r"\(a loaded Distiller holds none\). Set distiller.t"):
            train()
    loaded.teacher = teacher
    for distiller in (trained, loaded):
        distiller.fit(**batches(images, labels))
    for one, other in zip(loaded.variables, trained.variables, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6, err_msg=one.path)


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_a_loaded_distiller_is_compiled_as_the_saved_one(student, tmp_path, run_eagerly):
    distiller = Distiller(student)
    distiller.compile(run_eagerly=run_eagerly, steps_per_execution=2, ignore_class=-1)
    distiller.save(tmp_path / "distiller.keras")
    loaded = keras.saving.load_model(tmp_path / "distiller.keras")
    for option in ("run_eagerly", "jit_compile", "steps_per_execution", "ignore_class"):
        assert getattr(loaded, option) == getattr(distiller, option)


def test_the_file_holds_student_methods_and_optimizer_but_no_teacher(saved, trained):
    with zipfile.ZipFile(saved) as archive:
        stored = h5py.File(io.BytesIO(archive.read("model.weights.h5")))
        config = archive.read("config.json").decode()
    arrays = []
    stored.visititems(lambda path, item: arrays.append(path) if hasattr(item, "shape") else None)
    variables = [*trained.variables, *trained.optimizer.variables]
    assert len(arrays) == len(variables)
    assert not any("teacher" in path for path in arrays)
    assert '"teacher"' not in config


PLAIN = """
import json, sys
import keras, numpy as np
model = keras.saving.load_model(sys.argv[1])
assert not any(name.startswith("kd_keras") for name in sys.modules)
images = np.load(sys.argv[2])
print(json.dumps(model.predict(images, verbose=0).tolist()))
"""


@pytest.mark.slow
def test_the_student_of_a_mixed_training_is_a_plain_float32_keras_file(
    net, teacher, images, labels, tmp_path
):
    student = net("student", dropout=0.1)
    both_methods = [methods.get("kd"), methods.get("fitnet", weight=1.0)]
    distiller = Distiller(
        student, teacher=teacher, methods=both_methods, precision="mixed_bfloat16"
    )
    distiller.compile(run_eagerly=True)
    distiller.train_on_batch(images, labels)
    student.save(tmp_path / "student.keras")
    with zipfile.ZipFile(tmp_path / "student.keras") as archive:
        config = archive.read("config.json").decode()
    assert "float16" not in config  # nor bfloat16
    assert "kd_keras" not in config

    np.save(tmp_path / "images.npy", images)
    (tmp_path / "plain.py").write_text(PLAIN)  # beside no package of ours
    command = [sys.executable, "plain.py", "student.keras", "images.npy"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    np.testing.assert_allclose(
        json.loads(result.stdout.splitlines()[-1]), student(images), atol=1e-5
    )
