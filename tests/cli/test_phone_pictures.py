"""A folder of two classes of mixed pictures, as a phone leaves them, through the whole command.

`scripts/phone_pictures.py` does the same without any option, on one device and on two, for minutes.
"""

import importlib.util
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from kd_keras.cli import kdk
from kd_keras.exports import process

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SHORT = (
    *("--teacher", "plain_cnn4:width=0.5", "--student", "resnet8:width=0.25"),
    *("--teacher-epochs", "1", "--epochs", "1", "--batch-size", "16", "--allow-weak-teacher"),
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("pictures", ROOT / "scripts/phone_pictures.py")
    pictures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pictures)
    pictures.write_pictures(tmp_path / "pets", each=20)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KD_KERAS_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_a_folder_of_two_classes_is_trained_exported_and_served(folder, consumers, monkeypatch):
    started, start = [], process._Process._start
    monkeypatch.setattr(
        process._Process, "_start", lambda self: started.append(self) or start(self)
    )
    command = ["train", "--dataset", "folder:pets", *SHORT, "--run", "pets"]
    result = CliRunner().invoke(kdk, command)
    assert result.exit_code == 0, result.output
    assert "skipped 2 files: .DS_Store 1, .txt 1" in result.output
    assert "holding out 10 % of train" in result.output
    assert "method: kd instead of the recipe's lskd" in result.output
    assert len(started) == 1  # for the teacher's export and the student's
    results = json.loads((folder / "runs" / "pets" / "results.json").read_text())
    student = keras.models.load_model(folder / "runs" / "pets" / "student.keras")
    images = np.random.default_rng(0).integers(0, 256, (3, *student.input_shape[1:]), np.uint8)
    expected = student.predict(images.astype("float32"), verbose=0)
    consumers.check(folder / results["student"]["export"]["path"], images, expected)
