"""Models from files: a `.keras` or `.h5` file, or, for a teacher, a SavedModel folder."""

import zipfile
from pathlib import Path
from typing import Any

import keras

from kd_keras import files
from kd_keras.graph import heads
from kd_keras.models import adapt, hdf5_check

SUFFIXES = (".keras", ".h5", ".hdf5")
_HDF5_START = b"\x89HDF\r\n\x1a\n"
_UNPACKED_BYTES, _UNPACKED_TIMES = 100_000_000, 10
_ENDPOINTS = ("serving_default", "serve")


def open_model(
    path: str | Path,
    *,
    num_classes: int | None = None,
    two_logits: bool = False,
    sigmoid: bool = False,
) -> keras.Model:
    """The image classifier saved at `path`, not compiled.

    Args:
        path: a `.keras` or `.h5` file, or a SavedModel folder. The output of a SavedModel is
            `logits`, else `probabilities`, else its only one. A SavedModel cannot be trained.
        num_classes: number of outputs that the model must have; None: any.
        two_logits: whether to change one sigmoid output to two logits (see `adapt.two_logits`).
        sigmoid: whether to accept one sigmoid output as it is.

    Returns:
        keras.Model from one batch of images to one batch of scores, (B, num_classes).

    Raises:
        FileNotFoundError: there is nothing at `path`.
        ValueError: not such a model, a truncated file, or a different number of classes.
    """
    path = Path(path).expanduser()
    check_file(path)
    model = _open_saved_model(path) if path.is_dir() else _open_file(path)
    if two_logits:
        model = adapt.two_logits(model)
    _check_classifier(model, path, num_classes, sigmoid)
    return model


def check_file(path: Path) -> None:
    """Checks by its first bytes that a model may be at `path`; opens none.

    Raises FileNotFoundError or ValueError as `open_model` does.
    """
    if not path.exists():
        raise FileNotFoundError(
            f"no model at {path}; expected a .keras or .h5 file or a SavedModel folder. Check the "
            "path."
        )
    files.require_regular(path)
    if path.is_dir():
        if not (path / "saved_model.pb").is_file():
            raise ValueError(
                f"{path} is a folder without saved_model.pb; expected a SavedModel. "
                "Give the folder that `model.export('FOLDER')` wrote, or a .keras file."
            )
    elif path.suffix in SUFFIXES[1:]:
        _check_hdf5_file(path)
    elif not _is_zip(path):
        size = path.stat().st_size
        raise ValueError(
            f"{path} ({size:,} bytes) is not a .keras file, or is truncated; expected one written "
            "by `model.save('NAME.keras')`. Copy it again, or save the model in that format."
        )
    else:
        _check_unpacked(path)


def _is_zip(path: Path) -> bool:
    """Whether zipfile can list the file's members; its first bytes alone may mislead."""
    try:
        zipfile.ZipFile(path).close()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False
    return True


def _check_unpacked(path: Path) -> None:
    """Raises ValueError for a .keras file that unpacks to far more than it holds.

    Keras stores weights as they are, so that a file written by Keras unpacks to its own size.
    """
    with zipfile.ZipFile(path) as archive:
        unpacked_bytes = sum(member.file_size for member in archive.infolist())
    max_bytes = max(_UNPACKED_BYTES, _UNPACKED_TIMES * path.stat().st_size)
    if unpacked_bytes > max_bytes:
        raise ValueError(
            f"{path} unpacks to {unpacked_bytes:,} bytes; expected at most {max_bytes:,} for a "
            "file of its size. It was made to fill the memory: do not use it."
        )


def _open_file(path: Path) -> keras.Model:
    if path.suffix in SUFFIXES[1:]:
        hdf5_check.require_readable(path)
        return _load_model(path, "an .h5 file")
    return _load_model(path, "a .keras file")


