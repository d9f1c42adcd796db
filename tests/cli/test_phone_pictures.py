"""A folder of two classes of mixed pictures, as a phone leaves them, through the whole command.

`scripts/phone_pictures.py` does the same without any option, which takes minutes.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SHORT = ("--teacher", "resnet8", "--teacher-epochs", "10", "--epochs", "2", "--batch-size", "8")


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    spec = importlib.util.spec_from_file_location("pictures", ROOT / "scripts/phone_pictures.py")
    pictures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pictures)
    folder = tmp_path_factory.mktemp("phone")
    pictures.write_pictures(folder / "pets", each=48)
    return folder


@pytest.mark.parametrize("options", [(), ("--devices", "cpu:2")], ids=["one device", "two"])
def test_a_folder_of_two_classes_is_trained_exported_and_served(pets, options, consumers):
    run = f"run-{len(options)}"
    command = [sys.executable, "-m", "kd_keras", "train", "--dataset", "folder:pets", *options]
    environment = {**os.environ, "KD_KERAS_CACHE": str(pets / "cache"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, *SHORT, "--run", run], capture_output=True, text=True, cwd=pets, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "skipped 2 files: .DS_Store 1, .txt 1" in done.stdout
    assert "holding out 10 % of train" in done.stdout
    assert "method: kd, since lskd" in done.stdout
    results = json.loads((pets / "runs" / run / "results.json").read_text())
    student = keras.models.load_model(pets / "runs" / run / "student.keras")
    images = np.random.default_rng(0).integers(0, 256, (3, *student.input_shape[1:]), np.uint8)
    expected = student.predict(images.astype("float32"), verbose=0)
    exported = pets / results["student"]["export"]["path"]
    consumers.check(exported, images, expected, command=not options)
