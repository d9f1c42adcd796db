"""What a whole `kdk train` says of input that cannot end well, and what it leaves behind."""

import contextlib

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from kd_keras import models
from kd_keras.cli import kdk, quiet
from kd_keras.distill.callbacks import checkpoint_files
from kd_keras.job import train
from kd_keras.job.training import fitting
from kd_keras.teacher_cache import part_files

TINY = (
    *("--recipe", "quickstart", "--epochs", "2", "--teacher-epochs", "1", "--batch-size", "256"),
    *("--precision", "float32", "--checkpoint-minutes", "0", "--allow-weak-teacher"),
    *("--student", "plain_cnn4:width=0.25", "--no-timing"),
)
ALONE = ("--method", "none")


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """A folder of the file's tests, which share a store of digits."""
    folder = tmp_path_factory.mktemp("hostile")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KD_KERAS_CACHE", str(folder / "cache"))
        patch.setattr(quiet, "import_tensorflow", lambda: None)
        # No run comes as far as an export.
        patch.setattr(train, "fresh_process", lambda: contextlib.nullcontext(None))
        yield folder


@pytest.fixture
def refused(scratch, tmp_path):
    """refused(*words) gives the one message of `kdk train` with these options."""

    def run(*words):
        places = ("--run", str(tmp_path / "run"), "--export-dir", str(tmp_path / "exports"))
        answer = CliRunner().invoke(kdk, ["train", *TINY, *places, *words])
        assert answer.exit_code == 2, answer.output
        assert "Traceback" not in answer.output
        for name in ("student.keras", "results.json"):
            assert not (tmp_path / "run" / name).exists()
        return answer.stderr[answer.stderr.index("kdk: ") :].strip()

    return run


@pytest.fixture(scope="module")
def teacher(scratch):
    return models.get("plain_cnn4", num_classes=10, input_shape=(8, 8, 1), width=0.25)


@pytest.mark.slow
def test_a_learning_rate_that_explodes_names_the_step_and_keeps_the_last_good_checkpoint(
    refused, tmp_path
):
    message = refused(*ALONE, "--optimizer", "sgd", "--learning-rate", "1e6")
    assert message.startswith(
        ("kdk: student: the loss became ", "kdk: student: the weights became ")
    )
    assert " of epoch 1" in message
    assert "Lower the learning rate" in message
    position, state = checkpoint_files.newest(tmp_path / "run" / "checkpoints")
    assert position.step >= 1
    weights = next(iter(state.values()))[0]
    assert np.isfinite(weights).all()


@pytest.mark.slow
def test_a_method_that_explodes_is_named(refused, teacher, tmp_path):
    options = ("--teacher", str(tmp_path / "teacher.keras"))
    huge = keras.models.clone_model(teacher)  # features whose squares are too large, no logits
    first = next(layer for layer in huge.layers if isinstance(layer, keras.layers.Conv2D))
    first.set_weights([np.full(w.shape, 1e25) for w in first.get_weights()])
    huge.layers[-1].set_weights([np.zeros(w.shape) for w in huge.layers[-1].get_weights()])
    huge.save(tmp_path / "teacher.keras")
    message = refused(*options, "--method", "fitnet", "--run", str(tmp_path / "fitnet"))
    assert message.startswith("kdk: student: the loss became inf at step 1 of epoch 1; expected")
    assert (
        "The loss of fitnet is not finite, the cross-entropy with the labels is. Lower" in message
    )


def broken(model, value):
    """A copy of the model whose last layer gives this value."""
    copy = keras.models.clone_model(model)
    copy.layers[-1].set_weights([np.full(w.shape, value) for w in copy.layers[-1].get_weights()])
    return copy


@pytest.mark.slow
def test_a_teacher_of_nan_is_refused_before_training(refused, teacher, tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "fit", None)
    file = tmp_path / "teacher.keras"
    broken(teacher, np.nan).save(file)
    message = refused("--teacher", str(file))
    assert message.startswith(f"kdk: teacher ({file}): model ")
    assert "gives scores that are NaN or infinite; expected finite ones. " in message
    assert "or give another file" in message
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_cache_with_nan_is_refused_or_stops_the_run_at_its_step(refused, teacher, tmp_path):
    rows = tmp_path / "rows"
    teacher.save(tmp_path / "teacher.keras")
    words = ["cache", "--recipe", "quickstart", "--teacher", str(tmp_path / "teacher.keras")]
    words += ["--precision", "float32", "--views", "2", "--out", str(rows)]
    answer = CliRunner().invoke(kdk, words)
    assert answer.exit_code == 0, answer.output
    options = ("--teacher", f"cache:{rows}", "--views", "2")
    spoil(rows, 1)
    message = refused(*options)
    assert "the teacher's outputs became NaN or infinite at step 1 of epoch 2; expected" in message
    assert "Check the teacher's file or cache" in message
    assert checkpoint_files.newest_position(tmp_path / "run" / "checkpoints").epoch == 0
    spoil(rows, 0)
    message = refused(*options, "--run", str(tmp_path / "other"))
    assert "logits are NaN or infinite, for example those of image " in message
    assert "Make the cache again" in message
    assert not (tmp_path / "other").exists()


def spoil(folder, view):
    """Makes all rows of a view NaN, with the hashes of what is there now."""
    logits = np.load(folder / f"view{view:04d}.part0000.logits.npy")
    part_files.write_part(folder, view, 0, {"logits": np.full_like(logits, np.nan)})


def test_a_saved_model_is_no_student(refused, tmp_path):
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "saved_model.pb").write_bytes(b"")
    message = refused("--student", str(tmp_path / "served"))
    assert message.startswith(
        f"kdk: the student {tmp_path / 'served'} is a SavedModel, which cannot "
    )
    assert "expected a .keras or .h5 file, or the name of a model" in message
    assert not (tmp_path / "run").exists()


def test_a_class_name_with_a_line_break_is_found_before_training(refused, tmp_path):
    for name in ("cat", "dog\nhound"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (9, 8), (number, 0, 0)).save(
                tmp_path / "pets" / name / f"{number}.png"
            )
    message = refused("--dataset", f"folder:{tmp_path / 'pets'}", *ALONE)
    assert "has the class 'dog\\nhound'; expected a name without line breaks" in message
    assert "Rename it" in message
    assert not (tmp_path / "run").exists()


def test_an_export_folder_that_cannot_be_written_is_found_before_training(
    refused, tmp_path, monkeypatch
):
    monkeypatch.setattr(fitting, "fit", None)
    (tmp_path / "file").write_text("")
    message = refused(*ALONE, "--export-dir", str(tmp_path / "file"))
    assert message.startswith(f"kdk: Could not write {tmp_path / 'file' / 'run'}: ")
    assert "Move what is in the way, or choose a folder elsewhere" in message
    message = refused(*ALONE, "--export-dir", "/proc/exports")
    assert message.startswith("kdk: Could not write /proc/exports/run: ")
    assert "hoose a folder elsewhere" in message
    assert not (tmp_path / "run").exists()
