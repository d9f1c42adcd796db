"""Random broken files of models, for tests/fuzz_cases.py: Keras's own, SavedModels and ONNX."""

import random
from pathlib import Path

import broken_files as broken
import numpy as np

IMAGES = np.zeros((2, 8, 8, 3), np.uint8)


def keras_file(rng: random.Random, folder: Path) -> None:
    """A .keras or .h5 file with changed bytes or members."""
    from kd_keras.models import model_files

    path = folder / f"model{rng.choice(['.keras', '.keras', '.h5'])}"
    content = broken.model(path.suffix)
    if path.suffix == ".keras" and rng.random() < 0.6:
        content = broken.with_member(rng, content)
    else:
        content = broken.spoilt(rng, content)
    path.write_bytes(content)
    model_files.open_model(path, num_classes=rng.choice([None, 3, 4]))


def saved_model(rng: random.Random, folder: Path) -> None:
    """A SavedModel of which files are changed or missing, opened as a teacher and run."""
    from kd_keras.models import model_files
    from kd_keras.teacher_cache import keras_teacher

    path = spoilt_folder(rng, folder / "teacher", broken.saved_model())
    model = model_files.open_model(path, num_classes=3)
    scores = keras_teacher.teacher_function(model, (), precision="float32")(IMAGES)
    assert np.shape(scores["logits"]) == (2, 3)


def onnx_file(rng: random.Random, folder: Path) -> None:
    """An ONNX file, or the file beside it that holds its weights, changed or missing."""
    from kd_keras.teacher_cache import onnx_teacher

    path = spoilt_folder(rng, folder / "teacher", broken.onnx())
    teacher = onnx_teacher.OnnxTeacher(path / "teacher.onnx")
    assert len(teacher.fingerprint) == 16
    assert np.shape(teacher(IMAGES)["logits"])[0] == 2


def spoilt_folder(rng: random.Random, folder: Path, content: dict[str, bytes]) -> Path:
    """Writes the files by name, of which one or two are changed, empty or missing."""
    victims = set(rng.sample(sorted(content), min(len(content), rng.randint(0, 2))))
    for name, data in content.items():
        kind = rng.random()
        if name in victims and kind < 0.2:
            continue
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name in victims:
            path.write_bytes(b"" if kind < 0.3 else broken.spoilt(rng, data))
        else:
            path.write_bytes(data)
    folder.mkdir(exist_ok=True)
    return folder