def _check_hdf5_file(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(len(_HDF5_START))
    if start != _HDF5_START:
        raise ValueError(
            f"{path} ({path.stat().st_size:,} bytes) is not an HDF5 file, or is truncated; "
            "expected "
            "one written by `model.save('NAME.h5')`. Copy it again."
        )
    if path.name.endswith(".weights.h5"):
        raise ValueError(
            f"{path} holds weights alone; expected a whole model. Make the model in Python, call "
            "`model.load_weights(FILE)` and `model.save('NAME.keras')`, and give that file."
        )


def _load_model(path: Path, what: str) -> keras.Model:
    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:
        raise ValueError(
            f"{path} is not {what} that Keras can open ({_first_line(_root(error))}); expected a "
            "whole file of layers that Keras knows. Name the module that registers its own layers "
            "(--import MODULE), or, for a teacher, export it (`model.export('FOLDER')`) and give "
            "the folder."
        ) from error


def _open_saved_model(path: Path) -> keras.Model:
    layer = _load_endpoint(path)
    spec = _image_spec(layer, path)
    images = keras.Input(tuple(spec.shape[1:]), name="images")
    dtype = keras.backend.standardize_dtype(spec.dtype)
    # Rounded, not truncated: 254.99 is the pixel 255.
    x = keras.ops.cast(keras.ops.round(images), dtype) if "int" in dtype else images
    outputs = layer(x)
    if isinstance(outputs, dict):
        outputs = outputs[_output_key(list(outputs), path)]
    return keras.Model(images, outputs, name=f"{layer.name}_model")


def _load_endpoint(path: Path) -> keras.layers.TFSMLayer:
    reasons = []
    for endpoint in _ENDPOINTS:
        try:
            return keras.layers.TFSMLayer(str(path), call_endpoint=endpoint, trainable=False)
        except Exception as error:
            reasons.append(_first_line(error))
    raise ValueError(
        f"{path} cannot be opened as a SavedModel ({reasons[0]}); expected a whole one with a "
        f"signature named {' or '.join(_ENDPOINTS)}. Copy or export it again."
    )


def _image_spec(layer: keras.layers.TFSMLayer, path: Path) -> Any:
    """The shape and dtype of the one batch of images that the endpoint takes."""
    signature = getattr(layer.call_endpoint_fn, "structured_input_signature", None)
    specs = list(signature[1].values()) if signature else []
    if len(specs) != 1 or specs[0].shape.rank != 4 or specs[0].shape[0] is not None:
        inputs = ", ".join(f"{spec.name} {tuple(spec.shape)}" for spec in specs if spec.shape.rank)
        raise ValueError(
            f"{path}: {layer.call_endpoint} takes ({inputs or 'undescribed inputs'}); expected "
            "one batch of images, (None, height, width, channels). Export it with such a signature."
        )
    return specs[0]


def _output_key(keys: list[str], path: Path) -> str:
    for key in ("logits", "probabilities"):
        if key in keys:
            return key
    if len(keys) == 1:
        return keys[0]
    raise ValueError(
        f"{path} gives {', '.join(sorted(keys))}; expected an output called logits or "
        "probabilities, or just one. Export it with its logits only."
    )


def _check_classifier(
    model: keras.Model, path: Path, num_classes: int | None, sigmoid: bool
) -> None:
    inputs, outputs = getattr(model, "inputs", None) or [], getattr(model, "outputs", None) or []
    ranks = [[len(tensor.shape) for tensor in side] for side in (inputs, outputs)]
    if ranks != [[4], [2]]:
        shapes = " to ".join(", ".join(str(t.shape) for t in s) or "?" for s in (inputs, outputs))
        raise ValueError(
            f"{path} is a {type(model).__name__} from {shapes}; expected an image classifier from "
            "(None, height, width, channels) to (None, classes). Wrap it in a functional model of "
            "that form and save that."
        )
    classes = outputs[0].shape[-1]
    if classes == 1 and not (sigmoid and heads.output_type(model) == "sigmoid"):
        raise ValueError(
            f"{path} gives one output; expected a logit for each class. Give a student two outputs "
            "without an activation, Dense(2)."
        )
    if num_classes is not None and classes != num_classes:
        raise ValueError(
            f"{path} has {classes} classes; expected {num_classes}. Use a model of these "
            "classes. A teacher may have more classes (--teacher-class-names), or give an "
            "embedding (kdk train --method embed:teacher_tap=output, kdk cache --taps output)."
        )


def _root(error: BaseException) -> BaseException:
    """The first error: Keras wraps "Could not locate class" in pages of configuration."""
    while error.__context__ is not None:
        error = error.__context__
    return error


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0] if len(lines[0]) <= 300 else f"{lines[0][:300]}…"
