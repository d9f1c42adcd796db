"""ONNX files, by tf2onnx and ONNX Runtime's tools: float32, float16, or 8-bit numbers."""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from kd_keras.exports import metadata
from kd_keras.exports.classifier_graph import INPUT, ClassifierGraph
from kd_keras.exports.conversion import quiet_conversion, require_calibration

OPSET = 17  # ONNX Runtime 1.12 and later


def write(
    graph: ClassifierGraph,
    path: Path,
    *,
    quantize: str,
    file_metadata: metadata.Metadata,
    calibration: np.ndarray | None,
) -> None:
    """Writes an ONNX file that takes `images`, uint8 (B, H, W, C), with an open batch size.

    It gives `probabilities` and `logits`, float32 (B, classes). With "int8", layers compute in
    8-bit numbers between pairs of QuantizeLinear and DequantizeLinear, the weights with a scale
    for each channel. The metadata are properties of the file.

    Args and errors: as for `litert.write`; "float16" also computes in float16.
    """
    import onnx

    images = require_calibration(calibration) if quantize == "int8" else None
    with tempfile.TemporaryDirectory() as scratch, quiet_conversion(graph.name, "ONNX"):
        source = graph if quantize == "none" else graph.for_few_bits()
        model_proto = _convert(source, Path(scratch))
        if quantize == "float16":
            from onnxruntime.transformers import float16

            model_proto = float16.convert_float_to_float16(model_proto, keep_io_types=True)
        if images is not None:
            model_proto = _quantize(model_proto, Path(scratch), images)
        onnx.helper.set_model_props(model_proto, metadata.for_onnx(file_metadata))
        content = model_proto.SerializeToString()
    path.write_bytes(content)


def _convert(graph: ClassifierGraph, scratch: Path) -> Any:
    """The float32 ONNX model, by tf2onnx's command: its functions take no SavedModel.

    They would make inputs of the constants that a graph reads from outside, such as the statistics
    of a Normalization layer; in a SavedModel these are constants.
    """
    import onnx
    from tf2onnx import convert

    graph.save(scratch / "model")
    target = str(scratch / "model.onnx")
    words = ["--saved-model", str(scratch / "model"), "--tag", "serve", "--output", target]
    words += ["--signature_def", "serving_default", "--opset", str(OPSET)]
    old_argv, old_environment = sys.argv, dict(os.environ)
    sys.argv = ["tf2onnx", *words]
    try:
        convert.main()
    finally:
        sys.argv = old_argv
        os.environ.clear()
        os.environ.update(old_environment)  # tf2onnx sets TF_CPP_MIN_LOG_LEVEL
    return onnx.load(target)


def _quantize(model_proto: Any, scratch: Path, calibration: np.ndarray) -> Any:
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization import shape_inference

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self._batches = iter(np.split(calibration, len(calibration)))

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self._batches, None)
            return None if batch is None else {INPUT: batch}

    prepared_path, quantized_path = str(scratch / "prepared.onnx"), str(scratch / "quantized.onnx")
    onnx.save(model_proto, scratch / "float.onnx")
    # Fuses batch norms and infers shapes; symbolic inference would need SymPy.
    shape_inference.quant_pre_process(
        str(scratch / "float.onnx"), prepared_path, skip_symbolic_shape=True
    )
    quantization.quantize_static(
        prepared_path,
        quantized_path,
        Reader(),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        # 7 bits of weights: sums of two products with 8 overflow on processors without VNNI.
        reduce_range=True,
        activation_type=quantization.QuantType.QInt8,
        weight_type=quantization.QuantType.QInt8,
    )
    return onnx.load(quantized_path)
