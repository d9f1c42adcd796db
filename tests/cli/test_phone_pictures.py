"""A folder of two classes of mixed pictures, as a phone leaves them: one command, no option."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow
ENDINGS = ("jpg", "JPG", "png", "webp", "gif", "bmp")
ROTATED = 6  # EXIF: stored turned by a quarter


def write_pictures(folder, *, each):
    """Cats have stripes across, dogs upright ones; sizes, formats and orientations are mixed."""
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for number in range(each):
            height, width = rng.integers(18, 30, 2)
            down, right = np.mgrid[0:height, 0:width]
            stripes = 120 * ((down if name == "cat" else right) // 3 % 2)
            pixels = stripes[..., None] + rng.integers(0, 100, 3) + rng.normal(0, 8, (1, 1, 3))
            picture = Image.fromarray(np.clip(pixels, 0, 255).astype("uint8"))
            ending, options = ENDINGS[number % len(ENDINGS)], {}
            if ending == "jpg":
                exif = Image.Exif()
                exif[0x0112] = ROTATED
                picture, options = picture.rotate(90, expand=True), {"exif": exif}
            picture.save(folder / name / f"{number:03}.{ending}", **options)
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / "cat" / ".DS_Store").write_bytes(b"\0")
    (folder / "dog" / "notes.txt").write_text("good dogs")


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phone")
    write_pictures(folder / "pets", each=48)
    return folder


@pytest.mark.parametrize("options", [(), ("--devices", "cpu:2")], ids=["one device", "two"])
def test_one_command_trains_exports_and_serves(pets, options, consumers):
    run = f"run-{len(options)}"
    command = [sys.executable, "-m", "kd_keras", "train", "--dataset", "folder:pets", *options]
    environment = {**os.environ, "KD_KERAS_CACHE": str(pets / "cache")}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    done = subprocess.run(
        [*command, "--run", run], capture_output=True, text=True, cwd=pets, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "skipped 2 files: .DS_Store 1, .txt 1" in done.stdout
    assert "holding out 10 % of train" in done.stdout
    results = json.loads((pets / "runs" / run / "results.json").read_text())
    assert results["teacher"]["top1"] > 0.8
    student = keras.models.load_model(pets / "runs" / run / "student.keras")
    images = np.random.default_rng(0).integers(0, 256, (3, *student.input_shape[1:]), np.uint8)
    expected = student.predict(images.astype("float32"), verbose=0)
    exported = pets / results["student"]["export"]["path"]
    consumers.check(exported, images, expected, command=not options)
