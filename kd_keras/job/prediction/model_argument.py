"""Finds the model that a user names: a model file, or a run, whose student is used."""

import dataclasses
from pathlib import Path

from kd_keras import files
from kd_keras.exports import metadata
from kd_keras.exports.metadata import Metadata
from kd_keras.job.recipe import recipe_files
from kd_keras.results.run_files import run_data

EXPORTS = "exports"  # folder in a run folder


@dataclasses.dataclass(frozen=True)
class ModelArgument:
    """A model file and what is known about it.

    Attributes:
        path: the model's file or folder.
        metadata: what its run says about class names, image shape and resizing; all None for a
            model of no run. What the file itself says comes first.
        run: the run folder; None for a model of no run.
    """

    path: Path
    metadata: Metadata
    run: Path | None


def resolve(model_or_run: str | Path) -> ModelArgument:
    """Finds the model.

    Args:
        model_or_run: path of a `.keras`, `.h5`, `.tflite` or `.onnx` file or of a SavedModel
            folder, or the name or path of a finished run, which stands for its student.

    Raises:
        FileNotFoundError: there is no such file and no such run.
        ValueError: the run is not finished, or has several students.
    """
    name = str(model_or_run)
    path = Path(name).expanduser()
    run = path if _is_run(path) else recipe_files.run_folder(name)
    if _is_run(run):
        return ModelArgument(_student(run), run_metadata(run), run)
    if not path.exists():
        raise FileNotFoundError(
            f"there is no model file and no run {name!r}; expected a file (.keras, .tflite, "
            ".onnx), a SavedModel folder, or the name or path of a finished run. `kdk runs` lists "
            "the runs."
        )
    owner = _run_of(path)
    return ModelArgument(path, Metadata() if owner is None else run_metadata(owner), owner)


def run_metadata(run: Path) -> Metadata:
    """What a run folder says about the data that its models take.

    Runs of earlier versions have no data.json; what their exported students say counts then.
    """
    if (run / run_data.NAME).is_file():
        data = run_data.read(run)
        return Metadata(data.class_names, data.image_shape, data.resize, data.multi_label)
    results = run / "results.json"
    entries = files.read_json(results) if results.is_file() else {}
    for entry in entries.values():
        export = entry.get("export") if isinstance(entry, dict) else None
        if export and Path(export["path"]).is_dir():
            return metadata.read_saved_model(Path(export["path"]))
    return Metadata()


def _run_of(path: Path) -> Path | None:
    """The run folder that a model lies in, itself or in its folder of exports."""
    folder = path.parent
    if _is_run(folder):
        return folder
    return folder.parent if folder.name == EXPORTS and _is_run(folder.parent) else None


def _is_run(folder: Path) -> bool:
    return (folder / "recipe.json").is_file()


def _student(run: Path) -> Path:
    if (run / "results.json").is_file():
        students = sorted(run.glob("student*.keras"))
        if len(students) == 1:
            return students[0]
        if students:
            raise ValueError(
                f"run {run} has {len(students)} students; expected one. Give the file of one: "
                f"{', '.join(str(student) for student in students)}."
            )
    raise ValueError(
        f"run {run} is not finished; expected a run with its student and results. Continue it with "
        f"`kdk train --recipe {run} --run {run}`."
    )
