"""Opens `.onnx` files with ONNX Runtime, which is optional."""

from pathlib import Path
from typing import Any


def open_session(path: Path) -> Any:
    """An `onnxruntime.InferenceSession` of a file, on the CPU.

    Args:
        path: the `.onnx` file.

    Raises:
        ValueError: onnxruntime is not installed, or cannot open the file.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ValueError(
            f"{path} is an ONNX file, and onnxruntime is not installed ({error}). "
            "Run pip install 'kd-keras[onnx]'."
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exception classes cannot be imported by name
        reason = " ".join(str(error).split()).rstrip(".")
        raise ValueError(
            f"{path} cannot be opened as an ONNX model: {reason}. Copy or "
            "export it again. If its weights are in a second file, keep both in one folder."
        ) from error
