"""Your own folder of images, one folder for each class.

Shows      the whole job of `kdk train` from Python: data, teacher, student, export and report.
Expect     a table of teacher and student, a report for the browser, and the folders of the run and
           of the exported student. The accuracies are of 30 drawings only, after a short training.
Your data  python examples/own_images.py FOLDER, where FOLDER holds cat/1.jpg, dog/2.png and so on;
           any size, any format.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import kd_keras

EPOCHS, BATCH, IMAGES_OF_A_CLASS, SIDE = 10, 32, 100, 16

scratch = Path(tempfile.mkdtemp())


def draw(folder: Path) -> Path:
    """Circles, squares and triangles at random places, in random colours."""
    rng = np.random.default_rng(0)
    for name in ("circle", "square", "triangle"):
        (folder / name).mkdir(parents=True)
        for number in range(IMAGES_OF_A_CLASS):
            image = Image.new("RGB", (40, 32), tuple(rng.integers(0, 100, 3)))
            colour, radius = tuple(rng.integers(120, 256, 3)), int(rng.integers(6, 12))
            place = (int(rng.integers(12, 28)), int(rng.integers(12, 20)), radius)
            pen = ImageDraw.Draw(image)
            if name == "circle":
                pen.circle(place[:2], radius, fill=colour)
            else:
                pen.regular_polygon(place, {"square": 4, "triangle": 3}[name], fill=colour)
            image.save(folder / name / f"{number:03}.png")
    return folder


folder = Path(sys.argv[1]) if len(sys.argv) > 1 else draw(scratch / "shapes")
recipe = kd_keras.Recipe(
    dataset=f"folder:{folder}",
    image_size=SIDE,  # leave it out for the images' own size
    teacher="resnet8",
    student="resnet8:width=0.25",
    method=["kd:temperature=2"],
    teacher_epochs=EPOCHS,
    epochs=EPOCHS,
    batch_size=BATCH,
    learning_rate=0.003,
    baseline=False,  # True trains the student alone too, and shows what distillation gains
    timing=False,  # True measures milliseconds for each image too
)
results = kd_keras.run(recipe, run=str(scratch / "run"), export_dir=str(scratch / "exports"))
print(f"distilled student: {results['student']['top1']:.1%} of the validation images")
