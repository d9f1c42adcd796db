"""Two classes of mixed pictures, as a phone leaves them, through `kdk train` without an option.

Shows   that one command trains, exports and reports on such a folder, on one device and on two, and
        that what it exports answers in `saved_model_cli` as the Keras model does.
On      120 small drawn pictures of mixed sizes in six formats, some turned by EXIF.
Takes   about five minutes on two idle CPU cores.

    python scripts/phone_pictures.py
"""

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ENDINGS = ("jpg", "JPG", "png", "webp", "gif", "bmp")
ROTATED = 6  # EXIF: stored turned by a quarter


def write_pictures(folder: Path, *, each: int) -> None:
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
            ending: str = ENDINGS[number % len(ENDINGS)]
            options: dict[str, Any] = {}
            if ending == "jpg":
                exif = Image.Exif()
                exif[0x0112] = ROTATED
                picture, options = picture.rotate(90, expand=True), {"exif": exif}
            picture.save(folder / name / f"{number:03}.{ending}", **options)
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / "cat" / ".DS_Store").write_bytes(b"\0")
    (folder / "dog" / "notes.txt").write_text("good dogs")


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_pictures(folder / "pets", each=60)
        for options in ((), ("--devices", "cpu:2")):
            run = f"run-{len(options)}"
            command = ["kdk", "train", "--dataset", "folder:pets", *options, "--run", run]
            print("$", *command, flush=True)
            environment = {**os.environ, "KD_KERAS_CACHE": str(folder / "cache")}
            subprocess.run(command, cwd=folder, env=environment, check=True)
            difference = served_difference(folder / "runs" / run, folder / "saved_models" / run)
            print(f"largest difference of saved_model_cli from Keras: {difference:.1e}", flush=True)


def served_difference(run: Path, exported: Path) -> float:
    """Largest absolute difference of the logits that `saved_model_cli` gives from Keras's."""
    import keras

    student = keras.models.load_model(run / "student.keras")
    images = np.random.default_rng(0).integers(0, 256, (8, *student.input_shape[1:]), np.uint8)
    np.save(run / "images.npy", images)
    command = ["saved_model_cli", "run", "--dir", str(exported), "--tag_set", "serve"]
    command += ["--signature_def", "serving_default", "--inputs", f"images={run / 'images.npy'}"]
    subprocess.run([*command, "--outdir", str(run)], check=True, capture_output=True)
    expected = student.predict(images.astype("float32"), verbose=0)
    return float(np.abs(np.load(run / "logits.npy") - expected).max())


if __name__ == "__main__":
    main()
