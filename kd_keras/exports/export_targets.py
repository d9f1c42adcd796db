"""The files that an export can write: formats, quantizations, file names."""

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from kd_keras import check

#: For each format, what it can store weights and compute in; "none" is float32.
QUANTIZATIONS_BY_FORMAT = {
    "savedmodel": ("none",),
    "litert": ("none", "float16", "int8"),
    "onnx": ("none", "float16", "int8"),
}
CALIBRATION_IMAGES = 500  # default number of training images for "int8"
QUANTIZATIONS = ("none", "float16", "int8")
_SUFFIXES = {"savedmodel": "", "litert": ".tflite", "onnx": ".onnx"}
_NEEDS = {
    "savedmodel": (),
    "litert": ("ai_edge_litert",),
    "onnx": ("onnx", "tf2onnx", "onnxruntime"),
}


class ExportTarget(NamedTuple):
    """A file to write: its format, and "none", "float16" or "int8"."""

    format: str
    quantize: str

    def name(self, stem: str) -> str:
        """The name of the file, or of the SavedModel's folder: "student-int8.tflite"."""
        if self.format == "savedmodel":
            return f"{stem}-savedmodel"
        numbers = "" if self.quantize == "none" else f"-{self.quantize}"
        return f"{stem}{numbers}{_SUFFIXES[self.format]}"


def combinations(
    formats: Sequence[str], quantize: Sequence[str]
) -> tuple[list[ExportTarget], list[str]]:
    """Every possible combination of formats and quantizations, and a line for each left out.

    An item may be a list itself, separated by commas: "litert,onnx".

    Args:
        formats: names of formats, see `QUANTIZATIONS_BY_FORMAT`.
        quantize: names of number formats: "none", "float16" or "int8".

    Raises:
        ValueError: an unknown format or quantization, one that no combination uses, or a format
            whose programs are not installed.
    """
    formats, quantize = _items(formats), _items(quantize)
    for name in formats:
        check.one_of("format", name, QUANTIZATIONS_BY_FORMAT)
    for name in quantize:
        check.one_of("quantize", name, QUANTIZATIONS)
    pairs = [ExportTarget(name, numbers) for name in formats for numbers in quantize]
    supported_pairs = [
        target for target in pairs if target.quantize in QUANTIZATIONS_BY_FORMAT[target.format]
    ]
    for name in formats:
        if name not in {target.format for target in supported_pairs}:
            raise ValueError(
                f"format is {name} and quantize {' and '.join(quantize)}; expected for {name} one "
                f"of: {', '.join(QUANTIZATIONS_BY_FORMAT[name])}. Choose litert or onnx for "
                "smaller files."
            )
    _check_installed([target.format for target in supported_pairs])
    pairs_left_out = [target for target in pairs if target not in supported_pairs]
    return supported_pairs, [f"{o.format} has no {o.quantize}: not written" for o in pairs_left_out]


def folder_of(out: str | Path) -> Path:
    """The folder that `out` names.

    Raises:
        ValueError: it is a file, named like one, or a SavedModel, which is one model's own folder.
    """
    path = Path(out).expanduser()
    if path.suffix in (".tflite", ".onnx", ".keras", ".h5") or os.path.isfile(path):
        raise ValueError(
            f"out is {str(path)!r}; expected a folder, in which each file is named after the "
            f"model. Give its folder, such as {str(path.parent)!r}, and the format with --format."
        )
    if (path / "saved_model.pb").exists():
        raise ValueError(
            f"out is {str(path)!r}, which is a SavedModel; expected a folder to write files into. "
            f"Give another one, such as {str(path.with_name(f'{path.name}-exports'))!r}."
        )
    return path


def _items(lists: Sequence[str]) -> list[str]:
    """Every name in `lists` once, in order."""
    return [*dict.fromkeys(name.strip() for names in lists for name in names.split(","))]


def _check_installed(formats: Sequence[str]) -> None:
    for name in dict.fromkeys(formats):
        missing_modules = [
            module for module in _NEEDS[name] if importlib.util.find_spec(module) is None
        ]
        if missing_modules:
            raise ValueError(
                f"format {name} needs {', '.join(missing_modules)}, which is not installed. "
                f"Run pip install 'kd-keras[{name}]'."
            )
