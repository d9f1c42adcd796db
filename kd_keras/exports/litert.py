"""LiteRT files (`.tflite`), by TensorFlow's converter: float32, float16 weights, 8-bit numbers."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from kd_keras.exports import metadata
from kd_keras.exports.classifier_graph import INPUT, ClassifierGraph
from kd_keras.exports.conversion import quiet_conversion, require_calibration


def write(
    graph: ClassifierGraph,
    path: Path,
    *,
    quantize: str,
    file_metadata: metadata.Metadata,
    calibration: np.ndarray | None,
) -> None:
    """Writes a LiteRT file that takes `images`, uint8 (B, H, W, C), with an open batch size.

    It gives `probabilities` and `logits`, (B, classes); see `ClassifierGraph.for_few_bits`. With
    "int8" everything is computed in whole numbers, the weights with a scale for each channel, and
    both outputs are uint8: a value is (number - zero point) * scale, which the file holds. The
    input's scale is 1, so pixels go in as they are.

    Args:
        graph: the classifier.
        path: file to write.
        quantize: "none" (float32), "float16" (weights in float16, computed in float32) or "int8".
        file_metadata: metadata to pack behind the model, which interpreters do not read.
        calibration: uint8 (N, H, W, C) images, whose activations set the ranges of "int8".

    Raises:
        ValueError: the model has layers that LiteRT has no operations for, or "int8" has no
            calibration images.
        OSError: the file cannot be written.
    """
    images = require_calibration(calibration) if quantize == "int8" else None
    with tempfile.TemporaryDirectory() as scratch, quiet_conversion(graph.name, "LiteRT"):
        source = graph if quantize == "none" else graph.for_few_bits()
        source.save(f"{scratch}/model", floats=images is not None)
        converter = tf.lite.TFLiteConverter.from_saved_model(f"{scratch}/model")
        if quantize != "none":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if images is not None:
            converter.representative_dataset = lambda: _batches(images)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = converter.inference_output_type = tf.uint8
        content = converter.convert()
    path.write_bytes(content)
    metadata.pack_into_litert(path, file_metadata)


def _batches(calibration: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    """Images one by one; two corner pixels are set so that the input's range is just 0..255."""
    for index in range(len(calibration)):
        image = calibration[index : index + 1].astype(np.float32)
        if index == 0:
            image[0, 0, 0], image[0, -1, -1] = 0, 255
        yield {INPUT: image}
